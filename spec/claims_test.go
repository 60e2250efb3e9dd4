package spec_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"kong-go-jwt/spec/conformance"
)

// claimsToken is a token of alice's with these claims beside.
func claimsToken(t *testing.T, claims object) string {
	t.Helper()
	all := map[string]any{"iss": "hs256"}
	maps.Copy(all, claims)
	token, err := conformance.Token{Alg: "HS256", Key: "hs-a", Claims: all}.Make(setup.keys)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

const alice = "alice|hs256|"

func TestClaimsChecked(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	now := time.Now().Unix()
	g := withRoutes(t, map[string][]any{
		"/audience": jwt(object{"audience_required": []any{"api", "web"}}),
		"/issuer":   jwt(object{"issuers_allowed": []any{"someone"}}),
		"/scope":    jwt(object{"scopes_required": []any{"read write", "admin"}, "realm": "r"}),
		"/scp":      jwt(object{"scopes_required": []any{"read"}, "scopes_claim": []any{"ext", "scp"}}),
		"/role":     jwt(object{"claims_required": []any{object{"claim": []any{"role"}, "value": "admin"}}}),
		"/roles":    jwt(object{"claims_required": []any{object{"claim": []any{"realm_access", "roles"}, "value": "admin", "match": "contains"}}}),
		"/leeway":   jwt(object{"claims_to_verify": []any{"exp", "nbf"}, "leeway": 300}), // more than a busy machine takes
	}, nil)
	for name, tt := range map[string]struct {
		path   string
		claims object
		want   string
	}{
		"audience":           {"/audience", object{"aud": []any{"x", "web"}}, alice},
		"other audience":     {"/audience", object{"aud": "x"}, `401 {"aud":"audience not allowed"}`},
		"issuer not allowed": {"/issuer", nil, `401 {"iss":"issuer not allowed"}`},
		"scopes together":    {"/scope", object{"scope": "x write read"}, alice},
		"the other scope":    {"/scope", object{"scope": []any{"admin"}}, alice},
		"not enough scope":   {"/scope", object{"scope": "read"}, `403 {"message":"Insufficient scope"}`},
		"scopes elsewhere":   {"/scp", object{"ext": object{"scp": []any{"read"}}}, alice},
		"role":               {"/role", object{"role": "admin"}, alice},
		"other role":         {"/role", object{"role": "user"}, `403 {"message":"Claim 'role' does not have the required value"}`},
		"roles":              {"/roles", object{"realm_access": object{"roles": []any{"user", "admin"}}}, alice},
		"other roles":        {"/roles", object{"realm_access": object{"roles": []any{"user"}}}, `403 {"message":"Claim 'realm_access.roles' does not have the required value"}`},
		"within leeway":      {"/leeway", object{"exp": now - 10, "nbf": now + 10}, alice},
		"beyond leeway":      {"/leeway", object{"exp": now - 400, "nbf": now}, `401 {"exp":"token expired"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := g.send(t, "GET", tt.path, bearer(claimsToken(t, tt.claims)))
			if got := identityOf(a); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if a.status == 403 && tt.path == "/scope" {
				if got, want := a.header.Get("WWW-Authenticate"), `Bearer realm="r", error="insufficient_scope", scope="read write"`; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	}
}

func TestClaimsToHeaders(t *testing.T) {
	needsGateway(t)
	eachWay(t, func(t *testing.T, way ...string) {
		headers := []any{
			object{"header": "X-User", "claim": []any{"sub"}},
			object{"header": "X-Roles", "claim": []any{"realm", "roles"}},
			object{"header": "X-Each", "claim": []any{"realm", "roles"}, "values": "repeat"},
		}
		g := withRoutes(t, map[string][]any{
			"/a": jwt(object{"claims_to_headers": headers}),
			"/b": jwt(object{"claims_to_headers": headers, "anonymous": "anonymous-user", "run_on_preflight": false}),
			"/s": jwt(object{"claims_to_headers": headers, "shadow": true}),
		}, nil, way...)
		evil := [][2]string{{"X-User", "evil"}, {"x_user", "evil"}, {"X_Roles", "evil"}, {"X-EACH", "evil"}, {"X-Each", "root"}}
		for name, tt := range map[string]struct {
			method, path string
			claims       object // nil: no token
			want         map[string][]string
		}{
			"all": {"GET", "/a", object{"sub": "u", "realm": object{"roles": []any{"x", "y,z"}}}, map[string][]string{
				"X-User": {"u"}, "X-Roles": {"x,y%2Cz"}, "X-Each": {"x", "y,z"},
			}},
			"number and boolean": {"GET", "/a", object{"sub": 42, "realm": object{"roles": true}}, map[string][]string{
				"X-User": {"42"}, "X-Roles": {"true"}, "X-Each": {"true"},
			}},
			"injection": {"GET", "/a", object{"sub": "u\r\nX-Consumer-Username: root\x00"}, map[string][]string{
				"X-User": {"u%0D%0AX-Consumer-Username: root%00"},
			}},
			"absent":       {"GET", "/a", object{}, map[string][]string{}},
			"anonymous":    {"GET", "/b", nil, map[string][]string{}},
			"preflight":    {"OPTIONS", "/b", nil, map[string][]string{}},
			"shadow":       {"GET", "/s", nil, map[string][]string{}},
			"shadow, good": {"GET", "/s", object{"sub": "u"}, map[string][]string{"X-User": {"u"}}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				send := evil
				if tt.claims != nil {
					send = append([][2]string{bearer(claimsToken(t, tt.claims))}, evil...)
				}
				for range 2 {
					a := g.send(t, tt.method, tt.path, send...)
					if a.upstream == nil {
						t.Fatalf("%d %s", a.status, a.body)
					}
					got := map[string][]string{}
					for name, values := range a.upstream.Headers {
						if n := strings.ReplaceAll(strings.ToLower(name), "_", "-"); n == "x-user" || n == "x-roles" || n == "x-each" {
							got[name] = values
						}
					}
					if !reflect.DeepEqual(got, tt.want) {
						t.Errorf("got %v, want %v", got, tt.want)
					}
				}
			})
		}
		t.Run("Connection names one", func(t *testing.T) {
			a := g.send(t, "GET", "/a", bearer(claimsToken(t, object{"sub": "u"})), [2]string{"Connection", "X-User"})
			if a.status != 400 || a.upstream != nil {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	})
}

func TestHideCredentials(t *testing.T) {
	needsGateway(t)
	eachWay(t, func(t *testing.T, way ...string) {
		g := withRoutes(t, map[string][]any{"/a": jwt(object{
			"hide_credentials": true, "cookie_names": []any{"jwt"}, "header_names": []any{"authorization", "x-token", "x_key"},
		})}, nil, way...)
		token := claimsToken(t, nil)
		for name, tt := range map[string]struct {
			target  string
			headers [][2]string
			uri     string
			want    map[string][]string // nil value: gone
		}{
			"header":            {"/a?x=%41&y", [][2]string{bearer(token)}, "/?x=%41&y", map[string][]string{"Authorization": nil}},
			"other header":      {"/a", [][2]string{{"X-Token", "bearer " + token}, {"Authorization", "Basic eDp5"}}, "/", map[string][]string{"X-Token": nil, "Authorization": {"Basic eDp5"}}},
			"a second one":      {"/a", [][2]string{{"X-Token", "bearer " + token}, {"X-Token", "other"}}, "/", map[string][]string{"X-Token": {"other"}}},
			"any case":          {"/a", [][2]string{{"Authorization", "BEARER " + token}}, "/", map[string][]string{"Authorization": nil}},
			"underscore":        {"/a", [][2]string{{"X_Key", "Bearer " + token}}, "/", map[string][]string{"X_Key": nil}},
			"spelt with a dash": {"/a", [][2]string{{"X-Key", "Bearer " + token}}, "/", map[string][]string{"X-Key": nil}},
			"in both spellings": {"/a", [][2]string{{"X_Key", "Bearer " + token}, {"X-Key", "Bearer " + token}}, "/", map[string][]string{"X_key": nil, "X-Key": nil}},
			"behind commas":     {"/a", [][2]string{{"Cookie", "a=b,jwt=" + token + ";,jwt=x;c=d"}}, "/", map[string][]string{"Cookie": {"a=b;c=d"}}},
			"query":             {"/a?x=%41&jwt=" + token + "&y=%26&&z", nil, "/?x=%41&y=%26&&z", nil},
			"cookie":            {"/a", [][2]string{{"Cookie", "a=b; jwt=" + token + "; c=d"}}, "/", map[string][]string{"Cookie": {"a=b; c=d"}}},
			"everywhere": {
				"/a?jwt=" + token, [][2]string{{"Cookie", "jwt=" + token}, bearer(token)}, "/", map[string][]string{"Cookie": nil, "Authorization": nil},
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				a := g.send(t, "GET", tt.target, tt.headers...)
				if a.upstream == nil {
					t.Fatalf("%d %s", a.status, a.body)
				}
				if uri := strings.TrimSuffix(a.upstream.URI, "?"); uri != tt.uri {
					t.Errorf("uri %s, want %s", uri, tt.uri)
				}
				for name, want := range tt.want {
					if got := a.upstream.Headers[name]; !reflect.DeepEqual(got, want) {
						t.Errorf("%s: got %q, want %q", name, got, want)
					}
				}
				if text, _ := json.Marshal(a.upstream); strings.Contains(string(text), token) {
					t.Errorf("the upstream got the token: %s", text)
				}
			})
		}
	})
}

func TestGroups(t *testing.T) {
	t.Parallel()
	p, key, args := provider(t)
	issuer := []any{object{"issuer": p.URL, "consumer_optional": true}}
	acl := func(always bool, rule string) object {
		return object{"name": "acl", "config": object{rule: []any{"staff"}, "always_use_authenticated_groups": always}}
	}
	claim := []any{"groups"}
	config := copyConfig(t, specConfig(t))
	for _, name := range []string{conformance.Alice, conformance.Anonymous} {
		consumer(t, config, name)["acls"] = []any{object{"group": "staff"}}
	}
	service, _ := list(config["services"])[0].(object)
	for path, plugins := range map[string][]any{
		"/issuer":        append(jwt(object{"issuers": issuer, "groups_claim": claim}), acl(false, "allow")),
		"/issuer-always": append(jwt(object{"issuers": issuer, "groups_claim": claim}), acl(true, "allow")),
		"/issuer-deny":   append(jwt(object{"issuers": issuer, "groups_claim": claim}), acl(false, "deny")),
		"/no-claim":      append(jwt(object{"issuers": issuer}), acl(false, "allow")),
		"/always":        append(jwt(object{"groups_claim": claim}), acl(true, "allow")),
		"/own":           append(jwt(object{"groups_claim": claim}), acl(false, "allow")),
		"/guest":         append(jwt(object{"groups_claim": claim, "anonymous": "anonymous-user"}), acl(true, "allow")),
	} {
		service["routes"] = append(list(service["routes"]), object{"name": path[1:], "paths": []any{path}, "plugins": plugins})
	}
	for i, arg := range args {
		args[i] = "-plugin-arg=" + arg
	}
	g := startGateway(t, config, args...)
	const nobody = "" // sends no token
	for name, tt := range map[string]struct {
		path, sub string
		groups    any
		status    int
	}{
		"without a consumer":                {"/issuer", "stranger", []any{"x", "staff"}, 200},
		"without a consumer, text":          {"/issuer", "stranger", "staff", 200},
		"without a consumer, refused":       {"/issuer", "stranger", []any{"x"}, 403},
		"without a consumer, empty list":    {"/issuer", "stranger", []any{}, 403},
		"without a consumer, without claim": {"/issuer", "stranger", nil, 403},
		"always":                            {"/issuer-always", "stranger", []any{"staff"}, 200},
		"always, refused":                   {"/issuer-always", "stranger", []any{"x"}, 403},
		"always, without claim":             {"/issuer-always", "stranger", nil, 403},
		"deny, others":                      {"/issuer-deny", "stranger", []any{"x"}, 200},
		"deny, without claim":               {"/issuer-deny", "stranger", nil, 200},
		"deny, refused":                     {"/issuer-deny", "stranger", []any{"staff"}, 403},
		"no groups_claim":                   {"/no-claim", "stranger", []any{"staff"}, 403},
		"with a consumer":                   {"/always", "alice", []any{"staff"}, 200},
		"with a consumer, text":             {"/always", "alice", "staff", 200},
		"with a consumer, refused":          {"/always", "alice", []any{}, 403},
		"with a consumer, without claim":    {"/always", "alice", nil, 403},
		"the consumer's own":                {"/own", "alice", []any{}, 200},
		"the anonymous consumer's own":      {"/guest", nobody, nil, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var headers [][2]string
			switch claims := (object{"sub": tt.sub, "groups": tt.groups}); tt.sub {
			case nobody:
			case "alice":
				headers = append(headers, bearer(claimsToken(t, claims)))
			default:
				token, err := p.Token(key, claims, nil)
				if err != nil {
					t.Fatal(err)
				}
				headers = append(headers, bearer(token))
			}
			for range 2 {
				if a := g.send(t, "GET", tt.path, headers...); a.status != tt.status {
					t.Errorf("%d %s, want %d", a.status, a.body, tt.status)
				}
			}
		})
	}
}

func TestRollOut(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	g := withRoutes(t, map[string][]any{
		"/missing": jwt(object{"anonymous": "anonymous-user", "anonymous_on": []any{"missing"}}),
		"/invalid": jwt(object{"anonymous": "anonymous-user", "anonymous_on": []any{"invalid"}}),
		"/shadow":  jwt(object{"shadow": true}),
		"/beside":  append(jwt(object{"shadow": true}), object{"name": "key-auth"}),
	}, nil)
	const nobody, invalid, missing, guest = "||", `401 {"message":"Bad token; invalid JSON"}`, `401 {"message":"Unauthorized"}`, "anonymous-user||true"
	good := claimsToken(t, nil)
	for name, tt := range map[string]struct {
		path  string
		token string
		extra [][2]string
		want  string
	}{
		"missing, no token":   {"/missing", "", nil, guest},
		"missing, bad token":  {"/missing", "bad", nil, invalid},
		"missing, good token": {"/missing", good, nil, alice},
		"invalid, no token":   {"/invalid", "", nil, missing},
		"invalid, bad token":  {"/invalid", "bad", nil, guest},
		"shadow, no token":    {"/shadow", "", [][2]string{{"X-Consumer-Username", "root"}, {"X_Consumer_ID", "root"}}, nobody},
		"shadow, bad token":   {"/shadow", "bad", nil, nobody},
		"shadow, good token":  {"/shadow", good, nil, alice},
		"shadow, Connection":  {"/shadow", good, [][2]string{{"Connection", "X-Consumer-ID"}}, nobody},
		"beside key-auth":     {"/beside", "bad", [][2]string{{"apikey", "bobs-key"}}, "bob|00000000-0000-4000-8000-0000000000b0|"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := tt.extra
			if tt.token != "" {
				headers = append(headers, bearer(tt.token))
			}
			if got := identityOf(g.send(t, "GET", tt.path, headers...)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	t.Cleanup(func() {
		g.prints(t, "shadow is on", 1)
		if log := g.prints(t, "shadow: would be refused", 1); strings.Contains(log, good) {
			t.Error("the token is in the log")
		}
	})
}

func TestLogSerialize(t *testing.T) {
	t.Parallel()
	p, key, args := provider(t)
	file := filepath.Join(t.TempDir(), "access.log")
	g := withRoutes(t, map[string][]any{
		"/a": jwt(object{
			"log_serialize": true, "issuers": []any{object{"issuer": p.URL}}, "claims_to_verify": []any{"exp"},
			"log_claims": []any{[]any{"tenant", "id"}, []any{"roles"}},
		}),
		"/b": jwt(object{"log_serialize": true, "anonymous": "anonymous-user"}),
	}, args, "-access-log", file)
	issued, err := p.Token(key, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	soon := time.Now().Unix() + 600
	good := claimsToken(t, object{"exp": soon, "tenant": object{"id": 7}, "roles": []any{"r", "w"}})
	bad, late := tokenOf(t, "hs256", "hs-b", "HS256"), claimsToken(t, object{"exp": soon - 1600, "roles": "r"})
	claims := object{"tenant.id": "7", "roles": []any{"r", "w"}}
	want := []object{
		{"outcome": "accepted", "consumer": conformance.Alice, "credential": "hs256", "claims": claims},
		{"outcome": "accepted", "consumer": conformance.Alice, "credential": "hs256", "claims": claims}, // from the cache
		{"outcome": "accepted", "consumer": conformance.Alice, "credential": "alice", "issuer": p.URL, "kid": key.ID},
		{"outcome": "refused", "reason": "invalid_signature", "credential": "hs256"},
		{"outcome": "refused", "reason": "expired", "credential": "hs256", "claims": object{"roles": "r"}},
		{"outcome": "refused", "reason": "no_token"},
		{"outcome": "anonymous", "reason": "no_token", "consumer": conformance.Anonymous},
	}
	for i, request := range []struct {
		path, token string
		status      int
	}{{"/a", good, 200}, {"/a", good, 200}, {"/a", issued, 200}, {"/a", bad, 401}, {"/a", late, 401}, {"/a", "", 401}, {"/b", "", 200}} {
		var headers [][2]string
		if request.token != "" {
			headers = append(headers, bearer(request.token))
		}
		if a := g.send(t, "GET", request.path, headers...); a.status != request.status {
			t.Errorf("%d: %d %s", i, a.status, a.body)
		}
	}
	var lines []string
	poll(t, patience, func() bool {
		text, _ := os.ReadFile(file)
		lines = strings.Split(strings.TrimSpace(string(text)), "\n")
		return len(lines) == len(want)
	})
	for i, line := range lines {
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		told, _ := got["go_jwt"].(map[string]any)
		if missed, ok := told["missed_by_seconds"].(float64); ok != (told["reason"] == "expired") || ok && (missed < 1000 || missed > 2000) {
			t.Errorf("%d: missed by %v seconds", i, told["missed_by_seconds"])
		}
		delete(told, "missed_by_seconds") // which differs
		if !reflect.DeepEqual(told, want[i]) {
			t.Errorf("%d: got %s, want %v", i, line, want[i])
		}
		for _, token := range []string{good, bad, issued, late} {
			if strings.Contains(line, token) {
				t.Errorf("%d: the log has a token", i)
			}
		}
	}
}

// TestOptionsAreRefused: bad config of each option is refused when it is loaded,
// with the field's name.
func TestOptionsAreRefused(t *testing.T) {
	needsAdminAPI(t)
	t.Parallel()
	config := copyConfig(t, specConfig(t))
	service, _ := list(config["services"])[0].(object)
	service["routes"] = []any{}
	g := startGateway(t, config)
	for field, bad := range map[string]any{
		"issuers":           []any{object{"jwks_uri": "https://a"}},
		"algorithms":        []any{object{"issuer": "https://a", "algorithms": []any{"HS256"}}},
		"consumer_by":       []any{object{"issuer": "https://a", "consumer_by": "email"}},
		"audience_required": "api",
		"issuers_allowed":   []any{1},
		"scopes_required":   object{"a": "b"},
		"scopes_claim":      []any{},
		"claims_required":   []any{object{"claim": []any{"a"}}},
		"leeway":            -1,
		"claims_to_headers": []any{object{"header": "X Y", "claim": []any{"a"}}},
		"hide_credentials":  "yes",
		"groups_claim":      "groups",
		"anonymous_on":      []any{"always"},
		"shadow":            1,
		"log_serialize":     "no",
		"log_claims":        []any{"sub"},
		"no_such_field":     true,
	} {
		t.Run(field, func(t *testing.T) {
			name := field
			if field == "algorithms" || field == "consumer_by" {
				name = "issuers"
			}
			changed := copyConfig(t, config)
			service, _ := list(changed["services"])[0].(object)
			service["routes"] = []any{object{"name": "r", "paths": []any{"/r"}, "plugins": jwt(object{name: bad})}}
			if status, text := g.post(t, "/config", changed); status != 400 || !strings.Contains(text, field) {
				t.Errorf("%d %s", status, text)
			}
		})
	}
}
