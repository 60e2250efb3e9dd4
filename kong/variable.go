package kong

import (
	"bytes"
	"slices"
	"strings"

	"kong-go-jwt/plugin"
)

// requestVariable is the nginx variable that holds all that the plugin needs of
// a request, if the operator has set it up (go-jwt.nginx.conf). Its parts are
// separated by newlines, which can occur in none of them: nginx refuses control
// characters in the request line and header values.
const requestVariable = "go_jwt_request"

// variableVersion is the first word of the first part, which tells the shape of
// the rest: method, raw query, cookies, Connection, some headers run together,
// Authorization, the headers that the first part names, and what its other words tell.
const (
	variableVersion = "go-jwt/2"
	bareWord        = ":bare" // with the colon that no header's name has
	protocolWord    = ":protocol"
	variableParts   = 7 // without those
	maxCarried      = 16
)

// alwaysCarried are headers that the variable has without being told.
var alwaysCarried = []string{"authorization", "connection", "cookie"}

// runTogether are the headers of which the variable tells only whether there is
// one, in any spelling: none is the client's to send.
func runTogether() []string { return append(plugin.IdentityHeaders(), plugin.HeaderAssertion) }

// carried is what the first part tells. It is read-only.
type carried struct {
	// edge: nginx removes what clients send as identity headers, in every spelling.
	edge bool
	// headers are carried too, named in lower case with dashes. Of their
	// spellings with underscores, nginx removes what clients send.
	headers []string
	// bare: a part tells whether the client has sent identity headers, with a value or
	// without, in any spelling: "bare" or "sent", or nothing, if that is not known.
	bare bool
	// protocol: the last part has the protocol and the content type, separated by a space.
	protocol bool
}

// tag returns the first part.
func (c *carried) tag() string {
	words := []string{variableVersion}
	if c.edge {
		words = append(words, "edge")
	}
	words = append(words, c.headers...)
	if c.bare {
		words = append(words, bareWord)
	}
	if c.protocol {
		words = append(words, protocolWord)
	}
	return strings.Join(words, " ")
}

// parseCarried is the reverse of tag; nil: it was made by another version.
func parseCarried(tag string) *carried {
	words := strings.Split(tag, " ")
	if words[0] != variableVersion {
		return nil
	}
	c := &carried{headers: words[1:]}
	if len(c.headers) > 0 && c.headers[0] == "edge" {
		c.edge, c.headers = true, c.headers[1:]
	}
	c.protocol = c.drop(protocolWord)
	c.bare = c.drop(bareWord)
	if len(c.headers) > maxCarried {
		return nil
	}
	return c
}

// drop drops the last of the headers if it is word, and reports whether it was.
func (c *carried) drop(word string) bool {
	last := len(c.headers) - 1
	if last < 0 || c.headers[last] != word {
		return false
	}
	c.headers = c.headers[:last]
	return true
}

// parts returns how many parts the variable has.
func (c *carried) parts() int {
	n := variableParts + len(c.headers)
	if c.bare {
		n++
	}
	if c.protocol {
		n++
	}
	return n
}

// part returns which part of the variable holds the header of that name; 0: none.
func (c *carried) part(header string) int {
	header = dashed(header)
	if header == "authorization" {
		return variableParts - 1
	}
	if i := slices.Index(c.headers, header); i >= 0 {
		return variableParts + i
	}
	return 0
}

// dashed returns a header's name in lower case and without underscores.
func dashed(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }

// cover is what a variable that carries of is worth to an instance.
type cover struct {
	of      *carried
	enough  bool   // but for odd requests
	parts   []int  // that hold the headers of headerNames
	claimed []int  // that hold the headers of reads.claimed; 0: not carried
	removed []byte // what must be removed because it is not known whether it is there
}

