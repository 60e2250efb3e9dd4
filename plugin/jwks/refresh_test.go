package jwks_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/jwks"
)

// Keys are replaced while 16 ask for the last key and for the one before; each
// is there at all times. The last is always published before it is asked for,
// by background or at demand.
func TestRotationUnderLoad(t *testing.T) {
	for name, o := range map[string]jwks.Options{
		"found in the background": {Refresh: 2 * time.Millisecond, MinInterval: time.Hour},
		"found when asked for":    {Refresh: time.Hour, MinInterval: time.Nanosecond},
	} {
		t.Run(name, func(t *testing.T) {
			const rotations = 30
			ring := make([]jwk, rotations)
			for i := range ring {
				ring[i] = p256(t, string(rune('A'+i)))
			}
			p := newProvider(t, ring[0])
			_, set := p.open(t, o)
			one(t, set, "A")

			var mu sync.RWMutex
			signing, done := 0, make(chan struct{})
			var clients sync.WaitGroup
			for range 16 {
				clients.Go(func() {
					for {
						select {
						case <-done:
							return
						case <-time.After(100 * time.Microsecond): // leaves the provider a processor
						}
						mu.RLock() // a token that is under way holds up its key's end
						for _, kid := range []int{signing, max(0, signing-1)} {
							keys, err := set.Keys(context.Background(), string(rune('A'+kid)))
							if err != nil || len(keys) != 1 || retired(keys[0]) {
								t.Errorf("key %d of %d: %d keys, error %v", kid, signing, len(keys), err)
							}
						}
						mu.RUnlock()
					}
				})
			}
			for i := 1; i < rotations && !t.Failed(); i++ {
				p.publish(ring[max(0, i-2) : i+1]...) // what is asked for, and the next
				if o.Refresh < time.Second {
					before := p.fetches.Load() // the next to begin finds the key
					becomes(t, "it is fetched anew", func() bool { return p.fetches.Load() > before+1 })
				}
				mu.Lock()
				signing = i
				mu.Unlock()
			}
			close(done)
			clients.Wait()
		})
	}
}

func TestUnknownKey(t *testing.T) {
	p := newProvider(t, p256(t, "k1"))
	var c clock
	_, set := p.open(t, jwks.Options{Now: c.now})
	one(t, set, "k1")
	fetched := func(want int32) {
		t.Helper()
		if n := p.fetches.Load(); n != want {
			t.Errorf("fetched %d times, want %d", n, want)
		}
	}
	many := func(kid string, want int) {
		t.Helper()
		var askers sync.WaitGroup
		for range 100 {
			askers.Go(func() {
				if keys, err := set.Keys(context.Background(), kid); err != nil || len(keys) != want {
					t.Errorf("%s: got %d keys and %v", kid, len(keys), err)
				}
			})
		}
		askers.Wait()
	}
	many("k2", 0) // one fetch serves all
	fetched(2)
	p.publish(p256(t, "k1"), p256(t, "k2"))
	c.advance(10*time.Second - 1)
	many("k2", 0) // too soon
	fetched(2)
	c.advance(1)
	many("k2", 1)
	fetched(3)
	many("k1", 1)
	fetched(3)
}

// A fetch that began before the key was published has no say about it.
func TestUnknownKeyDuringFetch(t *testing.T) {
	p := newProvider(t, p256(t, "k1"))
	hold, held := make(chan struct{}), make(chan struct{}, 10)
	old := p.keys
	p.answer(func(w http.ResponseWriter, _ *http.Request) {
		held <- struct{}{}
		<-hold
		_, _ = w.Write([]byte(old))
	})
	set := p.sets(t, jwks.Options{}).Open("x", p.URL+"/keys")
	defer set.Close()
	<-held
	p.answer(nil)
	p.publish(p256(t, "k1"), p256(t, "k2"))
	result := make(chan []*plugin.PublishedKey)
	go func() {
		keys, _ := set.Keys(context.Background(), "k2")
		result <- keys
	}()
	time.AfterFunc(20*time.Millisecond, func() { close(hold) })
	if keys := <-result; len(keys) != 1 {
		t.Errorf("got %d keys", len(keys))
	}
}

// Who waits for a fetch that fails is told so, and not made to wait for another.
func TestWaitingForFetchThatFails(t *testing.T) {
	p := newProvider(t)
	hold := make(chan struct{})
	p.answer(func(w http.ResponseWriter, _ *http.Request) {
		<-hold
		http.Error(w, "down", http.StatusBadGateway)
	})
	_, set := p.open(t, jwks.Options{})
	becomes(t, "it is being fetched", func() bool { return p.discoveries.Load() > 0 })
	began := time.Now()
	time.AfterFunc(20*time.Millisecond, func() { close(hold) })
	fails(t, set, "status 502")
	n, most := p.discoveries.Load(), 1+int32(time.Since(began)/(900*time.Millisecond)) // it is tried again after that
	if n > most {
		t.Errorf("asked %d times, want %d at the most", n, most)
	}
}

