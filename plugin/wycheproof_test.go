package plugin_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kong-go-jwt/plugin"
)

// The vectors of Wycheproof, as the Go module proxy has them.
const (
	wycheproof    = "github.com/C2SP/wycheproof@v0.0.0-20250901140545-b51abcfb8daf"
	wycheproofSum = "h1:5BKKVVVj676FUWirLcouEEL6GCYR9X0opkMlEUck8FY="
)

// vectors reads a file of Wycheproof, or skips the test where that cannot be had.
func vectors(t *testing.T, file string, into any) {
	t.Helper()
	download := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", wycheproof)
	download.Dir = t.TempDir() // not in this module, which does not need it
	out, err := download.Output()
	if err != nil {
		t.Skipf("cannot download %s: %v", wycheproof, err)
	}
	var module struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &module); err != nil || module.Sum != wycheproofSum {
		t.Fatalf("%s has the sum %s, %v", wycheproof, module.Sum, err)
	}
	text, err := os.ReadFile(filepath.Join(module.Dir, "testvectors_v1", file))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// A PS* signature may have a salt of any length, though RFC 7518 section 3.5 asks for
// that of the hash: OpenSSL makes a longer one unless told otherwise, and the bundled
// plugin takes it. It makes nothing easier to forge.
const anySalt = "SaltLenChanged"

// TestWycheproof holds each verifier that is used against the signatures of
// Wycheproof.
func TestWycheproof(t *testing.T) {
	for algorithm, files := range map[string][]string{
		"HS256": {"hmac_sha256_test.json"},
		"HS384": {"hmac_sha384_test.json"},
		"HS512": {"hmac_sha512_test.json"},
		"RS256": {"rsa_signature_2048_sha256_test.json", "rsa_signature_3072_sha256_test.json", "rsa_signature_4096_sha256_test.json", "rsa_signature_8192_sha256_test.json"},
		"RS384": {"rsa_signature_2048_sha384_test.json", "rsa_signature_3072_sha384_test.json", "rsa_signature_4096_sha384_test.json", "rsa_signature_8192_sha384_test.json"},
		"RS512": {"rsa_signature_2048_sha512_test.json", "rsa_signature_3072_sha512_test.json", "rsa_signature_4096_sha512_test.json", "rsa_signature_8192_sha512_test.json"},
		"PS256": {
			"rsa_pss_2048_sha256_mgf1_0_test.json", "rsa_pss_2048_sha256_mgf1_32_test.json",
			"rsa_pss_3072_sha256_mgf1_32_test.json", "rsa_pss_4096_sha256_mgf1_32_test.json",
		},
		"PS384": {"rsa_pss_2048_sha384_mgf1_48_test.json", "rsa_pss_4096_sha384_mgf1_48_test.json"},
		"PS512": {"rsa_pss_4096_sha512_mgf1_32_test.json", "rsa_pss_4096_sha512_mgf1_64_test.json"},
		"ES256": {"ecdsa_secp256r1_sha256_p1363_test.json"},
		"ES384": {"ecdsa_secp384r1_sha384_p1363_test.json"},
		"ES512": {"ecdsa_secp521r1_sha512_p1363_test.json"},
		"EdDSA": {"ed25519_test.json", "ed448_test.json"},
	} {
		for _, file := range files {
			t.Run(algorithm+"/"+file, func(t *testing.T) {
				t.Parallel()
				var all struct {
					TestGroups []struct {
						PublicKeyPem string
						TagSize      int // bits
						Tests        []struct {
							ID                          int `json:"tcId"`
							Comment, Key, Msg, Sig, Tag string
							Result                      string
						}
					}
				}
				vectors(t, file, &all)
				tried := 0
				for _, g := range all.TestGroups {
					if g.TagSize != 0 && fmt.Sprintf("HS%d", g.TagSize) != algorithm {
						continue // a truncated MAC, which JWA has not
					}
					var verifies func(message, signature []byte) bool
					if g.PublicKeyPem != "" {
						verifies = verifier(t, algorithm, publicKey(t, g.PublicKeyPem))
					}
					for _, v := range g.Tests {
						if v.Key != "" {
							verifies = verifier(t, algorithm, unhexed(t, v.Key))
						}
						good := verifies(unhexed(t, v.Msg), unhexed(t, v.Sig+v.Tag))
						want := v.Result == "valid"
						if strings.HasPrefix(v.Comment, "s_len changed") {
							want = true // see anySalt
						}
						if tried++; good != want && v.Result != "acceptable" { // which is a matter of taste
							t.Errorf("%d: %s: accepted %t, want %t", v.ID, v.Comment, good, want)
						}
					}
				}
				if tried == 0 {
					t.Error("no vector was tried")
				}
			})
		}
	}
}

