package inventory_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/inventory"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func TestMain(m *testing.M) {
	os.Exit(storetest.Main(m, func() error { return goleak.Find() }))
}

const patience = 30 * time.Second

// depot is an inventory behind an HTTP server; the test plays the other services.
type depot struct {
	*inventory.Service
	t      testing.TB
	bus    *bus.Bus
	url    string
	issuer *auth.Issuer
	told   chan bus.Message
}

func open(t *testing.T, database string) *depot {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), Name: contracts.BusName, SyncInterval: time.Minute, Logger: log}, contracts.Queues()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	d := &depot{t: t, bus: b, issuer: &auth.Issuer{Keys: hubbub.RandomKeyRing(), Audience: inventory.Audience}, told: make(chan bus.Message, 1000)}
	c := storetest.Config(t, database, "inventory")
	c.Logger = log
	if d.Service, err = inventory.Open(t.Context(), inventory.Config{Database: c, Bus: b, Verify: d.issuer.Verify, Logger: log}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	d.Mount(mux)
	server := httptest.NewServer(mux)
	d.url = server.URL
	t.Cleanup(func() {
		server.Close()
		d.Close()
	})
	if _, err := b.Consume(contracts.TradingQueue, nil, func(_ context.Context, batch []*bus.Delivery) {
		for _, one := range batch {
			if !strings.HasPrefix(one.Topic, "Catalog") {
				d.told <- one.Message
			}
			one.Ack()
		}
	}); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *depot) say(l box.Letter) {
	d.t.Helper()
	body, err := json.Marshal(l)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	if err := d.bus.Publish(ctx, &bus.Message{ID: uuid.NewString(), Key: l.Key(), Topic: l.Topic(), Body: body}); err != nil {
		d.t.Fatal(err)
	}
}

// hears wants to be told this next, as topic and body.
func (d *depot) hears(topic, body string) {
	d.t.Helper()
	select {
	case m := <-d.told:
		if m.Topic != topic || !strings.Contains(string(m.Body), body) {
			d.t.Fatalf("told %s %s, want %s with %s", m.Topic, m.Body, topic, body)
		}
	case <-time.After(patience):
		d.t.Fatalf("nothing was told, want %s", topic)
	}
}

func (d *depot) ask(method, path string, user uuid.UUID, role, body string) (int, string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if user != uuid.Nil {
		token, err := d.issuer.Sign(map[string]any{"sub": strings.ToUpper(user.String()), "role": role}, time.Hour)
		if err != nil {
			d.t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer a.Body.Close()
	p, err := io.ReadAll(a.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return a.StatusCode, string(p)
}

func TestREST(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		d := open(t, database)
		ann, bob, item := uuid.New(), uuid.New(), uuid.New()
		of := "/items?userId=" + ann.String()
		grant := func(quantity any) string {
			return fmt.Sprintf(`{"userId":%q,"catalogItemId":%q,"quantity":%v}`, ann, item, quantity)
		}
		for name, test := range map[string]struct {
			method, path string
			user         uuid.UUID
			role, body   string
			status       int
			want         string
		}{
			"own":              {"GET", of, ann, "Player", "", 200, "[]"},
			"own, other case":  {"GET", "/items?userId=" + strings.ToUpper(ann.String()), ann, "Player", "", 200, "[]"},
			"of another":       {"GET", of, bob, "Player", "", 403, `"title"`},
			"as administrator": {"GET", of, bob, "Admin", "", 200, "[]"},
			"nobody":           {"GET", of, uuid.Nil, "", "", 401, ""},
			"of nobody":        {"GET", "/items", ann, "Player", "", 400, `"errors":{"userId"`},
			"id of zeros":      {"GET", "/items?userId=" + uuid.Nil.String(), ann, "Player", "", 400, `"errors":{"userId"`},
			"player gives":     {"POST", "/items", ann, "Player", grant(1), 403, ""},
			"nobody gives":     {"POST", "/items", uuid.Nil, "", grant(1), 401, ""},
			"no quantity":      {"POST", "/items", bob, "Admin", grant(`"x"`), 400, `"errors":{"quantity"`},
		} {
			if status, body := d.ask(test.method, test.path, test.user, test.role, test.body); status != test.status || !strings.Contains(body, test.want) {
				t.Errorf("%s: %d %s, want %d with %s", name, status, body, test.status, test.want)
			}
		}
		for _, quantity := range []int{5, -2} { // as the original: no bound, no catalog
			if status, body := d.ask("POST", "/items", bob, "Admin", grant(quantity)); status != 200 || body != "" {
				t.Errorf("give %d: %d %s", quantity, status, body)
			}
		}
		d.hears("InventoryItemUpdated", `"newTotalQuantity":5,"version":1`)
		d.hears("InventoryItemUpdated", `"newTotalQuantity":3,"version":2`)
		if status, body := d.ask("GET", of, ann, "Player", ""); status != 200 || !strings.Contains(body, `"name":"","description":"","quantity":3,"acquiredDate":"`) {
			t.Errorf("items: %d %s", status, body)
		}
	})
}

func number(n int64) *int64 { return &n }

func TestStock(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		d := open(t, database)
		item, user := uuid.New(), uuid.New()
		created := contracts.CatalogItemCreated{ItemID: item, Name: "Potion", Stock: number(3), Version: 1}
		updated := contracts.CatalogItemUpdated(created)
		updated.Name, updated.Version, updated.Stock = "Elixir", 2, number(4)
		d.say(updated) // which overtakes the creation
		d.hears("StockUpdated", `"left":4,"version":1`)
		d.say(created)
		first, second := uuid.New(), uuid.New()
		grant := contracts.GrantItems{UserID: user, CatalogItemID: item, Quantity: 3, CorrelationID: first, Reserve: true}
		d.say(grant)
		d.hears("StockUpdated", `"left":1,"version":2`)
		d.hears("InventoryItemsGranted", first.String())
		grant.CorrelationID = second
		d.say(grant)
		d.hears("Fault.GrantItems", fmt.Sprintf("insufficient stock of item '%s': 1 left, 3 wanted", item))
		if all, err := d.Items(t.Context(), user); err != nil || len(all) != 0 {
			t.Errorf("items %v, %v: what is reserved is owned", all, err)
		}
		d.say(contracts.DeliverItems{UserID: user, CatalogItemID: item, Quantity: 3, CorrelationID: first})
		d.hears("InventoryItemUpdated", `"newTotalQuantity":3`)
		d.hears("InventoryItemsDelivered", first.String())
		if all, err := d.Items(t.Context(), user); err != nil || len(all) != 1 || all[0].Name != "Elixir" || all[0].Quantity != 3 {
			t.Errorf("items %+v, %v", all, err)
		}
		updated.Version, updated.Stock = 3, number(6) // two more
		d.say(updated)
		d.hears("StockUpdated", `"left":3,"version":3`)
		d.say(contracts.SubtractItems{UserID: user, CatalogItemID: item, Quantity: 3, CorrelationID: first})
		d.hears("InventoryItemUpdated", `"newTotalQuantity":0`)
		d.hears("StockUpdated", `"left":6`)
		d.hears("InventoryItemsSubtracted", first.String())
		updated.Version, updated.Stock = 4, nil // any number
		d.say(updated)
		d.hears("StockUpdated", `"left":null`)
		grant.Quantity, grant.CorrelationID, grant.Reserve = 1000, uuid.New(), false // as the original
		d.say(grant)
		d.hears("InventoryItemUpdated", `"newTotalQuantity":1000`)
		d.hears("InventoryItemsGranted", grant.CorrelationID.String())
		d.counted(inventory.Stats{Granted: map[uuid.UUID]uint64{item: 2}, Delivered: 1, Subtracted: 1})
		d.say(grant)
		d.hears("InventoryItemsGranted", grant.CorrelationID.String()) // said again, and nothing done
		d.say(contracts.SubtractItems{UserID: user, CatalogItemID: item, Quantity: 3, CorrelationID: first})
		d.hears("InventoryItemsSubtracted", first.String())
		d.counted(inventory.Stats{Granted: map[uuid.UUID]uint64{item: 2}, Delivered: 1, Subtracted: 1})
	})
}

