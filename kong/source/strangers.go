package source

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/time/rate"
)

// Strangers bounds the lookups of keys of which nothing is known, which anyone
// can make the plugin do by making keys up: how many there are a second, and how
// many at once, so that turns are left for credentials that are known.
type Strangers struct {
	rate    *rate.Limiter
	turns   chan struct{}
	patient bool // wait for a lookup that is allowed later
	metrics Metrics
}

// strangersBurst is how many seconds' worth of lookups may be had at once: a new
// server knows nobody, and after a reload everybody calls.
const strangersBurst = 25

// NewStrangers returns bounds of so many lookups a second, and half of atOnce at
// once. What goes beyond them is told to m, if that is not nil.
func NewStrangers(perSecond, atOnce int, m Metrics) *Strangers {
	if m == nil {
		m = noMetrics{}
	}
	return &Strangers{
		rate:    rate.NewLimiter(rate.Limit(perSecond), strangersBurst*perSecond),
		turns:   make(chan struct{}, max(1, atOnce/2)),
		metrics: m,
	}
}

var errTooMany = errors.New("too many lookups of unknown keys")

// Admit waits for leave, as plugin's Options.Admit does.
func (s *Strangers) Admit(ctx context.Context) (done func(), err error) {
	if !s.rate.Allow() && (!s.patient || s.rate.Wait(ctx) != nil) {
		s.metrics.NotAdmitted()
		return nil, errTooMany
	}
	select {
	case s.turns <- struct{}{}:
		return func() { <-s.turns }, nil
	case <-ctx.Done():
		s.metrics.NotAdmitted()
		return nil, fmt.Errorf("%w at once: %w", errTooMany, ctx.Err())
	}
}
