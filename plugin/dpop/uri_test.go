package dpop_test

import (
	"testing"

	"kong-go-jwt/plugin/dpop"
)

// RFC 3986 sections 6.2.2 and 6.2.3, with its examples.
func TestNormalize(t *testing.T) {
	for uri, want := range map[string]string{
		"https://api.example/a":                   "https://api.example/a",
		"HTTPS://API.Example/A":                   "https://api.example/A",
		"https://api.example":                     "https://api.example/",
		"https://api.example:443/":                "https://api.example/",
		"https://api.example:/":                   "https://api.example/",
		"http://api.example:80":                   "http://api.example/",
		"http://api.example:443/":                 "http://api.example:443/",
		"https://api.example:8443/a":              "https://api.example:8443/a",
		"https://api.example/a?b=c":               "https://api.example/a",
		"https://api.example?b=/c":                "https://api.example/",
		"https://api.example/a#b":                 "https://api.example/a",
		"https://api.example/a#b?c":               "https://api.example/a",
		"https://api.example/%7euser/%2f/%c3%a9":  "https://api.example/~user/%2F/%C3%A9",
		"https://api.example/a/./b/../c/%2e%2E/d": "https://api.example/a/d",
		"https://api.example/a/b/..":              "https://api.example/a/",
		"https://api.example/a/.":                 "https://api.example/a/",
		"https://api.example/../a":                "https://api.example/a",
		"https://api.example/a//b":                "https://api.example/a//b",
		"https://api.example/%61%7a%41%5A%30%39-": "https://api.example/azAZ09-", // the ends of what needs no escape
		"https://api.example/%60%7b%40%5B%2f%3A":  "https://api.example/%60%7B%40%5B%2F%3A",
		"https://[2001:DB8::1]:8443/a":            "https://[2001:db8::1]:8443/a",
		"https://[::1]:8443/a":                    "https://[::1]:8443/a",
		"https://[2001:db8::1]/a":                 "https://[2001:db8::1]/a",
		"https://[2001:db8::1]:443/a":             "https://[2001:db8::1]/a",

		"":                            "",
		"/a":                          "",
		"api.example/a":               "",
		"ftp://api.example/a":         "",
		"https:///a":                  "",
		"https://:443/a":              "",
		"https://user@api.example/a":  "",
		"https://api.example\\@evil/": "",
		"https://api.example/%":       "",
		"https://api.example/%2":      "",
		"https://api.example/%zz":     "",
	} {
		t.Run(uri, func(t *testing.T) {
			got, ok := dpop.Normalize(uri)
			if got != want || ok != (want != "") {
				t.Errorf("got %q, %v; want %q", got, ok, want)
			}
		})
	}
}

// What is normalized stays as it is.
func FuzzNormalize(f *testing.F) {
	f.Add("https://API.example:443/a/./b/../%7e%2f?x#y")
	f.Add("http://[::1]:80/..//%41")
	f.Fuzz(func(t *testing.T, uri string) {
		once, ok := dpop.Normalize(uri)
		if !ok {
			return
		}
		if twice, ok := dpop.Normalize(once); !ok || twice != once {
			t.Errorf("%q: %q, then %q, %v", uri, once, twice, ok)
		}
	})
}
