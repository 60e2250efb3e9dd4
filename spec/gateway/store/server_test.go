package store_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/spec/gateway/faults"
	"kong-go-jwt/spec/gateway/nginx"
	"kong-go-jwt/spec/gateway/store"
)

const (
	alice = "00000000-0000-4000-8000-000000000001"
	text  = `{"_format_version": "3.0", "consumers": [
		{"id": "` + alice + `", "username": "alice", "custom_id": "a-1", "jwt_secrets": [{"key": "k", "secret": "s"}, {"key": "a/b?c", "secret": "s"}]}
	]}`
)

// node is a server of one worker with one consumer.
type node struct {
	*store.Server
	loader config.Loader
	rows   atomic.Pointer[config.Store]
	client *http.Client
}

func start(t *testing.T) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "gs-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	n := &node{}
	rows, err := n.loader.Load([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	n.rows.Store(rows)
	f := &faults.Faults{}
	n.Server = &store.Server{Cache: &store.Cache{}, Faults: f, Database: &store.Database{Rows: n.rows.Load, Faults: f}}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	socket := filepath.Join(dir, "sockets", "x")
	if err := n.Restart(ctx, 1, &nginx.Server{Socket: socket, Version: "7"}); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	n.client = &http.Client{Timeout: time.Minute, Transport: transport}
	return n
}

func (n *node) get(t *testing.T, path string) (int, map[string]any) {
	t.Helper()
	res, err := n.client.Get("http://x" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	if v := res.Header.Get("X-Go-Jwt-Store"); v != "7" {
		t.Errorf("version %q", v)
	}
	return res.StatusCode, body
}

func TestLookUps(t *testing.T) {
	t.Parallel()
	n := start(t)
	for path, want := range map[string]int{
		"/jwt_secrets?key=k": 200, "/jwt_secrets?key=a%2Fb%3Fc": 200, "/jwt_secrets?key=x": 404, "/jwt_secrets?key=%00": 404,
		"/jwt_secrets?key=": 400, "/jwt_secrets": 400, "/jwt_secrets?key=k&key=k": 400, "/jwt_secrets?id=k": 400, "/x": 400,
		"/consumers?id=" + alice: 200, "/consumers?username=alice": 200, "/consumers?custom_id=a-1": 200,
		"/consumers?id=alice": 404, "/consumers?username=" + alice: 404, "/consumers?custom_id=x": 404, "/consumers?id=" + alice + "&username=alice": 400,
	} {
		if status, body := n.get(t, path); status != want || want == 200 && body["id"] == nil {
			t.Errorf("%s: %d %v, want %d", path, status, body, want)
		}
	}
}

// TestLostDatabase: what is in the cache is there, all else cannot be asked for.
func TestLostDatabase(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.get(t, "/jwt_secrets?key=k")
	if _, err := n.Faults.Set([]byte(`{"of": "database", "mode": "lost"}`)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/jwt_secrets?key=k": 200, "/jwt_secrets?key=x": 503, "/consumers?id=" + alice: 503} {
		if status, body := n.get(t, path); status != want {
			t.Errorf("%s: %d %v, want %d", path, status, body, want)
		}
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	n := start(t)
	_, first := n.get(t, "/changes?since=0")
	worker, _ := first["worker"].(string)
	if first["all"] != true || worker == "" {
		t.Fatalf("%v", first)
	}
	if _, none := n.get(t, "/changes?worker="+worker+"&since=0"); none["all"] != nil || none["changes"] != nil {
		t.Errorf("%v, want no changes", none)
	}
	change := func(do func(*config.Store) *config.Store) (names []string) {
		old := n.rows.Load()
		n.rows.Store(do(old))
		n.Changed(config.Changes(old, n.rows.Load()))
		_, told := n.get(t, "/changes?worker="+worker+"&since=0")
		for _, name := range told["changes"].([]any) {
			names = append(names, name.(string))
		}
		return names
	}
	n.get(t, "/jwt_secrets?key=k")
	want := []string{config.CredentialName("k")}
	if got := change(func(s *config.Store) *config.Store { return s.WithoutJWT(s.JWTByKey("k")) }); !slices.Equal(got, want) {
		t.Errorf("a credential removed: %q", got)
	}
	if status, _ := n.get(t, "/jwt_secrets?key=k"); status != 404 {
		t.Errorf("a credential that was removed: %d", status)
	}
	want = append(want, config.ConsumerName(alice), config.ConsumerName("alice"), config.ConsumerName("alicia"))
	if got := change(func(s *config.Store) *config.Store {
		s, _, err := n.loader.PutConsumer(s, alice, map[string]any{"username": "alicia"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}); !slices.Equal(got, want) {
		t.Errorf("a consumer renamed: %q", got)
	}
	want = append(want, config.ConsumerName(alice), config.ConsumerName("alicia"), config.CredentialName("a/b?c"))
	if got := change(func(s *config.Store) *config.Store { return s.WithoutConsumer(s.Consumer(alice)) }); !slices.Equal(got, want) {
		t.Errorf("a consumer removed: %q", got)
	}
	n.Purged()
	if _, all := n.get(t, "/changes?worker="+worker+"&since=6"); all["all"] != true {
		t.Errorf("%v, want all", all)
	}
}

// TestExitingWorker: a reload ends the polls of the old workers.
func TestExitingWorker(t *testing.T) {
	t.Parallel()
	n := start(t)
	_, first := n.get(t, "/changes?since=0")
	worker, _ := first["worker"].(string)
	polled := make(chan map[string]any)
	go func() {
		_, body := n.get(t, "/changes?worker="+worker+"&since=0")
		polled <- body
	}()
	time.Sleep(50 * time.Millisecond) // it waits; if not, the new worker answers, as well
	if err := n.Restart(context.Background(), 1, nil); err != nil {
		t.Fatal(err)
	}
	select {
	case <-polled:
	case <-time.After(time.Minute):
		t.Error("the poll goes on")
	}
}
