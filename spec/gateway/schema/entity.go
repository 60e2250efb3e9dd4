package schema

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// entityCheck is one rule over several fields.
type entityCheck struct {
	name string
	arg  map[string]any // of conditional and mutually_exclusive_sets
	list []string       // of the others
	from []any
}

func parseChecks(v any) ([]entityCheck, error) {
	entries, ok := list(v)
	if !ok {
		return nil, fmt.Errorf("%w: entity_checks must be an array", ErrSchema)
	}
	var checks []entityCheck
	for _, e := range entries {
		m, ok := e.(map[string]any)
		if !ok || len(m) != 1 {
			return nil, fmt.Errorf("%w: an entity check is a table of one entry", ErrSchema)
		}
		for name, arg := range m {
			c := entityCheck{name: name}
			switch name {
			case "conditional", "mutually_exclusive_sets", "conditional_at_least_one_of":
				c.arg, ok = arg.(map[string]any)
			case "at_least_one_of", "only_one_of", "distinct", "mutually_required", "mutually_exclusive":
				c.from, ok = list(arg)
				c.list = texts(c.from)
			default:
				ok = false
			}
			if !ok || !c.known() {
				return nil, fmt.Errorf("%w: entity check %s", ErrSchema, name)
			}
			checks = append(checks, c)
		}
	}
	return checks, nil
}

// known refuses arguments Kong's metaschema does not have.
func (c entityCheck) known() bool {
	takes := map[string]map[string]func(any) bool{
		"conditional": {"if_field": isString, "then_field": isString, "then_err": isString, "if_match": isMatch, "then_match": isMatch},
		"conditional_at_least_one_of": {
			"if_field": isString, "if_match": isMatch, "then_at_least_one_of": isList, "then_err": isString,
			"else_match": isMatch, "else_then_at_least_one_of": isList, "else_then_err": isString,
		},
		"mutually_exclusive_sets": {"set1": isList, "set2": isList},
	}[c.name]
	for key, v := range c.arg {
		if valid, ok := takes[key]; !ok || !valid(v) {
			return false
		}
	}
	needs := map[string][]string{
		"conditional":                 {"if_field", "if_match", "then_field", "then_match"},
		"conditional_at_least_one_of": {"if_field", "if_match", "then_at_least_one_of"},
		"mutually_exclusive_sets":     {"set1", "set2"},
	}[c.name]
	return !slices.ContainsFunc(needs, func(key string) bool { return c.arg[key] == nil })
}

// isMatch tells whether v is what a field can be held against.
func isMatch(v any) bool {
	m, ok := v.(map[string]any)
	rules := validators()
	for rule := range m {
		if _, known := rules[rule]; !known && rule != "required" && rule != "elements" && rule != "keys" && rule != "values" {
			return false
		}
	}
	return ok
}

// names are the fields that the check looks at.
func (c entityCheck) names() []string {
	names := slices.Clone(c.list)
	for _, key := range []string{"if_field", "then_field"} {
		if name, ok := c.arg[key].(string); ok {
			names = append(names, name)
		}
	}
	for _, key := range []string{"then_at_least_one_of", "else_then_at_least_one_of", "set1", "set2"} {
		names = append(names, c.texts(key)...)
	}
	return names
}

func (c entityCheck) texts(key string) []string {
	items, _ := list(c.arg[key])
	return texts(items)
}

func texts(items []any) []string {
	out := make([]string, 0, len(items))
	for _, i := range items {
		s, _ := i.(string)
		out = append(out, s)
	}
	return out
}

func (c entityCheck) run(record *Field, entity map[string]any, errs Errors) {
	fail := func(text string) {
		l, _ := errs["@entity"].([]any)
		errs["@entity"] = append(l, text)
	}
	// Kong skips a check of a field that it fills in from a vault.
	if slices.ContainsFunc(c.names(), func(name string) bool {
		f := record.field(name)
		s, _ := get(entity, name).(string)
		return f != nil && f.Referenceable && IsReference(s)
	}) {
		return
	}
	if c.lacks(record, entity, errs) {
		return
	}
	set := setOf(entity, c.list)
	switch c.name {
	case "conditional_at_least_one_of":
		c.conditionalAtLeastOne(record, entity, fail)
	case "mutually_exclusive_sets":
		one, two := setOf(entity, c.texts("set1")), setOf(entity, c.texts("set2"))
		if len(one) > 0 && len(two) > 0 {
			fail("these sets are mutually exclusive: (" + quoted(one) + "), (" + quoted(two) + ")")
		}
	case "conditional":
		c.conditional(record, entity, errs, fail)
	case "at_least_one_of":
		if len(set) == 0 {
			fail("at least one of these fields must be non-empty: " + quoted(c.list))
		}
	case "only_one_of":
		if len(set) != 1 {
			fail("exactly one of these fields must be non-empty: " + quoted(c.list))
		}
	case "mutually_exclusive":
		if len(set) > 1 {
			fail("only one or none of these fields must be set: " + quoted(c.list))
		}
	case "mutually_required":
		if len(set) > 0 && len(set) < len(c.list) {
			fail("all or none of these fields must be set: " + quoted(c.list))
		}
	case "distinct":
		for i, name := range set {
			for _, other := range set[:i] {
				if reflect.DeepEqual(get(entity, name), get(entity, other)) {
					fail("values of these fields must be distinct: " + quoted(c.list))
					return
				}
			}
		}
	}
}

