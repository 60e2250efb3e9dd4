package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/spec/gateway/nginx"
)

// demo starts the upstream, waits for the plugin and tells what to try.
func (n *node) demo(ctx context.Context) error {
	store := n.gateway.Store()
	if len(store.Services) == 0 {
		return errors.New("-demo: the configuration has no service")
	}
	s := store.Services[0]
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	if err != nil {
		return fmt.Errorf("starting the upstream: %w", err)
	}
	server := echoServer("")
	verifies := false
	if server.Handler, verifies, err = demoUpstream(store, n.proxyLn.Addr().String()); err != nil {
		return err
	}
	go func() {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			n.log.Printf(nginx.Err, "upstream: %v", err)
		}
	}()
	if err := n.awaitSocket(ctx); err != nil {
		return err
	}
	past := ""
	if verifies {
		past = "# past the gateway, with a header that anyone can write: 401\n" +
			"curl -i -H 'X-Consumer-Username: mobile-app' http://" + ln.Addr().String() + "/\n\n"
	}
	return n.explain(store, past)
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
			return fmt.Errorf("the plugin server did not come up: %w", err)
		}
	}
}

// explain prints curl commands for the routes, by what is configured on them.
// past tells how to get past the gateway.
func (n *node) explain(store *config.Store, past string) error {
	var credential *config.JWTSecret
	for _, j := range store.JWTs {
		if j.Algorithm == "HS256" {
			credential = j
			break
		}
	}
	if credential == nil {
		return errors.New("-demo: the configuration has no HS256 credential")
	}
	token, err := mint(credential.Key, credential.Secret, time.Hour)
	if err != nil {
		return err
	}
	var private, public, preflight string
	for _, r := range store.Routes {
		if len(r.Paths) == 0 {
			continue
		}
		url := "http://" + n.proxyLn.Addr().String() + r.Paths[0]
		for _, p := range store.Chain(r) {
			if p.Name != n.gateway.Plugin {
				continue
			}
			switch {
			case p.Config["publish_keys"] == true:
			case p.Config["anonymous"] != nil:
				public = url
			case p.Config["run_on_preflight"] == false:
				preflight = url
			case private == "":
				private = url
			}
		}
	}
	out := "\nThe gateway is up. In another terminal:\n\n"
	if private != "" {
		out += "# a valid token: 200, and the upstream is told who it is\n" +
			"curl -i -H 'Authorization: Bearer " + token + "' " + private + "\n\n" +
			"# the same in the query: 200\ncurl -i '" + private + "?jwt=" + token + "'\n\n" +
			"# no token: 401\ncurl -i " + private + "\n\n"
	}
	if public != "" {
		out += "# no token on the public route: 200, as the anonymous consumer\ncurl -i " + public + "\n\n"
	}
	if preflight != "" {
		out += "# a CORS preflight: 200 without a token\n" +
			"curl -i -X OPTIONS -H 'Origin: https://example.com' -H 'Access-Control-Request-Method: GET' " + preflight + "\n\n"
	}
	_, err = fmt.Fprint(os.Stdout, out+past+"Ctrl-C ends it.\n")
	return err
}
