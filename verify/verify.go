// Package verify lets a service in Go verify who called it through the gateway.
//
// The gateway (the go-jwt plugin with config.upstream_assertion) signs a
// short-lived token for each request that it lets through, and publishes the
// public keys. A service that demands such a token cannot be fooled by somebody
// who reaches it past the gateway and sets X-Consumer-Username himself:
//
//	v, err := verify.New(verify.Options{
//		Issuer:   "https://gateway.example.com",
//		Audience: "orders",
//		KeysURL:  "https://gateway.example.com/.well-known/jwks.json",
//	})
//	…
//	http.Handle("/", v.Handler(orders)) // in which FromContext tells the caller
//
// With gRPC, and wherever there is no http.Handler, hand the token to
// [Verifier.Verify].
package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Type is the typ header that a token must have. Other kinds of token, which may
// be signed with the same keys one day, are refused (RFC 8725 section 3.11).
const Type = "upstream-assertion+jwt"

// DefaultHeader is the request header in which the gateway hands the token on,
// unless its configuration says otherwise.
const DefaultHeader = "X-Kong-Jwt-Assertion"

// DefaultLeeway is by how much the clocks of gateway and service may differ.
const DefaultLeeway = 30 * time.Second

// maxToken bounds a token, in bytes.
const maxToken = 32 << 10

// Options say what a [Verifier] accepts. Issuer, Audience and one of KeysURL and
// Keys are required.
type Options struct {
	// Issuer is config.upstream_assertion.issuer, exactly.
	Issuer string
	// Audience is config.upstream_assertion.audience: this service. A token for
	// another service is refused.
	Audience string

	// KeysURL is where the gateway publishes its keys. They are fetched from
	// there and from nowhere else: redirects are not followed. It must be https,
	// unless the host is this one.
	KeysURL string
	// AllowHTTP lets KeysURL be http. Whoever can change what is sent on the way
	// can then sign tokens of his own.
	AllowHTTP bool
	// Client fetches KeysURL; nil: Go's own. Its CheckRedirect is not asked.
	Client *http.Client
	// Refresh is for how long keys are used before they are fetched again; 0:
	// [DefaultRefresh]. A key that is not known is asked for at once, at most
	// every 10 seconds, or every Refresh if that is less.
	Refresh time.Duration
	// Keys are the public keys themselves, a JWK Set (RFC 7517 section 5) as the
	// gateway publishes it, for services that cannot reach KeysURL.
	Keys []byte

	// Header is the request header with the token; "": [DefaultHeader].
	Header string
	// Anonymous lets requests of the gateway's anonymous consumer through, of
	// which nobody has said who they are.
	Anonymous bool
	// Bound demands that a token is bound to method and path
	// (config.upstream_assertion.bind). One that is bound is held against both
	// in any case.
	Bound bool
	// Leeway is by how much clocks may differ; 0: [DefaultLeeway]; less: not at all.
	Leeway time.Duration

	// Log is told why requests are refused and keys cannot be had; nil:
	// [slog.Default]. Callers are told nothing.
	Log *slog.Logger
	// Now is the clock; nil: [time.Now].
	Now func() time.Time
}

// Identity is who called, as the gateway tells. What it does not tell is empty.
type Identity struct {
	// Subject means one caller, whatever he has shown to the gateway.
	Subject string

	ConsumerID, Username, CustomID string // of Kong's consumer

	// Credential is the key of the credential that vouched for the caller, or
	// the sub of the original issuer.
	Credential     string
	OriginalIssuer string // who issued the caller's token
	Groups         []string
	Scope          string // separated by spaces
	// Anonymous: nobody has said who this is, and the rest tells of the
	// gateway's anonymous consumer.
	Anonymous bool

	Method, Path string // of the request that the token is bound to

	// ID is the token's own (jti). It is the same for several requests, unless
	// the token is bound.
	ID      string
	Expires time.Time
	// Claims are all claims of the token, among them those that were copied from
	// the caller's (config.upstream_assertion.claims).
	Claims map[string]any
}

