package spec_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// readyz is what /readyz answers.
type readyz struct {
	Ready        bool
	Store, Watch string
	Issuers      map[string]string
	Revocations  map[string]string
}

// askReady asks for it; status 0: nobody listens yet.
func askReady(t *testing.T, address string) (status int, r readyz) {
	t.Helper()
	status, body := fetch(t, address, "/readyz")
	if status != 0 {
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			t.Fatalf("%d %s: %v", status, body, err)
		}
	}
	return status, r
}

// TestReady: /readyz tells when credentials cannot be looked up and when changes of
// them are not told, and that both are mended. /healthz says 200 all the while.
func TestReady(t *testing.T) {
	needsAdminAPI(t)
	t.Parallel()
	address, args := metered(t)
	g := startGateway(t, specConfig(t), args...)
	awaitReady := func(what string, want func(status int, r readyz) bool) {
		t.Helper()
		var status int
		var r readyz
		poll(t, patience, func() bool {
			status, r = askReady(t, address)
			return want(status, r)
		})
		if !want(status, r) {
			t.Fatalf("%s: %d %+v", what, status, r)
		}
		if alive, body := fetch(t, address, "/healthz"); alive != 200 {
			t.Errorf("%s: /healthz %d %s", what, alive, body)
		}
	}
	all := func(status int, r readyz) bool {
		return status == 200 && r.Ready && r.Store == "ready" && r.Watch == "ready" && len(r.Issuers) == 0
	}
	awaitReady("at the start", all)
	lookup := "admin"
	if byNode() {
		lookup = "store"
	}
	if status, text := g.post(t, "/__faults", object{"of": lookup, "mode": "500"}); status != 200 {
		t.Fatal(text)
	}
	if a := g.send(t, "GET", "/plain", bearer(tokenOf(t, "hs256", "hs-a", "HS256"))); a.status != 503 {
		t.Errorf("%d %s", a.status, a.body)
	}
	awaitReady("with a store that fails", func(status int, r readyz) bool {
		return status == 503 && !r.Ready && strings.Contains(r.Store, "the last lookup failed")
	})
	if !byNode() {
		awaitReady("with an Admin API that fails", func(status int, r readyz) bool {
			return status == 503 && strings.Contains(r.Watch, "changes are not reported")
		})
	}
	g.post(t, "/__faults", object{"of": lookup, "mode": "none"})
	awaitReady("mended", func(status int, r readyz) bool {
		g.send(t, "GET", "/plain", bearer(tokenOf(t, "hs256", "hs-a", "HS256"))) // a lookup that succeeds
		return all(status, r)
	})
}

// TestReadyIssuers: /readyz names the issuers whose keys are not known.
func TestReadyIssuers(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	const issuer = "https://127.0.0.1:1" // where nobody listens
	address, args := metered(t)
	g := startGateway(t, object{"_format_version": "3.0", "services": []any{object{
		"name": "s", "url": upstream(t), "routes": []any{object{"name": "r", "paths": []any{"/r"}}},
		"plugins": jwt(object{"issuers": []any{object{"issuer": issuer, "jwks_uri": issuer + "/keys"}}}),
	}}}, args...)
	g.send(t, "GET", "/r") // starts the instance
	poll(t, patience, func() bool {
		status, r := askReady(t, address)
		return status == 503 && !r.Ready && strings.Contains(r.Issuers[issuer], "its keys are not known")
	})
}

// TestReadyRevocations: /readyz names the lists of revoked tokens for want of which
// tokens are refused.
func TestReadyRevocations(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	const wanted, optional = "http://127.0.0.1:1/wanted", "http://127.0.0.1:1/optional" // where nobody listens
	address, args := metered(t)
	g := withRoutes(t, map[string][]any{"/r": jwt(object{"revocations": []any{
		object{"url": wanted + "?token=x"}, object{"url": optional, "on_failure": "open"},
	}})}, nil, args...)
	if a := g.send(t, "GET", "/r", bearer(claimsToken(t, nil))); a.status != 503 {
		t.Errorf("%d %s", a.status, a.body)
	}
	poll(t, patience, func() bool {
		status, r := askReady(t, address)
		return status == 503 && !r.Ready && len(r.Revocations) == 1 && strings.HasSuffix(r.Revocations[wanted], "was never fetched, or its last copy is too old")
	})
}
