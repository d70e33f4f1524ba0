package processtest

import (
	"fmt"
	"strings"
)

// P12 names points between two steps of a purchase. Each of its rows is a point below, where a statement shows after the kill that
// it fell there; before these tests there was a kill at a border counted in a process with a bank in place of the identity service,
// and nothing showed which message it was about.
//
//	P12                                        here                                                        before
//	after 202, before the saga is saved        begun: asked, nothing saved; saved, the buyer does not know  the second
//	after the save, before GrantItems          begun: committed / published / noted                        by count
//	after the grant, before the reply          completing: GrantItems, each border of the inventory        handled, committed, published
//	after ItemsGranted saved, before DebitGil  completing: InventoryItemsGranted, each border of trading   by count
//	after the debit, before GilDebited         completing: DebitGil, each border of identity               a bank, not identity
//	after Completed saved, before the push     told: telling, told, noted                                  telling, told
//	deliver                                    completing: GilDebited, DeliverItems, InventoryItemsDelivered by count
//	subtract, after a refusal                  refusing: Fault.DebitGil, SubtractItems, its answer         none
//	deadline, subtract and refund              callingOff: timer, both commands, both answers              none
//	catalog: item changed                      shop: the outbox of the catalog, the inboxes of both copies none
//	identity: gil changed                      changing: the outbox of identity, the inbox of trading      none
//
// All of it with every service in one process, where the bus dies too, and with each in its own. On top of it see
// TestKilledAtRandom.

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

// every is of how many points like it one is usually visited in each kind of system.
func (p point) every() int {
	for _, word := range []string{"not published", "saved", "pushed"} {
		if strings.Contains(p.name, word) {
			return 2
		}
	}
	return 8
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
	timerIsDue  = "SELECT count(*) FROM saga WHERE id = '{id}' AND state = 'GilDebited' AND id IN (SELECT id FROM saga_timer WHERE due <= {now})"
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

// shop are the points of an item of the catalog, {id}, whose version {version} is told with a message of a topic.
func shop(topic string) []point {
	const (
		own     = "SELECT count(*) FROM item WHERE id = '{id}' AND version >= {version}"
		theirs  = "SELECT count(*) FROM catalog_item WHERE id = '{id}' AND version >= {version}"
		no      = "SELECT 1 - count(*) FROM catalog_item WHERE id = '{id}' AND version >= {version}"
		waiting = "SELECT count(*) FROM outbox WHERE topic = '"
	)
	told, none := waiting+topic+"'", "SELECT 1 - count(*) FROM outbox"
	all := []point{
		{name: topic + " written, not committed", at: "catalog written", holds: []fact{{"catalog", own, 0}, {"catalog", none, 1}}},
		{name: topic + " committed, not published", at: "catalog committed", holds: []fact{{"catalog", told, 1}}},
		{name: topic + " published, not noted", at: "catalog published", holds: []fact{{"catalog", told, 1}}},
		{name: topic + " noted as published", at: "catalog removed", holds: []fact{{"catalog", none, 1}}},
	}
	for _, service := range []string{"inventory", "trading"} {
		all = append(all,
			point{name: topic + " delivered, not handled", at: service + " delivered", when: no, holds: []fact{{service, no, 1}}},
			point{name: topic + " handled, not committed", at: service + " handled", when: no, holds: []fact{{service, no, 1}}},
			point{name: topic + " handled and committed, not acknowledged", at: service + " committed", when: theirs, holds: []fact{{service, theirs, 1}}},
			point{name: topic + " acknowledged", at: service + " acknowledged", when: theirs, holds: []fact{{service, theirs, 1}}})
	}
	return all
}

// changing are the points of an account, {id}, whose gil an administrator changes, to {version}.
var changing = []point{
	{name: "UserUpdated written, not committed", at: "identity written", holds: []fact{{"identity", accountHas + "gil = {version}", 0}}},
	{name: "UserUpdated committed, not published", at: "identity committed", when: accountHas + "gil = {version}", holds: []fact{{"identity", userTold, 1}}},
	{name: "UserUpdated published, not noted", at: "identity published", holds: []fact{{"identity", userTold, 1}}},
	{name: "UserUpdated noted as published", at: "identity removed", holds: []fact{{"identity", userTold, 0}}},
	{name: "UserUpdated delivered, not handled", at: "trading delivered", holds: []fact{{"trading", purseHas + "gil = {version}", 0}}},
	{name: "UserUpdated handled, not committed", at: "trading handled", holds: []fact{{"trading", purseHas + "gil = {version}", 0}}},
	{name: "UserUpdated handled and committed, not acknowledged", at: "trading committed", holds: []fact{{"trading", purseHas + "gil = {version}", 1}}},
	{name: "UserUpdated acknowledged", at: "trading acknowledged", holds: []fact{{"trading", purseHas + "gil = {version}", 1}}},
}

const (
	accountHas = "SELECT count(*) FROM account WHERE id = '{id}' AND "
	purseHas   = "SELECT count(*) FROM account WHERE user_id = '{id}' AND "
	userTold   = "SELECT count(*) FROM outbox WHERE topic = 'UserUpdated'"
)
