// Package httpd is the gateway's HTTP server. It keeps what net/http
// throws away and nginx does not: the order of headers, their spelling, and
// bytes that are no text.
package httpd

import "strings"

// Field is one header line.
type Field struct{ Name, Value string }

// Header is a list of header lines, in order.
type Header []Field

// Get returns the first value of name, whatever the case.
func (h Header) Get(name string) (string, bool) {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value, true
		}
	}
	return "", false
}

// Values returns all values of name.
func (h Header) Values(name string) []string {
	var values []string
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// Set replaces all values of name, spelt exactly so (case aside); no value
// clears it. Dashes and underscores are different here, as in
// ngx.req.set_header.
func (h *Header) Set(name string, values ...string) {
	kept := (*h)[:0:0]
	written := false
	for _, f := range *h {
		if !strings.EqualFold(f.Name, name) {
			kept = append(kept, f)
			continue
		}
		if !written {
			written = true
			for _, v := range values {
				kept = append(kept, Field{f.Name, v})
			}
		}
	}
	if !written {
		for _, v := range values {
			kept = append(kept, Field{name, v})
		}
	}
	*h = kept
}

// Add appends one line.
func (h *Header) Add(name, value string) { *h = append(*h, Field{name, value}) }

// Del removes name.
func (h *Header) Del(name string) { h.Set(name) }

// Clone returns a copy.
func (h Header) Clone() Header { return append(Header(nil), h...) }

// Map is what ngx.req.get_headers(limit) gives: lower-case names, values in
// order, lines beyond the limit cut off.
func (h Header) Map(limit int) map[string][]string {
	if limit > 0 && len(h) > limit {
		h = h[:limit]
	}
	m := make(map[string][]string, len(h))
	for _, f := range h {
		name := strings.ToLower(f.Name)
		m[name] = append(m[name], f.Value)
	}
	return m
}
