package plugin

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jellydator/ttlcache/v3"
	"golang.org/x/sync/singleflight"
)

// entry is something that was looked up and is good for a while. Decisions hold
// pointers to the entries they rest on, so that all of them die with it.
type entry[T any] struct {
	value *T
	in    *cache[T]
	key   string
	// The entry is good until this time (nanoseconds since 1970), and only
	// while epoch is the current one. A zero time means that it is not good at all.
	goodUntil atomic.Int64
	epoch     atomic.Uint64
	// untoldUntil is until when it is good while changes are not told.
	untoldUntil atomic.Int64
	// refreshAt is when it should be looked up again, ahead of need.
	refreshAt atomic.Int64
	permanent bool // from the configuration: always good
	// Held by cache.results.
	confirmed time.Time // when the last lookup succeeded
	order     uint64    // of that lookup
	outdated  bool      // it is known to have changed: a lookup has to succeed first
}

// good tells whether e can be used. trusted tells that its changes are told.
func (e *entry[T]) good(now time.Time, trusted bool) bool {
	n := now.UnixNano()
	return e.permanent || n < e.goodUntil.Load() && e.epoch.Load() == e.in.epoch.Load() &&
		(trusted || n < e.untoldUntil.Load())
}

// absence is that nothing was found.
type absence struct {
	epoch uint64
	order uint64 // of the lookup
	until int64  // when changes are not told
}

// looking is a key that is being looked up, as often as users says.
type looking struct {
	users    int
	outdated bool // it has changed since, so what is found may be what was before
}

// cache remembers what lookups of one kind have found, and for a shorter time
// that nothing was found. It is safe for concurrent use.
type cache[T any] struct {
	known   *ttlcache.Cache[string, *entry[T]]
	unknown *ttlcache.Cache[[sha256.Size]byte, absence] // by hashed key, so that long keys take no room
	flights atomic.Pointer[singleflight.Group]

	results sync.Mutex // held while what has come of a lookup is remembered
	looking map[string]*looking
	order   uint64 // of the lookup that has begun last

	now     func() time.Time
	trusted func(time.Time) bool                                           // see Store.TrustUntil
	admit   func(ctx context.Context, key string) (done func(), err error) // see Options.Admit
	source  func(context.Context, string) (*T, error)                      // nil: none
	epoch   *atomic.Uint64
	same    func(a, b *T) bool
	ttl     time.Duration // how long a found one is good
	grace   time.Duration // for how much longer while lookups fail
	retry   time.Duration // after a failed lookup of a known one
	wait    time.Duration // the longest that a lookup takes
}

func (c *cache[T]) close() {
	c.known.Stop()
	c.unknown.Stop()
}

// peek returns the good entry of that key, or nil with known if it is known that
// there is none, without a lookup.
func (c *cache[T]) peek(key string) (e *entry[T], known bool) {
	now := c.now()
	trusted := c.trusted(now)
	if item := c.known.Get(key); item != nil {
		e = item.Value()
		return e, e.good(now, trusted)
	}
	item := c.unknown.Get(sha256.Sum256([]byte(key)))
	if item == nil {
		return nil, false
	}
	none := item.Value()
	return nil, none.epoch == c.epoch.Load() && (trusted || now.UnixNano() < none.until)
}

