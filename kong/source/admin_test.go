package source_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kong-go-jwt/kong/source"
)

// patience is for what comes soon, and no answer takes longer, also on a busy machine.
const patience = time.Minute

// admin is an Admin API with credentials by key.
type admin struct {
	server      *httptest.Server
	mu          sync.Mutex
	keys        []string
	hash        any // nil: there is a database
	lists       atomic.Int64
	asked       atomic.Int64 // for one key
	atOnce, now atomic.Int64
	hold        chan struct{} // lookups wait for it to be closed
}

func startAdmin(t *testing.T, keys ...string) *admin {
	t.Helper()
	a := &admin{keys: keys, hold: make(chan struct{})}
	close(a.hold)
	a.server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.server.Close)
	return a
}

func (a *admin) client(t *testing.T, atOnce int) *source.Admin {
	t.Helper()
	c, err := source.NewAdmin(source.AdminOptions{URL: a.server.URL, Timeout: patience, AtOnce: atOnce})
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
		json.NewEncoder(w).Encode(map[string]any{"server": map[string]int{}, "memory": map[string]int{}, "configuration_hash": hash})
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
	a.asked.Add(1)
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

// configure gives a the keys of a new declarative configuration.
func (a *admin) configure(hash string, keys ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys, a.hash = keys, hash
}

// seen counts what a watch tells of.
type seen struct {
	mu      sync.Mutex
	events  []string
	trusted time.Time
}

func (s *seen) add(event string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, event)
}

func (s *seen) Invalidate()                     { s.add("all") }
func (s *seen) InvalidateCredential(key string) { s.add("credential " + key) }
func (s *seen) InvalidateConsumer(name string)  { s.add("consumer " + name) }

func (s *seen) TrustUntil(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trusted = t
}

// wait waits until n events were seen, and returns them.
func (s *seen) wait(t *testing.T, n int) []string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		events := slices.Clone(s.events)
		s.mu.Unlock()
		if len(events) >= n {
			return events
		}
		if time.Now().After(deadline) {
			t.Fatalf("only %q", events)
		}
	}
}

const uuid = "11111111-2222-4333-8444-%012d"

// However many keys that look like ids are asked for, credentials are listed
// once in a while where there is a database.
func TestListingIsRare(t *testing.T) {
	a := startAdmin(t, fmt.Sprintf(uuid, 1))
	c := a.client(t, 4)
	began := time.Now()
	for i := range 50 {
		got, err := c.Credential(t.Context(), fmt.Sprintf(uuid, i))
		if err != nil || (got != nil) != (i == 1) {
			t.Fatalf("%d: %v, %v", i, got, err)
		}
	}
	if n, most := a.lists.Load(), 1+int64(time.Since(began)/source.ListEvery); n < 1 || n > most {
		t.Errorf("listed %d times, want %d at the most", n, most)
	}
}

// A page has room for as many credentials as are asked for, also with long keys.
func TestListingOfLongKeys(t *testing.T) {
	keys := []string{fmt.Sprintf(uuid, 1)}
	for i := range 499 {
		keys = append(keys, fmt.Sprint(i, strings.Repeat("k", 4<<10)))
	}
	c := startAdmin(t, keys...).client(t, 4)
	if got, err := c.Credential(t.Context(), keys[0]); err != nil || got == nil {
		t.Errorf("%v, %v", got, err)
	}
}

// Without a database, all keys are listed on each new configuration, and none is
// asked for that is not there.
func TestKeysAreListed(t *testing.T) {
	a := startAdmin(t)
	a.configure("1", "one", fmt.Sprintf(uuid, 1))
	c := a.client(t, 4)
	changes := new(seen)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go c.Watch(ctx, 5*time.Millisecond, changes, func(error) {})
	changes.wait(t, 1) // the first it hears of
	expect := func(when string, keys ...string) {
		t.Helper()
		for _, key := range []string{"one", "two", fmt.Sprintf(uuid, 1), fmt.Sprintf(uuid, 2)} {
			got, err := c.Credential(t.Context(), key)
			if err != nil || (got != nil) != slices.Contains(keys, key) {
				t.Errorf("%s, %s: %v, %v", when, key, got, err)
			}
		}
	}
	before := a.asked.Load()
	for asked := true; asked; before = a.asked.Load() { // while it is being listed
		expect("at first", "one", fmt.Sprintf(uuid, 1))
		if _, err := c.Credential(t.Context(), "unknown"); err != nil {
			t.Fatal(err)
		}
		asked = a.asked.Load() > before+1 // for the one that there is
	}
	for i := range 1000 {
		if got, err := c.Credential(t.Context(), fmt.Sprint("unknown ", i)); got != nil || err != nil {
			t.Fatal(got, err)
		}
	}
	if n := a.asked.Load() - before; n > 0 {
		t.Errorf("%d of 1000 unknown keys were asked for", n)
	}
	a.configure("2", "two", fmt.Sprintf(uuid, 2))
	time.Sleep(source.ConfirmEvery) // nothing tells the client before
	expect("after a change", "two", fmt.Sprintf(uuid, 2))
	changes.wait(t, 2)
	expect("when the change was seen", "two", fmt.Sprintf(uuid, 2))
}

