package kong

import (
	"io"
	"time"

	"kong-go-jwt/plugin"
)

// EventCall is what ParseEventCall finds in a call.
type EventCall struct {
	Sequence uint64
	Instance int32
	Name     string
}

// ParseEventCall opens parseEventCall to tests.
func ParseEventCall(frame []byte) (EventCall, bool) {
	c, ok := parseEventCall(frame)
	return EventCall{c.sequence, c.instance, string(c.name)}, ok
}

// ParseString opens parseString to tests.
func ParseString(message []byte) (string, bool) {
	text, ok := parseString(message)
	return string(text), ok
}

// ParseHeaders opens parseHeaders to tests.
func ParseHeaders(message []byte) (map[string][]string, bool) {
	headers, ok := parseHeaders(message)
	m := make(map[string][]string, len(headers))
	for _, h := range headers {
		for _, v := range h.values {
			m[string(h.name)] = append(m[string(h.name)], string(v))
		}
	}
	return m, ok
}

// ParseConsumer opens parseConsumer to tests.
func ParseConsumer(message []byte) (*plugin.Consumer, bool) { return parseConsumer(message) }

// Frames reads all frames of r.
func Frames(r io.Reader) (frames [][]byte, err error) {
	in := frameReader{r: r}
	for {
		frame, err := in.next()
		if err != nil {
			return frames, err
		}
		frames = append(frames, frame)
	}
}

// ErrFrameTooLong is errFrameTooLong.
var ErrFrameTooLong = errFrameTooLong

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

func ExitBytes(r *plugin.Refusal) []byte {
	var b batch
	b.exit(r)
	return b.bytes
}

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
	m.watch(&Server{instances: &instances{}}, func() map[string]time.Duration { return map[string]time.Duration{"https://issuer": time.Minute} })
	m.refused(time.Now(), "no_token")
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
	in := *s.instances.get(like)
	in.id++
	in.engine, in.shared = new(plugin.Engine), nil
	s.instances.byID.Store(in.id, &in)
	return in.id
}
