package jwks_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"kong-go-jwt/plugin/jwks"
)

func TestDiscovery(t *testing.T) {
	k := p256(t, "k1")
	p := newProvider(t, k, edKey(t, "k2").with("alg", "EdDSA"))
	_, set := p.open(t, jwks.Options{})
	if got := one(t, set, "k1"); got.KeyID != "k1" || got.Algorithm != "" {
		t.Errorf("got %+v", got)
	}
	if got := one(t, set, "k2"); got.Algorithm != "EdDSA" {
		t.Errorf("got algorithm %q", got.Algorithm)
	}
	if got := get(t, set, ""); len(got) != 2 {
		t.Errorf("got %d keys of all, want 2", len(got))
	}
}

// An issuer may end in a slash, as those of Auth0 do, or have a path, as those
// of Keycloak do.
func TestDiscoveryURL(t *testing.T) {
	for name, tt := range map[string]struct{ issuer, path string }{
		"bare":           {"", discoveryPath},
		"slash":          {"/", discoveryPath},
		"path":           {"/realms/a", "/realms/a" + discoveryPath},
		"path and slash": {"/realms/a/", "/realms/a" + discoveryPath},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t)
			k := p256(t, "k1")
			p.answer(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case tt.path:
					_, _ = w.Write([]byte(`{"issuer":"` + p.URL + tt.issuer + `","jwks_uri":"` + p.URL + `/keys"}`))
				case "/keys":
					p.answer(nil)
					p.publish(k)
					p.ServeHTTP(w, r)
				default:
					http.NotFound(w, r)
				}
			})
			set := p.sets(t, jwks.Options{}).Open(p.URL+tt.issuer, "")
			defer set.Close()
			fresh := func() bool { keys, err := set.Keys(t.Context(), "k1"); return err == nil && len(keys) == 1 }
			becomes(t, "the key is known", fresh)
		})
	}
}

// The log has an issuer without what may be secret in it.
func TestShown(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://issuer.example/a":           "https://issuer.example/a",
		"issuer":                             "issuer",
		"https://user:secret@issuer.example": "https://issuer.example",
		"https://issuer.example/?secret":     "https://issuer.example/",
		"https://issuer.example/#secret":     "https://issuer.example/",
		"https://%zz:secret@issuer.example":  "(no URL)",
	} {
		if got := jwks.Shown(issuer); got != want {
			t.Errorf("%s: got %q, want %q", issuer, got, want)
		}
	}
}

func TestExplicitURI(t *testing.T) {
	p := newProvider(t, p256(t, "k1"))
	set := p.sets(t, jwks.Options{}).Open("any name", p.URL+"/keys")
	defer set.Close()
	one(t, set, "k1")
	if n := p.discoveries.Load(); n != 0 {
		t.Errorf("asked for discovery %d times", n)
	}
}

func TestOpenIsShared(t *testing.T) {
	p := newProvider(t, p256(t, "k1"))
	sets, a := p.open(t, jwks.Options{})
	b, other := sets.Open(p.URL, ""), sets.Open(p.URL, p.URL+"/keys")
	defer other.Close()
	if one(t, a, "k1") != one(t, b, "k1") {
		t.Error("a set that is opened twice has two keys")
	}
	if one(t, a, "k1") == one(t, other, "k1") {
		t.Error("another URL has the same keys")
	}
	if n := p.fetches.Load(); n != 2 {
		t.Errorf("fetched %d times, want once per URL", n)
	}
	a.Close()
	a.Close() // counts once
	p.publish(p256(t, "k1"), p256(t, "k2"))
	one(t, b, "k2") // still fetches
	b.Close()
	one(t, b, "k1") // is still told
	c := sets.Open(p.URL, "")
	defer c.Close()
	if one(t, c, "k1") == one(t, b, "k1") {
		t.Error("a set that was closed by all has come back")
	}
}

func TestCloseStopsGoroutines(t *testing.T) {
	p := newProvider(t, p256(t, "k1"))
	p.Config.SetKeepAlivesEnabled(false) // its goroutines are not what is counted
	before := runtime.NumGoroutine()
	for range 20 {
		sets, set := p.open(t, jwks.Options{Refresh: time.Millisecond})
		one(t, set, "k1")
		for range 10 {
			sets.Open(p.URL, p.URL+"/keys") // never closed
		}
		set.Close()
		becomes(t, "the closed set fails", func() bool {
			_, err := set.Keys(t.Context(), "k2")
			return err != nil && strings.Contains(err.Error(), "closed")
		})
		sets.Close()
		late := sets.Open(p.URL, "")
		fails(t, late, "closed")
		late.Close()
	}
	becomes(t, "all goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestCloseDuringFetch(t *testing.T) {
	p := newProvider(t)
	p.answer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	var log book
	sets, set := p.open(t, jwks.Options{Timeout: time.Minute, Log: log.log()})
	result := make(chan error)
	go func() {
		_, err := set.Keys(context.Background(), "")
		result <- err
	}()
	becomes(t, "it is being fetched", func() bool { return p.discoveries.Load() > 0 })
	sets.Close()
	if err := <-result; err == nil {
		t.Error("got no error")
	}
	if log.String() != "" {
		t.Errorf("logged %s", log.String())
	}
}

func TestWaitingIsBounded(t *testing.T) {
	p := newProvider(t)
	p.answer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, set := p.open(t, jwks.Options{Timeout: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := set.Keys(ctx, "k1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	_, slow := p.open(t, jwks.Options{Timeout: 20 * time.Millisecond})
	timesOut(t, slow)
}

func TestAges(t *testing.T) {
	p := newProvider(t, p256(t, "k1"))
	var c clock
	sets, set := p.open(t, jwks.Options{Now: c.now})
	one(t, set, "k1")
	down := sets.Open("never fetched", "https://127.0.0.1:1/keys")
	defer down.Close()
	c.advance(time.Minute)
	more := sets.Open(p.URL, p.URL+"/keys")
	defer more.Close()
	one(t, more, "k1")
	ages := sets.Ages()
	if len(ages) != 1 || ages[p.URL] != time.Minute {
		t.Errorf("got %v", ages)
	}
}
