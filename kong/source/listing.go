package source

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"kong-go-jwt/plugin"
)

// listing is all credentials that the Admin API has listed, as far as it takes to
// know which keys there are.
type listing struct {
	keys  map[string]struct{} // those that do not look like ids
	uuids map[string]*plugin.Credential
}

func (l *listing) has(key string) bool {
	if _, ok := l.keys[key]; ok {
		return true
	}
	return l.uuids[key] != nil
}

var errUnlistable = errors.New("admin api: there are too many credentials to list them")

// listAll lists all credentials, up to a bound.
func (a *Admin) listAll(ctx context.Context) (*listing, error) {
	const pageSize, maxPages = 500, 200
	found := &listing{keys: make(map[string]struct{}), uuids: make(map[string]*plugin.Credential)}
	offset := ""
	for range maxPages {
		var page struct {
			Data   []jwtSecret `json:"data"`
			Offset string      `json:"offset"`
		}
		query := url.Values{"size": {strconv.Itoa(pageSize)}}
		if offset != "" {
			query.Set("offset", offset)
		}
		if ok, err := a.get(ctx, "/jwts?"+query.Encode(), &page); err != nil || !ok {
			return nil, errors.Join(errors.New("admin api: the credentials cannot be listed"), err)
		}
		for i := range page.Data {
			c, err := page.Data[i].credential()
			switch {
			case err != nil: // to be told of when it is asked for
				if key := page.Data[i].Key; key != nil {
					found.keys[*key] = struct{}{}
				}
			case isUUID.MatchString(c.Key):
				found.uuids[c.Key] = c
			default:
				found.keys[c.Key] = struct{}{}
			}
		}
		if offset = page.Offset; offset == "" {
			return found, nil
		}
	}
	return nil, errUnlistable
}

// configured is the listing of one declarative configuration. All but turn is
// held by mu.
type configured struct {
	turn chan struct{} // held by who asks whether it still holds

	mu        sync.Mutex
	list      *listing // nil: none
	hash      string   // of the configuration
	confirmed time.Time
	doubted   time.Time // when it could not be asked whether it holds
	listing   bool      // it is under way
	tooLong   string    // the configuration that has too many
}

const (
	// confirmEvery is how often it is asked whether the configuration that was
	// listed is still the current one, at most.
	confirmEvery = 100 * time.Millisecond
	doubtFor     = time.Second // after that has failed
)

// relist lists the credentials of a configuration, if that was not done.
func (a *Admin) relist(ctx context.Context, hash string) {
	l := &a.listed
	l.mu.Lock()
	if l.hash != hash {
		l.list = nil
	}
	done := l.listing || l.list != nil || l.tooLong == hash
	l.listing = l.listing || !done
	l.mu.Unlock()
	if done {
		return
	}
	list, err := a.listAll(ctx)
	now, hashErr := a.ConfigurationHash(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listing = false
	switch {
	case errors.Is(err, errUnlistable):
		l.tooLong = hash
	case err == nil && hashErr == nil && now == hash:
		l.list, l.hash, l.confirmed = list, hash, time.Now()
	}
}

// peek returns what is listed, and whether it is known at the moment that this
// holds.
func (l *configured) peek() (list *listing, hash string, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.list == nil || time.Since(l.doubted) < doubtFor {
		return nil, "", true
	}
	return l.list, l.hash, time.Since(l.confirmed) < confirmEvery
}

// list returns the credentials of the current configuration; nil if they are not
// listed.
func (a *Admin) list(ctx context.Context) *listing {
	l := &a.listed
	if list, _, known := l.peek(); known {
		return list
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil
	}
	list, hash, known := l.peek()
	if known {
		return list
	}
	ctx, cancel := context.WithTimeout(ctx, a.o.Timeout)
	defer cancel()
	now, err := a.ConfigurationHash(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.doubted = time.Now()
		return nil
	case now != hash:
		l.list = nil
		a.raiseDoubt()
		return nil
	}
	l.confirmed = time.Now()
	return list
}

// recent is what is known of credentials whose keys look like ids.
type recent struct {
	turn chan struct{} // held by who lists, or looks what was listed
	asOf time.Time     // zero: never
	list *listing
	err  error

	// outdated counts the changes of configuration.
	outdated atomic.Uint64
	seen     uint64 // what outdated was when the listing began
}

// listEvery is how often all credentials are listed at most, but for changes of
// the configuration. It is as long as it is remembered by default that there is
// no credential of some key.
const (
	listEvery = 5 * time.Second
	listAgain = time.Second // after it has failed
)

// uuidCredential finds a credential whose key looks like an id. The Admin API
// has no way to ask for one, so all are listed, rarely.
func (a *Admin) uuidCredential(ctx context.Context, key string) (*plugin.Credential, error) {
	l := &a.uuids
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("admin api: too many requests at once: %w", ctx.Err())
	}
	every := listEvery
	if l.err != nil {
		every = listAgain
	}
	if now := l.outdated.Load(); now != l.seen || time.Since(l.asOf) > every {
		l.list, l.err = a.listAll(ctx)
		if l.err == nil {
			l.list.keys = nil // which nobody asks for
		}
		l.asOf, l.seen = time.Now(), now
	}
	if l.err != nil {
		return nil, l.err
	}
	return l.list.uuids[key], nil
}
