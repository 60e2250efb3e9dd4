package plugin_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"kong-go-jwt/plugin"
	"kong-go-jwt/schema"
)

// revocationList revokes the token with that jti, in the world's generation of
// it; "": it is not known what is revoked.
type revocationList struct {
	onGeneration func() // called while it is not known
	id           atomic.Pointer[string]
	generation   atomic.Uint64
	closed       atomic.Int32
}

func (l *revocationList) revoke(id string) {
	l.id.Store(&id)
	l.generation.Add(1)
}

// Open implements plugin.RevocationLists.
func (l *revocationList) Open(schema.Revocation) (plugin.RevocationList, error) { return l, nil }

// Fixed implements plugin.RevocationLists.
func (l *revocationList) Fixed([]schema.Revoked) plugin.RevocationList { return l }

// Revoked implements plugin.RevocationList.
func (l *revocationList) Revoked(_ context.Context, t *plugin.TokenName) (bool, error) {
	id := *l.id.Load()
	if id == "" {
		return false, errDown
	}
	return t.ID != nil && *t.ID == id, nil
}

// Generation implements plugin.RevocationList.
func (l *revocationList) Generation() uint64 {
	if *l.id.Load() == "" {
		if l.onGeneration != nil {
			l.onGeneration()
		}
		return 0
	}
	return l.generation.Load()
}

// Close implements plugin.RevocationList.
func (l *revocationList) Close() { l.closed.Add(1) }

const revocationsConfig = `{"revocations":[{"url":"https://lists"}],"revoked":[{"jti":"x"}],"anonymous":"guest","anonymous_on":["missing"]}`

func TestRevokedToken(t *testing.T) {
	w := newWorld(t)
	w.lists.revoke("2")
	e := w.engine(t, revocationsConfig)
	first, second := w.token(`{"iss":"key","jti":"1"}`), w.token(`{"iss":"key","jti":"2"}`)
	expect(t, w.decide(t, e, first), accepted)
	expect(t, w.decide(t, e, first), cached)
	expect(t, w.decide(t, e, second), message(401, "Token revoked"))
	w.lists.revoke("1") // remembered, and dies at once
	expect(t, w.decide(t, e, first), message(401, "Token revoked"))
	expect(t, w.decide(t, e, second), accepted)
	expect(t, w.decide(t, e, second), cached)
	w.lists.revoke("") // nobody knows
	expect(t, w.decide(t, e, second), message(503, "Revoked tokens cannot be told at the moment"))
	expect(t, w.decide(t, e, ""), anonymous)
}

// What has not been verified is not looked up: nobody learns from the answer what
// is revoked.
func TestRevokedTokenThatIsForged(t *testing.T) {
	w := newWorld(t)
	w.lists.revoke("1")
	forged := sign(`{"alg":"HS256"}`, `{"iss":"key","jti":"1"}`, "another secret")
	expect(t, w.decide(t, w.engine(t, revocationsConfig), forged), message(401, "Invalid signature"))
}

// Where a list would have to be waited for, the loop must not.
func TestUnknownRevocationsMustBeWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.lists.revoke("2")
	e := w.engine(t, revocationsConfig)
	r := &plugin.Request{Headers: [][]byte{[]byte("Bearer " + w.token(`{"iss":"key","jti":"1"}`))}}
	e.Decide(t.Context(), r, w)
	if _, decided := e.DecideNow(r); !decided {
		t.Error("a remembered token had to wait")
	}
	w.lists.revoke("")
	if _, decided := e.DecideNow(r); decided {
		t.Error("decided without knowing what is revoked")
	}
}

// What was decided while it could not be known what is revoked is not remembered for a
// time when that is so again.
func TestDecisionOfAnUnknownGeneration(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, revocationsConfig)
	token := w.token(`{"iss":"key","jti":"1"}`)
	w.lists.revoke("")
	w.lists.onGeneration = func() { w.lists.revoke("2") } // it comes when it has just been asked about
	expect(t, w.decide(t, e, token), accepted)
	w.lists.onGeneration = nil
	w.lists.revoke("")
	expect(t, w.decide(t, e, token), message(503, "Revoked tokens cannot be told at the moment"))
}

// A configuration is refused that asks for what the store has nobody to ask for.
func TestNobodyToAsk(t *testing.T) {
	store := plugin.NewStore(plugin.Options{
		Now: time.Now, Log: slog.New(slog.DiscardHandler), Encode: func(*plugin.Grant) plugin.Answer { return plugin.Answer{} },
	})
	t.Cleanup(store.Close)
	for config, want := range map[string]string{
		`{}`:                                     "",
		`{"revoked":[{"jti":"1"}]}`:              "config.revoked: revoked tokens cannot be recognized here",
		`{"issuers":[{"issuer":"https://idp"}]}`: "config.issuers: published keys cannot be fetched here",
		`{"revocations":[{"url":"https://lists"}]}`: "config.revocations: revoked tokens cannot be recognized here",
	} {
		c, err := schema.Parse([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if e, err := store.NewEngine(c); err != nil {
			got = err.Error()
		} else {
			e.Close()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", config, got, want)
		}
	}
}

func TestRevocationListsAreClosed(t *testing.T) {
	w := newWorld(t)
	w.lists.revoke("2")
	w.engine(t, revocationsConfig).Close()
	if n := w.lists.closed.Load(); n != 2 {
		t.Errorf("%d lists were closed, want 2", n)
	}
}
