package check_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"kong-go-jwt/kong/check"
)

// checked is what "go-jwt check" prints of a file on standard input.
func checked(t *testing.T, text string, flags ...string) (found string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	err = check.Check(t.Context(), check.Streams{In: strings.NewReader(text), Out: &out, Err: &errs}, append(flags, "-"))
	return out.String(), err
}

// Each finding stands where an editor can jump to, whatever the file looks like.
func TestPositions(t *testing.T) {
	t.Parallel()
	const (
		head   = "_format_version: \"3.0\"\n"
		plugin = head + "plugins:\n- name: go-jwt\n  config:\n    claims_to_verify: [exp]\n"
		secret = "0123456789abcdef0123456789abcdef"
	)
	for name, tt := range map[string]struct{ text, want string }{
		// What is no configuration.
		"empty":             {"", "-:1:1: the file is empty\n"},
		"a comment alone":   {"# later\n", "-:1:1: the file is empty\n"},
		"a start alone":     {"---\n", "-:1:1: the file is empty\n"},
		"null":              {"null\n", "-:1:1: not a declarative configuration: expected a map\n"},
		"a text":            {"kong\n", "-:1:1: not a declarative configuration: expected a map\n"},
		"a list":            {"- a\n", "-:1:1: not a declarative configuration: expected a map\n"},
		"tab":               {head + "plugins:\n\t- name: go-jwt\n", "-:3:1: found character '\t' that cannot start any token\n"},
		"not UTF-8":         {head + "plugins:\n- name: \"\xff\"\n", "-:3:1: not UTF-8\n"},
		"several documents": {head + "---\n" + head, "-:3:1: the file contains several YAML documents\n"},
		"unknown anchor":    {head + "plugins: *none\n", "-:2:10: there is no such anchor\n"},
		"name twice":        {plugin + "    shadow: false\n    shadow: true\n", "-:7:5: mapping key \"shadow\" already defined at [6:5]\n"},
		"name twice, JSON":  {"{\"_format_version\": \"3.0\",\n \"plugins\": [],\n \"plugins\": []}\n", "-:3:2: mapping key \"plugins\" already defined at [2:2]\n"},

		// Ways to write what is one.
		"byte order mark": {"\ufeff" + plugin, ""},
		"CRLF":            {strings.ReplaceAll(plugin+"    leeway: -1\n", "\n", "\r\n"), "-:6:5: plugins[0].config.leeway: value should be between 0 and 300\n"},
		"JSON, one line":  {`{"_format_version":"3.0","plugins":[{"name":"go-jwt","config":{"claims_to_verify":["exp"],"leeway":-1}}]}`, "-:1:91: plugins[0].config.leeway: value should be between 0 and 300\n"},
		"flow":            {head + "plugins: [{name: go-jwt, config: {claims_to_verify: [exp],\n  leeway: x}}]\n", "-:3:3: plugins[0].config.leeway: expected a number\n"},
		"YAML 1.1": {
			plugin + "    shadow: no\n    run_on_preflight: yes\n    cache_ttl: 0x3c\n    leeway: 1e1\n    realm: on\n    dpop: off\n    key_claim_name: 5\n    anonymous: []\n",
			"-:10:5: plugins[0].config.realm: expected a string: put it in quotes\n" +
				"-:11:5: plugins[0].config.dpop: expected a string: put it in quotes\n" +
				"-:12:5: plugins[0].config.key_claim_name: expected a string: put it in quotes\n" +
				"-:13:5: plugins[0].config.anonymous: expected a string\n",
		},
		"a list that is used twice": {
			head + "services:\n- name: a\n  plugins: &checked\n  - name: go-jwt\n    config: {claims_to_verify: [exp],\n      leeway: 301}\n- name: b\n  plugins: *checked\n",
			"-:7:7: services[0].plugins[0].config.leeway: value should be between 0 and 300\n" +
				"-:7:7: services[1].plugins[0].config.leeway: value should be between 0 and 300\n",
		},
		"merged": {
			head + "_base: &base\n  claims_to_verify: [exp]\n  leeway: 301\nplugins:\n- name: go-jwt\n  config:\n    <<: *base\n    realm: \"\"\n",
			"-:4:3: plugins[0].config.leeway: value should be between 0 and 300\n-:9:5: plugins[0].config.realm: length must be at least 1\n",
		},
		"decK's shared config": {
			head + "_plugin_configs:\n  strict:\n    claims_to_verify: [exp]\n    leeway: 301\nplugins:\n- name: go-jwt\n  _config: strict\n  config:\n    realm: \"\"\n",
			"-:5:5: _plugin_configs.strict.leeway: value should be between 0 and 300\n-:10:5: plugins[0].config.realm: length must be at least 1\n",
		},
		"db_export": {
			head + "_transform: false\nconsumers:\n- {id: 00000000-0000-4000-8000-000000000001, username: alice}\njwt_secrets:\n" +
				"- consumer: 00000000-0000-4000-8000-000000000002\n  key: k\n  secret: " + secret + "\n" +
				"plugins:\n- name: go-jwt\n  service: 00000000-0000-4000-8000-000000000003\n  config: {claims_to_verify: [exp], anonymous: null, realm: null}\n",
			"-:6:3: jwt_secrets[0].consumer: there is no consumer \"00000000-0000-4000-8000-000000000002\"\n" +
				"-:11:3: plugins[0].service: there is no service \"00000000-0000-4000-8000-000000000003\"\n",
		},

		// What has another shape than Kong's entities.
		"plugins is null":      {head + "plugins:\n", ""},
		"plugins is a map":     {head + "plugins:\n  go-jwt: {}\n", "-:2:1: plugins: expected an array\n"},
		"plugin is a text":     {head + "plugins:\n- go-jwt\n", "-:3:3: plugins[0]: expected a record\n"},
		"plugin is null":       {head + "plugins:\n-\n", "-:3:3: plugins[0]: expected a record\n"},
		"plugin without name":  {head + "plugins:\n- config: {}\n", "-:3:3: plugins[0].name: required field missing\n"},
		"name is a number":     {head + "plugins:\n- name: 5\n", "-:3:3: plugins[0].name: expected a string: put it in quotes\n"},
		"name is misspelt":     {head + "plugins:\n- name: go_jwt\n- name: jwt\n- name: my-jwt\n", "-:3:3: plugins[0].name: warning: is not go-jwt: is that meant?\n"},
		"config is a text":     {head + "plugins:\n- name: go-jwt\n  config: none\n", "-:4:3: plugins[0].config: expected a record\n"},
		"option is a number":   {plugin + "    5: x\n", "-:6:5: plugins[0].config.5: unknown field\n"},
		"services is a text":   {head + "services: api\n", "-:2:1: services: expected an array\n"},
		"routes is a map":      {head + "services:\n- name: a\n  routes: {r: {}}\n", "-:4:3: services[0].routes: expected an array\n"},
		"consumer is a text":   {head + "consumers: [alice]\n", "-:2:13: consumers[0]: expected a record\n"},
		"username is a number": {head + "consumers:\n- username: 5\n", "-:3:3: consumers[0].username: expected a string: put it in quotes\n"},
		"username is empty":    {head + "consumers:\n- username: ''\n", "-:3:3: consumers[0].username: length must be at least 1\n"},
		"neither":              {head + "consumers:\n- tags: [a]\n", "-:3:3: consumers[0]: at least one of these fields must be non-empty: custom_id, username\n"},
		"empty secret":         {head + "consumers:\n- username: a\n  jwt_secrets:\n  - {key: '', secret: ''}\n", "-:5:6: consumers[0].jwt_secrets[0].key: length must be at least 1\n-:5:15: consumers[0].jwt_secrets[0].secret: length must be at least 1\n"},
		"jwt_secrets is a map": {head + "consumers:\n- username: a\n  jwt_secrets: {key: a}\n", "-:4:3: consumers[0].jwt_secrets: expected an array\n"},
		"key is a number":      {head + "consumers:\n- username: a\n  jwt_secrets:\n  - key: 5\n    secret: " + secret + "\n", "-:5:5: consumers[0].jwt_secrets[0].key: expected a string: put it in quotes\n"},
		"secret is a number":   {head + "consumers:\n- username: a\n  jwt_secrets:\n  - key: a\n    secret: 12345678901234567890123456789012\n", "-:6:5: consumers[0].jwt_secrets[0].secret: expected a string: put it in quotes\n"},
		"misspelt plugins":     {head + "plugin:\n- name: go-jwt\n", "-:2:1: plugin: unknown field; did you mean plugins?\n"},
		"misspelt jwt_secrets": {head + "consumers:\n- username: a\n  jwt_secret: []\n", "-:4:3: consumers[0].jwt_secret: unknown field; did you mean jwt_secrets?\n"},
		"other entities":       {head + "groups: []\nvaults: []\nkeys: []\ncustom_plugins: []\nconsumer_group_plugins: []\nservices:\n- {name: a, tags: []}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := checked(t, tt.text)
			if found != tt.want || (err == nil) != (tt.want == "" || strings.Contains(tt.want, ": warning: ")) {
				t.Errorf("got  %v\n%swant\n%s", err, found, tt.want)
			}
		})
	}
}

