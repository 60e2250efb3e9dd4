package plugin

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jellydator/ttlcache/v3"
	"golang.org/x/sync/singleflight"

	"kong-go-jwt/plugin/dpop"
)

// Options are what a [Store] is made from. Every field must be set, but for
// those that say what nil means.
type Options struct {
	// Source is where credentials are looked up that are not in the plugin's
	// configuration. Nil: nowhere.
	Source CredentialSource
	// Admit gives leave to ask Source for a key of which nothing is known, so that
	// a flood of made-up keys stays within bounds. It may wait as long as ctx
	// allows; an error means that there is no leave. done is called after the
	// lookup. Nil: leave is always given.
	Admit func(ctx context.Context, key string) (done func(), err error)
	// Keys gives access to the keys of Config.Issuers. Nil: an engine with
	// issuers cannot be made.
	Keys KeySets
	// Revocations gives access to the lists of revoked tokens. Nil: an engine with
	// any cannot be made.
	Revocations RevocationLists
	// Encode renders a grant for whoever carries out the outcome. What it
	// returns is kept with a cached decision and comes back in Outcome.Answer,
	// so that a cached decision costs no encoding. It must not be changed.
	Encode func(*Grant) Answer
	// Used is told which of several credentials of one key, by its position in
	// Config.Credentials from 1, has verified a token that was not remembered.
	// Nil: nobody wants to know.
	Used func(key string, position int)
	Now  func() time.Time
	Log  *slog.Logger

	CredentialTTL time.Duration // for how long a found credential or consumer is good
	UnknownTTL    time.Duration // for how long it is remembered that there is none
	Grace         time.Duration // for how long known credentials outlive a failing Source
	LookupTimeout time.Duration // the longest that a request waits for a credential

	CredentialEntries int // the most credentials, and consumers, remembered
	UnknownEntries    int
	DecisionEntries   int
	DecisionBytes     int // the most of the heap that remembered decisions take together; at least 512 KiB
	ProofEntries      int // the most DPoP proofs remembered, beyond which none is accepted
}

// Answer is an encoded [Grant], which means something to who encoded it only.
type Answer struct {
	Bytes []byte
	Calls int    // how many calls Bytes makes
	Marks [3]int // places in Bytes
}

// Store holds what all engines share: credentials, consumers and decisions,
// each up to a bound. It is safe for concurrent use.
type Store struct {
	o             Options
	epoch         atomic.Uint64
	consumerEpoch atomic.Uint64 // counts changes of any consumer, too
	trustedUntil  atomic.Int64  // see TrustUntil; nanoseconds since 1970
	engines       atomic.Uint64

	credentials *cache[knownCredential]
	consumers   *cache[Consumer] // by id or username
	customIDs   *cache[Consumer]
	decisions   *decisions
	turns       turns
	replays     *dpop.Replays
	nonces      *dpop.Nonces
}

// untold is for how long something is good while changes are not told: two seconds,
// less what it takes to find out that it no longer is.
const untold = 1800 * time.Millisecond

// NewStore returns an empty store. Close must be called when it is done with.
func NewStore(o Options) *Store {
	s := &Store{
		o: o, decisions: newDecisions(o.DecisionEntries, o.DecisionBytes), turns: newTurns(),
		replays: dpop.NewReplays(o.ProofEntries), nonces: dpop.NewNonces(),
	}
	s.trustedUntil.Store(math.MaxInt64)
	s.credentials = newCache(s, &s.epoch, func(a, b *knownCredential) bool { return a.Credential == b.Credential })
	s.credentials.admit, s.credentials.source = o.Admit, s.loadCredential
	sameConsumer := func(a, b *Consumer) bool {
		return a.ID == b.ID && a.Username == b.Username && a.CustomID == b.CustomID && slices.Equal(a.Tags, b.Tags)
	}
	s.consumers = newCache(s, &s.epoch, sameConsumer)
	if source, ok := o.Source.(NamedConsumerSource); ok {
		s.consumers.source = source.ConsumerByName
	}
	// A change of a consumer does not name its custom_id.
	s.customIDs = newCache(s, &s.consumerEpoch, sameConsumer)
	if source, ok := o.Source.(CustomIDSource); ok {
		s.customIDs.admit, s.customIDs.source = o.Admit, source.ConsumerByCustomID
	}
	return s
}

