package nginx_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// output is what a process has written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

var proxyAddress = regexp.MustCompile(`proxy (\S+),`)

// startPlugin starts the plugin as the node's, behind the embedded gateway, which
// has routes alone: credentials and consumers are the node's. It returns the URL of
// the proxy and the plugin's log.
func startPlugin(t *testing.T, n *node) (proxy, pluginLog string) {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s|%s", r.Header.Get("X-Consumer-Id"), r.Header.Get("X-Consumer-Username"), r.Header.Get("X-Anonymous-Consumer"))
	}))
	t.Cleanup(upstream.Close)
	route := func(name string, config object) object {
		return object{"name": name, "paths": []string{"/" + name}, "plugins": []object{{"name": "go-jwt", "config": config}}}
	}
	config, err := json.Marshal(object{"_format_version": "3.0", "services": []object{{
		"name": "api", "url": upstream.URL,
		"routes": []object{route("private", object{}), route("public", object{"anonymous": "guest"})},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	n.write(t, "kong.json", config)
	pluginLog = n.path("plugin.log")
	cmd := exec.Command(setup.gateway, "-config", n.path("kong.json"), "-plugin", setup.plugin, "-kong-prefix", n.prefix,
		"-proxy", "127.0.0.1:0", "-admin", "off", "-plugin-log", pluginLog, "-plugin-arg=-store=node")
	log, exited := new(output), make(chan struct{})
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(exited); cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(patience):
			cmd.Process.Kill()
			t.Error("the gateway ignored SIGTERM")
		}
		if t.Failed() {
			text, _ := os.ReadFile(pluginLog)
			t.Logf("gateway:\n%s\nplugin:\n%s", log, text)
		}
	})
	eventually(t, "the gateway listens", func() bool {
		if m := proxyAddress.FindStringSubmatch(log.String()); m != nil {
			proxy = "http://" + m[1]
		}
		return proxy != ""
	})
	eventually(t, "the plugin listens", func() bool { _, err := os.Stat(n.path("go-jwt.socket")); return err == nil })
	return proxy, pluginLog
}

// token makes an HS256 token.
func token(key, secret string) string {
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256"}`)) + "." + encode(fmt.Appendf(nil, `{"iss":%q}`, key))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

// call returns the status and the body of an answer to a request with a token.
func call(t *testing.T, url, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// The plugin finds credentials and consumers in the store of a node whose nginx is
// real, and is told of changes.
func TestPlugin(t *testing.T) {
	n := startNode(t)
	row := credential("k:1/é")
	n.change(t, "jwt_secrets", row)
	n.change(t, "consumers", alice)
	n.change(t, "consumers", object{"id": bobID, "username": "guest"})
	proxy, _ := startPlugin(t, n)
	become := func(what, path, token string, status int, body string) {
		t.Helper()
		var gotStatus int
		var got string
		eventually(t, what, func() bool {
			gotStatus, got = call(t, proxy+path, token)
			return gotStatus == status && (body == "" || got == body)
		})
	}
	key, asAlice := row["key"].(string), aliceID+"|alice|"
	become("a credential is found", "/private", token(key, "s"), 200, asAlice)
	become("an unknown one is not", "/private", token("x", "s"), 401, "")
	become("nor is one in disguise", "/private", token("../consumers", "s"), 401, "")
	become("a bad signature is refused", "/private", token(key, "x"), 401, "")
	become("anonymous is found by username", "/public", "", 200, bobID+"|guest|true")

	row["secret"] = "new"
	n.change(t, "jwt_secrets", row)
	become("the old secret is refused", "/private", token(key, "s"), 401, "")
	become("the new one is good", "/private", token(key, "new"), 200, asAlice)
	n.change(t, "consumers", object{"id": aliceID, "username": "alicia"})
	become("another username is seen", "/private", token(key, "new"), 200, aliceID+"|alicia|")
	n.change(t, "jwt_secrets", object{"id": bobID, "key": "x", "secret": "s", "consumer": object{"id": bobID}})
	become("what was asked for in vain is there", "/private", token("x", "s"), 200, bobID+"|guest|")
	n.remove(t, "jwt_secrets", row)
	become("a removed one is refused", "/private", token(key, "new"), 401, "")

	n.set(t, "lost", true)
	become("a lost database is no unknown credential", "/private", token("y", "s"), 503, "")
	become("who is known gets in", "/private", token("x", "s"), 200, "")
	n.set(t, "lost", false)
	become("it is back", "/private", token("y", "s"), 401, "")

	n.cmd.Process.Signal(syscall.SIGHUP)
	for range 200 { // while the workers go, and others come
		if status, body := call(t, proxy+"/private", token("x", "s")); status != 200 {
			t.Fatalf("at a reload: %d %s", status, body)
		}
	}
	n.remove(t, "jwt_secrets", object{"id": bobID, "key": "x", "secret": "s", "consumer": object{"id": bobID}})
	become("changes are told after a reload", "/private", token("x", "s"), 401, "")
}
