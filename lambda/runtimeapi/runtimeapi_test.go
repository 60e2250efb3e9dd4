package runtimeapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"kong-go-jwt/lambda/runtimeapi"
)

type handler func(ctx context.Context, payload []byte) ([]byte, error)

func (h handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) { return h(ctx, payload) }

// echo answers with the event, and with an error if that is "fail".
func echo(_ context.Context, payload []byte) ([]byte, error) {
	if string(payload) == "fail" {
		return nil, errors.New(`Unauthorized "x"`)
	}
	return payload, nil
}

const head = "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: r/1\r\n"

// event is the answer to a request for one, with its body in one piece.
func event(body string) string {
	return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
}

const (
	accepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 15\r\n\r\n" + `{"status":"OK"}`
	hangUp   = "<hang up>" // at the end of a line
)

// script is a Runtime API that answers each request with the next of its lines,
// whatever was asked, and then hangs up for good. It tells what it was asked.
func script(t *testing.T, lines ...string) (address string, asked func() []string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	var requests []string
	done := make(chan struct{})
	serve := func(conn net.Conn) {
		defer conn.Close()
		in := bufio.NewReader(conn)
		for len(lines) > 0 {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			body, _ := io.ReadAll(r.Body)
			requests = append(requests, strings.TrimSpace(r.Method+" "+r.RequestURI+" "+string(body)))
			line, last := strings.CutSuffix(lines[0], hangUp)
			lines = lines[1:]
			if io.WriteString(conn, line); last {
				return
			}
		}
	}
	go func() {
		defer close(done)
		for len(lines) > 0 {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn)
		}
		listener.Close()
	}()
	return listener.Addr().String(), func() []string {
		listener.Close()
		<-done
		return requests
	}
}

const (
	next     = "GET /2018-06-01/runtime/invocation/next"
	response = "POST /2018-06-01/runtime/invocation/r%2F1/response "
	failed   = "POST /2018-06-01/runtime/invocation/r%2F1/error "
)

