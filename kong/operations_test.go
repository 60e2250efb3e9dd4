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

// An address in use is told of at once, and once, and tried until it can be had.
func TestMetricsAddressInUse(t *testing.T) {
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
		for deadline := time.Now().Add(10 * time.Second); log.count(text) == 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no %q in the log", text)
			}
		}
	}
	const yet = "metrics cannot be served yet"
	await(yet)
	taken.Close()
	await("serving metrics")
	if n := log.count(yet); n != 1 {
		t.Errorf("told %d times", n)
	}
	cancel()
	<-done
}
