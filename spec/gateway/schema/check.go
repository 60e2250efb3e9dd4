package schema

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Errors is what is wrong with an entity, field by field: a value is a text,
// another Errors, or for an array a []any.
type Errors map[string]any

// Violation renders errs as Kong's Admin API does in its messages.
func (errs Errors) Violation() string {
	var lines []string
	flatten("", map[string]any(errs), &lines)
	if len(lines) == 1 {
		return "schema violation (" + lines[0] + ")"
	}
	return strconv.Itoa(len(lines)) + " schema violations (" + strings.Join(lines, "; ") + ")"
}

func flatten(path string, v any, lines *[]string) {
	join := func(k string) string {
		if path == "" {
			return k
		}
		return path + "." + k
	}
	switch v := v.(type) {
	case Errors:
		flatten(path, map[string]any(v), lines)
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if entity, ok := v[k].([]any); ok && k == "@entity" {
				for _, e := range entity {
					*lines = append(*lines, fmt.Sprint(e))
				}
				continue
			}
			flatten(join(k), v[k], lines)
		}
	case []any:
		for i, e := range v {
			if e != nil {
				flatten(join(strconv.Itoa(i+1)), e, lines)
			}
		}
	default:
		*lines = append(*lines, path+": "+fmt.Sprint(v))
	}
}

// IsReference tells whether s points into a vault.
func IsReference(s string) bool {
	return strings.HasPrefix(s, "{vault://") && strings.HasSuffix(s, "}")
}

// check validates v and fills in defaults. It returns nil errors, a text, an
// Errors or a []any.
func (f *Field) check(v any) (any, any) {
	if v == nil {
		return nil, f.checkNull()
	}
	if eq, ok := f.rules["eq"]; ok && eq == nil {
		return nil, f.message("value must be null")
	}
	v, errs := f.checkType(v)
	if errs != nil {
		return v, errs
	}
	if s, ok := v.(string); ok && f.Referenceable && IsReference(s) {
		return v, nil
	}
	if text := f.checkRules(v); text != "" {
		return v, f.message(text)
	}
	return v, nil
}

func (f *Field) message(text string) string {
	if custom, ok := f.rules["err"].(string); ok {
		return custom
	}
	return text
}

func (f *Field) checkNull() any {
	if ne, ok := f.rules["ne"]; ok && ne == nil {
		return "value must not be null"
	}
	if eq, ok := f.rules["eq"]; ok && eq != nil {
		return "value must be " + show(eq)
	}
	if f.Required {
		return "required field missing"
	}
	return nil
}

func (f *Field) checkType(v any) (any, any) {
	switch f.Type {
	case "array", "set":
		return f.checkList(v)
	case "map":
		return f.checkMap(v)
	case "record":
		return f.checkRecord(v)
	case "foreign":
		if isRecord(v) {
			return v, nil
		}
		return v, "expected a record"
	case "integer":
		if isInteger(v) {
			return v, nil
		}
		return v, "expected an integer"
	case "number":
		if isNumber(v) {
			return v, nil
		}
		return v, "expected a number"
	case "boolean":
		if isBool(v) {
			return v, nil
		}
		return v, "expected a boolean"
	default:
		if isString(v) {
			return v, nil
		}
		return v, "expected a string"
	}
}

func (f *Field) checkList(v any) (any, any) {
	in, ok := list(v)
	if !ok {
		if f.Type == "set" {
			return v, "expected a set"
		}
		return v, "expected an array"
	}
	out, errs, bad := []any{}, make([]any, len(in)), false
	for i, e := range in {
		e, err := f.Elements.check(e)
		if err != nil {
			errs[i], bad = err, true
		}
		// A set drops what it has already, as Kong's does.
		if f.Type == "array" || !slices.ContainsFunc(out, func(o any) bool { return reflect.DeepEqual(o, e) }) {
			out = append(out, e)
		}
	}
	if bad {
		return v, errs
	}
	return out, nil
}

func (f *Field) checkMap(v any) (any, any) {
	in, ok := v.(map[string]any)
	if l, isArray := v.([]any); isArray && len(l) == 0 {
		ok = true
	}
	if !ok {
		return v, "expected a map"
	}
	out := map[string]any{}
	for _, k := range slices.Sorted(maps.Keys(in)) {
		if _, err := f.Keys.check(k); err != nil {
			return v, err
		}
		e, err := f.Values.check(in[k])
		if err != nil {
			return v, err
		}
		out[k] = e
	}
	return out, nil
}

