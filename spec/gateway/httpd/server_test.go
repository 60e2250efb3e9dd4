package httpd_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"kong-go-jwt/spec/gateway/httpd"
)

func answer(status int, text string) *httpd.Response {
	return &httpd.Response{Status: status, Body: io.NopCloser(strings.NewReader(text)), Length: int64(len(text))}
}

// start runs a server that answers with what it read.
func start(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := &httpd.Server{
		Handle: func(_ context.Context, r *httpd.Request) *httpd.Response {
			var b strings.Builder
			fmt.Fprintf(&b, "%s|%s|%s|%v|%q|", r.Line, r.Path, r.Query, r.HasQuery, r.Body)
			for _, f := range r.Header {
				fmt.Fprintf(&b, "%s=%q;", f.Name, f.Value)
			}
			return answer(200, b.String())
		},
		Refuse: func(status int) *httpd.Response { return answer(status, "refused") },
		HTTP2:  true,
	}
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// send writes text and reads n answers.
func send(t *testing.T, address, text string, n int) []string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	var out []string
	for range n {
		method := http.MethodGet
		if strings.HasPrefix(text, "HEAD") {
			method = http.MethodHead
		}
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%.100q: %v", text, err)
		}
		body, _ := io.ReadAll(res.Body)
		out = append(out, fmt.Sprint(res.StatusCode, " ", string(bytes.TrimSpace(body))))
	}
	return out
}

