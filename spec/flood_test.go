package spec_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kong-go-jwt/spec/conformance"
)

// The bounds that docs/reliability.md states, with the flags' defaults.
const (
	floodMemory  = 192 << 20 // resident bytes
	floodThreads = 64
	floodLatency = 2.0 // times what known callers see while the same load is good
	adminRate    = 40  // lookups a second of unknown keys, a fifth of the default: floods are short
	adminBurst   = 25 * adminRate
)

// floodSize is how many tokens a flood has. SPEC_FLOOD=1000000 is what "make
// soak" runs; only then is latency held against its bound.
func floodSize(t *testing.T) (n int, measured bool) {
	t.Helper()
	if s := os.Getenv("SPEC_FLOOD"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n, true
	}
	if raceEnabled {
		return 300, false
	}
	return 2000, false
}

// defaultTimeout gives the plugin the timeout that it has by default, where it is measured:
// in specs it has a longer one.
func defaultTimeout(measured bool) []string {
	if measured {
		return []string{"-admin-timeout", "2s"}
	}
	return nil
}

// calmSize is how many good tokens are sent before a flood of n, which it is
// compared with: enough for a p99, whatever n is.
func calmSize(n int) int { return min(n/4, 25_000) }

// flood is a kind of token that anyone can make many of.
type flood struct {
	name, route string
	token       func(i int) string
	statuses    []int
}

