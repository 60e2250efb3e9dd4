package revocation

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/fetch"
	"kong-go-jwt/schema"
)

// list is a published list. One goroutine, [list.run], fetches it.
type list struct {
	o      *Options
	client *fetch.Client
	from   schema.Revocation
	where  string        // its URL for logs
	tried  chan struct{} // closed when it was first tried to be fetched

	current atomic.Pointer[snapshot] // nil: it was never fetched
}

// snapshot is a list as it was fetched. It does not change.
type snapshot struct {
	index     *index
	published uint64 // how many were, with this one
	confirmed time.Time
	until     time.Time // when it is too old

	document fetch.Document
	sum      [sha256.Size]byte
}

func (s *Lists) newList(from schema.Revocation, where string) *list {
	return &list{o: &s.o, client: s.client, from: from, where: where, tried: make(chan struct{})}
}

// known returns what is known, nil if nothing is or it is too old.
func (l *list) known() *snapshot {
	if s := l.current.Load(); s != nil && l.o.Now().Before(s.until) {
		return s
	}
	return nil
}

func (l *list) open() bool { return l.from.OnFailure == "open" }

// Generation implements [plugin.RevocationList]. It is odd while the list is
// known, and one more while it is not, but lets tokens pass.
func (l *list) Generation() uint64 {
	if s := l.known(); s != nil {
		return 2*s.published - 1
	}
	if !l.open() {
		return 0
	}
	if s := l.current.Load(); s != nil {
		return 2 * s.published
	}
	return 2 // the first one published is 3
}

// Revoked implements [plugin.RevocationList].
func (l *list) Revoked(ctx context.Context, t *plugin.TokenName) (bool, error) {
	if l.current.Load() == nil && !l.open() {
		select {
		case <-l.tried:
		case <-ctx.Done():
		}
	}
	switch s := l.known(); {
	case s != nil:
		return s.index.revoked(t), nil
	case l.open():
		return false, nil
	}
	return false, l.unknown()
}

func (l *list) unknown() error {
	return fmt.Errorf("revocation list %s was never fetched, or its last copy is too old", l.where)
}

// run fetches, again and again, until ctx is done.
func (l *list) run(ctx context.Context) {
	const logEvery = 5 * time.Minute
	var failed int
	var logged time.Time
	for {
		err := l.refresh(ctx)
		if failed == 0 && err == nil || ctx.Err() != nil {
			// Nothing to tell.
		} else if err == nil {
			l.o.Log.Info("a revocation list can be fetched again", "url", l.where)
		} else if now := l.o.Now(); now.Sub(logged) >= logEvery {
			logged = now
			l.o.Log.Warn("cannot fetch a revocation list", "error", err, "on_failure", l.from.OnFailure)
		}
		if failed++; err == nil {
			failed, logged = 0, time.Time{}
		}
		if failed <= 1 {
			l.triedOnce()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(l.pause(failed)):
		}
	}
}

func (l *list) triedOnce() {
	select {
	case <-l.tried:
	default:
		close(l.tried)
	}
}

// pause is how long to wait after so many failures: a second and twice as long
// each time, but not longer than between good fetches.
func (l *list) pause(failed int) time.Duration {
	refresh := time.Duration(l.from.Refresh * float64(time.Second))
	if failed == 0 {
		return refresh
	}
	return min(time.Second<<min(failed-1, 6), refresh)
}

// refresh fetches the list, or learns that it is unchanged. It takes a panic for
// an error: on a goroutine of its own it would end the process.
func (l *list) refresh(ctx context.Context) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = errors.New("panic") // whose value may hold anything
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, l.o.Timeout)
	defer cancel()
	old := l.current.Load()
	next := &snapshot{document: fetch.Document{Address: l.from.URL, Accept: "application/json"}, published: 2}
	if old != nil {
		next.document, next.published = old.document, old.published+1
	}
	unchanged, err := l.client.Get(ctx, next.document, func(r io.Reader, h http.Header) (err error) {
		sum := sha256.New()
		next.document.ETag, next.document.LastModified = h.Get("ETag"), h.Get("Last-Modified")
		next.index, err = read(io.TeeReader(r, sum), l.o.MaxEntries)
		next.sum = sumOf(sum)
		return err
	})
	if err != nil {
		return err
	}
	if old != nil && (unchanged || next.sum == old.sum) {
		next.index, next.sum = old.index, old.sum
		if l.known() == old { // else what it had let pass since is to be decided anew
			next.published = old.published
		}
	}
	next.confirmed = l.o.Now()
	next.until = next.confirmed.Add(time.Duration((l.from.Refresh + l.from.Stale) * float64(time.Second)))
	l.current.Store(next)
	return nil
}

func sumOf(h hash.Hash) (sum [sha256.Size]byte) {
	copy(sum[:], h.Sum(nil))
	return sum
}

func (l *list) status() Status {
	s := Status{URL: l.where, Usable: l.known() != nil}
	if now := l.current.Load(); now != nil {
		s.Age, s.Entries = l.o.Now().Sub(now.confirmed), len(now.index.entries)
	}
	return s
}
