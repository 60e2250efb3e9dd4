package kong_test

import (
	"strings"
	"testing"

	"kong-go-jwt/kong"
	"kong-go-jwt/schema"
)

// What a configuration makes the plugin ask Kong for, beyond the nginx variable and without it.
func TestReads(t *testing.T) {
	const (
		assertion = `"upstream_assertion":{"issuer":"https://gw","audience":"a","keys":["-----BEGIN PRIVATE KEY-----"]`
		metadata  = `"resource_metadata":{"resource":"https://a","authorization_servers":["https://b"]}`
		proxy     = `"certificate_header_name":"C","certificate_header_format":"url_encoded","trusted_proxies":["::1"]`
	)
	for config, want := range map[string]struct {
		asked           string
		variable, plain int
	}{
		``:                      {"headers, query", 1, 2},
		`"guard_headers":true`:  {"headers, query", 1, 2},
		`"guard_headers":false`: {"authorization, query", 1, 2},
		`"guard_headers":false,"uri_param_names":[]`:                   {"authorization", 1, 1},
		`"guard_headers":false,"uri_param_names":[],"header_names":[]`: {"", 1, 0},
		`"guard_headers":false,"cookie_names":["c"]`:                   {"headers, query", 1, 2},
		`"guard_headers":false,"header_names":["X-Token"]`:             {"headers, query", 1, 2},
		`"guard_headers":false,"header_names":["AUTHORIZATION"]`:       {"authorization, query", 1, 2},
		`"guard_headers":false,"header_names":[],"cookie_names":["c"]`: {"headers, query", 1, 2},
		`"guard_headers":false,"mtls_binding":"honour",` + proxy:       {"headers, query, certificate, peer", 4, 4},
		`"guard_headers":false,"mtls_binding":"honour"`:                {"authorization, query, certificate", 2, 3},
		`"guard_headers":false,"dpop":"honour"`:                        {"headers, query, method, target, proof", 7, 8},
		`"run_on_preflight":false`:                                     {"headers, query, method, credential", 2, 4},
		`"anonymous":"guest"`:                                          {"headers, query, credential", 2, 3},
		`"shadow":true`:                                                {"headers, query, credential", 2, 3},
		`"publish_keys":true,` + assertion + `}`:                       {"headers, query, method, target", 2, 4},
		metadata:                                                       {"headers, query, method, target", 2, 4},
		assertion + `}`:                                                {"headers, query", 1, 2},
		assertion + `,"bind":true}`:                                    {"headers, query, method, upstream path", 2, 4},
	} {
		t.Run(config, func(t *testing.T) {
			c, err := schema.Parse([]byte("{" + strings.TrimPrefix(config, ",") + "}"))
			if err != nil {
				t.Fatal(err)
			}
			if got := kong.Asked(c); got != want.asked {
				t.Errorf("asked for %s\nwant %s", got, want.asked)
			}
			if variable, plain := kong.Calls(c); variable != want.variable || plain != want.plain {
				t.Errorf("%d calls beside the variable, %d without it; want %d, %d", variable, plain, want.variable, want.plain)
			}
		})
	}
}