// find looks up a key at the source for which peek has nothing; nil if there is
// nothing. One lookup serves all that wait for the same key, and may outlive the
// call.
func (c *cache[T]) find(ctx context.Context, key string) (*entry[T], error) {
	flight := c.flights.Load().DoChan(key, func() (any, error) {
		return c.look(context.WithoutCancel(ctx), key, c.source)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-flight:
		e, _ := result.Val.(*entry[T])
		return e, result.Err
	}
}

// ahead looks e up again in the background when it is due, so that no request
// has to wait for it later.
func (c *cache[T]) ahead(now time.Time, e *entry[T]) {
	if e.permanent {
		return
	}
	n, at := now.UnixNano(), e.refreshAt.Load()
	due := n >= at
	if !due && !c.trusted(now) { // unless that is under way
		due = n >= e.untoldUntil.Load()-int64(untold/2) && at-n > int64(c.retry)
	}
	if !due || !e.refreshAt.CompareAndSwap(at, now.Add(c.retry).UnixNano()) {
		return
	}
	c.flights.Load().DoChan(e.key, func() (any, error) {
		return c.look(context.Background(), e.key, c.source)
	})
}

// outdate makes what is remembered of key be looked up again, and what is being
// looked up not be remembered.
func (c *cache[T]) outdate(key string) {
	c.results.Lock()
	defer c.results.Unlock()
	c.flights.Load().Forget(key)
	if l := c.looking[key]; l != nil {
		l.outdated = true
		delete(c.looking, key)
	}
	if item := c.known.Get(key); item != nil {
		e := item.Value()
		e.outdated = true
		e.end()
	}
	c.unknown.Delete(sha256.Sum256([]byte(key)))
}

// restart has nobody wait for lookups that are under way, before another epoch begins.
func (c *cache[T]) restart() { c.flights.Store(new(singleflight.Group)) }

// begin is called before a lookup.
func (c *cache[T]) begin(key string) (l *looking, order uint64, stranger bool) {
	c.results.Lock()
	defer c.results.Unlock()
	if l = c.looking[key]; l == nil {
		l = new(looking)
		c.looking[key] = l
	}
	l.users++
	c.order++
	return l, c.order, c.known.Get(key) == nil
}

// look does a lookup and remembers what comes of it.
func (c *cache[T]) look(ctx context.Context, key string, load func(context.Context, string) (*T, error)) (*entry[T], error) {
	l, order, stranger := c.begin(key)
	epoch, began := c.epoch.Load(), c.now() // before the lookup: what it finds may already be outdated after
	value, err := c.load(ctx, key, stranger, load)
	c.results.Lock()
	defer c.results.Unlock()
	if l.users--; l.users == 0 && c.looking[key] == l {
		delete(c.looking, key)
	}
	now, hash := c.now(), sha256.Sum256([]byte(key))
	var old *entry[T]
	if item := c.known.Get(key); item != nil {
		old = item.Value()
	}
	switch {
	case err != nil && old != nil && !old.outdated && now.Before(old.confirmed.Add(c.ttl+c.grace)):
		// Good for long enough that the next try can fail before it ends.
		goodFor := c.retry + 2*c.wait
		old.arm(now.Add(c.retry), now.Add(goodFor), now.Add(goodFor), max(epoch, old.epoch.Load()))
		return old, nil
	case err != nil:
		return nil, err
	case old != nil && order < old.order:
		return old, nil // found by a lookup that began later
	case old == nil && c.absentSince(hash, order):
		return nil, nil //nolint:nilnil // no error, and nothing found
	case l.outdated: // good for whoever asked before, and for nobody else
		if value == nil {
			return nil, nil //nolint:nilnil // as above
		}
		return &entry[T]{value: value, in: c, key: key}, nil
	case value == nil:
		if old != nil {
			old.end()
			c.known.Delete(key)
		}
		c.unknown.Set(hash, absence{epoch: epoch, order: order, until: began.Add(untold).UnixNano()}, ttlcache.DefaultTTL)
		return nil, nil //nolint:nilnil // as above
	case old == nil || !c.same(old.value, value):
		if old != nil {
			old.end()
		}
		old = &entry[T]{value: value, in: c, key: key}
	}
	old.confirmed, old.order, old.outdated = now, order, false
	old.arm(now.Add(c.ttl*3/4), now.Add(c.ttl), began.Add(untold), epoch)
	c.known.Set(key, old, ttlcache.DefaultTTL)
	return old, nil
}

// absentSince tells whether a lookup that began after that one has found nothing.
func (c *cache[T]) absentSince(hash [sha256.Size]byte, order uint64) bool {
	item := c.unknown.Get(hash)
	return item != nil && item.Value().order > order
}

// load calls load, with leave if the key is that of a stranger. It takes a
// panic for an error: on the goroutine of a flight it would end the process.
func (c *cache[T]) load(ctx context.Context, key string, stranger bool, load func(context.Context, string) (*T, error)) (value *T, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			value, err = nil, fmt.Errorf("panic: %v", fault)
		}
	}()
	if stranger && c.admit != nil {
		waiting, cancel := context.WithTimeout(ctx, c.wait)
		defer cancel()
		done, err := c.admit(waiting, key)
		if err != nil {
			return nil, err
		}
		defer done()
	}
	// Less than a request waits: one whose credential is known must learn of the
	// failure in time to go on with it.
	ctx, cancel := context.WithTimeout(ctx, c.wait-c.wait/8)
	defer cancel()
	return load(ctx, key)
}

// end makes e, and what rests on it, no longer good.
func (e *entry[T]) end() { e.goodUntil.Store(0) }

// arm makes e good for some time, and due to be refreshed sooner.
func (e *entry[T]) arm(refreshAt, goodUntil, untoldUntil time.Time, epoch uint64) {
	e.refreshAt.Store(refreshAt.UnixNano())
	e.untoldUntil.Store(untoldUntil.UnixNano())
	e.epoch.Store(epoch)
	e.goodUntil.Store(goodUntil.UnixNano())
}
