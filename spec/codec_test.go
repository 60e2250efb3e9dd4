package spec_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	pb "github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"kong-go-jwt/spec/gateway/wire"
)

// frame is one line of the recorded exchanges.
type frame struct {
	From, What, Hex, Text string
	file                  string
	line                  int
	payloads              [][]byte
}

func recorded(t testing.TB) []frame {
	t.Helper()
	files, err := filepath.Glob("testdata/traces/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatal("no traces", err)
	}
	var frames []frame
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
			f := frame{file: name, line: i + 1}
			if err := json.Unmarshal([]byte(line), &f); err != nil {
				t.Fatalf("%s:%d: %v", name, i+1, err)
			}
			raw, err := hex.DecodeString(f.Hex)
			if err != nil {
				t.Fatalf("%s:%d: %v", name, i+1, err)
			}
			r := bufio.NewReader(bytes.NewReader(raw))
			for {
				p, err := wire.ReadFrame(r)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("%s:%d: %v", name, i+1, err)
				}
				f.payloads = append(f.payloads, p)
			}
			frames = append(frames, f)
		}
	}
	return frames
}

// TestFramesReadAndWrite writes every recorded frame again, byte for byte.
func TestFramesReadAndWrite(t *testing.T) {
	t.Parallel()
	for _, f := range recorded(t) {
		var b bytes.Buffer
		for _, p := range f.payloads {
			if err := wire.WriteFrame(&b, p); err != nil {
				t.Fatal(err)
			}
		}
		if got := hex.EncodeToString(b.Bytes()); got != f.Hex {
			t.Errorf("%s:%d: %s, want %s", f.file, f.line, got, f.Hex)
		}
	}
}

// TestCallsAgainstRecorded decodes Kong's recorded calls, encodes them anew,
// and holds both against go-pdk's generated types.
func TestCallsAgainstRecorded(t *testing.T) {
	t.Parallel()
	for _, f := range recorded(t) {
		switch {
		case f.What == "RpcCall":
			c, err := wire.DecodeCall(f.payloads[0])
			if err != nil {
				t.Fatal(err)
			}
			var again []byte
			switch {
			case c.Start:
				again = wire.StartInstance(c.Sequence, c.Name, []byte(c.Config))
			case c.Close:
				again = wire.CloseInstance(c.Sequence, c.Instance)
			case c.Event:
				again = wire.HandleEvent(c.Sequence, c.Instance, c.EventName)
			default:
				t.Fatalf("%s:%d: an unknown call", f.file, f.line)
			}
			same(t, f, f.payloads[0], again, &pb.RpcCall{}, &pb.RpcCall{})
		case f.What == "RpcReturn":
			got, err := wire.DecodeReturn(f.payloads[0])
			if err != nil {
				t.Fatal(err)
			}
			var want pb.RpcReturn
			if err := proto.Unmarshal(f.payloads[0], &want); err != nil {
				t.Fatal(err)
			}
			status := want.GetInstanceStatus()
			if got.Sequence != want.GetSequence() || got.HasStatus != (status != nil) ||
				got.Instance != status.GetInstanceId() || got.Name != status.GetName() {
				t.Errorf("%s:%d: %+v, want %v", f.file, f.line, got, &want)
			}
		}
	}
}

func same(t *testing.T, f frame, want, got []byte, a, b proto.Message) {
	t.Helper()
	if err := proto.Unmarshal(want, a); err != nil {
		t.Fatalf("%s:%d: %v", f.file, f.line, err)
	}
	if err := proto.Unmarshal(got, b); err != nil {
		t.Fatalf("%s:%d: %v", f.file, f.line, err)
	}
	if !proto.Equal(a, b) {
		t.Errorf("%s:%d: %v, want %v", f.file, f.line, b, a)
	}
}

// TestAnswersAgainstRecorded decodes Kong's recorded answers, and encodes them
// as the gateway would.
func TestAnswersAgainstRecorded(t *testing.T) {
	t.Parallel()
	for _, f := range recorded(t) {
		method, ok := strings.CutPrefix(f.What, "answer ")
		if !ok {
			continue
		}
		p := f.payloads[0]
		var again []byte
		var err error
		var a, b proto.Message = &pb.String{}, &pb.String{}
		switch method {
		case "kong.request.get_headers", "kong.request.get_query":
			var m map[string]any
			m, err = wire.DecodeStruct(p)
			again, a, b = wire.AppendStruct(nil, m), &structpb.Struct{}, &structpb.Struct{}
		case "kong.client.get_consumer", "kong.client.load_consumer":
			var c *wire.Consumer
			c, err = wire.DecodeConsumer(p)
			again, a, b = c.Append(nil), &pb.Consumer{}, &pb.Consumer{}
		case "kong.client.get_credential":
			var c *wire.Credential
			c, err = wire.DecodeCredential(p)
			again, a, b = c.Append(nil), &pb.AuthenticatedCredential{}, &pb.AuthenticatedCredential{}
		case "kong.ctx.shared.get":
			var v any
			if v, err = wire.DecodeValue(p); v == "NULL_VALUE" {
				v = nil
			}
			again, a, b = wire.AppendValue(nil, v), &structpb.Value{}, &structpb.Value{}
		case "kong.router.get_route":
			continue // Kong only writes it; see TestRouteMessage
		default:
			var s string
			s, err = wire.DecodeString(p)
			again = wire.String(&s)
		}
		if err != nil {
			t.Errorf("%s:%d: %v", f.file, f.line, err)
			continue
		}
		if f.Text != "" { // not UTF-8: google's codec refuses it, the bytes tell
			if method == "kong.request.get_header" && !bytes.Equal(again, p) {
				t.Errorf("%s:%d: %x, want %x", f.file, f.line, again, p)
			}
			one, _ := wire.DecodeStruct(p)
			two, _ := wire.DecodeStruct(again)
			if !reflect.DeepEqual(one, two) {
				t.Errorf("%s:%d: %v, want %v", f.file, f.line, two, one)
			}
			continue
		}
		same(t, f, p, again, a, b)
	}
}