// TestFloods: while attackers send ever new tokens, memory, threads and what the
// Admin API is asked stay bounded, and known callers are served as before.
func TestFloods(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	n, measured := floodSize(t)
	good := func(iss, key, alg, extra string) string {
		return forge(t, setup.keys, `{"alg":"`+alg+`"}`, `{"iss":"`+iss+`"`+extra+`}`, alg, key)
	}
	// Tokens whose first and last part stay the same, so that making them costs
	// this side little.
	varied := func(header string, claims func(i int) string, signature int) func(int) string {
		number := "\x00" + strings.Repeat("s", signature/2-1) // in the range of any curve
		first, last := encode(header)+".", "."+encode(number+number)
		return func(i int) string { return first + encode(claims(i)) + last }
	}
	padding, commas := strings.Repeat("p", 5000), strings.Repeat(",", 5000)
	const largeAnswers = "accepted tokens, claims in headers"
	floods := []flood{
		{"random iss", "/plain", varied(`{"alg":"HS256"}`, func(i int) string { return fmt.Sprintf(`{"iss":"nobody-%d"}`, i) }, 32), []int{401, 503}},
		{
			"random iss like a UUID", "/plain",
			varied(`{"alg":"HS256"}`, func(i int) string { return fmt.Sprintf(`{"iss":"11111111-2222-4333-8444-%012d"}`, i) }, 32),
			[]int{401, 503},
		},
		{"random kid", "/kid", func(i int) string {
			return encode(fmt.Sprintf(`{"alg":"HS256","kid":"nobody-%d"}`, i)) + "." + encode(`{}`) + "." + encode("signature")
		}, []int{401, 503}},
		{"random kid of an issuer", "/issuer", func(i int) string {
			return encode(fmt.Sprintf(`{"alg":"RS256","kid":"nobody-%d"}`, i)) + "." + encode(`{"iss":"issuer","exp":4102444800}`) + "." + encode("signature")
		}, []int{401, 503}},
		{"large tokens", "/plain", varied(`{"alg":"HS256"}`, func(i int) string { return fmt.Sprintf(`{"iss":"%s%d"}`, padding, i) }, 32), []int{401, 503}},
		{"bad signatures, HS256", "/plain", varied(`{"alg":"HS256"}`, func(i int) string { return fmt.Sprintf(`{"iss":"hs256","n":%d}`, i) }, 32), []int{401}},
		{"bad signatures, RS256", "/plain", varied(`{"alg":"RS256"}`, func(i int) string { return fmt.Sprintf(`{"iss":"rs256","n":%d}`, i) }, 256), []int{401}},
		{"bad signatures, ES512", "/plain", varied(`{"alg":"ES512"}`, func(i int) string { return fmt.Sprintf(`{"iss":"es512","n":%d}`, i) }, 132), []int{401}},
		{"accepted tokens", "/plain", func(i int) string {
			return good("hs256", "hs-a", "HS256", fmt.Sprintf(`,"n":%d,"p":"%s"`, i, padding[:3000]))
		}, []int{200}},
		{largeAnswers, "/claims", func(i int) string { // percent-encoded, each comma becomes three bytes
			return good("hs256", "hs-a", "HS256", fmt.Sprintf(`,"n":%d,"p":["%s"]`, i, commas))
		}, []int{200}},
	}
	var keySets atomic.Int64
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		keySets.Add(1)
		io.WriteString(w, `{"keys":[]}`)
	}))
	defer issuer.Close()
	known := []string{good("hs256", "hs-a", "HS256", ""), good("rs256", "rsa-a", "RS256", ""), good("es256", "p256", "ES256", ""), good("eddsa", "ed25519", "EdDSA", "")}
	for _, f := range floods {
		t.Run(f.name, func(t *testing.T) {
			n := n
			if strings.HasSuffix(f.name, "ES512") {
				n /= 10 // each takes milliseconds
			}
			if f.name == largeAnswers && !raceEnabled {
				n = max(n, 8000) // more than fit
			}
			config := copyConfig(t, specConfig(t))
			addRoute(config, "/claims", object{"claims_to_headers": []any{
				object{"header": "X-P", "claim": []any{"p"}}, object{"header": "X-N", "claim": []any{"n"}},
			}})
			addRoute(config, "/kid", object{"key_claim_name": "kid"})
			addRoute(config, "/issuer", object{"issuers": []any{object{"issuer": "issuer", "jwks_uri": issuer.URL}}})
			address, args := metered(t, append(defaultTimeout(measured), "-admin-rate", strconv.Itoa(adminRate))...)
			g := startGateway(t, config, append(args, "-nginx-include=auto")...)
			before := keySets.Load()
			calm := g.crowd(t, calmSize(n), "/plain", func(i int) string { return known[i%len(known)] }, []int{200}, known, address)
			storm := g.crowd(t, n, f.route, f.token, f.statuses, known, address)
			ratio := float64(storm.p99) / float64(calm.p99)
			t.Logf("%d tokens in %v: known callers' p99 %v beside good load, %v beside the flood: %.2f times; at most %d MiB, %d goroutines, %d threads; %d lookups",
				n, storm.took.Round(time.Millisecond), calm.p99, storm.p99, ratio, storm.memory>>20, storm.goroutines, storm.threads, storm.lookups)
			most := adminBurst + (adminRate+2)*(storm.took.Seconds()+1) // and the watch, and refreshes
			if float64(storm.lookups) > most {
				t.Errorf("the Admin API was asked %d times, want at most %.0f", storm.lookups, most)
			}
			if fetched := keySets.Load() - before; fetched > 3+int64(storm.took.Seconds()/5) {
				t.Errorf("the issuer's keys were fetched %d times", fetched)
			}
			if storm.memory > floodMemory && !raceEnabled {
				t.Errorf("%d MiB resident, want at most %d", storm.memory>>20, floodMemory>>20)
			}
			if storm.threads > floodThreads {
				t.Errorf("%d threads, want at most %d", storm.threads, floodThreads)
			}
			if measured && ratio > floodLatency {
				t.Errorf("known callers' p99 is %.2f times as long", ratio)
			}
			after := func() float64 { return metrics(t, address)["go_goroutines"] }
			poll(t, patience, func() bool { return after() < 60 })
		})
	}
}

// weather is what was seen while a crowd was there.
type weather struct {
	p99, took                   time.Duration // p99 of the known callers
	memory, goroutines, threads int           // the most
	lookups                     int           // that the Admin API saw
	answers                     map[int]int64 // of the crowd, by status
}

