package schema

import (
	"regexp"
	"strings"
)

func (p *Pattern) matches(s string) bool { return regexp.MustCompile(p.Go).MatchString(s) }

// headerName is what a header can be called (RFC 9110 section 5.6.2).
func headerName() *Pattern {
	return &Pattern{Lua: "^[%w!#$%%&'*+.^_`|~-]+$", Go: "^[0-9A-Za-z!#$%&'*+.^_`|~-]+$"}
}

// reservedHeaders are not the configuration's to set: they decide how the request is
// read, or tell of Kong's consumer. Some upstreams cannot tell "_" from "-".
func reservedHeaders() []Pattern {
	names := []string{
		"authorization", "connection", "content-length", "cookie", "expect", "host", "keep-alive", "proxy-authorization",
		"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "via", "x-real-ip",
		"x-consumer-id", "x-consumer-custom-id", "x-consumer-username", "x-credential-identifier", "x-anonymous-consumer",
	}
	patterns := make([]Pattern, 0, len(names)+1)
	for _, name := range names {
		patterns = append(patterns, reservedHeader(inAnyCase(name)+"$"))
	}
	return append(patterns, reservedHeader(inAnyCase("x-forwarded-")))
}

func reservedHeader(pattern string) Pattern {
	return Pattern{Lua: "^" + pattern, Go: "^" + pattern, Problem: "this header is reserved"}
}

// inAnyCase is a pattern for a lower-case name: Lua's have no flag for it.
func inAnyCase(name string) string {
	var b strings.Builder
	for _, c := range name {
		if c == '-' {
			b.WriteString("[-_]")
			continue
		}
		b.WriteString("[" + string(c) + strings.ToUpper(string(c)) + "]")
	}
	return b.String()
}

func httpURL() *Pattern { return &Pattern{Lua: "^https?://", Go: "^https?://"} }

// userinfo is in a URL that holds a user name or password (RFC 3986 section 3.2.1).
func userinfo() []Pattern {
	return []Pattern{{
		Lua: "^%a[%w+.-]*://[%w._~!$&'()*+,;=:%%-]*@", Go: `^[A-Za-z][0-9A-Za-z+.-]*://[0-9A-Za-z._~!$&'()*+,;=:%-]*@`,
		Problem: "must not contain a user name or password",
	}}
}

// publicPEM is in every text with a PEM block. Whether it is a good key, Kong cannot tell.
func publicPEM() Pattern {
	return Pattern{
		Lua: "%-%-%-%-%-BEGIN [%u ]+%-%-%-%-%-", Go: "-----BEGIN [A-Z ]+-----",
		Problem: "not a PEM public key",
	}
}

func privatePEM() []Pattern {
	return []Pattern{{
		Lua: "%-%-%-%-%-BEGIN [%u ]*PRIVATE KEY%-%-%-%-%-", Go: "-----BEGIN [A-Z ]*PRIVATE KEY-----",
		Problem: "is not a PEM private key",
	}}
}

func jsonObject() []Pattern {
	return []Pattern{{Lua: "^%s*{", Go: `^\s*\{`, Problem: "key set: is not a JSON object"}}
}

// address is what an IP address or CIDR block is written with.
func address() []Pattern {
	return []Pattern{{Lua: "^[%x:.]+/?%d*$", Go: "^[0-9A-Fa-f:.]+/?[0-9]*$", Problem: "is neither an address nor a CIDR block"}}
}
