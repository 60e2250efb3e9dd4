package nginx

import (
	"fmt"
	"io"
	"log"
	"slices"
	"strings"
)

// Level is a severity of nginx's error log, the gravest first.
type Level int

// The levels, from grave to chatty.
const (
	Alert Level = iota
	Crit
	Err
	Warn
	Notice
	Info
	Debug
)

func levels() []string { return []string{"alert", "crit", "error", "warn", "notice", "info", "debug"} }

func (l Level) String() string { return levels()[l] }

// ParseLevel reads a level as log_level spells it; Kong's PDK says "err".
func ParseLevel(name string) (Level, error) {
	if name == "err" {
		name = "error"
	}
	i := slices.Index(levels(), name)
	if i < 0 {
		return 0, fmt.Errorf("unknown log level %q, expected one of %s", name, strings.Join(levels(), ", "))
	}
	return Level(i), nil
}

// ErrorLog is nginx's error log: what is below its level is dropped.
type ErrorLog struct {
	out   *log.Logger
	level Level
}

// NewErrorLog writes lines of that level and graver ones to w.
func NewErrorLog(w io.Writer, level Level) *ErrorLog {
	return &ErrorLog{log.New(w, "", log.LstdFlags|log.Lmicroseconds), level}
}

// Printf writes a line.
func (l *ErrorLog) Printf(level Level, format string, args ...any) {
	if level <= l.level {
		l.out.Printf("["+level.String()+"] "+format, args...)
	}
}
