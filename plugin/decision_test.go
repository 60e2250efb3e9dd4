package plugin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kong-go-jwt/plugin"
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

// A token that would take much room is verified each time.
func TestLargeDecisionsAreNotRemembered(t *testing.T) {
	w := newWorld(t)
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
