package schema_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kong-go-jwt/spec/gateway/schema"
)

func parse(t *testing.T, fields string) (*schema.Plugin, error) {
	t.Helper()
	var v any
	text := `{"name": "p", "fields": [{"config": {"type": "record", "fields": ` + fields + `}}]}`
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return schema.ParsePlugin(v)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const fields = `[
		{"n": {"type": "number", "between": [0, 3600], "default": 300}},
		{"i": {"type": "integer", "gt": 2}},
		{"b": {"type": "boolean", "required": true, "default": true}},
		{"s": {"type": "string", "match": "^%a[%w-]*$", "len_max": 5}},
		{"one": {"type": "string", "one_of": ["x", "y"]}},
		{"set": {"type": "set", "elements": {"type": "string", "one_of": ["exp", "nbf"]}, "default": []}},
		{"arr": {"type": "array", "elements": {"type": "integer"}, "len_min": 1}},
		{"map": {"type": "map", "keys": {"type": "string"}, "values": {"type": "number"}}},
		{"rec": {"type": "record", "required": false, "fields": [{"deep": {"type": "string", "required": true}}, {"d": {"type": "number", "default": 1}}]}},
		{"ref": {"type": "string", "referenceable": true, "len_min": 40}},
		{"none": {"type": "string", "eq": null}}
	]`
	p, err := parse(t, fields)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ config, want string }{
		{`{}`, ``},
		{`{"n": 3601}`, `config.n: value should be between 0 and 3600`},
		{`{"n": "1"}`, `config.n: expected a number`},
		{`{"i": 2}`, `config.i: value must be greater than 2`},
		{`{"i": 2.5}`, `config.i: expected an integer`},
		{`{"b": null}`, `config.b: required field missing`},
		{`{"b": 1}`, `config.b: expected a boolean`},
		{`{"s": "a-9"}`, ``},
		{`{"s": "9"}`, `config.s: invalid value: 9`},
		{`{"s": "abcdef"}`, `config.s: length must be at most 5`},
		{`{"s": ""}`, `config.s: length must be at least 1`},
		{`{"one": ""}`, `config.one: expected one of: x, y`},
		{`{"one": "z"}`, `config.one: expected one of: x, y`},
		{`{"set": ["exp", "iat"]}`, `config.set.2: expected one of: exp, nbf`},
		{`{"set": {}}`, ``},
		{`{"set": {"a": 1}}`, `config.set: expected a set`},
		{`{"arr": []}`, `config.arr: length must be at least 1`},
		{`{"arr": [null]}`, `config.arr.1: required field missing`},
		{`{"map": {"a": "x"}}`, `config.map: expected a number`},
		{`{"map": {"a": 1}}`, ``},
		{`{"rec": {}}`, `config.rec.deep: required field missing`},
		{`{"rec": {"deep": "x", "e": 1}}`, `config.rec.e: unknown field`},
		{`{"ref": "{vault://env/x}"}`, ``},
		{`{"ref": "short"}`, `config.ref: length must be at least 40`},
		{`{"none": "x"}`, `config.none: value must be null`},
		{`{"zzz": 1}`, `config.zzz: unknown field`},
	}
	for _, tt := range tests {
		var config map[string]any
		if err := json.Unmarshal([]byte(tt.config), &config); err != nil {
			t.Fatal(err)
		}
		_, errs := p.Check(map[string]any{"name": "p", "config": config})
		got := ""
		if errs != nil {
			got = strings.TrimSuffix(strings.TrimPrefix(errs.Violation(), "schema violation ("), ")")
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.config, got, tt.want)
		}
	}
	checked, _ := p.Check(map[string]any{"name": "p", "config": map[string]any{"set": []any{"exp", "exp"}, "s": nil}})
	want := map[string]any{"n": 300.0, "b": true, "set": []any{"exp"}}
	if !reflect.DeepEqual(checked["config"], want) {
		t.Errorf("%v, want %v", checked["config"], want)
	}
}

func TestEntityChecks(t *testing.T) {
	t.Parallel()
	var v any
	must(t, json.Unmarshal([]byte(`{"name": "p", "fields": [{"config": {"type": "record", "fields": [
		{"max": {"type": "number", "default": 0}},
		{"claims": {"type": "set", "elements": {"type": "string"}}},
		{"a": {"type": "string"}}, {"b": {"type": "string"}}
	], "entity_checks": [{"mutually_exclusive": ["a", "b"]}]}}], "entity_checks": [
		{"conditional": {"if_field": "config.max", "if_match": {"gt": 0}, "then_field": "config.claims", "then_match": {"contains": "exp", "required": true}}}
	]}`), &v))
	p, err := schema.ParsePlugin(v)
	must(t, err)
	for config, want := range map[string]string{
		`{}`:                            "",
		`{"max": 5, "claims": ["exp"]}`: "",
		`{"max": 0, "claims": ["nbf"]}`: "",
		`{"max": 5, "claims": ["nbf"]}`: "2 schema violations (failed conditional validation given value of field 'config.max'; config.claims: expected to contain: exp)",
		`{"max": 5}`:                    "2 schema violations (failed conditional validation given value of field 'config.max'; config.claims: required field missing)",
		`{"a": "1", "b": "2"}`:          "schema violation (only one or none of these fields must be set: 'a', 'b')",
	} {
		var c map[string]any
		must(t, json.Unmarshal([]byte(config), &c))
		got := ""
		if _, errs := p.Check(map[string]any{"name": "p", "config": c}); errs != nil {
			got = errs.Violation()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", config, got, want)
		}
	}
}

