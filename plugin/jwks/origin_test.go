package jwks_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kong-go-jwt/plugin/jwks"
)

func write(t *testing.T, text string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The token is sent to its origin, as the file has it now, and not to where that
// redirects.
func TestBearerTokenIsForItsOrigin(t *testing.T) {
	p, elsewhere := newProvider(t, p256(t, "a")), newProvider(t, p256(t, "b"))
	file := write(t, "first\n")
	var token, leaked atomic.Value
	p.answer(func(w http.ResponseWriter, r *http.Request) {
		token.Store(r.Header.Get("Authorization"))
		http.Redirect(w, r, elsewhere.URL+"/jwks", http.StatusFound)
	})
	elsewhere.answer(func(w http.ResponseWriter, r *http.Request) {
		leaked.Store(r.Header.Get("Authorization"))
		_, _ = w.Write(setOf(t, p256(t, "b")))
	})
	pool := p.pool()
	pool.AddCert(elsewhere.Certificate())
	for _, want := range []string{"first", "second"} {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		sets := jwks.New(jwks.Options{RootCAs: pool, Logins: map[string]jwks.Login{p.URL: {TokenFile: file}}})
		keys := sets.Open(p.URL, p.URL+"/keys")
		one(t, keys, "b")
		sets.Close()
		if got := token.Load(); got != "Bearer "+want {
			t.Errorf("sent %q, want %q", got, want)
		}
		if got := leaked.Load(); got != "" {
			t.Errorf("another origin was sent %q", got)
		}
	}
}

// keyPair makes a certificate of itself, and writes both as PEM.
func keyPair(t *testing.T) (certificate *x509.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return certificate, write(t, text("CERTIFICATE", der)), write(t, text("PRIVATE KEY", private))
}

func TestClientCertificate(t *testing.T) {
	certificate, certFile, keyFile := keyPair(t)
	p := newProvider(t, p256(t, "a"))
	strict := httptest.NewUnstartedServer(p)
	strict.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	strict.TLS.ClientCAs.AddCert(certificate)
	strict.Config.ErrorLog = p.Config.ErrorLog
	strict.StartTLS()
	t.Cleanup(strict.Close)
	pool := x509.NewCertPool()
	pool.AddCert(strict.Certificate())
	with := func(logins map[string]jwks.Login) *jwks.Sets {
		sets := jwks.New(jwks.Options{RootCAs: pool, Logins: logins})
		t.Cleanup(sets.Close)
		return sets
	}
	one(t, with(map[string]jwks.Login{strict.URL: {CertFile: certFile, KeyFile: keyFile}}).Open("i", strict.URL+"/keys"), "a")
	fails(t, with(map[string]jwks.Login{p.URL: {CertFile: certFile, KeyFile: keyFile}}).Open("i", strict.URL+"/keys"), "certificate required")
}

// tunnel is an HTTP proxy that counts what it connects.
func tunnel(t *testing.T, connected *atomic.Int32) *url.URL {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, err := net.Dial("tcp", r.Host)
		if r.Method != http.MethodConnect || err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		connected.Add(1)
		w.WriteHeader(http.StatusOK)
		from, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(to, from)
			_ = to.Close()
		}()
		_, _ = io.Copy(from, to)
		_ = from.Close()
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestProxy(t *testing.T) {
	var connected atomic.Int32
	p := newProvider(t, p256(t, "a"))
	one(t, p.sets(t, jwks.Options{Proxy: tunnel(t, &connected)}).Open(p.URL, ""), "a")
	if connected.Load() == 0 {
		t.Error("the proxy was not used")
	}
}

func TestLoginIsChecked(t *testing.T) {
	_, certFile, keyFile := keyPair(t)
	for name, tt := range map[string]struct {
		origin string
		login  jwks.Login
		want   string // part of it; "": good
	}{
		"token":              {"https://a", jwks.Login{TokenFile: write(t, "t\n")}, ""},
		"with a port":        {"https://a:8443", jwks.Login{TokenFile: write(t, "t")}, ""},
		"certificate":        {"https://a", jwks.Login{CertFile: certFile, KeyFile: keyFile}, ""},
		"without TLS":        {"http://a", jwks.Login{TokenFile: write(t, "t")}, "must begin with an origin"},
		"with a path":        {"https://a/keys", jwks.Login{TokenFile: write(t, "t")}, "must begin with an origin"},
		"no file":            {"https://a", jwks.Login{TokenFile: "/no/such"}, "no such file"},
		"empty file":         {"https://a", jwks.Login{TokenFile: write(t, "\n")}, "the file holds no token"},
		"two lines":          {"https://a", jwks.Login{TokenFile: write(t, "a\nb")}, "the file holds no token"},
		"key for the other":  {"https://a", jwks.Login{CertFile: keyFile, KeyFile: certFile}, "client certificate: "},
		"no key of that one": {"https://a", jwks.Login{CertFile: certFile, KeyFile: "/no/such"}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.login.Check(tt.origin)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
