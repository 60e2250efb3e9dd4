package spec_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// TestDocumentedExamples: in the docs, a block of claims followed by one of
// configuration is an example. The configuration passes the schema, and accepts
// a token with these claims, whose issuer alone is replaced; where one claim is
// not what the configuration asks for, it is refused.
func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	p, key, args := provider(t)
	examples := regexp.MustCompile("(?s)```json\n(.*?)```\\s*```yaml\n(.*?)```")
	tokens, plugins := map[string]string{}, map[string][]any{}
	rules := 0
	bad, byCustomID := map[string][]badToken{}, map[string]bool{}
	for _, file := range []string{"docs/identity-providers.md", "docs/recipes.md"} {
		found := examples.FindAllStringSubmatch(readRoot(t, file), -1)
		if len(found) < 2 {
			t.Fatalf("%s has %d examples", file, len(found))
		}
		for i, example := range found {
			var claims, config object
			if err := json.Unmarshal([]byte(example[1]), &claims); err != nil {
				t.Fatalf("%s, example %d: %v", file, i+1, err)
			}
			issuer, _ := claims["iss"].(string)
			if err := yaml.Unmarshal([]byte(strings.ReplaceAll(example[2], issuer, p.URL)), &config); err != nil {
				t.Fatalf("%s, example %d: %v", file, i+1, err)
			}
			claims["iss"] = p.URL
			token, err := p.Token(key, claims, nil)
			if err != nil {
				t.Fatal(err)
			}
			path := fmt.Sprintf("/%s-%d", strings.TrimSuffix(strings.TrimPrefix(file, "docs/"), ".md"), i+1)
			tokens[path], plugins[path] = token, jwt(config)
			bad[path] = spoilt(t, claims, config)
			byCustomID[path] = strings.Contains(example[2], "consumer_by: custom_id")
			rules += len(bad[path])
		}
	}
	if rules < 10 {
		t.Errorf("only %d rules in the examples", rules)
	}
	g := withRoutes(t, plugins, args)
	for path, token := range tokens {
		t.Run(path, func(t *testing.T) {
			if byCustomID[path] {
				needsLookups(t)
			}
			if a := g.send(t, "GET", path, bearer(token)); a.status != 200 || a.upstream == nil || a.upstream.Headers["X-Credential-Identifier"] == nil {
				t.Errorf("%d %s", a.status, a.body)
			}
			for _, b := range bad[path] {
				other, err := p.Token(key, b.claims, nil)
				if err != nil {
					t.Fatal(err)
				}
				if a := g.send(t, "GET", path, bearer(other)); a.status != b.status || a.upstream != nil {
					t.Errorf("%s: %d %s, want %d", b.name, a.status, a.body, b.status)
				}
			}
		})
	}
	t.Run("authorizer", func(t *testing.T) {
		a := g.send(t, "GET", "/recipes-1", bearer(tokens["/recipes-1"]))
		if a.upstream == nil || strings.Join(a.upstream.Headers["Userid"], "") != "user-42" ||
			strings.Join(a.upstream.Headers["Role"], "") != "admin" || a.upstream.Headers["Authorization"] != nil {
			t.Errorf("%+v", a.upstream)
		}
		token, err := p.Token(key, object{"sub": "user-43", "role": "user"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if a := g.send(t, "GET", "/recipes-1", bearer(token)); a.status != 403 {
			t.Errorf("deny: %d %s", a.status, a.body)
		}
	})
}

// badToken is an example's token with one claim spoilt.
type badToken struct {
	name   string
	claims object
	status int
}

// spoilt makes of an example's claims a token for each rule of its configuration,
// which breaks that one.
func spoilt(t *testing.T, claims, config object) (out []badToken) {
	t.Helper()
	spoil := func(name string, status int, value any, path ...any) {
		c := copyConfig(t, claims)
		at := c
		for _, p := range path[:len(path)-1] {
			at, _ = at[fmt.Sprint(p)].(object)
			if at == nil {
				t.Fatalf("%s: the example's claims have no %v", name, path)
			}
		}
		at[fmt.Sprint(path[len(path)-1])] = value
		out = append(out, badToken{name, c, status})
	}
	spoil("issuer", 401, "https://other.example.com", "iss")
	spoil("expired", 401, 1, "exp")
	for _, r := range list(config["claims_required"]) {
		rule, _ := r.(object)
		spoil(fmt.Sprint("claims_required ", rule["claim"]), 403, "other", list(rule["claim"])...)
	}
	if config["scopes_required"] != nil {
		claim := list(config["scopes_claim"])
		if claim == nil {
			claim = []any{"scope"}
		}
		spoil("scopes_required", 403, "other", claim...)
	}
	for _, i := range list(config["issuers"]) {
		if issuer, _ := i.(object); issuer["audience"] != nil {
			spoil("audience", 401, "other", "aud")
		}
	}
	if config["audience_required"] != nil {
		spoil("audience_required", 401, "other", "aud")
	}
	return out
}
