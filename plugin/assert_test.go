package plugin_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kong-go-jwt/plugin"
)

// asserting is a world, and an engine that hands assertions on, whose options
// and those of upstream_assertion are more. read verifies the one in an outcome.
func asserting(t *testing.T, w *world, more, ofAssertion string) (e *plugin.Engine, read func(o plugin.Outcome) jwt.MapClaims) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	if err != nil {
		t.Fatal(err)
	}
	e = w.engine(t, fmt.Sprintf(`{"upstream_assertion":{"issuer":"https://gw","audience":"orders","keys":[%s]%s}%s}`, text, ofAssertion, more))
	return e, func(o plugin.Outcome) jwt.MapClaims {
		t.Helper()
		claims := jwt.MapClaims{}
		_, err := jwt.ParseWithClaims(assertionOf(o), claims, func(*jwt.Token) (any, error) { return &key.PublicKey, nil },
			jwt.WithTimeFunc(w.now), jwt.WithExpirationRequired(), jwt.WithAudience("orders"), jwt.WithIssuer("https://gw"))
		if err != nil {
			t.Fatalf("%s: %v", verdict(o), err)
		}
		return claims
	}
}

// assertionOf is the header that told writes last.
func assertionOf(o plugin.Outcome) string {
	_, token, _ := strings.Cut(string(o.Answer.Bytes), "X-Kong-Jwt-Assertion=")
	token, _, _ = strings.Cut(token, " ")
	return token
}

// who is what an assertion tells but for the claims that all have.
func who(claims jwt.MapClaims) map[string]any {
	for _, name := range []string{"iss", "aud", "iat", "exp", "jti"} {
		delete(claims, name)
	}
	return claims
}

