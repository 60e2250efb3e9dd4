package kong_test

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kong-go-jwt/kong"
	"kong-go-jwt/kong/source"
)

// Every metric that the dashboard shows is there, and every one of ours is shown.
func TestDashboardShowsWhatThereIs(t *testing.T) {
	text, err := os.ReadFile("../docs/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	names, err := kong.MetricNames()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, p := range dashboard.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			for _, name := range regexp.MustCompile(`\b(go|process)_[a-z_]+`).FindAllString(target.Expr, -1) {
				name = strings.TrimSuffix(name, "_bucket")
				shown[name] = true
				if !slices.Contains(names, name) {
					t.Errorf("%s: there is no metric %s", p.Title, name)
				}
			}
		}
	}
	for _, name := range names {
		if strings.HasPrefix(name, "go_jwt_") && !shown[name] {
			t.Errorf("%s is not shown", name)
		}
	}
}

// Metrics that are off cost nothing; those that are on, less than 200 ns an event.
func BenchmarkMetrics(b *testing.B) {
	for _, on := range []bool{false, true} {
		b.Run(map[bool]string{false: "off", true: "on"}[on], func(b *testing.B) {
			event := kong.MeteredEvent(on)
			b.ReportAllocs()
			for b.Loop() {
				event()
			}
		})
	}
	b.Run("on, in parallel", func(b *testing.B) {
		event := kong.MeteredEvent(true)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				event()
			}
		})
	})
}

func TestMetricsOfLookups(t *testing.T) {
	fault := errors.New("down")
	for name, tt := range map[string]struct {
		issuers map[string]error
		do      func(source.Metrics)
		want    string // metrics that are not 0
	}{
		"at first": {nil, func(source.Metrics) {}, "go_jwt_ready issuers, go_jwt_ready revocations, go_jwt_ready store, go_jwt_ready watch"},
		"found": {nil, func(m source.Metrics) {
			m.LookedUp(time.Second, true, nil)
			m.Using("admin")
			m.Watching(true)
		}, "go_jwt_lookups_total found, go_jwt_ready issuers, go_jwt_ready revocations, go_jwt_ready store, go_jwt_ready watch, go_jwt_store admin, go_jwt_watch_up"},
		"not found": {nil, func(m source.Metrics) {
			m.LookedUp(time.Second, false, nil)
			m.Using("node")
			m.Using("none")
			m.Watching(false)
		}, "go_jwt_lookups_total absent, go_jwt_ready issuers, go_jwt_ready revocations, go_jwt_ready store, go_jwt_store none"},
		"failed": {map[string]error{"https://idp": fault}, func(m source.Metrics) {
			m.LookedUp(time.Second, true, fault)
			m.Configured()
		}, "go_jwt_configurations_total, go_jwt_lookups_total failed, go_jwt_ready revocations, go_jwt_ready watch"},
	} {
		t.Run(name, func(t *testing.T) {
			values, err := kong.Metered(tt.issuers, tt.do)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for name, v := range values {
				for _, ours := range []string{"go_jwt_lookups_total", "go_jwt_ready", "go_jwt_store", "go_jwt_watch_up", "go_jwt_configurations_total"} {
					if strings.HasPrefix(name, ours) && v != 0 {
						got = append(got, name)
					}
				}
			}
			slices.Sort(got)
			if got := strings.Join(got, ", "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
