package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"kong-go-jwt/spec/gateway/httpd"
	"kong-go-jwt/spec/gateway/nginx"
	"kong-go-jwt/spec/gateway/router"
)

// upstreamTimeout bounds the wait for an upstream.
const upstreamTimeout = 60 * time.Second

// hopByHop tells of headers that do not pass a proxy.
func hopByHop(name string) bool {
	switch strings.ToLower(name) {
	case "connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "content-length",
		"host", "expect", "proxy", "trailer":
		return true
	}
	return false
}

// clearConnectionHeaders deletes what the client's Connection header names:
// after the plugins, but of a header table made before them.
func (c *requestContext) clearConnectionHeaders() {
	values := headerLookup(c.req.Header.Map(maxHeaders), "connection")
	if len(values) == 0 {
		return
	}
	connection := strings.ToLower(values[0])
	if connection == "close" || connection == "upgrade" || connection == "keep-alive" {
		return
	}
	for _, name := range strings.Split(connection, ",") {
		// White space goes where a space is outermost; a tab there stays.
		const space = " \t\n\v\f\r"
		if strings.HasPrefix(name, " ") {
			name = strings.TrimLeft(name, space)
		}
		if strings.HasSuffix(name, " ") {
			name = strings.TrimRight(name, space)
		}
		if name != "" {
			c.header.Del(name)
		}
	}
}

func (c *requestContext) forward(ctx context.Context) *httpd.Response {
	c.clearConnectionHeaders()
	header := http.Header{"User-Agent": {""}} // none of net/http's own
	seen := map[string]bool{}
	for _, f := range c.header {
		if hopByHop(f.Name) {
			continue
		}
		name := http.CanonicalHeaderKey(f.Name)
		if !seen[name] {
			header[name] = nil
			seen[name] = true
		}
		header[name] = append(header[name], f.Value)
	}
	c.addForwarded(header)
	u := &url.URL{Scheme: c.scheme, Host: c.target, Opaque: c.path, RawQuery: c.query, ForceQuery: c.queryMark}
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	req := (&http.Request{
		Method: c.method, URL: u, Header: header, Host: c.upstreamHost(), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	if len(c.body) > 0 {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(c.body)), int64(len(c.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(c.body)), nil }
	}
	sent := time.Now()
	res, err := c.gateway.Transport.RoundTrip(req)
	if err != nil {
		cancel()
		c.gateway.Log.Printf(nginx.Err, "upstream %s: %v", c.target, err)
		if errors.Is(err, context.DeadlineExceeded) {
			return failure(504, "The upstream server is timing out", c.id)
		}
		return failure(502, "An invalid response was received from the upstream server", c.id)
	}
	out := &httpd.Response{
		Status: res.StatusCode, Header: c.response.Clone(), Length: res.ContentLength,
		Body: cancelling{res.Body, cancel},
	}
	for name, values := range res.Header {
		if hopByHop(name) {
			continue
		}
		for _, v := range values {
			out.Header.Add(name, v)
		}
	}
	out.Header.Add("X-Kong-Upstream-Latency", strconv.FormatInt(time.Since(sent).Milliseconds(), 10))
	out.Header.Add("X-Kong-Proxy-Latency", strconv.FormatInt(sent.Sub(c.start).Milliseconds(), 10))
	out.Header.Add("Via", "1.1 kong/3.9.3")
	return out
}

func (c *requestContext) upstreamHost() string {
	host, _ := c.req.Header.Get("Host")
	switch {
	case c.host != "":
		return c.host
	case c.match.Route.PreserveHost:
		return host
	}
	return c.target
}

// addForwarded sets the headers a proxied request gets from Kong.
func (c *requestContext) addForwarded(header http.Header) {
	remote, _, _ := net.SplitHostPort(c.req.RemoteAddr)
	_, port, _ := net.SplitHostPort(c.req.LocalAddr)
	forwarded := remote
	if old, ok := c.header.Get("X-Forwarded-For"); ok {
		forwarded = old + ", " + remote
	}
	path := router.Normalize(c.req.Path)
	header.Set("Connection", "keep-alive")
	header.Set("Via", "1.1 kong/3.9.3")
	header.Set("X-Forwarded-For", forwarded)
	header.Set("X-Forwarded-Proto", c.req.Scheme())
	header.Set("X-Forwarded-Host", c.requestHost())
	header.Set("X-Forwarded-Port", port)
	header.Set("X-Forwarded-Path", c.req.Path)
	if c.match.Route.StripPath {
		if prefix := strings.TrimSuffix(strings.TrimSuffix(path, c.match.Rest), "/"); prefix != "" {
			header.Set("X-Forwarded-Prefix", prefix)
		}
	}
	header.Set("X-Real-Ip", remote)
	header.Set("X-Kong-Request-Id", c.id)
}

// cancelling ends the request's context with its body.
type cancelling struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b cancelling) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
