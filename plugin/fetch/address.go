package fetch

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

const maxRedirects = 3

// Check reads a URL that something is to be fetched from. The error says what is
// wrong with it, and no credentials.
func (o *Options) Check(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("URL cannot be read")
	}
	return u, o.allows(u)
}

// allows tells whether something may be fetched from u: by TLS, or else from this
// host, and without credentials.
func (o *Options) allows(u *url.URL) error {
	switch {
	case u.User != nil:
		return fmt.Errorf("%s: URL contains a user name or password", Where(u))
	case u.Hostname() == "":
		return fmt.Errorf("%q is not a URL with a host", Where(u))
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return fmt.Errorf("%s: URL is not https", Where(u))
	case o.AllowHTTP || isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%s: URL is not https, and its host is not this one", Where(u))
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
	return o.allows(next.URL)
}

// Where is u for logs: without what may be secret.
func Where(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}
