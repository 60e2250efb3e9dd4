package jwks

import (
	"net/http"
	"sync"
	"time"

	"kong-go-jwt/plugin"
)

// ParseSet, Lifetime, Backoff, Wait and Shown open to tests what cannot be seen, or not soon
// enough, from outside.
func ParseSet(text []byte, maxKeys int) (keys []*plugin.PublishedKey, unfit []string, err error) {
	keys, left, err := parseSet(text, maxKeys)
	for _, u := range left {
		unfit = append(unfit, u.String())
	}
	return keys, unfit, err
}

func Lifetime(o Options, h http.Header) time.Duration { return o.withDefaults().lifetime(h) }

// PublishAgainstExpiry publishes a key set while the one before it expires, and
// returns what is known then.
func PublishAgainstExpiry(o Options, before, after []*plugin.PublishedKey) []*plugin.PublishedKey {
	s := newSet(o.withDefaults(), nil, source{})
	s.publish(before)
	old := s.current.Load()
	var expiry sync.WaitGroup
	expiry.Go(func() { s.expire(old) })
	s.publish(after)
	expiry.Wait()
	now := s.current.Load()
	now.timer.Stop()
	return now.keys
}

func Backoff(failed int, refresh time.Duration) time.Duration { return backoff(failed, refresh) }

// Wait is how long after a good fetch the next one is due.
func Wait(o Options, lifetime time.Duration) time.Duration {
	s := newSet(o.withDefaults(), nil, source{})
	return s.finish(s.begin(), lifetime, nil)
}

func Shown(issuer string) string { return shown(issuer) }
