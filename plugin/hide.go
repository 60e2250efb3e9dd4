package plugin

import (
	"bytes"
	"slices"
	"strings"
)

// Hidden is what a request looks like without its tokens. What carried none is
// nil, and stays as it is.
type Hidden struct {
	Query   *string
	Headers []Header // with the value that remains, if any
}

// hide takes every token out of the places that the configuration names.
func (e *Engine) hide(r *Request) *Hidden {
	h := new(Hidden)
	if query, changed := withoutParts(r.Query, "&", e.c.URIParamNames, func(part []byte) string {
		name, _, _ := bytes.Cut(part, []byte("="))
		return string(unescape(name))
	}); changed {
		h.Query = &query
	}
	if cookies, changed := withoutParts(r.Cookie, ";", e.c.CookieNames, func(part []byte) string {
		name, _, _ := bytes.Cut(part, []byte("="))
		return strings.ToLower(string(bytes.TrimSpace(name)))
	}); len(r.Cookie) > 0 {
		for _, name := range e.c.CookieNames { // those behind a comma, which cookie finds too
			for value, start, end := cookieAt([]byte(cookies), name); value != nil; value, start, end = cookieAt([]byte(cookies), name) {
				cookies, changed = strings.TrimRight(cookies[:start], " ,")+cookies[end:], true
			}
		}
		if changed {
			h.Headers = append(h.Headers, Header{Name: "Cookie", Value: strings.TrimLeft(cookies, " ")})
		}
	}
	for i, value := range r.Headers {
		token := bearer(value)
		if len(token) == 0 {
			continue
		}
		// Up to the word Bearer, and any list separator before it.
		rest := bytes.TrimRight(value[:len(value)-len(token)], " \t\n\v\f\r")
		rest = bytes.TrimRight(rest[:len(rest)-len("Bearer")], ", \t")
		h.Headers = append(h.Headers, Header{Name: e.c.HeaderNames[i], Value: string(rest)})
	}
	return h
}

// withoutParts leaves out the parts of s with one of the names, and keeps all
// else byte for byte.
func withoutParts(s []byte, separator string, names []string, nameOf func(part []byte) string) (rest string, changed bool) {
	if len(s) == 0 || len(names) == 0 {
		return "", false
	}
	kept := [][]byte{}
	for part := range bytes.SplitSeq(s, []byte(separator)) {
		name := nameOf(part)
		if slices.ContainsFunc(names, func(n string) bool { return n == name || separator == ";" && strings.EqualFold(n, name) }) {
			changed = true
		} else {
			kept = append(kept, part)
		}
	}
	return string(bytes.Join(kept, []byte(separator))), changed
}
