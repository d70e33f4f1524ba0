package main

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hubbub-go/hubbub"
)

// metricsHandler serves the counters of the hubs, of the systems and of the process in the text format of Prometheus.
func metricsHandler(systems []*system, started time.Time) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "hubbub_build_info", Help: "Always 1, with the version.", ConstLabels: prometheus.Labels{"version": versionText()}})
	info.Set(1)
	start := prometheus.NewGauge(prometheus.GaugeOpts{Name: "hubbub_start_time_seconds", Help: "When the server started, seconds since 1970."})
	start.Set(float64(started.Unix()))
	registry.MustRegister(info, start)
	for _, s := range systems {
		for _, h := range s.hubs {
			registry.MustRegister(newHubCollector(h))
		}
		for _, c := range s.collectors {
			registry.MustRegister(c)
		}
	}
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry})
}

// hubCollector reads the counters of one hub when it is asked.
type hubCollector struct {
	hub    *hubbub.Hub
	values []hubValue
	closed *prometheus.Desc
}

type hubValue struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*hubbub.Stats) float64
}

func newHubCollector(h *hubbub.Hub) *hubCollector {
	c := &hubCollector{hub: h}
	labels := prometheus.Labels{"hub": h.Name()}
	add := func(name, help string, kind prometheus.ValueType, read func(*hubbub.Stats) float64) {
		c.values = append(c.values, hubValue{prometheus.NewDesc("hubbub_"+name, help, nil, labels), kind, read})
	}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	add("connections", "Connections now.", gauge, func(s *hubbub.Stats) float64 { return float64(s.Connections) })
	add("groups", "Groups with members now.", gauge, func(s *hubbub.Stats) float64 { return float64(s.Groups) })
	add("users", "Users with a connection now.", gauge, func(s *hubbub.Stats) float64 { return float64(s.Users) })
	add("streams", "Calls with streams running now.", gauge, func(s *hubbub.Stats) float64 { return float64(s.Streams) })
	add("connections_opened_total", "Connections that finished their handshake.", counter, func(s *hubbub.Stats) float64 { return float64(s.Opened) })
	add("messages_received_total", "Messages from clients.", counter, func(s *hubbub.Stats) float64 { return float64(s.Received) })
	add("messages_sent_total", "Messages put into the queues of connections.", counter, func(s *hubbub.Stats) float64 { return float64(s.Sent) })
	add("messages_encoded_total", "Encodings of messages to an audience, one for each message and protocol.", counter, func(s *hubbub.Stats) float64 { return float64(s.Encoded) })
	add("invocations_total", "Calls of methods that were started.", counter, func(s *hubbub.Stats) float64 { return float64(s.Invocations) })
	add("invocations_failed_total", "Calls that were answered with an error.", counter, func(s *hubbub.Stats) float64 { return float64(s.Failed) })
	add("panics_total", "Panics in methods, filters and streams.", counter, func(s *hubbub.Stats) float64 { return float64(s.Panics) })
	c.closed = prometheus.NewDesc("hubbub_connections_closed_total", "Ended connections by reason.", []string{"reason"}, labels)
	return c
}

// closeReasons are always there, so that a rate over them begins at nothing.
var closeReasons = []string{"normal", "slow", "shutdown", "timeout", "expired", "error"}

// Describe implements [prometheus.Collector].
func (c *hubCollector) Describe(out chan<- *prometheus.Desc) {
	for _, v := range c.values {
		out <- v.desc
	}
	out <- c.closed
}

// Collect implements [prometheus.Collector].
func (c *hubCollector) Collect(out chan<- prometheus.Metric) {
	s := c.hub.Stats()
	for _, v := range c.values {
		out <- prometheus.MustNewConstMetric(v.desc, v.kind, v.read(&s))
	}
	closed := make(map[string]int64, len(closeReasons))
	for _, r := range closeReasons {
		closed[r] = 0
	}
	for r, n := range s.Closed {
		closed[r] = n
	}
	for r, n := range closed {
		out <- prometheus.MustNewConstMetric(c.closed, prometheus.CounterValue, float64(n), r)
	}
}
