package schema

// Algorithms are the values a credential's algorithm can have (RFC 7518
// section 3.1, RFC 8037), the same as those of Kong's jwt_secrets.
func Algorithms() []string {
	return []string{
		"HS256", "HS384", "HS512",
		"RS256", "RS384", "RS512",
		"ES256", "ES384", "ES512",
		"PS256", "PS384", "PS512",
		"EdDSA",
	}
}

// AsymmetricAlgorithms are those whose public keys can be published.
func AsymmetricAlgorithms() []string { return Algorithms()[3:] }

// path is the type of a path to a claim: the names from the outside in.
func path() *Field { return &Field{Type: String} }

// headerName is what a header can be called (RFC 9110 section 5.6.2).
func headerName() *Pattern {
	return &Pattern{Lua: "^[%w!#$%%&'*+.^_`|~-]+$", Go: "^[0-9A-Za-z!#$%&'*+.^_`|~-]+$"}
}

func httpURL() *Pattern { return &Pattern{Lua: "^https?://", Go: "^https?://"} }

// Fields is the table of all configuration fields, in the order in which they
// are documented. Fields that Kong's bundled jwt plugin has too carry its
// names, types, defaults and meaning (kong/plugins/jwt/schema.lua, 3.9.3).
func Fields() []Field {
	return []Field{
		{
			Name: "uri_param_names", Group: "bundled", Type: Set, Elements: &Field{Type: String},
			Default:     []string{"jwt"},
			Description: "Names of the query parameters in which to look for a token.",
		},
		{
			Name: "cookie_names", Group: "bundled", Type: Set, Elements: &Field{Type: String},
			Default:     []string{},
			Description: "Names of the cookies in which to look for a token.",
		},
		{
			Name: "header_names", Group: "bundled", Type: Set, Elements: &Field{Type: String},
			Default:     []string{"authorization"},
			Description: "Names of the request headers in which to look for a token. The token must follow the word Bearer.",
		},
		{
			Name: "key_claim_name", Group: "bundled", Type: String,
			Default:     "iss",
			Description: "Name of the claim that holds the key of the credential. It is looked for among the claims, then in the token's header.",
		},
		{
			Name: "secret_is_base64", Group: "bundled", Type: Boolean, Required: true,
			Default:     false,
			Description: "Whether the secrets of HS256, HS384 and HS512 credentials are base64 (either alphabet) and must be decoded before use.",
		},
		{
			Name: "claims_to_verify", Group: "bundled", Type: Set, Elements: &Field{Type: String, OneOf: []string{"exp", "nbf"}},
			Description: "Registered claims that a token must have and that are held against the clock: exp, nbf or both.",
		},
		{
			Name: "maximum_expiration", Group: "bundled", Type: Number, Between: &Range{0, 31536000},
			Default:     0,
			Description: "Longest time, in seconds, that a token's exp may lie in the future; 0 for no limit. It needs exp among claims_to_verify.",
		},
		{
			Name: "anonymous", Group: "bundled", Type: String,
			Description: "Consumer (id or username) as which a request goes on when authentication fails. Without it such a request is refused.",
		},
		{
			Name: "run_on_preflight", Group: "bundled", Type: Boolean, Required: true,
			Default:     true,
			Description: "Whether OPTIONS requests must authenticate too. Set it to false to let CORS preflight requests through.",
		},
		{
			Name: "realm", Group: "bundled", Type: String,
			Description: "Value of the realm parameter of the WWW-Authenticate header of a refusal.",
		},
		{
			Name: "guard_headers", Group: "upstream", Type: Boolean, Required: true,
			Default:     true,
			Description: "Whether to close two ways of forging identity headers: a request whose Connection header names one of them is refused with 400, and spellings with underscores (X_Consumer_ID) are removed.",
		},
		{
			Name: "cache_ttl", Group: "operations", Type: Number, Between: &Range{0, 3600}, Required: true,
			Default:     300,
			Description: "Longest time, in seconds, for which an accepted token is remembered, so that its signature is not verified on each request; 0 turns that off. It ends with the exp of the token at the latest, and revocation is bounded by the credential cache, not by this time.",
		},
		{
			Name: "credentials", Group: "credentials", Type: Array,
			Description: "Credentials kept here instead of in jwt_secrets, for places without an Admin API such as hybrid data planes. They are looked at before jwt_secrets. Up to four of one consumer may have the same key, such as an old and a new secret while it is rotated: they are tried in order.",
			Elements: &Field{Type: Record, Fields: []Field{
				{
					Name: "key", Type: String, Required: true,
					Description: "Value of the claim key_claim_name that selects this credential.",
				},
				{
					Name: "algorithm", Type: String, OneOf: Algorithms(), Default: "HS256",
					Description: "The one algorithm accepted for this credential.",
				},
				{
					Name: "secret", Type: String, Referenceable: true, Encrypted: true,
					Description: "Secret of an HS256, HS384 or HS512 credential.",
				},
				{
					Name: "public_key", Type: String, Referenceable: true,
					Description: "Public key or certificate, as PEM, of a credential of any other algorithm.",
				},
				{
					Name: "consumer", Type: String, Required: true,
					Description: "Consumer (id or username) that the credential belongs to.",
				},
			}},
		},
		{
			Name: "allow_weak_rsa_keys", Group: "credentials", Type: Boolean, Required: true,
			Default:     false,
			Description: "Whether credentials, here and in jwt_secrets, may have RSA keys of 1024 to 2047 bits, which the bundled plugin takes and RFC 7518 section 3.3 forbids. Only until they are replaced.",
		},
		{
			Name: "issuers", Group: "issuers", Type: Array,
			Description: "Identity providers that publish their keys. A token whose iss is one of them is verified with that one's keys, and its exp (which it must have) and nbf are always verified; every other token goes by credentials and jwt_secrets.",
			Elements: &Field{Type: Record, Fields: []Field{
				{
					Name: "issuer", Type: String, Required: true,
					Description: "Value of the iss claim, exactly. {tenant} in it stands for each of tenants.",
				},
				{
					Name: "tenants", Type: Set,
					Elements:    &Field{Type: String, Match: &Pattern{Lua: "^[%w._-]+$", Go: "^[0-9A-Za-z._-]+$"}},
					Default:     []string{},
					Description: "What {tenant} stands for in issuer and jwks_uri, for providers that have an issuer for each tenant. Nobody else is trusted.",
				},
				{
					Name: "jwks_uri", Type: String, Match: &Pattern{Lua: "^https?://", Go: "^https?://"},
					Description: "URL of the issuer's JWK Set. Without it, it is found by OpenID Connect discovery at the issuer's URL.",
				},
				{
					Name: "jwks", Type: String, Referenceable: true,
					Description: "JWK Set as text, for places that cannot fetch one. It takes the place of jwks_uri and of discovery.",
				},
				{
					Name: "algorithms", Type: Set, Elements: &Field{Type: String, OneOf: AsymmetricAlgorithms()},
					Default: []string{"RS256"}, LenMin: 1,
					Description: "Algorithms that tokens of this issuer may be signed with.",
				},
				{
					Name: "audience", Type: Set, Elements: &Field{Type: String},
					Default:     []string{},
					Description: "Values of which the aud claim must hold at least one; empty for no check.",
				},
				{
					Name: "consumer_claim", Type: Array, Elements: path(), LenMin: 1,
					Default:     []string{"sub"},
					Description: "Path of the claim that tells the consumer.",
				},
				{
					Name: "consumer_claims", Type: Array, Elements: &Field{Type: Array, Elements: path(), LenMin: 1},
					Description: "Paths of claims that can tell the consumer, in place of consumer_claim: the first that is there decides.",
				},
				{
					Name: "consumer_by", Type: String, OneOf: []string{"username", "custom_id", "id"},
					Default:     "username",
					Description: "What of the consumer that claim holds. For custom_id the Admin API is asked.",
				},
				{
					Name: "consumer_optional", Type: Boolean, Required: true,
					Default:     false,
					Description: "Whether a caller for whom there is no consumer is let in all the same, with a credential whose identifier is credential_claim.",
				},
				{
					Name: "credential_claim", Type: Array, Elements: path(), LenMin: 1,
					Default:     []string{"sub"},
					Description: "Path of the claim, a text, that is the identifier of the credential: X-Credential-Identifier, and what rate limiting by credential counts by.",
				},
				{
					Name: "credential_prefix_issuer", Type: Boolean, Required: true,
					Default:     false,
					Description: "Whether that identifier begins with the issuer and a #, so that two issuers cannot mean two callers by the same one.",
				},
				{
					Name: "type", Type: String,
					Description: "Value that the typ header must have, for example at+jwt (RFC 9068), with or without application/ before it.",
				},
			}},
		},
		{
			Name: "audience_required", Group: "claims", Type: Set, Elements: &Field{Type: String},
			Default:     []string{},
			Description: "Values of which the aud claim must hold at least one; empty for no check.",
		},
		{
			Name: "issuers_allowed", Group: "claims", Type: Set, Elements: &Field{Type: String},
			Default:     []string{},
			Description: "Values of which the iss claim must be one; empty for no check.",
		},
		{
			Name: "scopes_required", Group: "claims", Type: Set, Elements: &Field{Type: String},
			Default:     []string{},
			Description: "Scopes of which the token must have at least one, else the answer is 403. Scopes separated by spaces within one element must be there together.",
		},
		{
			Name: "scopes_claim", Group: "claims", Type: Array, Elements: path(), LenMin: 1,
			Default:     []string{"scope"},
			Description: "Path of the claim with the token's scopes: a text with spaces between them, or a list.",
		},
		{
			Name: "claims_required", Group: "claims", Type: Array,
			Description: "Claims that must have a certain value, all of them, else the answer is 403.",
			Elements: &Field{Type: Record, Fields: []Field{
				{
					Name: "claim", Type: Array, Elements: path(), LenMin: 1, Required: true,
					Description: "Path of the claim.",
				},
				{
					Name: "value", Type: String, Required: true,
					Description: "The value. Numbers and booleans compare by their JSON text.",
				},
				{
					Name: "match", Type: String, OneOf: []string{"equals", "contains"}, Default: "equals",
					Description: "Whether the claim must be the value, or be a list that contains it.",
				},
			}},
		},
		{
			Name: "claims_forbidden", Group: "claims", Type: Set, Elements: &Field{Type: String},
			Default:     []string{},
			Description: "Names of claims that a token must not have, such as nonce, which ID tokens have and access tokens do not.",
		},
		{
			Name: "revocations", Group: "revocation", Type: Array,
			Description: "Published lists of revoked tokens. A token that one of them names is refused, though it is verified.",
			Elements: &Field{Type: Record, Fields: []Field{
				{
					Name: "url", Type: String, Required: true, Match: &Pattern{Lua: "^https?://", Go: "^https?://"}, Referenceable: true,
					Description: "URL of the list, by https, or by http from this host.",
				},
				{
					Name: "refresh", Type: Number, Between: &Range{1, 86400}, Default: 60,
					Description: "Seconds between one fetch and the next, which costs little where the list has an ETag and has not changed.",
				},
				{
					Name: "stale", Type: Number, Between: &Range{0, 604800}, Default: 3600,
					Description: "Seconds for which the last good copy is used, beyond refresh, while the list cannot be fetched.",
				},
				{
					Name: "on_failure", Type: String, OneOf: []string{"closed", "open"}, Default: "closed",
					Description: "What happens when there is no copy that is good: every token is refused with 503, or none is for this list.",
				},
			}},
		},
		{
			Name: "revoked", Group: "revocation", Type: Array,
			Description: "Revoked tokens, written here: those of which all that an entry names holds.",
			Elements: &Field{Type: Record, Fields: []Field{
				{Name: "jti", Type: String, Description: "Value of the jti claim."},
				{Name: "iss", Type: String, Description: "Value of the iss claim."},
				{Name: "sub", Type: String, Description: "Value of the sub claim."},
				{
					Name: "issued_before", Type: Number, Between: &Range{1, 99999999999},
					Description: "Seconds since 1970: only tokens whose iat is earlier, and those without one.",
				},
			}},
		},
		{
			Name: "mtls_binding", Group: "bound", Type: String, Required: true, OneOf: bindings(),
			Default:     string(BindingOff),
			Description: "Whether a token is held against the client certificate of its request (RFC 8705): not at all, where the token is bound to one, or always, so that a token that is not is refused.",
		},
		{
			Name: "certificate_header_name", Group: "bound", Type: String,
			Match:       &Pattern{Lua: "^[%w_-]+$", Go: "^[0-9A-Za-z_-]+$"},
			Description: "Name of the header in which a proxy that ends TLS before Kong tells the client's certificate. It counts in requests of trusted_proxies alone, and there alone.",
		},
		{
			Name: "certificate_header_format", Group: "bound", Type: String, OneOf: []string{"base64_encoded", "url_encoded"},
			Description: "How that header holds the certificate: as base64, of DER or PEM, or as percent-encoded PEM.",
		},
		{
			Name: "trusted_proxies", Group: "bound", Type: Set, Elements: &Field{Type: String},
			Default:     []string{},
			Description: "Addresses and CIDR blocks of the proxies whose certificate_header_name is believed. From anybody else the header is ignored.",
		},
		{
			Name: "dpop", Group: "bound", Type: String, Required: true, OneOf: bindings(),
			Default:     string(BindingOff),
			Description: "Whether a token is good only with a proof that the client has its key (DPoP, RFC 9449): not at all, where the token is bound to a key, or always, so that a token that is not is refused.",
		},
		{
			Name: "dpop_proof_lifetime", Group: "bound", Type: Number, Between: &Range{1, 3600}, Required: true,
			Default:     60,
			Description: "Seconds for which a proof is good after it was made. It is remembered for as long, so that it is used once.",
		},
		{
			Name: "dpop_use_nonce", Group: "bound", Type: Boolean, Required: true,
			Default:     false,
			Description: "Whether a proof must hold a nonce that this node has given out, no longer than dpop_proof_lifetime ago. Clients without one are told one.",
		},
		{
			Name: "leeway", Group: "claims", Type: Number, Between: &Range{0, 300}, Required: true,
			Default:     0,
			Description: "Seconds by which clocks may differ when exp, nbf and, of an issuer's token, iat are verified.",
		},
		{
			Name: "claims_to_headers", Group: "upstream", Type: Array,
			Description: "Claims that are handed on in request headers. A header whose claim is absent is removed, so that a client cannot set it.",
			Elements: &Field{Type: Record, Fields: []Field{
				{
					Name: "header", Type: String, Required: true,
					Match:       headerName(),
					Description: "Name of the header.",
				},
				{
					Name: "claim", Type: Array, Elements: path(), LenMin: 1, Required: true,
					Description: "Path of the claim. Numbers, booleans and objects are given as their JSON text.",
				},
				{
					Name: "values", Type: String, OneOf: []string{"comma", "repeat"}, Default: "comma",
					Description: "Whether the values of a list are joined by commas or given in repeated headers.",
				},
			}},
		},
		{
			Name: "hide_credentials", Group: "upstream", Type: Boolean, Required: true,
			Default:     false,
			Description: "Whether the token is removed from the request before it goes to the upstream.",
		},
		{
			Name: "share_token", Group: "upstream", Type: Boolean, Required: true,
			Default:     true,
			Description: "Whether the token is given to plugins that run later, in kong.ctx.shared.authenticated_jwt_token, as the bundled plugin gives it. Without it a request costs Kong some 10 µs less.",
		},
		{
			Name: "groups_claim", Group: "upstream", Type: Array, Elements: path(),
			Description: "Path of the claim with the caller's groups, a list or a text, for Kong's ACL plugin.",
		},
		{
			Name: "anonymous_on", Group: "operations", Type: Set, Elements: &Field{Type: String, OneOf: []string{"missing", "invalid"}},
			Default: []string{"missing", "invalid"}, LenMin: 1,
			Description: "When a request goes on as the anonymous consumer: without a token, with one that is refused, or both.",
		},
		{
			Name: "upstream_assertion", Group: "assertion", Type: Record,
			Description: "Token that the gateway signs and hands to the upstream, so that a service can verify who called instead of trusting headers that anyone near it could set. Without it there is none.",
			Fields: []Field{
				{
					Name: "issuer", Type: String, Required: true,
					Description: "Value of the iss claim. Where the keys are published, the URL of the gateway up to /.well-known.",
				},
				{
					Name: "audience", Type: String, Required: true,
					Description: "Value of the aud claim: the service. Give each service one of its own, or a token for one is good at another.",
				},
				{
					Name: "header", Type: String, Match: headerName(),
					Default:     "X-Kong-Jwt-Assertion",
					Description: "Name of the request header that holds the token. It is guarded like the identity headers.",
				},
				{
					Name: "ttl", Type: Integer, Between: &Range{1, 300}, Required: true,
					Default:     60,
					Description: "Seconds until a token expires. The service gets one that has at least half of them left.",
				},
				{
					Name: "keys", Type: Array, LenMin: 1, Required: true,
					Elements:    &Field{Type: String, Referenceable: true, Encrypted: true},
					Description: "Private keys, as PEM (PKCS #8, SEC 1 or PKCS #1). The first one signs and must be fit for algorithm; all are published, so that a key can be known before it signs.",
				},
				{
					Name: "algorithm", Type: String, OneOf: []string{"ES256", "EdDSA", "RS256"},
					Default:     "ES256",
					Description: "Algorithm of the signature. RS256 takes many times as long to sign as the others.",
				},
				{
					Name: "claims", Type: Array, Elements: &Field{Type: Array, Elements: path(), LenMin: 1},
					Default:     []string{},
					Description: "Paths of claims that are copied from the caller's token, to the same place.",
				},
				{
					Name: "bind", Type: Boolean, Required: true,
					Default:     false,
					Description: "Whether method and path of the request are in the token, so that it is good for no other. Each request then needs a signature of its own.",
				},
			},
		},
		{
			Name: "resource_metadata", Group: "discovery", Type: Record,
			Description: "What clients that do not know yet where to log in are told: the document of RFC 9728, and where it is in WWW-Authenticate.",
			Fields: []Field{
				{
					Name: "resource", Type: String, Required: true,
					Match:       &Pattern{Lua: "^https?://[^/?#@]+[^#]*$", Go: "^https?://[^/?#@]+[^#]*$"},
					Description: "URL by which clients know what is guarded here, such as https://api.example.com/mcp, without a fragment.",
				},
				{
					Name: "authorization_servers", Type: Set, Elements: &Field{Type: String, Match: &Pattern{Lua: "^https?://", Go: "^https?://"}},
					Default:     []string{},
					Description: "Issuers of tokens for it; empty for those of issuers.",
				},
				{
					Name: "scopes_supported", Type: Set, Elements: &Field{Type: String},
					Default:     []string{},
					Description: "Scopes that a client may need; empty for those of scopes_required.",
				},
				{Name: "resource_name", Type: String, Description: "Name of what is guarded, for people."},
				{Name: "resource_documentation", Type: String, Match: httpURL(), Description: "URL of documentation for developers."},
				{Name: "resource_policy_uri", Type: String, Match: httpURL(), Description: "URL of the policy on how its data may be used."},
				{Name: "resource_tos_uri", Type: String, Match: httpURL(), Description: "URL of its terms of service."},
			},
		},
		{
			Name: "publish_keys", Group: "assertion", Type: Boolean, Required: true,
			Default:     false,
			Description: "Whether GET /.well-known/jwks.json is answered with the public part of upstream_assertion.keys, and /.well-known/openid-configuration with where that is, without a token. Meant for a route of its own, without a service.",
		},
		{
			Name: "shadow", Group: "operations", Type: Boolean, Required: true,
			Default:     false,
			Description: "Whether nobody is refused: requests are only decided and logged, and identified if their token is good. For moving live traffic over; it protects nothing.",
		},
		{
			Name: "log_serialize", Group: "operations", Type: Boolean, Required: true,
			Default:     false,
			Description: "Whether consumer, credential, issuer, and why a request was refused, go into what Kong's logging plugins write, under go_jwt.",
		},
		{
			Name: "log_claims", Group: "operations", Type: Array, Elements: &Field{Type: Array, Elements: path(), LenMin: 1},
			Description: "Paths of claims that go there too, as text, if the token's signature was verified: at most 2048 bytes a request. It needs log_serialize.",
		},
	}
}

// Conditionals are the checks across fields, as in the bundled plugin.
func Conditionals() []Conditional {
	return []Conditional{{If: "maximum_expiration", Then: "claims_to_verify", Contains: "exp"}}
}
