package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"
)

// live has things happen, one after the other, until ctx is done. In the last
// third there are no reloads, so that it shows whether a process grows. A run of less
// than a minute has none: on a busy machine, the plugin's old server can leave before
// the new one listens, and that may be the run's only reload.
func (w *world) live(ctx context.Context, chance *rand.Rand, o options) error {
	calm := time.Now()
	if o.duration >= time.Minute {
		calm = calm.Add(o.duration * 2 / 3)
	}
	lastReload := time.Now()
	wait := func(d time.Duration) {
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
	}
	wait(2 * time.Second) // let everybody become known
	for ctx.Err() == nil {
		c := w.callers[chance.IntN(len(w.callers))]
		var err error
		switch n := chance.IntN(100); {
		case n < 10 && time.Now().Before(calm) && time.Since(lastReload) > 10*time.Second:
			lastReload = time.Now()
			err = w.reload()
		case n < 35:
			err = w.change("secret rotated", c, func(s *state) { s.version++ })
		case n < 50:
			err = w.change("credential removed", c, func(s *state) { s.user = "" })
		case n < 65:
			err = w.change("credential given back", c, func(s *state) {
				if s.user == "" {
					s.user = c.name
				}
			})
		case n < 80:
			err = w.change("consumer renamed", c, func(s *state) {
				if s.user != "" {
					s.user = fmt.Sprintf("%s-%d", c.name, chance.IntN(1000))
				}
			})
		default:
			// A reload now and then meets lookups that fail.
			reloads := n >= 96 && time.Now().Before(calm)
			err = w.fault(ctx, chance, o.failing(chance), reloads)
		}
		if err != nil {
			return err
		}
		wait(o.pause/2 + time.Duration(chance.Int64N(int64(o.pause))))
	}
	return nil
}

func (w *world) reload() error {
	w.happened["reload"]++
	w.outages.reloaded()
	return w.gateway.Process.Signal(syscall.SIGHUP)
}

// change changes the state of a caller, if change does.
func (w *world) change(what string, c *caller, change func(*state)) error {
	c.mu.Lock()
	last := c.states[len(c.states)-1]
	next := last
	change(&next)
	if next == last {
		c.mu.Unlock()
		return nil
	}
	next.from, next.settled = time.Now(), time.Time{}
	c.states = append(c.states, next)
	c.mu.Unlock()
	w.happened[what]++
	text, err := w.writeConfig()
	if err != nil {
		return err
	}
	const created = 201
	if err := w.post("/config", text, created); err != nil {
		return err
	}
	c.mu.Lock()
	c.states[len(c.states)-1].settled = time.Now()
	c.mu.Unlock()
	if next.version != last.version {
		return w.signTokens(c, next.version)
	}
	return nil
}

// failing draws what fails: the Admin API, or of the node's store the lookups, the
// changes that it tells of, or both.
func (o *options) failing(chance *rand.Rand) []string {
	if o.store == "admin" {
		return []string{"admin"}
	}
	return [][]string{{lookups}, {"changes"}, {lookups, "changes"}}[chance.IntN(3)]
}

// lookups are what the gateway calls them where they are in the node's store.
const lookups = "store"

// fault has something fail for some seconds.
func (w *world) fault(ctx context.Context, chance *rand.Rand, what []string, reloads bool) error {
	modes := []object{
		{"mode": "slow", "delay_ms": 300},
		{"mode": "slow", "delay_ms": 10_000},
		{"mode": "refuse"},
		{"mode": "500"},
		{"mode": "half"},
		{"mode": "garbage"},
		{"mode": "huge"},
		{"mode": "reset"},
	}
	mode := modes[chance.IntN(len(modes))]
	w.happened[fmt.Sprintf("%s: %s", strings.Join(what, " and "), mode["mode"])]++
	// While changes alone are not told, lookups have to show them in time.
	if what[0] != "changes" {
		w.outages.begin()
		defer w.outages.end()
	}
	if err := w.fail(what, mode); err != nil {
		return err
	}
	pause := func() {
		select {
		case <-ctx.Done():
		case <-time.After(time.Second + time.Duration(chance.Int64N(int64(4*time.Second)))):
		}
	}
	pause()
	if reloads && ctx.Err() == nil {
		if err := w.reload(); err != nil {
			return err
		}
		pause()
	}
	return w.fail(what, object{"mode": "none"})
}

// fail sets the mode in which something fails.
func (w *world) fail(what []string, mode object) error {
	const ok = 200
	for _, of := range what {
		mode["of"] = of
		text, err := json.Marshal(mode)
		if err != nil {
			return err
		}
		if err := w.post("/__faults", text, ok); err != nil {
			return err
		}
	}
	return nil
}
