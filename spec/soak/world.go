package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"kong-go-jwt/spec/conformance"
)

type object = map[string]any

// world is the gateway, with the callers that it knows.
type world struct {
	proxy, admin, control, metrics string // addresses
	upstream                       *httptest.Server
	gateway                        *exec.Cmd
	log                            *logFile
	configFile                     string
	client                         *http.Client

	callers   []*caller
	anonymous *caller // who needs no token
	// consumersToo tells that lookups, which may fail, find consumers too.
	consumersToo bool
	secrets      map[string][]any // by caller: what signs, one for each version
	strangers    []token
	expired      token
	outages      outages
	happened     map[string]int
}

// logFile keeps the gateway's log.
type logFile struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logFile) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// versions is how many secrets each caller goes through, round and round: to
// make RSA keys on the way would take the machine from the plugin.
const versions = 4

func newWorld(ctx context.Context, o options, dir string) (*world, error) {
	w := &world{
		upstream: httptest.NewServer(http.HandlerFunc(conformance.Echo)), log: &logFile{},
		configFile: filepath.Join(dir, "kong.json"), client: &http.Client{Timeout: 30 * time.Second},
		secrets: map[string][]any{}, happened: map[string]int{}, outages: outages{slack: o.slack},
		consumersToo: o.store == "node",
	}
	now := time.Now()
	w.anonymous = &caller{name: "anonymous-user", states: []state{{from: now, settled: now, user: "anonymous-user"}}}
	for i := range 24 {
		c := &caller{name: fmt.Sprint("caller-", i), key: fmt.Sprint("key-", i), algorithm: []string{"HS256", "HS256", "RS256", "ES256"}[i%4]}
		if i == 0 {
			c.key = "11111111-2222-4333-8444-555555555555" // which the Admin API cannot be asked for
		}
		for range versions {
			secret, err := newSecret(c.algorithm)
			if err != nil {
				return nil, err
			}
			w.secrets[c.name] = append(w.secrets[c.name], secret)
		}
		c.states = []state{{from: now, settled: now, version: 1, user: c.name}}
		if err := w.signTokens(c, 1); err != nil {
			return nil, err
		}
		w.callers = append(w.callers, c)
	}
	for i := range 40 {
		w.strangers = append(w.strangers, token{text: hs256(fmt.Sprintf(`{"iss":"nobody-%d"}`, i), "nobody's secret")})
	}
	w.expired = token{text: hs256(`{"iss":"steady","exp":1500000000}`, steadySecret)}
	return w, w.start(ctx, o, dir)
}

// lookupTimeout is the plugin's default.
const lookupTimeout = 2 * time.Second

const steadySecret = "the secret of a credential that stays"

