package spec_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// clientCertificate makes a certificate that nobody has signed, and its x5t#S256.
func clientCertificate(t *testing.T) (c tls.Certificate, thumbprint string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, base64.RawURLEncoding.EncodeToString(sum[:])
}

func certificatePEM(c tls.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
}

// tlsAddress is where the gateway listens for TLS.
func (g *gateway) tlsAddress(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`proxy by TLS (\S+)`).FindStringSubmatch(g.log.String())
	if m == nil {
		t.Fatal("the gateway does not listen for TLS")
	}
	return m[1]
}

// tlsClient connects once for each request, with these certificates.
func tlsClient(t *testing.T, certificates ...tls.Certificate) *http.Client {
	t.Helper()
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{Certificates: certificates, InsecureSkipVerify: true}, // the gateway's is made at its start
	}}
}

// ask sends a request and sums the answer up as identityOf does.
func ask(t *testing.T, client *http.Client, method, target string, headers ...[2]string) (string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		r.Header.Add(h[0], h[1])
	}
	a := answerTo(t, client, r)
	return identityOf(a), a.header
}

// answerTo sends a request by a client of Go's, which speaks TLS and HTTP/2.
func answerTo(t *testing.T, client *http.Client, r *http.Request) answer {
	t.Helper()
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode, header: res.Header}
	if a.body, err = io.ReadAll(res.Body); err == nil {
		err = a.readEcho(r.Method)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const (
	noCertificate    = `401 {"message":"Token is bound to a client certificate, and there is none"}`
	wrongCertificate = `401 {"message":"Token is bound to another client certificate"}`
	unboundToken     = `401 {"message":"Token is not bound to a client certificate"}`
)

// TestMTLSBinding: a bound token is good on a connection with its certificate, and
// stolen (RFC 8705 section 3) it is worth nothing.
func TestMTLSBinding(t *testing.T) {
	needsGateway(t)
	eachWay(t, func(t *testing.T, way ...string) {
		g := withRoutes(t, map[string][]any{
			"/off":      jwt(object{}),
			"/honour":   jwt(object{"mtls_binding": "honour", "realm": "r"}),
			"/required": jwt(object{"mtls_binding": "required"}),
			"/guests":   jwt(object{"mtls_binding": "honour", "anonymous": "anonymous-user"}),
		}, nil, append([]string{"-proxy-tls=127.0.0.1:0", "-ssl-verify-client=optional_no_ca"}, way...)...)
		own, thumbprint := clientCertificate(t)
		other, _ := clientCertificate(t)
		bound, free := bearer(claimsToken(t, object{"cnf": object{"x5t#S256": thumbprint}})), bearer(claimsToken(t, nil))
		for name, tt := range map[string]struct {
			path   string
			token  [2]string
			client *http.Client
			want   string
		}{
			"off, stolen":          {"/off", bound, tlsClient(t), alice},
			"its certificate":      {"/honour", bound, tlsClient(t, own), alice},
			"stolen":               {"/honour", bound, tlsClient(t), noCertificate},
			"stolen by a client":   {"/honour", bound, tlsClient(t, other), wrongCertificate},
			"unbound":              {"/honour", free, tlsClient(t, own), alice},
			"unbound, no client's": {"/honour", free, tlsClient(t), alice},
			"required":             {"/required", bound, tlsClient(t, own), alice},
			"required, stolen":     {"/required", bound, tlsClient(t, other), wrongCertificate},
			"required, unbound":    {"/required", free, tlsClient(t, own), unboundToken},
			"stolen, as a guest":   {"/guests", bound, tlsClient(t, other), "anonymous-user||true"},
		} {
			t.Run(name, func(t *testing.T) {
				for range 2 { // the second time remembered, where it is accepted
					got, header := ask(t, tt.client, "GET", "https://"+g.tlsAddress(t)+tt.path, tt.token)
					if got != tt.want {
						t.Errorf("got %s, want %s", got, tt.want)
					}
					if challenge := header.Get("WWW-Authenticate"); tt.path == "/honour" && tt.want != alice && challenge != `Bearer realm="r", error="invalid_token"` {
						t.Errorf("challenged with %s", challenge)
					}
				}
			})
		}
		// A header tells nothing where none is configured, and by http there is no certificate.
		escaped := url.QueryEscape(string(certificatePEM(own)))
		a := g.send(t, "GET", "/honour", bound, [2]string{"ssl-client-raw-cert", escaped}, [2]string{"X-Client-Cert", escaped}, [2]string{"Client-Cert", escaped})
		if got := identityOf(a); got != noCertificate {
			t.Errorf("by http: %s", got)
		}
	})
}

// Where Kong is not set up to ask for certificates, bound tokens are refused.
func TestMTLSBindingUnasked(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	g := withRoutes(t, map[string][]any{"/honour": jwt(object{"mtls_binding": "honour"})}, nil, "-proxy-tls=127.0.0.1:0")
	own, thumbprint := clientCertificate(t)
	token := bearer(claimsToken(t, object{"cnf": object{"x5t#S256": thumbprint}}))
	if got, _ := ask(t, tlsClient(t, own), "GET", "https://"+g.tlsAddress(t)+"/honour", token); got != noCertificate {
		t.Errorf("got %s, want %s", got, noCertificate)
	}
}

// TestCertificateHeader: a certificate is told by trusted proxies alone.
func TestCertificateHeader(t *testing.T) {
	needsGateway(t)
	eachWay(t, func(t *testing.T, way ...string) {
		config := func(format string, proxies ...any) []any {
			return jwt(object{
				"mtls_binding": "honour", "certificate_header_name": "X-Client-Cert", "certificate_header_format": format, "trusted_proxies": proxies,
			})
		}
		g := withRoutes(t, map[string][]any{
			"/url":      config("url_encoded", "127.0.0.0/8"),
			"/base64":   config("base64_encoded", "10.0.0.1", "127.0.0.1"),
			"/stranger": config("base64_encoded", "10.0.0.0/8"),
		}, nil, append([]string{"-proxy-tls=127.0.0.1:0", "-ssl-verify-client=optional_no_ca"}, way...)...)
		own, thumbprint := clientCertificate(t)
		other, _ := clientCertificate(t)
		header := func(c tls.Certificate, name string) [2]string {
			return [2]string{name, base64.StdEncoding.EncodeToString(c.Certificate[0])}
		}
		escaped := [2]string{"X-Client-Cert", strings.ReplaceAll(url.QueryEscape(string(certificatePEM(own))), "+", "%20")}
		const unreadable = `401 {"message":"Token is bound to a client certificate, and the one told cannot be read"}`
		// A proxy may remove the header from what clients send, and no other spelling of it.
		alone, beside := unreadable, unreadable
		if slices.Contains(way, carriesCertificate) {
			alone, beside = noCertificate, wrongCertificate
		}
		token := bearer(claimsToken(t, object{"cnf": object{"x5t#S256": thumbprint}}))
		for name, tt := range map[string]struct {
			path    string
			headers [][2]string
			want    string
		}{
			"base64":               {"/base64", [][2]string{header(own, "x-client-cert")}, alice},
			"escaped":              {"/url", [][2]string{escaped}, alice},
			"another":              {"/base64", [][2]string{header(other, "X-Client-Cert")}, wrongCertificate},
			"none":                 {"/base64", nil, noCertificate},
			"twice":                {"/base64", [][2]string{header(own, "X-Client-Cert"), header(own, "X-Client-Cert")}, unreadable},
			"twice, escaped":       {"/url", [][2]string{escaped, escaped}, unreadable},
			"a disguise":           {"/base64", [][2]string{header(own, "X_Client_Cert")}, alone},
			"half a disguise":      {"/base64", [][2]string{header(own, "X-Client_Cert")}, alone},
			"a disguise, escaped":  {"/url", [][2]string{{"X_Client-Cert", escaped[1]}}, alone},
			"a disguise beside it": {"/base64", [][2]string{header(other, "X-Client-Cert"), header(own, "X_Client_Cert")}, beside},
			"from a stranger":      {"/stranger", [][2]string{header(own, "X-Client-Cert")}, noCertificate},
			"said to be forwarded": {"/stranger", [][2]string{header(own, "X-Client-Cert"), {"X-Forwarded-For", "10.0.0.1"}, {"X-Real-IP", "10.0.0.1"}}, noCertificate},
		} {
			t.Run(name, func(t *testing.T) {
				for range 2 {
					if got := identityOf(g.send(t, "GET", tt.path, append(tt.headers, token)...)); got != tt.want {
						t.Errorf("got %s, want %s", got, tt.want)
					}
				}
			})
		}
		// A proxy that is trusted speaks for its clients, not for itself; a stranger for itself.
		for path, want := range map[string]string{"/base64": noCertificate, "/stranger": alice} {
			if got, _ := ask(t, tlsClient(t, own), "GET", "https://"+g.tlsAddress(t)+path, token); got != want {
				t.Errorf("%s by TLS: got %s, want %s", path, got, want)
			}
		}
	})
}

// TestMTLSBindingByCurl does what a user of curl would.
func TestMTLSBindingByCurl(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip(err)
	}
	g := withRoutes(t, map[string][]any{"/honour": jwt(object{"mtls_binding": "honour"})}, nil, "-proxy-tls=127.0.0.1:0", "-ssl-verify-client=optional_no_ca")
	own, thumbprint := clientCertificate(t)
	der, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "client.pem"), filepath.Join(dir, "key.pem")
	for file, text := range map[string][]byte{cert: certificatePEM(own), key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	token := claimsToken(t, object{"cnf": object{"x5t#S256": thumbprint}})
	for want, args := range map[string][]string{"200": {"--cert", cert, "--key", key}, "401": nil} {
		args = append(args, "--silent", "--insecure", "--max-time", "60", "--output", os.DevNull, "--write-out", "%{http_code}",
			"--header", "Authorization: Bearer "+token, "https://"+g.tlsAddress(t)+"/honour")
		out, err := exec.CommandContext(t.Context(), curl, args...).Output()
		if err != nil || string(out) != want {
			t.Errorf("curl %v: %s, %v; want %s", args, out, err, want)
		}
	}
}
