package schema

import (
	"fmt"
	"maps"
	"reflect"
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
	if c.name != "conditional" {
		return true
	}
	rules := validators()
	for key, v := range c.arg {
		switch key {
		case "if_field", "then_field", "then_err":
			if !isString(v) {
				return false
			}
		case "if_match", "then_match":
			m, ok := v.(map[string]any)
			if !ok {
				return false
			}
			for rule := range m {
				if _, ok := rules[rule]; !ok && rule != "required" && rule != "elements" && rule != "keys" && rule != "values" {
					return false
				}
			}
		default:
			return false
		}
	}
	return isString(c.arg["if_field"]) && isString(c.arg["then_field"]) && c.arg["if_match"] != nil && c.arg["then_match"] != nil
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
	var set []string
	for _, name := range c.list {
		if nonempty(get(entity, name)) {
			set = append(set, name)
		}
	}
	switch c.name {
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

func (c entityCheck) conditional(record *Field, entity map[string]any, errs Errors, fail func(string)) {
	ifName, _ := c.arg["if_field"].(string)
	thenName, _ := c.arg["then_field"].(string)
	ifField, thenField := record.field(ifName), record.field(thenName)
	if ifField == nil || thenField == nil {
		fail("entity check names an unknown field")
		return
	}
	ifValue, thenValue := get(entity, ifName), get(entity, thenName)
	for _, pair := range []struct {
		f *Field
		v any
	}{{ifField, ifValue}, {thenField, thenValue}} {
		if s, ok := pair.v.(string); ok && pair.f.Referenceable && IsReference(s) {
			return
		}
	}
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
