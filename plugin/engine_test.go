package plugin_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"kong-go-jwt/plugin"
)

func TestDecisionIsCached(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{}`)
	token := w.token(`{"iss":"key"}`)
	expect(t, w.decide(t, e, token), accepted)
	expect(t, w.decide(t, e, token), cached)
	if lookups, loads := w.counts(); lookups != 1 || loads != 1 {
		t.Errorf("%d lookups and %d loads, want one each", lookups, loads)
	}
	w.change(func() {
		if w.encodings != 2 { // and the grant of nobody, for the engine
			t.Errorf("grants were encoded %d times, want twice", w.encodings)
		}
	})
}

func TestNoCacheWithoutTTL(t *testing.T) {
	w := newWorld(t)
	caches, e := w.engine(t, `{}`), w.engine(t, `{"cache_ttl":0}`)
	token := w.token(`{"iss":"key"}`)
	expect(t, w.decide(t, caches, token), accepted)
	expect(t, w.decide(t, e, token), accepted)
	expect(t, w.decide(t, e, token), accepted)
	for i := range 3000 { // nor does it take the room of others, which is 1600
		expect(t, w.decide(t, e, w.token(fmt.Sprintf(`{"iss":"key","n":%d}`, i))), accepted)
	}
	expect(t, w.decide(t, caches, token), cached)
}

func TestCachedDecisionEnds(t *testing.T) {
	expired := `401 {"exp":"token expired"}`
	for name, tt := range map[string]struct {
		config string
		claims string
		after  func(w *world)
		want   string
	}{
		"not before cache_ttl": {`{"cache_ttl":20}`, ``, func(w *world) { w.pass(19 * time.Second) }, cached},
		"at cache_ttl":         {`{"cache_ttl":20}`, ``, func(w *world) { w.pass(20 * time.Second) }, accepted},
		"not before exp": {
			`{"claims_to_verify":["exp"]}`, fmt.Sprintf(`,"exp":%d`, start.Unix()+10), func(w *world) { w.pass(9 * time.Second) }, cached,
		},
		"at exp": {
			`{"claims_to_verify":["exp"]}`, fmt.Sprintf(`,"exp":%d`, start.Unix()+10), func(w *world) { w.pass(10 * time.Second) }, expired,
		},
		"not at nbf": {
			`{"claims_to_verify":["nbf"]}`, fmt.Sprintf(`,"nbf":%d`, start.Unix()), func(*world) {}, cached,
		},
		"at an exp that is not verified": {
			`{}`, fmt.Sprintf(`,"exp":%d`, start.Unix()+10), func(w *world) { w.pass(10 * time.Second) }, accepted,
		},
		"when the clock goes back behind nbf": {
			`{"claims_to_verify":["nbf"]}`, fmt.Sprintf(`,"nbf":%d`, start.Unix()-10),
			func(w *world) { w.pass(-11 * time.Second) }, `401 {"nbf":"token not valid yet"}`,
		},
		"when the credential is gone": {`{}`, ``, func(w *world) {
			w.change(func() { delete(w.credentials, "key") })
			w.pass(ttl)
		}, message(401, "No credentials found for given 'iss'")},
		"when the credential is gone, told so": {`{}`, ``, func(w *world) {
			w.change(func() { delete(w.credentials, "key") })
			w.store.Invalidate()
		}, message(401, "No credentials found for given 'iss'")},
		"when the secret has changed": {`{}`, ``, func(w *world) {
			w.change(func() {
				changed := *w.credentials["key"]
				changed.Secret += "x"
				w.credentials["key"] = &changed
			})
			w.store.Invalidate()
		}, message(401, "Invalid signature")},
		"when the algorithm has changed": {`{}`, ``, func(w *world) {
			w.change(func() {
				changed := *w.credentials["key"]
				changed.Algorithm = "HS512"
				w.credentials["key"] = &changed
			})
			w.store.Invalidate()
		}, message(401, "Invalid algorithm")},
		"when the consumer is gone": {`{}`, ``, func(w *world) {
			w.change(func() { delete(w.consumers, "id-1") })
			w.store.Invalidate()
		}, message(401, "Could not find consumer for 'iss=key'")},
		"when the consumer has a new name": {`{}`, ``, func(w *world) {
			w.change(func() { w.consumers["id-1"] = &plugin.Consumer{ID: "id-1", Username: "alicia"} })
			w.store.Invalidate()
		}, "accepted id-1 alicia key"},
		"not when nothing has changed": {`{}`, ``, func(w *world) {
			w.store.Invalidate()
		}, accepted},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := w.engine(t, tt.config)
			token := w.token(`{"iss":"key"` + tt.claims + `}`)
			expect(t, w.decide(t, e, token), accepted)
			tt.after(w)
			expect(t, w.decide(t, e, token), tt.want)
		})
	}
}

// The clock that exp is held against counts whole seconds, when a decision is made
// and when it is remembered.
func TestCachedDecisionEndsWithTheSecond(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second / 2)
	e := w.engine(t, `{"claims_to_verify":["exp"]}`)
	token := w.token(fmt.Sprintf(`{"iss":"key","exp":%d}`, start.Unix()+10))
	expect(t, w.decide(t, e, token), accepted)
	w.pass(10*time.Second - 501*time.Millisecond)
	expect(t, w.decide(t, e, token), cached)
	w.pass(time.Millisecond)
	expect(t, w.decide(t, e, token), `401 {"exp":"token expired"}`)
}

// All tokens of a credential profit when it has been looked up again.
func TestUnchangedCredentialKeepsDecisions(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{}`)
	first, second := w.token(`{"iss":"key","n":1}`), w.token(`{"iss":"key","n":2}`)
	expect(t, w.decide(t, e, first), accepted)
	expect(t, w.decide(t, e, second), accepted)
	w.pass(ttl)
	expect(t, w.decide(t, e, first), accepted)
	expect(t, w.decide(t, e, second), cached)
}

