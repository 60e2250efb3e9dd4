package spec_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"kong-go-jwt/spec/conformance"
)

// explain runs go-jwt explain on a token, and sees that it shows nothing of it.
func explain(t *testing.T, token string, args ...string) (out, errs string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(setup.plugin, append([]string{"explain"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(token+"\n"), &stdout, &stderr
	if exit := (*exec.ExitError)(nil); errors.As(cmd.Run(), &exit) {
		code = exit.ExitCode()
	}
	out, errs = stdout.String(), stderr.String()
	secrets := []string{conformance.Secret, string(setup.keys["hs-a"].Secret), "-----BEGIN"}
	if parts := strings.Split(token, "."); len(parts) == 3 {
		secrets = append(secrets, parts...)
	}
	for _, secret := range secrets {
		if secret != "" && strings.Contains(out+errs, secret) {
			t.Errorf("shows %s:\n%s%s", secret, out, errs)
		}
	}
	if strings.ContainsAny(out+errs, "\x1b\x07\u009b\u202e") {
		t.Errorf("holds what a terminal would obey: %q", out+errs)
	}
	return out, errs, code
}

var toldHeader = regexp.MustCompile(`(?m)^  ([A-Za-z-]+): (.*)$`)

// explained is what explain says that client and upstream get.
func explained(out string) (status string, body string, client, upstream http.Header) {
	client, upstream = http.Header{}, http.Header{}
	_, told, refused := strings.Cut(out, "\nThe client gets\n")
	to := client
	if refused {
		status, told, _ = strings.Cut(told, "\n")
		_, body, _ = strings.Cut(told, "\n\n  ")
		body, _, _ = strings.Cut(body, "\n")
		told, _, _ = strings.Cut(told, "\n\n")
	} else {
		_, told, _ = strings.Cut(out, "\nThe upstream gets\n")
		to = upstream
	}
	for _, m := range toldHeader.FindAllStringSubmatch(told, -1) {
		to.Add(m[1], m[2])
	}
	return strings.TrimSpace(status), body, client, upstream
}

// TestExplain: of each kind of decision, what explain says is what the gateway does.
func TestExplain(t *testing.T) {
	needsLookups(t)
	t.Parallel()
	now := time.Now().Unix()
	g := withRoutes(t, map[string][]any{
		"/plain": jwt(object{
			"claims_to_verify": []any{"exp", "nbf"}, "maximum_expiration": 7200, "realm": "r",
			"claims_to_headers": []any{
				object{"header": "X-Role", "claim": []any{"role"}}, object{"header": "X-Each", "claim": []any{"each"}, "values": "repeat"},
			},
			"credentials": []any{
				object{"key": "own", "algorithm": "HS512", "secret": conformance.Secret, "consumer": "bob"},
				object{"key": "own", "secret": conformance.Secret, "consumer": "bob"},
				object{"key": "lost", "secret": conformance.Secret, "consumer": "nobody"},
			},
		}),
		"/policy": jwt(object{
			"issuers_allowed": []any{"hs256"}, "audience_required": []any{"api", "web"}, "claims_forbidden": []any{"nonce"},
			"scopes_required": []any{"read"}, "claims_required": []any{object{"claim": []any{"realm", "roles"}, "value": "admin", "match": "contains"}},
			"revoked": []any{object{"jti": "gone"}},
		}),
		"/bound":  jwt(object{"mtls_binding": "required"}),
		"/guests": jwt(object{"claims_to_verify": []any{"exp"}, "anonymous": "anonymous-user"}),
		"/nobody": jwt(object{"claims_to_verify": []any{"exp"}, "anonymous": "nobody"}),
		"/shadow": jwt(object{"claims_to_verify": []any{"exp"}, "shadow": true}),
		"/query":  jwt(object{"claims_to_verify": []any{"exp"}, "header_names": []any{}}),
	}, nil)
	make := func(token conformance.Token) string {
		t.Helper()
		text, err := token.Make(setup.keys)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	own := func(alg, key string, claims object) string {
		return make(conformance.Token{Alg: alg, Key: "literal:" + conformance.Secret, Claims: object{"iss": key, "exp": now + 3600, "nbf": now, "role": claims["role"]}})
	}
	policy := func(change object) string {
		claims := object{"aud": "api", "scope": "write read", "realm": object{"roles": []any{"user", "admin"}}}
		for k, v := range change {
			claims[k] = v
		}
		return claimsToken(t, claims)
	}
	good := object{"exp": now + 3600, "nbf": now - 60}
	and := func(claim string, v any) object {
		return object{"exp": good["exp"], "nbf": good["nbf"], claim: v}
	}
	for name, tt := range map[string]struct {
		path, token string
		code        int
		want        string // a line of what is said
	}{
		"accepted":          {"/plain", claimsToken(t, and("role", "admin")), 0, "Accepted"},
		"repeated header":   {"/plain", claimsToken(t, and("each", []any{"a", "b"})), 0, "  X-Each: b"},
		"second credential": {"/plain", own("HS256", "own", nil), 0, "  ok    signature          verifies (credentials[1])"},
		"no consumer":       {"/plain", own("HS256", "lost", nil), 1, "  FAIL  consumer           the credential's consumer does not exist"},
		"RS256":             {"/plain", madeToken(t, "RS256", "rsa-a", object{"iss": "rs256", "nbf": now}), 0, `  ok    algorithm          "RS256"`},
		"expired":           {"/plain", claimsToken(t, object{"exp": now - 190, "nbf": 1}), 1, "Refused: expired"},
		"no exp":            {"/plain", claimsToken(t, object{"nbf": 1}), 1, "  FAIL  exp                not there"},
		"exp is a text":     {"/plain", claimsToken(t, object{"exp": "\x1b[31m", "nbf": 1}), 1, `  FAIL  exp                "\x1b[31m"`},
		"not valid yet":     {"/plain", claimsToken(t, object{"exp": now + 9000, "nbf": now + 7300}), 1, "Refused: not_yet_valid"},
		"good for too long": {"/plain", claimsToken(t, object{"exp": now + 90000, "nbf": 1}), 1, "Refused: exceeds_maximum_expiration"},
		"forged":            {"/plain", own("HS256", "hs256", nil), 1, "  FAIL  signature          does not verify"},
		"wrong algorithm":   {"/plain", own("HS384", "own", nil), 1, `  FAIL  algorithm          the token's is "HS384", the credential's HS512 (credentials[0])`},
		"unknown key":       {"/plain", own("HS256", "hs256/", nil), 1, `  FAIL  credential         none has the key "hs256/"; is "hs256" meant?`},
		"empty key":         {"/plain", own("HS256", "", nil), 1, `  FAIL  key claim          iss is ""`},
		"escapes in key":    {"/plain", own("HS256", "\x1b]0;x\x07\u009b\u202e", nil), 1, `  FAIL  credential         none has the key "\x1b]0;x\a\u009b\u202e"`},
		"opaque":            {"/plain", "opaque", 1, "  FAIL  form               it has 1 part, where a signed JWT has three"},
		"broken into lines": {"/plain", strings.Replace(claimsToken(t, good), ".", ".\n", 1), 1, "  FAIL  form               there is white space in it"},
		"encrypted":         {"/plain", "a.b.c.d.e", 1, "  FAIL  form               it has five parts, as encrypted tokens (JWE) have"},
		"alg none":          {"/plain", make(conformance.Token{Alg: "none"}), 1, "  FAIL  form               invalid alg"},

		"all that is asked for": {"/policy", policy(nil), 0, `  ok    audience required  aud is "api"; expected: one of "api", "web"`},
		"wrong audience":        {"/policy", policy(object{"aud": []any{"x"}}), 1, `  FAIL  audience required  aud is ["x"]; expected: one of "api", "web"`},
		"forbidden claim":       {"/policy", policy(object{"nonce": 1}), 1, "  FAIL  claims forbidden   nonce is there"},
		"no scope":              {"/policy", policy(object{"scope": "write"}), 1, `  FAIL  scopes required    scope is "write"; expected: "read"`},
		"wrong role":            {"/policy", policy(object{"realm": object{"roles": []any{"user"}}}), 1, `  FAIL  claims required    realm.roles is ["user"]; expected: a list that contains "admin"`},
		"revoked":               {"/policy", policy(object{"jti": "gone"}), 1, "  FAIL  revocation         revoked names the token"},

		"unbound token":   {"/bound", claimsToken(t, nil), 1, "  FAIL  cnf                cnf is not there; mtls_binding is required, dpop is off"},
		"anonymous":       {"/guests", claimsToken(t, object{"exp": 1}), 1, "Goes on as the anonymous consumer, since the token is refused: expired"},
		"no such guest":   {"/nobody", claimsToken(t, object{"exp": 1}), 1, "Refused: unknown_anonymous"},
		"shadowed":        {"/shadow", claimsToken(t, object{"exp": 1}), 1, "Goes on, though the token is refused: expired"},
		"in the query":    {"/query", claimsToken(t, good), 0, "  ok    token              sent in the query parameter jwt"},
		"as it is copied": {"/guests", "Authorization: Bearer " + claimsToken(t, good), 0, "Accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, errs, code := explain(t, tt.token, "-config", g.configFile, "-route", "r-"+tt.path[1:])
			if code != tt.code || errs != "" || !strings.Contains(out, "\n"+tt.want+"\n") {
				t.Fatalf("exit code %d, want %d with %q:\n%s%s", code, tt.code, tt.want, out, errs)
			}
			target, header := tt.path, bearer(strings.ReplaceAll(strings.TrimPrefix(tt.token, "Authorization: Bearer "), "\n", " "))
			if tt.path == "/query" {
				target, header = tt.path+"?jwt="+tt.token, [2]string{"X-Other", "x"}
			}
			a := g.send(t, "GET", target, header)
			status, body, client, upstream := explained(out)
			if a.upstream == nil {
				if want := fmt.Sprint(a.status, " ", http.StatusText(a.status)); status != want || body != string(a.body) {
					t.Errorf("explained %q %q, got %q %q", status, body, want, a.body)
				}
				for _, h := range []string{"WWW-Authenticate", "Content-Type", "Retry-After"} {
					if client.Get(h) != a.header.Get(h) {
						t.Errorf("%s: explained %q, got %q", h, client.Get(h), a.header.Get(h))
					}
				}
				return
			}
			if status != "" {
				t.Errorf("explained %s, and it reached the upstream", status)
			}
			for _, h := range []string{
				"X-Consumer-Id", "X-Consumer-Custom-Id", "X-Consumer-Username", "X-Credential-Identifier", "X-Anonymous-Consumer", "X-Role", "X-Each",
			} {
				if explained, got := fmt.Sprint(upstream[h]), fmt.Sprint(a.upstream.Headers[h]); explained != got {
					t.Errorf("%s: explained %s, got %s", h, explained, got)
				}
			}
		})
	}
}

// TestExplainTimes: how far away a time is.
func TestExplainTimes(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	file := write(t, "kong.yml", explainedConfig)
	const exp = 1800000000
	token := claimsToken(t, object{"exp": exp})
	for after, want := range map[int]string{
		0: "now", -1: "in 1 second", 59: "59 seconds ago", 60: "1 minute ago", -3599: "in 59 minutes", 3600: "1 hour ago",
		-48*3600 + 1: "in 47 hours", 48 * 3600: "2 days ago", 2 * 365 * 86400: "2 years ago",
	} {
		if out, _, _ := explain(t, token, "-config", file, "-at", fmt.Sprint(exp+after)); !strings.Contains(out, "exp 2027-01-15 08:00:00 UTC ("+want+")\n") {
			t.Errorf("after %d s: want %s\n%s", after, want, out)
		}
	}
}

const explainedConfig = `_format_version: "3.0"
services:
- name: api
  url: http://127.0.0.1:9000
  routes:
  - name: orders
    paths: [/orders]
    plugins:
    - name: go-jwt
      config:
        claims_to_verify: [exp]
        leeway: 5
consumers:
- username: alice
  id: 00000000-0000-4000-8000-000000000001
  jwt_secrets:
  - key: alice-key
    secret: a-secret-that-nobody-is-to-see-1
`

// TestExplainOutput: what it looks like, whole.
func TestExplainOutput(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	file := write(t, "kong.yml", explainedConfig)
	token, err := conformance.Token{Alg: "HS256", Key: "literal:a-secret-that-nobody-is-to-see-1", Claims: object{"iss": "alice-key", "exp": 1800000000}}.Make(setup.keys)
	if err != nil {
		t.Fatal(err)
	}
	const head = `Plugin     FILE:9: services[0].routes[0].plugins[0]
Time       NOW
Token      alg "HS256"
           typ "JWT"
           iss "alice-key"
           exp 2027-01-15 08:00:00 UTC (WHEN)

  ok    token              sent in the header Authorization, after Bearer
  ok    form               a signed JWT
  ok    key claim          iss is "alice-key"
  ok    credential         FILE:17: consumers[0].jwt_secrets[0]
  ok    algorithm          "HS256"
  ok    key                can be used
  ok    signature          verifies
`
	for at, tt := range map[string]struct {
		code            int
		now, when, rest string
	}{
		"2027-01-15T07:55:00Z": {0, "2027-01-15 07:55:00 UTC", "in 5 minutes", `  ok    exp                2027-01-15 08:00:00 UTC (in 5 minutes); leeway 5s
  ok    consumer           "alice", id 00000000-0000-4000-8000-000000000001

Accepted

The upstream gets
  X-Consumer-ID: 00000000-0000-4000-8000-000000000001
  X-Consumer-Username: alice
  X-Credential-Identifier: alice-key
without X-Consumer-Custom-ID, X-Anonymous-Consumer
`},
		"1800000195": {1, "2027-01-15 08:03:15 UTC", "3 minutes ago", `  FAIL  exp                2027-01-15 08:00:00 UTC (3 minutes ago); leeway 5s

Refused: expired
The token's ` + "`exp`" + ` has passed.
The client should get a new token before the old one expires. If the token was only a few seconds late, compare the clocks, or set ` + "`leeway`" + `.

The client gets
  401 Unauthorized
  Content-Type: application/json; charset=utf-8
  WWW-Authenticate: Bearer error="invalid_token"

  {"exp":"token expired"}

The upstream gets nothing.
`},
	} {
		out, errs, code := explain(t, token, "-config", file, "-at", at)
		want := strings.NewReplacer("FILE", file, "NOW", tt.now, "WHEN", tt.when).Replace(head + tt.rest)
		if out != want || errs != "" || code != tt.code {
			t.Errorf("exit code %d, got\n%s%s\nwant\n%s", code, out, errs, want)
		}
		shown := regexp.MustCompile("(?m)^.").ReplaceAllString(strings.ReplaceAll(out, file, "kong.yml"), "    $0")
		if code == 1 && !strings.Contains(readRoot(t, "docs/explain.md"), shown) {
			t.Error("docs/explain.md shows something else")
		}
	}
}

// TestExplainIssuer: keys that are published are fetched with -online alone.
func TestExplainIssuer(t *testing.T) {
	t.Parallel()
	p, key, args := provider(t)
	g := withRoutes(t, map[string][]any{
		"/i":      jwt(object{"issuers": []any{object{"issuer": p.URL, "jwks_uri": p.URL + "/keys", "type": "at+jwt", "consumer_optional": true}}}),
		"/claims": jwt(object{"issuers": []any{object{"issuer": p.URL, "jwks_uri": p.URL + "/keys", "consumer_claims": []any{[]any{"a.b", "c"}, []any{"sub"}}}}}),
	}, args)
	token := func(claims, header object) string {
		text, err := p.Token(key, claims, header)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	access := object{"typ": "at+jwt"}
	out, _, code := explain(t, token(nil, access), "-config", g.configFile, "-route", "r-i")
	if code != 2 || !strings.Contains(out, "\nCannot tell: the issuer's keys are fetched only with -online\n") || strings.Contains(out, "gets") || p.Fetches() > 0 {
		t.Errorf("offline: exit code %d, %d fetches\n%s", code, p.Fetches(), out)
	}
	for name, tt := range map[string]struct {
		claims, header object
		code           int
		want           string
	}{
		"accepted":     {nil, access, 0, `  ok    signature          verifies with the published key "k1"`},
		"no consumer":  {object{"sub": "stranger"}, access, 0, "  ok    consumer           none, which consumer_optional allows"},
		"no subject":   {object{"sub": ""}, access, 1, `  FAIL  sub                sub is "", and there is no consumer`},
		"ID token":     {nil, nil, 1, `  FAIL  typ                "JWT"; the issuer's type is at+jwt`},
		"unknown key":  {nil, object{"typ": "at+jwt", "kid": "k2"}, 1, `  FAIL  published key      the issuer publishes none with kid "k2" that fits "RS256"`},
		"in an hour":   {object{"iat": time.Now().Add(time.Hour + 30*time.Second).Unix()}, access, 1, "Refused: issued_in_the_future"},
		"stranger":     {object{"a.b": object{"c": "mallory"}}, nil, 1, `  FAIL  consumer           a.b.c is "mallory": no consumer has that username`},
		"kid a number": {nil, object{"typ": "at+jwt", "kid": 1}, 1, "  FAIL  kid                1 is not a string"},
	} {
		path, text := "/i", token(tt.claims, tt.header)
		if tt.claims["a.b"] != nil {
			path = "/claims"
		}
		out, errs, code := explain(t, text, append([]string{"-online", "-config", g.configFile, "-route", "r-" + path[1:]}, args[:2]...)...)
		if code != tt.code || !strings.Contains(out, "\n"+tt.want+"\n") {
			t.Errorf("%s: exit code %d, want %d with %q\n%s%s", name, code, tt.code, tt.want, out, errs)
		}
		if a := g.send(t, "GET", path, bearer(text)); (a.status == 200) != (tt.code == 0) {
			t.Errorf("%s: the gateway answers %d %s", name, a.status, a.body)
		}
	}
}

// TestExplainCannotTell: what is not known, or not usable, is said to be so.
func TestExplainCannotTell(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	good := write(t, "kong.yml", explainedConfig)
	with := func(old, changed string) string {
		return write(t, "kong.yml", strings.Replace(explainedConfig, old, changed, 1))
	}
	own := func(secret string) string {
		return with("leeway: 5", "credentials: [{key: hs256, consumer: alice, secret: '"+secret+"'}]")
	}
	token := claimsToken(t, object{"exp": time.Now().Add(time.Hour).Unix()})
	for name, tt := range map[string]struct {
		token string
		args  []string
		want  string
	}{
		"no configuration":   {token, nil, "no -config is given"},
		"no such file":       {token, []string{"-config", good + "x"}, "no such file"},
		"configuration on -": {token, []string{"-config", "-"}, "-config: cannot be standard input"},
		"no token":           {"", []string{"-config", good}, "there is no token on standard input"},
		"token as argument":  {token, []string{"-config", good, token}, "unexpected argument; the token is read from standard input"},
		"no such route":      {token, []string{"-config", good, "-route", "order"}, `there is no route "order"; the routes are: orders`},
		"no time":            {token, []string{"-config", good, "-at", "noon"}, "must be a time such as"},
		"no such flag":       {token, []string{"-config", good, "-rout", "orders"}, "flag provided but not defined"},
		"no plugin":          {token, []string{"-config", with("name: go-jwt", "name: jwt")}, "the configuration has no enabled go-jwt plugin"},
		"none on the route":  {token, []string{"-config", with("name: go-jwt", "name: jwt"), "-route", "orders"}, `no go-jwt plugin runs on route "orders"`},
		"several":            {token, []string{"-config", write(t, "k.yml", explainedConfig+"plugins: [{name: go-jwt}]\n")}, "choose a route with -route; the routes are: orders"},
		"bad configuration":  {token, []string{"-config", with("leeway: 5", "leeway: -1")}, "kong.yml:12:9: services[0].routes[0].plugins[0].config.leeway: "},
		"unusable key":       {token, []string{"-config", with("leeway: 5", "credentials: [{key: a, algorithm: RS256, public_key: x, consumer: alice}]")}, "not a PEM public key"},
		"option filled in":   {token, []string{"-config", with("leeway: 5", `realm: '${{ env "DECK_REALM" }}'`)}, "config.realm: filled in later, so its value is not known here"},
		"secret from a vault": {
			token,
			[]string{"-config", own("{vault://env/x}")},
			"  ?     key                is filled in later (credentials[0])\n  ?     signature          needs the key (credentials[0])\n\n" +
				"Cannot tell: services[0].routes[0].plugins[0].config.credentials[0].secret (",
		},
		"list of revocations": {
			madeToken(t, "HS256", "literal:"+conformance.Secret, object{"iss": "hs256"}),
			[]string{"-config", with("leeway: 5", "revocations: [{url: 'https://example.com/list'}]\n        credentials: [{key: hs256, consumer: alice, secret: "+conformance.Secret+"}]")},
			"Cannot tell: the lists of revocations are fetched only with -online\nOtherwise the token is accepted.",
		},
		"bound token": {
			madeToken(t, "HS256", "literal:"+conformance.Secret, object{"iss": "hs256", "cnf": object{"x5t#S256": strings.Repeat("A", 43)}}),
			[]string{"-config", with("leeway: 5", "mtls_binding: honour\n        credentials: [{key: hs256, consumer: alice, secret: "+conformance.Secret+"}]")},
			"  ?     certificate        comes with a request, and is not known here\n\nCannot tell: the token is bound to a client certificate",
		},
		"part of a configuration": {token, []string{"-config", with("services:", "_info: {select_tags: [a]}\nservices:")}, "Cannot tell: what has other tags (select_tags) is not in the file"},
	} {
		out, errs, code := explain(t, tt.token, tt.args...)
		if code != 2 || !strings.Contains(out+errs, tt.want) {
			t.Errorf("%s: exit code %d, want 2 with %q\n%s%s", name, code, tt.want, out, errs)
		}
	}
	if _, errs, code := explain(t, "", "-help"); code != 0 || !strings.HasPrefix(errs, "Usage: go-jwt explain") {
		t.Errorf("help: exit code %d\n%s", code, errs)
	}
	if out, _, code := explain(t, token, "-config", own(string(setup.keys["hs-a"].Secret))); code != 0 {
		t.Errorf("with the right secret: exit code %d\n%s", code, out)
	}
}

// TestExplainColours: on a terminal alone, and not if NO_COLOR is set.
func TestExplainColours(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	script, err := exec.LookPath("script") // of util-linux
	if err != nil {
		t.Skip(err)
	}
	config, token := write(t, "kong.yml", explainedConfig), write(t, "token", claimsToken(t, nil))
	for _, tt := range []struct {
		noColour string
		want     bool
	}{{"", true}, {"1", false}} {
		cmd := exec.Command(script, "-qec", setup.plugin+" explain -config "+config+" <"+token, "/dev/null")
		cmd.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR="+tt.noColour)
		out, err := cmd.Output()
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 || strings.Contains(string(out), "\x1b[31mFAIL\x1b[0m") != tt.want {
			t.Errorf("NO_COLOR=%s: %v\n%q", tt.noColour, err, out)
		}
	}
}

// TestExplainAsks: on a terminal the token is asked for, and one that the terminal
// would cut is refused.
func TestExplainAsks(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	script, err := exec.LookPath("script") // of util-linux
	if err != nil {
		t.Skip(err)
	}
	config := write(t, "kong.yml", explainedConfig)
	for token, want := range map[string]string{
		claimsToken(t, nil):       "Refused: unknown_credential",
		strings.Repeat("a", 5000): "go-jwt: explain: a terminal cuts lines of this length",
	} {
		cmd := exec.Command(script, "-qec", setup.plugin+" explain -config "+config, "/dev/null")
		cmd.Stdin = strings.NewReader(token + "\n\x04")
		out, _ := cmd.Output()
		if !strings.Contains(string(out), "Paste the token, and press Enter and Ctrl-D:") || !strings.Contains(string(out), want) {
			t.Errorf("want %s, got\n%s", want, out)
		}
	}
}
