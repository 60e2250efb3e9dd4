package dpop_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kong-go-jwt/plugin/dpop"
	"kong-go-jwt/plugin/jwk"
)

type object = map[string]any

// now is when the proofs of RFC 9449 were made.
var now = time.Unix(1562262618, 0)

const (
	token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
	uri   = "https://resource.example.org/protectedresource"
)

func verifier(more ...func(*dpop.Verifier)) *dpop.Verifier {
	v := &dpop.Verifier{Lifetime: time.Minute, Replays: dpop.NewReplays(100), Now: func() time.Time { return now }}
	for _, f := range more {
		f(v)
	}
	return v
}

// key is a client's.
type key struct {
	private    crypto.Signer
	alg        string
	jwk        object
	thumbprint []byte
}

func newKey(t *testing.T, alg string) *key {
	t.Helper()
	var private crypto.Signer
	var err error
	switch alg {
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA", "Ed25519":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	required, err := jwk.Required(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	k := &key{private: private, alg: alg, jwk: object{}}
	for name, v := range required {
		k.jwk[name] = v
	}
	text, err := jwk.Thumbprint(required)
	if err == nil {
		k.thumbprint, err = base64.RawURLEncoding.DecodeString(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func part(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

var jtis atomic.Int64

// proof makes a proof with these changes; nil leaves something out.
func (k *key) proof(t *testing.T, header, claims object) string {
	t.Helper()
	h := object{"typ": "dpop+jwt", "alg": k.alg, "jwk": k.jwk}
	c := object{"jti": fmt.Sprint(jtis.Add(1)), "htm": "GET", "htu": uri, "iat": now.Unix(), "ath": hash(token)}
	for to, from := range map[*object]object{&h: header, &c: claims} {
		maps.Copy(*to, from)
		maps.DeleteFunc(*to, func(_ string, v any) bool { return v == nil })
	}
	signed := part(t, h) + "." + part(t, c)
	alg := k.alg
	if alg == "Ed25519" {
		alg = "EdDSA"
	}
	signature, err := jwt.GetSigningMethod(alg).Sign(signed, k.private)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// use holds a proof against the request of the RFC's example. It returns the kind of
// the fault with what is wrong; "": nothing.
func use(v *dpop.Verifier, proof string, thumbprint []byte) string {
	p, no := v.Check([]byte(proof), &dpop.Request{Method: "GET", URIs: []string{"https://other/", uri}, Token: []byte(token), Key: thumbprint})
	if no == nil {
		no = p.Use()
	}
	if no == nil {
		return ""
	}
	return string(no.Kind) + ": " + no.What
}

// TestVector is the proof of RFC 9449 section 7.1.
func TestVector(t *testing.T) {
	const proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19." +
		"eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9." +
		"2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
	thumbprint, err := base64.RawURLEncoding.DecodeString("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")
	if err != nil {
		t.Fatal(err)
	}
	v := verifier()
	if got := use(v, proof, thumbprint); got != "" {
		t.Error(got)
	}
	if got, want := use(v, proof, thumbprint), "replayed: it was used before"; got != want {
		t.Errorf("the second time: %q", got)
	}
	if got, want := use(verifier(), proof[:len(proof)-1]+"B", thumbprint), "invalid: it is not a signed JWT"; got != want { // a stray bit
		t.Errorf("changed: %q, want %q", got, want)
	}
}

// RFC 9449 section 4.3.
func TestCheck(t *testing.T) {
	es, ed, rs := newKey(t, "ES256"), newKey(t, "EdDSA"), newKey(t, "RS256")
	other := newKey(t, "ES256")
	member := func(k *key, name string, v any) object {
		jwk := maps.Clone(k.jwk)
		jwk[name] = v
		return object{"jwk": jwk}
	}
	const good = ""
	const badType, badAlg, badKey = "invalid: typ is not dpop+jwt", "invalid: alg is not an asymmetric algorithm that is supported", "invalid: jwk is not a public key that is supported"
	for name, tt := range map[string]struct {
		key            *key
		header, claims object
		want           string
	}{
		"ES256":   {es, nil, nil, good},
		"EdDSA":   {ed, nil, nil, good},
		"RS256":   {rs, nil, nil, good},
		"PS512":   {&key{rs.private, "PS512", rs.jwk, rs.thumbprint}, nil, nil, good},
		"Ed25519": {&key{ed.private, "Ed25519", ed.jwk, ed.thumbprint}, nil, nil, good},

		"more in it":            {es, object{"x": 1}, object{"exp": 1, "nonce": "n"}, good},
		"jwk for verifying":     {es, member(es, "use", "sig"), nil, good},
		"no typ":                {es, object{"typ": nil}, nil, badType},
		"typ of any JWT":        {es, object{"typ": "JWT"}, nil, badType},
		"typ no string":         {es, object{"typ": 1}, nil, badType},
		"crit":                  {es, object{"crit": []string{"x"}}, nil, "invalid: crit is not supported"},
		"no alg":                {es, object{"alg": nil}, nil, badAlg},
		"none":                  {es, object{"alg": "none"}, nil, badAlg},
		"HMAC":                  {es, object{"alg": "HS256"}, nil, badAlg},
		"alg of another key":    {es, object{"alg": "RS256"}, nil, "invalid: jwk is not fit for alg"},
		"alg of another curve":  {es, object{"alg": "ES384"}, nil, "invalid: jwk is not fit for alg"},
		"no jwk":                {es, object{"jwk": nil}, nil, "invalid: jwk is not a key"},
		"jwk a string":          {es, object{"jwk": "x"}, nil, "invalid: jwk is not a key"},
		"private jwk":           {es, member(es, "d", "AA"), nil, badKey},
		"symmetric jwk":         {es, object{"jwk": object{"kty": "oct", "k": "AA"}}, nil, badKey},
		"jwk for encrypting":    {es, member(es, "use", "enc"), nil, badKey},
		"point off the curve":   {es, member(es, "x", es.jwk["y"]), nil, badKey},
		"signed by another key": {&key{other.private, "ES256", es.jwk, es.thumbprint}, nil, nil, "invalid: its signature is not that of its jwk"},
		"another key":           {&key{other.private, "ES256", other.jwk, es.thumbprint}, nil, nil, "wrong_key: it is of another key than the token's"},

		"no htm":             {es, nil, object{"htm": nil}, "invalid: htm is missing or not a string"},
		"another method":     {es, nil, object{"htm": "POST"}, "invalid: htm is not the request's method"},
		"method in small":    {es, nil, object{"htm": "get"}, "invalid: htm is not the request's method"},
		"no htu":             {es, nil, object{"htu": nil}, "invalid: htu is missing or not a string"},
		"another path":       {es, nil, object{"htu": uri + "/x"}, "invalid: htu is not the request's URI"},
		"a prefix":           {es, nil, object{"htu": "https://resource.example.org/"}, "invalid: htu is not the request's URI"},
		"another host":       {es, nil, object{"htu": "https://evil.example.org/protectedresource"}, "invalid: htu is not the request's URI"},
		"another port":       {es, nil, object{"htu": "https://resource.example.org:8443/protectedresource"}, "invalid: htu is not the request's URI"},
		"another scheme":     {es, nil, object{"htu": "http://resource.example.org/protectedresource"}, "invalid: htu is not the request's URI"},
		"path alone":         {es, nil, object{"htu": "/protectedresource"}, "invalid: htu is not the request's URI"},
		"with a query":       {es, nil, object{"htu": uri + "?a=b#c"}, good},
		"spelt otherwise":    {es, nil, object{"htu": "HTTPS://Resource.Example.ORG:443/%70rotectedresource"}, good},
		"no jti":             {es, nil, object{"jti": nil}, "invalid: jti is missing or not a string"},
		"empty jti":          {es, nil, object{"jti": ""}, "invalid: jti is missing or not a string"},
		"jti no string":      {es, nil, object{"jti": 5}, "invalid: jti is missing or not a string"},
		"no ath":             {es, nil, object{"ath": nil}, "invalid: ath is missing or not a string"},
		"of another token":   {es, nil, object{"ath": hash("other")}, "invalid: ath is not the token's hash"},
		"no iat":             {es, nil, object{"iat": nil}, "invalid: iat is missing or not a number"},
		"iat null":           {es, nil, object{"iat": json.RawMessage("null")}, "invalid: iat is missing or not a number"},
		"iat no number":      {es, nil, object{"iat": "1562262618"}, "invalid: iat is missing or not a number"},
		"iat with fractions": {es, nil, object{"iat": float64(now.Unix()) - 0.5}, good},
		"just not too old":   {es, nil, object{"iat": now.Unix() - 60}, good},
		"too old":            {es, nil, object{"iat": now.Unix() - 61}, "stale: iat is too long ago"},
		"ancient":            {es, nil, object{"iat": -1e300}, "stale: iat is too long ago"},
		"a little ahead":     {es, nil, object{"iat": now.Unix() + 5}, good},
		"ahead":              {es, nil, object{"iat": now.Unix() + 6}, "stale: iat is in the future"},
		"far ahead":          {es, nil, object{"iat": 1e300}, "stale: iat is in the future"},
		"nonce no string":    {es, nil, object{"nonce": 1}, "invalid: nonce is missing or not a string"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := use(verifier(), tt.key.proof(t, tt.header, tt.claims), tt.key.thumbprint); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestForm(t *testing.T) {
	k := newKey(t, "ES256")
	good := k.proof(t, nil, nil)
	const none = "invalid: it is not a signed JWT"
	for name, tt := range map[string]struct{ proof, want string }{
		"empty":         {"", none},
		"two parts":     {good[:strings.LastIndexByte(good, '.')], none},
		"four parts":    {good + ".x", none},
		"padding":       {good + "==", none},
		"a line":        {strings.Replace(good, ".", ".\n", 1), none},
		"no JSON":       {"e30.e." + strings.Split(good, ".")[2], none},
		"null":          {"bnVsbA.bnVsbA.AA", none},
		"two":           {good + ", " + good, "invalid: there are several"},
		"none, and one": {"," + good, "invalid: there are several"},
		"too long":      {good + strings.Repeat("A", 9000), none},
		"no signature":  {good[:strings.LastIndexByte(good, '.')+1], "invalid: its signature is not that of its jwk"},
		"of the token?": {token, none},
	} {
		t.Run(name, func(t *testing.T) {
			if got := use(verifier(), tt.proof, k.thumbprint); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLength(t *testing.T) {
	k := newKey(t, "ES256")
	proof := func(length int) string {
		bare := len(k.proof(t, nil, object{"jti": "1", "more": ""}))
		padding := (length - bare) * 3 / 4
		for {
			if out := k.proof(t, nil, object{"jti": "1", "more": strings.Repeat("x", padding)}); len(out) >= length {
				return out
			}
			padding++
		}
	}
	for length, want := range map[int]string{8192: "", 8194: "invalid: it is not a signed JWT"} {
		p := proof(length)
		if len(p) != length {
			t.Fatalf("made %d bytes, not %d", len(p), length)
		}
		if got := use(verifier(), p, k.thumbprint); got != want {
			t.Errorf("%d bytes: got %q, want %q", length, got, want)
		}
	}
}

func TestLeeway(t *testing.T) {
	k := newKey(t, "ES256")
	v := verifier(func(v *dpop.Verifier) { v.Leeway = 10 * time.Second })
	for age, want := range map[int64]string{70: "", 71: "stale: iat is too long ago", -15: "", -16: "stale: iat is in the future"} {
		if got := use(v, k.proof(t, nil, object{"iat": now.Unix() - age}), k.thumbprint); got != want {
			t.Errorf("%d seconds ago: got %q, want %q", age, got, want)
		}
	}
}

// A proof is used once for as long as it would be good, whichever that is.
func TestReplay(t *testing.T) {
	for _, leeway := range []int64{0, 10} {
		t.Run(fmt.Sprint(leeway), func(t *testing.T) { testReplay(t, leeway) })
	}
}

func testReplay(t *testing.T, leeway int64) {
	start, at := now, now
	k, other := newKey(t, "ES256"), newKey(t, "ES256")
	v := verifier(func(v *dpop.Verifier) {
		v.Leeway, v.Now = time.Duration(leeway)*time.Second, func() time.Time { return at }
	})
	for _, made := range []int64{-60, -30, 0, 5} {
		at = start
		iat := start.Unix() + made
		proof := k.proof(t, nil, object{"iat": iat, "jti": "same"})
		if got := use(v, proof, k.thumbprint); got != "" {
			t.Fatalf("made at %d: %s", made, got)
		}
		if got := use(v, other.proof(t, nil, object{"iat": iat, "jti": "same"}), other.thumbprint); got != "" {
			t.Errorf("made at %d, the same jti of another key: %s", made, got)
		}
		for at.Unix() <= iat+60+leeway {
			if got := use(v, proof, k.thumbprint); got != "replayed: it was used before" {
				t.Fatalf("made at %d, %v later: %q", made, at.Sub(start), got)
			}
			at = at.Add(time.Second)
		}
		if got := use(v, proof, k.thumbprint); got != "stale: iat is too long ago" {
			t.Errorf("made at %d, %v later: %q", made, at.Sub(start), got)
		}
		start = at.Add(5 * time.Second) // all is forgotten
	}
}

// What is remembered is bounded: what does not fit is refused, and does fit again later.
func TestReplaysAreBounded(t *testing.T) {
	at := now
	k := newKey(t, "ES256")
	v := verifier(func(v *dpop.Verifier) { v.Replays, v.Now = dpop.NewReplays(3), func() time.Time { return at } })
	fresh := func() string { return k.proof(t, nil, object{"iat": at.Unix()}) }
	first := fresh()
	for _, proof := range []string{first, fresh(), fresh()} {
		if got := use(v, proof, k.thumbprint); got != "" {
			t.Fatal(got)
		}
	}
	if got, want := use(v, fresh(), k.thumbprint), "full: it cannot be told whether it was used before"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := use(v, first, k.thumbprint), "replayed: it was used before"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	at = at.Add(62 * time.Second)
	if got := use(v, fresh(), k.thumbprint); got != "" {
		t.Errorf("later: %q", got)
	}
	at = at.Add(1000 * time.Hour) // a clock that jumps
	for range 3 {
		if got := use(v, fresh(), k.thumbprint); got != "" {
			t.Errorf("much later: %q", got)
		}
	}
}

// What ends is forgotten second by second too, not only after a pause.
func TestReplaysAreForgotten(t *testing.T) {
	at := now
	k := newKey(t, "ES256")
	v := verifier(func(v *dpop.Verifier) { v.Replays, v.Now = dpop.NewReplays(100), func() time.Time { return at } })
	for second := range 300 {
		if got := use(v, k.proof(t, nil, object{"iat": at.Unix()}), k.thumbprint); got != "" {
			t.Fatalf("second %d: %s", second, got)
		}
		at = at.Add(time.Second)
	}
}

// Of one proof that is sent many times at once, one is used.
func TestReplaysAtOnce(t *testing.T) {
	k, v := newKey(t, "ES256"), verifier()
	proof := k.proof(t, nil, nil)
	var used atomic.Int32
	var senders sync.WaitGroup
	for range 32 {
		senders.Go(func() {
			if use(v, proof, k.thumbprint) == "" {
				used.Add(1)
			}
		})
	}
	senders.Wait()
	if used.Load() != 1 {
		t.Errorf("used %d times", used.Load())
	}
}

// RFC 9449 section 9.
func TestNonce(t *testing.T) {
	at := now
	k, nonces := newKey(t, "ES256"), dpop.NewNonces()
	v := verifier(func(v *dpop.Verifier) { v.Nonces, v.Now = nonces, func() time.Time { return at } })
	const needed = "nonce: it needs the nonce of DPoP-Nonce"
	nonce := nonces.New(now)
	for name, tt := range map[string]struct {
		nonce any
		iat   int64
		at    time.Time
		want  string
	}{
		"its nonce":              {nonce, now.Unix(), now, ""},
		"at the end of its life": {nonce, now.Unix(), now.Add(time.Minute), ""},
		"too old":                {nonce, now.Unix(), now.Add(time.Minute + time.Second), needed},
		"of the future":          {nonces.New(now.Add(time.Second)), now.Unix(), now, needed},
		"none":                   {nil, now.Unix(), now, needed},
		"made up":                {"x", now.Unix(), now, needed},
		"of another node":        {dpop.NewNonces().New(now), now.Unix(), now, needed},
		"changed":                {"B" + nonce[1:], now.Unix(), now, needed}, // which begins with zeros
		"a client's wrong clock": {nonce, 5, now, ""},
	} {
		t.Run(name, func(t *testing.T) {
			at = tt.at
			if got := use(v, k.proof(t, nil, object{"nonce": tt.nonce, "iat": tt.iat}), k.thumbprint); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte("eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7fX0.e30.AA"))
	f.Add([]byte("e30.e30."))
	v := verifier()
	f.Fuzz(func(t *testing.T, proof []byte) {
		if _, no := v.Check(proof, &dpop.Request{Method: "GET", URIs: []string{uri}, Token: []byte(token), Key: make([]byte, sha256.Size)}); no == nil {
			t.Errorf("%q has no fault", proof)
		}
	})
}
