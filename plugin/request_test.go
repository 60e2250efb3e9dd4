package plugin_test

import (
	"testing"

	"kong-go-jwt/plugin"
	"kong-go-jwt/schema"
)

func TestFindToken(t *testing.T) {
	const several, none, odd = "Multiple tokens provided", "Unauthorized", "Unrecognizable token"
	for _, tt := range []struct {
		name, query, cookie, header string
		want                        string
		refused                     string
	}{
		{name: "nothing", refused: none},
		{name: "header", header: "Bearer a.b.c", want: "a.b.c"},
		{name: "lower-case bearer", header: "bearer a", want: "a"},
		{name: "upper-case bearer", header: "BEARER a", want: "a"},
		{name: "mixed-case bearer", header: " bEaReR  a", want: "a"},
		{name: "mixed-case bearer, not at the start", header: "x BEARER a", refused: none},
		{name: "mixed-case bearer, no space", header: "BEARERa", refused: none},
		{name: "mixed-case bearer, nothing more", header: "BEARER", refused: none},
		{name: "the bundled plugin's pattern first", header: "BEARER Bearer a", want: "a"},
		{name: "no space", header: "Bearera", refused: none},
		{name: "only spaces", header: "Bearer ", refused: none},
		{name: "spaces and no more", header: "Bearer   ", want: " "},
		{name: "any white space", header: "Bearer \t\v a b", want: "a b"},
		{name: "inside another word", header: "Forbearer a", want: "a"},
		{name: "only the end of the word", header: "earer a", refused: none},
		{name: "only the end of the word, then bearer", header: "earer Bearer a", want: "a"},
		{name: "second bearer counts", header: "Bearerx, Bearer a", want: "a"},
		{name: "first bearer counts", header: "Bearer a, Bearer b", want: "a, Bearer b"},
		{name: "query", query: "x=1&jwt=a&y", want: "a"},
		{name: "query, second name", query: "token=a", want: "a"},
		{name: "query, empty", query: "jwt=", refused: none},
		{name: "query, name only", query: "jwt", refused: odd},
		{name: "query, name only and value", query: "jwt&jwt=a", refused: several},
		{name: "query, other case", query: "JWT=a", refused: none},
		{name: "query, encoded", query: "%6awt=a%2eb%2Ec", want: "a.b.c"},
		{name: "query, every hexadecimal digit at an end", query: "jwt=%30%39%6a%6f%4A%4F", want: "09joJO"},
		{name: "query, plus", query: "jwt=+a", want: " a"},
		{name: "query, broken encoding", query: "jwt=%zz%4", want: "%zz%4"},
		{name: "query, equals sign in value", query: "jwt=a=b", want: "a=b"},
		{name: "query, twice the same", query: "jwt=a&jwt=a", want: "a"},
		{name: "query, two", query: "jwt=a&token=b", refused: several},
		{name: "cookie", cookie: "a=b; c1=t; x=y", want: "t"},
		{name: "cookie, other case", cookie: "C1=t", want: "t"},
		{name: "cookie, name as prefix", cookie: "c1x=t", refused: none},
		{name: "cookie, name as prefix, then another", cookie: "c1x=t; c1=u", want: "u"},
		{name: "cookie, name as suffix", cookie: "xc1=t", refused: none},
		{name: "cookie, name in a value", cookie: "a=c1=t", refused: none},
		{name: "cookie, spaces", cookie: "c1 =  t ", want: "t "},
		{name: "cookie, after a comma", cookie: "a=b,c1=t", want: "t"},
		{name: "cookie, comma in it", cookie: "c1=t,c2=u", refused: several},
		{name: "cookie, first of two", cookie: "c1=t; c1=u", want: "t"},
		{name: "cookie, no value", cookie: "c1", refused: none},
		{name: "cookie, ends at semicolon", cookie: "c1=;c1=t", refused: none},
		{name: "cookie, what stands for an equals sign is passed over", cookie: "c1;c1=t", refused: none},
		{name: "cookie, that ends there", cookie: "c1;c1=t;c1=u", want: "u"},
		{name: "cookie, the same with a comma", cookie: "c1,c1=t;c1=u", want: "u"},
		{name: "cookie, the same with a space", cookie: "c1 ;c1=t; c1=u", want: "u"},
		{name: "cookie, other name with the same start", cookie: "c1x;c1=t", want: "t"},
		{name: "everywhere the same", query: "jwt=a", cookie: "c1=a", header: "Bearer a", want: "a"},
		{name: "header and cookie differ", cookie: "c1=a", header: "Bearer b", refused: several},
		{name: "query and header differ", query: "jwt=a", header: "Bearer b", refused: several},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &schema.Config{
				URIParamNames: []string{"jwt", "token"}, CookieNames: []string{"c1", "c2"}, HeaderNames: []string{"authorization"},
			}
			r := &plugin.Request{Query: []byte(tt.query), Cookie: []byte(tt.cookie), Headers: [][]byte{[]byte(tt.header)}}
			got, no := plugin.FindToken(c, r)
			refused := ""
			if no != nil {
				refused = string(no.Body)
			}
			want := ""
			if tt.refused != "" {
				want = `{"message":"` + tt.refused + `"}`
			}
			if got != tt.want || refused != want {
				t.Errorf("got %q, %s; want %q, %s", got, refused, tt.want, want)
			}
		})
	}
}

func FuzzFindToken(f *testing.F) {
	f.Add([]byte("jwt=a%2Eb&jwt&x"), []byte("c1 = x, C1=y; c2"), []byte("Basic x, Bearer  Bearer y"))
	f.Add([]byte("%=&%4&%41"), []byte(",;,c1=;"), []byte("bearer \xff"))
	c := &schema.Config{URIParamNames: []string{"jwt", "a"}, CookieNames: []string{"c1", "c2"}, HeaderNames: []string{"authorization"}}
	f.Fuzz(func(t *testing.T, query, cookie, header []byte) {
		token, no := plugin.FindToken(c, &plugin.Request{Query: query, Cookie: cookie, Headers: [][]byte{header}})
		if (token == "") == (no == nil) {
			t.Fatalf("token %q and refusal %v", token, no)
		}
	})
}
