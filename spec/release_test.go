package spec_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// TestRelease makes a release, and runs the binary of each package. It takes all
// processors for a while, so it is not parallel.
func TestRelease(t *testing.T) {
	needsGateway(t)
	if testing.Short() {
		t.Skip("it builds everything for two architectures")
	}
	const version = "1.2.3"
	out := t.TempDir()
	if text, err := exec.Command("../.ci/package/release", version, out).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	t.Run("checksums", func(t *testing.T) { checkSums(t, out, 12) })
	for _, name := range []string{"go-jwt_1.2.3_linux_amd64", "go-jwt_1.2.3_linux_arm64", "go-jwt-lambda_1.2.3_amd64", "go-jwt-lambda_1.2.3_arm64"} {
		t.Run(name+".cdx.json", func(t *testing.T) { checkSBOM(t, filepath.Join(out, name+".cdx.json")) })
	}
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	for arch, machine := range machines {
		archive := filepath.Join(out, "go-jwt_1.2.3_linux_"+arch)
		for _, format := range []string{"deb", "rpm"} {
			t.Run(format+" for "+arch, func(t *testing.T) {
				root := unpack(t, archive+"."+format)
				checkStatic(t, filepath.Join(root, "usr/local/bin/go-jwt"), machine)
				checkPackage(t, root)
				if arch == runtime.GOARCH {
					checkRuns(t, filepath.Join(root, "usr/local/bin/go-jwt"), version)
				}
			})
		}
		t.Run("tar.gz for "+arch, func(t *testing.T) {
			root := t.TempDir()
			if text, err := exec.Command("tar", "-C", root, "-xzf", archive+".tar.gz").CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, text)
			}
			dir := filepath.Join(root, filepath.Base(archive))
			checkStatic(t, filepath.Join(dir, "go-jwt"), machine)
			for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md", "docs/configuration.md", "kong/go-jwt.nginx.conf", "kong/kong.conf"} {
				if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// checkSums holds every file of a release against checksums.txt.
func checkSums(t *testing.T, dir string, atLeast int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		told[name] = sum
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Name() == "checksums.txt" {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(content); told[f.Name()] != hex.EncodeToString(sum[:]) {
			t.Errorf("%s has another checksum", f.Name())
		}
	}
	if len(told) != len(files)-1 || len(told) < atLeast {
		t.Errorf("checksums of %d files, and there are %d", len(told), len(files)-1)
	}
}

func checkSBOM(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BOMFormat  string
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(text, &bom); err != nil || bom.BOMFormat != "CycloneDX" {
		t.Fatalf("%v %s", err, bom.BOMFormat)
	}
	for _, c := range bom.Components {
		if c.Name == "github.com/golang-jwt/jwt/v5" && c.Version != "" {
			return
		}
	}
	t.Errorf("golang-jwt is not among %d components", len(bom.Components))
}

// unpack unpacks a .deb or an .rpm into a new folder.
func unpack(t *testing.T, file string) string {
	t.Helper()
	root := t.TempDir()
	command, need := exec.Command("dpkg-deb", "-x", file, root), "dpkg-deb"
	if filepath.Ext(file) == ".rpm" {
		command, need = exec.Command("sh", "-c", `rpm2archive - <"$1" | tar -C "$2" -xz`, "sh", file, root), "rpm2archive"
	}
	if _, err := exec.LookPath(need); err != nil {
		t.Skipf("no %s to unpack it with", need)
	}
	if text, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, text)
	}
	return root
}

func checkStatic(t *testing.T, file string, machine elf.Machine) {
	t.Helper()
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Machine != machine {
		t.Errorf("it is for %s, not %s", f.Machine, machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it is linked dynamically")
		}
	}
}

// checkPackage looks at what a package has beside the binary.
func checkPackage(t *testing.T, root string) {
	t.Helper()
	for name, source := range map[string]string{
		"etc/kong/go-jwt.nginx.conf":              "kong/go-jwt.nginx.conf",
		"usr/share/doc/go-jwt/examples/kong.conf": "kong/kong.conf",
		"usr/share/doc/go-jwt/examples/kong.yml":  "kong/kong.yml",
		"usr/share/doc/go-jwt/copyright":          "LICENSE",
	} {
		if text, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(text) != readRoot(t, source) {
			t.Errorf("%s is not %s: %v", name, source, err)
		}
	}
	f, err := os.Open(filepath.Join(root, "usr/share/man/man8/go-jwt.8.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	help, err := exec.Command(setup.plugin, "-help").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^  (-[a-z-]+)`).FindAllStringSubmatch(string(help), -1) {
		if !regexp.MustCompile(`(?m)^\.B ` + strings.ReplaceAll(m[1], "-", `\\-`) + `( |$)`).Match(page) {
			t.Errorf("the man page does not tell of %s", m[1])
		}
	}
	if bytes.Contains(page, []byte("@")) || !bytes.Contains(page, []byte("go-jwt 1.2.3")) {
		t.Error("something in the man page is not filled in")
	}
}

// checkRuns has the gateway run a binary as Kong would.
func checkRuns(t *testing.T, binary, version string) {
	t.Helper()
	if got, err := exec.Command(binary, "-version").Output(); err != nil || strings.TrimSpace(string(got)) != version {
		t.Errorf("version %s %v", got, err)
	}
	var config any
	if err := yaml.Unmarshal([]byte(readRoot(t, "kong/kong.yml")), &config); err != nil {
		t.Fatal(err)
	}
	g := startGateway(t, config, "-plugin", binary)
	if a := g.send(t, "GET", "/private"); a.status != http.StatusUnauthorized {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestWorkflows: what the workflows run is there: targets of the Makefile, and scripts.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%v %v", files, err)
	}
	makefile := readRoot(t, "Makefile")
	for _, file := range files {
		var workflow struct {
			Jobs map[string]struct{ Steps []struct{ Run string } }
		}
		if err := yaml.Unmarshal([]byte(readRoot(t, strings.TrimPrefix(file, "../"))), &workflow); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, job := range workflow.Jobs {
			for _, step := range job.Steps {
				for _, m := range regexp.MustCompile(`\bmake (\w+)`).FindAllStringSubmatch(step.Run, -1) {
					if !strings.Contains(makefile, "\n"+m[1]+": ") {
						t.Errorf("%s: the Makefile has no target %s", file, m[1])
					}
				}
				for _, script := range regexp.MustCompile(`\.ci/[\w-]+`).FindAllString(step.Run, -1) {
					if info, err := os.Stat(filepath.Join("..", script)); err != nil || info.Mode()&0o111 == 0 {
						t.Errorf("%s: %s cannot be run: %v", file, script, err)
					}
				}
			}
		}
	}
}
