package kong_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kong-go-jwt/kong"
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
