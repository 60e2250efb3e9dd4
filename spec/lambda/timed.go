package lambda

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// timed is a connection that knows when it was last written to and read from: what
// a function takes is told from what the server of this package takes.
type timed struct {
	net.Conn
	wrote, read atomic.Int64 // nanoseconds since 1970
}

func (c *timed) Write(p []byte) (int, error) {
	c.wrote.Store(time.Now().UnixNano())
	return c.Conn.Write(p)
}

func (c *timed) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Store(time.Now().UnixNano())
	return n, err
}

type timedListener struct{ net.Listener }

func (l timedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &timed{Conn: c}, err
}

type timedKey struct{}

func withTimed(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, timedKey{}, c)
}

// tookOf is the time from the last answer on the connection of a request to that
// request, which has been read.
func tookOf(ctx context.Context) time.Duration {
	c := ctx.Value(timedKey{}).(*timed)
	return time.Duration(c.read.Load() - c.wrote.Load())
}
