package kong

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"kong-go-jwt/kong/source"
	"kong-go-jwt/plugin"
)

//go:generate sh -c "go run .. -nginx-conf > go-jwt.nginx.conf"

// NginxOptions say what the nginx include is made for.
type NginxOptions struct {
	Prefix string // Kong's prefix directory
	// Edge: no other Kong stands in front of this one, so that no client may
	// send identity headers.
	Edge bool
	// Headers are carried by the variable too, beside Authorization.
	Headers []string
}

//go:embed nginx.conf.tmpl
var nginxTemplate string

var (
	quotable   = regexp.MustCompile(`^/[^"'\\;{}$\x00-\x1f\x7f]*$`)
	headerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)
)

const (
	maxUnixPath = 107 // bytes of a socket's path (unix(7))
	maxDashes   = 6   // of a header's name, which has 2^n spellings
)

// WriteNginxConf writes the include for Kong's http block. The error names the
// flag at fault.
func WriteNginxConf(w io.Writer, o NginxOptions) error {
	socket := source.NodeSocket(o.Prefix)
	switch {
	case !filepath.IsAbs(o.Prefix) || !quotable.MatchString(o.Prefix):
		return fmt.Errorf("-kong-prefix: %q is not an absolute path that nginx accepts", o.Prefix)
	case len(socket) > maxUnixPath:
		return fmt.Errorf("-kong-prefix: %s is too long for a socket", socket)
	}
	c := carried{edge: o.Edge, bare: !o.Edge, protocol: true}
	command := "go-jwt -nginx-conf -kong-prefix " + o.Prefix
	if o.Edge {
		command += " -edge"
	}
	var cleared []string
	if o.Edge {
		for _, name := range runTogether() {
			cleared = append(cleared, plugin.Spellings(name)...)
		}
	}
	for _, name := range o.Headers {
		if !headerName.MatchString(name) || strings.Count(dashed(name), "-") > maxDashes {
			return fmt.Errorf("-header: %q is not a header name that nginx has a variable for", name)
		}
		name = dashed(name)
		switch {
		case slices.Contains(alwaysCarried, name) || slices.Contains(c.headers, name):
			return fmt.Errorf("-header: %s is in the include already", name)
		case name == "edge": // would read as -edge
			return errors.New("-header: edge is a reserved name")
		case len(c.headers) == maxCarried:
			return fmt.Errorf("-header: can be repeated %d times at most", maxCarried)
		}
		c.headers = append(c.headers, name)
		command += " -header " + name
		cleared = append(cleared, plugin.Spellings(name)[1:]...) // the true one may hold a token
	}
	t := template.Must(template.New("").Funcs(template.FuncMap{
		"variable": func(header string) string { return "$http_" + strings.ReplaceAll(strings.ToLower(header), "-", "_") },
		"spellings": func(headers []string) string { // behind their X-
			var all []string
			for _, h := range headers {
				all = append(all, strings.ReplaceAll(strings.ToLower(h[2:]), "-", "[-_]"))
			}
			return strings.Join(all, "|")
		},
	}).Parse(nginxTemplate))
	err := t.Execute(w, map[string]any{
		"Command": command, "Bare": c.bare, "Tag": c.tag(), "Socket": socket, "Version": source.NodeVersion,
		"Identity": runTogether(), "Headers": c.headers, "Cleared": cleared,
	})
	if err != nil {
		return fmt.Errorf("writing the nginx include: %w", err)
	}
	return nil
}
