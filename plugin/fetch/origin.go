package fetch

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// Login is how to log in at an origin that does not give keys to everybody. The
// files are read anew each time, so that they can be replaced.
type Login struct {
	TokenFile         string // holds a bearer token (RFC 6750); "": none is sent
	CertFile, KeyFile string // client certificate and its private key, as PEM; "": none is shown
}

// origins sends requests for the origins in logins with what logs in there, and
// there only: a redirect takes nothing along.
type origins struct {
	logins  map[string]Login
	certain map[string]http.RoundTripper // for origins with a client certificate
	other   http.RoundTripper
}

func newOrigins(logins map[string]Login, base *http.Transport) *origins {
	o := &origins{logins: logins, certain: make(map[string]http.RoundTripper), other: base}
	for origin, l := range logins {
		if l.CertFile == "" {
			continue
		}
		t := base.Clone()
		t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return l.certificate()
		}
		o.certain[origin] = t
	}
	return o
}

// RoundTrip implements [http.RoundTripper].
func (o *origins) RoundTrip(r *http.Request) (*http.Response, error) {
	origin := r.URL.Scheme + "://" + r.URL.Host
	if l := o.logins[origin]; l.TokenFile != "" {
		token, err := l.token()
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if t := o.certain[origin]; t != nil {
		return t.RoundTrip(r) //nolint:wrapcheck // a RoundTripper in another's place
	}
	return o.other.RoundTrip(r) //nolint:wrapcheck // as above
}

// CloseIdleConnections is what [http.Client] looks for.
func (o *origins) CloseIdleConnections() {
	for _, t := range o.certain {
		(&http.Client{Transport: t}).CloseIdleConnections()
	}
	(&http.Client{Transport: o.other}).CloseIdleConnections()
}

func (l *Login) token() (string, error) {
	text, err := os.ReadFile(l.TokenFile)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, " \r\n") {
		return "", errors.New("token: the file contains no token")
	}
	return token, nil
}

func (l *Login) certificate() (*tls.Certificate, error) {
	certificate, err := tls.LoadX509KeyPair(l.CertFile, l.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	return &certificate, nil
}

// Check tells whether origin is one, and whether the files can be read now.
func (l *Login) Check(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme != "https" || u.Path+u.RawQuery+u.Fragment != "" || u.User != nil {
		return errors.New("must begin with an origin such as https://login.example.com")
	}
	if l.TokenFile != "" {
		if _, err := l.token(); err != nil {
			return err
		}
	}
	if l.CertFile != "" {
		if _, err := l.certificate(); err != nil {
			return err
		}
	}
	return nil
}
