package nginx_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"
)

// How long a spec waits for anything.
const patience = time.Minute

// nodeConf is nginx.conf as far as Kong's matters to the include.
var nodeConf = template.Must(template.New("").Parse(`
load_module {{.Modules}}/ndk_http_module.so;
load_module {{.Modules}}/ngx_http_lua_module.so;
load_module {{.Modules}}/ngx_http_headers_more_filter_module.so;
load_module {{.Modules}}/ngx_http_echo_module.so;
{{if .Root}}user root;{{end}}
worker_processes 2;
daemon off;
pid {{.Prefix}}/pid;
error_log {{.Prefix}}/error.log notice;
events {}
http {
    access_log off;
    underscores_in_headers on;
    client_body_temp_path {{.Prefix}}/temp;
    proxy_temp_path {{.Prefix}}/temp;
    fastcgi_temp_path {{.Prefix}}/temp;
    uwsgi_temp_path {{.Prefix}}/temp;
    scgi_temp_path {{.Prefix}}/temp;
    client_body_buffer_size 1m;
    lua_shared_dict rows 4m;
    lua_shared_dict kong_db_cache 4m;
    lua_shared_dict events 4m;
    lua_shared_dict state 1m;
    init_by_lua_block { package.loaded["spec.kong"] = dofile("{{.Lua}}") }
    init_worker_by_lua_block { require("spec.kong").init_worker() }
    include {{.Prefix}}/go-jwt.nginx.conf;
    server {
        listen unix:{{.Prefix}}/control;
        location / { content_by_lua_block { require("spec.kong").control() } }
    }
    server {
        listen unix:{{.Prefix}}/proxy;
        location /variable { content_by_lua_block { ngx.print(ngx.var.go_jwt_request) } }
        location /played {
            content_by_lua_block { ngx.print(require("cjson").encode({ cookie = ngx.var.cookie_jwt or "", header = ngx.var.http_x_a or "" })) }
        }
        location /changed {
            access_by_lua_block {
                ngx.req.set_header("Authorization", "changed")
                ngx.req.set_uri_args("changed=1")
            }
            content_by_lua_block { ngx.print(ngx.var.go_jwt_request) }
        }
        location /schema {
            content_by_lua_block {
                local schema = setfenv(assert(loadfile("{{.Prefix}}/schema.lua")), { ngx = { null = ngx.null } })
                ngx.print(require("cjson").encode(schema()))
            }
        }
        location /headers {
            access_by_lua_block { ngx.req.set_header("X-Consumer-ID", "set by a plugin") }
            content_by_lua_block { ngx.print(require("cjson").encode(ngx.req.get_headers(0))) }
        }
    }
}
`))

// node is an nginx with the include, which plays a Kong node.
type node struct {
	prefix string
	cmd    *exec.Cmd
	exited chan struct{}
}

// startNode starts a node with the include for these flags of -nginx-conf, and
// stops it when the test ends. Its error log must be empty then, or hold only what
// the test expects.
func startNode(t testing.TB, flags ...string) *node {
	t.Helper()
	return startNodeWith(t, func(include string) string { return include }, flags...)
}

