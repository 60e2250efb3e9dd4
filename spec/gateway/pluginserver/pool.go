package pluginserver

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// Kong's defaults for the sockets of Lua code.
const (
	poolSize    = 256
	idleTimeout = 60 * time.Second
	ioTimeout   = 60 * time.Second
)

// conn is one connection to the plugin server: one event at a time.
type conn struct {
	countedConn
	r    *bufio.Reader
	idle time.Time
}

// pool keeps idle connections, the last used on top.
type pool struct {
	socket string
	stats  *Stats

	mu     sync.Mutex
	idle   []*conn
	closed bool
}

func (p *pool) get() (*conn, error) {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			break
		}
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if time.Since(c.idle) < idleTimeout && c.alive() {
			return c, nil
		}
		c.Close() // of no use any more
	}
	raw, err := net.DialTimeout("unix", p.socket, ioTimeout)
	if err != nil {
		return nil, err
	}
	counted := countedConn{raw, p.stats}
	return &conn{countedConn: counted, r: bufio.NewReaderSize(counted, 4<<10)}, nil
}

// put gives a connection back. One with unread bytes is not kept, as
// OpenResty's setkeepalive refuses it.
func (p *pool) put(c *conn) {
	c.idle = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= poolSize || c.r.Buffered() > 0 {
		c.Close() // of no use any more
		return
	}
	p.idle = append(p.idle, c)
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		c.Close() // of no use any more
	}
	p.idle = nil
}

// alive tells whether the other side still holds an idle connection: OpenResty
// is told by its event loop, a Go program has to look.
func (c *conn) alive() bool {
	u, ok := c.Conn.(*net.UnixConn)
	if !ok {
		return true
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return false
	}
	alive := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		alive = errors.Is(err, syscall.EAGAIN)
	})
	return err == nil && alive
}