// TestRouteMessage encodes the recorded route.
func TestRouteMessage(t *testing.T) {
	t.Parallel()
	for _, f := range recorded(t) {
		if f.What != "answer kong.router.get_route" {
			continue
		}
		var want, got pb.Route
		if err := proto.Unmarshal(f.payloads[0], &want); err != nil {
			t.Fatal(err)
		}
		r := wire.Route{
			ID: want.GetId(), Name: want.GetName(), ServiceID: want.GetService().GetId(), CreatedAt: want.GetCreatedAt(),
			UpdatedAt: want.GetUpdatedAt(), Protocols: want.GetProtocols(), Paths: want.GetPaths(),
			RedirectStatus: int64(want.GetHttpsRedirectStatusCode()), StripPath: want.GetStripPath(),
		}
		if err := proto.Unmarshal(r.Append(nil), &got); err != nil || !proto.Equal(&got, &want) {
			t.Errorf("%v, want %v (%v)", &got, &want, err)
		}
	}
}

// TestArguments decodes the plugin's recorded arguments.
func TestArguments(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range recorded(t) {
		method, ok := strings.CutPrefix(f.What, "call ")
		if !ok {
			continue
		}
		if got := string(f.payloads[0]); got != method {
			t.Errorf("%s:%d: method %q", f.file, f.line, got)
		}
		p := f.payloads[1]
		seen[method] = true
		var got, want any
		var err error
		switch method {
		case "kong.service.request.set_headers":
			var s structpb.Struct
			must(t, proto.Unmarshal(p, &s))
			want = s.AsMap()
			got, err = wire.DecodeStruct(p)
		case "kong.log.notice":
			var l structpb.ListValue
			must(t, proto.Unmarshal(p, &l))
			want = l.AsSlice()
			got, err = wire.DecodeList(p)
		case "kong.ctx.shared.set", "kong.log.set_serialize_value":
			var kv pb.KV
			must(t, proto.Unmarshal(p, &kv))
			want = []any{kv.GetK(), kv.GetV().AsInterface()}
			var k string
			var v any
			k, v, err = wire.DecodeKV(p)
			got = []any{k, v}
		case "kong.client.authenticate":
			var args pb.AuthenticateArgs
			must(t, proto.Unmarshal(p, &args))
			consumer, credential, e := wire.DecodeAuthenticate(p)
			err = e
			want = []any{args.Consumer != nil, args.GetConsumer().GetId(), args.GetCredential().GetConsumerId()}
			if consumer == nil {
				got = []any{false, "", ""}
				if credential != nil {
					t.Errorf("%s:%d: a credential out of nothing", f.file, f.line)
				}
			} else {
				got = []any{true, consumer.ID, credential.ConsumerID}
			}
		case "kong.client.load_consumer":
			var spec pb.ConsumerSpec
			must(t, proto.Unmarshal(p, &spec))
			want = []any{spec.GetId(), spec.GetByUsername()}
			id, by, e := wire.DecodeConsumerSpec(p)
			got, err = []any{id, by}, e
		case "kong.response.exit":
			var args pb.ExitArgs
			must(t, proto.Unmarshal(p, &args))
			e, e2 := wire.DecodeExit(p)
			want = []any{int(args.GetStatus()), string(args.GetBody()), args.GetHeaders().AsMap()}
			got, err = []any{e.Status, string(e.Body), e.Headers}, e2
		default:
			continue
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:%d: %s: %v, want %v (%v)", f.file, f.line, method, got, want, err)
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d methods in the traces", len(seen))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// FuzzDecode feeds the decoders what no plugin should send.
func FuzzDecode(f *testing.F) {
	for _, r := range recorded(f) {
		for _, p := range r.payloads {
			f.Add(p)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := wire.DecodeReturn(data); err == nil {
			var want pb.RpcReturn
			if proto.Unmarshal(data, &want) == nil && want.GetSequence() != r.Sequence {
				t.Errorf("sequence %d, want %d", r.Sequence, want.GetSequence())
			}
		}
		if m, err := wire.DecodeStruct(data); err == nil {
			if _, err := wire.DecodeStruct(wire.AppendStruct(nil, m)); err != nil {
				t.Errorf("what was encoded cannot be decoded: %v", err)
			}
		}
		wire.DecodeCall(data)
		wire.DecodeList(data)
		wire.DecodeKV(data)
		wire.DecodeExit(data)
		wire.DecodeAuthenticate(data)
		wire.DecodeConsumerSpec(data)
		wire.DecodeString(data)
		wire.DecodeInt(data)
		wire.DecodeTarget(data)
		r := bufio.NewReader(bytes.NewReader(data))
		for range 100 {
			if _, err := wire.ReadFrame(r); err != nil {
				break
			}
		}
	})
}
