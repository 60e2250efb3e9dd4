package kong

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"kong-go-jwt/plugin"
)

const requestRefused = "request refused"

// tellOf tells of a decision what somebody may have to mend.
func (s *session) tellOf(out *plugin.Outcome) {
	if out.Warning != nil {
		s.tellAndPrint(&s.server.warnings, slog.LevelWarn, "problem with a credential", "why", out.Warning)
	}
	switch {
	case out.Shadowed != nil:
		told := []any{"reason", out.Shadowed.Reason}
		if out.Fault != nil {
			told = append(told, "why", out.Fault)
		}
		s.tellAndPrint(&s.server.shadowed, slog.LevelWarn, "shadow: would be refused", told...)
	case out.Refusal != nil && out.Fault != nil:
		s.tellFault(out.Refusal.Reason, out.Fault)
	case out.Refusal != nil:
		s.tellRefusal(out)
	}
}

// tellFault tells that a request is refused because something failed on this side.
func (s *session) tellFault(reason plugin.Reason, why error) {
	s.tellAndPrint(&s.server.faults, slog.LevelError, requestRefused, "reason", reason, "why", why)
}

// tellRefusal tells why a request is refused. It is no warning: clients send bad
// tokens at all times.
func (s *session) tellRefusal(out *plugin.Outcome) {
	limit := s.server.refused[out.Refusal.Reason]
	if limit == nil {
		return // a test holds every reason to be in the table
	}
	if unlogged, ok := limit.allow(); ok {
		s.note(unlogged, levelNotice, requestRefused, out.Told()...)
	}
}

// panicked tells of a panic that was recovered from.
func (s *session) panicked(fault any) {
	s.server.metrics.panicked()
	s.tellAndPrint(&s.server.panics, slog.LevelError, "panic", "why", fmt.Errorf("%v\n%s", fault, debug.Stack()))
}

// tell has the event under way carry a line about its request to Kong's error log.
func (s *session) tell(limit *limiter, level slog.Level, message string, args ...any) {
	if unlogged, ok := limit.allow(); ok {
		s.note(unlogged, level, message, args...)
	}
}

// tellAndPrint is tell, and prints the line too.
func (s *session) tellAndPrint(limit *limiter, level slog.Level, message string, args ...any) {
	if unlogged, ok := limit.allow(); ok {
		r := s.note(unlogged, level, message, args...)
		_ = s.server.print.Handler().Handle(context.Background(), r) // there is nowhere to tell of it
	}
}

// note keeps a line for carry.
func (s *session) note(unlogged int, level slog.Level, message string, args ...any) slog.Record {
	r := slog.NewRecord(time.Now(), level, message, 0)
	r.Add(args...)
	if unlogged > 0 {
		r.Add("unlogged", unlogged)
	}
	s.lines = append(s.lines, newLine("go-jwt: ", &r, nil))
	return r
}

// carry adds to b the lines that the event is to carry.
func (s *session) carry(b *batch) {
	for _, l := range s.server.errorLog.take() {
		b.log(l)
	}
	for _, l := range s.lines {
		b.log(l)
	}
	s.lines = s.lines[:0]
}

// limiter lets one line a second through, and counts the others. The zero value
// is ready for use. It is safe for concurrent use.
type limiter struct {
	mu       sync.Mutex
	last     time.Time
	unlogged int
}

// allow reports whether a line may be written now, and how many were not.
func (l *limiter) allow() (unlogged int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.last) < oneIn {
		l.unlogged++
		return 0, false
	}
	unlogged = l.unlogged
	l.last, l.unlogged = now, 0
	return unlogged, true
}

// log is for lines about no request.
func (l *limiter) log(to *slog.Logger, message string, err error) {
	if unlogged, ok := l.allow(); ok {
		to.Warn(message, "why", err, "unlogged", unlogged)
	}
}
