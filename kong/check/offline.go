package check

import (
	"context"
	"errors"

	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/jwks"
	"kong-go-jwt/plugin/revocation"
	"kong-go-jwt/schema"
)

// errOffline is why nothing is known of what is published.
var errOffline = errors.New("not fetched without -online")

// offlineKeys are the keys that stand in the configuration.
type offlineKeys struct{ *jwks.Sets }

// Open implements [plugin.KeySets].
func (offlineKeys) Open(string, string) plugin.KeySet { return unfetchedKeys{} }

type unfetchedKeys struct{}

// Keys implements [plugin.KeySet].
func (unfetchedKeys) Keys(context.Context, string) ([]*plugin.PublishedKey, error) {
	return nil, errOffline
}

// Close implements [plugin.KeySet].
func (unfetchedKeys) Close() {}

// offlineLists are the lists that stand in the configuration. One that is published
// is taken to be empty.
type offlineLists struct{ *revocation.Lists }

// Open implements [plugin.RevocationLists].
func (l offlineLists) Open(r schema.Revocation) (plugin.RevocationList, error) {
	list, err := l.Lists.Open(r)
	if err != nil {
		return nil, err //nolint:wrapcheck // says it all
	}
	list.Close()
	return l.Fixed(nil), nil
}
