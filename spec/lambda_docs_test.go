package spec_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kong-go-jwt/spec/lambda"
)

// TestLambdaWalkThrough runs the shell commands of docs/lambda.md, and has
// bootstrap decide the tokens that they make, by the configuration they write.
func TestLambdaWalkThrough(t *testing.T) {
	needsBootstrap(t)
	t.Parallel()
	for _, tool := range []string{"bash", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	bundle, script := t.TempDir(), "set -euo pipefail\n"
	for _, block := range regexp.MustCompile("(?s)   ```sh\n(.*?)   ```").FindAllStringSubmatch(readRoot(t, "docs/lambda.md"), -1) {
		script += regexp.MustCompile("(?m)^   ").ReplaceAllString(block[1], "")
	}
	command := exec.Command("bash", "-c", script+`printf '%s\n%s\n' "$GOOD" "$OTHER"`)
	command.Dir = bundle
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	tokens := strings.Fields(string(out))
	if len(tokens) != 2 {
		t.Fatalf("%d tokens", len(tokens))
	}
	f := startFunction(t, bundle)
	verdict, context := asks(t, f, lambda.RESTToken, &lambda.Request{Headers: [][2]string{bearer(tokens[0])}})
	if verdict != "200" || context["userId"] != "user-42" || context["role"] != "admin" {
		t.Errorf("$GOOD: %s %v", verdict, context)
	}
	if verdict, context = asks(t, f, lambda.RESTToken, &lambda.Request{Headers: [][2]string{bearer(tokens[1])}}); verdict != "403" || context["reason"] != "wrong_audience" {
		t.Errorf("$OTHER: %s %v", verdict, context)
	}
	if verdict, _ = asks(t, f, lambda.RESTToken, &lambda.Request{}); verdict != "401" {
		t.Errorf("no token: %s", verdict)
	}
}

// TestLambdaExampleConfiguration: what "make lambda" puts into the zip can be
// started with.
func TestLambdaExampleConfiguration(t *testing.T) {
	needsBootstrap(t)
	t.Parallel()
	file, err := filepath.Abs("../lambda/go-jwt.yml")
	if err != nil {
		t.Fatal(err)
	}
	f := startFunction(t, t.TempDir(), "GO_JWT_CONFIG_FILE="+file)
	if verdict, _ := asks(t, f, lambda.HTTPv2, &lambda.Request{}); verdict != "401" {
		t.Error(verdict)
	}
}

// TestLambdaTemplate: what the template says of the function is what is built,
// and it gives no right on everything.
func TestLambdaTemplate(t *testing.T) {
	t.Parallel()
	template := readRoot(t, "lambda/template.yaml")
	for _, want := range []string{
		"CodeUri: ../bin/go-jwt-lambda-arm64.zip", "Runtime: provided.al2023", "Architectures: [arm64]", "Default: 300",
		"FunctionPayloadType: TOKEN", `AuthorizerPayloadFormatVersion: "2.0"`, "EnableSimpleResponses: true",
	} {
		if !strings.Contains(template, want) {
			t.Errorf("no %s", want)
		}
	}
	if wild := regexp.MustCompile(`(?m)^.*(Resource|Action): .*\*.*$`).FindString(template); wild != "" {
		t.Errorf("a right on everything: %s", wild)
	}
	if makefile := readRoot(t, "Makefile"); !strings.Contains(makefile, "go-jwt-lambda-$$arch.zip") {
		t.Error("make lambda makes no such zip")
	}
}

// TestLambdaNode: the authorizer that ours is measured beside decides as it
// does, so that the measures are of the same work.
func TestLambdaNode(t *testing.T) {
	needsBootstrap(t)
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip(err)
	}
	if _, err := os.Stat("node/node_modules/aws-jwt-verify"); err != nil {
		t.Skipf("npm ci was not run in spec/node: %v", err)
	}
	p, key, ca := lambdaProvider(t)
	dir, err := filepath.Abs("node/lambda")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := lambda.Start(dir, []string{"NODE_EXTRA_CA_CERTS=" + strings.TrimPrefix(ca, "SSL_CERT_FILE="), "ISSUER=" + p.URL, "AUDIENCE=api"}, node, "runtime.mjs", "./authorizer.mjs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(theirs.Close)
	ours := authorizer(t, object{"issuers": []any{object{"issuer": p.URL, "audience": []any{"api"}}}}, ca, "GO_JWT_JWKS_MIN_INTERVAL=100ms")
	known, err := p.Token(key, object{"aud": "api"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	poll(t, patience, func() bool { // the first fetch of keys may be late on a busy machine
		verdict, _ := asks(t, ours, lambda.RESTToken, &lambda.Request{Headers: [][2]string{bearer(known)}})
		return verdict == "200"
	})
	for name, claims := range map[string]object{"good": {"aud": "api"}, "other audience": {"aud": "x"}, "expired": {"aud": "api", "exp": 1}} {
		token, err := p.Token(key, claims, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := &lambda.Request{Headers: [][2]string{bearer(token)}}
		a, err := theirs.Invoke(r.Event(lambda.RESTToken))
		if err != nil {
			t.Fatalf("%v\n%s", err, theirs.Log)
		}
		want, _ := asks(t, ours, lambda.RESTToken, r)
		var told struct {
			PolicyDocument struct{ Statement []struct{ Effect string } }
		}
		if err := json.Unmarshal(a.Body, &told); err != nil || len(told.PolicyDocument.Statement) != 1 {
			t.Fatalf("%s: %s%s\n%s", name, a.Body, a.Message, theirs.Log)
		}
		if allowed := told.PolicyDocument.Statement[0].Effect == "Allow"; allowed != (want == "200") {
			t.Errorf("%s: ours %s, theirs %s", name, want, a.Body)
		}
	}
}
