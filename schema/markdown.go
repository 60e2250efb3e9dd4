package schema

//go:generate go test -run TestConfigurationIsCurrent . -update

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Markdown returns the table of fields of docs/configuration/GROUP.md.
func (g *Group) Markdown() string {
	var b strings.Builder
	b.WriteString("| field | type | default | meaning |\n| --- | --- | --- | --- |\n")
	writeRows(&b, "", g.fields())
	return b.String()
}

// Index returns the list of groups of docs/configuration.md.
func Index() string {
	var b strings.Builder
	for _, g := range Groups() {
		fmt.Fprintf(&b, "- **[%s](configuration/%s.md)**. %s\n ", g.Title, g.Name, g.About)
		for i, f := range g.fields() {
			if i > 0 {
				b.WriteString(",")
			}
			fmt.Fprintf(&b, " `%s`", f.Name)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (g *Group) fields() []Field {
	return slices.DeleteFunc(Fields(), func(f Field) bool { return f.Group != g.Name })
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
	if f.OneOf != nil {
		text += " One of `" + strings.Join(f.OneOf, "`, `") + "`."
	}
	if f.Elements != nil && f.Elements.OneOf != nil {
		text += " Any of `" + strings.Join(f.Elements.OneOf, "`, `") + "`."
	}
	if f.Between != nil {
		text += fmt.Sprintf(" Between %.0f and %.0f.", f.Between.Min, f.Between.Max)
	}
	if f.Referenceable {
		text += " May be a `{vault://…}` reference."
	}
	return text
}
