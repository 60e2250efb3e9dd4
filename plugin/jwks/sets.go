// Package jwks fetches the keys that issuers publish as JWK Sets (RFC 7517),
// and keeps them fresh. It knows what keys are fit for, and nothing of tokens.
package jwks

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/url"
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
	open    fetch.Shared[source, *set]
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
	return &Sets{o: filled, fetcher: newFetcher(filled)}
}

// Open implements [plugin.KeySets].
func (s *Sets) Open(issuer, jwksURI string) plugin.KeySet {
	from := source{issuer, jwksURI}
	shared, release := s.open.Open(from, func(closed bool) (*set, func()) {
		shared := newSet(s.o, s.fetcher, from)
		return shared, s.start(shared, closed)
	})
	return &opened{set: shared, release: release}
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

// start lets shared fetch its keys, unless nothing is fetched any more, and returns
// what ends that.
func (s *Sets) start(shared *set, closed bool) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	switch {
	case closed:
		shared.end()
	case s.o.OnDemand:
		shared.ask = func() { s.open.Go(func() { shared.refresh(ctx) }) }
		return func() {
			cancel()
			shared.end()
		}
	default:
		shared.ask = func() { shared.wake <- struct{}{} }
		shared.flight = newFlight() // run begins with a fetch
		s.open.Go(func() { shared.run(ctx) })
	}
	return cancel
}

// opened is a set as one of its users sees it.
type opened struct {
	*set
	release func()
}

// Close implements [plugin.KeySet]. Keys that are known are still told to who
// asks, for requests that are being decided.
func (o *opened) Close() { o.release() }

// Close stops all fetching, and waits until it has.
func (s *Sets) Close() { s.open.Close() }

// Ages returns how long ago the keys of each issuer were last fetched. Issuers
// whose keys never were are missing. Where an issuer's keys come from several
// URLs, it is the greatest age.
func (s *Sets) Ages() map[string]time.Duration {
	now := s.o.Now()
	ages := map[string]time.Duration{}
	for from, shared := range s.open.All() {
		if at := shared.lastGood(); !at.IsZero() {
			ages[from.issuer] = max(ages[from.issuer], now.Sub(at))
		}
	}
	return ages
}

// Unknown returns the issuers whose keys are not known, and why.
func (s *Sets) Unknown() map[string]error {
	unknown := map[string]error{}
	for from, shared := range s.open.All() {
		if _, known := shared.known(""); known {
			continue
		}
		if unknown[from.issuer] = shared.failure(); unknown[from.issuer] == nil {
			unknown[from.issuer] = errStale
		}
	}
	return unknown
}
