package conformance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"time"

	"github.com/cloudflare/circl/sign/ed448"
)

// Token says how a token is made; see the README of the recorded cases.
type Token struct {
	Alg       string         `json:"alg"`
	Key       string         `json:"key"`
	Header    map[string]any `json:"header"`
	Claims    map[string]any `json:"claims"`
	RawHeader string         `json:"raw_header"`
	RawClaims string         `json:"raw_claims"`
	Raw       *string        `json:"raw"`
	Mutate    string         `json:"mutate"`
}

// Make makes the token.
func (t Token) Make(keys Keys) (string, error) {
	if t.Raw != nil {
		return *t.Raw, nil
	}
	header := map[string]any{"typ": "JWT", "alg": t.Alg}
	maps.Copy(header, t.Header)
	for k, v := range header {
		if v == nil {
			delete(header, k)
		}
	}
	claims := t.Claims
	if claims == nil {
		claims = map[string]any{}
	}
	claims, ok := resolveNow(claims, time.Now()).(map[string]any)
	if !ok {
		return "", errors.New("claims are no object")
	}
	first, err := jsonOr(t.RawHeader, header)
	if err != nil {
		return "", err
	}
	second, err := jsonOr(t.RawClaims, claims)
	if err != nil {
		return "", err
	}
	input := encode(first) + "." + encode(second)
	signature, err := sign(t.Alg, t.Key, keys, input)
	if err != nil {
		return "", err
	}
	return mutate(t.Mutate, first, second, signature)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func jsonOr(raw string, v any) ([]byte, error) {
	if raw != "" {
		return []byte(raw), nil
	}
	return json.Marshal(v)
}

// resolveNow replaces {"now": n} by the time n seconds from now.
func resolveNow(v any, now time.Time) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	if n, ok := m["now"].(float64); ok && len(m) == 1 {
		return now.Unix() + int64(n)
	}
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = resolveNow(v, now)
	}
	return out
}

func hashOf(alg string) crypto.Hash {
	switch strings.TrimLeft(alg, "HRSEP") {
	case "384":
		return crypto.SHA384
	case "512":
		return crypto.SHA512
	}
	return crypto.SHA256
}

func sign(alg, name string, keys Keys, input string) ([]byte, error) {
	if alg == "none" {
		return nil, nil
	}
	key := keys[name]
	if text, ok := strings.CutPrefix(name, "literal:"); ok {
		key = &Key{Secret: []byte(text)}
	}
	if public, ok := strings.CutPrefix(name, "pub:"); ok && keys[public] != nil {
		key = &Key{Secret: keys[public].public}
	}
	if key == nil {
		return nil, fmt.Errorf("no key %q", name)
	}
	hash := hashOf(alg)
	digest := hash.New()
	digest.Write([]byte(input))
	sum := digest.Sum(nil)
	switch {
	case key.RSA != nil && strings.HasPrefix(alg, "PS"):
		return rsa.SignPSS(rand.Reader, key.RSA, hash, sum, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	case key.RSA != nil:
		return rsa.SignPKCS1v15(rand.Reader, key.RSA, hash, sum)
	case key.EC != nil:
		r, s, err := ecdsa.Sign(rand.Reader, key.EC, sum)
		if err != nil {
			return nil, err
		}
		size := (key.EC.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), nil
	case key.Ed25519 != nil:
		return ed25519.Sign(key.Ed25519, []byte(input)), nil
	case key.Ed448 != nil:
		return ed448.Sign(key.Ed448, []byte(input), ""), nil
	}
	mac := hmac.New(hash.New, key.Secret)
	mac.Write([]byte(input))
	return mac.Sum(nil), nil
}

// mutate finishes the token, altered as the case wants it.
func mutate(how string, header, claims, signature []byte) (string, error) {
	h, c, s := encode(header), encode(claims), encode(signature)
	pad := func(part string) string { return part + strings.Repeat("=", (4-len(part)%4)%4) }
	switch how {
	case "":
	case "flip-sig":
		signature[len(signature)/2] ^= 1
		s = encode(signature)
	case "short-sig":
		s = encode(signature[:len(signature)-1])
	case "long-sig":
		s = encode(append(signature[:len(signature):len(signature)], 0))
	case "zero-sig":
		s = encode(make([]byte, len(signature)))
	case "no-sig":
		s = ""
	case "two-parts":
		return h + "." + c, nil
	case "four-parts":
		s += ".AAAA"
	case "der-sig":
		half := len(signature) / 2
		der, err := asn1.Marshal(struct{ R, S *big.Int }{
			new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]),
		})
		if err != nil {
			return "", err
		}
		s = encode(der)
	case "padded":
		h, c, s = pad(h), pad(c), pad(s)
	case "other-claims":
		text := strings.TrimSuffix(string(claims), "}")
		if text == "{" {
			c = encode([]byte(`{"admin":true}`))
		} else {
			c = encode([]byte(text + `,"admin":true}`))
		}
	case "std-alphabet":
		s = strings.NewReplacer("-", "+", "_", "/").Replace(s)
	case "trailing-bits":
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		last := strings.IndexByte(alphabet, s[len(s)-1])
		s = s[:len(s)-1] + string(alphabet[last|1])
	default:
		return "", fmt.Errorf("unknown mutation %q", how)
	}
	return h + "." + c + "." + s, nil
}
