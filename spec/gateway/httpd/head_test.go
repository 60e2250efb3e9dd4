package httpd

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// What $echo_client_request_headers shows, as seen on OpenResty 1.25.3.2 with
// echo-nginx-module 0.63.
func TestHead(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: a\r\n"
	long := strings.Repeat("x", 1500) // for which there is no room in the first buffer
	for name, tt := range map[string]struct{ sent, want string }{
		"usual":                    {get + "X-A: b\r\n\r\n", get + "X-A: b\r\n\r\n"},
		"no value":                 {get + "X-A:\r\n\r\n", get + "X-A:\r\n\r\n"},
		"no value but spaces":      {get + "X-A:  \r\n\r\n", get + "X-A:  \r\n\r\n"},
		"spaces behind a value":    {get + "X-A: b  \r\nX-C: d\r\n\r\n", get + "X-A: b\n \r\nX-C: d\r\n\r\n"},
		"LF alone":                 {get + "X-A: b\nX-C: d\r\n\r\n", get + "X-A: b\nX-C: d\r\n\r\n"},
		"LF alone at the end":      {get + "X-A: b\n\n", get + "X-A: b\n\n"},
		"a space before LF alone":  {get + "X-A: b \nX-C: d\r\n\r\n", get + "X-A: b\r\nX-C: d\r\n\r\n"},
		"CR CR LF":                 {get + "X-A: b\r\r\nX-C: d\r\n\r\n", get + "X-A: b\n\r\nX-C: d\r\n\r\n"},
		"cut short":                {"GET / HTTP/1.1\r\nHost: a \r\nX-C: d\n\n", "GET / HTTP/1.1\r\nHost: a\n\r\n"},
		"without a colon":          {get + "X-A\r\nX-C: d\r\n\r\n", get + "X-A\r\nX-C\n d\r\n\r\n"},
		"an ignored header":        {get + "X.A: b \r\n\r\n", get + "X.A: b \r\n\r\n"},
		"a body":                   {get + "Content-Length: 3\r\n\r\n\r\na", get + "Content-Length: 3\r\n\r\n"},
		"another buffer, LF":       {get + "X-A:\nX-C: " + long + "\r\n\r\n", get + "X-C: " + long + "\r\n\r\n"},
		"another buffer, LF alone": {"GET / HTTP/1.1\nHost: a\nX-A:\nX-C: " + long + "\n\r\n", "GET / HTTP/1.1\nX-C: " + long + "\n\r\n"},
		"another buffer, CR LF":    {get + "X-A:\r\nX-C: " + long + "\r\n\r\n", get + "X-A:\r\nX-C: " + long + "\r\n\r\n"},
		"another buffer, counts":   {get + "X-A\r\nX-C: " + long + " \nX-D: 1\nX-E:2 \r\n\r\n", get + "X-A\r\nX-C: " + long + "\r\nX-D: 1\nX-E:2\n\r\n\r\n"},
		"an empty line before":     {"\r\n" + get + "\r\n", get + "\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := readRequest(bufio.NewReader(strings.NewReader(tt.sent)), io.Discard, maxLine)
			if err != nil {
				t.Fatal(err)
			}
			if req.Head != tt.want {
				t.Errorf("got  %q\nwant %q", req.Head, tt.want)
			}
		})
	}
}

// What $request_uri shows: a fragment too, which is no part of path or query.
func TestTarget(t *testing.T) {
	for sent, want := range map[string][3]string{
		"/a?b":         {"/a?b", "/a", "b"},
		"/a?b#c?d":     {"/a?b#c?d", "/a", "b"},
		"/a#b?c":       {"/a#b?c", "/a", ""},
		"http://h/a#b": {"/a#b", "/a", ""},
	} {
		req, err := readRequest(bufio.NewReader(strings.NewReader("GET "+sent+" HTTP/1.1\r\nHost: h\r\n\r\n")), io.Discard, maxLine)
		if err != nil {
			t.Fatal(err)
		}
		if got := [3]string{req.Target, req.Path, req.Query}; got != want {
			t.Errorf("%s: got %q, want %q", sent, got, want)
		}
	}
}
