// Package plugin decides what becomes of a request: it finds the token, looks
// up its credential, verifies it and says who the caller is. It knows neither
// sockets nor Kong's PDK; package kong does.
package plugin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"kong-go-jwt/plugin/assertion"
	"kong-go-jwt/plugin/dpop"
	"kong-go-jwt/schema"
)

// Engine decides requests under one configuration. It is safe for concurrent
// use.
type Engine struct {
	c       *schema.Config
	s       *Store
	id      uint64
	no      *refusals
	guarded []string // the headers that a client must not be able to forge
	own     map[string][]*entry[knownCredential]
	issuers map[string]*issuer
	minter  *assertion.Signer // nil: upstreams get no assertion
	replies *replies          // nil: nothing is published
	// revocations are the lists that verified tokens are held against.
	revocations []RevocationList
	proxies     []netip.Prefix // whose certificate header is believed
	prover      *dpop.Verifier // nil: no token is held against a key

	unidentified Answer // removes every header that the plugin would set
	aside        Answer // removes those that another plugin has not set
	guest        atomic.Pointer[guest]
}

// guest is the anonymous consumer with what it is given.
type guest struct {
	consumer *entry[Consumer]
	grant    *Grant // without an assertion
	answer   Answer // one of these two
	asserted *asserted
}

// NewEngine returns an engine for c. The error is a [schema.FieldError], or joins
// several, where fields are at fault. Close must be called when the engine is done
// with.
func (s *Store) NewEngine(c *schema.Config) (*Engine, error) {
	e := &Engine{
		c: c, s: s, id: s.engines.Add(1),
		no:      newRefusals(c),
		guarded: GuardedHeaders(c),
		own:     make(map[string][]*entry[knownCredential], len(c.Credentials)),
		issuers: make(map[string]*issuer, len(c.Issuers)),
	}
	var faults []error
	if proxies, err := c.Proxies(); err != nil {
		faults = append(faults, err)
	} else {
		e.proxies = proxies
	}
	for i, cr := range c.Credentials {
		k := &knownCredential{log: s.o.Log, own: true, Credential: Credential{
			ID: cr.Key, Key: cr.Key, Algorithm: cr.Algorithm,
			Secret: cr.Secret, PublicKey: cr.PublicKey, ConsumerID: cr.Consumer,
		}}
		if _, err := k.verifier(keyRulesOf(c)); err != nil {
			path := fmt.Sprintf("config.credentials[%d].%s", i+1, KeyField(cr.Algorithm))
			faults = append(faults, &schema.FieldError{Path: path, Problem: err.Error()})
		}
		k.position = i + 1
		e.own[cr.Key] = append(e.own[cr.Key], &entry[knownCredential]{value: k, permanent: true})
	}
	e.newProver()
	if err := e.newMinter(); err != nil {
		return nil, err
	}
	if len(c.Issuers) > 0 && s.o.Keys == nil {
		return nil, errors.New("config.issuers: published keys cannot be fetched here")
	}
	for i, named := range c.Issuers {
		for _, is := range named.PerTenant() {
			keys, err := s.open(&is)
			if err != nil {
				faults = append(faults, &schema.FieldError{Path: fmt.Sprintf("config.issuers[%d].jwks", i+1), Problem: err.Error()})
				break
			}
			e.issuers[is.Issuer] = &issuer{Issuer: is, keys: keys}
		}
	}
	lists, errs := s.openRevocations(c)
	e.revocations, faults = lists, append(faults, errs...)
	if len(faults) > 0 {
		e.Close()
		return nil, errors.Join(faults...)
	}
	var none *Identity
	e.unidentified = s.o.Encode(&Grant{Headers: append(none.Headers(), claimHeaders(c, nil)...), Groups: groups(c, nil)})
	if headers := claimHeaders(c, nil); len(headers) > 0 {
		e.aside = s.o.Encode(&Grant{Headers: headers})
	}
	return e, nil
}

// Close gives up the issuers' keys and the lists of revoked tokens. Requests that
// are being decided are still decided.
func (e *Engine) Close() {
	for _, is := range e.issuers {
		is.keys.Close()
	}
	closeAll(e.revocations)
}

// Config returns the configuration that e decides under.
func (e *Engine) Config() *schema.Config { return e.c }

