package assertion_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kong-go-jwt/plugin/assertion"
	"kong-go-jwt/schema"
)

var start = time.Unix(1_800_000_000, 0)

// newKey makes a key for an algorithm.
func newKey(t testing.TB, algorithm string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch algorithm {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func block(t testing.TB, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return block(t, "PRIVATE KEY", der, err)
}

func config(algorithm string, keys ...string) *schema.UpstreamAssertion {
	return &schema.UpstreamAssertion{Issuer: "https://gateway.example", Audience: "orders", TTL: 60, Keys: keys, Algorithm: algorithm}
}

func TestMint(t *testing.T) {
	caller := &assertion.Caller{
		Subject: "id-1", ConsumerID: "id-1", Username: "alice", CustomID: "a-1", Credential: "key", OriginalIssuer: "key",
		Groups: []string{"staff"}, Scope: "read write", Claims: map[string]any{"email": "a@example.com", "iss": "forged"},
	}
	for _, algorithm := range []string{"ES256", "EdDSA", "RS256"} {
		t.Run(algorithm, func(t *testing.T) {
			key := newKey(t, algorithm)
			s, err := assertion.New(config(algorithm, pkcs8(t, key)))
			if err != nil {
				t.Fatal(err)
			}
			token, issued, err := s.Mint(caller, start.Add(700*time.Millisecond))
			if err != nil || !issued.Equal(start) {
				t.Fatalf("issued %v, %v", issued, err)
			}
			claims := jwt.MapClaims{}
			parsed, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return key.Public(), nil },
				jwt.WithTimeFunc(func() time.Time { return start }), jwt.WithValidMethods([]string{algorithm}))
			if err != nil {
				t.Fatal(err)
			}
			header := map[string]any{"alg": algorithm, "typ": "upstream-assertion+jwt", "kid": s.Keys()[0].ID}
			if !reflect.DeepEqual(parsed.Header, header) {
				t.Errorf("header %v, want %v", parsed.Header, header)
			}
			if id, _ := claims["jti"].(string); len(id) < 22 {
				t.Errorf("jti %v has too little chance in it", claims["jti"])
			}
			delete(claims, "jti")
			want := jwt.MapClaims{
				"iss": "https://gateway.example", "aud": "orders", "sub": "id-1", "iat": float64(start.Unix()), "exp": float64(start.Unix() + 60),
				"consumer_id": "id-1", "username": "alice", "custom_id": "a-1", "credential": "key", "original_issuer": "key",
				"groups": []any{"staff"}, "scope": "read write", "anonymous": false, "email": "a@example.com",
			}
			if !reflect.DeepEqual(claims, want) {
				t.Errorf("got  %v\nwant %v", claims, want)
			}
		})
	}
}

// No two assertions have the same jti.
func TestMintsDiffer(t *testing.T) {
	s, err := assertion.New(config("EdDSA", pkcs8(t, newKey(t, "EdDSA"))))
	if err != nil {
		t.Fatal(err)
	}
	a, _, err1 := s.Mint(new(assertion.Caller), start)
	b, _, err2 := s.Mint(new(assertion.Caller), start)
	if err1 != nil || err2 != nil || a == b {
		t.Errorf("%v %v, equal: %t", err1, err2, a == b)
	}
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(a, claims); err != nil {
		t.Fatal(err)
	}
	if _, there := claims["groups"]; there {
		t.Error("an assertion of a caller without groups has groups")
	}
}

// Every usual form of a private key is read, and the first key alone has to be
// fit for the algorithm.
func TestKeys(t *testing.T) {
	ec, _ := newKey(t, "ES256").(*ecdsa.PrivateKey)
	rs, _ := newKey(t, "RS256").(*rsa.PrivateKey)
	sec1, err := x509.MarshalECPrivateKey(ec)
	sec1Text := block(t, "EC PRIVATE KEY", sec1, err)
	keys := []string{
		sec1Text, "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + sec1Text, pkcs8(t, ec),
		block(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs), nil), pkcs8(t, newKey(t, "EdDSA")),
	}
	s, err := assertion.New(config("ES256", keys...))
	if err != nil {
		t.Fatal(err)
	}
	text, err := assertion.KeySet(s.Keys())
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(text, &set); err != nil {
		t.Fatal(err)
	}
	var algorithms []string
	for _, k := range set.Keys {
		algorithms = append(algorithms, k["alg"])
		if k["use"] != "sig" || k["kid"] == "" || k["d"] != "" || k["p"] != "" {
			t.Errorf("published %v", k)
		}
	}
	if !reflect.DeepEqual(algorithms, []string{"ES256", "RS256", "EdDSA"}) { // the same key once
		t.Errorf("published %v", algorithms)
	}
}

