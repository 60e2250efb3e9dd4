package schema_test

import (
	"testing"

	"kong-go-jwt/schema"
)

func TestWarnings(t *testing.T) {
	const issued = `"issuers":[{"issuer":"https://a"}]`
	for config, want := range map[string]string{
		`{"claims_to_verify":["exp"]}`: "",
		`{` + issued + `}`:             "",
		`{}`:                           "config.claims_to_verify: does not contain exp: tokens never expire",
		`{"claims_to_verify":["nbf"]}`: "config.claims_to_verify: does not contain exp: tokens never expire",
		`{"maximum_expiration":60}`:    "config.maximum_expiration: exp is not in claims_to_verify: tokens that have expired are accepted",
		`{"claims_to_verify":["exp"],"cookie_names":["c"],"header_names":[]}`:                                                                        "",
		`{"claims_to_verify":["exp"],"uri_param_names":[],"header_names":[]}`:                                                                        "config.header_names: no token can be found: uri_param_names and cookie_names are empty too",
		`{"claims_to_verify":["exp"],"certificate_header_name":"C","certificate_header_format":"url_encoded","trusted_proxies":["::1"]}`:             "config.certificate_header_name: has no effect while mtls_binding is off",
		`{"claims_to_verify":["exp"],"log_claims":[["sub"]]}`:                                                                                        "config.log_claims: nothing is logged without log_serialize",
		`{"claims_to_verify":["exp"],"upstream_assertion":{"issuer":"i","audience":"a","keys":["-----BEGIN PRIVATE KEY-----"],"algorithm":"RS256"}}`: "config.upstream_assertion.algorithm: RS256 takes many times as long to sign as ES256 and EdDSA",
		`{"claims_to_verify":["exp"],"anonymous_on":["missing"]}`:                                                                                    "config.anonymous_on: has no effect without anonymous",
		`{"claims_to_verify":["exp"],` + issued + `,"credentials":[{"key":"https://a","secret":"s","consumer":"c"}]}`:                                "config.credentials[1].key: is never used: issuers has an issuer with the same name",
		`{"claims_to_verify":["exp"],"dpop":"required","cookie_names":["c"],"header_names":[]}`:                                                      "config.dpop: no token is accepted: one that is bound to a key must be in a header, and header_names is empty",
		`{"claims_to_verify":["exp"],"dpop":"required","header_names":["x-token"]}`:                                                                  "",
		`{"claims_to_verify":["exp"],"dpop":"honour","cookie_names":["c"],"header_names":[]}`:                                                        "",
		`{` + issued + `,"resource_metadata":{"resource":"https://b"},"header_names":["X-Token"]}`:                                                   "config.resource_metadata: clients that log in because of it send the token in Authorization, which is not in header_names",
		`{` + issued + `,"resource_metadata":{"resource":"https://b"},"header_names":["X-Token","Authorization"]}`:                                   "",
		`{"claims_to_verify":["exp"],"key_claim_name":"kid",` + issued + `,"credentials":[{"key":"https://a","secret":"s","consumer":"c"}]}`:         "",
	} {
		t.Run(config, func(t *testing.T) {
			c, err := schema.Parse([]byte(config))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, w := range c.Warnings() {
				got += w.Error()
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// What Kong refuses before the plugin sees it.
func TestCheckRefusesWhatKongDoes(t *testing.T) {
	for name, tt := range map[string]struct {
		config map[string]any
		want   string
	}{
		"unknown option":   {map[string]any{"ttl_cache": 5}, `config: unknown field "ttl_cache"`},
		"null":             {map[string]any{"run_on_preflight": nil}, "config.run_on_preflight: required field missing"},
		"null, not needed": {map[string]any{"anonymous": nil}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if _, err := schema.Check(tt.config); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
