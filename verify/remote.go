package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// How published keys are kept.
const (
	// DefaultRefresh is for how long they are used before they are fetched again.
	DefaultRefresh = 5 * time.Minute
	// staleAfter is for how long they are used while fetching fails.
	staleAfter = 24 * time.Hour
	// Fetches are at least so far apart, whatever kids are made up and however
	// often fetching fails: as long as no keys are known at all, and then.
	askAgainAtFirst = time.Second
	askAgain        = 10 * time.Second

	fetchTimeout = 5 * time.Second
	maxKeySet    = 256 << 10 // bytes
)

// remote is keys that are published at a URL. They are fetched when they are
// first used and, in the background of requests, when they are old.
type remote struct {
	o      *Options
	client http.Client

	mu      sync.Mutex
	keys    keys
	fetched time.Time     // when they were; zero: never
	tried   time.Time     // when the last fetch began
	failure error         // of the last fetch
	flight  chan struct{} // closed when the fetch under way has ended; nil: none is
}

func newRemote(o *Options) (*remote, error) {
	u, err := url.Parse(o.KeysURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("verify: KeysURL is not an https URL")
	case u.Scheme == "http" && !o.AllowHTTP && !local(u.Hostname()):
		return nil, errors.New("verify: KeysURL is http and not on this host; see AllowHTTP")
	}
	r := &remote{o: o}
	if o.Client != nil {
		r.client = *o.Client
	}
	r.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return r, nil
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// key implements source. It waits only for what is not known yet.
func (r *remote) key(ctx context.Context, kid string) (*key, error) {
	r.mu.Lock()
	k, good := r.known(kid)
	r.refresh(k == nil)
	flight := r.flight
	r.mu.Unlock()
	if good && k != nil {
		return k, nil
	}
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the keys: %w", ctx.Err())
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	k, good = r.known(kid)
	if k == nil && r.failure != nil || !good {
		return nil, r.failure
	}
	return k, nil
}

// known returns the key of that kid, and whether the keys may be used. r.mu is held.
func (r *remote) known(kid string) (k *key, good bool) {
	if r.fetched.IsZero() || r.o.Now().Sub(r.fetched) >= staleAfter {
		return nil, false
	}
	return r.keys[kid], true
}

// refresh begins to fetch the keys if they are old or one is missing, unless that
// was done a moment ago. r.mu is held.
func (r *remote) refresh(missing bool) {
	now := r.o.Now()
	pause := min(askAgain, r.o.Refresh)
	if r.fetched.IsZero() {
		pause = min(askAgainAtFirst, pause)
	}
	due := missing || now.Sub(r.fetched) >= r.o.Refresh
	if !due || r.flight != nil || !r.tried.IsZero() && now.Sub(r.tried) < pause {
		return
	}
	r.tried, r.flight = now, make(chan struct{})
	go r.fetch(r.flight)
}

// fetch gets the keys and closes done.
func (r *remote) fetch(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	fetched, err := r.get(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(done)
	r.flight = nil
	if r.failure = err; err != nil {
		r.o.Log.Warn("the gateway's keys cannot be fetched", "why", err)
		return
	}
	r.keys, r.fetched = fetched, r.o.Now()
}

func (r *remote) get(ctx context.Context) (keys, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.o.KeysURL, nil) //nolint:gosec // where the service said
	if err != nil {
		return nil, fmt.Errorf("fetching keys: %w", err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := r.client.Do(req) //nolint:gosec // where the service said
	if err != nil {
		return nil, fmt.Errorf("fetching keys: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching keys: status %d", res.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxKeySet+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("fetching keys: %w", err)
	case len(text) > maxKeySet:
		return nil, fmt.Errorf("fetching keys: more than %d bytes", maxKeySet)
	}
	return parseKeys(text)
}
