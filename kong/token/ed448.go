package token

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/golang-jwt/jwt/v5"
)

// signingMethod returns what signs with key, which may not be fit for algorithm.
func signingMethod(algorithm string, key any) jwt.SigningMethod {
	method := jwt.GetSigningMethod(algorithm)
	if _, ok := key.(ed448.PrivateKey); ok && algorithm == "EdDSA" {
		method = ed448Method{method}
	}
	return method
}

// ed448Method signs with Ed448 (RFC 8037 section 3.1), which golang-jwt cannot.
type ed448Method struct{ jwt.SigningMethod }

// Sign implements [jwt.SigningMethod].
func (ed448Method) Sign(text string, key any) ([]byte, error) {
	private, ok := key.(ed448.PrivateKey)
	if !ok {
		return nil, jwt.ErrInvalidKeyType
	}
	return ed448.Sign(private, []byte(text), ""), nil
}

// Verify implements [jwt.SigningMethod]. Nothing is verified here.
func (ed448Method) Verify(string, []byte, any) error { return errors.ErrUnsupported }

// parseEd448 reads a PKCS #8 private key of the one kind that crypto/x509 does not
// know (RFC 8410 section 7).
func parseEd448(der []byte) (ed448.PrivateKey, bool) {
	var info struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
		// Attributes and the public key may follow.
	}
	id := asn1.ObjectIdentifier{1, 3, 101, 113}
	if rest, err := asn1.Unmarshal(der, &info); err != nil || len(rest) > 0 || !info.Algorithm.Algorithm.Equal(id) {
		return nil, false
	}
	var seed []byte
	if rest, err := asn1.Unmarshal(info.Key, &seed); err != nil || len(rest) > 0 || len(seed) != ed448.SeedSize {
		return nil, false
	}
	return ed448.NewKeyFromSeed(seed), true
}
