package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Parse decodes the JSON of a plugin configuration as Kong passes it to
// StartInstance: null and absent fields get their default, an empty set may be
// [] or {} (Lua cannot tell them apart), and what Kong adds beside the fields
// (__seq__, route_id, …; $refs in each record) is passed over.
//
// Kong has checked the configuration against the same table, so an error means
// that something is out of step; it names each field at fault, as in
// "config.cache_ttl: value should be between 0 and 3600", and never a value.
func Parse(data []byte) (*Config, error) {
	var in map[string]any
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("config: not a JSON object: %w", err)
	}
	return parse(in, false)
}

// Check is Parse for a configuration as its author wrote it: it also refuses
// what Kong refuses before the plugin sees it, which is options that there are
// not, and null for a required one. The error is a [FieldError], or joins several.
func Check(in map[string]any) (*Config, error) { return parse(in, true) }

func parse(in map[string]any, strict bool) (*Config, error) {
	out, errs := checkRecord(Fields(), in, "config", strict)
	if len(errs) == 0 {
		errs = checkRules(Rules(), out, "config")
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	// A round through JSON moves the checked values into the struct.
	checked, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	c := new(Config)
	if err := json.Unmarshal(checked, c); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

func checkRecord(fields []Field, in map[string]any, path string, strict bool) (out map[string]any, errs []error) {
	out = make(map[string]any, len(fields))
	if strict {
		errs = unknown(fields, in, path, true)
	}
	for i := range fields {
		f := &fields[i]
		v, given := in[f.Name]
		null := given && v == nil && strict
		if v == nil {
			v = f.Default
		}
		if f.Required && (v == nil || null) {
			errs = append(errs, fault(path+"."+f.Name, "required field missing"))
			continue
		}
		if v == nil {
			continue
		}
		checked, es := f.check(v, path+"."+f.Name, strict)
		out[f.Name], errs = checked, append(errs, es...)
	}
	return out, errs
}

// unknown refuses the fields that are not in the table; in what Kong sends, its
// own are among them.
func unknown(fields []Field, in map[string]any, path string, strict bool) (errs []error) {
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if !strict && kongs(name) {
			continue
		}
		if !slices.ContainsFunc(fields, func(f Field) bool { return f.Name == name }) {
			errs = append(errs, &FieldError{Path: path, Unknown: name, Problem: fmt.Sprintf("unknown field %q", name)})
		}
	}
	return errs
}

// check returns v as it is to be used, or why it is refused.
func (f *Field) check(v any, path string, strict bool) (any, []error) {
	refuse := func(format string, args ...any) (any, []error) {
		return nil, []error{fault(path, format, args...)}
	}
	switch f.Type {
	case String:
		s, ok := v.(string)
		switch {
		case !ok:
			return refuse("expected a string")
		case strict && f.Referenceable && isReference(s):
			return s, nil // as in Kong, which resolves it later
		case f.OneOf != nil && !slices.Contains(f.OneOf, s):
			return refuse("expected one of: %s", strings.Join(f.OneOf, ", "))
		case utf8.RuneCountInString(s) < max(1, f.LenMin):
			return refuse("length must be at least %d", max(1, f.LenMin))
		}
		if problem := f.mismatch(s); problem != "" {
			return refuse("%s", problem)
		}
		return s, nil
	case Boolean:
		if _, ok := v.(bool); !ok {
			return refuse("expected a boolean")
		}
		return v, nil
	case Integer, Number:
		n, ok := number(v)
		switch {
		case f.Type == Integer && (!ok || n != float64(int64(n))):
			return refuse("expected an integer")
		case !ok:
			return refuse("expected a number")
		case f.Between != nil && (n < f.Between.Min || n > f.Between.Max):
			return refuse("value should be between %v and %v", int64(f.Between.Min), int64(f.Between.Max))
		}
		return n, nil
	case Set, Array:
		return f.checkList(v, path, strict)
	case Record:
		m, ok := v.(map[string]any)
		if !ok {
			return refuse("expected a record")
		}
		if errs := unknown(f.Fields, m, path, strict); !strict && errs != nil {
			return nil, errs[:1]
		}
		out, errs := checkRecord(f.Fields, m, path, strict)
		if len(errs) == 0 {
			errs = checkRules(f.Rules, out, path)
		}
		return out, errs
	}
	return refuse("unknown type %q in the table", f.Type)
}

// mismatch returns what is wrong with a string's form, looking in Kong's order; "": nothing.
func (f *Field) mismatch(s string) string {
	for _, p := range f.MatchNone {
		if p.matches(s) {
			return p.Problem
		}
	}
	if f.Match != nil && !f.Match.matches(s) {
		return "invalid value: must match " + f.Match.Go
	}
	for _, p := range f.MatchAll {
		if !p.matches(s) {
			return p.Problem
		}
	}
	return ""
}

// isReference tells whether s is a reference to a secret in one of Kong's vaults.
func isReference(s string) bool {
	return strings.HasPrefix(s, "{vault://") && strings.HasSuffix(s, "}")
}

// kongs tells whether name is one that Kong adds to a record: $refs beside
// resolved vault references, and names of two underscores.
func kongs(name string) bool { return name == "$refs" || strings.HasPrefix(name, "__") }

func (f *Field) checkList(v any, path string, strict bool) (any, []error) {
	list, ok := v.([]any)
	switch w := v.(type) {
	case []string: // a default
		for _, s := range w {
			list = append(list, s)
		}
		ok = true
	case map[string]any: // an empty Lua table
		ok = len(w) == 0
	}
	switch {
	case !ok && f.Type == Array:
		return nil, []error{fault(path, "expected an array")}
	case !ok:
		return nil, []error{fault(path, "expected a set")}
	}
	if len(list) < f.LenMin {
		return nil, []error{fault(path, "length must be at least %d", f.LenMin)}
	}
	out := make([]any, 0, len(list))
	var errs []error
	for i, e := range list {
		checked, es := f.Elements.check(e, fmt.Sprintf("%s[%d]", path, i+1), strict)
		errs = append(errs, es...)
		if f.Type == Set && slices.Contains(out, checked) {
			continue // as Kong's sets do
		}
		out = append(out, checked)
	}
	return out, errs
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int: // a default
		return float64(n), true
	}
	return 0, false
}