// Decide says what becomes of r. ctx bounds the lookups; consumers are looked
// up by the caller's means, since those belong to the request.
func (e *Engine) Decide(ctx context.Context, r *Request, consumers ConsumerSource) Outcome {
	if reply := e.replies.to(r); reply != nil {
		return Outcome{Kind: Replied, Reply: reply}
	}
	out := e.decide(ctx, r, consumers)
	if e.c.Shadow && out.Refusal != nil && !errors.Is(out.Fault, errMustWait) {
		out = e.shadow(r, &out)
	}
	if out.Refusal != nil {
		out.Log = e.log("refused", &out.facts, out.Refusal, nil)
	}
	if e.c.HideCredentials && out.Refusal == nil && (out.Token != nil || out.Kind == Anonymous) {
		out.Hidden = e.hide(r)
	}
	if !e.c.ShareToken {
		out.Token = nil
	}
	return out
}

// DecideNow is Decide for callers that must not wait: it reports false where it
// would take a lookup, or more than some microseconds.
func (e *Engine) DecideNow(r *Request) (Outcome, bool) {
	out := e.Decide(context.Background(), r, nil)
	return out, !errors.Is(out.Fault, errMustWait)
}

// errMustWait is the fault of an outcome that cannot be had without a
// ConsumerSource.
var errMustWait = errors.New("must wait")

func (e *Engine) decide(ctx context.Context, r *Request, consumers ConsumerSource) Outcome {
	if e.c.GuardHeaders && connectionNames(r.Connection, e.guarded) {
		return Outcome{Refusal: e.no.connectionHeader}
	}
	preflight := !e.c.RunOnPreflight && string(r.Method) == "OPTIONS"
	if r.HasCredential && (preflight || e.c.Anonymous != "") {
		return Outcome{Kind: Aside, Answer: e.aside}
	}
	if preflight {
		return Outcome{Kind: Unidentified, Answer: e.unidentified}
	}
	out := e.authenticate(ctx, r, consumers)
	r.Trace.refused(out.Refusal)
	if out.Refusal == nil || !e.admitsGuest(out.Refusal) {
		return out
	}
	return e.anonymous(ctx, r, &out, consumers)
}

// admitsGuest tells whether a request that was refused goes on as the anonymous
// consumer. One whose token may be good never does: it was refused for a fault on this
// side, or for a credential without its consumer, which means that Kong has lost its
// database, which the PDK cannot tell.
func (e *Engine) admitsGuest(no *Refusal) bool {
	if no.Status >= http.StatusInternalServerError || no.Reason == ReasonMissingConsumer {
		return false
	}
	when := "invalid"
	if no.Reason == ReasonNoToken {
		when = "missing"
	}
	return e.c.Anonymous != "" && slices.Contains(e.c.AnonymousOn, when)
}

// shadow turns a refusal into what happens while nobody is refused.
func (e *Engine) shadow(r *Request, refused *Outcome) Outcome {
	out := Outcome{Shadowed: refused.Refusal, Fault: refused.Fault, Warning: refused.Warning, DPoPNonce: refused.Refusal.DPoPNonce}
	grant := &Grant{Log: e.log("shadowed", &refused.facts, refused.Refusal, nil)}
	if r.HasCredential {
		out.Kind, grant.Headers = Aside, claimHeaders(e.c, nil)
	} else {
		out.Kind, grant.Headers = Unidentified, append((*Identity)(nil).Headers(), claimHeaders(e.c, nil)...)
		grant.Groups = groups(e.c, nil)
	}
	out.Answer = e.s.o.Encode(grant)
	return out
}

