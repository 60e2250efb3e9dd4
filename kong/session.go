package kong

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"syscall"
	"time"

	"kong-go-jwt/kong/wire"
	"kong-go-jwt/plugin"
)

// session is one connection from a Kong worker. It serves one call at a time.
//
// An event is served in two halves, so that it can wait for Kong's answers in
// either of two ways: begin writes the reads, and finish takes it from there
// once the answers have come. In a session that must not wait (see loop_linux.go), either
// returns errMustWait instead of waiting. It has written nothing then, and can be called
// again.
type session struct {
	server *Server
	conn   io.Writer
	in     wire.Reader
	out    batch
	skip   int    // answers to void calls that have not been read yet
	unsent []byte // what Kong did not take at once, when mustNot; nothing else may be done before

	instance  *instance // of the event under way
	event     wire.EventCall
	began     time.Time // zero: not an event, or nobody wants to know
	mustNot   bool      // wait
	answered  bool      // the event under way was ended: nothing more may be written for it
	asked     int       // calls of the event whose answer matters
	got       int       // answers to them that were read
	ending    bool      // Kong will close the connection: until then, it is only read from
	variables bool      // the event's reads are those of the nginx variable
	request   plugin.Request
	grpc      bool // it is a gRPC call, as far as is known
	absent    absent
	removed   []byte // headers to be removed beside (appendRemovals), for they may have come
	lines     []line // about the request, to be carried by the event
}

var (
	// errEnded ends a session without a word in the log: Kong has closed it, or
	// there is nothing left to say.
	errEnded    = errors.New("ended")
	errMustWait = errors.New("must wait")
	// errLater is the error of a write that would have to wait.
	errLater = errors.New("no room at the moment")
)

// renewed returns a session that has nothing of s but its buffers.
func (s *session) renewed(server *Server) session {
	s.in.Reset()
	const most = 64 << 10
	if cap(s.out.bytes) > most {
		s.out.bytes = nil
	}
	return session{
		server: server, in: s.in, out: batch{bytes: s.out.bytes[:0]}, lines: s.lines[:0],
		request: plugin.Request{Headers: s.request.Headers[:0]},
	}
}

func ended(err error) error {
	for _, harmless := range []error{io.EOF, net.ErrClosed, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, harmless) {
			return errEnded
		}
	}
	return err
}

// begin starts to serve a call: it writes the answer, or an event's reads.
func (s *session) begin(frame []byte) (isEvent bool, err error) {
	s.server.calls.Add(1)
	s.answered = false
	s.event, isEvent = wire.ParseEventCall(frame)
	s.began = time.Time{}
	if !isEvent {
		if s.mustNot && wire.IsStartCall(frame) { // it may have many keys to make ready
			return false, errMustWait
		}
		answer, err := s.server.instances.call(frame)
		if err != nil {
			return false, err
		}
		return false, s.write(wire.AppendFrame(s.out.bytes[:0], func(b []byte) []byte { return append(b, answer...) }))
	}
	s.began, s.lines, s.grpc = s.server.metrics.now(), s.lines[:0], false
	s.instance = s.server.instances.get(s.event.Instance)
	switch {
	case s.instance == nil:
		// Kong knows it from an earlier server process. On a closed connection
		// it starts the instance anew, and then the event.
		return true, fmt.Errorf("no plugin instance %d", s.event.Instance)
	case s.instance.engine == nil:
		s.variables = false
		return true, s.write(s.instance.reads.plain.bytes)
	case string(s.event.Name) != "access":
		s.asked, s.got = 0, 0
		return true, s.exit(plugin.Failure(), nil)
	}
	r := s.instance.reads
	s.variables = s.instance.hasVariable()
	if s.variables {
		return true, s.write(r.variable.bytes)
	}
	return true, s.write(r.plain.bytes)
}

// beginSafely is begin, but that a panic ends this call alone.
func (s *session) beginSafely(frame []byte) (isEvent bool, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked(fault)
			err = s.exit(plugin.Failure(), nil)
		}
	}()
	return s.begin(frame)
}

// awaited is how many answers finish needs.
func (s *session) awaited() int {
	if s.variables {
		return s.instance.reads.variable.calls
	}
	return s.instance.reads.plain.calls
}