func newSecret(algorithm string) (any, error) {
	switch algorithm {
	case "RS256":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	b := make([]byte, 32)
	_, err := rand.Read(b)
	return hex.EncodeToString(b), err
}

// secret is what signs c's tokens of that version, which counts from 1.
func (w *world) secret(c *caller, version int) any { return w.secrets[c.name][version%versions] }

func encode(s []byte) string { return base64.RawURLEncoding.EncodeToString(s) }

func hs256(claims, secret string) string {
	signed := encode([]byte(`{"alg":"HS256"}`)) + "." + encode([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

// sign makes a token of c.
func (w *world) sign(c *caller, version int, extra string) (token, error) {
	claims := fmt.Sprintf(`{"iss":%q,"exp":%d%s}`, c.key, time.Now().Add(24*time.Hour).Unix(), extra)
	signed := encode([]byte(`{"alg":"`+c.algorithm+`"}`)) + "." + encode([]byte(claims))
	digest := sha256.Sum256([]byte(signed))
	var signature []byte
	var err error
	switch k := w.secret(c, version).(type) {
	case string:
		return token{hs256(claims, k), version}, nil
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		r, s, e := ecdsa.Sign(rand.Reader, k, digest[:])
		const size = 32
		if err = e; err == nil {
			signature = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
	}
	return token{signed + "." + encode(signature), version}, err
}

// signTokens gives c tokens of a version of its secret; those it had are old.
func (w *world) signTokens(c *caller, version int) error {
	const each, kept = 20, 10
	tokens := make([]token, 0, each)
	for i := range each {
		t, err := w.sign(c, version, fmt.Sprintf(`,"sub":"user-%d"`, i))
		if err != nil {
			return err
		}
		tokens = append(tokens, t)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.old = c.tokens[:min(kept, len(c.tokens))]
	c.tokens = tokens
	return nil
}

// config is Kong's declarative configuration of what the callers' last states say.
func (w *world) config() (any, error) {
	jwt := func(config object) []any { return []any{object{"name": "go-jwt", "config": config}} }
	consumers := []any{
		object{"username": "anonymous-user"},
		object{"username": "steady", "jwt_secrets": []any{object{"key": "steady", "secret": steadySecret}}},
	}
	for i, c := range w.callers {
		c.mu.Lock()
		s := c.states[len(c.states)-1]
		c.mu.Unlock()
		consumer := object{"id": fmt.Sprintf("00000000-0000-4000-8000-%012d", i), "username": s.user}
		if s.user == "" {
			consumer["username"] = c.name
		} else {
			credential := object{"key": c.key, "algorithm": c.algorithm, "id": fmt.Sprintf("00000000-0000-4000-9000-%012d", i)}
			switch k := w.secret(c, s.version).(type) {
			case string:
				credential["secret"] = k
			case crypto.Signer:
				der, err := x509.MarshalPKIXPublicKey(k.Public())
				if err != nil {
					return nil, err
				}
				credential["rsa_public_key"] = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
			}
			consumer["jwt_secrets"] = []any{credential}
		}
		consumers = append(consumers, consumer)
	}
	return object{
		"_format_version": "3.0",
		"services": []any{object{"name": "upstream", "url": w.upstream.URL, "routes": []any{
			object{"name": "plain", "paths": []any{"/plain"}, "plugins": jwt(object{})},
			object{"name": "exp", "paths": []any{"/exp"}, "plugins": jwt(object{"claims_to_verify": []any{"exp"}})},
			object{"name": "anonymous", "paths": []any{"/anonymous"}, "plugins": jwt(object{"anonymous": "anonymous-user"})},
		}}},
		"consumers": consumers,
	}, nil
}

var addresses = regexp.MustCompile(`proxy (\S+), admin (\S+), control (\S+), socket (\S+)`)

func (w *world) start(ctx context.Context, o options, dir string) error {
	if _, err := w.writeConfig(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.2:0") // where nobody else listens in the meantime
	if err != nil {
		return err
	}
	w.metrics = l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	w.gateway = exec.Command(o.gateway,
		"-strict", "-config", w.configFile, "-plugin", o.plugin, "-kong-prefix", dir, "-workers", "2",
		"-proxy", "127.0.0.1:0", "-admin", "127.0.0.1:0", "-nginx-include", "auto", "-log-level", "info",
		"-plugin-arg=-store", "-plugin-arg="+o.store, "-plugin-arg=-metrics-listen", "-plugin-arg="+w.metrics,
		"-plugin-arg=-admin-timeout", "-plugin-arg="+(lookupTimeout+o.slack).String())
	w.gateway.Stdout, w.gateway.Stderr = w.log, w.log
	if err := w.gateway.Start(); err != nil {
		return err
	}
	const patience = time.Minute
	for deadline := time.Now().Add(patience); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		m := addresses.FindStringSubmatch(w.log.String())
		if m == nil {
			continue
		}
		w.proxy, w.admin, w.control = m[1], m[2], m[3]
		if c, err := net.Dial("unix", m[4]); err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("the gateway did not come up:\n%s", w.log)
}

func (w *world) close() {
	if w.gateway != nil && w.gateway.Process != nil {
		w.gateway.Process.Signal(syscall.SIGTERM)
		w.gateway.Wait()
	}
	w.upstream.Close()
}

func (w *world) writeConfig() ([]byte, error) {
	config, err := w.config()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	return text, os.WriteFile(w.configFile, text, 0o600)
}

func (w *world) post(path string, body []byte, want int) error {
	address := w.admin
	if strings.HasPrefix(path, "/__") { // the gateway's own
		address = w.control
	}
	res, err := w.client.Post("http://"+address+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != want {
		err = fmt.Errorf("POST %s: %d %s", path, res.StatusCode, text)
	}
	return err
}
