package spec_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// prometheus is a running Prometheus.
type prometheus struct{ base string }

// startPrometheus has a Prometheus scrape that address, with the alert rules.
func startPrometheus(t *testing.T, address string) prometheus {
	t.Helper()
	needsProgram(t, "prometheus", "prometheus")
	rules, err := filepath.Abs("../docs/prometheus-alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 500ms, evaluation_interval: 1s}\nrule_files: [%s]\n"+
		"scrape_configs: [{job_name: go-jwt, scrape_timeout: 500ms, static_configs: [{targets: [%q]}]}]\n", rules, address)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	own := freeAddress(t)
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "prometheus", "--config.file="+file, "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+own, "--log.level=error")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); cmd.Wait() })
	return prometheus{"http://" + own}
}

// sample is the values of a series, by time.
type sample struct {
	Metric map[string]string
	Value  []any
	Values [][]any
}

// query returns what /api/v1/PATH answers, nil if it cannot be had.
func (p prometheus) query(path string, q url.Values) []sample {
	res, err := http.Get(p.base + "/api/v1/" + path + "?" + q.Encode())
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	var answer struct{ Data struct{ Result []sample } }
	if json.Unmarshal(text, &answer) != nil {
		return nil
	}
	return answer.Data.Result
}

// has tells whether a query gives a number.
func (p prometheus) has(expr string) bool {
	for _, s := range p.query("query", url.Values{"query": {expr}}) {
		if len(s.Value) == 2 && s.Value[1] != "NaN" {
			return true
		}
	}
	return false
}

// TestDashboardQueries: each query of the dashboard gives data on a real
// Prometheus that scrapes a plugin under load. With SPEC_METRICS_PICTURE, the
// run takes longer, and is drawn into that file.
func TestDashboardQueries(t *testing.T) {
	needsLookups(t)
	needsProgram(t, "prometheus", "prometheus")
	t.Parallel()
	provider, key, args := provider(t)
	address, meteredArgs := metered(t)
	exp := []any{"exp"}
	lists := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"revoked":[{"jti":"1"}]}`) }))
	t.Cleanup(lists.Close)
	g := withRoutes(t, map[string][]any{
		"/a": jwt(object{"issuers": []any{object{"issuer": provider.URL}}, "revocations": []any{object{"url": lists.URL}}}),
		"/b": jwt(object{"claims_to_verify": exp, "credentials": []any{
			object{"key": "k", "secret": inlineSecret, "consumer": "alice"},
			object{"key": "k", "secret": inlineSecret + " of old", "consumer": "alice"},
		}}),
	}, args, meteredArgs...)
	issued, err := provider.Token(key, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := startPrometheus(t, address)
	picture := os.Getenv("SPEC_METRICS_PICTURE")
	began, rounds := time.Now(), 0
	round := func() {
		rounds++
		g.send(t, "GET", "/a", bearer(issued))
		g.send(t, "GET", "/a", bearer(claimsToken(t, object{"n": rounds})))
		g.send(t, "GET", "/a", bearer(tokenOf(t, "nobody", "literal:"+strconv.Itoa(rounds), "HS256")))
		g.send(t, "GET", "/a", bearer(claimsToken(t, object{"iss": "n" + strconv.Itoa(rounds)})))
		g.send(t, "GET", "/b", bearer(expiring(t, "k")))
		if s := time.Since(began); picture == "" || s > 15*time.Second && s < 30*time.Second {
			for range 10 {
				g.send(t, "GET", "/b", bearer("bad"))
			}
		}
	}
	if picture != "" {
		for time.Since(began) < 45*time.Second {
			round()
		}
		drawMetrics(t, p, picture, began)
	}
	for _, q := range dashboardQueries(t) {
		t.Run(q.title, func(t *testing.T) {
			poll(t, 2*patience, func() bool { round(); return p.has(q.expr) })
		})
	}
	if n := p.query("query", url.Values{"query": {`prometheus_rule_evaluation_failures_total > 0`}}); len(n) > 0 {
		t.Errorf("alert rules fail: %v", n)
	}
}

type dashboardQuery struct{ title, expr string }

// dashboardQueries are those of the dashboard, for all jobs and instances.
func dashboardQueries(t *testing.T) (queries []dashboardQuery) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(readRoot(t, "docs/grafana-dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			expr := strings.NewReplacer("$job", ".*", "$instance", ".*", "$__rate_interval", "5s").Replace(target.Expr)
			queries = append(queries, dashboardQuery{panel.Title, expr})
		}
	}
	return queries
}

// drawMetrics draws the run as an SVG, a chart for each of some queries.
func drawMetrics(t *testing.T, p prometheus, file string, began time.Time) {
	t.Helper()
	const width, height, left = 420.0, 130.0, 45.0
	colors := []string{"#2a6fdb", "#d9480f", "#2b8a3e", "#9c36b5", "#868e96"}
	charts := []dashboardQuery{
		{"Decisions a second, by outcome", `sum by (outcome) (rate(go_jwt_decisions_total[3s]))`},
		{"Refusals a second, by reason", `sum by (reason) (rate(go_jwt_decisions_total{outcome="refused"}[3s]))`},
		{"Lookups a second, by result", `sum by (result) (rate(go_jwt_lookups_total[3s]))`},
		{"Event latency, p99, in ms", `1000 * histogram_quantile(0.99, sum by (le) (rate(go_jwt_event_duration_seconds_bucket[3s])))`},
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %v %v" font-family="sans-serif" font-size="11"><rect width="100%%" height="100%%" fill="white"/>`+"\n", 2*(width+left+20), 2*(height+70))
	start, end := began.Add(4*time.Second), time.Now()
	for i, c := range charts {
		series := p.query("query_range", url.Values{
			"query": {c.expr}, "step": {"0.5"},
			"start": {fmt.Sprint(float64(start.UnixMilli()) / 1000)}, "end": {fmt.Sprint(float64(end.UnixMilli()) / 1000)},
		})
		if len(series) == 0 {
			t.Fatalf("%s: no data", c.title)
		}
		most := 0.0
		number := func(v []any) (at, n float64) {
			at, _ = v[0].(float64)
			text, _ := v[1].(string)
			n, _ = strconv.ParseFloat(text, 64)
			return at - float64(start.UnixMilli())/1000, n
		}
		for _, s := range series {
			for _, v := range s.Values {
				if _, n := number(v); n > most {
					most = n
				}
			}
		}
		fmt.Fprintf(&b, `<g transform="translate(%v,%v)"><text y="-8" font-weight="bold">%s</text><path d="M0 0V%vH%v" fill="none" stroke="#adb5bd"/>`+
			`<text x="-6" y="9" text-anchor="end">%.3g</text><text x="-6" y="%v" text-anchor="end">0</text><text x="%v" y="%v" text-anchor="end">%.0f s</text>`+"\n",
			left+float64(i%2)*(width+left+20), 30+float64(i/2)*(height+70), c.title, height, width, most, height, width, height+14, end.Sub(start).Seconds())
		for k, s := range series {
			points := make([]string, 0, len(s.Values))
			for _, v := range s.Values {
				if at, n := number(v); n == n { // not NaN
					points = append(points, fmt.Sprintf("%.1f,%.1f", at/end.Sub(start).Seconds()*width, height-n/most*height))
				}
			}
			name := ""
			for _, label := range s.Metric {
				name = label
			}
			color := colors[k%len(colors)]
			fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/><text x="%v" y="%v" fill="%s">%s</text>`+"\n",
				strings.Join(points, " "), color, float64(k)*105, height+28, color, name)
		}
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
