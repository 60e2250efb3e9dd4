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
		{[]string{"a; a=2"}, "a", "2", true},
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
	}
	for name, want := range map[string]string{"x_token": "1, 2", "cookie": "a; b", "x_empty": ""} {
		if got, ok := nginx.HeaderVariable(h, name); got != want || !ok {
			t.Errorf("$http_%s: %q %v, want %q", name, got, ok, want)
		}
	}
	if got, ok := nginx.HeaderVariable(h, "x_absent"); ok {
		t.Errorf("an absent header: %q", got)
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
map $a $last { default x; }`)
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
	for _, bad := range []string{
		"server { }", "server { listen unix:/a; }", `server { content_by_lua_block { " } }`, "more_clear_input_headers X", "lua_x 1;", "map $a $b { default x; ", "map $a b { default x; }", `map $a $b { default "x; }`,
		"map $a $b { ~x y; }", `map $a $b { default "$"; }`, `map $a $b { default "${a"; }`, "map",
	} {
		if _, err := nginx.ParseInclude(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
