package spec_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kong-go-jwt/spec/conformance"
	"kong-go-jwt/spec/gateway/nginx"
	"kong-go-jwt/spec/gateway/pluginserver"
	"kong-go-jwt/spec/gateway/wire"
)

// server is a plugin server without a gateway, for what no gateway would do.
type server struct {
	cmd    *exec.Cmd
	socket string
	log    *logBuffer
}

// startServer runs the plugin on a socket of its own.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	return startServerIn(t, []string{}, args...)
}

// startServerIn is startServer with an environment; Kong's is empty.
func startServerIn(t *testing.T, env []string, args ...string) *server {
	t.Helper()
	s := newServer(t, args...)
	s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = env, s.log, s.log
	s.start(t)
	return s
}

// newServer returns a server to be started, with an empty environment and no log.
func newServer(t *testing.T, args ...string) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "go-jwt-") // not t.TempDir: a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{socket: filepath.Join(dir, filepath.Base(setup.plugin)+".socket"), log: &logBuffer{}}
	s.cmd = exec.Command(setup.plugin, append([]string{"-kong-prefix", dir}, args...)...)
	s.cmd.Env = []string{}
	return s
}

// start starts the server and waits for its socket.
func (s *server) start(t *testing.T) {
	t.Helper()
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		if strings.Contains(s.log.String(), "DATA RACE") {
			t.Error("a data race, see the log")
		}
		if t.Failed() {
			t.Logf("the plugin's log:\n%s", tail(s.log.String(), 100))
		}
	})
	poll(t, patience, func() bool { _, err := os.Stat(s.socket); return err == nil })
}

func (s *server) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func (s *server) client() *pluginserver.Client {
	return pluginserver.NewClient(s.socket, new(pluginserver.Stats), func(string) {}, nginx.NewErrorLog(io.Discard, nginx.Alert))
}

// inlineConfig is a plugin configuration that needs no Admin API.
const inlineConfig = `{"credentials":[{"key":"inline","secret":"` + inlineSecret + `","consumer":"alice"}]}`

func inlinePlugin() pluginserver.Plugin {
	return pluginserver.Plugin{ID: "p", Name: "go-jwt", Seq: 1, Config: []byte(inlineConfig)}
}

