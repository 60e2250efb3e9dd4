package jwks

import (
	"errors"

	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/jwk"
)

// parseKey reads a JWK (RFC 7517 section 4) that is fit for verifying
// signatures. The error says what is wrong with it and holds nothing of it; the
// key then is only there for its id.
func parseKey(text []byte) (*plugin.PublishedKey, error) {
	key := new(plugin.PublishedKey)
	m, err := jwk.ParseMembers(text)
	if err != nil {
		return key, err
	}
	if key.KeyID, err = m.Text("kid"); err != nil {
		return key, err
	}
	if key.Algorithm, err = m.Text("alg"); err != nil {
		return key, err
	}
	if key.Key, err = m.Key(); err != nil {
		return key, err
	}
	if key.Algorithm != "" && !jwk.Fits(key.Algorithm, key.Key) {
		return key, errors.New("alg does not fit this kind of key")
	}
	return key, nil
}
