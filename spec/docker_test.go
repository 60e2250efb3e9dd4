package spec_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// docker stands in for "docker compose", with the embedded gateway as the container:
// ADMIN is its Admin API and PID its process.
const docker = `#!/bin/bash
set -eu
[ "$1 $2 $3" = "compose -f kong/docker-compose.yml" ] || { echo "what is $*?" >&2; exit 64; }
shift 3
case "$1 $2 ${3-}" in
"up --build -d") ;; # it is up
"restart kong ")
    before=$(curl -fsS "$ADMIN/status")
    kill -HUP "$PID"
    for ((i = 0; i < 1000; i++)); do
        [ "$(curl -fsS "$ADMIN/status")" = "$before" ] || exit 0
    done
    exit 1 ;;
"exec -T kong")
    shift 3
    exec "${@//\/etc\/kong\//kong/}" ;;
*)
    echo "what is $*?" >&2
    exit 64 ;;
esac
`

// TestDockerPage runs the commands of docs/docker.md, with other ports, in front of
// the embedded gateway.
func TestDockerPage(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	service := strings.TrimPrefix(upstream(t), "http://")
	g := startGateway(t, object{"_format_version": "3.0"}, "-role=traditional", "-database=off", "-nginx-include=auto", "-plugin-arg=-store=node")
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "kong"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		g.configFile:                       strings.ReplaceAll(readRoot(t, "kong/kong.yml"), "127.0.0.1:9000", service),
		filepath.Join(dir, "kong/wait.sh"): strings.ReplaceAll(readRoot(t, "kong/wait.sh"), "127.0.0.1:8000", g.proxy),
		filepath.Join(dir, "docker"):       docker,
	} {
		if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"go-jwt": setup.plugin, "kong/kong.yml": g.configFile} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	script := ""
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(readRoot(t, "docs/docker.md"), -1) {
		script += m[1]
	}
	// The container starts with kong.yml.
	bash := exec.Command("bash", "-euo", "pipefail", "-c", "docker compose -f kong/docker-compose.yml restart kong\n"+
		strings.ReplaceAll(script, "127.0.0.1:8000", g.proxy))
	bash.Dir = dir
	bash.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "ADMIN=http://"+g.admin, fmt.Sprint("PID=", g.cmd.Process.Pid))
	out, err := bash.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^HTTP/1.1 (\d+)`).FindAllStringSubmatch(string(out), -1) {
		got = append(got, m[1])
	}
	if want := []string{"200", "401", "200", "200"}; !slices.Equal(got, want) {
		t.Errorf("answers %v, want %v:\n%s", got, want, out)
	}
	for _, consumer := range []string{"mobile-app", "es256-app", "rs256-app"} {
		if !strings.Contains(string(out), consumer) {
			t.Errorf("nothing was sent as %s:\n%s", consumer, out)
		}
	}
}

// TestWaitScript: kong/wait.sh takes no 500 for an answer, and gives up.
func TestWaitScript(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(s.Close)
	if out, err := exec.Command("../kong/wait.sh", s.URL+"/private", "20").CombinedOutput(); err != nil || !strings.Contains(string(out), "answers 401") || asked.Load() < 3 {
		t.Errorf("%v, asked %d times: %s", err, asked.Load(), out)
	}
	asked.Store(-1000)
	for _, url := range []string{s.URL, "http://127.0.0.1:1"} { // nobody listens at the second
		if out, err := exec.Command("../kong/wait.sh", url, "1").CombinedOutput(); err == nil {
			t.Errorf("%s: %s", url, out)
		}
	}
}
