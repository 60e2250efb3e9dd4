package plugin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"testing"

	"kong-go-jwt/plugin"
)

// certificate makes a client certificate and its x5t#S256.
func certificate(t *testing.T) (der []byte, thumbprint string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	if der, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return der, base64.RawURLEncoding.EncodeToString(sum[:])
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

const (
	unbound          = `401 {"message":"Token is not bound to a client certificate"}`
	noCertificate    = `401 {"message":"Token is bound to a client certificate, and there is none"}`
	wrongCertificate = `401 {"message":"Token is bound to another client certificate"}`
	unreadable       = `401 {"message":"Token is bound to a client certificate, and the one told cannot be read"}`
	invalidBinding   = `401 {"message":"Invalid 'cnf' in claims"}`
)

// RFC 8705 section 3.1 and RFC 7800 section 3.1.
func TestMTLSBinding(t *testing.T) {
	der, thumbprint := certificate(t)
	other, _ := certificate(t)
	bound := `"cnf":{"x5t#S256":"` + thumbprint + `"}`
	for name, tt := range map[string]struct{ mode, cnf, certificate, want string }{
		"its certificate":          {"honour", bound, pemOf(der), accepted},
		"required":                 {"required", bound, pemOf(der), accepted},
		"off":                      {"off", bound, "", accepted},
		"off, odd":                 {"off", `"cnf":5`, "", accepted},
		"another certificate":      {"honour", bound, pemOf(other), wrongCertificate},
		"none":                     {"honour", bound, "", noCertificate},
		"no PEM":                   {"honour", bound, "x", unreadable},
		"other PEM":                {"honour", bound, strings.ReplaceAll(pemOf(der), "CERTIFICATE", "PUBLIC KEY"), unreadable},
		"a chain":                  {"honour", bound, pemOf(der) + pemOf(other), accepted},
		"a chain, last":            {"honour", bound, pemOf(other) + pemOf(der), wrongCertificate},
		"unbound":                  {"honour", `"sub":"x"`, pemOf(der), accepted},
		"unbound, required":        {"required", `"sub":"x"`, pemOf(der), unbound},
		"bound otherwise":          {"honour", `"cnf":{"jkt":"x"}`, "", accepted},
		"otherwise, required":      {"required", `"cnf":{"jkt":"x"}`, pemOf(der), unbound},
		"cnf no object":            {"honour", `"cnf":"` + thumbprint + `"`, pemOf(der), invalidBinding},
		"cnf null":                 {"honour", `"cnf":null`, pemOf(der), invalidBinding},
		"member no string":         {"honour", `"cnf":{"x5t#S256":["` + thumbprint + `"]}`, pemOf(der), invalidBinding},
		"member null":              {"honour", `"cnf":{"x5t#S256":null}`, pemOf(der), invalidBinding},
		"member too short":         {"honour", `"cnf":{"x5t#S256":"` + thumbprint[:42] + `"}`, pemOf(der), invalidBinding},
		"member empty":             {"honour", `"cnf":{"x5t#S256":""}`, "", invalidBinding},
		"member with stray bits":   {"honour", `"cnf":{"x5t#S256":"` + strings.Repeat("A", 42) + `B"}`, pemOf(der), invalidBinding},
		"member in another letter": {"required", `"cnf":{"X5T#S256":"` + thumbprint + `"}`, pemOf(der), unbound},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := w.engine(t, `{"mtls_binding":"`+tt.mode+`"}`)
			token := w.token(`{"iss":"key",` + tt.cnf + `}`)
			want := tt.want
			for range 2 { // the second time remembered
				r := &plugin.Request{Headers: [][]byte{[]byte("Bearer " + token)}, Certificate: []byte(tt.certificate)}
				expect(t, e.Decide(t.Context(), r, w), want)
				if want == accepted {
					want = cached
				}
			}
		})
	}
}

// A remembered token is held against each request's certificate, and a request
// with the wrong one does not keep it from being remembered.
func TestBindingOfARememberedToken(t *testing.T) {
	w := newWorld(t)
	der, thumbprint := certificate(t)
	other, _ := certificate(t)
	e := w.engine(t, `{"mtls_binding":"honour","log_serialize":true}`)
	token := w.token(`{"iss":"key","cnf":{"x5t#S256":"` + thumbprint + `"}}`)
	with := func(certificate []byte) plugin.Outcome {
		return e.Decide(t.Context(), &plugin.Request{Headers: [][]byte{[]byte("Bearer " + token)}, Certificate: []byte(pemOf(certificate))}, w)
	}
	for range 2 {
		out := with(other)
		expect(t, out, wrongCertificate)
		if got, want := logged(out.Log), "refused reason=wrong_certificate credential=key"; got != want {
			t.Errorf("logged %s, want %s", got, want)
		}
		if out := with(der); out.Kind != plugin.Remembered {
			t.Errorf("%s", verdict(out))
		}
	}
}

