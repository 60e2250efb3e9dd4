package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"kong-go-jwt/spec/gateway/httpd"
	"kong-go-jwt/spec/gateway/nginx"
	"kong-go-jwt/spec/gateway/pluginserver"
	"kong-go-jwt/spec/gateway/router"
	"kong-go-jwt/spec/gateway/schema"
	"kong-go-jwt/spec/gateway/wire"
)

// pdk answers the calls of one plugin on one request.
type pdk struct {
	*requestContext
	plugin string
	fail   []string // methods
}

var errPhase = errors.New("function cannot be called in access phase")

// Call implements pluginserver.PDK.
func (p pdk) Call(method string, args []byte) ([]byte, error) {
	if slices.Contains(p.fail, method) {
		return nil, fmt.Errorf("%s is made to fail", method)
	}
	module, _, _ := strings.Cut(strings.TrimPrefix(method, "kong."), ".")
	switch module {
	case "client":
		return p.client(method, args)
	case "ctx":
		return p.ctx(method, args)
	case "log":
		return p.log(method, args)
	case "nginx", "node", "ip":
		return p.nginx(method, args)
	case "request":
		return p.request(method, args)
	case "response":
		return p.answer(method, args)
	case "router":
		return p.router(method)
	case "service":
		return p.service(method, args)
	}
	return nil, unknown(method)
}

func unknown(method string) error { return fmt.Errorf("method %q not found", method) }

func text(s string) ([]byte, error) { return wire.String(&s), nil }

func optional(s string, ok bool) ([]byte, error) {
	if !ok {
		return nil, nil
	}
	return text(s)
}

func number(s string) ([]byte, error) {
	n, err := strconv.Atoi(s)
	return wire.Int(n), err
}

func (p pdk) client(method string, args []byte) ([]byte, error) {
	host, port, _ := net.SplitHostPort(p.req.RemoteAddr)
	switch method {
	case "kong.client.get_ip", "kong.client.get_forwarded_ip":
		return text(host)
	case "kong.client.get_port", "kong.client.get_forwarded_port":
		return number(port)
	case "kong.client.get_protocol":
		if protocols := p.match.Route.Protocols; len(protocols) == 1 {
			return text(protocols[0])
		}
		return text(p.req.Scheme())
	case "kong.client.get_credential":
		if p.credential == nil {
			return nil, nil
		}
		return p.credential.Append(nil), nil
	case "kong.client.get_consumer":
		if p.consumer == nil {
			return nil, nil
		}
		return p.consumer.Append(nil), nil
	case "kong.client.load_consumer":
		id, byUsername, err := wire.DecodeConsumerSpec(args)
		if err != nil {
			return nil, err
		}
		if !schema.IsUUID(id) && !byUsername {
			return nil, errors.New("cannot load a consumer with an id that is not a uuid")
		}
		if p.gateway.Lost != nil && p.gateway.Lost() {
			return nil, nil // as if there were none
		}
		c := p.store.ConsumerByID(id)
		if c == nil && byUsername {
			c = p.store.Consumer(id)
		}
		if c == nil {
			return nil, nil
		}
		return consumerMessage(c).Append(nil), nil
	case "kong.client.authenticate":
		consumer, credential, err := wire.DecodeAuthenticate(args)
		if err != nil {
			return nil, err
		}
		if consumer == nil && credential == nil {
			return nil, errors.New("either credential or consumer must be provided")
		}
		p.consumer, p.credential = consumer, credential
		return nil, nil
	}
	return nil, unknown(method)
}

func (p pdk) ctx(method string, args []byte) ([]byte, error) {
	switch method {
	case "kong.ctx.shared.set":
		return nil, put(p.shared, args)
	case "kong.ctx.shared.get":
		return get(p.shared, args)
	}
	return nil, unknown(method)
}

// put and get serve a table of Lua's that a call names.
func put(table map[string]any, args []byte) error {
	k, v, err := wire.DecodeKV(args)
	if err == nil {
		table[k] = v
	}
	return err
}

