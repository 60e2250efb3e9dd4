package kong_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"google.golang.org/protobuf/proto"

	"kong-go-jwt/kong"
	"kong-go-jwt/plugin"
)

// patience is for what comes soon, also on a busy machine.
const patience = time.Minute

// worker is one connection of a Kong worker, by hand.
type worker struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, socket string) *worker {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &worker{t, c, bufio.NewReader(c)}
}

func (w *worker) write(m proto.Message) {
	w.t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.c.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *worker) read() []byte {
	w.t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(w.r, head[:]); err != nil {
		w.t.Fatal(err)
	}
	b := make([]byte, binary.LittleEndian.Uint32(head[:]))
	if _, err := io.ReadFull(w.r, b); err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *worker) start(config string) int32 {
	w.t.Helper()
	w.write(&pb.RpcCall{Sequence: 1, Call: &pb.RpcCall_CmdStartInstance{CmdStartInstance: &pb.CmdStartInstance{Name: "go-jwt", Config: []byte(config)}}})
	var ret pb.RpcReturn
	if err := proto.Unmarshal(w.read(), &ret); err != nil {
		w.t.Fatal(err)
	}
	return ret.GetInstanceStatus().GetInstanceId()
}

// begin begins an event of a request without a token.
func (w *worker) begin(instance int32) {
	w.t.Helper()
	w.write(&pb.RpcCall{Sequence: 2, Call: &pb.RpcCall_CmdHandleEvent{CmdHandleEvent: &pb.CmdHandleEvent{InstanceId: instance, EventName: "access"}}})
}

// rest answers the calls of an event, and returns the status it ends with.
func (w *worker) rest() int {
	w.t.Helper()
	for {
		method, arguments := string(w.read()), w.read()
		if method == "kong.response.exit" {
			var exit pb.ExitArgs
			if err := proto.Unmarshal(arguments, &exit); err != nil {
				w.t.Fatal(err)
			}
			return int(exit.Status)
		}
		w.write(&pb.String{})
	}
}

func (w *worker) event(instance int32) int {
	w.t.Helper()
	w.begin(instance)
	return w.rest()
}

// lines is a log that may be written to and read at the same time.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve runs a server until the test ends.
func serve(t *testing.T, log io.Writer) (server *kong.Server, socket string) {
	t.Helper()
	server, store := kong.NewServer(plugin.Options{
		Now: time.Now, Log: slog.New(slog.NewTextHandler(log, nil)),
		CredentialTTL: time.Minute, UnknownTTL: time.Minute, LookupTimeout: patience,
		CredentialEntries: 10, UnknownEntries: 10, DecisionEntries: 16, DecisionBytes: 1 << 20,
	}, "test")
	socket = filepath.Join(t.TempDir(), "s")
	listener, err := kong.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener, time.Second) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		store.Close()
	})
	return server, socket
}

// A panic refuses the request in which it happens, and harms no other one: none
// on the same loop, and none that is under way at that time.
func TestPanicHarmsNoOther(t *testing.T) {
	log := new(lines)
	began := time.Now()
	server, socket := serve(t, log)
	other := dial(t, socket)
	good := other.start(`{}`)
	broken := kong.BrokenInstance(server, good)
	other.begin(good)
	for range 2 { // the second time without the nginx variable, on the loop's thread
		if status := dial(t, socket).event(broken); status != 500 {
			t.Errorf("the request that panics: %d, want 500", status)
		}
		if status := dial(t, socket).event(good); status != 401 {
			t.Errorf("another one: %d, want 401", status)
		}
	}
	if status := other.rest(); status != 401 {
		t.Errorf("the one under way: %d, want 401", status)
	}
	most := 1 + int(time.Since(began)/time.Second) // the second within a second
	if n := strings.Count(log.String(), "msg=panic"); n < 1 || n > most {
		t.Errorf("%d panics in the log, want %d at the most:\n%s", n, most, log)
	}
}
