package edge

import (
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// protocols are the labels of what a request came by.
var protocols = [...]string{"http/1", "http/2", "http/3"}

var classes = [...]string{"1xx", "2xx", "3xx", "4xx", "5xx"}

// meters count what is served. No label tells of a visitor.
type meters struct {
	requests     *prometheus.HistogramVec
	received     *prometheus.CounterVec
	sent         *prometheus.CounterVec
	failures     *prometheus.CounterVec
	handshakes   *prometheus.CounterVec
	refused      *prometheus.CounterVec
	unknownNames prometheus.Counter
	connections  prometheus.GaugeFunc
	active       *prometheus.GaugeVec

	full, resumed, broken [2]prometheus.Counter // TCP, QUIC

	mu    sync.Mutex
	sites map[string]*siteCounts
}

func newMeters(s *Server) *meters {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "b8s", Subsystem: "edge", Name: name, Help: help}, labels)
	}
	m := &meters{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "b8s", Subsystem: "edge", Name: "request_seconds",
			Help:    "Time from a request's head to the end of its answer.",
			Buckets: []float64{.0001, .0005, .001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"site", "protocol", "code"}),
		received:   counter("received_bytes_total", "Octets of request bodies.", "site"),
		sent:       counter("sent_bytes_total", "Octets of answers' bodies.", "site"),
		failures:   counter("upstream_failures_total", "Requests that an upstream failed.", "site", "reason"),
		handshakes: counter("handshakes_total", "TLS handshakes.", "transport", "result"),
		refused:    counter("refused_total", "Requests and connections refused before a site was found.", "reason"),
		sites:      map[string]*siteCounts{},
		active: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "b8s", Subsystem: "edge", Name: "active_requests",
			Help: "Requests that are being answered."}, []string{"site"}),
	}
	m.unknownNames = m.refused.WithLabelValues("unknown server name")
	m.connections = prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "b8s", Subsystem: "edge", Name: "connections",
		Help: "Client connections over TCP."}, func() float64 { return float64(s.conns.count()) })
	for i, transport := range []string{"tcp", "quic"} {
		m.full[i] = m.handshakes.WithLabelValues(transport, "full")
		m.resumed[i] = m.handshakes.WithLabelValues(transport, "resumed")
		m.broken[i] = m.handshakes.WithLabelValues(transport, "broken")
	}
	return m
}

func (m *meters) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.received, m.sent, m.failures, m.handshakes, m.refused, m.connections, m.active}
}

// Describe implements prometheus.Collector.
func (m *meters) Describe(to chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(to)
	}
}

// Collect implements prometheus.Collector.
func (m *meters) Collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	for name, counts := range m.sites {
		m.active.WithLabelValues(name).Set(float64(counts.active.Load()))
	}
	m.mu.Unlock()
	for _, c := range m.collectors() {
		c.Collect(to)
	}
}

// siteCounts are a site's counters; they outlive SetSites.
type siteCounts struct {
	name     string
	meters   *meters
	active   atomic.Int64
	requests atomic.Uint64
	failed   atomic.Uint64
	refused  atomic.Uint64
	received prometheus.Counter
	sent     prometheus.Counter
	timings  [len(protocols)][len(classes)]atomic.Pointer[prometheus.Observer]
}

// site is the counters under a name.
func (m *meters) site(name string) *siteCounts {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := m.sites[name]
	if counts == nil {
		counts = &siteCounts{name: name, meters: m, received: m.received.WithLabelValues(name), sent: m.sent.WithLabelValues(name)}
		m.sites[name] = counts
	}
	return counts
}

// forget drops the counters of sites that are not served any more.
func (m *meters) forget(held iter.Seq[string], next *sites) {
	served := map[string]bool{}
	for _, s := range next.all {
		served[s.Name] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range held {
		if served[name] {
			continue
		}
		delete(m.sites, name)
		labels := prometheus.Labels{"site": name}
		for _, vec := range []interface {
			DeletePartialMatch(prometheus.Labels) int
		}{m.requests, m.received, m.sent, m.failures, m.active} {
			vec.DeletePartialMatch(labels)
		}
	}
}

// done counts a request that was answered.
func (c *siteCounts) done(protocol, status int, took time.Duration, received, sent int64) {
	c.requests.Add(1)
	if status >= 500 {
		c.failed.Add(1)
	}
	class := min(max(status/100-1, 0), len(classes)-1)
	slot := &c.timings[protocol][class]
	timing := slot.Load()
	if timing == nil {
		made := c.meters.requests.WithLabelValues(c.name, protocols[protocol], classes[class])
		timing = &made
		slot.Store(timing)
	}
	(*timing).Observe(took.Seconds())
	if received > 0 {
		c.received.Add(float64(received))
	}
	if sent > 0 {
		c.sent.Add(float64(sent))
	}
}

// upstreamFailed counts a failure by its reason, which is one of few.
func (c *siteCounts) upstreamFailed(reason string) {
	c.meters.failures.WithLabelValues(c.name, reason).Inc()
}

func (c *siteCounts) state() SiteState {
	return SiteState{Active: c.active.Load(), Requests: c.requests.Load(), Failed: c.failed.Load(), Refused: c.refused.Load()}
}
