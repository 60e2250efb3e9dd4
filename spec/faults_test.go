package spec_test

import (
	"testing"
	"time"
)

// TestAdminFaults: while the Admin API fails, a credential that is known goes
// on working, and one that is not ends in a 5xx: never in a 401, which would
// blame the client, and never at the upstream.
func TestAdminFaults(t *testing.T) {
	needsAdminLookups(t)
	t.Parallel()
	for _, fault := range []object{
		{"mode": "slow", "delay_ms": 30_000},
		{"mode": "refuse"},
		{"mode": "500"},
		{"mode": "half"},
		{"mode": "garbage"},
		{"mode": "huge"},
		{"mode": "reset"},
	} {
		mode, _ := fault["mode"].(string)
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			g := specGateway(t, "-plugin-arg=-admin-timeout=3s")
			known := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")}
			unknown := [2]string{"Authorization", "Bearer " + tokenOf(t, "rs256", "rsa-a", "RS256")}
			if a := g.send(t, "GET", "/plain", known); a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if status, text := g.post(t, "/__faults", fault); status != 200 {
				t.Fatalf("%d %s", status, text)
			}
			started := time.Now()
			if a := g.send(t, "GET", "/plain", unknown); a.status < 500 || a.upstream != nil {
				t.Errorf("an unknown credential: %d %s", a.status, a.body)
			}
			if took := time.Since(started); took > 15*time.Second {
				t.Errorf("the request hung for %v", took)
			}
			if a := g.send(t, "GET", "/plain", known); a.status != 200 {
				t.Errorf("a known credential: %d %s", a.status, a.body)
			}
			if a := g.send(t, "GET", "/anonymous", unknown); a.status < 500 || a.upstream != nil {
				t.Errorf("anonymous, an unknown credential: %d %s", a.status, a.body)
			}
			if status, text := g.post(t, "/__faults", object{"mode": "none"}); status != 200 {
				t.Fatalf("%d %s", status, text)
			}
			took := poll(t, patience, func() bool { return g.send(t, "GET", "/plain", unknown).status == 200 })
			t.Logf("works again after %v", took)
		})
	}
}

// TestNoAdminAPI starts with an Admin API that is not there at all.
func TestNoAdminAPI(t *testing.T) {
	needsAdminLookups(t)
	t.Parallel()
	g := specGateway(t, "-plugin-arg=-admin-url", "-plugin-arg=http://127.0.0.1:1")
	if a := g.send(t, "GET", "/plain"); a.status != 401 {
		t.Errorf("no token: %d %s", a.status, a.body)
	}
	a := g.send(t, "GET", "/plain", [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")})
	if a.status < 500 || a.upstream != nil {
		t.Errorf("a token: %d %s", a.status, a.body)
	}
}
