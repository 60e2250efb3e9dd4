package spec_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"kong-go-jwt/spec/conformance"
	"kong-go-jwt/verify"
)

const assertionHeader = "X-Kong-Jwt-Assertion"

// signingKey makes a key for upstream_assertion, and its PEM.
func signingKey(t *testing.T) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// assertion is an upstream_assertion with these keys.
func assertion(more object, keys ...any) object {
	a := object{"issuer": "https://gateway.example", "audience": "orders", "keys": keys}
	for k, v := range more {
		a[k] = v
	}
	return a
}

// assertionConfig is a configuration with plugins by path on a service at
// upstream, and a route without a service that publishes keys.
func assertionConfig(t *testing.T, upstream string, plugins map[string]object, keys ...any) object {
	t.Helper()
	config := copyConfig(t, specConfig(t))
	routes := []any{}
	for path, p := range plugins {
		routes = append(routes, object{"name": "r" + strings.ReplaceAll(path, "/", "-"), "paths": []any{path}, "plugins": jwt(p)})
	}
	config["services"] = []any{object{"name": "orders", "url": upstream, "routes": routes}}
	config["routes"] = []any{object{
		"name": "keys", "paths": []any{"/.well-known"},
		"plugins": jwt(object{"publish_keys": true, "upstream_assertion": assertion(nil, keys...)}),
	}}
	return config
}

// verifier is that of a service with the keys that g publishes.
func verifier(t *testing.T, g *gateway, change func(*verify.Options)) *verify.Verifier {
	t.Helper()
	o := verify.Options{
		Issuer: "https://gateway.example", Audience: "orders", KeysURL: "http://" + g.proxy + "/.well-known/jwks.json",
		Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	v, err := verify.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestUpstreamAssertion(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	_, key := signingKey(t)
	plugin := func(more, of object) object {
		c := object{"upstream_assertion": assertion(of, key)}
		for k, v := range more {
			c[k] = v
		}
		return c
	}
	config := assertionConfig(t, upstream(t), map[string]object{
		"/plain":     plugin(nil, nil),
		"/anonymous": plugin(object{"anonymous": conformance.Anonymous}, nil),
		"/preflight": plugin(object{"run_on_preflight": false}, nil),
		"/shadow":    plugin(object{"shadow": true}, nil),
		"/bound":     plugin(nil, object{"bind": true}),
		"/renamed":   plugin(nil, object{"header": "X-Who"}),
	}, key)
	for name, args := range map[string][]string{"all headers": ways["all headers"], "variable": ways["variable"]} {
		t.Run(name, func(t *testing.T) {
			g := startGateway(t, config, args...)
			token := bearer(tokenOf(t, "hs256", "hs-a", "HS256"))
			for name, tt := range map[string]struct {
				method, path, header string
				headers              [][2]string
				want                 string // username; "": no assertion
				change               func(*verify.Options)
			}{
				"token":     {"GET", "/plain", assertionHeader, [][2]string{token}, "alice", nil},
				"anonymous": {"GET", "/anonymous", assertionHeader, nil, "anonymous-user", func(o *verify.Options) { o.Anonymous = true }},
				"preflight": {"OPTIONS", "/preflight", assertionHeader, nil, "", nil},
				"shadowed":  {"GET", "/shadow", assertionHeader, nil, "", nil},
				"bound":     {"GET", "/bound/a/b?c=d", assertionHeader, [][2]string{token}, "alice", func(o *verify.Options) { o.Bound = true }},
				"renamed":   {"GET", "/renamed", "X-Who", [][2]string{token}, "alice", nil},
			} {
				t.Run(name, func(t *testing.T) {
					v := verifier(t, g, tt.change)
					for range 2 { // the second time from the cache
						headers := slices.Clone(tt.headers)
						for _, spelt := range spellings(tt.header) {
							headers = append(headers, [2]string{spelt, "evil"})
						}
						a := g.send(t, tt.method, tt.path, headers...)
						if a.status != 200 || a.upstream == nil {
							t.Fatalf("%d %s", a.status, a.body)
						}
						var got []string
						for name, values := range a.upstream.Headers {
							if strings.EqualFold(strings.ReplaceAll(name, "_", "-"), tt.header) {
								got = append(got, values...)
							}
						}
						if tt.want == "" {
							if len(got) > 0 {
								t.Fatalf("the upstream got %q", got)
							}
							continue
						}
						if len(got) != 1 {
							t.Fatalf("the upstream got %q", got)
						}
						id, err := v.Verify(t.Context(), got[0])
						if err != nil || id.Username != tt.want {
							t.Fatalf("%+v, %v", id, err)
						}
						if left := time.Until(id.Expires); left < 29*time.Second || left > time.Minute {
							t.Errorf("expires in %v", left)
						}
						if id.Method != "" && (id.Method != "GET" || id.Path != "/a/b") {
							t.Errorf("bound to %s %s", id.Method, id.Path)
						}
					}
					if a := g.send(t, tt.method, tt.path, append(tt.headers, [2]string{"Connection", "close, " + tt.header})...); tt.method == "GET" && name != "shadowed" && a.status != 400 {
						t.Errorf("Connection names it: %d", a.status)
					}
				})
			}
		})
	}
}

func TestPublishedKeys(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	_, key := signingKey(t)
	_, next := signingKey(t)
	address, args := metered(t)
	g := startGateway(t, assertionConfig(t, upstream(t), map[string]object{}, key, next), args...)
	a := g.send(t, "GET", "/.well-known/jwks.json")
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(a.body, &set); err != nil || a.status != 200 || len(set.Keys) != 2 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, k := range set.Keys {
		if k["kty"] != "EC" || k["use"] != "sig" || k["alg"] != "ES256" || k["kid"] == "" || k["d"] != "" {
			t.Errorf("published %v", k)
		}
	}
	if a.header.Get("Cache-Control") != "public, max-age=300" || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		t.Errorf("headers %v", a.header)
	}
	if h := g.send(t, "HEAD", "/.well-known/jwks.json"); h.status != 200 || len(h.body) != 0 {
		t.Errorf("HEAD: %d %s", h.status, h.body)
	}
	if p := g.send(t, "POST", "/.well-known/jwks.json"); p.status != 405 || p.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %s", p.status, p.body)
	}
	if d := g.send(t, "GET", "/.well-known/openid-configuration"); d.status != 200 ||
		!strings.Contains(string(d.body), `"jwks_uri":"https://gateway.example/.well-known/jwks.json"`) {
		t.Errorf("discovery: %d %s", d.status, d.body)
	}
	if other := g.send(t, "GET", "/.well-known/other"); other.status != 401 {
		t.Errorf("another path: %d %s", other.status, other.body)
	}
	var status int
	var body string
	poll(t, patience, func() bool { status, body = fetch(t, address, "/.well-known/jwks.json"); return status == 200 })
	var there struct{ Keys []map[string]string }
	if err := json.Unmarshal([]byte(body), &there); err != nil || len(there.Keys) != 2 {
		t.Errorf("at the metrics: %s", body)
	}
}

