// Command baseline does the work of go-jwt the plain way: on go-pdk's own
// server, one PDK call at a time. The benchmark compares go-jwt with it.
package main

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	pdk "github.com/Kong/go-pdk"
	"github.com/Kong/go-pdk/client"
	"github.com/Kong/go-pdk/server"
	"github.com/golang-jwt/jwt/v5"
)

// Config is the plugin's configuration: what the benchmark's routes set.
type Config struct {
	URIParamNames  []string `json:"uri_param_names"`
	HeaderNames    []string `json:"header_names"`
	ClaimsToVerify []string `json:"claims_to_verify"`
	KeyClaimName   string   `json:"key_claim_name"`

	credentials *credentials
}

func main() {
	admin := flag.String("admin-url", "http://127.0.0.1:8001", "Admin API")
	// go-pdk parses the flags, and makes a Config per instance: the URL is read
	// when the first credential is asked for.
	source := &credentials{url: admin, client: &http.Client{Timeout: 2 * time.Second}}
	constructor := func() any { return &Config{credentials: source} }
	if err := server.StartServer(constructor, "0.0.1", 1450); err != nil {
		log.Print(err)
		os.Exit(1)
	}
}

// Access is the access phase.
func (c *Config) Access(kong *pdk.PDK) {
	token, err := c.find(kong)
	switch {
	case err != nil:
		fail(kong, err)
	case token == "":
		refuse(kong, "Unauthorized", "Bearer")
	default:
		c.authenticate(kong, token)
	}
}

// find looks for the token in the query, then in the headers.
func (c *Config) find(kong *pdk.PDK) (string, error) {
	query, err := kong.Request.GetQuery(-1)
	if err != nil {
		return "", err
	}
	params := c.URIParamNames
	if params == nil {
		params = []string{"jwt"}
	}
	for _, name := range params {
		if values := query[name]; len(values) > 0 {
			return values[0], nil
		}
	}
	names := c.HeaderNames
	if names == nil {
		names = []string{"authorization"}
	}
	for _, name := range names {
		value, err := kong.Request.GetHeader(name)
		if err != nil {
			return "", err
		}
		if len(value) > 7 && strings.EqualFold(value[:7], "Bearer ") {
			return strings.TrimSpace(value[7:]), nil
		}
	}
	return "", nil
}

// errUnknown tells of a key nobody has.
var errUnknown = errors.New("no such credential")

func (c *Config) authenticate(kong *pdk.PDK, token string) {
	var credential *credential
	var lookup error
	claim := c.KeyClaimName
	if claim == "" {
		claim = "iss"
	}
	options := []jwt.ParserOption{jwt.WithoutClaimsValidation()}
	parsed, err := jwt.NewParser(options...).Parse(token, func(t *jwt.Token) (any, error) {
		claims, _ := t.Claims.(jwt.MapClaims)
		key, _ := claims[claim].(string)
		credential, lookup = c.credentials.get(key)
		if lookup != nil {
			return nil, lookup
		}
		if t.Method.Alg() != credential.Algorithm {
			return nil, errors.New("invalid algorithm")
		}
		return credential.key, nil
	})
	switch {
	case errors.Is(lookup, errUnknown):
		refuse(kong, fmt.Sprintf("No credentials found for given '%s'", claim), `Bearer error="invalid_token"`)
		return
	case lookup != nil:
		fail(kong, lookup)
		return
	case err != nil || !parsed.Valid:
		refuse(kong, "Invalid signature", `Bearer error="invalid_token"`)
		return
	}
	if claims, ok := parsed.Claims.(jwt.MapClaims); !ok || !c.timely(claims) {
		refuse(kong, "token expired", `Bearer error="invalid_token"`)
		return
	}
	if err := identify(kong, credential, token); err != nil {
		fail(kong, err)
	}
}

