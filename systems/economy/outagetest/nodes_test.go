package outagetest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/backplane/backplanetest"
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// P16: two nodes of all services on one PostgreSQL and one NATS server. A buyer is connected to the first one, or to both, and buys at
// the second one. The first one is killed, and the buyer connects to the second one: what was missed comes once, and what
// follows comes too.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	database := storetest.Postgres(t)
	_, broker := newNATS(t)
	one := newProcess(t, "node", roleData+"="+database, roleBus+"="+broker)
	two := newProcess(t, "node", roleData+"="+database, roleBus+"="+broker)
	front := newProxy(t, one.at)
	w := newWorld(t, "http://"+front.addr(), database, 4)
	w.buyAt = "http://" + two.at

	tab := w.players[0].tab(w.buyAt)
	var took []time.Duration
	for i := range 10 {
		for _, p := range w.players {
			b := purchase{id: uuid.New(), quantity: 1, unknown: i == 5}
			p.buy(b)
			for _, h := range p.hears(b, time.Now().Add(patience)) {
				took = append(took, h.after)
			}
			if p == w.players[0] {
				tab.hears(b, time.Now().Add(patience))
			}
			if !b.unknown { // the second node accepted it, and said so to the first one
				p.mu.Lock()
				steps := p.steps[b.id]
				p.mu.Unlock()
				if !slices.Contains(steps, "Accepted") {
					t.Errorf("the buyer heard of %v, want of Accepted too", steps)
				}
			}
		}
	}
	slices.Sort(took)
	t.Logf("%d pushes: half of them after %s, the last after %s", len(took), took[len(took)/2], took[len(took)-1])
	var changed [2]int
	w.control("GET", "/test/changed", &changed[0])
	front.to(two.at)
	w.control("GET", "/test/changed", &changed[1])
	front.to(one.at)
	if changed[0] == 0 || changed[1] == 0 {
		t.Errorf("the nodes did %v steps, want both to have done some", changed)
	}
	tab.leave()

	stop := w.load(20)
	time.Sleep(time.Second) // of the load
	one.kill()
	killed := time.Now()
	front.to(two.at)
	time.Sleep(2 * time.Second)
	stop()
	for _, all := range w.told() {
		if last := all[len(all)-1].at; len(all) > 2 || all[0].at.After(killed.Add(time.Second)) {
			t.Errorf("told %d times, until %s after the kill", len(all), last.Sub(killed))
		} else {
			t.Logf("told twice: the kill fell between telling and noting it")
		}
	}
	t.Logf("%d purchases; all told %s after the kill", w.sent.Load(), time.Since(killed).Round(time.Millisecond))

	one.start()
	w.buyAt = "http://" + one.at
	for _, p := range w.players {
		b := purchase{id: uuid.New(), quantity: 1}
		p.buy(b)
		p.hears(b, time.Now().Add(patience))
	}
	w.books()
}

// The broadcast of the bus is the backplane of trading's nodes.
func TestBroadcastIsBackplane(t *testing.T) {
	t.Parallel()
	_, broker := newNATS(t)
	backplanetest.Run(t, func(t *testing.T, n int) (nodes []hubbub.Backplane) {
		for range n {
			b, err := bus.Open(t.Context(), bus.Config{URL: broker, Name: "test", Logger: quiet()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { b.Close() })
			nodes = append(nodes, b.Broadcast())
		}
		return nodes
	})
}