func TestAssertionTellsTheCaller(t *testing.T) {
	const alice = `"sub":"id-1","consumer_id":"id-1","username":"alice","custom_id":"a-1","anonymous":false`
	const issuers = `,"issuers":[{"issuer":"https://idp","jwks_uri":"https://idp/keys","algorithms":["ES256"],"consumer_optional":true}]`
	for name, tt := range map[string]struct{ config, ofAssertion, claims, want string }{
		"credential":           {``, ``, `{"iss":"key"}`, `{` + alice + `,"credential":"key","original_issuer":"key"}`},
		"iss selected nothing": {`,"key_claim_name":"kid"`, ``, `{"kid":"key","iss":"https://idp"}`, `{` + alice + `,"credential":"key"}`},
		"groups and scope": {
			`,"groups_claim":["roles"]`, ``, `{"iss":"key","roles":["a","b"],"scope":"read  write"}`,
			`{` + alice + `,"credential":"key","original_issuer":"key","groups":["a","b"],"scope":"read write"}`,
		},
		"claims": {
			``, `,"claims":[["email"],["user","name"],["user","n"],["none"]]`, `{"iss":"key","email":"a@b","user":{"name":"A","n":12345678901234567890,"x":1}}`,
			`{` + alice + `,"credential":"key","original_issuer":"key","email":"a@b","user":{"name":"A","n":12345678901234567890}}`,
		},
		"claims, one in another": {
			``, `,"claims":[["user"],["user","n"],["team","n"],["team"]]`, `{"iss":"key","user":{"n":1,"x":2},"team":{"n":3,"x":4}}`,
			`{` + alice + `,"credential":"key","original_issuer":"key","user":{"n":1,"x":2},"team":{"n":3,"x":4}}`,
		},
		"issuer, consumer":    {issuers, ``, `alice`, `{` + alice + `,"credential":"alice","original_issuer":"https://idp"}`},
		"issuer, no consumer": {issuers, ``, `id-1`, `{"sub":"https://idp|id-1","anonymous":false,"credential":"id-1","original_issuer":"https://idp"}`},
		"issuer, prefix": {
			strings.Replace(issuers, "}]", `,"credential_prefix_issuer":true}]`, 1), ``, `bob`,
			`{"sub":"https://idp|bob","anonymous":false,"credential":"https://idp#bob","original_issuer":"https://idp"}`,
		},
		"anonymous":         {`,"anonymous":"guest"`, ``, ``, `{"sub":"id-guest","consumer_id":"id-guest","username":"guest","anonymous":true}`},
		"anonymous, logged": {`,"anonymous":"guest","log_serialize":true`, ``, ``, `{"sub":"id-guest","consumer_id":"id-guest","username":"guest","anonymous":true}`},
	} {
		t.Run(name, func(t *testing.T) {
			w, issued := issuing(t)
			e, read := asserting(t, w, tt.config, tt.ofAssertion)
			token := ""
			switch {
			case strings.HasPrefix(tt.claims, "{"):
				token = w.token(tt.claims)
			case tt.claims != "":
				token = issued(`,"kid":"k1"`, `,"sub":"`+tt.claims+`"`)
			}
			var want map[string]any
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			if got := who(read(w.decide(t, e, token))); !reflect.DeepEqual(got, jwt.MapClaims(want)) && !reflect.DeepEqual(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}

// An assertion is minted once for a remembered token, and anew when half of its
// life is over, never where nothing may be waited for.
func TestAssertionIsMintedAgain(t *testing.T) {
	for name, token := range map[string]string{"accepted": `{"iss":"key"}`, "anonymous": ""} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e, read := asserting(t, w, `,"anonymous":"guest"`, `,"ttl":20`)
			if token != "" {
				token = w.token(token)
			}
			r := &plugin.Request{Method: []byte("GET"), Headers: [][]byte{[]byte("Bearer " + token)}}
			now := func(want bool) plugin.Outcome {
				t.Helper()
				o, decided := e.DecideNow(r)
				if decided != want {
					t.Fatalf("decided at once: %t, want %t", decided, want)
				}
				return o
			}
			now(false)
			first := e.Decide(t.Context(), r, w)
			read(first)
			w.pass(9 * time.Second)
			if o := now(true); assertionOf(o) != assertionOf(first) {
				t.Error("another assertion before half of its life")
			}
			w.pass(time.Second)
			now(false)
			second := read(e.Decide(t.Context(), r, w))
			if exp, _ := second["exp"].(float64); int64(exp) != w.now().Unix()+20 {
				t.Errorf("exp %v, want 20 s from now", second["exp"])
			}
			if o := now(true); assertionOf(o) == assertionOf(first) {
				t.Error("the old assertion after half of its life")
			}
		})
	}
}

// While too many signatures are being made, the last assertion is given for as long as
// it is good. A quick signature needs no turn.
func TestAssertionWhileBusy(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for algorithm, key := range map[string]any{"RS256": rsaKey, "ES256": ecKey} {
		t.Run(algorithm, func(t *testing.T) {
			der, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t)
			e := w.engine(t, fmt.Sprintf(`{"upstream_assertion":{"algorithm":%q,"issuer":"https://gw","audience":"orders","ttl":20,"keys":[%s]}}`, algorithm, text))
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // so that it does not wait for a turn
			token := w.token(`{"iss":"key"}`)
			decide := func(ctx context.Context) plugin.Outcome { return e.Decide(ctx, requestWith(token), w) }
			first := decide(t.Context())
			if first.Refusal != nil {
				t.Fatal(verdict(first))
			}
			defer plugin.Busy(w.store)()
			quick := algorithm != "RS256"
			for _, age := range []time.Duration{10 * time.Second, 19 * time.Second} {
				w.change(func() { w.time = start.Add(age) })
				o := decide(ctx)
				if o.Refusal != nil || age == 10*time.Second && (assertionOf(o) != assertionOf(first)) != quick {
					t.Errorf("%v later: %s", age, verdict(o))
				}
			}
			w.change(func() { w.time = start.Add(20 * time.Second) })
			if o := decide(ctx); (o.Refusal == nil) != quick || !quick && o.Refusal.Status != 503 {
				t.Errorf("when it has expired: %s", verdict(o))
			}
		})
	}
}

// Those that come at the same moment are given the same one.
func TestAssertionIsMintedOnce(t *testing.T) {
	w := newWorld(t)
	e, _ := asserting(t, w, "", `,"ttl":20`)
	token := w.token(`{"iss":"key"}`)
	w.decide(t, e, token)
	w.pass(10 * time.Second)
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]bool{}
	for range 32 {
		all.Go(func() {
			o := e.Decide(t.Context(), requestWith(token), w)
			mu.Lock()
			defer mu.Unlock()
			seen[assertionOf(o)] = true
		})
	}
	all.Wait()
	if len(seen) != 1 {
		t.Errorf("%d assertions, want 1", len(seen))
	}
}

