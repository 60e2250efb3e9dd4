package proxy

import (
	"strconv"
	"strings"

	"kong-go-jwt/spec/gateway/httpd"
)

// How Kong answers gRPC calls itself: kong/pdk/response.lua.

const grpcType = "application/grpc"

// isGRPC is is_grpc_request.
func (c *requestContext) isGRPC() bool {
	contentType, _ := c.header.Get("Content-Type")
	return strings.HasPrefix(contentType, grpcType) && c.req.Proto == "HTTP/2.0"
}

// send is what kong.response.exit does with a text for a body, and without one (nil).
func (c *requestContext) send(status int, header httpd.Header, body []byte) *httpd.Response {
	contentType, told := header.Get("Content-Type")
	grpc := told && strings.HasPrefix(contentType, grpcType) || !told && c.isGRPC()
	_, has := header.Get("grpc-status")
	code := -1
	if grpc && !has {
		code = grpcStatus(status)
		header.Set("grpc-status", strconv.Itoa(code))
	}
	if grpc && !told && body != nil {
		if header.Del("grpc-message"); len(body) > 0 {
			header.Set("grpc-message", escapeValue(string(body)))
		}
		return response(status, header, nil)
	}
	if _, has := header.Get("grpc-message"); code >= 0 && !has {
		header.Set("grpc-message", grpcName(code))
	}
	return response(status, header, body)
}

// failure is kong.response.error.
func (c *requestContext) failure(status int, message string) *httpd.Response {
	if c.isGRPC() {
		return c.send(status, httpd.Header{{Name: "Content-Type", Value: grpcType}}, nil)
	}
	return failure(status, message, c.id)
}

// grpcStatus is what Kong makes of an HTTP status.
func grpcStatus(status int) int {
	code, ok := map[int]int{
		200: 0, 400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 429: 8, 499: 1, 500: 13, 501: 12, 503: 14, 504: 4,
	}[status]
	switch {
	case ok:
		return code
	case status >= 500:
		return 13
	case status >= 400:
		return 3
	case status >= 200 && status <= 299:
		return 0
	}
	return 2
}

func grpcName(code int) string {
	return []string{
		"OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
		"ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable",
		"DataLoss", "Unauthenticated",
	}[code]
}