func inlineToken(t *testing.T) string {
	t.Helper()
	token, err := conformance.Token{
		Alg: "HS256", Key: "literal:" + inlineSecret, Claims: object{"iss": "inline"},
	}.Make(setup.keys)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// onePDK answers the calls of one request with a token. The first call waits
// for hold, if there is one.
type onePDK struct {
	token      string
	hold       chan struct{}
	first      chan struct{} // closed at the first call
	identified string        // the consumer that was authenticated
}

// Call implements pluginserver.PDK.
func (p *onePDK) Call(method string, args []byte) ([]byte, error) {
	if p.hold != nil {
		close(p.first)
		<-p.hold
		p.hold = nil
	}
	switch method {
	case "kong.request.get_headers":
		return wire.AppendStruct(nil, map[string]any{"authorization": "Bearer " + p.token}), nil
	case "kong.client.load_consumer":
		return (&wire.Consumer{ID: conformance.Alice, Username: "alice"}).Append(nil), nil
	case "kong.client.authenticate":
		c, _, err := wire.DecodeAuthenticate(args)
		if c != nil {
			p.identified = c.ID
		}
		return nil, err
	case "kong.response.exit":
		return nil, pluginserver.ErrExit
	}
	return nil, nil
}

func bytesFrame(b []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// TestBadFrames: what Kong would not send closes the connection that it came
// on, with one line in the log, and no other one.
func TestBadFrames(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	start := bytesFrame(wire.StartInstance(1, "go-jwt", []byte(inlineConfig)))
	event := func(instance int32) []byte { return bytesFrame(wire.HandleEvent(7, instance, "access")) }
	tests := []struct {
		name string
		send func(instance int32) []byte
		hang bool // the connection is closed from this side
		log  string
	}{
		{"length of 4 GiB", func(int32) []byte { return []byte{0xff, 0xff, 0xff, 0xff, 'x'} }, false, "frame is too long: 4294967295 bytes"},
		{"length of 17 MiB", func(int32) []byte { return binary.LittleEndian.AppendUint32(nil, 17<<20) }, false, "frame is too long"},
		{"truncated length", func(int32) []byte { return []byte{9, 0} }, true, "unexpected EOF"},
		{"truncated frame", func(int32) []byte { return start[:len(start)-1] }, true, "unexpected EOF"},
		{"unknown call", func(int32) []byte { return bytesFrame([]byte{0x08, 1, 0xc2, 0x04, 0}) }, false, "unknown call"},
		{"empty call", func(int32) []byte { return bytesFrame(nil) }, false, "unknown call"},
		{"no message", func(int32) []byte { return bytesFrame([]byte("GET / HTTP/1.1\r\n\r\n")) }, false, "cannot read the call"},
		{"unknown instance", func(instance int32) []byte { return event(instance + 1000) }, false, "no plugin instance"},
		{"status of an unknown instance", func(int32) []byte { return bytesFrame([]byte{0x08, 1, 0x92, 0x02, 2, 0x08, 1}) }, false, "no plugin instance 1"},
		{
			"a call in place of an answer",
			func(instance int32) []byte { return append(event(instance), event(instance)...) }, false, "cannot read Kong's answer",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "-admin-url=")
			// An event that is under way meanwhile.
			other := &onePDK{token: inlineToken(t), hold: make(chan struct{}), first: make(chan struct{})}
			client := s.client()
			defer client.Close()
			served := make(chan error, 1)
			go func() { served <- client.Event(context.Background(), inlinePlugin(), "access", other) }()
			<-other.first

			c := s.dial(t)
			if _, err := c.Write(start); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(c)
			data, err := wire.ReadFrame(r)
			if err != nil {
				t.Fatal(err)
			}
			started, err := wire.DecodeReturn(data)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write(tt.send(started.Instance)); err != nil {
				t.Fatal(err)
			}
			if tt.hang {
				c.Close()
			} else if err := untilExit(c, r); err != nil {
				t.Errorf("the connection was not closed: %v", err)
			}
			complaints := func() (lines []string) {
				for line := range strings.Lines(s.log.String()) {
					if !strings.Contains(line, "level=INFO") && !strings.Contains(line, "config.") {
						lines = append(lines, line)
					}
				}
				return lines
			}
			poll(t, patience, func() bool { return len(complaints()) > 0 })
			close(other.hold)
			if err := <-served; err != nil || other.identified != conformance.Alice {
				t.Errorf("the other event: %v, consumer %q", err, other.identified)
			}
			again := &onePDK{token: inlineToken(t)}
			if err := client.Event(context.Background(), inlinePlugin(), "access", again); err != nil || again.identified != conformance.Alice {
				t.Errorf("the next event: %v, consumer %q", err, again.identified)
			}
			if lines := complaints(); len(lines) != 1 || !strings.Contains(lines[0], tt.log) {
				t.Errorf("log %q, want one line with %q", lines, tt.log)
			}
		})
	}
}

// untilExit reads until the connection is closed or, as Kong does, closes it after
// kong.response.exit.
func untilExit(c net.Conn, r *bufio.Reader) error {
	for {
		frame, err := wire.ReadFrame(r)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case string(frame) == "kong.response.exit":
			return c.Close()
		}
	}
}

