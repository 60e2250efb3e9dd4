package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"kong-go-jwt/plugin/jwks"
)

// settings are what the environment tells.
type settings struct {
	config []byte // YAML or JSON
	simple bool   // the answer to HTTP API's payload 2.0, instead of a policy
	keys   jwks.Options
}

// readSettings reads the variables that docs/lambda.md lists. The error names
// the one at fault.
func readSettings(env func(string) string) (*settings, error) {
	const fetch = 3 * time.Second // well within what API Gateway waits for an authorizer
	s := &settings{keys: jwks.Options{OnDemand: true, Timeout: fetch}}
	switch response := env("GO_JWT_RESPONSE"); response {
	case "", "simple":
		s.simple = true
	case "policy":
	default:
		return nil, fmt.Errorf("GO_JWT_RESPONSE: %q is neither simple nor policy", response)
	}
	for _, d := range []struct {
		name string
		to   *time.Duration
	}{
		{"GO_JWT_JWKS_REFRESH", &s.keys.Refresh},
		{"GO_JWT_JWKS_STALE", &s.keys.Stale},
		{"GO_JWT_JWKS_MIN_INTERVAL", &s.keys.MinInterval},
	} {
		text := env(d.name)
		if text == "" {
			continue
		}
		var err error
		if *d.to, err = time.ParseDuration(text); err != nil || *d.to <= 0 {
			return nil, fmt.Errorf("%s: %q is not a duration such as 5m", d.name, text)
		}
	}
	var err error
	s.config, err = readConfig(env)
	return s, err
}

// readConfig returns the configuration's text.
func readConfig(env func(string) string) ([]byte, error) {
	const limit = 1 << 20
	text, file := env("GO_JWT_CONFIG"), env("GO_JWT_CONFIG_FILE")
	switch {
	case text != "" && file != "":
		return nil, errors.New("GO_JWT_CONFIG and GO_JWT_CONFIG_FILE are both set")
	case text != "":
		return []byte(text), nil
	case file == "":
		file = "go-jwt.yml"
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(env("LAMBDA_TASK_ROOT"), file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("GO_JWT_CONFIG_FILE: %w", err)
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("GO_JWT_CONFIG_FILE: %w", err)
	case len(content) > limit:
		return nil, fmt.Errorf("GO_JWT_CONFIG_FILE: %s has more than %d bytes", file, limit)
	}
	return content, nil
}
