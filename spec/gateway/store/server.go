package store

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/spec/gateway/faults"
	"kong-go-jwt/spec/gateway/httpd"
	"kong-go-jwt/spec/gateway/nginx"
	"kong-go-jwt/spec/gateway/schema"
)

// Server plays the server of the plugin's nginx include in each of the node's
// workers. The gateway runs no Lua: this does what that Lua says.
type Server struct {
	Cache    *Cache
	Database *Database
	Faults   *faults.Faults // of "store" and "changes"

	requests atomic.Int64

	mu       sync.Mutex
	version  string
	listener net.Listener
	path     string
	workers  []*worker
	next     int
	started  int // workers ever
}

// worker is one of nginx's workers.
type worker struct {
	feed
	http *httpd.Server
	quit context.CancelFunc
}

// Requests counts the look-ups, not the polls for changes.
func (s *Server) Requests() int64 { return s.requests.Load() }

// Restart replaces the workers, as a reload of Kong does, and serves what the
// include has now; nil: nothing. The old workers end what they are at.
func (s *Server) Restart(ctx context.Context, workers int, include *nginx.Server) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.workers {
		w.quit()
	}
	s.workers = nil
	for range workers {
		s.started++
		s.workers = append(s.workers, s.newWorker(fmt.Sprintf("%d-%d", os.Getpid(), s.started)))
	}
	if s.listener != nil && (include == nil || include.Socket != s.path) {
		s.listener.Close() // its path goes with it
		s.listener = nil
	}
	if include == nil || s.listener != nil {
		return nil
	}
	s.version, s.path = include.Version, include.Socket
	l, err := listen(ctx, include.Socket)
	if err != nil {
		return err
	}
	s.listener = l
	go s.accept(ctx, l)
	context.AfterFunc(ctx, func() { l.Close() })
	return nil
}

// listen opens a socket as Kong's nginx does: Kong makes the folder sockets in
// its prefix, and removes what a crash has left there. No other folder is made.
func listen(ctx context.Context, path string) (net.Listener, error) {
	if filepath.Base(filepath.Dir(path)) == "sockets" {
		if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil && !os.IsExist(err) {
			return nil, err
		}
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return nil, err
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(path, 0o666)
}

func (s *Server) newWorker(id string) *worker {
	exiting, quit := context.WithCancel(context.Background())
	w := &worker{feed: feed{exiting: exiting}, quit: quit}
	w.http = &httpd.Server{
		Drain: exiting, MaxLine: 32 << 10,
		Handle: func(ctx context.Context, req *httpd.Request) *httpd.Response {
			what := "store"
			if req.Path == "/changes" {
				what = "changes"
			}
			return s.Faults.Of(what).Apply(ctx, func() *httpd.Response { return s.handle(ctx, &w.feed, id, req) })
		},
		Refuse: func(status int) *httpd.Response {
			return &httpd.Response{Status: status, Body: io.NopCloser(strings.NewReader("")), Header: httpd.Header{{Name: "Content-Type", Value: "text/html"}}}
		},
	}
	return w
}

// accept hands each connection to one of the workers.
func (s *Server) accept(ctx context.Context, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // closed
		}
		s.mu.Lock()
		s.next++
		w := s.workers[s.next%len(s.workers)]
		s.mu.Unlock()
		go w.http.ServeConn(ctx, c)
	}
}

// Changed invalidates the keys in the cache, and tells the workers.
func (s *Server) Changed(keys []string) {
	if len(keys) == 0 {
		return
	}
	s.Cache.Invalidate(keys...)
	for _, k := range keys {
		s.tell(k)
	}
}

// Purged empties the cache, and tells the workers: that is a new declarative
// configuration.
func (s *Server) Purged() {
	s.Cache.Invalidate()
	s.tell("")
}

func (s *Server) tell(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.workers {
		w.tell(name)
	}
}

func (s *Server) handle(ctx context.Context, f *feed, worker string, req *httpd.Request) *httpd.Response {
	switch {
	case req.Method != "GET":
		return s.message(405, "only GET")
	case req.Path == "/changes":
		args, _ := url.ParseQuery(req.Query)
		since, err := strconv.Atoi(args.Get("since"))
		if err != nil {
			return s.message(400, "ask with worker and since")
		}
		answer := f.since(ctx, args.Get("worker"), since, func() string {
			return worker + "-" + strconv.FormatInt(time.Now().UnixMilli(), 10)
		})
		answer.Database = s.Database.Name
		return s.answer(200, answer)
	case req.Path != "/jwt_secrets" && req.Path != "/consumers":
		return s.message(400, "no such location")
	}
	s.requests.Add(1)
	args, err := url.ParseQuery(req.Query)
	if err != nil || len(args) != 1 {
		return s.message(400, "ask by one field")
	}
	for field, values := range args {
		if len(values) != 1 || values[0] == "" {
			break
		}
		if strings.Contains(values[0], "\x00") {
			return s.message(404, "Not found")
		}
		switch req.Path + "?" + field {
		case "/jwt_secrets?key":
			return s.found(s.credential(ctx, values[0]))
		case "/consumers?id":
			return s.found(s.consumerByID(ctx, values[0]))
		case "/consumers?username":
			return s.found(s.consumerByUsername(ctx, values[0]))
		case "/consumers?custom_id":
			return s.found(query(ctx, s.Database, func(rows *config.Store) *config.Consumer { return rows.ConsumerByCustomID(values[0]) }))
		}
	}
	return s.message(400, "ask by one field")
}

func (s *Server) credential(ctx context.Context, key string) (*config.JWTSecret, error) {
	return cached(ctx, s.Cache, s.Database, config.CredentialName(key), func(rows *config.Store) *config.JWTSecret { return rows.JWTByKey(key) })
}

// consumer looks for an id or a username, as kong.client.load_consumer does.
func (s *Server) consumer(ctx context.Context, key string) (*config.Consumer, error) {
	return cached(ctx, s.Cache, s.Database, config.ConsumerName(key), func(rows *config.Store) *config.Consumer { return rows.Consumer(key) })
}

func (s *Server) consumerByID(ctx context.Context, id string) (*config.Consumer, error) {
	if !schema.IsUUID(id) {
		return nil, nil
	}
	c, err := s.consumer(ctx, id)
	if c != nil && !strings.EqualFold(c.ID, id) { // the one with that username
		return nil, nil
	}
	return c, err
}

func (s *Server) consumerByUsername(ctx context.Context, username string) (*config.Consumer, error) {
	c, err := s.consumer(ctx, username)
	if c != nil && c.Username != username { // the one with that id
		return query(ctx, s.Database, func(rows *config.Store) *config.Consumer { return rows.ConsumerByUsername(username) })
	}
	return c, err
}

// found answers with a row; a nil one is not there.
func (s *Server) found(row any, err error) *httpd.Response {
	absent := false
	switch row := row.(type) {
	case *config.JWTSecret:
		absent = row == nil
	case *config.Consumer:
		absent = row == nil
	}
	switch {
	case err != nil:
		return s.message(503, err.Error())
	case absent:
		return s.message(404, "Not found")
	}
	return s.answer(200, row)
}

func (s *Server) message(status int, text string) *httpd.Response {
	return s.answer(status, map[string]any{"message": text})
}

// answer is JSON with the version of the include.
func (s *Server) answer(status int, v any) *httpd.Response {
	res := httpd.JSON(status, v)
	res.Header.Set("Content-Type", "application/json")
	res.Header.Add("X-Go-Jwt-Store", s.version)
	return res
}
