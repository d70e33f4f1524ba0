package trading_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/economy/trading"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// P1, P15, P17: a purchase is done, and its buyer hears so, on all connections, and nobody else.
func TestPurchase(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newWorld(t, database, nil)
		potion, a, b := w.potion(nil), w.player(), w.player()
		a.owns(100, potion, 0)
		one, two := a.listen(w.url), a.listen(w.url)
		other, gone := b.listen(w.url), b.listen(w.url)
		gone.client.Close() // whoever connected or went last is of no importance
		id := uuid.New()
		a.buy(potion, 2, id)
		for _, l := range []*listener{one, two} {
			s := l.hears(id, "Completed")
			if s.UserID != a.id.String() || s.ItemID != potion.String() || s.Quantity != 2 || s.PurchaseTotal == nil || *s.PurchaseTotal != 10 ||
				s.ErrorMessage != nil || s.Received.IsZero() || s.LastUpdated.Before(s.Received) || s.Version < 3 {
				t.Errorf("heard %+v", s)
			}
		}
		// Who has heard it finds it in the store at once.
		store, err := w.trading.Store(t.Context(), a.id.String())
		if err != nil || store.UserGil.String() != "90" || store.Items[0].OwnedQuantity != 2 {
			t.Errorf("store %+v, %v", store, err)
		}
		got := a.status(id)
		if _, found := got["reason"]; found || got["state"] != "Completed" || got["purchaseTotal"] != 10.0 || got["quantity"] != 2.0 || got["userId"] != a.id.String() {
			t.Errorf("status %v", got)
		}
		a.owns(90, potion, 2)
		one.client.Close()
		second := uuid.New()
		a.buy(potion, 1, second)
		two.hears(second, "Completed")
		w.rest()
		for _, l := range []*listener{one, two, other, gone} {
			l.silent()
		}
		var progress []string
		for range 3 {
			progress = append(progress, (<-two.progress).CurrentState)
		}
		if fmt.Sprint(progress) != "[Accepted ItemsGranted GilDebited]" {
			t.Errorf("progress %v", progress)
		}
		if c := w.trading.Counts()[potion]; c != (trading.Count{Started: 2, Success: 2}) {
			t.Errorf("counts %+v", c)
		}
	})
}

// P2, P3, P6: what is refused is undone, and the buyer reads why.
func TestRefusedPurchases(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newWorld(t, database, nil)
		potion, a := w.potion(nil), w.player()
		l := a.listen(w.url)

		id := uuid.New()
		a.buy(potion, 21, id)
		s := l.hears(id, "Faulted")
		if s.ErrorMessage == nil || *s.ErrorMessage != fmt.Sprintf("Not enough gil to debit 105 from user '%s'", a.id) {
			t.Errorf("heard %+v", s)
		}
		if got := a.status(id); got["reason"] != *s.ErrorMessage || got["state"] != "Faulted" {
			t.Errorf("status %v", got)
		}

		id, unknown := uuid.New(), uuid.New()
		a.buy(unknown, 1, id)
		s = l.hears(id, "Faulted")
		if s.ErrorMessage == nil || *s.ErrorMessage != fmt.Sprintf("Unknown item '%s'", unknown) || s.PurchaseTotal != nil {
			t.Errorf("heard %+v", s)
		}

		id = uuid.New()
		nobody := &player{w, uuid.New()} // whose account was deleted
		ears := nobody.listen(w.url)
		nobody.buy(potion, 1, id)
		s = ears.hears(id, "Faulted")
		if s.ErrorMessage == nil || *s.ErrorMessage != fmt.Sprintf("Unknown user '%s'", nobody.id) {
			t.Errorf("heard %+v", s)
		}
		w.rest()
		l.silent()
		a.owns(100, potion, 0)
		if items, err := w.inventory.Items(t.Context(), a.id); err != nil || len(items) != 0 {
			t.Errorf("inventory %v, %v: what was reserved was owned", items, err)
		}
		if c := w.trading.Counts(); c[potion] != (trading.Count{Started: 2, Failed: 2}) || c[uuid.Nil] != (trading.Count{Started: 1, Failed: 1}) {
			t.Errorf("counts %+v", c)
		}
	})
}

