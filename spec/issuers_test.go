package spec_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kong-go-jwt/spec/conformance"
	"kong-go-jwt/spec/oidc"
)

// provider starts an identity provider with a key, and says how the plugin is
// told to trust it.
func provider(t *testing.T) (p *oidc.Provider, key *oidc.Key, args []string) {
	t.Helper()
	needsGateway(t)
	p = oidc.New()
	t.Cleanup(p.Close)
	key, err := p.Add("k1", "RS256")
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := p.WriteCA(ca); err != nil {
		t.Fatal(err)
	}
	return p, key, []string{"-jwks-ca", ca, "-jwks-min-interval", "200ms"}
}

// withRoutes starts a gateway with the consumers of the specs and a route for
// each of plugins, by path.
func withRoutes(t *testing.T, plugins map[string][]any, pluginArgs []string, gatewayArgs ...string) *gateway {
	t.Helper()
	config := copyConfig(t, specConfig(t))
	service, _ := list(config["services"])[0].(object)
	routes := []any{}
	for path, p := range plugins {
		routes = append(routes, object{"name": "r" + strings.ReplaceAll(path, "/", "-"), "paths": []any{path}, "plugins": p})
	}
	service["routes"] = routes
	for _, arg := range pluginArgs {
		gatewayArgs = append(gatewayArgs, "-plugin-arg="+arg)
	}
	return startGateway(t, config, gatewayArgs...)
}

func jwt(config object) []any { return []any{object{"name": "go-jwt", "config": config}} }

func bearer(token string) [2]string { return [2]string{"Authorization", "Bearer " + token} }

// identityOf sums up whom the upstream was told of.
func identityOf(a answer) string {
	if a.upstream == nil {
		return fmt.Sprintf("%d %s", a.status, a.body)
	}
	h := a.upstream.Headers
	return strings.Join([]string{
		strings.Join(h["X-Consumer-Username"], ","), strings.Join(h["X-Credential-Identifier"], ","), strings.Join(h["X-Anonymous-Consumer"], ","),
	}, "|")
}

