package jwks

import (
	"encoding/json"
	"errors"
	"fmt"

	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/jwk"
)

// unfit is a key of a set that is not used.
type unfit struct {
	index int
	keyID string
	err   error
}

// String says which key it is and what is wrong with it, and nothing of it.
func (u unfit) String() string {
	const most = 64
	if len(u.keyID) > most {
		u.keyID = u.keyID[:most] + "…"
	}
	return fmt.Sprintf("keys[%d] with kid %q: %v", u.index, u.keyID, u.err)
}

// parseSet reads a JWK Set (RFC 7517 section 5). Keys that are not fit for
// verifying signatures are left out, as section 5 asks for; an error means that
// it is no JWK Set, or has too many keys.
func parseSet(text []byte, maxKeys int) (keys []*plugin.PublishedKey, left []unfit, err error) {
	m, err := jwk.ParseMembers(text)
	if err != nil {
		return nil, nil, fmt.Errorf("key set: %w", err)
	}
	var all []json.RawMessage
	if json.Unmarshal(m["keys"], &all) != nil || all == nil {
		return nil, nil, errors.New(`key set has no list of "keys"`)
	}
	if len(all) > maxKeys {
		return nil, nil, fmt.Errorf("key set has %d keys, more than %d", len(all), maxKeys)
	}
	for i, one := range all {
		key, err := parseKey(one)
		if err != nil {
			left = append(left, unfit{index: i, keyID: key.KeyID, err: err})
			continue
		}
		keys = append(keys, key)
	}
	return keys, left, nil
}
