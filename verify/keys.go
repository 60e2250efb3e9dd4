package verify

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// source is where keys are had.
type source interface {
	// key returns the key of that kid, nil if there is none. An error means that
	// this cannot be known now.
	key(ctx context.Context, kid string) (*key, error)
}

// key is a public key, and the one algorithm that it is used with.
type key struct {
	algorithm string
	public    crypto.PublicKey
}

// keys is a JWK Set, by kid.
type keys map[string]*key

func (k keys) key(_ context.Context, kid string) (*key, error) { return k[kid], nil }

// jwk is a key as it is published (RFC 7517, RFC 7518 section 6, RFC 8037).
type jwk struct {
	Kty, Crv, Kid, Use, X, Y, N, E string
}

// maxKeys bounds a JWK Set.
const maxKeys = 100

// parseKeys reads a JWK Set. Keys of kinds that the gateway does not use are
// passed over; one that is left must be there.
func parseKeys(text []byte) (keys, error) {
	var set struct{ Keys []jwk }
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("verify: no JWK Set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("verify: the JWK Set has more than %d keys", maxKeys)
	}
	all := make(keys, len(set.Keys))
	for _, k := range set.Keys {
		if parsed := k.parse(); parsed != nil && k.Kid != "" && (k.Use == "" || k.Use == "sig") {
			all[k.Kid] = parsed
		}
	}
	if len(all) == 0 {
		return nil, errors.New("verify: the JWK Set has no key that can be used")
	}
	return all, nil
}

// parse returns the key, nil if it is none that the gateway signs with.
func (k *jwk) parse() *key {
	const p256 = 32 // bytes of a coordinate
	const minRSA, maxRSA = 2048, 8192
	bytes := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			return nil
		}
		return b
	}
	switch {
	case k.Kty == "EC" && k.Crv == "P-256":
		x, y := bytes(k.X), bytes(k.Y)
		if len(x) != p256 || len(y) != p256 {
			return nil
		}
		const uncompressed = 4
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{uncompressed}, x...), y...))
		if err != nil { // not on the curve
			return nil
		}
		return &key{"ES256", public}
	case k.Kty == "OKP" && k.Crv == "Ed25519":
		if x := bytes(k.X); len(x) == ed25519.PublicKeySize {
			return &key{"EdDSA", ed25519.PublicKey(x)}
		}
	case k.Kty == "RSA":
		n, e := new(big.Int).SetBytes(bytes(k.N)), new(big.Int).SetBytes(bytes(k.E))
		if n.BitLen() >= minRSA && n.BitLen() <= maxRSA && e.IsInt64() && e.Int64() > 1 && e.Int64() < 1<<31 && e.Bit(0) == 1 {
			return &key{"RS256", &rsa.PublicKey{N: n, E: int(e.Int64())}}
		}
	}
	return nil
}
