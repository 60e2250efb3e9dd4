package nginx_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"kong-go-jwt/spec/gateway/httpd"
	"kong-go-jwt/spec/gateway/nginx"
)

// TestPlayedVariables: what the embedded gateway makes of cookies and of headers with one
// name, this nginx makes of them too.
func TestPlayedVariables(t *testing.T) {
	n := startNode(t)
	major, minor := version(t)
	played, err := nginx.ParseVersion(fmt.Sprintf("%d.%d.0", major, minor))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	some := func(of ...string) string {
		var b strings.Builder
		for range random.IntN(7) {
			b.WriteString(of[random.IntN(len(of))])
		}
		return strings.Trim(b.String(), " ")
	}
	for range 3000 {
		sent := httpd.Header{{Name: "Cookie", Value: some("jwt", "jwt=", "JWT", "=", ";", ",", " ", "; ", "x", "a=1", "jw", "\t")}}
		for range random.IntN(3) {
			sent.Add([]string{"X-A", "X_A", "x-a"}[random.IntN(3)], some("a", ",", " "))
		}
		var headers []string
		for _, f := range sent {
			headers = append(headers, f.Name+": "+f.Value)
		}
		var got, want struct{ Cookie, Header string }
		if err := json.Unmarshal([]byte(n.raw(t, "/played", headers...)), &got); err != nil {
			t.Fatal(err)
		}
		want.Cookie, _ = nginx.CookieVariable(sent, "jwt")
		want.Header, _ = played.HeaderVariable(sent, "x_a")
		if got != want {
			t.Errorf("%q: the gateway has %q, nginx %q", headers, want, got)
		}
	}
}
