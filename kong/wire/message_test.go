package wire_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	pb "github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"kong-go-jwt/kong/wire"
)

// trace is a line of what went over the socket between a real Kong and a probe.
type trace struct {
	Exchange, From, What, Hex string
	JSON                      json.RawMessage
}

func (tr *trace) frames(t testing.TB) [][]byte {
	t.Helper()
	b, err := hex.DecodeString(tr.Hex)
	if err != nil {
		t.Fatal(err)
	}
	frames, err := readAll(bytes.NewReader(b))
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return frames
}

func traces(t testing.TB) (all []trace) {
	t.Helper()
	files, err := filepath.Glob("../../spec/testdata/traces/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no traces: %v", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var tr trace
			if err := json.Unmarshal(lines.Bytes(), &tr); err != nil {
				t.Fatal(err)
			}
			all = append(all, tr)
		}
	}
	return all
}

// Every frame that Kong sent is understood, and as go-pdk's types do where those
// can: they lose messages with text that is not UTF-8.
func TestMessagesOfRealKong(t *testing.T) {
	seen := map[string]int{}
	for _, tr := range traces(t) {
		if tr.From != "kong" || tr.Hex == "" {
			continue
		}
		frames := tr.frames(t)
		if len(frames) != 1 {
			t.Fatalf("%s: %d frames", tr.What, len(frames))
		}
		frame := frames[0]
		switch tr.What {
		case "RpcCall":
			var want pb.RpcCall
			if err := proto.Unmarshal(frame, &want); err != nil {
				t.Fatal(err)
			}
			if start := want.GetCmdStartInstance() != nil; wire.IsStartCall(frame) != start {
				t.Fatalf("%x: starts an instance: %v", frame, !start)
			}
			got, ok := wire.ParseEventCall(frame)
			event := want.GetCmdHandleEvent()
			if ok != (event != nil) {
				t.Fatalf("%x: is an event: %v", frame, ok)
			}
			if ok && !reflect.DeepEqual(got, wire.EventCall{Sequence: uint64(want.GetSequence()), Instance: event.GetInstanceId(), Name: []byte(event.GetEventName())}) {
				t.Errorf("got %+v, want %v", got, &want)
			}
		case "answer kong.request.get_headers":
			headers, ok := wire.ParseHeaders(frame)
			got := map[string][]string{}
			for _, h := range headers {
				for _, v := range h.Values {
					got[string(h.Name)] = append(got[string(h.Name)], string(v))
				}
			}
			if !ok || got["host"] == nil {
				t.Errorf("got %v, %v", got, ok)
			}
			var want structpb.Struct
			if proto.Unmarshal(frame, &want) == nil {
				for name, v := range want.GetFields() {
					if v.GetListValue() == nil && !reflect.DeepEqual(got[name], []string{v.GetStringValue()}) {
						t.Errorf("%s: got %q, want %v", name, got[name], v)
					}
				}
			} else if !reflect.DeepEqual(got["x-twice"], []string{"1", "2"}) || !reflect.DeepEqual(got["x-bytes"], []string{"a\xffb"}) {
				t.Errorf("got %q", got)
			}
		case "answer kong.client.load_consumer", "answer kong.client.get_consumer":
			var want pb.Consumer
			if err := proto.Unmarshal(frame, &want); err != nil {
				t.Fatal(err)
			}
			got, ok := wire.ParseConsumer(frame)
			if !ok || (got == nil) != (want.GetId() == "") {
				t.Fatalf("got %v, %v; want %v", got, ok, &want)
			}
			if got != nil && !proto.Equal(got, &want) {
				t.Errorf("got %+v, want %v", got, &want)
			}
		case "answer kong.request.get_header", "answer kong.nginx.get_var", "answer kong.request.get_method":
			got, ok := wire.ParseString(frame)
			var want pb.String
			if err := proto.Unmarshal(frame, &want); err == nil && (!ok || string(got) != want.GetV()) || err != nil && string(got) != "a\xffb" {
				t.Errorf("got %q, %v; want %q", got, ok, want.GetV())
			}
		default:
			continue
		}
		seen[tr.What]++
	}
	if len(seen) < 6 {
		t.Errorf("of the traces, only these kinds were there: %v", seen)
	}
}

