package schema

import (
	"fmt"
	"slices"
	"strings"
)

// Warnings tells what of a configuration works, and is hardly what was meant.
// It is in the plugin's log when the configuration is first used, and told by
// "go-jwt check".
func (c *Config) Warnings() []*FieldError {
	var w []*FieldError
	warn := func(field, problem string) {
		w = append(w, &FieldError{Path: "config." + field, Problem: problem})
	}
	onlyIssuers := len(c.Issuers) > 0 && len(c.Credentials) == 0 // of their tokens, exp is always verified
	switch verified := slices.Contains(c.ClaimsToVerify, "exp"); {
	case verified || onlyIssuers:
	case c.MaximumExpiration > 0:
		warn("maximum_expiration", "exp is not in claims_to_verify: tokens that have expired are accepted")
	default:
		warn("claims_to_verify", "does not contain exp: tokens never expire")
	}
	if len(c.URIParamNames)+len(c.CookieNames)+len(c.HeaderNames) == 0 {
		warn("header_names", "no token can be found: uri_param_names and cookie_names are empty too")
	}
	if c.AllowWeakRSAKeys {
		warn("allow_weak_rsa_keys", "RSA keys of 1024 bits can be broken: replace them, then turn this option off")
	}
	if len(c.LogClaims) > 0 && !c.LogSerialize {
		warn("log_claims", "nothing is logged without log_serialize")
	}
	if c.Anonymous == "" && len(c.AnonymousOn) == 1 {
		warn("anonymous_on", "has no effect without anonymous")
	}
	if !c.MTLSBinding.On() && c.CertificateHeaderName != "" {
		warn("certificate_header_name", "has no effect while mtls_binding is off")
	}
	if !c.DPoP.On() && c.DPoPUseNonce {
		warn("dpop_use_nonce", "has no effect while dpop is off")
	}
	if c.DPoP == BindingRequired && len(c.HeaderNames) == 0 {
		warn("dpop", "no token is accepted: one that is bound to a key must be in a header, and header_names is empty")
	}
	if c.ResourceMetadata != nil && !slices.ContainsFunc(c.HeaderNames, isAuthorization) {
		warn("resource_metadata", "clients that log in because of it send the token in Authorization, which is not in header_names")
	}
	if a := c.UpstreamAssertion; a != nil && a.Algorithm == "RS256" {
		warn("upstream_assertion.algorithm", "RS256 takes many times as long to sign as ES256 and EdDSA")
	}
	for i, cr := range c.Credentials {
		if c.HasIssuer(cr.Key) && c.KeyClaimName == "iss" {
			warn(fmt.Sprintf("credentials[%d].key", i+1), "is never used: issuers has an issuer with the same name")
		}
	}
	return w
}

func isAuthorization(header string) bool { return strings.EqualFold(header, "authorization") }

// HasIssuer tells whether tokens with that iss are verified with published keys.
func (c *Config) HasIssuer(iss string) bool {
	return slices.ContainsFunc(c.Issuers, func(is Issuer) bool {
		return slices.ContainsFunc(is.PerTenant(), func(one Issuer) bool { return one.Issuer == iss })
	})
}
