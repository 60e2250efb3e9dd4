package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kong-go-jwt/spec/conformance"
)

// load is the requests that are sent all the time.
type load struct {
	w           *world
	connections int
	client      *http.Client
	fresh       atomic.Int64

	mu        sync.Mutex
	answers   map[string]map[string]int64 // by kind and answer
	wrong     int64
	complaint []string // the first wrong answers
	latencies []time.Duration
	took      time.Duration
}

func newLoad(w *world, connections int) *load {
	return &load{
		w: w, connections: connections, answers: map[string]map[string]int64{},
		client: &http.Client{
			Timeout:   30 * time.Second,
			Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections},
		},
	}
}

// request is one request, and what it deserves.
type request struct {
	kind   string
	path   string
	token  token
	caller *caller // nil: nobody's
	always string  // the right answer at any time; "": the caller's deserts
}

func (l *load) run(ctx context.Context, seed uint64) {
	started := time.Now()
	var done sync.WaitGroup
	for i := range l.connections {
		done.Go(func() {
			chance := rand.New(rand.NewPCG(seed, uint64(i+1)))
			own := map[string]map[string]int64{}
			var latencies []time.Duration
			for ctx.Err() == nil {
				r := l.draw(chance)
				sent := time.Now()
				got := l.send(ctx, &r)
				answered := time.Now()
				if ctx.Err() != nil {
					break // cut off
				}
				if own[r.kind] == nil {
					own[r.kind] = map[string]int64{}
				}
				own[r.kind][short(got)]++
				if chance.IntN(16) == 0 {
					latencies = append(latencies, answered.Sub(sent))
				}
				l.judge(&r, got, sent, answered)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			for kind, answers := range own {
				if l.answers[kind] == nil {
					l.answers[kind] = map[string]int64{}
				}
				for a, n := range answers {
					l.answers[kind][a] += n
				}
			}
			l.latencies = append(l.latencies, latencies...)
		})
	}
	done.Wait()
	l.took = time.Since(started)
}

// short takes the name out of an answer, so that there are few to count.
func short(answer string) string {
	if strings.HasPrefix(answer, "200 ") {
		return "200"
	}
	return answer
}

// draw makes a request up.
func (l *load) draw(chance *rand.Rand) request {
	c := l.w.callers[chance.IntN(len(l.w.callers))]
	c.mu.Lock()
	defer c.mu.Unlock()
	pick := func(from []token) token { return from[chance.IntN(len(from))] }
	switch n := chance.IntN(100); {
	case n < 55:
		return request{kind: "good", path: "/plain", token: pick(c.tokens), caller: c}
	case n < 65:
		return request{kind: "good, exp verified", path: "/exp", token: pick(c.tokens), caller: c}
	case n < 67:
		made, err := l.w.sign(c, c.states[len(c.states)-1].version, fmt.Sprintf(`,"n":%d`, l.fresh.Add(1)))
		if err == nil && c.algorithm == "HS256" {
			return request{kind: "good, never seen", path: "/plain", token: made, caller: c}
		}
		return request{kind: "good", path: "/plain", token: pick(c.tokens), caller: c}
	case n < 75 && len(c.old) > 0:
		return request{kind: "secret of before", path: "/plain", token: pick(c.old), caller: c}
	case n < 85:
		t := pick(c.tokens)
		at := strings.LastIndexByte(t.text, '.') + 5
		other := "A"
		if t.text[at] == 'A' {
			other = "B"
		}
		return request{kind: "forged", path: "/plain", token: token{text: t.text[:at] + other + t.text[at+1:]}, caller: c}
	case n < 88:
		return request{kind: "expired", path: "/exp", token: l.w.expired, always: "401 token expired"}
	case n < 91:
		return request{kind: "unknown", path: "/plain", token: l.w.strangers[chance.IntN(len(l.w.strangers))], always: "401 No credentials found for given 'iss'"}
	case n < 94:
		return request{kind: "malformed", path: "/plain", token: token{text: "e30.e30"}, always: "401 Bad token; invalid JSON"}
	case n < 97:
		return request{kind: "none", path: "/plain", always: "401 Unauthorized"}
	}
	return request{kind: "anonymous", path: "/anonymous", caller: l.w.anonymous}
}

// send returns the answer's status, and who the request was from or why it was
// refused.
func (l *load) send(ctx context.Context, r *request) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.w.proxy+r.path, http.NoBody)
	if err != nil {
		return err.Error()
	}
	if r.token.text != "" {
		req.Header.Set("Authorization", "Bearer "+r.token.text)
	}
	// What must not reach the upstream.
	req.Header.Set("X-Consumer-Username", "root")
	req.Header["X_Consumer_Username"] = []string{"root"}
	res, err := l.client.Do(req)
	if err != nil {
		return "no answer: " + err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return "half an answer: " + err.Error()
	}
	if res.StatusCode == http.StatusOK {
		var seen conformance.Received
		if err := json.Unmarshal(body, &seen); err != nil || res.Header.Get(conformance.EchoHeader) == "" {
			return "200, but not of the upstream"
		}
		var users []string
		for name, values := range seen.Headers {
			if strings.EqualFold(strings.ReplaceAll(name, "_", "-"), "X-Consumer-Username") {
				users = append(users, values...)
			}
		}
		return "200 " + strings.Join(users, " and ")
	}
	var refusal struct{ Message, Exp string }
	if err := json.Unmarshal(body, &refusal); err != nil {
		return fmt.Sprintf("%d, and no JSON", res.StatusCode)
	}
	return fmt.Sprintf("%d %s%s", res.StatusCode, refusal.Message, refusal.Exp)
}

// judge holds an answer against what the request deserves.
func (l *load) judge(r *request, got string, sent, answered time.Time) {
	l.w.outages.runs()
	right := []string{r.always}
	if r.always == "" {
		right = r.caller.deserts(r.token, sent, answered, &l.w.outages)
	}
	// A lookup that failed is no decision, where it could fail. A token that
	// needs none has no such excuse.
	const unavailable = "503 Credentials cannot be looked up at the moment"
	looksUp := r.kind != "malformed" && r.kind != "none" && (r.kind != "anonymous" || l.w.consumersToo)
	if slices.Contains(right, got) || got == unavailable && looksUp && l.w.outages.excuse(r.caller, sent, answered) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong++
	const most = 50
	if len(l.complaint) < most {
		name := ""
		if r.caller != nil {
			name = r.caller.name
		}
		text := fmt.Sprintf("%s %s (version %d) took %v: got %q, want one of %q", r.kind, name, r.token.version, answered.Sub(sent).Round(time.Millisecond), got, right)
		l.complaint = append(l.complaint, text)
		log.Print("WRONG: ", text)
	}
}
