package spec_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kong-go-jwt/spec/conformance"
	"kong-go-jwt/spec/lambda"
	"kong-go-jwt/spec/oidc"
)

var bootstrap = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(setup.plugin), "bootstrap")
	return path, build(path, "kong-go-jwt/lambda")
})

// authorizer starts bootstrap with a configuration, in a bundle that holds it.
func authorizer(t testing.TB, config any, env ...string) *lambda.Function {
	t.Helper()
	needsBootstrap(t)
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	bundle := t.TempDir()
	if err := os.WriteFile(filepath.Join(bundle, "go-jwt.yml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return startFunction(t, bundle, env...)
}

func needsBootstrap(t testing.TB) {
	t.Helper()
	if onRealKong() {
		t.Skip("needs no Kong")
	}
	if _, err := bootstrap(); err != nil {
		t.Fatal(err)
	}
}

func startFunction(t testing.TB, bundle string, env ...string) *lambda.Function {
	t.Helper()
	needsBootstrap(t)
	path, _ := bootstrap()
	f, err := lambda.Start(bundle, env, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Close()
		if strings.Contains(f.Log.String(), "DATA RACE") {
			t.Error("a data race")
		}
		if t.Failed() {
			t.Logf("what the function wrote:\n%s", tail(f.Log.String(), 60))
		}
	})
	return f
}

// asks has the function decide a request, and returns the answer as API Gateway
// takes it: "500" and "401" for errors, "403", or "200" with the context.
func asks(t testing.TB, f *lambda.Function, form lambda.Form, r *lambda.Request) (verdict string, context object) {
	t.Helper()
	a, err := f.Invoke(r.Event(form))
	if err != nil {
		t.Fatal(err)
	}
	return verdictOf(t, a)
}

func verdictOf(t testing.TB, a lambda.Answer) (verdict string, context object) {
	t.Helper()
	if a.Body == nil {
		if a.Message == "Unauthorized" {
			return "401", nil
		}
		return "500", nil
	}
	var told struct {
		IsAuthorized   any
		PrincipalID    string
		PolicyDocument struct {
			Version   string
			Statement []struct {
				Action, Resource []string
				Effect           string
			}
		}
		Context object
	}
	if err := json.Unmarshal(a.Body, &told); err != nil {
		t.Fatalf("%s: %v", a.Body, err)
	}
	for name, value := range told.Context {
		switch value.(type) {
		case string, float64, bool:
		default:
			t.Errorf("context %s is a %T", name, value)
		}
	}
	allowed, simple := told.IsAuthorized.(bool)
	if !simple {
		if told.IsAuthorized != nil || told.PrincipalID == "" || len(told.PolicyDocument.Statement) != 1 {
			t.Fatalf("no answer that API Gateway can read: %s", a.Body)
		}
		s := told.PolicyDocument.Statement[0]
		if told.PolicyDocument.Version != "2012-10-17" || !reflect.DeepEqual(s.Action, []string{"execute-api:Invoke"}) ||
			!reflect.DeepEqual(s.Resource, []string{lambda.Stage}) {
			t.Errorf("the policy is not for the whole stage: %s", a.Body)
		}
		if allowed = s.Effect == "Allow"; !allowed && s.Effect != "Deny" {
			t.Errorf("effect %q", s.Effect)
		}
	}
	if allowed {
		return "200", told.Context
	}
	return "403", told.Context
}

// spec credentials as the plugin's own, each of the consumer's name.
func ownCredentials(t testing.TB) (credentials []any) {
	t.Helper()
	for _, consumer := range conformance.Consumers(setup.keys) {
		c, _ := consumer.(object)
		name, ok := c["username"].(string)
		if !ok {
			name, _ = c["custom_id"].(string)
		}
		for _, secret := range list(c["jwt_secrets"]) {
			s, _ := secret.(object)
			own := object{"key": s["key"], "algorithm": s["algorithm"], "consumer": name}
			if pem, ok := s["rsa_public_key"]; ok {
				own["public_key"] = pem
			} else {
				own["secret"] = s["secret"]
			}
			credentials = append(credentials, own)
		}
	}
	return credentials
}

// TestLambdaForms: the same requests in all forms of event, answered as a policy
// and in the simple way.
func TestLambdaForms(t *testing.T) {
	t.Parallel()
	config := object{
		"credentials": ownCredentials(t), "cookie_names": []any{"session"}, "audience_required": []any{"api"},
		"claims_to_headers": []any{
			object{"header": "userId", "claim": []any{"sub"}},
			object{"header": "role", "claim": []any{"role"}},
			object{"header": "level", "claim": []any{"level"}},
			object{"header": "absent", "claim": []any{"absent"}},
		},
	}
	claims := object{"iss": "rs256", "aud": "api", "sub": "user-42", "role": "admin", "level": 3}
	good := madeToken(t, "RS256", "rsa-a", claims)
	bad := good[:len(good)-8] + "AAAAAAAA"
	other := madeToken(t, "RS256", "rsa-a", object{"iss": "rs256", "aud": "other"})
	authorization := []string{"authorization"}
	context := object{"userId": "user-42", "role": "admin", "level": "3"}
	simple := object{"principalId": "bob", "userId": "user-42", "role": "admin", "level": "3"}
	for _, tt := range []struct {
		name    string
		request lambda.Request
		notFor  lambda.Form // a request that cannot be put that way
		want    string
		context object // of a policy
		simple  object
	}{
		{"good", lambda.Request{Headers: [][2]string{bearer(good)}, Identity: authorization}, "", "200", context, simple},
		{"good, again", lambda.Request{Method: "POST", Path: "/other", Headers: [][2]string{bearer(good)}, Identity: authorization}, "", "200", context, simple},
		{"bad signature", lambda.Request{Headers: [][2]string{bearer(bad)}, Identity: authorization}, "", "403", refusedFor("invalid_signature"), refusedFor("invalid_signature")},
		{"other audience", lambda.Request{Headers: [][2]string{bearer(other)}, Identity: authorization}, "", "403", refusedFor("wrong_audience"), refusedFor("wrong_audience")},
		{"no token", lambda.Request{}, "", "401", nil, nil},
		{"another scheme", lambda.Request{Headers: [][2]string{{"Authorization", "Basic Ym9iOng="}}, Identity: authorization}, "", "401", nil, nil},
		{"in the query", lambda.Request{Query: "jwt=" + good}, lambda.RESTToken, "200", context, simple},
		{"in a cookie", lambda.Request{Headers: [][2]string{{"Cookie", "a=b; session=" + good}}}, lambda.RESTToken, "200", context, simple},
		{"header in capitals", lambda.Request{Headers: [][2]string{{"AUTHORIZATION", "Bearer " + good}}, Identity: authorization}, "", "200", context, simple},
		{"two tokens", lambda.Request{Query: "jwt=" + other, Headers: [][2]string{bearer(good)}, Identity: authorization}, lambda.RESTToken, "401", nil, nil},
		{"remembered by what holds no token", lambda.Request{Query: "jwt=" + good, Headers: [][2]string{{"Authorization", "x"}}, Identity: authorization}, lambda.RESTToken, "401", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			policies := authorizer(t, config, "GO_JWT_RESPONSE=policy")
			for _, form := range lambda.Forms() {
				if form == tt.notFor {
					continue
				}
				if verdict, got := asks(t, policies, form, &tt.request); verdict != tt.want || !reflect.DeepEqual(got, tt.context) {
					t.Errorf("%s: %s %v, want %s %v", form, verdict, got, tt.want, tt.context)
				}
			}
			if verdict, got := asks(t, authorizer(t, config), lambda.HTTPv2, &tt.request); verdict != tt.want || !reflect.DeepEqual(got, tt.simple) {
				t.Errorf("simple: %s %v, want %s %v", verdict, got, tt.want, tt.simple)
			}
		})
	}
}

