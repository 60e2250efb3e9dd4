package jwks_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"kong-go-jwt/plugin/jwks"
	"kong-go-jwt/schema"
)

func TestFitKeys(t *testing.T) {
	ec, ed, rs := p256(t, "k"), edKey(t, "k"), rsaKey(t, "k")
	for name, k := range map[string]jwk{
		"EC P-256":           ec,
		"EC P-384":           ecKey(t, "k", elliptic.P384()),
		"EC P-521":           ecKey(t, "k", elliptic.P521()),
		"EC, zero left out":  zeroLedKey(t),
		"Ed25519":            ed,
		"RSA":                rs,
		"RSA, exponent 3":    rs.with("e", "Aw"),
		"use":                ec.with("use", "sig"),
		"no use":             ec.with("use", nil),
		"key_ops":            ec.with("key_ops", []string{"sign", "verify"}),
		"no key_ops":         ec.with("key_ops", nil),
		"use and key_ops":    ec.with("use", "sig").with("key_ops", []string{"verify"}),
		"alg":                ec.with("alg", "ES256"),
		"no alg":             ec.with("alg", nil),
		"certificates":       rs.with("x5c", []string{"MII"}).with("x5t", "x").with("x5u", "http://x"),
		"padding":            rs.with("e", "AQAB="),
		"unknown members":    ec.with("ext", true).with("Kty", "oct").with("exp", 1),
		"no kid":             ec.with("kid", nil),
		"RSA with a curve":   rs.with("crv", "P-256"),
		"largest RSA":        rsaJWK("k", oddNumber(16384), big.NewInt(65537)),
		"largest exponent":   rs.with("e", b64(big.NewInt(1<<31-1).Bytes())),
		"RSA, leading zeros": rs.with("n", b64(append([]byte{0}, oddNumber(2048).Bytes()...))),
	} {
		t.Run(name, func(t *testing.T) {
			keys, unfit, err := jwks.ParseSet(setOf(t, k), 1)
			if err != nil || len(unfit) > 0 || len(keys) != 1 {
				t.Fatalf("got %d keys, %v, %v", len(keys), unfit, err)
			}
			switch key := keys[0].Key.(type) {
			case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
			default:
				t.Errorf("got a %T", key)
			}
		})
	}
}

// Each algorithm is good with keys of its kind, and with no others.
func TestAlgorithms(t *testing.T) {
	kinds := map[string]jwk{
		"RS": rsaKey(t, "k"), "ES256": p256(t, "k"), "ES384": ecKey(t, "k", elliptic.P384()),
		"ES512": ecKey(t, "k", elliptic.P521()), "EdDSA": edKey(t, "k"),
	}
	others := []string{"none", "RS1", "ES256K", "RSA-OAEP", "ECDH-ES", "es256", "Ed25519", "RS", "ES", "PS", "x"}
	for kind, k := range kinds {
		for _, alg := range append(schema.Algorithms(), others...) {
			want := alg == kind && kind != "RS" || kind == "RS" && len(alg) == 5 && (alg[:2] == "RS" || alg[:2] == "PS") && alg[2] != '-'
			keys, _, err := jwks.ParseSet(setOf(t, k.with("alg", alg)), 1)
			if err != nil || (len(keys) == 1) != want {
				t.Errorf("%s with a key for %s: got %d keys and %v, want %v", alg, kind, len(keys), err, want)
			}
		}
	}
}

