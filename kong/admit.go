package kong

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/time/rate"
)

// strangers bounds the lookups of keys of which nothing is known, which anyone
// can make the plugin do by making keys up: how many there are a second, and how
// many at once, so that turns are left for credentials that are known.
type strangers struct {
	rate  *rate.Limiter
	turns chan struct{}

	metrics *metrics // nil: none
}

// strangersBurst is how many seconds' worth of lookups may be had at once: a new
// server knows nobody, and after a reload everybody calls.
const strangersBurst = 25

func newStrangers(perSecond, atOnce int, m *metrics) *strangers {
	return &strangers{
		metrics: m,
		rate:    rate.NewLimiter(rate.Limit(perSecond), strangersBurst*perSecond),
		turns:   make(chan struct{}, max(1, atOnce/2)),
	}
}

var errTooMany = errors.New("too many unknown keys")

// admit is plugin's Options.Admit.
func (s *strangers) admit(ctx context.Context) (done func(), err error) {
	defer func() { s.metrics.notAdmitted(err) }()
	if !s.rate.Allow() {
		return nil, errTooMany
	}
	select {
	case s.turns <- struct{}{}:
		return func() { <-s.turns }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w at once: %w", errTooMany, ctx.Err())
	}
}
