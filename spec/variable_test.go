package spec_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"kong-go-jwt/spec/conformance"
)

const variableFile = "../kong/go-jwt.nginx.conf"

func withVariable(t *testing.T, args ...string) *gateway {
	t.Helper()
	needsGateway(t)
	return specGateway(t, append([]string{"-nginx-include=auto"}, args...)...)
}

func (g *gateway) calls(t *testing.T) map[string]int {
	t.Helper()
	var stats struct{ PDK map[string]int }
	g.get(t, "/__stats", &stats)
	return stats.PDK
}

// TestVariableIsNotFooled: whatever a client puts into the parts of a request
// that the nginx variable is made of, no part is taken for another one. Without
// a token of its own, no such request may be let in.
func TestVariableIsNotFooled(t *testing.T) {
	t.Parallel()
	g := withVariable(t)
	token := tokenOf(t, "hs256", "hs-a", "HS256")
	fake := "go-jwt/2\nGET\n\n\n\n\nBearer " + token
	encoded := strings.NewReplacer("\n", "%0A", " ", "%20", "/", "%2F").Replace(fake)
	var hostile [][2]string
	for _, part := range []string{
		"Bearer " + token, `\nBearer ` + token, strings.ReplaceAll(fake, "\n", `\n`), encoded, "\x0bBearer " + token,
		"\xe2\x80\xa8Bearer " + token, "\xc2\x85Bearer " + token, strings.ReplaceAll(fake, "\n", "\x0c"),
	} {
		for _, name := range []string{"Cookie", "Connection", "X_Consumer_ID", "X-Consumer-Username", "X_Anonymous_Consumer", "X-Other"} {
			hostile = append(hostile, [2]string{name, part})
		}
	}
	for i, header := range hostile {
		t.Run(fmt.Sprintf("%s/%d", header[0], i), func(t *testing.T) {
			t.Parallel()
			if a := g.send(t, "GET", "/plain", header); a.status < 400 || a.status >= 500 || a.upstream != nil {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	for _, query := range []string{"Bearer%20" + token, encoded, "x=" + encoded, "%0A%0A%0A%0A%0ABearer%20" + token} {
		t.Run("query/"+query[:9], func(t *testing.T) {
			t.Parallel()
			if a := g.send(t, "GET", "/plain?"+query, [2]string{"X-Other", "x"}); a.status != http.StatusUnauthorized || a.upstream != nil {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	// Nor may any of it keep a good token from being found.
	for i, header := range hostile {
		if header[0] == "Connection" || strings.ContainsAny(header[1], "\x0b\x0c") {
			continue // which may name a header to be refused for; which Go's client does not send on
		}
		t.Run(fmt.Sprintf("with a token/%s/%d", header[0], i), func(t *testing.T) {
			t.Parallel()
			a := g.send(t, "GET", "/plain", header, [2]string{"Authorization", "Bearer " + token})
			if a.status != 200 || a.upstream == nil || strings.Join(a.upstream.Headers["X-Consumer-Id"], ",") != conformance.Alice {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}

// TestVariableOfAnotherVersion: it is not used, told of once, and all works.
func TestVariableOfAnotherVersion(t *testing.T) {
	t.Parallel()
	needsGateway(t)
	if os.Getenv("SPEC_SETUP") == "data-plane" {
		t.Skip("the include that is kept in a file is not for the gateway's prefix, and there is no Admin API")
	}
	text, err := os.ReadFile(variableFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(string) string{
		"other tag":     func(s string) string { return strings.Replace(s, "go-jwt/2", "go-jwt/1", 1) },
		"other content": func(s string) string { return strings.Replace(s, "go-jwt/2 :bare :protocol\\n", "", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "other.conf")
			if err := os.WriteFile(file, []byte(edit(string(text))), 0o600); err != nil {
				t.Fatal(err)
			}
			g := specGateway(t, "-nginx-include", file, "-plugin-arg=-store=admin")
			jwt := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")}
			for range 3 {
				if a := g.send(t, "GET", "/plain", jwt); a.status != 200 {
					t.Errorf("%d %s", a.status, a.body)
				}
			}
			const told = "by another version of go-jwt"
			if n := strings.Count(g.prints(t, told, 1), told); n != 1 {
				t.Errorf("%d warnings, want 1", n)
			}
		})
	}
}

// TestCallsOfAnEvent: an accepted request costs one call to read, and three that
// nothing is awaited of.
func TestCallsOfAnEvent(t *testing.T) {
	t.Parallel()
	writes := map[string]int{"kong.client.authenticate": 1, "kong.service.request.set_headers": 1, "kong.ctx.shared.set": 1}
	for name, tt := range map[string]struct {
		args  []string
		reads map[string]int
	}{
		"with the variable":    {[]string{"-nginx-include=auto"}, map[string]int{"kong.nginx.get_var": 1}},
		"without the variable": {[]string{"-nginx-include=" + withoutMaps()}, map[string]int{"kong.request.get_headers": 1, "kong.nginx.get_var": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needsGateway(t)
			g := specGateway(t, tt.args...)
			jwt := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")}
			send := func() {
				if a := g.send(t, "GET", "/plain", jwt); a.status != 200 {
					t.Fatalf("%d %s", a.status, a.body)
				}
			}
			send() // looks the consumer up
			before := g.calls(t)
			send()
			for method, n := range g.calls(t) {
				if got := n - before[method]; got != writes[method]+tt.reads[method] {
					t.Errorf("%d times %s", got, method)
				}
			}
		})
	}
}

// TestShareToken: without share_token the token goes nowhere, and is hidden as well
// as with it.
func TestShareToken(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	g := withRoutes(t, map[string][]any{
		"/shared": jwt(object{}), "/unshared": jwt(object{"share_token": false}),
		"/hidden": jwt(object{"share_token": false, "hide_credentials": true}),
	}, nil)
	calls := 0
	for _, tt := range []struct {
		path    string
		calls   int
		headers []string // Authorization, at the upstream
	}{
		{"/shared", 1, []string{bearer(claimsToken(t, nil))[1]}},
		{"/unshared", 0, []string{bearer(claimsToken(t, nil))[1]}},
		{"/hidden", 0, nil},
	} {
		for range 2 { // the second time from the cache
			a := g.send(t, "GET", tt.path, bearer(claimsToken(t, nil)))
			if got := identityOf(a); got != alice {
				t.Fatalf("%s: got %s, want %s", tt.path, got, alice)
			}
			if got := a.upstream.Headers["Authorization"]; !reflect.DeepEqual(got, tt.headers) {
				t.Errorf("%s: the upstream got Authorization %q, want %q", tt.path, got, tt.headers)
			}
			calls += tt.calls
			if got := g.calls(t)["kong.ctx.shared.set"]; got != calls {
				t.Errorf("%s: kong.ctx.shared.set was called %d times in all, want %d", tt.path, got, calls)
			}
		}
	}
}

// TestFailedCall: when one of the calls of a batch fails, Kong ends the request
// with 500, whatever stands behind it, and the next request is served.
func TestFailedCall(t *testing.T) {
	t.Parallel()
	for _, method := range []string{
		"kong.nginx.get_var", "kong.client.load_consumer", "kong.client.authenticate", "kong.service.request.set_headers", "kong.ctx.shared.set",
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			args := []string{"-fail-call", method}
			if method == "kong.client.load_consumer" { // the node's store has no need of it
				needsAdminLookups(t)
				args = append(args, "-plugin-arg=-store=admin")
			}
			g := withVariable(t, args...)
			jwt := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")}
			for range 3 { // the last ones from the cache, as far as it comes
				if a := g.send(t, "GET", "/plain", jwt); a.status != 500 || a.upstream != nil {
					t.Errorf("%d %s", a.status, a.body)
				}
			}
			if a := g.send(t, "OPTIONS", "/preflight", [2]string{"X-Anonymous-Consumer", ""}); (a.status != 200) != (method == "kong.nginx.get_var" || method == "kong.service.request.set_headers") {
				t.Errorf("a request without that call: %d %s", a.status, a.body)
			}
		})
	}
}
