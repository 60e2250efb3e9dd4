package plugin

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/golang-jwt/jwt/v5"

	"kong-go-jwt/schema"
)

// The least size of an RSA key in bits: minRSABits (RFC 7518 section 3.3), and with
// Config.AllowWeakRSAKeys, weakRSABits. crypto/rsa takes no smaller ones.
const (
	minRSABits  = 2048
	weakRSABits = 1024
)

// keyRules are what of a configuration decides how a credential's key is taken.
type keyRules struct{ secretIsBase64, weakRSA bool }

func keyRulesOf(c *schema.Config) keyRules { return keyRules{c.SecretIsBase64, c.AllowWeakRSAKeys} }

// index tells the rules apart, from 0 to 3.
func (r keyRules) index() (i int) {
	if r.secretIsBase64 {
		i |= 1
	}
	if r.weakRSA {
		i |= 2
	}
	return i
}

// verifier checks signatures with one algorithm and one key. The algorithm is
// the credential's; what a token says about itself has no say (RFC 8725
// section 3.1). It is safe for concurrent use.
type verifier struct {
	algorithm string
	method    method
	key       any
	macs      *sync.Pool // of an HMAC with the secret, kept from token to token; nil: not symmetric
}

// method is what is used of a [jwt.SigningMethod].
type method interface {
	// Verify returns nil if the signature is one of signed by key.
	Verify(signed string, signature []byte, key any) error
}

// newVerifier prepares a credential's key. The error says what is wrong with
// the key and holds nothing of it.
func newVerifier(cr *Credential, rules keyRules) (*verifier, error) {
	method := signingMethod(cr.Algorithm)
	if method == nil {
		return nil, fmt.Errorf("unknown algorithm %q", cr.Algorithm)
	}
	if strings.HasPrefix(cr.Algorithm, "HS") {
		secret := []byte(cr.Secret)
		if rules.secretIsBase64 {
			var ok bool
			if secret, ok = decodeSecret(secret); !ok {
				return nil, errors.New("secret is not base64")
			}
		}
		if len(secret) == 0 {
			return nil, errors.New("secret is empty")
		}
		return newHMACVerifier(method, secret)
	}
	key, err := parsePublicKey([]byte(cr.PublicKey))
	if err != nil {
		return nil, err
	}
	least := minRSABits
	if rules.weakRSA {
		least = weakRSABits
	}
	return newPublicKeyVerifier(cr.Algorithm, key, least)
}

func newHMACVerifier(method jwt.SigningMethod, secret []byte) (*verifier, error) {
	m, ok := method.(*jwt.SigningMethodHMAC)
	if !ok {
		return nil, fmt.Errorf("algorithm %s has no secret", method.Alg())
	}
	return &verifier{algorithm: m.Alg(), method: m, key: secret, macs: &sync.Pool{New: func() any { return hmac.New(m.Hash.New, secret) }}}, nil
}

// newPublicKeyVerifier pairs an asymmetric algorithm with a key that is fit for
// it: its type, its curve, its size, which for RSA is leastRSA bits (RFC 8725 section
// 3.2).
func newPublicKeyVerifier(algorithm string, key any, leastRSA int) (*verifier, error) {
	var method method = signingMethod(algorithm)
	var err error
	fit := false
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < leastRSA {
			return nil, fmt.Errorf("RSA key has %d bits, fewer than %d", bits, leastRSA)
		}
		fit = strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PublicKey:
		curve := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[algorithm]
		if fit = curve != nil && k.Curve == curve; fit {
			method, err = newECDSAMethod(algorithm, k)
		}
	case ed25519.PublicKey:
		fit = algorithm == "EdDSA"
	case ed448.PublicKey:
		fit, method = algorithm == "EdDSA", ed448Method{}
	}
	if !fit {
		return nil, fmt.Errorf("key of type %s does not fit algorithm %s", keyType(key), algorithm)
	}
	if err != nil {
		return nil, err
	}
	return &verifier{algorithm: algorithm, method: method, key: key}, nil
}

// keyType is what a key is, in words.
func keyType(key any) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return "RSA"
	case *ecdsa.PublicKey:
		return "EC " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	case ed448.PublicKey:
		return "Ed448"
	}
	return "unknown"
}

// quick tells whether verifying takes a few microseconds, not a hundred times
// that.
func (v *verifier) quick() bool {
	return v.macs != nil
}

// weakness is what is weak in a key that is used all the same, empty for nothing: an
// HMAC secret that is shorter than the hash, which the bundled plugin takes, or an
// RSA key that only Config.AllowWeakRSAKeys lets in.
func (v *verifier) weakness() string {
	switch key := v.key.(type) {
	case []byte:
		if method, ok := v.method.(*jwt.SigningMethodHMAC); ok && len(key) < method.Hash.Size() {
			return "a secret that is shorter than the hash (RFC 7518 section 3.2)"
		}
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSABits {
			return "an RSA key of fewer than 2048 bits (RFC 7518 section 3.3)"
		}
	}
	return ""
}

func (v *verifier) verify(t *token) bool {
	if v.macs != nil {
		return v.verifyHMAC(t)
	}
	return v.method.Verify(string(t.signed), t.signature, v.key) == nil
}

// verifyHMAC compares in constant time.
func (v *verifier) verifyHMAC(t *token) bool {
	mac, ok := v.macs.Get().(hash.Hash)
	if !ok {
		return false // there is nothing else in the pool
	}
	defer v.macs.Put(mac)
	mac.Reset()
	_, _ = mac.Write(t.signed) // never fails
	var sum [sha512.Size]byte
	return hmac.Equal(mac.Sum(sum[:0]), t.signature)
}

// signingMethod returns the method of an algorithm, nil if no credential can have that.
func signingMethod(algorithm string) jwt.SigningMethod {
	if !slices.Contains(schema.Algorithms(), algorithm) { // as "none", which golang-jwt has
		return nil
	}
	return jwt.GetSigningMethod(algorithm)
}

// decodeSecret takes both base64 alphabets, so that the output of
// "openssl rand -base64" works as well as what the bundled plugin takes.
func decodeSecret(s []byte) ([]byte, bool) {
	s = bytes.ReplaceAll(bytes.ReplaceAll(s, []byte("+"), []byte("-")), []byte("/"), []byte("_"))
	return decodeBase64URL(s)
}

// ed448Method is EdDSA with Ed448 (RFC 8037), which golang-jwt does not have.
type ed448Method struct{}

// Verify implements [method] for a key of type ed448.PublicKey.
func (ed448Method) Verify(signed string, signature []byte, key any) error {
	k, ok := key.(ed448.PublicKey)
	if !ok {
		return jwt.ErrInvalidKeyType
	}
	if len(signature) != ed448.SignatureSize || !ed448.Verify(k, []byte(signed), signature, "") {
		return jwt.ErrSignatureInvalid
	}
	return nil
}