// startNodeWith is startNode with an include that was edited.
func startNodeWith(t testing.TB, edit func(include string) string, flags ...string) *node {
	t.Helper()
	if setup.missing != "" {
		t.Skipf("%s: see .ci/run for the packages", setup.missing)
	}
	// Not t.TempDir: a socket's path must be short.
	prefix, err := os.MkdirTemp("", "ng-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(prefix) })
	n := &node{prefix: prefix, exited: make(chan struct{})}
	if err := os.Mkdir(n.path("sockets"), 0o700); err != nil {
		t.Fatal(err)
	}
	include, err := exec.Command(setup.plugin, append([]string{"-nginx-conf", "-kong-prefix", prefix}, flags...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	n.write(t, "go-jwt.nginx.conf", []byte(edit(string(include))))
	lua, err := filepath.Abs("kong.lua")
	if err != nil {
		t.Fatal(err)
	}
	var conf bytes.Buffer
	if err := nodeConf.Execute(&conf, map[string]any{
		"Prefix": prefix, "Modules": modules, "Lua": lua, "Root": os.Geteuid() == 0,
	}); err != nil {
		t.Fatal(err)
	}
	n.write(t, "nginx.conf", conf.Bytes())
	n.cmd = exec.Command(setup.nginx, "-p", prefix, "-c", n.path("nginx.conf"))
	var output bytes.Buffer
	n.cmd.Stdout, n.cmd.Stderr = &output, &output
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(n.exited)
		n.cmd.Wait()
	}()
	t.Cleanup(func() { n.stop(t) })
	eventually(t, "nginx listens", func() bool {
		select {
		case <-n.exited:
			t.Fatalf("nginx ended:\n%s%s", &output, n.errorLog(t))
		default:
		}
		c, err := net.Dial("unix", n.path("proxy")) // the last one
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return n
}

func (n *node) path(name string) string { return filepath.Join(n.prefix, name) }

func (n *node) write(t testing.TB, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(n.path(name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (n *node) errorLog(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(n.path("error.log"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

var faults = regexp.MustCompile(`(?m)^\S+ \S+ \[(error|crit|alert|emerg)\].*`)

func (n *node) stop(t testing.TB) {
	n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-n.exited:
	case <-time.After(patience):
		n.cmd.Process.Kill()
		t.Error("nginx ignored SIGTERM")
	}
	if lines := faults.FindAllString(n.errorLog(t), -1); lines != nil {
		t.Errorf("nginx's error log:\n%s", strings.Join(lines, "\n"))
	}
}

// order has the stand-in for Kong do something.
func (n *node) order(t testing.TB, order object) object {
	t.Helper()
	body, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, n.path("control"))
	a := c.do(t, http.MethodPost, "/", bytes.NewReader(body), nil)
	var answer object
	if err := json.Unmarshal([]byte(a.body), &answer); err != nil {
		t.Fatalf("%v: %s\n%s", err, a.body, n.errorLog(t))
	}
	return answer
}

func (n *node) set(t testing.TB, name string, value any) {
	t.Helper()
	n.order(t, object{"do": "set", "name": name, "value": value})
}

func (n *node) change(t testing.TB, entity string, row object) {
	t.Helper()
	n.order(t, object{"do": "change", "entity": entity, "row": row})
}

func (n *node) remove(t testing.TB, entity string, row object) {
	t.Helper()
	n.order(t, object{"do": "change", "entity": entity, "row": row, "delete": true})
}

func (n *node) queries(t testing.TB) int {
	t.Helper()
	return int(n.order(t, object{"do": "queries"})["queries"].(float64))
}

type object = map[string]any

// conn is one connection, and so one worker, until nginx closes it.
type conn struct{ client *http.Client }

type answer struct {
	status int
	header http.Header
	body   string
	closed bool // the connection
}

func dial(t testing.TB, socket string) *conn {
	t.Helper()
	tr := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
		MaxConnsPerHost: 1, DisableCompression: true,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &conn{client: &http.Client{Transport: tr, Timeout: patience}}
}

// store opens a connection to the include's server.
func (n *node) store(t testing.TB) *conn {
	t.Helper()
	return dial(t, n.path("sockets/go-jwt"))
}

func (c *conn) do(t testing.TB, method, target string, body io.Reader, header http.Header) answer {
	t.Helper()
	a, err := c.try(method, target, body, header)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (c *conn) try(method, target string, body io.Reader, header http.Header) (answer, error) {
	r, err := http.NewRequest(method, "http://node"+target, body)
	if err != nil {
		return answer{}, err
	}
	if header != nil {
		r.Header = header
	}
	res, err := c.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{status: res.StatusCode, header: res.Header, body: string(text), closed: res.Close}, err
}

func (c *conn) get(t testing.TB, target string) answer {
	t.Helper()
	return c.do(t, http.MethodGet, target, nil, nil)
}

// changes is an answer about changes.
type changes struct {
	Worker   string
	At       int
	Database string
	All      bool
	Changes  []string
}

// poll asks for the changes since those that after tells of; of another worker or
// of none: which there are.
func (c *conn) poll(after changes) (changes, answer, error) {
	query := url.Values{"worker": {after.Worker}, "since": {fmt.Sprint(after.At)}}
	a, err := c.try(http.MethodGet, "/changes?"+query.Encode(), nil, nil)
	var next changes
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("status %d: %s", a.status, a.body)
	}
	if err == nil {
		err = json.Unmarshal([]byte(a.body), &next)
	}
	return next, a, err
}

func (c *conn) mustPoll(t testing.TB, after changes) changes {
	t.Helper()
	next, _, err := c.poll(after)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// bothWorkers opens a connection to each of the two workers, with what each says
// of changes first.
func (n *node) bothWorkers(t testing.TB) (conns [2]*conn, at [2]changes) {
	t.Helper()
	first := n.store(t)
	conns[0], at[0] = first, first.mustPoll(t, changes{})
	eventually(t, "the other worker is met", func() bool {
		if conns[1] != nil {
			conns[1].client.CloseIdleConnections() // a worker has only so many
		}
		conns[1] = n.store(t)
		at[1] = conns[1].mustPoll(t, changes{})
		return at[1].Worker != at[0].Worker
	})
	return conns, at
}

// pid is the process of the worker that gave an answer.
func (a changes) pid(t testing.TB) int {
	t.Helper()
	var pid int
	if _, err := fmt.Sscanf(a.Worker, "%d-", &pid); err != nil {
		t.Fatalf("worker %q: %v", a.Worker, err)
	}
	return pid
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so: %s", what)
		}
	}
}
