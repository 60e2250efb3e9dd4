// Package plugin decides what becomes of a request: it finds the token, looks
// up its credential, verifies it and says who the caller is. It knows neither
// sockets nor Kong's PDK; package kong does.
package plugin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jellydator/ttlcache/v3"

	"kong-go-jwt/schema"
)

// Options are what a [Store] is made from. Every field must be set, but for
// Source.
type Options struct {
	// Source is where credentials are looked up that are not in the plugin's
	// configuration. Nil: nowhere.
	Source CredentialSource
	// Encode renders an identity for whoever carries out the outcome. What it
	// returns is kept with a cached decision and comes back in Outcome.Answer,
	// so that a cached decision costs no encoding. It must not be changed.
	Encode func(*Identity) []byte
	Now    func() time.Time
	Log    *slog.Logger

	CredentialTTL time.Duration // for how long a found credential or consumer is good
	UnknownTTL    time.Duration // for how long it is remembered that there is none
	Grace         time.Duration // for how long known credentials outlive a failing Source
	LookupTimeout time.Duration // the longest that a request waits for a credential

	CredentialEntries int // the most credentials, and consumers, remembered
	UnknownEntries    int
	DecisionEntries   int
}

// Store holds what all engines share: credentials, consumers and decisions,
// each up to a bound. It is safe for concurrent use.
type Store struct {
	o           Options
	epoch       atomic.Uint64
	engines     atomic.Uint64
	credentials *cache[knownCredential]
	consumers   *cache[Consumer]
	decisions   *decisions
}

// NewStore returns an empty store. Close must be called when it is done with.
func NewStore(o Options) *Store {
	s := &Store{o: o, decisions: newDecisions(o.DecisionEntries)}
	s.credentials = newCache(s, func(a, b *knownCredential) bool { return a.Credential == b.Credential })
	s.consumers = newCache(s, func(a, b *Consumer) bool {
		return a.ID == b.ID && a.Username == b.Username && a.CustomID == b.CustomID && slices.Equal(a.Tags, b.Tags)
	})
	return s
}

func newCache[T any](s *Store, same func(a, b *T) bool) *cache[T] {
	const retry = 2 * time.Second
	c := &cache[T]{
		known: ttlcache.New(
			ttlcache.WithTTL[string, *entry[T]](s.o.CredentialTTL+s.o.Grace),
			ttlcache.WithCapacity[string, *entry[T]](uint64(s.o.CredentialEntries)), //nolint:gosec // positive
			ttlcache.WithDisableTouchOnHit[string, *entry[T]](),
		),
		unknown: ttlcache.New(
			ttlcache.WithTTL[[sha256.Size]byte, uint64](s.o.UnknownTTL),
			ttlcache.WithCapacity[[sha256.Size]byte, uint64](uint64(s.o.UnknownEntries)), //nolint:gosec // positive
			ttlcache.WithDisableTouchOnHit[[sha256.Size]byte, uint64](),
		),
		now: s.o.Now, epoch: &s.epoch, same: same,
		ttl: s.o.CredentialTTL, grace: s.o.Grace, retry: min(retry, s.o.CredentialTTL), wait: s.o.LookupTimeout,
	}
	go c.known.Start()
	go c.unknown.Start()
	return c
}

// Close stops the store's goroutines.
func (s *Store) Close() {
	s.credentials.known.Stop()
	s.credentials.unknown.Stop()
	s.consumers.known.Stop()
	s.consumers.unknown.Stop()
	s.decisions.close()
}

// Invalidate makes everything be looked up again before it is next used.
func (s *Store) Invalidate() { s.epoch.Add(1) }

// Engine decides requests under one configuration. It is safe for concurrent
// use.
type Engine struct {
	c           *schema.Config
	s           *Store
	id          uint64
	identifying []string // the headers that a client must not be able to forge
	own         map[string]*entry[knownCredential]
}

