package plugin_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"sync"
	"testing"
	"time"

	"kong-go-jwt/plugin"
)

// node is a source that has consumers, too.
type node struct{ *world }

// HasConsumers implements plugin.NamedConsumerSource.
func (n node) HasConsumers() bool { return true }

// ConsumerByName implements plugin.NamedConsumerSource.
func (n node) ConsumerByName(_ context.Context, name string) (*plugin.Consumer, error) {
	if n.isDown() {
		return nil, errDown
	}
	return n.Consumer(name)
}

func (w *world) isDown() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.down
}

// issued returns a token of an issuer, and the options to trust it with that
// consumer_by.
func (w *world) issued(t *testing.T, by, who string) (token, config string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.published = map[string][]*plugin.PublishedKey{"https://idp": {{KeyID: "k", Key: public}}}
	b64 := base64.RawURLEncoding
	claims := fmt.Sprintf(`{"iss":"https://idp","sub":"s","exp":%d,"who":%q}`, start.Add(time.Hour).Unix(), who)
	signed := b64.EncodeToString([]byte(`{"alg":"EdDSA","kid":"k"}`)) + "." + b64.EncodeToString([]byte(claims))
	token = signed + "." + b64.EncodeToString(ed25519.Sign(private, []byte(signed)))
	return token, fmt.Sprintf(`{"issuers":[{"issuer":"https://idp","algorithms":["EdDSA"],
		"consumer_claim":["who"],"consumer_by":%q,"consumer_optional":true}]}`, by)
}

// What a change names, and every decision that rests on it, dies at once; all
// else is left alone.
func TestChangeIsNamed(t *testing.T) {
	credential := func(w *world, change func(*plugin.Credential)) {
		w.change(func() {
			c := *w.credentials["key"]
			change(&c)
			w.credentials["key"] = &c
		})
	}
	for name, tt := range map[string]struct {
		change func(w *world)
		want   string
	}{
		"credential is gone": {func(w *world) {
			w.change(func() { delete(w.credentials, "key") })
			w.store.InvalidateCredential("key")
		}, message(401, "No credentials found for given 'iss'")},
		"credential has another secret": {func(w *world) {
			credential(w, func(c *plugin.Credential) { c.Secret = "another" })
			w.store.InvalidateCredential("key")
		}, message(401, "Invalid signature")},
		"credential has changed and changed back": {func(w *world) {
			old := w.credentials["key"]
			credential(w, func(c *plugin.Credential) { c.Secret = "another" })
			w.store.InvalidateCredential("key")
			w.change(func() { w.credentials["key"] = old })
			w.store.InvalidateCredential("key")
		}, accepted},
		"another credential": {func(w *world) {
			w.store.InvalidateCredential("other")
			w.store.InvalidateCredential("id-1")
		}, cached},
		"consumer is gone": {func(w *world) {
			w.change(func() { delete(w.consumers, "id-1") })
			w.store.InvalidateConsumer("id-1")
		}, message(401, "Could not find consumer for 'iss=key'")},
		"consumer has another name": {func(w *world) {
			w.change(func() { w.consumers["id-1"] = &plugin.Consumer{ID: "id-1", Username: "alicia"} })
			w.store.InvalidateConsumer("id-1")
		}, "accepted id-1 alicia key"},
		"another consumer": {func(w *world) {
			w.store.InvalidateConsumer("id-2")
			w.store.InvalidateConsumer("key")
		}, cached},
		"credential cannot be looked up": {func(w *world) {
			w.change(func() { w.down = true })
			w.store.InvalidateCredential("key")
		}, message(503, "Credentials cannot be looked up at the moment")},
		"consumer cannot be looked up": {func(w *world) {
			w.change(func() { w.down = true })
			w.store.InvalidateConsumer("id-1")
		}, message(503, "Credentials cannot be looked up at the moment")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.lookUpIn(t, node{w}, nil)
			e := w.engine(t, `{}`)
			token := w.token(`{"iss":"key"}`)
			expect(t, w.decide(t, e, token), accepted)
			tt.change(w)
			expect(t, w.decide(t, e, token), tt.want)
		})
	}
}

// A lost database is not a consumer that does not exist, for anonymous neither.
func TestConsumerCannotBeLookedUp(t *testing.T) {
	w := newWorld(t)
	w.lookUpIn(t, node{w}, nil)
	e := w.engine(t, `{"anonymous":"guest"}`)
	w.change(func() { w.down = true })
	expect(t, w.decide(t, e, ""), message(503, "Credentials cannot be looked up at the moment"))
	w.change(func() { w.down = false })
	expect(t, w.decide(t, e, ""), anonymous)
}

