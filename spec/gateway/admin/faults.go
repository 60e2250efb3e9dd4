package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"time"

	"kong-go-jwt/spec/gateway/httpd"
)

// hugeBody is what the fault "huge" sends: more than any reader should take.
const hugeBody = 256 << 20

// faults is what goes wrong with the Admin API.
type faults struct {
	// Mode is none, slow, refuse, 500, half, garbage, huge or reset.
	Mode    string `json:"mode"`
	DelayMS int    `json:"delay_ms"`
}

func (a *API) setFaults(req *httpd.Request) *httpd.Response {
	var f faults
	if req.Method != "POST" || json.Unmarshal(req.Body, &f) != nil {
		return message(400, "expected POST with a JSON body")
	}
	switch f.Mode {
	case "none", "slow", "refuse", "500", "half", "garbage", "huge", "reset":
	default:
		return message(400, "unknown mode")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = f
	return answer(200, f)
}

// apply answers with do, or with what the fault makes of it.
func (f faults) apply(ctx context.Context, do func() *httpd.Response) *httpd.Response {
	if f.DelayMS > 0 {
		timer := time.NewTimer(time.Duration(f.DelayMS) * time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	switch f.Mode {
	case "refuse":
		return &httpd.Response{Abort: true}
	case "reset":
		return &httpd.Response{Reset: true}
	case "500":
		return message(500, "An unexpected error occurred")
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