// crowd sends n tokens while the known callers go on calling. Every answer is
// checked.
func (g *gateway) crowd(t *testing.T, n int, route string, token func(int) string, statuses []int, known []string, address string) (w weather) {
	t.Helper()
	const strangers, callers = 8, 2
	adminTotal := func() int {
		var stats struct {
			Total int `json:"admin_total"`
		}
		g.get(t, "/__stats", &stats)
		return stats.Total
	}
	awaitMetrics(t, address)
	lookups := adminTotal()
	for _, k := range known { // they are known
		if a := g.send(t, "GET", "/plain", bearer(k)); a.status != 200 {
			t.Fatalf("a known caller: %d %s", a.status, a.body)
		}
	}
	var (
		next      atomic.Int64
		done      = make(chan struct{})
		flooding  sync.WaitGroup
		calling   sync.WaitGroup
		mu        sync.Mutex
		latencies []time.Duration
	)
	w.answers = map[int]int64{}
	started := time.Now()
	for range strangers {
		flooding.Go(func() {
			answers := map[int]int64{}
			c := keptConnection{address: g.proxy}
			defer c.close()
			for {
				i := int(next.Add(1)) - 1
				if i >= n || t.Failed() {
					break
				}
				status, err := c.get(route, token(i))
				if err != nil {
					t.Error(err)
					break
				}
				if answers[status]++; !slices.Contains(statuses, status) {
					t.Errorf("token %d: %d, want one of %v", i, status, statuses)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for s, k := range answers {
				w.answers[s] += k
			}
		})
	}
	for range callers {
		calling.Go(func() {
			var own []time.Duration
			c := keptConnection{address: g.proxy}
			defer c.close()
			for i := 0; ; i++ {
				select {
				case <-done:
					mu.Lock()
					latencies = append(latencies, own...)
					mu.Unlock()
					return
				default:
				}
				began := time.Now()
				if status, err := c.get("/plain", known[i%len(known)]); status != 200 {
					t.Errorf("a known caller: %d, %v", status, err)
				}
				own = append(own, time.Since(began))
			}
		})
	}
	calling.Go(func() {
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			m := metrics(t, address)
			w.memory = max(w.memory, int(m["process_resident_memory_bytes"]))
			w.goroutines = max(w.goroutines, int(m["go_goroutines"]))
			w.threads = max(w.threads, int(m["go_threads"]))
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	})
	flooding.Wait()
	w.took = time.Since(started)
	close(done)
	calling.Wait()
	w.lookups = adminTotal() - lookups
	slices.Sort(latencies)
	w.p99 = latencies[len(latencies)*99/100]
	return w
}

// keptConnection is a client that costs less than net/http's, whose goroutines
// would take a third of the machine from what a flood is about. The zero value
// with an address is ready; one request is under way at a time.
type keptConnection struct {
	address string
	conn    net.Conn // nil: none is open
	answers *bufio.Reader
	request []byte
}

// get asks for path with a token, and returns the answer's status.
func (c *keptConnection) get(path, token string) (status int, err error) {
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", c.address, patience); err != nil {
			return 0, err
		}
		c.answers = bufio.NewReader(c.conn)
	}
	keep := false
	defer func() {
		if !keep {
			c.close()
		}
	}()
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	c.request = fmt.Appendf(c.request[:0], "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", path, c.address, token)
	if _, err := c.conn.Write(c.request); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	keep = err == nil && !res.Close
	return res.StatusCode, err
}

