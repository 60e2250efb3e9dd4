package check

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"kong-go-jwt/kong/declarative"
	"kong-go-jwt/plugin"
	"kong-go-jwt/schema"
)

// discovery checks that clients find the document that WWW-Authenticate names. It says
// nothing of a resource that is itself on no route: a proxy before Kong changes paths.
func (p *pluginCheck) discovery() {
	m := p.config.ResourceMetadata
	if m == nil || p.state.Partial || !p.routed(m.Resource) || p.routed(plugin.MetadataURL(m)) {
		return
	}
	u, err := url.Parse(plugin.MetadataURL(m))
	if err != nil { // which the schema has refused
		return
	}
	p.at(&schema.FieldError{
		Path:    "config.resource_metadata.resource",
		Problem: "no route has the path " + u.EscapedPath() + ", at which clients look for the metadata: they get 404",
	}, Warning)
}

// routed tells whether some route has the path of a URL, as far as can be seen.
func (p *pluginCheck) routed(resource string) bool {
	u, err := url.Parse(resource)
	if err != nil {
		return true
	}
	path := u.Path
	if path == "" {
		path = "/"
	}
	return slices.ContainsFunc(p.state.Routes, func(r *declarative.Route) bool {
		paths := r.Field("paths").Items()
		return len(paths) == 0 || slices.ContainsFunc(paths, func(n *declarative.Node) bool { return hasPath(n.Text(), path) })
	})
}

// hasPath tells whether an entry of a route's paths is met by a path. One that begins
// with ~ is a regular expression, which Kong reads as PCRE.
func hasPath(entry, path string) bool {
	pattern, isPattern := strings.CutPrefix(entry, "~")
	if !isPattern {
		return strings.HasPrefix(path, entry)
	}
	expression, err := regexp.Compile("^(?:" + pattern + ")")
	return err != nil || expression.MatchString(path)
}
