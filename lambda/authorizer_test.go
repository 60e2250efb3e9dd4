package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"kong-go-jwt/plugin"
)

// newTestAuthorizer accepts tokens of the issuer k with the returned secret.
func newTestAuthorizer(t testing.TB, response string) (a *authorizer, secret string) {
	t.Helper()
	secret = strings.Repeat("s", 32)
	s, err := readSettings(func(name string) string {
		return map[string]string{
			"GO_JWT_RESPONSE": response,
			"GO_JWT_CONFIG":   `{"credentials":[{"key":"k","secret":"` + secret + `","consumer":"alice"}],"cookie_names":["c"]}`,
		}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	config, err := parseConfig(s.config)
	if err != nil {
		t.Fatal(err)
	}
	a = newAuthorizer(s, config, newSecrets(func(string) (string, bool) { return "", false }), slog.New(slog.DiscardHandler))
	t.Cleanup(a.store.Close)
	return a, secret
}

const testARN = "arn:aws:execute-api:eu-central-1:123456789012:abc/prod/GET/x"

// FuzzInvoke: whatever an event is, nothing without a good token is let in, and
// nothing panics.
func FuzzInvoke(f *testing.F) {
	for _, seed := range []string{
		`{"type":"TOKEN","methodArn":"` + testARN + `","authorizationToken":"Bearer a.b.c"}`,
		`{"type":"REQUEST","methodArn":"` + testARN + `","headers":{"authorization":"Bearer a.b.c"},"multiValueHeaders":{"cookie":["c=1","c=2"]},"multiValueQueryStringParameters":{"jwt":["x","y"]}}`,
		`{"version":"1.0","type":"REQUEST","methodArn":"` + testARN + `","identitySource":"a,b","headers":{"Authorization":"bearer x"},"queryStringParameters":{"jwt":""}}`,
		`{"version":"2.0","type":"REQUEST","routeArn":"` + testARN + `","identitySource":["a"],"rawQueryString":"jwt&jwt=%zz","cookies":["c=x"],"headers":null}`,
		`{"version":"2.0","type":"REQUEST","identitySource":{"a":1}}`, `null`, `[]`, ``,
	} {
		f.Add([]byte(seed))
	}
	simple, _ := newTestAuthorizer(f, "simple")
	policy, _ := newTestAuthorizer(f, "policy")
	for _, a := range []*authorizer{simple, policy} {
		a.log = slog.New(panics{f})
	}
	f.Fuzz(func(t *testing.T, event []byte) {
		for _, a := range []*authorizer{simple, policy} {
			answer, err := a.Invoke(context.Background(), event)
			if (answer == nil) == (err == nil) {
				t.Fatalf("answer %s, error %v", answer, err)
			}
			if bytes.Contains(answer, []byte(`"Allow"`)) || bytes.Contains(answer, []byte(`"isAuthorized":true`)) {
				t.Fatalf("let in: %s", answer)
			}
		}
	})
}

// panics is a log that fails the test when a panic is told of.
type panics struct{ t testing.TB }

func (h panics) Enabled(context.Context, slog.Level) bool { return true }
func (h panics) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "panic" {
		panic("in Invoke")
	}
	return nil
}
func (h panics) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h panics) WithGroup(string) slog.Handler      { return h }

// A panic is an answer that API Gateway does not remember, and not the end.
func TestPanic(t *testing.T) {
	a, _ := newTestAuthorizer(t, "")
	a.secrets, a.engine, a.config = nil, nil, map[string]any{"credentials": []any{map[string]any{"secret": "{vault://env/x}"}}}
	if answer, err := a.Invoke(context.Background(), []byte(`{"type":"TOKEN","methodArn":"`+testARN+`"}`)); answer != nil || err != errUndecided { //nolint:errorlint // that very one
		t.Errorf("%s %v", answer, err)
	}
}

func TestStage(t *testing.T) {
	for arn, want := range map[string]string{
		testARN: "arn:aws:execute-api:eu-central-1:123456789012:abc/prod/*",
		"arn:aws-cn:execute-api:cn-north-1:123456789012:abc/$default/POST/a:b/c":    "arn:aws-cn:execute-api:cn-north-1:123456789012:abc/$default/*",
		"arn:aws:execute-api:eu-central-1:123456789012:abc/prod/$connect":           "arn:aws:execute-api:eu-central-1:123456789012:abc/prod/*",
		"arn:aws:execute-api:eu-central-1:123456789012:abc/ESTestInvoke-stage/GET/": "arn:aws:execute-api:eu-central-1:123456789012:abc/ESTestInvoke-stage/*",
		"arn:aws:execute-api:eu-central-1:123456789012:abc/prod/GET/*/?":            "arn:aws:execute-api:eu-central-1:123456789012:abc/prod/*",
		"arn:aws:execute-api:eu-central-1:123456789012:abc/pr?d/GET/":               "",
		"arn:aws:execute-api:eu-central-1:123456789012:/prod/GET/":                  "",
		"arn:aws:execute-api:*:123456789012:abc/prod/GET/":                          "",
		"arn:aws:execute-api:eu-central-1::abc/prod/GET/":                           "",
		"arn:aws:execute-api:eu-central-1:123456789012:abc/prod":                    "",
		"arn:aws:lambda:eu-central-1:123456789012:abc/prod/GET/":                    "",
		"": "",
	} {
		if got, err := stage(arn); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %s %v, want %s", arn, got, err, want)
		}
	}
}

