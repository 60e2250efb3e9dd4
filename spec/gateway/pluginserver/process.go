package pluginserver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"kong-go-jwt/spec/gateway/nginx"
)

// Bounds of talking to the process.
const (
	queryTimeout = 30 * time.Second
	stopTimeout  = 30 * time.Second
	maxLogLine   = 64 << 10
)

// Command is how the plugin server is started.
type Command struct {
	Binary, Prefix string
	Args           []string
	Log            *nginx.ErrorLog
	// Output, when set, takes all that the process writes, whatever the log's level.
	Output io.Writer
}

// Info is what a plugin server dumps about itself.
type Info struct {
	Protocol   string
	SocketPath string
	Plugins    []struct {
		Name     string
		Phases   []string
		Version  string
		Priority float64
		Schema   any
	}
}

// Query runs the binary with -dump, as Kong does at its start.
func (c Command) Query(ctx context.Context) (Info, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Binary, "-dump", "-kong-prefix", c.Prefix)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return Info{}, fmt.Errorf("%s -dump: %w: %s", c.Binary, err, stderr.Bytes())
	}
	var info Info
	if err := json.Unmarshal(out, &info); err != nil {
		return Info{}, fmt.Errorf("failed decoding plugin info: %w: %q", err, out)
	}
	if info.Protocol != "ProtoBuf:1" || len(info.Plugins) != 1 || info.Plugins[0].Name == "" {
		return Info{}, fmt.Errorf("not a plugin info table: %q", out)
	}
	if info.SocketPath == "" {
		info.SocketPath = filepath.Join(c.Prefix, filepath.Base(c.Binary)+".socket")
	}
	return info, nil
}

// NginxConf is what the binary prints with -nginx-conf.
func (c Command) NginxConf(ctx context.Context, args []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Binary, append([]string{"-nginx-conf", "-kong-prefix", c.Prefix}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s -nginx-conf: %w: %s", c.Binary, err, stderr.Bytes())
	}
	return out, nil
}

// Process is a supervised plugin server.
type Process struct {
	stop chan struct{}
	done chan struct{}
	pids chan int
	pid  int
}

// Start runs the plugin server and runs it again whenever it dies: at once
// when it lived for a second.
func (c Command) Start() *Process {
	p := &Process{stop: make(chan struct{}), done: make(chan struct{}), pids: make(chan int)}
	go c.supervise(p)
	return p
}

// Stop sends SIGTERM and returns a channel that is closed when the process is
// gone.
func (p *Process) Stop() <-chan struct{} {
	close(p.stop)
	return p.done
}

// Pid is the process id of the running server, 0 between two.
func (p *Process) Pid() int {
	select {
	case pid := <-p.pids:
		return pid
	case <-p.done:
		return 0
	}
}

func (c Command) supervise(p *Process) {
	defer close(p.done)
	// The death signal below is that of the thread which starts the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		started := time.Now()
		exited, cmd, err := c.spawn()
		if err != nil {
			c.Log.Printf(nginx.Err, "starting the plugin server: %v", err)
		} else if c.wait(p, cmd, exited) {
			return
		}
		p.pid = 0
		if p.pause(time.Until(started.Add(time.Second))) {
			return
		}
	}
}

// wait returns true when the supervision is over.
func (c Command) wait(p *Process, cmd *exec.Cmd, exited <-chan error) bool {
	p.pid = cmd.Process.Pid
	c.Log.Printf(nginx.Notice, "[pluginserver] started, pid %d", p.pid)
	for {
		select {
		case p.pids <- p.pid:
		case err := <-exited:
			c.Log.Printf(nginx.Notice, "external pluginserver terminated: %v", err)
			return false
		case <-p.stop:
			cmd.Process.Signal(syscall.SIGTERM) // it may be gone
			select {
			case <-exited:
			case <-time.After(stopTimeout):
				c.Log.Printf(nginx.Err, "the plugin server ignored SIGTERM, pid %d", p.pid)
				cmd.Process.Kill() // it may be gone
				<-exited
			}
			return true
		}
	}
}

// pause waits, and returns true when it was stopped.
func (p *Process) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return false
		case p.pids <- 0:
		case <-p.stop:
			return true
		}
	}
}

// spawn starts the process with no environment: nginx empties its workers'.
func (c Command) spawn() (<-chan error, *exec.Cmd, error) {
	cmd := exec.Command(c.Binary, append(c.Args[:len(c.Args):len(c.Args)], "-kong-prefix", c.Prefix)...) // the binary is what is tested
	cmd.Env = []string{}
	r, w := io.Pipe()
	cmd.Stdout = io.Writer(w)
	if c.Output != nil {
		cmd.Stdout = io.MultiWriter(c.Output, w)
	}
	cmd.Stderr = cmd.Stdout
	// A child that outlives its parent would keep the pipe open.
	cmd.WaitDelay = time.Second
	// The plugin must not outlive a gateway that is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	prefix := fmt.Sprintf("[%s:%d] ", filepath.Base(c.Binary), cmd.Process.Pid)
	go func() {
		lines := bufio.NewReaderSize(r, maxLogLine)
		for {
			line, err := lines.ReadSlice('\n')
			if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
				c.Log.Printf(nginx.Info, "%s%s, context: ngx.timer", prefix, line)
			}
			if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
				return
			}
		}
	}()
	exited := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		w.Close() // never fails
		exited <- err
	}()
	return exited, cmd, nil
}
