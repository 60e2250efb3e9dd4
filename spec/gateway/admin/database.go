package admin

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/spec/gateway/httpd"
)

// Database is what the Admin API can change where Kong has a database: consumers
// and their JWT credentials.
type Database struct {
	Loader *config.Loader
	Lost   func() bool
	// Change puts what do makes of the rows in their place, and tells of it.
	Change func(do func(*config.Store) (*config.Store, error)) error
}

// write answers a request that changes something; nil: it is none.
func (d *Database) write(req *httpd.Request, segments []string) *httpd.Response {
	if req.Method == "GET" || req.Method == "HEAD" {
		return nil
	}
	fields, err := fieldsOf(req)
	if err != nil {
		return message(400, "Cannot parse JSON body")
	}
	switch kind, method := segments[0], req.Method; {
	case kind == "consumers" && len(segments) == 1 && method == "POST":
		return d.put(201, func(s *config.Store) (*config.Store, any, error) { return rowOf(d.Loader.PutConsumer(s, "", fields)) })
	case kind == "consumers" && len(segments) == 2 && method == "PATCH":
		return d.put(200, func(s *config.Store) (*config.Store, any, error) {
			c := s.Consumer(segments[1])
			if c == nil {
				return nil, nil, config.ErrNotFound
			}
			return rowOf(d.Loader.PutConsumer(s, c.ID, fields))
		})
	case kind == "consumers" && len(segments) == 2 && method == "DELETE":
		return d.remove(func(s *config.Store) *config.Store {
			if c := s.Consumer(segments[1]); c != nil {
				return s.WithoutConsumer(c)
			}
			return s
		})
	case kind == "consumers" && len(segments) == 3 && segments[2] == "jwt" && method == "POST":
		return d.put(201, func(s *config.Store) (*config.Store, any, error) {
			c := s.Consumer(segments[1])
			if c == nil {
				return nil, nil, config.ErrNotFound
			}
			fields["consumer"] = map[string]any{"id": c.ID}
			return rowOf(d.Loader.PutJWT(s, "", fields))
		})
	case kind == "jwts" && len(segments) == 2, kind == "consumers" && len(segments) == 4 && segments[2] == "jwt":
		key := segments[len(segments)-1]
		switch method {
		case "PATCH":
			return d.put(200, func(s *config.Store) (*config.Store, any, error) {
				j := s.JWT(key)
				if j == nil {
					return nil, nil, config.ErrNotFound
				}
				return rowOf(d.Loader.PutJWT(s, j.ID, fields))
			})
		case "DELETE":
			return d.remove(func(s *config.Store) *config.Store {
				if j := s.JWT(key); j != nil {
					return s.WithoutJWT(j)
				}
				return s
			})
		}
	}
	return nil
}

// rowOf forgets which kind of row it is.
func rowOf[T any](s *config.Store, row T, err error) (*config.Store, any, error) { return s, row, err }

func (d *Database) put(status int, do func(*config.Store) (*config.Store, any, error)) *httpd.Response {
	var row any
	err := d.Change(func(s *config.Store) (out *config.Store, err error) {
		out, row, err = do(s)
		return out, err
	})
	var invalid *config.InvalidError
	switch {
	case errors.Is(err, config.ErrNotFound):
		return message(404, "Not found")
	case errors.As(err, &invalid):
		status, code, name := 400, 2, "schema violation"
		if strings.Contains(invalid.Error(), "uniqueness violation") {
			status, code, name = 409, 5, "unique constraint violation"
		}
		return answer(status, map[string]any{"code": code, "name": name, "message": invalid.Error(), "fields": invalid.Fields})
	case err != nil:
		return message(500, "An unexpected error occurred")
	}
	return answer(status, row)
}

func (d *Database) remove(do func(*config.Store) *config.Store) *httpd.Response {
	if err := d.Change(func(s *config.Store) (*config.Store, error) { return do(s), nil }); err != nil {
		return message(500, "An unexpected error occurred")
	}
	return &httpd.Response{Status: 204}
}

// fieldsOf reads a row from JSON, or from a form without nested fields.
func fieldsOf(req *httpd.Request) (map[string]any, error) {
	fields := map[string]any{}
	if len(req.Body) == 0 {
		return fields, nil
	}
	if kind, _ := req.Header.Get("Content-Type"); strings.HasPrefix(kind, "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(req.Body))
		for k := range form {
			fields[k] = form.Get(k)
		}
		return fields, err
	}
	return fields, json.Unmarshal(req.Body, &fields)
}