// identity reads an identity out of claims, whose names are compared as they are.
func identity(c jwt.MapClaims) *Identity {
	text := func(name string) string { s, _ := c[name].(string); return s }
	id := &Identity{
		Subject: text("sub"), ConsumerID: text("consumer_id"), Username: text("username"), CustomID: text("custom_id"),
		Credential: text("credential"), OriginalIssuer: text("original_issuer"), Scope: text("scope"),
		Anonymous: c["anonymous"] != false, // if it is not said, nothing is known
		Method:    text("method"), Path: text("path"), ID: text("jti"), Claims: c,
	}
	groups, _ := c["groups"].([]any)
	for _, g := range groups {
		if s, ok := g.(string); ok {
			id.Groups = append(id.Groups, s)
		}
	}
	if exp, err := c.GetExpirationTime(); err == nil && exp != nil {
		id.Expires = exp.Time
	}
	return id
}

// Has tells whether scope is one of the caller's scopes.
func (id *Identity) Has(scope string) bool { return slices.Contains(strings.Fields(id.Scope), scope) }

// ErrInvalid is in every error of a token that is not good. Any other error means
// that it could not be found out.
var ErrInvalid = errors.New("upstream assertion refused")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// Verifier verifies tokens of one gateway for one service. It is safe for
// concurrent use, and needs no closing.
type Verifier struct {
	o      Options
	parser *jwt.Parser
	keys   source
}

// New returns a verifier, or says which option is missing or cannot be used. It
// fetches nothing yet.
func New(o Options) (*Verifier, error) {
	if o.Header == "" {
		o.Header = DefaultHeader
	}
	if o.Leeway == 0 {
		o.Leeway = DefaultLeeway
	}
	if o.Refresh <= 0 {
		o.Refresh = DefaultRefresh
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	v := &Verifier{o: o}
	var err error
	switch {
	case o.Issuer == "":
		return nil, errors.New("verify: Issuer is required")
	case o.Audience == "":
		return nil, errors.New("verify: Audience is required")
	case (o.KeysURL == "") == (len(o.Keys) == 0):
		return nil, errors.New("verify: KeysURL or Keys is required, and not both")
	case o.KeysURL != "":
		v.keys, err = newRemote(&o)
	default:
		v.keys, err = parseKeys(o.Keys)
	}
	if err != nil {
		return nil, err
	}
	v.parser = jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256", "EdDSA", "RS256"}),
		jwt.WithIssuer(o.Issuer), jwt.WithAudience(o.Audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(max(0, o.Leeway)), jwt.WithTimeFunc(o.Now), jwt.WithStrictDecoding(),
	)
	return v, nil
}

// Verify returns the identity in a token, if it is good: signed by the gateway,
// for this service, and not expired. The error wraps [ErrInvalid] if it is not,
// and else tells that the keys cannot be had. It is for logs: it says what is
// wrong, and holds nothing of the token.
//
// A bound token is accepted for any request: hold Identity.Method and
// Identity.Path against the one at hand.
func (v *Verifier) Verify(ctx context.Context, token string) (*Identity, error) {
	if len(token) > maxToken {
		return nil, invalid("longer than %d bytes", maxToken)
	}
	claims := jwt.MapClaims{}
	var noKeys error
	t, err := v.parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
		if typ, _ := t.Header["typ"].(string); !strings.EqualFold(strings.TrimPrefix(typ, "application/"), Type) {
			return nil, errors.New("typ is not the expected one")
		}
		if t.Header["crit"] != nil { // no extension is understood (RFC 7515 section 4.1.11)
			return nil, errors.New("crit is not understood")
		}
		kid, _ := t.Header["kid"].(string)
		key, err := v.keys.key(ctx, kid)
		switch {
		case err != nil:
			noKeys = err
			return nil, err
		case key == nil:
			return nil, errors.New("no such key is published")
		case key.algorithm != t.Method.Alg():
			return nil, errors.New("alg is not that of the key")
		}
		return key.public, nil
	})
	switch {
	case noKeys != nil:
		return nil, fmt.Errorf("verify: the gateway's keys cannot be fetched: %w", noKeys)
	case err != nil || !t.Valid:
		return nil, invalid("%w", err)
	}
	id := identity(claims)
	switch {
	case id.Subject == "":
		return nil, invalid("sub is missing")
	case id.Anonymous && !v.o.Anonymous:
		return nil, invalid("the caller is anonymous")
	case v.o.Bound && (id.Method == "" || id.Path == ""):
		return nil, invalid("not bound to a request")
	}
	return id, nil
}