// What was found in a configuration that came between two looks at it is outdated,
// though the second finds the one that the first did.
func TestThereAndBack(t *testing.T) {
	a := startAdmin(t)
	a.configure("1", "one")
	c := a.client(t, 4)
	changes := new(seen)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go c.Watch(ctx, time.Hour, changes, func(error) {})
	changes.wait(t, 1) // the first it hears of
	a.configure("2", "one")
	if got, err := c.Credential(t.Context(), "one"); got == nil || err != nil {
		t.Fatal(got, err)
	}
	changes.wait(t, 2)
}

// What is not Kong's Admin API has no credentials, and does not lack them either.
func TestNotKong(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"404 in JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"message":"no Route matched with those values"}`)
		},
		"200 in JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			fmt.Fprint(w, `{"id":"i","key":"key","secret":"s","consumer":{"id":"c"}}`)
		},
		"403": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(h)
			defer server.Close()
			c, err := source.NewAdmin(source.AdminOptions{URL: server.URL, Timeout: patience, AtOnce: 1})
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"key", fmt.Sprintf(uuid, 1)} {
				if got, err := c.Credential(t.Context(), key); got != nil || err == nil || !strings.Contains(err.Error(), "is not Kong's") {
					t.Errorf("%s: %v, %v", key, got, err)
				}
			}
			if got, err := c.ConsumerByCustomID(t.Context(), "c"); got != nil || err == nil {
				t.Errorf("consumer: %v, %v", got, err)
			}
		})
	}
}

// Kong may forbid /status, and is known by / then; a watch that fails says so.
func TestStatusIsForbidden(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		switch r.URL.Path {
		case "/":
			fmt.Fprint(w, `{"version":"3.9.3","tagline":"Welcome to kong"}`)
		case "/status":
			w.WriteHeader(http.StatusForbidden)
		default:
			fmt.Fprint(w, `{"id":"i","key":"key","secret":"s","consumer":{"id":"c"}}`)
		}
	}))
	defer server.Close()
	c, err := source.NewAdmin(source.AdminOptions{URL: server.URL, Timeout: patience, AtOnce: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Credential(t.Context(), "key"); got == nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := make(chan error, 1)
	go c.Watch(ctx, time.Millisecond, new(seen), func(err error) {
		select {
		case told <- err:
		default:
		}
	})
	if err := <-told; err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("%v", err)
	}
}

