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
	}{{1250, keyAuthSchema}, {950, aclSchema}, {2, terminationSchema}, {2000, corsSchema}, {910, rateLimitingSchema}, {9, fileLogSchema}} {
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

const corsSchema = `{"name": "cors", "fields": [
	{"config": {"type": "record", "fields": [
		{"origins": {"type": "array", "elements": {"type": "string"}}},
		{"headers": {"type": "array", "elements": {"type": "string"}}},
		{"exposed_headers": {"type": "array", "elements": {"type": "string"}}},
		{"methods": {"type": "array", "elements": {"type": "string"}, "default": [
			"GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"
		]}},
		{"max_age": {"type": "number"}},
		{"credentials": {"type": "boolean", "required": true, "default": false}},
		{"preflight_continue": {"type": "boolean", "required": true, "default": false}}
	]}}
]}`

const rateLimitingSchema = `{"name": "rate-limiting", "fields": [
	{"config": {"type": "record", "fields": [
		{"second": {"type": "number", "gt": 0}},
		{"minute": {"type": "number", "gt": 0}},
		{"hour": {"type": "number", "gt": 0}},
		{"day": {"type": "number", "gt": 0}},
		{"limit_by": {"type": "string", "default": "consumer", "one_of": ["consumer", "credential", "ip", "service", "header"]}},
		{"header_name": {"type": "string"}},
		{"policy": {"type": "string", "default": "local", "one_of": ["local"]}},
		{"fault_tolerant": {"type": "boolean", "required": true, "default": true}},
		{"hide_client_headers": {"type": "boolean", "required": true, "default": false}},
		{"error_code": {"type": "number", "default": 429, "gt": 0}},
		{"error_message": {"type": "string", "default": "API rate limit exceeded"}}
	]}}
], "entity_checks": [
	{"at_least_one_of": ["config.second", "config.minute", "config.hour", "config.day"]}
]}`

const fileLogSchema = `{"name": "file-log", "fields": [
	{"config": {"type": "record", "fields": [
		{"path": {"type": "string", "required": true, "match": "^[^*&%%]+$"}},
		{"reopen": {"type": "boolean", "required": true, "default": false}}
	]}}
]}`