// NewEngine returns an engine for c. The error names the field at fault.
func (s *Store) NewEngine(c *schema.Config) (*Engine, error) {
	e := &Engine{
		c: c, s: s, id: s.engines.Add(1),
		identifying: IdentityHeaders(),
		own:         make(map[string]*entry[knownCredential], len(c.Credentials)),
	}
	for i, cr := range c.Credentials {
		k := &knownCredential{Credential: Credential{
			ID: cr.Key, Key: cr.Key, Algorithm: cr.Algorithm,
			Secret: cr.Secret, PublicKey: cr.PublicKey, ConsumerID: cr.Consumer,
		}}
		if _, err := k.verifier(c.SecretIsBase64); err != nil {
			field := "public_key"
			if strings.HasPrefix(cr.Algorithm, "HS") {
				field = "secret"
			}
			return nil, fmt.Errorf("config.credentials[%d].%s: %w", i+1, field, err)
		}
		e.own[cr.Key] = &entry[knownCredential]{value: k, permanent: true}
	}
	return e, nil
}

// Config returns the configuration that e decides under.
func (e *Engine) Config() *schema.Config { return e.c }

// Outcome says what becomes of a request.
type Outcome struct {
	// Refusal, if not nil, is the answer to the client. Nothing else is set.
	Refusal *Refusal
	// Fault, with a Refusal, is what went wrong on this side.
	Fault error
	// Aside: the request goes on as it is, since another plugin has
	// authenticated it. Else its identity headers are replaced.
	Aside bool
	// Identity is who the request is from; nil with neither Refusal nor Aside:
	// it is let through unidentified. It is nil for a cached decision too.
	Identity *Identity
	// Answer is the identity, encoded; nil if there is none.
	Answer []byte
	// Token is the accepted token, which aliases the Request.
	Token []byte
	// Cached tells that the decision was remembered.
	Cached bool
}

// Decide says what becomes of r. ctx bounds the lookups; consumers are looked
// up by the caller's means, since those belong to the request.
func (e *Engine) Decide(ctx context.Context, r *Request, consumers ConsumerSource) Outcome {
	return e.decide(ctx, r, consumers)
}

// DecideNow is Decide for callers that must not wait: it reports false where it
// would take a lookup, or more than some microseconds.
func (e *Engine) DecideNow(r *Request) (Outcome, bool) {
	out := e.decide(context.Background(), r, nil)
	return out, !errors.Is(out.Fault, errMustWait)
}

// errMustWait is the fault of an outcome that cannot be had without a
// ConsumerSource.
var errMustWait = errors.New("must wait")

// decide is Decide or, if consumers is nil, DecideNow.
func (e *Engine) decide(ctx context.Context, r *Request, consumers ConsumerSource) Outcome {
	if e.c.GuardHeaders && connectionNames(r.Connection, e.identifying) {
		return Outcome{Refusal: connectionNamesIdentity()}
	}
	preflight := !e.c.RunOnPreflight && string(r.Method) == "OPTIONS"
	if r.HasCredential && (preflight || e.c.Anonymous != "") {
		return Outcome{Aside: true}
	}
	if preflight {
		return Outcome{}
	}
	out := e.authenticate(ctx, r, consumers)
	if out.Refusal == nil || out.Fault != nil || e.c.Anonymous == "" {
		return out
	}
	return e.anonymous(ctx, consumers)
}

// authenticate decides by the request's token alone.
func (e *Engine) authenticate(ctx context.Context, r *Request, consumers ConsumerSource) Outcome {
	raw, no := findToken(e.c, r)
	if no != nil {
		return Outcome{Refusal: no}
	}
	k := decisionKey{engine: e.id}
	if e.c.CacheTTL > 0 {
		k.token = sha256.Sum256(raw)
		if d := e.s.decisions.get(k); d != nil {
			if now := e.s.o.Now(); d.good(now, e.s.epoch.Load()) {
				e.s.credentials.ahead(now, d.credential.value.Key, d.credential, e.s.loadCredential)
				return Outcome{Answer: d.answer, Token: raw, Cached: true}
			}
		}
	}
	t, malformed := parseToken(raw)
	if malformed != "" {
		return Outcome{Refusal: badToken(e.c, malformed)}
	}
	d, identity, out := e.verify(ctx, &t, consumers)
	if out.Refusal != nil {
		return out
	}
	d.answer = e.s.o.Encode(identity)
	if e.c.CacheTTL > 0 {
		exp, hasExp := t.number("exp")
		if !hasExp {
			exp = math.Inf(1)
		}
		e.s.decisions.put(k, d, e.s.o.Now(), time.Duration(e.c.CacheTTL*float64(time.Second)), exp)
	}
	return Outcome{Identity: identity, Answer: d.answer, Token: raw}
}

