package main

import (
	"context"
	"slices"
	"sync"
	"time"
)

// What a token deserves.
//
// Credentials change while requests are under way, and the plugin may take some
// time to see it. So a caller has a history, and a request may be answered
// according to any of the states that could have been in effect for the plugin
// between its start and its end. Mostly that is one.

const (
	// revocation is how soon a change must be seen: the stated 2 seconds, and
	// something for a busy machine.
	revocation = 3 * time.Second
	// recovery is how soon a change must be seen that was made, or became
	// visible, while lookups failed, counted from their recovery: one more that
	// takes its whole time.
	recovery = 5 * time.Second
)

// caller is who has a credential, from time to time.
type caller struct {
	name, key, algorithm string

	mu     sync.Mutex
	states []state
	tokens []token // signed with the latest secret
	old    []token // signed with earlier ones
}

// state is what the configuration said of a caller.
type state struct {
	from    time.Time // it could be in effect from then on
	settled time.Time // Kong has taken it; zero: not yet
	version int       // of the secret
	user    string    // whose credential it is; "": there is none
}

// token is a token with the version of the secret that signed it; 0: none did.
type token struct {
	text    string
	version int
}

// deserves is the answer to a token under a state.
func (s *state) deserves(t token) string {
	switch {
	case s.user == "":
		return "401 No credentials found for given 'iss'"
	case s.version != t.version:
		return "401 Invalid signature"
	}
	return "200 " + s.user
}

// deserts are the answers to t that are right for a request that was sent and
// answered at those times.
func (c *caller) deserts(t token, sent, answered time.Time, faults *outages) (right []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.states {
		if c.states[i].from.After(answered) {
			break
		}
		if i+1 < len(c.states) {
			if next := c.states[i+1].settled; !next.IsZero() && sent.After(faults.seenBy(next)) {
				continue // it must know the next one
			}
		}
		right = append(right, c.states[i].deserves(t))
	}
	return right
}

// unknownSince tells whether the plugin may not know the caller's credential, if
// it could look up nothing since then.
func (c *caller) unknownSince(t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.states[len(c.states)-1]
	return last.user == "" || last.settled.IsZero() || last.settled.After(t)
}

// outages are when lookups failed, when the plugin was started anew, and when the
// machine stalled: what has a time then may take longer, or fail.
type outages struct {
	mu      sync.Mutex
	failing []outage
	reloads []time.Time
	stalls  []outage
	ran     time.Time // when this process was last seen to run

	slack time.Duration // see options
}

type outage struct{ from, to time.Time } // to zero: it goes on

// seenBy is when a change that Kong took at t must be seen at the latest.
func (o *outages) seenBy(t time.Time) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	by := t.Add(revocation + o.slack)
	for _, f := range o.all() {
		switch {
		case f.from.After(by) || !f.to.IsZero() && f.to.Before(t):
		case f.to.IsZero():
			return time.Now().Add(time.Hour)
		case f.to.Add(recovery + 2*o.slack).After(by):
			by = f.to.Add(recovery + 2*o.slack)
		}
	}
	return by
}

// excuse tells whether the lookup of c's credential could fail for a request at
// those times: lookups fail, and the plugin does not know the credential,
// because it was started anew, or the credential is new. c nil: nobody's.
func (o *outages) excuse(c *caller, sent, answered time.Time) bool {
	aftermath, before := 3*time.Second+2*o.slack, 5*time.Second+2*o.slack
	// Copies, since c is asked below: whoever holds a caller may ask for outages,
	// and never the other way round.
	o.mu.Lock()
	failing, reloads := o.all(), slices.Clone(o.reloads)
	o.mu.Unlock()
	for _, f := range failing {
		if f.from.After(answered) || !f.to.IsZero() && f.to.Add(aftermath).Before(sent) {
			continue
		}
		if c == nil || c.unknownSince(f.from.Add(-before)) {
			return true
		}
		for _, r := range reloads {
			if r.After(f.from.Add(-before)) && r.Before(answered) {
				return true
			}
		}
	}
	return false
}

// all are outages and stalls in order. The caller holds o.mu.
func (o *outages) all() []outage {
	all := slices.Concat(o.failing, o.stalls)
	if len(o.stalls) > 0 {
		slices.SortFunc(all, func(a, b outage) int { return a.from.Compare(b.from) })
	}
	return all
}

// runs is called all the time: where it was not for a while, the machine has stalled.
func (o *outages) runs() {
	const stall = 250 * time.Millisecond
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if !o.ran.IsZero() && now.Sub(o.ran) > stall {
		o.stalls = append(o.stalls, outage{o.ran, now})
	}
	o.ran = now
}

// watch looks for stalls until ctx is done.
func (o *outages) watch(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		o.runs()
		<-tick.C
	}
}

func (o *outages) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failing = append(o.failing, outage{from: time.Now()})
}

func (o *outages) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failing[len(o.failing)-1].to = time.Now()
}

func (o *outages) reloaded() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reloads = append(o.reloads, time.Now())
}
