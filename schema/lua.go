package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// WriteLua writes what [Kong] returns as a schema.lua, for control planes that do
// not run the plugin. It requires no module; of Kong's globals it uses ngx.null.
func WriteLua(w io.Writer) error {
	text, err := json.Marshal(Kong())
	if err != nil {
		return fmt.Errorf("encoding the schema: %w", err)
	}
	var schema any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&schema); err != nil {
		return fmt.Errorf("encoding the schema: %w", err)
	}
	var b strings.Builder
	b.WriteString("-- Made by go-jwt -schema-lua.\nreturn ")
	writeLua(&b, schema, "")
	b.WriteString("\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the schema: %w", err)
	}
	return nil
}

// writeLua writes a value of encoding/json, whose numbers are [json.Number], as an
// expression of Lua.
func writeLua(b *strings.Builder, v any, indent string) {
	inner := indent + "  "
	switch v := v.(type) {
	case nil:
		b.WriteString("ngx.null")
	case string:
		b.WriteString(luaString(v))
	case []any:
		if len(v) == 0 {
			b.WriteString("{}")
			return
		}
		b.WriteString("{\n")
		for _, item := range v {
			b.WriteString(inner)
			writeLua(b, item, inner)
			b.WriteString(",\n")
		}
		b.WriteString(indent + "}")
	case map[string]any:
		b.WriteString("{\n")
		for _, name := range slices.Sorted(maps.Keys(v)) {
			b.WriteString(inner + "[" + luaString(name) + "] = ")
			writeLua(b, v[name], inner)
			b.WriteString(",\n")
		}
		b.WriteString(indent + "}")
	default: // a number, true or false
		fmt.Fprint(b, v)
	}
}

// luaString writes a text as Lua 5.1 reads it, which knows no \x or \u.
func luaString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ':
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
