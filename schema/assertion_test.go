package schema_test

import (
	"reflect"
	"testing"

	"kong-go-jwt/schema"
)

// pem is what a private key looks like to who cannot read it.
const pem = "-----BEGIN EC PRIVATE KEY-----"

func TestParseAssertion(t *testing.T) {
	got, fault := parse(t, `{"upstream_assertion":{"issuer":"https://gw","audience":"a","keys":["`+pem+`"],"$refs":{"keys":["{vault://env/k}"]}}}`)
	want := &schema.UpstreamAssertion{
		Issuer: "https://gw", Audience: "a", Header: "X-Kong-Jwt-Assertion", TTL: 60, Keys: []string{pem}, Algorithm: "ES256", Claims: [][]string{},
	}
	if fault != "" || !reflect.DeepEqual(got.UpstreamAssertion, want) {
		t.Errorf("got %+v, %q; want %+v", got, fault, want)
	}
	got, fault = parse(t, `{"publish_keys":true,"upstream_assertion":{"issuer":"gw","audience":"a","header":"X-Who","ttl":300,
		"keys":["`+pem+`","before `+pem+`"],"algorithm":"EdDSA","claims":[["email"],["a","b"]],"bind":true}}`)
	want = &schema.UpstreamAssertion{
		Issuer: "gw", Audience: "a", Header: "X-Who", TTL: 300, Keys: []string{pem, "before " + pem}, Algorithm: "EdDSA",
		Claims: [][]string{{"email"}, {"a", "b"}}, Bind: true,
	}
	if fault != "" || !got.PublishKeys || !reflect.DeepEqual(got.UpstreamAssertion, want) {
		t.Errorf("got %+v, %q; want %+v", got, fault, want)
	}
}

func TestParseNamesWhatIsWrongWithAnAssertion(t *testing.T) {
	const path = "config.upstream_assertion"
	with := func(more string) string {
		return `{"upstream_assertion":{"issuer":"i","audience":"a","keys":["` + pem + `"]` + more + `}}`
	}
	for config, want := range map[string]string{
		`{"upstream_assertion":{"audience":"a","keys":["` + pem + `"]}}`:                         path + ".issuer: required field missing",
		`{"upstream_assertion":{"issuer":"i","keys":["` + pem + `"]}}`:                           path + ".audience: required field missing",
		`{"upstream_assertion":{"issuer":"i","audience":"a"}}`:                                   path + ".keys: required field missing",
		`{"upstream_assertion":{"issuer":"i","audience":"a","keys":["` + pem + `"],"ttl":"60"}}`: path + ".ttl: expected an integer",
		`{"upstream_assertion":{"issuer":"i","audience":"a","keys":[]}}`:                         path + ".keys: length must be at least 1",
		`{"upstream_assertion":{"issuer":"i","audience":"a","keys":[""]}}`:                       path + ".keys[1]: length must be at least 1",
		`{"upstream_assertion":{"issuer":"i","audience":"a","keys":["/key.pem"]}}`:               path + ".keys[1]: is not a PEM private key",
		with(`,"ttl":301`):                    path + ".ttl: value should be between 1 and 300",
		with(`,"ttl":0`):                      path + ".ttl: value should be between 1 and 300",
		with(`,"ttl":1.5`):                    path + ".ttl: expected an integer",
		with(`,"algorithm":"HS256"`):          path + ".algorithm: expected one of: ES256, EdDSA, RS256",
		with(`,"header":"X_Consumer-Id"`):     path + ".header: this header is reserved",
		with(`,"header":"Authorization"`):     path + ".header: this header is reserved",
		with(`,"claims":[["email"],["exp"]]`): path + `.claims[2]: "exp" is set by the gateway`,
		with(`,"claims":[["username","x"]]`):  path + `.claims[1]: "username" is set by the gateway`,
		with(`,"claims":[[]]`):                path + ".claims[1]: length must be at least 1",
		with(`,"mint":true`):                  path + `: unknown field "mint"`,
		`{"publish_keys":true}`:               "config.upstream_assertion.issuer: required field missing (needed with publish_keys)",
		`{"claims_to_headers":[{"header":"X_Kong_Jwt-Assertion","claim":["sub"]}],"upstream_assertion":{"issuer":"i","audience":"a","keys":["` + pem + `"]}}`: path + ".header: claims_to_headers has the same header",
	} {
		t.Run(config, func(t *testing.T) {
			if _, got := parse(t, config); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}
