package config

import "testing"

// Kong reads YAML 1.1 (lyaml).
func TestYAMLToJSON(t *testing.T) {
	for text, want := range map[string]string{
		"a: off\nb: [No, yes, ON, nO]":         `{"a":false,"b":[false,true,true,"nO"]}`,
		"a: 'off'\nb: [\"no\"]\nc: |\n  off\n": `{"a":"off","b":["no"],"c":"off\n"}`,
		"a: true\nb: False\nc: null\nd:":       `{"a":true,"b":false,"c":null,"d":null}`,
		"a: 1e3\nb: 0x10\nc: 1.5\nd: -1":       `{"a":1000,"b":16,"c":1.5,"d":-1}`,
		"a: 123456789012345678901234567890":    `{"a":1.2345678901234568e+29}`,
		"a: 12ab\nb: '1e3'\nc: 1e":             `{"a":"12ab","b":"1e3","c":"1e"}`,
		"x: &x {a: off, b: 1}\ny: *x":          `{"x":{"a":false,"b":1},"y":{"a":false,"b":1}}`,
		"x: &x {a: off}\ny: {<<: *x, b: on}":   `{"x":{"a":false},"y":{"a":false,"b":true}}`,
		"x: &x off\ny: *x":                     `{"x":false,"y":false}`,
		"# nothing":                            `null`,
		"":                                     `null`,
	} {
		got, err := yamlToJSON([]byte(text))
		if err != nil || string(got) != want {
			t.Errorf("%q: got %s, %v; want %s", text, got, err, want)
		}
	}
}
