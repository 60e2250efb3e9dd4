package assertion

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"kong-go-jwt/plugin/jwk"
)

// Key is the public part of a signing key.
type Key struct {
	ID        string // its RFC 7638 thumbprint
	Algorithm string // ES256, EdDSA or RS256
	jwk       map[string]string
}

// minRSABits is the least size of an RSA key (RFC 7518 section 3.3).
const minRSABits = 2048

// parsePrivateKey reads a PEM text with one private key. The error holds nothing
// of the text.
func parsePrivateKey(text []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(text)
	if block != nil && block.Type == "EC PARAMETERS" { // openssl ecparam writes it before the key
		block, _ = pem.Decode(rest)
	}
	if block == nil {
		return nil, errors.New("is not PEM")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("is protected by a passphrase")
	default:
		return nil, errors.New("is not a PEM private key")
	}
	if err != nil { // which may tell of what is in it
		return nil, errors.New("is a private key that cannot be read")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("is a private key that cannot sign")
	}
	return signer, nil
}

// newKey describes a public key as a JWK (RFC 7517, RFC 7518 section 6, RFC 8037).
func newKey(public crypto.PublicKey) (k Key, err error) {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return k, errors.New("is an EC key on another curve than P-256")
		}
		k.Algorithm = "ES256"
	case ed25519.PublicKey:
		k.Algorithm = "EdDSA"
	case *rsa.PublicKey:
		if bits := p.N.BitLen(); bits < minRSABits {
			return k, fmt.Errorf("is an RSA key with %d bits, fewer than %d", bits, minRSABits)
		}
		k.Algorithm = "RS256"
	}
	if k.jwk, err = jwk.Required(public); err != nil {
		return k, err //nolint:wrapcheck // says it all
	}
	if k.ID, err = jwk.Thumbprint(k.jwk); err != nil {
		return k, err //nolint:wrapcheck // says it all
	}
	k.jwk["kid"], k.jwk["alg"], k.jwk["use"] = k.ID, k.Algorithm, "sig"
	return k, nil
}
