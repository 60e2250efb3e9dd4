// Package schema reads the schema a plugin server dumps, checks it as strictly
// as Kong's metaschema would, and checks configurations with it.
package schema

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// ErrSchema tells of a schema Kong would not take.
var ErrSchema = errors.New("bad plugin schema")

// Field is one field's definition.
type Field struct {
	Name          string
	Type          string
	Required      bool
	optional      bool // it is said not to be required
	Referenceable bool
	HasDefault    bool
	Default       any
	Elements      *Field
	Keys, Values  *Field
	Fields        []*Field
	checks        []entityCheck
	rules         map[string]any // the validators, by name
}

// attributes lists what a field may say: for each, a check of the attribute's
// own value and the types it goes with (none: all).
type attribute struct {
	valid func(any) bool
	types []string
}

func isString(v any) bool  { _, ok := v.(string); return ok }
func isBool(v any) bool    { _, ok := v.(bool); return ok }
func isNumber(v any) bool  { _, ok := v.(float64); return ok }
func isInteger(v any) bool { f, ok := v.(float64); return ok && f == math.Trunc(f) }
func isList(v any) bool    { _, ok := list(v); return ok }
func isRecord(v any) bool  { _, ok := v.(map[string]any); return ok }
func anything(any) bool    { return true }

func isLimits(v any) bool {
	l, ok := list(v)
	return ok && len(l) == 2 && isNumber(l[0]) && isNumber(l[1])
}

func isDescription(v any) bool {
	s, ok := v.(string)
	return ok && len(s) >= 10 && len(s) <= 500
}

func validators() map[string]attribute {
	return map[string]attribute{
		"between":     {isLimits, []string{"integer", "number"}},
		"eq":          {anything, nil},
		"ne":          {anything, nil},
		"gt":          {isNumber, nil},
		"len_eq":      {isInteger, []string{"array", "set", "string", "map"}},
		"len_min":     {isInteger, nil},
		"len_max":     {isInteger, nil},
		"match":       {isString, []string{"string"}},
		"not_match":   {isString, nil},
		"match_all":   {isList, nil},
		"match_none":  {isList, nil},
		"match_any":   {isRecord, nil},
		"starts_with": {isString, nil},
		"one_of":      {isList, []string{"string", "number", "integer"}},
		"not_one_of":  {isList, nil},
		"contains":    {anything, []string{"array", "set"}},
		"is_regex":    {isBool, []string{"string"}},
		"timestamp":   {isBool, []string{"number", "integer"}},
		"uuid":        {isBool, []string{"string"}},
	}
}

func attributes() map[string]attribute {
	all := validators()
	for name, a := range map[string]attribute{
		"type":               {isString, nil},
		"required":           {isBool, nil},
		"reference":          {isString, nil},
		"description":        {isDescription, nil},
		"examples":           {isList, nil},
		"auto":               {isBool, nil},
		"unique":             {isBool, []string{"string", "number", "integer", "foreign"}},
		"default":            {anything, nil},
		"abstract":           {isBool, nil},
		"generate_admin_api": {isBool, nil},
		"immutable":          {isBool, nil},
		"err":                {isString, nil},
		"encrypted":          {isBool, nil},
		"referenceable":      {isBool, nil},
		"transient":          {isBool, nil},
		"deprecation":        {isRecord, nil},
		"elements":           {isRecord, nil},
		"keys":               {isRecord, nil},
		"values":             {isRecord, nil},
		"fields":             {isList, nil},
		"entity_checks":      {isList, nil},
		"shorthand_fields":   {isList, nil},
	} {
		all[name] = a
	}
	return all
}

// list reads a JSON value as an array. Lua has one kind of table, so {} is an
// empty array too.
func list(v any) ([]any, bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case map[string]any:
		return nil, len(v) == 0
	}
	return nil, false
}

// parseField reads a field's definition. name is for messages.
func parseField(name string, v any) (*Field, error) {
	def, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%w: %s: '%s' must be a table", ErrSchema, name, name)
	}
	f := &Field{Name: name, rules: map[string]any{}}
	f.Type, _ = def["type"].(string)
	types := []string{"array", "set", "string", "number", "boolean", "integer", "foreign", "map", "record", "json", "function"}
	if !slices.Contains(types, f.Type) {
		return nil, fmt.Errorf("%w: %s: invalid type: %v", ErrSchema, name, def["type"])
	}
	known, rules := attributes(), validators()
	for key, value := range def {
		a, ok := known[key]
		// A JSON null is a value to Lua, and fits eq and ne alone.
		if !ok || value == nil && key != "eq" && key != "ne" || !a.valid(value) {
			return nil, fmt.Errorf("%w: %s: %s: unknown field or bad value %v", ErrSchema, name, key, value)
		}
		if a.types != nil && !slices.Contains(a.types, f.Type) {
			return nil, fmt.Errorf("%w: %s: field of type '%s' cannot have attribute '%s'", ErrSchema, name, f.Type, key)
		}
		if _, ok := rules[key]; ok {
			f.rules[key] = value
		}
	}
	f.Required, _ = def["required"].(bool)
	f.optional = def["required"] == false
	f.Referenceable, _ = def["referenceable"].(bool)
	f.Default, f.HasDefault = def["default"]
	if err := f.parseNested(def); err != nil {
		return nil, err
	}
	if f.HasDefault {
		if f.Type == "array" || f.Type == "set" {
			f.Default, _ = list(f.Default)
			if f.Default == nil {
				f.Default = []any{}
			}
		}
		if _, errs := f.check(f.Default); errs != nil {
			return nil, fmt.Errorf("%w: %s: default: %v", ErrSchema, name, errs)
		}
	}
	return f, nil
}

func (f *Field) parseNested(def map[string]any) error {
	needs := map[string][]string{"array": {"elements"}, "set": {"elements"}, "map": {"keys", "values"}, "record": {"fields"}}
	for _, attr := range needs[f.Type] {
		if _, ok := def[attr]; !ok {
			return fmt.Errorf("%w: %s: field of type '%s' must declare '%s'", ErrSchema, f.Name, f.Type, attr)
		}
	}
	for attr, to := range map[string]**Field{"elements": &f.Elements, "keys": &f.Keys, "values": &f.Values} {
		v, ok := def[attr]
		if !ok {
			continue
		}
		nested, err := parseField(f.Name, v)
		if err != nil {
			return err
		}
		nested.Required = true
		*to = nested
	}
	if v, ok := def["fields"]; ok {
		fields, err := parseFields(v)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		f.Fields = fields
	}
	if v, ok := def["entity_checks"]; ok {
		checks, err := parseChecks(v)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		f.checks = checks
	}
	return nil
}

// parseFields reads the list of one-entry tables Kong keeps fields in.
func parseFields(v any) ([]*Field, error) {
	entries, ok := list(v)
	if !ok {
		return nil, fmt.Errorf("%w: fields must be an array", ErrSchema)
	}
	fields := []*Field{}
	for _, e := range entries {
		m, ok := e.(map[string]any)
		if !ok || len(m) != 1 {
			return nil, fmt.Errorf("%w: each entry in fields must be a table of one field", ErrSchema)
		}
		for name, def := range m {
			f, err := parseField(name, def)
			if err != nil {
				return nil, err
			}
			fields = append(fields, f)
		}
	}
	return fields, nil
}

// field finds a (possibly dotted) field of a record.
func (f *Field) field(name string) *Field {
	head, tail, dotted := strings.Cut(name, ".")
	for _, sub := range f.Fields {
		if sub.Name == head {
			if dotted {
				return sub.field(tail)
			}
			return sub
		}
	}
	return nil
}
