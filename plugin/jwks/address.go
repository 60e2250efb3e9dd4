package jwks

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// wellKnown is where an issuer describes itself (OpenID Connect Discovery 1.0
// section 4).
const wellKnown = "/.well-known/openid-configuration"

const maxRedirects = 3

// discoveryURL returns where an issuer describes itself (OpenID Connect
// Discovery 1.0 section 4.1). An issuer has neither query nor fragment (section
// 3).
func discoveryURL(issuer string) (string, error) {
	if strings.ContainsAny(issuer, "?#") {
		return "", errors.New("issuer has a query or fragment, and cannot be used for discovery")
	}
	return strings.TrimSuffix(issuer, "/") + wellKnown, nil
}

// parseURL reads a URL that something is to be fetched from. The error says what
// is wrong with it, and no credentials.
func (o *Options) parseURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("URL cannot be read")
	}
	return u, o.check(u)
}

// check tells whether something may be fetched from u: by TLS, or else from this
// host, and without credentials.
func (o *Options) check(u *url.URL) error {
	switch {
	case u.User != nil:
		return fmt.Errorf("%s: URL holds credentials", where(u))
	case u.Hostname() == "":
		return fmt.Errorf("%q is no URL with a host", where(u))
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return fmt.Errorf("%s: URL is not https", where(u))
	case o.AllowHTTP || isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%s: URL is not https, and its host is not loopback", where(u))
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// checkRedirect is for [http.Client]: few redirects, each to where could have
// been fetched from at once, and none that gives up TLS.
func (o *Options) checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if via[len(via)-1].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return errors.New("redirect from https to another scheme")
	}
	next.Header.Del("Referer") // the query of a URL is for its host only
	return o.check(next.URL)
}

// where is u for logs: without what may be secret.
func where(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

// shown is an issuer for logs. It need not be a URL.
func shown(issuer string) string {
	u, err := url.Parse(issuer)
	switch {
	case err != nil:
		return "(no URL)"
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return where(u)
	}
	return issuer
}
