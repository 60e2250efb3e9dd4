package revocation

import (
	"io"

	"kong-go-jwt/plugin"
)

// Index is an index of a list.
type Index struct{ *index }

// Read reads a list.
func Read(from io.Reader, most int) (Index, error) {
	x, err := read(from, most)
	return Index{x}, err
}

// Revoked tells whether a token is in the list.
func (x Index) Revoked(t *plugin.TokenName) bool { return x.revoked(t) }
