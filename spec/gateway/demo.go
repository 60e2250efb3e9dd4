package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/spec/gateway/nginx"
)

// demo starts the upstream, waits for the plugin and tells what to try.
func (n *node) demo(ctx context.Context) error {
	store := n.gateway.Store()
	upstream, past, err := n.demoService(ctx, store)
	if err != nil {
		return err
	}
	if err := n.awaitSocket(ctx); err != nil {
		return err
	}
	tries, err := n.tries(ctx, store)
	if err != nil {
		return err
	}
	admin := "off"
	if n.adminLn != nil {
		admin = "http://" + n.adminLn.Addr().String()
	}
	_, err = fmt.Fprintf(os.Stdout, `
The gateway is up, with %s:

  proxy      http://%s
  Admin API  %s
  metrics    %s
  upstream   %s

In another terminal:

%s%s# read the configuration and the plugin's binary again, as "kong reload" does
kill -HUP %d

Ctrl-C ends it.
`, n.options.config, n.proxyLn.Addr(), admin, metricsOf(n.options.pluginArgs), upstream, tries, past, os.Getpid())
	return err
}

// demoService starts an upstream for the first service, if that is on this machine
// and nobody else has started one; upstream tells which, and past how to get past
// the gateway to it.
func (n *node) demoService(ctx context.Context, store *config.Store) (upstream, past string, err error) {
	if len(store.Services) == 0 {
		return "none: the configuration has no service", "", nil
	}
	s := store.Services[0]
	address := net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
	where := s.Protocol + "://" + address
	if ip := net.ParseIP(s.Host); s.Host != "localhost" && (ip == nil || !ip.IsLoopback()) || s.Protocol != "http" {
		return where + ", which you start yourself", "", nil
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EACCES) {
		return where + ", not started here: " + err.Error(), "", nil
	} else if err != nil {
		return "", "", fmt.Errorf("starting the upstream: %w", err)
	}
	server := echoServer("")
	verifies := false
	if server.Handler, verifies, err = demoUpstream(store, n.proxyLn.Addr().String()); err != nil {
		return "", "", err
	}
	go func() {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			n.log.Printf(nginx.Err, "upstream: %v", err)
		}
	}()
	if verifies {
		past = "# around the gateway, with a header that anyone can set: 401\n" +
			"curl -i -H 'X-Consumer-Username: mobile-app' http://" + ln.Addr().String() + "/\n\n"
	}
	return where + ", which shows the requests that it gets", past, nil
}

func (n *node) awaitSocket(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := new(net.Dialer).DialContext(ctx, "unix", n.info.SocketPath)
		if err == nil {
			return c.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the plugin server did not start: %w", err)
		}
	}
}

// metricsOf tells where the plugin serves its metrics, by its arguments.
func metricsOf(args []string) string {
	address := ""
	for i, a := range args {
		name, value, given := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(a, "-"), "-"), "=")
		if name != "metrics-listen" {
			continue
		}
		if !given && i+1 < len(args) {
			value = args[i+1]
		}
		address = value // the last one counts
	}
	if address == "" {
		return "off; -plugin-arg -metrics-listen=127.0.0.1:9542 serves them"
	}
	return "http://" + address + "/metrics, and /healthz and /readyz"
}

// tries makes curl commands for the routes, by what is configured on them.
func (n *node) tries(ctx context.Context, store *config.Store) (string, error) {
	var private, public, preflight *config.Route
	var plugin *config.Plugin // of private
	for _, r := range store.Routes {
		for _, p := range store.Chain(r) {
			if p.Name != n.gateway.Plugin {
				continue
			}
			switch {
			case p.Config["publish_keys"] == true:
			case p.Config["anonymous"] != nil:
				public = r
			case p.Config["run_on_preflight"] == false:
				preflight = r
			case private == nil:
				private, plugin = r, p
			}
		}
	}
	if private == nil && public == nil && preflight == nil {
		return "# no route has the plugin " + n.gateway.Plugin + ", so no route asks for a token\n\n", nil
	}
	out := ""
	if private != nil {
		with, err := n.withToken(ctx, store, plugin, private)
		if err != nil {
			return "", err
		}
		out += with + "# no token: 401\n" + n.curl(private, "") + "\n\n"
	}
	if public != nil {
		out += "# no token on the public route: 200, as the anonymous consumer\n" + n.curl(public, "") + "\n\n"
	}
	if preflight != nil {
		out += "# a CORS preflight: 200 without a token\n" +
			n.curl(preflight, "-X OPTIONS -H 'Origin: https://example.com' -H 'Access-Control-Request-Method: GET' ") + "\n\n"
	}
	return out, nil
}

// curl is a command that meets a route.
func (n *node) curl(r *config.Route, flags string) string {
	if len(r.Methods) > 0 && !strings.Contains(flags, "-X ") {
		flags = "-X " + r.Methods[0] + " " + flags
	}
	if len(r.Hosts) > 0 {
		flags += "-H 'Host: " + strings.ReplaceAll(r.Hosts[0], "*", "x") + "' "
	}
	path := "/"
	if len(r.Paths) > 0 {
		path = r.Paths[0] // a pattern is the reader's to fill in
	}
	url := "http://" + n.proxyLn.Addr().String() + path
	if strings.HasPrefix(path, "~") {
		url = "'" + url + "'"
	}
	return "curl -i " + flags + url
}