// DPoP on a route that takes any host.
func TestHosts(t *testing.T) {
	t.Parallel()
	const (
		plugin   = "name: go-jwt, config: {claims_to_verify: [exp], dpop: required"
		anywhere = "routes: [{name: any}]\nplugins: [{" + plugin
		warning  = `plugins[0].config.dpop: warning: route "any" has no hosts, so a token and proof for another host are accepted there too, ` +
			"unless a trusted proxy sends X-Forwarded-Host: set hosts on the route, or audience_required\n"
	)
	for name, tt := range map[string]struct {
		text string
		want bool
	}{
		"everywhere":            {anywhere + "}}]", true},
		"honour":                {"routes: [{name: any}]\nplugins: [{name: go-jwt, config: {claims_to_verify: [exp], dpop: honour}}]", true},
		"off":                   {"routes: [{name: any}]\nplugins: [{name: go-jwt, config: {claims_to_verify: [exp]}}]", false},
		"disabled":              {anywhere + "}, enabled: false}]", false},
		"on the service":        {"services: [{name: s, routes: [{name: any}]}]\nplugins: [{service: s, " + plugin + "}}]", true},
		"on another service":    {"services: [{name: s}]\nroutes: [{name: any}]\nplugins: [{service: s, " + plugin + "}}]", false},
		"on the route":          {"routes: [{name: other}, {name: any}]\nplugins: [{route: any, " + plugin + "}}]", true},
		"on another route":      {"routes: [{name: any}, {name: other, hosts: [a]}]\nplugins: [{route: other, " + plugin + "}}]", false},
		"one with, one without": {"routes: [{name: other, hosts: [a]}, {name: any}]\nplugins: [{" + plugin + "}}]", true},
		"hosts":                 {"routes: [{name: any, hosts: [a]}]\nplugins: [{" + plugin + "}}]", false},
		"no hosts in the list":  {"routes: [{name: any, hosts: []}]\nplugins: [{" + plugin + "}}]", true},
		"expression":            {"routes: [{name: any, expression: 'http.host == \"a\"'}]\nplugins: [{" + plugin + "}}]", false},
		"no routes":             {"plugins: [{" + plugin + "}}]", false},
		"another closer":        {anywhere + "}}, {name: go-jwt, route: any, config: {claims_to_verify: [exp]}}]", false},
		"another, disabled":     {anywhere + "}}, {name: go-jwt, route: any, enabled: false, config: {claims_to_verify: [exp]}}]", true},
		"another less close":    {"routes: [{name: any}]\nplugins: [{route: any, " + plugin + "}}, {name: go-jwt, config: {claims_to_verify: [exp]}}]", true},
		"audience":              {anywhere + ", audience_required: [a]}}]", false},
		"audience of issuers":   {anywhere + ", issuers: [{issuer: 'https://i', audience: [a]}]}}]", false},
		"of one issuer":         {anywhere + ", issuers: [{issuer: 'https://i', audience: [a]}, {issuer: 'https://j'}]}}]", true},
		"and a credential": {
			anywhere + ", issuers: [{issuer: 'https://i', audience: [a]}], credentials: [{key: k, consumer: 4bf92f35-77b3-4da6-a3ce-929d0e0e4736, secret: 0123456789abcdef0123456789abcdef}]}}]\n" +
				"consumers: [{id: 4bf92f35-77b3-4da6-a3ce-929d0e0e4736, username: a}]", true,
		},
		"some tags": {"_info: {select_tags: [a]}\n" + anywhere + "}}]", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := checked(t, "_format_version: \"3.0\"\n"+tt.text+"\n")
			if _, told, _ := strings.Cut(found, ": "); err != nil || found != "" != tt.want || tt.want && told != warning {
				t.Errorf("%v\n%s", err, found)
			}
		})
	}
}

