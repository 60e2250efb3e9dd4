package spec_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// passedOver are configurations of things that Kong knows and the embedded gateway
// does not, laid over ownConfiguration, with what is said of them.
var passedOver = []struct {
	name string
	lay  func(config, service, route, consumer object)
	want string
}{
	{"upstreams", func(c, _, _, _ object) { c["upstreams"] = []any{object{"name": "u", "targets": []any{}}} }, "the configuration: the embedded gateway has no upstreams"},
	{"a service with an upstream", func(c, s, _, _ object) {
		c["upstreams"] = []any{object{"name": "u"}}
		c["services"] = append(list(c["services"]), object{"name": "other", "host": "u"})
	}, "services[1]: the embedded gateway has no upstreams: requests for services that name one fail"},
	{"consumer_groups", func(c, _, _, _ object) { c["consumer_groups"] = []any{object{"name": "gold"}} }, "the configuration: the embedded gateway has no consumer_groups"},
	{"a plugin of Kong's", func(c, _, _, _ object) { c["plugins"] = []any{object{"name": "prometheus"}} }, "plugins[0]: the embedded gateway has no plugin prometheus: it does not run"},
	{"a plugin of somebody's", func(c, _, r, _ object) { r["plugins"] = []any{object{"name": "my-own"}} }, "services[0].routes[0].plugins[0]: the embedded gateway has no plugin my-own, and neither has Kong: it does not run"},
	{"settings of a plugin", func(c, _, _, _ object) {
		c["plugins"] = []any{object{"name": "rate-limiting", "config": object{"minute": 1, "policy": "redis", "redis": object{"host": "r"}}}}
	}, "plugins[0]: the embedded gateway does not support policy=redis of rate-limiting: this plugin does not run"},
	{"a plugin on a consumer", func(_, _, _, c object) {
		c["plugins"] = []any{object{"name": "rate-limiting", "config": object{"minute": 1}}}
	}, "consumers[0].plugins[0]: the embedded gateway has no plugins on consumers: this one does not run"},
	{"other credentials", func(_, _, _, c object) { c["basicauth_credentials"] = []any{object{"username": "a"}} }, "consumers[0]: the embedded gateway has no basicauth_credentials"},
	{"a client certificate", func(_, s, _, _ object) { s["client_certificate"] = object{"id": "x"} }, "services[0]: the embedded gateway has no client_certificate"},
	{"conditions of routes", func(_, s, _, _ object) {
		s["routes"] = append(list(s["routes"]), object{"name": "beta", "paths": []any{"/beta"}, "headers": object{"x-beta": []any{"1"}}})
	}, "services[0].routes[1]: the embedded gateway does not match routes by headers: this route is not served"},
	{"TCP", func(c, _, _, _ object) {
		c["services"] = append(list(c["services"]), object{"name": "db", "url": "tcp://127.0.0.1:1", "routes": []any{object{"name": "t", "protocols": []any{"tcp"}}}})
		c["plugins"] = []any{object{"name": "acl", "route": "t", "config": object{"allow": []any{"x"}}}}
	}, "services[1]: the embedded gateway serves only HTTP: this service and its routes are not served"},
	{"a vault", func(c, _, _, _ object) {
		c["services"] = append(list(c["services"]), object{"name": "other", "url": "http://127.0.0.1:1", "plugins": jwt(object{
			"credentials": []any{object{"key": "v", "consumer": "alice", "secret": "{vault://aws/secret}"}},
		})})
	}, "{vault://aws/secret}: cannot be resolved: its value is empty"},
}

// ownConfiguration is one that knows a token by a public key alone.
func ownConfiguration(service, publicKey string) (config, firstService, route, consumer object) {
	route = object{"name": "orders", "paths": []any{"/orders"}, "methods": []any{"POST"}}
	firstService = object{
		"name": "api", "url": service, "routes": []any{route},
		"plugins": []any{object{"name": "go-jwt", "config": object{
			"key_claim_name": "azp", "claims_to_verify": []any{"exp"}, "maximum_expiration": 300, "audience_required": []any{"orders"},
		}}},
	}
	consumer = object{"username": "alice", "jwt_secrets": []any{object{"key": "the app", "algorithm": "ES256", "rsa_public_key": publicKey}}}
	return object{"_format_version": "3.0", "services": []any{firstService}, "consumers": []any{consumer}}, firstService, route, consumer
}

// ecKey makes a key pair and returns the private key's file and the public key.
func ecKey(t *testing.T) (file, public string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "private.pem")
	if out, err := exec.Command("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", file).CombinedOutput(); err != nil {
		t.Skipf("openssl: %v %s", err, out)
	}
	out, err := exec.Command("openssl", "pkey", "-in", file, "-pubout").Output()
	if err != nil {
		t.Fatal(err)
	}
	return file, string(out)
}

