package kong

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How connections are waited for, on Linux.
//
// Go's own way, a goroutine for each connection, costs an event some five reads
// that find nothing and as many switches between goroutines. What the plugin
// does for most events takes a few microseconds and waits for nothing, so one
// thread can do it for all connections, as nginx does: a loop waits with
// epoll(7), level-triggered, reads once from each connection that has something,
// and serves what it can on the spot (session.mustNot). Only an event that must
// wait, for the Admin API or a costly signature, or that is much to read
// (mostOnLoop), and a call that starts an instance, is handed to a goroutine, with its
// connection, until it is served.
// What a worker does not take yet is kept, and written when epoll says that it
// will.
//
// Kong answers each call with a write or two, and each of them would wake the
// loop, which costs both sides. But a worker that has several events under way
// works them off one after the other, so nothing is gained by being quick: then
// the loop sleeps a little before it looks again (see pause), and finds much at
// once. A worker with few events is served without delay.
//
// Goroutines are bounded by Kong's connections, and the threads in which one of
// them waits for Kong by waitersAtOnce.

// accept serves connections with one loop for two CPUs, since Kong needs the
// others.
func (s *Server) accept(ctx context.Context, l *net.UnixListener, noMore, stop <-chan struct{}) error {
	file, err := l.File()
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	defer func() { _ = file.Close() }()
	if err := l.Close(); err != nil { // file is another descriptor of the same socket
		return fmt.Errorf("listening: %w", err)
	}
	fd := int(file.Fd()) // once: each call makes it blocking again
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	var done sync.WaitGroup
	defer done.Wait()
	waiters := make(chan struct{}, waitersAtOnce)
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		o, err := newLoop(ctx, s, fd, waiters)
		if err != nil {
			return err
		}
		done.Go(o.run)
		done.Go(func() {
			<-noMore
			o.do(o.drain)
			<-stop
			o.do(o.stop)
		})
	}
	return nil
}

// loop serves connections on one thread. What is in it belongs to that thread,
// but for the part below mu.
type loop struct {
	ctx      context.Context //nolint:containedctx // of the calls it serves
	server   *Server
	poll     int // descriptors
	listener int
	wake     int
	open     map[int32]*served
	spare    []*served // closed, for their buffers: see take
	draining bool
	stopped  bool
	waiters  chan struct{} // see descriptor

	workers map[int32]*worker // by process id
	// newcomers is the worker of connections of which it is not yet known; see know.
	newcomers *worker
	owing     int           // workers that owe something
	owed      int           // connections on which something is owed
	each      time.Duration // see pause

	mu    sync.Mutex
	tasks []func() // to be done on the loop's thread
}

// served is a connection.
type served struct {
	session
	fd      int32
	waiting bool // an event has begun, and waits for answers; or a call was handed over
	away    bool // a goroutine serves it
	owed    bool // Kong will send something without being asked for more
	retired bool // half-closed: what still comes is not served
	worker  *worker
	known   bool  // a call has come before
	after   error // what ends the connection once all is written; nil: nothing
}

// mostOnLoop is how many bytes of Kong's answers an event may bring to be served
// on the loop. To take that many apart takes some 100 µs at worst, which is for
// how long everybody else waits; see BenchmarkParse here and in plugin, which leaves long
// tokens to a goroutine itself.
const mostOnLoop = 8 << 10

// worker is a process of Kong.
type worker struct {
	id    int32
	conns int
	owed  int // connections on which it owes something
}

func newLoop(ctx context.Context, s *Server, listener int, waiters chan struct{}) (*loop, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	o := &loop{
		ctx: ctx, server: s, poll: poll, listener: listener, wake: wake, waiters: waiters,
		open: make(map[int32]*served), workers: make(map[int32]*worker), newcomers: new(worker), each: pauseStart,
	}
	return o, errors.Join(o.watch(wake, unix.EPOLLIN), o.listen())
}

// listen watches the listener. EPOLLEXCLUSIVE: a new connection wakes one loop
// only.
func (o *loop) listen() error { return o.watch(o.listener, unix.EPOLLIN|unix.EPOLLEXCLUSIVE) }

