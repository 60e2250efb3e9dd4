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
// a token with these claims, whose issuer alone is replaced.
func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	p, key, args := provider(t)
	examples := regexp.MustCompile("(?s)```json\n(.*?)```\\s*```yaml\n(.*?)```")
	tokens, plugins := map[string]string{}, map[string][]any{}
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
		}
	}
	g := withRoutes(t, plugins, args)
	for path, token := range tokens {
		t.Run(path, func(t *testing.T) {
			if a := g.send(t, "GET", path, bearer(token)); a.status != 200 || a.upstream == nil || a.upstream.Headers["X-Credential-Identifier"] == nil {
				t.Errorf("%d %s", a.status, a.body)
			}
			other, err := p.Token(key, object{"iss": p.URL, "sub": "x", "exp": 1}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if a := g.send(t, "GET", path, bearer(other)); a.status != 401 {
				t.Errorf("a token without the claims: %d %s", a.status, a.body)
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
