package spec_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// setups are the ways in which Kong is set up and the plugin finds credentials,
// by the flags that the gateway is given for each. SPEC_SETUP names the one that
// all specs run in; flags that a spec gives itself come after these.
var setups = map[string][]string{
	"":         nil, // without a database, by the Admin API
	"node":     {"-nginx-include=auto", "-plugin-arg=-store=node"},
	"postgres": {"-database=postgres", "-nginx-include=auto", "-plugin-arg=-store=node"},
	// Nothing tells it of changes: credential-ttl bounds how long they go unseen.
	"postgres-admin": {"-database=postgres", "-plugin-arg=-store=admin", "-plugin-arg=-credential-ttl=1s", "-plugin-arg=-unknown-ttl=1s"},
	"data-plane":     {"-role=data_plane", "-nginx-include=auto", "-plugin-arg=-store=node"},
}

// setupFlags returns the flags of SPEC_SETUP.
func setupFlags(t testing.TB) []string {
	t.Helper()
	name := os.Getenv("SPEC_SETUP")
	flags, ok := setups[name]
	if !ok {
		t.Fatalf("SPEC_SETUP=%s is none of %s", name, strings.Join(slices.Sorted(maps.Keys(setups)), " "))
	}
	return flags
}

// byNode tells whether credentials come from the node's own store.
func byNode() bool {
	return slices.Contains(setups[os.Getenv("SPEC_SETUP")], "-plugin-arg=-store=node")
}

// hasConfigurations tells whether what changes is a whole declarative configuration,
// with which each instance is started anew, and not a row of a database.
func hasConfigurations() bool {
	return !slices.Contains(setups[os.Getenv("SPEC_SETUP")], "-database=postgres")
}

// needsAdminAPI skips what is about an Admin API in front of a declarative
// configuration.
func needsAdminAPI(t *testing.T) {
	t.Helper()
	needsGateway(t)
	if name := os.Getenv("SPEC_SETUP"); name != "" && name != "node" {
		t.Skipf("SPEC_SETUP=%s has no POST /config", name)
	}
}

// needsAdminLookups skips what is about finding credentials by the Admin API.
func needsAdminLookups(t *testing.T) {
	t.Helper()
	needsGateway(t)
	if byNode() {
		t.Skip("credentials come from the node's own store")
	}
}

// configure brings a new configuration in, the way the setup has for it, and
// fails the test if it is not taken.
func (g *gateway) configure(t testing.TB, config any) {
	t.Helper()
	path := "/__config"
	if name := os.Getenv("SPEC_SETUP"); name == "" || name == "node" {
		path = "/config"
	}
	if status, text := g.post(t, path, config); status != 201 {
		t.Fatalf("POST %s: %d %s", path, status, text)
	}
}
