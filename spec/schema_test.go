package spec_test

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"kong-go-jwt/spec/conformance"
)

type object = map[string]any

// pluginConfig is a declarative configuration with one plugin.
func pluginConfig(plugin object) object {
	return object{"_format_version": "3.0", "plugins": []any{plugin}}
}

// privatePEM is what a private key looks like to Kong.
const privatePEM = "-----BEGIN PRIVATE KEY-----"

// TestSchemaRefuses posts configurations that Kong must refuse, and checks
// that the error names the field.
func TestSchemaRefuses(t *testing.T) {
	if onRealKong() && os.Getenv("KONG_ADMIN_URL") == "" {
		t.Skip("KONG_ADMIN_URL is not set")
	}
	if !onRealKong() {
		needsAdminAPI(t)
	}
	t.Parallel()
	g := specGateway(t)
	config := func(c object) object { return object{"name": "go-jwt", "config": c} }
	issuer := func(is object) object { return config(object{"issuers": []any{is}}) }
	inIssuer := func(fields object) object { return object{"config": object{"issuers": []any{fields}}} }
	at := func(field, text string) object { return object{"config": object{field: text}} }
	tests := map[string]struct {
		plugin object
		fields object // what stands in "fields" for the plugin
	}{
		"unknown field":               {config(object{"ttl_cache": 5}), at("ttl_cache", "unknown field")},
		"cache_ttl negative":          {config(object{"cache_ttl": -1}), at("cache_ttl", "value should be between 0 and 3600")},
		"cache_ttl too long":          {config(object{"cache_ttl": 3601}), at("cache_ttl", "value should be between 0 and 3600")},
		"cache_ttl text":              {config(object{"cache_ttl": "5"}), at("cache_ttl", "expected a number")},
		"maximum_expiration negative": {config(object{"maximum_expiration": -1, "claims_to_verify": []any{"exp"}}), at("maximum_expiration", "value should be between 0 and 31536000")},
		"maximum_expiration too long": {config(object{"maximum_expiration": 31536001, "claims_to_verify": []any{"exp"}}), at("maximum_expiration", "value should be between 0 and 31536000")},
		"maximum_expiration without exp": {
			config(object{"maximum_expiration": 60, "claims_to_verify": []any{"nbf"}}),
			object{
				"@entity": []any{"failed conditional validation given value of field 'config.maximum_expiration'"},
				"config":  object{"claims_to_verify": "expected to contain: exp"},
			},
		},
		"publish_keys without an assertion": {
			config(object{"publish_keys": true}),
			object{
				"@entity": []any{"failed conditional validation given value of field 'config.publish_keys'"},
				"config":  object{"upstream_assertion": object{"issuer": "required field missing"}},
			},
		},
		"trusted_proxies alone": {
			config(object{"trusted_proxies": []any{"10.0.0.0/8"}}),
			object{"@entity": []any{"all or none of these fields must be set: 'config.certificate_header_name', 'config.certificate_header_format', 'config.trusted_proxies'"}},
		},
		"revoked nothing": {
			config(object{"revoked": []any{object{}}}),
			object{"config": object{"revoked": []any{object{"@entity": []any{"at least one of these fields must be non-empty: 'jti', 'iss', 'sub', 'issued_before'"}}}}},
		},
		"credentials without a secret": {
			config(object{"credentials": []any{object{"key": "k", "consumer": "c"}}}),
			object{"config": object{"credentials": []any{object{
				"@entity": []any{"failed conditional validation given value of field 'algorithm'"}, "secret": "required field missing",
			}}}},
		},
		"credentials without a public key": {
			config(object{"credentials": []any{object{"key": "k", "consumer": "c", "algorithm": "ES256", "secret": "s"}}}),
			object{"config": object{"credentials": []any{object{
				"@entity": []any{"failed conditional validation given value of field 'algorithm'"}, "public_key": "required field missing",
			}}}},
		},
		"credentials with a file name": {
			config(object{"credentials": []any{object{"key": "k", "consumer": "c", "algorithm": "ES256", "public_key": "/key.pem"}}}),
			object{"config": object{"credentials": []any{object{
				"@entity": []any{"failed conditional validation given value of field 'algorithm'"}, "public_key": "not a PEM public key",
			}}}},
		},
		"assertion's key": {
			config(object{"upstream_assertion": object{"issuer": "i", "audience": "a", "keys": []any{"hunter2"}}}),
			object{"config": object{"upstream_assertion": object{"keys": []any{"is not a PEM private key"}}}},
		},
		"issuer with jwks and jwks_uri": {issuer(object{"issuer": "i", "jwks": "{}", "jwks_uri": "https://i/keys"}), inIssuer(object{
			"@entity": []any{"only one or none of these fields must be set: 'jwks', 'jwks_uri'"},
		})},
		"issuer that is no URL": {issuer(object{"issuer": "i"}), inIssuer(object{
			"@entity": []any{"issuer: must be an https URL, unless jwks_uri or jwks is set"},
		})},
		"issuer without tenants": {issuer(object{"issuer": "https://i/{tenant}"}), inIssuer(object{
			"@entity": []any{"tenants: required field missing (needed with {tenant} in issuer)"},
		})},
		"tenants of no issuer": {issuer(object{"issuer": "https://i", "tenants": []any{"t"}}), inIssuer(object{
			"@entity": []any{"failed conditional validation given value of field 'tenants'"}, "issuer": "invalid value: https://i",
		})},
		"issuer with a #": {issuer(object{"issuer": "https://i/#", "credential_prefix_issuer": true}), inIssuer(object{
			"@entity": []any{"failed conditional validation given value of field 'credential_prefix_issuer'"}, "issuer": "invalid value: https://i/#",
		})},
		"issuer with a password":   {issuer(object{"issuer": "https://u:hunter2@i"}), inIssuer(object{"issuer": "must not contain a user name or password"})},
		"jwks_uri with a password": {issuer(object{"issuer": "i", "jwks_uri": "https://u:hunter2@i"}), inIssuer(object{"jwks_uri": "must not contain a user name or password"})},
		"jwks is no object":        {issuer(object{"issuer": "i", "jwks": "https://i/keys"}), inIssuer(object{"jwks": "key set: is not a JSON object"})},
		"revocations with a password": {
			config(object{"revocations": []any{object{"url": "https://u:hunter2@i"}}}),
			object{"config": object{"revocations": []any{object{"url": "must not contain a user name or password"}}}},
		},
		"revocations without a host": {
			config(object{"revocations": []any{object{"url": "https:///list"}}}),
			object{"config": object{"revocations": []any{object{"url": "invalid value: https:///list"}}}},
		},
		"resource_metadata without issuers": {
			config(object{"resource_metadata": object{"resource": "https://a"}}),
			object{"@entity": []any{"config.resource_metadata.authorization_servers: required field missing (needed without issuers)"}},
		},
		"reserved header": {
			config(object{"claims_to_headers": []any{object{"header": "x_consumer-ID", "claim": []any{"sub"}}}}),
			object{"config": object{"claims_to_headers": []any{object{"header": "this header is reserved"}}}},
		},
		"reserved header of an assertion": {
			config(object{"upstream_assertion": object{"issuer": "i", "audience": "a", "keys": []any{privatePEM}, "header": "Authorization"}}),
			object{"config": object{"upstream_assertion": object{"header": "this header is reserved"}}},
		},
		"trusted_proxies by name": {
			config(object{"certificate_header_name": "C", "certificate_header_format": "url_encoded", "trusted_proxies": []any{"proxy.example"}}),
			object{"config": object{"trusted_proxies": []any{"is neither an address nor a CIDR block"}}},
		},
		"claims_to_verify unknown": {config(object{"claims_to_verify": []any{"iat"}}), object{"config": object{"claims_to_verify": []any{"expected one of: exp, nbf"}}}},
		"claims_to_verify text":    {config(object{"claims_to_verify": "exp"}), at("claims_to_verify", "expected a set")},
		"cookie_names numbers":     {config(object{"cookie_names": []any{5}}), object{"config": object{"cookie_names": []any{"expected a string"}}}},
		"secret_is_base64 text":    {config(object{"secret_is_base64": "yes"}), at("secret_is_base64", "expected a boolean")},
		"run_on_preflight null":    {config(object{"run_on_preflight": nil}), at("run_on_preflight", "required field missing")},
		"dpop empty":               {config(object{"dpop": ""}), at("dpop", "expected one of: off, honour, required")},
		"credentials text":         {config(object{"credentials": "x"}), at("credentials", "expected an array")},
		"anonymous empty":          {config(object{"anonymous": ""}), at("anonymous", "length must be at least 1")},
		"key_claim_name number":    {config(object{"key_claim_name": 1}), at("key_claim_name", "expected a string")},
		"on a consumer":            {object{"name": "go-jwt", "consumer": conformance.Alice}, object{"consumer": "value must be null"}},
		"tcp":                      {object{"name": "go-jwt", "protocols": []any{"tcp"}}, object{"protocols": []any{"expected one of: grpc, grpcs, http, https"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.plugin["consumer"] != nil && onRealKong() {
				t.Skip("the consumer would have to be in the same configuration")
			}
			status, text := g.post(t, "/config", pluginConfig(tt.plugin))
			var body struct {
				Name   string
				Fields struct{ Plugins []object }
			}
			if err := json.Unmarshal([]byte(text), &body); err != nil {
				t.Fatal(err)
			}
			if status != 400 || body.Name != "invalid declarative configuration" || len(body.Fields.Plugins) != 1 {
				t.Fatalf("%d %s", status, text)
			}
			if got := body.Fields.Plugins[0]; !reflect.DeepEqual(got, tt.fields) {
				t.Errorf("%v, want %v", got, tt.fields)
			}
		})
	}
	// The old configuration goes on working.
	if a := g.send(t, "GET", "/open"); a.status != 200 {
		t.Errorf("after refused configurations: %d", a.status)
	}
}

// TestSchemaAccepts posts configurations that Kong must take.
func TestSchemaAccepts(t *testing.T) {
	needsAdminAPI(t)
	t.Parallel()
	g := specGateway(t)
	for name, config := range map[string]object{
		"empty":      {},
		"all bounds": {"cache_ttl": 0, "maximum_expiration": 31536000, "claims_to_verify": []any{"exp", "nbf"}},
		"no names":   {"uri_param_names": []any{}, "cookie_names": []any{}, "header_names": []any{}},
		"nulls":      {"anonymous": nil, "realm": nil, "claims_to_verify": nil, "maximum_expiration": nil, "resource_metadata": nil},
		"credentials": {"credentials": []any{
			object{"key": "k", "consumer": "c", "algorithm": nil, "secret": "s"},
			object{"key": "k", "consumer": "c", "secret": "s", "public_key": "not used"},
			object{"key": "k", "consumer": "c", "algorithm": "ES256", "public_key": "{vault://env/key}"},
		}},
		"issuers": {"issuers": []any{
			object{"issuer": "https://i", "tenants": nil, "jwks_uri": nil},
			object{"issuer": "HTTP://i:80"},
			object{"issuer": "i", "jwks": "\n {}"},
			object{"issuer": "i#", "jwks": "{vault://env/keys}"},
			object{"issuer": "https://{tenant}/x@y", "tenants": []any{"t"}, "jwks_uri": "https://i/{tenant}", "credential_prefix_issuer": true},
		}},
		"metadata of servers": {"resource_metadata": object{"resource": "https://a", "authorization_servers": []any{"https://b"}}},
		"metadata of issuers": {"resource_metadata": object{"resource": "https://a"}, "issuers": []any{object{"issuer": "https://i"}}},
		"assertion": {"upstream_assertion": object{"issuer": "i", "audience": "a", "header": "Hosts", "keys": []any{
			"-----BEGIN EC PARAMETERS-----\n-----BEGIN EC PRIVATE KEY-----", "{vault://env/key}",
		}}},
		"trusted proxies": {
			"certificate_header_name": "C", "certificate_header_format": "url_encoded",
			"trusted_proxies": []any{"::1", "10.0.0.0/8", "::ffff:1.2.3.4", "ABCD::/16"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if status, text := g.post(t, "/config", pluginConfig(object{"name": "go-jwt", "config": config})); status != 201 {
				t.Errorf("%d %s", status, text)
			}
		})
	}
}

// TestVaultReferences: where a secret stands in a vault, Kong hands the plugin
// the secret, and tells in the same record where it came from.
func TestVaultReferences(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	config := copyConfig(t, specConfig(t))
	addRoute(config, "/vault", object{"credentials": []any{
		object{"key": "vault", "secret": "{vault://env/go-jwt-spec-secret}", "consumer": "alice"},
	}})
	g := startGateway(t, config)
	for key, status := range map[string]int{"vault": 200, "other": 401} {
		a := g.send(t, "GET", "/vault", bearer(tokenOf(t, key, "literal:"+vaultSecret, "HS256")))
		if a.status != status || status == 200 && username(a) != "alice" {
			t.Errorf("%s: %d %s, want %d", key, a.status, a.body, status)
		}
	}
}

// TestStartRefusesBadConfig starts a gateway that must not come up.
func TestStartRefusesBadConfig(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	_, err := tryGateway(t, pluginConfig(object{"name": "go-jwt", "config": object{"cache_ttl": 9999}}))
	if err == nil || !strings.Contains(err.Error(), "cache_ttl: value should be between 0 and 3600") {
		t.Errorf("%v", err)
	}
}