func TestRequests(t *testing.T) {
	t.Parallel()
	address := start(t)
	const host = "Host: h\r\n"
	large := "X: " + strings.Repeat("a", 7999) + "\r\n"
	tests := []struct{ name, request, want string }{
		{"plain", "GET /a?b=c HTTP/1.1\r\n" + host + "\r\n", `200 GET /a?b=c HTTP/1.1|/a|b=c|true|""|Host="h";`},
		{"empty query", "GET /? HTTP/1.1\r\n" + host + "\r\n", `200 GET /? HTTP/1.1|/||true|""|Host="h";`},
		{"order and spelling", "GET / HTTP/1.1\r\n" + host + "x_a: 1\r\nX-A: 2\r\nx_a:  3 \r\n\r\n", `200 GET / HTTP/1.1|/||false|""|Host="h";x_a="1";X-A="2";x_a="3";`},
		{"tabs stay", "GET / HTTP/1.1\r\n" + host + "X:\t1\t \r\n\r\n", `200 GET / HTTP/1.1|/||false|""|Host="h";X="\t1\t";`},
		{"no colon", "GET / HTTP/1.1\r\n" + host + "X\r\n\r\n", `200 GET / HTTP/1.1|/||false|""|Host="h";X="";`},
		{"two CR", "GET / HTTP/1.1\r\n" + host + "X: 1\r\r\n\r\n", `200 GET / HTTP/1.1|/||false|""|Host="h";X="1";`},
		{"CR within", "GET / HTTP/1.1\r\n" + host + "X: 1\rY: 2\r\n\r\n", "400 refused"},
		{"control character in a name", "GET / HTTP/1.1\r\n" + host + "X\x01: 1\r\n\r\n", "400 refused"},
		{"no name", "GET / HTTP/1.1\r\n" + host + ": 1\r\n\r\n", "400 refused"},
		{"bytes", "GET / HTTP/1.1\r\n" + host + "X: a\xffb\x01\r\n\r\n", `200 GET / HTTP/1.1|/||false|""|Host="h";X="a\xffb\x01";`},
		{"bad names are dropped", "GET / HTTP/1.1\r\n" + host + "X.Y: 1\r\nX: 2\r\n\r\n", `200 GET / HTTP/1.1|/||false|""|Host="h";X="2";`},
		{"absolute", "GET http://h/a HTTP/1.1\r\n" + host + "\r\n", `200 GET http://h/a HTTP/1.1|/a||false|""|Host="h";`},
		{"body", "POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabc", `200 POST / HTTP/1.1|/||false|"abc"|Host="h";Content-Length="3";`},
		{"chunked", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", `200 POST / HTTP/1.1|/||false|"abc"|Host="h";Transfer-Encoding="chunked";`},
		{"head", "HEAD / HTTP/1.1\r\n" + host + "\r\n", "200 "},
		{"two authorizations", "GET / HTTP/1.1\r\n" + host + "Authorization: a\r\nauthorization: b\r\n\r\n", "400 refused"},
		{"two hosts", "GET / HTTP/1.1\r\n" + host + host + "\r\n", "400 refused"},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "400 refused"},
		{"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "400 refused"},
		{"port alone", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", "400 refused"},
		{"space in the host", "GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "400 refused"},
		{"two dots in the host", "GET / HTTP/1.1\r\nHost: a..b\r\n\r\n", "400 refused"},
		{"address for a host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", `200 GET / HTTP/1.1|/||false|""|Host="[::1]:80";`},
		{"smuggling", "POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400 refused"},
		{"space before colon", "GET / HTTP/1.1\r\n" + host + "X : 1\r\n\r\n", "400 refused"},
		{"folded", "GET / HTTP/1.1\r\n" + host + "X: 1\r\n 2: 3\r\n\r\n", "400 refused"},
		{"NUL", "GET / HTTP/1.1\r\n" + host + "X: \x00\r\n\r\n", "400 refused"},
		{"bad escape", "GET /%zz HTTP/1.1\r\n" + host + "\r\n", "400 refused"},
		{"bad method", "get / HTTP/1.1\r\n" + host + "\r\n", "400 refused"},
		{"bad version", "GET / HTTP/2.0\r\n" + host + "\r\n", "400 refused"},
		{"long line", "GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\r\n" + host + "\r\n", "414 refused"},
		{"long header", "GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("a", 9000) + "\r\n\r\n", "400 refused"},
		{"many headers", "GET / HTTP/1.1\r\n" + host + strings.Repeat("X: 1\r\n", 999) + "\r\n", "200 GET / HTTP/1.1|/||false|\"\"|Host=\"h\";" + strings.Repeat("X=\"1\";", 999)},
		{"one header too many", "GET / HTTP/1.1\r\n" + host + strings.Repeat("X: 1\r\n", 1000) + "\r\n", "400 refused"},
		{"four large headers", "GET / HTTP/1.1\r\n" + host + strings.Repeat(large, 4) + "\r\n", "200 GET / HTTP/1.1|/||false|\"\"|Host=\"h\";" + strings.Repeat("X=\""+large[3:8002]+"\";", 4)},
		{"five large headers", "GET / HTTP/1.1\r\n" + host + strings.Repeat(large, 5) + "\r\n", "400 refused"},
		{"too many headers", "GET / HTTP/1.1\r\n" + host + strings.Repeat("X: 1\r\n", 6000) + "\r\n", "400 refused"},
		{"dot segments", "GET /a/../b/./c/.. HTTP/1.1\r\n" + host + "\r\n", `200 GET /a/../b/./c/.. HTTP/1.1|/a/../b/./c/..||false|""|Host="h";`},
		{"above the root", "GET /a/../.. HTTP/1.1\r\n" + host + "\r\n", "400 refused"},
		{"above the root, escaped", "GET /a/%2e%2E%2f.. HTTP/1.1\r\n" + host + "\r\n", "400 refused"},
		{"above the root, slashes merged", "GET /a//../.. HTTP/1.1\r\n" + host + "\r\n", "400 refused"},
		{"negative length", "POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", "400 refused"},
		{"huge length", "POST / HTTP/1.1\r\n" + host + "Content-Length: 999999999\r\n\r\n", "413 refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := send(t, address, tt.request, 1)[0]; got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestHTTP2: requests are as nginx shows them, and answers have nothing that was not given.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	address := start(t)
	transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	for name, tt := range map[string]struct {
		method, path, body string
		header             http.Header
		want               string
	}{
		"headers": {"GET", "/a%2Fb?c", "", http.Header{"x_A": {"1", "2"}, "X-A": {"3\xff"}}, `200 GET /a%2Fb?c HTTP/2.0|/a%2Fb|c|true|""|host="` + address + `";user-agent="u";x-a="3\xff";x_a="1";x_a="2";`},
		"body":    {"POST", "/", "abc", nil, `200 POST / HTTP/2.0|/||false|"abc"|host="` + address + `";content-length="3";user-agent="u";`},
		"HEAD":    {"HEAD", "/", "", nil, "200 "},
		"refused": {"GET", "/a/../..", "", nil, "400 refused"},
		"twice":   {"GET", "/", "", http.Header{"Authorization": {"a", "b"}}, "400 refused"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+address+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header = http.Header{"User-Agent": {"u"}}
			maps.Copy(r.Header, tt.header)
			res, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			if got := fmt.Sprint(res.StatusCode, " ", string(body)); got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			delete(res.Header, "Content-Length")
			if len(res.Header) > 0 || res.ProtoMajor != 2 {
				t.Errorf("%s %v", res.Proto, res.Header)
			}
		})
	}
}

func TestKeepAlive(t *testing.T) {
	t.Parallel()
	one := "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
	got := send(t, start(t), fmt.Sprintf(one, 1)+fmt.Sprintf(one, 2)+fmt.Sprintf(one, 3), 3)
	for i, text := range got {
		if !strings.HasPrefix(text, fmt.Sprintf("200 GET /%d ", i+1)) {
			t.Errorf("%d: %s", i, text)
		}
	}
}

func TestHeader(t *testing.T) {
	t.Parallel()
	h := httpd.Header{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}, {Name: "a", Value: "3"}, {Name: "A_B", Value: "4"}}
	h.Set("a", "x", "y")
	h.Set("A-B", "z")
	h.Del("b")
	want := httpd.Header{{Name: "A", Value: "x"}, {Name: "A", Value: "y"}, {Name: "A_B", Value: "4"}, {Name: "A-B", Value: "z"}}
	if fmt.Sprint(h) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", h, want)
	}
	if m := h.Map(2); len(m) != 1 || len(m["a"]) != 2 {
		t.Errorf("%v", m)
	}
}
