package plugin

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// turns bounds how many signatures with public keys are verified at once. One
// takes up to a millisecond or two (ES512), and anyone can have them verified; with all
// processors at it, requests that need no such work would wait for one.
type turns chan struct{}

func newTurns() turns { return make(turns, max(1, runtime.GOMAXPROCS(0)-1)) }

var errTooManySignatures = errors.New("too many signatures are waiting to be verified")

// take waits for a turn, no longer than most. done gives it back.
func (t turns) take(ctx context.Context, most time.Duration) (done func(), err error) {
	done = func() { <-t }
	select {
	case t <- struct{}{}:
		return done, nil
	default:
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case t <- struct{}{}:
		return done, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, errTooManySignatures
}

// verifies tells whether a signature is good, when it is its turn.
func (s *Store) verifies(ctx context.Context, v *verifier, t *token) (bool, error) {
	if v.quick() {
		return v.verify(t), nil
	}
	done, err := s.turns.take(ctx, s.o.LookupTimeout)
	if err != nil {
		return false, err
	}
	defer done()
	return v.verify(t), nil
}