// TestManyBadFrames: however many there are, memory and the log stay as they are.
func TestManyBadFrames(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	s := startServer(t, "-admin-url=")
	started := time.Now()
	for range 300 {
		c, err := net.Dial("unix", s.socket)
		if err != nil {
			t.Fatal(err)
		}
		c.Write(binary.LittleEndian.AppendUint32(nil, 16<<20-1)) // allowed, and never sent
		c.Close()
	}
	p := &onePDK{token: inlineToken(t)}
	if err := s.client().Event(context.Background(), inlinePlugin(), "access", p); err != nil || p.identified != conformance.Alice {
		t.Errorf("%v, consumer %q", err, p.identified)
	}
	lines := strings.Count(s.log.String(), "connection closed")
	if most := 1 + int(time.Since(started).Seconds()); lines > most {
		t.Errorf("%d lines, want at most %d", lines, most)
	}
}

// TestInstanceOfAnEarlierServer: Kong goes on with the instance ids of a server
// that has died. A connection that is closed tells it to start instances anew.
func TestInstanceOfAnEarlierServer(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	s := startServer(t, "-admin-url=")
	c := s.dial(t)
	c.Write(bytesFrame(wire.HandleEvent(1, 5, "access")))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes, %v; want the end", n, err)
	}
}

// TestSocketIsForKongAlone: only Kong's user may connect.
func TestSocketIsForKongAlone(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	s := startServer(t, "-admin-url=")
	info, err := os.Stat(s.socket)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode(); mode != os.ModeSocket|0o600 {
		t.Errorf("mode %v, want srw-------", mode)
	}
	files, err := os.ReadDir(filepath.Dir(s.socket))
	if err != nil || len(files) != 1 {
		t.Errorf("beside the socket: %v (%v)", files, err)
	}
}

// TestOpenSocketIsTold: /proc/net/unix, in which the health check of docker-compose.yml
// looks, has the socket while the server runs. The file stays when it has gone.
func TestOpenSocketIsTold(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	s := startServer(t, "-admin-url=")
	open := regexp.MustCompile(regexp.QuoteMeta(filepath.Dir(s.socket)) + ".*" + regexp.QuoteMeta(filepath.Base(s.socket)))
	told := func() bool {
		sockets, err := os.ReadFile("/proc/net/unix")
		if err != nil {
			t.Fatal(err)
		}
		return open.Match(sockets)
	}
	if !told() {
		t.Error("the open socket is not told")
	}
	s.cmd.Process.Kill()
	poll(t, patience, func() bool { return !told() })
	if _, err := os.Stat(s.socket); err != nil {
		t.Error(err)
	}
}

// inode tells one socket at path from another one; 0: there is none.
func inode(path string) uint64 {
	var st syscall.Stat_t
	if syscall.Stat(path, &st) != nil {
		return 0
	}
	return st.Ino
}

// TestSuccessorTakesTheSocket: a second server takes the path over, and the
// first one leaves it alone when it goes.
func TestSuccessorTakesTheSocket(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	first := startServer(t, "-admin-url=")
	socket := inode(first.socket)
	second := exec.Command(setup.plugin, "-kong-prefix", filepath.Dir(first.socket), "-admin-url=")
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		second.Process.Kill()
		second.Wait()
	}()
	poll(t, patience, func() bool { return inode(first.socket) != socket })
	socket = inode(first.socket)
	first.cmd.Process.Signal(syscall.SIGTERM)
	first.cmd.Wait()
	if now := inode(first.socket); now != socket {
		t.Errorf("the socket was inode %d, is %d", socket, now)
	}
	p := &onePDK{token: inlineToken(t)}
	if err := first.client().Event(context.Background(), inlinePlugin(), "access", p); err != nil || p.identified != conformance.Alice {
		t.Errorf("%v, consumer %q", err, p.identified)
	}
}

