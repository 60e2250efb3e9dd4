//go:build !linux

package kong

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// accept serves connections, each in a goroutine of its own. Kong runs on Linux,
// where loop_linux.go does this; here it is for development.
func (s *Server) accept(ctx context.Context, l *net.UnixListener, noMore, stop <-chan struct{}) error {
	var (
		mu   sync.Mutex
		open = map[net.Conn]struct{}{}
		done sync.WaitGroup
	)
	go func() {
		<-noMore
		_ = l.Close() //nolint:errcheck // nothing to be done about it
	}()
	for {
		conn, err := l.Accept()
		if err != nil {
			select {
			case <-noMore:
			default:
				return fmt.Errorf("accepting a connection: %w", err)
			}
			break
		}
		mu.Lock()
		open[conn] = struct{}{}
		mu.Unlock()
		s.conns.Add(1)
		done.Go(func() {
			defer s.conns.Add(-1)
			c := &session{server: s, conn: conn}
			c.in.R = conn
			if err := c.serve(ctx); !errors.Is(err, errEnded) {
				s.closed.log(s.log, "connection closed", err)
			}
			mu.Lock()
			delete(open, conn)
			mu.Unlock()
			_ = conn.Close() //nolint:errcheck // nothing to be done about it
		})
	}
	<-stop
	mu.Lock()
	for conn := range open {
		_ = conn.Close() //nolint:errcheck // nothing to be done about it
	}
	mu.Unlock()
	done.Wait()
	return nil
}

// serve serves calls, waiting for each, until the connection ends.
func (s *session) serve(ctx context.Context) error {
	for {
		for ; s.skip > 0; s.skip-- {
			if _, err := s.in.Next(); err != nil {
				return ended(err)
			}
		}
		s.in.Release()
		frame, err := s.in.Next()
		if err != nil {
			return ended(err)
		}
		s.server.busy.Add(1)
		isEvent, err := s.beginSafely(frame)
		if isEvent && err == nil && !s.ending {
			err = s.finish(ctx)
		}
		s.server.busy.Add(-1)
		for err == nil && s.ending {
			s.in.Discard()
			err = ended(s.in.Fill(1))
		}
		if err != nil {
			return err
		}
	}
}
