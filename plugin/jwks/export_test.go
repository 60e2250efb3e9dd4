package jwks

import (
	"net/http"
	"time"

	"kong-go-jwt/plugin"
)

// ParseSet, Lifetime and Backoff open to tests what cannot be seen, or not soon
// enough, from outside.
func ParseSet(text []byte, maxKeys int) (keys []*plugin.PublishedKey, unfit []string, err error) {
	keys, left, err := parseSet(text, maxKeys)
	for _, u := range left {
		unfit = append(unfit, u.String())
	}
	return keys, unfit, err
}

func Lifetime(o Options, h http.Header) time.Duration { return o.withDefaults().lifetime(h) }

func Backoff(failed int, refresh time.Duration) time.Duration { return backoff(failed, refresh) }