// setCtx sets a value of ngx.ctx, where kong.client keeps who was authenticated.
func (p pdk) setCtx(args []byte) error {
	k, v, err := wire.DecodeKV(args)
	if err != nil {
		return err
	}
	p.ngxCtx[k] = v
	if k != "authenticated_credential" {
		return nil
	}
	if p.credential = nil; v == nil {
		return nil
	}
	table, ok := v.(map[string]any)
	if !ok {
		return errors.New("authenticated_credential: a table was expected")
	}
	id, _ := table["id"].(string)
	consumer, has := table["consumer_id"].(string)
	p.credential = &wire.Credential{ID: id, ConsumerID: consumer, Bare: !has}
	return nil
}

func get(table map[string]any, args []byte) ([]byte, error) {
	k, err := wire.DecodeString(args)
	if err != nil {
		return nil, err
	}
	return wire.AppendValue(nil, table[k]), nil
}

func (p pdk) log(method string, args []byte) ([]byte, error) {
	level := strings.TrimPrefix(method, "kong.log.")
	switch level {
	case "set_serialize_value":
		return nil, put(p.serialize, args)
	case "serialize":
		line, err := json.Marshal(p.serialized(nil))
		if err != nil {
			return nil, err
		}
		return text(string(line))
	case "alert", "crit", "err", "warn", "notice", "info", "debug":
		level, err := nginx.ParseLevel(level)
		if err != nil {
			return nil, err
		}
		items, err := wire.DecodeList(args)
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		for _, item := range items {
			fmt.Fprint(&b, item)
		}
		p.logLine(level, b.String())
		return nil, nil
	}
	return nil, unknown(method)
}

// logLine is what nginx makes of a line that Lua logs during a request.
func (c *requestContext) logLine(level nginx.Level, text string) {
	client, _, _ := net.SplitHostPort(c.req.RemoteAddr)
	host, _ := c.req.Header.Get("Host")
	c.gateway.Log.Printf(level, "%d#0: [kong] pb_rpc.lua:233 %s, client: %s, server: kong, request: %q, host: %q, request_id: %q",
		c.gateway.Pid, text, client, c.req.Line, host, c.id)
}

func (p pdk) nginx(method string, args []byte) ([]byte, error) {
	switch method {
	case "kong.nginx.get_var":
		name, err := wire.DecodeString(args)
		if err != nil {
			return nil, err
		}
		return optional(p.variable(name))
	case "kong.nginx.get_subsystem":
		return text("http")
	case "kong.nginx.req_start_time":
		return wire.Number(float64(p.start.UnixMilli()) / 1000), nil
	case "kong.nginx.set_ctx":
		return nil, p.setCtx(args)
	case "kong.nginx.get_ctx":
		return get(p.ngxCtx, args)
	case "kong.nginx.get_tls1_version_str":
		return nil, nil
	case "kong.node.get_id":
		return text(p.gateway.NodeID)
	case "kong.ip.is_trusted":
		ip, err := wire.DecodeString(args)
		return wire.Bool(p.gateway.trusts(ip)), err
	}
	return nil, unknown(method)
}