func newCache[T any](s *Store, epoch *atomic.Uint64, same func(a, b *T) bool) *cache[T] {
	const retry = 2 * time.Second
	c := &cache[T]{
		known: ttlcache.New(
			ttlcache.WithTTL[string, *entry[T]](s.o.CredentialTTL+s.o.Grace),
			ttlcache.WithCapacity[string, *entry[T]](uint64(s.o.CredentialEntries)),
			ttlcache.WithDisableTouchOnHit[string, *entry[T]](),
		),
		unknown: ttlcache.New(
			ttlcache.WithTTL[[sha256.Size]byte, absence](s.o.UnknownTTL),
			ttlcache.WithCapacity[[sha256.Size]byte, absence](uint64(s.o.UnknownEntries)),
			ttlcache.WithDisableTouchOnHit[[sha256.Size]byte, absence](),
		),
		looking: make(map[string]*looking),
		now:     s.o.Now, trusted: s.trusted, epoch: epoch, same: same,
		ttl: s.o.CredentialTTL, grace: s.o.Grace, retry: min(retry, s.o.CredentialTTL), wait: s.o.LookupTimeout,
	}
	c.flights.Store(new(singleflight.Group))
	// A change could not find what has been forgotten, so nothing may rest on it.
	c.known.OnEviction(func(_ context.Context, _ ttlcache.EvictionReason, item *ttlcache.Item[string, *entry[T]]) {
		item.Value().end()
	})
	go c.known.Start()
	go c.unknown.Start()
	return c
}

// Close stops the store's goroutines.
func (s *Store) Close() {
	s.credentials.close()
	s.consumers.close()
	s.customIDs.close()
	s.decisions.close()
}

// Invalidate makes everything be looked up again before it is next used.
func (s *Store) Invalidate() {
	s.credentials.restart()
	s.consumers.restart()
	s.customIDs.restart()
	s.epoch.Add(1)
	s.consumerEpoch.Add(1) // last: see decision.epoch
}

// InvalidateCredential makes the credential of that key be looked up again before
// it, or anything that rests on it, is next used.
func (s *Store) InvalidateCredential(key string) { s.credentials.outdate(key) }

// InvalidateConsumer is InvalidateCredential for the consumer with that id or
// username, and for what was found, or not found, by any custom_id.
func (s *Store) InvalidateConsumer(idOrUsername string) {
	s.consumers.outdate(idOrUsername)
	s.customIDs.restart()
	s.consumerEpoch.Add(1) // last: see decision.epoch
}

// Configured tells that Kong has sent a configuration. Without a source nothing else
// tells that consumers may have changed, so then they are looked up again.
func (s *Store) Configured() {
	if s.o.Source == nil {
		s.Invalidate()
	}
}

// TrustUntil tells that changes will have been told of until then. After that,
// nothing is good for longer than two seconds. Until it is first called, changes
// are not expected to be told.
func (s *Store) TrustUntil(t time.Time) { s.trustedUntil.Store(t.UnixNano()) }

func (s *Store) trusted(now time.Time) bool { return now.UnixNano() < s.trustedUntil.Load() }

func (s *Store) loadCredential(ctx context.Context, key string) (*knownCredential, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.LookupTimeout)
	defer cancel()
	cr, err := s.o.Source.Credential(ctx, key)
	if err != nil || cr == nil {
		return nil, err
	}
	return &knownCredential{Credential: *cr, log: s.o.Log}, nil
}

// consumer returns the consumer with that id or username, nil if there is none.
// It is looked up by the request's means if the source has none.
func (s *Store) consumer(ctx context.Context, idOrUsername string, from ConsumerSource) (*entry[Consumer], error) {
	if consumer, known := s.consumers.peek(idOrUsername); known {
		return consumer, nil
	} else if from == nil {
		return nil, errMustWait
	}
	if s.hasConsumers() {
		ctx, cancel := context.WithTimeout(ctx, s.o.LookupTimeout)
		defer cancel()
		return s.consumers.find(ctx, idOrUsername)
	}
	return s.consumers.look(ctx, idOrUsername, func(_ context.Context, key string) (*Consumer, error) {
		return from.Consumer(key)
	})
}

func (s *Store) hasConsumers() bool {
	source, ok := s.o.Source.(NamedConsumerSource)
	return ok && source.HasConsumers()
}

// ahead looks what d rests on up again where that is due.
func (s *Store) ahead(now time.Time, d *decision) {
	if d.credential != nil {
		s.credentials.ahead(now, d.credential)
	}
	if d.consumer != nil && d.consumer.in == s.consumers && s.hasConsumers() {
		s.consumers.ahead(now, d.consumer)
	}
}
