package schema

//go:generate go test -run TestConfigurationIsCurrent . -update

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Markdown returns docs/configuration.md's table of fields.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| field | type | default | meaning |\n| --- | --- | --- | --- |\n")
	writeRows(&b, "", Fields())
	return b.String()
}

func writeRows(b *strings.Builder, prefix string, fields []Field) {
	for i := range fields {
		f := &fields[i]
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s |\n", prefix, f.Name, f.typeText(), f.defaultText(), f.meaning())
		if f.Elements != nil && f.Elements.Fields != nil {
			writeRows(b, prefix+f.Name+"[].", f.Elements.Fields)
		}
		if f.Fields != nil {
			writeRows(b, prefix+f.Name+".", f.Fields)
		}
	}
}

func (f *Field) typeText() string {
	if f.Elements != nil {
		return fmt.Sprintf("%s of %ss", f.Type, f.Elements.Type)
	}
	return string(f.Type)
}

func (f *Field) defaultText() string {
	switch {
	case f.Default != nil:
		text, err := json.Marshal(f.Default)
		if err != nil {
			return ""
		}
		return "`" + string(text) + "`"
	case f.Required:
		return "required"
	}
	return ""
}

func (f *Field) meaning() string {
	text := f.Description
	oneOf := f.OneOf
	if f.Elements != nil {
		oneOf = f.Elements.OneOf
	}
	if oneOf != nil {
		text += " One of `" + strings.Join(oneOf, "`, `") + "`."
	}
	if f.Between != nil {
		text += fmt.Sprintf(" Between %.0f and %.0f.", f.Between.Min, f.Between.Max)
	}
	if f.Referenceable {
		text += " May be a `{vault://…}` reference."
	}
	return text
}
