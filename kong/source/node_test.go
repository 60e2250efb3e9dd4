package source_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"kong-go-jwt/kong/source"
	"kong-go-jwt/plugin"
)

// store is a node's store, as the include serves it.
type store struct {
	prefix string
	server *httptest.Server

	mu      sync.Mutex
	version string
	worker  string
	log     []string            // of changes; "": all
	rows    map[string]struct { // by path and query
		status int
		body   string
	}
	queries []string
	woken   chan struct{}
}

func newStore(t *testing.T) *store {
	t.Helper()
	s := &store{prefix: t.TempDir(), version: source.NodeVersion, worker: "1-1", woken: make(chan struct{})}
	s.rows = make(map[string]struct {
		status int
		body   string
	})
	return s
}

func (s *store) start(t *testing.T) *store {
	t.Helper()
	socket := source.NodeSocket(s.prefix)
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s.server = httptest.NewUnstartedServer(s)
	s.server.Listener.Close()
	s.server.Listener = l
	s.server.Start()
	t.Cleanup(s.stop)
	return s
}

func (s *store) stop() {
	s.server.CloseClientConnections()
	s.server.Close()
}

func (s *store) set(query string, status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[query] = struct {
		status int
		body   string
	}{status, body}
}

func (s *store) change(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, names...)
	close(s.woken)
	s.woken = make(chan struct{})
}

func (s *store) edit(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if s.version != "" {
		w.Header().Set("X-Go-Jwt-Store", s.version)
	}
	if row, ok := s.rows[r.URL.Path]; ok {
		w.WriteHeader(row.status)
		fmt.Fprint(w, row.body)
		return
	}
	if r.URL.Path != "/changes" {
		s.queries = append(s.queries, r.URL.String())
		row, ok := s.rows[r.URL.String()]
		if !ok {
			row.status, row.body = http.StatusNotFound, `{"message":"Not found"}`
		}
		w.WriteHeader(row.status)
		fmt.Fprint(w, row.body)
		return
	}
	var since int
	fmt.Sscan(r.URL.Query().Get("since"), &since)
	known := func() bool { return r.URL.Query().Get("worker") == s.worker && since <= len(s.log) }
	if known() && since == len(s.log) {
		woken := s.woken
		s.mu.Unlock()
		select {
		case <-woken:
		case <-time.After(200 * time.Millisecond):
		case <-r.Context().Done():
		}
		s.mu.Lock()
	}
	a := map[string]any{"worker": s.worker, "at": len(s.log), "database": "off"}
	if known() {
		a["changes"] = s.log[since:]
	} else {
		a["all"] = true
	}
	json.NewEncoder(w).Encode(a)
}

func (s *store) options() source.NodeOptions {
	return source.NodeOptions{Socket: source.NodeSocket(s.prefix), Timeout: patience, AtOnce: 4}.PollFor(patience)
}

func (s *store) client() *source.Node {
	return source.NewNode(s.options())
}

const (
	aliceID = "2cd2ab43-0b1c-4b2a-9b4b-0a43f2ac0001"
	row     = `{"id":"i","key":"k","secret":"s","algorithm":"HS384","rsa_public_key":"p","consumer":{"id":"c"},"tags":{},"created_at":1}`
	person  = `{"id":"` + aliceID + `","username":"alice","custom_id":"a-1","tags":["t"],"created_at":1700000000}`
)

