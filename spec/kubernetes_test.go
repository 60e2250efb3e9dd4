package spec_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"kong-go-jwt/spec/conformance"
)

// documents reads the YAML documents of kong/kubernetes.
func documents(t *testing.T) (all []object) {
	t.Helper()
	files, err := filepath.Glob("../kong/kubernetes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var doc object
			if err := d.Decode(&doc); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, doc)
		}
	}
	return all
}

func text(o object, path ...string) string {
	for _, p := range path[:len(path)-1] {
		o, _ = o[p].(object)
	}
	s, _ := o[path[len(path)-1]].(string)
	return s
}

// TestKubernetesExample makes of the example what Kong Ingress Controller would,
// and has the gateway load it: each plugin's config against the schema, each
// credential with its consumer. Then the example's first caller calls.
func TestKubernetesExample(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	docs := documents(t)
	secrets, plugins := map[string]object{}, map[string]object{}
	var consumers, routes []any
	for _, d := range docs {
		switch text(d, "kind") {
		case "Secret":
			if text(d, "metadata", "labels", "konghq.com/credential") != "jwt" {
				t.Errorf("secret %s is no jwt credential", text(d, "metadata", "name"))
			}
			data, _ := d["stringData"].(object)
			if strings.Contains(text(data, "rsa_public_key"), "replace-me") { // the repository holds no keys
				data["rsa_public_key"] = setup.keys["ed25519"].PublicPEM()
			}
			secrets[text(d, "metadata", "name")] = data
		case "KongPlugin":
			plugins[text(d, "metadata", "name")] = object{"name": text(d, "plugin"), "config": d["config"]}
		}
	}
	for _, d := range docs {
		switch text(d, "kind") {
		case "KongConsumer":
			var credentials []any
			for _, name := range list(d["credentials"]) {
				s, _ := name.(string)
				if secrets[s] == nil {
					t.Errorf("consumer %s: there is no secret %s", text(d, "username"), s)
				}
				credentials = append(credentials, secrets[s])
			}
			consumers = append(consumers, object{"username": text(d, "username"), "jwt_secrets": credentials})
		case "HTTPRoute":
			name := text(d, "metadata", "annotations", "konghq.com/plugins")
			if plugins[name] == nil {
				t.Fatalf("route %s: there is no plugin %s", text(d, "metadata", "name"), name)
			}
			routes = append(routes, object{"name": text(d, "metadata", "name"), "paths": []any{"/orders"}, "plugins": []any{plugins[name]}})
		}
	}
	if len(plugins) == 0 || len(consumers) == 0 || len(routes) == 0 {
		t.Fatalf("%d plugins, %d consumers, %d routes", len(plugins), len(consumers), len(routes))
	}
	for name, p := range plugins {
		routes = append(routes, object{"name": "with-" + name, "paths": []any{"/with-" + name}, "plugins": []any{p}})
	}
	g := startGateway(t, object{
		"_format_version": "3.0", "consumers": consumers,
		"services": []any{object{"name": "orders", "url": upstream(t), "routes": routes}},
	})
	claims := object{"iss": "https://auth.example.com", "exp": 4102444800, "nbf": 0}
	token, err := conformance.Token{Alg: "HS256", Key: "literal:" + text(secrets["mobile-app-jwt"], "secret"), Claims: claims}.Make(setup.keys)
	if err != nil {
		t.Fatal(err)
	}
	if a := g.send(t, "GET", "/orders", [2]string{"Authorization", "Bearer " + token}); username(a) != "mobile-app" {
		t.Errorf("%d %s", a.status, a.body)
	}
	claims["iss"] = "https://partner.example.com"
	token, err = conformance.Token{Alg: "EdDSA", Key: "ed25519", Claims: claims}.Make(setup.keys)
	if err != nil {
		t.Fatal(err)
	}
	if a := g.send(t, "GET", "/orders", [2]string{"Authorization", "Bearer " + token}); username(a) != "partner" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := g.send(t, "GET", "/orders"); a.status != 401 || a.upstream != nil {
		t.Errorf("without a token: %d %s", a.status, a.body)
	}
}

// TestKubernetesFlags starts the plugin server with the flags of the example.
func TestKubernetesFlags(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	for _, d := range documents(t) {
		env, _ := d["gateway"].(object)
		if env == nil {
			continue
		}
		start := strings.Fields(text(env, "env", "pluginserver_go_jwt_start_cmd"))
		if len(start) == 0 {
			t.Fatal("no start command")
		}
		var flags []string
		for i := 1; i < len(start); i++ {
			switch start[i] {
			case "-kong-prefix": // startServer's
				i++
			case "-metrics-listen":
				i++
				flags = append(flags, "-metrics-listen", "127.0.0.1:0")
			default:
				flags = append(flags, start[i])
			}
		}
		startServer(t, append(flags, "-admin-url=")...)
		return
	}
	t.Error("no values.yaml")
}