// A key that was asked for in vain is found once it is told that there is one.
func TestCreatedCredentialIsNamed(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{}`)
	token := sign(`{"alg":"HS256"}`, `{"iss":"new"}`, "s")
	no := message(401, "No credentials found for given 'iss'")
	expect(t, w.decide(t, e, token), no)
	w.change(func() {
		w.credentials["new"] = &plugin.Credential{ID: "c2", Key: "new", Algorithm: "HS256", Secret: "s", ConsumerID: "id-1"}
	})
	w.store.InvalidateCredential("key")
	expect(t, w.decide(t, e, token), no)
	w.store.InvalidateCredential("new")
	expect(t, w.decide(t, e, token), "accepted id-1 alice new")
}

// The names of a change tell no custom_id, so that of any consumer counts.
func TestChangeOfConsumerCountsForCustomIDs(t *testing.T) {
	w := newWorld(t)
	w.lookUpIn(t, node{w}, nil)
	token, config := w.issued(t, "custom_id", "a-1")
	e := w.engine(t, config)
	expect(t, w.decide(t, e, token), "accepted id-1 alice s")
	expect(t, w.decide(t, e, token), "remembered id-1 alice s")
	w.change(func() { w.consumers["id-1"] = &plugin.Consumer{ID: "id-1", Username: "alice", CustomID: "a-2"} })
	w.store.InvalidateConsumer("id-2")
	expect(t, w.decide(t, e, token), "accepted s")
	expect(t, w.decide(t, e, token), "remembered s")
	w.change(func() { w.consumers["id-2"] = &plugin.Consumer{ID: "id-2", Username: "bob", CustomID: "a-1"} })
	w.store.InvalidateConsumer("id-2")
	expect(t, w.decide(t, e, token), "accepted id-2 bob s")
}

// Who was not matched with a consumer is, once there is one of that name.
func TestCreatedConsumerIsMatched(t *testing.T) {
	w := newWorld(t)
	w.lookUpIn(t, node{w}, nil)
	token, config := w.issued(t, "username", "carol")
	e := w.engine(t, config)
	expect(t, w.decide(t, e, token), "accepted s")
	expect(t, w.decide(t, e, token), "remembered s")
	w.change(func() { w.consumers["carol"] = &plugin.Consumer{ID: "id-3", Username: "carol"} })
	w.store.InvalidateConsumer("carol")
	expect(t, w.decide(t, e, token), "accepted id-3 carol s")
}

// What is decided while a change is being told rests on nothing older than the change
// once that has been told.
func TestRequestsWhileAConsumerIsTold(t *testing.T) {
	w := newWorld(t)
	w.lookUpIn(t, node{w}, nil)
	token, config := w.issued(t, "username", "carol")
	e := w.engine(t, config)
	expect(t, w.decide(t, e, token), "accepted s")
	w.change(func() { w.consumers["carol"] = &plugin.Consumer{ID: "id-3", Username: "carol"} })
	release := w.store.HoldConsumers()
	var telling sync.WaitGroup
	telling.Go(func() { w.store.InvalidateConsumer("carol") })
	for range 2000 {
		w.decide(t, e, token)
	}
	release()
	telling.Wait()
	expect(t, w.decide(t, e, token), "accepted id-3 carol s")
}

// While changes are not told, nothing is used for longer than two seconds without
// being looked up.
func TestUntoldChanges(t *testing.T) {
	w := newWorld(t)
	w.lookUpIn(t, node{w}, nil)
	e := w.engine(t, `{}`)
	known, unknown := w.token(`{"iss":"key"}`), sign(`{"alg":"HS256"}`, `{"iss":"new"}`, "s")
	no := message(401, "No credentials found for given 'iss'")
	told := func(for_ time.Duration) { w.store.TrustUntil(w.now().Add(for_)) }
	count := func(want int, when string) {
		t.Helper()
		if lookups, loads := w.counts(); lookups != 2*want || loads != want {
			t.Errorf("%s: %d lookups and %d loads, want %d and %d", when, lookups, loads, 2*want, want)
		}
	}
	told(time.Second)
	expect(t, w.decide(t, e, known), accepted)
	expect(t, w.decide(t, e, unknown), no)
	w.pass(1700 * time.Millisecond)
	told(10 * time.Second)
	expect(t, w.decide(t, e, known), cached)
	expect(t, w.decide(t, e, unknown), no)
	w.pass(2100 * time.Millisecond)
	expect(t, w.decide(t, e, known), cached)
	expect(t, w.decide(t, e, unknown), no)
	count(1, "told")
	told(0)
	expect(t, w.decide(t, e, known), accepted)
	expect(t, w.decide(t, e, unknown), no)
	count(2, "not told")
	w.pass(800 * time.Millisecond)
	expect(t, w.decide(t, e, known), cached)
	expect(t, w.decide(t, e, unknown), no)
	count(2, "not told, shortly after")
	w.change(func() {
		delete(w.credentials, "key")
		w.credentials["new"] = &plugin.Credential{ID: "c2", Key: "new", Algorithm: "HS256", Secret: "s", ConsumerID: "id-1"}
	})
	w.pass(1100 * time.Millisecond)
	expect(t, w.decide(t, e, known), no)
	expect(t, w.decide(t, e, unknown), "accepted id-1 alice new")
}

// While changes are not told, nor is it relied on that there is no consumer.
func TestUntoldConsumerIsMatched(t *testing.T) {
	w := newWorld(t)
	w.lookUpIn(t, node{w}, nil)
	token, config := w.issued(t, "username", "carol")
	e := w.engine(t, config)
	expect(t, w.decide(t, e, token), "accepted s")
	w.store.TrustUntil(w.now())
	w.change(func() { w.consumers["carol"] = &plugin.Consumer{ID: "id-3", Username: "carol"} })
	w.pass(2 * time.Second)
	expect(t, w.decide(t, e, token), "accepted id-3 carol s")
}

// While changes are not told, a credential in use is looked up ahead of need, too.
func TestUntoldCredentialIsRefreshedAhead(t *testing.T) {
	w := newWorld(t)
	w.lookUpIn(t, node{w}, nil)
	e := w.engine(t, `{}`)
	token := w.token(`{"iss":"key"}`)
	w.store.TrustUntil(w.now())
	expect(t, w.decide(t, e, token), accepted)
	w.pass(time.Second)
	expect(t, w.decide(t, e, token), cached)
	within(t, "looked up again", func() bool { lookups, loads := w.counts(); return lookups == 2 && loads == 2 })
	w.pass(1100 * time.Millisecond)
	expect(t, w.decide(t, e, token), cached)
}

func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not " + what)
		}
	}
}

// Whatever changes of a consumer, what was decided before is decided again.
func TestChangeOfAConsumerIsSeen(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*plugin.Consumer)
		want   string
	}{
		"nothing":   {func(*plugin.Consumer) {}, cached},
		"id":        {func(c *plugin.Consumer) { c.ID = "id-2" }, "accepted id-2 alice key"},
		"username":  {func(c *plugin.Consumer) { c.Username = "bob" }, "accepted id-1 bob key"},
		"custom id": {func(c *plugin.Consumer) { c.CustomID = "a-2" }, accepted},
		"tags":      {func(c *plugin.Consumer) { c.Tags = []string{"u"} }, accepted},
		"all": {func(c *plugin.Consumer) {
			*c = plugin.Consumer{ID: "id-2", Username: "bob", CustomID: "a-2", Tags: []string{"u"}}
		}, "accepted id-2 bob key"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.lookUpIn(t, node{w}, nil)
			e := w.engine(t, `{}`)
			first, second := w.token(`{"iss":"key","n":1}`), w.token(`{"iss":"key","n":2}`)
			expect(t, w.decide(t, e, first), accepted)
			expect(t, w.decide(t, e, second), accepted)
			w.change(func() {
				c := *w.consumers["id-1"]
				tt.change(&c)
				w.consumers["id-1"] = &c
			})
			w.pass(ttl)
			w.decide(t, e, first) // looks it up again
			expect(t, w.decide(t, e, second), tt.want)
		})
	}
}

// A credential that had to be forgotten for others is known to no change, so no
// decision may rest on it any more.
func TestForgottenCredentialHasNoDecisions(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{}`)
	first := w.token(`{"iss":"key"}`)
	expect(t, w.decide(t, e, first), accepted)
	for i := range 100 {
		key := fmt.Sprint("key-", i)
		w.change(func() {
			w.credentials[key] = &plugin.Credential{ID: key, Key: key, Algorithm: "HS256", Secret: "s", ConsumerID: "id-1"}
		})
		expect(t, w.decide(t, e, sign(`{"alg":"HS256"}`, `{"iss":"`+key+`"}`, "s")), "accepted id-1 alice "+key)
	}
	w.change(func() { delete(w.credentials, "key") })
	w.store.InvalidateCredential("key")
	within(t, "refused", func() bool {
		return verdict(w.decide(t, e, first)) == message(401, "No credentials found for given 'iss'")
	})
}

