package spec_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestToken: a token of each algorithm, made with keys of openssl, gets in.
func TestToken(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	dir, secretFile := t.TempDir(), write(t, "secret", secret+"\n")
	rsa := []string{"genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}
	ec := func(curve string) []string {
		return []string{"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + curve}
	}
	var credentials []any
	tokens := map[string]string{}
	for name, generate := range map[string][]string{
		"HS256": nil, "HS384": nil, "HS512": nil, "RS256": rsa, "RS384": rsa, "RS512": rsa, "PS256": rsa, "PS384": rsa, "PS512": rsa,
		"ES256": ec("P-256"), "ES384": ec("P-384"), "ES512": ec("P-521"), "EdDSA": {"genpkey", "-algorithm", "ed25519"}, "Ed448": {"genpkey", "-algorithm", "ed448"},
	} {
		alg := name
		if name == "Ed448" {
			alg = "EdDSA"
		}
		credential := object{"key": name, "algorithm": alg, "consumer": "alice", "secret": secret}
		key := []string{"-secret-file", secretFile}
		if generate != nil {
			file := filepath.Join(dir, name)
			if out, err := exec.Command("openssl", append(generate, "-out", file)...).CombinedOutput(); err != nil {
				t.Skipf("openssl: %v %s", err, out)
			}
			public, err := exec.Command("openssl", "pkey", "-in", file, "-pubout").Output()
			if err != nil {
				t.Fatal(err)
			}
			delete(credential, "secret")
			credential["public_key"], key = string(public), []string{"-key", file}
		}
		out, errs, ok := command(t, "", append([]string{"token", "-alg", alg, "-iss", name, "-kid", "k", "-claim", "role=admin"}, key...)...)
		if !ok || errs != "" {
			t.Fatalf("%s: %s", name, errs)
		}
		tokens[name], credentials = strings.TrimSpace(out), append(credentials, credential)
	}
	expired, _, _ := command(t, secret, "token", "-secret-file", "-", "-iss", "HS256", "-ttl", "-1m")
	g := withRoutes(t, map[string][]any{"/t": jwt(object{
		"claims_to_verify": []any{"exp", "nbf"}, "credentials": credentials,
		"claims_required": []any{object{"claim": []any{"role"}, "value": "admin"}},
	})}, nil)
	for name, token := range tokens {
		if a := g.send(t, "GET", "/t", bearer(token)); a.status != 200 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := g.send(t, "GET", "/t", bearer(strings.TrimSpace(expired))); a.status != 401 || !strings.Contains(string(a.body), "expired") {
		t.Errorf("expired: %d %s", a.status, a.body)
	}
	for _, args := range [][]string{{}, {"-alg", "none", "-secret-file", secretFile}, {"-alg", "ES256", "-key", secretFile}, {"-alg", "ES256", "-key", filepath.Join(dir, "RS256")}, {"-alg", "ES256", "-key", filepath.Join(dir, "Ed448")}} {
		if out, errs, ok := command(t, "", append([]string{"token"}, args...)...); ok || out != "" || strings.Contains(errs, secret) {
			t.Errorf("%v: %v %s %s", args, ok, out, errs)
		}
	}
}

// TestTokenOfConfiguration: "go-jwt token -config" takes the credential from the file
// that the gateway has.
func TestTokenOfConfiguration(t *testing.T) {
	needsLookups(t)
	t.Parallel()
	private, public := ecKey(t)
	const secret = "c2VjcmV0IG9mIG1vcmUgdGhhbiB0aGlydHktdHdvIGJ5dGVz" // base64
	route := func(name string, config object) object {
		return object{"name": name, "paths": []any{"/" + name}, "plugins": jwt(config)}
	}
	config := object{
		"_format_version": "3.0",
		"services": []any{object{"name": "s", "url": upstream(t), "routes": []any{
			route("claim", object{"key_claim_name": "client", "secret_is_base64": true}),
			route("header", object{"key_claim_name": "kid", "credentials": []any{
				object{"key": "in-kid", "consumer": "alice", "secret": secret, "algorithm": "HS384"},
				object{"key": "in-vault", "consumer": "alice", "secret": "{vault://env/go-jwt-spec-secret}"},
			}}),
		}}},
		"consumers": []any{object{"username": "alice", "jwt_secrets": []any{
			object{"key": "first", "secret": secret}, object{"key": "by key", "algorithm": "ES256", "rsa_public_key": public},
		}}},
	}
	g := startGateway(t, config)
	for path, tests := range map[string][][]string{
		"/claim":  {{"-credential", "first"}, {"-alg", "HS256", "-credential", "first"}, {"-key", private}, {"-key", private, "-credential", "by key"}},
		"/header": {{}, {"-iss", "in-kid"}, {"-credential", "in-kid", "-ttl", "1m"}},
	} {
		for _, args := range tests {
			out, errs, ok := command(t, "", append([]string{"token", "-config", g.configFile}, args...)...)
			if a := g.send(t, "GET", path, bearer(strings.TrimSpace(out))); !ok || a.status != 200 {
				t.Errorf("%s %v: %d %s %s", path, args, a.status, a.body, errs)
			}
		}
	}
	for want, args := range map[string][]string{
		`no credential with a secret and the key "by key"`: {"-credential", "by key"},
		"no credential with a secret for HS512":            {"-alg", "HS512"},
		"which only Kong can resolve":                      {"-credential", "in-vault"},
		"no credential with a public key":                  {"-key", private, "-credential", "first"},
	} {
		out, errs, ok := command(t, "", append([]string{"token", "-config", g.configFile}, args...)...)
		if ok || out != "" || !strings.Contains(errs, want) || strings.Contains(errs, secret) {
			t.Errorf("%v: %s%s", args, out, errs)
		}
	}
}
