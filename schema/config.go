package schema

import "strings"

// Config is a plugin configuration as [Parse] returns it: checked, with every
// default filled in. What each field means stands in the table in fields.go
// and, generated from it, in docs/configuration.md.
//
// A Config is read-only after Parse and safe for concurrent use.
type Config struct {
	URIParamNames     []string `json:"uri_param_names"`
	CookieNames       []string `json:"cookie_names"`
	HeaderNames       []string `json:"header_names"`
	KeyClaimName      string   `json:"key_claim_name"`
	SecretIsBase64    bool     `json:"secret_is_base64"`
	AllowWeakRSAKeys  bool     `json:"allow_weak_rsa_keys"`
	ClaimsToVerify    []string `json:"claims_to_verify"`
	MaximumExpiration float64  `json:"maximum_expiration"` // seconds; 0: no limit
	Anonymous         string   `json:"anonymous"`          // consumer id or username; "": none
	RunOnPreflight    bool     `json:"run_on_preflight"`
	Realm             string   `json:"realm"` // "": no realm is told

	GuardHeaders bool         `json:"guard_headers"`
	CacheTTL     float64      `json:"cache_ttl"` // seconds; 0: decisions are not cached
	Credentials  []Credential `json:"credentials"`

	Issuers          []Issuer      `json:"issuers"`
	AudienceRequired []string      `json:"audience_required"`
	IssuersAllowed   []string      `json:"issuers_allowed"`
	ScopesRequired   []string      `json:"scopes_required"`
	ScopesClaim      []string      `json:"scopes_claim"` // path
	ClaimsRequired   []ClaimRule   `json:"claims_required"`
	ClaimsForbidden  []string      `json:"claims_forbidden"`
	Revocations      []Revocation  `json:"revocations"`
	Revoked          []Revoked     `json:"revoked"`
	Leeway           float64       `json:"leeway"` // seconds
	ClaimsToHeaders  []ClaimHeader `json:"claims_to_headers"`
	HideCredentials  bool          `json:"hide_credentials"`
	ShareToken       bool          `json:"share_token"`
	GroupsClaim      []string      `json:"groups_claim"` // path; empty: none
	AnonymousOn      []string      `json:"anonymous_on"`
	Shadow           bool          `json:"shadow"`
	LogSerialize     bool          `json:"log_serialize"`
	LogClaims        [][]string    `json:"log_claims"` // paths

	UpstreamAssertion *UpstreamAssertion `json:"upstream_assertion"` // nil: none
	PublishKeys       bool               `json:"publish_keys"`
	ResourceMetadata  *ResourceMetadata  `json:"resource_metadata"` // nil: none

	MTLSBinding             Binding  `json:"mtls_binding"`
	CertificateHeaderName   string   `json:"certificate_header_name"` // "": none
	CertificateHeaderFormat string   `json:"certificate_header_format"`
	TrustedProxies          []string `json:"trusted_proxies"` // see Proxies

	DPoP              Binding `json:"dpop"`
	DPoPProofLifetime float64 `json:"dpop_proof_lifetime"` // seconds
	DPoPUseNonce      bool    `json:"dpop_use_nonce"`
}

// ResourceMetadata is what clients are told of the protected resource, beside what
// the rest of the configuration tells (RFC 9728 section 2).
type ResourceMetadata struct {
	Resource             string   `json:"resource"`              // its identifier, an URL
	AuthorizationServers []string `json:"authorization_servers"` // empty: the issuers
	ScopesSupported      []string `json:"scopes_supported"`      // empty: those of scopes_required
	Name                 string   `json:"resource_name"`
	Documentation        string   `json:"resource_documentation"`
	Policy               string   `json:"resource_policy_uri"`
	TermsOfService       string   `json:"resource_tos_uri"`
}

// UpstreamAssertion is the token that tells the upstream who the caller is.
type UpstreamAssertion struct {
	Issuer    string     `json:"issuer"`
	Audience  string     `json:"audience"`
	Header    string     `json:"header"`
	TTL       int        `json:"ttl"`  // seconds
	Keys      []string   `json:"keys"` // PEM, private; the first signs
	Algorithm string     `json:"algorithm"`
	Claims    [][]string `json:"claims"` // paths
	Bind      bool       `json:"bind"`
}

// Issuer is an identity provider that publishes its keys (RFC 7517).
type Issuer struct {
	Issuer           string     `json:"issuer"`
	Tenants          []string   `json:"tenants"`  // what {tenant} stands for; see PerTenant
	JWKSURI          string     `json:"jwks_uri"` // "": found by OpenID Connect discovery
	JWKS             string     `json:"jwks"`     // JWK Set; "": it is fetched
	Algorithms       []string   `json:"algorithms"`
	Audience         []string   `json:"audience"`        // any of; empty: any
	ConsumerClaim    []string   `json:"consumer_claim"`  // path
	ConsumerClaims   [][]string `json:"consumer_claims"` // paths; empty: ConsumerClaim
	ConsumerBy       string     `json:"consumer_by"`
	ConsumerOptional bool       `json:"consumer_optional"`
	CredentialClaim  []string   `json:"credential_claim"` // path
	CredentialPrefix bool       `json:"credential_prefix_issuer"`
	Type             string     `json:"type"` // "": any
}

// PerTenant returns the issuer for each of its tenants, in their order, or else
// the issuer itself.
func (i *Issuer) PerTenant() []Issuer {
	if len(i.Tenants) == 0 {
		return []Issuer{*i}
	}
	each := make([]Issuer, 0, len(i.Tenants))
	for _, tenant := range i.Tenants {
		one := *i
		one.Issuer = strings.ReplaceAll(i.Issuer, tenantPlace, tenant)
		one.JWKSURI = strings.ReplaceAll(i.JWKSURI, tenantPlace, tenant)
		one.Tenants = nil
		each = append(each, one)
	}
	return each
}

const tenantPlace = "{tenant}"

// Revocation is a list of revoked tokens that is published. It is comparable.
type Revocation struct {
	URL       string  `json:"url"`
	Refresh   float64 `json:"refresh"`    // seconds
	Stale     float64 `json:"stale"`      // seconds, beyond Refresh
	OnFailure string  `json:"on_failure"` // closed or open
}

// Revoked names tokens that are revoked: those of which all that is set holds.
type Revoked struct {
	ID           string  `json:"jti"`
	Issuer       string  `json:"iss"`
	Subject      string  `json:"sub"`
	IssuedBefore float64 `json:"issued_before"` // seconds since 1970; 0: not set
}

// ClaimRule asks for a value of a claim.
type ClaimRule struct {
	Claim []string `json:"claim"` // path
	Value string   `json:"value"`
	Match string   `json:"match"` // equals or contains
}

// ClaimHeader hands a claim on to the upstream.
type ClaimHeader struct {
	Header string   `json:"header"`
	Claim  []string `json:"claim"`  // path
	Values string   `json:"values"` // how several are given: comma or repeat
}

// Credential is a JWT credential kept in the plugin's own configuration, with
// the same meaning as an entry of Kong's jwt_secrets.
type Credential struct {
	Key       string `json:"key"`
	Algorithm string `json:"algorithm"`
	Secret    string `json:"secret"`     // of HS256, HS384, HS512
	PublicKey string `json:"public_key"` // PEM, of every other algorithm
	Consumer  string `json:"consumer"`   // id or username
}