// One mistake hides none of the others, and causes none.
func TestManyMistakes(t *testing.T) {
	t.Parallel()
	const head = "_format_version: \"3.0\"\nplugins:\n- name: go-jwt\n  config:\n    claims_to_verify: [exp]\n"
	for name, tt := range map[string]struct{ config, want string }{
		"in one list": {
			"    issuers:\n    - issuer: https://a\n      algorithms: [none]\n    - issuer: https://b\n      jwks: none\n    - issuer: https://c\n      consumer_by: email\n" +
				"    - issuer: d\n    - issuer: https://e\n      jwks: '{\"keys\":[]}'\n      nothing: 1\n    - issuer: https://f\n      jwks: none\n",
			"-:8:20: plugins[0].config.issuers[0].algorithms[0]: expected one of: RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512, EdDSA\n" +
				"-:10:7: plugins[0].config.issuers[1].jwks: key set: is not a JSON object\n" +
				"-:12:7: plugins[0].config.issuers[2].consumer_by: expected one of: username, custom_id, id\n" +
				"-:13:7: plugins[0].config.issuers[3].issuer: must be an https URL, unless jwks_uri or jwks is set\n" +
				"-:16:7: plugins[0].config.issuers[4].nothing: unknown field\n" +
				"-:18:7: plugins[0].config.issuers[5].jwks: key set: is not a JSON object\n",
		},
		"in all of a list": {
			"    issuers: [{issuer: d}]\n    resource_metadata: {resource: https://a}\n    leeway: -1\n",
			"-:6:16: plugins[0].config.issuers[0].issuer: must be an https URL, unless jwks_uri or jwks is set\n" +
				"-:8:5: plugins[0].config.leeway: value should be between 0 and 300\n",
		},
		"in what others need": {
			"    certificate_header_name: C\n    certificate_header_format: url_encoded\n    trusted_proxies: [a, '::1', b]\n    revocations: [{url: 'http://a.example'}]\n",
			"-:8:23: plugins[0].config.trusted_proxies[0]: is neither an address nor a CIDR block\n" +
				"-:8:33: plugins[0].config.trusted_proxies[2]: is neither an address nor a CIDR block\n" +
				"-:9:20: plugins[0].config.revocations[0].url: http://a.example: URL is not https, and its host is not this one\n",
		},
		"in a rule, of what is there": {
			"    certificate_header_name: C\n    publish_keys: true\n    revocations: [{url: 'http://a.example'}]\n",
			"-:4:3: plugins[0].config.upstream_assertion.issuer: required field missing (needed with publish_keys)\n" +
				"-:4:3: plugins[0].config.certificate_header_format: required field missing (needed with certificate_header_name)\n" +
				"-:4:3: plugins[0].config.trusted_proxies: required field missing (needed with certificate_header_name)\n" +
				"-:8:20: plugins[0].config.revocations[0].url: http://a.example: URL is not https, and its host is not this one\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if found, _ := checked(t, head+tt.config); found != tt.want {
				t.Errorf("got\n%swant\n%s", found, tt.want)
			}
		})
	}
}

