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
	published   map[string][]*plugin.PublishedKey // by issuer
	down        bool
	panics      bool
	lookups     int // of credentials
	loads       int // of consumers
	encodings   int
	used        map[int]int // see Options.Used, by position
	lists       revocationList

	store *plugin.Store
	log   strings.Builder
}

const (
	ttl   = 30 * time.Second
	grace = 5 * time.Minute
	// lookupTimeout is longer than a busy machine stalls, and patience is for what comes soon.
	lookupTimeout = 10 * time.Second
	patience      = time.Minute
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
		used: map[int]int{},
	}
	w.admit(t, nil)
	return w
}

// admit makes the world's store anew, with that gate before it.
func (w *world) admit(t *testing.T, gate func(context.Context, string) (func(), error)) {
	t.Helper()
	w.lookUpIn(t, w, gate)
}

// lookUpIn makes the world's store anew, with another source.
func (w *world) lookUpIn(t *testing.T, source plugin.CredentialSource, gate func(context.Context, string) (func(), error)) {
	t.Helper()
	w.store = plugin.NewStore(plugin.Options{
		Admit: gate, Source: source, Now: w.now, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
		Keys: w, Revocations: &w.lists, Used: func(_ string, position int) { w.change(func() { w.used[position]++ }) },
		Encode: func(g *plugin.Grant) plugin.Answer {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.encodings++
			return plugin.Answer{Bytes: []byte(told(g))}
		},
		CredentialTTL: ttl, UnknownTTL: 5 * time.Second, Grace: grace, LookupTimeout: lookupTimeout,
		CredentialEntries: 100, UnknownEntries: 100, DecisionEntries: 1600, DecisionBytes: 1 << 19, ProofEntries: 100,
	})
	t.Cleanup(w.store.Close)
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
	if w.panics {
		panic("of a test")
	}
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

// Open implements plugin.KeySets.
func (w *world) Open(issuer, _ string) plugin.KeySet { return keySet{w, issuer} }

// Fixed implements plugin.KeySets: the text is the name of an issuer.
func (w *world) Fixed(text string) (plugin.KeySet, error) { return keySet{w, text}, nil }

type keySet struct {
	w      *world
	issuer string
}

// Keys implements plugin.KeySet.
func (s keySet) Keys(_ context.Context, keyID string) (keys []*plugin.PublishedKey, err error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if s.w.down {
		return nil, errDown
	}
	for _, k := range s.w.published[s.issuer] {
		if keyID == "" || k.KeyID == keyID {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func (s keySet) Close() {}

// ConsumerByCustomID implements plugin.CustomIDSource.
func (w *world) ConsumerByCustomID(_ context.Context, customID string) (*plugin.Consumer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.consumers {
		if c.CustomID == customID {
			return c, nil
		}
	}
	return nil, nil //nolint:nilnil // as the interface says
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

// told sums a grant up.
func told(g *plugin.Grant) string {
	s := ""
	if id := g.Identity; id != nil && id.Consumer != nil {
		s = fmt.Sprintf(" %s %s", id.Consumer.ID, id.Consumer.Username)
	}
	if g.Identity != nil {
		s += " " + g.Identity.CredentialKey
	}
	for _, h := range g.Headers {
		if !strings.HasPrefix(h.Name, "X-Con") && !strings.HasPrefix(h.Name, "X-Cred") && strings.ReplaceAll(h.Name, "_", "-") != plugin.HeaderAnonymous {
			s += fmt.Sprintf(" %s=%s", h.Name, strings.Join(append(h.Values, h.Value), "|"))
		}
	}
	if g.Groups != nil {
		s += fmt.Sprintf(" groups=%q", g.Groups)
	}
	if g.Log != nil {
		s += " " + logged(g.Log)
	}
	return s
}

// verdict sums an outcome up.
func verdict(o plugin.Outcome) string {
	if o.Refusal != nil {
		return fmt.Sprintf("%d %s", o.Refusal.Status, o.Refusal.Body)
	}
	if (o.Token != nil) != (o.Kind == plugin.Accepted || o.Kind == plugin.Remembered) {
		return fmt.Sprintf("%s with token %q", o.Kind, o.Token)
	}
	return string(o.Kind) + string(o.Answer.Bytes)
}

func expect(t *testing.T, o plugin.Outcome, want string) {
	t.Helper()
	if got := verdict(o); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

const (
	accepted  = "accepted id-1 alice key"
	cached    = "remembered id-1 alice key"
	anonymous = "anonymous id-guest guest "
)

func message(status int, text string) string {
	return fmt.Sprintf(`%d {"message":"%s"}`, status, text)
}
