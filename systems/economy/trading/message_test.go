package trading_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/trading"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// publish puts a letter on the bus, past every outbox.
func (w *world) publish(id string, l box.Letter) {
	w.t.Helper()
	body, err := json.Marshal(l)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := w.bus.Publish(ctx, &bus.Message{ID: id, Key: l.Key(), Topic: l.Topic(), Body: body}); err != nil {
		w.t.Fatal(err)
	}
}

// P10: every message of a purchase comes again, with its id and with new ones, while the purchase runs and afterwards.
func TestDuplicateMessages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newWorld(t, database, nil)
		potion, a := w.potion(nil), w.player()
		l := a.listen(w.url)
		well, badly := uuid.New(), uuid.New()
		all := func(id uuid.UUID, quantity int64, gil contracts.Gil) []box.Letter {
			grant := contracts.GrantItems{UserID: a.id, CatalogItemID: potion, Quantity: quantity, CorrelationID: id, Reserve: true}
			debit := contracts.DebitGil{UserID: a.id, Gil: gil, CorrelationID: id}
			return []box.Letter{
				contracts.PurchaseRequested{UserID: a.id, ItemID: potion, Quantity: quantity, CorrelationID: id},
				grant, contracts.InventoryItemsGranted{CorrelationID: id}, debit,
			}
		}
		forWell := append(all(well, 2, 10*contracts.OneGil), contracts.GilDebited{CorrelationID: well},
			contracts.DeliverItems{UserID: a.id, CatalogItemID: potion, Quantity: 2, CorrelationID: well}, contracts.InventoryItemsDelivered{CorrelationID: well})
		forBadly := append(all(badly, 30, 150*contracts.OneGil),
			box.Fault[contracts.DebitGil]{Message: contracts.DebitGil{CorrelationID: badly}, Exceptions: []box.Exception{{Message: "again"}}, Final: true},
			contracts.SubtractItems{UserID: a.id, CatalogItemID: potion, Quantity: 30, CorrelationID: badly}, contracts.InventoryItemsSubtracted{CorrelationID: badly})
		a.buy(potion, 2, well)
		l.hears(well, "Completed")
		a.buy(potion, 30, badly)
		l.hears(badly, "Faulted")
		for round := range 2 {
			for i, letter := range append(forWell, forBadly...) {
				w.publish(fmt.Sprintf("same-%d", i), letter)
				w.publish(fmt.Sprintf("same-%d", i), letter)
				w.publish(uuid.NewString(), letter)
			}
			// Both faults, of a purchase that is done, too.
			w.publish(fmt.Sprintf("fault-%d", round), box.Fault[contracts.GrantItems]{Message: contracts.GrantItems{CorrelationID: well}})
			w.publish(fmt.Sprintf("late-%d", round), box.Fault[contracts.DebitGil]{Message: contracts.DebitGil{CorrelationID: well}, Final: true})
		}
		w.rest()
		a.owns(90, potion, 2)
		l.silent()
		for id, want := range map[uuid.UUID]string{well: "Completed", badly: "Faulted"} {
			if got := a.status(id)["state"]; got != want {
				t.Errorf("state %s, want %s", got, want)
			}
		}
		if n := w.inventory.Box().Stats().Doubles + w.bank.box.Stats().Doubles; n < 6 {
			t.Errorf("%d doubles of commands were counted, want all", n)
		}
		if w.trading.Machine().Stats().Late == 0 {
			t.Error("no late event was counted")
		}
	})
}

// P10 while it runs: doubles come together with what they are doubles of.
func TestDuplicateMessagesMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", nil)
	potion, a := w.potion(nil), w.player()
	l := a.listen(w.url)
	id := uuid.New()
	var all sync.WaitGroup
	for range 10 {
		for _, letter := range []box.Letter{
			contracts.PurchaseRequested{UserID: a.id, ItemID: potion, Quantity: 2, CorrelationID: id},
			contracts.GrantItems{UserID: a.id, CatalogItemID: potion, Quantity: 2, CorrelationID: id, Reserve: true},
			contracts.DebitGil{UserID: a.id, Gil: 10 * contracts.OneGil, CorrelationID: id},
		} {
			all.Go(func() { w.publish(uuid.NewString(), letter) })
		}
	}
	all.Wait()
	l.hears(id, "Completed")
	w.rest()
	a.owns(90, potion, 2)
	l.silent()
}

// P11: an answer that comes before its time waits, visibly, and the purchase ends as it must.
func TestOutOfOrder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newWorld(t, database, nil)
		potion, a := w.potion(nil), w.player()
		l := a.listen(w.url)
		w.rest()
		w.inventory.Close() // so the purchase stays Accepted
		id := uuid.New()
		a.buy(potion, 2, id)
		a.becomes(id, "Accepted")
		w.publish(uuid.NewString(), contracts.GilDebited{CorrelationID: id})
		w.publish(uuid.NewString(), contracts.InventoryItemsDelivered{CorrelationID: uuid.New()}) // of nobody
		eventually(t, "it was seen to be early", func() bool {
			m := w.trading.Machine().Stats()
			return m.Early > 0 && m.Orphan == 1
		})
		if got := a.status(id)["state"]; got != "Accepted" {
			t.Errorf("state %s, want Accepted", got)
		}
		w.openInventory()
		l.hears(id, "Completed")
		w.rest()
		a.owns(90, potion, 2)
		l.silent()
	})
}

// A command that was overtaken by its compensation is not done.
func TestOvertakenCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", func(c *trading.Config) { c.Deadline = time.Second })
	potion, a := w.potion(nil), w.player()
	id := uuid.New()
	w.publish(uuid.NewString(), contracts.SubtractItems{UserID: a.id, CatalogItemID: potion, Quantity: 2, CorrelationID: id})
	w.publish(uuid.NewString(), contracts.RefundGil{UserID: a.id, Gil: contracts.OneGil, CorrelationID: id})
	w.rest()
	w.publish(uuid.NewString(), contracts.GrantItems{UserID: a.id, CatalogItemID: potion, Quantity: 2, CorrelationID: id})
	w.publish(uuid.NewString(), contracts.DebitGil{UserID: a.id, Gil: contracts.OneGil, CorrelationID: id})
	w.rest()
	a.owns(100, potion, 0)
}
