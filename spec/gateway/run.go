package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"kong-go-jwt/spec/gateway/admin"
	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/spec/gateway/control"
	"kong-go-jwt/spec/gateway/faults"
	"kong-go-jwt/spec/gateway/httpd"
	"kong-go-jwt/spec/gateway/nginx"
	"kong-go-jwt/spec/gateway/pluginserver"
	"kong-go-jwt/spec/gateway/proxy"
	"kong-go-jwt/spec/gateway/schema"
	"kong-go-jwt/spec/gateway/store"
)

// options are the flags of the gateway.
type options struct {
	config, plugin, proxy, admin string
	control, database, role      string
	prefix, include, accessLog   string
	proxyTLS, verifyClient       string
	logLevel, pluginLog          string
	nginxVersion                 nginx.Version
	pluginArgs, failCalls        list
	includeArgs, priorities      list
	trusted                      []netip.Prefix
	workers                      int
	demo, strict                 bool
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
	flags.StringVar(&o.proxyTLS, "proxy-tls", "", "proxy address for TLS, with a new certificate at each start; empty: no TLS")
	flags.StringVar(&o.verifyClient, "ssl-verify-client", "off", "off, or optional_no_ca: ask TLS clients for a certificate, as with nginx_proxy_ssl_verify_client")
	trusted := flags.String("trusted-ips", "", "addresses and CIDR blocks whose X-Forwarded-… count, separated by commas, as in trusted_ips")
	flags.StringVar(&o.admin, "admin", "127.0.0.1:8001", "Admin API address; off: none, as with admin_listen = off")
	flags.StringVar(&o.control, "control", "127.0.0.1:0", "address where specs read counters, and set faults and configurations")
	flags.StringVar(&o.database, "database", "off", "off, or postgres: start with the configuration in a database, which the Admin API can change")
	flags.StringVar(&o.role, "role", "traditional", "traditional, or data_plane: no Admin API")
	flags.StringVar(&o.prefix, "kong-prefix", "", "folder of the socket; empty: a temporary one")
	flags.StringVar(&o.include, "nginx-include", "", "file with the nginx include; auto: what the plugin prints with -nginx-conf; server: the same without its maps")
	version := flags.String("nginx-version", "1.25.3", "version of nginx to play; before 1.23 (Kong 3.0 to 3.5), $http_NAME shows only the first of several headers")
	flags.StringVar(&o.accessLog, "access-log", "", "file to which to write a JSON line for each request")
	flags.StringVar(&o.logLevel, "log-level", "notice", "Kong's log_level: lines below it are not logged; what the plugin prints has the level info")
	flags.StringVar(&o.pluginLog, "plugin-log", "", "file to which to write all that the plugin prints, whatever the log level")
	flags.Var(&o.includeArgs, "nginx-conf-arg", "with -nginx-include auto: further argument for the plugin's -nginx-conf (repeatable)")
	flags.Var(&o.pluginArgs, "plugin-arg", "further argument for the plugin server (repeatable)")
	flags.Var(&o.failCalls, "fail-call", "PDK method that always fails (repeatable)")
	flags.Var(&o.priorities, "priority", "NAME=NUMBER: change the priority of a plugin; higher ones run earlier (repeatable)")
	flags.IntVar(&o.workers, "workers", 1, "number of workers, each with its own instances")
	flags.BoolVar(&o.demo, "demo", false, "also start the upstream of the first service, if it is on this machine, and print curl commands")
	flags.BoolVar(&o.strict, "strict", false, "refuse a configuration that uses anything this gateway does not support, instead of ignoring it with a warning")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.nginxVersion, err = nginx.ParseVersion(*version); err != nil {
		return o, fmt.Errorf("-nginx-version: %w", err)
	}
	if o.trusted, err = proxy.ParseTrusted(*trusted); err != nil {
		return o, fmt.Errorf("-trusted-ips: %w", err)
	}
	switch {
	case o.config == "" || o.plugin == "" || o.workers < 1:
		return o, errors.New("-config and -plugin are required, and -workers must be at least 1")
	case o.database != "off" && o.database != "postgres":
		return o, errors.New("-database: must be off or postgres")
	case o.role != "traditional" && (o.role != "data_plane" || o.database != "off"):
		return o, errors.New("-role: must be traditional or data_plane; a data plane has no database")
	case o.verifyClient != "off" && o.verifyClient != "optional_no_ca":
		return o, errors.New("-ssl-verify-client: must be off or optional_no_ca")
	case o.role == "data_plane":
		o.admin = "off"
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
	} else if o.prefix, err = filepath.Abs(o.prefix); err != nil {
		return err
	}
	level, err := nginx.ParseLevel(o.logLevel)
	if err != nil {
		return fmt.Errorf("-log-level: %w", err)
	}
	n := &node{options: o, log: nginx.NewErrorLog(os.Stderr, level)}
	if err := n.listen(); err != nil {
		return err
	}
	if o.demo {
		if err := makeAssertionKey(); err != nil {
			return err
		}
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
	fmt.Fprintf(os.Stderr, "gateway: proxy %s, admin %s, control %s, socket %s\n", n.proxyLn.Addr(), n.adminAddress(), n.controlLn.Addr(), n.info.SocketPath)
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
	proxyLn, adminLn net.Listener // adminLn is nil when the Admin API is off
	tlsLn            net.Listener // nil: none
	controlLn        net.Listener
	command          pluginserver.Command
	process          atomic.Pointer[pluginserver.Process]
	info             pluginserver.Info
	loader           *config.Loader
	gateway          *proxy.Gateway
	stats            pluginserver.Stats
	accessLog        io.Writer
	faults           faults.Faults
	rows             store.Server
	api              admin.API

	changing sync.Mutex // held by who changes the configuration
}

func (n *node) listen() error {
	var l net.ListenConfig
	var err error
	if n.proxyLn, err = l.Listen(context.Background(), "tcp", n.options.proxy); err != nil {
		return fmt.Errorf("-proxy: %w", err)
	}
	if n.options.proxyTLS != "" {
		if n.tlsLn, err = listenTLS(n.options.proxyTLS, n.options.verifyClient); err != nil {
			return fmt.Errorf("-proxy-tls: %w", err)
		}
		fmt.Fprintf(os.Stderr, "gateway: proxy by TLS %s\n", n.tlsLn.Addr())
	}
	if n.controlLn, err = l.Listen(context.Background(), "tcp", n.options.control); err != nil {
		return fmt.Errorf("-control: %w", err)
	}
	if n.options.admin == "off" {
		return nil
	}
	if n.adminLn, err = l.Listen(context.Background(), "tcp", n.options.admin); err != nil {
		return fmt.Errorf("-admin: %w", err)
	}
	return nil
}

func (n *node) adminAddress() string {
	if n.adminLn == nil {
		return "off"
	}
	return n.adminLn.Addr().String()
}

// load queries the plugin and reads the configuration.
func (n *node) load(ctx context.Context) error {
	binary, err := filepath.Abs(n.options.plugin)
	if err != nil {
		return err
	}
	url := "http://127.0.0.1:1" // where nothing listens
	if n.adminLn != nil {
		url = "http://" + n.adminLn.Addr().String()
	}
	args := append([]string{"-admin-url", url}, n.options.pluginArgs...)
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
	rows, err := n.loader.Load(text)
	switch {
	case err != nil && n.options.demo:
		return fmt.Errorf("%s: %w\nTo see the lines at fault: %s check %[1]s", n.options.config, err, n.command.Binary)
	case err != nil:
		return fmt.Errorf("%s: %w", n.options.config, err)
	}
	return n.start(ctx, rows)
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
	for _, p := range n.options.priorities {
		name, number, _ := strings.Cut(p, "=")
		t, ok := types[name]
		if t.Priority, err = strconv.ParseFloat(number, 64); err != nil || !ok {
			return fmt.Errorf("-priority %s: not NAME=NUMBER of a plugin", p)
		}
		types[name] = t
	}
	n.loader = &config.Loader{Types: types, Getenv: os.Getenv}
	if !n.options.strict {
		n.loader.Warn = func(w config.Warning) { n.log.Printf(nginx.Warn, "%s", w) }
	}
	return nil
}

// include reads the nginx fragment, as each start and reload does.
func (n *node) include(ctx context.Context) (*nginx.Include, error) {
	name := n.options.include
	var text []byte
	var err error
	switch {
	case name == "":
		return &nginx.Include{}, nil
	case name == "auto", name == "server":
		text, err = n.command.NginxConf(ctx, n.options.includeArgs)
	default:
		text, err = os.ReadFile(name)
	}
	if errors.Is(err, os.ErrNotExist) && n.gateway != nil {
		return &nginx.Include{}, nil // it was taken away
	}
	if err != nil {
		return nil, err
	}
	in, err := nginx.ParseInclude(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if name == "server" {
		in.Maps = nil
	}
	if in.Server != nil && !strings.HasPrefix(in.Server.Socket, n.options.prefix+"/") {
		n.log.Printf(nginx.Warn, "%s: the socket %s is not in this -kong-prefix, so it is not used", name, in.Server.Socket)
		in.Server = nil
	}
	return in, nil
}

func (n *node) start(ctx context.Context, rows *config.Store) error {
	include, err := n.include(ctx)
	if err != nil {
		return err
	}
	if n.options.accessLog != "" {
		if n.accessLog, err = appendFile(n.options.accessLog); err != nil {
			return err
		}
	}
	n.gateway = proxy.New(n.options.workers, n.info.SocketPath, &proxy.Gateway{
		Plugin: n.info.Plugins[0].Name, Nginx: n.options.nginxVersion, Log: n.log, AccessLog: n.accessLog,
		FailCalls: n.options.failCalls, Trusted: n.options.trusted,
		NodeID: config.UUID("node", n.options.prefix), Pid: os.Getpid(), Stats: &n.stats,
		Transport: &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 512, DisableCompression: true, IdleConnTimeout: time.Minute},
	})
	n.gateway.Include.Store(include)
	n.rows.Cache, n.rows.Faults = &store.Cache{}, &n.faults
	n.rows.Database = &store.Database{Name: n.options.database, Rows: n.gateway.Store, Faults: &n.faults}
	n.gateway.Lost = n.rows.Database.Lost
	if err := n.gateway.Use(rows); err != nil {
		return err
	}
	return n.rows.Restart(ctx, n.options.workers, include.Server)
}

func appendFile(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// serve answers on the listeners until ctx is done.
func (n *node) serve(ctx context.Context) <-chan error {
	failed := make(chan error, 4)
	n.api = admin.API{
		Store: n.gateway.Store, NodeID: n.gateway.NodeID, Load: n.configure, Faults: &n.faults, Cache: n.rows.Cache,
	}
	if n.options.database == "postgres" {
		n.api.Database = &admin.Database{Loader: n.loader, Lost: n.rows.Database.Lost, Change: n.change}
	}
	controls := &control.API{Faults: &n.faults, Stats: n.counters, Configure: n.configure}
	servers := map[net.Listener]*httpd.Server{
		n.proxyLn:   {Handle: n.gateway.Handle, Refuse: proxy.Refuse, HTTP2: true},
		n.controlLn: {Handle: controls.Handle, Refuse: control.Refuse},
	}
	if n.adminLn != nil {
		servers[n.adminLn] = &httpd.Server{Handle: n.api.Handle, Refuse: admin.Refuse}
	}
	if n.tlsLn != nil {
		servers[n.tlsLn] = &httpd.Server{Handle: n.gateway.Handle, Refuse: proxy.Refuse, HTTP2: true}
	}
	for ln, s := range servers {
		go func() {
			if err := s.Serve(ctx, ln); err != nil {
				failed <- err
			}
		}()
	}
	return failed
}

// configure takes a new configuration: POST /config where there is no database,
// what a control plane sends, or a database of other content.
func (n *node) configure(text []byte) error {
	rows, err := n.loader.Load(text)
	if err != nil {
		return err
	}
	n.changing.Lock()
	defer n.changing.Unlock()
	old := n.gateway.Store()
	if n.options.database == "off" {
		if err := n.gateway.Use(rows); err != nil {
			return err
		}
		n.rows.Purged()
		return nil
	}
	if rows.Topology == old.Topology {
		n.gateway.Replace(old.WithRowsOf(rows))
	} else if err := n.gateway.Use(rows); err != nil {
		return err
	}
	n.rows.Changed(config.Changes(old, rows))
	return nil
}

// change changes rows of the database.
func (n *node) change(do func(*config.Store) (*config.Store, error)) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	old := n.gateway.Store()
	rows, err := do(old)
	if err != nil {
		return err
	}
	n.gateway.Replace(rows)
	n.rows.Changed(config.Changes(old, rows))
	return nil
}

func (n *node) counters() map[string]any {
	s := &n.stats
	pid := 0
	if p := n.process.Load(); p != nil {
		pid = p.Pid()
	}
	paths, total := n.api.Counts()
	return map[string]any{
		"admin":       paths,
		"admin_total": total,
		"store_total": n.rows.Requests(),
		"queries":     n.rows.Database.Queries(),
		"pdk":         s.Calls(),
		"frames_in":   s.FramesIn.Load(),
		"frames_out":  s.FramesOut.Load(),
		"reads":       s.Reads.Load(),
		"writes":      s.Writes.Load(),
		"events":      s.Events.Load(),
		"starts":      s.Starts.Load(),
		"closes":      s.Closes.Load(),
		"retries":     s.Retries.Load(),
		"pid":         pid,
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
	rows, err := n.loader.Load(text)
	if err != nil {
		n.log.Printf(nginx.Err, "reload: %v", err)
		return
	}
	include, err := n.include(ctx)
	if err != nil {
		n.log.Printf(nginx.Err, "reload: %v", err)
		return
	}
	if n.options.database != "off" {
		rows = n.gateway.Store() // the file was what the database held first
	}
	n.changing.Lock()
	defer n.changing.Unlock()
	old := n.process.Swap(n.command.Start())
	n.gateway.Include.Store(include)
	n.gateway.Restart(n.options.workers, n.info.SocketPath)
	if err := n.gateway.Use(rows); err != nil {
		n.log.Printf(nginx.Err, "reload: %v", err)
	}
	n.rows.Cache.Invalidate() // kong.cache does not outlive a reload
	if err := n.rows.Restart(ctx, n.options.workers, include.Server); err != nil {
		n.log.Printf(nginx.Err, "reload: %v", err)
	}
	// nginx gives its new workers 100 ms before the old ones have to go, and the
	// old plugin server goes with them.
	time.AfterFunc(100*time.Millisecond, func() { <-old.Stop() })
}
