// Package kong is all that talks to Kong: it serves the plugin-server protocol,
// makes PDK calls, asks the Admin API and dumps what Kong must know beforehand.
package kong

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"kong-go-jwt/plugin"
)

// Server is a plugin server. The zero value is not usable; see [NewServer].
type Server struct {
	log       *slog.Logger
	print     *slog.Logger // only prints; log may do more, see errorLog
	errorLog  *errorLog    // nil: nothing but what is about a request is carried to Kong's
	instances *instances

	closed, faults, warnings, shadowed, panics limiter
	refused                                    map[plugin.Reason]*limiter // read-only
	variable                                   atomic.Pointer[variable]   // that was seen last

	metrics *metrics // nil: none

	conns atomic.Int64 // connections
	busy  atomic.Int64 // calls under way
	calls atomic.Int64 // calls ever
}

// NewServer returns a server whose engines share a store made from o, whose
// Encode it sets. The store is the caller's to close. Warnings given to o.Log
// reach Kong's error log if Run has made it.
func NewServer(o plugin.Options, version string) (*Server, *plugin.Store) {
	o.Encode = encodeGrant
	store := plugin.NewStore(o)
	s := &Server{log: o.Log, print: o.Log, refused: make(map[plugin.Reason]*limiter)}
	if c, ok := o.Log.Handler().(*carrying); ok {
		s.errorLog, s.print = c.lines, slog.New(c.Handler)
	}
	for _, r := range plugin.Reasons() {
		s.refused[r.Reason] = new(limiter)
	}
	s.instances = newInstances(store, s.log, s.print, pluginInfo(version))
	return s, store
}

// Listen opens the socket at path for Kong's user alone. A socket that is there
// already is replaced in one step, so that at no time there is none: Kong
// starts the new server while it stops the old one. For the same reason the
// path is never removed.
func Listen(path string) (*net.UnixListener, error) {
	name := fmt.Sprintf(".%s.%d", filepath.Base(path), os.Getpid())
	temporary := filepath.Join(filepath.Dir(path), name)
	_ = os.Remove(temporary)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("opening the socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	const onlyOwner = 0o600
	err = os.Chmod(temporary, onlyOwner)
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the socket: %w", err), os.Remove(temporary), l.Close())
	}
	return l, nil
}

// Serve serves connections. When ctx is done it goes on until there has been no
// call for a while or the time given by drain is over, and returns nil.
func (s *Server) Serve(ctx context.Context, l *net.UnixListener, drain time.Duration) error {
	// Calls under way when ctx ends are served to their end.
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := make(chan struct{})
	context.AfterFunc(ctx, func() {
		s.drain(drain)
		close(stop)
	})
	return s.accept(calls, l, ctx.Done(), stop)
}

// drain waits until there has been no call for some time.
func (s *Server) drain(limit time.Duration) {
	const quiet, step = 10, 50 * time.Millisecond
	deadline := time.Now().Add(limit)
	calls := s.calls.Load()
	for idle := 0; idle < quiet && time.Now().Before(deadline); time.Sleep(step) {
		idle++
		if now := s.calls.Load(); now != calls || s.busy.Load() > 0 {
			idle, calls = 0, now
		}
	}
}
