package kong

import (
	"slices"
	"strings"
	"sync/atomic"

	"kong-go-jwt/kong/wire"
	"kong-go-jwt/plugin"
	"kong-go-jwt/schema"
)

// reads says what an instance must ask Kong for, made once for its
// configuration.
type reads struct {
	variable batch // one variable
	plain    batch // where that is not set up, or not enough

	// What the batches ask for, in this order. The credential is asked for last,
	// in both.
	authorization bool // plain: $http_authorization, else all headers
	headers       bool
	query         bool
	method        bool
	credential    bool

	headerNames []string // Config.HeaderNames
	identifying []string // headers whose disguises are removed; nil: none
	claimed     []string // headers of Config.ClaimsToHeaders

	fewDisguises bool   // of claimed, so that all can be removed unseen
	removals     []byte // of them (appendRemovals)

	covered atomic.Pointer[cover] // by the variable
}

func newReads(c *schema.Config) *reads {
	onlyAuthorization := !slices.ContainsFunc(c.HeaderNames, func(name string) bool {
		return !strings.EqualFold(name, "authorization")
	})
	r := &reads{
		query:       len(c.URIParamNames) > 0,
		method:      !c.RunOnPreflight,
		credential:  c.Anonymous != "" || !c.RunOnPreflight || c.Shadow,
		headerNames: c.HeaderNames,
	}
	if c.GuardHeaders {
		r.identifying = plugin.GuardedHeaders(c)
	}
	for _, h := range c.ClaimsToHeaders {
		r.claimed = append(r.claimed, h.Header)
	}
	var disguises []string
	disguises, r.fewDisguises = plugin.ClaimDisguises(c)
	r.removals = appendRemovals(nil, disguises)
	// A variable is cheaper than all headers, but joins repeated ones, which
	// matters for every header but Authorization: nginx refuses it twice.
	r.headers = c.GuardHeaders || len(c.CookieNames) > 0 || !onlyAuthorization
	r.authorization = !r.headers && len(c.HeaderNames) > 0

	r.variable.getVar(requestVariable)
	if r.headers {
		r.plain.getHeaders()
	}
	if r.authorization {
		r.plain.getVar("http_authorization")
	}
	if r.query {
		r.plain.getVar("args")
	}
	if r.method {
		r.plain.call("kong.request.get_method", noArguments)
	}
	if r.credential {
		for _, b := range []*batch{&r.variable, &r.plain} {
			b.call("kong.client.get_credential", noArguments)
		}
	}
	return r
}

// fromHeaders fills a request from what get_headers has answered. It reports
// false if the answer cannot be read, or may not be all.
func (r *reads) fromHeaders(headers []wire.Header, to *plugin.Request) {
	for _, h := range headers {
		switch string(h.Name) {
		case "cookie":
			to.Cookie = h.Join("; ")
		case "connection":
			to.Connection = h.Join(", ")
		}
	}
	to.Headers = to.Headers[:0]
	for _, name := range r.headerNames {
		to.Headers = append(to.Headers, firstValue(headers, name))
	}
	to.Disguised = r.disguised(headers)
}

func (r *reads) disguised(headers []wire.Header) (names []string) {
	for _, h := range headers {
		if r.identifying != nil && plugin.Disguised(string(h.Name), r.identifying) {
			names = append(names, string(h.Name))
		}
	}
	return names
}

// firstValue finds a header as the table of ngx.req.get_headers does: by the
// name as it is, then in lower case with dashes for underscores.
func firstValue(headers []wire.Header, name string) []byte {
	for _, n := range []string{name, strings.ReplaceAll(strings.ToLower(name), "_", "-")} {
		for _, h := range headers {
			if string(h.Name) == n && len(h.Values) > 0 {
				return h.Values[0]
			}
		}
	}
	return nil
}
