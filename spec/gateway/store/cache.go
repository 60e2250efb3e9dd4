// Package store is a node's own store as Kong's Lua code sees it: kong.cache
// before kong.db, the events that tell of changes, and the server of the
// plugin's nginx include, which shows them to the plugin.
package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/spec/gateway/faults"
)

// ErrLost is what kong.db gives when it cannot reach the database.
var ErrLost = errors.New("[postgres] could not retrieve the row: connection refused")

// Database is kong.db: what is in memory without a database, too.
type Database struct {
	Name   string // off or postgres
	Rows   func() *config.Store
	Faults *faults.Faults // of "database"

	queries atomic.Int64
}

// Queries counts what was asked of the database.
func (d *Database) Queries() int64 { return d.queries.Load() }

// Lost tells whether the database cannot be reached.
func (d *Database) Lost() bool { return d.Faults.Of("database").Mode == "lost" }

// query asks the database.
func query[T any](ctx context.Context, d *Database, find func(*config.Store) *T) (*T, error) {
	d.queries.Add(1)
	d.Faults.Of("database").Delay(ctx)
	if d.Lost() {
		return nil, ErrLost
	}
	return find(d.Rows()), nil
}

// Cache is kong.cache: what was found, or was found not to be there, stays until
// a change names it. It is safe for concurrent use.
type Cache struct {
	mu    sync.Mutex
	epoch int64 // counts what was invalidated
	rows  map[string]any
}

// cached looks a row up in the cache, and then in the database.
func cached[T any](ctx context.Context, c *Cache, d *Database, key string, find func(*config.Store) *T) (*T, error) {
	c.mu.Lock()
	if v, ok := c.rows[key]; ok {
		c.mu.Unlock()
		row, _ := v.(*T)
		return row, nil
	}
	epoch := c.epoch
	c.mu.Unlock()
	row, err := query(ctx, d, find)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch == epoch { // else it may be what the change has outdated
		if c.rows == nil {
			c.rows = map[string]any{}
		}
		c.rows[key] = row
	}
	return row, nil
}

// Probe tells what the cache holds: a nil row for what is known to be absent.
func (c *Cache) Probe(key string) (row any, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	row, ok = c.rows[key]
	return row, ok
}

// Invalidate forgets keys; none: all.
func (c *Cache) Invalidate(keys ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	if len(keys) == 0 {
		c.rows = nil
	}
	for _, k := range keys {
		delete(c.rows, k)
	}
}
