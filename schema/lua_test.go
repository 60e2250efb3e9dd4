package schema_test

import (
	"errors"
	"strings"
	"testing"

	"kong-go-jwt/schema"
)

// That it is Kong's schema, as a real Lua reads it, is held by spec/nginx.
func TestWriteLua(t *testing.T) {
	var b strings.Builder
	if err := schema.WriteLua(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"return {\n  [\"entity_checks\"] = {\n",
		`["eq"] = ngx.null,`,
		`["required"] = true,`,
		`["default"] = {},`,
		"[\"between\"] = {\n                0,\n                3600,\n              },\n",
		`["match"] = "^[%w!#$%%&'*+.^_` + "`" + `|~-]+$",`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("there is no %s", want)
		}
	}
	if err := schema.WriteLua(full{}); !errors.Is(err, errFull) {
		t.Errorf("on a full disk: %v", err)
	}
}

var errFull = errors.New("full")

// full cannot be written to.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// Lua 5.1 knows no \x and no \u.
func TestLuaString(t *testing.T) {
	for text, want := range map[string]string{
		"a b": `"a b"`, `a"b\c`: `"a\"b\\c"`, "a\nb\x00\x1f": `"a\010b\000\031"`, "é\x7f": "\"é\x7f\"", "": `""`,
	} {
		if got := schema.LuaString(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
