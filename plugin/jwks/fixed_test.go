package jwks_test

import (
	"testing"

	"kong-go-jwt/plugin/jwks"
)

func TestFixedKeys(t *testing.T) {
	a, b := p256(t, "a"), edKey(t, "b")
	sets := jwks.New(jwks.Options{})
	t.Cleanup(sets.Close)
	keys, err := sets.Fixed(string(setOf(t, a, b, jwk{"kty": "oct", "kid": "c", "k": "c2VjcmV0"})))
	if err != nil {
		t.Fatal(err)
	}
	for kid, want := range map[string]int{"a": 1, "b": 1, "c": 0, "": 2, "d": 0} {
		if got := get(t, keys, kid); len(got) != want {
			t.Errorf("kid %q: %d keys, want %d", kid, len(got), want)
		}
	}
	keys.Close()
	if one(t, keys, "a").KeyID != "a" {
		t.Error("a request that is under way has lost its key")
	}
}

func TestFixedKeysAreRefused(t *testing.T) {
	sets := jwks.New(jwks.Options{MaxKeys: 1})
	t.Cleanup(sets.Close)
	for text, want := range map[string]string{
		`[]`:            "key set: is not a JSON object",
		`{}`:            `key set has no list of "keys"`,
		`{"keys":[]}`:   "key set has no key that is fit for verifying signatures",
		`{"keys":[{}]}`: "key set has no key that is fit for verifying signatures",
		string(setOf(t, p256(t, "a"), p256(t, "b"))): "key set has 2 keys, more than 1",
	} {
		if _, err := sets.Fixed(text); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
