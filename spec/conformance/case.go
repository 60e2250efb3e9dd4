package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// Case is one recorded request with its answer.
type Case struct {
	Name    string           `json:"name"`
	Config  json.RawMessage  `json:"config"`
	Also    string           `json:"also"`
	Tokens  map[string]Token `json:"tokens"`
	Method  string           `json:"method"`
	Path    string           `json:"path"`
	Query   string           `json:"query"`
	Headers [][2]string      `json:"headers"`
	Seen    Answer           `json:"seen"`
	Better  *Answer          `json:"better"`
	Why     string           `json:"why"`
}

// Answer is what a client and the upstream got.
type Answer struct {
	Status   int                 `json:"status"`
	Body     json.RawMessage     `json:"body"`
	Headers  map[string][]string `json:"headers"`
	Upstream *Received           `json:"upstream"`
}

// Received is what the upstream got.
type Received struct {
	Method  string              `json:"method"`
	URI     string              `json:"uri"`
	Headers map[string][]string `json:"headers"`
}

// Want is the answer the plugin must give.
func (c Case) Want() Answer {
	if c.Better != nil {
		return *c.Better
	}
	return c.Seen
}

// ReadCases reads a file of cases.
func ReadCases(file string) ([]Case, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var cases []Case
	if err := json.Unmarshal(text, &cases); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return cases, nil
}

// Fill makes the case's tokens and returns what puts them in place of {{t}}.
func (c Case) Fill(keys Keys) (func(string) string, error) {
	var pairs []string
	for name, t := range c.Tokens {
		token, err := t.Make(keys)
		if err != nil {
			return nil, fmt.Errorf("token %s: %w", name, err)
		}
		pairs = append(pairs, "{{"+name+"}}", token, "{{"+name+"%2E}}", strings.ReplaceAll(token, ".", "%2E"))
	}
	return strings.NewReplacer(pairs...).Replace, nil
}

// Route is the path of the route that has the case's configuration.
type Route struct {
	Path, Also string
	Config     json.RawMessage
}

// Routes gives every distinct configuration a route /c000, /c001, …: all of one
// length, so that none is a prefix of another
func Routes(cases []Case) ([]Route, func(Case) string) {
	var routes []Route
	paths := map[string]string{}
	id := func(c Case) string { return c.Also + "\x00" + string(c.Config) }
	for _, c := range cases {
		if _, ok := paths[id(c)]; !ok {
			paths[id(c)] = fmt.Sprintf("/c%03d", len(routes))
			routes = append(routes, Route{paths[id(c)], c.Also, c.Config})
		}
	}
	return routes, func(c Case) string { return paths[id(c)] }
}

// Target is what stands in the request line.
func (c Case) Target(prefix string, fill func(string) string) string {
	target := prefix + c.Path
	if c.Query != "" {
		target += "?" + fill(c.Query)
	}
	return target
}