func TestIssuers(t *testing.T) {
	t.Parallel()
	p, key, args := provider(t)
	es, err := p.Add("k2", "ES256")
	if err != nil {
		t.Fatal(err)
	}
	p.Publish(map[string]any{"kty": "oct", "kid": "weak", "alg": "HS256", "k": "c2VjcmV0"})
	issuer := func(more object) object {
		is := object{"issuer": p.URL, "jwks_uri": p.URL + "/keys"}
		for k, v := range more {
			is[k] = v
		}
		return object{"issuers": []any{is}}
	}
	g := withRoutes(t, map[string][]any{
		"/uri":       jwt(issuer(nil)),
		"/discovery": jwt(object{"issuers": []any{object{"issuer": p.URL}}}),
		"/es":        jwt(issuer(object{"algorithms": []any{"ES256"}})),
		"/custom":    jwt(issuer(object{"consumer_by": "custom_id", "consumer_claim": []any{"user", "ref"}})),
		"/id":        jwt(issuer(object{"consumer_by": "id"})),
		"/optional":  jwt(issuer(object{"consumer_optional": true})),
		"/prefixed":  jwt(issuer(object{"consumer_optional": true, "credential_prefix_issuer": true, "credential_claim": []any{"app", "id"}})),
		"/inline":    jwt(object{"issuers": []any{object{"issuer": p.URL, "jwks": string(p.Keys())}}}),
		"/tenants":   jwt(object{"issuers": []any{object{"issuer": p.URL + "/{tenant}", "tenants": []any{"a", "b"}, "jwks_uri": p.URL + "/keys"}}}),
		"/claims":    jwt(issuer(object{"consumer_claims": []any{[]any{"user", "name"}, []any{"azp"}}})),
		"/forbidden": jwt(object{"issuers": []any{object{"issuer": p.URL}}, "claims_forbidden": []any{"nonce"}}),
		"/typed":     jwt(issuer(object{"type": "at+jwt", "audience": []any{"api"}})),
	}, args)
	const refused = `401 {"message":"`
	for name, tt := range map[string]struct {
		path           string
		key            *oidc.Key
		claims, header object
		want           string // identity, or how the refusal starts
	}{
		"jwks_uri":              {"/uri", key, nil, nil, "alice|alice|"},
		"discovery":             {"/discovery", key, nil, nil, "alice|alice|"},
		"keys inline":           {"/inline", key, nil, nil, "alice|alice|"},
		"tenant":                {"/tenants", key, object{"iss": p.URL + "/b"}, nil, "alice|alice|"},
		"another tenant":        {"/tenants", key, object{"iss": p.URL + "/c"}, nil, refused + "No credentials found"},
		"no tenant":             {"/tenants", key, object{"iss": p.URL + "/{tenant}"}, nil, refused + "No credentials found"},
		"first claim":           {"/claims", key, object{"user": object{"name": "bob"}, "azp": "carol"}, nil, "bob|alice|"},
		"second claim":          {"/claims", key, object{"azp": "carol"}, nil, "carol|alice|"},
		"first claim decides":   {"/claims", key, object{"user": object{"name": "nobody"}, "azp": "carol"}, nil, refused + "Could not find consumer for claim 'user.name'"},
		"access token":          {"/forbidden", key, nil, nil, "alice|alice|"},
		"ID token":              {"/forbidden", key, object{"nonce": "n"}, nil, `401 {"nonce":"claim not allowed"}`},
		"no kid":                {"/uri", key, nil, object{"kid": nil}, "alice|alice|"},
		"other algorithm":       {"/uri", es, nil, nil, refused + "Invalid algorithm"},
		"ES256":                 {"/es", es, nil, nil, "alice|alice|"},
		"kid of another key":    {"/es", es, nil, object{"kid": "k1"}, refused + "No key found"},
		"symmetric key":         {"/uri", key, nil, object{"kid": "weak"}, refused + "No key found"},
		"by custom_id":          {"/custom", key, object{"user": object{"ref": "c-3"}}, nil, "carol|alice|"},
		"unknown custom_id":     {"/custom", key, object{"user": object{"ref": "c-4"}}, nil, refused + "Could not find consumer"},
		"by id":                 {"/id", key, object{"sub": conformance.Bob}, nil, "bob|" + conformance.Bob + "|"},
		"username is no id":     {"/id", key, nil, nil, refused + "Could not find consumer"},
		"no consumer":           {"/uri", key, object{"sub": "stranger"}, nil, refused + "Could not find consumer"},
		"credential claim":      {"/prefixed", key, object{"sub": "stranger", "app": object{"id": "a"}}, nil, "|" + p.URL + "#a|"},
		"no credential claim":   {"/prefixed", key, object{"sub": "stranger"}, nil, refused + "Invalid 'app.id' in claims"},
		"consumer optional":     {"/optional", key, object{"sub": "stranger"}, nil, "|stranger|"},
		"expired":               {"/uri", key, object{"exp": 1}, nil, `401 {"exp":"token expired"}`},
		"without exp":           {"/uri", key, object{"exp": nil}, nil, `401 {"exp":"must be a number"}`},
		"not yet":               {"/uri", key, object{"nbf": time.Now().Add(time.Hour).Unix()}, nil, `401 {"nbf":"token not valid yet"}`},
		"type and audience":     {"/typed", key, object{"aud": []any{"x", "api"}}, object{"typ": "at+jwt"}, "alice|alice|"},
		"other type":            {"/typed", key, object{"aud": "api"}, nil, refused + "Invalid token type"},
		"other audience":        {"/typed", key, object{"aud": "apis"}, object{"typ": "at+jwt"}, `401 {"aud":"audience not allowed"}`},
		"issuer nobody trusts":  {"/uri", key, object{"iss": p.URL + "/"}, nil, refused + "No credentials found"},
		"embedded key counts":   {"/uri", key, nil, object{"kid": "k9", "jwk": object{"kty": "oct"}}, refused + "No key found"},
		"credential still goes": {"/uri", nil, nil, nil, "alice|hs256|"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.path == "/custom" {
				needsLookups(t)
			}
			token := tokenOf(t, "hs256", "hs-a", "HS256")
			if tt.key != nil {
				made, err := p.Token(tt.key, tt.claims, tt.header)
				if err != nil {
					t.Fatal(err)
				}
				token = made
			}
			for range 2 { // the second time from the cache, where it is accepted
				if got := identityOf(g.send(t, "GET", tt.path, bearer(token))); got != tt.want && (tt.want[0] != '4' || !strings.HasPrefix(got, tt.want)) {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			}
		})
	}
}

