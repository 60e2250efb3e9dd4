package kong

import (
	"maps"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/revocation"
)

// metrics are what is counted of a server, for Prometheus. On a nil *metrics,
// nothing is, and it costs nothing.
//
// What is counted for each event takes a few atomic additions and no lock: a
// counter is looked up by its labels once, and then kept.
type metrics struct {
	registry *prometheus.Registry

	decisions *prometheus.CounterVec
	counters  atomic.Pointer[map[decided]prometheus.Counter] // of decisions
	adding    sync.Mutex                                     // to counters
	events    prometheus.Histogram

	lookups        *prometheus.CounterVec
	lookupTime     prometheus.Histogram
	refusedLookups prometheus.Counter
	configurations prometheus.Counter
	panics         prometheus.Counter
	sources        *prometheus.GaugeVec
	watchUp        prometheus.Gauge
	rotating       *prometheus.CounterVec

	ready readiness
}

// decided are the labels of a decision.
type decided struct {
	outcome string
	reason  plugin.Reason
}

// newMetrics returns metrics of a server of that version.
func newMetrics(version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		ready:    readiness{now: time.Now},
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "go_jwt_decisions_total",
			Help: "Requests decided, by outcome (accepted, remembered: accepted by the cache, anonymous, unidentified, aside, replied: with published keys, refused, shadowed) and, where there is one, the reason of the refusal; see docs/reasons.md.",
		}, []string{"outcome", "reason"}),
		events: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "go_jwt_event_duration_seconds",
			Help:    "Time from the arrival of a request at the plugin to its last call, including Kong's answers.",
			Buckets: []float64{25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1, 2.5, 5},
		}),
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "go_jwt_lookups_total",
			Help: "Lookups of credentials and consumers in the node's store or the Admin API, by result: found, absent, failed.",
		}, []string{"result"}),
		lookupTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "go_jwt_lookup_duration_seconds",
			Help:    "Time that lookups took, including the wait for a turn.",
			Buckets: []float64{0.1e-3, 0.25e-3, 0.5e-3, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1, 2.5, 5},
		}),
		refusedLookups: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "go_jwt_lookups_refused_total",
			Help: "Lookups of unknown keys that were not made because of -store-rate or -admin-rate.",
		}),
		configurations: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "go_jwt_configurations_total",
			Help: "Declarative configurations that Kong has loaded.",
		}),
		sources: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "go_jwt_store",
			Help: "Where credentials are looked up: 1 for the source that is in use (node, admin, none).",
		}, []string{"source"}),
		watchUp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "go_jwt_watch_up",
			Help: "1 while changes of credentials are reported; 0 while revoking one takes longer.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "go_jwt_panics_total",
			Help: "Panics that were recovered from. Each is a bug.",
		}),
	}
	m.rotating = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "go_jwt_credential_used_total",
		Help: "Tokens verified with one of several credentials of the same key, by key and position in config.credentials. Remembered tokens are not counted again.",
	}, []string{"key", "position"})
	m.counters.Store(new(map[decided]prometheus.Counter))
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "go_jwt_build_info", Help: "1, with the version as a label.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.decisions, m.events, m.lookups, m.lookupTime, m.refusedLookups, m.configurations, m.panics, m.rotating, m.sources, m.watchUp, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	for _, result := range []string{lookupFound, lookupAbsent, lookupFailed} {
		m.lookups.WithLabelValues(result)
	}
	return m
}

// keySets is what is told of the issuers' keys.
type keySets interface {
	Ages() map[string]time.Duration // since the keys were last fetched
	Unknown() map[string]error      // issuers whose keys are not known, and why
}

// revocations is what is told of lists of revoked tokens.
type revocations interface {
	Status() []revocation.Status
	Unknown() map[string]error // lists that are wanted and not known, by URL, and why
}

// watch has the metrics show what s is doing, and how it stands with the issuers'
// keys and the lists of revoked tokens.
func (m *metrics) watch(s *Server, keys keySets, lists revocations) {
	m.ready.issuers, m.ready.lists = keys.Unknown, lists.Unknown
	m.registry.MustRegister(keySetAges{
		prometheus.NewDesc("go_jwt_jwks_age_seconds", "Time since an issuer's keys were last fetched.", []string{"issuer"}, nil), keys.Ages,
	}, readyChecks{
		prometheus.NewDesc("go_jwt_ready", "Whether requests can be decided, as /readyz tells: 1 or 0 for each check (store, watch, issuers, revocations).", []string{"check"}, nil), &m.ready,
	}, newRevocationLists(lists.Status))
	gauge := func(name, help string, value func() int) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) }))
	}
	gauge("go_jwt_connections", "Connections from Kong's workers.", func() int { return int(s.conns.Load()) })
	gauge("go_jwt_events_under_way", "Events that are being served.", func() int { return int(s.busy.Load()) })
	gauge("go_jwt_instances", "Plugin instances that Kong's workers have started.", s.instances.count)
}

