package proxy

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// decodeArgs is ngx.decode_args: a value is true for a name without "=", a
// text, or a list of those for a repeated name.
func decodeArgs(query string, limit int) map[string]any {
	args := map[string]any{}
	n := 0
	for _, pair := range strings.Split(query, "&") {
		k, v, valued := strings.Cut(pair, "=")
		k = unescapeArg(k)
		if k == "" {
			continue
		}
		if n++; limit > 0 && n > limit {
			break
		}
		var value any = true
		if valued {
			value = unescapeArg(v)
		}
		switch old := args[k].(type) {
		case nil:
			args[k] = value
		case []any:
			args[k] = append(old, value)
		default:
			args[k] = []any{old, value}
		}
	}
	return args
}

// unescapeArg undoes what can be undone and leaves the rest.
func unescapeArg(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s):
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				b.WriteByte('%')
				continue
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// encodeArgs is what kong.service.request.set_query makes of a table.
func encodeArgs(args map[string]any) string {
	var out []string
	one := func(k string, v any) {
		k = strings.ReplaceAll(url.QueryEscape(k), "+", "%20")
		switch v := v.(type) {
		case bool:
			out = append(out, k)
		case string:
			out = append(out, k+"="+strings.ReplaceAll(url.QueryEscape(v), "+", "%20"))
		case float64:
			out = append(out, k+"="+luaNumber(v))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(args)) {
		if l, ok := args[k].([]any); ok {
			for _, v := range l {
				one(k, v)
			}
			continue
		}
		one(k, args[k])
	}
	return strings.Join(out, "&")
}

// luaNumber is tostring of a number.
func luaNumber(f float64) string { return strconv.FormatFloat(f, 'g', 14, 64) }

// withoutArg removes every argument of that name.
func withoutArg(query, name string) string {
	var kept []string
	for _, pair := range strings.Split(query, "&") {
		k, _, _ := strings.Cut(pair, "=")
		if unescapeArg(k) != name {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}
