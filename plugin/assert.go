package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"kong-go-jwt/plugin/assertion"
)

// asserted is a caller whose upstream is given an assertion
// (Config.UpstreamAssertion). It is minted again when half of its life is over,
// so that no service gets one that is about to expire. All but current is
// read-only.
type asserted struct {
	caller  *assertion.Caller
	grant   *Grant // without the assertion
	minting sync.Mutex
	current atomic.Pointer[minted]
}

// minted is an assertion, and the grant with it, encoded.
type minted struct {
	token  string
	answer Answer
	// Nanoseconds since 1970.
	halfLife, expires int64
}

// size is how many bytes a holds that come from the token.
func (a *asserted) size() int {
	n := len(a.caller.Scope) + len(a.caller.Subject) + len(a.caller.Credential)
	texts := func(list []string) {
		for _, s := range list {
			n += 16 + len(s)
		}
	}
	texts(a.grant.Groups)
	for _, h := range a.grant.Headers {
		n += len(h.Value)
		texts(h.Values)
	}
	if a.grant.Log != nil {
		for _, c := range a.grant.Log.Claims {
			texts(c.Texts)
		}
	}
	return n + sizeOfClaims(a.caller.Claims)
}

// sizeOfClaims is the size of what copyOf has returned.
func sizeOfClaims(claims map[string]any) (n int) {
	for _, v := range claims {
		switch v := v.(type) {
		case map[string]any:
			n += sizeOfClaims(v)
		case json.RawMessage:
			n += len(v)
		}
	}
	return n
}

// assert returns what is given with an assertion for r. Without leave to wait,
// that is one which was minted before, or errMustWait.
func (e *Engine) assert(ctx context.Context, a *asserted, r *Request, wait bool) (*minted, error) {
	if e.c.UpstreamAssertion.Bind {
		return e.assertBound(ctx, a, r, wait)
	}
	if m := a.current.Load(); m != nil && e.s.o.Now().UnixNano() < m.halfLife {
		return m, nil
	}
	if !wait {
		return nil, errMustWait
	}
	done, err := e.signingTurn(ctx)
	if m := a.current.Load(); err != nil && m != nil && e.s.o.Now().UnixNano() < m.expires {
		return m, nil // rather than none
	} else if err != nil {
		return nil, err
	}
	defer done()
	a.minting.Lock()
	defer a.minting.Unlock()
	if m := a.current.Load(); m != nil && e.s.o.Now().UnixNano() < m.halfLife {
		return m, nil // by whoever came first
	}
	m, err := e.mint(a.caller, a.grant)
	if err == nil {
		a.current.Store(m)
	}
	return m, err
}

var errNoPath = errors.New("config.upstream_assertion.bind: Kong did not give the path of the request")

// assertBound mints an assertion that is good for r alone.
func (e *Engine) assertBound(ctx context.Context, a *asserted, r *Request, wait bool) (*minted, error) {
	if !wait {
		return nil, errMustWait
	}
	if len(r.Method) == 0 || len(r.UpstreamPath) == 0 {
		return nil, errNoPath
	}
	done, err := e.signingTurn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	bound := *a.caller
	bound.Method, bound.Path = string(r.Method), string(r.UpstreamPath)
	return e.mint(&bound, a.grant)
}

// signingTurn waits for a turn if a signature takes long. Those that do not need
// none: nobody gets one who has no good token.
func (e *Engine) signingTurn(ctx context.Context) (done func(), err error) {
	if e.c.UpstreamAssertion.Algorithm != "RS256" {
		return func() {}, nil
	}
	return e.s.turns.take(ctx, e.s.o.LookupTimeout)
}

func (e *Engine) mint(c *assertion.Caller, g *Grant) (*minted, error) {
	token, issued, err := e.minter.Mint(c, e.s.o.Now())
	if err != nil {
		return nil, err
	}
	life := e.minter.Life()
	return &minted{
		token: token, answer: e.s.o.Encode(g.with(token)),
		halfLife: issued.Add(life / 2).UnixNano(), expires: issued.Add(life).UnixNano(),
	}, nil
}

// with returns a copy of g with an assertion, if there is one, in the header that
// claimHeaders keeps for it, the last.
func (g *Grant) with(assertion string) *Grant {
	given := *g
	if assertion != "" {
		given.Headers = slices.Clone(g.Headers)
		given.Headers[len(given.Headers)-1].Value = assertion
	}
	return &given
}

// unasserted refuses a request for which no assertion could be minted.
func unasserted(err error) Outcome {
	if errors.Is(err, errTooManySignatures) {
		return Outcome{Refusal: Unavailable(), Fault: err}
	}
	return Outcome{Refusal: Failure(), Fault: err}
}

// caller is what an assertion tells of an identity.
func (e *Engine) caller(id *Identity, f *facts) *assertion.Caller {
	c := &assertion.Caller{
		Credential: id.CredentialKey, OriginalIssuer: f.issuer, Anonymous: id.Anonymous(),
		Groups: groups(e.c, f.claims), Scope: strings.Join(claimWords(claimAt(f.claims, e.c.ScopesClaim)), " "),
		Claims: copyOf(f.claims, e.c.UpstreamAssertion.Claims),
	}
	if f.issuer == "" && e.c.KeyClaimName == "iss" {
		// Of a token that is verified with a credential, iss is certain only
		// where it has selected that.
		c.OriginalIssuer = id.CredentialKey
	}
	if id.Consumer != nil {
		c.ConsumerID, c.Username, c.CustomID = id.Consumer.ID, id.Consumer.Username, id.Consumer.CustomID
		c.Subject = id.Consumer.ID
	} else {
		// A sub is unique with its issuer only (RFC 7519 section 4.1.2), and
		// must not look like the id of a consumer.
		c.Subject = f.issuer + "|" + id.Subject
	}
	return c
}

// copyOf returns the claims at paths, where they are, as JSON, so that nothing of
// the token is kept with them.
func copyOf(claims map[string]any, paths [][]string) map[string]any {
	var out map[string]any
	for _, path := range paths {
		v := claimAt(claims, path)
		if v == nil {
			continue
		}
		if out == nil {
			out = make(map[string]any, len(paths))
		}
		place(out, path, json.RawMessage(jsonText(v)))
	}
	return out
}

// place puts text at a path, unless what holds it is there as a whole.
func place(at map[string]any, path []string, text json.RawMessage) {
	for _, name := range path[:len(path)-1] {
		if at[name] == nil {
			at[name] = make(map[string]any, 1)
		}
		inner, ok := at[name].(map[string]any)
		if !ok {
			return
		}
		at = inner
	}
	at[path[len(path)-1]] = text
}

// Keys returns the public keys of the engine's assertions.
func (e *Engine) Keys() []assertion.Key {
	if e.minter == nil {
		return nil
	}
	return e.minter.Keys()
}

// newMinter makes ready what Config.UpstreamAssertion asks for, and what is
// published.
func (e *Engine) newMinter() (err error) {
	if a := e.c.UpstreamAssertion; a != nil {
		if e.minter, err = assertion.New(a); err != nil {
			return err //nolint:wrapcheck // names the field
		}
	}
	e.replies, err = newReplies(e.c, e.minter)
	return err
}