func TestKeysKeepTheirIdentity(t *testing.T) {
	same, changed, gone := p256(t, "same"), p256(t, "changed"), edKey(t, "gone")
	twin := p256(t, "twin")
	p := newProvider(t, same, changed, gone, twin, p256(t, "twin"), twin)
	var c clock
	_, set := p.open(t, jwks.Options{Now: c.now})
	before := map[string]*plugin.PublishedKey{}
	for _, kid := range []string{"same", "changed", "gone"} {
		before[kid] = one(t, set, kid)
	}
	twins := get(t, set, "twin")
	if len(twins) != 2 {
		t.Fatalf("got %d keys of one kid, want 2", len(twins))
	}

	refresh := func(want string) {
		t.Helper()
		c.advance(time.Minute)
		one(t, set, want)
	}
	p.publish(edKey(t, "n1"), twin, same, p256(t, "changed"))
	refresh("n1")
	if one(t, set, "same") != before["same"] || retired(before["same"]) {
		t.Error("a key that is published on is another, or retired")
	}
	if now := one(t, set, "changed"); now == before["changed"] || retired(now) || equal(now.Key, before["changed"].Key) {
		t.Error("a key that has changed is the old one")
	}
	if !retired(before["changed"]) || !retired(before["gone"]) {
		t.Error("a key that was changed or has gone is not retired")
	}
	if got := one(t, set, "twin"); got != twins[0] || retired(got) || !retired(twins[1]) {
		t.Error("of two keys with one kid, the wrong one is retired")
	}

	p.publish(edKey(t, "n2"), same.with("alg", "ES256"))
	refresh("n2")
	if now := one(t, set, "same"); now == before["same"] || !retired(before["same"]) || now.Algorithm != "ES256" {
		t.Error("a key whose algorithm has changed is the old one")
	}
}

func TestIssuerPublishesNothing(t *testing.T) {
	p := newProvider(t, p256(t, "k1"))
	_, set := p.open(t, jwks.Options{Refresh: time.Millisecond})
	k := one(t, set, "k1")
	p.publish()
	becomes(t, "the key is retired", func() bool { return retired(k) })
	if keys := get(t, set, ""); len(keys) != 0 {
		t.Errorf("got %d keys", len(keys))
	}
}

func TestLastGoodKeysAreKept(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"status": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "{}", http.StatusInternalServerError) },
		"created": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"keys":[]}`))
		},
		"no set":       func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) },
		"no JSON":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`<html>`)) },
		"cut off":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"null":         func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`null`)) },
		"null keys":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":null}`)) },
		"keys no list": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":{}}`)) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, p256(t, "k1"))
			var log book
			set := p.sets(t, jwks.Options{Refresh: time.Millisecond, Log: log.log()}).Open("x", p.URL+"/keys")
			defer set.Close()
			k := one(t, set, "k1")
			p.answer(handler)
			before := p.fetches.Load()
			becomes(t, "it has failed often", func() bool { return p.fetches.Load() > before+5 })
			if one(t, set, "k1") != k || retired(k) {
				t.Error("the last good key is gone")
			}
			if _, err := set.Keys(t.Context(), "k2"); err == nil {
				t.Error("it is not known that there is no such key, yet there is no error")
			}
			p.answer(nil)
			p.publish(p256(t, "k2"))
			becomes(t, "the key is retired", func() bool { return retired(k) })
			becomes(t, "it says so", func() bool { return log.lines("can be fetched again") == 1 })
			if n := log.lines("cannot fetch"); n != 1 {
				t.Errorf("complained %d times: %s", n, log.String())
			}
		})
	}
}

func TestKeysAreRetiredAfterStale(t *testing.T) {
	t.Run("by the timer", func(t *testing.T) {
		t.Parallel()
		p := newProvider(t, p256(t, "k1"))
		var log book
		_, set := p.open(t, jwks.Options{Refresh: 50 * time.Millisecond, Stale: 5 * time.Second, Log: log.log()})
		k := one(t, set, "k1")
		p.fail()
		becomes(t, "the key is retired", func() bool { return retired(k) })
		becomes(t, "it says so", func() bool { return log.lines("too old") == 1 })
		fails(t, set, "status 502")
		p.answer(nil)
		becomes(t, "the key is back", func() bool {
			keys, err := set.Keys(context.Background(), "k1")
			return err == nil && len(keys) == 1 && keys[0] != k && !retired(keys[0])
		})
	})
	t.Run("by the clock", func(t *testing.T) {
		p := newProvider(t, p256(t, "k1"))
		var c clock
		_, set := p.open(t, jwks.Options{Now: c.now, Stale: time.Hour})
		k := one(t, set, "k1")
		p.fail()
		c.advance(time.Hour - 1)
		if one(t, set, "k1") != k || retired(k) {
			t.Error("retired too soon")
		}
		c.advance(1)
		fails(t, set, "status 502")
		if !retired(k) {
			t.Error("not retired")
		}
		fails(t, set, "status 502") // without asking again
		if n := p.discoveries.Load(); n != 2 {
			t.Errorf("asked %d times, want twice", n)
		}
	})
}

