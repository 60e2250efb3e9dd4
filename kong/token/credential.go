package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"kong-go-jwt/kong/declarative"
	"kong-go-jwt/schema"
)

// credential is what a declarative file tells of one.
type credential struct {
	key, algorithm, secret string
	claim                  string // that names key
	secretIsBase64         bool
}

func (c *credential) symmetric() bool { return strings.HasPrefix(c.algorithm, "HS") }

// findCredential returns the first credential in a declarative file that has what
// is asked for: that key and that algorithm, if they are not empty, and a secret
// unless there is a private key to sign with.
func findCredential(in io.Reader, file, key, algorithm string, private bool) (*credential, error) {
	state, err := declarative.Read(file, in)
	if err != nil {
		return nil, err //nolint:wrapcheck // names the file
	}
	for _, c := range credentials(state) {
		if (key == "" || c.key == key) && (algorithm == "" || c.algorithm == algorithm) && c.symmetric() != private {
			return &c, nil
		}
	}
	what := "with a secret"
	if private {
		what = "with a public key"
	}
	if key != "" {
		what += fmt.Sprintf(" and the key %q", key)
	}
	if algorithm != "" {
		what += " for " + algorithm
	}
	return nil, fmt.Errorf("%s has no credential %s", file, what)
}

// credentials lists those of the plugins and those in jwt_secrets, which are taken
// to be for the first go-jwt plugin.
func credentials(state *declarative.State) (all []credential) {
	first := credential{claim: "iss"}
	found := false
	for _, p := range state.Plugins {
		if p.Title != schema.Name {
			continue
		}
		settings := p.Settings()
		base := credential{claim: "iss"}
		if name := str(settings["key_claim_name"]); name != "" {
			base.claim = name
		}
		base.secretIsBase64, _ = settings["secret_is_base64"].(bool)
		if !found {
			first, found = base, true
		}
		list, _ := settings["credentials"].([]any)
		for _, entry := range list {
			m, _ := entry.(map[string]any)
			c := base
			c.key, c.algorithm, c.secret = str(m["key"]), str(m["algorithm"]), str(m["secret"])
			all = append(all, c)
		}
	}
	for _, j := range state.JWTSecrets {
		c := first
		c.key, c.algorithm, c.secret = j.Key, j.Field("algorithm").Text(), j.Field("secret").Text()
		all = append(all, c)
	}
	for i := range all {
		if all[i].algorithm == "" {
			all[i].algorithm = "HS256"
		}
	}
	return all
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

// bytes returns the secret as it is signed with.
func (c *credential) bytes() ([]byte, error) {
	switch {
	case strings.HasPrefix(c.secret, "{vault://"):
		return nil, fmt.Errorf("the secret of %q is a reference, which only Kong can resolve: give -secret-file", c.key)
	case c.secret == "":
		return nil, fmt.Errorf("the secret of %q is not in the file: give -secret-file", c.key)
	case !c.secretIsBase64:
		return []byte(c.secret), nil
	}
	secret, err := base64.RawURLEncoding.DecodeString(strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(c.secret))
	if err != nil {
		return nil, errors.New("the secret is not base64, as secret_is_base64 requires")
	}
	return secret, nil
}
