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

// Fields is the table of all configuration fields, in the order in which they
// are documented. Fields that Kong's bundled jwt plugin has too carry its
// names, types, defaults and meaning (kong/plugins/jwt/schema.lua, 3.9.3).
func Fields() []Field {
	return []Field{
		{
			Name: "uri_param_names", Type: Set, Elements: &Field{Type: String},
			Default:     []string{"jwt"},
			Description: "Names of the query parameters in which to look for a token.",
		},
		{
			Name: "cookie_names", Type: Set, Elements: &Field{Type: String},
			Default:     []string{},
			Description: "Names of the cookies in which to look for a token.",
		},
		{
			Name: "header_names", Type: Set, Elements: &Field{Type: String},
			Default:     []string{"authorization"},
			Description: "Names of the request headers in which to look for a token. The token must follow the word Bearer.",
		},
		{
			Name: "key_claim_name", Type: String,
			Default:     "iss",
			Description: "Name of the claim that holds the key of the credential. It is looked for among the claims, then in the token's header.",
		},
		{
			Name: "secret_is_base64", Type: Boolean, Required: true,
			Default:     false,
			Description: "Whether the secrets of HS256, HS384 and HS512 credentials are base64 (either alphabet) and must be decoded before use.",
		},
		{
			Name: "claims_to_verify", Type: Set, Elements: &Field{Type: String, OneOf: []string{"exp", "nbf"}},
			Description: "Registered claims that a token must have and that are held against the clock: exp, nbf or both.",
		},
		{
			Name: "maximum_expiration", Type: Number, Between: &Range{0, 31536000},
			Default:     0,
			Description: "Longest time, in seconds, that a token's exp may lie in the future; 0 for no limit. It needs exp among claims_to_verify.",
		},
		{
			Name: "anonymous", Type: String,
			Description: "Consumer (id or username) as which a request goes on when authentication fails. Without it such a request is refused.",
		},
		{
			Name: "run_on_preflight", Type: Boolean, Required: true,
			Default:     true,
			Description: "Whether OPTIONS requests must authenticate too. Set it to false to let CORS preflight requests through.",
		},
		{
			Name: "realm", Type: String,
			Description: "Value of the realm parameter of the WWW-Authenticate header of a refusal.",
		},
		{
			Name: "guard_headers", Type: Boolean, Required: true,
			Default:     true,
			Description: "Whether to close two ways of forging identity headers: a request whose Connection header names one of them is refused with 400, and spellings with underscores (X_Consumer_ID) are removed.",
		},
		{
			Name: "cache_ttl", Type: Number, Between: &Range{0, 3600}, Required: true,
			Default:     300,
			Description: "Longest time, in seconds, for which an accepted token is remembered, so that its signature is not verified on each request; 0 turns that off. A token is never accepted beyond its exp, and revocation is bounded by the credential cache, not by this time.",
		},
		{
			Name: "credentials", Type: Array,
			Description: "Credentials kept here instead of in jwt_secrets, for places without an Admin API such as hybrid data planes. They are looked at before jwt_secrets.",
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
	}
}

// Conditionals are the checks across fields, as in the bundled plugin.
func Conditionals() []Conditional {
	return []Conditional{{If: "maximum_expiration", Then: "claims_to_verify", Contains: "exp"}}
}
