package nginx

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Map is one map block: `map SOURCE $Name { … }`.
type Map struct {
	Name     string
	source   template
	fallback template
	values   map[string]template
	patterns []pattern // in their order
}

// pattern is an entry whose key is a regular expression.
type pattern struct {
	re    *regexp.Regexp
	value template
}

// ErrSyntax tells of an include file that is not understood.
var ErrSyntax = errors.New("nginx include")

// Include is a fragment of nginx's http block.
type Include struct {
	Maps map[string]*Map
	// ClearHeaders are the names of more_clear_input_headers.
	ClearHeaders []string
	// Server is nil where there is no server block.
	Server *Server
}

// Server is the server block of the plugin's include.
type Server struct {
	Socket  string // path of the unix socket
	Version string // what its Lua says in X-Go-Jwt-Store
}

// ParseInclude reads map blocks, more_clear_input_headers, and one server block
// with a unix socket, whose Lua is not run.
func ParseInclude(text string) (*Include, error) {
	tokens, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	in := &Include{Maps: map[string]*Map{}}
	for len(tokens) > 0 {
		switch {
		case tokens[0].is("map"):
			tokens, err = in.parseMap(tokens)
		case tokens[0].is("server") && in.Server == nil:
			tokens, err = in.parseServer(tokens[1:])
		case tokens[0].is("more_clear_input_headers"):
			end := slices.IndexFunc(tokens, func(t token) bool { return t.is(";") })
			if end < 0 {
				return nil, fmt.Errorf("%w: %s has no end", ErrSyntax, tokens[0].text)
			}
			for _, t := range tokens[1:end] {
				in.ClearHeaders = append(in.ClearHeaders, t.text)
			}
			tokens = tokens[end+1:]
		default:
			return nil, fmt.Errorf("%w: unexpected %q", ErrSyntax, tokens[0].text)
		}
		if err != nil {
			return nil, err
		}
	}
	return in, nil
}

func (in *Include) parseMap(tokens []token) ([]token, error) {
	if len(tokens) < 4 || !tokens[3].is("{") || !strings.HasPrefix(tokens[2].text, "$") {
		return nil, fmt.Errorf("%w: expected `map SOURCE $name {`", ErrSyntax)
	}
	m := &Map{Name: strings.ToLower(tokens[2].text[1:]), values: map[string]template{}}
	var err error
	if m.source, err = parseTemplate(tokens[1].text); err != nil {
		return nil, err
	}
	in.Maps[m.Name] = m
	return m.parseBody(tokens[4:])
}

// parseServer reads a server block behind its first word.
func (in *Include) parseServer(tokens []token) ([]token, error) {
	if len(tokens) == 0 || !tokens[0].is("{") {
		return nil, fmt.Errorf("%w: server is no block", ErrSyntax)
	}
	s := &Server{}
	depth := 0
	for i, t := range tokens {
		switch {
		case t.is("{"):
			depth++
		case t.is("}"):
			if depth--; depth == 0 {
				if s.Socket == "" || s.Version == "" {
					return nil, fmt.Errorf("%w: the server listens on no unix socket, or its Lua names no version", ErrSyntax)
				}
				in.Server = s
				return tokens[i+1:], nil
			}
		case t.is("listen") && i+1 < len(tokens):
			s.Socket, _ = strings.CutPrefix(tokens[i+1].text, "unix:")
		case t.lua:
			if m := storeVersion.FindStringSubmatch(t.text); m != nil {
				s.Version = m[1]
			}
		}
	}
	return nil, fmt.Errorf("%w: server has no end", ErrSyntax)
}

// storeVersion is where the include's Lua says which version it is.
var storeVersion = regexp.MustCompile(`X-Go-Jwt-Store"\]\s*=\s*"([^"]+)"`) //nolint:gochecknoglobals // a constant

func (m *Map) parseBody(tokens []token) ([]token, error) {
	for len(tokens) > 0 {
		if tokens[0].is("}") {
			return tokens[1:], nil
		}
		if len(tokens) > 1 && tokens[0].is("volatile") && tokens[1].is(";") {
			tokens = tokens[2:]
			continue
		}
		if len(tokens) < 3 || !tokens[2].is(";") {
			return nil, fmt.Errorf("%w: map $%s: cannot read the entry %q", ErrSyntax, m.Name, tokens[0].text)
		}
		value, err := parseTemplate(tokens[1].text)
		if err == nil {
			err = m.add(tokens[0].text, value)
		}
		if err != nil {
			return nil, fmt.Errorf("map $%s: %w", m.Name, err)
		}
		tokens = tokens[3:]
	}
	return nil, fmt.Errorf("%w: map $%s has no end", ErrSyntax, m.Name)
}

