package plugin_test

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"kong-go-jwt/plugin"
	"kong-go-jwt/schema"
)

var errDown = errors.New("down")

// world is all that an engine depends on, under a test's control.
type world struct {
	mu          sync.Mutex
	time        time.Time
	credentials map[string]*plugin.Credential
	consumers   map[string]*plugin.Consumer
	down        bool
	lookups     int // of credentials
	loads       int // of consumers
	encodings   int

	store *plugin.Store
	log   strings.Builder
}

const (
	ttl   = 30 * time.Second
	grace = 5 * time.Minute
)

var start = time.Unix(1_800_000_000, 0)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		time: start,
		credentials: map[string]*plugin.Credential{
			"key": {ID: "cred-1", Key: "key", Algorithm: "HS256", Secret: secret(t), ConsumerID: "id-1"},
		},
		consumers: map[string]*plugin.Consumer{
			"id-1":  {ID: "id-1", Username: "alice", CustomID: "a-1", Tags: []string{"t"}},
			"guest": {ID: "id-guest", Username: "guest"},
		},
	}
	w.store = plugin.NewStore(plugin.Options{
		Source: w, Now: w.now, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
		Encode: func(id *plugin.Identity) []byte {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.encodings++
			return fmt.Appendf(nil, "%s %s %s", id.Consumer.ID, id.Consumer.Username, id.CredentialKey)
		},
		CredentialTTL: ttl, UnknownTTL: 5 * time.Second, Grace: grace, LookupTimeout: time.Second,
		CredentialEntries: 100, UnknownEntries: 100, DecisionEntries: 1600,
	})
	t.Cleanup(w.store.Close)
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *world) pass(d time.Duration) { w.change(func() { w.time = w.time.Add(d) }) }

func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) counts() (lookups, loads int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lookups, w.loads
}

// Credential implements plugin.CredentialSource.
func (w *world) Credential(_ context.Context, key string) (*plugin.Credential, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookups++
	if w.down {
		return nil, errDown
	}
	return w.credentials[key], nil
}

// Consumer implements plugin.ConsumerSource.
func (w *world) Consumer(id string) (*plugin.Consumer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loads++
	return w.consumers[id], nil
}

func (w *world) engine(t *testing.T, config string) *plugin.Engine {
	t.Helper()
	c, err := schema.Parse([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	e, err := w.store.NewEngine(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (w *world) decide(t *testing.T, e *plugin.Engine, token string) plugin.Outcome {
	t.Helper()
	r := &plugin.Request{Method: []byte("GET")}
	if token != "" {
		r.Headers = [][]byte{[]byte("Bearer " + token)}
	}
	return e.Decide(t.Context(), r, w)
}

// token makes a token signed by the world's one credential.
func (w *world) token(claims string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return sign(`{"alg":"HS256"}`, claims, w.credentials["key"].Secret)
}

func sign(header, claims, secret string) string {
	b64 := base64.RawURLEncoding
	signed := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + b64.EncodeToString(mac.Sum(nil))
}

func secret(t *testing.T) string {
	t.Helper()
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b)
}

// verdict sums an outcome up.
func verdict(o plugin.Outcome) string {
	switch {
	case o.Refusal != nil:
		return fmt.Sprintf("%d %s", o.Refusal.Status, o.Refusal.Body)
	case o.Aside:
		return "aside"
	case o.Answer == nil:
		return "unidentified"
	case o.Token == nil:
		return "anonymous " + string(o.Answer)
	case o.Cached:
		return "cached " + string(o.Answer)
	}
	return "accepted " + string(o.Answer)
}

func expect(t *testing.T, o plugin.Outcome, want string) {
	t.Helper()
	if got := verdict(o); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

const (
	accepted  = "accepted id-1 alice key"
	cached    = "cached id-1 alice key"
	anonymous = "anonymous id-guest guest "
)

func message(status int, text string) string {
	return fmt.Sprintf(`%d {"message":"%s"}`, status, text)
}