// finish serves the rest of an event. Whatever goes wrong ends the request: an
// event that merely ends is an allowed request.
func (s *session) finish(ctx context.Context) (err error) {
	s.asked, s.got = s.awaited(), 0
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked(fault)
			err = s.exit(plugin.Failure(), nil)
		}
	}()
	if s.instance.engine == nil {
		return s.refuse()
	}
	no, err := s.read(s.instance.reads)
	switch {
	case errors.Is(err, errMustWait):
		return err
	case err != nil:
		return s.fail(err)
	case no != nil:
		s.tellRefusal(&plugin.Outcome{Refusal: no})
		return s.exit(no, nil)
	}
	var out plugin.Outcome
	if s.mustNot {
		var decided bool
		if out, decided = s.instance.engine.DecideNow(&s.request); !decided {
			return errMustWait
		}
	} else {
		out = s.instance.engine.Decide(ctx, &s.request, s)
	}
	s.tellOf(&out)
	switch {
	case out.Refusal != nil:
		return s.exit(out.Refusal, out.Log)
	case out.Reply != nil:
		return s.reply(&out)
	}
	return s.allow(&out)
}

// refuse refuses a request because of the configuration.
func (s *session) refuse() error {
	if err := s.readUndecided(); err != nil {
		return s.fail(err)
	}
	s.tell(&s.instance.limit, slog.LevelError, configurationRefused, s.instance.fault...)
	return s.exit(plugin.Misconfigured(), nil)
}

// fail ends the request after a failed exchange with Kong, if it can still be.
func (s *session) fail(err error) error {
	if errors.Is(ended(err), errEnded) {
		return errEnded // Kong has ended the request itself
	}
	no := plugin.Failure()
	s.tellFault(no.Reason, err)
	return s.exit(no, nil)
}

// read fills s.request from the answers to what begin has written.
func (s *session) read(r *reads) (no *plugin.Refusal, err error) {
	s.request = plugin.Request{Headers: s.request.Headers[:0]}
	s.absent, s.removed = absent{}, nil
	if s.variables {
		done, no, err := s.readVariable(r)
		if done || no != nil || err != nil {
			return no, err
		}
		if err := s.ask(&r.plain); err != nil {
			return nil, err
		}
	}
	unsure := false // whether it is a gRPC call
	if r.headers {
		headers, no, err := s.headers()
		if no != nil || err != nil {
			return no, err
		}
		r.fromHeaders(headers, &s.request)
		unsure = !s.grpc && mayBeGRPC(headers)
	}
	if r.authorization {
		value, err := s.text()
		if err != nil {
			return nil, err
		}
		s.request.Headers = append(s.request.Headers, value)
	}
	if r.query {
		if s.request.Query, err = s.text(); err != nil {
			return nil, err
		}
	}
	if r.method {
		if s.request.Method, err = s.text(); err != nil {
			return nil, err
		}
	}
	if err := s.rest(r, false); err != nil || !unsure {
		return nil, err
	}
	return nil, s.askProtocol()
}

// readVariable fills s.request by way of the nginx variable; it is not done if
// that cannot be had.
func (s *session) readVariable(r *reads) (done bool, no *plugin.Refusal, err error) {
	value, err := s.text()
	if err != nil {
		return false, nil, err
	}
	if err := s.rest(r, true); err != nil {
		return false, nil, err
	}
	c := s.server.carriedBy(s.instance, value)
	if c == nil {
		return false, nil, nil
	}
	s.grpc = c.isGRPC(value)
	by := r.coverBy(c)
	others, none, good := r.fromVariable(value, by, &s.request)
	if !good {
		return false, nil, nil
	}
	s.absent, s.removed = none, by.removed
	if !others {
		return true, nil, nil
	}
	var b batch
	b.getHeaders()
	if err := s.ask(&b); err != nil {
		return false, nil, err
	}
	headers, no, err := s.headers()
	if no == nil && err == nil {
		s.request.Disguised, s.removed = r.disguised(headers), nil
	}
	return true, no, err
}

var errAnswer = errors.New("cannot read Kong's answer")

// answer returns the next answer of Kong.
func (s *session) answer() ([]byte, error) {
	answer, err := s.in.Next()
	if err == nil {
		s.got++
	}
	return answer, err
}

func (s *session) text() ([]byte, error) {
	answer, err := s.answer()
	if err != nil {
		return nil, err
	}
	text, ok := wire.ParseString(answer)
	if !ok {
		return nil, errAnswer
	}
	return text, nil
}

func (s *session) headers() ([]wire.Header, *plugin.Refusal, error) {
	answer, err := s.answer()
	if err != nil {
		return nil, nil, err
	}
	headers, ok := wire.ParseHeaders(answer)
	if !ok {
		return nil, nil, errAnswer
	}
	total := 0
	for _, h := range headers {
		total += len(h.Values)
	}
	if total >= maxHeaders { // there may be more, of which nothing is known
		return nil, plugin.TooManyHeaders(), nil
	}
	return headers, nil, nil
}

