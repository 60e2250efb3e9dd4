// Package faults makes a server of the gateway fail in the ways that servers do.
package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"kong-go-jwt/spec/gateway/httpd"
)

// hugeBody is what the fault "huge" sends: more than any reader should take.
const hugeBody = 256 << 20

// Fault is what goes wrong.
type Fault struct {
	// Of is what fails: "admin" (the default), "store" and "changes" for the
	// node's own store on the plugin's socket, "database".
	Of string `json:"of"`
	// Mode is none, slow, refuse, 500, half, garbage, huge or reset; of the
	// database none, slow or lost.
	Mode    string `json:"mode"`
	DelayMS int    `json:"delay_ms"`
}

// Faults are those that are on. The zero value has none.
type Faults struct {
	mu sync.Mutex
	of map[string]Fault
}

// Set reads a Fault from JSON and puts it in place of the old one.
func (s *Faults) Set(text []byte) (Fault, error) {
	f := Fault{Of: "admin"}
	if err := json.Unmarshal(text, &f); err != nil {
		return f, errors.New("expected a JSON object")
	}
	modes := []string{"none", "slow", "refuse", "500", "half", "garbage", "huge", "reset"}
	if f.Of == "database" {
		modes = []string{"none", "slow", "lost"}
	}
	if !slices.Contains([]string{"admin", "store", "changes", "database"}, f.Of) || !slices.Contains(modes, f.Mode) {
		return f, errors.New("unknown of or mode")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]Fault{}
	}
	s.of[f.Of] = f
	return f, nil
}

// Of is what is wrong with something.
func (s *Faults) Of(what string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[what]
}

// Delay waits for as long as the fault says.
func (f Fault) Delay(ctx context.Context) {
	if f.DelayMS <= 0 {
		return
	}
	timer := time.NewTimer(time.Duration(f.DelayMS) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Apply answers with do, or with what the fault makes of it.
func (f Fault) Apply(ctx context.Context, do func() *httpd.Response) *httpd.Response {
	f.Delay(ctx)
	switch f.Mode {
	case "refuse":
		return &httpd.Response{Abort: true}
	case "reset":
		return &httpd.Response{Reset: true}
	case "500":
		return httpd.JSON(500, map[string]any{"message": "An unexpected error occurred"})
	case "half":
		res := do()
		res.Body = io.NopCloser(io.LimitReader(res.Body, res.Length/2))
		return res
	case "garbage":
		body := []byte(`{"id": <html>not JSON`)
		return &httpd.Response{Status: 200, Length: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body))}
	case "huge":
		return &httpd.Response{Status: 200, Length: hugeBody, Body: io.NopCloser(io.LimitReader(spaces{}, hugeBody))}
	}
	return do()
}

// spaces is white space without end.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
