package plugin_test

import (
	"reflect"
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
		for grpc, want := range map[bool]string{false: `{"message":"Unauthorized"}`, true: "Unauthorized"} {
			if got := string(out.Refusal.Encoded(grpc, encode)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
	if times != 2 {
		t.Errorf("encoded %d times, want once in each form", times)
	}
}

// To a gRPC call, Kong is told the message, and all headers but of what type it is.
func TestGRPCReply(t *testing.T) {
	header := func(name, value string) plugin.Header { return plugin.Header{Name: name, Value: value} }
	for name, tt := range map[string]struct {
		refusal *plugin.Refusal
		body    string
		headers []plugin.Header
	}{
		"message": {&plugin.Refusal{Body: []byte(`{"message":"No \"x\" \u003e ä"}`)}, `No "x" > ä`, nil},
		"claims":  {&plugin.Refusal{Body: []byte(`{"exp":"token expired"}`)}, "Unauthenticated", nil},
		"headers": {
			&plugin.Refusal{Body: []byte(`{"message":"x"}`), WWWAuthenticate: "Bearer", RetryAfter: "1", DPoPNonce: "n"}, "x",
			[]plugin.Header{header("WWW-Authenticate", "Bearer"), header("Retry-After", "1"), header("DPoP-Nonce", "n")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := tt.refusal.GRPCReply()
			if string(got.Body) != tt.body || !reflect.DeepEqual(got.Headers, tt.headers) {
				t.Errorf("%s %v, want %s %v", got.Body, got.Headers, tt.body, tt.headers)
			}
		})
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