func TestCredentialIsRefreshedAhead(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{}`)
	token := w.token(`{"iss":"key"}`)
	expect(t, w.decide(t, e, token), accepted)
	w.pass(ttl * 3 / 4)
	expect(t, w.decide(t, e, token), cached)
	within(t, "looked up again", func() bool { lookups, _ := w.counts(); return lookups == 2 })
}

// A known credential is not looked up again before that is due.
func TestCredentialIsNotRefreshedEachTime(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{}`)
	token := w.token(`{"iss":"key"}`)
	expect(t, w.decide(t, e, token), accepted)
	w.pass(ttl * 3 / 5)
	for range 1000 {
		expect(t, w.decide(t, e, token), cached)
	}
	w.pass(ttl * 3 / 20)
	expect(t, w.decide(t, e, token), cached)
	within(t, "looked up again", func() bool { lookups, _ := w.counts(); return lookups >= 2 })
	if lookups, _ := w.counts(); lookups != 2 {
		t.Errorf("%d lookups, want 2", lookups)
	}
}

func TestDecisionsOfConfigurationsAreApart(t *testing.T) {
	w := newWorld(t)
	lax, strict := w.engine(t, `{}`), w.engine(t, `{"claims_to_verify":["exp"]}`)
	token := w.token(`{"iss":"key"}`)
	expect(t, w.decide(t, lax, token), accepted)
	expect(t, w.decide(t, lax, token), cached)
	expect(t, w.decide(t, strict, token), `401 {"exp":"must be a number"}`)
}

func TestRefusalIsNotCached(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{"claims_to_verify":["nbf"]}`)
	token := w.token(fmt.Sprintf(`{"iss":"key","nbf":%d}`, start.Unix()+10))
	expect(t, w.decide(t, e, token), `401 {"nbf":"token not valid yet"}`)
	w.pass(10 * time.Second)
	expect(t, w.decide(t, e, token), accepted)
}

func TestUnknownKeysAreRememberedBriefly(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{}`)
	token := sign(`{"alg":"HS256"}`, `{"iss":"new"}`, "s")
	no := message(401, "No credentials found for given 'iss'")
	expect(t, w.decide(t, e, token), no)
	expect(t, w.decide(t, e, token), no)
	if lookups, _ := w.counts(); lookups != 1 {
		t.Errorf("%d lookups, want 1", lookups)
	}
	w.change(func() {
		w.credentials["new"] = &plugin.Credential{ID: "c2", Key: "new", Algorithm: "HS256", Secret: "s", ConsumerID: "id-1"}
	})
	w.store.Invalidate()
	expect(t, w.decide(t, e, token), "accepted id-1 alice new")
}

