package plugin_test

import (
	"testing"

	"kong-go-jwt/plugin"
)

// With groups_claim, all that goes on has groups said of it, though there are none.
func TestGroupsAreAlwaysSet(t *testing.T) {
	w := newWorld(t)
	const claim = `{"groups_claim":["groups"]`
	guest := w.engine(t, claim+`,"anonymous":"guest"}`)
	preflight := &plugin.Request{Method: []byte("OPTIONS")}
	for name, tt := range map[string]struct {
		got  plugin.Outcome
		want string
	}{
		"some":      {w.decide(t, guest, w.token(`{"iss":"key","groups":["a","b"]}`)), accepted + ` groups=["a" "b"]`},
		"text":      {w.decide(t, guest, w.token(`{"iss":"key","groups":"a"}`)), accepted + ` groups=["a"]`},
		"empty":     {w.decide(t, guest, w.token(`{"iss":"key","groups":[]}`)), accepted + ` groups=[]`},
		"absent":    {w.decide(t, guest, w.token(`{"iss":"key"}`)), accepted + ` groups=[]`},
		"guest":     {w.decide(t, guest, ""), anonymous + " groups=[]"},
		"preflight": {w.engine(t, claim+`,"run_on_preflight":false}`).Decide(t.Context(), preflight, w), "unidentified groups=[]"},
		"shadowed":  {w.decide(t, w.engine(t, claim+`,"shadow":true}`), ""), "unidentified groups=[]"},
		"no claim":  {w.decide(t, w.engine(t, `{}`), w.token(`{"iss":"key","groups":["a"]}`)), accepted},
	} {
		t.Run(name, func(t *testing.T) { expect(t, tt.got, tt.want) })
	}
}
