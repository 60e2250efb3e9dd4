package spec_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"kong-go-jwt/spec/conformance"
)

// readEcho takes what the upstream received out of an answer.
func (a *answer) readEcho(method string) error {
	mark := a.header.Get(conformance.EchoHeader)
	if mark == "" {
		return nil
	}
	text := a.body
	if method == http.MethodHead {
		var err error
		if text, err = base64.StdEncoding.DecodeString(mark); err != nil {
			return err
		}
	}
	a.upstream = new(conformance.Received)
	return json.Unmarshal(text, a.upstream)
}

// identity are the headers that tell the upstream who a request is from.
var identity = []string{
	"X-Consumer-Id", "X-Consumer-Username", "X-Consumer-Custom-Id", "X-Credential-Identifier", "X-Anonymous-Consumer",
}

// relevant picks the headers cases speak of, under whatever spelling an
// upstream may take for them.
func relevant(headers map[string][]string) map[string][]string {
	out := map[string][]string{}
	for name, values := range headers {
		dashed := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		for _, wanted := range identity {
			if dashed == wanted {
				out[name] = values
			}
		}
		switch name {
		case "Authorization", "Cookie", "X-Other":
			out[name] = values
		}
	}
	return out
}

// compare checks an answer against what a case wants.
func compare(t *testing.T, method string, want conformance.Answer, fill func(string) string, got answer) {
	t.Helper()
	if got.status != want.Status {
		t.Errorf("status %d, want %d", got.status, want.Status)
	}
	if want.Upstream == nil {
		compareRefusal(t, method, want, got)
		return
	}
	if got.upstream == nil {
		t.Fatalf("the upstream was not reached, body %.300s", got.body)
	}
	if got.upstream.Method != want.Upstream.Method {
		t.Errorf("upstream method %s, want %s", got.upstream.Method, want.Upstream.Method)
	}
	if uri := fill(want.Upstream.URI); got.upstream.URI != uri {
		t.Errorf("upstream uri %s, want %s", got.upstream.URI, uri)
	}
	headers := map[string][]string{}
	for name, values := range want.Upstream.Headers {
		for _, v := range values {
			headers[name] = append(headers[name], fill(v))
		}
	}
	if sent := relevant(got.upstream.Headers); !reflect.DeepEqual(sent, headers) {
		t.Errorf("upstream headers %v, want %v", sent, headers)
	}
}

func compareRefusal(t *testing.T, method string, want conformance.Answer, got answer) {
	t.Helper()
	if got.upstream != nil {
		t.Error("the upstream was reached")
	}
	for _, name := range []string{"Www-Authenticate", "Content-Type"} {
		if values := got.header.Values(name); !equal(values, want.Headers[name]) {
			t.Errorf("%s: %q, want %q", name, values, want.Headers[name])
		}
	}
	if method == http.MethodHead {
		if len(got.body) > 0 {
			t.Errorf("a HEAD got the body %q", got.body)
		}
		return
	}
	if len(want.Body) > 0 && !reflect.DeepEqual(value(got.body), value(want.Body)) {
		t.Errorf("body %s, want %s", got.body, want.Body)
	}
}

func equal(a, b []string) bool {
	return len(a) == len(b) && (len(a) == 0 || reflect.DeepEqual(a, b))
}

// value is JSON by value, without the request_id Kong adds to its own errors.
func value(text []byte) any {
	var v any
	if json.Unmarshal(text, &v) != nil {
		return string(text)
	}
	if m, ok := v.(map[string]any); ok {
		delete(m, "request_id")
	}
	return v
}
