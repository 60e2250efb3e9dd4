package spec_test

import (
	"testing"

	"kong-go-jwt/spec/conformance"
)

func tokenOf(t testing.TB, key, name, alg string) string {
	t.Helper()
	token, err := conformance.Token{Alg: alg, Key: name, Claims: map[string]any{"iss": key}}.Make(setup.keys)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestMultipleAuth has key-auth beside the plugin: both must pass without
// `anonymous`, one of them is enough with it. How the configuration orders them
// must not matter, their priorities do.
func TestMultipleAuth(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		g := specGateway(t, way...)
		jwt := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")}
		badJWT := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-b", "HS256")}
		key, badKey := [2]string{"apikey", "bobs-key"}, [2]string{"apikey", "wrong"}
		alice := map[string][]string{
			"X-Consumer-Id": {conformance.Alice}, "X-Consumer-Username": {"alice"}, "X-Consumer-Custom-Id": {"a-1"},
			"X-Credential-Identifier": {"hs256"},
		}
		bob := map[string][]string{
			"X-Consumer-Id": {conformance.Bob}, "X-Consumer-Username": {"bob"}, "X-Credential-Identifier": {conformance.BobsKeyID},
		}
		nobody := map[string][]string{
			"X-Consumer-Id": {conformance.Anonymous}, "X-Consumer-Username": {"anonymous-user"}, "X-Anonymous-Consumer": {"true"},
		}
		tests := []struct {
			name    string
			routes  []string
			headers [][2]string
			status  int
			who     map[string][]string
		}{
			{"and/both", []string{"/and", "/dna"}, [][2]string{jwt, key}, 200, bob},
			{"and/jwt only", []string{"/and", "/dna"}, [][2]string{jwt}, 401, nil},
			{"and/key only", []string{"/and", "/dna"}, [][2]string{key}, 401, nil},
			{"and/bad jwt", []string{"/and", "/dna"}, [][2]string{badJWT, key}, 401, nil},
			{"and/bad key", []string{"/and", "/dna"}, [][2]string{jwt, badKey}, 401, nil},
			{"and/none", []string{"/and", "/dna"}, nil, 401, nil},
			{"or/both", []string{"/or", "/ro"}, [][2]string{jwt, key}, 200, alice},
			{"or/jwt only", []string{"/or", "/ro"}, [][2]string{jwt}, 200, alice},
			{"or/key only", []string{"/or", "/ro"}, [][2]string{key}, 200, bob},
			{"or/bad jwt, good key", []string{"/or", "/ro"}, [][2]string{badJWT, key}, 200, bob},
			{"or/good jwt, bad key", []string{"/or", "/ro"}, [][2]string{jwt, badKey}, 200, alice},
			{"or/none", []string{"/or", "/ro"}, nil, 200, nobody},
			{"or/both bad", []string{"/or", "/ro"}, [][2]string{badJWT, badKey}, 200, nobody},
		}
		for _, tt := range tests {
			for _, route := range tt.routes {
				t.Run(tt.name+route, func(t *testing.T) {
					t.Parallel()
					want := conformance.Answer{Status: tt.status}
					a := g.send(t, "GET", route, tt.headers...)
					if a.status != tt.status {
						t.Fatalf("status %d, want %d: %s", a.status, tt.status, a.body)
					}
					if tt.who == nil {
						if a.upstream != nil {
							t.Error("the upstream was reached")
						}
						return
					}
					who := tt.who
					for _, h := range tt.headers {
						if h[0] == "Authorization" {
							who = with(who, h)
						}
					}
					want.Upstream = &conformance.Received{Method: "GET", URI: "/", Headers: who}
					compare(t, "GET", want, func(s string) string { return s }, a)
				})
			}
		}
	})
}

// TestTwoConsumers: key-auth and the plugin are both required, of two consumers.
// The one that runs last tells who the caller is, and nothing of the other one is
// left: not the custom_id of a consumer, where the last one has none.
func TestTwoConsumers(t *testing.T) {
	needsGateway(t)
	eachWay(t, func(t *testing.T, way ...string) {
		t.Run("key-auth first", func(t *testing.T) {
			t.Parallel()
			g := specGateway(t, append(way, "-priority=key-auth=2000")...)
			for range 2 {
				a := g.send(t, "GET", "/and", bearer(tokenOf(t, "rs256", "rsa-a", "RS256")), [2]string{"apikey", "alices-key"})
				if got, want := identityOf(a), "bob|rs256|"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				if got := a.upstream.Headers["X-Consumer-Custom-Id"]; got != nil {
					t.Errorf("the custom_id of key-auth's consumer is left: %q", got)
				}
			}
		})
		t.Run("key-auth last", func(t *testing.T) {
			t.Parallel()
			g := specGateway(t, way...)
			for range 2 {
				a := g.send(t, "GET", "/and", bearer(tokenOf(t, "hs256", "hs-a", "HS256")), [2]string{"apikey", "bobs-key"})
				if got, want := identityOf(a), "bob|"+conformance.BobsKeyID+"|"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				if got := a.upstream.Headers["X-Consumer-Custom-Id"]; got != nil {
					t.Errorf("the custom_id of the plugin's consumer is left: %q", got)
				}
			}
		})
	})
}

func with(headers map[string][]string, h [2]string) map[string][]string {
	out := map[string][]string{h[0]: {h[1]}}
	for k, v := range headers {
		out[k] = v
	}
	return out
}
