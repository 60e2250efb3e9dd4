package kong

import (
	"bytes"
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

	// What the batches ask for, in this order. From target on, both ask for it.
	authorization bool // plain: $http_authorization, else all headers
	headers       bool
	query         bool
	method        bool
	target        bool
	upstreamPath  bool
	credential    bool
	certificate   bool
	peer          bool // and certificateHeader
	proof         bool // and what it must be of

	headerNames []string // Config.HeaderNames
	identifying []string // headers whose disguises are removed; nil: none
	claimed     []string // plugin.ConfiguredHeaders
	hides       bool     // Config.HideCredentials

	// certificateHeader is where the peer may tell the certificate, in lower case. Like
	// the proof, it comes with all headers, or by a variable of its own where the nginx
	// variable is set up: an nginx without it may show the first alone of several headers
	// (go-jwt.nginx.conf).
	certificateHeader string

	fewDisguises bool   // of claimed, so that all can be removed unseen
	removals     []byte // of them (appendRemovals)

	covered atomic.Pointer[cover] // by the variable
}

func newReads(c *schema.Config) *reads {
	onlyAuthorization := !slices.ContainsFunc(c.HeaderNames, func(name string) bool {
		return !strings.EqualFold(name, "authorization")
	})
	bound := c.UpstreamAssertion != nil && c.UpstreamAssertion.Bind
	proof := c.DPoP.On()
	published := c.PublishKeys || c.ResourceMetadata != nil
	r := &reads{
		query:        len(c.URIParamNames) > 0,
		method:       !c.RunOnPreflight || published || bound || proof,
		target:       published || proof,
		upstreamPath: bound,
		credential:   c.Anonymous != "" || !c.RunOnPreflight || c.Shadow,
		headerNames:  c.HeaderNames,
		certificate:  c.MTLSBinding.On(),
		proof:        proof,
		hides:        c.HideCredentials,
	}
	if r.peer = r.certificate && c.CertificateHeaderName != ""; r.peer {
		r.certificateHeader = strings.ToLower(c.CertificateHeaderName)
	}
	if c.GuardHeaders {
		r.identifying = plugin.GuardedHeaders(c)
	}
	var disguises []string
	r.claimed = plugin.ConfiguredHeaders(c)
	disguises, r.fewDisguises = plugin.ConfiguredDisguises(c)
	r.removals = appendRemovals(nil, disguises)
	// A variable is cheaper than all headers, but joins repeated ones, or shows the first
	// alone, which matters for every header but Authorization: nginx refuses it twice.
	r.headers = c.GuardHeaders || len(c.CookieNames) > 0 || !onlyAuthorization || r.peer || r.proof
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
	for _, b := range []*batch{&r.variable, &r.plain} {
		byVariable := b == &r.variable
		if r.target {
			b.getVar("request_uri")
		}
		if r.upstreamPath {
			b.getVar("upstream_uri") // to which Kong adds the query after the plugins
		}
		if r.credential {
			b.call("kong.client.get_credential", noArguments)
		}
		if r.certificate {
			b.getVar("ssl_client_raw_cert")
		}
		if r.peer {
			b.getVar("realip_remote_addr")
		}
		if r.peer && byVariable {
			b.getVar("http_" + strings.ReplaceAll(r.certificateHeader, "-", "_"))
		}
		if r.proof && byVariable {
			b.getVar("http_dpop")
		}
		if r.proof {
			b.getVar("http_host")
			for _, part := range []string{"scheme", "host", "port"} {
				b.call("kong.request.get_forwarded_"+part, noArguments)
			}
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
		h := named(headers, name)
		to.Headers = append(to.Headers, h.Values[0])
		if r.hides {
			to.Sent = append(to.Sent, plugin.SentHeader{Name: string(h.Name), More: h.Values[1:]})
		}
	}
	for i := range to.Sent {
		if other := dashed(to.Sent[i].Name); other != to.Sent[i].Name {
			if h := named(headers, other); h.Values[0] != nil {
				to.Sent = append(to.Sent, plugin.SentHeader{Name: other, More: h.Values})
			}
		}
	}
	if r.peer {
		to.CertificateHeader = joined(headers, dashed(r.certificateHeader))
		if r.disguisesCertificate(headers) {
			to.CertificateHeader = []byte(",") // which is no certificate
		}
	}
	if r.proof {
		to.DPoP = joined(headers, "dpop")
	}
	to.Disguised = r.disguised(headers)
}

// disguisesCertificate tells whether certificateHeader has come in another spelling. The
// proxy that tells the certificate may know of none, and let a client send it.
func (r *reads) disguisesCertificate(headers []wire.Header) bool {
	return slices.ContainsFunc(headers, func(h wire.Header) bool {
		return string(h.Name) != r.certificateHeader && dashed(string(h.Name)) == dashed(r.certificateHeader)
	})
}

// joined returns all headers of that name, whether spelt with dashes or underscores,
// as $http_NAME does since nginx 1.23.
func joined(headers []wire.Header, name string) []byte {
	var all [][]byte
	for _, h := range headers {
		if dashed(string(h.Name)) == name {
			all = append(all, h.Values...)
		}
	}
	return bytes.Join(all, []byte(", "))
}

func (r *reads) disguised(headers []wire.Header) (names []string) {
	for _, h := range headers {
		if r.identifying != nil && plugin.Disguised(string(h.Name), r.identifying) {
			names = append(names, string(h.Name))
		}
	}
	return names
}

// named finds a header as the table of ngx.req.get_headers does: by the name as
// it is, then in lower case with dashes for underscores. One that is absent has a nil value.
func named(headers []wire.Header, name string) wire.Header {
	for _, n := range []string{name, dashed(name)} {
		for _, h := range headers {
			if string(h.Name) == n && len(h.Values) > 0 {
				return h
			}
		}
	}
	return wire.Header{Name: []byte(name), Values: [][]byte{nil}}
}
