package spec_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needsProgram skips where a program of Debian's package is not installed, as CI
// does.
func needsProgram(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed: apt-get install %s", program, pkg)
	}
}

// TestAlerts: Prometheus takes the alert rules, and each fires when it should.
func TestAlerts(t *testing.T) {
	needsProgram(t, "promtool", "prometheus")
	t.Parallel()
	rules, err := filepath.Abs("../docs/prometheus-alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("promtool", "check", "rules", rules).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	tests := strings.ReplaceAll(readRoot(t, "spec/testdata/prometheus-alerts-test.yml"), "[ALERTS]", "["+rules+"]")
	file := filepath.Join(t.TempDir(), "alerts-test.yml")
	if err := os.WriteFile(file, []byte(tests), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("promtool", "test", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