func TestNodeCredential(t *testing.T) {
	for name, tt := range map[string]struct {
		key, query string
		status     int
		body       string
		found      bool
		fault      string
	}{
		"found":          {"k", "key=k", 200, row, true, ""},
		"not found":      {"k", "key=k", 404, `{"message":"Not found"}`, false, ""},
		"cannot be had":  {"k", "key=k", 503, `{"message":"[postgres] timeout"}`, false, "status 503: [postgres] timeout"},
		"other version":  {"k", "key=k", 501, `{"message":"no jwt_secrets here"}`, false, "no jwt_secrets here"},
		"no JSON":        {"k", "key=k", 200, `<html>`, false, "cannot be read"},
		"not a row":      {"k", "key=k", 200, `{}`, false, "not a jwt_secrets entry"},
		"of another key": {"x", "key=x", 200, row, false, "another key"},
		"climbing":       {"../../../x", "key=..%2F..%2F..%2Fx", 200, strings.Replace(row, `"k"`, `"../../../x"`, 1), true, ""},
		"all kinds":      {"a b&c=d+%é:", "key=a+b%26c%3Dd%2B%25%C3%A9%3A", 200, strings.Replace(row, `"k"`, `"a b&c=d+%é:"`, 1), true, ""},
		"like an id":     {aliceID, "key=" + aliceID, 200, strings.Replace(row, `"k"`, `"`+aliceID+`"`, 1), true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t).start(t)
			s.set("/jwt_secrets?"+tt.query, tt.status, tt.body)
			got, err := s.client().Credential(t.Context(), tt.key)
			if (got != nil) != tt.found || (err != nil) != (tt.fault != "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
				t.Fatalf("%+v, %v", got, err)
			}
			want := &plugin.Credential{ID: "i", Key: tt.key, Algorithm: "HS384", Secret: "s", PublicKey: "p", ConsumerID: "c"}
			if tt.found && *got != *want {
				t.Errorf("%+v", got)
			}
		})
	}
}

// What no database can hold is not asked for.
func TestNodeIsNotAskedInVain(t *testing.T) {
	s := newStore(t).start(t)
	for _, key := range []string{"", "a\x00b", "\xff", strings.Repeat("x", 31<<10), strings.Repeat("/", 11<<10)} {
		if got, err := s.client().Credential(t.Context(), key); got != nil || err != nil {
			t.Errorf("%.10q: %v, %v", key, got, err)
		}
	}
	if len(s.queries) > 0 {
		t.Errorf("asked %.100q", s.queries)
	}
}

func TestNodeConsumer(t *testing.T) {
	want := &plugin.Consumer{ID: aliceID, Username: "alice", CustomID: "a-1", Tags: []string{"t"}, CreatedAt: 1700000000}
	byName := func(n *source.Node, name string) (*plugin.Consumer, error) {
		return n.ConsumerByName(context.Background(), name)
	}
	byCustomID := func(n *source.Node, id string) (*plugin.Consumer, error) {
		return n.ConsumerByCustomID(context.Background(), id)
	}
	for name, tt := range map[string]struct {
		rows  map[string]int // by query
		by    func(*source.Node, string) (*plugin.Consumer, error)
		value string
		found bool
		fault string
	}{
		"by id":                    {map[string]int{"id=" + aliceID: 200}, byName, aliceID, true, ""},
		"by id in capitals":        {map[string]int{"id=" + strings.ToUpper(aliceID): 200}, byName, strings.ToUpper(aliceID), true, ""},
		"by username":              {map[string]int{"username=alice": 200}, byName, "alice", true, ""},
		"by custom_id":             {map[string]int{"custom_id=a-1": 200}, byCustomID, "a-1", true, ""},
		"there is none":            {nil, byName, "alice", false, ""},
		"there is none of that id": {nil, byName, aliceID, false, ""},
		"cannot be had":            {map[string]int{"id=" + aliceID: 503}, byName, aliceID, false, "503"},
		"another id":               {map[string]int{"id=" + strings.Replace(aliceID, "2", "3", 1): 200}, byName, strings.Replace(aliceID, "2", "3", 1), false, "another consumer"},
		"another name":             {map[string]int{"username=Alice": 200}, byName, "Alice", false, "another consumer"},
		"another custom_id":        {map[string]int{"custom_id=a-2": 200}, byCustomID, "a-2", false, "another consumer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t).start(t)
			for query, status := range tt.rows {
				s.set("/consumers?"+query, status, person)
			}
			got, err := tt.by(s.client(), tt.value)
			if (err != nil) != (tt.fault != "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
				t.Fatalf("%v", err)
			}
			if (got != nil) != tt.found || tt.found && !reflect.DeepEqual(got, want) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// watch starts a watch, which is over when the test is.
func (s *store) watch(t *testing.T) (changes *seen, failed chan error) {
	t.Helper()
	changes, failed = new(seen), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() { failed <- s.client().Watch(ctx, changes, func() {}) }()
	changes.wait(t, 1)
	return changes, failed
}

func TestNodeTellsChanges(t *testing.T) {
	const ws = "0dc6f45b-8f8d-40d2-a504-473544ee190b"
	for name, tt := range map[string]struct{ change, want string }{
		"credential":           {"jwt_secrets:k:::::" + ws, "credential k"},
		"consumer":             {"consumers:" + aliceID + ":::::" + ws, "consumer " + aliceID},
		"colons":               {"jwt_secrets::a:b:::::::" + ws, "credential :a:b::"},
		"like another entity":  {"jwt_secrets:consumers:x:::::" + ws + ":::::" + ws, "credential consumers:x:::::" + ws},
		"no workspace":         {"jwt_secrets:k:::::", "credential k"},
		"no key":               {"consumers::::::" + ws, "consumer "},
		"not a name of Kong's": {"jwt_secrets:k", "all"},
		"not UTF-8":            {"jwt_secrets:\xff:::::" + ws, "all"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t).start(t)
			changes, _ := s.watch(t)
			s.change(tt.change)
			if got := changes.wait(t, 2); !reflect.DeepEqual(got, []string{"all", tt.want}) {
				t.Errorf("%q", got)
			}
		})
	}
}

// Each change is told, in its order; another worker knows nothing of the numbers
// of this one.
func TestNodeTellsAllChanges(t *testing.T) {
	s := newStore(t).start(t)
	changes, failed := s.watch(t)
	want := []string{"all"}
	for i := range 50 {
		s.change(fmt.Sprintf("jwt_secrets:%d:::::ws", i%3), "consumers:c:::::ws")
		want = append(want, fmt.Sprintf("credential %d", i%3), "consumer c")
	}
	if got := changes.wait(t, len(want)); !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
	s.edit(func() { s.worker, s.log = "2-2", s.log[:3] })
	if got := changes.wait(t, len(want)+1); got[len(want)] != "all" {
		t.Errorf("%q", got[len(want):])
	}
	for left, deadline := time.Duration(0), time.Now().Add(patience); left <= 0; time.Sleep(time.Millisecond) {
		changes.mu.Lock()
		left = time.Until(changes.trusted)
		changes.mu.Unlock()
		if left > 2*time.Second || time.Now().After(deadline) {
			t.Fatalf("trusted for %v more", left)
		}
	}
	s.stop()
	if err := <-failed; err == nil {
		t.Error("no error")
	}
}

// logged is a log that can be waited for.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) wait(t *testing.T, want string, times int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		text := l.String()
		if strings.Count(text, want) >= times {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %d times %q in:\n%s", times, want, text)
		}
	}
}