func (o *loop) watch(fd int, events uint32) error {
	err := unix.EpollCtl(o.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
	if err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

func (o *loop) unwatch(fd int) {
	_ = unix.EpollCtl(o.poll, unix.EPOLL_CTL_DEL, fd, nil)
}

// do has the loop's thread do a task. It may be called from any goroutine.
func (o *loop) do(task func()) {
	o.mu.Lock()
	o.tasks = append(o.tasks, task)
	o.mu.Unlock()
	_, _ = unix.Write(o.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// drain has the connections end as soon as nothing is under way on them. New
// ones are still accepted, each for one call: Kong may have found this socket
// before its successor took the path over, and waits in line.
func (o *loop) drain() {
	o.draining = true
	for _, c := range o.open {
		o.retire(c)
	}
}

// retire half-closes a connection on which nothing is under way. Kong drops it
// from its pool when it sees the end. If it sends an event at that moment, it
// finds the end instead of an answer and begins the event anew on another
// connection; to close the other half too would make that a reset, and a 500.
func (o *loop) retire(c *served) {
	if c.waiting || c.skip > 0 || c.retired || !c.in.Empty() || len(c.unsent) > 0 {
		return
	}
	c.retired = true
	_ = unix.Shutdown(int(c.fd), unix.SHUT_WR)
}

func (o *loop) stop() {
	o.stopped = true
	for _, c := range o.open {
		if !c.away { // else its descriptor is in use, and ends with the process
			o.close(c)
		}
	}
}

func (o *loop) run() {
	const atOnce = 128
	events := make([]unix.EpollEvent, atOnce)
	yielded := time.Now()
	for !o.stopped {
		if time.Since(yielded) > yieldEvery {
			runtime.Gosched()
			yielded = time.Now()
		}
		paused := o.pause()
		n, err := unix.EpollWait(o.poll, events, -1)
		if paused {
			o.learn(n)
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			o.server.log.Error("epoll_wait", "why", err)
			os.Exit(1) // Kong starts another
		}
		for i := range max(n, 0) {
			switch fd := events[i].Fd; fd {
			case int32(o.listener):
				o.accept()
			case int32(o.wake):
				o.work()
			default:
				switch c := o.open[fd]; {
				case c == nil:
				case len(c.unsent) > 0:
					o.writable(c)
				default:
					o.readable(c)
				}
			}
		}
	}
}

// yieldEvery is how often the loop lets other goroutines run. One that has not done
// so for 10 ms is taken for one that hogs its processor, and Go's monitor thread
// looks after it every 20 µs (runtime.sysmon), for a third of the loop's own CPU time.
const yieldEvery = 4 * time.Millisecond

// How long pause sleeps.
const (
	pauseFew   = 4 // events of a worker: for fewer, not at all
	pauseMost  = 250 * time.Microsecond
	pauseStart = 10 * time.Microsecond // for each event
	pauseEach  = 20 * time.Microsecond // for each event, at most
)

// pause sleeps for about as long as a worker takes for a part of what it owes,
// if that is much. It reports whether it did.
func (o *loop) pause() bool {
	if o.owing == 0 || o.owed < pauseFew*o.owing {
		return false
	}
	t := unix.NsecToTimespec(min(time.Duration(o.owed/o.owing)*o.each, pauseMost).Nanoseconds())
	_ = unix.Nanosleep(&t, nil)
	return true
}

// learn adapts the pause to how many connections had something after it: a
// quarter to a half of those on which something is owed. With more, workers may
// have run out of work.
func (o *loop) learn(ready int) {
	switch {
	case ready*2 > o.owed:
		o.each -= o.each / 8
	case ready*4 < o.owed:
		o.each = min(o.each+o.each/8+1, pauseEach)
	}
}

// account keeps count of what is owed after c was served.
func (o *loop) account(c *served) {
	o.owe(c, (c.waiting || c.skip > 0) && o.open[c.fd] == c)
}

func (o *loop) owe(c *served, owed bool) {
	if owed == c.owed {
		return
	}
	c.owed = owed
	if owed {
		o.owed++
		if c.worker.owed++; c.worker.owed == 1 {
			o.owing++
		}
	} else {
		o.owed--
		if c.worker.owed--; c.worker.owed == 0 {
			o.owing--
		}
	}
}

func (o *loop) work() {
	var count [8]byte
	_, _ = unix.Read(o.wake, count[:])
	o.mu.Lock()
	tasks := o.tasks
	o.tasks = nil
	o.mu.Unlock()
	for _, task := range tasks {
		task()
	}
}

// accept accepts the connections that wait, and reads from them: a worker writes
// its call as soon as it has connected.
func (o *loop) accept() {
	const atOnce = 64 // then the others are served
	for range atOnce {
		fd, _, err := unix.Accept4(o.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EINTR):
		case err != nil:
			o.server.faults.log(o.server.log, "cannot accept a connection", err)
			o.rest()
			return
		default:
			o.take(fd)
		}
	}
}

// take serves a connection from now on.
func (o *loop) take(fd int) {
	c := new(served)
	if last := len(o.spare) - 1; last >= 0 { // a refusal takes a connection each
		c, o.spare = o.spare[last], o.spare[:last]
	}
	*c = served{fd: int32(fd), worker: o.newcomers, session: c.session.renewed(o.server)}
	c.conn, c.in.R, c.mustNot = offered(fd), arrived(fd), true
	if err := o.watch(fd, unix.EPOLLIN); err != nil {
		o.server.faults.log(o.server.log, "cannot accept a connection", err)
		_ = unix.Close(fd)
		return
	}
	o.newcomers.conns++
	o.server.conns.Add(1)
	o.open[c.fd] = c
	o.readable(c)
}

// know finds out to which worker a connection belongs. That is a system call, and
// not worth it for a connection that a refusal ends after its first event.
func (o *loop) know(c *served) {
	var id int32
	if peer, err := unix.GetsockoptUcred(int(c.fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
		id = peer.Pid
	}
	w := o.workers[id]
	if w == nil {
		w = &worker{id: id}
		o.workers[id] = w
	}
	o.owe(c, false) // until it is accounted for
	c.worker.conns--
	c.worker = w
	w.conns++
}

// rest does not listen for a moment: out of descriptors, or of memory, the loop
// would be told of the same connection over and over.
func (o *loop) rest() {
	const moment = 100 * time.Millisecond
	o.unwatch(o.listener)
	time.AfterFunc(moment, func() {
		o.do(func() {
			if err := o.listen(); err != nil {
				o.server.log.Error("cannot listen on the socket", "why", err)
				os.Exit(1) // Kong starts another
			}
		})
	})
}

func (o *loop) close(c *served) {
	if c.waiting {
		o.server.busy.Add(-1)
	}
	delete(o.open, c.fd)
	o.server.conns.Add(-1)
	o.account(c)
	if c.worker.conns--; c.worker.conns == 0 && c.worker != o.newcomers {
		delete(o.workers, c.worker.id)
	}
	_ = unix.Close(int(c.fd))
	const most = 64
	if len(o.spare) < most {
		o.spare = append(o.spare, c)
	}
}

// end closes a connection because of err.
func (o *loop) end(c *served, err error) {
	if err = ended(err); !errors.Is(err, errEnded) {
		o.server.closed.log(o.server.log, "connection closed", err)
	}
	o.close(c)
}

// readable reads once from a connection that has something, and serves what
// that was.
func (o *loop) readable(c *served) {
	err := c.in.Fill(1)
	if err == nil && c.in.Empty() {
		return // nothing has come yet
	}
	if errors.Is(err, io.EOF) && !c.retired && c.in.Partial() {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && c.retired {
		c.in.Discard()
	} else if err == nil {
		err = o.advance(c)
	}
	o.settle(c, err)
}

// writable writes more of what a worker did not take at once, and then goes on.
func (o *loop) writable(c *served) {
	rest := c.unsent
	c.unsent = nil
	err := c.write(rest)
	if err == nil && len(c.unsent) > 0 {
		return
	}
	if err == nil {
		err = o.listenFor(c, unix.EPOLLIN)
	}
	if err == nil {
		err, c.after = c.after, nil
	}
	if err == nil {
		err = o.advance(c)
	}
	o.settle(c, err)
}

func (o *loop) listenFor(c *served, events uint32) error {
	if err := unix.EpollCtl(o.poll, unix.EPOLL_CTL_MOD, int(c.fd), &unix.EpollEvent{Events: events, Fd: c.fd}); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// settle ends a connection because of err, when all is written, or keeps count
// of it.
func (o *loop) settle(c *served, err error) {
	if len(c.unsent) > 0 {
		c.after = err
		if err = o.listenFor(c, unix.EPOLLOUT); err == nil {
			return
		}
	}
	if err != nil {
		o.end(c, err)
		return
	}
	o.account(c)
	if o.draining {
		o.retire(c)
	}
}

// advance serves a connection as far as what has arrived allows.
func (o *loop) advance(c *served) error {
	for len(c.unsent) == 0 {
		if c.ending {
			c.in.Discard()
			return nil
		}
		if !c.waiting {
			frame, err := c.nextCall()
			if frame == nil || err != nil {
				return err
			}
			if c.known && c.worker == o.newcomers {
				o.know(c)
			}
			c.known = true
			isEvent, err := c.beginSafely(frame)
			if errors.Is(err, errMustWait) {
				c.waiting = true
				o.server.busy.Add(1)
				o.handOver(c, func(context.Context) error {
					_, err := c.beginSafely(frame)
					return err
				})
				return nil
			}
			if err != nil {
				return err
			}
			if !isEvent || c.ending { // answered already
				continue
			}
			c.waiting = true
			o.server.busy.Add(1)
		}
		if there, err := c.in.Has(c.awaited()); !there {
			return err
		}
		if c.in.Waiting() > mostOnLoop {
			o.handOver(c, c.finish)
			return nil
		}
		mark := c.in.Mark()
		if err := c.finish(o.ctx); errors.Is(err, errMustWait) {
			c.in.Rewind(mark)
			o.handOver(c, c.finish)
			return nil
		} else if err != nil {
			return err
		}
		o.server.busy.Add(-1)
		c.waiting = false
	}
	return nil
}

// nextCall returns the next call, nil if it has not arrived.
func (s *session) nextCall() ([]byte, error) {
	for ; s.skip > 0; s.skip-- {
		if there, err := s.in.Has(1); !there {
			return nil, err
		}
		if _, err := s.in.Next(); err != nil {
			return nil, err
		}
	}
	s.in.Release()
	if there, err := s.in.Has(1); !there {
		return nil, err
	}
	return s.in.Next()
}

// handOver has a goroutine serve what must wait: a call, or the rest of an event.
func (o *loop) handOver(c *served, serve func(context.Context) error) {
	o.unwatch(int(c.fd))
	c.away = true
	go func() {
		d := descriptor{int(c.fd), o.waiters}
		c.mustNot, c.in.R, c.conn = false, d, d
		err := serve(o.ctx)
		c.mustNot, c.in.R, c.conn = true, arrived(c.fd), offered(c.fd)
		o.do(func() {
			c.away = false
			if err == nil {
				err = o.watch(int(c.fd), unix.EPOLLIN)
			}
			if err == nil {
				o.server.busy.Add(-1)
				c.waiting = false
				err = o.advance(c)
			}
			o.settle(c, err)
		})
	}()
}

// arrived is a socket of which only what is there is read, which may be nothing.
type arrived int

// Read implements io.Reader.
func (a arrived) Read(b []byte) (int, error) {
	n, err := unix.Read(int(a), b)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return 0, nil
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// offered is a socket to which only what it takes at once is written.
type offered int

// Write implements io.Writer. The error is errLater if there was more.
func (f offered) Write(b []byte) (written int, err error) {
	for written < len(b) {
		n, err := unix.Write(int(f), b[written:])
		switch {
		case errors.Is(err, unix.EAGAIN):
			return written, errLater
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return written, err
		default:
			written += n
		}
	}
	return written, nil
}

// descriptor is a non-blocking socket. Its methods wait where they must, for
// which they need a thread: a waiter.
type descriptor struct {
	fd      int
	waiters chan struct{}
}

const (
	waitersAtOnce = 256
	// waitMost is for how long Kong may not read, or not answer. It gives a
	// plugin server as much time.
	waitMost = 60 * time.Second
)

// Read implements io.Reader.
func (d descriptor) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(d.fd, b)
		switch {
		case errors.Is(err, unix.EAGAIN):
			if err := d.wait(unix.POLLIN); err != nil {
				return 0, err
			}
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Write implements io.Writer.
func (d descriptor) Write(b []byte) (written int, err error) {
	for {
		n, err := offered(d.fd).Write(b[written:])
		if written += n; !errors.Is(err, errLater) {
			return written, err
		}
		if err := d.wait(unix.POLLOUT); err != nil {
			return written, err
		}
	}
}

var errNoAnswer = errors.New("the event was abandoned")

func (d descriptor) wait(events int16) error {
	d.waiters <- struct{}{}
	defer func() { <-d.waiters }()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(d.fd), Events: events}}, int(waitMost.Milliseconds()))
	if n == 0 && err == nil {
		return errNoAnswer
	}
	return nil // the next call tells
}
