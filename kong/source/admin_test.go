package source_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kong-go-jwt/kong/source"
)

// admin is an Admin API with credentials by key.
type admin struct {
	server      *httptest.Server
	mu          sync.Mutex
	keys        []string
	hash        string
	lists       atomic.Int64
	atOnce, now atomic.Int64
	hold        chan struct{} // lookups wait for it to be closed
}

func startAdmin(t *testing.T, keys ...string) *admin {
	t.Helper()
	a := &admin{keys: keys, hash: "1", hold: make(chan struct{})}
	close(a.hold)
	a.server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.server.Close)
	return a
}

func (a *admin) client(t *testing.T, atOnce int) *source.Admin {
	t.Helper()
	c, err := source.NewAdmin(source.AdminOptions{URL: a.server.URL, Timeout: 5 * time.Second, AtOnce: atOnce})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (a *admin) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	entry := func(key string) map[string]any {
		return map[string]any{"id": "id of " + key, "key": key, "secret": "s", "consumer": map[string]string{"id": "c"}}
	}
	a.mu.Lock()
	keys, hash, hold := a.keys, a.hash, a.hold
	a.mu.Unlock()
	switch {
	case r.URL.Path == "/status":
		fmt.Fprintf(w, `{"configuration_hash":%q}`, hash)
		return
	case r.URL.Path == "/jwts":
		a.lists.Add(1)
		var data []any
		for _, k := range keys {
			data = append(data, entry(k))
		}
		json.NewEncoder(w).Encode(map[string]any{"data": data})
		return
	}
	n := a.now.Add(1)
	defer a.now.Add(-1)
	for most := a.atOnce.Load(); n > most && !a.atOnce.CompareAndSwap(most, n); most = a.atOnce.Load() {
	}
	select {
	case <-hold:
	case <-r.Context().Done():
	}
	key := strings.TrimPrefix(r.URL.Path, "/jwts/")
	for _, k := range keys {
		if k == key {
			json.NewEncoder(w).Encode(entry(k))
			return
		}
	}
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprint(w, `{"message":"Not found"}`)
}

func (a *admin) change(keys ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys, a.hash = keys, a.hash+"x"
}

const uuid = "11111111-2222-4333-8444-%012d"

// However many keys that look like ids are asked for, credentials are listed
// once in a while; a new configuration is listed at once.
func TestListingIsRare(t *testing.T) {
	a := startAdmin(t, fmt.Sprintf(uuid, 1))
	c := a.client(t, 4)
	for i := range 50 {
		got, err := c.Credential(t.Context(), fmt.Sprintf(uuid, i))
		if err != nil || (got != nil) != (i == 1) {
			t.Fatalf("%d: %v, %v", i, got, err)
		}
	}
	if n := a.lists.Load(); n != 1 {
		t.Errorf("listed %d times, want once", n)
	}
	changes := make(chan struct{}, 8)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go c.Watch(ctx, 5*time.Millisecond, func() { changes <- struct{}{} })
	<-changes // the first it hears of
	a.change(fmt.Sprintf(uuid, 2))
	<-changes
	for i := range 3 {
		got, err := c.Credential(t.Context(), fmt.Sprintf(uuid, i))
		if err != nil || (got != nil) != (i == 2) {
			t.Fatalf("%d, after the change: %v, %v", i, got, err)
		}
	}
	if n := a.lists.Load(); n != 2 {
		t.Errorf("listed %d times, want twice", n)
	}
}

// A lookup ends with its context, also while it waits in line.
func TestLookupsAreBounded(t *testing.T) {
	a := startAdmin(t, "known")
	a.hold = make(chan struct{})
	const atOnce = 3
	c := a.client(t, atOnce)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var done sync.WaitGroup
	for i := range 20 {
		done.Go(func() {
			if got, err := c.Credential(ctx, fmt.Sprint("key", i)); err == nil {
				t.Errorf("%v and no error", got)
			}
		})
	}
	done.Wait()
	if n := a.atOnce.Load(); n != atOnce {
		t.Errorf("%d at once, want %d", n, atOnce)
	}
}

// The watch does not wait in line: credentials are revoked by it.
func TestWatchIsNotHeldUp(t *testing.T) {
	a := startAdmin(t)
	a.hold = make(chan struct{})
	c := a.client(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	for i := range 10 {
		done.Go(func() {
			if _, err := c.Credential(ctx, fmt.Sprint("key", i)); err == nil {
				t.Error("found what is held back")
			}
		})
	}
	for a.now.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	hash, err := c.ConfigurationHash(t.Context())
	if err != nil || hash != "1" {
		t.Errorf("%q, %v", hash, err)
	}
	cancel()
	done.Wait()
}

// Strangers get so many lookups a second, and half of the turns.
func TestStrangersAreBounded(t *testing.T) {
	const perSecond, atOnce = 10, 4
	admit := source.NewStrangers(perSecond, atOnce, nil).Admit
	var dones []func()
	for range atOnce / 2 {
		done, err := admit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		dones = append(dones, done)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := admit(ctx); err == nil {
		t.Error("no bound of how many at once")
	}
	for _, done := range dones {
		done()
	}
	n := 0
	for ; n < 1000; n++ {
		done, err := admit(t.Context())
		if err != nil {
			break
		}
		done()
	}
	if n < 24*perSecond || n > 26*perSecond {
		t.Errorf("%d lookups in no time, want about %d", n, 25*perSecond)
	}
}
