package spec_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// command runs the binary as an operator does, and returns what it prints.
func command(t *testing.T, stdin string, args ...string) (stdout, stderr string, ok bool) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(setup.plugin, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), err == nil
}

func TestUnknownCommand(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	if out, errs, ok := command(t, "", "chek", "kong.yml"); ok || out != "" || errs != "go-jwt: unknown command \"chek\": see go-jwt -help\n" {
		t.Errorf("%v %s%s", ok, out, errs)
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// mistakenConfig is a configuration in which nothing is wrong, with more in
// config of its plugin, and more at its end.
func mistakenConfig(config, end string) string {
	return `_format_version: "3.0"
services:
- name: api
  url: http://127.0.0.1:9000
  routes:
  - name: orders
    paths: [/orders]
  plugins:
  - name: go-jwt
    config:
      cache_ttl: 60
` + config + `consumers:
- username: alice
  id: 00000000-0000-4000-8000-000000000001
  jwt_secrets:
  - key: alice-key
    secret: 0123456789abcdef0123456789abcdef
` + end
}

func pemOf(t *testing.T, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n          ")
}

func publicPEM(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	return pemOf(t, "PUBLIC KEY", der, err)
}

// TestCheckFindsMistakes: each is found, in the line that HERE marks, alone.
func TestCheckFindsMistakes(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(p384)
	privatePEM := pemOf(t, "PRIVATE KEY", private, err)

	const exp = "      claims_to_verify: [exp]\n"
	const strong = "0123456789abcdef0123456789abcdef"
	with := func(config string) string { return mistakenConfig(exp+config, "") }
	ends := func(end string) string { return mistakenConfig(exp, end) }
	credential := func(lines string) string {
		return with("      credentials:\n      - key: one\n        consumer: alice\n" + lines)
	}
	secret := "        secret: " + strong + "\n"
	another := "      - key: one\n        consumer: alice\n        secret: "
	for name, tt := range map[string]struct{ text, path, problem string }{
		// What is no configuration at all.
		"no YAML":           {"_format_version: \"3.0\"\nservices: [ # HERE\n", "", ""},
		"same name twice":   {with("      cache_ttl: 5 # HERE\n"), "", "already defined"},
		"no format version": {"services: [] # HERE\n", "_format_version", "required field missing"},
		"format version is a number": {
			"_format_version: 3.0 # HERE\n", "_format_version", "expected a string: put it in quotes",
		},
		"unknown format version": {"_format_version: \"4.0\" # HERE\n", "_format_version", "expected one of: 1.1, 2.1, 3.0"},

		// What is not as the table of options says.
		"unknown option":       {with("      ttl: 5 # HERE\n"), "services[0].plugins[0].config.ttl", "unknown field"},
		"misspelt option":      {with("      cookie_name: [a] # HERE\n"), "services[0].plugins[0].config.cookie_name", "unknown field; did you mean cookie_names?"},
		"text for a number":    {with("      leeway: \"5\" # HERE\n"), "services[0].plugins[0].config.leeway", "expected a number"},
		"text for a boolean":   {with("      shadow: \"yes\" # HERE\n"), "services[0].plugins[0].config.shadow", "expected a boolean"},
		"text for a set":       {with("      cookie_names: jwt # HERE\n"), "services[0].plugins[0].config.cookie_names", "expected a set"},
		"out of range":         {with("      leeway: 301 # HERE\n"), "services[0].plugins[0].config.leeway", "value should be between 0 and 300"},
		"unknown claim":        {mistakenConfig("      claims_to_verify:\n      - exp\n      - iat # HERE\n", ""), "services[0].plugins[0].config.claims_to_verify[1]", "expected one of: exp, nbf"},
		"null":                 {with("      run_on_preflight: null # HERE\n"), "services[0].plugins[0].config.run_on_preflight", "required field missing"},
		"empty text":           {with("      realm: \"\" # HERE\n"), "services[0].plugins[0].config.realm", "length must be at least 1"},
		"empty set":            {with("      anonymous_on: [] # HERE\n"), "services[0].plugins[0].config.anonymous_on", "length must be at least 1"},
		"no value of a rule":   {with("      claims_required:\n      - claim: [a] # HERE\n"), "services[0].plugins[0].config.claims_required[0].value", "required field missing"},
		"no header name":       {with("      claims_to_headers:\n      - claim: [a]\n        header: X Y # HERE\n"), "services[0].plugins[0].config.claims_to_headers[0].header", "invalid value: must match"},
		"reserved header":      {with("      claims_to_headers:\n      - {header: Host, claim: [a]} # HERE\n"), "services[0].plugins[0].config.claims_to_headers[0].header", "this header is reserved"},
		"header twice":         {with("      claims_to_headers:\n      - {header: X, claim: [a]}\n      - {header: x, claim: [b]} # HERE\n"), "services[0].plugins[0].config.claims_to_headers[1].header", "another claim goes into the same header"},
		"maximum without exp":  {mistakenConfig("      maximum_expiration: 60\n      claims_to_verify: [nbf] # HERE\n", ""), "services[0].plugins[0].config.claims_to_verify", "expected to contain: exp"},
		"issuer is no URL":     {with("      issuers:\n      - issuer: idp # HERE\n"), "services[0].plugins[0].config.issuers[0].issuer", "must be an https URL"},
		"password in a URL":    {with("      issuers:\n      - issuer: https://u:p@idp.example.com # HERE\n"), "services[0].plugins[0].config.issuers[0].issuer", "must not contain a user name or password"},
		"issuer twice":         {with("      issuers:\n      - issuer: https://idp\n      - issuer: https://idp # HERE\n"), "services[0].plugins[0].config.issuers[1].issuer", "another issuer has the same name"},
		"no JWK Set":           {with("      issuers:\n      - issuer: idp\n        jwks: nothing # HERE\n"), "services[0].plugins[0].config.issuers[0].jwks", ""},
		"HS256 of an issuer":   {with("      issuers:\n      - issuer: https://idp\n        algorithms: [HS256] # HERE\n"), "services[0].plugins[0].config.issuers[0].algorithms[0]", "expected one of: RS256"},
		"reference no secret":  {with("      realm: \"{vault://env/realm}\" # HERE\n"), "services[0].plugins[0].config.realm", "warning: Kong does not resolve vault references here"},
		"config is a list":     {strings.Replace(ends(""), "    config:\n      cache_ttl: 60\n"+exp, "    config: [] # HERE\n", 1), "services[0].plugins[0].config", "expected a record"},
		"misspelt plugin part": {strings.Replace(with(""), "    config:", "    protocol: [http] # HERE\n    config:", 1), "services[0].plugins[0].protocol", "unknown field; did you mean protocols?"},
		"tcp":                  {strings.Replace(with(""), "    config:", "    protocols: [tcp] # HERE\n    config:", 1), "services[0].plugins[0].protocols[0]", "expected one of: grpc, grpcs, http, https"},

		// Keys and secrets.
		"no PEM":             {credential("        algorithm: RS256\n        public_key: abc # HERE\n"), "services[0].plugins[0].config.credentials[0].public_key", "not a PEM public key"},
		"RSA key too small":  {credential("        algorithm: RS256\n        public_key: | # HERE\n          " + publicPEM(t, &small.PublicKey) + "\n"), "services[0].plugins[0].config.credentials[0].public_key", "RSA key has 1024 bits"},
		"wrong curve":        {credential("        algorithm: ES256\n        public_key: | # HERE\n          " + publicPEM(t, &p384.PublicKey) + "\n"), "services[0].plugins[0].config.credentials[0].public_key", "key of type EC P-384 does not fit algorithm ES256"},
		"private key":        {credential("        algorithm: ES384\n        public_key: | # HERE\n          " + privatePEM + "\n"), "services[0].plugins[0].config.credentials[0].public_key", `PEM block "PRIVATE KEY" is not a public key`},
		"no secret":          {with("      credentials:\n      - key: one # HERE\n        consumer: alice\n"), "services[0].plugins[0].config.credentials[0].secret", "required field missing (needed with algorithm HS256)"},
		"no consumer":        {with("      credentials:\n      - key: one # HERE\n" + secret), "services[0].plugins[0].config.credentials[0].consumer", "required field missing"},
		"unknown algorithm":  {credential(secret + "        algorithm: none # HERE\n"), "services[0].plugins[0].config.credentials[0].algorithm", "expected one of: HS256"},
		"secret not base64":  {strings.Replace(mistakenConfig(exp+"      secret_is_base64: true\n      credentials:\n      - key: one\n        consumer: alice\n        secret: \"!!!\" # HERE\n", ""), "secret: "+strong, "secret: "+strong+strong, 1), "services[0].plugins[0].config.credentials[0].secret", "secret is not base64"},
		"weak secret":        {credential("        secret: short # HERE\n"), "services[0].plugins[0].config.credentials[0].secret", "warning: shorter than the hash of HS256"},
		"same credential":    {credential(secret + "      - key: one # HERE\n        consumer: alice\n" + secret), "services[0].plugins[0].config.credentials[1]", "the same credential is listed twice"},
		"key of two":         {credential(secret + "      - key: one\n        consumer: 00000000-0000-4000-8000-000000000001 # HERE\n" + secret), "services[0].plugins[0].config.credentials[1].consumer", "another credential with the same key belongs to another consumer"},
		"five of one key":    {credential(secret + another + strong + "2\n" + another + strong + "3\n" + another + strong + "4\n" + strings.Replace(another, "one", "one # HERE", 1) + strong + "5\n"), "services[0].plugins[0].config.credentials[4].key", "more than 4 credentials have the same key"},
		"caller not there":   {with("      credentials:\n      - key: one\n" + secret + "        consumer: bob # HERE\n"), "services[0].plugins[0].config.credentials[0].consumer", `there is no consumer "bob"`},
		"anonymous is none":  {with("      anonymous: guest # HERE\n"), "services[0].plugins[0].config.anonymous", `there is no consumer "guest"`},
		"covered credential": {with("      issuers:\n      - issuer: https://idp\n      credentials:\n      - key: https://idp # HERE\n        consumer: alice\n" + secret), "services[0].plugins[0].config.credentials[0].key", "warning: is never used"},

		// jwt_secrets.
		"no rsa_public_key":     {ends("  - key: two # HERE\n    algorithm: RS256\n"), "consumers[0].jwt_secrets[1].rsa_public_key", "required field missing (needed with algorithm RS256)"},
		"no key of ES256":       {ends("  - key: two # HERE\n    algorithm: ES256\n"), "consumers[0].jwt_secrets[1].rsa_public_key", "required field missing (needed with algorithm ES256)"},
		"public_key":            {ends("  - key: two\n    secret: " + strong + "\n    public_key: x # HERE\n"), "consumers[0].jwt_secrets[1].public_key", "unknown field; did you mean rsa_public_key?"},
		"jwt_secrets no PEM":    {ends("  - key: two\n    algorithm: ES256\n    rsa_public_key: abc # HERE\n"), "consumers[0].jwt_secrets[1].rsa_public_key", "not a PEM public key"},
		"jwt_secrets algorithm": {ends("  - key: two\n    algorithm: hs256 # HERE\n"), "consumers[0].jwt_secrets[1].algorithm", "expected one of: HS256"},
		"jwt_secrets weak":      {ends("  - key: two\n    algorithm: HS512\n    secret: " + strong + " # HERE\n"), "consumers[0].jwt_secrets[1].secret", "warning: shorter than the hash of HS512"},
		"key twice":             {ends("  - secret: " + strong + "\n    key: alice-key # HERE\n"), "consumers[0].jwt_secrets[1].key", "another entry of jwt_secrets has the same value, in line 17"},
		"no key":                {ends("  - secret: " + strong + " # HERE\n"), "consumers[0].jwt_secrets[1].key", "warning: is missing"},
		"jwt_secrets of nobody": {ends("jwt_secrets:\n- key: two\n  secret: " + strong + "\n  consumer: bob # HERE\n"), "jwt_secrets[0].consumer", `there is no consumer "bob"`},
		"username twice":        {ends("- username: alice # HERE\n"), "consumers[1].username", "another consumer has the same"},
		"consumer without name": {ends("- tags: [a] # HERE\n"), "consumers[1]", "at least one of these fields must be non-empty"},

		// Where plugins are.
		"on a consumer":       {ends("  plugins:\n  - name: go-jwt # HERE\n    config: {claims_to_verify: [exp]}\n"), "consumers[0].plugins[0]", "not allowed on consumers"},
		"of a consumer":       {ends("plugins:\n- name: go-jwt\n  config: {claims_to_verify: [exp]}\n  consumer: alice # HERE\n"), "plugins[0].consumer", "not allowed on consumers"},
		"on a consumer group": {ends("consumer_groups:\n- name: g\n  plugins:\n  - name: go-jwt # HERE\n    config: {claims_to_verify: [exp]}\n"), "consumer_groups[0].plugins[0]", "not allowed on consumers and consumer groups"},
		"route not there":     {ends("plugins:\n- name: go-jwt\n  config: {claims_to_verify: [exp]}\n  route: {name: order} # HERE\n"), "plugins[0].route", `there is no route "order"`},
		"service not there":   {ends("plugins:\n- name: go-jwt\n  config: {claims_to_verify: [exp]}\n  service: app # HERE\n"), "plugins[0].service", `there is no service "app"`},
		"twice on a service":  {ends("plugins:\n- name: go-jwt # HERE\n  config: {claims_to_verify: [exp]}\n  service: api\n"), "plugins[0]", "the same route or service has another go-jwt, in line 9"},

		// What works, and is hardly what was meant.
		"tokens never expire": {mistakenConfig("      claims_to_verify: [nbf] # HERE\n", ""), "services[0].plugins[0].config.claims_to_verify", "warning: does not contain exp: tokens never expire"},
		"nothing is verified": {strings.Replace(mistakenConfig("", ""), "    config:", "    config: # HERE", 1), "services[0].plugins[0].config.claims_to_verify", "warning: does not contain exp: tokens never expire"},
		"maximum alone":       {mistakenConfig("      maximum_expiration: 60 # HERE\n", ""), "services[0].plugins[0].config.maximum_expiration", "warning: exp is not in claims_to_verify"},
		"shadow alone":        {with("      shadow: true # HERE\n"), "services[0].plugins[0].config.shadow", "warning: nothing is protected here"},
		"nowhere to look":     {with("      uri_param_names: []\n      header_names: [] # HERE\n"), "services[0].plugins[0].config.header_names", "warning: no token can be found"},
		"log_claims alone":    {with("      log_claims: [[sub]] # HERE\n"), "services[0].plugins[0].config.log_claims", "warning: nothing is logged without log_serialize"},
		"anonymous_on alone":  {with("      anonymous_on: [missing] # HERE\n"), "services[0].plugins[0].config.anonymous_on", "warning: has no effect without anonymous"},
		"DPoP for any host":   {with("      dpop: required # HERE\n"), "services[0].plugins[0].config.dpop", "warning: route \"orders\" has no hosts"},
		"keys by http":        {with("      issuers:\n      - issuer: x\n        jwks_uri: http://idp.example.com/keys # HERE\n"), "services[0].plugins[0].config.issuers[0].jwks_uri", "warning: http://idp.example.com/keys: URL is not https"},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, "kong.yml", tt.text)
			out, errs, ok := command(t, "", "check", file)
			line := strings.Count(tt.text[:strings.Index(tt.text, "HERE")], "\n") + 1
			lines := strings.Split(strings.TrimSpace(out), "\n")
			at := regexp.MustCompile(fmt.Sprintf(`^%s:%d:\d+: (.*)$`, regexp.QuoteMeta(file), line)).FindStringSubmatch(lines[0])
			if len(lines) != 1 || at == nil {
				t.Fatalf("want one finding in line %d, got\n%s%s", line, out, errs)
			}
			want := tt.problem
			if tt.path != "" {
				want = tt.path + ": " + want
			}
			if !strings.HasPrefix(at[1], want) && (tt.path != "" || !strings.Contains(at[1], want)) {
				t.Errorf("got  %s\nwant %s", at[1], want)
			}
			if warning := strings.HasPrefix(tt.problem, "warning: "); ok != warning {
				t.Errorf("exit code: ok is %v", ok)
			} else if warning {
				if _, _, ok := command(t, "", "check", "-strict", file); ok {
					t.Error("a warning passes -strict")
				}
			}
		})
	}
}

