// Package admin is the part of Kong's Admin API that works in DB-less mode and
// that a plugin or a spec asks for, with faults to inject.
package admin

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/spec/gateway/httpd"
)

// API answers Admin API requests.
type API struct {
	Store func() *config.Store
	// Load takes a new configuration.
	Load   func(text []byte) error
	NodeID string
	// Counters adds to what GET /__stats gives.
	Counters func() map[string]any

	mu     sync.Mutex
	faults faults
	counts map[string]int64
	total  int64 // also of paths that are too many to be counted apart
}

// Handle answers one request.
func (a *API) Handle(ctx context.Context, req *httpd.Request) *httpd.Response {
	switch req.Path {
	case "/__faults":
		return a.setFaults(req)
	case "/__stats":
		return a.stats()
	}
	a.mu.Lock()
	if a.counts == nil {
		a.counts = map[string]int64{}
	}
	a.total++
	if len(a.counts) < 10_000 {
		a.counts[req.Path]++
	}
	f := a.faults
	a.mu.Unlock()
	return f.apply(ctx, func() *httpd.Response { return a.route(req) })
}

func (a *API) route(req *httpd.Request) *httpd.Response {
	// Of the path as it was sent: nginx refuses one that leads above the root
	// (httpd), but it is not its normalized path that Kong looks at.
	segments := strings.Split(strings.TrimSuffix(strings.TrimPrefix(req.Path, "/"), "/"), "/")
	for i, s := range segments {
		plain, err := url.PathUnescape(s)
		if err != nil {
			return message(400, "Bad request")
		}
		segments[i] = plain
	}
	store := a.Store()
	if segments[0] == "config" && len(segments) == 1 && req.Method == "POST" {
		return a.postConfig(req)
	}
	if req.Method != "GET" && req.Method != "HEAD" {
		return message(405, "Method not allowed")
	}
	query, _ := url.ParseQuery(req.Query)
	switch {
	case req.Path == "/":
		return answer(200, map[string]any{"version": "3.9.3", "tagline": "Welcome to kong", "node_id": a.NodeID, "configuration": map[string]any{"database": "off"}})
	case len(segments) == 1 && segments[0] == "status":
		return answer(200, map[string]any{
			"configuration_hash": store.Hash, "server": map[string]any{}, "memory": map[string]any{},
		})
	case len(segments) == 1 && segments[0] == "jwts":
		return page(store.JWTs, query)
	case len(segments) == 2 && segments[0] == "jwts":
		return found(store.JWT(segments[1]))
	case len(segments) == 1 && segments[0] == "consumers" && query.Has("custom_id"):
		found := []*config.Consumer{}
		for _, c := range store.Consumers {
			if c.CustomID != "" && c.CustomID == query.Get("custom_id") {
				found = append(found, c)
			}
		}
		return answer(200, map[string]any{"data": found, "next": nil})
	case len(segments) == 1 && segments[0] == "consumers":
		return page(store.Consumers, query)
	case len(segments) >= 2 && segments[0] == "consumers":
		c := store.Consumer(segments[1])
		switch {
		case len(segments) == 2 || c == nil:
			return found(c)
		case len(segments) == 3 && segments[2] == "jwt":
			return page(store.JWTsOf(c.ID), query)
		}
	case len(segments) == 1 && segments[0] == "plugins":
		list := []map[string]any{}
		for _, p := range store.Plugins {
			list = append(list, map[string]any{"id": p.ID, "name": p.Name, "enabled": p.Enabled, "config": p.Written})
		}
		return page(list, query)
	}
	return message(404, "Not found")
}

func found[T any](v *T) *httpd.Response {
	if v == nil {
		return message(404, "Not found")
	}
	return answer(200, v)
}

// page gives size rows from an offset on, and how to get the rest.
func page[T any](rows []T, query url.Values) *httpd.Response {
	size, from := 100, 0
	if s := query.Get("size"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 1000 {
			return message(400, "size must be an integer between 1 and 1000")
		}
		size = n
	}
	if s := query.Get("offset"); s != "" {
		plain, err := base64.RawURLEncoding.DecodeString(s)
		n, err2 := strconv.Atoi(string(plain))
		if err != nil || err2 != nil || n < 0 {
			return message(400, "invalid offset")
		}
		from = n
	}
	from = min(from, len(rows))
	to := min(from+size, len(rows))
	data := rows[from:to]
	if data == nil {
		data = []T{}
	}
	body := map[string]any{"data": data, "next": nil}
	if to < len(rows) {
		offset := base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(to)))
		body["offset"], body["next"] = offset, "?offset="+offset
	}
	return answer(200, body)
}

func (a *API) postConfig(req *httpd.Request) *httpd.Response {
	text := req.Body
	var wrapped struct {
		Config string `json:"config"`
	}
	if json.Unmarshal(text, &wrapped) == nil && wrapped.Config != "" {
		text = []byte(wrapped.Config)
	}
	err := a.Load(text)
	if err == nil {
		return answer(201, map[string]any{"configuration_hash": a.Store().Hash})
	}
	var invalid *config.InvalidError
	if !errors.As(err, &invalid) {
		return answer(400, map[string]any{
			"code": 14, "name": "invalid declarative configuration",
			"message": "declarative config is invalid: " + err.Error(), "fields": map[string]any{"error": err.Error()},
		})
	}
	return answer(400, map[string]any{
		"code": 14, "name": "invalid declarative configuration",
		"message": "declarative config is invalid: " + invalid.Error(), "fields": invalid.Fields,
	})
}

func (a *API) stats() *httpd.Response {
	out := a.Counters()
	a.mu.Lock()
	defer a.mu.Unlock()
	admin := map[string]int64{}
	for k, v := range a.counts {
		admin[k] = v
	}
	out["admin"], out["admin_total"] = admin, a.total
	return answer(200, out)
}

func message(status int, text string) *httpd.Response {
	return answer(status, map[string]any{"message": text})
}

func answer(status int, v any) *httpd.Response {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = 500, []byte(`{"message":"An unexpected error occurred"}`)
	}
	return &httpd.Response{
		Status: status, Length: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
		Header: httpd.Header{{Name: "Content-Type", Value: "application/json; charset=utf-8"}, {Name: "Server", Value: "kong/3.9.3"}},
	}
}

// Refuse answers what is no request to nginx, before Kong sees it: in HTML.
func Refuse(status int) *httpd.Response {
	title := strconv.Itoa(status) + " " + http.StatusText(status)
	body := "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
		"</h1></center>\r\n<hr><center>openresty</center>\r\n</body>\r\n</html>\r\n"
	return &httpd.Response{
		Status: status, Length: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
		Header: httpd.Header{{Name: "Content-Type", Value: "text/html"}, {Name: "Server", Value: "openresty"}},
	}
}