// verify decides whether a parsed token is accepted.
func (e *Engine) verify(ctx context.Context, t *token, consumers ConsumerSource) (d *decision, id *Identity, out Outcome) {
	refused := func(no *Refusal) (*decision, *Identity, Outcome) { return nil, nil, Outcome{Refusal: no} }
	claim := t.key(e.c.KeyClaimName)
	if claim == nil {
		return refused(noKeyClaim(e.c))
	}
	key, _ := claim.(string)
	if key == "" { // or no string
		return refused(invalidKeyClaim(e.c))
	}
	credential, err := e.credential(ctx, key, consumers != nil)
	if err != nil {
		return nil, nil, Outcome{Refusal: Unavailable(), Fault: fmt.Errorf("looking up a credential: %w", err)}
	}
	if credential == nil {
		return refused(noCredential(e.c))
	}
	known := credential.value
	if t.alg != known.Algorithm {
		return refused(invalidAlgorithm(e.c))
	}
	verifier, err := known.verifier(e.c.SecretIsBase64)
	if err != nil {
		e.s.o.Log.Warn("credential cannot be used", "credential", known.ID, "why", err)
		return refused(invalidKey(e.c))
	}
	if consumers == nil && !verifier.quick() {
		return nil, nil, Outcome{Refusal: Failure(), Fault: errMustWait}
	}
	if !verifier.verify(t) {
		return refused(invalidSignature(e.c))
	}
	valid, faults := checkClaims(e.c, t, e.s.o.Now())
	if faults != nil {
		return refused(invalidClaims(e.c, faults))
	}
	consumer, err := e.s.consumer(ctx, known.ConsumerID, consumers)
	if err != nil {
		return nil, nil, Outcome{Refusal: Unavailable(), Fault: fmt.Errorf("loading a consumer: %w", err)}
	}
	if consumer == nil {
		return refused(noConsumer(e.c, key))
	}
	id = &Identity{Consumer: consumer.value, CredentialID: known.ID, CredentialKey: known.Key}
	return &decision{credential: credential, consumer: consumer, validity: valid}, id, Outcome{}
}

// anonymous lets a request through as the anonymous consumer.
func (e *Engine) anonymous(ctx context.Context, consumers ConsumerSource) Outcome {
	consumer, err := e.s.consumer(ctx, e.c.Anonymous, consumers)
	if err != nil {
		return Outcome{Refusal: Unavailable(), Fault: fmt.Errorf("loading the anonymous consumer: %w", err)}
	}
	if consumer == nil {
		no := noAnonymous(e.c)
		return Outcome{Refusal: no, Fault: fmt.Errorf("config.anonymous: there is no consumer %q", e.c.Anonymous)}
	}
	id := &Identity{Consumer: consumer.value}
	return Outcome{Identity: id, Answer: e.s.o.Encode(id)}
}

// credential returns the credential of that key, nil if there is none.
func (e *Engine) credential(ctx context.Context, key string, wait bool) (*entry[knownCredential], error) {
	if own := e.own[key]; own != nil {
		return own, nil
	}
	if e.s.o.Source == nil {
		return nil, nil //nolint:nilnil // no error, and nothing found
	}
	if credential, known := e.s.credentials.peek(key); known {
		return credential, nil
	} else if !wait {
		return nil, errMustWait
	}
	ctx, cancel := context.WithTimeout(ctx, e.s.o.LookupTimeout)
	defer cancel()
	return e.s.credentials.find(ctx, key, true, e.s.loadCredential)
}

func (s *Store) loadCredential(ctx context.Context, key string) (*knownCredential, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.LookupTimeout)
	defer cancel()
	cr, err := s.o.Source.Credential(ctx, key)
	if err != nil || cr == nil {
		return nil, err
	}
	return &knownCredential{Credential: *cr}, nil
}

// consumer returns the consumer with that id or username, nil if there is none.
func (s *Store) consumer(ctx context.Context, idOrUsername string, from ConsumerSource) (*entry[Consumer], error) {
	if consumer, known := s.consumers.peek(idOrUsername); known {
		return consumer, nil
	} else if from == nil {
		return nil, errMustWait
	}
	return s.consumers.find(ctx, idOrUsername, false, func(_ context.Context, key string) (*Consumer, error) {
		return from.Consumer(key)
	})
}
