package plugin

import (
	"crypto"
	"crypto/ecdsa"
	"fmt"
	"io"
	"math/big"
	"sync"

	"filippo.io/nistec"
	"github.com/golang-jwt/jwt/v5"
)

// ecdsaKey verifies ECDSA signatures with one public key, on a curve that is slow in
// crypto/ecdsa (FIPS 186-5 section 6.4.2, RFC 7518 section 3.4). Most of the time
// there goes into doublings of the key's point; here they are done once for each key,
// and kept. The group's arithmetic is crypto/ecdsa's own, see docs/adr/0011. All
// values are public, so the time may depend on them. It is safe for concurrent use.
type ecdsaKey[P point[P]] struct {
	hash     crypto.Hash // no longer than the order
	order    *big.Int    // of the group
	infinity func() P    // returns a new point
	q        P           // the key
	once     sync.Once   // makes sums
	sums     [1 << teeth]P
}

// teeth is how many parts a scalar is cut into by times. One more would make a
// signature a tenth faster, and double what a key takes.
const teeth = 4

// point is what is used of a point of nistec. Its operations are complete: they hold
// for equal points, opposite ones and the point at infinity too.
type point[P any] interface {
	SetBytes(encoded []byte) (P, error) // fails for what is not on the curve
	Set(p P) P
	Add(p, q P) P
	Double(p P) P
	ScalarBaseMult(scalar []byte) (P, error)
	BytesX() ([]byte, error) // fails for the point at infinity
}

// newECDSAMethod returns what verifies with that algorithm and key, whose curve is the
// algorithm's.
func newECDSAMethod(algorithm string, key *ecdsa.PublicKey) (method, error) {
	switch algorithm {
	case "ES384":
		return newECDSAKey(crypto.SHA384, key, nistec.NewP384Point)
	case "ES512":
		return newECDSAKey(crypto.SHA512, key, nistec.NewP521Point)
	}
	return signingMethod(algorithm), nil
}

func newECDSAKey[P point[P]](hash crypto.Hash, key *ecdsa.PublicKey, infinity func() P) (*ecdsaKey[P], error) {
	encoded, err := key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("EC key: %w", err)
	}
	q, err := infinity().SetBytes(encoded)
	if err != nil {
		return nil, fmt.Errorf("EC key: %w", err)
	}
	return &ecdsaKey[P]{hash: hash, order: key.Params().N, infinity: infinity, q: q}, nil
}

// Verify implements [method] for the key that k is made of.
func (k *ecdsaKey[P]) Verify(signed string, signature []byte, _ any) error {
	h := k.hash.New()
	_, _ = io.WriteString(h, signed) // never fails
	if !k.verifies(h.Sum(nil), signature) {
		return jwt.ErrSignatureInvalid
	}
	return nil
}

func (k *ecdsaKey[P]) verifies(digest, signature []byte) bool {
	size := (k.order.BitLen() + 7) / 8
	if len(signature) != 2*size {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
	if r.Sign() == 0 || r.Cmp(k.order) >= 0 || s.Sign() == 0 || s.Cmp(k.order) >= 0 {
		return false
	}
	w := s.ModInverse(s, k.order)
	u1 := new(big.Int).SetBytes(digest)
	u1.Mul(u1, w).Mod(u1, k.order)
	u2 := w.Mul(w, r).Mod(w, k.order)
	sum, err := k.infinity().ScalarBaseMult(u1.FillBytes(make([]byte, size)))
	if err != nil {
		return false
	}
	x, err := sum.Add(sum, k.times(u2)).BytesX()
	if err != nil {
		return false
	}
	v := new(big.Int).SetBytes(x)
	return v.Mod(v, k.order).Cmp(r) == 0
}

// times multiplies the key by u, which is less than the order, by a comb (Lim and Lee,
// 1994): u is cut into parts of the same length, and the points that belong to their
// bits at one place are added at once.
func (k *ecdsaKey[P]) times(u *big.Int) P {
	k.once.Do(k.sum)
	product := k.infinity()
	spacing := k.spacing()
	for i := spacing - 1; i >= 0; i-- {
		digit := uint(0)
		for tooth := range teeth {
			digit |= u.Bit(i+tooth*spacing) << tooth
		}
		product.Double(product)
		product.Add(product, k.sums[digit])
	}
	return product
}

// sum fills sums: each is the sum of those of q, 2^spacing q, 2^(2 spacing) q and so on
// for which its index has a bit.
func (k *ecdsaKey[P]) sum() {
	k.sums[0] = k.infinity()
	base := k.infinity().Set(k.q)
	for tooth := range teeth {
		for i := range 1 << tooth {
			k.sums[1<<tooth+i] = k.infinity().Add(k.sums[i], base)
		}
		for range k.spacing() {
			base.Double(base)
		}
	}
}

// spacing is how many bits each part of a scalar has.
func (k *ecdsaKey[P]) spacing() int { return (k.order.BitLen() + teeth - 1) / teeth }