// Only a trusted proxy's header counts, and where it does, nothing else.
func TestCertificateHeader(t *testing.T) {
	der, thumbprint := certificate(t)
	other, _ := certificate(t)
	plain := base64.StdEncoding.EncodeToString(der)
	escaped := url.QueryEscape(pemOf(der))
	const proxies = `"certificate_header_name":"Client-Cert","trusted_proxies":["10.0.0.0/8","192.0.2.1","2001:db8::/32"]`
	for name, tt := range map[string]struct{ format, peer, header, own, want string }{
		"base64":                         {"base64_encoded", "10.1.2.3", plain, "", accepted},
		"base64 of PEM":                  {"base64_encoded", "10.1.2.3", base64.StdEncoding.EncodeToString([]byte(pemOf(der))), "", accepted},
		"base64 between colons":          {"base64_encoded", "10.1.2.3", ":" + plain + ":", "", accepted},
		"a colon":                        {"base64_encoded", "10.1.2.3", ":", "", unreadable},
		"escaped, spaces as %20":         {"url_encoded", "192.0.2.1", strings.ReplaceAll(escaped, "+", "%20"), "", accepted},
		"escaped, base64 as it is":       {"url_encoded", "192.0.2.1", strings.NewReplacer(" ", "%20", "\n", "%0A").Replace(pemOf(der)), "", accepted},
		"by IPv6":                        {"base64_encoded", "2001:db8::5", plain, "", accepted},
		"IPv4 in IPv6":                   {"base64_encoded", "::ffff:10.1.2.3", plain, "", accepted},
		"another certificate":            {"base64_encoded", "10.1.2.3", base64.StdEncoding.EncodeToString(other), "", wrongCertificate},
		"another, and the proxy's own":   {"base64_encoded", "10.1.2.3", base64.StdEncoding.EncodeToString(other), pemOf(der), wrongCertificate},
		"none, and the proxy's own":      {"base64_encoded", "10.1.2.3", "", pemOf(der), noCertificate},
		"from anybody else":              {"base64_encoded", "11.1.2.3", plain, "", noCertificate},
		"next to a trusted one":          {"base64_encoded", "192.0.2.2", plain, "", noCertificate},
		"from nobody":                    {"base64_encoded", "", plain, "", noCertificate},
		"by a socket":                    {"base64_encoded", "unix:", plain, "", noCertificate},
		"from anybody, and their own":    {"base64_encoded", "11.1.2.3", base64.StdEncoding.EncodeToString(other), pemOf(der), accepted},
		"from anybody, theirs is wrong":  {"base64_encoded", "11.1.2.3", plain, pemOf(other), wrongCertificate},
		"twice":                          {"base64_encoded", "10.1.2.3", plain + ", " + plain, "", unreadable},
		"in the other format":            {"url_encoded", "10.1.2.3", plain, "", unreadable},
		"escaped, in the other format":   {"base64_encoded", "10.1.2.3", escaped, "", unreadable},
		"half an escape":                 {"url_encoded", "10.1.2.3", "%2", "", unreadable},
		"several, escaped":               {"url_encoded", "10.1.2.3", strings.ReplaceAll(escaped, "+", "%20") + ", " + strings.ReplaceAll(escaped, "+", "%20"), "", unreadable},
		"several, by their last element": {"url_encoded", "10.1.2.3", strings.ReplaceAll(url.QueryEscape(pemOf(other)), "+", "%20") + ", " + strings.ReplaceAll(escaped, "+", "%20"), "", unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := w.engine(t, `{"mtls_binding":"honour","certificate_header_format":"`+tt.format+`",`+proxies+`}`)
			token := w.token(`{"iss":"key","cnf":{"x5t#S256":"` + thumbprint + `"}}`)
			expect(t, e.Decide(t.Context(), &plugin.Request{
				Headers:     [][]byte{[]byte("Bearer " + token)},
				Certificate: []byte(tt.own), CertificateHeader: []byte(tt.header), Peer: []byte(tt.peer),
			}, w), tt.want)
		})
	}
}
