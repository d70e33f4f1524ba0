package economy_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// TestP10: all messages of a purchase that went well, of one that was refused and of one that never began come again, twice each
// with the same id and with new ones.
func TestP10(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newWorld(t, database, nil)
		potion, a := w.item("Potion", "5", `,"stock":50`), w.player()
		l := a.listen(nil)
		well, badly, soldOut := a.buys(potion, 2), "", ""
		l.hears(well, "Completed")
		badly = a.buys(potion, 21)
		l.hears(badly, "Faulted")
		soldOut = a.buys(potion, 60)
		l.hears(soldOut, "Faulted")
		user, item := uuid.MustParse(a.id), uuid.MustParse(potion)
		var letters []box.Letter
		for _, x := range []struct {
			id       string
			quantity int64
			done     bool
		}{{well, 2, true}, {badly, 21, false}, {soldOut, 60, false}} {
			id, gil := uuid.MustParse(x.id), contracts.Gil(5*x.quantity)*contracts.OneGil
			grant := contracts.GrantItems{UserID: user, CatalogItemID: item, Quantity: x.quantity, CorrelationID: id, Reserve: true}
			debit := contracts.DebitGil{UserID: user, Gil: gil, CorrelationID: id}
			letters = append(letters, contracts.PurchaseRequested{UserID: user, ItemID: item, Quantity: x.quantity, CorrelationID: id}, grant,
				contracts.InventoryItemsGranted{CorrelationID: id}, contracts.GilDebited{CorrelationID: id},
				box.Fault[contracts.GrantItems]{Message: grant, Exceptions: []box.Exception{{Message: "again"}}, Final: true},
				box.Fault[contracts.DebitGil]{Message: debit, Exceptions: []box.Exception{{Message: "again"}}, Final: true})
			if x.done {
				letters = append(letters, debit, contracts.DeliverItems{UserID: user, CatalogItemID: item, Quantity: x.quantity, CorrelationID: id})
			} else {
				letters = append(letters, contracts.SubtractItems{UserID: user, CatalogItemID: item, Quantity: x.quantity, CorrelationID: id})
			}
		}
		for i, letter := range letters {
			for range 2 {
				w.publish(fmt.Sprint("same-", i), letter)
				w.publish(uuid.NewString(), letter)
			}
		}
		w.rest() // without a dead letter
		a.has(90, potion, 2)
		if i := w.sold(a.token, potion); i["stock"] != 48.0 {
			t.Errorf("store %v, want a stock of 48", i)
		}
		for id, want := range map[string]string{well: "Completed", badly: "Faulted", soldOut: "Faulted"} {
			if got := a.status(id); got["state"] != want || strings.Contains(fmt.Sprint(got["reason"]), "again") {
				t.Errorf("status %v, want %s", got, want)
			}
		}
		l.silent()
	})
}

// TestP10Meanwhile: doubles come together with what they are doubles of.
func TestP10Meanwhile(t *testing.T) {
	t.Parallel()
	w := newTown(t, "sqlite", nil)
	potion, a := w.potion(), w.player()
	l := a.listen(nil)
	id := uuid.New()
	user, item := uuid.MustParse(a.id), uuid.MustParse(potion)
	together(8, func(int) {
		w.publish(uuid.NewString(), contracts.GrantItems{UserID: user, CatalogItemID: item, Quantity: 2, CorrelationID: id, Reserve: true})
		w.wants(http.StatusAccepted, "POST", economy.Trading, "/purchase", a.token, order(potion, 2, id.String()))
		w.publish(uuid.NewString(), contracts.DebitGil{UserID: user, Gil: 10 * contracts.OneGil, CorrelationID: id})
	})
	l.hears(id.String(), "Completed")
	w.rest()
	a.has(90, potion, 2)
	l.silent()
}

// TestP11: an answer that comes before its time waits for it.
func TestP11(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newTown(t, database, nil)
		potion, a := w.potion(), w.player()
		l := a.listen(nil)
		w.rest()
		w.parts[economy.Inventory].stop() // so the purchase stays Accepted
		id := a.buys(potion, 2)
		a.becomes(id, "Accepted")
		w.publish(uuid.NewString(), contracts.GilDebited{CorrelationID: uuid.MustParse(id)})
		eventually(t, "it was seen to be early", func() bool { return w.parts[economy.Trading].system.Trading().Machine().Stats().Early > 0 })
		if got := a.status(id); got["state"] != "Accepted" {
			t.Errorf("status %v, want Accepted", got)
		}
		l.silent()
		w.parts[economy.Inventory].start()
		l.hears(id, "Completed")
		if got := a.states(id); !slices.Equal(got, []string{"Accepted", "ItemsGranted", "GilDebited", "Completed"}) {
			t.Errorf("states %v", got)
		}
		w.rest()
		a.has(90, potion, 2)
		l.silent()
	})
}

// TestP13: a purchase waits for a service that is down.
func TestP13(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newTown(t, database, nil)
		potion, a := w.potion(), w.player()
		l := a.listen(nil)
		w.rest()
		w.parts[economy.Identity].stop()
		id := a.buys(potion, 2)
		if got := a.becomes(id, "ItemsGranted"); got["reason"] != nil || got["purchaseTotal"] != 10.0 {
			t.Errorf("status %v", got)
		}
		l.silent()
		w.parts[economy.Identity].start()
		l.hears(id, "Completed")
		w.rest()
		a.has(90, potion, 2)
		l.silent()
	})
}

// TestP13Deadline: nor does it wait for ever: it is called off, and what was on its way is not done any more.
func TestP13Deadline(t *testing.T) {
	t.Parallel()
	w := newTown(t, "sqlite", func(c *economy.Config) { c.Trading.Deadline = 500 * time.Millisecond })
	potion, a := w.item("Potion", "5", `,"stock":5`), w.player()
	l := a.listen(nil)
	w.rest()
	w.parts[economy.Identity].stop()
	id := a.buys(potion, 2)
	if s := l.hears(id, "Faulted"); s["errorMessage"] != "The purchase was not done in 500ms and was called off" {
		t.Errorf("heard %v", s)
	}
	if got := a.status(id); got["state"] != "Faulted" {
		t.Errorf("status %v", got)
	}
	eventually(t, "the items are for sale again", func() bool { return w.sold(a.token, potion)["stock"] == 5.0 })
	w.parts[economy.Identity].start()
	w.rest()
	a.has(100, potion, 0)
	l.silent()
}
