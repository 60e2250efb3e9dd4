package kong

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"kong-go-jwt/kong/source"
	"kong-go-jwt/kong/wire"
	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/revocation"
	"kong-go-jwt/schema"
)

// Frames reads all frames of r.
func Frames(r io.Reader) (frames [][]byte, err error) {
	in := wire.Reader{R: r}
	for {
		frame, err := in.Next()
		if err != nil {
			return frames, err
		}
		frames = append(frames, frame)
	}
}

// The calls of a batch, as bytes.

func AuthenticateBytes(id *plugin.Identity) []byte {
	var b batch
	b.authenticate(id)
	return b.bytes
}

func SetHeadersBytes(headers []plugin.Header) []byte {
	var b batch
	b.setHeaders(headers)
	return b.bytes
}

func ShareTokenBytes(token []byte) []byte {
	var b batch
	b.shareToken(token)
	return b.bytes
}

func SetResponseHeaderBytes(name, value string) []byte {
	var b batch
	b.setResponseHeader(name, value)
	return b.bytes
}

// AnswerBytes begins a batch with the encoded grant. remove names the headers without a
// value that are removed: identity, others.
func AnswerBytes(g *plugin.Grant, remove string, more ...string) (b []byte, calls int) {
	a := encodeGrant(g)
	var out batch
	out.answer(&a, absent{identity: !strings.Contains(remove, "identity"), others: !strings.Contains(remove, "others")}, appendRemovals(nil, more))
	return out.bytes, out.calls
}

func ExitBytes(r *plugin.Refusal, grpc bool) []byte { return r.Encoded(grpc, encodeExit) }

func EndBytes(sequence uint64) []byte {
	var b batch
	b.end(sequence)
	return b.bytes
}

func LoadConsumerBytes(id string) []byte {
	var b batch
	b.loadConsumer(id)
	return b.bytes
}

// MetricNames returns the names of all metrics of a server.
func MetricNames() (names []string, err error) {
	m := newMetrics("test")
	m.watch(&Server{instances: &instances{}}, oneIssuer{}, oneList{})
	m.refused(time.Now(), "no_token")
	m.Using("node")
	m.used("key", 1)
	families, err := m.registry.Gather()
	for _, f := range families {
		names = append(names, f.GetName())
	}
	return names, err
}

// MeteredEvent returns what is done for the metrics of one event.
func MeteredEvent(on bool) func() {
	var m *metrics
	if on {
		m = newMetrics("test")
	}
	o := &plugin.Outcome{Kind: plugin.Remembered}
	return func() { m.allowed(m.now(), o) }
}

// BrokenInstance starts an instance like another one, whose engine panics.
func BrokenInstance(s *Server, like int32) int32 {
	in := &instance{id: like + 1, reads: s.instances.get(like).reads, engine: new(plugin.Engine)}
	s.instances.byID.Store(in.id, in)
	return in.id
}

// ErrorLog opens the lines that wait for an event: a logger whose warnings wait,
// and what the next event would carry, each line as "level TEXT".
func ErrorLog(now func() time.Time, print slog.Handler) (log *slog.Logger, take func() []string) {
	l := newErrorLog(now)
	return l.logger(print), func() (texts []string) {
		for _, line := range l.take() {
			texts = append(texts, line.level.String()+" "+line.text)
		}
		return texts
	}
}

// LogBytes is the call that writes a line to Kong's error log.
func LogBytes(level slog.Level, text string) []byte {
	var b batch
	b.log(line{level, text})
	return b.bytes
}

// oneIssuer is one whose keys were fetched a minute ago.
type oneIssuer struct{}

func (oneIssuer) Ages() map[string]time.Duration {
	return map[string]time.Duration{"https://issuer": time.Minute}
}

func (oneIssuer) Unknown() map[string]error { return nil }

type oneList struct{}

func (oneList) Status() []revocation.Status { return []revocation.Status{{URL: "https://lists"}} }

func (oneList) Unknown() map[string]error { return nil }

// Readiness opens /readyz to tests: its handler, and what it is told.
func Readiness(now func() time.Time, issuers, lists func() map[string]error) (h http.Handler, lookedUp func(error), watching func(bool)) {
	r := &readiness{now: now, issuers: issuers, lists: lists}
	return r, r.lookedUp, r.watching
}

// HoldStarts has instances that are to be started wait until release is called.
func HoldStarts(s *Server) (release func()) {
	s.instances.mu.Lock()
	return s.instances.mu.Unlock
}

