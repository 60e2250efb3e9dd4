// Package jwks fetches the keys that issuers publish as JWK Sets (RFC 7517),
// and keeps them fresh. It knows what keys are fit for, and nothing of tokens.
package jwks

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/fetch"
)

// Options say how keys are fetched. The zero value is good.
type Options struct {
	// Client is what to fetch by in place of a client of the package's own. Only
	// its Transport is used: what redirects are followed is the package's to say.
	Client *http.Client
	// RootCAs are the certificates to trust, if Client is nil; nil: the system's.
	RootCAs *x509.CertPool
	// Proxy is what to fetch through, if Client is nil; nil: nothing.
	Proxy *url.URL
	// Logins are by origin ("https://host" or "https://host:port"), if Client is
	// nil. They must have passed [fetch.Login.Check].
	Logins map[string]fetch.Login
	// AllowHTTP lets keys be fetched without TLS from other hosts than loopback.
	AllowHTTP bool

	// Refresh is how often keys are fetched if the issuer does not say by
	// Cache-Control how long they are good for. 0: 5 minutes.
	Refresh time.Duration
	// Stale is for how long keys outlive the last good fetch. 0: 24 hours.
	Stale time.Duration
	// MinInterval is the least time between fetches for want of a key. 0: 10
	// seconds.
	MinInterval time.Duration
	// Timeout bounds a fetch with its discovery and redirects. 0: 5 seconds.
	Timeout time.Duration
	// MaxBytes bounds each answer. 0: 1 MiB.
	MaxBytes int64
	// MaxKeys is how many keys a set may hold, fit or not. 0: 100.
	MaxKeys int
	// OnDemand is for a process that is stopped between requests, as on AWS
	// Lambda: keys are only fetched while somebody asks for them, who waits, and
	// what rests on them asks again when it is time to.
	OnDemand bool

	Now func() time.Time // nil: [time.Now]
	Log *slog.Logger     // nil: nothing is logged
}

func (o Options) withDefaults() *Options {
	fill(&o.Refresh, 5*time.Minute)
	fill(&o.Stale, 24*time.Hour)
	fill(&o.MinInterval, 10*time.Second)
	fill(&o.Timeout, 5*time.Second)
	fill(&o.MaxBytes, 1<<20)
	fill(&o.MaxKeys, 100)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &o
}

func fill[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Sets are the key sets in use. It is safe for concurrent use.
type Sets struct {
	o       *Options
	fetcher *fetcher
	running sync.WaitGroup

	mu     sync.Mutex
	open   map[source]*set
	closed bool
}

// source is where keys come from.
type source struct {
	issuer  string
	jwksURI string // "": found by discovery
}

var _ plugin.KeySets = (*Sets)(nil)

// New returns key sets, of which none is open yet. Close must be called when
// they are done with.
func New(o Options) *Sets {
	filled := o.withDefaults()
	return &Sets{o: filled, fetcher: newFetcher(filled), open: make(map[source]*set)}
}

// Open implements [plugin.KeySets].
func (s *Sets) Open(issuer, jwksURI string) plugin.KeySet {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := source{issuer, jwksURI}
	shared := s.open[from]
	if shared == nil {
		shared = newSet(s.o, s.fetcher, from)
		s.open[from] = shared
		s.start(shared)
	}
	shared.users++
	return &opened{set: shared, sets: s}
}

// Fetchable tells why nothing may be fetched for an issuer; nil: it may.
func (s *Sets) Fetchable(issuer, jwksURI string) error {
	if jwksURI == "" {
		var err error
		if jwksURI, err = discoveryURL(issuer); err != nil {
			return err
		}
	}
	_, err := s.fetcher.client.Check(jwksURI)
	return err
}

// start lets shared fetch its keys, unless nothing is fetched any more.
func (s *Sets) start(shared *set) {
	ctx, stop := context.WithCancel(context.Background())
	shared.stop = stop
	switch {
	case s.closed:
		shared.end()
	case s.o.OnDemand:
		shared.ask = func() { s.running.Go(func() { shared.refresh(ctx) }) }
		shared.stop = func() {
			stop()
			shared.end()
		}
	default:
		shared.ask = func() { shared.wake <- struct{}{} }
		shared.flight = newFlight() // run begins with a fetch
		s.running.Go(func() { shared.run(ctx) })
	}
}

// opened is a set as one of its users sees it.
type opened struct {
	*set
	sets *Sets
	once sync.Once
}

// Close implements [plugin.KeySet]. Keys that are known are still told to who
// asks, for requests that are being decided.
func (o *opened) Close() { o.once.Do(func() { o.sets.release(o.set) }) }

func (s *Sets) release(shared *set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if shared.users--; shared.users == 0 {
		shared.stop()
		delete(s.open, shared.from)
	}
}

// Close stops all fetching, and waits until it has.
func (s *Sets) Close() {
	s.mu.Lock()
	s.closed = true
	for _, shared := range s.open {
		shared.stop()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// Ages returns how long ago the keys of each issuer were last fetched. Issuers
// whose keys never were are missing. Where an issuer's keys come from several
// URLs, it is the greatest age.
func (s *Sets) Ages() map[string]time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	ages := make(map[string]time.Duration, len(s.open))
	for from, shared := range s.open {
		if at := shared.lastGood(); !at.IsZero() {
			ages[from.issuer] = max(ages[from.issuer], now.Sub(at))
		}
	}
	return ages
}

// Unknown returns the issuers whose keys are not known, and why.
func (s *Sets) Unknown() map[string]error {
	s.mu.Lock()
	defer s.mu.Unlock()
	unknown := map[string]error{}
	for from, shared := range s.open {
		if _, known := shared.known(""); known {
			continue
		}
		if unknown[from.issuer] = shared.failure(); unknown[from.issuer] == nil {
			unknown[from.issuer] = errStale
		}
	}
	return unknown
}
