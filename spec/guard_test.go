package spec_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"kong-go-jwt/spec/conformance"
)

// spellings are those of an identity header that upstreams may take for it.
func spellings(name string) []string {
	under := strings.ReplaceAll(name, "-", "_")
	return []string{
		name, strings.ToLower(name), strings.ToUpper(name),
		under, strings.ToLower(under), strings.ToUpper(under),
		strings.Replace(name, "-", "_", 1), strings.Replace(under, "_", "-", 1),
	}
}

func plain(s string) string { return s }

// TestGuardConnection: Kong deletes what the client's Connection header names,
// after the plugins ran. A request that would lose its identity so is refused.
func TestGuardConnection(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		g := specGateway(t, way...)
		jwt := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")}
		for _, name := range identity {
			for _, value := range []string{name, "close, " + name, "keep-alive," + strings.ToLower(name), name + " , x"} {
				for _, route := range []string{"/plain", "/anonymous"} {
					t.Run(route+"/"+value, func(t *testing.T) {
						t.Parallel()
						a := g.send(t, "GET", route, jwt, [2]string{"Connection", value})
						if a.status != http.StatusBadRequest || a.upstream != nil {
							t.Errorf("%d %s, want 400", a.status, a.body)
						}
					})
				}
			}
		}
		t.Run("the second of two headers", func(t *testing.T) {
			t.Parallel()
			a := g.send(t, "GET", "/plain", jwt, [2]string{"Connection", "keep-alive"}, [2]string{"Connection", "X-Consumer-ID"})
			if a.status != http.StatusBadRequest || a.upstream != nil {
				t.Errorf("%d %s, want 400", a.status, a.body)
			}
		})
		for _, value := range []string{"close", "keep-alive", "keep-alive, X-Other", "upgrade", ""} {
			t.Run("harmless/"+value, func(t *testing.T) {
				t.Parallel()
				a := g.send(t, "GET", "/plain", jwt, [2]string{"Connection", value})
				if a.status != 200 || len(a.upstream.Headers["X-Consumer-Id"]) != 1 {
					t.Errorf("%d %s", a.status, a.body)
				}
			})
		}
	})
}

// TestUnguarded shows what guard_headers is for: this is what the bundled
// plugin lets happen.
func TestUnguarded(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		g := specGateway(t, way...)
		jwt := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")}
		a := g.send(t, "GET", "/unguarded", jwt, [2]string{"Connection", "close, X-Consumer-ID"})
		if a.status != 200 || a.upstream.Headers["X-Consumer-Id"] != nil || a.upstream.Headers["X-Consumer-Username"] == nil {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// TestGuardSpellings: no spelling of an identity header that a client sends
// reaches the upstream, with a token or without.
func TestGuardSpellings(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		g := specGateway(t, way...)
		token := tokenOf(t, "hs256", "hs-a", "HS256")
		jwt := [2]string{"Authorization", "Bearer " + token}
		alice := map[string][]string{
			"Authorization": {jwt[1]}, "X-Consumer-Id": {conformance.Alice}, "X-Consumer-Username": {"alice"},
			"X-Consumer-Custom-Id": {"a-1"}, "X-Credential-Identifier": {"hs256"},
		}
		anonymous := map[string][]string{
			"X-Consumer-Id": {conformance.Anonymous}, "X-Consumer-Username": {"anonymous-user"}, "X-Anonymous-Consumer": {"true"},
		}
		tests := []struct {
			name, method, route string
			headers             [][2]string
			want                map[string][]string
		}{
			{"token", "GET", "/plain", [][2]string{jwt}, alice},
			{"anonymous", "GET", "/anonymous", nil, anonymous},
			{"preflight", "OPTIONS", "/preflight", nil, map[string][]string{}},
		}
		for _, tt := range tests {
			for _, name := range identity {
				for _, spelt := range spellings(name) {
					t.Run(tt.name+"/"+spelt, func(t *testing.T) {
						t.Parallel()
						headers := append([][2]string{{spelt, "evil"}}, tt.headers...)
						headers = append(headers, [2]string{spelt, "root"})
						compare(t, tt.method, conformance.Answer{
							Status: 200, Upstream: &conformance.Received{Method: tt.method, URI: "/", Headers: tt.want},
						}, plain, g.send(t, tt.method, tt.route, headers...))
					})
				}
			}
		}
	})
}

// TestGuardBehindAnEmptyHeader: an old nginx shows the first alone of several headers
// that read the same but for underscores, so that an empty one could hide the next.
func TestGuardBehindAnEmptyHeader(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		g := specGateway(t, way...)
		jwt := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")}
		for _, empty := range []string{"X_Consumer_ID", "X-Consumer-ID"} {
			t.Run(empty, func(t *testing.T) {
				t.Parallel()
				a := g.send(t, "GET", "/plain", jwt, [2]string{empty, ""}, [2]string{"X_Consumer_ID", "evil"}, [2]string{"X-Consumer_ID", "evil"})
				if a.status != 200 || a.upstream == nil {
					t.Fatalf("%d %s", a.status, a.body)
				}
				for name, values := range a.upstream.Headers {
					if slices.Contains(values, "evil") {
						t.Errorf("the upstream got %s: %q", name, values)
					}
				}
			})
		}
	})
}

