package declarative

import (
	"fmt"
	"io"
	"os"
	"slices"
)

// State is what is configured, in one file or in several together.
type State struct {
	Documents  []*Node
	Services   []*Service
	Routes     []*Route
	Plugins    []*Plugin
	Consumers  []*Consumer
	JWTSecrets []*JWTSecret
	// Partial tells that there is more than what was read: decK was told to look
	// at some tags only.
	Partial bool

	services  map[string]*Service
	routes    map[string]*Route
	consumers map[string]*Consumer
}

// Service is an upstream.
type Service struct {
	*Node
	ID, Title string // Title is its name
}

// Route leads requests to a service.
type Route struct {
	*Node
	ID, Title string
	Service   *Service // nil: none
}

// Plugin is a plugin that is configured, of any kind.
type Plugin struct {
	*Node
	Title   string // name of the plugin
	Config  *Node  // nil: none
	Service *Service
	Route   *Route
	// Caller is what puts it on a consumer or a consumer group; nil: nothing does.
	Caller *Node
	// Shared is the entry of decK's _plugin_configs that Config is laid over; nil:
	// none is named.
	Shared *Node
}

// Consumer is a consumer.
type Consumer struct {
	*Node
	ID, Username, CustomID string
}

// JWTSecret is a credential.
type JWTSecret struct {
	*Node
	Key      string
	Consumer *Consumer // nil: there is none
	Owner    *Node     // what names the consumer, of one that is not listed below it
}

// Read reads a file, standard input if its name is "-", into a state of its own.
func Read(name string, stdin io.Reader) (*State, error) {
	root, err := ReadFile(name, stdin)
	if err != nil {
		return nil, err
	}
	return NewState(root), nil
}