// A row of another key is not the one that was asked for.
func TestAnotherKey(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if r.URL.Path == "/status" {
			fmt.Fprint(w, `{"server":{},"memory":{}}`)
			return
		}
		fmt.Fprint(w, `{"id":"i","key":"alice","secret":"s","consumer":{"id":"c"}}`)
	}))
	defer server.Close()
	c, err := source.NewAdmin(source.AdminOptions{URL: server.URL, Timeout: patience, AtOnce: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Credential(t.Context(), "alice"); got == nil || err != nil {
		t.Errorf("the key itself: %v, %v", got, err)
	}
	for _, key := range []string{"alice/", "x/../alice", "ALICE", "i"} {
		if got, err := c.Credential(t.Context(), key); got != nil || err != nil {
			t.Errorf("%q: %v, %v", key, got, err)
		}
	}
}

// Keys that nginx refuses, or that make the path another one, are nobody's, and are not asked for.
func TestKeysThatAreNotAskedFor(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if r.URL.Path == "/status" {
			fmt.Fprint(w, `{"server":{},"memory":{}}`)
			return
		}
		asked.Add(1)
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"message":"Not found"}`)
	}))
	defer server.Close()
	c, err := source.NewAdmin(source.AdminOptions{URL: server.URL, Timeout: patience, AtOnce: 1})
	if err != nil {
		t.Fatal(err)
	}
	const longest = 7 << 10
	for key, want := range map[string]int64{
		"x": 1, "../x": 1, "x/../../y": 1, "a/b/../../..": 1, ".x": 1, "..x/../..": 1, strings.Repeat("k", longest): 1,
		".": 0, "..": 0, "../..": 0, "../../x": 0, "x/../../..": 0, "./../..": 0, "//../..": 0,
		"x\x00": 0, strings.Repeat("k", longest+1): 0, strings.Repeat("/", longest/3+1): 0,
	} {
		asked.Store(0)
		if got, err := c.Credential(t.Context(), key); got != nil || err != nil || asked.Load() != want {
			t.Errorf("%.20q: %v, %v, asked for %d times, want %d", key, got, err, asked.Load(), want)
		}
	}
	for id, want := range map[string]int64{"x": 1, strings.Repeat("k", longest): 1, strings.Repeat("k", longest+1): 0, "x\x00": 0} {
		asked.Store(0)
		if got, err := c.ConsumerByCustomID(t.Context(), id); got != nil || err != nil || asked.Load() != want {
			t.Errorf("custom_id %.20q: %v, %v, asked for %d times, want %d", id, got, err, asked.Load(), want)
		}
	}
}

func TestAdminURL(t *testing.T) {
	for url, good := range map[string]bool{
		"http://127.0.0.1:8001": true, "https://kong": true, "ftp://kong": false, "http://": false, "kong:8001": false, "http://%": false,
	} {
		if _, err := source.NewAdmin(source.AdminOptions{URL: url}); (err == nil) != good {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := source.NewAdmin(source.AdminOptions{URL: "http://kong", TokenFile: t.TempDir() + "/none"}); err == nil {
		t.Error("a token file that is not there was taken")
	}
}

// A redirect is not followed: the token would go elsewhere.
func TestRedirectIsNotFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("followed, with token %q", r.Header.Get("Kong-Admin-Token"))
	}))
	defer elsewhere.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if r.URL.Path == "/status" {
			fmt.Fprint(w, `{"server":{},"memory":{}}`)
			return
		}
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	c, err := source.NewAdmin(source.AdminOptions{URL: server.URL, Timeout: patience, AtOnce: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Credential(t.Context(), "key"); got != nil || err == nil {
		t.Errorf("%v, %v", got, err)
	}
}

// A lookup ends with its context, also while it waits in line.
func TestLookupsAreBounded(t *testing.T) {
	a := startAdmin(t, "known")
	a.hold = make(chan struct{})
	const atOnce = 3
	c := a.client(t, atOnce)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	for i := range 20 {
		done.Go(func() {
			if got, err := c.Credential(ctx, fmt.Sprint("key", i)); err == nil {
				t.Errorf("%v and no error", got)
			}
		})
	}
	for a.now.Load() < atOnce {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // in which there could be more
	n := a.atOnce.Load()
	cancel()
	done.Wait()
	if n != atOnce {
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
	a.configure("1")
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
	n, began := 0, time.Now()
	for ; n < 1000; n++ {
		done, err := admit(t.Context())
		if err != nil {
			break
		}
		done()
	}
	if took := time.Since(began); n < 24*perSecond || n > 26*perSecond+int(perSecond*took.Seconds()) {
		t.Errorf("%d lookups in %v, want about %d", n, took, 25*perSecond)
	}
}

// A listing is not trusted when the configuration has changed since, even if nobody has
// told of that yet.
func TestListingOfAnEarlierConfiguration(t *testing.T) {
	a := startAdmin(t)
	a.configure("1", "one")
	c := a.client(t, 4)
	changes := new(seen)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Watch(ctx, 5*time.Millisecond, changes, func(error) {})
	}()
	changes.wait(t, 1)
	for asked := true; asked; { // until it is listed
		before := a.asked.Load()
		if _, err := c.Credential(t.Context(), "unknown"); err != nil {
			t.Fatal(err)
		}
		asked = a.asked.Load() > before
	}
	cancel()
	<-ended
	time.Sleep(150 * time.Millisecond) // longer than it is trusted without asking
	a.configure("2", "two")
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if got, err := c.Credential(t.Context(), "two"); err != nil {
			t.Fatal(err)
		} else if got != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a credential of the new configuration is not found")
		}
	}
}