// P4: an item that is deleted when its price is known and it is not reserved yet.
func TestItemDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	var armed atomic.Bool
	stored, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, "sqlite", func(c *trading.Config) {
		c.Box.Border = func(name string) {
			if name == "committed" && armed.CompareAndSwap(true, false) {
				close(stored)
				<-release
			}
		}
	})
	potion, a := w.potion(nil), w.player()
	l := a.listen(w.url)
	w.rest()
	mux := http.NewServeMux()
	w.catalog.Mount(mux)
	server := httptest.NewServer(mux)
	defer server.Close()
	id := uuid.New()
	armed.Store(true)
	bought := make(chan struct{})
	go func() {
		defer close(bought)
		a.buy(potion, 1, id)
	}()
	<-stored
	admin := a.token("Catalog", map[string]any{"role": "Admin", "scope": "catalog.fullaccess"})
	if r := request(t, "DELETE", server.URL+"/items/"+potion.String(), admin, ""); r.status != http.StatusNoContent {
		t.Errorf("delete answered with %d, %s", r.status, r.body)
	}
	eventually(t, "everybody knows that the item is gone", func() bool {
		all, err := w.bus.Queues(t.Context())
		waiting, err2 := w.catalog.Box().Waiting(t.Context())
		return err == nil && err2 == nil && waiting == 0 && all[0].Waiting == 0 && all[0].Running == 0
	})
	close(release)
	<-bought
	s := l.hears(id, "Faulted")
	if s.ErrorMessage == nil || *s.ErrorMessage != fmt.Sprintf("Unknown item '%s'", potion) || s.PurchaseTotal == nil {
		t.Errorf("heard %+v", s)
	}
	w.rest()
	if g, err := w.bank.balance(t.Context(), a.id); err != nil || g.String() != "100" {
		t.Errorf("balance %s, %v", g, err)
	}
}

// P5: finite stock is a bound, also for many at once.
func TestStock(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newWorld(t, database, nil)
		three := int64(3)
		potion := w.potion(&three)
		a := w.player()
		id := uuid.New()
		a.buy(potion, 4, id)
		if got := a.becomes(id, "Faulted"); !strings.Contains(got["reason"].(string), "insufficient stock") {
			t.Errorf("status %v", got)
		}
		a.owns(100, potion, 0)
		players := make([]*player, 8)
		ids := make([]uuid.UUID, len(players))
		var all sync.WaitGroup
		for i := range players {
			players[i], ids[i] = w.player(), uuid.New()
		}
		for i, p := range players {
			all.Go(func() { p.buy(potion, 1, ids[i]) })
		}
		all.Wait()
		w.rest()
		done := 0
		for i, p := range players {
			if p.status(ids[i])["state"] == "Completed" {
				done++
			}
		}
		store, err := w.trading.Store(t.Context(), "")
		if err != nil || done != 3 || store.Items[0].Stock == nil || *store.Items[0].Stock != 0 {
			t.Errorf("%d done, want 3; store %+v, %v", done, store, err)
		}
		// What is called off goes back.
		poor := w.player()
		id = uuid.New()
		poor.buy(potion, 1, id)
		poor.becomes(id, "Faulted")
	})
}

// P7: what is wrong with a body is said, and nothing begins.
func TestValidation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", nil)
	a, item, id := w.player(), uuid.NewString(), uuid.NewString()
	for name, test := range map[string]struct{ body, member string }{
		"quantity 0":    {`{"itemId":"` + item + `","quantity":0,"idempotencyId":"` + id + `"}`, "quantity"},
		"quantity 101":  {`{"itemId":"` + item + `","quantity":101,"idempotencyId":"` + id + `"}`, "quantity"},
		"quantity 1.5":  {`{"itemId":"` + item + `","quantity":1.5,"idempotencyId":"` + id + `"}`, "quantity"},
		"no quantity":   {`{"itemId":"` + item + `","idempotencyId":"` + id + `"}`, "quantity"},
		"no item":       {`{"quantity":1,"idempotencyId":"` + id + `"}`, "itemId"},
		"no id":         {`{"itemId":"` + item + `","quantity":1}`, "idempotencyId"},
		"id null":       {`{"itemId":"` + item + `","quantity":1,"idempotencyId":null}`, "idempotencyId"},
		"id of zeros":   {`{"itemId":"` + item + `","quantity":1,"idempotencyId":"` + uuid.Nil.String() + `"}`, "idempotencyId"},
		"not an id":     {`{"itemId":"potion","quantity":1,"idempotencyId":"` + id + `"}`, "itemId"},
		"number as id":  {`{"itemId":5,"quantity":1,"idempotencyId":"` + id + `"}`, "itemId"},
		"malformed":     {`{"itemId":`, "$"},
		"no object":     {`[]`, "$"},
		"nothing":       {``, "$"},
		"several wrong": {`{"quantity":0}`, "itemId"},
	} {
		r := request(t, "POST", w.url+"/purchase", a.token(trading.Audience, nil), test.body)
		p := r.json(t)
		errors, _ := p["errors"].(map[string]any)
		if r.status != http.StatusBadRequest || p["title"] == "" || errors[test.member] == nil || !strings.HasPrefix(r.header.Get("Content-Type"), "application/problem+json") {
			t.Errorf("%s: %d %s, want 400 about %s", name, r.status, r.body, test.member)
		}
	}
	if r := request(t, "GET", w.url+"/purchase/status/"+id, a.token(trading.Audience, nil), ""); r.status != http.StatusNotFound {
		t.Errorf("status answered with %d %s, want 404", r.status, r.body)
	}
	// Names match in any case, as they do in .NET.
	other := uuid.NewString()
	if r := request(t, "POST", w.url+"/purchase", a.token(trading.Audience, nil), `{"ItemId":"`+item+`","Quantity":1,"IdempotencyId":"`+strings.ToUpper(other)+`"}`); r.status != http.StatusAccepted || r.json(t)["idempotencyId"] != other {
		t.Errorf("other case: %d %s", r.status, r.body)
	}
}