// rest reads what the batches of reads end with.
func (s *session) rest(r *reads, byVariable bool) (err error) {
	if r.target && err == nil {
		s.request.Target, err = s.text()
	}
	if r.upstreamPath && err == nil {
		s.request.UpstreamPath, err = s.text()
	}
	if r.credential && err == nil {
		var answer []byte
		answer, err = s.answer()
		s.request.HasCredential = len(answer) > 0
	}
	if r.certificate && err == nil {
		s.request.Certificate, err = s.text()
	}
	if r.peer && err == nil {
		s.request.Peer, err = s.text()
	}
	if r.peer && byVariable && err == nil {
		s.request.CertificateHeader, err = s.text()
	}
	if r.proof && byVariable && err == nil {
		s.request.DPoP, err = s.text()
	}
	if r.proof && err == nil {
		err = s.target()
	}
	return err
}

// target reads what a DPoP proof must be of, beside method and path.
func (s *session) target() (err error) {
	for _, to := range []*[]byte{&s.request.HostHeader, &s.request.Scheme, &s.request.Host} {
		if *to, err = s.text(); err != nil {
			return err
		}
	}
	answer, err := s.answer()
	if err != nil {
		return err
	}
	var ok bool
	if s.request.Port, ok = wire.ParseInt(answer); !ok {
		return errAnswer
	}
	return nil
}

// Consumer implements [plugin.ConsumerSource] by kong.client.load_consumer.
func (s *session) Consumer(idOrUsername string) (*plugin.Consumer, error) {
	var b batch
	b.loadConsumer(idOrUsername)
	if err := s.ask(&b); err != nil {
		return nil, err
	}
	answer, err := s.answer()
	if err != nil {
		return nil, err
	}
	consumer, ok := wire.ParseConsumer(answer)
	if !ok {
		return nil, errAnswer
	}
	return toConsumer(consumer), nil
}

// allow lets the request go on to the upstream.
func (s *session) allow(o *plugin.Outcome) error {
	b := &s.out
	more := s.removed
	if len(s.request.Disguised) > 0 {
		more = appendRemovals(nil, s.request.Disguised)
	}
	b.answer(&o.Answer, s.absent, more)
	if o.Token != nil {
		b.shareToken(o.Token)
	}
	if o.Hidden != nil {
		b.hide(o.Hidden)
	}
	if o.DPoPNonce != "" {
		b.setResponseHeader("DPoP-Nonce", o.DPoPNonce)
	}
	s.carry(b)
	b.end(s.event.Sequence)
	s.answered = true
	s.skip = b.calls
	err := s.write(b.bytes)
	s.server.metrics.allowed(s.began, o)
	return err
}

// exit ends the request with a refusal.
func (s *session) exit(r *plugin.Refusal, log *plugin.Log) error {
	if s.answered {
		return errEnded
	}
	s.answered = true
	defer s.server.metrics.refused(s.began, r.Reason)
	s.out.bytes, s.out.calls = s.out.bytes[:0], 0
	if log != nil {
		s.out.serialize(log)
	}
	return s.leave(r.Encoded(s.grpc, encodeExit))
}

// reply ends the request with an answer to the client who is not refused.
func (s *session) reply(o *plugin.Outcome) error {
	s.answered = true
	defer s.server.metrics.allowed(s.began, o)
	s.out.bytes, s.out.calls = s.out.bytes[:0], 0
	return s.leave(encodeExit(o.Reply))
}

// leave ends the request with an answer to the client (encodeExit), behind the calls that are
// in the batch already. Kong closes the connection then. If it may still be
// writing before it does, the session must go on until that has come, since a
// write that fails would end the request with 500.
func (s *session) leave(exit []byte) error {
	s.carry(&s.out)
	s.out.bytes = append(s.out.bytes, exit...)
	if err := s.write(s.out.bytes); err != nil {
		return err
	}
	if s.got == s.asked && s.out.calls == 0 {
		return errEnded
	}
	s.ending = true
	return nil
}

// ask writes further calls, whose answers will be waited for.
func (s *session) ask(calls *batch) error {
	if s.mustNot {
		return errMustWait
	}
	s.asked += calls.calls
	return s.write(calls.bytes)
}

func (s *session) write(b []byte) error {
	if len(s.unsent) > 0 {
		s.unsent = append(s.unsent, b...)
		return nil
	}
	switch n, err := s.conn.Write(b); {
	case errors.Is(err, errLater):
		s.unsent = bytes.Clone(b[n:])
	case err != nil:
		return fmt.Errorf("writing to Kong: %w", err)
	}
	return nil
}