// TestEntityChecksOfKong holds what Kong's own code (kong/db/schema/init.lua, 3.9.3) makes
// of checks that look at fields which are null, missing, in records that are not there, or
// in a vault.
func TestEntityChecksOfKong(t *testing.T) {
	t.Parallel()
	const fields = `[
		{"a": {"type": "string"}}, {"b": {"type": "string"}}, {"v": {"type": "string", "referenceable": true}},
		{"must": {"type": "string", "required": true, "default": "m"}}, {"l": {"type": "set", "elements": {"type": "string"}, "default": []}},
		{"r": {"type": "record", "required": false, "fields": [{"x": {"type": "string", "required": true}}, {"y": {"type": "string"}}]}}
	]`
	atLeast := func(more string) string {
		return `{"conditional_at_least_one_of": {"if_field": "a", "if_match": {"match": "^x", "ne": null}, "then_at_least_one_of": ["b", "l"]` + more + `}}`
	}
	const (
		nested  = `{"conditional_at_least_one_of": {"if_field": "r.x", "if_match": {}, "then_at_least_one_of": ["r.y", "l"]}}`
		oneOf   = "at least one of these fields must be non-empty: "
		another = `, "else_match": {"match": "^y"}, "else_then_at_least_one_of": ["v"], "else_then_err": "needs %s"`
		inR     = `{"conditional": {"if_field": "r.x", "if_match": {"match": "^x"}, "then_field": "a", "then_match": {"required": true}}}`
	)
	for _, tt := range []struct{ check, config, want string }{
		{atLeast(""), `{"a": "x"}`, oneOf + "'b', 'l'"},
		{atLeast(""), `{"a": "x", "b": "1"}`, ""},
		{atLeast(""), `{"a": "x", "l": []}`, oneOf + "'b', 'l'"},
		{atLeast(""), `{"a": "x", "l": ["1"]}`, ""},
		{atLeast(""), `{"a": "y"}`, ""},
		{atLeast(""), `{"a": null}`, ""},
		{atLeast(`, "then_err": "told"`), `{"a": "x"}`, "told"},
		{atLeast(another), `{"a": "y"}`, "needs 'v'"},
		{atLeast(another), `{"a": "y", "v": "1"}`, ""},
		{atLeast(another), `{"a": "z"}`, ""},
		{nested, `{}`, ""},
		{nested, `{"r": null}`, ""},
		{nested, `{"r": {"x": "1"}}`, oneOf + "'r.y', 'l'"},
		{nested, `{"r": {"x": "1", "y": "2"}}`, ""},
		{inR, `{}`, "r.x: field required for entity check"},
		{inR, `{"r": {"x": "x"}, "a": "1"}`, ""},
		{`{"conditional": {"if_field": "a", "if_match": {"match": "^x"}, "then_field": "b", "then_match": {"required": true}}}`, `{}`, "b: required field missing; failed conditional validation given value of field 'a'"},
		{`{"mutually_exclusive": ["a", "v"]}`, `{"a": "1", "v": "2"}`, "only one or none of these fields must be set: 'a', 'v'"},
		{`{"mutually_exclusive": ["a", "v"]}`, `{"a": "1", "v": "{vault://env/v}"}`, ""},
		{`{"mutually_exclusive_sets": {"set1": ["a", "b"], "set2": ["l"]}}`, `{"b": "1", "l": ["2"]}`, "these sets are mutually exclusive: ('b'), ('l')"},
		{`{"mutually_exclusive_sets": {"set1": ["a", "b"], "set2": ["l"]}}`, `{"a": "1", "b": "1"}`, ""},
	} {
		var v any
		must(t, json.Unmarshal([]byte(`{"name": "p", "fields": [{"config": {"type": "record", "fields": `+fields+`, "entity_checks": [`+tt.check+`]}}]}`), &v))
		p, err := schema.ParsePlugin(v)
		must(t, err)
		var config map[string]any
		must(t, json.Unmarshal([]byte(tt.config), &config))
		_, errs := p.Check(map[string]any{"name": "p", "config": config})
		var got []string
		inner, _ := errs["config"].(schema.Errors)
		if _, text, ok := strings.Cut(inner.Violation(), " ("); ok && errs != nil {
			got = strings.Split(strings.TrimSuffix(text, ")"), "; ")
			slices.Sort(got)
		}
		if told := strings.Join(got, "; "); told != tt.want {
			t.Errorf("%s of %s: %q, want %q", tt.check, tt.config, told, tt.want)
		}
	}
}

