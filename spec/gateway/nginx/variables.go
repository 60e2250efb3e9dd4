// Package nginx holds the nginx semantics a plugin can see through
// kong.nginx.get_var: header and cookie variables, and map blocks.
package nginx

import (
	"strings"

	"kong-go-jwt/spec/gateway/httpd"
)

// HeaderVariable is $http_NAME: every header whose name reads so when lower
// case and its dashes underscores, joined by ", " (a Cookie's by "; "). Before nginx
// 1.23 it is the first of them alone, but for Cookie and X-Forwarded-For.
func (v Version) HeaderVariable(h httpd.Header, name string) (string, bool) {
	separator, all := ", ", v.joins()
	switch strings.ToLower(name) {
	case "cookie":
		separator, all = "; ", true
	case "x_forwarded_for":
		all = true
	}
	var value string
	found := false
	for _, f := range h {
		if !matches(f.Name, name) {
			continue
		}
		if found {
			value += separator
		}
		value += f.Value
		if found = true; !all {
			break
		}
	}
	return value, found
}

func matches(header, variable string) bool {
	if len(header) != len(variable) {
		return false
	}
	for i := range len(header) {
		if fold(header[i]) != fold(variable[i]) {
			return false
		}
	}
	return true
}

func fold(c byte) byte {
	switch {
	case c == '-':
		return '_'
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}

// CookieVariable is $cookie_NAME: the first hit in the Cookie headers. Names
// compare without case, `;` and `,` end what is skipped, only `;` ends the
// value.
func CookieVariable(h httpd.Header, name string) (string, bool) {
	for _, f := range h {
		if !strings.EqualFold(f.Name, "cookie") {
			continue
		}
		if v, ok := cookie(f.Value, name); ok {
			return v, true
		}
	}
	return "", false
}

func cookie(s, name string) (string, bool) {
	for s != "" {
		if len(s) >= len(name) && strings.EqualFold(s[:len(name)], name) {
			rest := strings.TrimLeft(s[len(name):], " ")
			if value, ok := strings.CutPrefix(rest, "="); ok {
				value, _, _ = strings.Cut(strings.TrimLeft(value, " "), ";")
				return value, true
			}
			if rest == "" {
				return "", false
			}
			s = rest[1:] // whatever stands where "=" should be, a ";" too
		}
		i := strings.IndexAny(s, ";,")
		if i < 0 {
			return "", false
		}
		s = strings.TrimLeft(s[i+1:], " ")
	}
	return "", false
}
