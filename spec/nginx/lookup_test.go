package nginx_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

// Lookups over kept connections, one at a time and 16 at once, of keys that there
// are and, each of them once, of keys that there are not; beside them requests that
// nothing is looked up for. nginx-µs/op is what the workers take of a processor.
func BenchmarkLookup(b *testing.B) {
	const keys = 1000
	n := startNode(b)
	for i := range keys {
		n.change(b, "jwt_secrets", object{"id": fmt.Sprint(i), "key": fmt.Sprint(i), "secret": "s", "algorithm": "HS256", "consumer": object{"id": aliceID}})
	}
	_, at := n.bothWorkers(b)
	cpu := func() float64 { return processorTime(b, at[0].pid(b)) + processorTime(b, at[1].pid(b)) }
	var asked atomic.Uint64
	for _, atOnce := range []int{1, 16} {
		for _, of := range []struct {
			name   string
			target func(n uint64) string
			status int
		}{
			{"known", func(n uint64) string { return fmt.Sprint("/jwt_secrets?key=", n%keys) }, http.StatusOK},
			{"unknown", func(n uint64) string { return fmt.Sprint("/jwt_secrets?key=unknown-", n) }, http.StatusNotFound},
			{"none", func(uint64) string { return "/" }, http.StatusBadRequest},
		} {
			b.Run(fmt.Sprintf("%s/%d", of.name, atOnce), func(b *testing.B) {
				var left atomic.Int64
				left.Store(int64(b.N))
				before := cpu()
				done := make(chan error, atOnce)
				for range atOnce {
					c := n.store(b)
					go func() {
						for left.Add(-1) >= 0 {
							if a, err := c.try(http.MethodGet, of.target(asked.Add(1)), nil, nil); err != nil || a.status != of.status {
								done <- fmt.Errorf("%d %s: %w", a.status, a.body, err)
								return
							}
						}
						done <- nil
					}()
				}
				for range atOnce {
					if err := <-done; err != nil {
						b.Error(err)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
				b.ReportMetric((cpu()-before)*1e6/float64(b.N), "nginx-µs/op")
			})
		}
	}
}

// processorTime is what a process has taken of a processor, in seconds.
func processorTime(t testing.TB, pid int) float64 {
	t.Helper()
	const perSecond = 100 // clock ticks, see proc(5)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(text), ") ")
	var user, system float64
	if _, err := fmt.Sscanf(fields, "%s %d %d %d %d %d %d %d %d %d %d %f %f",
		new(string), new(int), new(int), new(int), new(int), new(int), new(int), new(int), new(int), new(int), new(int), &user, &system); err != nil {
		t.Fatal(err)
	}
	return (user + system) / perSecond
}
