package schema_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"kong-go-jwt/schema"
)

func parse(t *testing.T, config string) (*schema.Config, string) {
	t.Helper()
	c, err := schema.Parse([]byte(config))
	if err != nil {
		return nil, err.Error()
	}
	return c, ""
}

func defaults() *schema.Config {
	return &schema.Config{
		URIParamNames:  []string{"jwt"},
		CookieNames:    []string{},
		HeaderNames:    []string{"authorization"},
		KeyClaimName:   "iss",
		RunOnPreflight: true,
		GuardHeaders:   true,
		ShareToken:     true,
		CacheTTL:       300,

		AudienceRequired: []string{},
		IssuersAllowed:   []string{},
		ClaimsForbidden:  []string{},
		ScopesRequired:   []string{},
		ScopesClaim:      []string{"scope"},
		AnonymousOn:      []string{"missing", "invalid"},
		MTLSBinding:      "off",
		TrustedProxies:   []string{},

		DPoP: "off", DPoPProofLifetime: 60,
	}
}

func TestParseFillsInDefaults(t *testing.T) {
	for name, config := range map[string]string{
		"empty":           `{}`,
		"null":            `{"uri_param_names":null,"anonymous":null,"run_on_preflight":null,"credentials":null}`,
		"Kong's own keys": `{"__seq__":5,"__plugin_id":"x","__key__":"k","__ws_id":"w","route_id":"r","service_id":"s","$refs":{}}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, fault := parse(t, config)
			if want := defaults(); fault != "" || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %q; want %+v", got, fault, want)
			}
		})
	}
}

func TestParseTakesEveryField(t *testing.T) {
	got, fault := parse(t, `{
		"uri_param_names":["a","b"],"cookie_names":["c"],"header_names":{},"key_claim_name":"kid","secret_is_base64":true,
		"claims_to_verify":["exp","nbf","exp"],"maximum_expiration":60,"anonymous":"guest","run_on_preflight":false,"realm":"r",
		"guard_headers":false,"cache_ttl":0,
		"credentials":[{"key":"k","secret":"s","consumer":"c"},{"key":"l","algorithm":"RS256","public_key":"-----BEGIN PUBLIC KEY-----","consumer":"d"}],
		"issuers":[{"issuer":"https://a"},{"issuer":"b","jwks_uri":"https://b/keys","algorithms":["ES256"],"audience":["x"],
			"consumer_claim":["a","b"],"consumer_by":"custom_id","consumer_optional":true,"type":"at+jwt","credential_claim":["azp"],"credential_prefix_issuer":true},
			{"issuer":"https://{tenant}.c","tenants":["t"],"jwks":"{}","consumer_claims":[["a","b"],["c"]]}],
		"audience_required":["x"],"issuers_allowed":["y"],"scopes_required":["r w","a"],"scopes_claim":["scp"],
		"claims_required":[{"claim":["role"],"value":"admin"}],"claims_forbidden":["nonce"],"revocations":[{"url":"https://r"}],"revoked":[{"iss":"i","issued_before":9}],"leeway":5,"claims_to_headers":[{"header":"X-User","claim":["sub"]}],
		"hide_credentials":true,"share_token":false,"groups_claim":["groups"],"anonymous_on":["missing"],"shadow":true,"log_serialize":true,
		"mtls_binding":"honour","certificate_header_name":"Client-Cert","certificate_header_format":"base64_encoded","trusted_proxies":["10.0.0.0/8","::1"],
		"dpop":"required","dpop_proof_lifetime":30,"dpop_use_nonce":true}`)
	want := &schema.Config{
		URIParamNames: []string{"a", "b"}, CookieNames: []string{"c"}, HeaderNames: []string{}, KeyClaimName: "kid", SecretIsBase64: true,
		ClaimsToVerify: []string{"exp", "nbf"}, MaximumExpiration: 60, Anonymous: "guest", Realm: "r",
		Credentials: []schema.Credential{
			{Key: "k", Algorithm: "HS256", Secret: "s", Consumer: "c"},
			{Key: "l", Algorithm: "RS256", PublicKey: "-----BEGIN PUBLIC KEY-----", Consumer: "d"},
		},
		Issuers: []schema.Issuer{
			{Issuer: "https://a", Tenants: []string{}, Algorithms: []string{"RS256"}, Audience: []string{}, ConsumerClaim: []string{"sub"}, ConsumerBy: "username", CredentialClaim: []string{"sub"}},
			{
				Issuer: "b", Tenants: []string{}, JWKSURI: "https://b/keys", Algorithms: []string{"ES256"}, Audience: []string{"x"},
				ConsumerClaim: []string{"a", "b"}, ConsumerBy: "custom_id", ConsumerOptional: true, Type: "at+jwt", CredentialClaim: []string{"azp"}, CredentialPrefix: true,
			},
			{
				Issuer: "https://{tenant}.c", Tenants: []string{"t"}, JWKS: "{}", Algorithms: []string{"RS256"}, Audience: []string{},
				ConsumerClaim: []string{"sub"}, ConsumerClaims: [][]string{{"a", "b"}, {"c"}}, ConsumerBy: "username", CredentialClaim: []string{"sub"},
			},
		},
		AudienceRequired: []string{"x"}, IssuersAllowed: []string{"y"}, ScopesRequired: []string{"r w", "a"}, ScopesClaim: []string{"scp"},
		ClaimsRequired:  []schema.ClaimRule{{Claim: []string{"role"}, Value: "admin", Match: "equals"}},
		ClaimsForbidden: []string{"nonce"},
		Revocations:     []schema.Revocation{{URL: "https://r", Refresh: 60, Stale: 3600, OnFailure: "closed"}},
		Revoked:         []schema.Revoked{{Issuer: "i", IssuedBefore: 9}},
		ClaimsToHeaders: []schema.ClaimHeader{{Header: "X-User", Claim: []string{"sub"}, Values: "comma"}},
		Leeway:          5, HideCredentials: true, GroupsClaim: []string{"groups"}, AnonymousOn: []string{"missing"}, Shadow: true, LogSerialize: true,
		MTLSBinding: "honour", CertificateHeaderName: "Client-Cert", CertificateHeaderFormat: "base64_encoded", TrustedProxies: []string{"10.0.0.0/8", "::1"},
		DPoP: "required", DPoPProofLifetime: 30, DPoPUseNonce: true,
	}
	if fault != "" || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %q; want %+v", got, fault, want)
	}
}

func TestParseNamesTheFieldAtFault(t *testing.T) {
	for config, want := range map[string]string{
		`{"cache_ttl":3601}`:                                   "config.cache_ttl: value should be between 0 and 3600",
		`{"cache_ttl":"300"}`:                                  "config.cache_ttl: expected a number",
		`{"maximum_expiration":-1}`:                            "config.maximum_expiration: value should be between 0 and 31536000",
		`{"maximum_expiration":60,"claims_to_verify":["nbf"]}`: "config.claims_to_verify: expected to contain: exp (needed with maximum_expiration)",
		`{"claims_to_verify":["iat"]}`:                         "config.claims_to_verify[1]: expected one of: exp, nbf",
		`{"uri_param_names":"jwt"}`:                            "config.uri_param_names: expected a set",
		`{"uri_param_names":{"a":"b"}}`:                        "config.uri_param_names: expected a set",
		`{"cookie_names":["a",""]}`:                            "config.cookie_names[2]: length must be at least 1",
		`{"mtls_binding":""}`:                                  "config.mtls_binding: expected one of: off, honour, required",
		`{"credentials":"a"}`:                                  "config.credentials: expected an array",
		`{"anonymous":""}`:                                     "config.anonymous: length must be at least 1",
		`{"realm":5}`:                                          "config.realm: expected a string",
		`{"secret_is_base64":"yes"}`:                           "config.secret_is_base64: expected a boolean",
		`{"credentials":[1]}`:                                  "config.credentials[1]: expected a record",
		`{"credentials":[{"key":"k"}]}`:                        "config.credentials[1].consumer: required field missing",
		`{"credentials":[{"k":"k"}]}`:                          `config.credentials[1]: unknown field "k"`,
		`{"credentials":[{"key":"k","consumer":"c"}]}`:         "config.credentials[1].secret: required field missing (needed with algorithm HS256)",
		`{"credentials":[{"key":"k","consumer":"c","algorithm":"ES256"}]}`:                                  "config.credentials[1].public_key: required field missing (needed with algorithm ES256)",
		`{"credentials":[{"key":"k","consumer":"c","algorithm":"none"}]}`:                                   "config.credentials[1].algorithm: expected one of: " + strings.Join(schema.Algorithms(), ", "),
		`{"credentials":[{"key":"k","consumer":"c","secret":"s"},{"key":"k","consumer":"c","secret":"s"}]}`: "config.credentials[2]: the same credential is listed twice",
		`{"credentials":[{"key":"k","consumer":"c","secret":"s"},{"key":"k","consumer":"d","secret":"t"}]}`: "config.credentials[2].consumer: another credential with the same key belongs to another consumer",
		`{"credentials":[{"key":"k","consumer":"c","secret":"1"},{"key":"k","consumer":"c","secret":"2"},{"key":"k","consumer":"c","secret":"3"},{"key":"k","consumer":"c","secret":"4"},{"key":"k","consumer":"c","secret":"5"}]}`: "config.credentials[5].key: more than 4 credentials have the same key",
		`{"issuers":[{"issuer":"a"}]}`:                                                               "config.issuers[1].issuer: must be an https URL, unless jwks_uri or jwks is set",
		`{"issuers":[{"issuer":"https://a/#","credential_prefix_issuer":true}]}`:                     "config.issuers[1].issuer: invalid value: must not match # (needed with credential_prefix_issuer)",
		`{"issuers":[{"issuer":"https:///a"}]}`:                                                      "config.issuers[1].issuer: must be an https URL, unless jwks_uri or jwks is set",
		`{"issuers":[{"issuer":"ftp://a"}]}`:                                                         "config.issuers[1].issuer: must be an https URL, unless jwks_uri or jwks is set",
		`{"issuers":[{"issuer":"a","jwks_uri":"https://a","jwks":"{}"}]}`:                            "config.issuers[1].jwks_uri: must not be set together with jwks",
		`{"issuers":[{"issuer":"https://a/{tenant}"}]}`:                                              "config.issuers[1].tenants: required field missing (needed with {tenant} in issuer)",
		`{"issuers":[{"issuer":"https://a","tenants":["t"]}]}`:                                       "config.issuers[1].issuer: invalid value: must match {tenant} (needed with tenants)",
		`{"issuers":[{"issuer":"https://a/{tenant}","tenants":["a/b"]}]}`:                            "config.issuers[1].tenants[1]: invalid value: must match ^[0-9A-Za-z._-]+$",
		`{"issuers":[{"issuer":"https://a/t"},{"issuer":"https://a/{tenant}","tenants":["s","t"]}]}`: "config.issuers[2].issuer: another issuer has the same name",
		`{"issuers":[{"issuer":"https://a","consumer_claims":[[]]}]}`:                                "config.issuers[1].consumer_claims[1]: length must be at least 1",
		`{"issuers":[{"issuer":"https://u:p@a"}]}`:                                                   "config.issuers[1].issuer: must not contain a user name or password",
		`{"issuers":[{"issuer":"a","jwks_uri":"https://u@a"}]}`:                                      "config.issuers[1].jwks_uri: must not contain a user name or password",
		`{"issuers":[{"issuer":"https://a"},{"issuer":"https://a"}]}`:                                "config.issuers[2].issuer: another issuer has the same name",
		`{"issuers":[{"issuer":"https://a","algorithms":["HS256"]}]}`:                                "config.issuers[1].algorithms[1]: expected one of: " + strings.Join(schema.AsymmetricAlgorithms(), ", "),
		`{"issuers":[{"issuer":"https://a","algorithms":[]}]}`:                                       "config.issuers[1].algorithms: length must be at least 1",
		`{"issuers":[{"issuer":"https://a","jwks_uri":"file:///x"}]}`:                                "config.issuers[1].jwks_uri: invalid value: must match ^https?://",
		`{"issuers":[{"issuer":"https://a","consumer_by":"email"}]}`:                                 "config.issuers[1].consumer_by: expected one of: username, custom_id, id",
		`{"claims_to_headers":[{"header":"X Y","claim":["a"]}]}`:                                     "config.claims_to_headers[1].header: invalid value: must match ^[0-9A-Za-z!#$%&'*+.^_`|~-]+$",
		`{"claims_to_headers":[{"header":"x_consumer_id","claim":["a"]}]}`:                           "config.claims_to_headers[1].header: this header is reserved",
		`{"claims_to_headers":[{"header":"Host","claim":["a"]}]}`:                                    "config.claims_to_headers[1].header: this header is reserved",
		`{"claims_to_headers":[{"header":"X","claim":["a"]},{"header":"x","claim":["b"]}]}`:          "config.claims_to_headers[2].header: another claim goes into the same header",
		`{"claims_to_headers":[{"header":"X","claim":[]}]}`:                                          "config.claims_to_headers[1].claim: length must be at least 1",
		`{"claims_required":[{"claim":["a"]}]}`:                                                      "config.claims_required[1].value: required field missing",
		`{"resource_metadata":{"resource":"https://a"}}`:                                             "config.resource_metadata.authorization_servers: required field missing (needed without issuers)",
		`{"resource_metadata":{"authorization_servers":["https://a"]}}`:                              "config.resource_metadata.resource: required field missing",
		`{"resource_metadata":{"resource":"https://a/#f","authorization_servers":["https://a"]}}`:    `config.resource_metadata.resource: invalid value: must match ^https?://[^/?#@\s]+[^#\s]*$`,
		`{"resource_metadata":{"resource":"https://a/b c","authorization_servers":["https://a"]}}`:   `config.resource_metadata.resource: invalid value: must match ^https?://[^/?#@\s]+[^#\s]*$`,
		`{"resource_metadata":{"resource":"https://a:b","authorization_servers":["https://a"]}}`:     "config.resource_metadata.resource: is not a URL",
		`{"revoked":[{"jti":"1"},{}]}`:                                                               "config.revoked[2]: must have at least one of jti, iss, sub and issued_before",
		`{"revoked":[{"aud":"a"}]}`:                                                                  `config.revoked[1]: unknown field "aud"`,
		`{"revocations":[{"refresh":5}]}`:                                                            "config.revocations[1].url: required field missing",
		`{"revocations":[{"url":"ftp://a"}]}`:                                                        "config.revocations[1].url: invalid value: must match ^https?://[^/?#]",
		`{"revocations":[{"url":"https://a","on_failure":"ignore"}]}`:                                "config.revocations[1].on_failure: expected one of: closed, open",
		`{"revocations":[{"url":"https://"}]}`:                                                       "config.revocations[1].url: invalid value: must match ^https?://[^/?#]",
		`{"revocations":[{"url":"https://u:p@a"}]}`:                                                  "config.revocations[1].url: must not contain a user name or password",
		`{"credentials":[{"key":"k","consumer":"c","algorithm":"ES256","public_key":"/key.pem"}]}`:   "config.credentials[1].public_key: not a PEM public key",
		`{"issuers":[{"issuer":"a","jwks":"https://a/keys"}]}`:                                       "config.issuers[1].jwks: key set: is not a JSON object",
		`{"claims_to_headers":[{"header":"X-FORWARDED_For","claim":["a"]}]}`:                         "config.claims_to_headers[1].header: this header is reserved",
		`{"leeway":301}`:                    "config.leeway: value should be between 0 and 300",
		`{"anonymous_on":[]}`:               "config.anonymous_on: length must be at least 1",
		`{"scopes_required":["read","  "]}`: "config.scopes_required[2]: invalid value: must match \\S",
		`{"scopes_claim":[]}`:               "config.scopes_claim: length must be at least 1",
	} {
		t.Run(config, func(t *testing.T) {
			if _, got := parse(t, config); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			_, err := schema.Parse([]byte(config))
			if fields, others := schema.FieldErrors(err); len(fields) != 1 || others != nil {
				t.Errorf("go-jwt check finds no line for it: %v, %v", fields, others)
			}
		})
	}
}

