package fetch_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
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

	"kong-go-jwt/plugin/fetch"
)

func write(t *testing.T, text string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// server answers by TLS, and is trusted by pool.
func server(t *testing.T, answer http.HandlerFunc) (s *httptest.Server, pool *x509.CertPool) {
	t.Helper()
	s = httptest.NewUnstartedServer(answer)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	pool = x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s, pool
}

// get fetches a document as text.
func get(t *testing.T, o fetch.Options, d fetch.Document) (text string, unchanged bool, err error) {
	t.Helper()
	o.Timeout = time.Minute
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 10
	}
	c := fetch.New(o)
	defer c.CloseIdleConnections()
	unchanged, err = c.Get(t.Context(), d, func(r io.Reader, _ http.Header) error {
		body, err := io.ReadAll(r)
		text = string(body)
		return err
	})
	return text, unchanged, err
}

// The token is sent to its origin, as the file has it now, and not to where that
// redirects.
func TestBearerTokenIsForItsOrigin(t *testing.T) {
	var token, leaked atomic.Value
	elsewhere, pool := server(t, func(w http.ResponseWriter, r *http.Request) {
		leaked.Store(r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, "document")
	})
	p, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		token.Store(r.Header.Get("Authorization"))
		http.Redirect(w, r, elsewhere.URL, http.StatusFound)
	})
	pool.AddCert(p.Certificate())
	file := write(t, "")
	o := fetch.Options{RootCAs: pool, Logins: map[string]fetch.Login{p.URL: {TokenFile: file}}}
	for _, want := range []string{"first", "second"} {
		if err := os.WriteFile(file, []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if text, _, err := get(t, o, fetch.Document{Address: p.URL + "/keys"}); err != nil || text != "document" {
			t.Errorf("got %q, %v", text, err)
		}
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
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "document") }))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	s.TLS.ClientCAs.AddCert(certificate)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	login := fetch.Login{CertFile: certFile, KeyFile: keyFile}
	for origin, want := range map[string]string{s.URL: "", "https://another.example": "certificate required"} {
		t.Run(origin, func(t *testing.T) {
			_, _, err := get(t, fetch.Options{RootCAs: pool, Logins: map[string]fetch.Login{origin: login}}, fetch.Document{Address: s.URL})
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
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
		from, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			_, _ = io.Copy(to, buffered)
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
	s, pool := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "document") })
	text, _, err := get(t, fetch.Options{RootCAs: pool, Proxy: tunnel(t, &connected)}, fetch.Document{Address: s.URL})
	if err != nil || text != "document" || connected.Load() != 1 {
		t.Errorf("got %q, %v by %d connections of the proxy", text, err, connected.Load())
	}
}

func TestUnchanged(t *testing.T) {
	const etag = `"v1"`
	s, pool := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, "document")
	})
	for sent, want := range map[string]bool{"": false, `"v0"`: false, etag: true} {
		text, unchanged, err := get(t, fetch.Options{RootCAs: pool}, fetch.Document{Address: s.URL, ETag: sent})
		if err != nil || unchanged != want || (text == "") != want {
			t.Errorf("ETag %s: %q, unchanged %t, %v", sent, text, unchanged, err)
		}
	}
}

// An answer of as many bytes as are allowed is taken, one more is not.
func TestAnswerIsBounded(t *testing.T) {
	const most = 100_000
	for size, want := range map[int]string{most - 1: "", most: "", most + 1: "answer has more than 100000 bytes"} {
		s, pool := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", size)) })
		text, _, err := get(t, fetch.Options{RootCAs: pool, MaxBytes: most}, fetch.Document{Address: s.URL})
		if (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), want) || len(text) > most {
			t.Errorf("%d bytes: %d read, %v", size, len(text), err)
		}
	}
}

// The bound holds for whoever reads piece by piece, too, and the end that comes after the
// last byte that is allowed is no error.
func TestAnswerIsBoundedForEachRead(t *testing.T) {
	const most = 1000
	s, pool := server(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", most))
		_ = http.NewResponseController(w).Flush() // so that the end comes by itself
	})
	for _, size := range []int{1, 999, 1000, 1001, 1002} {
		c := fetch.New(fetch.Options{RootCAs: pool, MaxBytes: most, Timeout: time.Minute})
		read := 0
		_, err := c.Get(t.Context(), fetch.Document{Address: s.URL}, func(r io.Reader, _ http.Header) error {
			for {
				n, err := r.Read(make([]byte, size))
				if read += n; errors.Is(err, io.EOF) {
					return nil
				} else if err != nil {
					return err
				}
			}
		})
		c.CloseIdleConnections()
		if read != most || err != nil {
			t.Errorf("%d bytes at once: %d read, %v", size, read, err)
		}
	}
}

