package gateway

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What the label kind says of a route.
const (
	kindAPI = "api"
	kindHub = "hub"
)

// metrics are counted by route. Those of routes that are gone are dropped.
type metrics struct {
	requests  *prometheus.CounterVec   // by kind, api, route, status
	duration  *prometheus.HistogramVec // by kind, api, route
	calls     *prometheus.CounterVec   // by hub, route, status
	delivered *prometheus.CounterVec   // by hub, route
}

func newMetrics() metrics {
	return metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hubbub_gateway_requests_total",
			Help: "Requests over HTTP by route and status; canceled if the client did not wait, aborted if the answer broke off."},
			[]string{"kind", "api", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "hubbub_gateway_request_duration_seconds",
			Help: "Time to the end of the answer of requests over HTTP.", Buckets: prometheus.DefBuckets}, []string{"kind", "api", "route"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hubbub_gateway_hub_calls_total",
			Help: "Calls of hubs, by POST and by clients of the GatewayHub: 200, or the status that tells why a call failed."},
			[]string{"hub", "route", "status"}),
		delivered: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hubbub_gateway_delivered_total",
			Help: "Messages of hubs that were relayed, each counted once whatever the listeners."}, []string{"hub", "route"}),
	}
}

// dropAbsent forgets the counters of routes that old has and now has not.
func (m *metrics) dropAbsent(old, now *table) {
	for _, a := range old.apis {
		for _, r := range a.routes {
			if e := now.byAPI[a.key]; e == nil || e.route(r.key) == nil {
				m.dropRequests(kindAPI, a.key, r.key)
			}
		}
	}
	for _, h := range old.hubs {
		for _, r := range h.routes {
			if e := now.byHub[h.key]; e == nil || e.route(r.key) == nil {
				m.dropRequests(kindHub, h.key, r.key)
				m.delivered.DeleteLabelValues(h.key, r.key)
				m.calls.DeletePartialMatch(prometheus.Labels{"hub": h.key, "route": r.key})
			}
		}
	}
}

func (m *metrics) dropRequests(kind, api, route string) {
	m.duration.DeleteLabelValues(kind, api, route)
	m.requests.DeletePartialMatch(prometheus.Labels{"kind": kind, "api": api, "route": route})
}

// measured runs h and counts its answer.
func (m *metrics) measured(kind, api, route string, h Handler) Handler {
	duration := m.duration.WithLabelValues(kind, api, route)
	return func(w http.ResponseWriter, r *http.Request, a *Access) {
		began, s, status := time.Now(), &statusWriter{ResponseWriter: w}, "aborted"
		defer func() {
			duration.Observe(time.Since(began).Seconds())
			m.requests.WithLabelValues(kind, api, route, status).Inc()
		}()
		h(s, r, a)
		status = strconv.Itoa(s.status)
		if s.status == 0 {
			status = "200"
		}
		if s.status >= 500 && r.Context().Err() != nil {
			status = "canceled"
		}
	}
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// What is known of a hub or of an address of a service as a whole.
var (
	hubUp       = prometheus.NewDesc("hubbub_gateway_hub_up", "1 if the gateway is connected to the hub, else 0.", []string{"hub"}, nil)
	hubConnects = prometheus.NewDesc("hubbub_gateway_hub_connects_total", "Connections to the hub that were made.", []string{"hub"}, nil)
	backendUp   = prometheus.NewDesc("hubbub_gateway_backend_up", "1 if requests go to the address of the service, 0 while it is passed over.", []string{"api", "address"}, nil)
	backendWait = prometheus.NewDesc("hubbub_gateway_backend_pending", "Requests of the address that wait for their end.", []string{"api", "address"}, nil)
	hubRefused  = prometheus.NewDesc("hubbub_gateway_hub_refused_total", "Calls that were not sent, since too many waited.", []string{"hub"}, nil)
)

// Describe implements [prometheus.Collector].
func (g *Gateway) Describe(out chan<- *prometheus.Desc) {
	for _, c := range g.vectors() {
		c.Describe(out)
	}
	for _, d := range []*prometheus.Desc{hubUp, hubConnects, hubRefused, backendUp, backendWait} {
		out <- d
	}
}

// Collect implements [prometheus.Collector]: it tells what the gateway has done, by route, and how the hubs and services downstream
// are. It does not block.
func (g *Gateway) Collect(out chan<- prometheus.Metric) {
	for _, c := range g.vectors() {
		c.Collect(out)
	}
	for _, h := range g.Health() {
		up := 0.0
		if h.Connected {
			up = 1
		}
		out <- prometheus.MustNewConstMetric(hubUp, prometheus.GaugeValue, up, h.Key)
		out <- prometheus.MustNewConstMetric(hubConnects, prometheus.CounterValue, float64(h.Connects), h.Key)
		out <- prometheus.MustNewConstMetric(hubRefused, prometheus.CounterValue, float64(h.Refused), h.Key)
	}
	g.collectBackends(out)
}

func (g *Gateway) vectors() []prometheus.Collector {
	return []prometheus.Collector{g.metrics.requests, g.metrics.duration, g.metrics.calls, g.metrics.delivered}
}
