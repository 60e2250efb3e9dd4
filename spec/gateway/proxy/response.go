package proxy

import (
	"bytes"
	"encoding/json"
	"io"

	"kong-go-jwt/spec/gateway/httpd"
)

// response is an answer of the gateway itself.
func response(status int, header httpd.Header, body []byte) *httpd.Response {
	return &httpd.Response{Status: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), Length: int64(len(body))}
}

// failure is Kong's JSON for an error.
func failure(status int, message, requestID string) *httpd.Response {
	body, err := json.Marshal(struct {
		Message   string `json:"message"`
		RequestID string `json:"request_id,omitempty"`
	}{message, requestID})
	if err != nil {
		body = []byte(`{}`)
	}
	return response(status, httpd.Header{{Name: "Content-Type", Value: "application/json; charset=utf-8"}}, body)
}

const unexpected = "An unexpected error occurred"

// Refuse answers what is no request.
func Refuse(status int) *httpd.Response {
	message := map[int]string{400: "Bad request", 413: "Payload too large", 414: "URI too long"}[status]
	if message == "" {
		message = "Bad request"
	}
	return failure(status, message, "")
}
