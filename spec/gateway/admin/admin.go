// Package admin is the part of Kong's Admin API that a plugin or a spec asks for.
package admin

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/spec/gateway/faults"
	"kong-go-jwt/spec/gateway/httpd"
	"kong-go-jwt/spec/gateway/store"
)

// API answers Admin API requests.
type API struct {
	Store func() *config.Store
	// Load takes a new declarative configuration.
	Load   func(text []byte) error
	NodeID string
	Faults *faults.Faults // of "admin"
	Cache  *store.Cache
	// Database is nil in DB-less mode.
	Database *Database

	mu     sync.Mutex
	counts map[string]int64
	total  int64 // also of paths that are too many to be counted apart
}

// Handle answers one request.
func (a *API) Handle(ctx context.Context, req *httpd.Request) *httpd.Response {
	a.mu.Lock()
	if a.counts == nil {
		a.counts = map[string]int64{}
	}
	a.total++
	if len(a.counts) < 10_000 {
		a.counts[req.Path]++
	}
	a.mu.Unlock()
	return a.Faults.Of("admin").Apply(ctx, func() *httpd.Response { return a.route(req) })
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
	rows := a.Store()
	switch {
	case len(segments) == 1 && segments[0] == "config" && req.Method == "POST":
		if a.Database != nil {
			return message(400, "this endpoint is only available when Kong is configured to not use a database")
		}
		return a.postConfig(req)
	case segments[0] == "cache":
		return a.cache(req, segments)
	case a.Database != nil && a.Database.Lost() && req.Path != "/" && req.Path != "/status":
		return message(500, "An unexpected error occurred")
	case a.Database != nil:
		if res := a.Database.write(req, segments); res != nil {
			return res
		}
	}
	if req.Method != "GET" && req.Method != "HEAD" {
		return message(405, "Method not allowed")
	}
	query, _ := url.ParseQuery(req.Query)
	switch {
	case req.Path == "/":
		return answer(200, map[string]any{"version": "3.9.3", "tagline": "Welcome to kong", "node_id": a.NodeID, "configuration": map[string]any{"database": a.database()}})
	case len(segments) == 1 && segments[0] == "status":
		status := map[string]any{
			"server": map[string]any{}, "memory": map[string]any{},
			"database": map[string]any{"reachable": a.Database == nil || !a.Database.Lost()},
		}
		if a.Database == nil {
			status["configuration_hash"] = rows.Hash
		}
		return answer(200, status)
	case len(segments) == 1 && segments[0] == "jwts":
		return page(rows.JWTs, query)
	case len(segments) == 2 && segments[0] == "jwts":
		return found(rows.JWT(segments[1]))
	case len(segments) == 1 && segments[0] == "consumers" && query.Has("custom_id"):
		found := []*config.Consumer{}
		if c := rows.ConsumerByCustomID(query.Get("custom_id")); c != nil {
			found = append(found, c)
		}
		return answer(200, map[string]any{"data": found, "next": nil})
	case len(segments) == 1 && segments[0] == "consumers":
		return page(rows.Consumers, query)
	case len(segments) >= 2 && segments[0] == "consumers":
		c := rows.Consumer(segments[1])
		switch {
		case len(segments) == 2 || c == nil:
			return found(c)
		case len(segments) == 3 && segments[2] == "jwt":
			return page(rows.JWTsOf(c.ID), query)
		}
	case len(segments) == 1 && segments[0] == "plugins":
		list := []map[string]any{}
		for _, p := range rows.Plugins {
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
	if part, ok := formField(req, "config"); ok {
		text = part
	} else if json.Unmarshal(text, &wrapped) == nil && wrapped.Config != "" {
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

// formField reads a field of a multipart form, as curl -F sends it.
func formField(req *httpd.Request, name string) ([]byte, bool) {
	header, _ := req.Header.Get("Content-Type")
	kind, params, err := mime.ParseMediaType(header)
	if err != nil || kind != "multipart/form-data" {
		return nil, false
	}
	parts := multipart.NewReader(bytes.NewReader(req.Body), params["boundary"])
	for {
		p, err := parts.NextPart()
		if err != nil {
			return nil, false
		}
		if p.FormName() == name {
			text, err := io.ReadAll(p)
			return text, err == nil
		}
	}
}

// cache is /cache and /cache/{key}: a look at, and into, Kong's cache.
func (a *API) cache(req *httpd.Request, segments []string) *httpd.Response {
	switch {
	case len(segments) == 1 && req.Method == "DELETE":
		a.Cache.Invalidate()
		return &httpd.Response{Status: 204}
	case len(segments) == 2 && req.Method == "DELETE":
		a.Cache.Invalidate(segments[1])
		return &httpd.Response{Status: 204}
	case len(segments) == 2 && req.Method == "GET":
		if row, ok := a.Cache.Probe(segments[1]); ok {
			return answer(200, row)
		}
		return message(404, "Not found")
	}
	return message(405, "Method not allowed")
}

func (a *API) database() string {
	if a.Database != nil {
		return "postgres"
	}
	return "off"
}

// Counts tells how often each path was asked for, and how often any was.
func (a *API) Counts() (paths map[string]int64, total int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.counts), a.total
}

func message(status int, text string) *httpd.Response {
	return answer(status, map[string]any{"message": text})
}

func answer(status int, v any) *httpd.Response {
	res := httpd.JSON(status, v)
	res.Header.Add("Server", "kong/3.9.3")
	return res
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