// coverBy tells what a variable that carries c is worth.
func (r *reads) coverBy(c *carried) *cover {
	if s := r.covered.Load(); s != nil && s.of == c {
		return s
	}
	s := &cover{of: c, enough: r.certificateBy(c)}
	for _, name := range r.headerNames {
		s.parts = append(s.parts, c.part(name))
		s.enough = s.enough && c.part(name) > 0
	}
	for _, name := range r.claimed {
		s.claimed = append(s.claimed, c.part(name))
		if c.part(name) < variableParts {
			s.enough, s.removed = s.enough && r.fewDisguises, r.removals
		}
	}
	r.covered.Store(s)
	return s
}

// certificateBy tells whether an nginx variable shows certificateHeader as it was sent:
// where nginx removes its other spellings, which look the same in the variable.
func (r *reads) certificateBy(c *carried) bool {
	return !r.peer || slices.Contains(c.headers, r.certificateHeader)
}

// fromVariable fills a request from the variable's value, whose first part has
// told what by is. others tells that there are headers that may be disguised
// identity headers. It reports false for good if the value does not hold all, or is not
// to be relied on, since a part holds a newline, or a comma that may join several
// headers.
func (r *reads) fromVariable(value []byte, by *cover, to *plugin.Request) (others bool, none absent, good bool) {
	if !by.enough {
		return false, absent{}, false
	}
	var most [variableParts + maxCarried + 2][]byte
	parts := most[:by.of.parts()]
	for i := range parts {
		part, rest, more := bytes.Cut(value, []byte("\n"))
		if last := i == len(parts)-1; more == last {
			return false, absent{}, false
		}
		parts[i], value = part, rest
	}
	to.Method, to.Query, to.Cookie, to.Connection = parts[1], parts[2], parts[3], parts[4]
	to.Headers = to.Headers[:0]
	for _, i := range by.parts {
		if i >= variableParts && bytes.IndexByte(parts[i], ',') >= 0 {
			return false, absent{}, false
		}
		to.Headers = append(to.Headers, parts[i])
	}
	if r.hides {
		for _, name := range r.headerNames { // as they were sent
			to.Sent = append(to.Sent, plugin.SentHeader{Name: dashed(name)})
		}
	}
	// What clients have sent without a value shows in no other part. What they have sent
	// with one always shows in parts[5], while bare is mistaken where lines end in LF alone.
	bare, sent := by.of.edge, !by.of.edge && len(parts[5]) > 0
	if by.of.bare {
		told := string(parts[variableParts+len(by.of.headers)])
		bare, sent = told == "bare", sent || told == "sent"
	}
	none = absent{identity: bare && len(parts[5]) == 0, others: by.of.edge}
	for _, i := range by.claimed {
		none.others = none.others && i >= variableParts && len(parts[i]) == 0
	}
	return r.identifying != nil && sent, none, true
}

// variable is the first part of the nginx variable and what it tells; nil: it is
// not set up, or cannot be used.
type variable struct {
	tag string
	of  *carried
}

// hasVariable tells whether the instance is served by its worker's nginx variable. Until
// one was seen it is tried.
func (in *instance) hasVariable() bool {
	v := in.variable.Load()
	return v == nil || v.of != nil && in.reads.coverBy(v.of).enough
}

// carriedBy returns what the variable of in's worker carries by the first part of its
// value; nil if it cannot be used, which is told once.
func (s *Server) carriedBy(in *instance, value []byte) *carried {
	tag, _, _ := bytes.Cut(value, []byte("\n"))
	if v := in.variable.Load(); v != nil && v.tag == string(tag) {
		return v.of
	}
	v := s.variable.Load()
	if v == nil || v.tag != string(tag) {
		v = &variable{tag: string(tag), of: parseCarried(string(tag))}
		if old := s.variable.Swap(v); v.of == nil && len(value) > 0 && (old == nil || old.of != nil) {
			s.log.Warn("the nginx include was made by another version of go-jwt and is not used: make a new one with go-jwt -nginx-conf",
				"variable", requestVariable, "want", variableVersion)
		}
	}
	in.variable.Store(v)
	return v.of
}
