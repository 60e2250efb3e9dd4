// Package router finds the route of a request and the path its upstream sees,
// as Kong's traditional router does.
package router

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"kong-go-jwt/spec/gateway/config"
)

// Router holds the routes in the order they are tried.
type Router struct{ candidates []candidate }

// candidate is a route by one of its paths.
type candidate struct {
	route  *config.Route
	prefix string
	regex  *regexp.Regexp
}

// Match is a route found. Rest is what follows the matched part of the path.
type Match struct {
	Route *config.Route
	Rest  string
}

// New makes a router.
func New(routes []*config.Route) (*Router, error) {
	r := &Router{}
	for _, route := range routes {
		if len(route.Paths) == 0 {
			r.candidates = append(r.candidates, candidate{route: route})
		}
		for _, p := range route.Paths {
			c := candidate{route: route, prefix: p}
			if pattern, ok := strings.CutPrefix(p, "~"); ok {
				re, err := regexp.Compile("^(?:" + strings.TrimPrefix(pattern, "^") + ")")
				if err != nil {
					return nil, fmt.Errorf("route %s: %w", route.Name, err)
				}
				c.prefix, c.regex = "", re
			}
			r.candidates = append(r.candidates, c)
		}
	}
	// More kinds of conditions win, then regexes by priority, then the longer
	// prefix.
	sort.SliceStable(r.candidates, func(i, j int) bool {
		a, b := r.candidates[i], r.candidates[j]
		if x, y := kinds(a.route), kinds(b.route); x != y {
			return x > y
		}
		if (a.regex != nil) != (b.regex != nil) {
			return a.regex != nil
		}
		if a.regex != nil && a.route.RegexPriority != b.route.RegexPriority {
			return a.route.RegexPriority > b.route.RegexPriority
		}
		return len(a.prefix) > len(b.prefix)
	})
	return r, nil
}

// Find returns the route for a request; path is normalized, host without port.
func (r *Router) Find(method, host, path string) (Match, bool) {
	for _, c := range r.candidates {
		if len(c.route.Methods) > 0 && !slices.Contains(c.route.Methods, method) || !hostMatches(c.route.Hosts, host) {
			continue
		}
		if c.regex != nil {
			if at := c.regex.FindStringIndex(path); at != nil {
				return Match{c.route, path[at[1]:]}, true
			}
			continue
		}
		if rest, ok := strings.CutPrefix(path, c.prefix); ok {
			return Match{c.route, rest}, true
		}
	}
	return Match{}, false
}

func hostMatches(hosts []string, host string) bool {
	if len(hosts) == 0 {
		return true
	}
	return slices.ContainsFunc(hosts, func(h string) bool {
		if suffix, ok := strings.CutPrefix(h, "*"); ok {
			return strings.HasSuffix(host, suffix)
		}
		if prefix, ok := strings.CutSuffix(h, "*"); ok {
			return strings.HasPrefix(host, prefix)
		}
		return strings.EqualFold(h, host)
	})
}

// UpstreamPath joins the service's path and what is left of the request's,
// escaped as Kong escapes it.
func (m Match) UpstreamPath(path string) string {
	base := "/"
	if s := m.Route.Service; s != nil && s.Path != "" {
		base = s.Path
	}
	if !m.Route.StripPath {
		if strings.HasSuffix(base, "/") {
			return Escape(base + strings.TrimPrefix(path, "/"))
		}
		if path == "/" {
			return Escape(base)
		}
		return Escape(base + path)
	}
	trimmed := strings.TrimSuffix(base, "/")
	switch {
	case m.Rest != "":
		return Escape(trimmed + "/" + strings.TrimPrefix(m.Rest, "/"))
	case trimmed == "":
		return "/"
	case strings.HasSuffix(path, "/") && len(path) > 1:
		return Escape(trimmed + "/")
	}
	return Escape(trimmed)
}

// kinds counts the kinds of conditions a route has.
func kinds(r *config.Route) int {
	n := 0
	for _, list := range [][]string{r.Paths, r.Hosts, r.Methods} {
		if len(list) > 0 {
			n++
		}
	}
	return n
}
