package plugin_test

import (
	"testing"

	"kong-go-jwt/plugin"
)

// A refusal that is the same for every request is encoded once.
func TestRefusalsAreEncodedOnce(t *testing.T) {
	times := 0
	encode := func(r *plugin.Reply) []byte {
		times++
		return r.Body
	}
	w := newWorld(t)
	e := w.engine(t, `{}`)
	for range 3 {
		out := e.Decide(t.Context(), &plugin.Request{}, w)
		if got := string(out.Refusal.Encoded(encode)); got != `{"message":"Unauthorized"}` {
			t.Errorf("got %s", got)
		}
	}
	if times != 1 {
		t.Errorf("encoded %d times, want once", times)
	}
}
