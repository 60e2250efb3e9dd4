package nginx_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
)

// Lookups over kept connections, one at a time and 16 at once, of keys that there
// are and, each of them once, of keys that there are not.
func BenchmarkLookup(b *testing.B) {
	const keys = 1000
	n := startNode(b)
	for i := range keys {
		n.change(b, "jwt_secrets", object{"id": fmt.Sprint(i), "key": fmt.Sprint(i), "secret": "s", "algorithm": "HS256", "consumer": object{"id": aliceID}})
	}
	var asked atomic.Uint64
	for _, atOnce := range []int{1, 16} {
		for name, want := range map[string]int{"known": http.StatusOK, "unknown": http.StatusNotFound} {
			b.Run(fmt.Sprintf("%s/%d", name, atOnce), func(b *testing.B) {
				left := atomic.Int64{}
				left.Store(int64(b.N))
				done := make(chan error, atOnce)
				for range atOnce {
					c := n.store(b)
					go func() {
						for left.Add(-1) >= 0 {
							key := fmt.Sprintf("unknown-%d", asked.Add(1))
							if want == http.StatusOK {
								key = fmt.Sprint(asked.Add(1) % keys)
							}
							if a, err := c.try(http.MethodGet, "/jwt_secrets?key="+key, nil, nil); err != nil || a.status != want {
								done <- fmt.Errorf("%d %s %w", a.status, a.body, err)
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
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lookups/s")
			})
		}
	}
}