// P8: who may come in.
func TestAuth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", nil)
	a := w.player()
	good := a.token(trading.Audience, nil)
	expired, err := w.issuer(trading.Audience).Sign(map[string]any{"sub": a.id.String()}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the token has expired", func() bool {
		_, err := w.issuer(trading.Audience).Verify(t.Context(), expired)
		return err != nil
	})
	for name, test := range map[string]struct {
		token, query    string
		rest, negotiate int
	}{
		"none":           {rest: 401, negotiate: 401},
		"good":           {token: good, rest: 200, negotiate: 200},
		"other audience": {token: a.token("Catalog", nil), rest: 401, negotiate: 401},
		"expired":        {token: expired, rest: 401, negotiate: 401},
		"nonsense":       {token: "x.y.z", rest: 401, negotiate: 401},
		"in the query":   {query: "access_token=" + good, rest: 401, negotiate: 200},
	} {
		if r := request(t, "GET", w.url+"/store?"+test.query, test.token, ""); r.status != test.rest {
			t.Errorf("%s: REST answered with %d, want %d", name, r.status, test.rest)
		}
		if r := request(t, "POST", w.url+"/messagehub/negotiate?negotiateVersion=1&"+test.query, test.token, ""); r.status != test.negotiate {
			t.Errorf("%s: negotiate answered with %d, want %d", name, r.status, test.negotiate)
		}
	}
}

// P9: the same purchase again changes nothing, and another player's stays his own.
func TestDuplicateSubmit(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newWorld(t, database, nil)
		potion, a, b := w.potion(nil), w.player(), w.player()
		l := a.listen(w.url)
		id := uuid.New()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { a.buy(potion, 2, id) })
		}
		all.Wait()
		l.hears(id, "Completed")
		a.buy(potion, 2, id) // after the end
		w.rest()
		a.owns(90, potion, 2)
		l.silent()
		if r := b.post(potion, 2, id); r.status != http.StatusConflict || r.json(t)["title"] == "" {
			t.Errorf("id of another player: %d %s", r.status, r.body)
		}
		for _, path := range []string{"/purchase/status/" + id.String(), "/purchase/" + id.String() + "/history"} {
			if r := request(t, "GET", w.url+path, b.token(trading.Audience, nil), ""); r.status != http.StatusNotFound {
				t.Errorf("%s for another player: %d %s", path, r.status, r.body)
			}
			if r := request(t, "GET", w.url+path, b.token(trading.Audience, map[string]any{"role": "Admin"}), ""); r.status != http.StatusOK {
				t.Errorf("%s for an administrator: %d %s", path, r.status, r.body)
			}
		}
	})
}

// P13: a service that is down is waited for, until the deadline.
func TestServiceDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", nil)
	potion, a := w.potion(nil), w.player()
	a.owns(100, potion, 0)
	w.bank.close()
	id := uuid.New()
	a.buy(potion, 2, id)
	a.becomes(id, "ItemsGranted")
	w.openBank()
	a.becomes(id, "Completed")
	a.owns(90, potion, 2)
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newWorld(t, database, func(c *trading.Config) { c.Deadline, c.Resend = 2*time.Second, 300*time.Millisecond })
		five := int64(5)
		potion, a := w.potion(&five), w.player()
		a.owns(100, potion, 0)
		l := a.listen(w.url)
		w.bank.close()
		id := uuid.New()
		a.buy(potion, 2, id)
		s := l.hears(id, "Faulted")
		if s.ErrorMessage == nil || !strings.Contains(*s.ErrorMessage, "not done in 2s") {
			t.Errorf("heard %+v", s)
		}
		w.openBank() // which now finds the debit, sent several times, and the refund
		w.rest()
		a.owns(100, potion, 0)
		store, err := w.trading.Store(t.Context(), a.id.String())
		if err != nil || store.Items[0].Stock == nil || *store.Items[0].Stock != 5 {
			t.Errorf("store %+v, %v: what was reserved did not go back", store, err)
		}
		l.silent()
		if m := w.trading.Machine().Stats(); m.Resent == 0 || m.Late == 0 {
			t.Errorf("machine %+v, want commands sent again and late answers", m)
		}
		eventually(t, "the compensation is confirmed", func() bool {
			r := request(t, "GET", w.url+"/purchase/"+id.String()+"/history", a.token(trading.Audience, nil), "")
			return strings.Contains(string(r.body), "GilRefunded: confirmed") && strings.Contains(string(r.body), "InventoryItemsSubtracted: confirmed")
		})
	})
}

// The order of the original is an option: items first.
func TestGrantFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", func(c *trading.Config) { c.GrantFirst = true })
	potion, a := w.potion(nil), w.player()
	id := uuid.New()
	a.buy(potion, 2, id)
	a.becomes(id, "Completed")
	a.owns(90, potion, 2)
	id = uuid.New()
	a.buy(potion, 21, id)
	a.becomes(id, "Faulted")
	a.owns(90, potion, 2)
}
