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
	// The entry is good until this time (nanoseconds since 1970), and only
	// while epoch is the current one. A zero time means that it was replaced.
	goodUntil atomic.Int64
	epoch     atomic.Uint64
	// refreshAt is when it should be looked up again, ahead of need.
	refreshAt atomic.Int64
	// Held by cache.results.
	confirmed time.Time // when the last lookup succeeded
	replaced  bool      // nothing makes it good again
	permanent bool      // from the configuration: always good
}

func (e *entry[T]) good(now time.Time, epoch uint64) bool {
	return e.permanent || e.epoch.Load() == epoch && now.UnixNano() < e.goodUntil.Load()
}

// cache remembers what lookups of one kind have found, and for a shorter time
// that nothing was found. It is safe for concurrent use.
type cache[T any] struct {
	known   *ttlcache.Cache[string, *entry[T]]
	unknown *ttlcache.Cache[[sha256.Size]byte, uint64] // by hashed key, so that long keys take no room; the epoch
	flights singleflight.Group
	results sync.Mutex // held while what has come of a lookup is remembered

	now   func() time.Time
	admit func(context.Context) (done func(), err error) // see Options.Admit
	epoch *atomic.Uint64
	same  func(a, b *T) bool
	ttl   time.Duration // how long a found one is good
	grace time.Duration // for how much longer while lookups fail
	retry time.Duration // after a failed lookup of a known one
	wait  time.Duration // the longest that a lookup takes
}

func (c *cache[T]) close() {
	c.known.Stop()
	c.unknown.Stop()
}

// peek returns the good entry of that key, or nil with known if it is known that
// there is none, without a lookup.
func (c *cache[T]) peek(key string) (e *entry[T], known bool) {
	epoch := c.epoch.Load()
	if item := c.known.Get(key); item != nil {
		e = item.Value()
		return e, e.good(c.now(), epoch)
	}
	item := c.unknown.Get(sha256.Sum256([]byte(key)))
	return nil, item != nil && item.Value() == epoch
}

// find looks up a key for which peek has nothing; nil if there is nothing. With
// shared, one load serves all that wait for the same key, and may outlive the
// call; else load is called by and for this caller alone.
func (c *cache[T]) find(ctx context.Context, key string, shared bool, load func(context.Context, string) (*T, error)) (*entry[T], error) {
	var old *entry[T]
	if item := c.known.Get(key); item != nil {
		old = item.Value()
	}
	if !shared {
		return c.look(ctx, key, old, load)
	}
	flight := c.flights.DoChan(key, func() (any, error) {
		return c.look(context.WithoutCancel(ctx), key, old, load)
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
func (c *cache[T]) ahead(now time.Time, key string, e *entry[T], load func(context.Context, string) (*T, error)) {
	due := e.refreshAt.Load()
	if e.permanent || now.UnixNano() < due || !e.refreshAt.CompareAndSwap(due, now.Add(c.retry).UnixNano()) {
		return
	}
	c.flights.DoChan(key, func() (any, error) {
		return c.look(context.Background(), key, e, load)
	})
}

// look does a lookup and remembers what comes of it.
func (c *cache[T]) look(ctx context.Context, key string, old *entry[T], load func(context.Context, string) (*T, error)) (*entry[T], error) {
	epoch := c.epoch.Load() // before the lookup: what it finds may already be outdated after
	value, err := c.load(ctx, key, old == nil, load)
	c.results.Lock()
	defer c.results.Unlock()
	if item := c.known.Get(key); item != nil { // another lookup may have ended meanwhile
		old = item.Value()
	} else if old != nil && old.replaced {
		old = nil
	}
	now := c.now()
	switch {
	case value != nil && old != nil && epoch < old.epoch.Load():
		return old, nil // found by a lookup that began later
	case err != nil && old != nil && now.Before(old.confirmed.Add(c.ttl+c.grace)):
		// Good for long enough that the next try can fail before it ends.
		old.arm(now, c.retry, c.retry+2*c.wait, max(epoch, old.epoch.Load()))
		return old, nil
	case err != nil:
		return nil, err
	case value == nil:
		if old != nil {
			old.replace()
			c.known.Delete(key)
		}
		c.unknown.Set(sha256.Sum256([]byte(key)), epoch, ttlcache.DefaultTTL)
		return nil, nil //nolint:nilnil // no error, and nothing found
	case old == nil || !c.same(old.value, value):
		if old != nil {
			old.replace()
		}
		old = &entry[T]{value: value}
	}
	old.confirmed = now
	old.arm(now, c.ttl*3/4, c.ttl, epoch)
	c.known.Set(key, old, ttlcache.DefaultTTL)
	return old, nil
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
		done, err := c.admit(waiting)
		if err != nil {
			return nil, err
		}
		defer done()
	}
	return load(ctx, key)
}

// replace makes e, and what rests on it, bad for good.
func (e *entry[T]) replace() {
	e.replaced = true
	e.goodUntil.Store(0)
}

// arm makes e good for some time from now on, and due to be refreshed sooner.
func (e *entry[T]) arm(now time.Time, refreshIn, goodFor time.Duration, epoch uint64) {
	e.refreshAt.Store(now.Add(refreshIn).UnixNano())
	e.goodUntil.Store(now.Add(goodFor).UnixNano())
	e.epoch.Store(epoch)
}
