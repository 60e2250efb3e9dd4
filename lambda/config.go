package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/goccy/go-yaml"

	"kong-go-jwt/schema"
)

// supported are the fields that mean something here.
func supported() []string {
	return []string{
		"uri_param_names", "cookie_names", "header_names",
		"key_claim_name", "secret_is_base64", "credentials", "allow_weak_rsa_keys", "issuers",
		"claims_to_verify", "maximum_expiration", "leeway",
		"audience_required", "issuers_allowed", "scopes_required", "scopes_claim", "claims_required", "claims_forbidden", "revoked",
		"claims_to_headers", "cache_ttl", "realm", "shadow", "log_serialize", "log_claims",
	}
}

// instead says of some others what to do without them.
func instead() map[string]string {
	return map[string]string{
		"anonymous":        "there are no consumers; give public methods no authorizer",
		"groups_claim":     "there is no ACL plugin; see claims_required",
		"hide_credentials": "an authorizer cannot change the request",
		"run_on_preflight": "give OPTIONS no authorizer; a cached answer would let other methods through",
		"guard_headers":    "no identity headers are set",
		"revocations":      "a process that is stopped between calls can fetch no lists; see revoked",
		"mtls_binding":     "API Gateway caches an answer by the token alone, whatever the client's certificate",
		"dpop":             "API Gateway caches an answer by the token, and a proof is good for one request",
	}
}

// parseConfig reads a configuration as YAML or JSON, whose secrets may be
// references still. A field that means nothing without Kong is an error that
// names it, and so is one that does not exist.
func parseConfig(text []byte) (map[string]any, error) {
	var config map[string]any
	if isJSON := bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")); isJSON {
		if err := json.Unmarshal(text, &config); err != nil {
			return nil, fmt.Errorf("config: not JSON: %w", err)
		}
	} else if err := yaml.Unmarshal(text, &config); err != nil { // told without the source, which may hold a secret
		return nil, fmt.Errorf("config: not YAML: %s", yaml.FormatError(err, false, false))
	}
	// A round through JSON, so that there is one type of number and of map.
	plain, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	clear(config)
	if err := json.Unmarshal(plain, &config); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if err := checkFields(config); err != nil {
		return nil, err
	}
	c, err := schema.Check(config)
	if err != nil {
		return nil, err
	}
	return config, check(c)
}

func checkFields(config map[string]any) error {
	var errs []error
	fields := schema.Fields()
	for name, value := range config {
		i := slices.IndexFunc(fields, func(f schema.Field) bool { return f.Name == name })
		switch {
		case i < 0, value == nil: // which schema.Check looks at
		case slices.Contains(supported(), name), isDefault(&fields[i], value):
		case instead()[name] != "":
			errs = append(errs, fmt.Errorf("config.%s: needs Kong: %s", name, instead()[name]))
		default:
			errs = append(errs, fmt.Errorf("config.%s: needs Kong", name))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return bytes.Compare([]byte(a.Error()), []byte(b.Error())) })
	return errors.Join(errs...)
}

// isDefault tells whether a value changes nothing.
func isDefault(f *schema.Field, value any) bool {
	text, err := json.Marshal(f.Default)
	var byDefault any
	return err == nil && json.Unmarshal(text, &byDefault) == nil && reflect.DeepEqual(value, byDefault)
}

// check holds what the table of fields cannot say.
func check(c *schema.Config) error {
	var errs []error
	if len(c.Credentials) == 0 && len(c.Issuers) == 0 {
		errs = append(errs, errors.New("config: neither credentials nor issuers are set, so no token can be accepted"))
	}
	for i, is := range c.Issuers {
		if is.ConsumerBy != "username" {
			errs = append(errs, fmt.Errorf("config.issuers[%d].consumer_by: needs Kong: there are no consumers, so %s cannot be looked up", i+1, is.ConsumerBy))
		}
	}
	for i, h := range c.ClaimsToHeaders {
		if h.Values != "comma" {
			errs = append(errs, fmt.Errorf("config.claims_to_headers[%d].values: needs Kong: values in the authorizer's context cannot be repeated", i+1))
		}
	}
	return errors.Join(errs...)
}
