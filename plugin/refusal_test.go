package plugin_test

import (
	"strings"
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

// Who sends no token and can find out where to log in is told what for.
func TestScopeForWhoLogsIn(t *testing.T) {
	const resource = `"resource_metadata":{"resource":"https://api.example","authorization_servers":["https://idp.example"]}`
	for config, want := range map[string]bool{
		`{"scopes_required":["read"],` + resource + `}`: true,
		`{"scopes_required":["read"]}`:                  false,
		`{` + resource + `}`:                            false,
	} {
		w := newWorld(t)
		no := w.engine(t, config).Decide(t.Context(), &plugin.Request{}, w).Refusal
		if got := strings.Contains(no.WWWAuthenticate, `scope="read"`); got != want || no.Status != 401 {
			t.Errorf("%s: %d, WWW-Authenticate: %s", config, no.Status, no.WWWAuthenticate)
		}
	}
}
