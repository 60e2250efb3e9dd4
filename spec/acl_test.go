package spec_test

import (
	"testing"

	"kong-go-jwt/spec/conformance"
)

// TestACL puts the bundled acl behind the plugin: it must find the consumer
// that the plugin authenticated.
func TestACL(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	config := copyConfig(t, specConfig(t))
	consumer(t, config, conformance.Alice)["acls"] = []any{object{"group": "staff"}}
	consumer(t, config, conformance.Anonymous)["acls"] = []any{object{"group": "guests"}}
	service, _ := list(config["services"])[0].(object)
	for path, plugins := range map[string][]any{
		"/staff":   {object{"name": "go-jwt"}, object{"name": "acl", "config": object{"allow": []any{"staff"}}}},
		"/nostaff": {object{"name": "go-jwt"}, object{"name": "acl", "config": object{"deny": []any{"staff"}}}},
		"/guests": {
			object{"name": "go-jwt", "config": object{"anonymous": "anonymous-user"}},
			object{"name": "acl", "config": object{"allow": []any{"staff", "guests"}}},
		},
	} {
		service["routes"] = append(list(service["routes"]), object{"name": path[1:], "paths": []any{path}, "plugins": plugins})
	}
	g := startGateway(t, config)
	alice, bob := tokenOf(t, "hs256", "hs-a", "HS256"), tokenOf(t, "rs256", "rsa-a", "RS256")
	for _, tt := range []struct {
		path, token string
		status      int
		groups      string
	}{
		{"/staff", alice, 200, "staff"},
		{"/staff", bob, 403, ""},
		{"/staff", "", 401, ""},
		{"/nostaff", alice, 403, ""},
		{"/nostaff", bob, 200, ""},
		{"/guests", alice, 200, "staff"},
		{"/guests", bob, 403, ""},
		{"/guests", "", 200, "guests"},
	} {
		var headers [][2]string
		if tt.token != "" {
			headers = append(headers, [2]string{"Authorization", "Bearer " + tt.token})
		}
		a := g.send(t, "GET", tt.path, headers...)
		groups := ""
		if a.upstream != nil && len(a.upstream.Headers["X-Consumer-Groups"]) == 1 {
			groups = a.upstream.Headers["X-Consumer-Groups"][0]
		}
		if a.status != tt.status || groups != tt.groups {
			t.Errorf("%s %.20s: %d %q, want %d %q (%s)", tt.path, tt.token, a.status, groups, tt.status, tt.groups, a.body)
		}
	}
}