// As in the bundled plugin, whose entity check passes a set that is not there:
// such a token is refused later if it has no exp.
func TestParseTakesMaximumExpirationAlone(t *testing.T) {
	if _, fault := parse(t, `{"maximum_expiration":60}`); fault != "" {
		t.Error(fault)
	}
}

// A name that is an address tells where the keys are, over http too.
func TestParseTakesIssuersByAddress(t *testing.T) {
	for _, issuer := range []string{"https://a", "http://a"} {
		if _, fault := parse(t, `{"issuers":[{"issuer":"`+issuer+`"}]}`); fault != "" {
			t.Errorf("%s: %s", issuer, fault)
		}
	}
}

func TestIssuerPerTenant(t *testing.T) {
	template := schema.Issuer{Issuer: "https://login/{tenant}/v2", JWKSURI: "https://login/{tenant}/keys", Tenants: []string{"a", "b"}, Type: "at+jwt"}
	want := []schema.Issuer{
		{Issuer: "https://login/a/v2", JWKSURI: "https://login/a/keys", Type: "at+jwt"},
		{Issuer: "https://login/b/v2", JWKSURI: "https://login/b/keys", Type: "at+jwt"},
	}
	if got := template.PerTenant(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := want[0].PerTenant(); !reflect.DeepEqual(got, want[:1]) {
		t.Errorf("without tenants: %+v", got)
	}
}

func TestParseToldNoValue(t *testing.T) {
	if _, got := parse(t, `{"credentials":[{"key":"k","consumer":"c","secret":["hidden"]}]}`); strings.Contains(got, "hidden") {
		t.Errorf("error tells a secret: %s", got)
	}
}

// Every row of the table must reach the Config, and nothing else may be in it.
func TestConfigHasTheFieldsOfTheTable(t *testing.T) {
	compare(t, "config", schema.Fields(), reflect.TypeFor[schema.Config]())
}

func compare(t *testing.T, path string, fields []schema.Field, in reflect.Type) {
	t.Helper()
	inTable := map[string]bool{}
	for _, f := range fields {
		inTable[f.Name] = true
		if f.Elements != nil && f.Elements.Fields != nil {
			sf, _ := byTag(in, f.Name)
			compare(t, path+"."+f.Name, f.Elements.Fields, sf.Type.Elem())
		}
		if f.Fields != nil {
			sf, _ := byTag(in, f.Name)
			compare(t, path+"."+f.Name, f.Fields, sf.Type.Elem())
		}
		if _, ok := byTag(in, f.Name); !ok {
			t.Errorf("%s.%s is in the table only", path, f.Name)
		}
	}
	for i := range in.NumField() {
		if name := in.Field(i).Tag.Get("json"); !inTable[name] {
			t.Errorf("%s.%s is in the struct only", path, name)
		}
	}
}

func byTag(in reflect.Type, tag string) (reflect.StructField, bool) {
	return in.FieldByNameFunc(func(name string) bool {
		f, _ := in.FieldByName(name)
		return f.Tag.Get("json") == tag
	})
}

// Kong does not start with a shorter description, nor a longer one.
func TestKongTakesTheDescriptions(t *testing.T) {
	text, err := json.Marshal(schema.Kong())
	if err != nil {
		t.Fatal(err)
	}
	var in any
	if err := json.Unmarshal(text, &in); err != nil {
		t.Fatal(err)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if d, ok := v["description"].(string); ok && (len(d) < 10 || len(d) > 500) {
				t.Errorf("description %q has %d characters", d, len(d))
			}
			for _, e := range v {
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(in)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"claims_to_verify":["exp"],"maximum_expiration":60,"credentials":[{"key":"k","secret":"s","consumer":"c"}]}`))
	f.Add([]byte(`{"cookie_names":{},"credentials":[[]]}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		c, err := schema.Parse(config)
		if (c == nil) == (err == nil) {
			t.Fatalf("got %v and %v", c, err)
		}
		if err != nil {
			return
		}
		// What was accepted is accepted again, as it is.
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		text = []byte(strings.NewReplacer(`"anonymous":""`, `"anonymous":null`, `"realm":""`, `"realm":null`,
			`"secret":""`, `"secret":null`, `"public_key":""`, `"public_key":null`, `"jwks_uri":""`, `"jwks_uri":null`, `"type":""`, `"type":null`,
			`"certificate_header_name":""`, `"certificate_header_name":null`, `"certificate_header_format":""`, `"certificate_header_format":null`).Replace(string(text)))
		again, err := schema.Parse(text)
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%s: got %+v, %v; want %+v", text, again, err, c)
		}
	})
}
