package revocation

import (
	"io"
	"time"

	"kong-go-jwt/plugin"
	"kong-go-jwt/schema"
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

// Pause is how long a list waits after so many failures that is fetched every
// refresh seconds.
func Pause(refresh float64, failed int) time.Duration {
	l := list{from: schema.Revocation{Refresh: refresh}}
	return l.pause(failed)
}
