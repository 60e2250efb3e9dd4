package jwk

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
)

// Required returns the members that make up a public key (RFC 7638 section 3.2).
func Required(public crypto.PublicKey) (map[string]string, error) {
	b64 := base64.RawURLEncoding.EncodeToString
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		point, err := p.Bytes() // 4, x, y
		if err != nil {
			return nil, errors.New("is an EC key that is not on its curve")
		}
		half := len(point) / 2
		return map[string]string{"kty": "EC", "crv": p.Curve.Params().Name, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])}, nil
	case ed25519.PublicKey:
		return map[string]string{"kty": "OKP", "crv": "Ed25519", "x": b64(p)}, nil
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "n": b64(p.N.Bytes()), "e": b64(big.NewInt(int64(p.E)).Bytes())}, nil
	}
	return nil, errors.New("is neither an EC, an Ed25519 nor an RSA key")
}

// Thumbprint returns the SHA-256 thumbprint of the key that Required has described,
// as base64url (RFC 7638).
func Thumbprint(required map[string]string) (string, error) {
	text, err := json.Marshal(required) // in lexical order, as section 3.3 asks for
	if err != nil {
		return "", errors.New("cannot be described")
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}
