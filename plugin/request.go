package plugin

import (
	"bytes"
	"iter"
	"slices"
	"strings"

	"kong-go-jwt/schema"
)

// Request is the snapshot of a request that an authentication is decided from.
// The slices may alias a buffer that is valid only while the request is being
// decided; the package keeps none of them.
type Request struct {
	Method     []byte
	Query      []byte   // raw, without "?"
	Cookie     []byte   // all Cookie headers, joined by "; "
	Connection []byte   // all Connection headers, joined by ", "
	Headers    [][]byte // first value of each of Config.HeaderNames, in their order; nil: absent
	// Sent tells more of each of Headers, if Config.HideCredentials needs it. Nil:
	// each was sent once, under the configured name. What follows behind those of
	// Headers was not looked at for a token, but may hold one: the other spelling of a
	// configured name with underscores. All its values are in More.
	Sent []SentHeader
	// Disguised are the names, as spelt, of headers that look like identity
	// headers but for underscores; see Disguised (the function).
	Disguised []string
	// Target and UpstreamPath are set where Config.PublishKeys or ResourceMetadata,
	// and Config.UpstreamAssertion.Bind need them: the target of the request line,
	// and the path that the upstream will see.
	Target, UpstreamPath []byte
	// Certificate is the client's, of its TLS connection, as PEM; empty: none.
	// CertificateHeader is all that Config.CertificateHeaderName holds, joined by
	// ", ", and Peer the address at the other end of the connection. They are set
	// where Config.MTLSBinding needs them.
	Certificate, CertificateHeader, Peer []byte
	// DPoP is all that the DPoP header holds, joined by ", ". Scheme, Host and Port are
	// what the client has called, as far as Kong knows of proxies before it, and
	// HostHeader is the Host header. They are set where Config.DPoP needs them, and
	// Method and Target with them.
	DPoP, Scheme, Host, HostHeader []byte
	Port                           int
	// HasCredential tells that another plugin has authenticated the request.
	HasCredential bool
	// Trace, if not nil, is filled in while the request is decided.
	Trace *Trace
}

// SentHeader is how one of Request.Headers was sent.
type SentHeader struct {
	Name string
	More [][]byte // the further values; nil: it was sent once
}

// sentToken is a request's token.
type sentToken struct {
	token []byte
	// proven tells that it was sent by the scheme DPoP (RFC 9449 section 7.1), and
	// otherwise that it was sent in another way, too or instead.
	proven, otherwise bool
}

// findToken returns the request's one token, as Kong's retrieve_tokens does
// (kong/plugins/jwt/handler.lua): from query parameters, cookies and headers,
// empty ones passed over, the same token several times counting once.
// A nil refusal means that token is not empty.
func findToken(c *schema.Config, refused *refusals, r *Request) (sent sentToken, no *Refusal) {
	var found tokens
	if len(c.URIParamNames) > 0 && len(r.Query) > 0 {
		found.fromQuery(r.Query, c.URIParamNames)
	}
	if len(r.Cookie) > 0 {
		for _, name := range c.CookieNames {
			found.add(cookie(r.Cookie, name))
		}
	}
	for _, value := range r.Headers {
		if token := proven(c, value); token != nil {
			found.addProven(token)
		} else {
			found.add(bearer(value))
		}
	}
	switch {
	case found.several || found.flag && found.token != nil:
		return sent, refused.multipleTokens
	case found.flag:
		return sent, refused.unrecognizableToken
	case found.token == nil:
		return sent, refused.noToken
	}
	return found.sentToken, nil
}

// tokens collects the distinct tokens of a request.
type tokens struct {
	sentToken

	several bool // there is another one beside token
	flag    bool // a query parameter without "=", for which Lua has the value true
}

// add adds a token that was not sent by the scheme DPoP, if there is one.
func (t *tokens) add(token []byte) {
	if len(token) > 0 {
		t.otherwise = true
		t.note(token)
	}
}

func (t *tokens) addProven(token []byte) {
	t.proven = true
	t.note(token)
}

func (t *tokens) note(token []byte) {
	switch {
	case t.token == nil:
		t.token = token
	case !bytes.Equal(t.token, token):
		t.several = true
	}
}

// fromQuery splits a raw query as ngx.req.get_uri_args does: at "&", names and
// values percent-decoded, "+" being a space.
func (t *tokens) fromQuery(query []byte, names []string) {
	for start, end := range parameters(query) {
		part := query[start:end]
		if !isParameter(part, names) {
			continue
		}
		_, value, hasValue := bytes.Cut(part, []byte("="))
		if hasValue {
			t.add(unescape(value))
		} else {
			t.flag = true
		}
	}
}

// parameters yields where each part of a raw query begins and ends. Empty ones, of which
// there can be thousands, are passed over.
func parameters(query []byte) iter.Seq2[int, int] {
	return func(yield func(start, end int) bool) {
		for start := 0; start < len(query); start++ {
			if query[start] == '&' {
				continue
			}
			end := len(query)
			if n := bytes.IndexByte(query[start:], '&'); n >= 0 {
				end = start + n
			}
			if !yield(start, end) {
				return
			}
			start = end
		}
	}
}

// isParameter tells whether a part of a query has one of those names.
func isParameter(part []byte, names []string) bool {
	if !slices.ContainsFunc(names, func(n string) bool { return len(n) <= len(part) }) {
		return false // a query can have thousands of short parts
	}
	name, _, _ := bytes.Cut(part, []byte("="))
	return slices.Contains(names, string(unescape(name)))
}

// unescape decodes a part of a query. It returns s itself where there is
// nothing to decode.
func unescape(s []byte) []byte {
	if bytes.IndexByte(s, '%') < 0 && bytes.IndexByte(s, '+') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			out = append(out, ' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return out
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// bearer returns what follows the first "Bearer" or "bearer" and white space
// in a header value, wherever that stands. It is the bundled plugin's pattern
// \s*[Bb]earer\s+(.+), by hand because it runs on every request. Where that finds
// nothing, the value may begin with the word in any case (RFC 9110 section 11.1).
func bearer(value []byte) []byte {
	for s := value; ; {
		i := bytes.Index(s, []byte("earer"))
		if i < 0 {
			break
		}
		rest := s[i+len("earer"):]
		if i > 0 && (s[i-1] == 'B' || s[i-1] == 'b') {
			if token := afterSpaces(rest); token != nil {
				return token
			}
		}
		s = rest
	}
	return afterScheme(value, "bearer")
}

// proven returns what follows the scheme DPoP, if that is good under c; else nil.
func proven(c *schema.Config, value []byte) []byte {
	if !c.DPoP.On() {
		return nil
	}
	return afterScheme(value, "dpop")
}

// afterScheme returns what follows a scheme, which compares without case.
func afterScheme(value []byte, scheme string) []byte {
	if value = bytes.TrimLeft(value, whiteSpace); len(value) > len(scheme) && strings.EqualFold(string(value[:len(scheme)]), scheme) {
		return afterSpaces(value[len(scheme):])
	}
	return nil
}

const whiteSpace = " \t\n\v\f\r" // Lua's %s

// afterSpaces matches \s+(.+).
func afterSpaces(s []byte) []byte {
	token := bytes.TrimLeft(s, whiteSpace)
	switch spaces := len(s) - len(token); {
	case spaces > 0 && len(token) > 0:
		return token
	case spaces > 1: // nothing but white space: the pattern gives back its last byte
		return s[len(s)-1:]
	}
	return nil
}