func TestCheck(t *testing.T) {
	for address, want := range map[string]struct{ strict, allowed bool }{
		"https://a.example/keys":      {true, true},
		"http://a.example/keys":       {false, true},
		"http://127.0.0.1:8080/keys":  {true, true},
		"http://[::1]/keys":           {true, true},
		"http://LocalHost/keys":       {true, true},
		"http://127.0.0.1.a.example/": {false, true},
		"ftp://a.example/keys":        {false, false},
		"ftp://localhost/keys":        {false, false},
		"file:///keys":                {false, false},
		"https://user@a.example/":     {false, false},
		"https:///keys":               {false, false},
		"https://a.example/%zz":       {false, false},
	} {
		for allowHTTP, want := range map[bool]bool{false: want.strict, true: want.allowed} {
			o := fetch.Options{AllowHTTP: allowHTTP}
			if _, err := o.Check(address); (err == nil) != want {
				t.Errorf("%s, http allowed %t: %v", address, allowHTTP, err)
			}
		}
	}
}

// Few redirects are followed, and none that gives up TLS, even to this host.
func TestRedirects(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "document") }))
	t.Cleanup(plain.Close)
	s, pool := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch n := len(r.URL.Path) - 1; {
		case r.URL.Path == "/plain":
			http.Redirect(w, r, plain.URL, http.StatusFound)
		case n > 0: // so many times
			http.Redirect(w, r, "/"+strings.Repeat("x", n-1), http.StatusFound)
		default:
			_, _ = io.WriteString(w, "document")
		}
	})
	for path, want := range map[string]string{
		"/": "", "/xxx": "", "/xxxx": "more than 3 redirects", "/plain": "redirect from https to another scheme",
	} {
		text, _, err := get(t, fetch.Options{RootCAs: pool, AllowHTTP: true}, fetch.Document{Address: s.URL + path})
		if want == "" && (err != nil || text != "document") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %q, %v; want %q", path, text, err, want)
		}
	}
}

func TestLoginIsChecked(t *testing.T) {
	_, certFile, keyFile := keyPair(t)
	for name, tt := range map[string]struct {
		origin string
		login  fetch.Login
		want   string // part of it; "": good
	}{
		"token":              {"https://a", fetch.Login{TokenFile: write(t, "t\n")}, ""},
		"with a port":        {"https://a:8443", fetch.Login{TokenFile: write(t, "t")}, ""},
		"certificate":        {"https://a", fetch.Login{CertFile: certFile, KeyFile: keyFile}, ""},
		"without TLS":        {"http://a", fetch.Login{TokenFile: write(t, "t")}, "must begin with an origin"},
		"with a path":        {"https://a/keys", fetch.Login{TokenFile: write(t, "t")}, "must begin with an origin"},
		"without a host":     {"https://", fetch.Login{TokenFile: write(t, "t")}, "must begin with an origin"},
		"with a query":       {"https://a?b", fetch.Login{TokenFile: write(t, "t")}, "must begin with an origin"},
		"with a user":        {"https://u@a", fetch.Login{TokenFile: write(t, "t")}, "must begin with an origin"},
		"no URL":             {"https://%zz", fetch.Login{TokenFile: write(t, "t")}, "must begin with an origin"},
		"no file":            {"https://a", fetch.Login{TokenFile: "/no/such"}, "no such file"},
		"empty file":         {"https://a", fetch.Login{TokenFile: write(t, "\n")}, "the file contains no token"},
		"two lines":          {"https://a", fetch.Login{TokenFile: write(t, "a\nb")}, "the file contains no token"},
		"key for the other":  {"https://a", fetch.Login{CertFile: keyFile, KeyFile: certFile}, "client certificate: "},
		"no key of that one": {"https://a", fetch.Login{CertFile: certFile, KeyFile: "/no/such"}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.login.Check(tt.origin)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