// authenticate decides by the request's token alone.
func (e *Engine) authenticate(ctx context.Context, r *Request, consumers ConsumerSource) Outcome {
	sent, no := findToken(e.c, e.no, r)
	r.Trace.step(CheckToken, 0, no == nil)
	if no != nil {
		return Outcome{Refusal: no}
	}
	k := decisionKey{engine: e.id}
	if e.c.CacheTTL > 0 {
		k.token = sha256.Sum256(sent.token)
		if d := e.s.decisions.get(k); d != nil {
			if now := e.s.o.Now(); e.s.good(d, now) && d.revocations == e.generation() {
				e.s.ahead(now, d)
				return e.accept(ctx, Remembered, d, r, &sent, consumers != nil)
			}
		}
	}
	if consumers == nil && len(sent.token) > quickToken {
		return Outcome{Refusal: Failure(), Fault: errMustWait}
	}
	t, malformed := parseToken(sent.token)
	t.trace = r.Trace
	t.trace.parsed(&t, malformed == "")
	if malformed != "" {
		return Outcome{Refusal: e.no.malformed[malformed]}
	}
	generation := e.generation() // before the lists are looked at: they may change then
	v, out := e.verify(ctx, &t, consumers)
	if out.Refusal == nil {
		out.Refusal, out.Fault = e.checkRevoked(ctx, &t, consumers != nil)
	}
	if out.Refusal == nil {
		out.Refusal = checkPolicy(e.c, &t)
	}
	if out.Refusal == nil {
		v.bound, out.Refusal = e.bindingOf(&t, &out.facts)
		if v.bound != nil || out.Refusal != nil {
			t.trace.step(CheckBinding, 0, out.Refusal == nil)
		}
	}
	if out.Refusal != nil {
		return out
	}
	if grant := e.grant(v, &out.facts); e.minter != nil {
		v.asserted = &asserted{caller: e.caller(v.identity, &out.facts), grant: grant}
	} else {
		answer := e.s.o.Encode(grant)
		v.answer = v.shared(&answer)
	}
	if v.revocations = generation; e.c.CacheTTL > 0 && generation != unknownGeneration {
		exp, hasExp := t.number("exp")
		if !hasExp {
			exp = math.Inf(1)
		}
		ttl := time.Duration(e.c.CacheTTL * float64(time.Second))
		if v.unmatched { // there may be a consumer soon
			ttl = min(ttl, e.s.o.CredentialTTL)
		}
		d := v.decision // a copy, which does not keep the rest of v
		e.s.decisions.put(k, &d, e.s.o.Now(), ttl, exp)
	}
	return e.accept(ctx, Accepted, &v.decision, r, &sent, consumers != nil)
}

// accept lets a request through with its token, unless that is bound to something
// which the request does not have.
func (e *Engine) accept(ctx context.Context, how Kind, d *decision, r *Request, sent *sentToken, wait bool) Outcome {
	var nonce string
	if d.bound != nil || e.prover != nil {
		var no *Refusal
		var fault error
		if nonce, no, fault = e.checkBinding(ctx, d.bound, r, sent, wait); no != nil {
			out := Outcome{Refusal: no, Fault: fault}
			if d.bound != nil {
				out.facts = d.bound.facts
			}
			return out
		}
	}
	if d.asserted != nil {
		m, err := e.assert(ctx, d.asserted, r, wait)
		if err != nil {
			return unasserted(err)
		}
		return Outcome{Kind: how, Answer: m.answer, Token: sent.token, DPoPNonce: nonce}
	}
	return Outcome{Kind: how, Answer: *d.answer, Token: sent.token, DPoPNonce: nonce}
}

// verified is a token that was found good.
type verified struct {
	decision

	identity *Identity
}

// maxShared bounds the answer that a credential keeps, in bytes. One in which the
// token has no say is shorter.
const maxShared = 1024

// shared returns a, or the same that was made for another token of the same
// credential before, so that it takes room once.
func (v *verified) shared(a *Answer) *Answer {
	if v.credential == nil || len(a.Bytes) > maxShared {
		return a
	}
	last := &v.credential.value.answer
	if old := last.Load(); old != nil && old.Calls == a.Calls && bytes.Equal(old.Bytes, a.Bytes) {
		return old
	}
	last.Store(a)
	return a
}

// grant is what the bearer of a verified token is given.
func (e *Engine) grant(v *verified, f *facts) *Grant {
	return &Grant{
		Identity: v.identity,
		Headers:  append(v.identity.Headers(), claimHeaders(e.c, f.claims)...),
		Groups:   groups(e.c, f.claims),
		Log:      e.log("accepted", f, nil, v.identity.Consumer),
	}
}

