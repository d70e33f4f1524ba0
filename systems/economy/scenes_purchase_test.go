package economy_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/economy"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// TestP1 is the happy path, over each transport and with both protocols.
func TestP1(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newWorld(t, database, nil)
		potion := w.potion()
		for name, o := range map[string]signalr.ClientOptions{
			"WebSockets":              {Transports: signalr.WebSockets},
			"WebSockets, MessagePack": {Transports: signalr.WebSockets, Protocol: "messagepack"},
			"SSE":                     {Transports: signalr.ServerSentEvents},
			"polling":                 {Transports: signalr.LongPolling},
			"polling, MessagePack":    {Transports: signalr.LongPolling, Protocol: "messagepack"},
		} {
			a, b := w.player(), w.player()
			one, other := a.listen(&o), b.listen(&o)
			id := uuid.NewString()
			r := w.wants(http.StatusAccepted, "POST", economy.Trading, "/purchase", a.token, order(potion, 2, id))
			if at := r.header.Get("Location"); at != "/trading-svc/purchase/status/"+id || r.body != `{"idempotencyId":"`+id+`"}` {
				t.Errorf("%s: location %s, body %s", name, at, r.body)
			}
			wantStatus(t, one.hears(id, "Completed"), map[string]any{
				"correlationId": id, "currentState": "Completed", "userId": a.id, "itemId": potion, "quantity": 2.0, "purchaseTotal": 10.0, "errorMessage": nil,
			})
			// Who has heard it finds it in the store at once, and by the address of the answer.
			if gil, i := a.gil(), w.sold(a.token, potion); gil != 90 || i["ownedQuantity"] != 2.0 {
				t.Errorf("%s: the store shows %v gil and %v", name, gil, i)
			}
			if got := a.status(id); got["state"] != "Completed" || got["purchaseTotal"] != 10.0 || got["reason"] != nil || len(got) != 7 {
				t.Errorf("%s: status %v", name, got)
			}
			for range 3 {
				if s := <-one.progress; s["correlationId"] != id || s["currentState"] == "Completed" {
					t.Errorf("%s: progress %v", name, s)
				}
			}
			a.has(90, potion, 2)
			b.has(100, potion, 0)
			w.rest()
			one.silent()
			other.silent()
			one.client.Close()
			other.client.Close()
		}
	})
}

// TestP2: who has not enough gil keeps it, hears so at once, and never owns what was reserved.
func TestP2(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newTown(t, database, nil)
		potion, a := w.item("Potion", "5", `,"stock":50`), w.player()
		updates := w.hearing("InventoryItemUpdated")
		l := a.listen(nil)
		id := a.buys(potion, 21)
		why := "Not enough gil to debit 105 from user " + a.id
		s := l.hears(id, "Faulted")
		wantStatus(t, s, map[string]any{
			"correlationId": id, "currentState": "Faulted", "userId": a.id, "itemId": potion, "quantity": 21.0, "purchaseTotal": 105.0, "errorMessage": why,
		})
		if took := at(t, s["lastUpdated"]).Sub(at(t, s["received"])); took >= 15*time.Second {
			t.Errorf("it took %s, as long as a technical fault", took)
		}
		if got := a.status(id); got["state"] != "Faulted" || got["reason"] != why {
			t.Errorf("status %v", got)
		}
		if got := a.states(id); !slices.Equal(got, []string{"Accepted", "ItemsGranted", "Faulted"}) {
			t.Errorf("states %v", got)
		}
		w.rest()
		a.has(100, potion, 0)
		eventually(t, "the stock is as before", func() bool { return w.sold(a.token, potion)["stock"] == 50.0 })
		if r := w.do("GET", economy.Inventory, "/items?userId="+a.id, a.token, ""); r.body != "[]" {
			t.Errorf("inventory %s: what was reserved was owned", r.body)
		}
		if len(updates) > 0 {
			t.Errorf("%d updates of inventories, want none", len(updates))
		}
		l.silent()
	})
}

// TestP2GrantFirst is P2 in the original's order of events: granted, then subtracted.
func TestP2GrantFirst(t *testing.T) {
	t.Parallel()
	w := newTown(t, "sqlite", func(c *economy.Config) { c.Trading.GrantFirst = true })
	potion, a := w.potion(), w.player()
	updates := w.hearing("InventoryItemUpdated")
	l := a.listen(nil)
	l.hears(a.buys(potion, 21), "Faulted")
	w.rest()
	for _, want := range []string{`"newTotalQuantity":21`, `"newTotalQuantity":0`} {
		select {
		case m := <-updates:
			if !strings.Contains(string(m.Body), want) {
				t.Errorf("update %s, want %s", m.Body, want)
			}
		case <-time.After(patience):
			t.Fatalf("no update, want %s", want)
		}
	}
	a.has(100, potion, 0)
	id := a.buys(potion, 2)
	l.hears(id, "Completed")
	if got := a.states(id); !slices.Equal(got, []string{"Accepted", "ItemsGranted", "Completed"}) {
		t.Errorf("states %v, want those of the original", got)
	}
	w.rest()
	a.has(90, potion, 2)
	l.silent()
}

