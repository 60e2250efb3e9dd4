package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	pb "github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"google.golang.org/protobuf/proto"

	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/spec/gateway/httpd"
	"kong-go-jwt/spec/gateway/nginx"
	"kong-go-jwt/spec/gateway/pluginserver"
	"kong-go-jwt/spec/gateway/proxy"
	"kong-go-jwt/spec/gateway/schema"
	"kong-go-jwt/spec/gateway/wire"
)

// call is one recorded PDK call: its frames, and Kong's answer; ended when
// Kong ended the connection instead.
type call struct {
	method string
	args   []byte
	answer []byte
	ended  bool
}

// recorded reads the events of an exchange, by the name the request gave them.
func recorded(t *testing.T, file string) map[string][]call {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../testdata/traces", file))
	if err != nil {
		t.Fatal(err)
	}
	events := map[string][]call{}
	var calls []call
	name := ""
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var f struct{ From, What, Hex string }
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		raw, err := hex.DecodeString(f.Hex)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(bytes.NewReader(raw))
		first, _ := wire.ReadFrame(r)
		second, _ := wire.ReadFrame(r)
		switch {
		case f.What == "RpcCall":
			if name != "" {
				events[name] = calls
			}
			calls, name = nil, ""
		case strings.HasPrefix(f.What, "call "):
			calls = append(calls, call{method: string(first), args: second})
		case strings.HasPrefix(f.What, "answer "):
			calls[len(calls)-1].answer = first
			if len(calls) == 1 {
				name, _ = wire.DecodeString(first)
			}
		case strings.HasPrefix(f.What, "no answer"):
			calls[len(calls)-1].ended = true
		}
	}
	return events
}

// fake is a plugin server that plays a script at every event.
type fake struct {
	t         *testing.T
	pipelined bool

	mu     sync.Mutex
	script []call
	got    [][]byte
	closes int // connections to close in the middle of an event, -1 for all
}

func (f *fake) serve(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			for f.one(c, bufio.NewReader(c)) == nil {
			}
		}()
	}
}

var errEnd = errors.New("end of the connection")

func (f *fake) one(c net.Conn, r *bufio.Reader) error {
	for {
		data, err := wire.ReadFrame(r)
		if err != nil {
			return err
		}
		message, err := wire.DecodeCall(data)
		if err != nil {
			f.t.Error(err)
			return err
		}
		ret := &pb.RpcReturn{Sequence: message.Sequence}
		if message.Event {
			if err := f.event(c, r); err != nil {
				return err
			}
		} else {
			ret.Return = &pb.RpcReturn_InstanceStatus{InstanceStatus: &pb.InstanceStatus{Name: message.Name, InstanceId: 7}}
		}
		out, err := proto.Marshal(ret)
		if err != nil {
			return err
		}
		if err := wire.WriteFrame(c, out); err != nil {
			return err
		}
	}
}

func (f *fake) event(c net.Conn, r *bufio.Reader) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closes != 0 {
		if f.closes > 0 {
			f.closes--
		}
		return errEnd
	}
	f.got = nil
	if f.pipelined {
		var b bytes.Buffer
		for _, k := range f.script {
			frames(&b, k)
		}
		if _, err := c.Write(b.Bytes()); err != nil {
			return err
		}
	}
	for _, k := range f.script {
		if !f.pipelined {
			if err := frames(c, k); err != nil {
				return err
			}
		}
		answer, err := wire.ReadFrame(r)
		if k.ended {
			// With calls of its own still unread, Kong's close is a reset.
			if err == nil {
				f.t.Errorf("%s was answered: %x", k.method, answer)
			}
			return errEnd
		}
		if err != nil {
			f.t.Errorf("%s: %v", k.method, err)
			return err
		}
		f.got = append(f.got, answer)
	}
	return wire.WriteFrame(c, nil)
}

func frames(w io.Writer, k call) error {
	if err := wire.WriteFrame(w, []byte(k.method)); err != nil {
		return err
	}
	return wire.WriteFrame(w, k.args)
}

const traceConfig = `{"_format_version": "3.0",
	"services": [{"name": "s", "url": "UPSTREAM", "routes": [{"name": "t", "paths": ["/t"]}]}],
	"plugins": [{"name": "trace", "route": "t", "config": {}}],
	"consumers": [{"id": "00000000-0000-4000-8000-000000000001", "username": "alice", "custom_id": "a-1", "tags": ["x", "y"]}]}`

