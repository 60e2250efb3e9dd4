// Package dpop verifies that a client has the key that its access token is bound to,
// by a proof that it makes for each request (RFC 9449).
package dpop

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"kong-go-jwt/plugin/jwk"
	"kong-go-jwt/schema"
)

// Algorithms are those that proofs may be signed with. Ed25519 is what RFC 9864
// calls EdDSA with such a key.
func Algorithms() []string { return append(schema.AsymmetricAlgorithms(), "Ed25519") }

// maxProof bounds a proof, in bytes. nginx takes no longer header line by default.
const maxProof = 8 << 10

// proof is a JWT as the DPoP header holds it (RFC 9449 section 4.2). Its signature has
// not been verified.
type proof struct {
	key        any
	thumbprint string // of key (RFC 7638)
	method     jwt.SigningMethod
	signed     string
	signature  []byte

	htm, htu, jti, ath, nonce string
	iat                       float64 // seconds since 1970
}

// parse takes a proof apart. A fault says what is wrong with its form.
func parse(text []byte) (*proof, *Fault) {
	if bytes.IndexByte(text, ',') >= 0 {
		return nil, fault("there are several")
	}
	parts := strings.Split(string(text), ".")
	if len(text) > maxProof || len(parts) != 3 {
		return nil, fault("it is not a signed JWT")
	}
	header, ok1 := members(parts[0])
	claims, ok2 := members(parts[1])
	signature, ok3 := decode(parts[2])
	if !ok1 || !ok2 || !ok3 {
		return nil, fault("it is not a signed JWT")
	}
	p := &proof{signed: parts[0] + "." + parts[1], signature: signature}
	if no := p.readHeader(header); no != nil {
		return nil, no
	}
	return p, p.readClaims(claims)
}

func (p *proof) readHeader(m jwk.Members) *Fault {
	if typ, err := m.Text("typ"); err != nil || typ != "dpop+jwt" {
		return fault("typ is not dpop+jwt")
	}
	if _, critical := m["crit"]; critical { // no extension is understood (RFC 7515 section 4.1.11)
		return fault("crit is not supported")
	}
	alg, err := m.Text("alg")
	if err != nil || !slices.Contains(Algorithms(), alg) {
		return fault("alg is not an asymmetric algorithm that is supported")
	}
	key, err := jwk.ParseMembers(m["jwk"])
	if err != nil {
		return fault("jwk is not a key")
	}
	if p.key, err = key.Key(); err != nil {
		return fault("jwk is not a public key that is supported")
	}
	if alg == "Ed25519" {
		alg = "EdDSA"
	}
	if !jwk.Fits(alg, p.key) {
		return fault("jwk is not fit for alg")
	}
	p.method = jwt.GetSigningMethod(alg)
	required, err := jwk.Required(p.key)
	if err == nil {
		p.thumbprint, err = jwk.Thumbprint(required)
	}
	if err != nil {
		return fault("jwk is not a key")
	}
	return nil
}

func (p *proof) readClaims(m jwk.Members) *Fault {
	for _, claim := range []struct {
		name     string
		to       *string
		required bool
	}{{"htm", &p.htm, true}, {"htu", &p.htu, true}, {"jti", &p.jti, true}, {"ath", &p.ath, true}, {"nonce", &p.nonce, false}} {
		var err error
		if *claim.to, err = m.Text(claim.name); err != nil || claim.required && *claim.to == "" {
			return fault(claim.name + " is missing or not a string")
		}
	}
	if iat, there := m["iat"]; !there || string(iat) == "null" || json.Unmarshal(iat, &p.iat) != nil {
		return fault("iat is missing or not a number")
	}
	return nil
}

// verify tells whether the signature is that of the proof's own key.
func (p *proof) verify() bool { return p.method.Verify(p.signed, p.signature, p.key) == nil }

func members(part string) (jwk.Members, bool) {
	text, ok := decode(part)
	if !ok {
		return nil, false
	}
	m, err := jwk.ParseMembers(text)
	return m, err == nil
}

// decode decodes base64url as RFC 7515 section 2 has it.
func decode(part string) ([]byte, bool) {
	if strings.ContainsAny(part, "\r\n") { // which encoding/base64 would pass over
		return nil, false
	}
	out, err := base64.RawURLEncoding.Strict().DecodeString(part)
	return out, err == nil
}