// TestCheckPasses: shapes in which nothing is wrong.
func TestCheckPasses(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	for name, text := range map[string]string{
		"kong.yml": mistakenConfig("      claims_to_verify: [exp]\n", ""),
		"references into vaults": mistakenConfig(`      claims_to_verify: [exp]
      credentials:
      - {key: one, consumer: alice, secret: "{vault://env/one}"}
      - {key: two, consumer: alice, algorithm: RS256, public_key: "{vault://env/two}"}
      issuers:
      - {issuer: idp, jwks: "{vault://env/jwks}"}
`, "  - key: two\n    algorithm: RS256\n    rsa_public_key: \"{vault://env/two}\"\n"),
		"kong config db_export": `_format_version: '3.0'
_transform: false
consumers:
- {created_at: 1700000000, id: 00000000-0000-4000-8000-000000000001, username: alice}
jwt_secrets:
- consumer: 00000000-0000-4000-8000-000000000001
  key: k
  secret: ` + secret + `
  algorithm: HS256
  created_at: 1700000000
  id: 00000000-0000-4000-8000-000000000002
services:
- {id: 00000000-0000-4000-8000-000000000003, name: api, host: example.com, protocol: http, port: 80, enabled: true}
routes:
- {id: 00000000-0000-4000-8000-000000000004, name: r, service: 00000000-0000-4000-8000-000000000003, paths: [/r]}
plugins:
- id: 00000000-0000-4000-8000-000000000005
  created_at: 1700000000
  enabled: true
  name: go-jwt
  protocols: [grpc, grpcs, http, https]
  route: 00000000-0000-4000-8000-000000000004
  service: null
  consumer: null
  config:
    claims_to_verify: [exp]
    anonymous: null
    credentials: null
    run_on_preflight: true
`,
		"decK": `_format_version: "3.0"
_konnect: {control_plane_name: default}
_plugin_configs:
  strict:
    claims_to_verify: [exp, nbf]
services:
- name: api
  url: https://example.com
  routes:
  - name: r
    paths: [/r]
    plugins:
    - name: go-jwt
      _config: strict
      config: {anonymous: guest}
plugins:
- name: go-jwt
  _config: strict
  service: {name: api}
consumers:
- username: guest
- username: alice
  jwt_secrets:
  - key: k
    secret: ${{ env "DECK_SECRET" }}
`,
		"decK, some tags": `_format_version: "3.0"
_info: {select_tags: [team-a]}
plugins:
- name: go-jwt
  route: {name: of-another-team}
  config: {claims_to_verify: [exp], anonymous: of-another-team}
`,
		"JSON": `{
	"_format_version": "3.0",
	"plugins": [{"name": "go-jwt", "config": {"claims_to_verify": ["exp"]}}]
}`,
		"shadow beside jwt": `_format_version: "3.0"
plugins:
- {name: jwt, config: {claims_to_verify: [exp]}}
- {name: go-jwt, config: {claims_to_verify: [exp], shadow: true}}
`,
		"other plugins and fields": `_format_version: "3.0"
_comment: x
upstreams: [{name: u, targets: [{target: "10.0.0.1:80"}]}]
certificates: []
plugins:
- {name: rate-limiting, config: {minute: 5}}
`,
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, ok := command(t, text, "check", "-strict", "-")
			if out != "" || !ok || !strings.Contains(errs, "nothing found") {
				t.Errorf("%v\n%s%s", ok, out, errs)
			}
		})
	}
}

