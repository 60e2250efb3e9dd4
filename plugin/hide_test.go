package plugin_test

import (
	"strings"
	"testing"

	"kong-go-jwt/plugin"
)

// TestHide: a request goes on without the token, and else as it was sent. TOKEN
// stands for it.
func TestHide(t *testing.T) {
	const config = `{"hide_credentials":true,"cookie_names":["jwt"],"uri_param_names":["jwt"],"header_names":["authorization","x_token"]}`
	for name, tt := range map[string]struct {
		query, cookie string
		headers       []string // of header_names
		sent          []plugin.SentHeader
		want          string
	}{
		"query":                         {query: "a=1&jwt=TOKEN&b", want: "?a=1&b"},
		"query, nothing else":           {query: "jwt=TOKEN", want: "?"},
		"query, empty parts":            {query: "&&jwt=TOKEN&", want: "?&&"},
		"query, encoded name":           {query: "%6awt=TOKEN&c", want: "?c"},
		"cookie":                        {cookie: "a=1; jwt=TOKEN; b=2", want: "Cookie: a=1; b=2"},
		"cookie, first":                 {cookie: "jwt=TOKEN; b=2", want: "Cookie: b=2"},
		"cookie, nothing else":          {cookie: "jwt=TOKEN", want: "Cookie"},
		"cookie, other case":            {cookie: "JWT =TOKEN;b=2", want: "Cookie: b=2"},
		"cookie, twice":                 {cookie: "jwt=TOKEN; b=2; jwt=other", want: "Cookie: b=2"},
		"cookie, behind a comma":        {cookie: "a=1,jwt=TOKEN; b=2", want: "Cookie: a=1; b=2"},
		"cookie, behind many":           {cookie: "a=1,,, jwt=TOKEN", want: "Cookie: a=1"},
		"cookie, comma in another one":  {cookie: "a=1,2; jwt=TOKEN; b=jwt,c", want: "Cookie: a=1,2; b=jwt,c"},
		"cookie, without one":           {cookie: "a=1", headers: []string{"Bearer TOKEN", ""}, want: "authorization"},
		"cookie, a name alone":          {cookie: "jwt; b=2", headers: []string{"Bearer TOKEN", ""}, want: "Cookie: b=2 authorization"},
		"cookie, a name in a value":     {cookie: "a=1,jwt; b=2", headers: []string{"Bearer TOKEN", ""}, want: "authorization"},
		"cookie, empty parts":           {cookie: ";;jwt=TOKEN;", want: "Cookie: ;;"},
		"header":                        {headers: []string{"Bearer TOKEN", ""}, want: "authorization"},
		"header, in any case":           {headers: []string{"BEARER TOKEN", ""}, want: "authorization"},
		"header, something before":      {headers: []string{"Basic x, Bearer TOKEN", ""}, want: "authorization: Basic x"},
		"header, spelt as configured":   {headers: []string{"", "Bearer TOKEN"}, want: "x_token"},
		"header, spelt otherwise":       {headers: []string{"", "Bearer TOKEN"}, sent: []plugin.SentHeader{{Name: "authorization"}, {Name: "x-token"}}, want: "x-token"},
		"header, a second without one":  {headers: []string{"", "Bearer TOKEN"}, sent: []plugin.SentHeader{{}, {Name: "x-token", More: [][]byte{[]byte("kept")}}}, want: "x-token: kept"},
		"header, a second with another": {headers: []string{"", "Bearer TOKEN"}, sent: []plugin.SentHeader{{}, {Name: "x-token", More: [][]byte{[]byte("a"), []byte("b, bearer other")}}}, want: "x-token: a, b"},
		"header, in both spellings":     {headers: []string{"", "Bearer TOKEN"}, sent: []plugin.SentHeader{{}, {Name: "x_token"}, {Name: "x-token", More: [][]byte{[]byte("a, Bearer other"), []byte("b")}}}, want: "x_token x-token: a, b"},
		"all at once":                   {query: "jwt=TOKEN", cookie: "jwt=TOKEN", headers: []string{"Bearer TOKEN", "Bearer TOKEN"}, want: "? Cookie authorization x_token"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := w.engine(t, config)
			token := w.token(`{"iss":"key"}`)
			fill := func(s string) []byte { return []byte(strings.ReplaceAll(s, "TOKEN", token)) }
			r := &plugin.Request{Query: fill(tt.query), Cookie: fill(tt.cookie), Sent: tt.sent}
			for _, h := range tt.headers {
				r.Headers = append(r.Headers, fill(h))
			}
			out := e.Decide(t.Context(), r, w)
			expect(t, out, accepted)
			var got []string
			if out.Hidden.Query != nil {
				got = append(got, "?"+*out.Hidden.Query)
			}
			for _, h := range out.Hidden.Headers {
				values := strings.Join(append(h.Values, h.Value), ", ")
				got = append(got, strings.TrimRight(h.Name+": "+strings.TrimSuffix(values, ", "), ": "))
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got %q, want %q", s, tt.want)
			}
		})
	}
}

// FuzzHide: whatever surrounds a token, none is found once it was hidden.
func FuzzHide(f *testing.F) {
	f.Add([]byte("a&jwt=x"), []byte("jwt;jwt=x, jwt=y;, jwt =z"), []byte("Basic x, Bearer y"))
	f.Fuzz(func(t *testing.T, query, cookie, header []byte) {
		query, cookie, header, token := plugin.Hide(query, cookie, header)
		if token != "" {
			t.Fatalf("%q is found in %q, %q, %q", token, query, cookie, header)
		}
	})
}
