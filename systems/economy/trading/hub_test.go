package trading_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/economy/trading"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// P14: what a buyer missed while away comes once, and so does it for one who connects for the first time; what somebody was told
// live does not come again.
func TestMissedStatus(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		noted := make(chan struct{}, 100)
		w := newWorld(t, database, func(c *trading.Config) {
			c.Border = func(name string) {
				if name == "noted" {
					noted <- struct{}{}
				}
			}
		})
		potion, a := w.potion(nil), w.player()
		first := a.listen(w.url)
		live := uuid.New()
		a.buy(potion, 1, live)
		first.hears(live, "Completed")
		select {
		case <-noted: // one whose connection ends before may be told again
		case <-time.After(patience):
			t.Fatal("it was not noted that the buyer was told")
		}
		first.client.Close()
		eventually(t, "the connection is gone", func() bool { return w.trading.Hub().User(a.id.String()).Count() == 0 })
		missed := uuid.New()
		a.buy(potion, 2, missed)
		a.becomes(missed, "Completed")
		again := a.listen(w.url)
		again.hears(missed, "Completed")
		third := a.listen(w.url)
		next := uuid.New()
		a.buy(potion, 3, next)
		again.hears(next, "Completed")
		third.hears(next, "Completed")
		w.rest()
		for _, l := range []*listener{first, again, third} {
			l.silent()
		}
	})
}

func TestRetentionEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", func(c *trading.Config) { c.Retention = 50 * time.Millisecond })
	potion, a := w.potion(nil), w.player()
	old := uuid.New()
	a.buy(potion, 1, old)
	done, err := time.Parse(time.RFC3339Nano, a.becomes(old, "Completed")["lastUpdated"].(string))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the retention is over", func() bool { return time.Since(done) > 100*time.Millisecond })
	l := a.listen(w.url)
	if err := l.client.Invoke(t.Context(), nil, "None"); err == nil { // the server has heard of the connection
		t.Error("a method that is not there answered")
	}
	l.silent()
	a.becomes(old, "Completed")
}

// P16: the buyer is connected to one process, the purchase runs in another one.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	backplane := hubbub.NewLocal()
	w := newWorld(t, "postgres", func(c *trading.Config) { c.Hub.Backplane = backplane })
	potion := w.potion(nil)
	_, url := w.openTrading()
	players := []*player{w.player(), w.player()}
	listeners := []*listener{players[0].listen(w.url), players[0].listen(url), players[1].listen(url)}
	const n = 5
	for i := range n {
		var ids [2]uuid.UUID
		for j, p := range players {
			ids[j] = uuid.New()
			p.buy(potion, 1, ids[j])
			if i%2 == 0 {
				continue
			}
			p.becomes(ids[j], "Completed")
		}
		listeners[0].hears(ids[0], "Completed")
		listeners[1].hears(ids[0], "Completed")
		listeners[2].hears(ids[1], "Completed")
	}
	w.rest()
	for _, l := range listeners {
		l.silent()
	}
	for _, p := range players {
		p.owns(100-5*n, potion, n)
	}
}

// P18: buyers cannot say how a purchase ended.
func TestNobodySpoofs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", nil)
	a, b := w.player(), w.player()
	one, other := a.listen(w.url), b.listen(w.url)
	for _, name := range []string{"SendStatusAsync", "ReceivePurchaseStatus", "sendstatusasync"} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := one.client.Invoke(ctx, nil, name, trading.PurchaseState{UserID: b.id.String(), CurrentState: "Completed"})
		cancel()
		if err == nil || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("%s: %v, want that there is no such method", name, err)
		}
	}
	one.silent()
	other.silent()
}

// The payload has the members of the original, those without a value too.
func TestPayload(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", nil)
	potion, a := w.potion(nil), w.player()
	l := a.listen(w.url)
	raw := make(chan map[string]any, 1)
	l.client.On(trading.TargetStatus, hubbub.Action1(func(_ context.Context, m map[string]any) error {
		raw <- m
		return nil
	}))
	id := uuid.New()
	a.buy(potion, 1, id)
	select {
	case m := <-raw:
		for _, name := range []string{"correlationId", "currentState", "userId", "itemId", "quantity", "received", "purchaseTotal", "lastUpdated", "errorMessage", "version"} {
			if _, found := m[name]; !found {
				t.Errorf("no member %s in %v", name, m)
			}
		}
		if len(m) != 10 {
			t.Errorf("%d members, want 10: %v", len(m), m)
		}
	case <-time.After(patience):
		t.Fatal("heard nothing")
	}
}

func TestDrawing(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("machine.mmd")
	if err != nil {
		t.Fatal(err)
	}
	drawn := trading.Draw(false)
	if drawn != string(file) {
		t.Error("machine.mmd is not what the machine is: run go generate")
	}
	for _, arrow := range []string{
		"[*] --> Accepted: PurchaseRequested / send GrantItems, start deadline", "[*] --> Faulted: PurchaseRequested, refused",
		"ItemsGranted --> GilDebited: GilDebited / send DeliverItems", "ItemsGranted --> Faulted: after deadline / compensate", "Completed --> [*]",
	} {
		if !strings.Contains(drawn, arrow) {
			t.Errorf("no %q in\n%s", arrow, drawn)
		}
	}
	if !strings.Contains(trading.Draw(true), "ItemsGranted --> Completed: GilDebited") {
		t.Errorf("drawn with the items first:\n%s", trading.Draw(true))
	}
}