// choose starts a source beside s and an Admin API with a credential "admin".
func choose(t *testing.T, s *store, use string) (*source.Source, *logged, *seen) {
	t.Helper()
	log, changes := new(logged), new(seen)
	from, err := source.New(source.Options{
		Use:       use,
		Node:      s.options(),
		Admin:     source.AdminOptions{URL: startAdmin(t, "admin").server.URL, Timeout: patience, AtOnce: 4, Rate: 100},
		QueryRate: 100, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); from.Watch(ctx, changes) }()
	t.Cleanup(func() { cancel(); <-done })
	return from, log, changes
}

// The node's store is used where it is, and the Admin API while it is not.
func TestSourceIsChosen(t *testing.T) {
	s := newStore(t)
	s.set("/jwt_secrets?key=k", 200, row)
	finds := func(from *source.Source, key string) bool {
		t.Helper()
		c, err := from.Credential(t.Context(), key)
		if err != nil {
			t.Error(err)
		}
		return c != nil
	}
	from, log, changes := choose(t, s, "auto")
	log.wait(t, "credentials come from\" store=admin", 1)
	if !finds(from, "admin") || finds(from, "k") || from.HasConsumers() {
		t.Error("not the Admin API")
	}
	s.start(t)
	log.wait(t, "credentials come from\" store=node", 1)
	if finds(from, "admin") || !finds(from, "k") || !from.HasConsumers() {
		t.Error("not the node's store")
	}
	n := len(changes.wait(t, 2))
	s.stop() // which removes the socket
	log.wait(t, "changes of credentials are not reported", 1)
	log.wait(t, "credentials come from\" store=admin", 2)
	changes.wait(t, n+1)
	if !finds(from, "admin") {
		t.Error("not the Admin API again")
	}
	s.start(t)
	log.wait(t, "credentials come from\" store=node", 2)
}

