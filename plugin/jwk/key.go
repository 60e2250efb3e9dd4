package jwk

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/MicahParks/jwkset"

	"kong-go-jwt/schema"
)

// The size of an RSA key: RFC 7518 section 3.3 wants no fewer bits, and more
// only make verifying slow.
const (
	minRSABits = 2048
	maxRSABits = 16384
)

// What no published key may be.
var (
	ErrSymmetric = errors.New("is a symmetric key, which must not be published")
	ErrPrivate   = errors.New("is a private key, which must not be published")
)

// privateMembers are those of private keys (RFC 7518 sections 6.2.2, 6.3.2 and
// 6.4.1, RFC 8037 section 2).
func privateMembers() []string {
	return []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
}

// Key reads a key that is fit for verifying signatures: an *rsa.PublicKey, an
// *ecdsa.PublicKey or an ed25519.PublicKey. The error says what is wrong with it and
// holds nothing of it.
func (m Members) Key() (any, error) {
	if err := m.public(); err != nil {
		return nil, err
	}
	if err := m.forVerifying(); err != nil {
		return nil, err
	}
	return m.material()
}

// public tells whether a key is what may be published.
func (m Members) public() error {
	if kty, _ := m.Text("kty"); kty == "oct" {
		return ErrSymmetric
	}
	for name := range m {
		if slices.Contains(privateMembers(), strings.ToLower(name)) {
			return ErrPrivate
		}
	}
	return nil
}

// forVerifying tells whether a key is meant for signatures (RFC 7517 sections
// 4.2 and 4.3).
func (m Members) forVerifying() error {
	use, err := m.Text("use")
	switch {
	case err != nil:
		return err
	case use != "" && use != "sig":
		return errors.New("use is not sig")
	}
	var operations []string
	if raw, ok := m["key_ops"]; ok && json.Unmarshal(raw, &operations) != nil {
		return errors.New("key_ops is not a list of strings")
	}
	if operations != nil && !slices.Contains(operations, "verify") {
		return errors.New("key_ops lacks verify")
	}
	return nil
}

// material reads the key itself (RFC 7518 section 6, RFC 8037 section 2).
// Certificates (x5c, x5u) are not looked at: that the key is the issuer's is
// known by where it was fetched.
func (m Members) material() (any, error) {
	text := make(map[string]string)
	for _, name := range []string{"kty", "crv", "x", "y", "n", "e"} {
		var err error
		if text[name], err = m.Text(name); err != nil {
			return nil, err
		}
	}
	switch kty, crv := text["kty"], text["crv"]; {
	case kty == "RSA", kty == "EC" && strings.HasPrefix(crv, "P-"), kty == "OKP" && crv == "Ed25519":
	default:
		return nil, errors.New("kty or crv is not supported")
	}
	if len(text["n"])*6 > maxRSABits+6*8 { // before it is computed with
		return nil, fmt.Errorf("RSA key has more than %d bits", maxRSABits)
	}
	jwk, err := jwkset.NewJWKFromMarshal(jwkset.JWKMarshal{
		KTY: jwkset.KTY(text["kty"]), CRV: jwkset.CRV(text["crv"]),
		X: text["x"], Y: text["y"], N: text["n"], E: text["e"],
	}, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return nil, errors.New("key cannot be read") // without err, which may hold some of it
	}
	if k, ok := jwk.Key().(*rsa.PublicKey); ok {
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return nil, fmt.Errorf("RSA key has %d bits, not between %d and %d", bits, minRSABits, maxRSABits)
		}
		if k.E < 3 || k.E%2 == 0 {
			return nil, errors.New("RSA key has an exponent that is not odd, or 1")
		}
	}
	return jwk.Key(), nil
}

// Fits tells whether an algorithm is asymmetric, supported, and that of the
// key's type and curve (RFC 8725 sections 3.1 and 3.2).
func Fits(algorithm string, key any) bool {
	if !slices.Contains(schema.AsymmetricAlgorithms(), algorithm) {
		return false
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PublicKey:
		return k.Curve == map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[algorithm]
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}
