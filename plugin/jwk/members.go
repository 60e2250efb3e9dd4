// Package jwk reads the public keys of others from JSON Web Keys (RFC 7517), and names
// keys by their thumbprints (RFC 7638).
package jwk

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Members are those of a JSON object. Their names are case-sensitive, and the
// last of several counts (RFC 7517 section 4).
type Members map[string]json.RawMessage

// ParseMembers reads a JSON object. The error holds nothing of it.
func ParseMembers(text []byte) (Members, error) {
	var m Members
	if json.Unmarshal(text, &m) != nil || m == nil {
		return nil, errors.New("is not a JSON object")
	}
	return m, nil
}

// Text returns a member that is a string; "" if there is none.
func (m Members) Text(name string) (string, error) {
	var s string
	if raw, ok := m[name]; ok && json.Unmarshal(raw, &s) != nil {
		return "", fmt.Errorf("%s is not a string", name)
	}
	return s, nil
}