// The clock may leap, as that of a machine that has slept does.
func TestKeysAreTooOldThoughNothingFailed(t *testing.T) {
	p := newProvider(t, p256(t, "k1"))
	var c clock
	_, set := p.open(t, jwks.Options{Now: c.now, Stale: time.Hour, MinInterval: 2 * time.Hour})
	k := one(t, set, "k1")
	get(t, set, "k2") // nothing more may be asked for
	c.advance(time.Hour)
	fails(t, set, "too old")
	if !retired(k) {
		t.Error("not retired")
	}
}

// A key that has been retired must not come back to life by a fetch that ends
// just then.
func TestPublishAgainstExpiry(t *testing.T) {
	text := setOf(t, p256(t, "k1"))
	parse := func() []*plugin.PublishedKey {
		keys, _, err := jwks.ParseSet(text, 1)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	for range 2000 {
		keys := jwks.PublishAgainstExpiry(jwks.Options{}, parse(), parse())
		if len(keys) != 1 || retired(keys[0]) {
			t.Fatalf("got %d keys, or one that is retired", len(keys))
		}
	}
}

func TestFirstFetchFails(t *testing.T) {
	p := newProvider(t, p256(t, "k1"))
	p.fail()
	sets, set := p.open(t, jwks.Options{Refresh: 5 * time.Millisecond})
	fails(t, set, "status 502")
	fails(t, set, "status 502")
	if len(sets.Ages()) != 0 {
		t.Errorf("got ages %v", sets.Ages())
	}
	p.answer(nil)
	becomes(t, "the key is known", func() bool { keys, err := set.Keys(t.Context(), "k1"); return err == nil && len(keys) == 1 })
}

func TestLifetime(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"":                                 7 * time.Minute,
		"public":                           7 * time.Minute,
		"max-age=x":                        7 * time.Minute,
		"public, max-age=600":              10 * time.Minute,
		"Max-Age=\"600\"":                  10 * time.Minute,
		"max-age=0":                        time.Minute,
		"max-age=-5":                       time.Minute,
		"no-cache, max-age=600":            time.Minute,
		"max-age=600, no-store":            time.Minute,
		"max-age=9223372036854775807":      time.Hour,
		"max-age=99999999999999999999":     7 * time.Minute,
		"s-maxage=600, must-revalidate, x": 7 * time.Minute,
	} {
		if got := jwks.Lifetime(jwks.Options{Refresh: 7 * time.Minute}, http.Header{"Cache-Control": {header}}); got != want {
			t.Errorf("%q: got %v, want %v", header, got, want)
		}
	}
	if got := jwks.Lifetime(jwks.Options{}, http.Header{"Cache-Control": {"public", "max-age=600"}, "Age": {"300"}}); got != 5*time.Minute {
		t.Errorf("with age: got %v", got)
	}
}

// Keys that are good for longer than they are trusted are fetched before they are
// too old, and not only when they are.
func TestWait(t *testing.T) {
	for name, tt := range map[string]struct{ stale, lifetime, want time.Duration }{
		"its lifetime":  {time.Hour, 10 * time.Minute, 10 * time.Minute},
		"half of stale": {time.Hour, 50 * time.Minute, 30 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			got := jwks.Wait(jwks.Options{Stale: tt.stale}, tt.lifetime)
			if got > tt.want || got < tt.want*9/10 {
				t.Errorf("got %v, want up to a tenth less than %v", got, tt.want)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	for failed, want := range map[int]time.Duration{1: 1, 2: 2, 3: 4, 6: 32, 7: 60, 8: 60, 1 << 40: 60} {
		if got := jwks.Backoff(failed, time.Hour); got != want*time.Second {
			t.Errorf("after %d: got %v", failed, got)
		}
	}
	if got := jwks.Backoff(9, time.Millisecond); got != time.Millisecond {
		t.Errorf("got %v, more than between good fetches", got)
	}
}

func BenchmarkKnownKey(b *testing.B) {
	p := newProvider(&testing.T{}, p256(b, "k1"))
	defer p.Server.Close()
	set := jwks.New(jwks.Options{RootCAs: p.pool()}).Open(p.URL, "")
	defer set.Close()
	if _, err := set.Keys(b.Context(), "k1"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if keys, _ := set.Keys(context.Background(), "k1"); len(keys) != 1 {
				b.Fail()
			}
		}
	})
}