func TestUnfitKeys(t *testing.T) {
	ec, ed, rs := p256(t, "k"), edKey(t, "k"), rsaKey(t, "k")
	const private, unreadable, unsupported = "is a private key", "cannot be read", "not supported"
	for name, tt := range map[string]struct {
		key  jwk
		want string
	}{
		"oct":                       {jwk{"kty": "oct", "kid": "k", "k": "c2VjcmV0"}, "is a symmetric key"},
		"oct without its value":     {jwk{"kty": "oct", "kid": "k"}, "is a symmetric key"},
		"oct for HS256":             {jwk{"kty": "oct", "kid": "k", "k": "c2VjcmV0", "alg": "HS256", "use": "sig"}, "is a symmetric key"},
		"EC for HS256":              {ec.with("alg", "HS256"), "alg does not fit"},
		"EC with k":                 {ec.with("k", "c2VjcmV0"), private},
		"private EC":                {ec.with("d", "AAAA"), private},
		"private EC, empty":         {ec.with("d", ""), private},
		"private EC, null":          {ec.with("d", nil), private},
		"private EC, other letters": {ec.with("D", "AAAA"), private},
		"private OKP":               {ed.with("d", "AAAA"), private},
		"private RSA d":             {rs.with("d", "AAAA"), private},
		"private RSA p":             {rs.with("p", "AAAA"), private},
		"private RSA q":             {rs.with("q", "AAAA"), private},
		"private RSA dp":            {rs.with("dp", "AAAA"), private},
		"private RSA dq":            {rs.with("dq", "AAAA"), private},
		"private RSA qi":            {rs.with("qi", "AAAA"), private},
		"private RSA oth":           {rs.with("oth", []any{}), private},
		"RSA too short":             {rsaJWK("k", oddNumber(2047), big.NewInt(65537)), "2047 bits"},
		"RSA too long":              {rsaJWK("k", oddNumber(16385), big.NewInt(65537)), "16385 bits"},
		"RSA much too long":         {rsaJWK("k", oddNumber(1<<19), big.NewInt(65537)), "more than 16384 bits"},
		"RSA without n":             {rs.with("n", ""), unreadable},
		"RSA without e":             {rs.with("e", nil), unreadable},
		"RSA exponent 1":            {rs.with("e", "AQ"), unreadable},
		"RSA exponent even":         {rs.with("e", "AAQ"), "exponent"},
		"RSA exponent too large":    {rs.with("e", b64(new(big.Int).Lsh(big.NewInt(1), 31).Bytes())), unreadable},
		"RSA exponent of 64 bits more": {
			rs.with("e", b64(new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 64), big.NewInt(65537)).Bytes())), unreadable,
		},
		"RSA no base64":            {rs.with("n", strings.Repeat("+/", 171)), unreadable},
		"EC off the curve":         {ec.with("y", ec["x"]), unreadable},
		"EC at infinity":           {ec.with("x", "AA").with("y", "AA"), unreadable},
		"EC of another curve":      {ec.with("crv", "P-384"), unreadable},
		"EC without y":             {ec.with("y", nil), unreadable},
		"EC P-224":                 {ec.with("crv", "P-224"), unreadable},
		"EC secp256k1":             {ec.with("crv", "secp256k1"), unsupported},
		"EC without curve":         {ec.with("crv", nil), unsupported},
		"Ed25519 too short":        {ed.with("x", "AAAA"), unreadable},
		"Ed448":                    {ed.with("crv", "Ed448"), unsupported},
		"X25519":                   {ed.with("crv", "X25519"), unsupported},
		"no kty":                   {ec.with("kty", nil), unsupported},
		"kty in other letters":     {ec.with("kty", "ec"), unsupported},
		"post-quantum":             {jwk{"kty": "AKP", "kid": "k", "alg": "ML-DSA-44", "pub": "AAAA"}, unsupported},
		"use enc":                  {rs.with("use", "enc"), "use is not sig"},
		"use in other letters":     {rs.with("use", "SIG"), "use is not sig"},
		"use is a list":            {rs.with("use", []string{"sig"}), "use is not a string"},
		"key_ops without verify":   {ec.with("key_ops", []string{"sign"}), "key_ops lacks verify"},
		"key_ops empty":            {ec.with("key_ops", []string{}), "key_ops lacks verify"},
		"key_ops is a string":      {ec.with("key_ops", "verify"), "key_ops is not a list"},
		"use sig, key_ops encrypt": {ec.with("use", "sig").with("key_ops", []string{"encrypt"}), "key_ops lacks verify"},
		"use enc, key_ops verify":  {ec.with("use", "enc").with("key_ops", []string{"verify"}), "use is not sig"},
		"alg is a number":          {ec.with("alg", 1), "alg is not a string"},
		"kid is a number":          {ec.with("kid", 1), "kid is not a string"},
		"coordinate is a number":   {ec.with("x", 1), "x is not a string"},
		"with a very long kid":     {ec.with("use", "enc").with("kid", strings.Repeat("long", 1000)), "…"},
	} {
		t.Run(name, func(t *testing.T) {
			keys, unfit, err := jwks.ParseSet(setOf(t, tt.key, p256(t, "good")), 2)
			if err != nil || len(unfit) != 1 || !strings.Contains(unfit[0], tt.want) {
				t.Fatalf("got %v and %v, want %q", unfit, err, tt.want)
			}
			if len(keys) != 1 || keys[0].KeyID != "good" {
				t.Errorf("got %d keys, want the good one", len(keys))
			}
			if len(unfit[0]) > 200 {
				t.Errorf("says %d bytes of it", len(unfit[0]))
			}
			for _, member := range []string{"x", "y", "n", "d", "k"} {
				if v, _ := tt.key[member].(string); len(v) > 3 && strings.Contains(unfit[0], v) {
					t.Errorf("tells the key: %s", unfit[0])
				}
			}
		})
	}
}

