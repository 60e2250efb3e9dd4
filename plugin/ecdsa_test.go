package plugin_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"math/big"
	"sync"
	"testing"

	"kong-go-jwt/plugin"
)

// signer makes ECDSA signatures with a key and with nonces of one's choice.
type signer struct {
	*ecdsa.PrivateKey

	d, order *big.Int
	size     int                                 // of a number, bytes
	verifies func(digest, signature []byte) bool // by the plugin
}

func newSigner(t testing.TB, algorithm string, curve elliptic.Curve, d *big.Int) *signer {
	t.Helper()
	n := curve.Params().N
	s := &signer{d: d, order: n, size: (n.BitLen() + 7) / 8}
	var err error
	if s.PrivateKey, err = ecdsa.ParseRawPrivateKey(curve, s.bytes(d)); err != nil {
		t.Fatal(err)
	}
	if s.verifies, err = plugin.DigestVerifier(algorithm, &s.PublicKey); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *signer) bytes(n *big.Int) []byte { return n.FillBytes(make([]byte, s.size)) }

// r is the first number of a signature with that nonce.
func (s *signer) r(t testing.TB, nonce *big.Int) *big.Int {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(s.Curve, s.bytes(nonce))
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	r := new(big.Int).SetBytes(point[1 : 1+s.size])
	return r.Mod(r, s.order)
}

// sign signs the digest e (FIPS 186-5 section 6.4.1).
func (s *signer) sign(t testing.TB, e, nonce *big.Int) (r, v *big.Int) {
	t.Helper()
	r = s.r(t, nonce)
	v = new(big.Int).Mul(r, s.d)
	v.Add(v, e).Mul(v, new(big.Int).ModInverse(nonce, s.order)).Mod(v, s.order)
	return r, v
}

// expect verifies a signature by the plugin and by crypto/ecdsa.
func (s *signer) expect(t *testing.T, what string, e, r, v *big.Int, want bool) {
	t.Helper()
	if e.BitLen() > 8*(s.order.BitLen()/8) {
		return // crypto/ecdsa would cut it
	}
	digest := e.FillBytes(make([]byte, s.order.BitLen()/8))
	good := s.verifies(digest, append(s.bytes(r), s.bytes(v)...))
	if std := ecdsa.Verify(&s.PublicKey, digest, r, v); good != std || good != want {
		t.Errorf("%s: d %x, e %x, r %x, s %x: accepted %t, crypto/ecdsa says %t, want %t", what, s.d, e, r, v, good, std, want)
	}
}

// TestECDSAAgrees holds the plugin's own ECDSA against crypto/ecdsa, with the numbers at
// which the arithmetic of curves goes wrong where it does.
func TestECDSAAgrees(t *testing.T) {
	for algorithm, curve := range map[string]elliptic.Curve{"ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			n := curve.Params().N
			zero, one := new(big.Int), big.NewInt(1)
			less := func(k int64) *big.Int { return new(big.Int).Sub(n, big.NewInt(k)) }
			quarter := new(big.Int).Lsh(one, uint(n.BitLen()+3)/4) // where the comb's teeth are
			random, err := rand.Int(rand.Reader, less(1))
			if err != nil {
				t.Fatal(err)
			}
			special := []*big.Int{
				one, big.NewInt(2), big.NewInt(3), big.NewInt(16), less(1), less(2), less(16),
				new(big.Int).Rsh(n, 1), quarter, new(big.Int).Sub(quarter, one), new(big.Int).Sub(n, quarter),
				new(big.Int).Lsh(quarter, 1), new(big.Int).ModInverse(quarter, n), random.Add(random, one),
			}
			for i, d := range special {
				s := newSigner(t, algorithm, curve, d)
				for j := range 2 {
					nonce, e := special[(3*i+5*j)%len(special)], special[(i+7*j)%len(special)]
					r, v := s.sign(t, e, nonce)
					if v.Sign() == 0 {
						continue // as nobody would sign
					}
					s.expect(t, "good", e, r, v, true)
					s.expect(t, "the other s", e, r, new(big.Int).Sub(n, v), true)
					s.expect(t, "another e", new(big.Int).Xor(e, one), r, v, false)
					s.expect(t, "another r", e, new(big.Int).Xor(r, one), v, false)
					s.expect(t, "another s", e, r, new(big.Int).Xor(v, one), false)
				}
				nonce := special[(i+1)%len(special)]
				r, v := s.sign(t, zero, nonce)
				s.expect(t, "no digest", zero, r, v, true)
				for _, beyond := range []*big.Int{zero, n, new(big.Int).Add(n, one)} {
					s.expect(t, "r out of range", zero, beyond, v, false)
					s.expect(t, "s out of range", zero, r, beyond, false)
				}
				if s.size*8 > n.BitLen()+1 { // there is room for more than the order
					s.expect(t, "r and the order", zero, new(big.Int).Add(r, n), v, false)
					s.expect(t, "s and the order", zero, r, new(big.Int).Add(v, n), false)
				}
				// A digest for which both points are the same, and one for which each is
				// the other's opposite: their sum is the point at infinity.
				e := new(big.Int).Mul(r, d)
				e.Mod(e, n)
				r, v = s.sign(t, e, nonce)
				s.expect(t, "equal points", e, r, v, true)
				s.expect(t, "opposite points", e.Sub(n, e), r, v, false)
			}
		})
	}
}