// lacks tells whether Kong does not run the check for want of fields, and refuses the
// entity if it needs them.
func (c entityCheck) lacks(record *Field, entity map[string]any, errs Errors) bool {
	needs := c.list
	switch c.name {
	case "conditional":
		needs = texts([]any{c.arg["if_field"]})
	case "only_one_of", "distinct":
	default:
		return false
	}
	missing := func(name string) bool { return isMissing(record, entity, name) }
	if !slices.ContainsFunc(c.names(), func(name string) bool { return !missing(name) }) {
		return true
	}
	lacks := false
	for _, name := range needs {
		if missing(name) {
			put(errs, name, "field required for entity check")
			lacks = true
		}
	}
	return lacks
}

// isMissing tells whether a field is not even null to Kong: it has no value though it is
// required, or is in a record that is not there.
func isMissing(record *Field, entity map[string]any, name string) bool {
	if get(entity, name) != nil {
		return false
	}
	if dot := strings.LastIndex(name, "."); dot >= 0 && get(entity, name[:dot]) == nil {
		return true
	}
	f := record.field(name)
	return f != nil && f.Required
}

func (c entityCheck) conditional(record *Field, entity map[string]any, errs Errors, fail func(string)) {
	ifName, _ := c.arg["if_field"].(string)
	thenName, _ := c.arg["then_field"].(string)
	ifField, thenField := record.field(ifName), record.field(thenName)
	if ifField == nil || thenField == nil {
		fail("entity check names an unknown field")
		return
	}
	ifValue, thenValue := get(entity, ifName), get(entity, thenName)
	if _, err := ifField.with(c.arg["if_match"]).check(ifValue); err != nil {
		return
	}
	_, err := thenField.with(c.arg["then_match"]).check(thenValue)
	if err == nil {
		return
	}
	put(errs, thenName, err)
	if custom, ok := c.arg["then_err"].(string); ok {
		fail(custom)
	} else {
		fail("failed conditional validation given value of field '" + ifName + "'")
	}
}

func (c entityCheck) conditionalAtLeastOne(record *Field, entity map[string]any, fail func(string)) {
	name, _ := c.arg["if_field"].(string)
	field, value := record.field(name), get(entity, name)
	if field == nil {
		fail("entity check names an unknown field")
		return
	}
	if isMissing(record, entity, name) {
		return
	}
	for _, branch := range []string{"", "else_"} {
		match := c.arg[branch+"match"]
		if branch == "" {
			match = c.arg["if_match"]
		}
		if match == nil {
			return
		}
		if _, err := field.with(match).check(value); err != nil {
			continue
		}
		names := c.texts(branch + "then_at_least_one_of")
		if len(setOf(entity, names)) > 0 {
			return
		}
		if custom, ok := c.arg[branch+"then_err"].(string); ok {
			fail(strings.ReplaceAll(custom, "%s", quoted(names)))
		} else {
			fail("at least one of these fields must be non-empty: " + quoted(names))
		}
		return
	}
}

// with is f with the rules of a conditional laid over its own.
func (f *Field) with(match any) *Field {
	over, _ := match.(map[string]any)
	out := *f
	out.rules = maps.Clone(f.rules)
	if out.rules == nil {
		out.rules = map[string]any{}
	}
	for name, v := range over {
		switch name {
		case "required":
			out.Required, _ = v.(bool)
		case "elements":
			out.Elements = f.Elements.with(v)
		default:
			out.rules[name] = v
		}
	}
	return &out
}

// setOf returns those of the fields that are set.
func setOf(entity map[string]any, names []string) (set []string) {
	for _, name := range names {
		if nonempty(get(entity, name)) {
			set = append(set, name)
		}
	}
	return set
}

func nonempty(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}

func get(entity map[string]any, name string) any {
	head, tail, dotted := strings.Cut(name, ".")
	if !dotted {
		return entity[head]
	}
	sub, _ := entity[head].(map[string]any)
	return get(sub, tail)
}

func put(errs Errors, name string, v any) {
	head, tail, dotted := strings.Cut(name, ".")
	if !dotted {
		errs[head] = v
		return
	}
	sub, ok := errs[head].(Errors)
	if !ok {
		sub = Errors{}
		errs[head] = sub
	}
	put(sub, tail, v)
}

func quoted(names []string) string { return "'" + strings.Join(names, "', '") + "'" }
