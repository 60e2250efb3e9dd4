package spec_test

import (
	"testing"

	"kong-go-jwt/spec/conformance"
)

// TestAccess holds the plugin against every recorded case, twice on the same
// gateway: what is remembered must answer as what was just worked out.
func TestAccess(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		g := specGateway(t, way...)
		runCases(t, g)
		if len(way) > 0 && g.calls(t)["kong.nginx.get_var"] == 0 {
			t.Error("the variable was never read")
		}
	})
}

// TestAccessWithWorkers does so with several workers, each with its instances.
func TestAccessWithWorkers(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	runCases(t, specGateway(t, "-workers", "3"))
}

func runCases(t *testing.T, g *gateway) {
	t.Helper()
	_, route := conformance.Routes(setup.cases)
	fills := make([]func(string) string, len(setup.cases))
	for i, c := range setup.cases {
		var err error
		if fills[i], err = c.Fill(setup.keys); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
	}
	for _, pass := range []string{"fresh", "remembered"} {
		t.Run(pass, func(t *testing.T) {
			for i, c := range setup.cases {
				t.Run(c.Name, func(t *testing.T) {
					t.Parallel()
					fill := fills[i]
					var headers [][2]string
					for _, h := range c.Headers {
						headers = append(headers, [2]string{h[0], fill(h[1])})
					}
					got := g.send(t, c.Method, c.Target(route(c), fill), headers...)
					compare(t, c.Method, c.Want(), fill, got)
				})
			}
		})
	}
}
