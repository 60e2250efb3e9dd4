package spec_test

import "testing"

// TestCredentialsOfOneKey: an old and a new secret, and a public key, are good
// side by side, and the metrics tell which of them is still in use.
func TestCredentialsOfOneKey(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	secret := func(name string) object {
		return object{"key": "rotated", "consumer": "alice", "secret": string(setup.keys[name].Secret)}
	}
	address, args := metered(t)
	config := copyConfig(t, specConfig(t))
	service, _ := list(config["services"])[0].(object)
	service["routes"] = []any{object{"name": "rotated", "paths": []any{"/rotated"}, "plugins": jwt(object{"credentials": []any{
		secret("hs-a"), secret("hs-b"),
		object{"key": "rotated", "consumer": "alice", "algorithm": "ES256", "public_key": setup.keys["p256"].PublicPEM()},
	}})}}
	g := startGateway(t, config, args...)
	for name, tt := range map[string]struct{ key, alg, want string }{
		"old secret":                  {"hs-a", "HS256", "alice|rotated|"},
		"new secret":                  {"hs-b", "HS256", "alice|rotated|"},
		"public key":                  {"p256", "ES256", "alice|rotated|"},
		"another key":                 {"p256-b", "ES256", `401 {"message":"Invalid signature"}`},
		"another secret":              {"pub:p256", "HS256", `401 {"message":"Invalid signature"}`},
		"an algorithm that none has":  {"hs-a", "HS512", `401 {"message":"Invalid algorithm"}`},
		"a public key's of none here": {"rsa-a", "RS256", `401 {"message":"Invalid algorithm"}`},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second time remembered
				if got := identityOf(g.send(t, "GET", "/rotated", bearer(tokenOf(t, "rotated", tt.key, tt.alg)))); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			}
		})
	}
	awaitMetrics(t, address)
	got := metrics(t, address)
	for position, want := range map[string]float64{"1": 1, "2": 1, "3": 1} {
		if n := got[`go_jwt_credential_used_total{key="rotated",position="`+position+`"}`]; n < want {
			t.Errorf("position %s was used %v times, want %v", position, n, want)
		}
	}
}
