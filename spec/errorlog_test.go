package spec_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kong-go-jwt/spec/conformance"
)

// errorLine is a line of the plugin in Kong's error log, which Kong has added
// the request to.
var errorLine = regexp.MustCompile(`\[(\w+)\] .*\[kong\] \S+ go-jwt: (.*), client: 127\.0\.0\.1, server: kong, request: "(\S+ \S+) HTTP/1\.1", host: "[^"]*", request_id: "[0-9a-f]+"`)

// errorLines are the lines of the plugin in the error log of a Kong whose
// log_level is the default: "level TEXT, request".
func (g *gateway) errorLines() (lines []string) {
	for _, m := range errorLine.FindAllStringSubmatch(g.log.String(), -1) {
		lines = append(lines, m[1]+" "+m[2]+", "+m[3])
	}
	return lines
}

// seesLine waits for a line of the plugin in Kong's error log.
func (g *gateway) seesLine(t *testing.T, want *regexp.Regexp) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for ; time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for _, l := range g.errorLines() {
			if want.MatchString(l) {
				return
			}
		}
	}
	t.Errorf("Kong's error log has no line like\n%s\nbut\n%s", want, strings.Join(g.errorLines(), "\n"))
}

const uuid = `[0-9a-f-]{36}`

// TestErrorLog: what somebody must mend is in the error log of a default Kong.
func TestErrorLog(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	const aside = "not about this request: "
	where := fmt.Sprintf("plugin=%s route=%s", uuid, uuid)
	own := func(config object) []any {
		return jwt(object{"claims_to_verify": []any{"exp"}, "credentials": []any{config}})
	}
	for name, tt := range map[string]struct {
		plugins []any
		token   string
		status  int
		want    string // a regular expression
	}{
		"configuration refused": {
			own(object{"key": "k", "algorithm": "RS256", "public_key": "-----BEGIN PUBLIC KEY-----", "consumer": "alice"}), "", 500,
			`error configuration refused: .* why="config\.credentials\[1\]\.public_key: .*" ` + where + `, GET /r`,
		},
		"issuer's keys not fetched": {
			jwt(object{"issuers": []any{object{"issuer": "i", "jwks_uri": "http://127.0.0.1:1/"}}}), tokenOf(t, "i", "rsa-a", "RS256"), 503,
			`error request refused reason=lookup_failed why="issuer i: .*connection refused.*", GET /r`,
		},
		"issuer's keys, once": {
			jwt(object{"issuers": []any{object{"issuer": "i", "jwks_uri": "http://127.0.0.1:1/"}}}), tokenOf(t, "i", "rsa-a", "RS256"), 503,
			`warn ` + aside + `cannot fetch the issuer's keys issuer=i error=".*", GET /r`,
		},
		"revocation list not fetched": {
			jwt(object{"revocations": []any{object{"url": "http://127.0.0.1:1/list?key=hunter2"}}}), claimsToken(t, nil), 503,
			`warn ` + aside + `cannot fetch a revocation list error="http://127\.0\.0\.1:1/list: .*connection refused.*" on_failure=closed, GET /r`,
		},
		"revocation list not known": {
			jwt(object{"revocations": []any{object{"url": "http://127.0.0.1:1/list?key=hunter2"}}}), claimsToken(t, nil), 503,
			`error request refused reason=revocation_unknown why="revocation list http://127\.0\.0\.1:1/list was never fetched, or its last copy is too old", GET /r`,
		},
		"consumer that does not exist": {
			own(object{"key": "k", "secret": inlineSecret, "consumer": "nobody"}), expiring(t, "k"), 401,
			`warn problem with a credential why="credential with key \\"k\\": its consumer \\"nobody\\" does not exist", GET /r`,
		},
		"weak secret": {
			own(object{"key": "k", "secret": "hunter2", "consumer": "alice"}), "", 401,
			`warn ` + aside + `credential has a secret that is shorter than the hash \(RFC 7518 section 3\.2\) credential=k key=k, GET /r`,
		},
		"shadow": {
			jwt(object{"shadow": true}), "", 200,
			`warn ` + aside + `config\.shadow is on: nobody is refused, and nothing is protected ` + where + `, GET /r`,
		},
		"shadow, refused": {jwt(object{"shadow": true}), "bad", 200, `warn shadow: would be refused reason=malformed_token, GET /r`},
		"shadow, not decided": {
			jwt(object{"shadow": true, "revocations": []any{object{"url": "http://127.0.0.1:1/list"}}}), claimsToken(t, nil), 200,
			`warn shadow: would be refused reason=revocation_unknown why="revocation list .*", GET /r`,
		},
		"tokens never expire": {
			jwt(object{}), "", 401,
			`warn ` + aside + `this configuration may be a mistake why="config\.claims_to_verify: does not contain exp: tokens never expire" ` + where + `, GET /r`,
		},
		"nowhere to look": {
			jwt(object{"header_names": []any{}, "uri_param_names": []any{}}), "", 401,
			`warn ` + aside + `this configuration may be a mistake why="config\.header_names: no token can be found: .*" ` + where,
		},
		"anonymous that is nobody": {
			jwt(object{"anonymous": "nobody"}), "", 500,
			`error request refused reason=unknown_anonymous why="config\.anonymous: there is no consumer \\"nobody\\"", GET /r`,
		},
		"refused": {
			jwt(object{"claims_to_verify": []any{"exp"}}), claimsToken(t, object{"exp": time.Now().Unix() - 1000}), 401,
			`notice request refused reason=expired credential=hs256 missed_by_seconds=1\d{3} why=".*", GET /r`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := withRoutes(t, map[string][]any{"/r": tt.plugins}, nil)
			want := regexp.MustCompile(tt.want)
			var headers [][2]string
			if tt.token != "" {
				headers = append(headers, bearer(tt.token))
			}
			// A line about nothing in particular may have to wait for a second request.
			poll(t, patience, func() bool {
				if a := g.send(t, "GET", "/r", headers...); a.status != tt.status {
					t.Fatalf("%d %s", a.status, a.body)
				}
				return want.MatchString(strings.Join(g.errorLines(), "\n"))
			})
			g.holdsNoSecret(t, tt.token)
		})
	}
}

