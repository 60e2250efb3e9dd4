package nginx

import (
	"errors"
	"fmt"
	"strings"
)

// Map is one map block: `map SOURCE $Name { … }`.
type Map struct {
	Name     string
	source   template
	fallback template
	values   map[string]template
}

// ErrSyntax tells of an include file that is not understood.
var ErrSyntax = errors.New("nginx include")

// ParseInclude reads the map blocks of an nginx configuration fragment, and passes
// over its server blocks.
func ParseInclude(text string) (map[string]*Map, error) {
	tokens, err := tokenize(withoutServers(text))
	if err != nil {
		return nil, err
	}
	maps := map[string]*Map{}
	for len(tokens) > 0 {
		if len(tokens) < 4 || !tokens[0].is("map") || !tokens[3].is("{") || !strings.HasPrefix(tokens[2].text, "$") {
			return nil, fmt.Errorf("%w: expected `map SOURCE $name {`, got %q", ErrSyntax, tokens[0].text)
		}
		m := &Map{Name: strings.ToLower(tokens[2].text[1:]), values: map[string]template{}}
		if m.source, err = parseTemplate(tokens[1].text); err != nil {
			return nil, err
		}
		if tokens, err = m.parseBody(tokens[4:]); err != nil {
			return nil, err
		}
		maps[m.Name] = m
	}
	return maps, nil
}

// withoutServers leaves out server blocks, up to the brace that ends them; the Lua
// in them is not looked at.
func withoutServers(text string) string {
	const begin = "\nserver {"
	for {
		start := strings.Index(text, begin)
		if start < 0 {
			return text
		}
		end, depth := start+len(begin), 1
		for ; end < len(text) && depth > 0; end++ {
			switch text[end] {
			case '{':
				depth++
			case '}':
				depth--
			}
		}
		text = text[:start] + text[end:]
	}
}

func (m *Map) parseBody(tokens []token) ([]token, error) {
	for len(tokens) > 0 {
		if tokens[0].is("}") {
			return tokens[1:], nil
		}
		if len(tokens) > 1 && tokens[0].is("volatile") && tokens[1].is(";") {
			tokens = tokens[2:]
			continue
		}
		if len(tokens) < 3 || !tokens[2].is(";") || strings.HasPrefix(tokens[0].text, "~") {
			return nil, fmt.Errorf("%w: map $%s: cannot read the entry %q", ErrSyntax, m.Name, tokens[0].text)
		}
		value, err := parseTemplate(tokens[1].text)
		if err != nil {
			return nil, err
		}
		if tokens[0].is("default") {
			m.fallback = value
		} else {
			m.values[strings.ToLower(tokens[0].text)] = value
		}
		tokens = tokens[3:]
	}
	return nil, fmt.Errorf("%w: map $%s has no end", ErrSyntax, m.Name)
}

// Value evaluates the map; lookup gives the variables it uses.
func (m *Map) Value(lookup func(string) string) string {
	if len(m.values) > 0 {
		if t, ok := m.values[strings.ToLower(m.source.expand(lookup))]; ok {
			return t.expand(lookup)
		}
	}
	return m.fallback.expand(lookup)
}

type token struct {
	text   string
	quoted bool
}

func (t token) is(text string) bool { return !t.quoted && t.text == text }

// tokenize splits as nginx does: words, quoted words, and { } ; — a backslash
// before a quote or another backslash is dropped, \t \r \n are what they say.
func tokenize(text string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i++
		case c == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case c == '{' || c == '}' || c == ';':
			tokens = append(tokens, token{text: string(c)})
			i++
		default:
			t, n, err := word(text[i:])
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, t)
			i += n
		}
	}
	return tokens, nil
}

func word(s string) (token, int, error) {
	var quote byte
	i := 0
	if s[0] == '"' || s[0] == '\'' {
		quote, i = s[0], 1
	}
	var b strings.Builder
	for ; i < len(s); i++ {
		c := s[i]
		switch {
		case quote != 0 && c == quote:
			return token{b.String(), true}, i + 1, nil
		case quote == 0 && c == '$' && i+1 < len(s) && s[i+1] == '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return token{}, 0, fmt.Errorf("%w: ${ without }", ErrSyntax)
			}
			b.WriteString(s[i : i+end+1])
			i += end
		case quote == 0 && strings.IndexByte(" \t\r\n;{", c) >= 0:
			return token{b.String(), false}, i, nil
		case c == '\\' && i+1 < len(s) && strings.IndexByte(`"'\trn`, s[i+1]) >= 0:
			i++
			b.WriteByte(map[byte]byte{'t': '\t', 'r': '\r', 'n': '\n', '"': '"', '\'': '\'', '\\': '\\'}[s[i]])
		default:
			b.WriteByte(c)
		}
	}
	if quote != 0 {
		return token{}, 0, fmt.Errorf("%w: a quoted word has no end", ErrSyntax)
	}
	return token{b.String(), false}, i, nil
}

// template is text with variables: literals and names by turns.
type template []part

type part struct {
	text     string
	variable bool
}

func parseTemplate(s string) (template, error) {
	var t template
	for s != "" {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			return append(t, part{text: s}), nil
		}
		if i > 0 {
			t = append(t, part{text: s[:i]})
		}
		s = s[i+1:]
		braced := strings.HasPrefix(s, "{")
		if braced {
			s = s[1:]
		}
		n := 0
		for n < len(s) && (s[n] == '_' || s[n] >= '0' && s[n] <= '9' || s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z') {
			n++
		}
		if n == 0 {
			return nil, fmt.Errorf("%w: invalid variable name", ErrSyntax)
		}
		t = append(t, part{text: strings.ToLower(s[:n]), variable: true})
		s = s[n:]
		if braced {
			if !strings.HasPrefix(s, "}") {
				return nil, fmt.Errorf("%w: the closing bracket of a variable is missing", ErrSyntax)
			}
			s = s[1:]
		}
	}
	return t, nil
}

func (t template) expand(lookup func(string) string) string {
	var b strings.Builder
	for _, p := range t {
		if p.variable {
			b.WriteString(lookup(p.text))
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}
