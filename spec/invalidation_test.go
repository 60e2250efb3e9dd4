package spec_test

import (
	"encoding/json"
	"testing"
	"time"

	"kong-go-jwt/spec/conformance"
)

// revocation is how soon a change of configuration must be seen.
const revocation = 2 * time.Second

// TestInvalidation changes credentials and consumers under a plugin that
// remembers both, and its decisions, and measures how soon it sees.
func TestInvalidation(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	token := tokenOf(t, "hs256", "hs-a", "HS256")
	alice := func(config object) object { return consumer(t, config, conformance.Alice) }
	accepted := func(a answer) bool { return a.status == 200 }
	refused := func(a answer) bool { return a.status == 401 }
	tests := []struct {
		name   string
		change func(config object)
		until  func(answer) bool
	}{
		{"credential removed", func(c object) { delete(alice(c), "jwt_secrets") }, refused},
		{"secret changed", func(c object) { credential(t, alice(c), "hs256")["secret"] = "another-secret-of-32-bytes-or-more" }, refused},
		{"algorithm changed", func(c object) { credential(t, alice(c), "hs256")["algorithm"] = "HS384" }, refused},
		{"credential moved", func(c object) {
			moved := credential(t, alice(c), "hs256")
			delete(alice(c), "jwt_secrets")
			bob := consumer(t, c, conformance.Bob)
			bob["jwt_secrets"] = append(list(bob["jwt_secrets"]), moved)
		}, func(a answer) bool { return username(a) == "bob" }},
		{"consumer renamed", func(c object) { alice(c)["username"] = "alicia" }, func(a answer) bool { return username(a) == "alicia" }},
		{"consumer removed", func(c object) {
			var kept []any
			for _, e := range list(c["consumers"]) {
				if e.(object)["id"] != conformance.Alice {
					kept = append(kept, e)
				}
			}
			c["consumers"] = kept
		}, refused},
		{"custom_id removed", func(c object) { delete(alice(c), "custom_id") }, func(a answer) bool {
			return accepted(a) && a.upstream.Headers["X-Consumer-Custom-Id"] == nil
		}},
	}
	for _, include := range []string{withoutMaps(), "auto"} {
		for _, tt := range tests {
			t.Run(tt.name+include, func(t *testing.T) {
				t.Parallel()
				config := copyConfig(t, specConfig(t))
				g := startGateway(t, config, "-workers", "2", "-nginx-include="+include)
				ask := func() answer { return g.send(t, "GET", "/plain", [2]string{"Authorization", "Bearer " + token}) }
				for range 8 { // warm all the caches of all workers
					if a := ask(); username(a) != "alice" {
						t.Fatalf("before the change: %d %s", a.status, a.body)
					}
				}
				tt.change(config)
				g.configure(t, config)
				seen := promised(t, revocation+busy, func() bool { return tt.until(ask()) })
				t.Logf("seen after %v", seen)
				for range 8 {
					if a := ask(); !tt.until(a) {
						t.Fatalf("seen, then not: %d %s", a.status, a.body)
					}
				}
			})
		}
	}
}

// TestNewCredential: a credential that was asked for before it existed works
// soon after it does.
func TestNewCredential(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	config := copyConfig(t, specConfig(t))
	g := startGateway(t, config)
	token := tokenOf(t, "newcomer", "hs-a", "HS256")
	ask := func() int {
		return g.send(t, "GET", "/plain", [2]string{"Authorization", "Bearer " + token}).status
	}
	if status := ask(); status != 401 {
		t.Fatalf("unknown credential: %d", status)
	}
	alice := consumer(t, config, conformance.Alice)
	alice["jwt_secrets"] = append(list(alice["jwt_secrets"]), object{"key": "newcomer", "secret": string(setup.keys["hs-a"].Secret)})
	g.configure(t, config)
	t.Logf("works after %v", promised(t, revocation+busy, func() bool { return ask() == 200 }))
}

// poll tries until it succeeds, and returns how long that took.
func poll(t *testing.T, limit time.Duration, try func() bool) time.Duration {
	t.Helper()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if try() {
			return time.Since(start)
		}
		if time.Since(start) > limit {
			t.Fatalf("not seen within %v", limit)
		}
	}
}

// promised is poll for what has to come within a time that is promised. A try that hangs,
// because the machine does, counts for a moment: nobody has got a wrong answer meanwhile.
func promised(t *testing.T, limit time.Duration, try func() bool) time.Duration {
	t.Helper()
	const moment = 100 * time.Millisecond
	counted, start, last := time.Duration(0), time.Now(), time.Now()
	poll(t, patience, func() bool {
		if try() {
			return true
		}
		now := time.Now()
		if counted += min(now.Sub(last), moment); counted > limit {
			t.Fatalf("not seen within %v, but for times at which the machine did nothing; %v with them", limit, now.Sub(start))
		}
		last = now
		return false
	})
	return time.Since(start)
}

func copyConfig(t *testing.T, config any) object {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	var out object
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func consumer(t *testing.T, config object, id string) object {
	t.Helper()
	for _, e := range list(config["consumers"]) {
		if c, ok := e.(object); ok && c["id"] == id {
			return c
		}
	}
	t.Fatalf("no consumer %s", id)
	return nil
}

func credential(t *testing.T, consumer object, key string) object {
	t.Helper()
	for _, e := range list(consumer["jwt_secrets"]) {
		if c, ok := e.(object); ok && c["key"] == key {
			return c
		}
	}
	t.Fatalf("no credential %s", key)
	return nil
}

func username(a answer) string {
	if a.upstream == nil || len(a.upstream.Headers["X-Consumer-Username"]) != 1 {
		return ""
	}
	return a.upstream.Headers["X-Consumer-Username"][0]
}