// TestAssertionKeysAreNotTold: nothing of a private key is in the log, the
// metrics or what clients are told, whether it can be used or not. What Kong's own
// Admin API shows of it is its {vault://…} reference.
func TestAssertionKeysAreNotTold(t *testing.T) {
	needsGateway(t)
	_, key := signingKey(t)
	_, broken := signingKey(t)
	lines := strings.Split(broken, "\n")
	lines[1] = "AAAA" + lines[1][4:]
	broken = strings.Join(lines, "\n")
	t.Setenv("GO_JWT_SPEC_ASSERTION_KEY", key)
	reference := "{vault://env/go-jwt-spec-assertion-key}"
	address, args := metered(t, "-pprof")
	g := startGateway(t, assertionConfig(t, upstream(t), map[string]object{
		"/a":      {"upstream_assertion": assertion(nil, reference)},
		"/broken": {"upstream_assertion": assertion(nil, reference, broken)},
	}, reference), args...)
	places := map[string]string{}
	for _, path := range []string{"/a", "/broken", "/.well-known/jwks.json"} {
		a := g.send(t, "GET", path, bearer(tokenOf(t, "hs256", "hs-a", "HS256")))
		if want := map[string]int{"/broken": 500}[path]; a.status != max(want, 200) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		places["answer of "+path] = string(a.body)
	}
	poll(t, patience, func() bool {
		return strings.Contains(g.log.String(), "config.upstream_assertion.keys[2]: is a private key that cannot be read")
	})
	awaitMetrics(t, address)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/.well-known/jwks.json"} {
		status, body := fetch(t, address, path)
		if status != 200 {
			t.Errorf("%s: %d", path, status)
		}
		places[path] = body
	}
	places["log"] = g.log.String()
	for place, told := range places {
		for _, secret := range []string{key, broken} {
			if part := strings.Split(secret, "\n")[2]; strings.Contains(told, part) {
				t.Errorf("%s holds a part of a private key", place)
			}
		}
	}
}

