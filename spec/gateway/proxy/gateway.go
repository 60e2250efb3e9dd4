package proxy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/spec/gateway/httpd"
	"kong-go-jwt/spec/gateway/nginx"
	"kong-go-jwt/spec/gateway/pluginserver"
	"kong-go-jwt/spec/gateway/router"
)

// Gateway is the data plane. Its exported fields are set before the first
// request.
type Gateway struct {
	// Plugin is the name of the plugin that lives in the plugin server.
	Plugin string
	Nginx  nginx.Version
	// Include is what stands in nginx's http block.
	Include atomic.Pointer[nginx.Include]
	// Lost tells whether the database cannot be reached.
	Lost func() bool
	Log  *nginx.ErrorLog
	// AccessLog, when set, takes one JSON line per request.
	AccessLog io.Writer
	// FailCalls are the PDK methods that fail.
	FailCalls []string
	// Trusted are the proxies whose X-Forwarded headers count.
	Trusted   []netip.Prefix
	NodeID    string
	Pid       int
	Transport *http.Transport
	Stats     *pluginserver.Stats

	limits  rateLimits
	logMu   sync.Mutex
	seq     atomic.Int64
	workers atomic.Pointer[[]*pluginserver.Client]
	state   atomic.Pointer[state]
}

// state is one loaded configuration with all that is derived of it.
type state struct {
	store  *config.Store
	router *router.Router
	// instances holds, per worker, what is started of each plugin: every
	// worker counts a __seq__ of its own, as Kong's do.
	instances []map[string]pluginserver.Plugin
}

// New makes a gateway whose workers talk to socket.
func New(workers int, socket string, g *Gateway) *Gateway {
	if g.Include.Load() == nil {
		g.Include.Store(&nginx.Include{})
	}
	g.Restart(workers, socket)
	return g
}

// Restart replaces the workers, as a reload of Kong does.
func (g *Gateway) Restart(workers int, socket string) {
	list := make([]*pluginserver.Client, workers)
	forget := func(plugin string) {
		for _, c := range list {
			c.Forget(plugin)
		}
	}
	for i := range list {
		list[i] = pluginserver.NewClient(socket, g.Stats, forget, g.Log)
	}
	if old := g.workers.Swap(&list); old != nil {
		for _, c := range *old {
			c.Close()
		}
	}
}

// Use makes store the configuration of all requests to come.
func (g *Gateway) Use(store *config.Store) error {
	r, err := router.New(store.Routes)
	if err != nil {
		return err
	}
	s := &state{store: store, router: r}
	for range *g.workers.Load() {
		m := map[string]pluginserver.Plugin{}
		for _, p := range store.Plugins {
			// Kong numbers every plugin, also those it runs itself.
			seq := g.seq.Add(1)
			if p.Name != g.Plugin {
				continue
			}
			text, err := instanceConfig(p, seq)
			if err != nil {
				return err
			}
			m[p.ID] = pluginserver.Plugin{ID: p.ID, Name: p.Name, Seq: seq, Config: text}
		}
		s.instances = append(s.instances, m)
	}
	g.state.Store(s)
	return nil
}

// Replace puts other rows in place, for the same services, routes and plugins:
// what those run on stays as it is, as where a database changes.
func (g *Gateway) Replace(rows *config.Store) {
	s := *g.state.Load()
	s.store = rows
	g.state.Store(&s)
}

// Store is the configuration in use.
func (g *Gateway) Store() *config.Store { return g.state.Load().store }

// instanceConfig is the JSON an instance is started with.
func instanceConfig(p *config.Plugin, seq int64) ([]byte, error) {
	m := maps.Clone(p.Config)
	m["__seq__"] = seq
	m["__plugin_id"] = p.ID
	m["__ws_id"] = config.Workspace
	m["__key__"] = "plugins:" + p.Name + ":" + p.RouteID + ":" + p.ServiceID + ":::" + config.Workspace
	if p.RouteID != "" {
		m["route_id"] = p.RouteID
	}
	if p.ServiceID != "" {
		m["service_id"] = p.ServiceID
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding the config of plugin %s: %w", p.Name, err)
	}
	return text, nil
}

