package verify_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kong-go-jwt/verify"
)

var start = time.Unix(1_800_000_000, 0)

// gateway signs tokens and publishes its keys.
type gateway struct {
	*httptest.Server

	mu      sync.Mutex
	time    time.Time
	keys    map[string]*ecdsa.PrivateKey // published
	down    bool
	fetches int
	signing *ecdsa.PrivateKey
	kid     string
}

func newGateway(t testing.TB) *gateway {
	t.Helper()
	g := &gateway{time: start, keys: map[string]*ecdsa.PrivateKey{}}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if r.URL.Path != "/keys" {
			http.Redirect(w, r, "/keys", http.StatusFound)
			return
		}
		g.fetches++
		if g.down {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(g.set())
	}))
	t.Cleanup(g.Close)
	g.sign(t, "k1", true)
	return g
}

// sign makes a key that signs from now on.
func (g *gateway) sign(t testing.TB, kid string, publish bool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.signing, g.kid = key, kid
	if publish {
		g.keys[kid] = key
	}
}

func (g *gateway) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

func (g *gateway) now() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.time
}

var b64 = base64.RawURLEncoding.EncodeToString

// set is the JWK Set. g.mu is held.
func (g *gateway) set() []byte {
	list := []map[string]string{{"kty": "oct", "kid": "secret", "k": "c2VjcmV0"}}
	for kid, k := range g.keys {
		point, err := k.PublicKey.Bytes()
		if err != nil {
			return nil
		}
		list = append(list, map[string]string{"kty": "EC", "crv": "P-256", "kid": kid, "x": b64(point[1:33]), "y": b64(point[33:])})
	}
	text, err := json.Marshal(map[string]any{"keys": list})
	if err != nil {
		return nil
	}
	return text
}

