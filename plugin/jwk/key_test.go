package jwk_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"testing"

	"kong-go-jwt/plugin/jwk"
)

// What is fit for verifying (RFC 7517 sections 4.2 and 4.3), and which RSA keys are.
func TestKey(t *testing.T) {
	modulus := func(bits uint) string { // odd, and as long as said
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return base64.RawURLEncoding.EncodeToString(n.SetBit(n, 0, 1).Bytes())
	}
	exponent := func(e int64) string { return base64.RawURLEncoding.EncodeToString(big.NewInt(e).Bytes()) }
	const even = "RSA key has an exponent that is not odd, or 1"
	for name, tt := range map[string]struct {
		members map[string]any
		want    string // the error; "": none
	}{
		"RSA":                 {nil, ""},
		"for signatures":      {map[string]any{"use": "sig", "key_ops": []string{"sign", "verify"}}, ""},
		"for encryption":      {map[string]any{"use": "enc"}, "use is not sig"},
		"use empty":           {map[string]any{"use": ""}, ""},
		"use no string":       {map[string]any{"use": 1}, "use is not a string"},
		"key_ops no list":     {map[string]any{"key_ops": "verify"}, "key_ops is not a list of strings"},
		"key_ops null":        {map[string]any{"key_ops": nil}, ""},
		"key_ops empty":       {map[string]any{"key_ops": []string{}}, "key_ops lacks verify"},
		"for signing":         {map[string]any{"key_ops": []string{"sign"}}, "key_ops lacks verify"},
		"short":               {map[string]any{"n": modulus(2047)}, "RSA key has 2047 bits, not between 2048 and 16384"},
		"longest":             {map[string]any{"n": modulus(16384)}, ""},
		"longer":              {map[string]any{"n": modulus(16385)}, "RSA key has 16385 bits, not between 2048 and 16384"},
		"far too long":        {map[string]any{"n": modulus(20000)}, "RSA key has more than 16384 bits"},
		"least exponent":      {map[string]any{"e": exponent(3)}, ""},
		"exponent 1":          {map[string]any{"e": exponent(1)}, "key cannot be read"},
		"exponent 2":          {map[string]any{"e": exponent(2)}, even},
		"exponent 4":          {map[string]any{"e": exponent(4)}, even},
		"symmetric":           {map[string]any{"kty": "oct", "k": "AAAA"}, jwk.ErrSymmetric.Error()},
		"private":             {map[string]any{"d": "AAAA"}, jwk.ErrPrivate.Error()},
		"other kind of key":   {map[string]any{"kty": "DH"}, "kty or crv is not supported"},
		"other curve":         {map[string]any{"kty": "OKP", "crv": "X25519"}, "kty or crv is not supported"},
		"curve of bitcoin":    {map[string]any{"kty": "EC", "crv": "secp256k1"}, "kty or crv is not supported"},
		"kind and curve":      {map[string]any{"kty": "OKP", "crv": "P-256"}, "kty or crv is not supported"},
		"member of no string": {map[string]any{"n": 1}, "n is not a string"},
	} {
		t.Run(name, func(t *testing.T) {
			members := map[string]any{"kty": "RSA", "n": modulus(2048), "e": exponent(65537)}
			maps.Copy(members, tt.members)
			text, err := json.Marshal(members)
			if err != nil {
				t.Fatal(err)
			}
			m, err := jwk.ParseMembers(text)
			if err != nil {
				t.Fatal(err)
			}
			key, err := m.Key()
			if got := message(err); got != tt.want || (key == nil) != (err != nil) {
				t.Errorf("got %v, %q; want %q", key, got, tt.want)
			}
		})
	}
}

func TestParseMembers(t *testing.T) {
	for text, want := range map[string]bool{`{}`: true, `{"kty":1}`: true, `null`: false, `[]`: false, `1`: false, `{`: false, ``: false} {
		if m, err := jwk.ParseMembers([]byte(text)); (err == nil) != want || (m != nil) != want {
			t.Errorf("%s: %v, %v", text, m, err)
		}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
