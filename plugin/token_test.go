package plugin_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"kong-go-jwt/plugin"
)

func TestParseToken(t *testing.T) {
	b64 := base64.RawURLEncoding.EncodeToString
	header, claims := b64([]byte(`{"alg":"HS256"}`)), b64([]byte(`{"iss":"key"}`))
	with := func(h, c string) string { return b64([]byte(h)) + "." + b64([]byte(c)) + ".AAAA" }
	const (
		ok     = ""
		json   = "invalid JSON"
		alg    = "invalid alg"
		claim  = "invalid claims"
		sig    = "invalid signature"
		crit   = "unsupported crit"
		hs     = `{"alg":"HS256"}`
		object = `{"iss":"key"}`
	)
	for name, tt := range map[string]struct{ token, want string }{
		"whole":                       {header + "." + claims + ".AAAA", ok},
		"empty signature":             {header + "." + claims + ".", ok},
		"padded":                      {header + "." + claims + "==.AA==", ok},
		"empty":                       {"", json},
		"one part":                    {header, json},
		"two parts":                   {header + "." + claims, json},
		"four parts":                  {header + "." + claims + ".AAAA.AAAA", sig},
		"empty parts":                 {"..", json},
		"padding in the middle":       {header + "." + claims + ".AA=A", sig},
		"too much padding":            {header + "." + claims + ".AA===", sig},
		"other alphabet":              {header + "." + claims + ".+/+/", sig},
		"line break in the signature": {header + "." + claims + ".AA\nAA", sig},
		"line break in the header":    {header[:4] + "\n" + header[4:] + "." + claims + ".AAAA", json},
		"not base64":                  {header + ".e30!.AAAA", json},
		"five characters":             {header + "." + claims + ".AAAAA", sig},
		"header text":                 {with(`"HS256"`, object), alg},
		"header null":                 {with(`null`, object), alg},
		"header number":               {with(`1`, object), alg},
		"header array":                {with(`[]`, object), alg},
		"no alg":                      {with(`{}`, object), alg},
		"alg null":                    {with(`{"alg":null}`, object), alg},
		"alg none":                    {with(`{"alg":"none"}`, object), alg},
		"alg in lower case":           {with(`{"alg":"hs256"}`, object), alg},
		"name alg in upper case":      {with(`{"ALG":"HS256"}`, object), alg},
		"last alg counts":             {with(`{"alg":"none","alg":"HS256"}`, object), ok},
		"last alg none":               {with(`{"alg":"HS256","alg":"none"}`, object), alg},
		"crit":                        {with(`{"alg":"HS256","crit":["exp"]}`, object), crit},
		"crit null":                   {with(`{"alg":"HS256","crit":null}`, object), crit},
		"claims null":                 {with(hs, `null`), claim},
		"claims false":                {with(hs, `false`), claim},
		"claims array":                {with(hs, `[{}]`), claim},
		"claims text":                 {with(hs, `"key"`), claim},
		"text after the claims":       {with(hs, object+` x`), json},
		"space after the claims":      {with(hs, object+" \n"), ok},
		"two objects":                 {with(hs, object+object), json},
		"n before hex digits":         {with(hs, `{"a":"\nd800"}`), ok},
		"half a pair, not escaped":    {with(hs, `{"a":"\ud83dxude00"}`), json},
		"half an escape":              {with(hs, `{"a":"\u1"}`), json},
		"escape that ends":            {with(hs, `"\u1`), json},
		"many side by side":           {with(hs, `{"a":[`+strings.Repeat(`[],{},`, 1000)+`0]}`), ok},
		"NaN":                         {with(hs, `{"x":NaN}`), json},
		"Infinity":                    {with(hs, `{"x":-Infinity}`), json},
		"hexadecimal":                 {with(hs, `{"x":0x10}`), json},
		"huge number":                 {with(hs, `{"x":1e999}`), ok},
		"not UTF-8":                   {with(hs, "{\"x\":\"\xff\"}"), ok},
		"control character":           {with(hs, "{\"x\":\"\n\"}"), json},
		"byte order mark":             {with(hs, "\ufeff"+object), json},
		"surrogate pair":              {with(hs, `{"x":"\ud83d\ude00"}`), ok},
		"high surrogate alone":        {with(hs, `{"x":"\ud83d"}`), json},
		"high surrogate and letter":   {with(hs, `{"x":"\ud83d\u0041"}`), json},
		"low surrogate alone":         {with(hs, `{"x":"\ude00"}`), json},
		"two low surrogates":          {with(hs, `{"x":"\udc00\udc00"}`), json},
		"backslash, then u":           {with(hs, `{"x":"\\ud83d"}`), ok},
		"deep enough":                 {with(hs, `{"x":`+strings.Repeat("[", 999)+strings.Repeat("]", 999)+`}`), ok},
		"too deep":                    {with(hs, `{"x":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+`}`), json},
		"brackets in a string":        {with(hs, `{"x":"`+strings.Repeat("[", 2000)+`\"["}`), ok},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, got := plugin.ParseToken([]byte(tt.token)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add([]byte("eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJrZXkifQ.AAAA"))
	f.Add([]byte("eyJhbGciOiJFUzI1NiIsImNyaXQiOlsiYjY0Il19.e30=.AA=="))
	f.Add([]byte("..."))
	f.Fuzz(func(t *testing.T, raw []byte) {
		signed, signature, malformed := plugin.ParseToken(raw)
		if malformed != "" {
			return
		}
		// What is verified must be what was sent.
		if !strings.HasPrefix(string(raw), signed+".") {
			t.Fatalf("%q does not start with %q", raw, signed)
		}
		rest := strings.TrimRight(strings.TrimPrefix(string(raw), signed+"."), "=")
		if len(base64.RawURLEncoding.EncodeToString(signature)) != len(rest) {
			t.Fatalf("signature %x is not %q", signature, rest)
		}
	})
}
