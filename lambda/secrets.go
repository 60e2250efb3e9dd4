package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kong-go-jwt/schema"
)

// secrets resolves references, as Kong does in the same fields:
//
//	{vault://env/NAME}          an environment variable
//	{vault://aws/NAME[/KEY]}    a secret of Secrets Manager, or one key of it
//	{vault://ssm/NAME}          a parameter of Parameter Store
//
// The latter two are had from the AWS Parameters and Secrets Lambda Extension,
// an HTTP server on this host.
type secrets struct {
	env    func(string) (string, bool)
	client *http.Client
}

func newSecrets(env func(string) (string, bool)) *secrets {
	const timeout = 2 * time.Second
	return &secrets{env: env, client: &http.Client{
		Timeout:   timeout,
		Transport: &http.Transport{DisableKeepAlives: true}, // no proxy, and nothing to survive a freeze
	}}
}

// reference is a taken-apart {vault://VAULT/NAME}.
type reference struct{ vault, name string }

func parseReference(s string) (r reference, ok bool) {
	inner, ok1 := strings.CutPrefix(s, "{vault://")
	inner, ok2 := strings.CutSuffix(inner, "}")
	if !ok1 || !ok2 {
		return reference{}, false
	}
	r.vault, r.name, _ = strings.Cut(inner, "/")
	return r, true
}

// remote tells whether config has references that the extension must resolve.
func (s *secrets) remote(config map[string]any) (found bool) {
	_ = walk(schema.Fields(), config, "config", func(_ string, r reference) (string, error) {
		found = found || r.vault != "env"
		return "", errKeep
	})
	return found
}

// resolve puts the values in place of all references in config. The error names
// the field, and no value.
func (s *secrets) resolve(ctx context.Context, config map[string]any) error {
	return walk(schema.Fields(), config, "config", func(path string, r reference) (string, error) {
		value, err := s.get(ctx, r)
		if err == nil && value == "" {
			err = errors.New("is empty")
		}
		if err != nil {
			return "", fmt.Errorf("%s: {vault://%s/%s}: %w", path, r.vault, r.name, err)
		}
		return value, nil
	})
}

// errKeep has walk leave a reference as it is.
var errKeep = errors.New("keep")

// walk calls f for each reference in a referenceable field, and puts what it
// returns in its place.
func walk(fields []schema.Field, record map[string]any, path string, f func(path string, r reference) (string, error)) error {
	for i := range fields {
		field, at := &fields[i], path+"."+fields[i].Name
		switch value := record[field.Name].(type) {
		case string:
			r, ok := parseReference(value)
			if !ok || !field.Referenceable {
				continue
			}
			switch found, err := f(at, r); {
			case err == nil:
				record[field.Name] = found
			case !errors.Is(err, errKeep):
				return err
			}
		case map[string]any:
			if err := walk(field.Fields, value, at, f); err != nil {
				return err
			}
		case []any:
			for n, element := range value {
				if inner, ok := element.(map[string]any); ok && field.Elements != nil {
					if err := walk(field.Elements.Fields, inner, fmt.Sprintf("%s[%d]", at, n+1), f); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func (s *secrets) get(ctx context.Context, r reference) (string, error) {
	switch r.vault {
	case "env":
		// As Kong's env vault: my-secret is MY_SECRET.
		name := strings.ToUpper(strings.ReplaceAll(r.name, "-", "_"))
		value, ok := s.env(name)
		if !ok {
			return "", fmt.Errorf("the environment variable %s is not set", name)
		}
		return value, nil
	case "aws":
		name, key, hasKey := strings.Cut(r.name, "/")
		var answer struct{ SecretString string }
		if err := s.ask(ctx, "/secretsmanager/get", url.Values{"secretId": {unescape(name)}}, &answer); err != nil {
			return "", err
		}
		if !hasKey {
			return answer.SecretString, nil
		}
		var object map[string]any
		if json.Unmarshal([]byte(answer.SecretString), &object) != nil {
			return "", errors.New("the secret is not a JSON object")
		}
		value, ok := object[unescape(key)].(string)
		if !ok {
			return "", errors.New("the secret has no such key, or its value is not a string")
		}
		return value, nil
	case "ssm":
		name := unescape(r.name)
		if strings.Contains(name, "/") { // a path, which starts with a slash
			name = "/" + strings.TrimPrefix(name, "/")
		}
		var answer struct{ Parameter struct{ Value string } }
		err := s.ask(ctx, "/systemsmanager/parameters/get", url.Values{"name": {name}, "withDecryption": {"true"}}, &answer)
		return answer.Parameter.Value, err
	}
	return "", errors.New("the vault must be env, aws or ssm")
}

func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// ask asks the extension. The error holds nothing of its answer.
func (s *secrets) ask(ctx context.Context, path string, query url.Values, answer any) error {
	const limit = 128 << 10 // twice what a secret can have
	port, ok := s.env("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT")
	if !ok {
		port = "2773"
	}
	address := url.URL{Scheme: "http", Host: net.JoinHostPort("localhost", port), Path: path, RawQuery: query.Encode()}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), http.NoBody)
	if err != nil {
		return errors.New("the extension cannot be reached")
	}
	token, _ := s.env("AWS_SESSION_TOKEN")
	r.Header.Set("X-Aws-Parameters-Secrets-Token", token)
	got, err := s.client.Do(r)
	if err != nil {
		return fmt.Errorf("the extension cannot be reached (is its layer there?): %w", err)
	}
	defer func() { _ = got.Body.Close() }()
	if got.StatusCode != http.StatusOK {
		return fmt.Errorf("the extension answers with status %d", got.StatusCode)
	}
	if json.NewDecoder(io.LimitReader(got.Body, limit)).Decode(answer) != nil {
		return errors.New("the extension's answer cannot be read")
	}
	return nil
}
