package economy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/economy"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// TestP14: the connection of the buyer is cut during the purchase. What was missed comes once, to the next connection, and what one
// connection heard is not told to the next one.
func TestP14(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newTown(t, database, func(c *economy.Config) { c.Core = &signalr.Options{DisconnectTimeout: time.Second} })
		hub := w.parts[economy.Trading].system.Hubs()[0]
		connected := func(p *player, n int) {
			t.Helper()
			eventually(t, "the hub knows who is there", func() bool { return hub.User(p.id).Count() == n })
		}
		potion := w.potion()
		all := map[string]signalr.Transport{"WebSockets": signalr.WebSockets, "SSE": signalr.ServerSentEvents, "polling": signalr.LongPolling}
		if database == "postgres" {
			all = map[string]signalr.Transport{"WebSockets": signalr.WebSockets}
		}
		for name, transports := range all {
			a, network := w.player(), newLink(t)
			w.rest()
			w.parts[economy.Inventory].stop() // so nothing is done before the cut
			l := a.listen(&signalr.ClientOptions{
				Transports: transports, HTTPClient: &network.Client, ClientOptions: hubbub.ClientOptions{Reconnect: hubbub.RetryForever(time.Millisecond, 50*time.Millisecond)},
			})
			before := l.client.ID()
			id := a.buys(potion, 2)
			a.becomes(id, "Accepted")
			network.set(true)
			connected(a, 0)
			w.parts[economy.Inventory].start()
			a.becomes(id, "Completed")
			w.rest()
			network.set(false)
			if after := <-l.back; after == before {
				t.Errorf("%s: the connection is the one that was cut", name)
			}
			l.hears(id, "Completed")
			w.rest()
			l.silent()
			more := a.listen(nil) // heard live, so not again
			live := a.buys(potion, 1)
			l.hears(live, "Completed")
			more.hears(live, "Completed")
			w.rest()
			late := a.listen(nil)
			for _, e := range []*ears{l, more, late} {
				e.silent()
				e.client.Close()
			}
			connected(a, 0)
			missed := a.buys(potion, 1)
			a.becomes(missed, "Completed")
			first := a.listen(nil)
			first.hears(missed, "Completed")
			w.rest()
			first.silent()
			first.client.Close()
		}
		// Who was never there hears it with the first connection.
		b := w.player()
		id := b.buys(potion, 1)
		b.becomes(id, "Completed")
		l := b.listen(nil)
		l.hears(id, "Completed")
		l.silent()
	})
}

// TestP14Retention: after a while nothing is told any more, but the status is there.
func TestP14Retention(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", func(c *economy.Config) { c.Trading.Retention = 100 * time.Millisecond })
	potion, a := w.potion(), w.player()
	id := a.buys(potion, 1)
	done := at(t, a.becomes(id, "Completed")["lastUpdated"])
	eventually(t, "the retention is over", func() bool { return time.Since(done) > 200*time.Millisecond })
	l := a.listen(nil)
	l.silent()
	if got := a.status(id); got["state"] != "Completed" {
		t.Errorf("status %v", got)
	}
	next := a.buys(potion, 1)
	l.hears(next, "Completed")
	l.silent()
}

// TestP15: all connections of the buyer are told, and one that closes takes nothing from the others.
func TestP15(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", nil)
	potion, a := w.potion(), w.player()
	one, two, three := a.listen(nil), a.listen(&signalr.ClientOptions{Transports: signalr.LongPolling}), a.listen(&signalr.ClientOptions{Protocol: "messagepack"})
	id := a.buys(potion, 1)
	for _, l := range []*ears{one, two, three} {
		l.hears(id, "Completed")
	}
	one.client.Close()
	id = a.buys(potion, 1)
	two.hears(id, "Completed")
	three.hears(id, "Completed")
	w.rest()
	two.silent()
	three.silent()
}

// TestP17: it is of no importance who connected, called or went last.
func TestP17(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", nil)
	potion, a, b, c := w.potion(), w.player(), w.player(), w.player()
	one, other := a.listen(nil), b.listen(nil)
	last := c.listen(nil)
	last.silent() // and called
	other.client.Close()
	id := a.buys(potion, 1)
	one.hears(id, "Completed")
	w.rest()
	one.silent()
	last.silent()
	again := b.listen(nil)
	again.silent()
	// Two at once: to each what is of each.
	mine, others := a.buys(potion, 1), c.buys(potion, 2)
	one.hears(mine, "Completed")
	last.hears(others, "Completed")
	w.rest()
	for _, l := range []*ears{one, last, again} {
		l.silent()
	}
}

// TestHubPayload holds what buyers are told, byte by byte: null is there, other than on the REST side.
func TestHubPayload(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", nil)
	potion, a, unknown := w.potion(), w.player(), uuid.NewString()
	l := a.listen(nil)
	well, badly, nothing := a.buys(potion, 2), "", ""
	l.hears(well, "Completed")
	badly = a.buys(potion, 21)
	l.hears(badly, "Faulted")
	nothing = a.buys(unknown, 1)
	l.hears(nothing, "Faulted")
	l.silent()
	names := map[string]string{a.id: "A", potion: "Potion", well: "well", badly: "badly", nothing: "nothing", unknown: "unknown"}
	l.mu.Lock()
	defer l.mu.Unlock()
	var got string
	for message := range strings.SplitAfterSeq(plain(strings.Join(l.wires, ""), names), "\x1e") {
		if strings.Contains(message, "ReceivePurchaseStatus") { // others may have come together with it
			got += message
		}
	}
	begin := `{"type":1,"target":"ReceivePurchaseStatus","arguments":[{"correlationId":`
	want := begin + `"well","currentState":"Completed","userId":"A","itemId":"Potion","quantity":2,"received":TIME,"purchaseTotal":10,"lastUpdated":TIME,"errorMessage":null,"version":4}]}` + "\x1e" +
		begin + `"badly","currentState":"Faulted","userId":"A","itemId":"Potion","quantity":21,"received":TIME,"purchaseTotal":105,"lastUpdated":TIME,` +
		`"errorMessage":"Not enough gil to debit 105 from user A","version":3}]}` + "\x1e" +
		begin + `"nothing","currentState":"Faulted","userId":"A","itemId":"unknown","quantity":1,"received":TIME,"purchaseTotal":null,"lastUpdated":TIME,` +
		`"errorMessage":"Unknown item 'unknown'","version":1}]}` + "\x1e"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