// TestAssertionKeysRotate: publish, wait, sign, wait, drop, while 8 clients call a
// service that verifies. None fails.
func TestAssertionKeysRotate(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	var v atomic.Pointer[verify.Verifier]
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.Load().Handler(http.HandlerFunc(conformance.Echo)).ServeHTTP(w, r)
	}))
	t.Cleanup(service.Close)
	config := func(keys ...any) object {
		return assertionConfig(t, service.URL, map[string]object{"/a": {"upstream_assertion": assertion(nil, keys...)}}, keys...)
	}
	_, old := signingKey(t)
	_, next := signingKey(t)
	g := startGateway(t, config(old))
	var fetches atomic.Int64
	published := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a, err := exchange(g.proxy, "GET", "/.well-known/jwks.json", nil)
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(a.status)
		w.Write(a.body)
		fetches.Add(1)
	}))
	t.Cleanup(published.Close)
	v.Store(verifier(t, g, func(o *verify.Options) { o.KeysURL, o.Refresh = published.URL, 50*time.Millisecond }))
	token := bearer(tokenOf(t, "hs256", "hs-a", "HS256"))
	header := func() string {
		a := g.send(t, "GET", "/a", token)
		if a.upstream == nil {
			t.Fatalf("%d %s", a.status, a.body)
		}
		header, _, _ := strings.Cut(a.upstream.Headers[assertionHeader][0], ".")
		text, err := base64.RawURLEncoding.DecodeString(header)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before := header()
	var failed atomic.Int64
	var sent [8]atomic.Int64 // by client
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i := range sent {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				a, err := exchange(g.proxy, "GET", "/a", [][2]string{token})
				if sent[i].Add(1); err != nil || a.status != 200 {
					failed.Add(1)
					t.Logf("%v %d %s", err, a.status, a.body)
				}
			}
		})
	}
	// again waits for what happens one at a time, and is counted at its end: after three
	// times, one has begun since and is over.
	again := func(n *atomic.Int64) {
		before := n.Load()
		poll(t, patience, func() bool { return n.Load() >= before+3 })
	}
	for _, keys := range [][]any{{old, next}, {next, old}, {next}} {
		g.configure(t, config(keys...))
		again(&fetches) // the service has learnt of it
		for i := range sent {
			again(&sent[i]) // no request of before is under way
		}
	}
	close(stop)
	clients.Wait()
	if after := header(); after == before {
		t.Error("the old key still signs")
	}
	if failed.Load() > 0 {
		t.Errorf("%d requests failed", failed.Load())
	}
}

// TestPastTheGateway: forged headers get nowhere at a service that verifies.
func TestPastTheGateway(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	_, key := signingKey(t)
	g := startGateway(t, assertionConfig(t, upstream(t), map[string]object{}, key))
	service := httptest.NewServer(verifier(t, g, nil).Handler(http.HandlerFunc(conformance.Echo)))
	t.Cleanup(service.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, service.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Consumer-Username", "alice")
	r.Header.Set(assertionHeader, strings.TrimPrefix(bearer(tokenOf(t, "hs256", "hs-a", "HS256"))[1], "Bearer "))
	res, err := adminClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d", res.StatusCode)
	}
}

// TestDemo: what "make run" serves, on ports of its own.
func TestDemo(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	service := freeAddress(t)
	var config object
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(readRoot(t, "kong/verified.yml"), "127.0.0.1:9000", service)), &config); err != nil {
		t.Fatal(err)
	}
	g := startGateway(t, config, "-demo")
	poll(t, patience, func() bool { return strings.Contains(g.log.String(), "Ctrl-C ends it.") })
	for _, m := range regexp.MustCompile(`(?s)# ([^\n]*?): (\d+)[^\n]*\ncurl -i (-X OPTIONS )?(?:-H '([^:]*): ([^']*)' )?`+
		`(?:-H '[^']*' )?'?http://([^/]*)([^\s']*)`).FindAllStringSubmatch(g.log.String(), -1) {
		method := map[string]string{"": "GET", "-X OPTIONS ": "OPTIONS"}[m[3]]
		var headers [][2]string
		if m[4] != "" {
			headers = append(headers, [2]string{m[4], m[5]})
		}
		a, err := exchange(m[6], method, m[7], headers)
		if err != nil || fmt.Sprint(a.status) != m[2] {
			t.Errorf("%s: %d, %v", m[1], a.status, err)
		}
		if m[1] == "a valid token" && !strings.Contains(string(a.body), "verified: mobile-app") {
			t.Errorf("%s: %s", m[1], a.body)
		}
		if service == m[6] && m[4] == "X-Consumer-Username" {
			service = ""
		}
	}
	if service != "" {
		t.Error("nobody tried to get past the gateway")
	}
}
