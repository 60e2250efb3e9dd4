// Package lambda plays AWS Lambda and API Gateway for the specs: it serves the
// Lambda Runtime API over HTTP to a real process, and makes the events of an
// authorizer in all their forms.
package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Function is a running function: one process, which is handed as many events at
// once as it asks for. Its methods are safe for concurrent use.
type Function struct {
	Log *Log // what the process has written

	cmd    *exec.Cmd
	server *httptest.Server
	exited chan struct{}
	next   chan invocation
	asked  sync.Map // of what is under way: IDs to channels of an Answer
	failed atomic.Pointer[string]
	n      atomic.Int64
}

// Answer is what a function has made of an event.
type Answer struct {
	Body []byte // nil: an error
	// Message is that of an error.
	Message string
	// Took is the time from the event on the socket to the answer on it.
	Took time.Duration
}

type invocation struct {
	id      string
	event   []byte
	timeout time.Duration
	answer  chan Answer
}

// ErrExited tells that the process has ended, or has said that it cannot start.
var ErrExited = errors.New("the function's process has ended")

// Start runs a program as Lambda runs a bootstrap, in dir and with env alone.
func Start(dir string, env []string, program string, args ...string) (*Function, error) {
	f := &Function{Log: new(Log), exited: make(chan struct{}), next: make(chan invocation)}
	f.server = httptest.NewUnstartedServer(f.runtimeAPI())
	f.server.Listener = timedListener{f.server.Listener}
	f.server.Config.ConnContext = withTimed
	f.server.Start()
	f.cmd = exec.Command(program, args...)
	f.cmd.Dir = dir
	f.cmd.Env = append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(f.server.URL, "http://"),
		"AWS_LAMBDA_FUNCTION_NAME=authorizer", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128",
		"AWS_REGION=eu-central-1", "AWS_SESSION_TOKEN=session", "LAMBDA_TASK_ROOT=" + dir, "_HANDLER=bootstrap",
	}, env...)
	f.cmd.Stdout, f.cmd.Stderr = f.Log, f.Log
	if err := f.cmd.Start(); err != nil {
		f.server.Close()
		return nil, err
	}
	go func() {
		defer close(f.exited)
		f.cmd.Wait()
	}()
	return f, nil
}

// runtimeAPI is the Lambda Runtime API (version 2018-06-01).
func (f *Function) runtimeAPI() http.Handler {
	const base = "/2018-06-01/runtime"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case i := <-f.next:
			h := w.Header()
			h.Set("Content-Type", "application/json")
			h.Set("Lambda-Runtime-Aws-Request-Id", i.id)
			h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(i.timeout).UnixMilli(), 10))
			h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:authorizer")
			h.Set("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700")
			f.asked.Store(i.id, i.answer)
			w.Write(i.event)
		}
	})
	mux.HandleFunc("POST "+base+"/init/error", func(w http.ResponseWriter, r *http.Request) {
		var e struct{ ErrorMessage string }
		json.NewDecoder(r.Body).Decode(&e)
		f.failed.Store(&e.ErrorMessage)
		w.WriteHeader(http.StatusAccepted)
	})
	answer := func(read func([]byte) Answer) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			a := read(body)
			a.Took = tookOf(r.Context())
			c, ok := f.asked.LoadAndDelete(r.PathValue("id"))
			if !ok {
				http.Error(w, "no such invocation", http.StatusBadRequest)
				return
			}
			w.WriteHeader(http.StatusAccepted)
			c.(chan Answer) <- a
		}
	}
	mux.HandleFunc("POST "+base+"/invocation/{id}/response", answer(func(body []byte) Answer { return Answer{Body: body} }))
	mux.HandleFunc("POST "+base+"/invocation/{id}/error", answer(func(body []byte) Answer {
		var e struct{ ErrorMessage string }
		json.Unmarshal(body, &e)
		return Answer{Message: e.ErrorMessage}
	}))
	return mux
}

// Invoke hands the function an event and waits for what it makes of it.
func (f *Function) Invoke(event []byte) (Answer, error) {
	const timeout = time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	answer := make(chan Answer, 1)
	select {
	case f.next <- invocation{fmt.Sprintf("request-%d", f.n.Add(1)), event, timeout, answer}:
	case <-f.exited:
		return Answer{}, ErrExited
	case <-ctx.Done():
		return Answer{}, errors.New("the function asks for no event")
	}
	select {
	case a := <-answer:
		return a, nil
	case <-f.exited:
		return Answer{}, ErrExited
	case <-ctx.Done():
		return Answer{}, errors.New("the function does not answer")
	}
}

// Freeze stops the process, as Lambda does between events. Thaw lets it go on.
func (f *Function) Freeze() error { return f.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw ends what Freeze began.
func (f *Function) Thaw() error { return f.cmd.Process.Signal(syscall.SIGCONT) }

// Wait waits until the process has ended by itself, and returns its exit code.
func (f *Function) Wait(patience time.Duration) (int, error) {
	select {
	case <-f.exited:
		return f.cmd.ProcessState.ExitCode(), nil
	case <-time.After(patience):
		return 0, errors.New("the process goes on")
	}
}

// InitError is what the process has told of why it cannot start; empty: nothing.
func (f *Function) InitError() string {
	if message := f.failed.Load(); message != nil {
		return *message
	}
	return ""
}

// MaxRSS is the most memory that the process has had, in bytes, of one that runs.
func (f *Function) MaxRSS() (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			return kb << 10, err
		}
	}
	return 0, errors.New("no VmHWM")
}

// CPU is the processor time that the process has taken.
func (f *Function) CPU() (time.Duration, error) {
	const perProcess = 2 // CPUCLOCK_SCHED of the process's clock, as of clock_getcpuclockid(3)
	var taken unix.Timespec
	err := unix.ClockGettime(int32(^f.cmd.Process.Pid<<3|perProcess), &taken)
	return time.Duration(taken.Nano()), err
}

// Close ends the process.
func (f *Function) Close() {
	f.cmd.Process.Kill()
	<-f.exited
	f.server.CloseClientConnections()
	f.server.Close()
}

// Log collects what a process writes.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