const inlineSecret = "a secret that is at least 32 bytes long"

// expiring is a token for a credential with that key and inlineSecret.
func expiring(t *testing.T, key string) string {
	t.Helper()
	token, err := conformance.Token{
		Alg: "HS256", Key: "literal:" + inlineSecret, Claims: object{"iss": key, "exp": time.Now().Unix() + 600},
	}.Make(setup.keys)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// holdsNoSecret: neither log has a secret or the token.
func (g *gateway) holdsNoSecret(t *testing.T, token string) {
	t.Helper()
	for _, secret := range []string{token, inlineSecret, "hunter2"} {
		if secret != "" && len(secret) > 5 && strings.Contains(g.log.String()+g.pluginOutput(t), secret) {
			t.Error("a log has a secret or a token")
		}
	}
}

// TestErrorLogNamesCredential: a credential that cannot be used is named by key
// and id at each request that needs it, and never shown.
func TestErrorLogNamesCredential(t *testing.T) {
	needsLookups(t)
	t.Parallel()
	config := copyConfig(t, specConfig(t))
	alice := consumer(t, config, conformance.Alice)
	const id = "5ec5e700-0000-4000-8000-000000000002"
	public := smallRSA(t)
	alice["jwt_secrets"] = append(list(alice["jwt_secrets"]), object{"id": id, "key": "small", "algorithm": "RS256", "rsa_public_key": public})
	g := startGateway(t, config)
	g.send(t, "GET", "/plain", bearer(tokenOf(t, "small", "rsa-a", "RS256")))
	g.seesLine(t, regexp.MustCompile(`^warn problem with a credential why="credential `+id+` with key \\"small\\" cannot be used: .*", GET /plain$`))
	if strings.Contains(g.log.String()+g.pluginOutput(t), strings.Split(public, "\n")[1]) {
		t.Error("a log has the key")
	}
}

// TestErrorLogTellsOfRevocation: while changes of credentials are not reported, revoking
// one takes longer. That is told, and that it is over.
func TestErrorLogTellsOfRevocation(t *testing.T) {
	needsAdminAPI(t)
	if byNode() {
		t.Skip("the Admin API is not asked")
	}
	t.Parallel()
	g := startGateway(t, specConfig(t))
	for _, step := range [][2]string{
		{"500", `warn not about this request: changes of credentials are not reported: revoking one takes longer store=admin why=".*status 500.*", GET /plain`},
		{"none", `warn not about this request: changes of credentials are reported again store=admin, GET /plain`},
	} {
		g.post(t, "/__faults", object{"of": "admin", "mode": step[0]})
		want := regexp.MustCompile(step[1])
		poll(t, patience, func() bool {
			g.send(t, "GET", "/plain")
			return want.MatchString(strings.Join(g.errorLines(), "\n"))
		})
	}
}

// TestErrorLogIsBounded: however many requests are refused, Kong's error log has
// one line a second of a kind, with the number of those left out; what the plugin
// prints is not in it.
func TestErrorLogIsBounded(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	g := specGateway(t)
	began := time.Now()
	for range 200 {
		g.send(t, "GET", "/plain", bearer("bad"))
	}
	took := time.Since(began)
	lines := regexp.MustCompile(`notice request refused reason=malformed_token`).FindAllString(strings.Join(g.errorLines(), "\n"), -1)
	if most := 1 + int(took.Seconds()); len(lines) < 1 || len(lines) > most {
		t.Errorf("%d lines in %v", len(lines), took)
	}
	poll(t, patience, func() bool {
		g.send(t, "GET", "/plain", bearer("bad"))
		return regexp.MustCompile(`reason=malformed_token why="[^"]*" unlogged=\d+, GET /plain`).MatchString(strings.Join(g.errorLines(), "\n"))
	})
	if strings.Contains(g.log.String(), "level=") || !strings.Contains(g.pluginOutput(t), "level=INFO") {
		t.Error("what the plugin prints is in Kong's error log, or is not printed")
	}
}

// smallRSA is the PEM of an RSA key that is too small to be used.
func smallRSA(t *testing.T) string {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// TestLogEntryOfTrace: what a logging plugin writes of a refused request tells the
// request's id and trace beside go_jwt, and the error log the same id.
func TestLogEntryOfTrace(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	file := filepath.Join(t.TempDir(), "entries")
	g := withRoutes(t, map[string][]any{"/traced": append(
		jwt(object{"log_serialize": true}), object{"name": "file-log", "config": object{"path": file}},
	)}, nil)
	if a := g.send(t, "GET", "/traced", bearer("x.y.z"), [2]string{"traceparent", trace}); a.status != 401 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	var entry struct {
		GoJWT   object `json:"go_jwt"`
		Request struct {
			ID      string
			Headers object
		}
	}
	poll(t, patience, func() bool {
		text, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(text, &entry) == nil
	})
	if entry.GoJWT["reason"] != "malformed_token" || entry.Request.ID == "" || entry.Request.Headers["traceparent"] != trace {
		t.Errorf("%+v", entry)
	}
	poll(t, patience, func() bool { return strings.Contains(g.log.String(), `request_id: "`+entry.Request.ID+`"`) })
}
