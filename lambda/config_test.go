package main

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"kong-go-jwt/schema"
)

// needKong are the fields that are refused, each with a value that is not its default.
func needKong() map[string]any {
	return map[string]any{
		"anonymous":                 "guest",
		"anonymous_on":              []any{"missing"},
		"certificate_header_format": "url_encoded",
		"certificate_header_name":   "X-Client-Cert",
		"dpop":                      "required",
		"dpop_proof_lifetime":       30,
		"dpop_use_nonce":            true,
		"groups_claim":              []any{"groups"},
		"guard_headers":             false,
		"hide_credentials":          true,
		"mtls_binding":              "required",
		"publish_keys":              true,
		"resource_metadata":         map[string]any{"resource": "https://api.example.com"},
		"revocations":               []any{map[string]any{"url": "https://idp.example.com/revoked"}},
		"run_on_preflight":          false,
		"share_token":               false,
		"trusted_proxies":           []any{"10.0.0.0/8"},
		"upstream_assertion":        map[string]any{"issuer": "https://gw.example.com", "audience": "orders", "keys": []any{"k"}},
	}
}

func configWith(t *testing.T, name string, value any) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"credentials": []any{map[string]any{"key": "k", "secret": strings.Repeat("s", 32), "consumer": "alice"}}, name: value,
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestEveryFieldIsSupportedOrRefused: no field is passed over, and one that is
// refused is named, here and in the docs.
func TestEveryFieldIsSupportedOrRefused(t *testing.T) {
	var names []string
	for _, f := range schema.Fields() {
		names = append(names, f.Name)
	}
	known := slices.Concat(supported(), slices.Collect(maps.Keys(needKong())))
	slices.Sort(names)
	slices.Sort(known)
	if !slices.Equal(known, names) {
		t.Errorf("supported or refused are\n%s, the schema's fields are\n%s", known, names)
	}
	docs, err := os.ReadFile("../docs/lambda.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range needKong() {
		if _, err := parseConfig(configWith(t, name, value)); err == nil || !strings.HasPrefix(err.Error(), "config."+name+": needs Kong") {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(string(docs), "`"+name+"`") {
			t.Errorf("docs/lambda.md does not name %s", name)
		}
	}
}

// TestDefaultsAreNotRefused: a field that changes nothing may be there, as in a
// configuration that Kong has filled in.
func TestDefaultsAreNotRefused(t *testing.T) {
	for _, f := range schema.Fields() {
		if _, refused := needKong()[f.Name]; !refused {
			continue
		}
		if _, err := parseConfig(configWith(t, f.Name, f.Default)); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}