func (p pdk) request(method string, args []byte) ([]byte, error) { //nolint:cyclop // one case a method
	switch method {
	case "kong.request.get_scheme":
		return text(p.req.Scheme())
	case "kong.request.get_host":
		return text(p.requestHost())
	case "kong.request.get_port":
		return wire.Int(p.port()), nil
	case "kong.request.get_forwarded_scheme":
		return text(p.forwardedScheme())
	case "kong.request.get_forwarded_host":
		return text(p.forwardedHost())
	case "kong.request.get_forwarded_port":
		return wire.Int(p.forwardedPort()), nil
	case "kong.request.get_http_version":
		return wire.Number(map[string]float64{"HTTP/1.0": 1, "HTTP/1.1": 1.1, "HTTP/2.0": 2}[p.req.Proto]), nil
	case "kong.request.get_method":
		return text(p.method)
	case "kong.request.get_path":
		return text(router.Normalize(p.req.Path))
	case "kong.request.get_path_with_query":
		return text(p.req.Target)
	case "kong.request.get_raw_query":
		return text(p.query)
	case "kong.request.get_raw_body":
		return wire.RawBody(p.body), nil
	case "kong.request.get_uri_captures":
		return nil, nil
	case "kong.request.get_query", "kong.request.get_headers":
		limit, err := wire.DecodeInt(args)
		if err != nil {
			return nil, err
		}
		if limit < 1 || limit > 1000 {
			return nil, errors.New("the limit must be between 1 and 1000")
		}
		if method == "kong.request.get_query" {
			return wire.AppendStruct(nil, decodeArgs(p.query, limit)), nil
		}
		return wire.AppendStruct(nil, luaHeaders(p.header.Map(limit))), nil
	case "kong.request.get_query_arg":
		name, err := wire.DecodeString(args)
		if err != nil {
			return nil, err
		}
		v := decodeArgs(p.query, maxHeaders)[name]
		if l, ok := v.([]any); ok {
			v = l[0]
		}
		switch v := v.(type) {
		case nil:
			return nil, nil
		case string:
			return text(v)
		}
		return nil, errors.New("string expected for field 'v', got boolean")
	case "kong.request.get_header":
		name, err := wire.DecodeString(args)
		if err != nil {
			return nil, err
		}
		return optional(p.headerValue(name))
	}
	return nil, unknown(method)
}

// luaHeaders turns values into the texts and lists get_headers has.
func luaHeaders(m map[string][]string) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		if len(v) == 1 {
			out[k] = v[0]
		} else {
			out[k] = v
		}
	}
	return out
}

func (p pdk) answer(method string, args []byte) ([]byte, error) {
	switch method {
	case "kong.response.exit":
		e, err := wire.DecodeExit(args)
		if err != nil {
			return nil, err
		}
		if e.Status < 100 || e.Status > 599 {
			return nil, errors.New("code must be a number between 100 and 599")
		}
		header := p.response.Clone()
		if err := setHeaders(&header, e.Headers); err != nil {
			return nil, err
		}
		header.Del("Transfer-Encoding")
		header.Del("Content-Length")
		p.exit = p.send(e.Status, header, append([]byte{}, e.Body...)) // "" where there is none
		return nil, pluginserver.ErrExit
	case "kong.response.set_header", "kong.response.add_header":
		k, v, err := wire.DecodeKV(args)
		if err != nil {
			return nil, err
		}
		values, err := headerValues(k, v)
		if err != nil {
			return nil, err
		}
		if method == "kong.response.add_header" {
			values = append(p.response.Values(k), values...)
		}
		p.response.Set(escapeName(k), values...)
		return nil, nil
	case "kong.response.set_headers":
		m, err := wire.DecodeStruct(args)
		if err != nil {
			return nil, err
		}
		return nil, setHeaders(&p.response, m)
	case "kong.response.clear_header":
		name, err := wire.DecodeString(args)
		p.response.Del(name)
		return nil, err
	case "kong.response.set_status":
		status, err := wire.DecodeInt(args)
		if err == nil && (status < 100 || status > 599) {
			err = errors.New("code must be a number between 100 and 599")
		}
		return nil, err // the upstream's status comes after it
	case "kong.response.get_status", "kong.response.get_header", "kong.response.get_headers", "kong.response.get_source":
		return nil, errPhase
	}
	return nil, unknown(method)
}

func (p pdk) router(method string) ([]byte, error) {
	r := p.match.Route
	switch method {
	case "kong.router.get_route":
		m := wire.Route{
			ID: r.ID, Name: r.Name, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Protocols: r.Protocols,
			Methods: r.Methods, Hosts: r.Hosts, Paths: r.Paths, Tags: r.Tags, RedirectStatus: 426,
			RegexPriority: int64(r.RegexPriority), StripPath: r.StripPath, PreserveHost: r.PreserveHost,
		}
		if r.Service != nil {
			m.ServiceID = r.Service.ID
		}
		return m.Append(nil), nil
	case "kong.router.get_service":
		s := r.Service
		if s == nil {
			return nil, nil
		}
		m := wire.Service{ID: s.ID, Name: s.Name, Protocol: s.Protocol, Host: s.Host, Port: int64(s.Port), Path: s.Path}
		return m.Append(nil), nil
	}
	return nil, unknown(method)
}