func TestSourceFails(t *testing.T) {
	unavailable := message(503, "Credentials cannot be looked up at the moment")
	for name, config := range map[string]string{"alone": `{}`, "with anonymous": `{"anonymous":"guest"}`} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := w.engine(t, config)
			known, other := w.token(`{"iss":"key"}`), sign(`{"alg":"HS256"}`, `{"iss":"other"}`, "s")
			expect(t, w.decide(t, e, known), accepted)
			w.change(func() { w.down = true })
			expect(t, w.decide(t, e, other), unavailable)
			w.pass(ttl)
			expect(t, w.decide(t, e, known), accepted) // looked up in vain
			w.pass(grace - time.Second)
			expect(t, w.decide(t, e, known), accepted)
			w.pass(10*time.Second + 2*lookupTimeout)
			expect(t, w.decide(t, e, known), unavailable)
			w.change(func() { w.down = false })
			expect(t, w.decide(t, e, known), accepted)
		})
	}
}

// A known credential whose lookup has failed is good for longer than until the next
// try, so that no request waits for that one.
func TestNobodyWaitsWhileTheSourceFails(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{}`)
	token := w.token(`{"iss":"key"}`)
	expect(t, w.decide(t, e, token), accepted)
	w.change(func() { w.down = true })
	w.pass(ttl)
	expect(t, w.decide(t, e, token), accepted)
	w.pass(time.Second + 2*lookupTimeout)
	out, decided := e.DecideNow(requestWith(token))
	if !decided {
		t.Fatal("had to wait")
	}
	expect(t, out, cached)
}

// A lookup is given less time than a request waits, so that it can still be answered
// with what was known.
func TestTimeOfALookup(t *testing.T) {
	w := newWorld(t)
	var left []time.Duration
	w.lookUpIn(t, source(func(ctx context.Context, key string) (*plugin.Credential, error) {
		deadline, _ := ctx.Deadline()
		left = append(left, time.Until(deadline))
		return w.Credential(ctx, key)
	}), nil)
	expect(t, w.decide(t, w.engine(t, `{}`), w.token(`{"iss":"key"}`)), accepted)
	if len(left) != 1 || left[0] <= 0 || left[0] > lookupTimeout*7/8 {
		t.Errorf("a lookup has %v", left)
	}
}

type source func(ctx context.Context, key string) (*plugin.Credential, error)

// Credential implements plugin.CredentialSource.
func (s source) Credential(ctx context.Context, key string) (*plugin.Credential, error) {
	return s(ctx, key)
}

// Nothing is taken out of a request unless that is asked for.
func TestHiddenOnlyWhenAskedFor(t *testing.T) {
	for config, want := range map[string]bool{`{}`: false, `{"hide_credentials":true}`: true} {
		w := newWorld(t)
		out := w.decide(t, w.engine(t, config), w.token(`{"iss":"key"}`))
		expect(t, out, accepted)
		if got := out.Hidden != nil; got != want {
			t.Errorf("%s: hidden %+v", config, out.Hidden)
		}
	}
}

func TestAnonymous(t *testing.T) {
	bad := sign(`{"alg":"HS256"}`, `{"iss":"key"}`, "not the secret")
	for name, tt := range map[string]struct{ config, token, want string }{
		"no token":                {`{"anonymous":"guest"}`, "", anonymous},
		"malformed":               {`{"anonymous":"guest"}`, "a.b.c", anonymous},
		"bad signature":           {`{"anonymous":"guest"}`, bad, anonymous},
		"no such consumer":        {`{"anonymous":"nobody"}`, bad, message(500, "anonymous consumer nobody is configured but doesn't exist")},
		"not configured":          {`{}`, bad, message(401, "Invalid signature")},
		"not configured, nothing": {`{}`, "", message(401, "Unauthorized")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			expect(t, w.decide(t, w.engine(t, tt.config), tt.token), tt.want)
		})
	}
}

// A good token whose consumer cannot be found is no anonymous caller's: Kong may
// have lost its database.
func TestLostConsumerIsNotAnonymous(t *testing.T) {
	w := newWorld(t)
	delete(w.consumers, "id-1")
	e := w.engine(t, `{"anonymous":"guest"}`)
	expect(t, w.decide(t, e, w.token(`{"iss":"key"}`)), message(401, "Could not find consumer for 'iss=key'"))
	expect(t, w.decide(t, e, "bad"), anonymous)
}

func TestOtherPluginHasAuthenticated(t *testing.T) {
	unauthorized := message(401, "Unauthorized")
	for name, tt := range map[string]struct{ config, method, connection, want string }{
		"OR":                     {`{"anonymous":"guest"}`, "GET", "", "aside"},
		"AND":                    {`{}`, "GET", "", unauthorized},
		"preflight":              {`{"run_on_preflight":false}`, "OPTIONS", "", "aside"},
		"OPTIONS must have one":  {`{}`, "OPTIONS", "", unauthorized},
		"Connection is guarded":  {`{"anonymous":"guest"}`, "GET", "close, X-Consumer-ID", message(400, "Connection header names an identity header")},
		"Connection, underscore": {`{"anonymous":"guest"}`, "GET", "x_credential_identifier", message(400, "Connection header names an identity header")},
		"Connection, configured underscore": {
			`{"claims_to_headers":[{"header":"X_User","claim":["sub"]}]}`, "GET", "x_user", message(400, "Connection header names an identity header"),
		},
		"Connection, not guarded": {
			`{"anonymous":"guest","guard_headers":false}`, "GET", "close, X-Consumer-ID", "aside",
		},
		"Connection, other header": {`{"anonymous":"guest"}`, "GET", "close, X-Consumer-IDs", "aside"},
		"Connection, as long":      {`{"anonymous":"guest"}`, "GET", "close, X-Consumer-IX", "aside"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := &plugin.Request{Method: []byte(tt.method), Connection: []byte(tt.connection), HasCredential: true}
			expect(t, w.engine(t, tt.config).Decide(t.Context(), r, w), tt.want)
		})
	}
}

func TestPreflightPasses(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{"run_on_preflight":false,"anonymous":"guest"}`)
	expect(t, e.Decide(t.Context(), &plugin.Request{Method: []byte("OPTIONS")}, w), "unidentified")
	expect(t, e.Decide(t.Context(), &plugin.Request{Method: []byte("GET")}, w), anonymous)
}