func (c *Config) timely(claims jwt.MapClaims) bool {
	now := float64(time.Now().Unix())
	for _, name := range c.ClaimsToVerify {
		v, ok := claims[name].(float64)
		if !ok || name == "exp" && v <= now || name == "nbf" && v > now {
			return false
		}
	}
	return true
}

// identify tells Kong and the upstream who it is.
func identify(kong *pdk.PDK, credential *credential, token string) error {
	consumer, err := kong.Client.LoadConsumer(credential.Consumer.ID, false)
	if err != nil {
		return err
	}
	err = kong.Client.Authenticate(&consumer, &client.AuthenticatedCredential{Id: credential.ID, ConsumerId: consumer.Id})
	if err != nil {
		return err
	}
	for _, h := range [][2]string{
		{"X-Consumer-ID", consumer.Id},
		{"X-Consumer-Custom-ID", consumer.CustomId},
		{"X-Consumer-Username", consumer.Username},
		{"X-Credential-Identifier", credential.Key},
	} {
		if h[1] == "" {
			err = kong.ServiceRequest.ClearHeader(h[0])
		} else {
			err = kong.ServiceRequest.SetHeader(h[0], h[1])
		}
		if err != nil {
			return err
		}
	}
	if err := kong.ServiceRequest.ClearHeader("X-Anonymous-Consumer"); err != nil {
		return err
	}
	return kong.Ctx.SetShared("authenticated_jwt_token", token)
}

func refuse(kong *pdk.PDK, message, challenge string) {
	body, err := json.Marshal(map[string]string{"message": message})
	if err != nil {
		fail(kong, err)
		return
	}
	kong.Response.Exit(http.StatusUnauthorized, body, map[string][]string{
		"Content-Type": {"application/json; charset=utf-8"}, "WWW-Authenticate": {challenge},
	})
}

func fail(kong *pdk.PDK, err error) {
	log.Print(err)
	kong.Response.Exit(http.StatusInternalServerError, []byte(`{"message":"An unexpected error occurred"}`),
		map[string][]string{"Content-Type": {"application/json; charset=utf-8"}})
}

// credential is a row of jwt_secrets, with its key ready for use.
type credential struct {
	ID           string `json:"id"`
	Key          string `json:"key"`
	Secret       string `json:"secret"`
	Algorithm    string `json:"algorithm"`
	RSAPublicKey string `json:"rsa_public_key"`
	Consumer     struct {
		ID string `json:"id"`
	} `json:"consumer"`

	key crypto.PublicKey
}

// credentials remembers what it was told, for good: fine for a benchmark, and
// for nothing else.
type credentials struct {
	url    *string
	client *http.Client

	mu   sync.RWMutex
	rows map[string]*credential
}

func (s *credentials) get(key string) (*credential, error) {
	s.mu.RLock()
	row := s.rows[key]
	s.mu.RUnlock()
	if row != nil {
		return row, nil
	}
	row, err := s.fetch(key)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows == nil {
		s.rows = map[string]*credential{}
	}
	s.rows[key] = row
	return row, nil
}

func (s *credentials) fetch(key string) (*credential, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, *s.url+"/jwts/"+url.PathEscape(key), nil)
	if err != nil {
		return nil, err
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotFound {
		return nil, errUnknown
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the Admin API answered %d", res.StatusCode)
	}
	row := &credential{}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(row); err != nil {
		return nil, err
	}
	pem := []byte(row.RSAPublicKey)
	switch {
	case strings.HasPrefix(row.Algorithm, "HS"):
		row.key = []byte(row.Secret)
	case strings.HasPrefix(row.Algorithm, "RS"), strings.HasPrefix(row.Algorithm, "PS"):
		row.key, err = jwt.ParseRSAPublicKeyFromPEM(pem)
	case strings.HasPrefix(row.Algorithm, "ES"):
		row.key, err = jwt.ParseECPublicKeyFromPEM(pem)
	default:
		row.key, err = jwt.ParseEdPublicKeyFromPEM(pem)
	}
	return row, err
}
