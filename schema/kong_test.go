package schema_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"kong-go-jwt/schema"
)

// A field of each kind, as Kong is told of it: with all that constrains it, and
// nothing more.
func TestKongIsToldOfFields(t *testing.T) {
	text, err := json.Marshal(schema.Kong())
	if err != nil {
		t.Fatal(err)
	}
	var told struct {
		Fields []struct {
			Config struct{ Fields []map[string]any }
		}
	}
	if err := json.Unmarshal(text, &told); err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	for _, f := range told.Fields {
		for _, option := range f.Config.Fields {
			for name, field := range option {
				fields[name] = undescribed(field)
			}
		}
	}
	reserved := `[`
	for _, name := range []string{
		"[aA][uU][tT][hH][oO][rR][iI][zZ][aA][tT][iI][oO][nN]$", "[cC][oO][nN][nN][eE][cC][tT][iI][oO][nN]$",
		"[cC][oO][nN][tT][eE][nN][tT][-_][lL][eE][nN][gG][tT][hH]$", "[cC][oO][oO][kK][iI][eE]$", "[eE][xX][pP][eE][cC][tT]$",
		"[hH][oO][sS][tT]$", "[kK][eE][eE][pP][-_][aA][lL][iI][vV][eE]$",
		"[pP][rR][oO][xX][yY][-_][aA][uU][tT][hH][oO][rR][iI][zZ][aA][tT][iI][oO][nN]$", "[pP][rR][oO][xX][yY][-_][cC][oO][nN][nN][eE][cC][tT][iI][oO][nN]$",
		"[tT][eE]$", "[tT][rR][aA][iI][lL][eE][rR]$", "[tT][rR][aA][nN][sS][fF][eE][rR][-_][eE][nN][cC][oO][dD][iI][nN][gG]$", "[uU][pP][gG][rR][aA][dD][eE]$", "[vV][iI][aA]$",
		"[xX][-_][rR][eE][aA][lL][-_][iI][pP]$", "[xX][-_][cC][oO][nN][sS][uU][mM][eE][rR][-_][iI][dD]$",
		"[xX][-_][cC][oO][nN][sS][uU][mM][eE][rR][-_][cC][uU][sS][tT][oO][mM][-_][iI][dD]$", "[xX][-_][cC][oO][nN][sS][uU][mM][eE][rR][-_][uU][sS][eE][rR][nN][aA][mM][eE]$",
		"[xX][-_][cC][rR][eE][dD][eE][nN][tT][iI][aA][lL][-_][iI][dD][eE][nN][tT][iI][fF][iI][eE][rR]$", "[xX][-_][aA][nN][oO][nN][yY][mM][oO][uU][sS][-_][cC][oO][nN][sS][uU][mM][eE][rR]$",
	} {
		reserved += `{"err":"this header is reserved","pattern":"^` + name + `"},`
	}
	reserved += `{"err":"this header is reserved","pattern":"^[xX][-_][fF][oO][rR][wW][aA][rR][dD][eE][dD][-_]"}]`
	for name, want := range map[string]string{
		"realm":           `{"type":"string"}`,
		"trusted_proxies": `{"default":[],"elements":{"match_all":[{"err":"is neither an address nor a CIDR block","pattern":"^[%x:.]+/?%d*$"}],"type":"string"},"type":"set"}`,
		"mtls_binding":    `{"default":"off","one_of":["off","honour","required"],"required":true,"type":"string"}`,
		"cache_ttl":       `{"between":[0,3600],"default":300,"required":true,"type":"number"}`,
		"scopes_claim":    `{"default":["scope"],"elements":{"type":"string"},"len_min":1,"type":"array"}`,
		"claims_to_headers": `{"elements":{"fields":[` +
			`{"header":{"match":"^[%w!#$%%&'*+.^_` + "`" + `|~-]+$","match_none":` + reserved + `,"required":true,"type":"string"}},` +
			`{"claim":{"elements":{"type":"string"},"len_min":1,"required":true,"type":"array"}},` +
			`{"values":{"default":"comma","one_of":["comma","repeat"],"type":"string"}}],"type":"record"},"type":"array"}`,
	} {
		t.Run(name, func(t *testing.T) {
			var as any
			if err := json.Unmarshal([]byte(want), &as); err != nil {
				t.Fatal(err)
			}
			if got, want := fmt.Sprint(fields[name]), fmt.Sprint(as); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// Kong is told of each rule across fields, in its own words.
func TestKongIsToldOfRules(t *testing.T) {
	credentialRule := func(is, then, must string) string {
		return `{"conditional":{"if_field":"algorithm","if_match":{` + is + `},"then_field":"` + then + `","then_match":{` + must + `}}}`
	}
	want := map[string]string{
		"config": `[` +
			`{"conditional":{"if_field":"config.maximum_expiration","if_match":{"gt":0,"ne":null},"then_field":"config.claims_to_verify","then_match":{"contains":"exp"}}},` +
			`{"conditional":{"if_field":"config.publish_keys","if_match":{"eq":true,"ne":null},"then_field":"config.upstream_assertion.issuer","then_match":{"required":true}}},` +
			`{"mutually_required":["config.certificate_header_name","config.certificate_header_format","config.trusted_proxies"]},` +
			`{"conditional_at_least_one_of":{"if_field":"config.resource_metadata.resource","if_match":{"ne":null,"required":true},` +
			`"then_at_least_one_of":["config.resource_metadata.authorization_servers","config.issuers"],` +
			`"then_err":"config.resource_metadata.authorization_servers: required field missing (needed without issuers)"}}]`,
		"credentials": `[` + credentialRule(`"match":"^HS","ne":null`, "secret", `"required":true`) + `,` +
			credentialRule(`"ne":null,"not_match":"^HS"`, "public_key", `"required":true`) + `,` +
			credentialRule(`"ne":null,"not_match":"^HS"`, "public_key", `"match_all":[{"err":"not a PEM public key","pattern":"%-%-%-%-%-BEGIN [%u ]+%-%-%-%-%-"}]`) + `]`,
		"issuers": `[{"mutually_exclusive":["jwks","jwks_uri"]},` +
			`{"conditional_at_least_one_of":{"if_field":"issuer","if_match":{"match":"{tenant}","ne":null},` +
			`"then_at_least_one_of":["tenants"],"then_err":"tenants: required field missing (needed with {tenant} in issuer)"}},` +
			`{"conditional":{"if_field":"tenants","if_match":{"len_min":1,"ne":null},"then_field":"issuer","then_match":{"match":"{tenant}"}}},` +
			`{"conditional":{"if_field":"credential_prefix_issuer","if_match":{"eq":true,"ne":null},"then_field":"issuer","then_match":{"not_match":"#"}}},` +
			`{"conditional_at_least_one_of":{"if_field":"issuer","if_match":{"ne":null,"not_match":"^[^:/]+://[^/?#]"},` +
			`"then_at_least_one_of":["jwks_uri","jwks"],"then_err":"issuer: must be an https URL, unless jwks_uri or jwks is set"}}]`,
		"revoked": `[{"at_least_one_of":["jti","iss","sub","issued_before"]}]`,
	}
	told := schema.Kong()
	got := map[string]any{"config": told["entity_checks"]}
	for _, field := range told["fields"].([]any) {
		config, ok := field.(map[string]any)["config"].(map[string]any)
		if !ok {
			continue
		}
		for _, option := range config["fields"].([]any) {
			for name, f := range option.(map[string]any) {
				elements, _ := f.(map[string]any)["elements"].(map[string]any)
				if rules, ok := elements["entity_checks"]; ok {
					got[name] = rules
				}
			}
		}
	}
	if len(got) != len(want) {
		t.Errorf("rules in %v", slices.Sorted(maps.Keys(got)))
	}
	for name, rules := range want {
		if text, err := json.Marshal(got[name]); err != nil || string(text) != rules {
			t.Errorf("%s:\ngot  %s\nwant %s", name, text, rules)
		}
	}
}

// Kong requires each record that does not say otherwise, and would refuse every
// configuration without it.
func TestKongIsToldWhichRecordsAreRequired(t *testing.T) {
	var told func(fields any)
	records := 0
	told = func(fields any) {
		list, _ := fields.([]any)
		for _, entry := range list {
			for name, v := range entry.(map[string]any) {
				field := v.(map[string]any)
				if fmt.Sprint(field["type"]) != "record" {
					continue
				}
				if _, says := field["required"].(bool); !says && name != "config" {
					t.Errorf("%s does not say whether it is required", name)
				}
				records++
				told(field["fields"])
			}
		}
	}
	told(schema.Kong()["fields"])
	if records < 3 {
		t.Errorf("%d records", records)
	}
}

// undescribed returns v without the descriptions in it.
func undescribed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "description")
		for name := range v {
			v[name] = undescribed(v[name])
		}
	case []any:
		for i := range v {
			v[i] = undescribed(v[i])
		}
	}
	return v
}