// TestLoop: whatever the Runtime API answers, each event is answered once, and
// what makes no sense ends the loop with an error.
func TestLoop(t *testing.T) {
	for name, tt := range map[string]struct {
		answers []string
		asked   []string
		err     string
	}{
		"an event": {
			[]string{event("one"), accepted}, []string{next, response + "one"}, "",
		},
		"several events": {
			[]string{event("one"), accepted, event(""), accepted, event("three"), accepted},
			[]string{next, response + "one", next, strings.TrimSpace(response), next, response + "three"},
			"",
		},
		"an error": {
			[]string{event("fail"), accepted, event("two"), accepted},
			[]string{next, failed + `{"errorMessage":"Unauthorized \"x\"","errorType":"Error"}`, next, response + "two"},
			"",
		},
		"in chunks": {
			[]string{head + "Transfer-Encoding: chunked\r\n\r\n2\r\non\r\n1\r\ne\r\n0\r\n\r\n", accepted},
			[]string{next, response + "one"},
			"",
		},
		"up to the end of the connection": {
			[]string{head + "\r\none" + hangUp, accepted}, []string{next, response + "one"}, "",
		},
		"by HTTP/1.0": {
			[]string{strings.Replace(event("one"), "HTTP/1.1", "HTTP/1.0", 1) + hangUp, strings.Replace(accepted, "HTTP/1.1", "HTTP/1.0", 1) + hangUp, event("two"), accepted},
			[]string{next, response + "one", next, response + "two"},
			"",
		},
		"with trailers": {
			[]string{head + "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\nX: y\r\n\r\n", accepted, event("two"), accepted},
			[]string{next, response + "one", next, response + "two"},
			"",
		},
		"no content": {
			[]string{event("one"), "HTTP/1.1 204 No Content\r\n\r\n", event("two"), accepted},
			[]string{next, response + "one", next, response + "two"},
			"",
		},
		"a longer event than is wanted": {
			[]string{event(strings.Repeat("x", 5<<20)), accepted, event("two"), accepted},
			[]string{next, response + strings.Repeat("x", 101), next, response + "two"},
			"",
		},
		"a connection that is closed between events": {
			[]string{event("one"), accepted, hangUp, event("two"), accepted},
			[]string{next, response + "one", next, next, response + "two"},
			"",
		},
		"a connection that is closed before an answer is taken": {
			[]string{event("one"), hangUp, accepted, event("two"), accepted},
			[]string{next, response + "one", response + "one", next, response + "two"},
			"",
		},
		"Connection: close": {
			[]string{event("one"), strings.Replace(accepted, "\r\n", "\r\nConnection: close\r\n", 1), event("two"), accepted},
			[]string{next, response + "one", next, response + "two"},
			"",
		},
		"a new connection that is closed": {
			[]string{hangUp, event("one")}, []string{next}, "GET invocation/next: the connection is closed",
		},
		"an event that breaks off": {
			[]string{head + "Content-Length: 9\r\n\r\none" + hangUp}, []string{next}, "GET invocation/next: unexpected EOF",
		},
		"no request ID": {
			[]string{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, []string{next}, "an event has no request ID",
		},
		"no event": {
			[]string{"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"}, []string{next}, "GET invocation/next: status 500",
		},
		"an answer that is refused": {
			[]string{event("one"), "HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 0\r\n\r\n"},
			[]string{next, response + "one"},
			"POST invocation/r%2F1/response: status 413",
		},
		"no HTTP": {
			[]string{"SSH-2.0-OpenSSH\r\n\r\n"}, []string{next}, "GET invocation/next: malformed HTTP",
		},
		"two lengths": {
			[]string{head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"}, []string{next}, "GET invocation/next: malformed HTTP",
		},
		"an endless line": {
			[]string{head + "X: " + strings.Repeat("x", 1<<20)}, []string{next}, "GET invocation/next: malformed HTTP",
		},
		"two lengths, of which one is none": {
			[]string{head + "Content-Length: 0\r\nContent-Length: 2\r\n\r\nxx"}, []string{next}, "GET invocation/next: malformed HTTP",
		},
		"a length and chunks": {
			[]string{head + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n"}, []string{next}, "GET invocation/next: malformed HTTP",
		},
		"chunks of HTTP/1.0": {
			[]string{strings.Replace(head, "1.1", "1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n"}, []string{next}, "GET invocation/next: malformed HTTP",
		},
		"an encoding": {
			[]string{head + "Transfer-Encoding: gzip\r\n\r\nx"}, []string{next}, "GET invocation/next: malformed HTTP",
		},
		"a chunk that breaks off": {
			[]string{head + "Transfer-Encoding: chunked\r\n\r\n5\r\none" + hangUp}, []string{next}, "GET invocation/next: body: unexpected EOF",
		},
		"a head that breaks off": {
			[]string{head + "Content-Le" + hangUp}, []string{next}, "GET invocation/next: unexpected EOF",
		},
		"an endless head": {
			[]string{head + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 1000)}, []string{next}, "GET invocation/next: malformed HTTP",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, asked := script(t, tt.answers...)
			l := runtimeapi.Loop{Address: address, Handler: handler(echo), MaxEvent: 100}
			err := l.Run(t.Context())
			if err == nil || !strings.HasPrefix(err.Error(), "the Lambda Runtime API: "+tt.err) {
				t.Errorf("error %v, want %s", err, tt.err)
			}
			if got, want := strings.Join(asked(), "\n"), strings.Join(tt.asked, "\n"); got != want {
				t.Errorf("asked\n%.300s\nwant\n%.300s", got, want)
			}
		})
	}
}

// TestContext: the handler is told the event's deadline, if there is one, and its ID.
func TestContext(t *testing.T) {
	address, asked := script(t,
		strings.Replace(event("one"), "Content", "Lambda-Runtime-Deadline-Ms: 4102444800000\r\nContent", 1), accepted,
		strings.Replace(event("two"), "Content", "Lambda-Runtime-Deadline-Ms: soon\r\nContent", 1), accepted)
	var deadlines []string
	l := runtimeapi.Loop{Address: address, MaxEvent: 100, Handler: handler(func(ctx context.Context, _ []byte) ([]byte, error) {
		deadline, ok := ctx.Deadline()
		c, _ := lambdacontext.FromContext(ctx)
		deadlines = append(deadlines, fmt.Sprint(deadline.UTC().Format(time.DateOnly), ok, c.AwsRequestID))
		return nil, nil
	})}
	_ = l.Run(t.Context())
	asked()
	if got := strings.Join(deadlines, " "); got != "2100-01-01truer/1 0001-01-01falser/1" {
		t.Error(got)
	}
}

func TestFailInit(t *testing.T) {
	address, asked := script(t, accepted)
	if err := runtimeapi.FailInit(t.Context(), address, errors.New("config.leeway: no")); err != nil {
		t.Error(err)
	}
	want := `POST /2018-06-01/runtime/init/error {"errorMessage":"config.leeway: no","errorType":"Error"}`
	if got := strings.Join(asked(), "\n"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err := runtimeapi.FailInit(t.Context(), address, errors.New("x")); err == nil {
		t.Error("told nobody")
	}
}

// TestFailInitIsNotHeld: a Runtime API that does not answer keeps nobody from ending.
func TestFailInitIsNotHeld(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := runtimeapi.FailInit(t.Context(), listener.Addr().String(), errors.New("x")); err == nil {
		t.Error("told nobody")
	}
}