// maxSameKey is how many credentials may have the same key: each costs a
// signature to be verified.
const maxSameKey = 4

// check holds what Kong's schema language cannot say: what compares the elements of a
// list, or must read a URL or an address.
func (c *Config) check() error {
	var errs []error
	sameKey := make(map[string][]Credential, len(c.Credentials))
	for i, cr := range c.Credentials {
		path := fmt.Sprintf("config.credentials[%d]", i+1)
		switch others := sameKey[cr.Key]; {
		case len(others) == maxSameKey:
			errs = append(errs, fault(path+".key", "more than %d credentials have the same key", maxSameKey))
		case len(others) > 0 && others[0].Consumer != cr.Consumer:
			errs = append(errs, fault(path+".consumer", "another credential with the same key belongs to another consumer"))
		case slices.Contains(others, cr):
			errs = append(errs, fault(path, "the same credential is listed twice"))
		}
		sameKey[cr.Key] = append(sameKey[cr.Key], cr)
	}
	errs = append(errs, c.checkIssuers()...)
	errs = append(errs, c.checkMetadata()...)
	for i, h := range c.ClaimsToHeaders {
		path := fmt.Sprintf("config.claims_to_headers[%d].header", i+1)
		if slices.ContainsFunc(c.ClaimsToHeaders[:i], func(o ClaimHeader) bool { return strings.EqualFold(o.Header, h.Header) }) {
			errs = append(errs, fault(path, "another claim goes into the same header"))
		}
	}
	if _, err := c.Proxies(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, c.checkAssertion()...)...)
}

const noIssuerURL = "must be an https URL, unless jwks_uri or jwks is set"

func (c *Config) checkIssuers() (errs []error) {
	seen := make(map[string]bool, len(c.Issuers))
	for i, is := range c.Issuers {
		refuse := func(field, format string, args ...any) {
			errs = append(errs, fault(fmt.Sprintf("config.issuers[%d].%s", i+1, field), format, args...))
		}
		for _, one := range is.PerTenant() {
			if seen[one.Issuer] {
				refuse("issuer", "another issuer has the same name")
			}
			seen[one.Issuer] = true
		}
		if u, err := url.Parse(is.PerTenant()[0].Issuer); is.JWKSURI == "" && is.JWKS == "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			refuse("issuer", noIssuerURL)
		}
	}
	return errs
}

// sameHeader compares names as upstreams do that cannot tell "_" from "-".
func sameHeader(a, b string) bool {
	return strings.EqualFold(strings.ReplaceAll(a, "_", "-"), strings.ReplaceAll(b, "_", "-"))
}
