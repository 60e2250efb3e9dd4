// Package spec_test drives the built plugin from outside: through the embedded
// gateway, or through a real Kong when KONG_PROXY_URL is set.
package spec_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"kong-go-jwt/spec/conformance"
)

// setup is what TestMain made; the tests only read it.
var setup struct {
	plugin, gateway string // binaries
	cases           []conformance.Case
	keys            conformance.Keys
}

func TestMain(m *testing.M) {
	flag.Parse()
	if worker := flag.Lookup("test.fuzzworker"); worker != nil && worker.Value.String() == "true" {
		os.Exit(m.Run()) // fuzzes the codec and needs nothing of the below
	}
	dir, err := os.MkdirTemp("", "go-jwt-spec-")
	if err == nil {
		err = prepare(dir)
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "spec:", err)
	} else {
		runMore()
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// runMore lets more tests run at once than there are processors: they mostly wait.
func runMore() {
	explicit := false
	flag.Visit(func(f *flag.Flag) { explicit = explicit || f.Name == "test.parallel" })
	if !explicit {
		const each = 8 // with more, they are late
		flag.Set("test.parallel", strconv.Itoa(each*runtime.GOMAXPROCS(0)))
	}
}

func prepare(dir string) (err error) {
	if setup.cases, err = conformance.ReadCases("testdata/cases.json"); err != nil {
		return err
	}
	if keys := os.Getenv("SPEC_KEYS_DIR"); keys != "" {
		setup.keys, err = conformance.LoadKeys(keys)
	} else if onRealKong() {
		err = errors.New("KONG_PROXY_URL needs SPEC_KEYS_DIR, see README.md")
	} else {
		setup.keys, err = conformance.NewKeys()
	}
	if err != nil || onRealKong() {
		return err
	}
	setup.plugin, setup.gateway = filepath.Join(dir, "go-jwt"), filepath.Join(dir, "gateway")
	if err := build(setup.plugin, "kong-go-jwt"); err != nil {
		return err
	}
	return build(setup.gateway, "kong-go-jwt/spec/gateway")
}

func build(output, pkg string) error {
	args := []string{"build", "-o", output}
	if raceEnabled {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, pkg)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return nil
}

func onRealKong() bool { return os.Getenv("KONG_PROXY_URL") != "" }

// needsGateway skips what only the embedded gateway can do.
func needsGateway(t *testing.T) {
	t.Helper()
	if onRealKong() {
		t.Skip("needs the embedded gateway")
	}
}
