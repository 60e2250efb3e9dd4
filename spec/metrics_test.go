package spec_test

import (
	"bufio"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// metered are the flags that have the plugin serve metrics, and its address.
func metered(t testing.TB, more ...string) (address string, args []string) {
	t.Helper()
	address = freeAddress(t)
	for _, a := range append([]string{"-metrics-listen", address}, more...) {
		args = append(args, "-plugin-arg="+a)
	}
	return address, args
}

// fetch gets a path from the plugin's metrics server; status 0: it cannot be had.
func fetch(t testing.TB, address, path string) (status int, body string) {
	t.Helper()
	res, err := adminClient.Get("http://" + address + path)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, ""
	}
	return res.StatusCode, string(text)
}

// awaitMetrics waits until they are served, which begins a moment after the plugin listens.
func awaitMetrics(t *testing.T, address string) {
	t.Helper()
	poll(t, patience, func() bool { status, _ := fetch(t, address, "/healthz"); return status == http.StatusOK })
}

// metrics reads the plugin's metrics, by name and labels.
func metrics(t testing.TB, address string) map[string]float64 {
	t.Helper()
	status, text := fetch(t, address, "/metrics")
	if status != http.StatusOK {
		t.Fatalf("metrics: status %d", status)
	}
	values := map[string]float64{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		at := strings.LastIndexByte(lines.Text(), ' ')
		if at < 0 || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		v, err := strconv.ParseFloat(lines.Text()[at+1:], 64)
		if err != nil {
			t.Fatalf("metrics: %s", lines.Text())
		}
		values[lines.Text()[:at]] = v
	}
	return values
}

// TestMetrics has one request of each kind, and reads what was counted.
func TestMetrics(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	address, args := metered(t)
	g := specGateway(t, args...)
	good := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-a", "HS256")}
	bad := [2]string{"Authorization", "Bearer " + tokenOf(t, "hs256", "hs-b", "HS256")}
	unknown := [2]string{"Authorization", "Bearer " + tokenOf(t, "nobody", "hs-b", "HS256")}
	// The first that is told of changes has all looked up again.
	poll(t, patience, func() bool {
		status, text := fetch(t, address, "/metrics")
		return status == http.StatusOK && strings.Contains(text, "\ngo_jwt_watch_up 1\n")
	})
	for range 3 {
		g.send(t, "GET", "/plain", good)
	}
	g.send(t, "GET", "/plain", bad)
	g.send(t, "GET", "/plain", unknown)
	g.send(t, "GET", "/plain", unknown) // remembered
	g.send(t, "GET", "/plain")
	g.send(t, "GET", "/anonymous")
	g.send(t, "OPTIONS", "/preflight")
	source := "admin"
	switch {
	case byNode():
		source = "node"
	case byConfiguration():
		source = "none"
	}
	want := map[string]float64{
		`go_jwt_decisions_total{outcome="accepted",reason=""}`:                  1,
		`go_jwt_decisions_total{outcome="remembered",reason=""}`:                2,
		`go_jwt_decisions_total{outcome="refused",reason="invalid_signature"}`:  1,
		`go_jwt_decisions_total{outcome="refused",reason="unknown_credential"}`: 2,
		`go_jwt_decisions_total{outcome="refused",reason="no_token"}`:           1,
		`go_jwt_decisions_total{outcome="anonymous",reason=""}`:                 1,
		`go_jwt_decisions_total{outcome="unidentified",reason=""}`:              1,
		`go_jwt_event_duration_seconds_count`:                                   9,
		`go_jwt_store{source="` + source + `"}`:                                 1,
		`go_jwt_watch_up`:                                                       1,
		`go_jwt_lookups_total{result="failed"}`:                                 0,
		`go_jwt_panics_total`:                                                   0,
		`go_jwt_instances`:                                                      3,
	}
	const found, absent = `go_jwt_lookups_total{result="found"}`, `go_jwt_lookups_total{result="absent"}`
	switch {
	case byNode():
		want[found], want[absent] = 3, 1 // a credential and two consumers; the unknown one once
	case byConfiguration():
		want[found], want[absent] = 0, 0
	}
	var got map[string]float64
	poll(t, patience, func() bool { // the last is counted behind its answer
		got = metrics(t, address)
		return got[`go_jwt_event_duration_seconds_count`] >= 9
	})
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s is %v, want %v", name, got[name], v)
		}
	}
	if got[found] < 1 && !byConfiguration() || got[`go_jwt_connections`] < 1 || got[`go_goroutines`] < 1 {
		t.Errorf("found %v, connections %v, goroutines %v", got[found], got[`go_jwt_connections`], got[`go_goroutines`])
	}
	// By the Admin API the unknown one is asked for once, or never if the keys of the
	// configuration have been listed by then.
	if n, there := got[absent]; !there || n > 1 || n == 0 && !hasConfigurations() {
		t.Errorf("absent %v (%v)", n, there)
	}
	if status, _ := fetch(t, address, "/debug/pprof/"); status != http.StatusNotFound {
		t.Errorf("pprof without its flag: status %d", status)
	}
}

// TestMetricsAfterReload: the new server takes the address over from the old one.
func TestMetricsAfterReload(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	address, args := metered(t, "-pprof")
	g := specGateway(t, args...)
	poll(t, patience, func() bool { status, _ := fetch(t, address, "/debug/pprof/"); return status == http.StatusOK })
	started := metrics(t, address)["process_start_time_seconds"]
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	poll(t, patience, func() bool {
		status, text := fetch(t, address, "/metrics")
		_, now, _ := strings.Cut(text, "\nprocess_start_time_seconds ")
		now, _, _ = strings.Cut(now, "\n")
		v, err := strconv.ParseFloat(now, 64)
		return status == http.StatusOK && err == nil && v != started
	})
}