// add adds an entry. As nginx, it takes no key twice, and regular expressions for
// what begins with "~", or without case with "~*". It knows only those that Go has too.
func (m *Map) add(key string, value template) error {
	expression, isPattern := strings.CutPrefix(key, "~")
	_, twice := m.values[strings.ToLower(key)]
	switch {
	case key == "hostnames" || key == "include" || key == "volatile" || strings.HasPrefix(key, `\`):
		return fmt.Errorf("%w: cannot read the key %q", ErrSyntax, key)
	case twice || key == "default" && m.fallback != nil:
		return fmt.Errorf("%w: the key %q is there twice", ErrSyntax, key)
	case key == "default":
		m.fallback = value
	case isPattern:
		if rest, ok := strings.CutPrefix(expression, "*"); ok {
			expression = "(?i)" + rest
		}
		re, err := regexp.Compile(expression)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSyntax, err)
		}
		m.patterns = append(m.patterns, pattern{re, value})
	default:
		m.values[strings.ToLower(key)] = value
	}
	return nil
}

// Value evaluates the map; lookup gives the variables it uses. A key that is the
// source wins over one that matches it.
func (m *Map) Value(lookup func(string) string) string {
	source := m.source.expand(lookup)
	if t, ok := m.values[strings.ToLower(source)]; ok {
		return t.expand(lookup)
	}
	for _, p := range m.patterns {
		if p.re.MatchString(source) {
			return p.value.expand(lookup)
		}
	}
	return m.fallback.expand(lookup)
}

type token struct {
	text        string
	quoted, lua bool
}

func (t token) is(text string) bool { return !t.quoted && !t.lua && t.text == text }

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
			i++
			if n := len(tokens); c == '{' && n > 0 && strings.HasSuffix(tokens[n-1].text, "_by_lua_block") {
				end := luaEnd(text[i:])
				if end < 0 {
					return nil, fmt.Errorf("%w: a block of Lua has no end", ErrSyntax)
				}
				tokens = append(tokens, token{text: text[i : i+end], lua: true})
				i += end + 1
				continue
			}
			tokens = append(tokens, token{text: string(c)})
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

// luaEnd is where the brace stands that ends a block of Lua, as ngx_lua finds it:
// braces in strings and comments do not count. -1: there is none.
func luaEnd(s string) int {
	depth := 1
	skip := func(i int, end string) int { // behind the end of what begins at i
		n := strings.Index(s[i:], end)
		if n < 0 {
			return len(s)
		}
		return i + n + len(end)
	}
	for i := 0; i < len(s); {
		switch rest := s[i:]; {
		case strings.HasPrefix(rest, "--[["), strings.HasPrefix(rest, "[["):
			i = skip(i, "]]")
		case strings.HasPrefix(rest, "--"):
			i = skip(i, "\n")
		case rest[0] == '"' || rest[0] == '\'':
			for i++; i < len(s) && s[i] != rest[0]; i++ {
				if s[i] == '\\' {
					i++
				}
			}
			i++
		case rest[0] == '{':
			depth++
			i++
		case rest[0] == '}':
			if depth--; depth == 0 {
				return i
			}
			i++
		default:
			i++
		}
	}
	return -1
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
			return token{text: b.String(), quoted: true}, i + 1, nil
		case quote == 0 && c == '$' && i+1 < len(s) && s[i+1] == '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return token{}, 0, fmt.Errorf("%w: ${ without }", ErrSyntax)
			}
			b.WriteString(s[i : i+end+1])
			i += end
		case quote == 0 && strings.IndexByte(" \t\r\n;{", c) >= 0:
			return token{text: b.String()}, i, nil
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
	return token{text: b.String()}, i, nil
}

// template is text with variables: literals and names by turns.
type template []part

type part struct {
	text     string
	variable bool
}

func parseTemplate(s string) (template, error) {
	t := template{}
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
