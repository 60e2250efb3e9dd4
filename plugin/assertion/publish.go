package assertion

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Where the keys are published, below the issuer.
const (
	KeySetPath    = "/.well-known/jwks.json"
	DiscoveryPath = "/.well-known/openid-configuration"
)

// KeySetLife is for how long services may keep the published keys.
const KeySetLife = 5 * time.Minute

// KeySet returns the keys as a JWK Set (RFC 7517 section 5), each once.
func KeySet(keys []Key) ([]byte, error) {
	set := struct {
		Keys []map[string]string `json:"keys"`
	}{Keys: []map[string]string{}}
	for i, k := range keys {
		if !slices.ContainsFunc(keys[:i], func(o Key) bool { return o.ID == k.ID }) {
			set.Keys = append(set.Keys, k.jwk)
		}
	}
	text, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("publishing keys: %w", err)
	}
	return text, nil
}

// Discovery returns what OpenID Connect Discovery 1.0 section 3 tells of an
// issuer, as far as there is something to tell: who it is, where its keys are
// and what they are good for. There is nothing to discover, and nil is returned,
// if the issuer is no URL.
func (s *Signer) Discovery() ([]byte, error) {
	u, err := url.Parse(s.c.Issuer)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, nil //nolint:nilerr // no URL is no error
	}
	algorithms := []string{}
	for _, k := range s.keys {
		if !slices.Contains(algorithms, k.Algorithm) {
			algorithms = append(algorithms, k.Algorithm)
		}
	}
	text, err := json.Marshal(map[string]any{
		"issuer":                                s.c.Issuer,
		"jwks_uri":                              strings.TrimSuffix(s.c.Issuer, "/") + KeySetPath,
		"response_types_supported":              []string{"id_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": algorithms,
	})
	if err != nil {
		return nil, fmt.Errorf("publishing keys: %w", err)
	}
	return text, nil
}