// slow is a source whose lookups wait until they are let go, each on its own.
type slow struct {
	*world
	begun chan chan struct{}
}

// Credential implements plugin.CredentialSource: it answers what holds at its
// begin.
func (s slow) Credential(ctx context.Context, key string) (*plugin.Credential, error) {
	c, err := s.world.Credential(ctx, key)
	let := make(chan struct{})
	s.begun <- let
	<-let
	return c, err
}

// Nothing is kept of a lookup that has ended, whatever it found.
func TestEndedLookupsAreForgotten(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{}`)
	w.decide(t, e, w.token(`{"iss":"key"}`))
	w.decide(t, e, sign(`{"alg":"HS256"}`, `{"iss":"unknown"}`, "s"))
	w.change(func() { w.down = true })
	w.decide(t, e, sign(`{"alg":"HS256"}`, `{"iss":"another"}`, "s"))
	if n := plugin.Looking(w.store); n != 0 {
		t.Errorf("%d keys are said to be looked up", n)
	}
}

// The answer of a lookup that began before a change is nobody's who asks after
// it, and is not remembered; nor is it after the answer of a later one.
func TestLateAnswer(t *testing.T) {
	no := message(401, "No credentials found for given 'iss'")
	signature := message(401, "Invalid signature")
	set := func(w *world, secret string) {
		w.change(func() {
			if secret == "" {
				delete(w.credentials, "key")
				return
			}
			w.credentials["key"] = &plugin.Credential{ID: "c", Key: "key", Algorithm: "HS256", Secret: secret, ConsumerID: "id-1"}
		})
	}
	const old = "old"
	for name, tt := range map[string]struct {
		before, after string // the secret; "": none
		tell          func(*plugin.Store)
		want          string // of a token with the old secret, after the change
	}{
		"replaced, named":   {old, "new", func(s *plugin.Store) { s.InvalidateCredential("key") }, signature},
		"replaced, not":     {old, "new", (*plugin.Store).Invalidate, signature},
		"deleted, named":    {old, "", func(s *plugin.Store) { s.InvalidateCredential("key") }, no},
		"deleted, not":      {old, "", (*plugin.Store).Invalidate, no},
		"created, named":    {"", old, func(s *plugin.Store) { s.InvalidateCredential("key") }, accepted},
		"created, not":      {"", old, (*plugin.Store).Invalidate, accepted},
		"turned, both told": {"new", old, func(s *plugin.Store) { s.InvalidateCredential("key"); s.Invalidate() }, accepted},
	} {
		for _, ends := range []string{"first", "last", "before the next begins"} {
			t.Run(name+"/the old lookup ends "+ends, func(t *testing.T) {
				w := newWorld(t)
				source := slow{w, make(chan chan struct{})}
				w.lookUpIn(t, source, nil)
				e := w.engine(t, `{"cache_ttl":0}`)
				token := sign(`{"alg":"HS256"}`, `{"iss":"key"}`, old)
				set(w, tt.before)
				decide := func() chan plugin.Outcome {
					out := make(chan plugin.Outcome, 1)
					go func() { out <- w.decide(t, e, token) }()
					return out
				}
				earlier := decide()
				letEarlier := <-source.begun
				set(w, tt.after)
				tt.tell(w.store)
				if ends == "before the next begins" {
					close(letEarlier)
					<-earlier
				}
				later := decide()
				select {
				case letLater := <-source.begun:
					if ends == "first" {
						close(letEarlier)
						<-earlier
					}
					close(letLater)
					expect(t, <-later, tt.want)
				case out := <-later:
					t.Fatalf("the old answer was remembered: %s", verdict(out))
				}
				if ends == "last" {
					close(letEarlier)
					<-earlier
				}
				expect(t, w.decide(t, e, token), tt.want) // by what is remembered
			})
		}
	}
}
