package jwks

import (
	"errors"
	"net/url"
	"strings"

	"kong-go-jwt/plugin/fetch"
)

// wellKnown is where an issuer describes itself (OpenID Connect Discovery 1.0
// section 4).
const wellKnown = "/.well-known/openid-configuration"

// discoveryURL returns where an issuer describes itself (OpenID Connect
// Discovery 1.0 section 4.1). An issuer has neither query nor fragment (section
// 3).
func discoveryURL(issuer string) (string, error) {
	if strings.ContainsAny(issuer, "?#") {
		return "", errors.New("issuer has a query or fragment, and cannot be used for discovery")
	}
	return strings.TrimSuffix(issuer, "/") + wellKnown, nil
}

// shown is an issuer for logs. It need not be a URL.
func shown(issuer string) string {
	u, err := url.Parse(issuer)
	switch {
	case err != nil:
		return "(no URL)"
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fetch.Where(u)
	}
	return issuer
}