// keySetAges collects the ages of issuers' keys.
type keySetAges struct {
	desc     *prometheus.Desc
	byIssuer func() map[string]time.Duration
}

// Describe implements [prometheus.Collector].
func (a keySetAges) Describe(to chan<- *prometheus.Desc) { to <- a.desc }

// Collect implements [prometheus.Collector].
func (a keySetAges) Collect(to chan<- prometheus.Metric) {
	for issuer, age := range a.byIssuer() {
		to <- prometheus.MustNewConstMetric(a.desc, prometheus.GaugeValue, age.Seconds(), issuer)
	}
}

// readyChecks collects what /readyz tells.
type readyChecks struct {
	desc  *prometheus.Desc
	ready *readiness
}

// Describe implements [prometheus.Collector].
func (c readyChecks) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

// Collect implements [prometheus.Collector].
func (c readyChecks) Collect(to chan<- prometheus.Metric) {
	s := c.ready.state()
	for check, ready := range map[string]bool{"store": s.Store == isReady, "watch": s.Watch == isReady, "issuers": len(s.Issuers) == 0, "revocations": len(s.Revocations) == 0} {
		value := 0.0
		if ready {
			value = 1
		}
		to <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, value, check)
	}
}

// now is when an event begins.
func (m *metrics) now() (t time.Time) {
	if m != nil {
		t = time.Now()
	}
	return t
}

// refused counts an event that ended in a refusal.
func (m *metrics) refused(began time.Time, reason plugin.Reason) {
	if m != nil && !began.IsZero() {
		m.count(decided{"refused", reason})
		m.events.Observe(time.Since(began).Seconds())
	}
}

// allowed counts an event that ended otherwise.
func (m *metrics) allowed(began time.Time, o *plugin.Outcome) {
	if m == nil || began.IsZero() {
		return
	}
	d := decided{outcome: string(o.Kind)}
	if o.Shadowed != nil {
		d = decided{"shadowed", o.Shadowed.Reason}
	}
	m.count(d)
	m.events.Observe(time.Since(began).Seconds())
}

func (m *metrics) count(d decided) {
	c, known := (*m.counters.Load())[d]
	if !known {
		c = m.add(d)
	}
	c.Inc()
}

func (m *metrics) add(d decided) prometheus.Counter {
	m.adding.Lock()
	defer m.adding.Unlock()
	c := m.decisions.WithLabelValues(d.outcome, string(d.reason))
	counters := maps.Clone(*m.counters.Load())
	if counters == nil {
		counters = make(map[decided]prometheus.Counter)
	}
	counters[d] = c
	m.counters.Store(&counters)
	return c
}

// The results of a lookup.
const (
	lookupFound  = "found"
	lookupAbsent = "absent"
	lookupFailed = "failed"
)

// LookedUp implements [source.Metrics].
func (m *metrics) LookedUp(took time.Duration, found bool, err error) {
	result := lookupAbsent
	switch {
	case err != nil:
		result = lookupFailed
	case found:
		result = lookupFound
	}
	m.lookups.WithLabelValues(result).Inc()
	m.lookupTime.Observe(took.Seconds())
	m.ready.lookedUp(err)
}

// NotAdmitted implements [source.Metrics].
func (m *metrics) NotAdmitted() { m.refusedLookups.Inc() }

// Configured implements [source.Metrics].
func (m *metrics) Configured() { m.configurations.Inc() }

// Using implements [source.Metrics].
func (m *metrics) Using(store string) {
	for _, s := range []string{"node", "admin", "none"} {
		value := 0.0
		if s == store {
			value = 1
		}
		m.sources.WithLabelValues(s).Set(value)
	}
}

// Watching implements [source.Metrics].
func (m *metrics) Watching(told bool) {
	value := 0.0
	if told {
		value = 1
	}
	m.watchUp.Set(value)
	m.ready.watching(told)
}

// used is plugin's Options.Used.
func (m *metrics) used(key string, position int) {
	if m != nil {
		m.rotating.WithLabelValues(key, strconv.Itoa(position)).Inc()
	}
}

func (m *metrics) panicked() {
	if m != nil {
		m.panics.Inc()
	}
}