// TestGuardHiddenSpelling: where a line has no colon and the next one ends in LF alone,
// the one after that does not show in the head of the request that nginx tells of.
func TestGuardHiddenSpelling(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		g := specGateway(t, way...)
		jwt := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")}
		a := g.send(t, "GET", "/plain", jwt, [2]string{"No-Colon\r\nX-Any", "value\nX_Consumer_ID: evil"})
		if a.status != 200 || a.upstream == nil {
			t.Fatalf("%d %s", a.status, a.body)
		}
		for name, values := range a.upstream.Headers {
			if slices.Contains(values, "evil") {
				t.Errorf("the upstream got %s: %q", name, values)
			}
		}
	})
}

// TestGuardEmptySpellingOfAnonymous: an empty header voids the true one at an upstream
// that cannot tell them apart. It does not show in the variable, or may be hidden from it:
// lines that do not end in CR LF are not told apart there.
func TestGuardEmptySpellingOfAnonymous(t *testing.T) {
	t.Parallel()
	needsGateway(t)
	g := withVariable(t)
	for name, sent := range map[string][2]string{
		"X_Anonymous_Consumer": {"X_Anonymous_Consumer", ""},
		"x-anonymous_consumer": {"x-anonymous_consumer", ""},
		"X_Anonymous-Consumer": {"X_Anonymous-Consumer", ""},
		"hidden":               {"No-Colon\r\nX-Any", "value\nX_Anonymous_Consumer:"},
	} {
		t.Run(name, func(t *testing.T) {
			a := g.send(t, "GET", "/anonymous", sent)
			if a.status != 200 || a.upstream == nil {
				t.Fatalf("%d %s", a.status, a.body)
			}
			for name, values := range a.upstream.Headers {
				if like := strings.EqualFold(strings.ReplaceAll(name, "_", "-"), "X-Anonymous-Consumer"); like && values[0] != "true" {
					t.Errorf("the upstream got %s: %q", name, values)
				}
			}
		})
	}
}

// TestGuardEmptyHeaders: an identity header without a value is the client's too, and does
// not reach the upstream in any spelling.
func TestGuardEmptyHeaders(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		g := specGateway(t, way...)
		jwt := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")}
		for _, name := range []string{"X-Anonymous-Consumer", "X-Consumer-Custom-ID", "X_Consumer_ID", "x-consumer_username", "X_Anonymous-Consumer"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				a := g.send(t, "GET", "/plain", jwt, [2]string{name, ""})
				if a.status != 200 || a.upstream == nil {
					t.Fatalf("%d %s", a.status, a.body)
				}
				for sent, values := range a.upstream.Headers {
					if strings.EqualFold(strings.ReplaceAll(sent, "_", "-"), strings.ReplaceAll(name, "_", "-")) && slices.Contains(values, "") {
						t.Errorf("the upstream got %s: %q", sent, values)
					}
				}
			})
		}
	})
}

// TestGuardAllSpellingsAtOnce sends them all in one request, the real ones too.
func TestGuardAllSpellingsAtOnce(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		g := specGateway(t, way...)
		jwt := [2]string{"Authorization", "Bearer " + tokenOf(t, "rs256", "rsa-a", "RS256")}
		headers := [][2]string{jwt}
		for _, name := range identity {
			for _, spelt := range spellings(name) {
				headers = append(headers, [2]string{spelt, "evil"})
			}
		}
		compare(t, "GET", conformance.Answer{Status: 200, Upstream: &conformance.Received{
			Method: "GET", URI: "/", Headers: map[string][]string{
				"Authorization": {jwt[1]}, "X-Consumer-Id": {conformance.Bob}, "X-Consumer-Username": {"bob"},
				"X-Credential-Identifier": {"rs256"},
			},
		}}, plain, g.send(t, "GET", "/plain", headers...))
	})
}

// TestManyHeaders hides a spoofed spelling behind more headers than Kong's
// get_headers gives by default. With as many as it can give at most, 1000, some
// may not have been seen, and the request is refused; it is let in where all that
// could be spoofed is gone before.
func TestManyHeaders(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		g, edge := specGateway(t, way...), slices.Contains(way, "-nginx-conf-arg=-edge")
		jwt := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")}
		for n, status := range map[int]int{90: 200, 150: 200, 400: 200, 999: 200, 1000: 431, 1001: 400} {
			switch {
			case n == 1001 && onRealKong(): // 400 is nginx's, since a patch of Kong 3.9.3
				continue
			case edge && n <= 1000:
				status = 200
			}
			headers := slices.Repeat([][2]string{{"X-Pad", "p"}}, n-3) // and Host
			headers = append(headers, [2]string{"X_Consumer_ID", "evil"}, jwt)
			a := g.send(t, "GET", "/plain", headers...)
			if a.status != status || (a.upstream != nil) != (status == 200) || status == 200 && username(a) != "alice" {
				t.Errorf("%d headers: %d %s, want %d", n, a.status, a.body, status)
				continue
			}
			if a.upstream == nil {
				continue
			}
			for name, values := range relevant(a.upstream.Headers) {
				if strings.Contains(strings.Join(values, ","), "evil") {
					t.Errorf("%d headers: the upstream got %s: %q", n, name, values)
				}
			}
		}
	})
}