// A signature is two numbers of the order's size (RFC 7518 section 3.4).
func TestECDSASignatureSize(t *testing.T) {
	s := newSigner(t, "ES384", elliptic.P384(), big.NewInt(7))
	one := big.NewInt(1)
	r, v := s.sign(t, one, big.NewInt(11))
	good := append(s.bytes(r), s.bytes(v)...)
	for name, tt := range map[string]struct {
		signature []byte
		want      bool
	}{
		"good":         {good, true},
		"none":         {nil, false},
		"r alone":      {good[:s.size], false},
		"too short":    {good[:2*s.size-1], false},
		"too long":     {append(bytes.Clone(good), 0), false},
		"s with zeros": {append(append(s.bytes(r), 0), s.bytes(v)...), false},
	} {
		if accepted := s.verifies(s.bytes(one), tt.signature); accepted != tt.want {
			t.Errorf("%s: accepted %t, want %t", name, accepted, tt.want)
		}
	}
}

// Many tokens of one key are verified at once, the first of which makes it ready.
func TestECDSAAtOnce(t *testing.T) {
	s := newSigner(t, "ES384", elliptic.P384(), big.NewInt(7))
	r, v := s.sign(t, big.NewInt(1), big.NewInt(11))
	signature := append(s.bytes(r), s.bytes(v)...)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for digest, want := range map[byte]bool{1: true, 2: false} {
				if good := s.verifies([]byte{digest}, signature); good != want {
					t.Errorf("%d: accepted %t, want %t", digest, good, want)
				}
			}
		})
	}
	all.Wait()
}

// FuzzECDSA signs a digest with a key and a nonce, changes bits of the signature, and
// holds the plugin's answer against that of crypto/ecdsa.
func FuzzECDSA(f *testing.F) {
	one := []byte{1}
	for _, p521 := range []bool{false, true} {
		f.Add(p521, one, one, one, []byte(nil))
		f.Add(p521, one, []byte{2}, []byte(nil), one)
		f.Add(p521, bytes.Repeat([]byte{0xff}, 66), one, bytes.Repeat([]byte{0xff}, 66), []byte{0, 0})
		f.Add(p521, []byte("a key"), []byte("a nonce"), []byte("a digest"), bytes.Repeat([]byte{0, 1}, 66))
	}
	f.Fuzz(func(t *testing.T, p521 bool, key, nonce, digest, change []byte) {
		algorithm, curve := "ES384", elliptic.P384()
		if p521 {
			algorithm, curve = "ES512", elliptic.P521()
		}
		n := curve.Params().N
		scalar := func(b []byte) *big.Int { // from 1 to n-1
			k := new(big.Int).SetBytes(b)
			return k.Mod(k, new(big.Int).Sub(n, big.NewInt(1))).Add(k, big.NewInt(1))
		}
		digest = digest[:min(len(digest), n.BitLen()/8)] // more would be cut
		s := newSigner(t, algorithm, curve, scalar(key))
		r, v := s.sign(t, new(big.Int).SetBytes(digest), scalar(nonce))
		signature := append(s.bytes(r), s.bytes(v)...)
		changed := bytes.Clone(signature)
		subtle.XORBytes(changed, signature, change) // as far as change goes
		good := s.verifies(digest, changed)
		std := ecdsa.Verify(&s.PublicKey, digest, r.SetBytes(changed[:s.size]), v.SetBytes(changed[s.size:]))
		if good != std || bytes.Equal(changed, signature) && v.Sign() != 0 && !good {
			t.Fatalf("%s, d %x, digest %x, signature %x: accepted %t, crypto/ecdsa says %t", algorithm, s.d, digest, changed, good, std)
		}
	})
}
