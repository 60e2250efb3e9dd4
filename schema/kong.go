package schema

import "errors"

// Kong returns the plugin's schema in Kong's schema language, ready to be
// encoded as JSON into the Schema of -dump.
func Kong() map[string]any {
	return map[string]any{
		"name": Name,
		"fields": []any{
			// "eq": null refuses the plugin on a consumer: there is no consumer
			// before authentication (Kong's typedefs.no_consumer).
			map[string]any{"consumer": map[string]any{
				"type": "foreign", "reference": "consumers", "eq": nil,
				"description": "Not allowed: a consumer is known only after authentication.",
			}},
			map[string]any{"protocols": protocols().kong()},
			map[string]any{"config": map[string]any{
				"type": "record", "fields": kongFields(Fields()),
			}},
		},
		"entity_checks": kongRules(Rules(), "config."),
	}
}

// protocols is the plugin's field of that name, beside config.
func protocols() *Field {
	all := []string{"grpc", "grpcs", "http", "https"}
	return &Field{
		Name: "protocols", Type: Set, Required: true, Default: all, Elements: &Field{Type: String, OneOf: all},
		Description: "Protocols of the requests that the plugin runs on.",
	}
}

// CheckProtocols checks the protocols that a plugin is configured for. The error
// is as that of [Check].
func CheckProtocols(v any) error {
	_, errs := protocols().check(v, "protocols", true)
	return errors.Join(errs...)
}

func kongFields(fields []Field) []any {
	out := make([]any, 0, len(fields))
	for _, f := range fields {
		m := f.kong()
		if f.Type == Record { // else Kong requires it (make_records_required, kong/db/schema/entity.lua)
			m["required"] = f.Required
		}
		out = append(out, map[string]any{f.Name: m})
	}
	return out
}

func (f *Field) kong() map[string]any {
	m := map[string]any{"type": f.Type}
	if f.Description != "" {
		m["description"] = f.Description
	}
	if f.Default != nil {
		m["default"] = f.Default
	}
	if f.Required {
		m["required"] = true
	}
	if len(f.OneOf) > 0 {
		m["one_of"] = f.OneOf
	}
	if f.Between != nil {
		m["between"] = []float64{f.Between.Min, f.Between.Max}
	}
	if f.Match != nil {
		m["match"] = f.Match.Lua
	}
	if f.MatchAll != nil {
		m["match_all"] = kongPatterns(f.MatchAll)
	}
	if f.MatchNone != nil {
		m["match_none"] = kongPatterns(f.MatchNone)
	}
	if f.LenMin > 0 {
		m["len_min"] = f.LenMin
	}
	if f.Elements != nil {
		m["elements"] = f.Elements.kong()
	}
	if f.Fields != nil {
		m["fields"] = kongFields(f.Fields)
	}
	if f.Rules != nil {
		m["entity_checks"] = kongRules(f.Rules, "")
	}
	if f.Referenceable {
		m["referenceable"] = true
	}
	if f.Encrypted {
		m["encrypted"] = true
	}
	return m
}

func kongPatterns(patterns []Pattern) []any {
	list := make([]any, 0, len(patterns))
	for _, p := range patterns {
		list = append(list, map[string]any{"pattern": p.Lua, "err": p.Problem})
	}
	return list
}