// newGateway runs a gateway in this process on a fake plugin server.
func newGateway(t *testing.T, f *fake) (*proxy.Gateway, *http.Header) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ln, err := net.Listen("unix", filepath.Join(dir, "trace.socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go f.serve(ln)

	types, err := config.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	s, err := schema.ParsePlugin(map[string]any{"name": "trace", "fields": []any{
		map[string]any{"config": map[string]any{"type": "record", "fields": []any{}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	types["trace"] = config.PluginType{Schema: s, Priority: 1}
	received := &http.Header{}
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		*received = r.Header.Clone()
		received.Set("Request-Uri", r.RequestURI)
	}))
	t.Cleanup(upstream.Close)
	store, err := (&config.Loader{Types: types}).Load([]byte(strings.Replace(traceConfig, "UPSTREAM", upstream.URL, 1)))
	if err != nil {
		t.Fatal(err)
	}
	g := proxy.New(1, ln.Addr().String(), &proxy.Gateway{
		Plugin: "trace", Log: nginx.NewErrorLog(t.Output(), nginx.Info), Transport: &http.Transport{}, Stats: &pluginserver.Stats{},
	})
	t.Cleanup(func() { g.Restart(1, "") })
	if err := g.Use(store); err != nil {
		t.Fatal(err)
	}
	return g, received
}

func request(script string) *httpd.Request {
	h := httpd.Header{
		{Name: "Host", Value: "127.0.0.1:8000"},
		{Name: "User-Agent", Value: "curl/7.88.1"},
		{Name: "Accept", Value: "*/*"},
		{Name: "X-Script", Value: script},
		{Name: "Authorization", Value: "Bearer abc.def.ghi"},
		{Name: "X-Twice", Value: "1"},
		{Name: "X-Twice", Value: "2"},
		{Name: "X-Bytes", Value: "a\xffb"},
		{Name: "Cookie", Value: "sid=1; theme=dark"},
	}
	return &httpd.Request{
		Line: "GET /t/p%20q?a=1&a=2&b&jwt=x.y.z HTTP/1.1", Method: "GET", Proto: "HTTP/1.1",
		Target: "/t/p%20q?a=1&a=2&b&jwt=x.y.z", Path: "/t/p%20q", Query: "a=1&a=2&b&jwt=x.y.z", HasQuery: true,
		Header: h, RemoteAddr: "127.0.0.1:40000", LocalAddr: "127.0.0.1:8000",
	}
}

// TestReplay plays the plugin's side of the recorded exchange: the gateway must
// answer every call as Kong did, one by one and pipelined.
func TestReplay(t *testing.T) {
	t.Parallel()
	events := recorded(t, "exchange-1.jsonl")
	status := map[string]int{
		"reads": 200, "consumers": 200, "writes": 200, "exit": 401, "bad-method": 500, "bad-arg": 500,
		"bad-header": 200, "newline-header": 200,
	}
	for _, pipelined := range []bool{false, true} {
		f := &fake{t: t, pipelined: pipelined}
		g, upstream := newGateway(t, f)
		for name, want := range status {
			if len(events[name]) == 0 {
				t.Fatalf("%s is not in the trace", name)
			}
			f.mu.Lock()
			f.script = events[name]
			f.mu.Unlock()
			*upstream = http.Header{}
			res := g.Handle(context.Background(), request(name))
			if res.Status != want {
				t.Errorf("%s: status %d, want %d", name, res.Status, want)
			}
			if reached := len(*upstream) > 0; reached != (want == 200) {
				t.Errorf("%s: the upstream was reached: %v", name, reached)
			}
			f.mu.Lock()
			for i, answer := range f.got {
				sameAnswer(t, events[name][i], answer)
			}
			f.mu.Unlock()
			switch name {
			case "newline-header":
				if v := upstream.Get("X-Inject"); v != "a%0D%0AX-Evil: 1" || upstream.Get("X-Evil") != "" {
					t.Errorf("X-Inject: %q", v)
				}
			case "bad-header":
				if v := upstream.Get("X-Num"); v != "1.5" || upstream.Get("X-Map") != "" {
					t.Errorf("X-Num: %q, X-Map: %q", v, upstream.Get("X-Map"))
				}
			case "writes":
				if uri := upstream.Get("Request-Uri"); uri != "/p%20q?a=1" {
					t.Errorf("uri %s", uri)
				}
			case "exit":
				body, _ := io.ReadAll(res.Body)
				kind, _ := res.Header.Get("Content-Type")
				if string(body) != `{"message":"Unauthorized"}` || kind != "application/json; charset=utf-8" {
					t.Errorf("%s %q", kind, body)
				}
			}
			if res.Body != nil {
				res.Body.Close()
			}
		}
	}
}

func sameAnswer(t *testing.T, k call, got []byte) {
	t.Helper()
	var one, two any
	switch k.method {
	case "kong.request.get_headers", "kong.request.get_query":
		one, _ = wire.DecodeStruct(k.answer)
		two, _ = wire.DecodeStruct(got)
	case "kong.client.load_consumer", "kong.client.get_consumer":
		a, _ := wire.DecodeConsumer(k.answer)
		b, _ := wire.DecodeConsumer(got)
		a.CreatedAt, b.CreatedAt = 0, 0
		one, two = a, b
	case "kong.ctx.shared.get":
		one, _ = wire.DecodeValue(k.answer)
		two, _ = wire.DecodeValue(got)
	case "kong.client.get_credential":
		one, _ = wire.DecodeCredential(k.answer)
		two, _ = wire.DecodeCredential(got)
	case "kong.router.get_route":
		return // ids and times differ
	default:
		one, two = string(k.answer), string(got)
	}
	if !reflect.DeepEqual(one, two) {
		args, _ := wire.DecodeString(k.args)
		t.Errorf("%s(%s): %q, want %q", k.method, args, two, one)
	}
}

// TestClosedInTheMiddle: Kong begins the event anew when the plugin closes the
// connection, and here gives up in the end.
func TestClosedInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ closes, status int }{{0, 200}, {1, 200}, {50, 200}, {-1, 500}} {
		f := &fake{t: t, closes: tt.closes}
		g, _ := newGateway(t, f)
		res := g.Handle(context.Background(), request("x"))
		if res.Body != nil {
			res.Body.Close()
		}
		if res.Status != tt.status {
			t.Errorf("%d closes: status %d, want %d", tt.closes, res.Status, tt.status)
		}
		if n := g.Stats.Retries.Load(); tt.closes >= 0 && n != int64(tt.closes) {
			t.Errorf("%d closes: %d retries", tt.closes, n)
		}
	}
}