func (f *Field) checkRecord(v any) (any, any) {
	in, ok := v.(map[string]any)
	if l, isArray := v.([]any); isArray && len(l) == 0 {
		ok = true
	}
	if !ok {
		return v, "expected a record"
	}
	out, errs := map[string]any{}, Errors{}
	for k := range in {
		if f.field(k) == nil || strings.Contains(k, ".") {
			errs[k] = "unknown field"
		}
	}
	for _, sub := range f.Fields {
		e, given := in[sub.Name]
		switch {
		case given:
		case sub.HasDefault:
			e = clone(sub.Default)
		case sub.Type == "record" && sub.Required:
			e = map[string]any{}
		}
		checked, err := sub.check(e)
		if err != nil {
			errs[sub.Name] = err
		}
		if checked != nil {
			out[sub.Name] = checked
		}
	}
	for _, c := range f.checks {
		c.run(f, out, errs)
	}
	// What is bad comes back filled with defaults too: entity checks look at it.
	if len(errs) > 0 {
		return out, errs
	}
	return out, nil
}

func clone(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = clone(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = clone(e)
		}
		return out
	}
	return v
}

func show(v any) string {
	if f, ok := v.(float64); ok && f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.FormatInt(int64(f), 10)
	}
	return fmt.Sprint(v)
}

func shown(v any) string {
	items, _ := list(v)
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = show(item)
	}
	return strings.Join(texts, ", ")
}

// checkRules runs the validators on a value of the right type.
func (f *Field) checkRules(v any) string {
	for _, name := range ruleOrder() {
		arg, ok := f.rules[name]
		if _, isText := v.(string); !ok && isText && name == "len_min" { // of its own accord
			arg, ok = 1.0, true
		}
		if !ok {
			continue
		}
		if text := rule(name, arg, v); text != "" {
			return text
		}
	}
	return ""
}

// ruleOrder is the order in which Kong runs validators.
func ruleOrder() []string {
	return []string{
		"eq", "ne", "not_one_of", "one_of", "gt", "timestamp", "uuid", "is_regex", "between", "len_eq", "len_min",
		"len_max", "starts_with", "not_match", "match_none", "match", "match_all", "match_any", "contains",
	}
}

func rule(name string, arg, v any) string { //nolint:cyclop // one case a validator
	number, _ := v.(float64)
	text, _ := v.(string)
	limit, _ := arg.(float64)
	pattern, _ := arg.(string)
	wanted, _ := arg.(bool)
	args, _ := list(arg)
	in := func(items []any) bool {
		return slices.ContainsFunc(items, func(o any) bool { return reflect.DeepEqual(o, v) })
	}
	bad := false
	message := ""
	switch name {
	case "between":
		low, _ := args[0].(float64)
		high, _ := args[1].(float64)
		bad, message = number < low || number > high, "value should be between "+show(low)+" and "+show(high)
	case "gt":
		bad, message = number <= limit, "value must be greater than "+show(limit)
	case "eq":
		bad, message = !reflect.DeepEqual(v, arg), "value must be "+show(arg)
	case "ne":
		bad, message = reflect.DeepEqual(v, arg), "value must not be "+show(v)
	case "len_eq":
		bad, message = float64(size(v)) != limit, "length must be "+show(limit)
	case "len_min":
		bad, message = float64(size(v)) < limit, "length must be at least "+show(limit)
	case "len_max":
		bad, message = float64(size(v)) > limit, "length must be at most "+show(limit)
	case "match":
		bad, message = !LuaMatch(text, pattern), "invalid value: "+text
	case "not_match":
		bad, message = LuaMatch(text, pattern), "invalid value: "+text
	case "match_all", "match_none":
		for _, a := range args {
			m, _ := a.(map[string]any)
			p, _ := m["pattern"].(string)
			if LuaMatch(text, p) != (name == "match_all") {
				return fmt.Sprint(m["err"])
			}
		}
	case "match_any":
		m, _ := arg.(map[string]any)
		patterns, _ := list(m["patterns"])
		bad, message = !slices.ContainsFunc(patterns, func(p any) bool {
			s, _ := p.(string)
			return LuaMatch(text, s)
		}), fmt.Sprint(m["err"])
	case "starts_with":
		bad, message = !strings.HasPrefix(text, pattern), "should start with: "+pattern
	case "one_of":
		bad, message = !in(args), "expected one of: "+shown(arg)
	case "not_one_of":
		bad, message = in(args), "must not be one of: "+shown(arg)
	case "contains":
		items, _ := list(v)
		bad = !slices.ContainsFunc(items, func(o any) bool { return reflect.DeepEqual(o, arg) })
		message = "expected to contain: " + show(arg)
	case "is_regex":
		_, err := regexp.Compile(text)
		bad, message = wanted && err != nil, "not a valid regex: "+text
	case "uuid":
		bad, message = wanted && !IsUUID(text), "expected a valid UUID"
	case "timestamp":
		bad, message = wanted && number <= 0, "expected a valid timestamp"
	}
	if bad {
		return message
	}
	return ""
}

func size(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case []any:
		return len(v)
	case map[string]any:
		return len(v)
	}
	return 0
}

// IsUUID tells whether s is a UUID as Kong sees one.
func IsUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i] | 0x20
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
		} else if (s[i] < '0' || s[i] > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
