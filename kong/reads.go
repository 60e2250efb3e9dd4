package kong

import (
	"bytes"
	"slices"
	"strings"

	"kong-go-jwt/kong/wire"
	"kong-go-jwt/plugin"
	"kong-go-jwt/schema"
)

// requestVariable is the nginx variable that holds all that the plugin needs of
// a request, if the operator has set it up (go-jwt.nginx.conf). Its parts are
// separated by newlines, which can occur in none of them: nginx refuses control
// characters in the request line and header values.
const requestVariable = "go_jwt_request"

// variableTag is the first part, and tells the shape of the rest:
// method, raw query, cookies, Connection, the identity headers run together,
// Authorization.
const (
	variableTag   = "go-jwt/1"
	variableParts = 7
)

// reads says what an instance must ask Kong for, made once for its
// configuration.
type reads struct {
	variable batch // one variable
	plain    batch // where that is not set up, or not enough

	// What the batches ask for, in this order. The credential is asked for last,
	// in both.
	usesVariable  bool // variable is enough, if it is set up
	authorization bool // plain: $http_authorization, else all headers
	headers       bool
	query         bool
	method        bool
	credential    bool

	headerNames []string // Config.HeaderNames
	identifying []string // headers whose disguises are removed; nil: none
}

func newReads(c *schema.Config) *reads {
	onlyAuthorization := !slices.ContainsFunc(c.HeaderNames, func(name string) bool {
		return !strings.EqualFold(name, "authorization")
	})
	r := &reads{
		// The variable tells only of the identity headers whether they may be
		// disguised.
		usesVariable: onlyAuthorization && !(c.GuardHeaders && len(c.ClaimsToHeaders) > 0),
		query:        len(c.URIParamNames) > 0,
		method:       !c.RunOnPreflight,
		credential:   c.Anonymous != "" || !c.RunOnPreflight || c.Shadow,
		headerNames:  c.HeaderNames,
	}
	if c.GuardHeaders {
		r.identifying = plugin.GuardedHeaders(c)
	}
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

// fromVariable fills a request from the variable's value. others tells that
// there are headers that may be disguised identity headers. shape is what is
// wrong with the value.
func (r *reads) fromVariable(value []byte, to *plugin.Request) (others bool, shape variableShape) {
	if len(value) == 0 {
		return false, variableAbsent
	}
	var parts [variableParts][]byte
	for i := range parts {
		part, rest, more := bytes.Cut(value, []byte("\n"))
		if i == 0 && string(part) != variableTag {
			return false, variableForeign
		}
		if last := i == variableParts-1; more == last {
			return false, variableBroken
		}
		parts[i], value = part, rest
	}
	to.Method, to.Query, to.Cookie, to.Connection = parts[1], parts[2], parts[3], parts[4]
	to.Headers = to.Headers[:0]
	if len(r.headerNames) > 0 { // all of which are Authorization
		to.Headers = append(to.Headers, parts[6])
	}
	return r.identifying != nil && len(parts[5]) > 0, variableGood
}

type variableShape int

const (
	variableGood    variableShape = iota
	variableAbsent                // not set up
	variableForeign               // of another version
	variableBroken                // a part holds a newline: not to be relied on this time
)

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
