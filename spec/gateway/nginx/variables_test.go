package nginx_test

import (
	"slices"
	"testing"

	"kong-go-jwt/spec/gateway/httpd"
	"kong-go-jwt/spec/gateway/nginx"
)

func TestCookieVariable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		cookies []string
		name    string
		want    string
		found   bool
	}{
		{[]string{"a=1"}, "a", "1", true},
		{[]string{"a=1; b=2"}, "b", "2", true},
		{[]string{"a=1;b=2"}, "b", "2", true},
		{[]string{"a=1; b=2; b=3"}, "b", "2", true},
		{[]string{"A=1"}, "a", "1", true},
		{[]string{"ab=1; a=2"}, "a", "2", true},
		{[]string{"a=1, b=2"}, "b", "2", true},
		{[]string{"a=1, b=2"}, "a", "1, b=2", true},
		{[]string{"a = 1 "}, "a", "1 ", true},
		{[]string{"a"}, "a", "", false},
		{[]string{"a="}, "a", "", true},
		{[]string{"a; a=2"}, "a", "", false},
		{[]string{"a; b=1; a=2"}, "a", "2", true},
		{[]string{"a ,a=1,a=2"}, "a", "2", true},
		{[]string{"x=1", "a=2"}, "a", "2", true},
		{[]string{"my-jwt=x"}, "my-jwt", "x", true},
		{[]string{""}, "a", "", false},
		{nil, "a", "", false},
		{[]string{"a=b=c; d=e"}, "a", "b=c", true},
	}
	for _, tt := range tests {
		var h httpd.Header
		for _, c := range tt.cookies {
			h.Add("Cookie", c)
		}
		if got, found := nginx.CookieVariable(h, tt.name); got != tt.want || found != tt.found {
			t.Errorf("%q %s: %q %v, want %q %v", tt.cookies, tt.name, got, found, tt.want, tt.found)
		}
	}
}

func TestHeaderVariable(t *testing.T) {
	t.Parallel()
	h := httpd.Header{
		{Name: "X-Token", Value: "1"},
		{Name: "x_token", Value: "2"},
		{Name: "Cookie", Value: "a"},
		{Name: "COOKIE", Value: "b"},
		{Name: "X-Empty", Value: ""},
		{Name: "X_Hidden", Value: ""},
		{Name: "X-Hidden", Value: "evil"},
	}
	h.Add("X-Forwarded-For", "c")
	h.Add("X-Forwarded-For", "d")
	for text, want := range map[string]map[string]string{
		"1.25.3": {"x_token": "1, 2", "cookie": "a; b", "x_empty": "", "x_forwarded_for": "c, d", "x_hidden": ", evil"},
		"1.23.0": {"x_token": "1, 2", "x_hidden": ", evil"},
		"2.0.1":  {"x_token": "1, 2"},
		"1.22.1": {"x_token": "1", "cookie": "a; b", "x_empty": "", "x_forwarded_for": "c, d", "x_hidden": ""},
	} {
		v, err := nginx.ParseVersion(text)
		if err != nil || v.String() != text {
			t.Fatalf("%s: %v", v, err)
		}
		for name, want := range want {
			if got, ok := v.HeaderVariable(h, name); got != want || !ok {
				t.Errorf("%s: $http_%s: %q %v, want %q", v, name, got, ok, want)
			}
		}
		if got, ok := v.HeaderVariable(h, "x_absent"); ok {
			t.Errorf("an absent header: %q", got)
		}
	}
	for _, bad := range []string{"", "1", "1.25", "1.25.3.1", "v1.25.3", "1.25.3 ", "1.-2.3", "1.25.x"} {
		if _, err := nginx.ParseVersion(bad); err == nil {
			t.Errorf("%q was taken for a version", bad)
		}
	}
}

func TestParseInclude(t *testing.T) {
	t.Parallel()
	in, err := nginx.ParseInclude(`# a comment; with { signs
map $server_protocol $All {
    volatile;
    default "$a\n${b}c\t\"q\" $none";
}
map $a $kind { default ''; one 1; "two words" $b; }
more_clear_input_headers 'X-A'
	X_A;
server {
	listen "unix:/a/b";
	location / { content_by_lua_block { -- a { comment
		local a = { "}", '\'}', [[}]] } --[[ } ]]
		ngx.header["X-Go-Jwt-Store"] = "7"
	} }
}
map $a $last { default x; }
map $a $matched { "~^b\.[0-9]" b; ~*^C c; ~d$ d; ~^d other; b.1x exactly; default "<$a>"; }`)
	if err != nil {
		t.Fatal(err)
	}
	maps := in.Maps
	if in.Server == nil || *in.Server != (nginx.Server{Socket: "/a/b", Version: "7"}) || maps["last"] == nil {
		t.Errorf("%+v", in.Server)
	}
	if !slices.Equal(in.ClearHeaders, []string{"X-A", "X_A"}) {
		t.Errorf("%q", in.ClearHeaders)
	}
	lookup := func(vars map[string]string) func(string) string {
		return func(n string) string { return vars[n] }
	}
	if got := maps["all"].Value(lookup(map[string]string{"a": "A", "b": "B"})); got != "A\nBc\t\"q\" " {
		t.Errorf("%q", got)
	}
	for a, want := range map[string]string{"one": "1", "ONE": "1", "two words": "B", "three": ""} {
		if got := maps["kind"].Value(lookup(map[string]string{"a": a, "b": "B"})); got != want {
			t.Errorf("%s: %q, want %q", a, got, want)
		}
	}
	for a, want := range map[string]string{
		"b.1": "b", "b.1x": "exactly", "B.1": "<B.1>", "bx1": "<bx1>", "c": "c", "Cx": "c", "xc": "<xc>", "dd": "d", "dx": "other", "": "<>",
	} {
		if got := maps["matched"].Value(lookup(map[string]string{"a": a})); got != want {
			t.Errorf("%s: %q, want %q", a, got, want)
		}
	}
	for _, bad := range []string{
		"server { }", "server { listen unix:/a; }", `server { content_by_lua_block { " } }`, "more_clear_input_headers X", "lua_x 1;", "map $a $b { default x; ", "map $a b { default x; }", `map $a $b { default "x; }`,
		"map $a $b { ~( y; }", "map $a $b { ~(?=x) y; }", "map $a $b { ~x y z; }", "map $a $b { ~x; }", "map $a $b { ~x y",
		"map $a $b { hostnames; }", "map $a $b { include file; }", `map $a $b { \default x; }`, `map $a $b { "volatile" x; }`,
		"map $a $b { default x; default y; }", "map $a $b { default ''; default ''; }", "map $a $b { x 1; X 2; }",
		`map $a $b { default "$"; }`, `map $a $b { default "${a"; }`, "map",
	} {
		if _, err := nginx.ParseInclude(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
