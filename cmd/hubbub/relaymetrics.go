package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubbub-go/hubbub/systems/relay"
	"github.com/hubbub-go/hubbub/systems/relay/ticket"
)

// relayCollector reads the counters of a relay when it is asked.
type relayCollector struct {
	s   *relay.System
	log *slog.Logger
}

// relayValue is one number of a relay.
type relayValue struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*relay.Stats) float64
}

func relayCounter(name, help string, read func(*relay.Stats) uint64) relayValue {
	return relayValue{prometheus.NewDesc("hubbub_relay_"+name, help, nil, nil), prometheus.CounterValue,
		func(s *relay.Stats) float64 { return float64(read(s)) }}
}

var relayValues = []relayValue{
	relayCounter("events_total", "Events triggered on this node.", func(s *relay.Stats) uint64 { return s.Events }),
	relayCounter("events_without_listeners_total", "Events triggered on this node while nobody listened on any.", func(s *relay.Stats) uint64 { return s.Unheard }),
	relayCounter("deliveries_total", "Events handed to connections of this node.", func(s *relay.Stats) uint64 { return s.Delivered }),
	relayCounter("subscriptions_refused_total", "Subscriptions refused, for bad arguments, want of a right or past a limit.", func(s *relay.Stats) uint64 { return s.Refused }),
	relayCounter("webhook_deliveries_total", "Events that webhooks took from this node.", func(s *relay.Stats) uint64 { return s.Posted }),
	relayCounter("webhook_dropped_total", "Events that webhooks did not take, or had too many of.", func(s *relay.Stats) uint64 { return s.Dropped }),
	relayCounter("retained_lost_total", "Kept events that no listener came back for in time, or that were too many.", func(s *relay.Stats) uint64 { return s.Lost }),
	relayCounter("pushes_total", "Hints sent to the clients of the push hub.", func(s *relay.Stats) uint64 { return s.Pushes }),
	relayCounter("events_heard_total", "Events of hubs that became tickets.", func(s *relay.Stats) uint64 { return s.Heard }),
	relayCounter("events_refused_total", "Events of hubs that became no tickets, such as those with a cookie that this server has not handed out.", func(s *relay.Stats) uint64 { return s.Unwanted }),
	{prometheus.NewDesc("hubbub_relay_subscriptions", "Subscriptions of the connections of this node.", nil, nil), prometheus.GaugeValue,
		func(s *relay.Stats) float64 { return float64(s.Subscriptions) }},
}

var (
	relayHubHealthy = prometheus.NewDesc("hubbub_relay_hub_healthy", "1 for a hub that this node is connected to, with all subscriptions; else 0.", []string{"hub"}, nil)
	ticketsNow      = prometheus.NewDesc("hubbub_relay_tickets", "Tickets of all nodes.", []string{"state"}, nil)
	ticketTime      = prometheus.NewDesc("hubbub_relay_ticket_run_seconds", "Time of the runs of tickets that ended on this node.", nil, nil)
	ticketCounts    = []struct {
		desc *prometheus.Desc
		read func(*ticket.Stats) int64
	}{
		{prometheus.NewDesc("hubbub_relay_tickets_created_total", "Tickets made on this node.", nil, nil), func(s *ticket.Stats) int64 { return s.Created }},
		{prometheus.NewDesc("hubbub_relay_ticket_runs_total", "Runs of tickets on this node.", nil, nil), func(s *ticket.Stats) int64 { return s.Runs }},
		{prometheus.NewDesc("hubbub_relay_ticket_runs_repeated_total", "Runs of tickets that had run before.", nil, nil), func(s *ticket.Stats) int64 { return s.Repeated }},
		{prometheus.NewDesc("hubbub_relay_tickets_done_total", "Tickets done on this node.", nil, nil), func(s *ticket.Stats) int64 { return s.Done }},
		{prometheus.NewDesc("hubbub_relay_tickets_failed_total", "Tickets failed on this node.", nil, nil), func(s *ticket.Stats) int64 { return s.Failed }},
		{prometheus.NewDesc("hubbub_relay_tickets_recovered_total", "Tickets taken over from processes that had died.", nil, nil), func(s *ticket.Stats) int64 { return s.Recovered }},
	}
)

// countTimeout bounds counting the tickets for one scrape.
const countTimeout = 5 * time.Second

// Describe implements [prometheus.Collector].
func (c relayCollector) Describe(out chan<- *prometheus.Desc) {
	for _, v := range relayValues {
		out <- v.desc
	}
	out <- relayHubHealthy
	out <- ticketsNow
	out <- ticketTime
	for _, v := range ticketCounts {
		out <- v.desc
	}
}

// Collect implements [prometheus.Collector].
func (c relayCollector) Collect(out chan<- prometheus.Metric) {
	n := c.s.Stats()
	for _, v := range relayValues {
		out <- prometheus.MustNewConstMetric(v.desc, v.kind, v.read(&n))
	}
	healthy := make(map[string]float64) // two hubs may differ in their query alone
	for _, h := range c.s.Listeners() {
		name, one := bareURL(h.URL), 0.0
		if h.Healthy {
			one = 1
		}
		if before, has := healthy[name]; has {
			one = min(one, before)
		}
		healthy[name] = one
	}
	for name, v := range healthy {
		out <- prometheus.MustNewConstMetric(relayHubHealthy, prometheus.GaugeValue, v, name)
	}
	if q := c.s.Tickets(); q != nil {
		c.collectTickets(q, out)
	}
}

func (c relayCollector) collectTickets(q *ticket.Queue, out chan<- prometheus.Metric) {
	n := q.Stats()
	for _, v := range ticketCounts {
		out <- prometheus.MustNewConstMetric(v.desc, prometheus.CounterValue, float64(v.read(&n)))
	}
	buckets := make(map[float64]uint64, len(ticket.RunBuckets))
	var runs uint64
	for i, count := range n.RunTimes {
		runs += uint64(count)
		if i < len(ticket.RunBuckets) {
			buckets[ticket.RunBuckets[i]] = runs
		}
	}
	out <- prometheus.MustNewConstHistogram(ticketTime, runs, n.RunSeconds, buckets)
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	states, err := q.Count(ctx)
	if err != nil { // the other numbers are good
		c.log.Error("relay: count tickets for /metrics", "error", err)
		return
	}
	for state, count := range states {
		out <- prometheus.MustNewConstMetric(ticketsNow, prometheus.GaugeValue, float64(count), state.String())
	}
}
