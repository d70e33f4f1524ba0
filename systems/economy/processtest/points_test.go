package processtest

import "fmt"

// point is a border at which a process is killed. In its statements {id} is the id of the purchase, or what the work is about.
type point struct {
	name string // in words
	at   string // a service and a border
	when string // as in trap
	// holds are what is true afterwards, while the process is dead: so the kill fell where it should.
	holds []fact
	// twice says that the buyer may be told twice. It is found out.
	twice bool
}

// fact is a statement for the database of a service that gives one number, and that number.
type fact struct {
	service, query string
	want           int64
}

func state(s string) string {
	return "SELECT count(*) FROM saga WHERE id = '{id}' AND state = '" + s + "'"
}
func outbox(topic string) string {
	return "SELECT count(*) FROM outbox WHERE key = '{id}' AND topic = '" + topic + "'"
}
func inbox(topic string) string {
	return "SELECT count(*) FROM inbox WHERE key = '{id}' AND topic = '" + topic + "'"
}

// sent is that a message is handled, and what was sent for it is noted as published.
func sent(in, out string) string {
	return inbox(in) + noneOf(out)
}
func noneOf(topic string) string {
	return " AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.key = '{id}' AND outbox.topic = '" + topic + "')"
}
func reserved(state string) string {
	return "SELECT count(*) FROM reservation WHERE purchase = '{id}' AND state = '" + state + "'"
}
func debited(state string) string {
	return "SELECT count(*) FROM debit WHERE purchase = '{id}' AND state = '" + state + "'"
}

const (
	noSaga      = "SELECT 1 - count(*) FROM saga WHERE id = '{id}'"
	timerIsDue  = "SELECT count(*) FROM saga_timer WHERE id = '{id}' AND due <= {now}"
	notTold     = "SELECT count(*) FROM push WHERE purchase = '{id}' AND told = 0"
	isTold      = "SELECT count(*) FROM push WHERE purchase = '{id}' AND told > 0"
	openCommand = "SELECT count(*) FROM saga_command WHERE id = '{id}' AND status = 'open' AND command = '%s'"
)

// step are the points of a message that a service handles: before is when it has not come, in its topic, out that of what is sent
// for it, "" for nothing.
func step(service, before, in, out string) []point {
	undone := []fact{{service, before, 1}, {service, inbox(in), 0}}
	done := []fact{{service, inbox(in), 1}}
	all := []point{
		{name: in + " delivered, not handled", at: service + " delivered", when: before, holds: undone},
		{name: in + " handled, not committed", at: service + " handled", when: before, holds: undone},
		{name: in + " handled and committed, not acknowledged", at: service + " committed", when: inbox(in), holds: done},
		{name: in + " acknowledged", at: service + " acknowledged", when: inbox(in), holds: done},
	}
	if out == "" {
		return all
	}
	// The pump sleeps until it is woken after this border, so that nothing is published yet.
	all[2].name += ", " + out + " not published"
	all[2].holds = append(all[2].holds, fact{service, outbox(out), 1})
	return append(all,
		point{name: out + " published, not noted", at: service + " published", when: outbox(out), holds: []fact{{service, outbox(out), 1}}},
		point{name: out + " noted as published", at: service + " removed", when: sent(in, out), holds: []fact{{service, outbox(out), 0}}})
}

func join(all ...[]point) (points []point) {
	for _, p := range all {
		points = append(points, p...)
	}
	return points
}

// told are the points of the push.
func told(s string) []point {
	return []point{
		{name: s + " saved, not pushed", at: "trading telling", when: state(s), holds: []fact{{"trading", state(s), 1}, {"trading", notTold, 1}}},
		{name: s + " pushed, not noted", at: "trading told", when: state(s), holds: []fact{{"trading", notTold, 1}}},
		{name: s + " pushed and noted", at: "trading noted", when: state(s), holds: []fact{{"trading", isTold, 1}}},
	}
}

// begun are the points of a purchase that begins.
var begun = []point{
	{name: "the buyer has asked, nothing is saved", at: "trading written", when: noSaga, holds: []fact{{"trading", noSaga, 1}}},
	{name: "saved, GrantItems not published", at: "trading committed", when: outbox("GrantItems"), holds: []fact{
		{"trading", state("Accepted"), 1}, {"trading", outbox("GrantItems"), 1}}},
	{name: "saved, the buyer does not know", at: "trading accepted", when: state("Accepted"), holds: []fact{{"trading", noSaga, 0}}},
	{name: "GrantItems published, not noted", at: "trading published", when: outbox("GrantItems"), holds: []fact{{"trading", outbox("GrantItems"), 1}}},
	{name: "GrantItems noted as published", at: "trading removed", when: state("Accepted") + noneOf("GrantItems"), holds: []fact{{"trading", outbox("GrantItems"), 0}}},
}

// completing are the points of a purchase that is completed, after it has begun.
var completing = join(
	step("inventory", "SELECT 1 - count(*) FROM reservation WHERE purchase = '{id}'", "GrantItems", "InventoryItemsGranted"),
	step("trading", state("Accepted"), "InventoryItemsGranted", "DebitGil"),
	step("identity", "SELECT 1 - count(*) FROM debit WHERE purchase = '{id}'", "DebitGil", "GilDebited"),
	step("trading", state("ItemsGranted"), "GilDebited", "DeliverItems"),
	step("inventory", reserved("reserved"), "DeliverItems", "InventoryItemsDelivered"),
	step("trading", state("GilDebited"), "InventoryItemsDelivered", ""),
	told("Completed"))

// refusing are the points of a purchase for which the gil is not enough, from where it differs.
var refusing = join(
	step("identity", "SELECT 1 - count(*) FROM inbox WHERE key = '{id}'", "DebitGil", "Fault.DebitGil"),
	step("trading", state("ItemsGranted"), "Fault.DebitGil", "SubtractItems"),
	told("Faulted"),
	step("inventory", reserved("reserved"), "SubtractItems", "InventoryItemsSubtracted"),
	step("trading", fmt.Sprintf(openCommand, "SubtractItems"), "InventoryItemsSubtracted", ""))

// callingOff are the points of a purchase that is called off after it was paid, from where it differs.
var callingOff = join(
	[]point{
		{name: "the deadline has come, nothing is saved", at: "trading written", when: timerIsDue, holds: []fact{{"trading", state("GilDebited"), 1}}},
		{name: "called off, SubtractItems and RefundGil not published", at: "trading committed", when: outbox("RefundGil"), holds: []fact{
			{"trading", state("Faulted"), 1}, {"trading", outbox("RefundGil"), 1}, {"trading", outbox("SubtractItems"), 1}}},
		{name: "SubtractItems and RefundGil published, not noted", at: "trading published", when: outbox("RefundGil"), holds: []fact{
			{"trading", outbox("RefundGil"), 1}}},
		{name: "SubtractItems and RefundGil noted as published", at: "trading removed", when: state("Faulted") + noneOf("RefundGil"), holds: []fact{
			{"trading", outbox("RefundGil"), 0}}},
	},
	told("Faulted"),
	step("identity", debited("debited"), "RefundGil", "GilRefunded"),
	step("trading", fmt.Sprintf(openCommand, "RefundGil"), "GilRefunded", ""),
	step("inventory", reserved("granted"), "SubtractItems", "InventoryItemsSubtracted"),
	step("trading", fmt.Sprintf(openCommand, "SubtractItems"), "InventoryItemsSubtracted", ""))
