// Package pluginserver starts a plugin server as Kong does and talks to it
// over its socket.
package pluginserver

import (
	"net"
	"sync"
	"sync/atomic"
)

// Stats counts what went over the sockets.
type Stats struct {
	FramesIn, FramesOut, Reads, Writes atomic.Int64
	Events, Starts, Closes, Retries    atomic.Int64
	calls                              sync.Map // method → *atomic.Int64
}

func (s *Stats) call(method string) {
	n, ok := s.calls.Load(method)
	if !ok {
		n, _ = s.calls.LoadOrStore(method, new(atomic.Int64))
	}
	if n, ok := n.(*atomic.Int64); ok {
		n.Add(1)
	}
}

// Calls returns how often each PDK method was called.
func (s *Stats) Calls() map[string]int64 {
	m := map[string]int64{}
	s.calls.Range(func(k, v any) bool {
		name, _ := k.(string)
		if n, ok := v.(*atomic.Int64); ok {
			m[name] = n.Load()
		}
		return true
	})
	return m
}

// countedConn counts system calls.
type countedConn struct {
	net.Conn
	stats *Stats
}

func (c countedConn) Read(p []byte) (int, error) {
	c.stats.Reads.Add(1)
	return c.Conn.Read(p)
}

func (c countedConn) Write(p []byte) (int, error) {
	c.stats.Writes.Add(1)
	return c.Conn.Write(p)
}
