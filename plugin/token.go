package plugin

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"

	"kong-go-jwt/schema"
)

// What can be wrong with a token's form, in the bundled plugin's words
// (kong/plugins/jwt/jwt_parser.lua), but for the last.
const (
	malformedJSON      = "invalid JSON"
	malformedAlg       = "invalid alg"
	malformedClaims    = "invalid claims"
	malformedSignature = "invalid signature"
	malformedCrit      = "unsupported crit"
)

// maxDepth is how deep arrays and objects may nest, as in the JSON decoder of
// the bundled plugin (lua-cjson's decode_max_depth).
const maxDepth = 1000

// quickToken is how long a token may be, in bytes, to be parsed by who must not wait. One
// that consists of small values takes some 25 ns a byte (BenchmarkParse).
const quickToken = 3 << 10

// token is a parsed JWS in compact serialization (RFC 7515 section 7.1) whose
// payload is a set of claims. Nothing in it has been verified.
type token struct {
	header    map[string]any
	claims    map[string]any
	alg       string
	signed    []byte // what the signature is over: header and payload, a part of what was sent
	signature []byte
	trace     *Trace // nil: nobody wants to know
}

// parseToken takes a token apart. malformed says what is wrong with it, or is
// empty; t then holds no more than what could be read.
func parseToken(raw []byte) (t token, malformed string) {
	header, rest, ok1 := bytes.Cut(raw, []byte("."))
	claims, signature, ok2 := bytes.Cut(rest, []byte("."))
	headerValue, ok3 := decodePart(header)
	claimsValue, ok4 := decodePart(claims)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return token{}, malformedJSON
	}
	t.header, _ = headerValue.(map[string]any)
	t.alg, _ = t.header["alg"].(string)
	if !slices.Contains(schema.Algorithms(), t.alg) {
		return t, malformedAlg
	}
	if t.claims, ok1 = claimsValue.(map[string]any); !ok1 { // RFC 7519 section 7.2
		return t, malformedClaims
	}
	if t.signature, ok1 = decodeBase64URL(signature); !ok1 {
		return t, malformedSignature
	}
	if _, ok1 = t.header["crit"]; ok1 {
		// No extension is understood, so none that is critical can be accepted
		// (RFC 7515 section 4.1.11).
		return t, malformedCrit
	}
	t.signed = raw[:len(header)+1+len(claims)]
	return t, ""
}

// key returns the claim of that name, from the claims or else from the header.
// A nil value is an absent one.
func (t *token) key(name string) any {
	for _, v := range []any{t.claims[name], t.header[name]} {
		if v != nil && v != false { // Lua's "or" passes over both
			return v
		}
	}
	return nil
}

// number returns a claim that is a JSON number. One beyond the range of a
// float64 is infinite.
func (t *token) number(name string) (float64, bool) {
	n, ok := t.claims[name].(json.Number)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil && f == 0 {
		return 0, false
	}
	return f, true
}

func decodePart(part []byte) (v any, ok bool) {
	text, ok := decodeBase64URL(part)
	if !ok || !decodable(text) {
		return nil, false
	}
	return decodeJSON(text)
}

// decodable looks for what encoding/json lets through and the bundled plugin's
// decoder does not: deep nesting and escapes of half a surrogate pair.
func decodable(text []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			if unit, ok := codeUnit(text[i:]); ok && unit&0xF800 == 0xD800 {
				low, ok := codeUnit(text[min(i+6, len(text)):])
				if unit >= 0xDC00 || !ok || low&0xFC00 != 0xDC00 {
					return false
				}
				i += 6
			}
			i++ // whatever is escaped does not end the string
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			if depth++; depth > maxDepth {
				return false
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return true
}

// codeUnit decodes a leading \uXXXX.
func codeUnit(s []byte) (unit uint16, ok bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	for _, c := range s[2:6] {
		if !isHex(c) {
			return 0, false
		}
		unit = unit<<4 | uint16(unhex(c))
	}
	return unit, true
}

// decodeBase64URL decodes the URL-safe alphabet, with or without padding. As
// the bundled plugin does, it does not look at the bits that a last character
// has too many.
func decodeBase64URL(s []byte) ([]byte, bool) {
	s = trimPadding(s)
	if bytes.ContainsAny(s, "\r\n") { // which encoding/base64 would pass over
		return nil, false
	}
	out := make([]byte, base64.RawURLEncoding.DecodedLen(len(s)))
	n, err := base64.RawURLEncoding.Decode(out, s)
	return out[:n], err == nil
}

func trimPadding(s []byte) []byte {
	for range 2 {
		s = bytes.TrimSuffix(s, []byte("="))
	}
	return s
}
