package kong_test

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
	"strings"
	"testing"
	"testing/iotest"

	pb "github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"kong-go-jwt/kong"
	"kong-go-jwt/plugin"
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
	frames, err := kong.Frames(bytes.NewReader(b))
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return frames
}

func traces(t testing.TB) (all []trace) {
	t.Helper()
	files, err := filepath.Glob("../spec/testdata/traces/*.jsonl")
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
			got, ok := kong.ParseEventCall(frame)
			event := want.GetCmdHandleEvent()
			if ok != (event != nil) {
				t.Fatalf("%x: is an event: %v", frame, ok)
			}
			if ok && got != (kong.EventCall{Sequence: uint64(want.GetSequence()), Instance: event.GetInstanceId(), Name: event.GetEventName()}) {
				t.Errorf("got %+v, want %v", got, &want)
			}
		case "answer kong.request.get_headers":
			got, ok := kong.ParseHeaders(frame)
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
			got, ok := kong.ParseConsumer(frame)
			if !ok || (got == nil) != (want.GetId() == "") {
				t.Fatalf("got %v, %v; want %v", got, ok, &want)
			}
			if got != nil && !reflect.DeepEqual(*got, plugin.Consumer{
				ID: want.GetId(), Username: want.GetUsername(), CustomID: want.GetCustomId(), Tags: want.GetTags(), CreatedAt: want.GetCreatedAt(),
			}) {
				t.Errorf("got %+v, want %v", got, &want)
			}
		case "answer kong.request.get_header", "answer kong.nginx.get_var", "answer kong.request.get_method":
			got, ok := kong.ParseString(frame)
			var want pb.String
			if err := proto.Unmarshal(frame, &want); err == nil && (!ok || got != want.GetV()) || err != nil && got != "a\xffb" {
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

// call takes the bytes of one PDK call apart.
func call(t *testing.T, b []byte, method string, arguments proto.Message) {
	t.Helper()
	frames, err := kong.Frames(bytes.NewReader(b))
	if !errors.Is(err, io.EOF) || len(frames) != 2 {
		t.Fatalf("%d frames, %v", len(frames), err)
	}
	if string(frames[0]) != method {
		t.Errorf("method %q, want %q", frames[0], method)
	}
	got := arguments.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(frames[1], got); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, arguments) {
		t.Errorf("got  %v\nwant %v", got, arguments)
	}
}

// The calls are what go-pdk's types decode to the same meaning.
func TestCalls(t *testing.T) {
	consumer := &plugin.Consumer{ID: "id", Username: "ä", CustomID: "c", Tags: []string{"x", "y"}, CreatedAt: 1795442907}
	text := func(s string) *structpb.Value { return structpb.NewStringValue(s) }
	list := func() *structpb.Value { return structpb.NewListValue(&structpb.ListValue{}) }
	token := strings.Repeat("t", 300)
	t.Run("authenticate", func(t *testing.T) {
		call(t, kong.AuthenticateBytes(&plugin.Identity{Consumer: consumer, CredentialID: "cred", CredentialKey: "key"}),
			"kong.client.authenticate", &pb.AuthenticateArgs{
				Consumer:   &pb.Consumer{Id: "id", Username: "ä", CustomId: "c", Tags: []string{"x", "y"}, CreatedAt: 1795442907},
				Credential: &pb.AuthenticatedCredential{Id: "cred", ConsumerId: "id"},
			})
	})
	t.Run("authenticate anonymous", func(t *testing.T) {
		call(t, kong.AuthenticateBytes(&plugin.Identity{Consumer: &plugin.Consumer{ID: "id"}}),
			"kong.client.authenticate", &pb.AuthenticateArgs{Consumer: &pb.Consumer{Id: "id"}})
	})
	t.Run("set_headers", func(t *testing.T) {
		call(t, kong.SetHeadersBytes((&plugin.Identity{Consumer: consumer, CredentialKey: "key"}).Headers()),
			"kong.service.request.set_headers", &structpb.Struct{Fields: map[string]*structpb.Value{
				"X-Consumer-ID": text("id"), "X-Consumer-Custom-ID": text("c"), "X-Consumer-Username": text("ä"),
				"X-Credential-Identifier": text("key"), "X-Anonymous-Consumer": list(),
			}})
	})
	t.Run("set_headers anonymous", func(t *testing.T) {
		call(t, kong.SetHeadersBytes((&plugin.Identity{Consumer: &plugin.Consumer{ID: "id"}}).Headers()),
			"kong.service.request.set_headers", &structpb.Struct{Fields: map[string]*structpb.Value{
				"X-Consumer-ID": text("id"), "X-Consumer-Custom-ID": list(), "X-Consumer-Username": list(),
				"X-Credential-Identifier": list(), "X-Anonymous-Consumer": text("true"),
			}})
	})
	t.Run("share token", func(t *testing.T) {
		call(t, kong.ShareTokenBytes([]byte(token)), "kong.ctx.shared.set", &pb.KV{K: "authenticated_jwt_token", V: text(token)})
	})
	t.Run("load_consumer", func(t *testing.T) {
		call(t, kong.LoadConsumerBytes("x"), "kong.client.load_consumer", &pb.ConsumerSpec{Id: "x", ByUsername: true})
	})
	t.Run("exit", func(t *testing.T) {
		call(t, kong.ExitBytes(&plugin.Refusal{Status: 401, Body: []byte(`{}`), WWWAuthenticate: "Bearer"}),
			"kong.response.exit", &pb.ExitArgs{Status: 401, Body: []byte(`{}`), Headers: &structpb.Struct{Fields: map[string]*structpb.Value{
				"Content-Type": text("application/json; charset=utf-8"), "WWW-Authenticate": text("Bearer"),
			}}})
	})
}

func TestEnd(t *testing.T) {
	for _, sequence := range []uint64{1, 127, 128, 1 << 40} {
		frames, err := kong.Frames(bytes.NewReader(kong.EndBytes(sequence)))
		var got pb.RpcReturn
		if !errors.Is(err, io.EOF) || len(frames) != 2 || len(frames[0]) != 0 {
			t.Fatalf("frames %x, %v", frames, err)
		}
		if err := proto.Unmarshal(frames[1], &got); err != nil || got.GetSequence() != int64(sequence) {
			t.Errorf("got %v, %v; want %d", &got, err, sequence)
		}
	}
}

func TestFrames(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		want int // frames
		err  error
	}{
		"none":             {"", 0, io.EOF},
		"empty one":        {"\x00\x00\x00\x00", 1, io.EOF},
		"two":              {"\x01\x00\x00\x00a\x02\x00\x00\x00bc", 2, io.EOF},
		"half a length":    {"\x01\x00", 0, io.ErrUnexpectedEOF},
		"half a frame":     {"\x04\x00\x00\x00abc", 0, io.ErrUnexpectedEOF},
		"only a length":    {"\x04\x00\x00\x00", 0, io.ErrUnexpectedEOF},
		"4 GiB":            {"\xff\xff\xff\xffabc", 0, kong.ErrFrameTooLong},
		"just too long":    {"\x01\x00\x00\x01abc", 0, kong.ErrFrameTooLong},
		"one, then a half": {"\x01\x00\x00\x00a\x01", 1, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			for way, r := range map[string]io.Reader{
				"at once": strings.NewReader(tt.in), "bytewise": iotest.OneByteReader(strings.NewReader(tt.in)),
			} {
				frames, err := kong.Frames(r)
				if len(frames) != tt.want || !errors.Is(err, tt.err) {
					t.Errorf("%s: got %d frames, %v; want %d, %v", way, len(frames), err, tt.want, tt.err)
				}
			}
		})
	}
}