// TestP3: an item that nobody knows.
func TestP3(t *testing.T) {
	t.Parallel()
	w := newTown(t, "sqlite", nil)
	potion, a, unknown := w.potion(), w.player(), uuid.NewString()
	commands := w.hearing("GrantItems", "DebitGil")
	l := a.listen(nil)
	id := a.buys(unknown, 2)
	wantStatus(t, l.hears(id, "Faulted"), map[string]any{
		"correlationId": id, "currentState": "Faulted", "userId": a.id, "itemId": unknown, "quantity": 2.0, "purchaseTotal": nil,
		"errorMessage": "Unknown item '" + unknown + "'",
	})
	if got := a.status(id); got["state"] != "Faulted" || got["reason"] != "Unknown item '"+unknown+"'" || len(got) != 7 {
		t.Errorf("status %v, want no total", got)
	}
	if got := a.states(id); !slices.Equal(got, []string{"Faulted"}) {
		t.Errorf("states %v", got)
	}
	next := a.buys(potion, 1)
	l.hears(next, "Completed")
	w.rest()
	for range 2 {
		if m := <-commands; m.Key != next {
			t.Errorf("%s of %s, want none of %s", m.Topic, m.Key, id)
		}
	}
	l.silent()
}

// TestP4: the item is deleted when its price is known and it is not reserved yet.
func TestP4(t *testing.T) {
	t.Parallel()
	var held gate
	w := newTown(t, "sqlite", func(c *economy.Config) { c.Trading.Box.Border = held.border })
	potion, a := w.potion(), w.player()
	l := a.listen(nil)
	w.rest()
	held.close()
	bought := make(chan string)
	go func() { bought <- a.buys(potion, 1) }()
	held.reached(t)
	w.wants(http.StatusNoContent, "DELETE", economy.Catalog, "/items/"+potion, w.admin, "")
	eventually(t, "the inventory knows that the item is gone", func() bool {
		waiting, err := w.parts[economy.Catalog].system.Catalog().Box().Waiting(t.Context())
		all, err2 := w.bus.Queues(t.Context())
		return err == nil && err2 == nil && waiting == 0 && !slices.ContainsFunc(all, func(q queueInfo) bool {
			return q.Name == contracts.InventoryQueue && q.Waiting+q.Running > 0
		})
	})
	held.open()
	id := <-bought
	wantStatus(t, l.hears(id, "Faulted"), map[string]any{
		"correlationId": id, "currentState": "Faulted", "userId": a.id, "itemId": potion, "quantity": 1.0, "purchaseTotal": 5.0,
		"errorMessage": "Unknown item '" + potion + "'",
	})
	w.rest()
	a.has(100, potion, 0)
	if w.sold(a.token, potion) != nil {
		t.Error("the store sells what was deleted")
	}
	l.silent()
}

// TestP5: a finite stock is a bound, also for many at once.
func TestP5(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newWorld(t, database, nil)
		potion, a := w.item("Potion", "5", `,"stock":1`), w.player()
		l := a.listen(nil)
		id := a.buys(potion, 2)
		if s := l.hears(id, "Faulted"); !strings.Contains(fmt.Sprint(s["errorMessage"]), "insufficient stock") {
			t.Errorf("heard %v", s)
		}
		w.rest()
		a.has(100, potion, 0)
		if i := w.sold(a.token, potion); i["stock"] != 1.0 {
			t.Errorf("store %v, want a stock of 1", i)
		}
		w.wants(http.StatusNoContent, "PUT", economy.Catalog, "/items/"+potion, w.admin, `{"name":"Potion","description":"","price":5,"stock":3}`)
		eventually(t, "the stock is 3", func() bool { return w.sold(a.token, potion)["stock"] == 3.0 })
		players, ids := make([]*player, 8), make([]string, 8)
		for i := range players {
			players[i] = w.player()
		}
		together(8, func(i int) { ids[i] = players[i].buys(potion, 1) })
		completed := 0
		for i, p := range players {
			var s map[string]any
			eventually(t, "the purchase is over", func() bool {
				s = p.status(ids[i])
				return s["state"] == "Completed" || s["state"] == "Faulted"
			})
			switch {
			case s["state"] == "Completed":
				completed++
				p.has(95, potion, 1)
			case !strings.Contains(fmt.Sprint(s["reason"]), "insufficient stock"):
				t.Errorf("status %v", s)
			default:
				p.has(100, potion, 0)
			}
		}
		w.rest()
		if i := w.sold(a.token, potion); completed != 3 || i["stock"] != 0.0 {
			t.Errorf("%d were completed, want 3; store %v", completed, i)
		}
		l.silent()
	})
}

// TestP6: the account of a token was deleted.
func TestP6(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", nil)
	potion, a := w.item("Potion", "5", `,"stock":5`), w.player()
	l := a.listen(nil)
	w.wants(http.StatusNoContent, "DELETE", economy.Identity, "/users/"+a.id, w.admin, "")
	eventually(t, "the store knows that the account is gone", func() bool { return a.gil() == 0 })
	id := a.buys(potion, 2)
	if s := l.hears(id, "Faulted"); s["errorMessage"] != "Unknown user '"+a.id+"'" {
		t.Errorf("heard %v", s)
	}
	if got := a.states(id); !slices.Equal(got, []string{"Accepted", "ItemsGranted", "Faulted"}) {
		t.Errorf("states %v, want that the items were reserved", got)
	}
	w.rest()
	if i := w.sold(a.token, potion); i["stock"] != 5.0 || i["ownedQuantity"] != 0.0 || a.inventory(potion) != 0 {
		t.Errorf("store %v, inventory %v, want what was reserved released", i, a.inventory(potion))
	}
	l.silent()
}