// A store that cannot be used is not, which is told once.
func TestStoreOfAnotherVersion(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(*store)
		why  string
	}{
		"another version": {func(s *store) { s.version = "2" }, "make a new one with go-jwt -nginx-conf"},
		"no version":      {func(s *store) { s.version = "" }, "make a new one with go-jwt -nginx-conf"},
		"another Kong": {func(s *store) {
			s.rows["/changes"] = struct {
				status int
				body   string
			}{501, `{"message":"no worker events here"}`}
		}, "no worker events here"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t).start(t)
			s.edit(func() { tt.edit(s) })
			from, log, _ := choose(t, s, "auto")
			log.wait(t, "the node's own store cannot be used", 1)
			log.wait(t, tt.why, 1)
			log.wait(t, "credentials come from\" store=admin", 1)
			if c, err := from.Credential(t.Context(), "admin"); c == nil || err != nil {
				t.Errorf("%v, %v", c, err)
			}
			s.edit(func() { s.version = source.NodeVersion; delete(s.rows, "/changes") })
			log.wait(t, "credentials come from\" store=node", 2) // once before it was asked
			if n := strings.Count(log.String(), "cannot be used"); n != 1 {
				t.Errorf("told %d times", n)
			}
		})
	}
}

// With -store node there is nothing else: what cannot be asked is an error.
func TestStoreIsNotThere(t *testing.T) {
	s := newStore(t)
	from, log, changes := choose(t, s, "node")
	if c, err := from.Credential(t.Context(), "k"); c != nil || err == nil {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := from.ConsumerByName(t.Context(), "alice"); err == nil {
		t.Error("no error")
	}
	log.wait(t, "changes of credentials are not reported", 1)
	changes.mu.Lock()
	if changes.trusted.After(time.Now()) {
		t.Error("trusted until", changes.trusted)
	}
	changes.mu.Unlock()
	s.set("/jwt_secrets?key=k", 200, row)
	s.start(t)
	log.wait(t, "changes of credentials are reported again", 1)
	if c, err := from.Credential(t.Context(), "k"); c == nil || err != nil {
		t.Errorf("%v, %v", c, err)
	}
}

func TestSourceIsRefused(t *testing.T) {
	for use, admin := range map[string]string{"nowhere": "http://127.0.0.1:1", "": "http://127.0.0.1:1", "admin": ""} {
		o := source.Options{Use: use, Admin: source.AdminOptions{URL: admin, AtOnce: 1}, Log: slog.New(slog.DiscardHandler)}
		if _, err := source.New(o); err == nil || !strings.HasPrefix(err.Error(), "-store: ") {
			t.Errorf("%q: %v", use, err)
		}
	}
}

// What anyone can make it look up costs a query where there is a database, and
// waits then; without one it costs nothing worth bounding.
// Consumers are looked up by name where the node's store is used, and only there.
func TestConsumersOfTheNode(t *testing.T) {
	s := newStore(t).start(t)
	s.set("/consumers?username=alice", 200, person)
	from, log, _ := choose(t, s, "node")
	log.wait(t, "store=node", 1)
	if c, err := from.ConsumerByName(t.Context(), "alice"); err != nil || c == nil || c.ID != aliceID || !from.HasConsumers() {
		t.Errorf("got %+v, %v", c, err)
	}
	other, _, _ := choose(t, s, "admin")
	if c, err := other.ConsumerByName(t.Context(), "alice"); !errors.Is(err, errors.ErrUnsupported) || c != nil || other.HasConsumers() {
		t.Errorf("by the Admin API: %+v, %v", c, err)
	}
}

func TestQueriesAreBounded(t *testing.T) {
	s := newStore(t).start(t)
	from, log, changes := choose(t, s, "auto")
	log.wait(t, "store=node", 1)
	changes.wait(t, 1)
	admit := func() (n int) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		for ; n < 10_000; n++ {
			done, err := from.Admit(ctx, "key")
			if err != nil {
				return n
			}
			done()
		}
		return n
	}
	if n := admit(); n != 10_000 {
		t.Errorf("%d lookups without a database", n)
	}
	s.edit(func() {
		s.rows["/changes"] = struct {
			status int
			body   string
		}{200, `{"worker":"1-1","at":0,"database":"postgres"}`}
	})
	for deadline := time.Now().Add(patience); ; {
		if n := admit(); n < 3000 { // the burst, at first
			done, err := from.Admit(t.Context(), "key")
			if err != nil {
				t.Fatalf("who can wait for its turn does not get it: %v", err)
			}
			done()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no bound with a database")
		}
	}
}
