package schema

import "strings"

// LuaMatch is string.match(s, pattern) ~= nil for Lua patterns without
// captures of positions, %b and %f: what schemas use.
func LuaMatch(s, pattern string) bool {
	anchored := strings.HasPrefix(pattern, "^")
	if anchored {
		pattern = pattern[1:]
	}
	pattern = withoutCaptures(pattern)
	for i := 0; i <= len(s); i++ {
		if luaHere(s[i:], pattern) {
			return true
		}
		if anchored {
			return false
		}
	}
	return false
}

// withoutCaptures drops the parentheses of captures, which do not change
// whether a pattern matches.
func withoutCaptures(p string) string {
	var b strings.Builder
	inSet := false
	for i := 0; i < len(p); i++ {
		switch {
		case p[i] == '%' && i+1 < len(p):
			b.WriteString(p[i : i+2])
			i++
		case !inSet && (p[i] == '(' || p[i] == ')'):
		default:
			inSet = p[i] == '[' || inSet && p[i] != ']'
			b.WriteByte(p[i])
		}
	}
	return b.String()
}

func luaHere(s, p string) bool {
	if p == "" {
		return true
	}
	if p == "$" {
		return s == ""
	}
	n := itemLen(p)
	item, rest := p[:n], p[n:]
	single := func() bool { return s != "" && luaOne(s[0], item) }
	if rest == "" {
		return single()
	}
	switch rest[0] {
	case '?':
		return single() && luaHere(s[1:], rest[1:]) || luaHere(s, rest[1:])
	case '+', '*', '-':
		least := 0
		if rest[0] == '+' {
			least = 1
		}
		most := 0
		for most < len(s) && luaOne(s[most], item) {
			most++
		}
		// The order of tries does not matter to whether one succeeds.
		for i := least; i <= most; i++ {
			if luaHere(s[i:], rest[1:]) {
				return true
			}
		}
		return false
	}
	return single() && luaHere(s[1:], rest)
}

// itemLen is the length of the single-character item p starts with.
func itemLen(p string) int {
	switch {
	case p[0] == '%' && len(p) > 1:
		return 2
	case p[0] == '[':
		i := 1
		if i < len(p) && p[i] == '^' {
			i++
		}
		for first := true; i < len(p); first = false {
			switch {
			case p[i] == ']' && !first:
				return i + 1
			case p[i] == '%' && i+1 < len(p):
				i += 2
			default:
				i++
			}
		}
		return len(p)
	}
	return 1
}

func luaOne(c byte, item string) bool {
	switch {
	case item == ".":
		return true
	case item[0] == '%' && len(item) > 1:
		return luaClass(c, item[1])
	case item[0] == '[' && len(item) > 1:
		return luaSet(c, strings.TrimSuffix(item[1:], "]"))
	}
	return c == item[0]
}

func luaSet(c byte, set string) bool {
	negated := strings.HasPrefix(set, "^")
	if negated {
		set = set[1:]
	}
	in := false
	for i := 0; i < len(set); i++ {
		switch {
		case set[i] == '%' && i+1 < len(set):
			i++
			in = in || luaClass(c, set[i])
		case i+2 < len(set) && set[i+1] == '-':
			in = in || c >= set[i] && c <= set[i+2]
			i += 2
		default:
			in = in || c == set[i]
		}
	}
	return in != negated
}

func luaClass(c, class byte) bool {
	lower := c >= 'a' && c <= 'z'
	upper := c >= 'A' && c <= 'Z'
	digit := c >= '0' && c <= '9'
	printable := c > ' ' && c < 0x7f
	var in bool
	switch class | 0x20 {
	case 'a':
		in = lower || upper
	case 'd':
		in = digit
	case 'l':
		in = lower
	case 'u':
		in = upper
	case 'w':
		in = lower || upper || digit
	case 'x':
		in = digit || c|0x20 >= 'a' && c|0x20 <= 'f'
	case 's':
		in = c == ' ' || c >= '\t' && c <= '\r'
	case 'c':
		in = c < ' ' || c == 0x7f
	case 'p':
		in = printable && !lower && !upper && !digit
	case 'g':
		in = printable
	default:
		return c == class
	}
	if class >= 'A' && class <= 'Z' {
		return !in
	}
	return in
}
