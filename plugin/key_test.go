package plugin_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/golang-jwt/jwt/v5"

	"kong-go-jwt/plugin"
	"kong-go-jwt/schema"
)

// keys are made once for all tests of the package: RSA keys take their time.
type keys struct {
	rsa2048, rsa3072, rsa1024 *rsa.PrivateKey
	p256, p384, p521          *ecdsa.PrivateKey
	ed25519                   ed25519.PrivateKey
	ed448                     ed448.PrivateKey
}

func makeKeys(t testing.TB) *keys {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0") // to make a key that must be refused
	k := new(keys)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	for bits, to := range map[int]**rsa.PrivateKey{2048: &k.rsa2048, 3072: &k.rsa3072, 1024: &k.rsa1024} {
		*to, err = rsa.GenerateKey(rand.Reader, bits)
		must(err)
	}
	for curve, to := range map[elliptic.Curve]**ecdsa.PrivateKey{elliptic.P256(): &k.p256, elliptic.P384(): &k.p384, elliptic.P521(): &k.p521} {
		*to, err = ecdsa.GenerateKey(curve, rand.Reader)
		must(err)
	}
	_, k.ed25519, err = ed25519.GenerateKey(rand.Reader)
	must(err)
	_, k.ed448, err = ed448.GenerateKey(rand.Reader)
	must(err)
	return k
}