func TestKeyClaim(t *testing.T) {
	missing, invalid := message(401, "No mandatory 'iss' in claims"), message(401, "Invalid 'iss' in claims")
	for name, tt := range map[string]struct{ header, claims, want string }{
		"claim":                      {`{"alg":"HS256"}`, `{"iss":"key"}`, accepted},
		"header":                     {`{"alg":"HS256","iss":"key"}`, `{}`, accepted},
		"claim before header":        {`{"alg":"HS256","iss":"other"}`, `{"iss":"key"}`, accepted},
		"header where claim is null": {`{"alg":"HS256","iss":"key"}`, `{"iss":null}`, accepted},
		"none":                       {`{"alg":"HS256"}`, `{}`, missing},
		"null":                       {`{"alg":"HS256"}`, `{"iss":null}`, missing},
		"false":                      {`{"alg":"HS256"}`, `{"iss":false}`, missing},
		"true":                       {`{"alg":"HS256"}`, `{"iss":true}`, invalid},
		"number":                     {`{"alg":"HS256"}`, `{"iss":42}`, invalid},
		"object":                     {`{"alg":"HS256"}`, `{"iss":{}}`, invalid},
		"array":                      {`{"alg":"HS256"}`, `{"iss":["key"]}`, invalid},
		"empty":                      {`{"alg":"HS256"}`, `{"iss":""}`, invalid},
		"other case":                 {`{"alg":"HS256"}`, `{"ISS":"key"}`, missing},
		"last of two":                {`{"alg":"HS256"}`, `{"iss":"x","iss":"key"}`, accepted},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			expect(t, w.decide(t, w.engine(t, `{}`), sign(tt.header, tt.claims, w.credentials["key"].Secret)), tt.want)
		})
	}
}

