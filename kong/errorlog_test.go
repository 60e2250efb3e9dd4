package kong_test

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kong-go-jwt/kong"
)

const aside = "go-jwt: not about this request: "

// queue is an error log under a test's control.
func queue(t *testing.T) (log *slog.Logger, takes func(want ...string), pass func(time.Duration), printed *bytes.Buffer) {
	t.Helper()
	now, printed := time.Unix(1_800_000_000, 0), new(bytes.Buffer)
	log, take := kong.ErrorLog(func() time.Time { return now }, slog.NewTextHandler(printed, nil))
	takes = func(want ...string) {
		t.Helper()
		got := take()
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	return log, takes, func(d time.Duration) { now = now.Add(d) }, printed
}

func TestErrorLogHoldsWarnings(t *testing.T) {
	log, takes, _, printed := queue(t)
	takes()
	log.Info("listening")
	takes()
	log.With("issuer", "https://idp").Warn("cannot fetch", "error", errors.New(`no "host"`))
	log.Error("down")
	takes("ERROR "+aside+"down", "WARN "+aside+`cannot fetch issuer=https://idp error="no \"host\""`)
	takes()
	if n := strings.Count(printed.String(), "\n"); n != 3 {
		t.Errorf("printed %s", printed)
	}
}

// One of a kind goes a second, in order, and the same once.
func TestErrorLogPacesLines(t *testing.T) {
	log, takes, pass, _ := queue(t)
	for _, credential := range []string{"a", "b", "b", "a", "b"} {
		log.Warn("weak", "credential", credential)
	}
	takes("WARN " + aside + "weak credential=a unlogged=3")
	pass(time.Second - 1)
	takes()
	log.Warn("other")
	takes("WARN " + aside + "other")
	pass(1)
	takes("WARN " + aside + "weak credential=b")
	pass(time.Hour)
	takes()
}

// A clock that is set back keeps no line waiting.
func TestErrorLogAfterClockChange(t *testing.T) {
	log, takes, pass, _ := queue(t)
	log.Warn("weak")
	takes("WARN " + aside + "weak")
	pass(-time.Hour)
	log.Warn("weak")
	takes("WARN " + aside + "weak")
	log.Warn("weak")
	takes()
	pass(time.Second)
	takes("WARN " + aside + "weak")
}

func TestErrorLogIsBounded(t *testing.T) {
	log, takes, pass, _ := queue(t)
	for i := range 1000 {
		log.Warn("weak", "credential", i)
	}
	const bound = 16
	for i := range bound {
		want := "WARN " + aside + "weak credential=" + strconv.Itoa(i)
		if i == 0 {
			want += " unlogged=" + strconv.Itoa(1000-bound)
		}
		takes(want)
		pass(time.Second)
	}
	takes()
}

// Whatever a text holds, it is one line of printable UTF-8, and not too long.
func TestErrorLogEscapes(t *testing.T) {
	log, takes, _, _ := queue(t)
	log.Warn("odd", "why", "a\nlevel=ERROR \xff\x00\x1b[31m\u202e")
	takes("WARN " + aside + `odd why="a\nlevel=ERROR \xff\x00\x1b[31m\u202e"`)
	log.Warn("long", "why", strings.Repeat("ä", 2000))
	takes("WARN " + aside + "long why=" + strings.Repeat("ä", (1024-len(aside+"long why="))/2) + "…")
}

// As go-pdk writes it: a ListValue of one string (spec/testdata/traces).
func TestLogCall(t *testing.T) {
	for level, method := range map[slog.Level]string{slog.LevelWarn: "kong.log.warn", slog.LevelError: "kong.log.err", slog.LevelInfo + 2: "kong.log.notice"} {
		want := string(rune(len(method))) + "\x00\x00\x00" + method + "\x07\x00\x00\x00\x0a\x05\x1a\x03log"
		if got := string(kong.LogBytes(level, "log")); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}
