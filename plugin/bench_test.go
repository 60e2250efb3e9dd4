package plugin_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kong-go-jwt/plugin"
	"kong-go-jwt/schema"
)

// benchmark is a world whose time stands still, so that nothing is looked up.
func benchmark(b *testing.B, credential *plugin.Credential, config string) (*plugin.Engine, *world) {
	b.Helper()
	w := &world{
		time:        start,
		credentials: map[string]*plugin.Credential{"key": credential},
		consumers:   map[string]*plugin.Consumer{"id-1": {ID: "id-1", Username: "alice"}},
	}
	store := plugin.NewStore(plugin.Options{
		Source: w, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Encode:        func(g *plugin.Grant) plugin.Answer { return plugin.Answer{Bytes: fmt.Append(nil, g.Headers), Calls: 1} },
		CredentialTTL: time.Hour, UnknownTTL: time.Hour, Grace: time.Hour, LookupTimeout: time.Second,
		CredentialEntries: 100, UnknownEntries: 100, DecisionEntries: 1 << 20, DecisionBytes: 1 << 30,
	})
	b.Cleanup(store.Close)
	c, err := schema.Parse([]byte(config))
	if err != nil {
		b.Fatal(err)
	}
	e, err := store.NewEngine(c)
	if err != nil {
		b.Fatal(err)
	}
	return e, w
}

func requestWith(token string) *plugin.Request {
	return &plugin.Request{
		Method: []byte("GET"), Query: []byte("page=1&sort=name"), Cookie: []byte("sid=1; theme=dark"), Connection: []byte("keep-alive"),
		Headers: [][]byte{[]byte("Bearer " + token)},
	}
}

func run(b *testing.B, e *plugin.Engine, w *world, r *plugin.Request, wantRefusal bool) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if out := e.Decide(b.Context(), r, w); (out.Refusal != nil) != wantRefusal {
			b.Fatalf("got %s", verdict(out))
		}
	}
}

func hsCredential() *plugin.Credential {
	return &plugin.Credential{ID: "c", Key: "key", Algorithm: "HS256", Secret: "a secret of a benchmark", ConsumerID: "id-1"}
}

func BenchmarkHit(b *testing.B) {
	e, w := benchmark(b, hsCredential(), `{}`)
	run(b, e, w, requestWith(w.token(`{"iss":"key","sub":"somebody","exp":4102444800}`)), false)
}

// BenchmarkHitAsserted is BenchmarkHit with an assertion for the upstream.
func BenchmarkHitAsserted(b *testing.B) {
	key, err := x509.MarshalPKCS8PrivateKey(makeKeys(b).p256)
	if err != nil {
		b.Fatal(err)
	}
	text, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	if err != nil {
		b.Fatal(err)
	}
	e, w := benchmark(b, hsCredential(), `{"upstream_assertion":{"issuer":"https://gw","audience":"orders","keys":[`+string(text)+`]}}`)
	run(b, e, w, requestWith(w.token(`{"iss":"key","sub":"somebody","exp":4102444800}`)), false)
}

func BenchmarkHitParallel(b *testing.B) {
	e, w := benchmark(b, hsCredential(), `{}`)
	tokens := make([]string, 1000)
	for i := range tokens {
		tokens[i] = w.token(fmt.Sprintf(`{"iss":"key","sub":"%d","exp":4102444800}`, i))
		e.Decide(b.Context(), requestWith(tokens[i]), w)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := requestWith(tokens[0])
		for i := 0; pb.Next(); i++ {
			r.Headers[0] = append(r.Headers[0][:len("Bearer ")], tokens[i%len(tokens)]...)
			if out := e.Decide(b.Context(), r, w); out.Kind != plugin.Remembered {
				b.Fatalf("got %s", verdict(out))
			}
		}
	})
}

func BenchmarkRefusal(b *testing.B) {
	e, w := benchmark(b, hsCredential(), `{}`)
	run(b, e, w, requestWith(sign(`{"alg":"HS256"}`, `{"iss":"key"}`, "another secret")), true)
}

func BenchmarkMiss(b *testing.B) {
	k := makeKeys(b)
	for _, tt := range []struct {
		algorithm string
		public    string
		private   any
	}{
		{"RS256", pkixPEM(b, k.rsa2048.Public()), k.rsa2048},
		{"PS256", pkixPEM(b, k.rsa2048.Public()), k.rsa2048},
		{"ES256", pkixPEM(b, k.p256.Public()), k.p256},
		{"ES384", pkixPEM(b, k.p384.Public()), k.p384},
		{"ES512", pkixPEM(b, k.p521.Public()), k.p521},
		{"EdDSA", pkixPEM(b, k.ed25519.Public()), k.ed25519},
		{"Ed448", pkixPEM(b, k.ed448.Public()), k.ed448},
	} {
		b.Run(tt.algorithm, func(b *testing.B) {
			algorithm := tt.algorithm
			if algorithm == "Ed448" {
				algorithm = "EdDSA"
			}
			e, w := benchmark(b, &plugin.Credential{ID: "c", Key: "key", Algorithm: algorithm, PublicKey: tt.public, ConsumerID: "id-1"}, `{"cache_ttl":0}`)
			run(b, e, w, requestWith(signAsymmetric(b, algorithm, tt.private)), false)
		})
	}
	b.Run("HS256", func(b *testing.B) {
		e, w := benchmark(b, hsCredential(), `{"cache_ttl":0}`)
		run(b, e, w, requestWith(w.token(`{"iss":"key","sub":"somebody","exp":4102444800}`)), false)
	})
}

