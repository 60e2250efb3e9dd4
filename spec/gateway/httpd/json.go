package httpd

import (
	"bytes"
	"encoding/json"
	"io"
)

// JSON is an answer with a value in JSON.
func JSON(status int, v any) *Response {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = 500, []byte(`{"message":"An unexpected error occurred"}`)
	}
	return &Response{
		Status: status, Length: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
		Header: Header{{Name: "Content-Type", Value: "application/json; charset=utf-8"}},
	}
}