func refusedFor(reason string) object {
	return object{"reason": reason, "www_authenticate": `Bearer error="invalid_token"`}
}

// madeToken signs a token with a key of the specs. It has an hour to live.
func madeToken(t testing.TB, alg, key string, claims object) string {
	t.Helper()
	all := object{"exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range claims {
		all[name] = value
	}
	token, err := conformance.Token{Alg: alg, Key: key, Claims: all}.Make(setup.keys)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestLambdaAgreesWithThePlugin runs the recorded cases that need no Kong through
// both: what the plugin lets through the authorizer allows, and nothing else.
func TestLambdaAgreesWithThePlugin(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	g := specGateway(t)
	_, route := conformance.Routes(setup.cases)
	functions := map[string]*lambda.Function{}
	compared, needKong := 0, 0
	// An HTTP API joins repeated headers, where Kong's plugins look at the first.
	joined := []string{"where/header/custom-repeated"}
	for _, c := range setup.cases {
		var config object
		if err := json.Unmarshal(c.Config, &config); err != nil {
			t.Fatal(err)
		}
		if c.Also != "" || config["anonymous"] != nil || config["run_on_preflight"] == false || slices.Contains(joined, c.Name) {
			needKong++
			continue
		}
		fill, err := c.Fill(setup.keys)
		if err != nil {
			t.Fatal(err)
		}
		r := lambda.Request{Method: c.Method, Path: "/" + c.Path, Query: fill(c.Query)}
		for _, h := range c.Headers {
			r.Headers = append(r.Headers, [2]string{h[0], fill(h[1])})
		}
		f := functions[route(c)]
		if f == nil {
			config["credentials"] = ownCredentials(t)
			f = authorizer(t, config)
			functions[route(c)] = f
		}
		plugin := g.send(t, c.Method, c.Target(route(c), fill), r.Headers...)
		verdict, _ := asks(t, f, lambda.HTTPv2, &r)
		if compared++; (plugin.upstream != nil) != (verdict == "200") {
			t.Errorf("%s: the plugin answers %d, the authorizer %s", c.Name, plugin.status, verdict)
		}
	}
	t.Logf("%d cases agree; %d need Kong", compared, needKong)
	if compared < 150 {
		t.Errorf("only %d cases compared", compared)
	}
}

// TestLambdaRefusesWhatNeedsKong: bootstrap does not start, and names the field.
func TestLambdaRefusesWhatNeedsKong(t *testing.T) {
	t.Parallel()
	issuer := func(more object) object {
		is := object{"issuer": "https://idp.example.com"}
		for name, value := range more {
			is[name] = value
		}
		return object{"issuers": []any{is}}
	}
	with := func(name string, value any) object {
		return object{"credentials": ownCredentials(t), name: value}
	}
	for name, tt := range map[string]struct {
		config object
		want   string
	}{
		"anonymous":        {with("anonymous", "guest"), "config.anonymous: needs Kong"},
		"anonymous_on":     {with("anonymous_on", []any{"missing"}), "config.anonymous_on: needs Kong"},
		"groups_claim":     {with("groups_claim", []any{"groups"}), "config.groups_claim: needs Kong"},
		"hide_credentials": {with("hide_credentials", true), "config.hide_credentials: needs Kong"},
		"run_on_preflight": {with("run_on_preflight", false), "config.run_on_preflight: needs Kong"},
		"guard_headers":    {with("guard_headers", false), "config.guard_headers: needs Kong"},
		"consumer_by":      {issuer(object{"consumer_by": "custom_id"}), "config.issuers[1].consumer_by: needs Kong"},
		"repeated values":  {with("claims_to_headers", []any{object{"header": "x", "claim": []any{"x"}, "values": "repeat"}}), "config.claims_to_headers[1].values: needs Kong"},
		"a typing error":   {with("audience_requird", []any{"api"}), `config: unknown field "audience_requird"`},
		"a wrong value":    {with("leeway", 301), "config.leeway: value should be between"},
		"no key":           {object{"credentials": []any{object{"key": "k", "algorithm": "RS256", "public_key": "x", "consumer": "c"}}}, "config.credentials[1].public_key: "},
		"a missing secret": {object{"credentials": []any{object{"key": "k", "secret": "{vault://env/not-there}", "consumer": "c"}}}, "config.credentials[1].secret: {vault://env/not-there}: the environment variable NOT_THERE is not set"},
		"nobody":           {object{}, "config: neither credentials nor issuers are set"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := authorizer(t, tt.config)
			code, err := f.Wait(patience)
			if err != nil || code != 1 {
				t.Errorf("exit code %d, error %v", code, err)
			}
			var line struct{ Level, Why string }
			if err := json.Unmarshal([]byte(f.Log.String()), &line); err != nil || line.Level != "ERROR" || !strings.HasPrefix(line.Why, tt.want) {
				t.Errorf("%s: want one line of JSON, with %q", f.Log, tt.want)
			}
			if told := f.InitError(); told != line.Why {
				t.Errorf("Lambda is told %q, the log %q", told, line.Why)
			}
		})
	}
}

