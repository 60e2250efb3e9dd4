package plugin_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/assertion"
)

// Tokens are remembered within a number of bytes (512 KiB here), not only within a
// number of tokens.
func TestDecisionsAreBoundedByBytes(t *testing.T) {
	const tokens, length = 400, 3000
	for name, tt := range map[string]struct {
		more, ofAssertion string // options; of upstream_assertion: none
		most              int
	}{
		"claims in headers": {`,"claims_to_headers":[{"header":"X","claim":["p"]}]`, "", 1 << 19 / length},
		"lists in headers":  {`,"claims_to_headers":[{"header":"X","claim":["list"],"values":"repeat"}]`, "", 1 << 19 / (length / 2)},
		"logged claims":     {`,"log_serialize":true,"log_claims":[["p"]]`, "", 1 << 19 / 2048},
		"assertion":         {"", `,"claims":[["p"]]`, 1 << 19 / (4 * length)},
		"assertion, nested": {"", `,"claims":[["o","p"]]`, 1 << 19 / (4 * length)},
		"assertion, groups": {`,"groups_claim":["list"]`, `,"ttl":60`, 1 << 19 / (4 * length / 2)},
		"assertion, bound":  {"", `,"claims":[["p"]],"bind":true`, 1 << 19 / (4 * length)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var e *plugin.Engine
			if tt.ofAssertion != "" {
				e, _ = asserting(t, w, tt.more, tt.ofAssertion)
			} else {
				e = w.engine(t, `{"realm":"r"`+tt.more+`}`)
			}
			var sent []string
			p, list := strings.Repeat("p", length), strings.Repeat(`"pppppppppp",`, length/2/10)
			for i := range tokens {
				sent = append(sent, w.token(fmt.Sprintf(`{"iss":"key","p":"%s","o":{"p":"%[1]s"},"list":[%[2]s%[3]d]}`, p, list, i)))
			}
			count := func() (n int) {
				for _, token := range sent {
					r := &plugin.Request{Method: []byte("GET"), UpstreamPath: []byte("/"), Headers: [][]byte{[]byte("Bearer " + token)}}
					if e.Decide(t.Context(), r, w).Kind == plugin.Remembered {
						n++
					}
				}
				return n
			}
			count()
			slices.Reverse(sent) // the latest are remembered
			if n := count(); n == 0 || n > tt.most {
				t.Errorf("%d of %d tokens were remembered, want at most %d", n, tokens, tt.most)
			}
		})
	}
}

// What is counted for a decision with an assertion grows with what it is made from, which
// is kept four times.
func TestSizeOfAssertedDecision(t *testing.T) {
	bare := plugin.SizeOfAsserted(&assertion.Caller{}, &plugin.Grant{})
	const length = 1000
	long := strings.Repeat("x", length)
	for name, tt := range map[string]struct {
		caller assertion.Caller
		grant  plugin.Grant
		more   int // than length
	}{
		"subject":       {caller: assertion.Caller{Subject: long}},
		"credential":    {caller: assertion.Caller{Credential: long}},
		"scope":         {caller: assertion.Caller{Scope: long}},
		"claim":         {caller: assertion.Caller{Claims: map[string]any{"a": map[string]any{"b": json.RawMessage(long)}}}},
		"group":         {grant: plugin.Grant{Groups: []string{long}}, more: 16},
		"header":        {grant: plugin.Grant{Headers: []plugin.Header{{Value: long}}}},
		"header values": {grant: plugin.Grant{Headers: []plugin.Header{{Values: []string{long[:500], long[500:]}}}}, more: 2 * 16},
		"logged claim":  {grant: plugin.Grant{Log: &plugin.Log{Claims: []plugin.LogClaim{{Texts: []string{long}}}}}, more: 16},
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := plugin.SizeOfAsserted(&tt.caller, &tt.grant)-bare, 4*(length+tt.more); got != want {
				t.Errorf("got %d bytes more, want %d", got, want)
			}
		})
	}
	if bare <= 0 {
		t.Errorf("got %d bytes at least", bare)
	}
}

// remember makes the world's store anew, with room for so many decisions.
func (w *world) remember(t *testing.T, entries, bytes int) {
	t.Helper()
	w.store = plugin.NewStore(plugin.Options{
		Source: w, Now: w.now, Log: slog.New(slog.DiscardHandler), Keys: w, Revocations: &w.lists,
		Encode:        func(g *plugin.Grant) plugin.Answer { return plugin.Answer{Bytes: []byte(told(g))} },
		CredentialTTL: ttl, UnknownTTL: ttl, Grace: grace, LookupTimeout: lookupTimeout,
		CredentialEntries: 10, UnknownEntries: 10, DecisionEntries: entries, DecisionBytes: bytes, ProofEntries: 10,
	})
	t.Cleanup(w.store.Close)
}

func TestDecisionsAreBoundedByNumber(t *testing.T) {
	w := newWorld(t)
	w.remember(t, 32, 1<<20)
	e := w.engine(t, `{}`)
	token := func(i int) string { return w.token(fmt.Sprintf(`{"iss":"key","n":%d}`, i)) }
	const n = 500
	for i := range n {
		expect(t, w.decide(t, e, token(i)), accepted)
	}
	remembered := 0
	for i := range n {
		if w.decide(t, e, token(i)).Kind == plugin.Remembered {
			remembered++
		}
	}
	if remembered > 32 {
		t.Errorf("%d are remembered, want 32 at the most", remembered)
	}
	expect(t, w.decide(t, e, token(n-1)), cached)
}

// A token that would take much room is verified each time, however much room there is.
func TestLargeDecisionsAreNotRemembered(t *testing.T) {
	w := newWorld(t)
	w.remember(t, 1600, 1<<24)
	e := w.engine(t, `{"claims_to_headers":[{"header":"X","claim":["p"]}]}`)
	for length, want := range map[int]plugin.Kind{30_000: plugin.Remembered, 33_000: plugin.Accepted} {
		token := w.token(fmt.Sprintf(`{"iss":"key","p":"%s"}`, strings.Repeat("p", length)))
		w.decide(t, e, token)
		if o := w.decide(t, e, token); o.Kind != want {
			t.Errorf("%d bytes: %s, want %s", length, o.Kind, want)
		}
	}
}

// A claim that is no text is handed on as JSON, without the escapes for HTML.
func TestClaimsAreNotEscapedForHTML(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{"claims_to_headers":[{"header":"X","claim":["o"]}]}`)
	expect(t, w.decide(t, e, w.token(`{"iss":"key","o":{"a":"<&>"}}`)), accepted+` X={"a":"<&>"}`)
}