// ReadFile reads a file, standard input if its name is "-". The error is a
// [SyntaxError] if it is no YAML.
func ReadFile(name string, stdin io.Reader) (*Node, error) {
	var text []byte
	var err error
	if name == "-" {
		text, err = io.ReadAll(stdin)
	} else {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(name, text)
}

// NewState puts together what documents configure.
func NewState(documents ...*Node) *State {
	s := &State{
		Documents: documents, services: map[string]*Service{}, routes: map[string]*Route{}, consumers: map[string]*Consumer{},
	}
	// Who is referred to comes first.
	for _, d := range documents {
		s.Partial = s.Partial || !d.Field("_info").Field("select_tags").IsNull()
		for _, n := range d.Field("consumers").records() {
			s.addConsumer(n)
		}
		for _, n := range d.Field("services").records() {
			s.addService(n)
		}
	}
	for _, d := range documents {
		for _, n := range d.Field("routes").records() {
			s.addRoute(n, s.FindService(Reference(n.Field("service"))))
		}
	}
	for _, d := range documents {
		s.addPlugins(d)
	}
	return s
}

func (s *State) addConsumer(n *Node) {
	c := &Consumer{n, n.Field("id").Text(), n.Field("username").Text(), n.Field("custom_id").Text()}
	s.Consumers = append(s.Consumers, c)
	for _, name := range []string{c.Username, c.ID} { // an id goes before a username
		if name != "" {
			s.consumers[name] = c
		}
	}
}

func (s *State) addService(n *Node) {
	service := &Service{n, n.Field("id").Text(), n.Field("name").Text()}
	s.Services = append(s.Services, service)
	for _, name := range []string{service.Title, service.ID} {
		if name != "" {
			s.services[name] = service
		}
	}
	for _, r := range n.Field("routes").records() {
		s.addRoute(r, service)
	}
}

func (s *State) addRoute(n *Node, of *Service) {
	r := &Route{n, n.Field("id").Text(), n.Field("name").Text(), of}
	s.Routes = append(s.Routes, r)
	for _, name := range []string{r.Title, r.ID} {
		if name != "" {
			s.routes[name] = r
		}
	}
}

func (s *State) addPlugins(document *Node) {
	shared := document.Field("_plugin_configs")
	add := func(list *Node, on Plugin) {
		for _, n := range list.records() {
			p := on
			p.Node, p.Title, p.Config = n, n.Field("name").Text(), n.Field("config")
			p.Shared = shared.Field(n.Field("_config").Text())
			if r := n.Field("route"); !r.IsNull() {
				p.Route = s.FindRoute(Reference(r))
			}
			if r := n.Field("service"); !r.IsNull() {
				p.Service = s.FindService(Reference(r))
			}
			for _, caller := range []string{"consumer", "consumer_group"} {
				if c := n.Field(caller); !c.IsNull() {
					p.Caller = c
				}
			}
			s.Plugins = append(s.Plugins, &p)
		}
	}
	in := func(n *Node) bool { return n.File == document.File }
	add(document.Field("plugins"), Plugin{})
	for _, service := range s.Services {
		if in(service.Node) {
			add(service.Field("plugins"), Plugin{Service: service})
		}
	}
	for _, r := range s.Routes {
		if in(r.Node) {
			add(r.Field("plugins"), Plugin{Route: r})
		}
	}
	for _, list := range []string{"consumers", "consumer_groups"} {
		for _, n := range document.Field(list).records() {
			add(n.Field("plugins"), Plugin{Caller: n})
		}
	}
	for _, c := range s.Consumers {
		if !in(c.Node) {
			continue
		}
		for _, n := range c.Field("jwt_secrets").records() {
			s.JWTSecrets = append(s.JWTSecrets, &JWTSecret{Node: n, Key: n.Field("key").Text(), Consumer: c})
		}
	}
	for _, n := range document.Field("jwt_secrets").records() {
		owner := n.Field("consumer")
		s.JWTSecrets = append(s.JWTSecrets, &JWTSecret{Node: n, Key: n.Field("key").Text(), Consumer: s.FindConsumer(Reference(owner)), Owner: owner})
	}
}

// Reference returns what a reference to another entity names: an id, a name or
// a username, as a text or in a map.
func Reference(n *Node) string {
	if !n.IsMap() {
		return n.Text()
	}
	for _, by := range []string{"id", "name", "username"} {
		if text := n.Field(by).Text(); text != "" {
			return text
		}
	}
	return ""
}

// FindService returns the service with that id or name, nil if there is none.
func (s *State) FindService(idOrName string) *Service { return s.services[idOrName] }

// FindRoute returns the route with that id or name, nil if there is none.
func (s *State) FindRoute(idOrName string) *Route { return s.routes[idOrName] }

// FindConsumer returns the consumer with that id or username, nil if there is none.
func (s *State) FindConsumer(idOrUsername string) *Consumer { return s.consumers[idOrUsername] }

// Enabled tells whether the plugin runs.
func (p *Plugin) Enabled() bool { return p.Field("enabled").Any() != false }

// Settings returns the plugin's config as it counts: decK's shared one with its
// own laid over it.
func (p *Plugin) Settings() map[string]any {
	all := map[string]any{}
	for _, from := range []*Node{p.Shared, p.Config} {
		for _, f := range from.Fields() {
			all[f.Name()] = f.Any()
		}
	}
	return all
}

// on tells whether the plugin is one for requests of that route, as far as
// services and routes say, and how specific it is: where several of a name are,
// Kong runs the most specific one (kong/runloop/plugins_iterator.lua).
func (p *Plugin) on(r *Route) (specific int, ok bool) {
	if p.Caller != nil || !p.Field("route").IsNull() && p.Route == nil || !p.Field("service").IsNull() && p.Service == nil {
		return 0, false
	}
	if p.Route != nil {
		if p.Route != r {
			return 0, false
		}
		specific += 2
	}
	if p.Service != nil {
		if p.Service != r.Service {
			return 0, false
		}
		specific++
	}
	return specific, true
}

// Effective returns the plugin of that name that runs on a route; nil: none does.
func (s *State) Effective(name string, r *Route) *Plugin {
	var best *Plugin
	most := -1
	for _, p := range s.Plugins {
		if p.Title != name || !p.Enabled() {
			continue
		}
		if n, ok := p.on(r); ok && n > most {
			best, most = p, n
		}
	}
	return best
}

// Names returns the names of the routes that have one, sorted.
func (s *State) Names() []string {
	var names []string
	for _, r := range s.Routes {
		if r.Title != "" {
			names = append(names, r.Title)
		}
	}
	slices.Sort(names)
	return names
}
