package spec_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kong-go-jwt/spec/conformance"
)

// load sends requests from several goroutines until stop is called, which
// returns how many failed with a 5xx, or on the connection, and how many did
// not. At the test's end it is called too. more waits for further ones that do not fail.
func load(t *testing.T, g *gateway, target, token string) (more func(), stop func() (failed, passed int64)) {
	t.Helper()
	var failures, successes atomic.Int64
	done := make(chan struct{})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				a, err := exchange(g.proxy, "GET", target, [][2]string{{"Authorization", "Bearer " + token}})
				if err != nil || a.status != 200 {
					failures.Add(1)
				} else {
					successes.Add(1)
				}
			}
		})
	}
	end := sync.OnceFunc(func() {
		close(done)
		wait.Wait()
	})
	t.Cleanup(end)
	more = func() {
		t.Helper()
		before := successes.Load()
		poll(t, patience, func() bool { return successes.Load() > before+10 })
	}
	return more, func() (int64, int64) {
		end()
		return failures.Load(), successes.Load()
	}
}

func (g *gateway) pluginPid(t *testing.T) int {
	t.Helper()
	var stats struct{ Pid int }
	g.get(t, "/__stats", &stats)
	return stats.Pid
}

func gone(pid int) bool { return syscall.Kill(pid, 0) != nil }

// TestReloadUnderLoad: `kong reload` runs two plugin servers side by side for a
// moment, on one socket path, and no request may fail. The old server must go
// though Kong's new workers, which may have found it still listening, go on
// using their connections to it.
func TestReloadUnderLoad(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	g := specGateway(t)
	_, stop := load(t, g, "/plain", tokenOf(t, "hs256", "hs-a", "HS256"))
	old := g.pluginPid(t)
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	poll(t, patience, func() bool { p := g.pluginPid(t); return p != 0 && p != old })
	took := poll(t, patience, func() bool { return gone(old) })
	t.Logf("the old server went after %v", took)
	if _, err := os.Stat(g.socket); err != nil {
		t.Errorf("the old server took the socket with it: %v", err)
	}
	if failed, passed := stop(); failed != 0 || passed == 0 {
		t.Errorf("%d of %d requests failed", failed, failed+passed)
	}
}

