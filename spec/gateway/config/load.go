package config

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"kong-go-jwt/spec/gateway/schema"
)

// Loader makes Stores.
type Loader struct {
	Types map[string]PluginType
	// Getenv resolves {vault://env/NAME}.
	Getenv func(string) string
	// Warn is told of what Kong knows and the gateway passes over; nil: it passes
	// over nothing, and refuses the configuration.
	Warn func(Warning)
}

// InvalidError tells what is wrong in a configuration, field by field.
type InvalidError struct{ Fields schema.Errors }

func (e *InvalidError) Error() string { return e.Fields.Violation() }

// Load reads text, which is YAML or JSON.
func (l *Loader) Load(text []byte) (*Store, error) {
	doc, err := decode(text)
	if err != nil {
		return nil, err
	}
	sum := md5.Sum(text)
	topology, err := json.Marshal([]any{doc["services"], doc["routes"], doc["plugins"]})
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	b := &builder{
		loader: l,
		now:    time.Now().Unix(),
		fails:  schema.Errors{},
		store: &Store{
			Hash:      hex.EncodeToString(sum[:]),
			Topology:  string(topology),
			consumers: map[string]*Consumer{},
			usernames: map[string]*Consumer{},
			jwtKeys:   map[string]*JWTSecret{},
			jwtIDs:    map[string]*JWTSecret{},
			keyAuths:  map[string]*KeyAuth{},
			groups:    map[string][]string{},
			chains:    map[string][]*Plugin{},
		},
	}
	b.document(doc)
	if len(b.fails) > 0 {
		return nil, &InvalidError{b.fails}
	}
	for _, w := range b.warnings {
		l.Warn(w)
	}
	b.chains()
	return b.store, nil
}

func decode(text []byte) (map[string]any, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		converted, err := yamlToJSON(text)
		if err != nil {
			return nil, fmt.Errorf("reading YAML: %w", err)
		}
		text = converted
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	if doc == nil {
		return nil, errors.New("expected a declarative configuration")
	}
	return doc, nil
}

// UUID is the deterministic id of an entity that has none.
func UUID(parts ...string) string {
	sum := sha1.Sum([]byte("kong-go-jwt/spec\x00" + strings.Join(parts, "\x00")))
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// chains works out, for every route, the plugins that run on it.
func (b *builder) chains() {
	s := b.store
	for _, r := range s.Routes {
		best := map[string]*Plugin{}
		rank := map[string]int{}
		for _, p := range s.Plugins {
			score, ok := scope(p, r)
			if !ok || !p.Enabled {
				continue
			}
			if old, taken := rank[p.Name]; !taken || score > old {
				best[p.Name], rank[p.Name] = p, score
			}
		}
		chain := make([]*Plugin, 0, len(best))
		for _, p := range best {
			chain = append(chain, p)
		}
		sort.Slice(chain, func(i, j int) bool {
			pi, pj := b.loader.Types[chain[i].Name].Priority, b.loader.Types[chain[j].Name].Priority
			if pi != pj {
				return pi > pj
			}
			return chain[i].Name < chain[j].Name
		})
		s.chains[r.ID] = chain
	}
}

// scope tells whether p applies to r, and how specific it is.
func scope(p *Plugin, r *Route) (int, bool) {
	service := ""
	if r.Service != nil {
		service = r.Service.ID
	}
	score := 0
	if p.RouteID != "" {
		if p.RouteID != r.ID {
			return 0, false
		}
		score += 2
	}
	if p.ServiceID != "" {
		if p.ServiceID != service {
			return 0, false
		}
		score++
	}
	return score, true
}
