// Package proxy is the data plane: it routes requests, runs the plugins on
// them and forwards what they let pass.
package proxy

import (
	"encoding/pem"
	"net"
	"strconv"
	"strings"
	"time"

	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/spec/gateway/httpd"
	"kong-go-jwt/spec/gateway/nginx"
	"kong-go-jwt/spec/gateway/router"
	"kong-go-jwt/spec/gateway/wire"
)

// requestContext is one request on its way through the plugins.
type requestContext struct {
	gateway *Gateway
	store   *config.Store
	req     *httpd.Request
	match   router.Match
	start   time.Time
	id      string

	// What plugins may change.
	method string
	header httpd.Header
	query  string
	// queryMark tells whether the request had a "?" at all.
	queryMark bool
	body      []byte
	path      string // the upstream's, escaped
	scheme    string
	host      string // the upstream's Host header, when set by a plugin
	target    string // the upstream's host:port, when set by a plugin

	consumer   *wire.Consumer
	credential *wire.Credential
	shared     map[string]any
	ngxCtx     map[string]any
	serialize  map[string]any
	response   httpd.Header // set by plugins ahead of the answer
	late       httpd.Header // of plugins that change any answer
	exit       *httpd.Response
}

// variable is ngx.var[name].
func (c *requestContext) variable(name string) (string, bool) {
	name = strings.ToLower(name)
	if rest, ok := strings.CutPrefix(name, "http_"); ok {
		return c.gateway.Nginx.HeaderVariable(c.header, rest)
	}
	if rest, ok := strings.CutPrefix(name, "cookie_"); ok {
		return nginx.CookieVariable(c.header, rest)
	}
	if rest, ok := strings.CutPrefix(name, "arg_"); ok {
		return argument(c.query, rest)
	}
	if m, ok := c.gateway.Include.Load().Maps[name]; ok {
		return m.Value(func(n string) string {
			v, _ := c.variable(n)
			return v
		}), true
	}
	remote, remotePort, _ := net.SplitHostPort(c.req.RemoteAddr)
	local, localPort, _ := net.SplitHostPort(c.req.LocalAddr)
	switch name {
	case "request":
		return c.req.Line, true
	case "request_method":
		return c.method, true
	case "request_uri":
		return c.req.Target, true
	case "uri", "document_uri":
		return router.Normalize(c.req.Path), true
	case "args", "query_string":
		return c.query, c.query != ""
	case "is_args":
		if c.query != "" {
			return "?", true
		}
		return "", true
	case "host":
		return c.requestHost(), true
	case "scheme":
		return c.req.Scheme(), true
	case "nginx_version":
		return c.gateway.Nginx.String(), true
	case "echo_client_request_headers":
		return c.req.Head, c.req.Head != ""
	case "server_protocol":
		return c.req.Proto, true
	case "remote_addr", "realip_remote_addr":
		return remote, true
	case "remote_port", "realip_remote_port":
		return remotePort, true
	case "server_addr":
		return local, true
	case "server_port":
		return localPort, true
	case "ssl_client_raw_cert":
		return c.clientCertificate()
	case "request_id", "kong_request_id":
		return c.id, true
	case "content_length":
		return c.header.Get("Content-Length")
	case "content_type":
		return c.contentType()
	case "upstream_uri":
		return c.path, true
	case "upstream_scheme":
		return c.scheme, true
	case "pid":
		return strconv.Itoa(c.gateway.Pid), true
	}
	return "", false
}

// contentType is $content_type, which is made of several headers as $http_NAME is, but of
// no other spelling.
func (c *requestContext) contentType() (string, bool) {
	var own httpd.Header
	for _, value := range c.header.Values("Content-Type") {
		own.Add("Content-Type", value)
	}
	return c.gateway.Nginx.HeaderVariable(own, "content_type")
}

// clientCertificate is $ssl_client_raw_cert: PEM, newlines included.
func (c *requestContext) clientCertificate() (string, bool) {
	if c.req.TLS == nil || len(c.req.TLS.PeerCertificates) == 0 {
		return "", false
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.req.TLS.PeerCertificates[0].Raw})), true
}

// argument is $arg_NAME.
func argument(query, name string) (string, bool) {
	for _, pair := range strings.Split(query, "&") {
		k, v, ok := strings.Cut(pair, "=")
		if ok && strings.EqualFold(k, name) {
			return v, true
		}
	}
	return "", false
}

// requestHost is the Host header without its port, lower case.
func (c *requestContext) requestHost() string {
	host, _ := c.req.Header.Get("Host")
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(host)
}

// headerValue is kong.request.get_header: the first value of a header, found
// by dashes and underscores alike when there is no more than one.
func (c *requestContext) headerValue(name string) (string, bool) {
	v, ok := c.gateway.Nginx.HeaderVariable(c.header, strings.ReplaceAll(name, "-", "_"))
	if !ok || !strings.Contains(v, ", ") {
		return v, ok
	}
	values := headerLookup(c.header.Map(maxHeaders), name)
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// maxHeaders is ngx.req.get_headers' limit when none is given.
const maxHeaders = 100

// headerLookup indexes a table of get_headers as Lua code does: its metatable
// tries the name in lower case with dashes for underscores.
func headerLookup(m map[string][]string, name string) []string {
	if v, ok := m[name]; ok {
		return v
	}
	return m[strings.ReplaceAll(strings.ToLower(name), "_", "-")]
}

func (c *requestContext) setConsumer(consumer *config.Consumer, credential *wire.Credential) {
	c.consumer, c.credential = nil, credential
	if consumer != nil {
		c.consumer = consumerMessage(consumer)
	}
}

func consumerMessage(c *config.Consumer) *wire.Consumer {
	return &wire.Consumer{ID: c.ID, Username: c.Username, CustomID: c.CustomID, Tags: c.Tags, CreatedAt: c.CreatedAt}
}
