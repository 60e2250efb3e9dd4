package plugin

import (
	"bytes"
	"slices"
	"strings"

	"kong-go-jwt/schema"
)

// The headers that tell the upstream who the caller is
// (kong/constants.lua, HEADERS).
const (
	HeaderConsumerID       = "X-Consumer-ID"
	HeaderConsumerCustomID = "X-Consumer-Custom-ID"
	HeaderConsumerUsername = "X-Consumer-Username"
	HeaderCredential       = "X-Credential-Identifier" //nolint:gosec // a header's name
	HeaderAnonymous        = "X-Anonymous-Consumer"
	// HeaderAssertion holds an upstream assertion, unless the configuration says
	// otherwise. It is no header of Kong's.
	HeaderAssertion = "X-Kong-Jwt-Assertion"
)

// IdentityHeaders returns the names of all identity headers.
func IdentityHeaders() []string {
	return []string{
		HeaderConsumerID, HeaderConsumerCustomID, HeaderConsumerUsername,
		HeaderCredential, HeaderAnonymous,
	}
}

// Consumer is a Kong consumer.
type Consumer struct {
	ID        string
	Username  string
	CustomID  string
	Tags      []string
	CreatedAt int64 // seconds since 1970
}

// Identity is who a request is from. It is read-only.
type Identity struct {
	Consumer *Consumer // nil: an issuer's token without a consumer
	// CredentialID and CredentialKey are empty for the anonymous consumer.
	CredentialID  string
	CredentialKey string
	// Subject is what an issuer calls the caller, unless CredentialKey is the id of
	// the consumer; empty for who is not an issuer's.
	Subject string
}

// Anonymous tells whether the identity is that of the anonymous consumer.
func (id *Identity) Anonymous() bool { return id.CredentialKey == "" }

// Header is a request header to be set, to several values if Values has them,
// or to be removed if there is no value.
type Header struct {
	Name, Value string
	Values      []string
}

// IsIdentity tells whether h is one of [IdentityHeaders] or [HeaderAssertion], case aside.
func (h Header) IsIdentity() bool {
	return slices.ContainsFunc(append(IdentityHeaders(), HeaderAssertion), func(name string) bool { return strings.EqualFold(h.Name, name) })
}

// Grant is what an accepted request is given. It is read-only.
type Grant struct {
	Identity *Identity
	Headers  []Header // all that are to be set or removed
	Groups   []string // for Kong's ACL plugin; nil: they are not this plugin's to set
	Log      *Log     // nil: nothing is to be logged
}

// Headers returns every identity header with the value that tells of id, the
// same that the bundled plugin sets. A nil id removes them all.
func (id *Identity) Headers() []Header {
	h := make([]Header, 0, 5)
	for _, name := range IdentityHeaders() {
		h = append(h, Header{Name: name})
	}
	if id == nil {
		return h
	}
	if id.Consumer != nil {
		h[0].Value = id.Consumer.ID
		h[1].Value = id.Consumer.CustomID
		h[2].Value = id.Consumer.Username
	}
	h[3].Value = id.CredentialKey
	if id.Anonymous() {
		h[4].Value = "true"
	}
	return h
}

// GuardedHeaders returns the names of all headers that the plugin sets under c,
// and that a client must not be able to forge.
func GuardedHeaders(c *schema.Config) []string {
	names := IdentityHeaders()
	for _, h := range c.ClaimsToHeaders {
		names = append(names, h.Header)
	}
	if c.UpstreamAssertion != nil {
		names = append(names, c.UpstreamAssertion.Header)
	}
	return names
}

// Disguised tells whether name is a header that many upstreams (WSGI, CGI, PHP)
// cannot tell from one of names, because only "-" and "_" or case differ,
// without being it: X_Consumer_ID for X-Consumer-ID.
func Disguised(name string, names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return looksLike(name, n) }) &&
		!slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(name, n) })
}

// Spellings returns name with each of its dashes and underscores as a dash or an
// underscore, 2^n for n of them; name itself comes first.
func Spellings(name string) []string {
	all := []string{name}
	for i := range len(name) {
		if other := strings.IndexByte("-_", name[i]); other >= 0 {
			for _, s := range all {
				all = append(all, s[:i]+"_-"[other:other+1]+s[i+1:])
			}
		}
	}
	return all
}

// maxDisguises is how many headers are removed without looking whether they are
// there. One costs Kong 1.6 µs and the plugin 0.4, to read all headers 14 and 10.
const maxDisguises = 8

// ConfiguredHeaders returns the names of the headers that the plugin sets under c
// and not under others: all but the identity headers and [HeaderAssertion].
func ConfiguredHeaders(c *schema.Config) []string {
	return slices.DeleteFunc(GuardedHeaders(c)[len(IdentityHeaders()):], func(name string) bool {
		return strings.EqualFold(name, HeaderAssertion)
	})
}

// ConfiguredDisguises returns the disguises of ConfiguredHeaders. It reports false
// if they are too many to be removed unseen.
func ConfiguredDisguises(c *schema.Config) (names []string, few bool) {
	if !c.GuardHeaders {
		return nil, true
	}
	guarded := GuardedHeaders(c)
	for _, header := range ConfiguredHeaders(c) {
		if n := strings.Count(header, "-") + strings.Count(header, "_"); n > 3 || len(names)+1<<n-1 > maxDisguises {
			return nil, false
		}
		for _, name := range Spellings(header) {
			if Disguised(name, guarded) {
				names = append(names, name)
			}
		}
	}
	return names, true
}

func looksLike(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if alike(a[i]) != alike(b[i]) {
			return false
		}
	}
	return true
}

func alike(c byte) byte {
	switch {
	case c == '_':
		return '-'
	case 'A' <= c && c <= 'Z':
		return c | 0x20
	}
	return c
}

// connectionNames tells whether a Connection header's value lists one of names.
// Kong would delete that header on its way to the upstream, after this plugin
// has set it.
func connectionNames(value []byte, names []string) bool {
	switch string(value) {
	case "", "keep-alive", "close", "upgrade": // nearly every request
		return false
	}
	for option := range bytes.SplitSeq(value, []byte(",")) {
		option = bytes.TrimSpace(option)
		for _, name := range names {
			if len(option) == len(name) && looksLike(string(option), name) {
				return true
			}
		}
	}
	return false
}
