package main

import (
	"encoding/json"
	"errors"
	"flag"
	"os"

	"kong-go-jwt/spec/conformance"
)

// runKongConfig is the subcommand `kong-config`: it prints what a real Kong
// must load for the specs, and leaves the keys where the specs find them.
func runKongConfig(args []string) error {
	flags := flag.NewFlagSet("kong-config", flag.ContinueOnError)
	plugin := flags.String("plugin-name", "go-jwt", "name of the plugin on the routes")
	dir := flags.String("keys", "", "folder for the keys (SPEC_KEYS_DIR in the specs); existing keys are reused")
	cases := flags.String("cases", "spec/testdata/cases.json", "file with the conformance cases")
	upstream := flags.String("upstream", "http://127.0.0.1:9000", "URL of the echo upstream, as Kong sees it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" {
		return errors.New("-keys is required")
	}
	list, err := conformance.ReadCases(*cases)
	if err != nil {
		return err
	}
	keys, err := conformance.LoadKeys(*dir)
	if errors.Is(err, os.ErrNotExist) {
		if keys, err = conformance.NewKeys(); err == nil {
			err = keys.Save(*dir)
		}
	}
	if err != nil {
		return err
	}
	config, err := conformance.Config(*plugin, *upstream, list, keys, conformance.ExtraRoutes(*plugin)...)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(config)
}