// A call is an event's only if each field is what it should be: another may still be for
// somebody else to read.
func TestParseEventCall(t *testing.T) {
	event := func(b []byte) []byte { return wire.AppendText(wire.AppendVarint(b, 1, 7), 2, "access") }
	for name, tt := range map[string]struct {
		frame []byte
		want  bool
	}{
		"event":                {wire.AppendMessage(wire.AppendVarint(nil, 1, 5), 36, event), true},
		"without a sequence":   {wire.AppendMessage(nil, 36, event), true},
		"nothing":              {nil, false},
		"sequence alone":       {wire.AppendVarint(nil, 1, 5), false},
		"number before it":     {wire.AppendMessage(wire.AppendVarint(nil, 9, 5), 36, event), false},
		"sequence as text":     {wire.AppendMessage(wire.AppendText(nil, 1, "\x05"), 36, event), false},
		"event as a number":    {wire.AppendVarint(nil, 36, 5), false},
		"another call":         {wire.AppendMessage(wire.AppendVarint(nil, 1, 5), 35, event), false},
		"two events":           {wire.AppendMessage(wire.AppendMessage(nil, 36, event), 36, event), false},
		"instance as text":     {wire.AppendMessage(nil, 36, func(b []byte) []byte { return wire.AppendText(b, 1, "\x07") }), false},
		"name as a number":     {wire.AppendMessage(nil, 36, func(b []byte) []byte { return wire.AppendVarint(b, 2, 7) }), false},
		"another field":        {wire.AppendMessage(nil, 36, func(b []byte) []byte { return wire.AppendVarint(event(b), 3, 7) }), false},
		"cut off":              {wire.AppendMessage(nil, 36, event)[:9], false},
		"cut off in the event": {wire.AppendMessage(nil, 36, func(b []byte) []byte { return append(event(b), 1<<3) }), false},
	} {
		t.Run(name, func(t *testing.T) {
			c, ok := wire.ParseEventCall(tt.frame)
			if ok != tt.want || ok && (c.Instance != 7 || string(c.Name) != "access") {
				t.Errorf("got %+v, %t; want %t", c, ok, tt.want)
			}
		})
	}
}

// Lists in lists are no headers. Taken apart by recursion, a frame of them took a
// gigabyte of stack, which ends the process.
func TestHeadersOfListsInLists(t *testing.T) {
	for levels, want := range map[int]bool{0: true, 1: true, 2: false, 3: false, 100_000: false} {
		value := []byte{3<<3 | 2, 1, 'v'} // the string "v"
		var heads [][]byte                // of the messages around it, from the inside out
		size := len(value)
		for range levels {
			for _, tag := range []byte{1<<3 | 2, 6<<3 | 2} { // an element, and its list
				head := binary.AppendUvarint([]byte{tag}, uint64(size))
				heads, size = append(heads, head), size+len(head)
			}
		}
		slices.Reverse(heads)
		message := wire.AppendPair(nil, "x", func(b []byte) []byte {
			return append(append(b, bytes.Join(heads, nil)...), value...)
		})
		headers, ok := wire.ParseHeaders(message)
		if ok != want || ok && (len(headers) != 1 || string(headers[0].Join(", ")) != "v") {
			t.Errorf("%d levels: got %v, %v", levels, headers, ok)
		}
	}
}

func TestJoin(t *testing.T) {
	for want, values := range map[string][][]byte{"": nil, "a": {[]byte("a")}, "a, b": {[]byte("a"), []byte("b")}} {
		h := wire.Header{Values: values}
		if got := string(h.Join(", ")); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A Consumer is written as go-pdk's type is.
func TestAppendConsumer(t *testing.T) {
	for _, want := range []*pb.Consumer{
		{Id: "i"},
		{Id: "i", CreatedAt: 5},
		{Id: "i", Username: "u"},
		{Id: "i", CustomId: "c"},
		{Id: "i", CreatedAt: 5, Username: "u", CustomId: "c", Tags: []string{"a", "b"}},
	} {
		text, err := proto.MarshalOptions{Deterministic: true}.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := wire.AppendConsumer(nil, want); !bytes.Equal(got, text) {
			t.Errorf("%v: got %x, want %x", want, got, text)
		}
	}
}

func FuzzMessages(f *testing.F) {
	for _, tr := range traces(f) {
		for _, frame := range tr.frames(f) {
			f.Add(frame)
		}
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		var c pb.RpcCall
		if got, ok := wire.ParseEventCall(message); ok && proto.Unmarshal(message, &c) == nil {
			event := c.GetCmdHandleEvent()
			if event == nil || got.Instance != event.GetInstanceId() || string(got.Name) != event.GetEventName() {
				t.Fatalf("got %+v, want %v", got, &c)
			}
		}
		var s pb.String
		if got, ok := wire.ParseString(message); ok && proto.Unmarshal(message, &s) == nil && string(got) != s.GetV() {
			t.Fatalf("got %q, want %q", got, s.GetV())
		}
		wire.ParseHeaders(message)
		if consumer, ok := wire.ParseConsumer(message); ok && consumer != nil && consumer.GetId() == "" {
			t.Fatal("a consumer without an id")
		}
	})
}
