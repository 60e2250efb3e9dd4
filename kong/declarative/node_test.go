package declarative_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"kong-go-jwt/kong/declarative"
)

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want any
	}{
		"block":         {"a: 1\nb:\n  - x\n  - y: true\n", map[string]any{"a": 1.0, "b": []any{"x", map[string]any{"y": true}}}},
		"json":          {"{\n\t\"a\": [1, -2.5, null, \"\\u0041\"],\n\t\"b\": {}\n}\n", map[string]any{"a": []any{1.0, -2.5, nil, "A"}, "b": map[string]any{}}},
		"literal":       {"a: |\n  one\n  two\n", map[string]any{"a": "one\ntwo\n"}},
		"folded":        {"a: >-\n  one\n  two\n", map[string]any{"a": "one two"}},
		"quoted":        {"a: 'yes'\nb: \"5\"\nc: ''\n", map[string]any{"a": "yes", "b": "5", "c": ""}},
		"words of bool": {"a: yes\nb: Off\nc: null\nd: ~\ne:\n", map[string]any{"a": true, "b": false, "c": nil, "d": nil, "e": nil}},
		"numbers":       {"a: 1e1\nb: 12345678901234567890123456789012\nc: 12ab\nd: -.5\ne: +x\nf: '1e1'\ng: 1e999\n", map[string]any{"a": 10.0, "b": 12345678901234567890123456789012.0, "c": "12ab", "d": -.5, "e": "+x", "f": "1e1", "g": math.Inf(1)}},
		"byte order":    {"\ufeffa: 1\n", map[string]any{"a": 1.0}},
		"anchor":        {"a: &x {p: 1}\nb: *x\n", map[string]any{"a": map[string]any{"p": 1.0}, "b": map[string]any{"p": 1.0}}},
		"merge":         {"a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  p: 3\n", map[string]any{"a": map[string]any{"p": 1.0, "q": 2.0}, "b": map[string]any{"p": 3.0, "q": 2.0}}},
		"tag":           {"a: !!str 5\n", map[string]any{"a": "5"}},
		"deck":          {"a: ${{ env \"DECK_X\" }}\n", map[string]any{"a": "${{ env \"DECK_X\" }}"}},
		"document":      {"---\na: 1\n", map[string]any{"a": 1.0}},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := declarative.Parse("f", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := n.Any(); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %#v\nwant %#v", got, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ text, at string }{
		"empty":             {"", "1:1"},
		"comments alone":    {"# x\n", "1:1"},
		"same name twice":   {"a: 1\nb: 2\na: 3\n", "3:1"},
		"no end of a quote": {"a: \"x\n", "1:4"},
		"indentation":       {"a:\n  b: 1\n c: 2\n", "3:2"},
		"no anchor":         {"a: *x\n", "1:4"},
		"several documents": {"a: 1\n---\nb: 2\n", "3:1"},
		"not UTF-8":         {"a: 1\nb: \xff\n", "2:1"},
		"itself":            {"a: &x [*x]\n", "1:8"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := declarative.Parse("f", []byte(tt.text))
			var fault *declarative.SyntaxError
			if !errors.As(err, &fault) {
				t.Fatalf("got %v", err)
			}
			if got := fmt.Sprintf("%d:%d", fault.Line, fault.Column); got != tt.at {
				t.Errorf("got %s (%s), want %s", got, fault.Problem, tt.at)
			}
		})
	}
}

// Aliases of aliases take no more room than is bounded.
func TestParseBoundsAliases(t *testing.T) {
	text := "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n"
	for i := range 9 {
		text += fmt.Sprintf("a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i+1, i+1, i, i, i, i, i, i, i, i, i, i)
	}
	if _, err := declarative.Parse("f", []byte(text)); err == nil {
		t.Error("a billion were read")
	}
}

func TestAt(t *testing.T) {
	n, err := declarative.Parse("f", []byte("a:\n  - name: x\n    config:\n      keys:\n        - one\n        - two: |\n            text\n"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"":                        "1:1 ",
		"a":                       "1:1 a",
		"a[0]":                    "2:5 a[0]",
		"a[0].config":             "3:5 a[0].config",
		"a[0].config.keys[0]":     "5:11 a[0].config.keys[0]",
		"a[0].config.keys[1].two": "6:11 a[0].config.keys[1].two",
		"a[0].config.keys[1].x":   "6:11 a[0].config.keys[1]",
		"a[0].config.keys[7]":     "4:7 a[0].config.keys",
		"a[1].x":                  "1:1 a",
		"b.c":                     "1:1 ",
	} {
		at := n.At(path)
		if got := fmt.Sprintf("%d:%d %s", at.Line, at.Column, at.Path); got != want {
			t.Errorf("%q: got %s, want %s", path, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("a: &x {p: 1}\nb:\n  <<: *x\n  - 5\n"))
	f.Add([]byte("{\"a\": [1, {\"b\": null}]}"))
	f.Add([]byte("- |\n  x\n- !!str 5\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := declarative.Parse("f", text)
		if (n == nil) == (err == nil) {
			t.Fatalf("%v, %v", n, err)
		}
	})
}
