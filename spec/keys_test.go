package spec_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestKeysPage runs the commands of docs/keys.md as they stand, with other ports
// alone: without a database and with one, and for each algorithm.
func TestKeysPage(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	for _, tool := range []string{"openssl", "curl", "bash"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	page := readRoot(t, "docs/keys.md")
	t.Run("without a database", func(t *testing.T) {
		t.Parallel()
		runKeysPage(t, page, false)
	})
	t.Run("with a database", func(t *testing.T) {
		t.Parallel()
		runKeysPage(t, page, true)
	})
	shorter := page[:strings.Index(page, "\n## Change a key")]
	for name, other := range map[string]*strings.Replacer{
		"384":   strings.NewReplacer("ES256", "ES384", "P-256", "P-384", "RS256", "RS384", "HS256", "HS384", "-hex 32", "-hex 48"),
		"512":   strings.NewReplacer("ES256", "ES512", "P-256", "P-521", "RS256", "RS512", "HS256", "HS512", "-hex 32", "-hex 64"),
		"PS256": strings.NewReplacer("RS256", "PS256", "ed25519", "ed448"),
		"PS384": strings.NewReplacer("RS256", "PS384"),
		"PS512": strings.NewReplacer("RS256", "PS512"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runKeysPage(t, other.Replace(shorter), false)
		})
	}
}

func runKeysPage(t *testing.T, page string, database bool) {
	service := strings.TrimPrefix(upstream(t), "http://")
	flags := []string{"-role=traditional", "-nginx-include=auto", "-plugin-arg=-store=node", "-database=off"}
	if database {
		flags = append(flags, "-database=postgres")
	}
	g := startGateway(t, object{"_format_version": "3.0", "services": []any{object{
		"name": "orders", "url": "http://" + service, "routes": []any{object{"name": "orders", "paths": []any{"/orders"}}},
		"plugins": jwt(object{"claims_to_verify": []any{"exp", "nbf"}}),
	}}}, flags...)
	script, requests := "", 0
	skip := regexp.MustCompile(`:8001/consumers|alice-202`)
	if database {
		skip = regexp.MustCompile(`kong\.yml|https://auth\.example\.com`)
	}
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		if !skip.MatchString(m[1]) {
			script += m[1]
			requests += strings.Count(m[1], "localhost:8000/")
		}
	}
	if requests < 4 {
		t.Fatalf("only %d requests on the page", requests)
	}
	dir := t.TempDir()
	if err := os.Symlink(setup.plugin, filepath.Join(dir, "go-jwt")); err != nil {
		t.Fatal(err)
	}
	sent := g.keepSending(t, dir, "old.token", "new.token")
	bash := exec.Command("bash", "-euo", "pipefail", "-c", strings.NewReplacer(
		"localhost:8000", g.proxy, "localhost:8001", g.admin, "localhost:9000", service,
	).Replace(script))
	bash.Dir, bash.Env = dir, append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	if out, err := bash.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\nof:\n%s", err, out, script)
	}
	for file, n := range sent() {
		if n == 0 && strings.Contains(page, file) {
			t.Errorf("no request was sent with %s while keys changed", file)
		}
	}
}

// keepSending sends requests with the tokens in these files, for as long as a file
// is there: all of them have to be accepted. The function that it returns ends
// that and tells how many were, by file.
func (g *gateway) keepSending(t *testing.T, dir string, files ...string) (end func() map[string]int) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	sent := make(map[string]int, len(files))
	for _, file := range files {
		sent[file] = 0
	}
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			for _, file := range files {
				token, err := os.ReadFile(filepath.Join(dir, file))
				if err != nil || !strings.HasSuffix(string(token), "\n") {
					continue
				}
				a, err := exchange(g.proxy, "GET", "/orders", [][2]string{bearer(strings.TrimSpace(string(token)))})
				if _, gone := os.Stat(filepath.Join(dir, file)); gone != nil {
					continue // it was retired while it was on its way
				}
				if err != nil || a.status != 200 {
					t.Errorf("%s: %d %s %v", file, a.status, a.body, err)
					return
				}
				sent[file]++
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	return func() map[string]int {
		cancel()
		<-done
		return sent
	}
}
