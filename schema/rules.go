package schema

import (
	"maps"
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
		conditionalAtLeastOne{
			"resource_metadata.resource", isGiven(),
			[]string{"resource_metadata.authorization_servers", "issuers"},
			"resource_metadata.authorization_servers", "required field missing (needed without issuers)",
		},
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
		"if_field": prefix + c.field, "if_match": c.is.ofValue(),
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
	no := fault(path+"."+c.then, "%s", strings.ReplaceAll(c.must.problem, "WITH", "needed with "+with))
	no.With = []string{path + "." + c.field}
	return []error{no}
}

// condition is a condition in Kong's words, and the same as a function of a value,
// which is nil if the field is not set.
type condition struct {
	kong    map[string]any
	holds   func(v any) bool
	problem string // what is wrong where it does not hold; WITH stands for what needs it
}

// ofValue is the condition in Kong's words for where it decides whether a rule applies.
// Kong has null meet all conditions that do not say otherwise.
func (c condition) ofValue() map[string]any {
	m := maps.Clone(c.kong)
	m["ne"] = nil
	return m
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

// isLike passes a string that is not there, or that Kong fills in later.
func isLike(p Pattern) condition {
	return condition{
		kong: map[string]any{"match_all": kongPatterns([]Pattern{p})},
		holds: func(v any) bool {
			s, ok := v.(string)
			return !ok || isReference(s) || p.matches(s)
		},
		problem: p.Problem,
	}
}

// matches takes a pattern that means the same to Lua and to Go.
func matches(pattern string) condition {
	return condition{
		kong: map[string]any{"match": pattern},
		holds: func(v any) bool {
			s, ok := v.(string)
			return ok && (&Pattern{Go: pattern}).matches(s)
		},
		problem: "invalid value: must match " + pattern + " (WITH)",
	}
}

func matchesNot(pattern string) condition {
	c := matches(pattern)
	return condition{
		kong:    map[string]any{"not_match": pattern},
		holds:   func(v any) bool { return v != nil && !c.holds(v) },
		problem: "invalid value: must not match " + pattern + " (WITH)",
	}
}

// isFilled is of a list with something in it.
func isFilled() condition {
	return condition{kong: map[string]any{"len_min": 1}, holds: filled}
}

func isGiven() condition {
	return condition{
		kong:    map[string]any{"required": true},
		holds:   func(v any) bool { return v != nil },
		problem: "required field missing (WITH)",
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
		problem: "expected to contain: " + element + " (WITH)",
	}
}

// conditionalAtLeastOne is Kong's conditional_at_least_one_of: where is holds for the
// field with that name, one of then at least has to be set. What is wrong otherwise is
// told of the field named at, in the same words by Kong.
type conditionalAtLeastOne struct {
	field       string
	is          condition
	then        []string
	at, problem string
}

func (c conditionalAtLeastOne) kong(prefix string) map[string]any {
	return map[string]any{"conditional_at_least_one_of": map[string]any{
		"if_field": prefix + c.field, "if_match": c.is.ofValue(),
		"then_at_least_one_of": prefixed(prefix, c.then), "then_err": prefix + c.at + ": " + c.problem,
	}}
}

func (c conditionalAtLeastOne) check(record map[string]any, path string) []error {
	if !c.is.holds(valueAt(record, c.field)) || len(filledOf(record, c.then)) > 0 {
		return nil
	}
	no := fault(path+"."+c.at, "%s", c.problem)
	no.With = prefixed(path+".", c.then)
	return []error{no}
}

// atLeastOne is Kong's at_least_one_of.
type atLeastOne []string

func (names atLeastOne) kong(prefix string) map[string]any {
	return map[string]any{"at_least_one_of": prefixed(prefix, names)}
}

func (names atLeastOne) check(record map[string]any, path string) []error {
	if len(filledOf(record, names)) > 0 {
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
	set := filledOf(record, names)
	if len(set) == 0 {
		return nil
	}
	for _, name := range names {
		if !slices.Contains(set, name) {
			no := fault(path+"."+name, "required field missing (needed with %s)", strings.Join(set, " and "))
			no.With = prefixed(path+".", set)
			errs = append(errs, no)
		}
	}
	return errs
}

// mutuallyExclusive is Kong's check of that name.
type mutuallyExclusive []string

func (names mutuallyExclusive) kong(prefix string) map[string]any {
	return map[string]any{"mutually_exclusive": prefixed(prefix, names)}
}

func (names mutuallyExclusive) check(record map[string]any, path string) []error {
	set := filledOf(record, names)
	if len(set) < 2 {
		return nil
	}
	return []error{fault(path+"."+set[1], "must not be set together with %s", set[0])}
}

func prefixed(prefix string, names []string) []string {
	all := make([]string, 0, len(names))
	for _, name := range names {
		all = append(all, prefix+name)
	}
	return all
}

// filledOf returns those of the fields that are set.
func filledOf(record map[string]any, names []string) (set []string) {
	for _, name := range names {
		if filled(valueAt(record, name)) {
			set = append(set, name)
		}
	}
	return set
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
