package revocation_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/revocation"
)

// name is a token's: jti, iss, sub, each left out if empty, and iat, if not 0.
func name(id, issuer, subject string, issuedAt float64) *plugin.TokenName {
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	n := &plugin.TokenName{ID: text(id), Issuer: text(issuer), Subject: text(subject)}
	if issuedAt != 0 {
		n.IssuedAt = &issuedAt
	}
	return n
}

func TestWhatIsRevoked(t *testing.T) {
	for why, tt := range map[string]struct {
		list  string // entries
		token *plugin.TokenName
		want  bool
	}{
		"jti":                         {`{"jti":"1"}`, name("1", "i", "s", 5), true},
		"another jti":                 {`{"jti":"1"}`, name("2", "i", "s", 5), false},
		"no jti":                      {`{"jti":"1"}`, name("", "i", "s", 5), false},
		"iss and sub":                 {`{"iss":"i","sub":"s"}`, name("1", "i", "s", 5), true},
		"iss alone is not both":       {`{"iss":"i","sub":"s"}`, name("1", "i", "", 5), false},
		"sub of another iss":          {`{"iss":"i","sub":"s"}`, name("1", "j", "s", 5), false},
		"names run together":          {`{"iss":"is","sub":"s"}`, name("1", "i", "ss", 5), false},
		"sub in the place of iss":     {`{"iss":"s"}`, name("1", "i", "s", 5), false},
		"all three":                   {`{"jti":"1","iss":"i","sub":"s"}`, name("1", "i", "s", 5), true},
		"all three but one":           {`{"jti":"1","iss":"i","sub":"s"}`, name("2", "i", "s", 5), false},
		"issued before":               {`{"iss":"i","issued_before":5}`, name("", "i", "", 4.5), true},
		"issued then":                 {`{"iss":"i","issued_before":5}`, name("", "i", "", 5), false},
		"issued never":                {`{"iss":"i","issued_before":5}`, name("", "i", "", 0), true},
		"everything before":           {`{"issued_before":5}`, name("", "", "", 4), true},
		"everything after":            {`{"issued_before":5}`, name("", "", "", 6), false},
		"the latest of several":       {`{"iss":"i","issued_before":3},{"iss":"i","issued_before":7},{"iss":"i","issued_before":5}`, name("", "i", "", 6), true},
		"all of one, though a time":   {`{"iss":"i","issued_before":3},{"iss":"i"}`, name("", "i", "", 6), true},
		"one of several entries":      {`{"jti":"1"},{"sub":"s"},{"iss":"i"}`, name("2", "j", "s", 5), true},
		"none of several entries":     {`{"jti":"1"},{"sub":"s"},{"iss":"i"}`, name("2", "j", "t", 5), false},
		"an empty claim is one":       {`{"sub":""}`, &plugin.TokenName{Subject: new(string)}, true},
		"an empty claim is not none":  {`{"sub":""}`, name("1", "i", "", 5), false},
		"nothing is revoked":          {``, name("1", "i", "s", 0), false},
		"escapes are of JSON":         {`{"jti":"\u0031"}`, name("1", "", "", 0), true},
		"a null is as if not written": {`{"jti":"1","iss":null}`, name("1", "j", "", 0), true},
	} {
		t.Run(why, func(t *testing.T) {
			x, err := revocation.Read(strings.NewReader(`{"version":1,"revoked":[`+tt.list+`],"next":{"a":[]}}`), 10)
			if err != nil {
				t.Fatal(err)
			}
			if got := x.Revoked(tt.token); got != tt.want {
				t.Errorf("revoked: %t, want %t", got, tt.want)
			}
		})
	}
}

func TestListsThatAreNotUnderstood(t *testing.T) {
	for text, want := range map[string]string{
		``:                            "list is not a JSON object",
		`[]`:                          "list is not a JSON object",
		`{}`:                          `list has no "revoked"`,
		`{"revoked":{}}`:              `list has no array in "revoked"`,
		`{"revoked":null}`:            `list has no array in "revoked"`,
		`{"revoked":[],"revoked":[]}`: `list has "revoked" twice`,
		`{"revoked":[]`:               "list is not JSON",
		`{"revoked":[]}{}`:            "list has text after its end",
		`{"revoked":["secret"]}`:      "list has an entry that is not understood: revoked[0]",
		`{"revoked":[{}]}`:            "list has an entry without jti, iss, sub and issued_before: revoked[0]",
		`{"revoked":[{"jti":null}]}`:  "list has an entry without jti, iss, sub and issued_before: revoked[0]",
		`{"revoked":[{"jti":1}]}`:     "list has an entry that is not understood: revoked[0]",
		`{"revoked":[{"jti":"1"},{"aud":"secret"}]}`:         "list has an entry that is not understood: revoked[1]",
		`{"revoked":[{"iss":"i","issued_before":"secret"}]}`: "list has an entry that is not understood: revoked[0]",
		`{"revoked":[{"jti":"1"},{"jti":"2"},{"jti":"3"}]}`:  "list has more than 2 entries",
		`{"revoked":[{"jti":"1"`:                             "list has an entry that is not understood: revoked[0]",
		`{"a":secret,"revoked":[]}`:                          "list is not JSON",
	} {
		t.Run(text, func(t *testing.T) {
			if _, err := revocation.Read(strings.NewReader(text), 2); err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}

var errBroken = errors.New("connection broken")

// A connection that breaks is not taken for a list that ends.
func TestListThatBreaksOff(t *testing.T) {
	r := io.MultiReader(strings.NewReader(`{"revoked":[{"jti":"1"},`), broken{})
	if _, err := revocation.Read(r, 2); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

// Whatever is read, what it revokes can be looked up, and an error holds nothing
// of it.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"revoked":[{"jti":"1"},{"iss":"i","sub":"s"},{"iss":"i","issued_before":1700000000}]}`))
	f.Add([]byte(`{"revoked":[{"jti":1}]}`))
	f.Add([]byte(`{"revoked":[{"jti":"\ud800"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		x, err := revocation.Read(bytes.NewReader(text), 100)
		if err != nil {
			if len(err.Error()) > 100 {
				t.Errorf("error tells much: %v", err)
			}
			return
		}
		x.Revoked(name("1", "i", "s", 1))
	})
}

// A million entries: how long a look-up takes, and how many bytes each is.
func BenchmarkMillion(b *testing.B) {
	const n = 1_000_000
	var text bytes.Buffer
	text.WriteString(`{"revoked":[`)
	for i := range n {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"iss":"https://login.example.com","sub":"user-%d"}`, i)
	}
	text.WriteString(`]}`)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x, err := revocation.Read(bytes.NewReader(text.Bytes()), n)
	if err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	token := name("id", "https://login.example.com", "user-500000", 1)
	b.ReportAllocs()
	for b.Loop() {
		if !x.Revoked(token) {
			b.Fatal("not found")
		}
	}
	runtime.KeepAlive(&text)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/entry")
}