// TestRecordsAreRequired unless they say otherwise: one that is not given is there with
// its defaults.
func TestRecordsAreRequired(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]string{
		`[{"r": {"type": "record", "fields": [{"a": {"type": "number", "default": 1}}, {"b": {"type": "string"}}]}}]`:                                                             "map[r:map[a:1]]",
		`[{"r": {"type": "record", "required": false, "fields": [{"a": {"type": "number", "default": 1}}]}}]`:                                                                     "map[]",
		`[{"r": {"type": "record", "fields": [{"in": {"type": "record", "fields": [{"a": {"type": "string", "required": true}}]}}]}}]`:                                            "schema violation (config.r.in.a: required field missing)",
		`[{"r": {"type": "record", "required": false, "fields": [{"a": {"type": "string", "required": true}}]}}]`:                                                                 "map[]",
		`[{"l": {"type": "array", "default": [{}], "elements": {"type": "record", "fields": [{"r": {"type": "record", "fields": [{"a": {"type": "number", "default": 1}}]}}]}}}]`: "map[l:[map[]]]",
	} {
		p, err := parse(t, fields)
		if err != nil {
			t.Fatal(err)
		}
		checked, errs := p.Check(map[string]any{"name": "p", "config": map[string]any{}})
		got := fmt.Sprint(checked["config"])
		if errs != nil {
			got = errs.Violation()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", fields, got, want)
		}
	}
}

// TestBadSchemas are those Kong would not start with.
func TestBadSchemas(t *testing.T) {
	t.Parallel()
	for _, fields := range []string{
		`[{"a": {"type": "text"}}]`,
		`[{"a": {"type": "string", "description": "too short"}}]`,
		`[{"a": {"type": "string", "between": [0, 1]}}]`,
		`[{"a": {"type": "number", "match": "x"}}]`,
		`[{"a": {"type": "string", "maximum": 5}}]`,
		`[{"a": {"type": "array"}}]`,
		`[{"a": {"type": "map", "keys": {"type": "string"}}}]`,
		`[{"a": {"type": "record"}}]`,
		`[{"a": {"type": "number", "default": "x"}}]`,
		`[{"a": {"type": "string"}, "b": {"type": "string"}}]`,
		`[{"a": {"type": "string", "required": "yes"}}]`,
		`[{"a": {"type": "string", "default": null}}]`,
		`{"a": {"type": "string"}}`,
	} {
		if _, err := parse(t, fields); err == nil {
			t.Errorf("%s was taken", fields)
		}
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	p, err := parse(t, `[
		{"secret": {"type": "string", "referenceable": true}},
		{"plain": {"type": "string"}},
		{"list": {"type": "array", "elements": {"type": "record", "fields": [{"secret": {"type": "string", "referenceable": true}}]}}},
		{"texts": {"type": "array", "elements": {"type": "string", "referenceable": true}}},
		{"map": {"type": "map", "keys": {"type": "string"}, "values": {"type": "string", "referenceable": true}}}
	]`)
	must(t, err)
	got := p.Resolve(map[string]any{
		"secret": "{vault://env/a}", "plain": "{vault://env/b}",
		"list":  []any{map[string]any{"secret": "{vault://env/c}"}, map[string]any{"secret": "plain"}},
		"texts": []any{"{vault://env/d}", "plain"}, "map": map[string]any{"x": "{vault://env/e}", "y": "plain"},
	}, func(ref string) string { return "resolved " + ref })
	want := map[string]any{
		"secret": "resolved {vault://env/a}", "plain": "{vault://env/b}",
		"list": []any{
			map[string]any{"secret": "resolved {vault://env/c}", "$refs": map[string]any{"secret": "{vault://env/c}"}},
			map[string]any{"secret": "plain"},
		},
		"texts": []any{"resolved {vault://env/d}", "plain"}, "map": map[string]any{"x": "resolved {vault://env/e}", "y": "plain"},
		"$refs": map[string]any{
			"secret": "{vault://env/a}", "texts": []any{"{vault://env/d}", nil}, "map": map[string]any{"x": "{vault://env/e}"},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
}

func TestLuaMatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		s, pattern string
		want       bool
	}{
		{"abc", "b", true},
		{"abc", "^b", false},
		{"abc", "c$", true},
		{"abc", "^abc$", true},
		{"a1", "^%a%d$", true},
		{"a1", "^%a+$", false},
		{"", "^%s*$", true},
		{"x-y", "^[%w_-]+$", true},
		{"x.y", "^[%w_-]+$", false},
		{"x.y", "^x%.y$", true},
		{"xzy", "^x%.y$", false},
		{"aab", "^a-b$", true},
		{"colour", "^colou?r$", true},
		{"color", "^colou?r$", true},
		{"b", "^[^a]$", true},
		{"a", "^[^a]$", false},
		{"m", "^[a-m]$", true},
		{"z", "^[a-m]$", false},
		{"http://x", "^(https?)://(.+)$", true},
		{"]", "^[]]$", true},
	} {
		if got := schema.LuaMatch(tt.s, tt.pattern); got != tt.want {
			t.Errorf("%q %q: %v", tt.s, tt.pattern, got)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
