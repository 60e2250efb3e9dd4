package spec_test

import (
	"fmt"
	"testing"
	"time"

	"kong-go-jwt/verify"
)

// apart is by how many seconds a clock is ahead of the gateway's, or behind it.
const apart = 30

// leeways are without one, and one that covers that and a busy machine.
var leeways = []int{0, 2 * apart}

// seen are the answers without and with a leeway.
type seen [2]string

func always(answer string) seen { return seen{answer, answer} }

// bothLeeways is a route for each leeway, at /LEEWAY/name, with this configuration.
func bothLeeways(routes map[string][]any, name string, config object) {
	for _, leeway := range leeways {
		c := object{"leeway": leeway}
		for k, v := range config {
			c[k] = v
		}
		routes[fmt.Sprintf("/%d/%s", leeway, name)] = jwt(c)
	}
}

// TestIssuersClock: what clients see of an issuer whose clock is 30 seconds ahead or
// behind. Times are in seconds from then, by the issuer's clock.
func TestIssuersClock(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	p, key, args := provider(t)
	revoked := time.Now().Unix()
	routes := map[string][]any{}
	bothLeeways(routes, "issuer", object{"issuers": []any{object{"issuer": p.URL}}})
	bothLeeways(routes, "credential", object{"claims_to_verify": []any{"exp", "nbf"}})
	bothLeeways(routes, "exp", object{"claims_to_verify": []any{"exp"}})
	bothLeeways(routes, "maximum", object{"claims_to_verify": []any{"exp"}, "maximum_expiration": 300})
	bothLeeways(routes, "revoked", object{"revoked": []any{object{"sub": "alice", "issued_before": revoked}}})
	g := withRoutes(t, routes, args)
	const (
		expired  = `401 {"exp":"token expired"}`
		notYet   = `401 {"nbf":"token not valid yet"}`
		future   = `401 {"iat":"token issued in the future"}`
		exceeds  = `401 {"exp":"exceeds maximum allowed expiration"}`
		withdrew = `401 {"message":"Token revoked"}`
		issued   = "alice|alice|"
	)
	for name, tt := range map[string]struct {
		route         string
		times         map[string]int64
		ahead, behind seen
	}{
		"iat of an issuer's token": {"issuer", map[string]int64{"iat": 0, "exp": 300}, seen{future, issued}, always(issued)},
		"nbf of an issuer's token": {"issuer", map[string]int64{"iat": 0, "nbf": 0, "exp": 300}, seen{notYet, issued}, always(issued)},
		"exp of an issuer's token": {"issuer", map[string]int64{"exp": 20}, always(issued), seen{expired, issued}},
		"nbf":                      {"credential", map[string]int64{"nbf": 0, "exp": 300}, seen{notYet, alice}, always(alice)},
		"exp":                      {"credential", map[string]int64{"nbf": -60, "exp": 20}, always(alice), seen{expired, alice}},
		"iat, which is not asked":  {"exp", map[string]int64{"iat": 0, "exp": 300}, always(alice), always(alice)},
		// A limit of the gateway's own: leeway does not raise it.
		"all of maximum_expiration": {"maximum", map[string]int64{"exp": 300}, always(exceeds), always(alice)},
		// Who was revoked a moment ago gets in with a new token of such an issuer later.
		"issued after issued_before": {"revoked", map[string]int64{"iat": 10}, always(alice), always(withdrew)},
	} {
		t.Run(name, func(t *testing.T) {
			for clock, want := range map[int64]seen{apart: tt.ahead, -apart: tt.behind} {
				for i, leeway := range leeways {
					now := time.Now().Unix() + clock
					if tt.route == "revoked" {
						now = revoked + clock
					}
					claims := object{"sub": "alice"}
					for claim, at := range tt.times {
						claims[claim] = now + at
					}
					token := claimsToken(t, claims)
					if tt.route == "issuer" {
						var err error
						if token, err = p.Token(key, claims, nil); err != nil {
							t.Fatal(err)
						}
					}
					for range 2 { // the second time remembered, where it is accepted
						if got := identityOf(g.send(t, "GET", fmt.Sprintf("/%d/%s", leeway, tt.route), bearer(token))); got != want[i] {
							t.Errorf("clock %+d s, leeway %d: got %s, want %s", clock, leeway, got, want[i])
						}
					}
				}
			}
		})
	}
}