func pkixPEM(t testing.TB, key crypto.PublicKey) string {
	t.Helper()
	var der []byte
	var err error
	if k, ok := key.(ed448.PublicKey); ok {
		der, err = asn1.Marshal(struct {
			Algorithm pkix.AlgorithmIdentifier
			Key       asn1.BitString
		}{
			pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 101, 113}},
			asn1.BitString{Bytes: k, BitLength: 8 * len(k)},
		})
	} else {
		der, err = x509.MarshalPKIXPublicKey(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// compressedPEM is pkixPEM with a compressed point.
func compressedPEM(t testing.TB, key *ecdsa.PublicKey) string {
	t.Helper()
	block, _ := pem.Decode([]byte(pkixPEM(t, key)))
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(block.Bytes, &info); err != nil {
		t.Fatal(err)
	}
	point := info.Key.Bytes // 4, x, y
	half := len(point) / 2
	point[0] = 2 + point[len(point)-1]&1
	info.Key = asn1.BitString{Bytes: point[:1+half], BitLength: 8 * (1 + half)}
	der, err := asn1.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func certificatePEM(t testing.TB, key crypto.Signer) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func privatePEM(t *testing.T, key crypto.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func signAsymmetric(t testing.TB, algorithm string, key any) string {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(`{"alg":"`+algorithm+`"}`)) + "." + b64([]byte(`{"iss":"key"}`))
	var signature []byte
	var err error
	if k, ok := key.(ed448.PrivateKey); ok {
		signature = ed448.Sign(k, []byte(signed), "")
	} else {
		signature, err = jwt.GetSigningMethod(algorithm).Sign(signed, key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + b64(signature)
}

func TestAlgorithms(t *testing.T) {
	k := makeKeys(t)
	badKey, badSignature, badAlgorithm := message(401, `Invalid key\/secret`), message(401, "Invalid signature"), message(401, "Invalid algorithm")
	pkcs1 := func(key *rsa.PrivateKey) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&key.PublicKey)}))
	}
	for name, tt := range map[string]struct {
		algorithm, publicKey string
		token                string
		want                 string
	}{
		"RS256":                {"RS256", pkixPEM(t, k.rsa2048.Public()), signAsymmetric(t, "RS256", k.rsa2048), accepted},
		"RS384, 3072 bits":     {"RS384", pkixPEM(t, k.rsa3072.Public()), signAsymmetric(t, "RS384", k.rsa3072), accepted},
		"RS512, PKCS #1":       {"RS512", pkcs1(k.rsa2048), signAsymmetric(t, "RS512", k.rsa2048), accepted},
		"RS256, certificate":   {"RS256", certificatePEM(t, k.rsa2048), signAsymmetric(t, "RS256", k.rsa2048), accepted},
		"RS256, 1024 bits":     {"RS256", pkixPEM(t, k.rsa1024.Public()), signAsymmetric(t, "RS256", k.rsa1024), badKey},
		"RS256, other key":     {"RS256", pkixPEM(t, k.rsa3072.Public()), signAsymmetric(t, "RS256", k.rsa2048), badSignature},
		"PS256":                {"PS256", pkixPEM(t, k.rsa2048.Public()), signAsymmetric(t, "PS256", k.rsa2048), accepted},
		"PS384, 3072 bits":     {"PS384", pkixPEM(t, k.rsa3072.Public()), signAsymmetric(t, "PS384", k.rsa3072), accepted},
		"PS512":                {"PS512", pkixPEM(t, k.rsa2048.Public()), signAsymmetric(t, "PS512", k.rsa2048), accepted},
		"PS256 for RS256":      {"RS256", pkixPEM(t, k.rsa2048.Public()), signAsymmetric(t, "PS256", k.rsa2048), badAlgorithm},
		"ES256":                {"ES256", pkixPEM(t, k.p256.Public()), signAsymmetric(t, "ES256", k.p256), accepted},
		"ES384, certificate":   {"ES384", certificatePEM(t, k.p384), signAsymmetric(t, "ES384", k.p384), accepted},
		"ES512":                {"ES512", pkixPEM(t, k.p521.Public()), signAsymmetric(t, "ES512", k.p521), accepted},
		"ES256 with P-384":     {"ES256", pkixPEM(t, k.p384.Public()), signAsymmetric(t, "ES256", k.p256), badKey},
		"EdDSA, Ed25519":       {"EdDSA", pkixPEM(t, k.ed25519.Public()), signAsymmetric(t, "EdDSA", k.ed25519), accepted},
		"EdDSA, certificate":   {"EdDSA", certificatePEM(t, k.ed25519), signAsymmetric(t, "EdDSA", k.ed25519), accepted},
		"EdDSA, Ed448":         {"EdDSA", pkixPEM(t, k.ed448.Public()), signAsymmetric(t, "EdDSA", k.ed448), accepted},
		"Ed25519 for Ed448":    {"EdDSA", pkixPEM(t, k.ed448.Public()), signAsymmetric(t, "EdDSA", k.ed25519), badSignature},
		"ES256, compressed":    {"ES256", compressedPEM(t, &k.p256.PublicKey), signAsymmetric(t, "ES256", k.p256), accepted},
		"ES384, compressed":    {"ES384", compressedPEM(t, &k.p384.PublicKey), signAsymmetric(t, "ES384", k.p384), accepted},
		"ES512, compressed":    {"ES512", compressedPEM(t, &k.p521.PublicKey), signAsymmetric(t, "ES512", k.p521), accepted},
		"compressed for ES384": {"ES384", compressedPEM(t, &k.p256.PublicKey), signAsymmetric(t, "ES384", k.p384), badKey},
		"PKIX as PKCS #1":      {"RS256", strings.ReplaceAll(pkixPEM(t, k.rsa2048.Public()), "PUBLIC", "RSA PUBLIC"), signAsymmetric(t, "RS256", k.rsa2048), accepted},
		"byte order mark":      {"RS256", "\uFEFF" + pkixPEM(t, k.rsa2048.Public()), signAsymmetric(t, "RS256", k.rsa2048), accepted},
		"EC parameters before": {"ES256", "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + pkixPEM(t, k.p256.Public()), signAsymmetric(t, "ES256", k.p256), accepted},
		"certificate and key":  {"RS256", certificatePEM(t, k.rsa3072) + pkixPEM(t, k.rsa2048.Public()), signAsymmetric(t, "RS256", k.rsa2048), accepted},
		"certificates":         {"RS256", certificatePEM(t, k.rsa2048) + certificatePEM(t, k.rsa3072), signAsymmetric(t, "RS256", k.rsa2048), accepted},
		"private key":          {"RS256", privatePEM(t, k.rsa2048), signAsymmetric(t, "RS256", k.rsa2048), badKey},
		"RS256 with EC key":    {"RS256", pkixPEM(t, k.p256.Public()), signAsymmetric(t, "RS256", k.rsa2048), badKey},
		"no key":               {"ES256", "", signAsymmetric(t, "ES256", k.p256), badKey},
		"broken PEM":           {"ES256", strings.Replace(pkixPEM(t, k.p256.Public()), "M", "N", 1), signAsymmetric(t, "ES256", k.p256), badKey},
		"key signs HMAC":       {"RS256", pkixPEM(t, k.rsa2048.Public()), sign(`{"alg":"HS256"}`, `{"iss":"key"}`, pkixPEM(t, k.rsa2048.Public())), badAlgorithm},
		"key signs HMAC, says": {"RS256", pkixPEM(t, k.rsa2048.Public()), sign(`{"alg":"RS256"}`, `{"iss":"key"}`, pkixPEM(t, k.rsa2048.Public())), badSignature},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.credentials["key"] = &plugin.Credential{ID: "c", Key: "key", Algorithm: tt.algorithm, PublicKey: tt.publicKey, ConsumerID: "id-1"}
			expect(t, w.decide(t, w.engine(t, `{"secret_is_base64":true}`), tt.token), tt.want)
		})
	}
}