// TestWycheproofECDSA holds the plugin's own ECDSA against Wycheproof's signatures of
// digests that JWS does not use. They are in DER.
func TestWycheproofECDSA(t *testing.T) {
	digests := map[string]func([]byte) []byte{
		"SHA-256":  func(b []byte) []byte { d := sha256.Sum256(b); return d[:] },
		"SHA-384":  func(b []byte) []byte { d := sha512.Sum384(b); return d[:] },
		"SHA-512":  func(b []byte) []byte { d := sha512.Sum512(b); return d[:] },
		"SHA3-384": func(b []byte) []byte { d := sha3.Sum384(b); return d[:] },
		"SHA3-512": func(b []byte) []byte { d := sha3.Sum512(b); return d[:] },
		"SHAKE256": func(b []byte) []byte { return sha3.SumSHAKE256(b, 64) },
	}
	for algorithm, files := range map[string][]string{
		"ES384": {
			"ecdsa_secp384r1_sha256_test.json", "ecdsa_secp384r1_sha512_test.json", "ecdsa_secp384r1_sha3_384_test.json",
			"ecdsa_secp384r1_sha3_512_test.json", "ecdsa_secp384r1_shake256_test.json",
		},
		"ES512": {"ecdsa_secp521r1_sha3_512_test.json", "ecdsa_secp521r1_shake256_test.json"},
	} {
		for _, file := range files {
			t.Run(file, func(t *testing.T) {
				t.Parallel()
				var all struct {
					TestGroups []struct {
						PublicKeyPem, Sha string
						Tests             []struct {
							ID                        int `json:"tcId"`
							Comment, Msg, Sig, Result string
						}
					}
				}
				vectors(t, file, &all)
				tried := 0
				for _, g := range all.TestGroups {
					key := publicKey(t, g.PublicKeyPem).(*ecdsa.PublicKey)
					verifies, err := plugin.DigestVerifier(algorithm, key)
					if err != nil {
						t.Fatal(err)
					}
					size := (key.Params().BitSize + 7) / 8
					for _, v := range g.Tests {
						signature, ok := numbersOf(unhexed(t, v.Sig), size)
						if !ok {
							continue // not of numbers that a JWS can hold
						}
						digest := digests[g.Sha](unhexed(t, v.Msg))
						if good, want := verifies(digest[:min(len(digest), size)], signature), v.Result == "valid"; good != want {
							t.Errorf("%d: %s: accepted %t, want %t", v.ID, v.Comment, good, want)
						}
						tried++
					}
				}
				if tried == 0 {
					t.Error("no vector was tried")
				}
			})
		}
	}
}

// numbersOf returns the two numbers of a signature in DER, each of that many bytes.
func numbersOf(der []byte, size int) ([]byte, bool) {
	var numbers struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &numbers); err != nil {
		return nil, false
	}
	if again, err := asn1.Marshal(numbers); err != nil || !bytes.Equal(again, der) {
		return nil, false // there is more in it
	}
	signature := make([]byte, 0, 2*size)
	for _, n := range []*big.Int{numbers.R, numbers.S} {
		if n.Sign() < 0 || n.BitLen() > 8*size {
			return nil, false
		}
		signature = append(signature, n.FillBytes(make([]byte, size))...)
	}
	return signature, true
}

func verifier(t *testing.T, algorithm string, key any) func(message, signature []byte) bool {
	t.Helper()
	verifies, err := plugin.Verifier(algorithm, key)
	if err != nil {
		t.Fatal(err)
	}
	return verifies
}

func publicKey(t *testing.T, pem string) any {
	t.Helper()
	key, err := plugin.ParsePublicKey([]byte(pem))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func unhexed(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWycheproofJWS holds how a JWS is taken apart, and what its signature is
// verified by, against those of Wycheproof.
func TestWycheproofJWS(t *testing.T) {
	type jwk struct{ Alg, Kty, Crv, K, X, Y, N, E string }
	var all struct {
		TestGroups []struct {
			Comment         string
			Private, Public *jwk
			Tests           []struct {
				ID                   int `json:"tcId"`
				Comment, Jws, Result string
			}
		}
	}
	vectors(t, "json_web_signature_test.json", &all)
	integer := func(s string) *big.Int {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return new(big.Int).SetBytes(b)
	}
	curves := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-521": elliptic.P521()}
	// Where the plugin answers otherwise than Wycheproof, and why.
	otherwise := map[int]string{
		346: "PS384 with a key whose alg is PS256", 350: "as 346",
		367: "padding, which the bundled plugin takes", 370: "as 367",
		372: "a character that is not of the alphabet, which is refused", 373: "as 372",
		375: "bits that the last character has too many, which the bundled plugin does not look at",
	}
	tried := 0
	for _, g := range all.TestGroups {
		k := g.Public
		if k == nil {
			k = g.Private
		}
		var key any
		switch k.Kty {
		case "oct":
			secret, err := base64.RawURLEncoding.DecodeString(k.K)
			if err != nil {
				t.Fatal(err)
			}
			key = secret
		case "RSA":
			key = &rsa.PublicKey{N: integer(k.N), E: int(integer(k.E).Int64())}
		case "EC":
			curve := curves[k.Crv]
			size := (curve.Params().BitSize + 7) / 8
			point := append([]byte{4}, integer(k.X).FillBytes(make([]byte, size))...)
			point = append(point, integer(k.Y).FillBytes(make([]byte, size))...)
			public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
			if err != nil {
				t.Fatal(err)
			}
			key = public
		}
		algorithm := k.Alg
		if algorithm == "ES521" { // Wycheproof's slip for ES512
			algorithm = "ES512"
		}
		for _, v := range g.Tests {
			header, signed, signature, ok := plugin.TakeApart(v.Jws)
			good := false
			if ok && header["alg"] == algorithm {
				good = verifier(t, algorithm, key)(signed, signature)
			}
			want := v.Result == "valid"
			if otherwise[v.ID] != "" || v.Comment == anySalt {
				want = !want
			}
			if tried++; good != want {
				t.Errorf("%d: %s, %s: accepted %t, want %t", v.ID, g.Comment, v.Comment, good, want)
			}
		}
	}
	if tried == 0 {
		t.Error("no vector was tried")
	}
}
