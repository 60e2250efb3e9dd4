package kong

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"kong-go-jwt/plugin/jwks"
)

// JWKSOptions say how the keys of Config.Issuers are fetched.
type JWKSOptions struct {
	AllowHTTP   bool
	CAFile      string // PEM certificates to trust; "": the system's
	Refresh     time.Duration
	Stale       time.Duration
	MinInterval time.Duration
	Proxy       *url.URL              // nil: none
	Logins      map[string]jwks.Login // by origin
}

// flags adds the options to f.
func (o *JWKSOptions) flags(f *flag.FlagSet) {
	f.BoolVar(&o.AllowHTTP, "jwks-allow-http", false, "let issuers' keys be fetched by http from other hosts than this one")
	f.StringVar(&o.CAFile, "jwks-ca", "", "`file` with PEM certificates to trust for issuers' keys, instead of the system's")
	f.DurationVar(&o.Refresh, "jwks-refresh", 5*time.Minute, "how often issuers' keys are fetched, unless Cache-Control says otherwise")
	f.DurationVar(&o.Stale, "jwks-stale", 24*time.Hour, "for how long issuers' keys go on being used while fetching them fails")
	f.DurationVar(&o.MinInterval, "jwks-min-interval", 10*time.Second, "least time between fetches of an issuer's keys because of an unknown one")
	f.Func("jwks-proxy", "`URL` of an HTTP proxy through which issuers' keys are fetched", o.setProxy)
	f.Func("jwks-token-file", "`ORIGIN=FILE`: the bearer token that an issuer wants of who fetches its keys, for example https://login.example.com=/etc/kong/token; may be given several times", func(s string) error {
		return o.login(s, func(l *jwks.Login, file string) error {
			l.TokenFile = file
			return nil
		})
	})
	f.Func("jwks-client-cert", "`ORIGIN=CERT,KEY`: PEM files with the client certificate that an issuer wants of who fetches its keys, and with its private key; may be given several times", func(s string) error {
		return o.login(s, func(l *jwks.Login, files string) (err error) {
			var both bool
			if l.CertFile, l.KeyFile, both = strings.Cut(files, ","); !both {
				err = errors.New("must be ORIGIN=CERT,KEY")
			}
			return err
		})
	})
}

func (o *JWKSOptions) setProxy(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("is not an http or https URL")
	}
	o.Proxy = u
	return nil
}

// login sets a part of how to log in at an origin, and checks it.
func (o *JWKSOptions) login(text string, set func(l *jwks.Login, value string) error) error {
	origin, value, ok := strings.Cut(text, "=")
	if !ok || value == "" {
		return errors.New("must be ORIGIN=FILE")
	}
	if o.Logins == nil {
		o.Logins = make(map[string]jwks.Login)
	}
	l := o.Logins[origin]
	if err := set(&l, value); err != nil {
		return err
	}
	o.Logins[origin] = l
	return l.Check(origin) //nolint:wrapcheck // says it all
}

// sets fetches the keys of issuers as o says.
func (o *JWKSOptions) sets(log *slog.Logger) (*jwks.Sets, error) {
	roots, err := certificates("jwks-ca", o.CAFile)
	if err != nil {
		return nil, fmt.Errorf("-%w", err)
	}
	return jwks.New(jwks.Options{
		RootCAs: roots, AllowHTTP: o.AllowHTTP, Proxy: o.Proxy, Logins: o.Logins,
		Refresh: o.Refresh, Stale: o.Stale, MinInterval: o.MinInterval, Log: log,
	}), nil
}