func (c *keptConnection) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// TestAdminFaultMatrix goes through every fault of the Admin API, one after the
// other and back and forth, under requests of callers that are known, unknown
// and forging: the known are served, nobody else is, none waits for longer than
// stated, and nothing is left behind.
func TestAdminFaultMatrix(t *testing.T) {
	needsAdminLookups(t)
	t.Parallel()
	const adminTimeout = 3 * time.Second // longer than a busy machine stalls
	address, args := metered(t, "-admin-timeout", adminTimeout.String(), "-credential-ttl", "1s")
	g := startGateway(t, copyConfig(t, specConfig(t)), args...)
	bearer := func(token string) [2]string { return [2]string{"Authorization", "Bearer " + token} }
	known, forged := bearer(tokenOf(t, "hs256", "hs-a", "HS256")), bearer(tokenOf(t, "hs256", "hs-b", "HS256"))
	if a := g.send(t, "GET", "/plain", known); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	awaitMetrics(t, address)
	calm := metrics(t, address)
	slow := object{"mode": "slow", "delay_ms": 30_000}
	faults := []object{slow}
	for _, mode := range []string{"refuse", "500", "half", "garbage", "huge", "reset"} {
		faults = append(faults, object{"mode": mode})
	}
	for range 6 { // flapping
		faults = append(faults, object{"mode": "none"}, object{"mode": "500"})
	}
	// The list of all keys is gone by for 100 ms after the Admin API last said that it still
	// holds: until then 401 is right for a stranger too, and then 503 alone.
	const trusted = time.Second // 100 ms, on a busy machine
	unknown, late := 0, 0
	failing := time.Time{} // since when; zero: it is not
	ask := func(mode any, header [2]string, statuses ...int) {
		t.Helper()
		began := time.Now()
		a := g.send(t, "GET", "/plain", header)
		if took := time.Since(began); took > adminTimeout+5*time.Second {
			t.Errorf("%v: the request took %v", mode, took)
		}
		if !slices.Contains(statuses, a.status) || a.status != 200 && a.upstream != nil {
			t.Errorf("%v: %d %s, want one of %v", mode, a.status, a.body, statuses)
		}
	}
	for _, fault := range faults {
		if status, text := g.post(t, "/__faults", fault); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
		switch {
		case fault["mode"] == "none":
			failing = time.Time{}
		case failing.IsZero():
			failing = time.Now()
		}
		for began := time.Now(); time.Since(began) < 300*time.Millisecond; {
			unknown++
			stranger := bearer(tokenOf(t, fmt.Sprint("nobody-", unknown), "hs-b", "HS256"))
			ask(fault["mode"], known, 200)
			ask(fault["mode"], forged, 401)
			switch {
			case failing.IsZero():
				ask(fault["mode"], stranger, 401)
			case time.Since(failing) < trusted:
				ask(fault["mode"], stranger, 503, 401)
			default:
				late++
				ask(fault["mode"], stranger, 503)
			}
		}
	}
	if late == 0 {
		t.Error("no stranger came when the list was too old to go by")
	}
	g.post(t, "/__faults", object{"mode": "none"})
	poll(t, patience, func() bool {
		m := metrics(t, address)
		return m["go_goroutines"] <= calm["go_goroutines"]+8
	})
	after := metrics(t, address)
	t.Logf("resident MiB %.0f, then %.0f; goroutines %.0f, then %.0f; threads %.0f, then %.0f",
		calm["process_resident_memory_bytes"]/(1<<20), after["process_resident_memory_bytes"]/(1<<20),
		calm["go_goroutines"], after["go_goroutines"], calm["go_threads"], after["go_threads"])
	if grown := after["process_resident_memory_bytes"] - calm["process_resident_memory_bytes"]; grown > 64<<20 && !raceEnabled {
		t.Errorf("%.0f MiB more", grown/(1<<20))
	}
}

// TestAdminFaultsDoNotRevive: a credential that was removed, and seen to be, is
// not taken for good again because the Admin API fails.
func TestAdminFaultsDoNotRevive(t *testing.T) {
	needsAdminLookups(t)
	t.Parallel()
	config := copyConfig(t, specConfig(t))
	g := startGateway(t, config)
	token := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")}
	if a := g.send(t, "GET", "/plain", token); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	delete(consumer(t, config, conformance.Alice), "jwt_secrets")
	g.configure(t, config)
	promised(t, revocation+busy, func() bool { return g.send(t, "GET", "/plain", token).status == 401 })
	text, err := json.Marshal(object{"mode": "500"})
	if err != nil {
		t.Fatal(err)
	}
	g.post(t, "/__faults", json.RawMessage(text))
	for range 50 {
		if a := g.send(t, "GET", "/plain", token); a.status != 401 && a.status != 503 || a.upstream != nil {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
}