// No credential is good with an algorithm that golang-jwt has, and Kong has not.
func TestUnknownAlgorithm(t *testing.T) {
	for _, algorithm := range []string{"none", "hs256", ""} {
		cr := plugin.Credential{Algorithm: algorithm, Secret: secret(t), PublicKey: secret(t)}
		if _, err := cr.CheckKey(new(schema.Config)); err == nil || err.Error() != fmt.Sprintf("unknown algorithm %q", algorithm) {
			t.Errorf("%q: %v", algorithm, err)
		}
	}
}

func TestSecrets(t *testing.T) {
	badKey, badSignature := message(401, `Invalid key\/secret`), message(401, "Invalid signature")
	bytes := "\xfb\xff\xbf secret of bytes"
	for name, tt := range map[string]struct{ config, stored, signedWith, want string }{
		"text":                    {`{}`, "plain text", "plain text", accepted},
		"other text":              {`{}`, "plain text", "plain text ", badSignature},
		"empty":                   {`{}`, "", "", badKey},
		"base64url":               {`{"secret_is_base64":true}`, base64.RawURLEncoding.EncodeToString([]byte(bytes)), bytes, accepted},
		"base64 of the other one": {`{"secret_is_base64":true}`, base64.StdEncoding.EncodeToString([]byte(bytes)), bytes, accepted},
		"not base64":              {`{"secret_is_base64":true}`, "a secret!", "a secret!", badKey},
		"base64 of nothing":       {`{"secret_is_base64":true}`, "==", "", badKey},
		"base64, not told":        {`{}`, "c2VjcmV0", "secret", badSignature},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.credentials["key"].Secret = tt.stored
			expect(t, w.decide(t, w.engine(t, tt.config), sign(`{"alg":"HS256"}`, `{"iss":"key"}`, tt.signedWith)), tt.want)
			if tt.stored != "" && strings.Contains(w.log.String(), tt.stored) {
				t.Errorf("the log tells a secret: %s", w.log.String())
			}
		})
	}
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n"))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMEMwBQYDK2VxAzoA\n-----END PUBLIC KEY-----\n"))
	f.Add([]byte("-----BEGIN RSA PUBLIC KEY-----\nMAYCAQECAQE=\n-----END RSA PUBLIC KEY-----\n"))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"))
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(compressedPEM(f, &ec.PublicKey)))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	block, _ := pem.Decode([]byte(certificatePEM(f, ed)))
	block.Bytes = bytes.ReplaceAll(block.Bytes, []byte{6, 3, 43, 101, 112}, []byte{6, 3, 43, 101, 127}) // Ed25519 becomes what nobody knows
	f.Add(pem.EncodeToMemory(block))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := plugin.ParsePublicKey(text)
		if (key == nil) == (err == nil) {
			t.Fatalf("got %v and %v", key, err)
		}
	})
}

