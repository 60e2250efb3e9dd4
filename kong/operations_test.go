package kong_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kong-go-jwt/kong"
)

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.b.String(), text)
}

// An address in use is tried until it can be had. It is told of at once and, if it
// stays in use for longer than a reload takes, warned of once.
func TestMetricsAddressInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var log buffer
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(done)
		kong.ServeOperations(ctx, taken.Addr().String(), http.NotFoundHandler(), slog.New(slog.NewTextHandler(&log, nil)))
	}()
	await := func(text string) {
		t.Helper()
		for deadline := time.Now().Add(patience); log.count(text) == 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no %q in the log", text)
			}
		}
	}
	const yet = `msg="metrics cannot be served yet`
	await("level=INFO " + yet)
	if log.count("level=WARN") > 0 {
		t.Error("warned of what happens at each reload")
	}
	await("level=WARN " + yet)
	taken.Close()
	await("serving metrics")
	if n := log.count(yet); n != 2 {
		t.Errorf("told %d times", n)
	}
	cancel()
	<-done
}
