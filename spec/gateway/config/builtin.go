package config

import (
	"encoding/json"
	"fmt"

	"kong-go-jwt/spec/gateway/schema"
)

// Builtin lists the plugins of the gateway itself, with Kong's priorities.
func Builtin() (map[string]PluginType, error) {
	types := map[string]PluginType{}
	for _, def := range []struct {
		priority float64
		schema   string
	}{{1250, keyAuthSchema}, {950, aclSchema}, {2, terminationSchema}} {
		var v any
		if err := json.Unmarshal([]byte(def.schema), &v); err != nil {
			return nil, fmt.Errorf("reading a schema of the gateway: %w", err)
		}
		s, err := schema.ParsePlugin(v)
		if err != nil {
			return nil, fmt.Errorf("reading a schema of the gateway: %w", err)
		}
		types[s.Name] = PluginType{s, def.priority}
	}
	return types, nil
}

const keyAuthSchema = `{"name": "key-auth", "fields": [
	{"consumer": {"type": "foreign", "reference": "consumers", "eq": null}},
	{"config": {"type": "record", "fields": [
		{"key_names": {"type": "array", "required": true, "default": ["apikey"], "elements": {"type": "string"}}},
		{"hide_credentials": {"type": "boolean", "required": true, "default": false}},
		{"anonymous": {"type": "string"}},
		{"key_in_header": {"type": "boolean", "required": true, "default": true}},
		{"key_in_query": {"type": "boolean", "required": true, "default": true}},
		{"key_in_body": {"type": "boolean", "required": true, "default": false, "eq": false}},
		{"run_on_preflight": {"type": "boolean", "required": true, "default": true}},
		{"realm": {"type": "string"}}
	]}}
]}`

const aclSchema = `{"name": "acl", "fields": [
	{"consumer": {"type": "foreign", "reference": "consumers", "eq": null}},
	{"config": {"type": "record", "fields": [
		{"allow": {"type": "array", "elements": {"type": "string"}}},
		{"deny": {"type": "array", "elements": {"type": "string"}}},
		{"hide_groups_header": {"type": "boolean", "required": true, "default": false}},
		{"always_use_authenticated_groups": {"type": "boolean", "required": true, "default": false}}
	]}}
], "entity_checks": [
	{"only_one_of": ["config.allow", "config.deny"]},
	{"at_least_one_of": ["config.allow", "config.deny"]}
]}`

const terminationSchema = `{"name": "request-termination", "fields": [
	{"config": {"type": "record", "fields": [
		{"status_code": {"type": "integer", "required": true, "default": 503, "between": [100, 599]}},
		{"message": {"type": "string"}},
		{"content_type": {"type": "string"}},
		{"body": {"type": "string"}}
	]}}
]}`
