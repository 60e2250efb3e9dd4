package spec_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func readRoot(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// dumpOf is what Kong learns of the binary under the name that the image gives it.
func dumpOf(t *testing.T, name string) (plugin, socket string) {
	t.Helper()
	copied := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(setup.plugin, copied); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(copied, "-dump").Output()
	if err != nil {
		t.Fatal(err)
	}
	var dump struct {
		SocketPath string
		Plugins    []struct{ Name string }
	}
	if err := json.Unmarshal(out, &dump); err != nil || len(dump.Plugins) != 1 {
		t.Fatalf("%s: %v", out, err)
	}
	return dump.Plugins[0].Name, dump.SocketPath
}

// settings are the KONG_… of the Dockerfile, and the same of kong.conf.
func settings(t *testing.T) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{"Dockerfile": {}, "kong/kong.conf": {}}
	for _, m := range regexp.MustCompile(`KONG_([A-Z_]+)=("[^"]+"|\S+)`).FindAllStringSubmatch(readRoot(t, "Dockerfile"), -1) {
		all["Dockerfile"][strings.ToLower(m[1])] = strings.Trim(m[2], `"`)
	}
	for _, m := range regexp.MustCompile(`(?m)^([a-z_]+) = (.+)$`).FindAllStringSubmatch(readRoot(t, "kong/kong.conf"), -1) {
		all["kong/kong.conf"][m[1]] = m[2]
	}
	return all
}

// TestPackaging: what is shipped fits together. No Docker engine is needed.
func TestPackaging(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	dockerfile := readRoot(t, "Dockerfile")
	copies := regexp.MustCompile(`(?m)^COPY (--from=build )?(.+) (\S+)$`).FindAllStringSubmatch(dockerfile, -1)
	installed := map[string]string{} // by target
	for _, c := range copies {
		for _, source := range strings.Fields(c[2]) {
			if c[1] == "" {
				if _, err := os.Stat(filepath.Join("..", source)); err != nil {
					t.Errorf("Dockerfile copies what is not there: %v", err)
				}
			}
			installed[c[3]] = source
		}
	}
	for file, set := range settings(t) {
		t.Run(file, func(t *testing.T) {
			name := set["pluginserver_names"]
			plugin, socket := dumpOf(t, name)
			if !slices.Equal(strings.Split(set["plugins"], ","), []string{"bundled", plugin}) {
				t.Errorf("plugins = %s, but the plugin is %s", set["plugins"], plugin)
			}
			if want := "/usr/local/kong/" + name + ".socket"; socket != want {
				t.Errorf("socket %s, and Kong looks for %s", socket, want)
			}
			if source := installed["/usr/local/bin/"+name]; source == "" {
				t.Errorf("nothing is installed as /usr/local/bin/%s", name)
			}
			// Kong 3.9 does by itself what Kong 3.8 must be told.
			if query, want := set["pluginserver_go_jwt_query_cmd"], "/usr/local/bin/"+name+" -dump"; query != want {
				t.Errorf("the command for the schema is %q, want %q", query, want)
			}
			include := set["nginx_http_include"]
			if path.Base(installed[include]) != path.Base(include) {
				t.Errorf("nginx_http_include = %s is not installed", include)
			}
		})
	}
	// What users edit is not among what the binary is built from.
	ignored := strings.Split(readRoot(t, ".dockerignore"), "\n")
	for _, pattern := range []string{"*", "kong/*.yml", "kong/kong.conf", "kong/kubernetes"} {
		if !slices.Contains(ignored, pattern) {
			t.Errorf(".dockerignore lets %s change the binary's layer", pattern)
		}
	}
	if lines := strings.Split(strings.TrimSpace(dockerfile), "\n"); lines[len(lines)-1] != "USER kong" {
		t.Errorf("the image does not end as Kong's user: %s", lines[len(lines)-1])
	}
}