// A token that is not good needs no assertion, and is refused without a wait.
func TestRefusedWithoutAssertion(t *testing.T) {
	w := newWorld(t)
	e, _ := asserting(t, w, "", "")
	w.decide(t, e, w.token(`{"iss":"key"}`)) // so that the credential is known
	_, decided := e.DecideNow(requestWith(sign(`{"alg":"HS256"}`, `{"iss":"key"}`, "another secret")))
	if !decided {
		t.Error("a bad signature had to wait")
	}
}

// Where the plugin identifies nobody, the header is removed.
func TestNoAssertion(t *testing.T) {
	w := newWorld(t)
	e, _ := asserting(t, w, `,"anonymous":"guest","run_on_preflight":false`, "")
	shadow, _ := asserting(t, w, `,"shadow":true`, "")
	const removed = " X-Kong-Jwt-Assertion="
	for name, tt := range map[string]struct {
		e    *plugin.Engine
		r    plugin.Request
		want string
	}{
		"preflight":            {e, plugin.Request{Method: []byte("OPTIONS")}, "unidentified " + removed},
		"another plugin":       {e, plugin.Request{Method: []byte("GET"), HasCredential: true}, "aside" + removed},
		"shadowed":             {shadow, plugin.Request{Method: []byte("GET")}, "unidentified " + removed},
		"shadowed, and others": {shadow, plugin.Request{Method: []byte("GET"), HasCredential: true}, "aside" + removed},
	} {
		t.Run(name, func(t *testing.T) {
			got := verdict(tt.e.Decide(t.Context(), &tt.r, w))
			if strings.ReplaceAll(got, "  ", " ") != strings.ReplaceAll(tt.want, "  ", " ") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestBoundAssertion(t *testing.T) {
	w := newWorld(t)
	e, read := asserting(t, w, "", `,"bind":true`)
	token := w.token(`{"iss":"key"}`)
	for _, path := range []string{"/a", "/b"} {
		r := requestWith(token)
		r.UpstreamPath = []byte(path)
		if _, decided := e.DecideNow(r); decided {
			t.Error("signed where nothing may be waited for")
		}
		if claims := read(e.Decide(t.Context(), r, w)); claims["method"] != "GET" || claims["path"] != path {
			t.Errorf("bound to %v %v", claims["method"], claims["path"])
		}
	}
	if o := e.Decide(t.Context(), requestWith(token), w); o.Refusal == nil || o.Refusal.Status != 500 {
		t.Errorf("without a path: %s", verdict(o))
	}
}

func TestReplies(t *testing.T) {
	w := newWorld(t)
	e, _ := asserting(t, w, `,"publish_keys":true`, "")
	unpublished, _ := asserting(t, w, "", "")
	for name, tt := range map[string]struct {
		e              *plugin.Engine
		method, target string
		want           int
	}{
		"keys":           {e, "GET", "/.well-known/jwks.json", 200},
		"below a prefix": {e, "HEAD", "/auth/.well-known/jwks.json?x=y", 200},
		"discovery":      {e, "GET", "/.well-known/openid-configuration", 200},
		"post":           {e, "POST", "/.well-known/jwks.json", 405},
		"other path":     {e, "GET", "/.well-known/jwks.json/x", 401},
		"in the query":   {e, "GET", "/?/.well-known/jwks.json", 401},
		"not published":  {unpublished, "GET", "/.well-known/jwks.json", 401},
	} {
		t.Run(name, func(t *testing.T) {
			o, _ := tt.e.DecideNow(&plugin.Request{Method: []byte(tt.method), Target: []byte(tt.target)})
			switch {
			case o.Refusal != nil && o.Refusal.Status == tt.want:
			case o.Reply == nil || o.Reply.Status != tt.want:
				t.Errorf("got %+v", o)
			}
		})
	}
}

// The metadata of a resource are at its path, below and beside it (RFC 9728 section 3.1).
func TestMetadataPaths(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{"resource_metadata":{"resource":"https://api.example/a","authorization_servers":["https://idp.example"]}}`)
	const path = "/.well-known/oauth-protected-resource"
	for target, want := range map[string]bool{
		path: true, path + "/": true, path + "/a": true, path + "/a/b?c": true, "/a" + path: true,
		path + "x": false, path + "x/a": false, "/a" + path + "/a": false, "/a": false, "/": false,
	} {
		o, _ := e.DecideNow(&plugin.Request{Method: []byte("GET"), Target: []byte(target)})
		if got := o.Reply != nil && o.Reply.Status == 200; got != want {
			t.Errorf("%s: answered %t, want %t", target, got, want)
		}
	}
}
