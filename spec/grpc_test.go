package spec_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"kong-go-jwt/spec/conformance"
)

var grpcCall = [2]string{"Content-Type", "application/grpc"}

// http2Client speaks HTTP/2 without TLS, as Kong 3.6 and later do on every port if they do
// on one (`http2 on`).
func http2Client(t *testing.T, g *gateway) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Timeout: patience, Transport: transport}
	if res, err := client.Head("http://" + g.proxy + "/"); err == nil {
		res.Body.Close()
	} else if onRealKong() {
		t.Skipf("this Kong does not speak HTTP/2: %v", err)
	} else {
		t.Fatal(err)
	}
	return client
}

// sendHTTP2 is send by HTTP/2.
func (g *gateway) sendHTTP2(t *testing.T, client *http.Client, method, target string, headers ...[2]string) answer {
	t.Helper()
	path, query, _ := strings.Cut(target, "?")
	r := (&http.Request{
		Method: method, URL: &url.URL{Scheme: "http", Host: g.proxy, Opaque: path, RawQuery: query}, Header: http.Header{},
	}).WithContext(t.Context())
	for _, h := range headers {
		r.Header[h[0]] = append(r.Header[h[0]], h[1])
	}
	return answerTo(t, client, r)
}

// grpcForm is what Kong makes of a refusal if the request is a gRPC call
// (kong/pdk/response.lua): the message and the status in headers, and no body.
func grpcForm(t *testing.T, a answer) http.Header {
	t.Helper()
	code := map[int]string{400: "3", 401: "16", 403: "7", 500: "13", 503: "14"}[a.status]
	var body struct{ Message string }
	if err := json.Unmarshal(a.body, &body); err != nil || code == "" {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	if body.Message == "" { // of claims
		body.Message = "Unauthenticated"
	}
	header := a.header.Clone()
	header.Del("Content-Type")
	header.Set("Content-Length", "0")
	header.Set("Grpc-Status", code)
	header.Set("Grpc-Message", body.Message)
	return header
}

// ofAnswer removes the headers that differ from one answer to the next.
func ofAnswer(h http.Header) http.Header {
	h = h.Clone()
	for _, name := range []string{"X-Kong-Request-Id", "X-Kong-Response-Latency", "Date", "Connection", "Dpop-Nonce"} {
		h.Del(name)
	}
	return h
}

// wantGRPC checks that got is a refusal in gRPC's form.
func wantGRPC(t *testing.T, got, json answer) {
	t.Helper()
	want := grpcForm(t, json)
	if got.status != json.status || len(got.body) > 0 || !reflect.DeepEqual(ofAnswer(got.header), ofAnswer(want)) {
		t.Errorf("%d %v %s, want %d %v", got.status, got.header, got.body, json.status, want)
	}
}

// TestRecordedGRPC: as gRPC calls, the recorded cases are refused for the same reasons, in
// the form that the bundled plugin's refusals have.
func TestRecordedGRPC(t *testing.T) {
	t.Parallel()
	g := specGateway(t, "-nginx-include=auto")
	client := http2Client(t, g)
	_, route := conformance.Routes(setup.cases)
	refused := 0
	for _, c := range setup.cases {
		fill, err := c.Fill(setup.keys)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		headers, skip := [][2]string{grpcCall}, c.Method == http.MethodHead // whose reasons cannot be seen
		for _, h := range c.Headers {
			headers = append(headers, [2]string{h[0], fill(h[1])})
			skip = skip || h[0] == "Connection" // which HTTP/2 does not have
		}
		if skip {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			target := c.Target(route(c), fill)
			json, got := g.send(t, c.Method, target, headers...), g.sendHTTP2(t, client, c.Method, target, headers...)
			switch {
			case json.upstream != nil && got.upstream == nil:
				t.Errorf("%d %s", got.status, got.body)
			case json.upstream == nil && strings.HasPrefix(json.header.Get("WWW-Authenticate"), "Bearer"): // not another plugin's
				refused++
				wantGRPC(t, got, json)
			}
		})
	}
	if refused < 100 {
		t.Errorf("%d cases are refused", refused)
	}
}

