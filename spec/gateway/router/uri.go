package router

import (
	"fmt"
	"strings"
)

// Normalize makes the path Kong matches and forwards of a raw one: escapes of
// unreserved characters are undone, others made upper case, dot segments
// removed, slashes merged.
func Normalize(raw string) string {
	path := unescape(raw)
	var out []string
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "." || s == "..":
			if s == ".." && len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		case s == "" && !last:
		default:
			out = append(out, s)
		}
	}
	return "/" + strings.Join(out, "/")
}

func unescape(s string) string {
	const reserved = "!*'();:@&=+$,/?%#[]"
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		var c byte
		if s[i] != '%' || i+2 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		if _, err := fmt.Sscanf(s[i+1:i+3], "%02x", &c); err != nil {
			b.WriteByte(s[i])
			continue
		}
		if strings.IndexByte(reserved, c) >= 0 {
			b.WriteString(strings.ToUpper(s[i : i+3]))
		} else {
			b.WriteByte(c)
		}
		i += 2
	}
	return b.String()
}

// Escape percent-encodes what may not stand in a path.
func Escape(path string) string {
	const allowed = "!#$&'()*+,/:;=?@[]-_.~%"
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(allowed, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