// TestDrainIsBounded: SIGTERM lets an event under way come to its end, but does
// not wait for ever for one that does not.
func TestDrainIsBounded(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	for _, ends := range []bool{true, false} {
		t.Run(fmt.Sprint("event ends ", ends), func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "-admin-url=")
			p := &onePDK{token: inlineToken(t), hold: make(chan struct{}), first: make(chan struct{})}
			hold := p.hold
			served := make(chan error, 1)
			go func() { served <- s.client().Event(context.Background(), inlinePlugin(), "access", p) }()
			<-p.first
			s.cmd.Process.Signal(syscall.SIGTERM)
			exited := make(chan struct{})
			go func() {
				s.cmd.Wait()
				close(exited)
			}()
			if ends {
				time.Sleep(700 * time.Millisecond) // longer than a server with nothing to do stays
				close(hold)
				if err := <-served; err != nil || p.identified != conformance.Alice {
					t.Errorf("%v, consumer %q", err, p.identified)
				}
			} else {
				defer close(hold)
			}
			select {
			case <-exited:
			case <-time.After(patience):
				t.Error("the server is still there")
			}
		})
	}
}

// TestLogWithoutReader: the worker that reads the server's log dies first, and
// the others still send events.
func TestLogWithoutReader(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "-admin-url=")
	s.cmd.Stdout, s.cmd.Stderr = w, w
	s.start(t)
	w.Close()
	r.Close()
	c := s.dial(t)
	c.Write([]byte("\xff\xff\xff\xff")) // a frame that is too long, which is logged
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	p := &onePDK{token: inlineToken(t)}
	if err := s.client().Event(t.Context(), inlinePlugin(), "access", p); err != nil || p.identified != conformance.Alice {
		t.Errorf("%v, consumer %q", err, p.identified)
	}
}

// TestOrphan: a server whose parent died ends too.
func TestOrphan(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	dir, err := os.MkdirTemp("", "go-jwt-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	parent := exec.Command("sh", "-c", `"$0" -kong-prefix "$1" -admin-url= & echo $!; wait`, setup.plugin, dir)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGKILL)
	poll(t, patience, func() bool {
		_, err := os.Stat(filepath.Join(dir, filepath.Base(setup.plugin)+".socket"))
		return err == nil
	})
	parent.Process.Kill()
	parent.Wait()
	took := poll(t, patience, func() bool { return dead(pid) })
	t.Logf("gone after %v", took)
}

// dead tells whether a process has ended, if only its zombie is left of it.
func dead(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}

// TestClosedInstance: when Kong starts an instance in place of another one, and
// closes that, events for it may still be on their way. They are served.
func TestClosedInstance(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	s := startServer(t, "-admin-url=")
	c := s.dial(t)
	r := bufio.NewReader(c)
	exchange := func(message []byte) wire.Return {
		t.Helper()
		if _, err := c.Write(bytesFrame(message)); err != nil {
			t.Fatal(err)
		}
		data, err := wire.ReadFrame(r)
		if err != nil {
			t.Fatal(err)
		}
		ret, err := wire.DecodeReturn(data)
		if err != nil {
			t.Fatal(err)
		}
		return ret
	}
	id := exchange(wire.StartInstance(1, "go-jwt", []byte(inlineConfig))).Instance
	if closed := exchange(wire.CloseInstance(2, id)); closed.Sequence != 2 {
		t.Errorf("%+v", closed)
	}
	if _, err := c.Write(bytesFrame(wire.HandleEvent(3, id, "access"))); err != nil {
		t.Fatal(err)
	}
	if method, err := wire.ReadFrame(r); err != nil || string(method) != "kong.nginx.get_var" {
		t.Errorf("%q, %v; want the first call of an event", method, err)
	}
}

// TestManyProcessors: with several loops, none sleeps on a connection that
// another one has accepted.
func TestManyProcessors(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	s := startServerIn(t, []string{"GOMAXPROCS=8"}, "-admin-url=")
	for range 100 {
		var clients sync.WaitGroup
		for range 24 {
			clients.Go(func() {
				c, err := net.Dial("unix", s.socket)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				c.Write([]byte{255, 255, 255, 255}) // a frame too long: the connection is closed
				if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("the connection was not served")
				}
			})
		}
		clients.Wait()
		if t.Failed() {
			return
		}
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("SIGTERM does not end the server")
	}
}