func (p pdk) service(method string, args []byte) ([]byte, error) { //nolint:cyclop // one case a method
	switch method {
	case "kong.service.request.set_headers":
		m, err := wire.DecodeStruct(args)
		if err != nil {
			return nil, err
		}
		if err := setHeaders(&p.header, m); err != nil {
			return nil, err
		}
		for k, v := range m {
			p.noteHost(k, v)
		}
		return nil, nil
	case "kong.service.request.set_header", "kong.service.request.add_header":
		k, v, err := wire.DecodeKV(args)
		if err != nil {
			return nil, err
		}
		values, err := headerValues(k, v)
		if err != nil {
			return nil, err
		}
		if method == "kong.service.request.add_header" {
			values = append(headerLookup(p.header.Map(maxHeaders), k), values...)
		}
		p.header.Set(escapeName(k), values...)
		p.noteHost(k, v)
		return nil, nil
	case "kong.service.set_target":
		host, port, err := wire.DecodeTarget(args)
		p.target = net.JoinHostPort(host, strconv.Itoa(port))
		return nil, err
	case "kong.service.request.set_query":
		m, err := wire.DecodeStruct(args)
		p.query = encodeArgs(m)
		return nil, err
	}
	s, err := wire.DecodeString(args)
	if err != nil {
		return nil, err
	}
	switch method {
	case "kong.service.request.clear_header":
		p.header.Del(s)
	case "kong.service.request.set_raw_query":
		p.query = s
	case "kong.service.request.set_path":
		if !strings.HasPrefix(s, "/") {
			return nil, errors.New("path must start with /")
		}
		p.path = router.Escape(s)
	case "kong.service.request.set_scheme":
		if s != "http" && s != "https" {
			return nil, errors.New("invalid scheme: " + s)
		}
		p.scheme = s
	case "kong.service.request.set_method":
		if !slices.Contains([]string{
			"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "MKCOL", "COPY", "MOVE", "PROPFIND", "PROPPATCH",
			"LOCK", "UNLOCK", "PATCH", "TRACE",
		}, s) {
			return nil, errors.New("invalid method: " + s)
		}
		p.method = s
	case "kong.service.request.set_raw_body":
		p.body = []byte(s)
	case "kong.service.response.get_status", "kong.service.response.get_header",
		"kong.service.response.get_headers", "kong.service.response.get_raw_body":
		return nil, errPhase
	default:
		return nil, unknown(method)
	}
	return nil, nil
}

func (p pdk) noteHost(name string, v any) {
	if s, ok := v.(string); ok && strings.EqualFold(name, "host") {
		p.host = s
	}
}

// setHeaders sets a table of headers after all of it was found valid.
func setHeaders(h *httpd.Header, m map[string]any) error {
	for k, v := range m {
		if _, err := headerValues(k, v); err != nil {
			return err
		}
	}
	for k, v := range m {
		values, _ := headerValues(k, v)
		h.Set(escapeName(k), values...)
	}
	return nil
}

// headerValues makes of a value what Kong's PDK hands to nginx: no value for
// an empty list or a map, a space for an empty text, and control characters
// percent-encoded.
func headerValues(name string, v any) ([]string, error) {
	one := func(s string) string {
		if s == "" {
			return " "
		}
		return escapeValue(s)
	}
	switch v := v.(type) {
	case string:
		return []string{one(v)}, nil
	case bool:
		return []string{strconv.FormatBool(v)}, nil
	case float64:
		return []string{luaNumber(v)}, nil
	case map[string]any:
		return nil, nil
	case []any:
		var out []string
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, fmt.Errorf("invalid header value in array %q: expected string", name)
			}
			out = append(out, one(s))
		}
		return out, nil
	}
	return nil, fmt.Errorf("invalid header value for %q", name)
}

func escapeValue(s string) string {
	return escape(s, func(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f })
}

func escapeName(s string) string {
	return escape(s, func(c byte) bool { return c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 })
}

func escape(s string, bad func(byte) bool) string {
	var b strings.Builder
	for i := range len(s) {
		if bad(s[i]) {
			fmt.Fprintf(&b, "%%%02X", s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
