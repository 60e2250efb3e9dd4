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

// Fields is the table of all configuration fields, in the order in which they
// are documented. Fields that Kong's bundled jwt plugin has too carry its
// names, types, defaults and meaning (kong/plugins/jwt/schema.lua, 3.9.3).
func Fields() []Field {
	return []Field{
		{
			Name: "uri_param_names", Group: "bundled", Type: Set, Elements: &Field{Type: String},
			Default:     []string{"jwt"},
			Description: "Query parameters in which to look for a token.",
		},
		{
			Name: "cookie_names", Group: "bundled", Type: Set, Elements: &Field{Type: String},
			Default:     []string{},
			Description: "Cookies in which to look for a token.",
		},
		{
			Name: "header_names", Group: "bundled", Type: Set, Elements: &Field{Type: String},
			Default:     []string{"authorization"},
			Description: "Request headers in which to look for a token. The token must follow the word Bearer.",
		},
		{
			Name: "key_claim_name", Group: "bundled", Type: String,
			Default:     "iss",
			Description: "Name of the claim that holds the key of the credential. The plugin looks for it in the claims, then in the token's header.",
		},
		{
			Name: "secret_is_base64", Group: "bundled", Type: Boolean, Required: true,
			Default:     false,
			Description: "If true, the secrets of HS256, HS384 and HS512 credentials are base64 (standard or URL-safe) and are decoded before use.",
		},
		{
			Name: "claims_to_verify", Group: "bundled", Type: Set, Elements: &Field{Type: String, OneOf: []string{"exp", "nbf"}},
			Description: "Time claims that a token must have and that are checked: exp (expires at), nbf (not before), or both. Without exp, tokens of credentials never expire.",
		},
		{
			Name: "maximum_expiration", Group: "bundled", Type: Number, Between: &Range{0, 31536000},
			Default:     0,
			Description: "Maximum time, in seconds, that a token's exp may lie in the future; 0: no limit. Put exp in claims_to_verify too: otherwise, expired tokens are accepted.",
		},
		{
			Name: "anonymous", Group: "bundled", Type: String,
			Description: "Consumer (id or username) for requests that fail authentication: they go on as this consumer. Without it, they are refused.",
		},
		{
			Name: "run_on_preflight", Group: "bundled", Type: Boolean, Required: true,
			Default:     true,
			Description: "If true, OPTIONS requests need a token too. Set it to false to let CORS preflight requests through.",
		},
		{
			Name: "realm", Group: "bundled", Type: String,
			Description: "Value of the realm parameter in the WWW-Authenticate header of a refusal.",
		},
		{
			Name: "guard_headers", Group: "upstream", Type: Boolean, Required: true,
			Default:     true,
			Description: "If true, two ways to forge or remove identity headers are closed: a request whose Connection header names an identity header is refused with 400, and spellings with underscores (X_Consumer_ID) are removed.",
		},
		{
			Name: "cache_ttl", Group: "operations", Type: Number, Between: &Range{0, 3600}, Required: true,
			Default:     300,
			Description: "Maximum time, in seconds, for which an accepted token is remembered, so that its signature is not verified on each request; 0: not remembered. A token is not remembered beyond its exp, and revoking a credential or key does not depend on this time.",
		},
		{
			Name: "credentials", Group: "credentials", Type: Array,
			Description: "Credentials kept here instead of in jwt_secrets. The plugin looks here first. Up to four credentials of one consumer may have the same key, such as an old and a new secret during rotation; they are tried in order.",
			Elements: &Field{Type: Record, Rules: []Rule{
				conditional{"algorithm", matches("^HS"), "secret", isGiven()},
				conditional{"algorithm", matchesNot("^HS"), "public_key", isGiven()},
				conditional{"algorithm", matchesNot("^HS"), "public_key", isLike(publicPEM())},
			}, Fields: []Field{
				{
					Name: "key", Type: String, Required: true,
					Description: "Key of the credential. A token selects it by this value in the claim that key_claim_name names.",
				},
				{
					Name: "algorithm", Type: String, OneOf: Algorithms(), Default: "HS256",
					Description: "Algorithm that tokens of this credential must be signed with.",
				},
				{
					Name: "secret", Type: String, Referenceable: true, Encrypted: true,
					Description: "Secret of an HS256, HS384 or HS512 credential.",
				},
				{
					Name: "public_key", Type: String, Referenceable: true,
					Description: "Public key or certificate (PEM) of a credential with any other algorithm.",
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
			Description: "If true, credentials (here and in jwt_secrets) may have RSA keys of 1024 to 2047 bits. The bundled plugin accepts these, but RFC 7518 section 3.3 forbids them. Turn it off as soon as the keys are replaced.",
		},
		{
			Name: "issuers", Group: "issuers", Type: Array,
			Description: "Identity providers that publish their keys. A token whose iss is listed here is verified with the keys of that issuer. It must have an exp, and its exp, nbf and iat are checked, whatever claims_to_verify says. All other tokens are verified with credentials and jwt_secrets.",
			Elements: &Field{Type: Record, Rules: []Rule{
				mutuallyExclusive{"jwks", "jwks_uri"},
				conditionalAtLeastOne{"issuer", matches("{tenant}"), []string{"tenants"}, "tenants", "required field missing (needed with {tenant} in issuer)"},
				conditional{"tenants", isFilled(), "issuer", matches("{tenant}")},
				conditional{"credential_prefix_issuer", isTrue(), "issuer", matchesNot("#")},
				conditionalAtLeastOne{"issuer", matchesNot("^[^:/]+://[^/?#]"), []string{"jwks_uri", "jwks"}, "issuer", noIssuerURL},
			}, Fields: []Field{
				{
					Name: "issuer", Type: String, Required: true, MatchNone: userinfo(),
					Description: "Exact value of the iss claim. {tenant} in it stands for each of tenants.",
				},
				{
					Name: "tenants", Type: Set,
					Elements:    &Field{Type: String, Match: &Pattern{Lua: "^[%w._-]+$", Go: "^[0-9A-Za-z._-]+$"}},
					Default:     []string{},
					Description: "Values for {tenant} in issuer and jwks_uri, for providers that have one issuer per tenant. Tokens of other tenants are not accepted.",
				},
				{
					Name: "jwks_uri", Type: String, Match: httpURL(), MatchNone: userinfo(),
					Description: "URL of the issuer's JWK Set, which contains its public keys. Without it, the plugin finds the JWK Set by OpenID Connect discovery at the issuer's URL.",
				},
				{
					Name: "jwks", Type: String, MatchAll: jsonObject(), Referenceable: true,
					Description: "JWK Set as text, for gateways that cannot fetch one. It replaces jwks_uri and discovery.",
				},
				{
					Name: "algorithms", Type: Set, Elements: &Field{Type: String, OneOf: AsymmetricAlgorithms()},
					Default: []string{"RS256"}, LenMin: 1,
					Description: "Algorithms that tokens of this issuer may be signed with.",
				},
				{
					Name: "audience", Type: Set, Elements: &Field{Type: String},
					Default:     []string{},
					Description: "Accepted audiences: the aud claim must contain at least one of them. Empty: aud is not checked.",
				},
				{
					Name: "consumer_claim", Type: Array, Elements: path(), LenMin: 1,
					Default:     []string{"sub"},
					Description: "Path of the claim that identifies the consumer.",
				},
				{
					Name: "consumer_claims", Type: Array, Elements: &Field{Type: Array, Elements: path(), LenMin: 1},
					Description: "Paths of several claims that can identify the consumer. They replace consumer_claim; the first claim that the token has decides.",
				},
				{
					Name: "consumer_by", Type: String, OneOf: []string{"username", "custom_id", "id"},
					Default:     "username",
					Description: "What the claim contains: the consumer's username, custom_id or id. custom_id needs the nginx include or the Admin API.",
				},
				{
					Name: "consumer_optional", Type: Boolean, Required: true,
					Default:     false,
					Description: "If true, callers without a consumer are accepted too. Their identifier is credential_claim.",
				},
				{
					Name: "credential_claim", Type: Array, Elements: path(), LenMin: 1,
					Default:     []string{"sub"},
					Description: "Path of the claim (a string) that identifies the credential: it becomes X-Credential-Identifier, and rate limiting by credential counts by it.",
				},
				{
					Name: "credential_prefix_issuer", Type: Boolean, Required: true,
					Default:     false,
					Description: "If true, that identifier starts with the issuer and a #. Then two callers of different issuers cannot have the same identifier.",
				},
				{
					Name: "type", Type: String,
					Description: "Required typ in the token's header, for example at+jwt (RFC 9068). It may have application/ before it.",
				},
			}},
		},
		{
			Name: "audience_required", Group: "claims", Type: Set, Elements: &Field{Type: String},
			Default:     []string{},
			Description: "Accepted audiences: the aud claim must contain at least one of them. Empty: aud is not checked.",
		},
		{
			Name: "issuers_allowed", Group: "claims", Type: Set, Elements: &Field{Type: String},
			Default:     []string{},
			Description: "Accepted values of the iss claim. Empty: iss is not checked.",
		},
		{
			Name: "scopes_required", Group: "claims", Type: Set,
			Elements:    &Field{Type: String, Match: &Pattern{Lua: "%S", Go: `\S`}},
			Default:     []string{},
			Description: "Scopes of which the token must have at least one; otherwise the answer is 403. An element with several scopes, separated by spaces, requires all of them.",
		},
		{
			Name: "scopes_claim", Group: "claims", Type: Array, Elements: path(), LenMin: 1,
			Default:     []string{"scope"},
			Description: "Path of the claim with the token's scopes: a string with spaces between them, or a list.",
		},
		{
			Name: "claims_required", Group: "claims", Type: Array,
			Description: "Claims that must all have a certain value; otherwise the answer is 403.",
			Elements: &Field{Type: Record, Fields: []Field{
				{
					Name: "claim", Type: Array, Elements: path(), LenMin: 1, Required: true,
					Description: "Path of the claim.",
				},
				{
					Name: "value", Type: String, Required: true,
					Description: "Required value. Numbers and booleans are compared as JSON text.",
				},
				{
					Name: "match", Type: String, OneOf: []string{"equals", "contains"}, Default: "equals",
					Description: "equals: the claim is the value; contains: the claim is a list that contains the value.",
				},
			}},
		},
		{
			Name: "claims_forbidden", Group: "claims", Type: Set, Elements: &Field{Type: String},
			Default:     []string{},
			Description: "Names of claims that a token must not have. Example: nonce, which only ID tokens have.",
		},
		{
			Name: "revocations", Group: "revocation", Type: Array,
			Description: "Published lists of revoked tokens. A token on one of them is refused, even if everything else about it is valid.",
			Elements: &Field{Type: Record, Fields: []Field{
				{
					Name: "url", Type: String, Required: true, Referenceable: true,
					Match: &Pattern{Lua: "^https?://[^/?#]", Go: "^https?://[^/?#]"}, MatchNone: userinfo(),
					Description: "URL of the list: https, or http on this host.",
				},
				{
					Name: "refresh", Type: Number, Between: &Range{1, 86400}, Default: 60,
					Description: "Seconds between fetches of the list. If the server sends an ETag, fetching an unchanged list costs little.",
				},
				{
					Name: "stale", Type: Number, Between: &Range{0, 604800}, Default: 3600,
					Description: "Seconds for which the last good copy stays in use, after refresh, while the list cannot be fetched.",
				},
				{
					Name: "on_failure", Type: String, OneOf: []string{"closed", "open"}, Default: "closed",
					Description: "What to do without a usable copy. closed: refuse every token with 503; open: ignore this list.",
				},
			}},
		},
		{
			Name: "revoked", Group: "revocation", Type: Array,
			Description: "Revoked tokens, listed here. An entry revokes the tokens that match all of its fields.",
			Elements: &Field{Type: Record, Rules: []Rule{atLeastOne{"jti", "iss", "sub", "issued_before"}}, Fields: []Field{
				{Name: "jti", Type: String, Description: "Value of the jti claim."},
				{Name: "iss", Type: String, Description: "Value of the iss claim."},
				{Name: "sub", Type: String, Description: "Value of the sub claim."},
				{
					Name: "issued_before", Type: Number, Between: &Range{1, 99999999999},
					Description: "Time in seconds since 1970. It matches tokens whose iat is earlier, and tokens without iat.",
				},
			}},
		},
		{
			Name: "mtls_binding", Group: "bound", Type: String, Required: true, OneOf: bindings(),
			Default:     string(BindingOff),
			Description: "Whether a token must match the client certificate of the request (RFC 8705). off: no; honour: if the token is bound to a certificate; required: always, and tokens that are not bound are refused.",
		},
		{
			Name: "certificate_header_name", Group: "bound", Type: String,
			Match:       &Pattern{Lua: "^[%w_-]+$", Go: "^[0-9A-Za-z_-]+$"},
			Description: "Header in which a proxy that terminates TLS before Kong sends the client's certificate. In requests from trusted_proxies, only this header counts; in others it is ignored.",
		},
		{
			Name: "certificate_header_format", Group: "bound", Type: String, OneOf: []string{"base64_encoded", "url_encoded"},
			Description: "Format of that header: base64 (of DER or PEM), or percent-encoded PEM.",
		},
		{
			Name: "trusted_proxies", Group: "bound", Type: Set, Elements: &Field{Type: String, MatchAll: address()},
			Default:     []string{},
			Description: "IP addresses and CIDR blocks of the proxies whose certificate_header_name is trusted.",
		},
		{
			Name: "dpop", Group: "bound", Type: String, Required: true, OneOf: bindings(),
			Default:     string(BindingOff),
			Description: "Whether a token needs a proof that the client has the key that the token is bound to (DPoP, RFC 9449). off: no; honour: if the token is bound to a key; required: always, and tokens that are not bound are refused.",
		},
		{
			Name: "dpop_proof_lifetime", Group: "bound", Type: Number, Between: &Range{1, 3600}, Required: true,
			Default:     60,
			Description: "Seconds for which a DPoP proof is valid after it was made. The plugin remembers it for that time, so that it works only once.",
		},
		{
			Name: "dpop_use_nonce", Group: "bound", Type: Boolean, Required: true,
			Default:     false,
			Description: "If true, a proof must contain a nonce that this node gave out no longer than dpop_proof_lifetime ago. A client without one gets one in the refusal. Before it is too old, an accepted request gets the next one.",
		},
		{
			Name: "leeway", Group: "claims", Type: Number, Between: &Range{0, 300}, Required: true,
			Default:     0,
			Description: "Seconds by which clocks may differ when exp, nbf and (in tokens of issuers) iat are checked.",
		},
		{
			Name: "claims_to_headers", Group: "upstream", Type: Array,
			Description: "Claims that the upstream gets in request headers. If the token does not have the claim, the header is removed, so that a client cannot set it.",
			Elements: &Field{Type: Record, Fields: []Field{
				{
					Name: "header", Type: String, Required: true,
					Match: headerName(), MatchNone: reservedHeaders(),
					Description: "Name of the header.",
				},
				{
					Name: "claim", Type: Array, Elements: path(), LenMin: 1, Required: true,
					Description: "Path of the claim. Numbers, booleans and objects become JSON text.",
				},
				{
					Name: "values", Type: String, OneOf: []string{"comma", "repeat"}, Default: "comma",
					Description: "How a list is sent. comma: its values joined by commas in one header; repeat: one header per value.",
				},
			}},
		},
		{
			Name: "hide_credentials", Group: "upstream", Type: Boolean, Required: true,
			Default:     false,
			Description: "If true, the token is removed from the request before it goes to the upstream.",
		},
		{
			Name: "share_token", Group: "upstream", Type: Boolean, Required: true,
			Default:     true,
			Description: "If true, later plugins find the token in kong.ctx.shared.authenticated_jwt_token, as with the bundled plugin. false saves Kong about 10 µs per request.",
		},
		{
			Name: "groups_claim", Group: "upstream", Type: Array, Elements: path(),
			Description: "Path of the claim with the caller's groups (a list or a string), for Kong's ACL plugin.",
		},
		{
			Name: "anonymous_on", Group: "operations", Type: Set, Elements: &Field{Type: String, OneOf: []string{"missing", "invalid"}},
			Default: []string{"missing", "invalid"}, LenMin: 1,
			Description: "Which requests go on as the anonymous consumer. missing: those without a token; invalid: those whose token is refused.",
		},
		{
			Name: "upstream_assertion", Group: "assertion", Type: Record,
			Description: "Signed token (an assertion) that the gateway sends to the upstream, so that a service can verify who called and need not trust headers. If it is not set, no assertion is sent.",
			Fields: []Field{
				{
					Name: "issuer", Type: String, Required: true,
					Description: "Value of the iss claim. If you publish the keys: the gateway's URL, up to /.well-known.",
				},
				{
					Name: "audience", Type: String, Required: true,
					Description: "Value of the aud claim: the service. Give each service its own; otherwise an assertion for one service works at another.",
				},
				{
					Name: "header", Type: String, Match: headerName(), MatchNone: reservedHeaders(),
					Default:     "X-Kong-Jwt-Assertion",
					Description: "Request header that contains the assertion. Clients cannot set it, as with the identity headers.",
				},
				{
					Name: "ttl", Type: Integer, Between: &Range{1, 300}, Required: true,
					Default:     60,
					Description: "Seconds until an assertion expires. A service gets it with at least half of this time left.",
				},
				{
					Name: "keys", Type: Array, LenMin: 1, Required: true,
					Elements:    &Field{Type: String, MatchAll: privatePEM(), Referenceable: true, Encrypted: true},
					Description: "Private keys (PEM: PKCS #8, SEC 1 or PKCS #1). The first key signs and must fit algorithm. The public parts of all keys are published, so that services know a new key before it signs.",
				},
				{
					Name: "algorithm", Type: String, OneOf: []string{"ES256", "EdDSA", "RS256"},
					Default:     "ES256",
					Description: "Algorithm of the signature. Signing with RS256 takes many times as long as with the others.",
				},
				{
					Name: "claims", Type: Array, Elements: &Field{Type: Array, Elements: path(), LenMin: 1},
					Default:     []string{},
					Description: "Paths of claims to copy from the caller's token, to the same path.",
				},
				{
					Name: "bind", Type: Boolean, Required: true,
					Default:     false,
					Description: "If true, the assertion contains the method and path of the request, so that it is valid for no other request. Each request then needs its own signature.",
				},
			},
		},
		{
			Name: "resource_metadata", Group: "discovery", Type: Record,
			Description: "Tells clients where to log in (RFC 9728): in a document that the plugin serves, and in WWW-Authenticate, which has the document's URL.",
			Fields: []Field{
				{
					Name: "resource", Type: String, Required: true,
					Match:       &Pattern{Lua: `^https?://[^/?#@%s]+[^#%s]*$`, Go: `^https?://[^/?#@\s]+[^#\s]*$`},
					Description: "URL of the protected service, as clients know it, without a fragment. Example: https://api.example.com/mcp.",
				},
				{
					Name: "authorization_servers", Type: Set, Elements: &Field{Type: String, Match: httpURL()},
					Default:     []string{},
					Description: "Issuers of tokens for the service. Empty: those in issuers.",
				},
				{
					Name: "scopes_supported", Type: Set, Elements: &Field{Type: String},
					Default:     []string{},
					Description: "Scopes that a client may need. Empty: those in scopes_required.",
				},
				{Name: "resource_name", Type: String, Description: "Name of the service, to show to users."},
				{Name: "resource_documentation", Type: String, Match: httpURL(), Description: "URL of the service's documentation for developers."},
				{Name: "resource_policy_uri", Type: String, Match: httpURL(), Description: "URL of the policy on how clients may use the service's data."},
				{Name: "resource_tos_uri", Type: String, Match: httpURL(), Description: "URL of the terms of service."},
			},
		},
		{
			Name: "publish_keys", Group: "assertion", Type: Boolean, Required: true,
			Default:     false,
			Description: "If true, the plugin itself answers GET /.well-known/jwks.json with the public keys of upstream_assertion, and /.well-known/openid-configuration with their URL. No token is needed. Use it on a separate route without a service.",
		},
		{
			Name: "shadow", Group: "operations", Type: Boolean, Required: true,
			Default:     false,
			Description: "If true, no request is refused: refusals are only logged, and requests with a valid token get their identity headers. Use it to compare plugins on live traffic. It protects nothing.",
		},
		{
			Name: "log_serialize", Group: "operations", Type: Boolean, Required: true,
			Default:     false,
			Description: "If true, the entries of Kong's logging plugins get a field go_jwt, with the consumer, credential and issuer, and the reason of a refusal.",
		},
		{
			Name: "log_claims", Group: "operations", Type: Array, Elements: &Field{Type: Array, Elements: path(), LenMin: 1},
			Description: "Paths of claims that this field contains too, as text, if the token's signature was verified; at most 2048 bytes per request. It has no effect without log_serialize.",
		},
	}
}
