// Package nginx_test runs the include that the plugin prints on a real nginx, with
// stand-ins in Lua for Kong.
package nginx_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// setup is what TestMain made; the tests only read it.
var setup struct {
	plugin, gateway string // binaries
	nginx           string // Debian's
	missing         string // why nginx cannot be run; "": it can
}

func TestMain(m *testing.M) {
	flag.Parse()
	setup.nginx, setup.missing = findNginx()
	if setup.missing != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "nginx-spec-")
	if err == nil {
		setup.plugin, setup.gateway = filepath.Join(dir, "go-jwt"), filepath.Join(dir, "gateway")
		err = build(setup.plugin, "kong-go-jwt")
	}
	if err == nil {
		err = build(setup.gateway, "kong-go-jwt/spec/gateway")
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "spec/nginx:", err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func build(output, pkg string) error {
	if out, err := exec.Command("go", "build", "-o", output, pkg).CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return nil
}

const modules = "/usr/lib/nginx/modules"

// findNginx looks for what Debian's packages nginx, libnginx-mod-http-lua,
// libnginx-mod-http-headers-more-filter, libnginx-mod-http-echo and lua-cjson install.
func findNginx() (path, missing string) {
	path, err := exec.LookPath("nginx")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			return "", "no nginx"
		}
	}
	for _, file := range []string{
		modules + "/ndk_http_module.so", modules + "/ngx_http_lua_module.so", modules + "/ngx_http_headers_more_filter_module.so",
		modules + "/ngx_http_echo_module.so",
		"/usr/lib/*/lua/5.1/cjson.so",
	} {
		if found, _ := filepath.Glob(file); found == nil {
			return "", "no " + file
		}
	}
	return path, ""
}
