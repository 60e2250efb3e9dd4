package plugin

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/cloudflare/circl/sign/ed448"
)

// parsePublicKey reads the first public key in a PEM text, PKIX or PKCS #1, or else its
// first X.509 certificate. As in OpenSSL, other blocks may stand before the key, and a
// byte order mark before the text.
func parsePublicKey(text []byte) (any, error) {
	var certificate *pem.Block
	problem := errors.New("not a PEM public key")
	for rest := bytes.TrimPrefix(text, []byte("\uFEFF")); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch block.Type {
		case "PUBLIC KEY":
			return parsePKIX(block.Bytes)
		case "RSA PUBLIC KEY":
			if key, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
				return key, nil
			}
			if key, err := parsePKIX(block.Bytes); err == nil { // under the wrong label
				return key, nil
			}
			return nil, errors.New("public key cannot be read (PKCS #1)")
		case "CERTIFICATE":
			if certificate == nil {
				certificate = block
			}
		default:
			problem = fmt.Errorf("PEM block %q is not a public key", block.Type)
		}
	}
	if certificate == nil {
		return nil, problem
	}
	parsed, err := x509.ParseCertificate(certificate.Bytes)
	if err != nil {
		return nil, errors.New("certificate cannot be read")
	}
	return parsePKIX(parsed.RawSubjectPublicKeyInfo)
}

// parsePKIX reads a SubjectPublicKeyInfo (RFC 5280 section 4.1), of the kinds that
// crypto/x509 does not know too.
func parsePKIX(der []byte) (any, error) {
	if key, err := x509.ParsePKIXPublicKey(der); err == nil {
		return key, nil
	}
	if key, ok := parseEd448(der); ok {
		return key, nil
	}
	if key, ok := parseCompressed(der); ok {
		return key, nil
	}
	return nil, errors.New("public key cannot be read (PKIX)")
}

// parseEd448 reads a PKIX public key with Ed448 (RFC 8410).
func parseEd448(der []byte) (ed448.PublicKey, bool) {
	var info struct {
		Algorithm struct{ ID asn1.ObjectIdentifier }
		Key       asn1.BitString
	}
	rest, err := asn1.Unmarshal(der, &info)
	ok := err == nil && len(rest) == 0 &&
		info.Algorithm.ID.Equal(asn1.ObjectIdentifier{1, 3, 101, 113}) &&
		info.Key.BitLength == 8*ed448.PublicKeySize
	return ed448.PublicKey(slices.Clone(info.Key.Bytes)), ok
}

// parseCompressed reads a PKIX public key whose EC point is compressed (RFC 5480 section
// 2.2).
func parseCompressed(der []byte) (*ecdsa.PublicKey, bool) {
	var info struct {
		Algorithm struct{ ID, Curve asn1.ObjectIdentifier }
		Key       asn1.BitString
	}
	if rest, err := asn1.Unmarshal(der, &info); err != nil || len(rest) > 0 || !info.Algorithm.ID.Equal(asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}) {
		return nil, false
	}
	curve := map[string]elliptic.Curve{
		"1.2.840.10045.3.1.7": elliptic.P256(), "1.3.132.0.34": elliptic.P384(), "1.3.132.0.35": elliptic.P521(),
	}[info.Algorithm.Curve.String()]
	if curve == nil {
		return nil, false
	}
	x, y := elliptic.UnmarshalCompressed(curve, info.Key.RightAlign())
	if x == nil { // not on the curve
		return nil, false
	}
	size := (curve.Params().BitSize + 7) / 8
	point := make([]byte, 1+2*size)
	point[0] = 4 // uncompressed
	x.FillBytes(point[1 : 1+size])
	y.FillBytes(point[1+size:])
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	return key, err == nil
}
