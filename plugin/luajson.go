package plugin

import (
	"fmt"
	"maps"
	"slices"
)

// jsonBody encodes an object of texts, its names in order, byte for byte as Kong's
// lua-cjson does: encoding/json escapes other characters.
func jsonBody(fields map[string]string) []byte {
	body := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(fields)) {
		if i > 0 {
			body = append(body, ',')
		}
		body = appendText(append(appendText(body, name), ':'), fields[name])
	}
	return append(body, '}')
}

// appendText encodes a text. What is not UTF-8 becomes U+FFFD.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\' || r == '/':
			b = append(b, '\\', byte(r))
		case r == '\b':
			b = append(b, `\b`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\f':
			b = append(b, `\f`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r < ' ' || r == 0x7f:
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = append(b, string(r)...)
		}
	}
	return append(b, '"')
}