// The path of the metadata is on no route, but that of the resource is.
func TestMetadataWithoutRoute(t *testing.T) {
	t.Parallel()
	const missing = "-:8:26: plugins[0].config.resource_metadata.resource: warning: no route has the path /.well-known/oauth-protected-resource/mcp, at which clients look for the metadata: they get 404\n"
	for routes, want := range map[string]string{
		`{paths: [/mcp]}`:     missing,
		`{paths: ['~/mcp$']}`: missing,
		`{paths: [/mcp, /.well-known/oauth-protected-resource/mcps]}`: missing,
		`{paths: [/mcp, /.well-known/oauth-protected-resource/mcp]}`:  "",
		`{paths: [/mcp]}, {paths: [/.well-known]}`:                    "",
		`{paths: [/mcp]}, {paths: ['~/\.well-known/oauth-[a-z-]+/']}`: "",
		`{paths: [/mcp]}, {paths: ['~(?!/mcp)/']}`:                    "", // cannot be told
		`{paths: [/mcp]}, {hosts: [api.example.com]}`:                 "",
		`{paths: [/]}`:         "",
		`{paths: [/internal]}`: "", // where a proxy leads /mcp
	} {
		const head = "_format_version: \"3.0\"\nservices:\n- {name: s, url: 'http://a', routes: [%s]}\nplugins:\n- name: go-jwt\n  config:\n    claims_to_verify: [exp]\n" +
			"    resource_metadata: { resource: https://api.example.com/mcp, authorization_servers: [https://a]}\n"
		if found, _ := checked(t, fmt.Sprintf(head, routes)); found != want {
			t.Errorf("%s: got\n%swant\n%s", routes, found, want)
		}
	}
}

