package kong

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"
)

// readiness tells whether requests can be decided: whether credentials can be
// looked up, changes of them are told, and the keys of all issuers and the lists of
// revoked tokens are known. It is safe for concurrent use.
type readiness struct {
	now     func() time.Time
	issuers func() map[string]error // those whose keys are not known, and why
	lists   func() map[string]error // the same of lists of revoked tokens, by URL

	mu    sync.Mutex
	store time.Time // when the last lookup failed; zero: it did not
	watch bool      // changes are not told
}

// storeFault is for how long a failed lookup tells of the store, if no other one
// is made.
const storeFault = 30 * time.Second

// lookedUp notes what has come of a lookup.
func (r *readiness) lookedUp(err error) {
	if errors.Is(err, context.Canceled) { // nobody waits for it any more
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.store = (time.Time{}); err != nil {
		r.store = r.now()
	}
}

// watching notes whether changes are told.
func (r *readiness) watching(told bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watch = !told
}

// readyState is what /readyz answers: what is not ready, in words.
type readyState struct {
	Ready       bool              `json:"ready"`
	Store       string            `json:"store"` // ready, or why it is not
	Watch       string            `json:"watch"`
	Issuers     map[string]string `json:"issuers"` // those that are not ready
	Revocations map[string]string `json:"revocations"`
}

const isReady = "ready"

func (r *readiness) state() readyState {
	s := readyState{Store: isReady, Watch: isReady, Issuers: map[string]string{}, Revocations: map[string]string{}}
	r.mu.Lock()
	if !r.store.IsZero() && r.now().Sub(r.store) < storeFault {
		s.Store = "the last lookup failed; see Kong's log"
	}
	if r.watch {
		s.Watch = "changes are not reported: revoking a credential takes longer"
	}
	r.mu.Unlock()
	for issuer, err := range r.issuers() {
		s.Issuers[issuer] = "its keys are not known: " + err.Error()
	}
	for list, err := range r.lists() {
		s.Revocations[list] = err.Error()
	}
	s.Ready = s.Store == isReady && s.Watch == isReady && len(s.Issuers) == 0 && len(s.Revocations) == 0
	return s
}

// ServeHTTP answers 200, or 503 with what is not ready.
func (r *readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s := r.state()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if !s.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(s) // the client's loss
}
