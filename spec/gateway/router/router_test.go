package router_test

import (
	"testing"

	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/spec/gateway/router"
)

func TestFind(t *testing.T) {
	t.Parallel()
	service := &config.Service{ID: "s", Path: ""}
	route := func(name string, r config.Route) *config.Route {
		r.Name, r.Service = name, service
		return &r
	}
	r, err := router.New([]*config.Route{
		route("a", config.Route{Paths: []string{"/a"}}),
		route("ab", config.Route{Paths: []string{"/a/b", "/other"}}),
		route("regex", config.Route{Paths: []string{`~/a/\d+$`}}),
		route("post", config.Route{Paths: []string{"/a"}, Methods: []string{"POST"}}),
		route("host", config.Route{Hosts: []string{"*.example.com"}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ method, host, path, want, rest string }{
		{"GET", "h", "/a", "a", ""},
		{"GET", "h", "/a/c", "a", "/c"},
		{"GET", "h", "/ab", "a", "b"},
		{"GET", "h", "/a/b/c", "ab", "/c"},
		{"GET", "h", "/other", "ab", ""},
		{"GET", "h", "/a/12", "regex", ""},
		{"POST", "h", "/a/12", "post", "/12"},
		{"GET", "x.example.com", "/zzz", "host", "/zzz"},
		{"GET", "h", "/zzz", "", ""},
	}
	for _, tt := range tests {
		m, ok := r.Find(tt.method, tt.host, tt.path)
		name := ""
		if ok {
			name = m.Route.Name
		}
		if name != tt.want || ok && tt.want != "host" && m.Rest != tt.rest {
			t.Errorf("%s %s%s: %q %q, want %q %q", tt.method, tt.host, tt.path, name, m.Rest, tt.want, tt.rest)
		}
	}
}

func TestUpstreamPath(t *testing.T) {
	t.Parallel()
	tests := []struct {
		base, path, rest string
		strip            bool
		want             string
	}{
		{"", "/a", "", true, "/"},
		{"", "/a/", "/", true, "/"},
		{"", "/a/b", "/b", true, "/b"},
		{"", "/ab", "b", true, "/b"},
		{"/base", "/a", "", true, "/base"},
		{"/base", "/a/", "/", true, "/base/"},
		{"/base/", "/a/b", "/b", true, "/base/b"},
		{"/base", "/a/b", "/b", true, "/base/b"},
		{"/base", "/a/b", "", false, "/base/a/b"},
		{"", "/a/b", "", false, "/a/b"},
		{"", "/a/x y", "/x y", true, "/x%20y"},
	}
	for _, tt := range tests {
		m := router.Match{
			Route: &config.Route{Service: &config.Service{Path: tt.base}, StripPath: tt.strip}, Rest: tt.rest,
		}
		if got := m.UpstreamPath(tt.path); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"/": "/", "/a": "/a", "/a/": "/a/", "//a///b": "/a/b", "/a/./b": "/a/b", "/a/../b": "/b", "/../a": "/a",
		"/a/..": "/", "/a/b/..": "/a/", "/a/.": "/a/", "/a%20b": "/a b", "/a%2fb": "/a%2Fb", "/%41%3b": "/A%3B",
	} {
		if got := router.Normalize(raw); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}
