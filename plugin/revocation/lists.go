// Package revocation keeps lists of revoked tokens that are published, and tells
// whether a token is in them.
package revocation

import (
	"context"
	"log/slog"
	"time"

	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/fetch"
	"kong-go-jwt/schema"
)

// Options say how lists are fetched.
type Options struct {
	// Fetching says by what means. Its Timeout is 5 seconds if it is 0, and its
	// MaxBytes, which bounds a list, 256 MiB: a million entries that name sub and
	// iss take some 100 MiB.
	Fetching fetch.Options
	// Timeout bounds a fetch. 0: 30 seconds.
	Timeout time.Duration
	// Idle has nothing fetched: published lists are never known.
	Idle bool
	// MaxEntries is how many a list may have. 0: 2,000,000.
	MaxEntries int

	Now func() time.Time // nil: [time.Now]
	Log *slog.Logger     // nil: nothing is logged
}

// Lists are the lists in use. It is safe for concurrent use.
type Lists struct {
	o      Options
	client *fetch.Client
	open   fetch.Shared[schema.Revocation, *list]
}

var _ plugin.RevocationLists = (*Lists)(nil)

// New returns lists, of which none is open yet. Close must be called when they
// are done with.
func New(o Options) *Lists {
	if o.Fetching.Timeout <= 0 {
		o.Fetching.Timeout = 5 * time.Second
	}
	if o.Fetching.MaxBytes <= 0 {
		o.Fetching.MaxBytes = 256 << 20
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.MaxEntries <= 0 {
		o.MaxEntries = 2_000_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Lists{o: o, client: fetch.New(o.Fetching)}
}

// Open implements [plugin.RevocationLists].
func (s *Lists) Open(r schema.Revocation) (plugin.RevocationList, error) {
	u, err := s.client.Check(r.URL)
	if err != nil {
		return nil, err //nolint:wrapcheck // says it all
	}
	shared, release := s.open.Open(r, func(closed bool) (*list, func()) {
		shared := s.newList(r, fetch.Where(u))
		ctx, stop := context.WithCancel(context.Background())
		switch {
		case s.o.Idle:
			close(shared.tried)
		case !closed:
			s.open.Go(func() { shared.run(ctx) })
		}
		return shared, stop
	})
	return &opened{list: shared, release: release}, nil
}

// Fixed implements [plugin.RevocationLists].
func (s *Lists) Fixed(entries []schema.Revoked) plugin.RevocationList {
	x, err := fixed(entries)
	return constant{x, err}
}

// constant is a list that stays as it is.
type constant struct {
	index *index
	err   error
}

// Revoked implements [plugin.RevocationList].
func (c constant) Revoked(_ context.Context, t *plugin.TokenName) (bool, error) {
	if c.err != nil {
		return false, c.err
	}
	return c.index.revoked(t), nil
}

// Generation implements [plugin.RevocationList].
func (constant) Generation() uint64 { return 1 }

// Close implements [plugin.RevocationList].
func (constant) Close() {}

// opened is a list as one of its users sees it.
type opened struct {
	*list
	release func()
}

// Close implements [plugin.RevocationList].
func (o *opened) Close() { o.release() }

// Close stops all fetching, and waits until it has.
func (s *Lists) Close() { s.open.Close() }

// Status is what can be told of a list.
type Status struct {
	URL     string // without its query
	Usable  bool   // it was fetched, and is not too old
	Age     time.Duration
	Entries int
}

// Status tells of each list in use. Age is that since it was last fetched, or
// seen to be unchanged; 0 if it never was.
func (s *Lists) Status() []Status {
	var all []Status
	for _, l := range s.open.All() {
		all = append(all, l.status())
	}
	return all
}

// Unknown tells, by URL, of lists for want of which tokens are refused, and why.
func (s *Lists) Unknown() map[string]error {
	unknown := make(map[string]error)
	for _, l := range s.open.All() {
		if !l.open() && l.known() == nil {
			unknown[l.where] = l.unknown()
		}
	}
	return unknown
}
