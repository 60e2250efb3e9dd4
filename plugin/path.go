package plugin

import (
	"bytes"
	"encoding/json"
	"strings"
)

// claimAt returns the value at a path of names, from the outside in; nil if
// there is none.
func claimAt(claims map[string]any, path []string) any {
	var v any = claims
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

// claimText is a claim as text: a string as it is, anything else as JSON.
func claimText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return string(jsonText(v))
}

// jsonText is a claim as JSON, without the escapes that json.Marshal makes for HTML
// and that are six times as long.
func jsonText(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // it came from JSON
		return nil
	}
	return bytes.TrimSuffix(bytes.Clone(b.Bytes()), []byte("\n"))
}

// claimTexts is a claim that holds one value or a list of them. null is none.
func claimTexts(v any) []string {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	texts := make([]string, 0, len(list))
	for _, e := range list {
		if e != nil {
			texts = append(texts, claimText(e))
		}
	}
	return texts
}

// claimWords is a claim that holds a list, or a text with spaces between words
// (RFC 8693 section 4.2).
func claimWords(v any) []string {
	if s, ok := v.(string); ok {
		return strings.Fields(s)
	}
	return claimTexts(v)
}
