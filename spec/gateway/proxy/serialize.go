package proxy

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/spec/gateway/httpd"
)

// serialized is kong.log.serialize, as far as a plugin or a spec can tell: what
// log plugins write of a request. res is nil before there is an answer.
func (c *requestContext) serialized(res *httpd.Response) map[string]any {
	host, _, _ := net.SplitHostPort(c.req.RemoteAddr)
	headers := luaHeaders(c.header.Map(maxHeaders))
	for _, secret := range []string{"authorization", "proxy-authorization"} {
		if _, ok := headers[secret]; ok {
			headers[secret] = "REDACTED"
		}
	}
	_, port, _ := net.SplitHostPort(c.req.LocalAddr)
	query := decodeArgs(c.query, maxHeaders)
	line := map[string]any{
		"request": map[string]any{
			"id": c.id, "method": c.method, "uri": c.req.Target, "querystring": query, "headers": headers,
			"url":  (&url.URL{Scheme: c.req.Scheme(), Host: net.JoinHostPort(c.requestHost(), port)}).String() + c.req.Target,
			"size": strconv.Itoa(len(c.req.Line) + len(c.req.Body)),
		},
		"latencies":  map[string]any{"request": time.Since(c.start).Milliseconds()},
		"client_ip":  host,
		"started_at": c.start.UnixMilli(),
		"workspace":  config.Workspace,
	}
	if res != nil {
		line["response"] = map[string]any{"status": res.Status, "headers": luaHeaders(res.Header.Map(maxHeaders)), "size": res.Length}
	}
	if c.target != "" {
		line["upstream_uri"] = c.path
	}
	if r := c.match.Route; r != nil {
		line["route"] = map[string]any{"id": r.ID, "name": r.Name, "paths": r.Paths}
		if r.Service != nil {
			line["service"] = map[string]any{"id": r.Service.ID, "name": r.Service.Name, "host": r.Service.Host}
		}
	}
	if c.credential != nil {
		line["authenticated_entity"] = map[string]any{"id": c.credential.ID}
	}
	if c.consumer != nil {
		line["consumer"] = map[string]any{"id": c.consumer.ID, "username": c.consumer.Username, "custom_id": c.consumer.CustomID}
	}
	for k, v := range c.serialize {
		place(line, k, v)
	}
	return line
}

// place puts v at a dotted key, as kong.log.set_serialize_value does.
func place(m map[string]any, key string, v any) {
	head, tail, dotted := strings.Cut(key, ".")
	if !dotted {
		m[key] = v
		return
	}
	sub, ok := m[head].(map[string]any)
	if !ok {
		sub = map[string]any{}
		m[head] = sub
	}
	place(sub, tail, v)
}
