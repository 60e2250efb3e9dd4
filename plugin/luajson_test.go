package plugin_test

import (
	"encoding/json"
	"testing"

	"kong-go-jwt/plugin"
)

// Bodies are those of Kong, byte for byte: it escapes "/", and neither "<" nor U+2028.
func TestRefusalBody(t *testing.T) {
	for name, want := range map[string]string{
		"kid":              `{"message":"No mandatory 'kid' in claims"}`,
		"https://x/<&>":    `{"message":"No mandatory 'https:\/\/x\/<&>' in claims"}`,
		"a\"\\\u2028ä😀":    `{"message":"No mandatory 'a\"\\` + "\u2028" + `ä😀' in claims"}`,
		"\b\t\n\f\r\v\x00": `{"message":"No mandatory '\b\t\n\f\r\u000b\u0000' in claims"}`,
		"\x1f\x7f\u0080":   `{"message":"No mandatory '\u001f\u007f` + "\u0080" + `' in claims"}`,
		"\xff":             `{"message":"No mandatory '` + "\ufffd" + `' in claims"}`,
	} {
		w := newWorld(t)
		config, err := json.Marshal(map[string]any{"key_claim_name": name})
		if err != nil {
			t.Fatal(err)
		}
		out := w.engine(t, string(config)).Decide(t.Context(), &plugin.Request{
			Headers: [][]byte{[]byte("Bearer eyJhbGciOiJIUzI1NiJ9.e30.AAAA")},
		}, w)
		if got := string(out.Refusal.Body); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}
