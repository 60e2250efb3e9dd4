package spec_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"kong-go-jwt/spec/conformance"
)

// TestRevocationUnderLoad changes a credential again and again, there and back,
// while others keep calling, and measures how soon each change is seen.
func TestRevocationUnderLoad(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	changes := 20
	if _, measured := floodSize(t); measured {
		changes = 100
	}
	g, change := startChanging(t, "-workers", "2")
	_, stop := load(t, g, "/plain", tokenOf(t, "rs256", "rsa-a", "RS256"))
	took := make([]time.Duration, changes)
	for i := range took {
		took[i] = change()
	}
	if failed, passed := stop(); failed != 0 || passed == 0 {
		t.Errorf("%d of %d requests failed", failed, failed+passed)
	}
	logDurations(t, took)
}

// TestRevocationWithBrokenPush: while changes cannot be told, nothing is trusted
// for longer than two seconds.
func TestRevocationWithBrokenPush(t *testing.T) {
	needsGateway(t)
	if !byNode() {
		t.Skip("nothing is pushed by the Admin API")
	}
	t.Parallel()
	changes := 3
	if _, measured := floodSize(t); measured {
		changes = 20
	}
	for _, fault := range []object{
		{"mode": "slow", "delay_ms": 60_000}, {"mode": "refuse"}, {"mode": "500"}, {"mode": "garbage"}, {"mode": "reset"},
	} {
		mode, _ := fault["mode"].(string)
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			g, change := startChanging(t)
			fault["of"] = "changes"
			if status, text := g.post(t, "/__faults", fault); status != 200 {
				t.Fatalf("%d %s", status, text)
			}
			change() // of which the poll that is under way may tell
			took := make([]time.Duration, changes)
			for i := range took {
				took[i] = change()
			}
			logDurations(t, took)
		})
	}
}

// startChanging starts a gateway, and returns what changes the secret of hs256
// there and back, and tells how soon that is seen.
func startChanging(t *testing.T, args ...string) (g *gateway, change func() time.Duration) {
	t.Helper()
	config := copyConfig(t, specConfig(t))
	g = startGateway(t, config, args...)
	token := bearer(tokenOf(t, "hs256", "hs-a", "HS256"))
	row := credential(t, consumer(t, config, conformance.Alice), "hs256")
	first, second := string(setup.keys["hs-a"].Secret), string(setup.keys["hs-b"].Secret)
	status := 200
	seen := func() bool { return g.send(t, "GET", "/plain", token).status == status }
	poll(t, patience, seen)
	return g, func() time.Duration {
		if status = 401; row["secret"] == second {
			status = 200
		}
		row["secret"] = map[int]string{200: first, 401: second}[status]
		began := time.Now() // it counts before the gateway says so
		g.configure(t, config)
		promised(t, revocation+busy, seen)
		return time.Since(began)
	}
}

// busy is how much longer things may take on a machine that has much to do.
const busy = time.Second

func logDurations(t *testing.T, took []time.Duration) {
	t.Helper()
	slices.Sort(took)
	t.Logf("%d changes: seen after %v (median), %v (p99), %v at most", len(took), took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
}

// TestLostDatabase: who is in Kong's cache is served; who would have to be looked
// up is told 503, never 401, and is not taken for nobody.
func TestLostDatabase(t *testing.T) {
	needsGateway(t)
	if !byNode() || setups["postgres"][0] != setupFlags(t)[0] {
		t.Skip("only with a database and the node's own store")
	}
	t.Parallel()
	g := specGateway(t)
	known, unseen := bearer(tokenOf(t, "hs256", "hs-a", "HS256")), bearer(tokenOf(t, "rs256", "rsa-a", "RS256"))
	if a := g.send(t, "GET", "/plain", known); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if status, text := g.post(t, "/__faults", object{"of": "database", "mode": "lost"}); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	for _, tt := range []struct {
		path   string
		header [2]string
		status int
	}{{"/plain", known, 200}, {"/plain", unseen, 503}, {"/anonymous", unseen, 503}, {"/anonymous", [2]string{"X-Other", "x"}, 503}} {
		if a := g.send(t, "GET", tt.path, tt.header); a.status != tt.status || tt.status != 200 && a.upstream != nil {
			t.Errorf("%s %.30s: %d %s, want %d", tt.path, tt.header[1], a.status, a.body, tt.status)
		}
	}
}

// TestUnseenCallersInAFlood: while strangers make keys up, callers who exist and
// were not seen yet get in all the time, without a 503.
func TestUnseenCallersInAFlood(t *testing.T) {
	needsGateway(t)
	if !byNode() && !hasConfigurations() {
		t.Skip("the Admin API of a Kong with a database is asked at a rate that a flood uses up")
	}
	t.Parallel()
	n, measured := floodSize(t)
	const callers = 50
	config := copyConfig(t, specConfig(t))
	alice := consumer(t, config, conformance.Alice)
	for i := range callers {
		alice["jwt_secrets"] = append(list(alice["jwt_secrets"]), object{"key": fmt.Sprint("caller-", i), "secret": string(setup.keys["hs-a"].Secret)})
	}
	address, args := metered(t, defaultTimeout(measured)...)
	g := startGateway(t, config, args...)
	known := []string{tokenOf(t, "hs256", "hs-a", "HS256")}
	calm := g.crowd(t, calmSize(n), "/plain", func(int) string { return known[0] }, []int{200}, known, address)
	var made atomic.Int64
	var storm weather
	done := make(chan struct{})
	go func() {
		defer close(done)
		storm = g.crowd(t, n, "/plain", func(i int) string {
			made.Add(1)
			return encode(`{"alg":"HS256"}`) + "." + encode(fmt.Sprintf(`{"iss":"nobody-%d"}`, i)) + "." + encode("a signature of thirty-two bytes..")
		}, []int{401, 503}, known, address)
	}()
	slowest := time.Duration(0)
	for i := range callers {
		for int(made.Load()) < n*i/callers && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
		began := time.Now()
		if a := g.send(t, "GET", "/plain", bearer(tokenOf(t, fmt.Sprint("caller-", i), "hs-a", "HS256"))); a.status != 200 {
			t.Errorf("caller %d: %d %s", i, a.status, a.body)
		}
		slowest = max(slowest, time.Since(began))
	}
	<-done
	t.Logf("%d unknown keys in %v, answered %v: of %d callers who were not seen before, the last waited for %v; known callers' p99 %v beside good load, %v beside the flood: %.2f times; at most %d MiB",
		n, storm.took.Round(time.Millisecond), storm.answers, callers, slowest, calm.p99, storm.p99, float64(storm.p99)/float64(calm.p99), storm.memory>>20)
}