// TestLambdaConfiguration: YAML or JSON, in a file or in the environment, with
// secrets from elsewhere.
func TestLambdaConfiguration(t *testing.T) {
	t.Parallel()
	const yaml = "credentials:\n  - key: k\n    secret: '{vault://env/jwt-secret}'\n    consumer: alice\n"
	bundle := t.TempDir()
	for name, text := range map[string]string{"go-jwt.yml": yaml, "other.yml": yaml, "none.yml": "credentials: []\n"} {
		if err := os.WriteFile(filepath.Join(bundle, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	token, err := conformance.Token{Alg: "HS256", Key: "hs-a", Claims: object{"iss": "k"}}.Make(setup.keys)
	if err != nil {
		t.Fatal(err)
	}
	secret := "JWT_SECRET=" + string(setup.keys["hs-a"].Secret)
	request := lambda.Request{Headers: [][2]string{bearer(token)}, Identity: []string{"authorization"}}
	for name, env := range map[string][]string{
		"file in the bundle":  {secret},
		"file named":          {secret, "GO_JWT_CONFIG_FILE=other.yml"},
		"file named in full":  {secret, "GO_JWT_CONFIG_FILE=" + filepath.Join(bundle, "other.yml")},
		"YAML in environment": {secret, "GO_JWT_CONFIG=" + yaml},
		"JSON in environment": {secret, `GO_JWT_CONFIG={"credentials":[{"key":"k","secret":"{vault://env/jwt-secret}","consumer":"alice"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if verdict, context := asks(t, startFunction(t, bundle, env...), lambda.HTTPv2, &request); verdict != "200" || context["principalId"] != "alice" {
				t.Errorf("%s %v", verdict, context)
			}
		})
	}
	for name, env := range map[string][]string{
		"GO_JWT_CONFIG_FILE: ":       {"GO_JWT_CONFIG_FILE=missing.yml"},
		"GO_JWT_CONFIG and ":         {"GO_JWT_CONFIG_FILE=other.yml", "GO_JWT_CONFIG=" + yaml},
		"GO_JWT_RESPONSE: ":          {"GO_JWT_RESPONSE=iam"},
		"GO_JWT_JWKS_REFRESH: ":      {"GO_JWT_JWKS_REFRESH=5"},
		"config: not YAML":           {"GO_JWT_CONFIG=a: b: c"},
		"config: not JSON":           {`GO_JWT_CONFIG={"a"`},
		"config: neither credential": {"GO_JWT_CONFIG_FILE=none.yml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFunction(t, bundle, append(env, secret)...)
			if code, err := f.Wait(patience); err != nil || code != 1 || !strings.Contains(f.Log.String(), `"why":"`+name) {
				t.Errorf("exit code %d, error %v, want %q", code, err, name)
			}
		})
	}
}

// TestLambdaIssuer: keys are fetched when they are needed and not otherwise, also
// after a freeze; a rotated key counts, and one that is gone does not.
func TestLambdaIssuer(t *testing.T) {
	t.Parallel()
	p, key, ca := lambdaProvider(t)
	f := authorizer(t, object{
		"issuers":           []any{object{"issuer": p.URL, "audience": []any{"api"}}},
		"claims_to_headers": []any{object{"header": "usageIdentifierKey", "claim": []any{"plan"}}},
	}, ca, "GO_JWT_JWKS_REFRESH=1s", "GO_JWT_JWKS_MIN_INTERVAL=100ms")
	send := func(k *oidc.Key, claims object) string {
		all := object{"aud": "api"}
		for name, value := range claims {
			all[name] = value
		}
		token, err := p.Token(k, all, nil)
		if err != nil {
			t.Fatal(err)
		}
		verdict, _ := asks(t, f, lambda.RESTToken, &lambda.Request{Headers: [][2]string{bearer(token)}})
		return verdict
	}
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	if n := p.Fetches(); n != 0 {
		t.Errorf("%d fetches before the first event", n)
	}
	began := time.Now()
	expect("good", send(key, nil), "200")
	expect("other audience", send(key, object{"aud": "other"}), "403")
	fetched, refreshes := p.Fetches(), int(time.Since(began)/(900*time.Millisecond)) // on a busy machine
	if fetched < 1 || fetched > 1+refreshes {
		t.Errorf("%d fetches for two events at once", fetched)
	}

	time.Sleep(1500 * time.Millisecond) // beyond the refresh, with nothing to do
	if n := p.Fetches(); n != fetched {
		t.Errorf("%d fetches, though nobody asked: a frozen process cannot", n)
	}

	next, err := p.Add("k2", "RS256")
	if err != nil {
		t.Fatal(err)
	}
	expect("a new key", send(next, nil), "200")
	remembered := object{"jti": "remembered"}
	expect("the old key", send(key, remembered), "200")
	p.Keep(next)
	if err := f.Freeze(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond) // the clock goes on
	if err := f.Thaw(); err != nil {
		t.Fatal(err)
	}
	expect("a remembered token of a key that is gone since", send(key, remembered), "403")

	p.Fail(true)
	time.Sleep(1100 * time.Millisecond)
	expect("while the issuer fails", send(next, nil), "200")
	expect("a new key while the issuer fails", send(mustAdd(t, p), nil), "500")
}

func mustAdd(t *testing.T, p *oidc.Provider) *oidc.Key {
	t.Helper()
	k, err := p.Add("k3", "RS256")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// lambdaProvider is provider for bootstrap, which trusts it by SSL_CERT_FILE.
func lambdaProvider(t testing.TB) (p *oidc.Provider, key *oidc.Key, env string) {
	t.Helper()
	p = oidc.New()
	t.Cleanup(p.Close)
	key, err := p.Add("k1", "RS256")
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := p.WriteCA(ca); err != nil {
		t.Fatal(err)
	}
	return p, key, "SSL_CERT_FILE=" + ca
}

// TestLambdaIssuerFails: a token that cannot be decided is an error, which API
// Gateway does not remember, and is decided as soon as it can be.
func TestLambdaIssuerFails(t *testing.T) {
	t.Parallel()
	p, key, ca := lambdaProvider(t)
	p.Fail(true)
	f := authorizer(t, object{"issuers": []any{object{"issuer": p.URL}}}, ca)
	token, err := p.Token(key, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &lambda.Request{Headers: [][2]string{bearer(token)}}
	for _, form := range lambda.Forms() {
		if verdict, _ := asks(t, f, form, r); verdict != "500" {
			t.Errorf("%s: %s", form, verdict)
		}
	}
	poll(t, patience, func() bool { return strings.Contains(f.Log.String(), `"reason":"lookup_failed"`) })
	p.Fail(false)
	poll(t, patience, func() bool {
		verdict, _ := asks(t, f, lambda.RESTToken, r)
		return verdict == "200"
	})
}

// TestLambdaFreeze: a remembered token is refused after its exp, also if that has
// come while the process was frozen.
func TestLambdaFreeze(t *testing.T) {
	t.Parallel()
	f := authorizer(t, object{"credentials": ownCredentials(t), "claims_to_verify": []any{"exp"}})
	var exp time.Time
	var r *lambda.Request
	for life := 3 * time.Second; ; life *= 2 { // on a busy machine, two events may take longer
		exp = time.Now().Add(life).Truncate(time.Second)
		r = &lambda.Request{Headers: [][2]string{bearer(madeToken(t, "HS256", "hs-a", object{"iss": "hs256", "exp": exp.Unix()}))}}
		first, _ := asks(t, f, lambda.HTTPv2, r)
		second, _ := asks(t, f, lambda.HTTPv2, r)
		if first == "200" && second == "200" {
			break
		}
		if time.Now().Before(exp) || life > patience {
			t.Fatal(first, second)
		}
	}
	if err := f.Freeze(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(exp) + 10*time.Millisecond)
	if err := f.Thaw(); err != nil {
		t.Fatal(err)
	}
	if verdict, context := asks(t, f, lambda.HTTPv2, r); verdict != "403" || context["reason"] != "expired" {
		t.Errorf("%s %v", verdict, context)
	}
}

// TestLambdaConcurrency: a managed instance decides several events at once.
func TestLambdaConcurrency(t *testing.T) {
	t.Parallel()
	p, key, _ := lambdaProvider(t)
	fetched, released := make(chan struct{}), make(chan struct{})
	fetch, release := sync.OnceFunc(func() { close(fetched) }), sync.OnceFunc(func() { close(released) })
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetch()
		<-released
		w.Write(p.Keys())
	}))
	t.Cleanup(keys.Close)
	t.Cleanup(release)
	f := authorizer(t, object{
		"credentials": ownCredentials(t), "issuers": []any{object{"issuer": p.URL, "jwks_uri": keys.URL}},
	}, "AWS_LAMBDA_MAX_CONCURRENCY=2")
	token, err := p.Token(key, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	slow := make(chan lambda.Answer, 1)
	go func() {
		a, _ := f.Invoke((&lambda.Request{Headers: [][2]string{bearer(token)}}).Event(lambda.RESTToken))
		slow <- a
	}()
	<-fetched
	quick := &lambda.Request{Headers: [][2]string{bearer(madeToken(t, "HS256", "hs-a", object{"iss": "hs256"}))}}
	if verdict, _ := asks(t, f, lambda.RESTToken, quick); verdict != "200" {
		t.Errorf("while another event waits: %s", verdict)
	}
	release()
	if verdict, _ := verdictOf(t, <-slow); verdict != "200" {
		t.Errorf("the one that has waited: %s", verdict)
	}
}

// TestLambdaBadEvents: whatever comes, the process answers with an error that is
// not remembered, and goes on.
func TestLambdaBadEvents(t *testing.T) {
	t.Parallel()
	f := authorizer(t, object{"credentials": ownCredentials(t)})
	good := &lambda.Request{Headers: [][2]string{bearer(madeToken(t, "HS256", "hs-a", object{"iss": "hs256"}))}}
	arn := func(arn string) string {
		return fmt.Sprintf(`{"type":"TOKEN","authorizationToken":"Bearer x","methodArn":%q}`, arn)
	}
	for name, event := range map[string]string{
		"nothing":               ``,
		"no JSON":               `{`,
		"null":                  `null`,
		"a list":                `[]`,
		"a text":                `"TOKEN"`,
		"no type":               `{"version":"2.0"}`,
		"another type":          `{"type":"JWT"}`,
		"another version":       `{"version":"3.0","type":"SOMETHING"}`,
		"a proxy event":         `{"version":"2.0","routeKey":"$default","rawPath":"/","headers":{}}`,
		"headers are a list":    `{"version":"2.0","type":"REQUEST","headers":[]}`,
		"no ARN":                `{"type":"TOKEN","authorizationToken":"Bearer x"}`,
		"an ARN of S3":          arn("arn:aws:s3:::bucket/a/b"),
		"an ARN for all stages": arn("arn:aws:execute-api:eu-central-1:123456789012:abc/*/GET/"),
		"an ARN for all APIs":   arn("arn:aws:execute-api:eu-central-1:123456789012:*/prod/GET/"),
		"an ARN without stage":  arn("arn:aws:execute-api:eu-central-1:123456789012:abc"),
		"deep":                  `{"type":"REQUEST","headers":` + strings.Repeat(`{"a":`, 20_000) + `1` + strings.Repeat(`}`, 20_000) + `}`,
		"huge":                  `{"type":"TOKEN","authorizationToken":"` + strings.Repeat("x", 5<<20) + `"}`,
	} {
		a, err := f.Invoke([]byte(event))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if verdict, _ := verdictOf(t, a); verdict != "500" {
			t.Errorf("%s: %s %s", name, verdict, a.Body)
		}
	}
	if verdict, _ := asks(t, f, lambda.HTTPv2, good); verdict != "200" {
		t.Errorf("afterwards: %s", verdict)
	}
	if log := f.Log.String(); strings.Contains(log, "panic") {
		t.Error("a panic")
	}
}

// TestLambdaLogs: each line is JSON, says why a request was refused, of which
// event, and holds no token.
func TestLambdaLogs(t *testing.T) {
	t.Parallel()
	f := authorizer(t, object{
		"credentials":      []any{object{"key": "hs256", "secret": string(setup.keys["hs-a"].Secret), "consumer": "alice"}},
		"claims_to_verify": []any{"exp"}, "log_serialize": true,
	})
	good := madeToken(t, "HS256", "hs-a", object{"iss": "hs256"})
	late := madeToken(t, "HS256", "hs-a", object{"iss": "hs256", "exp": time.Now().Unix() - 100})
	for _, token := range []string{good, good, late} {
		asks(t, f, lambda.HTTPv1, &lambda.Request{Headers: [][2]string{bearer(token)}})
	}
	asks(t, f, lambda.RESTRequest, &lambda.Request{})
	poll(t, patience, func() bool { return strings.Contains(f.Log.String(), "request-4") })
	var got []string
	for line := range strings.Lines(strings.TrimSpace(f.Log.String())) {
		var l struct {
			Level, Message, RequestID, Form string
			GoJWT                           object `json:"go_jwt"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		delete(l.GoJWT, "missed_by_seconds")
		got = append(got, fmt.Sprint(l.Level, " ", l.Message, " ", l.RequestID, " ", l.Form, " ", l.GoJWT))
	}
	want := []string{
		"INFO accepted request-1 http_1.0 map[consumer:alice credential:hs256 outcome:accepted]",
		"INFO accepted request-2 http_1.0 map[consumer:alice credential:hs256 outcome:accepted]",
		"INFO refused request-3 http_1.0 map[credential:hs256 outcome:refused reason:expired]",
		"INFO refused request-4 rest_request map[outcome:refused reason:no_token]",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if strings.Contains(f.Log.String(), good[:20]) {
		t.Error("the log holds a token")
	}
}

// TestLambdaSecrets: secrets come from AWS's extension, which answers from the
// first event on, and are asked for once.
func TestLambdaSecrets(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	var ready atomic.Bool
	values := map[string]any{
		"/secretsmanager/get?secretId=jwt%2Fhs":                                object{"SecretString": `{"current":"` + string(setup.keys["hs-a"].Secret) + `"}`},
		"/secretsmanager/get?secretId=whole":                                   object{"SecretString": string(setup.keys["hs-b"].Secret)},
		"/systemsmanager/parameters/get?name=%2Fapp%2Fkey&withDecryption=true": object{"Parameter": object{"Value": setup.keys["rsa-a"].PublicPEM()}},
	}
	extension := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		value, ok := values[r.URL.RequestURI()]
		if !ready.Load() || !ok || r.Header.Get("X-Aws-Parameters-Secrets-Token") != "session" {
			http.Error(w, "not ready to serve traffic, please wait", http.StatusBadRequest)
			return
		}
		json.NewEncoder(w).Encode(value)
	}))
	defer extension.Close()
	f := authorizer(t, object{"credentials": []any{
		object{"key": "key", "secret": "{vault://aws/jwt%2Fhs/current}", "consumer": "a"},
		object{"key": "whole", "secret": "{vault://aws/whole}", "consumer": "b"},
		object{"key": "parameter", "algorithm": "RS256", "public_key": "{vault://ssm/app/key}", "consumer": "c"},
	}}, "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT="+extension.URL[strings.LastIndex(extension.URL, ":")+1:])
	send := func(alg, key, iss string) (verdict string, context object) {
		return asks(t, f, lambda.HTTPv2, &lambda.Request{Headers: [][2]string{bearer(madeToken(t, alg, key, object{"iss": iss}))}})
	}
	if verdict, _ := send("HS256", "hs-a", "key"); verdict != "500" || asked.Load() != 1 {
		t.Errorf("%s before the extension is ready, which was asked %d times", verdict, asked.Load())
	}
	ready.Store(true)
	for _, tt := range [][4]string{{"HS256", "hs-a", "key", "a"}, {"HS256", "hs-b", "whole", "b"}, {"RS256", "rsa-a", "parameter", "c"}} {
		if verdict, context := send(tt[0], tt[1], tt[2]); verdict != "200" || context["principalId"] != tt[3] {
			t.Errorf("%s: %s %v", tt[2], verdict, context)
		}
	}
	if n := asked.Load(); n != 4 {
		t.Errorf("asked %d times, want 4", n)
	}
	for _, secret := range []string{string(setup.keys["hs-a"].Secret), string(setup.keys["hs-b"].Secret)} {
		if strings.Contains(f.Log.String(), secret) {
			t.Error("the log holds a secret")
		}
	}
}

// TestLambdaShadow: nobody is refused, and the log says who would have been.
func TestLambdaShadow(t *testing.T) {
	t.Parallel()
	f := authorizer(t, object{"credentials": ownCredentials(t), "shadow": true})
	bad := madeToken(t, "HS256", "hs-b", object{"iss": "hs256"})
	for _, form := range lambda.Forms() {
		if verdict, _ := asks(t, f, form, &lambda.Request{Headers: [][2]string{bearer(bad)}}); verdict != "200" {
			t.Errorf("%s: %s", form, verdict)
		}
	}
	poll(t, patience, func() bool {
		return strings.Count(f.Log.String(), `{"outcome":"shadowed","reason":"invalid_signature"}`) == 4
	})
}