func TestUnfitKeysAreLogged(t *testing.T) {
	p := newProvider(t, p256(t, "good"), rsaKey(t, "for encryption").with("use", "enc"))
	var log book
	_, set := p.open(t, jwks.Options{Refresh: 1, Log: log.log()})
	one(t, set, "good")
	fetched := func() {
		t.Helper()
		before := p.fetches.Load()
		becomes(t, "it is fetched often", func() bool { return p.fetches.Load() > before+5 })
	}
	fetched()
	if log.lines("\n") != 1 || log.lines("level=INFO") != 1 || log.lines("for encryption") != 1 {
		t.Errorf("want one line: %s", log.String())
	}
	p.publish(p256(t, "good"), rsaKey(t, "for encryption too").with("use", "enc"))
	fetched()
	p.publish(p256(t, "good"))
	fetched()
	p.publish(p256(t, "good"), rsaKey(t, "lost").with("d", "c2VjcmV0"))
	fetched()
	if log.lines("\n") != 1 {
		t.Errorf("want no more lines so soon: %s", log.String())
	}

	var other book
	_, set = p.open(t, jwks.Options{Log: other.log()})
	one(t, set, "good")
	becomes(t, "it is logged", func() bool { return other.lines("is a private key") == 1 })
	if other.lines("level=WARN") != 1 || other.lines("c2VjcmV0") != 0 {
		t.Errorf("logged %s", other.String())
	}
}

// An issuer may publish many keys that are not used, with long names.
func TestUnfitKeysAreCutShort(t *testing.T) {
	longest := strings.Repeat("k", 64)
	for name, tt := range map[string]struct {
		keys      int
		keyID     string
		has, lack string
	}{
		"as many as are told": {10, "k", "keys[9]", "…"},
		"one more":            {11, "k", "; …", "keys[10]"},
		"as long as is told":  {1, longest, longest, "…"},
		"longer":              {1, longest + "k", longest + "…", longest + "k"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t)
			p.publish(slices.Repeat([]jwk{{"kty": "oct", "k": "AAAA", "kid": tt.keyID}}, tt.keys)...)
			var log book
			p.open(t, jwks.Options{Log: log.log()})
			becomes(t, "it is logged", func() bool { return log.lines("not used") == 1 })
			if line := log.String(); !strings.Contains(line, tt.has) || strings.Contains(line, tt.lack) {
				t.Errorf("want %q and not %q: %s", tt.has, tt.lack, line)
			}
		})
	}
}

func FuzzParseSet(f *testing.F) {
	ec, ed, rs := p256(f, "a"), edKey(f, "b"), rsaKey(f, "c")
	f.Add(setOf(f, ec, ed.with("alg", "EdDSA"), rs.with("use", "sig").with("key_ops", []string{"verify"})))
	f.Add(setOf(f, ec.with("d", "AAAA"), jwk{"kty": "oct", "k": "AAAA"}, rs.with("use", "enc")))
	f.Add(setOf(f, ec.with("x", "AA"), ed.with("x", 1), rs.with("e", "AAAA"), rs.with("n", "")))
	for _, text := range []string{``, `{}`, `null`, `[]`, `{"keys":[]}`, `{"keys":[null,1,"",[],{}]}`, `{"keys":{"kty":"RSA"}}`, `{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		const most = 10
		keys, unfit, err := jwks.ParseSet(text, most)
		if len(keys)+len(unfit) > most || err != nil && keys != nil {
			t.Errorf("got %d keys, %d unfit, %v", len(keys), len(unfit), err)
		}
		for _, k := range keys {
			switch key := k.Key.(type) {
			case *rsa.PublicKey:
				if bits := key.N.BitLen(); bits < 2048 || bits > 16384 || key.E < 3 {
					t.Errorf("RSA key of %d bits, exponent %d", bits, key.E)
				}
			case *ecdsa.PublicKey:
				if _, err := key.ECDH(); err != nil { // checks that it is on the curve
					t.Error(err)
				}
			case ed25519.PublicKey:
				if len(key) != ed25519.PublicKeySize {
					t.Errorf("Ed25519 key of %d bytes", len(key))
				}
			default:
				t.Errorf("got a %T", key)
			}
		}
	})
}

func setOf(t testing.TB, keys ...jwk) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// zeroLedKey has a coordinate that begins with a zero, which some leave out
// against RFC 7518 section 6.2.1.2.
func zeroLedKey(t *testing.T) jwk {
	t.Helper()
	for {
		k := p256(t, "k")
		if x, _ := k["x"].(string); strings.HasPrefix(x, "AA") || strings.HasPrefix(x, "AB") || strings.HasPrefix(x, "AC") || strings.HasPrefix(x, "AD") {
			return trimZero(t, k)
		}
	}
}

func trimZero(t *testing.T, k jwk) jwk {
	t.Helper()
	text, _ := k["x"].(string)
	x, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || x[0] != 0 {
		t.Fatalf("%v, %v", x, err)
	}
	return k.with("x", b64(x[1:]))
}
