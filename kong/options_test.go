package kong_test

import (
	"errors"
	"flag"
	"strings"
	"testing"

	"kong-go-jwt/kong"
)

// A bad flag is told in one line, since Kong starts the command again and again;
// all flags are told to who asks for them.
func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"-no-such-flag"}, {"-grace", "soon"}, {"-cache-bytes", "1000"}, {"stray"}} {
		var out strings.Builder
		_, err := kong.ParseFlags(&out, "about", args)
		if err == nil || strings.Contains(err.Error(), "\n") || out.Len() > 0 {
			t.Errorf("%v: %v, and %q", args, err, out.String())
		}
	}
	var out strings.Builder
	if _, err := kong.ParseFlags(&out, "about", []string{"-help"}); !errors.Is(err, flag.ErrHelp) || !strings.HasPrefix(out.String(), "about\n") || !strings.Contains(out.String(), "-cache-bytes") {
		t.Errorf("%v, and %q", err, out.String())
	}
}
