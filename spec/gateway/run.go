package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"kong-go-jwt/spec/gateway/admin"
	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/spec/gateway/httpd"
	"kong-go-jwt/spec/gateway/nginx"
	"kong-go-jwt/spec/gateway/pluginserver"
	"kong-go-jwt/spec/gateway/proxy"
	"kong-go-jwt/spec/gateway/schema"
)

// options are the flags of the gateway.
type options struct {
	config, plugin, proxy, admin string
	prefix, include, accessLog   string
	logLevel, pluginLog          string
	pluginArgs, failCalls        list
	workers                      int
	demo                         bool
}

// list is a repeatable flag.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	flags.StringVar(&o.config, "config", "", "declarative configuration, YAML or JSON")
	flags.StringVar(&o.plugin, "plugin", "", "plugin server binary")
	flags.StringVar(&o.proxy, "proxy", "127.0.0.1:8000", "proxy address")
	flags.StringVar(&o.admin, "admin", "127.0.0.1:8001", "Admin API address")
	flags.StringVar(&o.prefix, "kong-prefix", "", "folder of the socket (a temporary one by default)")
	flags.StringVar(&o.include, "nginx-include", "", "nginx fragment with map blocks")
	flags.StringVar(&o.accessLog, "access-log", "", "file for one JSON line per request")
	flags.StringVar(&o.logLevel, "log-level", "notice", "Kong's log_level: what is below it is not logged, and what the plugin writes to stderr is info")
	flags.StringVar(&o.pluginLog, "plugin-log", "", "file for all that the plugin server writes, whatever the log level")
	flags.Var(&o.pluginArgs, "plugin-arg", "argument for the plugin server, after -admin-url http://ADMIN (repeatable)")
	flags.Var(&o.failCalls, "fail-call", "PDK method that fails each time (repeatable), as one does that Kong refuses")
	flags.IntVar(&o.workers, "workers", 1, "number of workers, each with its own instances")
	flags.BoolVar(&o.demo, "demo", false, "start the upstream too and print curl commands")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.config == "" || o.plugin == "" || o.workers < 1 {
		return o, errors.New("-config and -plugin are required, -workers is 1 or more")
	}
	return o, nil
}