// Each of many thousand findings is told.
func TestLargeFile(t *testing.T) {
	t.Parallel()
	const consumers = 20_000
	var b strings.Builder
	b.WriteString("_format_version: \"3.0\"\nconsumers:\n")
	for i := range consumers {
		fmt.Fprintf(&b, "- username: c%d\n  jwt_secrets:\n  - {key: k%d, secret: weak}\n", i, i)
	}
	found, err := checked(t, b.String(), "-strict")
	if lines := strings.Count(found, "\n"); err == nil || lines != consumers {
		t.Errorf("%v: %d findings", err, lines)
	}
}

// Whatever is in a file, something is said of it.
func FuzzCheck(f *testing.F) {
	f.Add("_format_version: \"3.0\"\nplugins:\n- name: go-jwt\n  config:\n    credentials: [{key: a, consumer: b, secret: c}]\n    issuers: [{issuer: i, jwks: '{}'}]\n")
	f.Add("_format_version: \"3.0\"\nconsumers:\n- username: a\n  jwt_secrets:\n  - {key: k, algorithm: ES256, rsa_public_key: x}\n  plugins: [{name: go-jwt, config: {revoked: [{}]}}]\n")
	f.Add("_format_version: \"3.0\"\n_plugin_configs: {a: {leeway: 1}}\nroutes: [{name: r, plugins: [{name: go-jwt, _config: a, config: {claims_to_headers: [{}], upstream_assertion: {keys: [x]}}}]}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		if found, err := checked(t, text, "-strict"); (found == "") != (err == nil) {
			t.Errorf("%v:\n%s", err, found)
		}
	})
}
