package plugin

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jellydator/ttlcache/v3"
)

// Options are what a [Store] is made from. Every field must be set, but for
// those that say what nil means.
type Options struct {
	// Source is where credentials are looked up that are not in the plugin's
	// configuration. Nil: nowhere.
	Source CredentialSource
	// Admit gives leave to ask Source for something of which nothing is known, so
	// that a flood of made-up keys stays within bounds. It may wait as long as ctx
	// allows; an error means that there is no leave. done is called after the
	// lookup. Nil: leave is always given.
	Admit func(ctx context.Context) (done func(), err error)
	// Keys gives access to the keys of Config.Issuers. Nil: an engine with
	// issuers cannot be made.
	Keys KeySets
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
}

// Answer is an encoded [Grant], which means something to who encoded it only.
type Answer struct {
	Bytes []byte
	Calls int // how many calls Bytes makes
}

// Store holds what all engines share: credentials, consumers and decisions,
// each up to a bound. It is safe for concurrent use.
type Store struct {
	o           Options
	epoch       atomic.Uint64
	engines     atomic.Uint64
	credentials *cache[knownCredential]
	consumers   *cache[Consumer] // by id or username
	customIDs   *cache[Consumer]
	decisions   *decisions
	turns       turns
}

// NewStore returns an empty store. Close must be called when it is done with.
func NewStore(o Options) *Store {
	s := &Store{o: o, decisions: newDecisions(o.DecisionEntries), turns: newTurns()}
	s.credentials = newCache(s, func(a, b *knownCredential) bool { return a.Credential == b.Credential })
	s.credentials.admit = o.Admit
	sameConsumer := func(a, b *Consumer) bool {
		return a.ID == b.ID && a.Username == b.Username && a.CustomID == b.CustomID && slices.Equal(a.Tags, b.Tags)
	}
	s.consumers, s.customIDs = newCache(s, sameConsumer), newCache(s, sameConsumer)
	s.customIDs.admit = o.Admit
	return s
}

func newCache[T any](s *Store, same func(a, b *T) bool) *cache[T] {
	const retry = 2 * time.Second
	c := &cache[T]{
		known: ttlcache.New(
			ttlcache.WithTTL[string, *entry[T]](s.o.CredentialTTL+s.o.Grace),
			ttlcache.WithCapacity[string, *entry[T]](uint64(s.o.CredentialEntries)),
			ttlcache.WithDisableTouchOnHit[string, *entry[T]](),
		),
		unknown: ttlcache.New(
			ttlcache.WithTTL[[sha256.Size]byte, uint64](s.o.UnknownTTL),
			ttlcache.WithCapacity[[sha256.Size]byte, uint64](uint64(s.o.UnknownEntries)),
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
	s.credentials.close()
	s.consumers.close()
	s.customIDs.close()
	s.decisions.close()
}

// Invalidate makes everything be looked up again before it is next used.
func (s *Store) Invalidate() { s.epoch.Add(1) }

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