// TestIssuerFails: known keys go on being used; a token signed with an unknown
// one is refused, and a new issuer cannot be decided about.
func TestIssuerFails(t *testing.T) {
	t.Parallel()
	p, key, args := provider(t)
	g := withRoutes(t, map[string][]any{"/a": jwt(object{"issuers": []any{object{"issuer": p.URL}}})}, args)
	p.Fail(true)
	token := func(k *oidc.Key, n int) [2]string {
		made, err := p.Token(k, object{"n": n}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return bearer(made)
	}
	if a := g.send(t, "GET", "/a", token(key, 1)); a.status != 503 || a.upstream != nil {
		t.Errorf("keys never seen: %d %s", a.status, a.body)
	}
	p.Fail(false)
	poll(t, patience, func() bool { return g.send(t, "GET", "/a", token(key, 2)).status == 200 })
	p.Fail(true)
	other, err := p.Add("k2", "RS256")
	if err != nil {
		t.Fatal(err)
	}
	if a := g.send(t, "GET", "/a", token(key, 3)); a.status != 200 {
		t.Errorf("known key: %d %s", a.status, a.body)
	}
	// Until -jwks-min-interval is over, the keys that were fetched last are all that there are.
	poll(t, patience, func() bool {
		a := g.send(t, "GET", "/a", token(other, 4))
		if a.status != 401 && a.status != 503 {
			t.Fatalf("unknown key: %d %s", a.status, a.body)
		}
		return a.status == 503
	})
	for range 10 {
		if a := g.send(t, "GET", "/a", token(other, 4)); a.status != 503 || a.upstream != nil {
			t.Errorf("unknown key, keys that cannot be fetched: %d %s", a.status, a.body)
		}
	}
	p.Fail(false)
	poll(t, patience, func() bool { return g.send(t, "GET", "/a", token(other, 5)).status == 200 })
}

// TestUnknownKeysAreAskedForRarely: made-up kids do not make the plugin hammer
// the issuer.
func TestUnknownKeysAreAskedForRarely(t *testing.T) {
	t.Parallel()
	p, key, args := provider(t)
	args[len(args)-1] = "1m"
	g := withRoutes(t, map[string][]any{"/a": jwt(object{"issuers": []any{object{"issuer": p.URL}}})}, args)
	for n := range 30 {
		token, err := p.Token(key, nil, object{"kid": fmt.Sprint("made-up-", n)})
		if err != nil {
			t.Fatal(err)
		}
		if a := g.send(t, "GET", "/a", bearer(token)); a.status != 401 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if n := p.Fetches(); n > 2 {
		t.Errorf("%d fetches, want one at the start and one for the first unknown key", n)
	}
}

// TestRotationUnderLoad: while 16 clients send tokens of old and new keys, keys
// come and go, and no request fails.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	p, key, args := provider(t)
	g := withRoutes(t, map[string][]any{"/a": jwt(object{"issuers": []any{object{"issuer": p.URL, "algorithms": []any{"RS256", "ES256"}}}})},
		append(args, "-jwks-refresh", "1s"))
	// Keys that clients sign with, and how many are at it.
	type generation struct {
		keys  []*oidc.Key
		users atomic.Int64
	}
	var current atomic.Pointer[generation]
	current.Store(&generation{keys: []*oidc.Key{key}})
	var sent, failed atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for c := range 16 {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				now := current.Load()
				if now.users.Add(1); current.Load() != now {
					now.users.Add(-1)
					continue
				}
				token, err := p.Token(now.keys[n%len(now.keys)], object{"n": fmt.Sprint(c, "-", n/4)}, nil)
				if err != nil {
					t.Error(err)
					return
				}
				a, err := exchange(g.proxy, "GET", "/a", [][2]string{bearer(token)})
				now.users.Add(-1)
				if sent.Add(1); err != nil || a.status != 200 {
					failed.Add(1)
					t.Logf("%v %d %s", err, a.status, a.body)
				}
			}
		})
	}
	rest := func() {
		t.Helper()
		before := sent.Load()
		time.Sleep(300 * time.Millisecond)
		poll(t, patience, func() bool { return sent.Load() >= before+16 })
	}
	for n := range 4 {
		rest()
		next, err := p.Add(fmt.Sprint("n", n), []string{"RS256", "ES256"}[n%2])
		if err != nil {
			t.Fatal(err)
		}
		before := current.Load()
		both := &generation{keys: append(slices.Clone(before.keys), next)}
		current.Store(both) // old and new tokens at once
		rest()
		current.Store(&generation{keys: []*oidc.Key{next}})
		poll(t, patience, func() bool { return before.users.Load() == 0 && both.users.Load() == 0 })
		p.Keep(next)
	}
	close(stop)
	clients.Wait()
	t.Logf("%d requests", sent.Load())
	if failed.Load() > 0 || sent.Load() < 100 {
		t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
	}
}
