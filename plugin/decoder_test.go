package plugin_test

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"kong-go-jwt/plugin"
)

// No text may change what the one after it says.
func TestDecodeJSONOneAfterTheOther(t *testing.T) {
	t.Parallel()
	spaces := strings.Repeat(" ", 3000) // more than a json.Decoder reads at once
	texts := []string{
		`{"a":1.50,"b":["x",null,true]}`, `{}`, `12`, `"x"`, `null`, ` {"a":1}`, "{\"a\":2}\r\n\t ", `{"b":3}` + spaces, spaces + `{"b":4}`,
		`{"long":"` + strings.Repeat("y", 9000) + `"}`, ``, spaces, `{`, `{"a":`, `"x`, `1 2`, `{}{}`, `{} x`, `{}` + spaces + `x`, `]`, "\xff", "\ufeff{}",
	}
	for i, before := range texts {
		for j, text := range texts {
			t.Run(strconv.Itoa(i)+" "+strconv.Itoa(j), func(t *testing.T) {
				t.Parallel()
				plugin.DecodeJSON([]byte(before))
				value, ok := plugin.DecodeJSON([]byte(text))
				wantValue, wantOK := decodeAlone(text)
				if ok != wantOK || ok && !reflect.DeepEqual(value, wantValue) {
					t.Errorf("%v %t after %.40q, want %v %t", value, ok, before, wantValue, wantOK)
				}
			})
		}
	}
}

func decodeAlone(text string) (v any, ok bool) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil, false
	}
	_, err := d.Token()
	return v, errors.Is(err, io.EOF)
}