// token is a good one, but for what is merged over it; null removes.
func (g *gateway) token(t testing.TB, header, claims map[string]any) string {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	all := jwt.MapClaims{
		"iss": "https://gw", "aud": "orders", "sub": "id-1", "iat": start.Unix(), "exp": start.Unix() + 60, "jti": "j",
		"consumer_id": "id-1", "username": "alice", "credential": "key", "scope": "read write", "groups": []string{"staff"}, "anonymous": false,
	}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	token := jwt.NewWithClaims(jwt.SigningMethodES256, all)
	token.Header["typ"], token.Header["kid"] = verify.Type, g.kid
	maps.Copy(token.Header, header)
	signed, err := token.SignedString(g.signing)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (g *gateway) verifier(t testing.TB, change func(*verify.Options)) *verify.Verifier {
	t.Helper()
	o := verify.Options{
		Issuer: "https://gw", Audience: "orders", KeysURL: g.URL + "/keys", Now: g.now, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	v, err := verify.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVerify(t *testing.T) {
	g := newGateway(t)
	v := g.verifier(t, nil)
	id, err := v.Verify(t.Context(), g.token(t, nil, map[string]any{"email": "a@example.com"}))
	if err != nil {
		t.Fatal(err)
	}
	if id.Subject != "id-1" || id.Username != "alice" || id.Credential != "key" || !id.Has("write") || id.Has("wr") ||
		len(id.Groups) != 1 || id.Anonymous || !id.Expires.Equal(start.Add(time.Minute)) || id.Claims["email"] != "a@example.com" {
		t.Errorf("got %+v", id)
	}
}

func TestVerifyRefuses(t *testing.T) {
	g := newGateway(t)
	v := g.verifier(t, nil)
	good := g.token(t, nil, nil)
	header, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	for name, token := range map[string]string{
		"empty":              "",
		"no token":           "x",
		"none":               b64([]byte(`{"alg":"none","typ":"`+verify.Type+`","kid":"k1"}`)) + "." + payload + ".",
		"none, signed":       b64([]byte(`{"alg":"none","typ":"`+verify.Type+`","kid":"k1"}`)) + "." + payload + "." + signature,
		"HS256":              b64([]byte(`{"alg":"HS256","typ":"`+verify.Type+`","kid":"k1"}`)) + "." + payload + "." + signature,
		"other key's alg":    b64([]byte(`{"alg":"EdDSA","typ":"`+verify.Type+`","kid":"k1"}`)) + "." + payload + "." + signature,
		"signature cut":      good[:len(good)-4],
		"other claims":       header + "." + b64([]byte(`{"iss":"https://gw","aud":"orders","sub":"root","exp":1900000000,"anonymous":false}`)) + "." + signature,
		"other audience":     g.token(t, nil, map[string]any{"aud": "billing"}),
		"no audience":        g.token(t, nil, map[string]any{"aud": nil}),
		"other issuer":       g.token(t, nil, map[string]any{"iss": "https://gw/"}),
		"no issuer":          g.token(t, nil, map[string]any{"iss": nil}),
		"expired":            g.token(t, nil, map[string]any{"exp": start.Unix() - 31}),
		"no exp":             g.token(t, nil, map[string]any{"exp": nil}),
		"from the future":    g.token(t, nil, map[string]any{"iat": start.Unix() + 31}),
		"no subject":         g.token(t, nil, map[string]any{"sub": nil}),
		"anonymous":          g.token(t, nil, map[string]any{"anonymous": true}),
		"anonymous, unsaid":  g.token(t, nil, map[string]any{"anonymous": nil}),
		"anonymous, no bool": g.token(t, nil, map[string]any{"anonymous": "false"}),
		"other type":         g.token(t, map[string]any{"typ": "JWT"}, nil),
		"no type":            g.token(t, map[string]any{"typ": ""}, nil),
		"crit":               g.token(t, map[string]any{"crit": []string{"exp"}}, nil),
		"unknown key":        g.token(t, map[string]any{"kid": "k2"}, nil),
		"kid is no text":     g.token(t, map[string]any{"kid": 1}, nil),
		"symmetric key":      g.token(t, map[string]any{"kid": "secret"}, nil),
		"long":               strings.Repeat("x", 40<<10),
	} {
		t.Run(name, func(t *testing.T) {
			id, err := v.Verify(t.Context(), token)
			if !errors.Is(err, verify.ErrInvalid) || id != nil {
				t.Errorf("got %v, %v", id, err)
			}
			if err != nil && len(token) > 10 && strings.Contains(err.Error(), payload) {
				t.Errorf("the error holds the token: %v", err)
			}
		})
	}
	if _, err := v.Verify(t.Context(), good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// A token that must be bound is bound to a method and a path.
func TestMustBeBound(t *testing.T) {
	g := newGateway(t)
	v := g.verifier(t, func(o *verify.Options) { o.Bound = true })
	for name, tt := range map[string]struct {
		claims map[string]any
		want   bool
	}{
		"both":   {map[string]any{"method": "GET", "path": "/"}, true},
		"method": {map[string]any{"method": "GET"}, false},
		"path":   {map[string]any{"path": "/"}, false},
		"none":   {nil, false},
	} {
		if _, err := v.Verify(t.Context(), g.token(t, nil, tt.claims)); (err == nil) != tt.want || err != nil && !errors.Is(err, verify.ErrInvalid) {
			t.Errorf("bound to %s: %v", name, err)
		}
	}
}

func TestLongestToken(t *testing.T) {
	g := newGateway(t)
	v := g.verifier(t, nil)
	const most = 32 << 10
	padding := (most - len(g.token(t, nil, map[string]any{"p": ""}))) * 3 / 4
	for ; ; padding++ {
		token := g.token(t, nil, map[string]any{"p": strings.Repeat("x", padding)})
		_, err := v.Verify(t.Context(), token)
		if len(token) > most {
			if !errors.Is(err, verify.ErrInvalid) {
				t.Errorf("%d bytes: %v", len(token), err)
			}
			return
		}
		if err != nil {
			t.Errorf("%d bytes: %v", len(token), err)
		}
	}
}

// Clocks that are 30 seconds apart do no harm.
func TestClocks(t *testing.T) {
	g := newGateway(t)
	v := g.verifier(t, nil)
	strict := g.verifier(t, func(o *verify.Options) { o.Leeway = -1 })
	token := g.token(t, nil, nil)
	for _, tt := range []struct {
		v    *verify.Verifier
		by   time.Duration
		good bool
	}{
		{v, -30 * time.Second, true},
		{v, 89 * time.Second, true},
		{v, -31 * time.Second, false},
		{v, 90 * time.Second, false},
		{strict, 59 * time.Second, true},
		{strict, -time.Second, false},
		{strict, time.Minute, false},
	} {
		g.change(func() { g.time = start.Add(tt.by) })
		if _, err := tt.v.Verify(t.Context(), token); (err == nil) != tt.good {
			t.Errorf("%v off: %v", tt.by, err)
		}
	}
}

func TestOptionsAreRequired(t *testing.T) {
	set := []byte(`{"keys":[]}`)
	for name, o := range map[string]verify.Options{
		"issuer":              {Audience: "a", KeysURL: "https://gw/keys"},
		"audience":            {Issuer: "i", KeysURL: "https://gw/keys"},
		"keys":                {Issuer: "i", Audience: "a"},
		"one of them":         {Issuer: "i", Audience: "a", KeysURL: "https://gw/keys", Keys: set},
		"keys of some":        {Issuer: "i", Audience: "a", Keys: set},
		"https":               {Issuer: "i", Audience: "a", KeysURL: "http://gw.example.com/keys"},
		"https or http":       {Issuer: "i", Audience: "a", KeysURL: "file:///keys"},
		"this host, or https": {Issuer: "i", Audience: "a", KeysURL: "http://10.0.0.1/keys"},
		"a host":              {Issuer: "i", Audience: "a", KeysURL: "https:///keys"},
		"http or https":       {Issuer: "i", Audience: "a", KeysURL: "ftp://gw.example.com/keys"},
		"a URL":               {Issuer: "i", Audience: "a", KeysURL: "https://%zz/keys"},
		"a URL with host":     {Issuer: "i", Audience: "a", KeysURL: "/keys"},
	} {
		t.Run(name, func(t *testing.T) {
			if v, err := verify.New(o); err == nil || v != nil || !strings.HasPrefix(err.Error(), "verify: ") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestKeysInHand(t *testing.T) {
	g := newGateway(t)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"ed","use":"sig","x":"` + b64(public) + `"},{"kty":"OKP","crv":"Ed25519","kid":"enc","use":"enc","x":"` + b64(public) + `"}]}`
	v := g.verifier(t, func(o *verify.Options) { o.KeysURL, o.Keys = "", []byte(set) })
	for kid, good := range map[string]bool{"ed": true, "enc": false, "": false} {
		token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"iss": "https://gw", "aud": "orders", "sub": "s", "exp": start.Unix() + 9, "anonymous": false})
		token.Header["typ"], token.Header["kid"] = "application/"+verify.Type, kid
		signed, err := token.SignedString(private)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), signed); (err == nil) != good {
			t.Errorf("kid %q: %v", kid, err)
		}
	}
}

// Which RSA keys are used, and how many keys there may be.
func TestKeySets(t *testing.T) {
	rsaKey := func(bits uint, e int64) string {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return fmt.Sprintf(`{"kty":"RSA","kid":"k","n":%q,"e":%q}`, b64(n.SetBit(n, 0, 1).Bytes()), b64(big.NewInt(e).Bytes()))
	}
	g := newGateway(t)
	point, err := g.signing.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	ec := func(kty, crv string) string {
		return fmt.Sprintf(`{"kty":%q,"crv":%q,"kid":"k","x":%q,"y":%q}`, kty, crv, b64(point[1:33]), b64(point[33:]))
	}
	okp := func(kty, crv string) string {
		return fmt.Sprintf(`{"kty":%q,"crv":%q,"kid":"k","x":%q}`, kty, crv, b64(point[1:33]))
	}
	const good, unusable = "", "verify: the JWK Set has no key that can be used"
	one := rsaKey(2048, 65537)
	for name, tt := range map[string]struct{ keys, want string }{
		"RSA":                {one, good},
		"short RSA":          {rsaKey(2047, 65537), unusable},
		"longest RSA":        {rsaKey(8192, 65537), good},
		"long RSA":           {rsaKey(8193, 65537), unusable},
		"exponent 1":         {rsaKey(2048, 1), unusable},
		"exponent 3":         {rsaKey(2048, 3), good},
		"even exponent":      {rsaKey(2048, 4), unusable},
		"largest exponent":   {rsaKey(2048, 1<<31-1), good},
		"too large exponent": {rsaKey(2048, 1<<31+1), unusable},
		"other kind":         {strings.Replace(one, "RSA", "DH", 1), unusable},
		"curve of EC alone":  {ec("OKP", "P-256"), unusable},
		"EC":                 {ec("EC", "P-256"), good},
		"EC, another curve":  {ec("EC", "P-384"), unusable},
		"Ed25519":            {okp("OKP", "Ed25519"), good},
		"X25519":             {okp("OKP", "X25519"), unusable},
		"Ed25519 of EC":      {okp("EC", "Ed25519"), unusable},
		"without kid":        {strings.Replace(one, `"k"`, `""`, 1), unusable},
		"as many as may be":  {strings.Repeat(one+",", 99) + one, good},
		"one too many":       {strings.Repeat(one+",", 100) + one, "verify: the JWK Set has more than 100 keys"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verify.New(verify.Options{Issuer: "https://gw", Audience: "orders", Keys: []byte(`{"keys":[` + tt.keys + `]}`)})
			if err == nil && tt.want != good || err != nil && err.Error() != tt.want {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// A key set of as many bytes as are allowed is taken, one more is not.
func TestKeySetIsBounded(t *testing.T) {
	g := newGateway(t)
	for more, want := range map[int]bool{0: true, 1: false} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			g.mu.Lock()
			set := g.set()
			g.mu.Unlock()
			_, _ = w.Write(append(set, bytes.Repeat([]byte(" "), 256<<10+more-len(set))...))
		}))
		t.Cleanup(s.Close)
		v := g.verifier(t, func(o *verify.Options) { o.KeysURL = s.URL })
		if _, err := v.Verify(t.Context(), g.token(t, nil, nil)); (err == nil) != want {
			t.Errorf("%d bytes more than are allowed: %v", more, err)
		}
	}
}

// A failure is logged where the service says, or else as slog does.
func TestLog(t *testing.T) {
	g := newGateway(t)
	g.change(func() { g.down = true })
	var log strings.Builder
	v := g.verifier(t, func(o *verify.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	if _, err := v.Verify(t.Context(), g.token(t, nil, nil)); err == nil || !strings.Contains(log.String(), "the gateway's keys cannot be fetched") {
		t.Errorf("%v; log: %s", err, log.String())
	}
	if _, err := g.verifier(t, func(o *verify.Options) { o.Log = nil }).Verify(t.Context(), g.token(t, nil, nil)); err == nil {
		t.Error("no error")
	}
}

// count is how often the keys were fetched.
func (g *gateway) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.fetches
}

func (g *gateway) pass(d time.Duration) { g.change(func() { g.time = g.time.Add(d) }) }

// Keys that are not known are asked for, and no more often than every 10 seconds.
func TestUnknownKeysAreAskedForRarely(t *testing.T) {
	g := newGateway(t)
	v := g.verifier(t, nil)
	verifies := func(want bool) {
		t.Helper()
		if _, err := v.Verify(t.Context(), g.token(t, nil, map[string]any{"exp": g.now().Unix() + 60})); (err == nil) != want {
			t.Errorf("got %v", err)
		}
	}
	verifies(true)
	for range 100 {
		_, _ = v.Verify(t.Context(), g.token(t, map[string]any{"kid": rand.Text()}, nil))
	}
	if n := g.count(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
	g.sign(t, "k2", true)
	verifies(false)
	g.pass(10 * time.Second)
	verifies(true)
	if n := g.count(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
	for range 10 { // a key that is known is no reason to ask
		g.pass(11 * time.Second)
		verifies(true)
	}
	g.sign(t, "k3", true)
	verifies(true) // all that was asked for has come
	if n := g.count(); n != 3 {
		t.Errorf("%d fetches, want 3", n)
	}
}

// While the keys cannot be fetched, those that are known go on, for a day.
func TestStaleKeys(t *testing.T) {
	g := newGateway(t)
	v := g.verifier(t, nil)
	now := func() string { return g.token(t, nil, map[string]any{"iat": nil, "exp": g.now().Unix() + 60}) }
	g.change(func() { g.down = true })
	if _, err := v.Verify(t.Context(), now()); err == nil || errors.Is(err, verify.ErrInvalid) {
		t.Errorf("keys never seen: %v", err)
	}
	g.change(func() { g.down = false })
	g.pass(time.Second)
	if _, err := v.Verify(t.Context(), now()); err != nil {
		t.Fatal(err)
	}
	g.change(func() { g.down = true })
	g.pass(24*time.Hour - time.Second)
	if _, err := v.Verify(t.Context(), now()); err != nil {
		t.Errorf("known key: %v", err)
	}
	g.sign(t, "k2", true)
	g.pass(-11 * time.Second)
	if _, err := v.Verify(t.Context(), now()); err == nil || errors.Is(err, verify.ErrInvalid) {
		t.Errorf("a key that may have been published since: %v", err)
	}
	g.change(func() { g.kid = "k1"; g.signing = g.keys["k1"] })
	g.pass(12 * time.Second) // to 24 hours
	if _, err := v.Verify(t.Context(), now()); err == nil || errors.Is(err, verify.ErrInvalid) {
		t.Errorf("after a day: %v", err)
	}
}

// A key that was dropped is refused once the keys were fetched again, which no
// request waits for.
func TestDroppedKey(t *testing.T) {
	g := newGateway(t)
	v := g.verifier(t, nil)
	token := g.token(t, nil, map[string]any{"exp": start.Unix() + 3600})
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	g.sign(t, "k2", true)
	g.change(func() { delete(g.keys, "k1") })
	g.pass(verify.DefaultRefresh)
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("while they are fetched: %v", err)
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, err := v.Verify(t.Context(), token); errors.Is(err, verify.ErrInvalid) {
			return
		}
	}
	t.Error("a dropped key is still good")
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	g := newGateway(t)
	v := g.verifier(t, func(o *verify.Options) { o.KeysURL = g.URL + "/moved" })
	if _, err := v.Verify(t.Context(), g.token(t, nil, nil)); err == nil || g.count() > 0 {
		t.Errorf("got %v", err)
	}
}

// A caller who waits no longer gets away.
func TestFetchIsNotWaitedForTooLong(t *testing.T) {
	g := newGateway(t)
	g.mu.Lock()
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	g.mu.Unlock()
	t.Cleanup(stuck.Close)
	v := g.verifier(t, func(o *verify.Options) { o.KeysURL = stuck.URL })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := v.Verify(ctx, g.token(t, nil, nil)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	stuck.CloseClientConnections()
}

func TestHandler(t *testing.T) {
	g := newGateway(t)
	good := g.token(t, nil, nil)
	bound := g.token(t, nil, map[string]any{"method": "GET", "path": "/a%2Fb"})
	toMethod := g.token(t, nil, map[string]any{"method": "POST"})
	toPath := g.token(t, nil, map[string]any{"path": "/a"})
	other := g.token(t, nil, map[string]any{"aud": "billing"})
	for name, tt := range map[string]struct {
		target  string
		headers []string
		change  func(*verify.Options)
		want    string
	}{
		"good":               {"/", []string{good}, nil, "200 alice"},
		"none":               {"/", nil, nil, `401 {"message":"Unauthorized"}`},
		"several":            {"/", []string{good, good}, nil, `401 {"message":"Unauthorized"}`},
		"other audience":     {"/", []string{other}, nil, `401 {"message":"Unauthorized"}`},
		"other header":       {"/", []string{good}, func(o *verify.Options) { o.Header = "X-Who" }, `401 {"message":"Unauthorized"}`},
		"bound":              {"/a%2Fb?q=1", []string{bound}, nil, "200 alice"},
		"bound to another":   {"/a/b", []string{bound}, nil, `401 {"message":"Unauthorized"}`},
		"bound to a method":  {"/a", []string{toMethod}, nil, `401 {"message":"Unauthorized"}`},
		"bound to a path":    {"/a", []string{toPath}, nil, `401 {"message":"Unauthorized"}`},
		"must be, to both":   {"/a", []string{g.token(t, nil, map[string]any{"method": "GET"})}, func(o *verify.Options) { o.Bound = true }, `401 {"message":"Unauthorized"}`},
		"must be, to both 2": {"/a", []string{toPath}, func(o *verify.Options) { o.Bound = true }, `401 {"message":"Unauthorized"}`},
		"must be bound":      {"/a%2Fb", []string{good}, func(o *verify.Options) { o.Bound = true }, `401 {"message":"Unauthorized"}`},
		"must be, and is":    {"/a%2Fb", []string{bound}, func(o *verify.Options) { o.Bound = true }, "200 alice"},
		"keys cannot be had": {"/", []string{good}, func(o *verify.Options) { o.KeysURL = "http://127.0.0.1:1/" }, `503 {"message":"Service unavailable"}`},
	} {
		t.Run(name, func(t *testing.T) {
			h := g.verifier(t, tt.change).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if id, ok := verify.FromContext(r.Context()); ok {
					_, _ = w.Write([]byte(id.Username))
				}
			}))
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tt.target, nil)
			r.Header.Set("X-Consumer-Username", "forged")
			for _, token := range tt.headers {
				r.Header.Add("X-Kong-Jwt-Assertion", token)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			status, text, _ := strings.Cut(tt.want, " ")
			if w.Body.String() != text || w.Result().Status[:3] != status || (status == "401") != (w.Header().Get("WWW-Authenticate") != "") {
				t.Errorf("got %d %s, want %s", w.Code, w.Body, tt.want)
			}
		})
	}
	if _, ok := verify.FromContext(t.Context()); ok {
		t.Error("an identity out of nowhere")
	}
}

func FuzzVerify(f *testing.F) {
	g := newGateway(f)
	g.change(func() { f.Add(string(g.set()), "a.b.c") })
	f.Add(`{"keys":[{"kty":"RSA","kid":"r","n":"AQ","e":"AQAB"},{"kty":"EC","crv":"P-256","kid":"e","x":"","y":""}]}`, g.token(f, nil, nil))
	f.Fuzz(func(t *testing.T, set, token string) {
		v, err := verify.New(verify.Options{Issuer: "https://gw", Audience: "orders", Keys: []byte(set), Now: g.now, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return
		}
		if id, err := v.Verify(t.Context(), token); (id == nil) == (err == nil) || err != nil && !errors.Is(err, verify.ErrInvalid) {
			t.Errorf("got %v, %v", id, err)
		}
	})
}
