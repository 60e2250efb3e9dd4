// Package oidc is an OpenID Connect provider for the specs: a real HTTPS server
// with discovery, a JWK Set that rotates, and tokens.
package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"time"
)

// Provider is a running provider. Its URL is the issuer. It is safe for
// concurrent use.
type Provider struct {
	*httptest.Server

	mu      sync.Mutex
	keys    []*Key
	failing bool
	extra   []map[string]any // JWKs as they are
	fetches int
}

// Key is a signing key that the provider publishes, or did.
type Key struct {
	ID, Algorithm string // RS256, ES256 or EdDSA
	private       crypto.Signer
}

// New starts a provider with no keys. Close ends it.
func New() *Provider {
	p := new(Provider)
	p.Server = httptest.NewTLSServer(http.HandlerFunc(p.serve))
	return p
}

// WriteCA writes the certificate to trust to a PEM file.
func (p *Provider) WriteCA(file string) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw}), 0o600)
}

// Add makes a key and publishes it.
func (p *Provider) Add(id, algorithm string) (*Key, error) {
	k := &Key{ID: id, Algorithm: algorithm}
	var err error
	switch algorithm {
	case "ES256":
		k.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, k.private, err = ed25519.GenerateKey(rand.Reader)
	default:
		k.private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, k)
	return k, err
}

// Keep publishes only these keys from now on.
func (p *Provider) Keep(keys ...*Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = keys
}

// Publish adds a JWK as it is.
func (p *Provider) Publish(jwk map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.extra = append(p.extra, jwk)
}

// Fail makes every answer a 500, or no longer.
func (p *Provider) Fail(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failing = on
}

// Fetches is how often the JWK Set was asked for.
func (p *Provider) Fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

// Keys returns the published JWK Set as text.
func (p *Provider) Keys() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	text, _ := json.Marshal(p.keySet())
	return text
}

func (p *Provider) keySet() map[string]any {
	set := append([]map[string]any{}, p.extra...)
	for _, k := range p.keys {
		set = append(set, k.jwk())
	}
	return map[string]any{"keys": set}
}

func (p *Provider) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var answer any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answer = map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/keys"}
	case "/keys":
		p.fetches++
		answer = p.keySet()
	default:
		http.NotFound(w, r)
		return
	}
	if p.failing {
		http.Error(w, "out of order", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

var b64 = base64.RawURLEncoding.EncodeToString

func (k *Key) jwk() map[string]any {
	jwk := map[string]any{"kid": k.ID, "alg": k.Algorithm, "use": "sig"}
	switch public := k.private.Public().(type) {
	case *rsa.PublicKey:
		maps.Copy(jwk, map[string]any{"kty": "RSA", "n": b64(public.N.Bytes()), "e": b64(big.NewInt(int64(public.E)).Bytes())})
	case ed25519.PublicKey:
		maps.Copy(jwk, map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64(public)})
	case *ecdsa.PublicKey:
		const size = 32
		point, err := public.Bytes() // 4, x, y
		if err != nil || len(point) != 1+2*size {
			return nil
		}
		maps.Copy(jwk, map[string]any{"kty": "EC", "crv": "P-256", "x": b64(point[1 : 1+size]), "y": b64(point[1+size:])})
	}
	return jwk
}

// Token signs a token of the provider. Claims and header are merged over what
// one has; null removes.
func (p *Provider) Token(k *Key, claims, header map[string]any) (string, error) {
	head := map[string]any{"alg": k.Algorithm, "kid": k.ID, "typ": "JWT"}
	body := map[string]any{"iss": p.URL, "sub": "alice", "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(head, header)
	maps.Copy(body, claims)
	for _, m := range []map[string]any{head, body} {
		maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	}
	h, err := json.Marshal(head)
	if err != nil {
		return "", err
	}
	c, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	signed := b64(h) + "." + b64(c)
	digest := sha256.Sum256([]byte(signed))
	switch private := k.private.(type) {
	case *rsa.PrivateKey:
		signature, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest[:])
		return signed + "." + b64(signature), err
	case ed25519.PrivateKey:
		return signed + "." + b64(ed25519.Sign(private, []byte(signed))), nil
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
		if err != nil {
			return "", err
		}
		const size = 32
		return signed + "." + b64(append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)), nil
	}
	return "", fmt.Errorf("no key to sign with: %T", k.private)
}