// Several files are one configuration, and each finding tells its file.
func TestCheckSeveralFiles(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	plugins := write(t, "plugins.yml", "_format_version: \"3.0\"\nplugins:\n- name: go-jwt\n  config:\n    claims_to_verify: [exp]\n    anonymous: guest\n")
	consumers := write(t, "consumers.yml", "_format_version: \"3.0\"\nconsumers:\n- username: guest\n")
	if out, errs, ok := command(t, "", "check", plugins, consumers); !ok {
		t.Errorf("%s%s", out, errs)
	}
	out, _, ok := command(t, "", "check", consumers, plugins, write(t, "x.yml", "services: ["))
	if want := "x.yml:1:"; ok || !strings.Contains(out, want) || strings.Contains(out, "plugins.yml") {
		t.Errorf("%v %s", ok, out)
	}
	if out, errs, ok := command(t, "", "check", "no-such-file.yml"); ok || out != "" || !strings.Contains(errs, "no-such-file.yml") {
		t.Errorf("%v %s %s", ok, out, errs)
	}
}

func TestCheckJSON(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	out, _, ok := command(t, mistakenConfig("      claims_to_verify: [exp]\n      anonymous: guest\n", ""), "check", "-json", "-")
	var found []struct {
		File, Path, Severity, Problem string
		Line, Column                  int
	}
	if err := json.Unmarshal([]byte(out), &found); err != nil || ok || len(found) != 1 {
		t.Fatalf("%v %v %s", err, ok, out)
	}
	if f := found[0]; f.File != "-" || f.Path != "services[0].plugins[0].config.anonymous" || f.Severity != "error" ||
		!strings.HasPrefix(f.Problem, "there is no consumer") || f.Line != 13 || f.Column != 7 {
		t.Errorf("%+v", f)
	}
	if out, _, ok := command(t, mistakenConfig("      claims_to_verify: [exp]\n", ""), "check", "-json", "-"); !ok || strings.TrimSpace(out) != "[]" {
		t.Errorf("nothing found: %v %s", ok, out)
	}
}

