package jwks

import (
	"crypto"
	"slices"
	"time"

	"kong-go-jwt/plugin"
)

// snapshot is the keys of an issuer as of one fetch. It does not change.
type snapshot struct {
	keys  []*plugin.PublishedKey
	byID  map[string][]*plugin.PublishedKey
	until time.Time   // when they are too old
	timer *time.Timer // fires then
}

// renew returns a snapshot of found, in which keys that s has are the very same,
// so that what rests on them stands, and the keys that are gone. A nil snapshot
// has none.
func (s *snapshot) renew(found []*plugin.PublishedKey, until time.Time) (next *snapshot, gone []*plugin.PublishedKey) {
	if s != nil {
		gone = slices.Clone(s.keys)
	}
	next = &snapshot{byID: make(map[string][]*plugin.PublishedKey, len(found)), until: until}
	for _, k := range found {
		if slices.ContainsFunc(next.keys, func(other *plugin.PublishedKey) bool { return same(k, other) }) {
			continue // published twice
		}
		if i := slices.IndexFunc(gone, func(other *plugin.PublishedKey) bool { return same(k, other) }); i >= 0 {
			k = gone[i]
			gone = slices.Delete(gone, i, i+1)
		}
		next.keys = append(next.keys, k)
		next.byID[k.KeyID] = append(next.byID[k.KeyID], k)
	}
	next.keys = slices.Clip(next.keys)
	for id, keys := range next.byID {
		next.byID[id] = slices.Clip(keys)
	}
	return next, gone
}

// askAgain has what rests on the keys ask for them again at due, or when they
// are too old if that is sooner.
func (s *snapshot) askAgain(due time.Time) {
	if s.until.Before(due) {
		due = s.until
	}
	for _, k := range s.keys {
		k.AskAgain(due)
	}
}

func same(a, b *plugin.PublishedKey) bool {
	key, ok := a.Key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && a.KeyID == b.KeyID && a.Algorithm == b.Algorithm && key.Equal(b.Key)
}

func retire(keys []*plugin.PublishedKey) {
	for _, k := range keys {
		k.Retire()
	}
}
