package store

import (
	"context"
	"strings"
	"sync"
	"time"
)

// As the include has it.
const (
	remembered = 1000
	hold       = time.Second
	nap        = 250 * time.Millisecond
)

// feed is what one worker remembers of changes, from when it was first asked.
type feed struct {
	exiting context.Context

	mu      sync.Mutex
	worker  string // "": was not asked yet
	at      int
	purged  int
	names   [remembered]string
	changed chan struct{} // closed by the next change
}

// changes is what /changes answers.
type changes struct {
	// Database is kong.configuration.database.
	Database string `json:"database"`

	Worker  string   `json:"worker"`
	At      int      `json:"at"`
	All     bool     `json:"all,omitempty"`
	Changes []string `json:"changes,omitempty"` // absent where there are none, and with All
}

// tell is what the worker does at an event; no name: all has changed.
func (f *feed) tell(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.worker == "" || name != "" && !strings.HasPrefix(name, "jwt_secrets:") && !strings.HasPrefix(name, "consumers:") {
		return
	}
	if len(name) > 1024 {
		name = ""
	}
	f.at++
	f.names[f.at%remembered] = name
	if name == "" {
		f.purged = f.at
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// since waits for a change after that number, as the include does.
func (f *feed) since(ctx context.Context, worker string, since int, makeID func() string) changes {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.worker == "" {
		f.worker, f.changed = makeID(), make(chan struct{})
	}
	told := worker == f.worker && since <= f.at
	for over := time.Now().Add(hold); told && since == f.at && time.Now().Before(over) && f.exiting.Err() == nil && ctx.Err() == nil; {
		changed := f.changed
		f.mu.Unlock()
		timer := time.NewTimer(nap)
		select {
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
		f.mu.Lock()
	}
	answer := changes{Worker: f.worker, At: f.at}
	if !told || f.purged > since || f.at-since > remembered {
		answer.All = true
		return answer
	}
	for n := since + 1; n <= f.at; n++ {
		answer.Changes = append(answer.Changes, f.names[n%remembered])
	}
	return answer
}