// No secret is printed, whatever is wrong with it.
func TestCheckTellsNoSecret(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	const secret = "hush-hush"
	text := mistakenConfig("      secret_is_base64: true\n      credentials:\n      - {key: a, consumer: b, secret: "+secret+"!}\n      - {key: a, consumer: b, secret: ["+secret+"]}\n      - "+secret+
		"\n      - {key: a, consumer: b, algorithm: RS256, public_key: "+secret+"}\n", "  - key: k\n    secret: "+secret+"\n    algorithm: "+secret+"\n") +
		"  bad: \"" + secret
	for _, text := range []string{text, strings.TrimSuffix(text, "  bad: \""+secret)} {
		out, errs, ok := command(t, text, "check", "-")
		if ok || out == "" || strings.Contains(out+errs, secret) {
			t.Errorf("%v\n%s%s", ok, out, errs)
		}
	}
}

// With -online, issuers' keys are fetched.
func TestCheckOnline(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	p, _, args := provider(t)
	text := mistakenConfig("      issuers:\n      - issuer: "+p.URL+" # HERE\n        algorithms: [ES384]\n", "")
	line := strings.Count(text[:strings.Index(text, "HERE")], "\n") + 1
	if out, errs, ok := command(t, text, "check", "-strict", "-"); !ok {
		t.Errorf("offline: %s%s", out, errs)
	}
	out, _, ok := command(t, text, append([]string{"check", "-online"}, append(args[:2:2], "-")...)...)
	if want := fmt.Sprintf("-:%d:9: services[0].plugins[0].config.issuers[0].issuer: the issuer publishes no key for ES384\n", line); ok || out != want {
		t.Errorf("got  %swant %s", out, want)
	}
	if out, errs, ok := command(t, strings.Replace(text, "ES384", "RS256", 1), append([]string{"check", "-online"}, append(args[:2:2], "-")...)...); !ok {
		t.Errorf("with a key: %s%s", out, errs)
	}
	out, _, ok = command(t, text, "check", "-online", "-") // whose certificate is not trusted
	if ok || !strings.HasPrefix(out, fmt.Sprintf("-:%d:9: services[0].plugins[0].config.issuers[0].issuer: ", line)) {
		t.Errorf("out of reach: %v %s", ok, out)
	}
}