// verify decides whether a parsed token is accepted. The outcome is a refusal,
// or else tells only the facts.
func (e *Engine) verify(ctx context.Context, t *token, consumers ConsumerSource) (*verified, Outcome) {
	if name, ok := t.claims["iss"].(string); ok {
		if is := e.issuers[name]; is != nil {
			return e.verifyIssued(ctx, is, t, consumers)
		}
	}
	var f facts
	refused := func(no *Refusal) (*verified, Outcome) { return nil, Outcome{Refusal: no, facts: f} }
	claim := t.key(e.c.KeyClaimName)
	key, _ := claim.(string)
	t.trace.keyed(claim, key != "")
	switch {
	case claim == nil:
		return refused(e.no.noKeyClaim)
	case key == "": // or no string
		return refused(e.no.invalidKeyClaim)
	}
	candidates, err := e.candidates(ctx, key, consumers != nil)
	if err != nil {
		return nil, Outcome{Refusal: Unavailable(), Fault: fmt.Errorf("looking up a credential: %w", err)}
	}
	t.trace.step(CheckCredential, 0, len(candidates) > 0)
	if len(candidates) > 0 {
		f.credential = key
	}
	credential, out := e.signer(ctx, candidates, t, consumers != nil)
	if out.Refusal != nil {
		out.facts = f
		return nil, out
	}
	if consumers == nil && (e.minter != nil || e.prover != nil) { // there may be another signature to come
		return nil, Outcome{Refusal: Failure(), Fault: errMustWait}
	}
	known := credential.value
	f.claims = t.claims
	valid, faults := checkClaims(e.c, t, e.s.o.Now())
	if faults != nil {
		return refused(invalidClaims(e.c, faults))
	}
	consumer, err := e.s.consumer(ctx, known.ConsumerID, consumers)
	if err != nil {
		return nil, Outcome{Refusal: Unavailable(), Fault: fmt.Errorf("loading a consumer: %w", err)}
	}
	t.trace.owned(consumer, nil, consumer != nil)
	if consumer == nil {
		_, out := refused(noConsumer(e.c, key))
		out.Warning = fmt.Errorf("credential with key %q: its consumer %q does not exist", key, known.ConsumerID)
		return nil, out
	}
	if len(candidates) > 1 && e.s.o.Used != nil {
		e.s.o.Used(known.Key, known.position)
	}
	return &verified{
		decision: decision{credential: credential, consumer: consumer, validity: valid},
		identity: &Identity{Consumer: consumer.value, CredentialID: known.ID, CredentialKey: known.Key},
	}, Outcome{facts: f}
}

// anonymous lets a request that was refused through as the anonymous consumer.
func (e *Engine) anonymous(ctx context.Context, r *Request, refused *Outcome, consumers ConsumerSource) Outcome {
	consumer, err := e.s.consumer(ctx, e.c.Anonymous, consumers)
	if err != nil {
		return Outcome{Refusal: Unavailable(), Fault: fmt.Errorf("loading the anonymous consumer: %w", err)}
	}
	if consumer == nil {
		return Outcome{Refusal: noAnonymous(e.c), Fault: fmt.Errorf("config.anonymous: there is no consumer %q", e.c.Anonymous)}
	}
	g := e.guest.Load()
	if g == nil || g.consumer != consumer {
		g = e.newGuest(consumer)
		e.guest.Store(g)
	}
	token, answer := "", g.answer
	if g.asserted != nil {
		m, err := e.assert(ctx, g.asserted, r, consumers != nil)
		if err != nil {
			return unasserted(err)
		}
		token, answer = m.token, m.answer
	}
	if e.c.LogSerialize { // why, which differs
		logged := g.grant.with(token)
		logged.Log = e.log("anonymous", &refused.facts, refused.Refusal, consumer.value)
		answer = e.s.o.Encode(logged)
	}
	return Outcome{Kind: Anonymous, Answer: answer, Warning: refused.Warning, DPoPNonce: refused.Refusal.DPoPNonce}
}

func (e *Engine) newGuest(consumer *entry[Consumer]) *guest {
	id := &Identity{Consumer: consumer.value}
	headers := id.Headers()
	if e.c.GuardHeaders { // nothing tells of an empty one
		for _, spelling := range Spellings(HeaderAnonymous)[1:] {
			headers = append(headers, Header{Name: spelling})
		}
	}
	g := &guest{consumer: consumer, grant: &Grant{Identity: id, Headers: append(headers, claimHeaders(e.c, nil)...), Groups: groups(e.c, nil)}}
	if e.minter != nil {
		g.asserted = &asserted{caller: e.caller(id, new(facts)), grant: g.grant}
	} else {
		g.answer = e.s.o.Encode(g.grant)
	}
	return g
}
