package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy"
)

// economyCollector reads the counters of Play Economy when it is asked.
type economyCollector struct {
	s     *economy.System
	log   *slog.Logger
	boxes map[string]*box.Box // by service
}

func newEconomyCollector(s *economy.System, log *slog.Logger) economyCollector {
	c := economyCollector{s, log, make(map[string]*box.Box)}
	if s.Catalog() != nil {
		c.boxes[economy.Catalog] = s.Catalog().Box()
	}
	if s.Inventory() != nil {
		c.boxes[economy.Inventory] = s.Inventory().Box()
	}
	if s.Identity() != nil {
		c.boxes[economy.Identity] = s.Identity().Box()
	}
	if s.Trading() != nil {
		c.boxes[economy.Trading] = s.Trading().Box()
	}
	return c
}

func economyDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	purchaseStarted = economyDesc("purchase_started_total", "Purchases begun on this node.", "item_id")
	purchaseSuccess = economyDesc("purchase_success_total", "Purchases that ended as Completed on this node.", "item_id")
	purchaseFailed  = economyDesc("purchase_failed_total", "Purchases that ended as Faulted on this node.", "item_id")

	// As those of purchases by item; items that the catalog does not know are neither granted nor updated.
	economyGranted = economyDesc("items_granted_total", "Purchases whose items were reserved, or handed out before they were paid, on this node.", "item_id")
	economyUpdated = economyDesc("items_updated_total", "Changes of items of the catalog on this node.", "item_id")

	economyCreated    = economyDesc("hubbub_economy_items_created_total", "Items added to the catalog on this node.")
	economyDeleted    = economyDesc("hubbub_economy_items_deleted_total", "Items taken out of the catalog on this node.")
	economyDelivered  = economyDesc("hubbub_economy_items_delivered_total", "Purchases whose reserved items were handed out on this node.")
	economySubtracted = economyDesc("hubbub_economy_items_subtracted_total", "Purchases whose items were taken back on this node.")
	economyDebited    = economyDesc("gil_debited_total", "Purchases whose gil was debited on this node.")
	economyRefunded   = economyDesc("gil_refunded_total", "Purchases whose gil was given back on this node.")
	economyRegistered = economyDesc("hubbub_economy_accounts_registered_total", "Accounts registered on this node.")
	economySignIns    = economyDesc("hubbub_economy_failed_sign_ins_total", "Sign-ins on this node with a wrong password, or that came too often.")
	economyResent     = economyDesc("hubbub_economy_commands_resent_total", "Commands of purchases that had no answer in time and were sent again.")
	economyLate       = economyDesc("hubbub_economy_late_events_total", "Messages for purchases that had ended.")

	economyWaiting = economyDesc("hubbub_economy_outbox_waiting", "Messages in the outbox of a service that the broker has not taken.", "service")
	economyQueued  = economyDesc("hubbub_economy_queue_messages", "Messages of a queue at the broker that are not handled.", "queue")
)

// boxValues are those of each service's outbox and inbox.
var boxValues = []struct {
	desc *prometheus.Desc
	read func(*box.Stats) uint64
}{
	{economyDesc("hubbub_economy_messages_published_total", "Messages that the broker took.", "service"), func(s *box.Stats) uint64 { return s.Published }},
	{economyDesc("hubbub_economy_messages_handled_total", "Messages handled, doubles among them.", "service"), func(s *box.Stats) uint64 { return s.Handled }},
	{economyDesc("hubbub_economy_messages_doubled_total", "Messages that had been handled before.", "service"), func(s *box.Stats) uint64 { return s.Doubles }},
	{economyDesc("hubbub_economy_messages_early_total", "Messages that came before their time and were put off.", "service"), func(s *box.Stats) uint64 { return s.Early }},
	{economyDesc("hubbub_economy_messages_refused_total", "Messages answered with a fault.", "service"), func(s *box.Stats) uint64 { return s.Refused }},
	{economyDesc("hubbub_economy_messages_failed_total", "Attempts at a message that ended with a technical fault.", "service"), func(s *box.Stats) uint64 { return s.Failed }},
	{economyDesc("hubbub_economy_dead_letters_total", "Messages given up.", "service"), func(s *box.Stats) uint64 { return s.Buried }},
}

// Describe implements [prometheus.Collector].
func (c economyCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{purchaseStarted, purchaseSuccess, purchaseFailed, economyGranted, economyUpdated, economyCreated,
		economyDeleted, economyDelivered, economySubtracted, economyDebited, economyRefunded, economyRegistered,
		economySignIns, economyResent, economyLate, economyWaiting, economyQueued} {
		out <- d
	}
	for _, v := range boxValues {
		out <- v.desc
	}
}

// Collect implements [prometheus.Collector].
func (c economyCollector) Collect(out chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	if t := c.s.Trading(); t != nil {
		for item, n := range t.Counts() {
			id := ""
			if item != uuid.Nil {
				id = item.String()
			}
			count(purchaseStarted, n.Started, id)
			count(purchaseSuccess, n.Success, id)
			count(purchaseFailed, n.Failed, id)
		}
		n := t.Machine().Stats()
		count(economyResent, n.Resent)
		count(economyLate, n.Late)
	}
	if s := c.s.Catalog(); s != nil {
		n := s.Stats()
		for item, times := range n.Updated {
			count(economyUpdated, times, item.String())
		}
		count(economyCreated, n.Created)
		count(economyDeleted, n.Deleted)
	}
	if s := c.s.Inventory(); s != nil {
		n := s.Stats()
		for item, times := range n.Granted {
			count(economyGranted, times, item.String())
		}
		count(economyDelivered, n.Delivered)
		count(economySubtracted, n.Subtracted)
	}
	if i := c.s.Identity(); i != nil {
		n := i.Stats()
		count(economyDebited, n.GilDebited)
		count(economyRefunded, n.GilRefunded)
		count(economyRegistered, n.Registered)
		count(economySignIns, n.FailedSignIns)
	}
	for service, b := range c.boxes {
		n := b.Stats()
		for _, v := range boxValues {
			count(v.desc, v.read(&n), service)
		}
	}
	c.collectWaiting(out)
}

// waitingTimeout bounds asking databases and broker for one scrape.
const waitingTimeout = 3 * time.Second

// collectWaiting tells what is on its way. Without a database or the broker the other numbers are good.
func (c economyCollector) collectWaiting(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), waitingTimeout)
	defer cancel()
	for service, b := range c.boxes {
		n, err := b.Waiting(ctx)
		if err != nil {
			c.log.Warn("economy: count the outbox for /metrics", "service", service, "error", err)
			continue
		}
		out <- prometheus.MustNewConstMetric(economyWaiting, prometheus.GaugeValue, float64(n), service)
	}
	queues, err := c.s.Bus().Queues(ctx)
	if err != nil {
		c.log.Warn("economy: count the queues for /metrics", "error", err)
		return
	}
	for _, q := range queues {
		out <- prometheus.MustNewConstMetric(economyQueued, prometheus.GaugeValue, float64(q.Waiting+q.Running), q.Name)
	}
}
