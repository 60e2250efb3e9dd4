package kong

import (
	"github.com/prometheus/client_golang/prometheus"

	"kong-go-jwt/plugin/revocation"
)

// revocationLists collects how lists of revoked tokens are.
type revocationLists struct {
	usable, age, entries *prometheus.Desc
	lists                func() []revocation.Status
}

func newRevocationLists(lists func() []revocation.Status) revocationLists {
	desc := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, []string{"url"}, nil) }
	return revocationLists{
		desc("go_jwt_revocation_list_usable", "1 if a list of revoked tokens was fetched and is not too old, else 0."),
		desc("go_jwt_revocation_list_age_seconds", "Time since a list of revoked tokens was last fetched, or seen to be unchanged."),
		desc("go_jwt_revocation_list_entries", "Entries of a list of revoked tokens."),
		lists,
	}
}

// Describe implements [prometheus.Collector].
func (r revocationLists) Describe(to chan<- *prometheus.Desc) {
	to <- r.usable
	to <- r.age
	to <- r.entries
}

// Collect implements [prometheus.Collector].
func (r revocationLists) Collect(to chan<- prometheus.Metric) {
	byURL := make(map[string]revocation.Status) // which differ in more than their URL are taken together
	for _, s := range r.lists() {
		if other, ok := byURL[s.URL]; ok {
			s.Usable, s.Age, s.Entries = s.Usable && other.Usable, max(s.Age, other.Age), max(s.Entries, other.Entries)
		}
		byURL[s.URL] = s
	}
	for url, s := range byURL {
		usable := 0.0
		if s.Usable {
			usable = 1
		}
		to <- prometheus.MustNewConstMetric(r.usable, prometheus.GaugeValue, usable, url)
		to <- prometheus.MustNewConstMetric(r.age, prometheus.GaugeValue, s.Age.Seconds(), url)
		to <- prometheus.MustNewConstMetric(r.entries, prometheus.GaugeValue, float64(s.Entries), url)
	}
}
