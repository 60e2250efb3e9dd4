package config

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"kong-go-jwt/spec/gateway/schema"
)

// Workspace is the id of the only workspace.
const Workspace = "0dc6f45b-8f8d-40d2-a504-473544ee190b"

// CredentialName is the name of a jwt_secrets row in Kong's cache.
func CredentialName(key string) string { return "jwt_secrets:" + key + ":::::" + Workspace }

// ConsumerName is the name of a consumer in Kong's cache, by its id or username.
func ConsumerName(id string) string { return "consumers:" + id + ":::::" + Workspace }

// ErrNotFound tells of a row that is not there.
var ErrNotFound = errors.New("not found")

// Changes lists the names under which Kong invalidates the rows that differ: a
// credential by its key, a consumer by its id and its old and new username.
func Changes(from, to *Store) []string {
	names := map[string]bool{}
	for _, pair := range [][2]*Store{{from, to}, {to, from}} {
		for _, j := range pair[0].JWTs {
			if other := pair[1].jwtKeys[j.Key]; other == nil || !sameJWT(*j, *other) {
				names[CredentialName(j.Key)] = true
			}
		}
		for _, c := range pair[0].Consumers {
			if other := pair[1].consumers[c.ID]; other == nil || !sameConsumer(*c, *other) {
				names[ConsumerName(c.ID)] = true
				if c.Username != "" {
					names[ConsumerName(c.Username)] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func sameJWT(a, b JWTSecret) bool {
	a.CreatedAt = b.CreatedAt
	return reflect.DeepEqual(a, b)
}

func sameConsumer(a, b Consumer) bool {
	a.CreatedAt = b.CreatedAt
	return reflect.DeepEqual(a, b)
}

// PutConsumer returns s with one more consumer, or with that of the id changed.
func (l *Loader) PutConsumer(s *Store, id string, fields map[string]any) (*Store, *Consumer, error) {
	b := l.edit(s)
	if id != "" {
		old := s.consumers[id]
		if old == nil {
			return nil, nil, ErrNotFound
		}
		var err error
		if fields, err = merged(old, fields); err != nil {
			return nil, nil, err
		}
		b.store.dropConsumer(old)
	}
	e := newEntity(fields)
	if b.consumer(e); len(e.errs) > 0 {
		return nil, nil, &InvalidError{e.errs}
	}
	return b.store, b.store.Consumers[len(b.store.Consumers)-1], nil
}

// PutJWT returns s with one more jwt_secrets row, or with that of the id changed.
func (l *Loader) PutJWT(s *Store, id string, fields map[string]any) (*Store, *JWTSecret, error) {
	b := l.edit(s)
	if id != "" {
		old := s.jwtIDs[id]
		if old == nil {
			return nil, nil, ErrNotFound
		}
		var err error
		if fields, err = merged(old, fields); err != nil {
			return nil, nil, err
		}
		b.store.dropJWT(old)
	}
	e := newEntity(fields)
	if b.jwt(e, ""); len(e.errs) > 0 {
		return nil, nil, &InvalidError{e.errs}
	}
	return b.store, b.store.JWTs[len(b.store.JWTs)-1], nil
}

// WithoutConsumer returns s without a consumer and all that belongs to it.
func (s *Store) WithoutConsumer(c *Consumer) *Store {
	out := s.clone()
	out.dropConsumer(c)
	for _, j := range s.JWTsOf(c.ID) {
		out.dropJWT(j)
	}
	maps.DeleteFunc(out.keyAuths, func(_ string, k *KeyAuth) bool { return k.ConsumerID == c.ID })
	delete(out.groups, c.ID)
	return out
}

// WithoutJWT returns s without a jwt_secrets row.
func (s *Store) WithoutJWT(j *JWTSecret) *Store {
	out := s.clone()
	out.dropJWT(j)
	return out
}

// WithRowsOf returns s with the consumers and credentials of another store.
func (s *Store) WithRowsOf(rows *Store) *Store {
	out := *rows
	out.Services, out.Routes, out.Plugins, out.chains = s.Services, s.Routes, s.Plugins, s.chains
	return &out
}

// edit makes a builder for a copy of s, which passes over nothing.
func (l *Loader) edit(s *Store) *builder {
	strict := *l
	strict.Warn = nil
	return &builder{loader: &strict, now: time.Now().Unix(), fails: schema.Errors{}, store: s.clone()}
}

// newEntity is a row with an id of its own, unless it has one.
func newEntity(fields map[string]any) *entity {
	fields = maps.Clone(fields)
	if fields["id"] == nil {
		var b [16]byte
		rand.Read(b[:]) // never fails
		fields["id"] = UUID(hex.EncodeToString(b[:]))
	}
	return &entity{fields, schema.Errors{}, ""}
}

// merged is a row with some fields changed, as a table.
func merged(row any, changes map[string]any) (map[string]any, error) {
	text, err := json.Marshal(row)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	delete(fields, "created_at")
	maps.Copy(fields, changes)
	return fields, nil
}

func (s *Store) clone() *Store {
	out := *s
	out.Consumers, out.JWTs = slices.Clone(s.Consumers), slices.Clone(s.JWTs)
	out.consumers, out.usernames = maps.Clone(s.consumers), maps.Clone(s.usernames)
	out.jwtKeys, out.jwtIDs = maps.Clone(s.jwtKeys), maps.Clone(s.jwtIDs)
	out.keyAuths, out.groups = maps.Clone(s.keyAuths), maps.Clone(s.groups)
	return &out
}

func (s *Store) dropConsumer(c *Consumer) {
	s.Consumers = slices.DeleteFunc(s.Consumers, func(o *Consumer) bool { return o == c })
	delete(s.consumers, c.ID)
	delete(s.usernames, c.Username)
}

func (s *Store) dropJWT(j *JWTSecret) {
	s.JWTs = slices.DeleteFunc(s.JWTs, func(o *JWTSecret) bool { return o == j })
	delete(s.jwtKeys, j.Key)
	delete(s.jwtIDs, j.ID)
}
