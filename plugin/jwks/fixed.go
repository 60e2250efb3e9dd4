package jwks

import (
	"context"
	"errors"

	"kong-go-jwt/plugin"
)

// Fixed implements [plugin.KeySets]: it reads a JWK Set that is not fetched. Keys
// that are not fit are left out, as those that are fetched are.
func (s *Sets) Fixed(jwks string) (plugin.KeySet, error) {
	keys, left, err := parseSet([]byte(jwks), s.o.MaxKeys)
	if err != nil {
		return nil, err
	}
	for _, u := range left {
		s.o.Log.Warn("a key of config.issuers[].jwks is not used", "key", u.String())
	}
	if len(keys) == 0 {
		return nil, errors.New("key set has no key that is fit for verifying signatures")
	}
	snapshot, _ := (*snapshot)(nil).renew(keys, s.o.Now())
	return fixed{snapshot}, nil
}

// fixed are keys that stay as they are.
type fixed struct{ *snapshot }

// Keys implements [plugin.KeySet].
func (f fixed) Keys(_ context.Context, keyID string) ([]*plugin.PublishedKey, error) {
	if keyID == "" {
		return f.keys, nil
	}
	return f.byID[keyID], nil
}

// Close implements [plugin.KeySet].
func (fixed) Close() {}
