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

// onDemand opens the keys of a new provider by a clock that stands still.
func onDemand(t *testing.T, o jwks.Options, keys ...jwk) (*provider, *clock, plugin.KeySet) {
	t.Helper()
	p, c := newProvider(t, keys...), new(clock)
	o.OnDemand, o.Now = true, c.now
	_, set := p.open(t, o)
	return p, c, set
}

func TestOnDemandFetchesWhenAsked(t *testing.T) {
	p, c, set := onDemand(t, jwks.Options{Refresh: time.Minute}, p256(t, "k1"))
	if n := p.discoveries.Load(); n != 0 {
		t.Fatalf("fetched %d times before anybody asked", n)
	}
	for _, step := range []struct {
		after time.Duration
		want  int32
	}{{0, 1}, {time.Second, 1}, {time.Minute, 2}, {0, 2}, {time.Hour, 3}} {
		c.advance(step.after)
		one(t, set, "k1")
		if n := p.fetches.Load(); n != step.want {
			t.Errorf("%v later: fetched %d times, want %d", step.after, n, step.want)
		}
	}
}

func TestOnDemandUnknownKey(t *testing.T) {
	k1, k2 := p256(t, "k1"), p256(t, "k2")
	p, c, set := onDemand(t, jwks.Options{}, k1)
	one(t, set, "k1")
	c.advance(10 * time.Second)
	p.publish(k1, k2)
	one(t, set, "k2")
	get(t, set, "k3")
	if n := p.fetches.Load(); n != 2 {
		t.Errorf("fetched %d times, want 2: another unknown key comes too soon", n)
	}
}

func TestOnDemandOneFetchAtATime(t *testing.T) {
	p, _, set := onDemand(t, jwks.Options{}, p256(t, "k1"))
	var askers sync.WaitGroup
	for range 50 {
		askers.Go(func() { one(t, set, "k1") })
	}
	askers.Wait()
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("fetched %d times for 50 at once", n)
	}
}

func TestOnDemandKeepsStaleKeysWhileFailing(t *testing.T) {
	p, c, set := onDemand(t, jwks.Options{Refresh: time.Minute, Stale: time.Hour}, p256(t, "k1"))
	k := one(t, set, "k1")
	p.fail()
	c.advance(time.Minute)
	if one(t, set, "k1") != k {
		t.Error("the key is another one")
	}
	tried := p.discoveries.Load()
	one(t, set, "k1") // soon after a failure, nobody is made to wait again
	if n := p.discoveries.Load(); n != tried || tried != 2 {
		t.Errorf("asked %d times, then %d", tried, n)
	}
	p.answer(nil)
	c.advance(time.Second)
	one(t, set, "k1")
	if n := p.fetches.Load(); n != 2 {
		t.Errorf("fetched %d times once it answers again, want 2", n)
	}
	p.fail()
	c.advance(time.Hour)
	fails(t, set, "status 502")
	if !retired(k) {
		t.Error("a key that is too old is not retired")
	}
}

// Who waits for a provider that hangs gets the keys that are known.
func TestOnDemandProviderHangs(t *testing.T) {
	t.Parallel()
	p, c, set := onDemand(t, jwks.Options{Refresh: time.Minute, Timeout: 5 * time.Second}, p256(t, "k1"))
	one(t, set, "k1")
	p.answer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c.advance(time.Minute)
	one(t, set, "k1")
}

func TestOnDemandCloseWhileFetching(t *testing.T) {
	p := newProvider(t, p256(t, "k1"))
	asked := make(chan struct{})
	p.answer(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	sets := p.sets(t, jwks.Options{OnDemand: true})
	set := sets.Open(p.URL, p.URL+"/keys")
	result := make(chan error)
	go func() {
		_, err := set.Keys(context.Background(), "k1")
		result <- err
	}()
	<-asked
	set.Close()
	sets.Close()
	if err := <-result; err == nil {
		t.Error("closed, and there is no error")
	}
	if _, err := set.Keys(context.Background(), "k1"); err == nil {
		t.Error("asked of a closed set, and there is no error")
	}
}
