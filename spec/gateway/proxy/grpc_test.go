package proxy_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	pb "github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"kong-go-jwt/spec/gateway/httpd"
)

// TestExitOfGRPC: the answers that Kong 3.9.3's PDK has made of the same calls.
func TestExitOfGRPC(t *testing.T) {
	t.Parallel()
	const (
		grpc = "application/grpc"
		none = "" // no such call
	)
	for name, tt := range map[string]struct {
		contentType, protocol string
		status                int
		body                  string
		headers               map[string]any
		want                  string
	}{
		"401":                    {grpc, "HTTP/2.0", 401, "m", nil, "401 grpc-message=m grpc-status=16 |"},
		"402":                    {grpc, "HTTP/2.0", 402, "m", nil, "402 grpc-message=m grpc-status=3 |"},
		"403":                    {grpc, "HTTP/2.0", 403, "m", nil, "403 grpc-message=m grpc-status=7 |"},
		"431":                    {grpc, "HTTP/2.0", 431, "m", nil, "431 grpc-message=m grpc-status=3 |"},
		"500":                    {grpc, "HTTP/2.0", 500, "m", nil, "500 grpc-message=m grpc-status=13 |"},
		"502":                    {grpc, "HTTP/2.0", 502, "m", nil, "502 grpc-message=m grpc-status=13 |"},
		"503":                    {grpc, "HTTP/2.0", 503, "m", nil, "503 grpc-message=m grpc-status=14 |"},
		"302":                    {grpc, "HTTP/2.0", 302, "m", nil, "302 grpc-message=m grpc-status=2 |"},
		"204":                    {grpc, "HTTP/2.0", 204, "m", nil, "204 grpc-message=m grpc-status=0 |"},
		"escaped":                {grpc, "HTTP/2.0", 401, "a\nb\"ä%", nil, "401 grpc-message=a%0Ab\"ä% grpc-status=16 |"},
		"no body":                {grpc, "HTTP/2.0", 401, "", nil, "401 grpc-status=16 |"},
		"as JSON":                {grpc, "HTTP/2.0", 403, "m", map[string]any{"Content-Type": "application/json"}, "403 content-type=application/json |m"},
		"as gRPC":                {grpc, "HTTP/2.0", 403, "m", map[string]any{"Content-Type": grpc}, "403 content-type=application/grpc grpc-message=PermissionDenied grpc-status=7 |m"},
		"as gRPC to another one": {"text/x", "HTTP/1.1", 403, "m", map[string]any{"Content-Type": grpc}, "403 content-type=application/grpc grpc-message=PermissionDenied grpc-status=7 |m"},
		"own status":             {grpc, "HTTP/2.0", 403, "m", map[string]any{"grpc-status": "9"}, "403 grpc-message=m grpc-status=9 |"},
		"own status, as gRPC":    {grpc, "HTTP/2.0", 403, "m", map[string]any{"Content-Type": grpc, "grpc-status": "9"}, "403 content-type=application/grpc grpc-status=9 |m"},
		"own message":            {grpc, "HTTP/2.0", 403, "m", map[string]any{"grpc-message": "own"}, "403 grpc-message=m grpc-status=7 |"},
		"own message, as gRPC":   {grpc, "HTTP/2.0", 403, "m", map[string]any{"Content-Type": grpc, "grpc-message": "own"}, "403 content-type=application/grpc grpc-message=own grpc-status=7 |m"},
		"another type":           {"text/x", "HTTP/2.0", 403, "m", nil, "403 |m"},
		"HTTP/1.1":               {grpc, "HTTP/1.1", 403, "m", nil, "403 |m"},
		"failure":                {grpc, "HTTP/2.0", 0, "", nil, "500 content-type=application/grpc grpc-message=Internal grpc-status=13 |"},
		"failure, another type":  {none, "HTTP/2.0", 0, "", nil, `500 content-type=application/json; charset=utf-8 |{"message":"An unexpected error occurred","request_id":"ID"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers, err := structpb.NewStruct(tt.headers)
			if err != nil {
				t.Fatal(err)
			}
			args, err := proto.Marshal(&pb.ExitArgs{Status: int32(tt.status), Body: []byte(tt.body), Headers: headers})
			if err != nil {
				t.Fatal(err)
			}
			g, _ := newGateway(t, &fake{t: t, script: []call{{method: "kong.response.exit", args: args, ended: true}}})
			r := request("exit")
			r.Proto = tt.protocol
			r.Header.Set("Content-Type", tt.contentType)
			if got := sum(t, g.Handle(context.Background(), r)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// sum tells of an answer what its plugin has made of it.
func sum(t *testing.T, res *httpd.Response) string {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(body)) != res.Length {
		t.Errorf("length %d of %q", res.Length, body)
	}
	text, lines := string(body), []string{}
	for _, f := range res.Header {
		switch name := strings.ToLower(f.Name); name {
		case "server", "x-kong-response-latency":
		case "x-kong-request-id":
			text = strings.ReplaceAll(text, f.Value, "ID")
		default:
			lines = append(lines, fmt.Sprintf("%s=%s ", name, f.Value))
		}
	}
	slices.Sort(lines)
	return fmt.Sprintf("%d %s|%s", res.Status, strings.Join(lines, ""), text)
}
