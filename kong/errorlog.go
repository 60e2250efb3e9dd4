package kong

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"kong-go-jwt/kong/wire"
)

// Lines for Kong's error log.
//
// What a plugin server prints is logged by Kong at level info, which a default
// Kong drops. The PDK's kong.log is seen, but it takes an event to carry it. A
// line about a request goes with that request's event (session.tell), so that
// Kong adds client, path and request id. A warning about nothing in particular
// waits in an errorLog for the next event.

// line is a line for Kong's error log.
type line struct {
	level slog.Level
	text  string
}

// levelNotice is what a default Kong just lets through.
const levelNotice = slog.LevelInfo + 2

// log writes a line to Kong's error log.
func (b *batch) log(l line) {
	method := "kong.log.notice"
	switch {
	case l.level >= slog.LevelError:
		method = "kong.log.err"
	case l.level >= slog.LevelWarn:
		method = "kong.log.warn"
	}
	b.call(method, func(b []byte) []byte {
		return wire.AppendMessage(b, 1, func(b []byte) []byte { return wire.AppendStringValue(b, l.text) })
	})
}

const (
	oneIn        = time.Second // how often a line of a kind is written
	linesWaiting = 16          // most lines of a kind that wait
	// lineLength leaves room for what Kong adds: nginx cuts a line at 2048 bytes.
	lineLength = 1024
)

// newLine renders a record, and the attributes that its logger has.
func newLine(prefix string, r *slog.Record, with []slog.Attr) line {
	var b strings.Builder
	b.WriteString(prefix + r.Message)
	add := func(a slog.Attr) bool {
		b.WriteString(" " + a.Key + "=" + quoted(a.Value.String()))
		return true
	}
	for _, a := range with {
		add(a)
	}
	r.Attrs(add)
	text := b.String()
	if len(text) > lineLength {
		text = strings.ToValidUTF8(text[:lineLength], "") + "…"
	}
	return line{r.Level, text}
}

// quoted is s, in quotes where it would not be seen where it ends.
func quoted(s string) string {
	if s == "" || strings.ContainsFunc(s, func(c rune) bool {
		return c == ' ' || c == '"' || c == '=' || c == utf8.RuneError || !strconv.IsPrint(c)
	}) {
		return strconv.Quote(s)
	}
	return s
}

// errorLog holds lines about nothing in particular until an event takes them to
// Kong: of each kind at most one a second, in their order, and none twice while
// it waits. Kinds are told apart by their message, which is one of a few
// constants. It is safe for concurrent use.
type errorLog struct {
	now func() time.Time
	due atomic.Int64 // when the next line may go, nanoseconds since 1970; 0: none waits

	mu    sync.Mutex
	kinds map[string]*kind
}

type kind struct {
	waiting  []line
	next     time.Time // when one may go
	unlogged int       // lines that were dropped since one went
}

func newErrorLog(now func() time.Time) *errorLog {
	return &errorLog{now: now, kinds: make(map[string]*kind)}
}

// logger prints to h, and has warnings and errors wait for an event.
func (l *errorLog) logger(h slog.Handler) *slog.Logger {
	return slog.New(&carrying{Handler: h, lines: l})
}

func (l *errorLog) add(message string, to line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.kinds[message]
	if k == nil {
		k = new(kind)
		l.kinds[message] = k
	}
	if len(k.waiting) >= linesWaiting || slices.Contains(k.waiting, to) {
		k.unlogged++
		return
	}
	k.waiting = append(k.waiting, to)
	l.schedule()
}

// schedule sets due.
func (l *errorLog) schedule() {
	var due int64
	for _, k := range l.kinds {
		if at := max(1, k.next.UnixNano()); len(k.waiting) > 0 && (due == 0 || at < due) {
			due = at
		}
	}
	l.due.Store(due)
}

// take returns the lines that may go now. When none waits, that costs one
// atomic load. On a nil *errorLog none ever does.
func (l *errorLog) take() (lines []line) {
	if l == nil {
		return nil
	}
	due := l.due.Load()
	if due == 0 {
		return nil
	}
	now := l.now()
	if isSoon(time.Duration(due - now.UnixNano())) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.kinds {
		if len(k.waiting) == 0 || isSoon(k.next.Sub(now)) {
			continue
		}
		first := k.waiting[0]
		if k.unlogged > 0 {
			first.text += " unlogged=" + strconv.Itoa(k.unlogged)
		}
		lines = append(lines, first)
		k.waiting, k.next, k.unlogged = k.waiting[1:], now.Add(oneIn), 0
	}
	l.schedule()
	return lines
}

// isSoon tells whether a line has to wait for d. If that is longer than any has to, the
// clock was set back.
func isSoon(d time.Duration) bool { return 0 < d && d <= oneIn }

// carrying is a [slog.Handler] whose warnings and errors are also carried to
// Kong's error log.
type carrying struct {
	slog.Handler

	lines *errorLog
	attrs []slog.Attr
}

// Handle implements [slog.Handler].
func (c *carrying) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		c.lines.add(r.Message, newLine("go-jwt: not about this request: ", &r, c.attrs))
	}
	return c.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (c *carrying) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &carrying{c.Handler.WithAttrs(attrs), c.lines, append(slices.Clip(c.attrs), attrs...)}
}

// WithGroup implements [slog.Handler]. Groups are printed only.
func (c *carrying) WithGroup(name string) slog.Handler {
	return &carrying{c.Handler.WithGroup(name), c.lines, c.attrs}
}