// The example of RFC 8037 section A.3, whose private key is in section A.1.
func TestThumbprint(t *testing.T) {
	seed := []byte("\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60")
	s, err := assertion.New(config("EdDSA", pkcs8(t, ed25519.NewKeyFromSeed(seed))))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Keys()[0].ID; got != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Errorf("kid %s", got)
	}
}

// A key that cannot be used is named, and nothing of it is told.
func TestUnfitKeys(t *testing.T) {
	good := pkcs8(t, newKey(t, "ES256"))
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(newKey(t, "ES256").Public())
	publicText := block(t, "PUBLIC KEY", public, err)
	const body = "c2VjcmV0c2VjcmV0"
	for name, tt := range map[string]struct {
		keys []string
		want string
	}{
		"no PEM":          {[]string{body}, "[1]: is not PEM"},
		"public":          {[]string{publicText}, "[1]: is not a PEM private key"},
		"garbage":         {[]string{good, "-----BEGIN PRIVATE KEY-----\n" + body + "\n-----END PRIVATE KEY-----"}, "[2]: is a private key that cannot be read"},
		"passphrase":      {[]string{good, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + body + "\n-----END ENCRYPTED PRIVATE KEY-----"}, "[2]: is protected by a passphrase"},
		"other curve":     {[]string{pkcs8(t, newKey(t, "ES384"))}, "[1]: is an EC key on another curve than P-256"},
		"small":           {[]string{good, pkcs8(t, small)}, "[2]: is an RSA key with 1024 bits, fewer than 2048"},
		"other algorithm": {[]string{pkcs8(t, newKey(t, "EdDSA")), good}, "[1]: is a key for EdDSA, but the first key signs and must fit algorithm ES256"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := assertion.New(config("ES256", tt.keys...))
			if want := "config.upstream_assertion.keys" + tt.want; err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if err != nil && strings.Contains(err.Error(), body) {
				t.Error("the error holds the key")
			}
		})
	}
}

func TestDiscovery(t *testing.T) {
	key := pkcs8(t, newKey(t, "ES256"))
	for issuer, want := range map[string]string{
		"https://gateway.example/":   `{"id_token_signing_alg_values_supported":["ES256"],"issuer":"https://gateway.example/","jwks_uri":"https://gateway.example/.well-known/jwks.json","response_types_supported":["id_token"],"subject_types_supported":["public"]}`,
		"http://127.0.0.1:8000/auth": `{"id_token_signing_alg_values_supported":["ES256"],"issuer":"http://127.0.0.1:8000/auth","jwks_uri":"http://127.0.0.1:8000/auth/.well-known/jwks.json","response_types_supported":["id_token"],"subject_types_supported":["public"]}`,
		"gateway":                    "",
		"ftp://gateway.example":      "",
		"https:///auth":              "",
		"https://%zz":                "",
	} {
		t.Run(issuer, func(t *testing.T) {
			c := config("ES256", key)
			c.Issuer = issuer
			s, err := assertion.New(c)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.Discovery(); err != nil || string(got) != want {
				t.Errorf("got  %s, %v\nwant %s", got, err, want)
			}
		})
	}
}

func FuzzNew(f *testing.F) {
	f.Add("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----")
	f.Add("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := assertion.New(config("EdDSA", text))
		if (s == nil) == (err == nil) {
			t.Fatalf("%v, %v", s, err)
		}
	})
}

func BenchmarkMint(b *testing.B) {
	for _, algorithm := range []string{"ES256", "EdDSA", "RS256"} {
		b.Run(algorithm, func(b *testing.B) {
			s, err := assertion.New(config(algorithm, pkcs8(b, newKey(b, algorithm))))
			if err != nil {
				b.Fatal(err)
			}
			c := &assertion.Caller{Subject: "id-1", ConsumerID: "id-1", Username: "alice", Credential: "key", OriginalIssuer: "key"}
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := s.Mint(c, start); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
