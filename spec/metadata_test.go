package spec_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestResourceMetadata asks for the document of RFC 9728 and follows the challenges
// that lead to it.
func TestResourceMetadata(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	const resource = "https://api.example.com/mcp"
	metadata := func(more object) object {
		m := object{"resource": resource}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	g := withRoutes(t, map[string][]any{
		"/.well-known/oauth-protected-resource": jwt(object{
			"issuers": []any{object{"issuer": "https://login.example.com/{tenant}", "tenants": []any{"a", "b"}, "jwks_uri": "https://127.0.0.1:1/keys"}},
			"realm":   "r", "resource_metadata": metadata(nil), "scopes_required": []any{"read write", "admin read"},
		}),
		"/mcp": jwt(object{"realm": "r", "scopes_required": []any{"read write", "admin"}, "resource_metadata": metadata(object{
			"authorization_servers": []any{"https://login.example.com"}, "scopes_supported": []any{"read"}, "resource_name": "Demo",
			"resource_documentation": "https://api.example.com/docs", "resource_policy_uri": "https://api.example.com/policy", "resource_tos_uri": "https://api.example.com/terms",
		})}),
		"/root":  jwt(object{"resource_metadata": object{"resource": "https://api.example.com/", "authorization_servers": []any{"https://a"}}}),
		"/plain": jwt(object{}),
		"/bound": jwt(object{"dpop": "required", "mtls_binding": "required", "header_names": []any{"authorization"}, "resource_metadata": object{"resource": "https://a", "authorization_servers": []any{"https://b"}}}),
	}, nil)
	const known = `resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/mcp"`
	for name, tt := range map[string]struct {
		method, path, token string
		status              int
		challenge, body     string
	}{
		"challenge": {"GET", "/mcp", "", 401, `Bearer realm="r", scope="read write", ` + known, `{"message":"Unauthorized"}`},
		"challenge for a bad token": {
			"GET", "/mcp", "x", 401, `Bearer realm="r", error="invalid_token", ` + known, `{"message":"Bad token; invalid JSON"}`,
		},
		"challenge for scopes": {
			"GET", "/mcp", claimsToken(t, object{"scope": "read"}), 403,
			`Bearer realm="r", error="insufficient_scope", scope="read write", ` + known, `{"message":"Insufficient scope"}`,
		},
		"of a resource without a path": {
			"GET", "/root", "", 401, `Bearer resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"`, `{"message":"Unauthorized"}`,
		},
		"without the option": {"GET", "/plain", "", 401, `Bearer`, `{"message":"Unauthorized"}`},
		"document": {
			"GET", "/mcp/.well-known/oauth-protected-resource?x=1", "", 200, "",
			`{"resource":"https://api.example.com/mcp","authorization_servers":["https://login.example.com"],"scopes_supported":["read"],` +
				`"bearer_methods_supported":["header"],"resource_name":"Demo","resource_documentation":"https://api.example.com/docs",` +
				`"resource_policy_uri":"https://api.example.com/policy","resource_tos_uri":"https://api.example.com/terms"}`,
		},
		"of bound tokens": {
			"GET", "/bound/.well-known/oauth-protected-resource", "", 200, "",
			`{"resource":"https://a","authorization_servers":["https://b"],"bearer_methods_supported":["header"],` +
				`"tls_client_certificate_bound_access_tokens":true,"dpop_bound_access_tokens_required":true,` +
				`"dpop_signing_alg_values_supported":["RS256","RS384","RS512","ES256","ES384","ES512","PS256","PS384","PS512","EdDSA","Ed25519"]}`,
		},
		"head":                    {"HEAD", "/mcp/.well-known/oauth-protected-resource", "", 200, "", ""},
		"preflight":               {"OPTIONS", "/mcp/.well-known/oauth-protected-resource", "", 204, "", ""},
		"another method":          {"POST", "/mcp/.well-known/oauth-protected-resource", "", 405, "", `{"message":"Method not allowed"}`},
		"what only begins so":     {"GET", "/.well-known/oauth-protected-resources", "", 401, `Bearer realm="r", scope="read write", ` + known, `{"message":"Unauthorized"}`},
		"not without the option":  {"GET", "/plain/.well-known/oauth-protected-resource", "", 401, `Bearer`, `{"message":"Unauthorized"}`},
		"preflight of the others": {"OPTIONS", "/mcp", "", 401, `Bearer realm="r", scope="read write", ` + known, `{"message":"Unauthorized"}`},
		"at its own path": {
			"GET", "/.well-known/oauth-protected-resource/mcp", "", 200, "",
			`{"resource":"https://api.example.com/mcp","authorization_servers":["https://login.example.com/a","https://login.example.com/b"],` +
				`"scopes_supported":["read","write","admin"],"bearer_methods_supported":["header"]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var headers [][2]string
			if tt.token != "" {
				headers = append(headers, bearer(tt.token))
			}
			a := g.send(t, tt.method, tt.path, headers...)
			if a.status != tt.status || a.header.Get("WWW-Authenticate") != tt.challenge || string(a.body) != tt.body {
				t.Errorf("got %d, %q\n%s", a.status, a.header.Get("WWW-Authenticate"), a.body)
			}
			origin, cached := "", ""
			if tt.status < 300 {
				origin = "*"
			}
			if tt.status == 200 {
				cached = "public, max-age=300"
			}
			if a.header.Get("Access-Control-Allow-Origin") != origin || a.header.Get("Cache-Control") != cached {
				t.Errorf("headers %v", a.header)
			}
		})
	}
}

// TestMCP has a real MCP client call a tool of a real MCP server behind the
// gateway: it knows the URL alone, and finds the metadata, the authorization server
// and the scope by what the plugin tells it.
func TestMCP(t *testing.T) {
	needsGateway(t)
	if _, err := os.Stat("node/node_modules/@modelcontextprotocol/sdk"); err != nil {
		t.Skip("needs npm ci --prefix spec/node:", err)
	}
	t.Parallel()
	world := exec.Command("node", "mcp/world.mjs")
	world.Dir = "node"
	world.Stderr = os.Stderr
	input, err := world.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := world.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := world.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		input.Close()
		world.Wait()
	})
	line, err := bufio.NewReader(output).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var at struct{ Upstream, Issuer string }
	if err := json.Unmarshal(line, &at); err != nil {
		t.Fatal(err)
	}
	proxy := freeAddress(t)
	resource := "http://" + proxy + "/mcp"
	startGateway(t, object{"_format_version": "3.0", "services": []any{object{
		"name": "mcp", "url": at.Upstream, "plugins": jwt(object{
			"issuers":           []any{object{"issuer": at.Issuer, "algorithms": []any{"ES256"}, "audience": []any{resource}, "consumer_optional": true, "type": "at+jwt"}},
			"scopes_required":   []any{"tools"},
			"resource_metadata": object{"resource": resource},
		}),
		"routes": []any{object{"name": "mcp", "paths": []any{"/mcp", "/.well-known/oauth-protected-resource"}, "strip_path": false}},
	}}}, "-proxy", proxy)
	client := exec.CommandContext(t.Context(), "node", "mcp/client.mjs", resource)
	client.Dir, client.WaitDelay = "node", time.Second
	said, err := client.CombinedOutput()
	if got := strings.TrimSpace(string(said)); err != nil || got != "agent" {
		t.Errorf("the tool said %q, %v; want agent", got, err)
	}
}