// counted wants the counts to become so: they follow the commit, as what others hear does.
func (d *depot) counted(want inventory.Stats) {
	d.t.Helper()
	deadline := time.Now().Add(patience)
	for !reflect.DeepEqual(d.Stats(), want) {
		if time.Now().After(deadline) {
			d.t.Fatalf("counts %+v, want %+v", d.Stats(), want)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	d := open(t, "sqlite")
	item, gone, user := uuid.New(), uuid.New(), uuid.New()
	d.say(contracts.CatalogItemCreated{ItemID: item, Name: "Potion", Version: 1})
	d.say(contracts.CatalogItemDeleted{ItemID: gone, Version: 2})
	d.say(contracts.CatalogItemCreated{ItemID: gone, Name: "Late", Version: 1})
	off := uuid.New()
	d.say(contracts.SubtractItems{UserID: user, CatalogItemID: item, Quantity: 1, CorrelationID: off}) // before the command that it undoes
	d.hears("InventoryItemsSubtracted", off.String())
	for _, test := range []struct {
		command box.Letter
		want    string
	}{
		{contracts.GrantItems{UserID: user, CatalogItemID: gone, Quantity: 1, CorrelationID: uuid.New()}, "Unknown item '" + gone.String() + "'"},
		{contracts.GrantItems{UserID: user, CatalogItemID: user, Quantity: 1, CorrelationID: uuid.New()}, "Unknown item '" + user.String() + "'"},
		{contracts.GrantItems{UserID: user, CatalogItemID: item, Quantity: 0, CorrelationID: uuid.New()}, "Quantity 0 is not positive"},
		{contracts.GrantItems{UserID: user, CatalogItemID: item, Quantity: 1, CorrelationID: off}, "was called off"},
		{contracts.DeliverItems{UserID: user, CatalogItemID: item, Quantity: 1, CorrelationID: off}, "was called off"},
		{contracts.DeliverItems{UserID: user, CatalogItemID: item, Quantity: 1, CorrelationID: uuid.New()}, "Nothing is reserved"},
	} {
		d.say(test.command)
		d.hears("Fault."+test.command.Topic(), test.want)
	}
	if all, err := d.Items(t.Context(), user); err != nil || len(all) != 0 {
		t.Errorf("items %v, %v", all, err)
	}
}
