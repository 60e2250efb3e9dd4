package httpd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"time"
)

// idleTimeout ends a connection on which nothing comes.
const idleTimeout = 60 * time.Second

// Response is the answer to a request. Body, when not nil, is closed by the
// server; Length is -1 when unknown.
type Response struct {
	Status int
	Header Header
	Body   io.ReadCloser
	Length int64
	// Abort drops the connection without an answer; Reset does so with a RST.
	Abort, Reset bool
}

// Server serves connections until its context ends.
type Server struct {
	// Handle answers a request. It may be called at once from many goroutines.
	Handle func(context.Context, *Request) *Response
	// Refuse makes the answer to a request that cannot be read.
	Refuse func(status int) *Response
	// MaxLine is the size of large_client_header_buffers; 0: nginx's own 8 KiB.
	MaxLine int
	// HTTP2 is `http2 on`: clients may begin with HTTP/2.
	HTTP2 bool
	// Drain, when set, ends each connection after the request that is under way
	// when it is done.
	Drain context.Context

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// Serve accepts connections from ln until ctx is done.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	s.mu.Lock()
	s.conns = map[net.Conn]struct{}{}
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		ln.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.conns {
			c.Close()
		}
		s.conns = nil
	})
	defer stop()
	for {
		c, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		s.mu.Lock()
		open := s.conns != nil
		if open {
			s.conns[c] = struct{}{}
		}
		s.mu.Unlock()
		if !open {
			c.Close()
			continue
		}
		go func() {
			s.ServeConn(ctx, c)
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		}()
	}
}

// ServeConn serves one connection to its end, and closes it.
func (s *Server) ServeConn(ctx context.Context, c net.Conn) {
	defer c.Close()
	drain := s.Drain
	if drain == nil {
		drain = ctx
	}
	// Wakes who waits for a request.
	defer context.AfterFunc(drain, func() { c.SetReadDeadline(time.Unix(1, 0)) })()
	line := maxLine
	if s.MaxLine > 0 {
		line = s.MaxLine
	}
	r := bufio.NewReaderSize(c, line+2)
	w := bufio.NewWriterSize(c, 8<<10)
	c.SetReadDeadline(time.Now().Add(idleTimeout)) // a dead connection shows at the read
	if s.HTTP2 && beginsHTTP2(r) {
		s.serveHTTP2(ctx, c, r)
		return
	}
	for {
		c.SetReadDeadline(time.Now().Add(idleTimeout)) // a dead connection shows at the read
		if ctx.Err() != nil || drain.Err() != nil {
			return
		}
		req, err := readRequest(r, c, line)
		var status statusError
		if errors.As(err, &status) {
			res := s.Refuse(int(status))
			res.Header.Set("Connection", "close")
			writeResponse(w, req, res) // the connection ends anyway
			return
		}
		if err != nil {
			return
		}
		req.RemoteAddr, req.LocalAddr = c.RemoteAddr().String(), c.LocalAddr().String()
		if encrypted, ok := c.(*tls.Conn); ok {
			state := encrypted.ConnectionState() // the handshake came before the request
			req.TLS = &state
		}
		res := s.Handle(ctx, req)
		if tcp, ok := c.(*net.TCPConn); ok && res.Reset {
			tcp.SetLinger(0) // the connection ends anyway
		}
		if res.Abort || res.Reset {
			return
		}
		keep := keepAlive(req) && drain.Err() == nil
		if !keep {
			res.Header.Set("Connection", "close")
		}
		if err := writeResponse(w, req, res); err != nil || !keep {
			return
		}
	}
}

func keepAlive(req *Request) bool {
	connection, _ := req.Header.Get("Connection")
	if req.Proto == "HTTP/1.0" {
		return false
	}
	for _, token := range strings.Split(connection, ",") {
		if strings.EqualFold(strings.TrimSpace(token), "close") {
			return false
		}
	}
	return true
}

func writeResponse(w *bufio.Writer, req *Request, res *Response) error {
	body := res.Body
	if body != nil {
		defer body.Close()
	}
	w.WriteString("HTTP/1.1 " + strconv.Itoa(res.Status) + " " + http.StatusText(res.Status) + "\r\n") // Flush tells
	for _, f := range res.Header {
		w.WriteString(f.Name + ": " + f.Value + "\r\n") // Flush tells
	}
	bodyless := req != nil && req.Method == http.MethodHead || res.Status == 204 || res.Status == 304
	switch {
	case res.Length >= 0 && res.Status != 204 && res.Status != 304:
		w.WriteString("Content-Length: " + strconv.FormatInt(res.Length, 10) + "\r\n\r\n") // Flush tells
	case bodyless:
		w.WriteString("\r\n") // Flush tells
	default:
		w.WriteString("Transfer-Encoding: chunked\r\n\r\n") // Flush tells
	}
	if !bodyless && body != nil {
		if res.Length >= 0 {
			n, err := io.Copy(w, body)
			if err == nil && n != res.Length {
				err = io.ErrUnexpectedEOF
			}
			if err != nil {
				return errors.Join(err, w.Flush())
			}
		} else {
			chunks := httputil.NewChunkedWriter(w)
			if _, err := io.Copy(chunks, body); err != nil {
				return err
			}
			if err := chunks.Close(); err != nil {
				return err
			}
			w.WriteString("\r\n") // Flush tells
		}
	}
	return w.Flush()
}
