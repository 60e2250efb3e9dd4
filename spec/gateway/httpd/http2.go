package httpd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// HTTP/2 is net/http's. Of what that throws away, HTTP/2 has only the order of headers
// with different names.

// beginsHTTP2 tells whether a client speaks HTTP/2, of which it has to know that the
// server does: nginx finds out so too.
func beginsHTTP2(r *bufio.Reader) bool {
	start, err := r.Peek(len("PRI"))
	return err == nil && string(start) == "PRI"
}

// serveHTTP2 serves a connection to its end.
func (s *Server) serveHTTP2(ctx context.Context, c net.Conn, r io.Reader) {
	var state *tls.ConnectionState
	if encrypted, ok := c.(*tls.Conn); ok {
		of := encrypted.ConnectionState() // the handshake came before the request
		state = &of
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	one := &oneConn{conn: begun{c, r}, addr: c.LocalAddr(), closed: make(chan struct{})}
	server := &http.Server{
		Protocols: protocols, IdleTimeout: idleTimeout, ReadHeaderTimeout: idleTimeout, ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, sent *http.Request) {
			req, err := fromHTTP2(sent)
			var res *Response
			var status statusError
			switch {
			case errors.As(err, &status):
				res = s.Refuse(int(status))
			case err != nil:
				panic(http.ErrAbortHandler)
			default:
				req.RemoteAddr, req.LocalAddr, req.TLS = c.RemoteAddr().String(), c.LocalAddr().String(), state
				res = s.Handle(ctx, req)
			}
			writeHTTP2(w, res)
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				one.end()
			}
		},
	}
	server.Serve(one) // until the connection has ended
}

// fromHTTP2 makes of a request what nginx makes of it.
func fromHTTP2(sent *http.Request) (*Request, error) {
	req := &Request{Line: sent.Method + " " + sent.RequestURI + " HTTP/2.0"}
	if err := req.parseLine("HTTP/2.0"); err != nil {
		return nil, err
	}
	req.Header.Add("host", sent.Host)
	names := make([]string, 0, len(sent.Header))
	for name := range sent.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if validName(name) {
			for _, value := range sent.Header[name] {
				req.Header.Add(strings.ToLower(name), value)
			}
		}
	}
	if err := req.checkUnique(); err != nil {
		return nil, err
	}
	var err error
	if req.Body, err = io.ReadAll(io.LimitReader(sent.Body, maxBody+1)); err == nil && len(req.Body) > maxBody {
		err = statusError(413)
	}
	return req, err
}

func writeHTTP2(w http.ResponseWriter, res *Response) {
	if res.Body != nil {
		defer res.Body.Close()
	}
	if res.Abort || res.Reset {
		panic(http.ErrAbortHandler)
	}
	header := w.Header()
	header["Date"], header["Content-Type"] = nil, nil // nothing of net/http's own
	for _, f := range res.Header {
		header.Add(f.Name, f.Value)
	}
	if res.Length >= 0 && res.Status != http.StatusNoContent && res.Status != http.StatusNotModified {
		header.Set("Content-Length", strconv.FormatInt(res.Length, 10))
	}
	w.WriteHeader(res.Status)
	if res.Body == nil {
		return
	}
	if n, err := io.Copy(w, res.Body); !errors.Is(err, http.ErrBodyNotAllowed) && (err != nil || res.Length >= 0 && n != res.Length) {
		panic(http.ErrAbortHandler)
	}
}

// begun is a connection of which something was read already: r has all of it.
type begun struct {
	net.Conn
	r io.Reader
}

// Read implements io.Reader.
func (b begun) Read(p []byte) (int, error) { return b.r.Read(p) }

// oneConn listens for one connection that is there already.
type oneConn struct {
	conn   net.Conn
	addr   net.Addr
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (o *oneConn) Accept() (net.Conn, error) {
	if c := o.conn; c != nil {
		o.conn = nil
		return c, nil
	}
	<-o.closed
	return nil, net.ErrClosed
}

func (o *oneConn) end() { o.once.Do(func() { close(o.closed) }) }

// Close implements net.Listener.
func (o *oneConn) Close() error {
	o.end()
	return nil
}

// Addr implements net.Listener.
func (o *oneConn) Addr() net.Addr { return o.addr }
