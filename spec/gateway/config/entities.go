// Package config reads Kong's declarative format into the entities the
// gateway serves.
package config

import "kong-go-jwt/spec/gateway/schema"

// Service is an upstream.
type Service struct {
	ID, Name, Protocol, Host, Path string
	Port                           int
}

// Route leads requests to a service.
type Route struct {
	ID, Name             string
	Service              *Service
	Paths, Hosts         []string
	Methods, Protocols   []string
	Tags                 []string
	StripPath            bool
	PreserveHost         bool
	RegexPriority        int
	CreatedAt, UpdatedAt int64
}

// Plugin is one configured plugin. Written is its configuration as the Admin API
// shows it, checked and filled with defaults; Config is what runs: the same with
// vault references resolved, and told of in $refs.
type Plugin struct {
	ID, Name           string
	RouteID, ServiceID string
	Written, Config    map[string]any
	Enabled            bool
}

// Consumer is a user of the API.
type Consumer struct {
	ID        string   `json:"id"`
	Username  string   `json:"username,omitempty"`
	CustomID  string   `json:"custom_id,omitempty"`
	Tags      []string `json:"tags"`
	CreatedAt int64    `json:"created_at"`
}

// Ref names another entity.
type Ref struct {
	ID string `json:"id"`
}

// JWTSecret is a credential of the jwt plugins.
type JWTSecret struct {
	ID           string   `json:"id"`
	Key          string   `json:"key"`
	Secret       string   `json:"secret"`
	Algorithm    string   `json:"algorithm"`
	RSAPublicKey *string  `json:"rsa_public_key"`
	Consumer     Ref      `json:"consumer"`
	Tags         []string `json:"tags"`
	CreatedAt    int64    `json:"created_at"`
}

// KeyAuth is a credential of key-auth.
type KeyAuth struct{ ID, Key, ConsumerID string }

// Store is one loaded configuration. It does not change.
type Store struct {
	Hash      string
	Topology  string // changes with the services, routes and plugins
	Services  []*Service
	Routes    []*Route
	Plugins   []*Plugin
	Consumers []*Consumer
	JWTs      []*JWTSecret

	consumers map[string]*Consumer // by id
	usernames map[string]*Consumer
	jwtKeys   map[string]*JWTSecret
	jwtIDs    map[string]*JWTSecret
	keyAuths  map[string]*KeyAuth
	groups    map[string][]string // by consumer id
	chains    map[string][]*Plugin
}

// PluginType is what the gateway knows of a plugin.
type PluginType struct {
	Schema   *schema.Plugin
	Priority float64
}

// Consumer finds a consumer as kong.client.load_consumer(id, true) does: by
// id, then by username.
func (s *Store) Consumer(id string) *Consumer {
	if c := s.ConsumerByID(id); c != nil {
		return c
	}
	return s.usernames[id]
}

// ConsumerByID finds a consumer by its id alone.
func (s *Store) ConsumerByID(id string) *Consumer { return s.consumers[id] }

// ConsumerByUsername finds a consumer by its username alone.
func (s *Store) ConsumerByUsername(name string) *Consumer { return s.usernames[name] }

// ConsumerByCustomID finds a consumer by its custom_id.
func (s *Store) ConsumerByCustomID(id string) *Consumer {
	for _, c := range s.Consumers {
		if c.CustomID != "" && c.CustomID == id {
			return c
		}
	}
	return nil
}

// JWTByKey finds a jwt_secrets row by its key, whatever that looks like.
func (s *Store) JWTByKey(key string) *JWTSecret { return s.jwtKeys[key] }

// JWT finds a jwt_secrets row as GET /jwts/{key} does: what looks like a UUID
// is an id and never a key.
func (s *Store) JWT(key string) *JWTSecret {
	if schema.IsUUID(key) {
		return s.jwtIDs[key]
	}
	return s.jwtKeys[key]
}

// JWTsOf lists a consumer's credentials.
func (s *Store) JWTsOf(consumer string) []*JWTSecret {
	list := []*JWTSecret{}
	for _, j := range s.JWTs {
		if j.Consumer.ID == consumer {
			list = append(list, j)
		}
	}
	return list
}

// KeyAuth finds a key-auth credential.
func (s *Store) KeyAuth(key string) *KeyAuth { return s.keyAuths[key] }

// Groups lists the ACL groups of a consumer.
func (s *Store) Groups(consumer string) []string { return s.groups[consumer] }

// Chain lists the plugins of a route, the most specific one of each name, in
// order of priority.
func (s *Store) Chain(route *Route) []*Plugin { return s.chains[route.ID] }