// BenchmarkSlowCurves compares the plugin's own ECDSA with that of crypto/ecdsa: with a
// key that is kept, and with one that is used once.
func BenchmarkSlowCurves(b *testing.B) {
	k := makeKeys(b)
	message := []byte("some token")
	for algorithm, private := range map[string]*ecdsa.PrivateKey{"ES384": k.p384, "ES512": k.p521} {
		method := jwt.GetSigningMethod(algorithm)
		signature, err := method.Sign(string(message), private)
		if err != nil {
			b.Fatal(err)
		}
		kept, err := plugin.Verifier(algorithm, &private.PublicKey)
		if err != nil {
			b.Fatal(err)
		}
		for name, verifies := range map[string]func() bool{
			"crypto-ecdsa": func() bool { return method.Verify(string(message), signature, &private.PublicKey) == nil },
			"kept":         func() bool { return kept(message, signature) },
			"once": func() bool {
				once, err := plugin.Verifier(algorithm, &private.PublicKey)
				return err == nil && once(message, signature)
			},
		} {
			b.Run(algorithm+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if !verifies() {
						b.Fatal("refused")
					}
				}
			})
		}
	}
}

// The time to refuse a signature must not tell how much of it is right: both
// lines should be the same.
func BenchmarkWrongSignature(b *testing.B) {
	for name, at := range map[string]int{"from the first byte on": 43, "in the last byte": 2} {
		b.Run(name, func(b *testing.B) {
			e, w := benchmark(b, hsCredential(), `{}`)
			token := []byte(w.token(`{"iss":"key"}`))
			i := len(token) - at
			token[i] = "AB"[token[i]&1] // another one than it was
			run(b, e, w, requestWith(string(token)), true)
		})
	}
}

// BenchmarkParse is what a request's size costs in each parser that runs on the
// loop, with the worst input known for it: the time a byte must not grow.
func BenchmarkParse(b *testing.B) {
	e, w := benchmark(b, hsCredential(), `{"cookie_names":["jwt","session"],"hide_credentials":true,"anonymous":"id-1","cache_ttl":0}`)
	// claims fills a token that is size bytes long, a third more than what it says.
	claims := func(before, unit, after string) func(r *plugin.Request, size int) {
		return func(r *plugin.Request, size int) {
			r.Headers = [][]byte{[]byte("Bearer " + w.token(before+strings.Repeat(unit, size*3/4/len(unit))+after))}
		}
	}
	filled := func(unit string, to func(r *plugin.Request) *[]byte) func(r *plugin.Request, size int) {
		return func(r *plugin.Request, size int) { *to(r) = bytes.Repeat([]byte(unit), size/len(unit)) }
	}
	query := func(r *plugin.Request) *[]byte { return &r.Query }
	cookie := func(r *plugin.Request) *[]byte { return &r.Cookie }
	connection := func(r *plugin.Request) *[]byte { return &r.Connection }
	header := func(r *plugin.Request) *[]byte { r.Headers = make([][]byte, 1); return &r.Headers[0] }
	for _, tt := range []struct {
		name string
		in   func(r *plugin.Request, size int)
	}{
		{"query of empty parts", filled("&", query)},
		{"query of short parts", filled("jw&", query)},
		{"query, escaped", filled("%6awt=%61&", query)},
		{"cookies of commas", filled(",", cookie)},
		{"cookies, short", filled("j,", cookie)},
		{"cookies, alike", filled("jwz,", cookie)},
		{"cookies behind commas", filled(",jwt=a;", cookie)},
		{"cookies without a value", filled("jwt ;", cookie)},
		{"Connection", filled("x-consumer-ix,", connection)},
		{"header of Bearers", filled("Bearer", header)},
		{"header of spaces", func(r *plugin.Request, size int) {
			r.Headers = [][]byte{append([]byte("Bearer"), bytes.Repeat([]byte(" "), size)...)}
		}},
		{"token, many claims", claims(`{`, `"a":1,`, `"iss":"key"}`)},
		{"token, numbers", claims(`{"iss":"key","a":[`, `0,`, `0]}`)},
		{"token, objects", claims(`{"iss":"key","a":[`, `{},`, `0]}`)},
		{"token, lists", claims(`{"iss":"key","a":[`, `[],`, `0]}`)},
		{"token, strings", claims(`{"iss":"key","a":[`, `"",`, `0]}`)},
		{"token, escapes", claims(`{"iss":"key","a":"`, `\\`, `"}`)},
		{"token, deep", func(r *plugin.Request, size int) { claims(`{"iss":"key","a":`, `[`, "")(r, min(size, 1300)) }},
	} {
		for _, size := range []int{1 << 10, 2 << 10, 3 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10} {
			b.Run(fmt.Sprintf("%s/%dKiB", tt.name, size>>10), func(b *testing.B) {
				r := &plugin.Request{Method: []byte("GET")}
				tt.in(r, size)
				b.SetBytes(int64(size))
				for b.Loop() {
					e.Decide(b.Context(), r, w)
				}
			})
		}
	}
}