// Handle answers one request of a client.
func (g *Gateway) Handle(ctx context.Context, req *httpd.Request) *httpd.Response {
	state := g.state.Load()
	for _, name := range g.Include.Load().ClearHeaders {
		req.Header.Del(name)
	}
	c := &requestContext{
		gateway: g, store: state.store, req: req, start: time.Now(), id: requestID(),
		method: req.Method, header: req.Header.Clone(), query: req.Query, queryMark: req.HasQuery, body: req.Body,
		shared: map[string]any{}, ngxCtx: map[string]any{}, serialize: map[string]any{},
	}
	res := c.serve(ctx, state)
	for _, f := range c.late {
		res.Header.Set(f.Name, f.Value)
	}
	res.Header.Set("X-Kong-Request-Id", c.id)
	g.logAccess(c, res.Status)
	if c.match.Route != nil {
		for _, p := range state.store.Chain(c.match.Route) {
			if p.Name == "file-log" {
				c.fileLog(p.Config, res)
			}
		}
	}
	return res
}

func (c *requestContext) serve(ctx context.Context, s *state) *httpd.Response {
	path := router.Normalize(c.req.Path)
	match, ok := s.router.Find(c.method, c.requestHost(), path)
	if !ok {
		return c.failure(404, "no Route matched with those values")
	}
	c.match, c.path, c.scheme = match, match.UpstreamPath(path), "http"
	if service := match.Route.Service; service != nil {
		c.scheme = service.Protocol
		c.target = net.JoinHostPort(service.Host, strconv.Itoa(service.Port))
	}
	c.runPlugins(ctx, s)
	if c.exit != nil {
		c.exit.Header.Set("Server", "kong/3.9.3")
		c.exit.Header.Set("X-Kong-Response-Latency", strconv.FormatInt(time.Since(c.start).Milliseconds(), 10))
		return c.exit
	}
	if match.Route.Service == nil {
		return c.failure(503, "no Service found with those values")
	}
	return c.forward(ctx)
}

func (c *requestContext) runPlugins(ctx context.Context, s *state) {
	for _, p := range s.store.Chain(c.match.Route) {
		switch p.Name {
		case "key-auth":
			c.keyAuth(p.Config)
		case "acl":
			c.acl(p.Config)
		case "request-termination":
			c.terminate(p.Config)
		case "cors":
			c.cors(p.Config)
		case "rate-limiting":
			c.rateLimit(p.ID, p.Config)
		case "file-log": // has no access phase
		default:
			workers := *c.gateway.workers.Load()
			worker := c.worker(min(len(workers), len(s.instances)))
			err := workers[worker].Event(ctx, s.instances[worker][p.ID], "access", pdk{c, p.Name, c.gateway.FailCalls})
			if err != nil && !errors.Is(err, pluginserver.ErrExit) {
				c.gateway.Log.Printf(nginx.Err, "%s: %v", p.Name, err)
				c.exit = c.failure(500, unexpected)
			}
		}
		if c.exit != nil {
			return
		}
	}
}

// worker picks the worker that has the client's connection.
func (c *requestContext) worker(n int) int {
	_, port, _ := net.SplitHostPort(c.req.RemoteAddr)
	p, _ := strconv.Atoi(port)
	return p % n
}

func requestID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func (g *Gateway) logAccess(c *requestContext, status int) {
	if g.AccessLog == nil {
		return
	}
	line := map[string]any{
		"status": status, "method": c.req.Method, "uri": c.req.Target, "request_id": c.id,
		"latency_ms": float64(time.Since(c.start).Microseconds()) / 1000,
	}
	if c.consumer != nil {
		line["consumer"] = map[string]any{"id": c.consumer.ID, "username": c.consumer.Username}
	}
	for k, v := range c.serialize {
		place(line, k, v)
	}
	text, err := json.Marshal(line)
	if err != nil {
		g.Log.Printf(nginx.Err, "access log: %v", err)
		return
	}
	g.logMu.Lock()
	defer g.logMu.Unlock()
	if _, err := g.AccessLog.Write(append(text, '\n')); err != nil {
		fmt.Fprintln(os.Stderr, "access log:", err)
	}
}