// TestGRPCCalls: only what Kong takes for a gRPC call is refused in that form.
func TestGRPCCalls(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		g := specGateway(t, way...)
		client := http2Client(t, g)
		json := g.send(t, "GET", "/plain")
		for _, tt := range []struct {
			contentType string
			is          bool
		}{
			{"application/grpc", true},
			{"application/grpc+proto", true},
			{"application/grpc-web", true},
			{"application/grpc; charset=utf-8", true},
			{"application/GRPC", false},
			{"application/json", false},
			{"text/plain, application/grpc", false},
			{"", false},
		} {
			for _, method := range []string{"GET", "POST", "OPTIONS"} {
				for name, send := range map[string]func(headers ...[2]string) answer{
					"HTTP/1.1": func(headers ...[2]string) answer { return g.send(t, method, "/plain", headers...) },
					"HTTP/2":   func(headers ...[2]string) answer { return g.sendHTTP2(t, client, method, "/plain", headers...) },
				} {
					t.Run(fmt.Sprintf("%s %s %q", name, method, tt.contentType), func(t *testing.T) {
						var headers [][2]string
						if tt.contentType != "" {
							headers = append(headers, [2]string{"Content-Type", tt.contentType})
						}
						got := send(headers...)
						if tt.is && name == "HTTP/2" {
							wantGRPC(t, got, json)
						} else if string(got.body) != string(json.body) || !reflect.DeepEqual(ofAnswer(got.header), ofAnswer(json.header)) {
							t.Errorf("%d %v %s", got.status, got.header, got.body)
						}
					})
				}
			}
		}
		if got := g.sendHTTP2(t, client, "GET", "/plain", [2]string{"Content_Type", "application/grpc"}); string(got.body) != string(json.body) {
			t.Errorf("another header: %d %s", got.status, got.body)
		}
		for range 2 { // the second time remembered
			if got := identityOf(g.sendHTTP2(t, client, "POST", "/plain", grpcCall, bearer(tokenOf(t, "hs256", "hs-a", "HS256")))); got != alice {
				t.Errorf("a good token: %s", got)
			}
		}
	})
}

// TestEveryRefusalOfGRPC: those that the bundled plugin does not have have the same form.
func TestEveryRefusalOfGRPC(t *testing.T) {
	needsGateway(t)
	eachWay(t, func(t *testing.T, way ...string) {
		issuers := []any{object{"issuer": "i", "jwks_uri": "http://127.0.0.1:1/"}}
		g := withRoutes(t, map[string][]any{
			"/scope":     jwt(object{"scopes_required": []any{"read"}, "realm": "r"}),
			"/claim":     jwt(object{"claims_required": []any{object{"claim": []any{"role"}, "value": "admin"}}}),
			"/broken":    jwt(object{"credentials": []any{object{"key": "k", "algorithm": "RS256", "public_key": "-----BEGIN PUBLIC KEY-----", "consumer": "alice"}}}),
			"/anonymous": jwt(object{"anonymous": "nobody"}),
			"/keys":      jwt(object{"issuers": issuers}),
			"/dpop":      jwt(object{"dpop": "required", "dpop_use_nonce": true}),
			"/other":     jwt(object{"header_names": []any{"X-Token"}}),
		}, nil, way...)
		client, c := http2Client(t, g), newDPoPClient(t)
		token := bearer(claimsToken(t, nil))
		for name, tt := range map[string]struct {
			path    string
			headers [][2]string
			status  int
		}{
			"scope":        {"/scope", [][2]string{token}, 403},
			"claim":        {"/claim", [][2]string{token}, 403},
			"broken":       {"/broken", [][2]string{token}, 500},
			"anonymous":    {"/anonymous", nil, 500},
			"keys":         {"/keys", [][2]string{bearer(tokenOf(t, "i", "rsa-a", "RS256"))}, 503},
			"bound":        {"/dpop", [][2]string{bearer(c.token)}, 401},
			"nonce":        {"/dpop", c.sent(c.proof(t, "GET", "http://"+g.proxy+"/dpop", nil, nil)), 401},
			"other header": {"/other", [][2]string{{"X-Token", "Bearer x"}}, 401},
			"spoofed":      {"/scope", [][2]string{{"X_Consumer_ID", "evil"}, {"X-Consumer_ID", "evil"}}, 401},
		} {
			t.Run(name, func(t *testing.T) {
				headers := append([][2]string{grpcCall}, tt.headers...)
				json := g.send(t, "GET", tt.path, headers...)
				if json.status != tt.status {
					t.Fatalf("%d %s, want %d", json.status, json.body, tt.status)
				}
				wantGRPC(t, g.sendHTTP2(t, client, "GET", tt.path, headers...), json)
			})
		}
	})
}