// TestComposeFile: every path in it exists, and Kong shares the upstream's network.
func TestComposeFile(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	var compose struct {
		Services map[string]struct {
			Volumes     []string
			NetworkMode string `yaml:"network_mode"`
			Build       struct{ Context string }
			Command     []string
			Ports       []string
			Healthcheck struct{ Test []string }
		}
	}
	if err := yaml.Unmarshal([]byte(readRoot(t, "kong/docker-compose.yml")), &compose); err != nil {
		t.Fatal(err)
	}
	kong, ok := compose.Services["kong"]
	if !ok || len(kong.Volumes) == 0 {
		t.Fatalf("%+v", compose)
	}
	for _, v := range kong.Volumes {
		source, _, _ := strings.Cut(v, ":")
		if _, err := os.Stat(filepath.Join("../kong", source)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join("../kong", kong.Build.Context, "Dockerfile")); err != nil {
		t.Error(err)
	}
	shared, _ := strings.CutPrefix(kong.NetworkMode, "service:")
	upstream, ok := compose.Services[shared]
	if !ok || upstream.NetworkMode != "" {
		t.Fatalf("network_mode %s", kong.NetworkMode)
	}
	// Which is where kong.yml's service is.
	if port := upstream.Command[len(upstream.Command)-1]; !strings.Contains(readRoot(t, "kong/kong.yml"), "url: http://127.0.0.1:"+port+"\n") {
		t.Errorf("the upstream is at port %s, and kong.yml looks elsewhere", port)
	}
	_, socket := dumpOf(t, "go-jwt")
	if check := []string{"CMD-SHELL", "kong health && grep -q " + filepath.Base(socket) + " /proc/net/unix"}; !slices.Equal(kong.Healthcheck.Test, check) {
		t.Errorf("the health check is %q, want %q", kong.Healthcheck.Test, check)
	}
	if !slices.Contains(upstream.Ports, "8000:8000") {
		t.Errorf("Kong's port is not published: %v", upstream.Ports)
	}
}

// TestReadmeFlags: the table names every flag of the binary, and none that it
// does not have.
func TestReadmeFlags(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	help, err := exec.Command(setup.plugin, "-help").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	var have, told []string
	for _, m := range regexp.MustCompile(`(?m)^  (-[a-z-]+)`).FindAllStringSubmatch(string(help), -1) {
		have = append(have, m[1])
	}
	for _, row := range regexp.MustCompile("(?m)^\\| (`-[^|]*) \\|").FindAllStringSubmatch(readRoot(t, "README.md"), -1) {
		for _, m := range regexp.MustCompile("`(-[a-z-]+)`").FindAllStringSubmatch(row[1], -1) {
			told = append(told, m[1])
		}
	}
	slices.Sort(have)
	slices.Sort(told)
	if len(have) == 0 || !slices.Equal(have, told) {
		t.Errorf("README.md tells of %v, and the binary has %v", told, have)
	}
}

// TestTutorialConfiguration: kong.yml is what the gateway, and Kong, can load.
func TestTutorialConfiguration(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	var config any
	if err := yaml.Unmarshal([]byte(readRoot(t, "kong/kong.yml")), &config); err != nil {
		t.Fatal(err)
	}
	g := startGateway(t, config)
	for target, want := range map[string]int{"/private": 401, "/browser": 401, "/nowhere": 404} {
		if a := g.send(t, "GET", target); a.status != want {
			t.Errorf("%s: %d %s, want %d", target, a.status, a.body, want)
		}
	}
}

// TestIncludeOfOldKong: Kong before 3.8 makes no sockets/ in its prefix, so that nginx could
// not open the include's socket and would not start.
func TestIncludeOfOldKong(t *testing.T) {
	t.Parallel()
	makes := regexp.MustCompile(`(?s)\nRUN (case .*? esac) >/go-jwt.nginx.conf\n`).FindStringSubmatch(readRoot(t, "Dockerfile"))
	if makes == nil {
		t.Fatal("the Dockerfile makes no include, or for every Kong the same")
	}
	for version, want := range map[string]string{
		"3.4": "", "3.7.1": "", "3.6-ubuntu": "",
		"3": "made", "3.8": "made", "3.9.3": "made", "3.9-ubuntu": "made", "3.10": "made", "latest": "made",
	} {
		sh := exec.Command("sh", "-euc", "go() { printf made; }\n"+makes[1])
		sh.Env = append(os.Environ(), "KONG_VERSION="+version, "KONG_PREFIX=/usr/local/kong")
		if out, err := sh.CombinedOutput(); err != nil || string(out) != want {
			t.Errorf("Kong %s: include %q, want %q (%v)", version, out, want, err)
		}
	}
}