func TestRegisteredClaims(t *testing.T) {
	now := start.Unix()
	for name, tt := range map[string]struct{ config, claims, want string }{
		"exp ahead":              {`{"claims_to_verify":["exp"]}`, fmt.Sprintf(`"exp":%d`, now+1), accepted},
		"exp now":                {`{"claims_to_verify":["exp"]}`, fmt.Sprintf(`"exp":%d`, now), `401 {"exp":"token expired"}`},
		"exp zero":               {`{"claims_to_verify":["exp"]}`, `"exp":0`, `401 {"exp":"token expired"}`},
		"exp far beyond a float": {`{"claims_to_verify":["exp"]}`, `"exp":1e999`, accepted},
		"exp far below a float":  {`{"claims_to_verify":["exp"]}`, `"exp":-1e999`, `401 {"exp":"token expired"}`},
		"exp too far":            {`{"claims_to_verify":["exp"],"maximum_expiration":60}`, fmt.Sprintf(`"exp":%d`, now+61), `401 {"exp":"exceeds maximum allowed expiration"}`},
		"exp just not too far":   {`{"claims_to_verify":["exp"],"maximum_expiration":60}`, fmt.Sprintf(`"exp":%d`, now+60), accepted},
		"exp infinitely far":     {`{"claims_to_verify":["exp"],"maximum_expiration":60}`, `"exp":1e999`, `401 {"exp":"exceeds maximum allowed expiration"}`},
		"nbf now":                {`{"claims_to_verify":["nbf"]}`, fmt.Sprintf(`"nbf":%d`, now), accepted},
		"nbf ahead":              {`{"claims_to_verify":["nbf"]}`, fmt.Sprintf(`"nbf":%d`, now+1), `401 {"nbf":"token not valid yet"}`},
		"nbf ahead by a part":    {`{"claims_to_verify":["nbf"]}`, fmt.Sprintf(`"nbf":%d.5`, now), `401 {"nbf":"token not valid yet"}`},
		"nbf text":               {`{"claims_to_verify":["nbf"]}`, fmt.Sprintf(`"nbf":"%d"`, now), `401 {"nbf":"must be a number"}`},
		"both missing":           {`{"claims_to_verify":["nbf","exp"]}`, `"x":1`, `401 {"exp":"must be a number","nbf":"must be a number"}`},
		"not asked for":          {`{}`, `"exp":1,"nbf":"x"`, accepted},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			expect(t, w.decide(t, w.engine(t, tt.config), w.token(`{"iss":"key",`+tt.claims+`}`)), tt.want)
		})
	}
}

func TestOwnCredentials(t *testing.T) {
	w := newWorld(t)
	w.down = true // and never asked
	e := w.engine(t, `{"credentials":[{"key":"own","secret":"own secret","consumer":"id-1"}]}`)
	token := sign(`{"alg":"HS256"}`, `{"iss":"own"}`, "own secret")
	expect(t, w.decide(t, e, token), "accepted id-1 alice own")
	w.pass(10 * ttl)
	expect(t, w.decide(t, e, token), "accepted id-1 alice own")
}

func TestChallenge(t *testing.T) {
	for name, tt := range map[string]struct{ config, token, want string }{
		"no token":            {`{}`, "", `Bearer`},
		"bad token":           {`{}`, "x", `Bearer error="invalid_token"`},
		"realm":               {`{"realm":"example"}`, "", `Bearer realm="example"`},
		"realm and bad token": {`{"realm":"example"}`, "x", `Bearer realm="example", error="invalid_token"`},
		"realm to be quoted":  {`{"realm":"a\"b\\c\r\nd"}`, "", `Bearer realm="a\"b\\cd"`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if got := w.decide(t, w.engine(t, tt.config), tt.token).Refusal.WWWAuthenticate; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestDisguised(t *testing.T) {
	for name, want := range map[string]bool{
		"x_consumer_id":           true,
		"x-consumer_id":           true,
		"X_Consumer-Custom_ID":    true,
		"x_credential_identifier": true,
		"x-consumer-id":           false,
		"x_consumer_idx":          false,
		"x_token":                 false,
		"x-user":                  true, // of a header that is configured with underscores
		"x_user":                  false,
		"a_z":                     true, // each end of the alphabet
		"x~y":                     false,
	} {
		if got := plugin.Disguised(name, append(plugin.IdentityHeaders(), "X_User", "A-Z", "X^Y")); got != want {
			t.Errorf("Disguised(%q) = %v", name, got)
		}
	}
}
