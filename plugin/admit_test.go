package plugin_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"kong-go-jwt/plugin"
)

// gate counts who asks for leave, and gives it while it is open.
type gate struct {
	open        bool
	asked, done int
}

func (g *gate) admit(ctx context.Context, _ string) (func(), error) {
	g.asked++
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, errors.New("this could wait for ever")
	}
	if !g.open {
		return nil, errors.New("closed")
	}
	return func() { g.done++ }, nil
}

// Only who is not known needs leave to be looked up; without it the request is
// refused as one whose credential cannot be looked up.
func TestStrangersNeedLeave(t *testing.T) {
	w := newWorld(t)
	g := &gate{open: true}
	w.admit(t, g.admit)
	e := w.engine(t, `{"cache_ttl":0}`)
	known, stranger := w.token(`{"iss":"key"}`), w.token(`{"iss":"nobody"}`)
	expect(t, w.decide(t, e, known), accepted)
	expect(t, w.decide(t, e, stranger), message(401, "No credentials found for given 'iss'"))
	if g.asked != 2 || g.done != 2 {
		t.Errorf("%+v, want 2 lookups with leave", g)
	}
	w.pass(ttl) // neither is good any more
	w.store.Invalidate()
	g.open = false
	expect(t, w.decide(t, e, stranger), message(503, "Credentials cannot be looked up at the moment"))
	expect(t, w.decide(t, e, known), accepted)
	if g.asked != 3 || g.done != 2 {
		t.Errorf("%+v, want one more to have asked", g)
	}
	w.change(func() { delete(w.credentials, "key") })
	w.store.Invalidate()
	expect(t, w.decide(t, e, known), message(401, "No credentials found for given 'iss'"))
}

// A panic of a lookup refuses the request and nothing more.
func TestPanicOfLookup(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{"cache_ttl":0}`)
	token := w.token(`{"iss":"key"}`)
	w.change(func() { w.credentials = nil; w.panics = true })
	out := w.decide(t, e, token)
	expect(t, out, message(503, "Credentials cannot be looked up at the moment"))
	if out.Fault == nil || !strings.Contains(out.Fault.Error(), "panic: of a test") {
		t.Errorf("fault %v", out.Fault)
	}
}

// A weak secret is told of once for each version of a credential, by the
// credential's id and nothing else.
func TestWeakSecretIsTold(t *testing.T) {
	w := newWorld(t)
	e, other := w.engine(t, `{"cache_ttl":0}`), w.engine(t, `{"cache_ttl":0,"realm":"r"}`)
	weak := func() int { return strings.Count(w.log.String(), "RFC 7518 section 3.2") }
	use := func(secret string) {
		w.change(func() {
			c := *w.credentials["key"]
			c.Secret = secret
			w.credentials["key"] = &c
		})
		w.store.Invalidate()
		for range 3 {
			w.pass(ttl / 3)
			expect(t, w.decide(t, e, w.token(`{"iss":"key"}`)), accepted)
			expect(t, w.decide(t, other, w.token(`{"iss":"key"}`)), accepted)
		}
	}
	for i, tt := range []struct {
		secret string
		told   int
	}{
		{strings.Repeat("x", 32), 0},
		{strings.Repeat("y", 31), 1},
		{strings.Repeat("z", 5), 2},
		{strings.Repeat("q", 32), 2},
	} {
		if use(tt.secret); weak() != tt.told {
			t.Errorf("secret %d: told %d times, want %d", i, weak(), tt.told)
		}
	}
	log := w.log.String()
	if !strings.Contains(log, "credential=cred-1") || strings.Contains(log, "yyyyy") || strings.Contains(log, "zzzzz") {
		t.Errorf("log %s", log)
	}
}

// A credential that cannot be used is told of once, not at each request.
func TestUnusableCredentialIsToldOnce(t *testing.T) {
	w := newWorld(t)
	w.change(func() {
		w.credentials["key"] = &plugin.Credential{ID: "cred-2", Key: "key", Algorithm: "RS256", PublicKey: "no PEM", ConsumerID: "id-1"}
	})
	e := w.engine(t, `{"cache_ttl":0}`)
	for range 3 {
		w.pass(time.Second)
		expect(t, w.decide(t, e, sign(`{"alg":"RS256"}`, `{"iss":"key"}`, "")), message(401, `Invalid key\/secret`))
	}
	if n := strings.Count(w.log.String(), "cannot be used"); n != 1 {
		t.Errorf("told %d times", n)
	}
}
