package kong_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"google.golang.org/protobuf/proto"

	"kong-go-jwt/kong"
)

// A worker that does not read keeps no other one waiting, and gets everything
// once it reads again.
func TestWorkerThatDoesNotRead(t *testing.T) {
	_, socket := serve(t, io.Discard)
	stuck, other := dial(t, socket), dial(t, socket)
	instance := other.start(`{}`)
	call := frame(t, &pb.RpcCall{Sequence: 7, Call: &pb.RpcCall_CmdGetInstanceStatus{
		CmdGetInstanceStatus: &pb.CmdGetInstanceStatus{InstanceId: instance},
	}})
	const calls = 20_000 // far more than a socket's buffer holds the answers of
	written := make(chan error, 1)
	go func() {
		_, err := stuck.c.Write(bytes.Repeat(call, calls))
		written <- err
	}()
	for range 100 { // while it gets stuck, and after
		if status := dial(t, socket).event(other.start(`{}`)); status != 401 {
			t.Fatalf("%d, want 401", status)
		}
	}
	for range calls {
		var ret pb.RpcReturn
		if err := proto.Unmarshal(stuck.read(), &ret); err != nil || ret.Sequence != 7 {
			t.Fatalf("%v %v", &ret, err)
		}
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// A worker that goes away without having read leaves nothing behind.
func TestWorkerThatGoesAwayUnread(t *testing.T) {
	server, socket := serve(t, io.Discard)
	gone := dial(t, socket)
	call := frame(t, &pb.RpcCall{Sequence: 1, Call: &pb.RpcCall_CmdGetPluginNames{CmdGetPluginNames: &pb.CmdGetPluginNames{}}})
	gone.c.SetDeadline(time.Now().Add(200 * time.Millisecond))
	gone.c.Write(bytes.Repeat(call, 20_000)) // as far as it goes
	gone.c.Close()
	deadline := time.Now().Add(patience)
	for kong.Connections(server) > 0 {
		if time.Now().After(deadline) {
			t.Fatal("the connection is still there")
		}
		time.Sleep(time.Millisecond)
	}
}

// Where an instance takes long to start, nobody else waits for it.
func TestStartIsHandedOver(t *testing.T) {
	server, socket := serve(t, io.Discard)
	starting, other := dial(t, socket), dial(t, socket)
	instance := other.start(`{}`)
	release := sync.OnceFunc(kong.HoldStarts(server))
	t.Cleanup(release)
	starting.write(&pb.RpcCall{Sequence: 3, Call: &pb.RpcCall_CmdStartInstance{CmdStartInstance: &pb.CmdStartInstance{Config: []byte(`{"realm":"other"}`)}}})
	for range 20 {
		if status := dial(t, socket).event(instance); status != 401 {
			t.Fatalf("%d, want 401", status)
		}
	}
	release()
	var ret pb.RpcReturn
	if err := proto.Unmarshal(starting.read(), &ret); err != nil || ret.Sequence != 3 {
		t.Fatalf("%v %v", &ret, err)
	}
	if status := starting.event(ret.GetInstanceStatus().GetInstanceId()); status != 401 {
		t.Errorf("on the same connection: %d, want 401", status)
	}
}

func frame(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// What is much to read is read by a goroutine, where nobody has to wait for it.
func TestMuchIsHandedOver(t *testing.T) {
	for name, tt := range map[string]struct {
		size int
		away bool
	}{
		"a usual request": {2 << 10, false},
		"a large one":     {24 << 10, true},
	} {
		t.Run(name, func(t *testing.T) {
			log := new(lines)
			server, socket := serve(t, log)
			w := dial(t, socket)
			broken := kong.BrokenInstance(server, w.start(`{}`)) // tells in the log where it was served
			w.begin(broken)
			w.read()
			w.read()
			w.write(&pb.String{V: "go-jwt/2\nGET\n\n" + strings.Repeat("a", tt.size) + "\n\n\n"})
			if status := w.rest(); status != 500 {
				t.Errorf("%d, want 500", status)
			}
			if away := strings.Contains(log.String(), "handOver"); away != tt.away {
				t.Errorf("handed over: %v, want %v; %s", away, tt.away, log)
			}
		})
	}
}

// What a connection leaves unfinished when it ends is not taken for a part of a later one.
func TestConnectionsLeaveNothingBehind(t *testing.T) {
	for name, leave := range map[string]func(w *worker, instance int32){
		"a part of a frame":     func(w *worker, _ int32) { w.c.Write([]byte{200, 0, 0, 0, 8, 1}) },
		"an event in its reads": func(w *worker, instance int32) { w.begin(instance); w.read() },
		"a part of an answer":   func(w *worker, instance int32) { w.begin(instance); w.read(); w.c.Write([]byte{9, 0, 0, 0, 1}) },
		"calls without answers": func(w *worker, _ int32) {
			w.begin(w.start(`{"shadow":true}`))
			for method := w.read(); len(method) > 0; method = w.read() { // until the event ends
				w.read()
				w.write(&pb.String{})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, socket := serve(t, io.Discard)
			first := dial(t, socket)
			instance := first.start(`{}`)
			w := dial(t, socket)
			leave(w, instance)
			w.c.Close()
			for kong.Connections(server) > 1 {
				time.Sleep(time.Millisecond)
			}
			if status := dial(t, socket).event(instance); status != 401 {
				t.Errorf("%d, want 401", status)
			}
		})
	}
}
