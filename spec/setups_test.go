package spec_test

import (
	"encoding/json"
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
	// Nothing is looked up: what would be in jwt_secrets is in each plugin's configuration.
	"none": {"-role=data_plane", "-plugin-arg=-store=none"},
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

// byConfiguration tells whether credentials come from the plugin's configuration alone.
func byConfiguration() bool {
	return slices.Contains(setups[os.Getenv("SPEC_SETUP")], "-plugin-arg=-store=none")
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
	needsLookups(t)
}

// needsLookups skips what is about rows of jwt_secrets, or about looking them up.
func needsLookups(t *testing.T) {
	t.Helper()
	needsGateway(t)
	if byConfiguration() {
		t.Skip("-store none: nothing is looked up, and nobody has jwt_secrets")
	}
}

// declare returns Kong's declarative configuration as the setup has it: with -store
// none, the credentials of all consumers are in the configuration of each go-jwt plugin,
// unless that has its own with the same key, and no consumer has jwt_secrets.
func declare(config any) ([]byte, error) {
	text, err := json.Marshal(config)
	if err != nil || !byConfiguration() {
		return text, err
	}
	var all object
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	var credentials []any
	for _, c := range list(all["consumers"]) {
		consumer, _ := c.(object)
		id := consumer["id"]
		if id == nil {
			id = consumer["username"]
		}
		for _, row := range list(consumer["jwt_secrets"]) {
			credentials = append(credentials, inConfiguration(row.(object), id))
		}
		delete(consumer, "jwt_secrets")
	}
	giveCredentials(all, credentials)
	return json.Marshal(all)
}

// inConfiguration makes a row of jwt_secrets one of the plugin's credentials.
func inConfiguration(row object, consumer any) object {
	c := object{"consumer": consumer}
	for from, to := range map[string]string{"key": "key", "algorithm": "algorithm", "secret": "secret", "rsa_public_key": "public_key"} {
		if v, ok := row[from]; ok {
			c[to] = v
		}
	}
	return c
}

// giveCredentials gives them to each go-jwt plugin in an entity and those nested in it.
func giveCredentials(entity object, credentials []any) {
	for field, v := range entity {
		for _, e := range list(v) {
			nested, _ := e.(object)
			if field != "plugins" {
				giveCredentials(nested, credentials)
				continue
			}
			if nested["name"] != "go-jwt" {
				continue
			}
			config, _ := nested["config"].(object)
			if config == nil {
				config = object{}
				nested["config"] = config
			}
			own := list(config["credentials"])
			given := slices.Clone(own)
			for _, c := range credentials {
				if !slices.ContainsFunc(own, func(o any) bool { return o.(object)["key"] == c.(object)["key"] }) {
					given = append(given, c)
				}
			}
			config["credentials"] = given
		}
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
	declared, err := declare(config)
	if err != nil {
		t.Fatal(err)
	}
	if status, text := g.post(t, path, json.RawMessage(declared)); status != 201 {
		t.Fatalf("POST %s: %d %s", path, status, text)
	}
}