// TestDPoPClientsClock: what a client sees that makes proofs by such a clock.
func TestDPoPClientsClock(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	routes := map[string][]any{}
	bothLeeways(routes, "proof", object{"dpop": "honour"})
	bothLeeways(routes, "short", object{"dpop": "honour", "dpop_proof_lifetime": 10})
	bothLeeways(routes, "nonce", object{"dpop": "honour", "dpop_use_nonce": true})
	g := withRoutes(t, routes, nil)
	c := newDPoPClient(t)
	const (
		future  = `401 {"message":"Invalid DPoP proof; iat is in the future"}`
		tooLong = `401 {"message":"Invalid DPoP proof; iat is too long ago"}`
	)
	for name, tt := range map[string]struct {
		route         string
		ahead, behind seen
	}{
		"iat":                     {"proof", seen{future, alice}, always(alice)},
		"iat of a shorter life":   {"short", seen{future, alice}, seen{tooLong, alice}},
		"iat of one with a nonce": {"nonce", always(alice), always(alice)},
	} {
		t.Run(name, func(t *testing.T) {
			for clock, want := range map[int64]seen{apart: tt.ahead, -apart: tt.behind} {
				for i, leeway := range leeways {
					path := fmt.Sprintf("/%d/%s", leeway, tt.route)
					send := func(claims object) answer {
						claims["iat"] = time.Now().Unix() + clock
						return g.send(t, "GET", path, c.sent(c.proof(t, "GET", "http://"+g.proxy+path, nil, claims))...)
					}
					a := send(object{})
					if tt.route == "nonce" {
						if a.status != 401 {
							t.Errorf("without a nonce: %d", a.status)
						}
						a = send(object{"nonce": a.header.Get("DPoP-Nonce")})
					}
					if got := identityOf(a); got != want[i] {
						t.Errorf("clock %+d s, leeway %d: got %s, want %s", clock, leeway, got, want[i])
					}
				}
			}
		})
	}
}

// TestServicesClock: an upstream_assertion at a service by such a clock. The gateway
// mints it anew at half its life of 60 seconds, so one that is 30 seconds ahead sees
// what ends at that moment.
func TestServicesClock(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	_, key := signingKey(t)
	g := startGateway(t, assertionConfig(t, upstream(t), map[string]object{"/a": {"upstream_assertion": assertion(nil, key)}}, key))
	minted := func() string {
		return g.send(t, "GET", "/a", bearer(tokenOf(t, "hs256", "hs-a", "HS256"))).upstream.Headers[assertionHeader][0]
	}
	for name, tt := range map[string]struct {
		clock    time.Duration
		accepted [2]bool // without and with the default leeway
	}{
		"right":                         {0, [2]bool{true, true}},
		"behind":                        {-apart * time.Second, [2]bool{false, true}},
		"ahead":                         {apart * time.Second, [2]bool{true, true}},
		"ahead, at the end of its life": {(apart + 40) * time.Second, [2]bool{false, true}},
		"far ahead":                     {5 * apart * time.Second, [2]bool{false, false}},
		"far behind":                    {-5 * apart * time.Second, [2]bool{false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			for i, leeway := range []time.Duration{-1, verify.DefaultLeeway} {
				v := verifier(t, g, func(o *verify.Options) {
					o.Leeway, o.Now = leeway, func() time.Time { return time.Now().Add(tt.clock) }
				})
				if _, err := v.Verify(t.Context(), minted()); (err == nil) != tt.accepted[i] {
					t.Errorf("leeway %v: %v, want accepted %v", leeway, err, tt.accepted[i])
				}
			}
		})
	}
}
