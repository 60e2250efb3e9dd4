package jwks

import (
	"crypto/x509"
	"errors"
	"flag"
	"net/url"
	"os"
	"strings"

	"kong-go-jwt/plugin/fetch"
)

// Flags adds to f the flags that say how keys can be had, which are the same in
// every command: -jwks-ca, -jwks-allow-http, -jwks-proxy and how to log in.
func (o *Options) Flags(f *flag.FlagSet) {
	f.BoolVar(&o.AllowHTTP, "jwks-allow-http", false, "allow fetching issuers' keys over http from other hosts; without it, http works only on this host")
	f.Func("jwks-ca", "`file` with the PEM certificates to trust when fetching issuers' keys, instead of the system's", o.setCA)
	f.Func("jwks-proxy", "`URL` of an HTTP proxy through which to fetch issuers' keys and lists of revoked tokens", o.setProxy)
	f.Func("jwks-token-file", "`ORIGIN=FILE`: send the bearer token in this file when fetching keys or lists from this origin, for example https://login.example.com=/etc/kong/token; may be repeated", func(s string) error {
		return o.login(s, func(l *fetch.Login, file string) error {
			l.TokenFile = file
			return nil
		})
	})
	f.Func("jwks-client-cert", "`ORIGIN=CERT,KEY`: use this client certificate and private key (PEM files) when fetching keys or lists from this origin; may be repeated", func(s string) error {
		return o.login(s, func(l *fetch.Login, files string) (err error) {
			var both bool
			if l.CertFile, l.KeyFile, both = strings.Cut(files, ","); !both {
				err = errors.New("must be ORIGIN=CERT,KEY")
			}
			return err
		})
	})
}

func (o *Options) setCA(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err //nolint:wrapcheck // names the file
	}
	o.RootCAs = x509.NewCertPool()
	if !o.RootCAs.AppendCertsFromPEM(text) {
		return errors.New("contains no PEM certificate")
	}
	return nil
}

func (o *Options) setProxy(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("is not an http or https URL")
	}
	o.Proxy = u
	return nil
}

// login sets a part of how to log in at an origin, and checks it.
func (o *Options) login(text string, set func(l *fetch.Login, value string) error) error {
	origin, value, ok := strings.Cut(text, "=")
	if !ok || value == "" {
		return errors.New("must be ORIGIN=FILE")
	}
	if o.Logins == nil {
		o.Logins = make(map[string]fetch.Login)
	}
	l := o.Logins[origin]
	if err := set(&l, value); err != nil {
		return err
	}
	o.Logins[origin] = l
	return l.Check(origin) //nolint:wrapcheck // says it all
}