// allow_weak_rsa_keys takes RSA keys of 1024 bits, and a credential that two
// configurations use is good under the one alone that says so.
func TestWeakRSAKeys(t *testing.T) {
	k := makeKeys(t)
	w := newWorld(t)
	w.change(func() {
		w.credentials["small"] = &plugin.Credential{ID: "cred-2", Key: "small", Algorithm: "RS256", PublicKey: pkixPEM(t, k.rsa1024.Public()), ConsumerID: "id-1"}
	})
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(`{"alg":"RS256"}`)) + "." + b64([]byte(`{"iss":"small"}`))
	signature, err := jwt.SigningMethodRS256.Sign(signed, k.rsa1024)
	if err != nil {
		t.Fatal(err)
	}
	token := signed + "." + b64(signature)
	w.change(func() {
		w.credentials["least"] = &plugin.Credential{ID: "cred-3", Key: "least", Algorithm: "RS256", PublicKey: pkixPEM(t, k.rsa2048.Public()), ConsumerID: "id-1"}
	})
	strict, lenient := w.engine(t, `{}`), w.engine(t, `{"allow_weak_rsa_keys":true}`)
	for range 2 {
		expect(t, w.decide(t, strict, token), message(401, `Invalid key\/secret`))
		if o := w.decide(t, lenient, token); o.Refusal != nil {
			t.Errorf("allowed: %s", verdict(o))
		}
	}
	expect(t, w.decide(t, lenient, sign(`{"alg":"RS256"}`, `{"iss":"least"}`, "no key")), message(401, "Invalid signature")) // and nothing is told of its key
	if log := w.log.String(); strings.Count(log, "an RSA key of fewer than 2048 bits") != 1 || strings.Contains(log, "cred-3") {
		t.Errorf("log %s", log)
	}
	for key, want := range map[crypto.PublicKey]bool{k.rsa1024.Public(): false, k.rsa2048.Public(): true} {
		if got := (&plugin.PublishedKey{Key: key}).Fits("RS256"); got != want {
			t.Errorf("a published key of %d bits fits: %t", key.(*rsa.PublicKey).N.BitLen(), got)
		}
	}
}

// A key is one of Ed448 by its algorithm and its length, with nothing behind it (RFC 8410).
func TestEd448Keys(t *testing.T) {
	x448, ofEd448 := asn1.ObjectIdentifier{1, 3, 101, 111}, asn1.ObjectIdentifier{1, 3, 101, 113}
	for name, tt := range map[string]struct {
		algorithm    asn1.ObjectIdentifier
		length, more int
		want         bool
	}{
		"Ed448":         {ofEd448, 57, 0, true},
		"short":         {ofEd448, 56, 0, false},
		"long":          {ofEd448, 58, 0, false},
		"another kind":  {x448, 57, 0, false},
		"bytes more":    {ofEd448, 57, 1, false},
		"another, more": {x448, 57, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			der, err := asn1.Marshal(struct {
				Algorithm struct{ ID asn1.ObjectIdentifier }
				Key       asn1.BitString
			}{struct{ ID asn1.ObjectIdentifier }{tt.algorithm}, asn1.BitString{Bytes: make([]byte, tt.length), BitLength: 8 * tt.length}})
			if err != nil {
				t.Fatal(err)
			}
			key, err := plugin.ParsePublicKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: append(der, make([]byte, tt.more)...)}))
			if _, ok := key.(ed448.PublicKey); ok != tt.want || (err == nil) != tt.want {
				t.Errorf("got a %T, %v", key, err)
			}
		})
	}
}