// TestOwnConfiguration: what "make run CONFIG=… ARGS=…" does with a file of its
// user's own.
func TestOwnConfiguration(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	file, public := ecKey(t)
	t.Run("told", func(t *testing.T) {
		t.Parallel()
		config, _, _, _ := ownConfiguration(upstream(t), public)
		g := startGateway(t, config, "-strict=false", "-demo", "-plugin-arg=-metrics-listen=127.0.0.1:0")
		poll(t, patience, func() bool { return strings.Contains(g.log.String(), "Ctrl-C ends it.") })
		for _, line := range []string{
			"proxy      http://" + g.proxy, "metrics    http://127.0.0.1:0/metrics", "upstream   http://127.0.0.1:", "not started here", "kill -HUP ",
		} {
			if !strings.Contains(g.log.String(), line) {
				t.Errorf("nothing about %q:\n%s", line, g.log)
			}
		}
		commands := regexp.MustCompile(`(?m)^# .*: (\d+)\n((?:TOKEN=.*\n)?curl .*)$`).FindAllStringSubmatch(g.log.String(), -1)
		if len(commands) != 2 {
			t.Fatalf("%d commands:\n%s", len(commands), g.log)
		}
		for _, c := range commands {
			out, err := exec.Command("bash", "-ec", strings.ReplaceAll(c[2], "PRIVATE.pem", file)).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "HTTP/1.1 "+c[1]) {
				t.Errorf("%s: %v, want %s:\n%s", c[2], err, c[1], out)
			}
		}
	})
	for _, tt := range passedOver {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			config, service, route, consumer := ownConfiguration(upstream(t), public)
			tt.lay(config, service, route, consumer)
			if g, err := tryGateway(t, config); tt.name != "a vault" && err == nil {
				t.Errorf("-strict took it:\n%s", g.log)
			}
			g := startGateway(t, config, "-strict=false", "-demo")
			if !strings.Contains(g.log.String(), "[warn] "+tt.want+"\n") {
				t.Errorf("no warning %q:\n%s", tt.want, g.log)
			}
			if a := g.send(t, "POST", "/orders"); a.status != 401 {
				t.Errorf("%d %s", a.status, a.body)
			}
			if a := g.send(t, "GET", "/beta"); a.status != 404 {
				t.Errorf("/beta: %d %s", a.status, a.body)
			}
		})
	}
	for name, lay := range map[string]func(config, service, route, consumer object){
		"unknown field of a service": func(_, s, _, _ object) { s["retrys"] = 1 },
		"unknown field of the file":  func(c, _, _, _ object) { c["upstream"] = []any{} },
		"unknown option of a plugin": func(c, _, _, _ object) {
			c["plugins"] = []any{object{"name": "rate-limiting", "config": object{"minutes": 1}}}
		},
		"unknown option of go-jwt": func(c, _, _, _ object) {
			c["plugins"] = []any{object{"name": "go-jwt", "config": object{"realms": "x"}}}
		},
		"go-jwt on a consumer":        func(_, _, _, c object) { c["plugins"] = []any{object{"name": "go-jwt"}} },
		"a service with bad protocol": func(_, s, _, _ object) { s["url"] = "htp://127.0.0.1:1" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, service, route, consumer := ownConfiguration(upstream(t), public)
			lay(config, service, route, consumer)
			if g, err := tryGateway(t, config, "-strict=false"); err == nil {
				t.Errorf("it was taken:\n%s", g.log)
			}
		})
	}
	t.Run("a mistake", func(t *testing.T) {
		t.Parallel()
		config, _, route, _ := ownConfiguration(upstream(t), public)
		route["plugins"] = jwt(object{"leeway": 999})
		_, err := tryGateway(t, config, "-strict=false", "-demo")
		if err == nil {
			t.Fatal("it was taken")
		}
		told := regexp.MustCompile(`To see the lines at fault: (\S+) check (\S+kong\.json)\n`).FindStringSubmatch(err.Error())
		if told == nil || told[1] != setup.plugin {
			t.Errorf("nothing about check: %v", err)
		}
	})
	t.Run("make", func(t *testing.T) {
		t.Parallel()
		for target, want := range map[string]string{"run": "-config \"my.yml\" ", "lambda": "cp \"my.yml\" "} {
			out, err := exec.Command("make", "-C", "..", "-n", target, "CONFIG=my.yml", "ARGS=-plugin-arg x").CombinedOutput()
			if err != nil || !strings.Contains(string(out), want) || target == "run" && !strings.Contains(string(out), "-demo -plugin-arg x\n") {
				t.Errorf("%v %s", err, out)
			}
		}
	})
}

// TestAddressInUse: the gateway says by which flag another address is chosen.
func TestAddressInUse(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, flag := range []string{"-proxy", "-proxy-tls", "-admin", "-control"} {
		if setup := os.Getenv("SPEC_SETUP"); flag == "-admin" && (setup == "data-plane" || setup == "none") {
			continue // there is no Admin API
		}
		address := l.Addr().String()
		_, err := tryGateway(t, object{"_format_version": "3.0"}, flag, address)
		if want := "gateway: " + flag + ": listen tcp " + address + ": bind: address already in use\n"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestDemoWithoutUpstream: an upstream elsewhere is not started.
func TestDemoWithoutUpstream(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	_, public := ecKey(t)
	config, _, _, _ := ownConfiguration("http://"+strings.Replace(freeAddress(t), "127.0.0.1", "api.internal.example", 1), public)
	g := startGateway(t, config, "-demo")
	poll(t, patience, func() bool { return strings.Contains(g.log.String(), ", which you start yourself\n") })
}
