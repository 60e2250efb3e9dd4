package kong_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"kong-go-jwt/kong"
	"kong-go-jwt/kong/wire"
)

// BenchmarkParse is, like plugin's, what a request's size costs on the loop, with the
// worst input known: to take apart the nginx variable, and the answer of get_headers.
func BenchmarkParse(b *testing.B) {
	variable, headers, err := kong.Reading(`{"header_names":["authorization","x-token"],"cookie_names":["jwt"],"hide_credentials":true}`)
	if err != nil {
		b.Fatal(err)
	}
	const tag = "go-jwt/2 x-token\n"
	pair := func(name string, values ...string) []byte {
		return wire.AppendPair(nil, name, func(b []byte) []byte {
			if len(values) == 1 {
				return wire.AppendStringValue(b, values[0])
			}
			return wire.AppendListValue(b, values)
		})
	}
	repeat := func(unit []byte, size int) []byte { return bytes.Repeat(unit, size/len(unit)) }
	for _, tt := range []struct {
		name string
		read func(answer []byte) bool
		of   func(size int) []byte
	}{
		{"variable, long parts", variable, func(size int) []byte {
			return []byte(tag + strings.Repeat(strings.Repeat("x", size/7)+"\n", 6) + strings.Repeat("x", size/7))
		}},
		{"variable, one part", variable, func(size int) []byte {
			return []byte(tag + strings.Repeat("\n", 6) + strings.Repeat("x", size))
		}},
		{"headers, short", headers, func(size int) []byte { return repeat(pair("a", ""), size) }},
		{"headers, like identity headers", headers, func(size int) []byte { return repeat(pair("x_consumer_ix", ""), size) }},
		{"headers, disguised", headers, func(size int) []byte { return repeat(pair("x_consumer_id", ""), size) }},
		{"one header, many times", headers, func(size int) []byte {
			return pair("cookie", strings.Split(strings.Repeat(",", size/4), ",")...)
		}},
		{"one header, long", headers, func(size int) []byte { return pair("cookie", strings.Repeat("x", size)) }},
	} {
		for _, size := range []int{1 << 10, 2 << 10, 3 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10} {
			b.Run(fmt.Sprintf("%s/%dKiB", tt.name, size>>10), func(b *testing.B) {
				answer := tt.of(size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if !tt.read(answer) {
						b.Fatal("it was not read")
					}
				}
			})
		}
	}
}