// Connections is how many connections a server has.
func Connections(s *Server) int64 { return s.conns.Load() }

// ServeOperations is serveOperations.
func ServeOperations(ctx context.Context, address string, h http.Handler, log *slog.Logger) {
	serveOperations(ctx, address, h, log)
}

// Reading is what an event does with what it has read under that configuration: with the
// value of the nginx variable, and with the answer of get_headers. Each reports whether
// it could use it.
func Reading(config string) (variable, headers func(answer []byte) bool, err error) {
	c, err := schema.Parse([]byte(config))
	if err != nil {
		return nil, nil, err
	}
	r, request := newReads(c), new(plugin.Request)
	again := func() *plugin.Request {
		*request = plugin.Request{Headers: request.Headers[:0]}
		return request
	}
	variable = func(value []byte) bool {
		tag, _, _ := bytes.Cut(value, []byte("\n"))
		of := parseCarried(string(tag))
		if of == nil {
			return false
		}
		_, _, good := r.fromVariable(value, r.coverBy(of), again())
		return good
	}
	headers = func(answer []byte) bool {
		all, ok := wire.ParseHeaders(answer)
		if ok {
			r.fromHeaders(all, again())
		}
		return ok
	}
	return variable, headers, nil
}

// FromVariable reads a request from a value of the nginx variable, as far as c lets it.
// good tells that nothing else has to be read.
func FromVariable(c *schema.Config, value string) (r *plugin.Request, others bool, none string, good bool) {
	r = new(plugin.Request)
	reads := newReads(c)
	tag, _, _ := strings.Cut(value, "\n")
	by := parseCarried(tag)
	if by == nil {
		return r, false, "", false
	}
	others, n, good := reads.fromVariable([]byte(value), reads.coverBy(by), r)
	if n.identity {
		none += " no identity"
	}
	if n.others {
		none += " no others"
	}
	return r, others, none, good
}

// Asked is what is asked Kong for: without the nginx variable, or beside it.
func Asked(c *schema.Config) string {
	r := newReads(c)
	var all []string
	for _, what := range []struct {
		name string
		is   bool
	}{
		{"authorization", r.authorization},
		{"headers", r.headers},
		{"query", r.query},
		{"method", r.method},
		{"target", r.target},
		{"upstream path", r.upstreamPath},
		{"credential", r.credential},
		{"certificate", r.certificate},
		{"peer", r.peer},
		{"proof", r.proof},
	} {
		if what.is {
			all = append(all, what.name)
		}
	}
	return strings.Join(all, ", ")
}

// Calls is how many answers of Kong the batches bring.
func Calls(c *schema.Config) (variable, plain int) {
	r := newReads(c)
	return r.variable.calls, r.plain.calls
}

// Variable is what a server makes of the values of the nginx variable that it sees, for an
// instance of a configuration.
type Variable struct {
	s  *Server
	in instance
}

// NewVariable returns one of which no value was seen.
func NewVariable(c *schema.Config, log *slog.Logger) *Variable {
	return &Variable{s: &Server{log: log}, in: instance{reads: newReads(c)}}
}

// Another is that of an instance of the same configuration that another worker has started.
func (v *Variable) Another() *Variable { return &Variable{s: v.s, in: instance{reads: v.in.reads}} }

// See reports whether a value can be read, and whether nginx removes identity headers.
func (v *Variable) See(value string) (readable, edge bool) {
	c := v.s.carriedBy(&v.in, []byte(value))
	return c != nil, c != nil && c.edge
}

// IsTried reports whether the next request is read from the variable.
func (v *Variable) IsTried() bool { return v.in.hasVariable() }

// Metered returns the values of all metrics after do, by name and labels, with issuers
// whose keys are not known.
func Metered(issuers map[string]error, do func(source.Metrics)) (map[string]float64, error) {
	m := newMetrics("test")
	m.watch(&Server{instances: &instances{}}, oneIssuer{}, oneList{})
	m.ready.issuers = func() map[string]error { return issuers }
	m.ready.lists = func() map[string]error { return nil }
	do(m)
	families, err := m.registry.Gather()
	values := map[string]float64{}
	for _, f := range families {
		for _, one := range f.GetMetric() {
			name := f.GetName()
			for _, label := range one.GetLabel() {
				name += " " + label.GetValue()
			}
			values[name] = one.GetGauge().GetValue() + one.GetCounter().GetValue()
		}
	}
	return values, err
}
