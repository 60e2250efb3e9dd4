package plugin

import "bytes"

// Hidden is what a request looks like without its tokens. What carried none is
// nil, and stays as it is.
type Hidden struct {
	Query   *string
	Headers []Header // with the values that remain, if any
}

// hide takes every token out of the places that the configuration names.
func (e *Engine) hide(r *Request) *Hidden {
	h := new(Hidden)
	if query, changed := withoutParameters(r.Query, e.c.URIParamNames); changed {
		h.Query = &query
	}
	if cookies, changed := withoutCookies(r.Cookie, e.c.CookieNames); changed {
		h.Headers = append(h.Headers, Header{Name: "Cookie", Value: cookies})
	}
	for i := range max(len(r.Headers), len(r.Sent)) {
		var values [][]byte
		var name string
		if i < len(r.Headers) {
			values, name = [][]byte{r.Headers[i]}, e.c.HeaderNames[i]
		}
		if r.Sent != nil {
			values, name = append(values, r.Sent[i].More...), r.Sent[i].Name
		}
		header, changed := Header{Name: name}, false
		for _, v := range values {
			rest := withoutBearer(v)
			if proven(e.c, v) != nil {
				rest = nil
			}
			changed = changed || len(rest) != len(v)
			if len(rest) > 0 {
				header.Values = append(header.Values, string(rest))
			}
		}
		if changed {
			h.Headers = append(h.Headers, header)
		}
	}
	if len(r.DPoP) > 0 {
		h.Headers = append(h.Headers, Header{Name: "DPoP"})
	}
	return h
}

// withoutParameters leaves the parameters of those names out of a query, and
// keeps all else byte for byte.
func withoutParameters(query []byte, names []string) (rest string, changed bool) {
	if len(query) == 0 || len(names) == 0 {
		return "", false
	}
	var kept []byte
	done := 0 // with query, up to here
	for start, end := range parameters(query) {
		if !isParameter(query[start:end], names) {
			continue
		}
		kept, changed = append(kept, query[done:start]...), true
		if done = end + 1; end == len(query) {
			return string(bytes.TrimSuffix(kept, []byte("&"))), true
		}
	}
	if !changed {
		return "", false
	}
	return string(append(kept, query[done:]...)), true
}

// withoutBearer leaves out the token of a header's value, with the word Bearer
// and the list separator before it.
func withoutBearer(value []byte) []byte {
	token := bearer(value)
	if len(token) == 0 {
		return value
	}
	rest := bytes.TrimRight(value[:len(value)-len(token)], whiteSpace)
	return bytes.TrimRight(rest[:len(rest)-len("Bearer")], ", \t")
}