// TestReloadTwice reloads again while the first reload is still going on.
func TestReloadTwice(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	g := specGateway(t)
	auth := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")}
	for range 3 {
		old, socket := g.pluginPid(t), inode(g.socket)
		if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		poll(t, patience, func() bool { p := g.pluginPid(t); return p != 0 && p != old })
		// Nobody calls meanwhile, so the old server may be gone before the new one listens.
		poll(t, patience, func() bool { return inode(g.socket) != socket })
		if a := g.send(t, "GET", "/plain", auth); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// TestConfigUnderLoad: a new configuration fails no request.
func TestConfigUnderLoad(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	config := copyConfig(t, specConfig(t))
	g := startGateway(t, config, "-workers", "2")
	more, stop := load(t, g, "/plain", tokenOf(t, "hs256", "hs-a", "HS256"))
	for i := range 5 {
		consumer(t, config, conformance.Bob)["tags"] = []any{string(rune('a' + i))}
		g.configure(t, config)
		more()
	}
	if failed, passed := stop(); failed != 0 || passed == 0 {
		t.Errorf("%d of %d requests failed", failed, failed+passed)
	}
	var stats struct{ Starts, Closes, Retries int }
	g.get(t, "/__stats", &stats)
	if stats.Starts < 3 && hasConfigurations() || stats.Retries != 0 {
		t.Errorf("%+v", stats)
	}
}

// TestKilledServer: Kong respawns a plugin server that died, and it must come
// up on the socket its predecessor left behind.
func TestKilledServer(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	g := specGateway(t)
	auth := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")}
	for range 2 {
		if a := g.send(t, "GET", "/plain", auth); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if err := syscall.Kill(g.pluginPid(t), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		took := poll(t, patience, func() bool {
			a := g.send(t, "GET", "/plain", auth)
			if a.status != 200 && a.status != 500 {
				t.Fatalf("while the server is down: %d %s", a.status, a.body)
			}
			if a.status == 500 && a.upstream != nil {
				t.Fatal("the upstream was reached without the plugin")
			}
			return a.status == 200
		})
		t.Logf("back after %v", took)
	}
}

// TestStopsWithGateway: the plugin server ends when Kong stops.
func TestStopsWithGateway(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	g := specGateway(t)
	pid := g.pluginPid(t)
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-g.exited
	if !gone(pid) {
		t.Errorf("the plugin server %d lives on", pid)
	}
}

// TestAccessLog reads what a log plugin would get.
func TestAccessLog(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	file := filepath.Join(t.TempDir(), "access.log")
	g := specGateway(t, "-access-log", file)
	g.send(t, "GET", "/plain", [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")})
	g.send(t, "GET", "/plain")
	var lines []string
	poll(t, patience, func() bool {
		text, _ := os.ReadFile(file)
		lines = strings.Split(strings.TrimSpace(string(text)), "\n")
		return len(lines) == 2
	})
	var accepted struct {
		Status   int
		Consumer struct{ ID string }
	}
	if err := json.Unmarshal([]byte(lines[0]), &accepted); err != nil || accepted.Status != 200 || accepted.Consumer.ID != conformance.Alice {
		t.Errorf("%s (%v)", lines[0], err)
	}
	if strings.Contains(lines[1], "consumer") || !strings.Contains(lines[1], `"status":401`) {
		t.Errorf("%s", lines[1])
	}
}

// TestNoSecretsInLog: neither tokens nor secrets are written to Kong's log.
func TestNoSecretsInLog(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	g := specGateway(t, "-log-level=debug")
	token := tokenOf(t, "hs256", "hs-a", "HS256")
	bad := tokenOf(t, "hs256", "hs-b", "HS256")
	for _, value := range []string{token, bad, token + "x"} {
		g.send(t, "GET", "/plain", [2]string{"Authorization", "Bearer " + value})
		g.send(t, "GET", "/plain?jwt="+value)
	}
	scan := bufio.NewScanner(strings.NewReader(g.log.String() + g.pluginOutput(t)))
	for scan.Scan() {
		for _, secret := range []string{token, bad, string(setup.keys["hs-a"].Secret), conformance.Secret} {
			if strings.Contains(scan.Text(), secret) || strings.Contains(scan.Text(), secret[:min(len(secret), 60)]) {
				t.Errorf("in the log: %s", scan.Text())
			}
		}
	}
}

// TestKilledUnderLoad kills the server while good and forged tokens keep coming:
// what fails, fails with a 5xx, nothing forged gets through, and service is back
// soon after Kong has started the next one.
func TestKilledUnderLoad(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	g := specGateway(t)
	good, forged := tokenOf(t, "hs256", "hs-a", "HS256"), tokenOf(t, "hs256", "hs-b", "HS256")
	if a := g.send(t, "GET", "/plain", [2]string{"Authorization", "Bearer " + good}); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	time.Sleep(time.Second) // Kong respawns at once who lived that long
	var failed, passed, refused atomic.Int64
	var lastFailure atomic.Int64
	done := make(chan struct{})
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			token := good
			if i%2 == 1 {
				token = forged
			}
			for {
				select {
				case <-done:
					return
				default:
				}
				a, err := exchange(g.proxy, "GET", "/plain", [][2]string{{"Authorization", "Bearer " + token}})
				switch {
				case err != nil:
					t.Errorf("no answer: %v", err)
				case a.status == 200 && token == good:
					passed.Add(1)
				case a.status == 401 && token == forged:
					refused.Add(1)
				case a.status >= 500 && a.upstream == nil:
					failed.Add(1)
					lastFailure.Store(time.Now().UnixNano())
				default:
					t.Errorf("%d %s", a.status, a.body)
				}
			}
		})
	}
	poll(t, patience, func() bool { return passed.Load() > 50 && refused.Load() > 50 })
	killed := time.Now()
	old := g.pluginPid(t)
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	poll(t, patience, func() bool { p := g.pluginPid(t); return p != 0 && p != old })
	respawned := time.Now()
	before := passed.Load()
	poll(t, patience, func() bool { return passed.Load() > before+50 })
	time.Sleep(2*time.Second - time.Since(respawned))
	late := failed.Load()
	before = passed.Load()
	poll(t, patience, func() bool { return passed.Load() > before+50 })
	close(done)
	wait.Wait()
	if n := failed.Load() - late; n != 0 {
		t.Errorf("%d requests failed more than 2 s after the respawn", n)
	}
	t.Logf("%d failed, the last %v after the kill; respawned after %v", failed.Load(), time.Unix(0, lastFailure.Load()).Sub(killed), respawned.Sub(killed))
}