func run(args []string) error {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	if o.prefix == "" {
		if o.prefix, err = os.MkdirTemp("", "kong-prefix-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.prefix)
	}
	level, err := nginx.ParseLevel(o.logLevel)
	if err != nil {
		return fmt.Errorf("-log-level: %w", err)
	}
	n := &node{options: o, log: nginx.NewErrorLog(os.Stderr, level)}
	if err := n.listen(); err != nil {
		return err
	}
	if err := n.load(ctx); err != nil {
		return err
	}
	failed := n.serve(ctx)
	n.process.Store(n.command.Start())
	defer func() { <-n.process.Load().Stop() }()
	if o.demo {
		if err := n.demo(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "gateway: proxy %s, admin %s, socket %s\n", n.proxyLn.Addr(), n.adminLn.Addr(), n.info.SocketPath)
	for {
		select {
		case err := <-failed:
			return err
		case s := <-signals:
			if s != syscall.SIGHUP {
				return nil
			}
			n.reload(ctx)
		}
	}
}

// node is a running gateway.
type node struct {
	options          options
	log              *nginx.ErrorLog
	proxyLn, adminLn net.Listener
	command          pluginserver.Command
	process          atomic.Pointer[pluginserver.Process]
	info             pluginserver.Info
	loader           *config.Loader
	gateway          *proxy.Gateway
	stats            pluginserver.Stats
	accessLog        io.Writer
}

func (n *node) listen() error {
	var l net.ListenConfig
	var err error
	if n.proxyLn, err = l.Listen(context.Background(), "tcp", n.options.proxy); err != nil {
		return err
	}
	n.adminLn, err = l.Listen(context.Background(), "tcp", n.options.admin)
	return err
}

// load queries the plugin and reads the configuration.
func (n *node) load(ctx context.Context) error {
	binary, err := filepath.Abs(n.options.plugin)
	if err != nil {
		return err
	}
	args := append([]string{"-admin-url", "http://" + n.adminLn.Addr().String()}, n.options.pluginArgs...)
	n.command = pluginserver.Command{Binary: binary, Prefix: n.options.prefix, Args: args, Log: n.log}
	if n.options.pluginLog != "" {
		if n.command.Output, err = appendFile(n.options.pluginLog); err != nil {
			return err
		}
	}
	if n.info, err = n.command.Query(ctx); err != nil {
		return err
	}
	if err := n.readTypes(); err != nil {
		return err
	}
	text, err := os.ReadFile(n.options.config)
	if err != nil {
		return err
	}
	store, err := n.loader.Load(text)
	if err != nil {
		return fmt.Errorf("%s: %w", n.options.config, err)
	}
	return n.start(store)
}

func (n *node) readTypes() error {
	types, err := config.Builtin()
	if err != nil {
		return err
	}
	plugin := n.info.Plugins[0]
	s, err := schema.ParsePlugin(plugin.Schema)
	if err != nil {
		return fmt.Errorf("the schema of %s: %w", plugin.Name, err)
	}
	if _, taken := types[plugin.Name]; taken || s.Name != plugin.Name {
		return fmt.Errorf("plugin %q: bad name, its schema says %q", plugin.Name, s.Name)
	}
	types[plugin.Name] = config.PluginType{Schema: s, Priority: plugin.Priority}
	n.loader = &config.Loader{Types: types, Getenv: os.Getenv}
	return nil
}

func (n *node) start(store *config.Store) error {
	maps := map[string]*nginx.Map{}
	if n.options.include != "" {
		text, err := os.ReadFile(n.options.include)
		if err != nil {
			return err
		}
		if maps, err = nginx.ParseInclude(string(text)); err != nil {
			return fmt.Errorf("%s: %w", n.options.include, err)
		}
	}
	if n.options.accessLog != "" {
		var err error
		if n.accessLog, err = appendFile(n.options.accessLog); err != nil {
			return err
		}
	}
	n.gateway = proxy.New(n.options.workers, n.info.SocketPath, &proxy.Gateway{
		Plugin: n.info.Plugins[0].Name, Maps: maps, Log: n.log, AccessLog: n.accessLog,
		FailCalls: n.options.failCalls,
		NodeID:    config.UUID("node", n.options.prefix), Pid: os.Getpid(), Stats: &n.stats,
		Transport: &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 512, DisableCompression: true, IdleConnTimeout: time.Minute},
	})
	return n.gateway.Use(store)
}

func appendFile(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// serve answers on both listeners until ctx is done.
func (n *node) serve(ctx context.Context) <-chan error {
	failed := make(chan error, 2)
	api := &admin.API{
		Store: n.gateway.Store, NodeID: n.gateway.NodeID,
		Load: func(text []byte) error {
			store, err := n.loader.Load(text)
			if err != nil {
				return err
			}
			return n.gateway.Use(store)
		},
		Counters: n.counters,
	}
	for ln, s := range map[net.Listener]*httpd.Server{
		n.proxyLn: {Handle: n.gateway.Handle, Refuse: proxy.Refuse},
		n.adminLn: {Handle: api.Handle, Refuse: admin.Refuse},
	} {
		go func() {
			if err := s.Serve(ctx, ln); err != nil {
				failed <- err
			}
		}()
	}
	return failed
}

func (n *node) counters() map[string]any {
	s := &n.stats
	pid := 0
	if p := n.process.Load(); p != nil {
		pid = p.Pid()
	}
	return map[string]any{
		"pdk":        s.Calls(),
		"frames_in":  s.FramesIn.Load(),
		"frames_out": s.FramesOut.Load(),
		"reads":      s.Reads.Load(),
		"writes":     s.Writes.Load(),
		"events":     s.Events.Load(),
		"starts":     s.Starts.Load(),
		"closes":     s.Closes.Load(),
		"retries":    s.Retries.Load(),
		"pid":        pid,
	}
}

// reload is `kong reload`: the configuration is read anew, new workers start,
// a new plugin server is spawned while the old one is told to go.
func (n *node) reload(ctx context.Context) {
	n.log.Printf(nginx.Notice, "reloading")
	text, err := os.ReadFile(n.options.config)
	if err != nil {
		n.log.Printf(nginx.Err, "reload: %v", err)
		return
	}
	if n.info, err = n.command.Query(ctx); err != nil {
		n.log.Printf(nginx.Err, "reload: %v", err)
		return
	}
	store, err := n.loader.Load(text)
	if err != nil {
		n.log.Printf(nginx.Err, "reload: %v", err)
		return
	}
	old := n.process.Swap(n.command.Start())
	n.gateway.Restart(n.options.workers, n.info.SocketPath)
	if err := n.gateway.Use(store); err != nil {
		n.log.Printf(nginx.Err, "reload: %v", err)
	}
	// nginx gives its new workers 100 ms before the old ones have to go, and the
	// old plugin server goes with them.
	time.AfterFunc(100*time.Millisecond, func() { <-old.Stop() })
}
