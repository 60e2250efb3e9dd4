package jwks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"kong-go-jwt/plugin"
)

var (
	errClosed = errors.New("jwks: key set is closed")
	errStale  = errors.New("jwks: keys are too old")
)

// set is the keys of one issuer. One goroutine, [set.run], fetches; who needs a
// key that is not known asks it to, and waits. With Options.OnDemand there is a
// goroutine for each fetch instead, and only then.
type set struct {
	o       *Options
	fetcher *fetcher
	from    source
	report  report
	wake    chan struct{} // tells run that a flight was asked for
	ask     func()        // has the flight begun that was asked for

	current atomic.Pointer[snapshot] // nil: nothing is known

	mu     sync.Mutex
	flight *flight   // the fetch that is under way or asked for; nil: none
	asked  time.Time // when the last fetch was asked for
	good   time.Time // when the last good fetch ended
	due    time.Time // when the next fetch is
	failed int       // how many fetches have failed since
	err    error     // of the last fetch
	closed bool
}

// flight is a fetch that others wait for.
type flight struct {
	started bool // held by set.mu
	done    chan struct{}
	err     error // set before done is closed
}

func newFlight() *flight { return &flight{done: make(chan struct{})} }

func newSet(o *Options, f *fetcher, from source) *set {
	return &set{
		o: o, fetcher: f, from: from,
		report: newReport(o, from),
		wake:   make(chan struct{}, 1),
	}
}

// Keys implements [plugin.KeySet].
func (s *set) Keys(ctx context.Context, keyID string) ([]*plugin.PublishedKey, error) {
	keys, known := s.known(keyID)
	if known && !s.mustRefresh() {
		return keys, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	for last := false; !last; {
		var f *flight
		if f, last = s.join(); f == nil {
			break
		}
		select {
		case <-f.done:
		case <-ctx.Done():
		}
		if keys, known = s.known(keyID); known {
			return keys, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("jwks: the keys were not fetched in time: %w", ctx.Err())
		}
		if f.err != nil {
			return nil, f.err
		}
	}
	if keys, known = s.known(keyID); known { // by a flight that has just ended
		return keys, nil
	}
	return nil, s.failure()
}

// known returns the keys with that id, or all, as far as they are known.
func (s *set) known(keyID string) (keys []*plugin.PublishedKey, known bool) {
	now := s.current.Load()
	if now == nil {
		return nil, false
	}
	if !s.o.Now().Before(now.until) {
		s.expire(now)
		return nil, false
	}
	if keyID == "" {
		return now.keys, true
	}
	keys = now.byID[keyID]
	return keys, len(keys) > 0
}

// mustRefresh tells whether who asks has to see to it that keys are fetched.
func (s *set) mustRefresh() bool {
	if !s.o.OnDemand {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.o.Now().Before(s.due)
}

// failure says why nothing can be known of the keys; nil if what is known is
// all that there is.
func (s *set) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && s.current.Load() == nil {
		return errStale
	}
	return s.err
}

func (s *set) lastGood() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.good
}

// join returns the fetch to wait for, and asks for it if need be; nil if it is
// too soon for another. With last, the fetch starts after the call, so that
// there is no sense in asking again after it.
func (s *set) join() (f *flight, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, true
	}
	if s.flight != nil {
		return s.flight, !s.flight.started
	}
	now := s.o.Now()
	isDue := s.o.OnDemand && !now.Before(s.due)
	if !isDue && !s.asked.IsZero() && now.Sub(s.asked) < s.o.MinInterval {
		return nil, true
	}
	s.asked, s.flight = now, newFlight()
	s.ask()
	return s.flight, true
}

// begin returns the flight that is asked for, or else a new one. From now on,
// none can be asked for until finish.
func (s *set) begin() *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight == nil {
		s.flight = newFlight()
	}
	select {
	case <-s.wake:
	default:
	}
	s.flight.started = true
	return s.flight
}

// finish tells all that wait for f what has come of it: keys that are good for
// lifetime, or an error. It returns when the next fetch is due.
func (s *set) finish(f *flight, lifetime time.Duration, err error) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	wait := min(lifetime, s.o.Stale/2)
	if err == nil {
		s.good, s.failed = now, 0
	} else {
		s.failed++
		wait = backoff(s.failed, s.o.Refresh)
	}
	wait = sooner(wait)
	s.due = now.Add(wait)
	if last := s.current.Load(); last != nil && s.o.OnDemand {
		last.askAgain(s.due)
	}
	s.flight, s.err, f.err = nil, err, err
	close(f.done)
	return wait
}

// run fetches, again and again, until ctx is done.
func (s *set) run(ctx context.Context) {
	defer s.end()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.wake:
		}
		timer.Reset(s.refresh(ctx))
	}
}

// end is for when nothing is fetched any more.
func (s *set) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.err = true, errClosed
	if s.flight != nil && !s.flight.started {
		s.flight.err = errClosed
		close(s.flight.done)
		s.flight = nil
	}
	if last := s.current.Load(); last != nil {
		last.timer.Stop()
	}
	s.fetcher.client.CloseIdleConnections()
}

// refresh fetches the keys, and tells when the next fetch is due.
func (s *set) refresh(ctx context.Context) time.Duration {
	f := s.begin()
	found, err := s.fetcher.fetch(ctx, s.from)
	var lifetime time.Duration
	switch {
	case ctx.Err() != nil:
		err = errClosed
	case err != nil:
		err = fmt.Errorf("jwks: %w", err)
	default:
		s.publish(found.keys)
		lifetime = found.lifetime
	}
	if s.o.OnDemand { // none would survive until the next one
		s.fetcher.client.CloseIdleConnections()
	}
	if !errors.Is(err, errClosed) {
		s.report.fetched(found, err)
	}
	return s.finish(f, lifetime, err)
}

// publish makes keys those that are known. Of those that were, the same ones
// remain, and the others are retired.
func (s *set) publish(keys []*plugin.PublishedKey) {
	for {
		old := s.current.Load()
		next, gone := old.renew(keys, s.o.Now().Add(s.o.Stale))
		next.timer = time.AfterFunc(s.o.Stale, func() { s.expire(next) })
		if !s.current.CompareAndSwap(old, next) { // old has expired meanwhile
			next.timer.Stop()
			continue
		}
		if old != nil {
			old.timer.Stop()
		}
		retire(gone)
		return
	}
}

// expire is for when keys have not been confirmed for too long.
func (s *set) expire(old *snapshot) {
	if s.current.CompareAndSwap(old, nil) {
		retire(old.keys)
		s.report.expired()
	}
}

// backoff is how long to wait after so many failures: a second, and twice as
// long each time, up to a minute, and not longer than between good fetches.
func backoff(failed int, refresh time.Duration) time.Duration {
	return min(time.Second<<min(failed-1, 6), time.Minute, refresh)
}

// sooner takes up to a tenth off d, so that many do not fetch all at once.
func sooner(d time.Duration) time.Duration {
	return d - rand.N(d/10+1) //nolint:gosec // spreads load, and guards nothing
}
