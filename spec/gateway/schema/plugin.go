package schema

import (
	"fmt"
	"slices"
)

// Plugin is a plugin's schema: the record of its entity, config included.
type Plugin struct {
	Name   string
	entity *Field
}

// baseFields is what every plugin entity has, before its schema says more.
func baseFields() []*Field {
	text := &Field{Type: "string", Required: true}
	protocols := []any{"grpc", "grpcs", "http", "https"}
	foreign := func(name string) *Field { return &Field{Name: name, Type: "foreign"} }
	return []*Field{
		{Name: "id", Type: "string", rules: map[string]any{"uuid": true}},
		{Name: "name", Type: "string", Required: true},
		{Name: "instance_name", Type: "string"},
		{Name: "created_at", Type: "integer"},
		{Name: "updated_at", Type: "integer"},
		foreign("route"), foreign("service"), foreign("consumer"),
		{
			Name: "protocols", Type: "set", Required: true, HasDefault: true, Default: protocols,
			Elements: &Field{Type: "string", Required: true, rules: map[string]any{
				"one_of": []any{"grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp", "ws", "wss"},
			}},
		},
		{Name: "enabled", Type: "boolean", Required: true, HasDefault: true, Default: true},
		{Name: "tags", Type: "set", Elements: text},
		{Name: "config", Type: "record", Required: true},
	}
}

// ParsePlugin reads the Schema of a dump.
func ParsePlugin(v any) (*Plugin, error) {
	def, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%w: expected a table", ErrSchema)
	}
	for key := range def {
		if !slices.Contains([]string{"name", "fields", "entity_checks", "transformations", "shorthand_fields"}, key) {
			return nil, fmt.Errorf("%w: %s: unknown field", ErrSchema, key)
		}
	}
	p := &Plugin{entity: &Field{Name: "plugin", Type: "record", Required: true, Fields: baseFields()}}
	p.Name, _ = def["name"].(string)
	if p.Name == "" {
		return nil, fmt.Errorf("%w: name: required field missing", ErrSchema)
	}
	fields, err := parseFields(def["fields"])
	if err != nil {
		return nil, err
	}
	for _, f := range fields {
		at := slices.IndexFunc(p.entity.Fields, func(b *Field) bool { return b.Name == f.Name })
		if at < 0 {
			return nil, fmt.Errorf("%w: '%s': %s: cannot create a new field", ErrSchema, p.Name, f.Name)
		}
		if p.entity.Fields[at].Type != f.Type {
			return nil, fmt.Errorf("%w: '%s': %s: cannot change type in a specialized field", ErrSchema, p.Name, f.Name)
		}
		p.entity.Fields[at] = f
	}
	requireRecords(p.entity.Fields)
	p.entity.field("config").Required = true
	if p.entity.field("config").Fields == nil {
		return nil, fmt.Errorf("%w: '%s': config: abstract field was not specialized", ErrSchema, p.Name)
	}
	if checks, ok := def["entity_checks"]; ok {
		if p.entity.checks, err = parseChecks(checks); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// requireRecords has records be required that do not say otherwise, as Kong does (3.9.3,
// make_records_required in kong/db/schema/entity.lua): where such a record is not given,
// it is there with its defaults. Records in lists are let be.
func requireRecords(fields []*Field) {
	for _, f := range fields {
		if f.Type == "record" {
			f.Required = !f.optional
			requireRecords(f.Fields)
		}
	}
}

// Check validates a plugin entity and returns it with its defaults filled in.
func (p *Plugin) Check(entity map[string]any) (map[string]any, Errors) {
	v, errs := p.entity.check(entity)
	if errs != nil {
		tree, ok := errs.(Errors)
		if !ok {
			tree = Errors{"@entity": []any{errs}}
		}
		return nil, tree
	}
	m, _ := v.(map[string]any)
	return m, nil
}

// Resolve replaces the vault references of referenceable fields in a checked
// config. Each record that held some tells of them in its $refs, as Kong has it.
func (p *Plugin) Resolve(config map[string]any, lookup func(reference string) string) map[string]any {
	resolved, _, _ := p.entity.field("config").resolve(config, lookup)
	m, _ := resolved.(map[string]any)
	return m
}

// resolve returns v with its references replaced, and those of v itself: a text,
// or for the texts of an array or a map the same of those. refs is nil for a
// record, which keeps its own.
func (f *Field) resolve(v any, lookup func(string) string) (resolved, refs any, found bool) {
	switch v := v.(type) {
	case string:
		if f.Referenceable && IsReference(v) {
			return lookup(v), v, true
		}
	case []any:
		if f.Elements == nil {
			return v, nil, false
		}
		out, list := make([]any, len(v)), make([]any, len(v))
		for i, e := range v {
			var has bool
			out[i], list[i], has = f.Elements.resolve(e, lookup)
			found = found || has
		}
		return out, list, found
	case map[string]any:
		if f.Type == "record" {
			return f.resolveRecord(v, lookup), nil, false
		}
		if f.Values == nil {
			return v, nil, false
		}
		out, table := make(map[string]any, len(v)), map[string]any{}
		for k, e := range v {
			value, ref, has := f.Values.resolve(e, lookup)
			if out[k] = value; has {
				table[k] = ref
			}
		}
		return out, table, len(table) > 0
	}
	return v, nil, false
}

func (f *Field) resolveRecord(record map[string]any, lookup func(string) string) map[string]any {
	out, refs := make(map[string]any, len(record)), map[string]any{}
	for k, v := range record {
		out[k] = v
		if sub := f.field(k); sub != nil {
			value, ref, has := sub.resolve(v, lookup)
			if out[k] = value; has {
				refs[k] = ref
			}
		}
	}
	if len(refs) > 0 {
		out["$refs"] = refs
	}
	return out
}
