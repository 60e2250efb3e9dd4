package schema

import (
	"fmt"
	"slices"
)

// checkAssertion checks upstream_assertion.
func (c *Config) checkAssertion() (errs []error) {
	const path = "config.upstream_assertion"
	a := c.UpstreamAssertion
	if a == nil {
		return nil
	}
	for _, h := range c.ClaimsToHeaders {
		if sameHeader(a.Header, h.Header) {
			errs = append(errs, fault(path+".header", "claims_to_headers has the same header"))
		}
	}
	for i, claim := range a.Claims {
		if slices.Contains(AssertionClaims(), claim[0]) {
			errs = append(errs, fault(fmt.Sprintf("%s.claims[%d]", path, i+1), "%q is set by the gateway", claim[0]))
		}
	}
	return errs
}

// AssertionClaims are the claims of an upstream assertion that the gateway sets,
// or leaves out because they would mean something else: none is copied.
func AssertionClaims() []string {
	return []string{
		"iss", "aud", "sub", "iat", "nbf", "exp", "jti",
		"consumer_id", "username", "custom_id", "credential", "original_issuer", "groups", "scope", "anonymous",
		"method", "path",
	}
}
