package spec_test

import (
	"strings"
	"testing"

	"kong-go-jwt/spec/conformance"
)

// TestKeysLikeUUIDs: the Admin API takes what looks like a UUID for an id, not
// a key. A credential with such a key must be found all the same, and a token
// that names the id of a credential must not pass for its key.
func TestKeysLikeUUIDs(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	const key, id = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"
	config := copyConfig(t, specConfig(t))
	secret := string(setup.keys["hs-a"].Secret)
	alice := consumer(t, config, conformance.Alice)
	alice["jwt_secrets"] = append(list(alice["jwt_secrets"]),
		object{"key": key, "secret": secret}, object{"id": id, "key": "by-id", "secret": secret})
	g := startGateway(t, config)
	for iss, status := range map[string]int{key: 200, "by-id": 200, id: 401, "77777777-2222-4333-8444-555555555555": 401} {
		a := g.send(t, "GET", "/plain", [2]string{"Authorization", "Bearer " + tokenOf(t, iss, "hs-a", "HS256")})
		if a.status != status {
			t.Errorf("%s: %d %s, want %d", iss, a.status, a.body, status)
		}
	}
}

// TestOddKeys: a key is one segment of an Admin API path, whatever is in it.
func TestOddKeys(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	keys := []string{
		"a/b", "..", ".", "../consumers", "a?b", "a#b", "a%2Fb", "%", " ", "a+b", "ключ", "a;b", "?size=1", "/", "\\",
		"a\nb", "\u0000", "{}", "\"", "/../..", "../../../x",
	}
	config := copyConfig(t, specConfig(t))
	alice := consumer(t, config, conformance.Alice)
	for _, k := range keys {
		alice["jwt_secrets"] = append(list(alice["jwt_secrets"]), object{"key": k, "secret": string(setup.keys["hs-a"].Secret)})
	}
	g := startGateway(t, config)
	for _, k := range keys {
		jwt := [2]string{"Authorization", "Bearer " + tokenOf(t, k, "hs-a", "HS256")}
		status, guest := 200, "alice"
		// These cannot stand in a path of the Admin API, and NUL in no database.
		pathless := k == "." || k == ".." || strings.HasSuffix(k, "/..") || strings.HasPrefix(k, "../../")
		if !byConfiguration() && (k == "\x00" || pathless && !byNode()) {
			status, guest = 401, "anonymous-user"
		}
		if a := g.send(t, "GET", "/plain", jwt); a.status != status || status == 200 && username(a) != "alice" {
			t.Errorf("%q: %d %s, want %d", k, a.status, a.body, status)
		}
		if a := g.send(t, "GET", "/anonymous", jwt); a.status != 200 || username(a) != guest {
			t.Errorf("%q, anonymous allowed: %d %q, want %s", k, a.status, username(a), guest)
		}
		other := g.send(t, "GET", "/plain", [2]string{"Authorization", "Bearer " + tokenOf(t, k+"x", "hs-a", "HS256")})
		if other.status != 401 {
			t.Errorf("%q: %d %s", k+"x", other.status, other.body)
		}
	}
}

// TestStoreNone: with -store none, the credentials in the configuration are all there
// are, though this node's store and its Admin API could be asked, and a consumer that a
// new configuration has changed counts at once.
func TestStoreNone(t *testing.T) {
	needsLookups(t)
	if !hasConfigurations() {
		t.Skip("a change in a database is no new configuration")
	}
	t.Parallel()
	config := copyConfig(t, specConfig(t))
	secret := string(setup.keys["hs-a"].Secret)
	addRoute(config, "/own", object{"credentials": []any{object{"key": "own", "secret": secret, "consumer": conformance.Alice}}})
	g := startGateway(t, config, "-nginx-include=auto", "-plugin-arg=-store=none")
	ask := func(path, key string) string {
		return identityOf(g.send(t, "GET", path, bearer(tokenOf(t, key, "hs-a", "HS256"))))
	}
	const unknown = `401 {"message":"No credentials found for given 'iss'"}`
	for _, tt := range [][3]string{
		{"/own", "own", "alice|own|"},
		{"/own", "own", "alice|own|"}, // remembered
		{"/own", "hs256", unknown},
		{"/plain", "hs256", unknown},
		{"/plain", "own", unknown},
	} {
		if got := ask(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s %s: %s, want %s", tt[0], tt[1], got, tt[2])
		}
	}
	var stats struct {
		Admin int `json:"admin_total"`
		Store int `json:"store_total"`
	}
	if g.get(t, "/__stats", &stats); stats.Admin != 0 || stats.Store != 0 {
		t.Errorf("looked up %+v times", stats)
	}
	consumer(t, config, conformance.Alice)["username"] = "alicia"
	g.configure(t, config)
	if got := ask("/own", "own"); got != "alicia|own|" {
		t.Errorf("after the change: %s", got)
	}
}