// Nothing is found in what users are told to copy.
func TestCheckFindsNothingInTheDocs(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	files := []string{"README.md"}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			files = append(files, strings.TrimPrefix(f, "../"))
		}
	}
	for _, file := range files {
		for i, block := range regexp.MustCompile("(?s)```ya?ml\n(.*?)```").FindAllStringSubmatch(readRoot(t, file), -1) {
			text, isKong := wholeDocument(block[1])
			if !isKong {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", file, i+1), func(t *testing.T) {
				if out, errs, ok := command(t, text, "check", "-strict", "-"); !ok {
					t.Errorf("%s%s\nin\n%s", out, errs, text)
				}
			})
		}
	}
	for _, file := range []string{"kong/kong.yml", "kong/verified.yml"} {
		if out, errs, ok := command(t, "", "check", "-strict", "../"+file); !ok {
			t.Errorf("%s: %s%s", file, out, errs)
		}
	}
}

// wholeDocument makes a declarative configuration of a block of the docs, which
// may be a part of one, or the config of a plugin.
func wholeDocument(block string) (text string, isKong bool) {
	const (
		head      = "_format_version: \"3.0\"\n"
		consumers = "consumers:\n- username: mobile-app\n- username: guest\n"
	)
	var first string
	margin := block[:len(block)-len(strings.TrimLeft(block, " "))] // of a block in a list
	block = strings.TrimRight(strings.ReplaceAll(strings.TrimPrefix(block, margin), "\n"+margin, "\n"), " \n") + "\n"
	for line := range strings.SplitSeq(block, "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			first, _, _ = strings.Cut(line, ":")
			break
		}
	}
	switch first {
	case "_format_version":
		return block, true
	case "plugins", "services", "consumers":
		return head + block, true
	case "routes":
		return head + block, true
	case "- name":
		return head + "plugins:\n" + block, true
	case "config":
		return head + "plugins:\n- name: go-jwt\n  " + strings.ReplaceAll(block, "\n", "\n  ") + "\n" + consumers, true
	case "apiVersion", "readinessProbe", "http_filters", "Layers", "healthcheck", "gateway", "proxy", "image", "repos", "name", "on", "rules", "groups", "x-kong-image":
		return "", false // of Kubernetes, Envoy, CloudFormation, Compose, pre-commit, Prometheus
	}
	return head + "plugins:\n- name: go-jwt\n  config:\n    " + strings.ReplaceAll(block, "\n", "\n    ") + "\n" + consumers, true
}