// Frames handed out stay as they are while further ones are read.
func TestFramesAreNotOverwritten(t *testing.T) {
	var in []byte
	want := make([]string, 50)
	for i := range want {
		want[i] = strings.Repeat(string(rune('a'+i%26)), 997*(i%7))
		in = append(binary.LittleEndian.AppendUint32(in, uint32(len(want[i]))), want[i]...)
	}
	frames, err := kong.Frames(iotest.HalfReader(bytes.NewReader(in)))
	if !errors.Is(err, io.EOF) || len(frames) != len(want) {
		t.Fatalf("%d frames, %v", len(frames), err)
	}
	for i := range want {
		if string(frames[i]) != want[i] {
			t.Fatalf("frame %d is not what was sent", i)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00a\x00\x00\x00\x00\x02\x00\x00\x00bc"), true)
	f.Add([]byte("\xff\xff\xff\xff"), false)
	f.Fuzz(func(t *testing.T, in []byte, bytewise bool) {
		var r io.Reader = bytes.NewReader(in)
		if bytewise {
			r = iotest.OneByteReader(r)
		}
		frames, err := kong.Frames(r)
		var out []byte
		for _, frame := range frames {
			out = append(binary.LittleEndian.AppendUint32(out, uint32(len(frame))), frame...)
		}
		if err == nil || !bytes.HasPrefix(in, out) || errors.Is(err, io.EOF) && len(out) != len(in) {
			t.Fatalf("frames %x of %x, %v", frames, in, err)
		}
	})
}

func FuzzMessages(f *testing.F) {
	for _, tr := range traces(f) {
		for _, frame := range tr.frames(f) {
			f.Add(frame)
		}
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		var c pb.RpcCall
		if got, ok := kong.ParseEventCall(message); ok && proto.Unmarshal(message, &c) == nil {
			event := c.GetCmdHandleEvent()
			if event == nil || got.Instance != event.GetInstanceId() || got.Name != event.GetEventName() {
				t.Fatalf("got %+v, want %v", got, &c)
			}
		}
		var s pb.String
		if got, ok := kong.ParseString(message); ok && proto.Unmarshal(message, &s) == nil && got != s.GetV() {
			t.Fatalf("got %q, want %q", got, s.GetV())
		}
		kong.ParseHeaders(message)
		if consumer, ok := kong.ParseConsumer(message); ok && consumer != nil && consumer.ID == "" {
			t.Fatal("a consumer without an id")
		}
	})
}
