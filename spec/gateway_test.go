package spec_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kong-go-jwt/spec/conformance"
)

// How long a spec waits for anything.
const patience = time.Minute

// gateway is a running gateway, embedded or real.
type gateway struct {
	proxy, admin string // host:port
	control      string // of the embedded gateway alone
	socket       string
	log          *logBuffer // Kong's error log
	pluginLog    string     // file with all that the plugin wrote
	cmd          *exec.Cmd
	configFile   string
	exited       chan struct{}
}

// logBuffer collects the gateway's log.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// vaultSecret is what {vault://env/go-jwt-spec-secret} stands for.
const vaultSecret = "a secret that the gateway's vault holds"

// startGateway runs the embedded gateway with a configuration and further
// flags, and stops it when the test ends. The log of a failed test is shown.
func startGateway(t testing.TB, config any, args ...string) *gateway {
	t.Helper()
	g, err := tryGateway(t, config, args...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func tryGateway(t testing.TB, config any, args ...string) (*gateway, error) {
	t.Helper()
	text, err := declare(config)
	if err != nil {
		return nil, err
	}
	// Not t.TempDir: a socket's path must be short.
	dir, err := os.MkdirTemp("", "gw-")
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &gateway{
		log: &logBuffer{}, pluginLog: filepath.Join(dir, "plugin.log"), configFile: filepath.Join(dir, "kong.json"), exited: make(chan struct{}),
	}
	if err := os.WriteFile(g.configFile, text, 0o600); err != nil {
		return nil, err
	}
	g.cmd = exec.Command(setup.gateway, append([]string{
		"-strict", "-config", g.configFile, "-plugin", setup.plugin, "-kong-prefix", dir,
		"-proxy", "127.0.0.1:0", "-admin", "127.0.0.1:0", "-plugin-log", g.pluginLog,
		"-plugin-arg=-admin-timeout=10s", // for each lookup: longer than a busy machine stalls
	}, append(slices.Clone(setupFlags(t)), args...)...)...)
	g.cmd.Env = append(os.Environ(), "GO_JWT_SPEC_SECRET="+vaultSecret)
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(g.exited)
		g.cmd.Wait()
	}()
	t.Cleanup(func() { g.stop(t) })
	return g, g.await()
}

var addresses = regexp.MustCompile(`proxy (\S+), admin (\S+), control (\S+), socket (\S+)`)

// await waits until the gateway listens and the plugin does.
func (g *gateway) await() error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		select {
		case <-g.exited:
			return fmt.Errorf("the gateway ended:\n%s", g.log)
		case <-time.After(5 * time.Millisecond):
		}
		m := addresses.FindStringSubmatch(g.log.String())
		if m == nil {
			continue
		}
		g.proxy, g.admin, g.control, g.socket = m[1], m[2], m[3], m[4]
		if c, err := net.Dial("unix", g.socket); err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("the gateway did not come up:\n%s", g.log)
}

func (g *gateway) stop(t testing.TB) {
	g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.exited:
	case <-time.After(patience):
		g.cmd.Process.Kill()
		t.Error("the gateway ignored SIGTERM")
	}
	plugin := g.pluginOutput(t)
	if strings.Contains(plugin, "DATA RACE") || strings.Contains(g.log.String(), "DATA RACE") {
		t.Error("a data race, see the logs")
	}
	if t.Failed() {
		t.Logf("the gateway's log:\n%s\nwhat the plugin wrote:\n%s", tail(g.log.String(), 100), tail(plugin, 100))
	}
}

// pluginOutput is all that the plugin wrote to stdout and stderr. Kong's error
// log, which operators see, has nothing of it at the default log_level.
func (g *gateway) pluginOutput(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(g.pluginLog)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	return string(text)
}

// prints waits until the plugin has written text so many times, which takes its way to
// the file, and returns all that it wrote.
func (g *gateway) prints(t *testing.T, text string, times int) (all string) {
	t.Helper()
	poll(t, patience, func() bool {
		all = g.pluginOutput(t)
		return strings.Count(all, text) >= times
	})
	return all
}

func tail(s string, lines int) string {
	all := strings.Split(s, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// upstream starts an echo server and returns its URL.
func upstream(t testing.TB) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(conformance.Echo))
	s.Config.MaxHeaderBytes = 64 << 10
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// specGateway is the gateway with the configuration of all specs: a real Kong,
// where there is one.
func specGateway(t testing.TB, args ...string) *gateway {
	t.Helper()
	if onRealKong() {
		return &gateway{proxy: hostOf(t, "KONG_PROXY_URL"), admin: hostOf(t, "KONG_ADMIN_URL")}
	}
	return startGateway(t, specConfig(t), args...)
}

func hostOf(t testing.TB, name string) string {
	t.Helper()
	u, err := url.Parse(os.Getenv(name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return u.Host
}

func specConfig(t testing.TB) any {
	t.Helper()
	config, err := conformance.Config("go-jwt", upstream(t), setup.cases, setup.keys, conformance.ExtraRoutes("go-jwt")...)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// answer is what a client got.
type answer struct {
	status   int
	header   http.Header
	body     []byte
	upstream *conformance.Received
}

// send sends a request as it is written, header lines in order, and reads the
// answer.
func (g *gateway) send(t testing.TB, method, target string, headers ...[2]string) answer {
	t.Helper()
	a, err := exchange(g.proxy, method, target, headers)
	if err != nil {
		t.Fatalf("%s %.200s: %v", method, target, err)
	}
	return a
}

func exchange(address, method, target string, headers [][2]string) (answer, error) {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return answer{}, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, address)
	for _, h := range headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	if _, err := io.WriteString(c, b.String()); err != nil {
		return answer{}, err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode, header: res.Header}
	if a.body, err = io.ReadAll(io.LimitReader(res.Body, 4<<20)); err != nil {
		return answer{}, err
	}
	return a, a.readEcho(method)
}

// adminClient bounds every call of the Admin API.
var adminClient = &http.Client{Timeout: patience}

// api is where a path of the Admin API is, or one of the gateway's own.
func (g *gateway) api(path string) string {
	if strings.HasPrefix(path, "/__") {
		return "http://" + g.control + path
	}
	return "http://" + g.admin + path
}

// get reads JSON off the Admin API.
func (g *gateway) get(t testing.TB, path string, to any) int {
	t.Helper()
	res, err := adminClient.Get(g.api(path))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(to); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return res.StatusCode
}

// post posts JSON to the Admin API.
func (g *gateway) post(t testing.TB, path string, body any) (int, string) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := adminClient.Post(g.api(path), "application/json", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}
