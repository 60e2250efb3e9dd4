package jwks_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/jwks"
)

// provider is an identity provider: a real HTTPS server with discovery and keys.
type provider struct {
	*httptest.Server
	discoveries, fetches atomic.Int32

	mu      sync.Mutex
	keys    string
	handler http.HandlerFunc // what answers in place of the provider, if not nil
}

const discoveryPath = "/.well-known/openid-configuration"

func newProvider(t *testing.T, keys ...jwk) *provider {
	t.Helper()
	p := new(provider)
	p.publish(keys...)
	p.Server = httptest.NewUnstartedServer(p)
	p.Server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	p.StartTLS()
	t.Cleanup(p.Server.Close)
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	keys, handler := p.keys, p.handler
	p.mu.Unlock()
	switch r.URL.Path {
	case discoveryPath:
		p.discoveries.Add(1)
	case "/keys":
		p.fetches.Add(1)
	}
	switch {
	case handler != nil:
		handler(w, r)
	case r.URL.Path == discoveryPath:
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, p.URL, p.URL+"/keys")
	case r.URL.Path == "/keys":
		fmt.Fprint(w, keys)
	default:
		http.NotFound(w, r)
	}
}

func (p *provider) publish(keys ...jwk) {
	text, err := json.Marshal(map[string]any{"keys": append([]jwk{}, keys...)})
	if err != nil {
		panic(err)
	}
	p.publishText(string(text))
}

func (p *provider) publishText(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = text
}

// answer makes handler answer; nil: the provider again.
func (p *provider) answer(handler http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handler = handler
}

func (p *provider) fail() {
	p.answer(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) })
}

func (p *provider) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.Certificate())
	return pool
}

// open returns sets that trust the provider, and its keys by discovery.
func (p *provider) open(t *testing.T, o jwks.Options) (*jwks.Sets, plugin.KeySet) {
	t.Helper()
	sets := p.sets(t, o)
	keys := sets.Open(p.URL, "")
	t.Cleanup(keys.Close)
	return sets, keys
}

func (p *provider) sets(t *testing.T, o jwks.Options) *jwks.Sets {
	t.Helper()
	o.RootCAs = p.pool()
	sets := jwks.New(o)
	t.Cleanup(sets.Close)
	return sets
}

// jwk is a JSON Web Key.
type jwk map[string]any

func (j jwk) with(name string, value any) jwk {
	with := jwk{name: value}
	for n, v := range j {
		if n != name {
			with[n] = v
		}
	}
	return with
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func ecKey(t testing.TB, kid string, curve elliptic.Curve) jwk {
	t.Helper()
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	size := (len(point) - 1) / 2
	return jwk{"kty": "EC", "crv": curve.Params().Name, "kid": kid, "x": b64(point[1 : 1+size]), "y": b64(point[1+size:])}
}

func p256(t testing.TB, kid string) jwk { return ecKey(t, kid, elliptic.P256()) }

func edKey(t testing.TB, kid string) jwk {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jwk{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(public)}
}

func rsaKey(t testing.TB, kid string) jwk {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return rsaJWK(kid, private.N, big.NewInt(int64(private.E)))
}

func rsaJWK(kid string, n, e *big.Int) jwk {
	return jwk{"kty": "RSA", "kid": kid, "n": b64(n.Bytes()), "e": b64(e.Bytes())}
}

// oddNumber has so many bits; nobody ever looks whether it is a modulus.
func oddNumber(bits uint) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return n.SetBit(n, 0, 1)
}

func get(t *testing.T, s plugin.KeySet, kid string) []*plugin.PublishedKey {
	t.Helper()
	keys, err := s.Keys(context.Background(), kid)
	if err != nil {
		t.Fatalf("Keys(%q): %v", kid, err)
	}
	return keys
}

func one(t *testing.T, s plugin.KeySet, kid string) *plugin.PublishedKey {
	t.Helper()
	keys := get(t, s, kid)
	if len(keys) != 1 {
		t.Fatalf("Keys(%q): got %d keys, want 1", kid, len(keys))
	}
	return keys[0]
}

// fails expects an error that says want.
func fails(t *testing.T, s plugin.KeySet, want string) {
	t.Helper()
	keys, err := s.Keys(context.Background(), "")
	if err == nil || !strings.Contains(err.Error(), want) || keys != nil {
		t.Fatalf("got %d keys and error %v, want error %q", len(keys), err, want)
	}
}

// timesOut expects an error of the time that is over.
func timesOut(t *testing.T, s plugin.KeySet) {
	t.Helper()
	keys, err := s.Keys(context.Background(), "")
	if late := net.Error(nil); !errors.As(err, &late) || !late.Timeout() || keys != nil {
		t.Fatalf("got %d keys and error %v, want one of the time", len(keys), err)
	}
}

// patience is for what comes soon, also on a busy machine.
const patience = time.Minute

// becomes waits until it is so.
func becomes(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never came that " + what)
		}
	}
}

// retired reads what only package plugin does, by way of its decisions.
func retired(k *plugin.PublishedKey) bool {
	field := reflect.ValueOf(k).Elem().FieldByName("retired")
	return (*atomic.Bool)(unsafe.Pointer(field.UnsafeAddr())).Load()
}

func equal(a, b any) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// clock is a clock that only moves when told to.
type clock struct{ nanos atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1_700_000_000, c.nanos.Load()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// book is a log to read.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *book) lines(part string) int { return strings.Count(b.String(), part) }

func (b *book) log() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
