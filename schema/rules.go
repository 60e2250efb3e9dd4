package schema

import (
	"regexp"
	"slices"
	"strings"
)

// Rule is a rule across the fields of a record. Kong has it as an entity check
// (kong/db/schema/init.lua). A name of a field may be a path with dots.
type Rule interface {
	// kong returns the entity check; prefix goes before the names of fields.
	kong(prefix string) map[string]any
	// check returns what is wrong with a record whose fields are good by themselves.
	check(record map[string]any, path string) []error
}

// Rules are those across the options.
func Rules() []Rule {
	return []Rule{
		conditional{"maximum_expiration", isPositive(), "claims_to_verify", contains("exp")}, // as in the bundled plugin
		conditional{"publish_keys", isTrue(), "upstream_assertion.issuer", isGiven()},        // Kong cannot ask for a record
		allOrNone{"certificate_header_name", "certificate_header_format", "trusted_proxies"},
	}
}

func kongRules(rules []Rule, prefix string) []any {
	checks := make([]any, 0, len(rules))
	for _, r := range rules {
		checks = append(checks, r.kong(prefix))
	}
	return checks
}

func checkRules(rules []Rule, record map[string]any, path string) (errs []error) {
	for _, r := range rules {
		errs = append(errs, r.check(record, path)...)
	}
	return errs
}

// conditional is Kong's check of that name: when is holds for the field with that
// name, must has to hold for then.
type conditional struct {
	field string
	is    condition
	then  string
	must  condition
}

func (c conditional) kong(prefix string) map[string]any {
	return map[string]any{"conditional": map[string]any{
		"if_field": prefix + c.field, "if_match": c.is.kong,
		"then_field": prefix + c.then, "then_match": c.must.kong,
	}}
}

func (c conditional) check(record map[string]any, path string) []error {
	v := valueAt(record, c.field)
	if !c.is.holds(v) || c.must.holds(valueAt(record, c.then)) {
		return nil
	}
	with := c.field
	if s, ok := v.(string); ok {
		with += " " + s
	}
	no := fault(path+"."+c.then, "%s (needed with %s)", c.must.problem, with)
	no.With = []string{path + "." + c.field}
	return []error{no}
}

// condition is a condition in Kong's words, and the same as a function of a value,
// which is nil if the field is not set.
type condition struct {
	kong    map[string]any
	holds   func(v any) bool
	problem string // what is wrong where it does not hold
}

func isPositive() condition {
	return condition{kong: map[string]any{"gt": 0}, holds: func(v any) bool {
		n, ok := number(v)
		return ok && n > 0
	}}
}

func isTrue() condition {
	return condition{kong: map[string]any{"eq": true}, holds: func(v any) bool { return v == true }}
}

// matches takes no character that means something in patterns but ^.
func matches(pattern string) condition {
	return condition{kong: map[string]any{"match": pattern}, holds: func(v any) bool {
		s, ok := v.(string)
		return ok && regexp.MustCompile(pattern).MatchString(s)
	}}
}

func matchesNot(pattern string) condition {
	c := matches(pattern)
	return condition{kong: map[string]any{"not_match": pattern}, holds: func(v any) bool { return v != nil && !c.holds(v) }}
}

func isGiven() condition {
	return condition{
		kong:    map[string]any{"required": true},
		holds:   func(v any) bool { return v != nil },
		problem: "required field missing",
	}
}

// contains passes a set that is not there, as in Kong.
func contains(element string) condition {
	return condition{
		kong: map[string]any{"contains": element},
		holds: func(v any) bool {
			set, ok := v.([]any)
			return !ok || slices.Contains(set, any(element))
		},
		problem: "expected to contain: " + element,
	}
}

// atLeastOne is Kong's at_least_one_of.
type atLeastOne []string

func (names atLeastOne) kong(prefix string) map[string]any {
	return map[string]any{"at_least_one_of": prefixed(prefix, names)}
}

func (names atLeastOne) check(record map[string]any, path string) []error {
	if slices.ContainsFunc(names, func(name string) bool { return filled(valueAt(record, name)) }) {
		return nil
	}
	last := len(names) - 1
	return []error{fault(path, "must have at least one of %s and %s", strings.Join(names[:last], ", "), names[last])}
}

// allOrNone is Kong's mutually_required.
type allOrNone []string

func (names allOrNone) kong(prefix string) map[string]any {
	return map[string]any{"mutually_required": prefixed(prefix, names)}
}

func (names allOrNone) check(record map[string]any, path string) (errs []error) {
	var set, paths []string
	for _, name := range names {
		if filled(valueAt(record, name)) {
			set, paths = append(set, name), append(paths, path+"."+name)
		}
	}
	if len(set) == 0 {
		return nil
	}
	for _, name := range names {
		if !slices.Contains(set, name) {
			no := fault(path+"."+name, "required field missing (needed with %s)", strings.Join(set, " and "))
			no.With = paths
			errs = append(errs, no)
		}
	}
	return errs
}

func prefixed(prefix string, names []string) []string {
	all := make([]string, 0, len(names))
	for _, name := range names {
		all = append(all, prefix+name)
	}
	return all
}

// filled tells whether a field is set, and no empty list.
func filled(v any) bool {
	list, isList := v.([]any)
	return v != nil && (!isList || len(list) > 0)
}

func valueAt(record map[string]any, path string) any {
	name, rest, nested := strings.Cut(path, ".")
	if !nested {
		return record[name]
	}
	inner, _ := record[name].(map[string]any)
	return valueAt(inner, rest)
}