// TestRemembered: a token counts only if API Gateway remembers the answer by it.
func TestRemembered(t *testing.T) {
	a, secret := newTestAuthorizer(t, "")
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(`{"alg":"HS256"}`)) + "." + b64([]byte(`{"iss":"k"}`))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	token := signed + "." + b64(mac.Sum(nil))
	const rest, v1, v2 = `{"type":"REQUEST","methodArn":"` + testARN + `",`, `{"version":"1.0","type":"REQUEST","methodArn":"` + testARN + `",`, `{"version":"2.0","type":"REQUEST",`
	for name, tt := range map[string]struct {
		event string
		good  bool
	}{
		"REST, in the header":                {rest + `"headers":{"Authorization":"Bearer §"}}`, true},
		"REST, in the query":                 {rest + `"queryStringParameters":{"jwt":"§"}}`, true},
		"REST, in the query, other header":   {rest + `"headers":{"Authorization":"x"},"queryStringParameters":{"jwt":"§"}}`, false},
		"REST, in the query, other cookies":  {rest + `"headers":{"cookie":"x=1"},"queryStringParameters":{"jwt":"§"}}`, false},
		"REST, in a cookie":                  {rest + `"headers":{"cookie":"x=1; c=§"}}`, true},
		"REST, header twice":                 {rest + `"multiValueHeaders":{"Authorization":["Bearer §","Bearer x"]}}`, false},
		"REST, header in two spellings":      {rest + `"headers":{"Authorization":"Bearer §","authorization":"Bearer x"}}`, false},
		"REST, the same header twice":        {rest + `"multiValueHeaders":{"Authorization":["Bearer §","Bearer §"]}}`, true},
		"1.0, by the header":                 {v1 + `"identitySource":"Bearer §","headers":{"authorization":"Bearer §"}}`, true},
		"1.0, by something else":             {v1 + `"identitySource":"1.2.3.4","headers":{"authorization":"Bearer §"}}`, false},
		"1.0, by the header and another":     {v1 + `"identitySource":"1.2.3.4,Bearer §","headers":{"authorization":"Bearer §"}}`, true},
		"2.0, by something else":             {v2 + `"identitySource":["1.2.3.4"],"headers":{"authorization":"Bearer §"}}`, false},
		"2.0, by the header and another":     {v2 + `"identitySource":["1.2.3.4","Bearer §"],"headers":{"authorization":"Bearer §"}}`, true},
		"2.0, by nothing, which is no array": {v2 + `"identitySource":{},"headers":{"authorization":"Bearer §"}}`, false},
		"2.0, not remembered":                {v2 + `"identitySource":null,"headers":{"authorization":"Bearer §"}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			answer, err := a.Invoke(context.Background(), []byte(strings.ReplaceAll(tt.event, "§", token)))
			if !tt.good && err != errUnauthorized || tt.good && err != nil { //nolint:errorlint // that very one
				t.Errorf("%s %v", answer, err)
			}
		})
	}
}

// TestUsageIdentifierKey: the API key of the caller's usage plan is the
// principal's name, unless a claim is it.
func TestUsageIdentifierKey(t *testing.T) {
	for name, tt := range map[string]struct {
		headers []plugin.Header
		want    string
	}{
		"principal": {nil, `"usageIdentifierKey":"alice"`},
		"claim":     {[]plugin.Header{{Name: "usageIdentifierKey", Value: "plan"}}, `"usageIdentifierKey":"plan"`},
	} {
		t.Run(name, func(t *testing.T) {
			answer := encodeGrant(&plugin.Grant{Identity: &plugin.Identity{Consumer: &plugin.Consumer{Username: "alice"}}, Headers: tt.headers})
			if text := grantedOf(&answer).policyFor("resource"); !strings.HasSuffix(string(text), tt.want+"}") {
				t.Errorf("%s, want %s", text, tt.want)
			}
		})
	}
}

// TestPolicyFor: a policy is for the stage of the event, whatever the token says.
func TestPolicyFor(t *testing.T) {
	for name, value := range map[string]string{"plain": "x", "placeholder": placeholder, "quoted": `["` + placeholder + `"]`, "a line": "a\nb"} {
		t.Run(name, func(t *testing.T) {
			answer := encodeGrant(&plugin.Grant{
				Identity: &plugin.Identity{Consumer: &plugin.Consumer{Username: value}}, Headers: []plugin.Header{{Name: "role", Value: value}},
			})
			var got events.APIGatewayCustomAuthorizerResponse
			if err := json.Unmarshal(grantedOf(&answer).policyFor("res\"ource"), &got); err != nil {
				t.Fatal(err)
			}
			want := policy("Allow", value, `res"ource`, map[string]any{"role": value})
			want.UsageIdentifierKey = value
			if !reflect.DeepEqual(&got, want) {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}
