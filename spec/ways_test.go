package spec_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// ways are the ways in which the plugin can read a request, by the flags that the
// gateway is given for each.
var ways = map[string][]string{
	"all headers": {"-nginx-include=" + withoutMaps()},
	"variable":    {"-nginx-include=auto"},
	"edge":        {"-nginx-include=auto", "-nginx-conf-arg=-edge"},
	"edge, carried": {
		"-nginx-include=auto", "-nginx-conf-arg=-edge",
		"-nginx-conf-arg=-header=X-User", "-nginx-conf-arg=-header=X-Roles", "-nginx-conf-arg=-header=X-Each", "-nginx-conf-arg=-header=X-Sub",
		carriesCertificate,
	},
	// One before 1.23, which shows less of repeated headers.
	"old nginx": {"-nginx-include=auto", "-nginx-version=1.21.4"},
}

// carriesCertificate has nginx remove other spellings of the header that TestCertificateHeader sends.
const carriesCertificate = "-nginx-conf-arg=-header=X-Client-Cert"

// withoutMaps is the gateway's -nginx-include without the variable, but with the
// server if credentials come from there.
func withoutMaps() string {
	if byNode() {
		return "server"
	}
	return ""
}

// eachWay runs a spec for each of them. A real Kong has one.
func eachWay(t *testing.T, spec func(t *testing.T, way ...string)) {
	t.Helper()
	t.Parallel()
	if onRealKong() {
		spec(t)
		return
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec(t, way...)
		})
	}
}

// TestWaysAgree: random requests, of what attackers try, are answered the same whichever
// way they are read, and no forged identity reaches the upstream.
func TestWaysAgree(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	config := copyConfig(t, specConfig(t))
	addRoute(config, "/hide", object{"hide_credentials": true, "cookie_names": []any{"jwt", "sid"}, "header_names": []any{"authorization", "x_token"}})
	addRoute(config, "/claims", object{"claims_to_headers": []any{object{"header": "X-Sub", "claim": []any{"sub"}}}})
	addRoute(config, "/guest", object{"cookie_names": []any{"jwt"}, "anonymous": "anonymous-user"})
	gateways := map[string]*gateway{}
	for _, way := range []string{"all headers", "variable", "old nginx"} {
		gateways[way] = startGateway(t, config, ways[way]...)
	}
	r := newRequests(t)
	for range 300 {
		method, target, headers := r.next()
		outcome := func(g *gateway) (status int, body string, upstream any) {
			a := g.send(t, method, target, headers...)
			if a.upstream == nil {
				var message struct{ Message string }
				json.Unmarshal(a.body, &message)
				return a.status, message.Message, nil
			}
			got := relevant(a.upstream.Headers)
			for name, values := range got {
				if strings.Contains(strings.Join(values, ","), "forged") && !strings.HasPrefix(target, "/unguarded") {
					t.Errorf("%s %s %q: the upstream got %s: %q", method, target, headers, name, values)
				}
				if strings.Contains(name, "_") && strings.TrimSpace(strings.Join(values, "")) == "" {
					delete(got, name) // docs/divergences.md: it does not show in the variable
				}
			}
			return a.status, a.upstream.URI, got
		}
		status, text, upstream := outcome(gateways["all headers"])
		for way, g := range gateways {
			if s, x, u := outcome(g); s != status || x != text || !reflect.DeepEqual(u, upstream) {
				t.Errorf("%s %s %q: %s: %d %s %v, but with all headers %d %s %v", method, target, headers, way, s, x, u, status, text, upstream)
			}
		}
		r.answered[status]++
	}
	if r.answered[200] < 50 || r.answered[401] < 50 || r.answered[400] < 5 {
		t.Errorf("the requests are too much alike: %v", r.answered)
	}
}

// requests makes requests up: each time the same ones, unless SPEC_SEED is another number.
type requests struct {
	*rand.Rand
	tokens   []string
	answered map[int]int // by status
}

func newRequests(t *testing.T) *requests {
	t.Helper()
	seed := uint64(1)
	if s := os.Getenv("SPEC_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal("SPEC_SEED: ", err)
		}
	}
	good := tokenOf(t, "hs256", "hs-a", "HS256")
	return &requests{
		rand.New(rand.NewPCG(seed, 0)),
		[]string{good, good, good + "=", tokenOf(t, "hs256", "hs-b", "HS256"), tokenOf(t, "rs256", "rsa-a", "RS256"), "x.y.z", ""},
		map[int]int{},
	}
}

func (r *requests) one(of ...string) string { return of[r.IntN(len(of))] }

// some puts up to n parts together.
func (r *requests) some(n int, of ...string) string {
	var b strings.Builder
	for range r.IntN(n + 1) {
		b.WriteString(r.one(of...))
	}
	return strings.Trim(b.String(), " ")
}

func (r *requests) next() (method, target string, headers [][2]string) {
	token := r.one(r.tokens...)
	name := func() string {
		return r.one(spellings(r.one(append(identity, "X-Sub", "X-Token")...))...)
	}
	add := func(most int, header func() [2]string) {
		for range r.IntN(most + 1) {
			headers = append(headers, header())
		}
	}
	if r.IntN(3) > 0 {
		headers = append(headers, [2]string{"Authorization", r.one("Bearer ", "bearer ", "BEARER ", "Basic x, Bearer ", "Bearer\t", "", "Bearer") + token})
	}
	add(3, func() [2]string {
		return [2]string{name(), r.one("", "", "forged", "forged, too", " ", "Bearer "+token)}
	})
	if r.IntN(3) == 0 {
		add(2, func() [2]string {
			return [2]string{"Connection", r.one("close", "keep-alive", "x, y", name(), "close, "+name(), "authorization")}
		})
	}
	add(1, func() [2]string {
		return [2]string{"Cookie", r.some(6, "jwt=", "jwt", "sid=", token, ";", "; ", ",", "a=1", "=", " ", "\t")}
	})
	r.Shuffle(len(headers), func(i, j int) { headers[i], headers[j] = headers[j], headers[i] })
	target = r.one("/plain", "/preflight", "/anonymous", "/unguarded", "/or", "/ro", "/hide", "/claims", "/guest")
	if r.IntN(3) == 0 {
		target += "?" + r.some(6, "jwt=", "jwt", "%6awt=", token, "&", "&", "a=1", "=", "+", "%00", "%zz")
	}
	return r.one("GET", "GET", "POST", "OPTIONS"), target, headers
}
