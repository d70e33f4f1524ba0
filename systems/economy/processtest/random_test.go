package processtest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/trading"
)

// TestKilledAtRandom kills processes at random times while many buy all the time, and reads the books at the end.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, database string
		apart          bool
	}{
		{"in one process", "sqlite", false},
		{"each in its own", "sqlite", true},
		{"each in its own on PostgreSQL", "postgres", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := &riot{t: t, seed: number(t, seedVariable, uint64(time.Now().UnixNano())), kills: int(number(t, killsVariable, 2)), stop: make(chan struct{})}
			t.Logf("%s=%d %s=%d", seedVariable, r.seed, killsVariable, r.kills)
			r.world = newWorld(t, test.database, test.apart, func(c *settings) {
				c.Gil, c.Deadline = 2000*contracts.OneGil, 20*time.Second
			})
			r.run()
		})
	}
}

// riot is the test.
type riot struct {
	*world
	t     *testing.T
	seed  uint64
	kills int
	stop  chan struct{} // closed when all go home
	work  sync.WaitGroup

	potion, elixir item

	mu     sync.Mutex
	wanted []want
	killed []kill
	peace  time.Time // when the killing was over
}

// want is that a player has tried to buy.
type want struct {
	p        *player
	id, item uuid.UUID
	quantity int
}

type kill struct {
	service string // the first of the process
	trading bool   // it was the one with the buyers' connections
	at      time.Time
}

// dice returns random numbers of their own for each use.
func (r *riot) dice(use string) *rand.Rand {
	var n uint64
	for _, c := range use {
		n = n*31 + uint64(c)
	}
	return rand.New(rand.NewPCG(r.seed, n))
}

func (r *riot) run() {
	stock := int64(20)
	r.potion = r.sell(item{Name: "Potion", Price: 5 * contracts.OneGil})
	r.elixir = r.sell(item{Name: "Elixir", Price: 20 * contracts.OneGil, Stock: &stock})
	for i := range 12 {
		p := r.player()
		r.work.Go(func() { r.buy(p, r.dice(fmt.Sprint("player", i))) })
	}
	r.work.Go(func() { r.keepShop(r.dice("shop")) })
	r.rage(r.dice("killer"))
	r.peace = time.Now()
	close(r.stop)
	r.work.Wait()
	for _, w := range r.wanted { // of some nobody knows whether they were heard
		r.eventually("the purchase is accepted", func() bool { return w.p.try(r.t.Context(), w.item, w.quantity, w.id) })
	}
	r.calmIn(5 * patience)
	r.t.Logf("calm %s after the last kill", time.Since(r.peace).Round(time.Millisecond))
	r.judge(r.audit())
}

func (r *riot) over() bool {
	select {
	case <-r.stop:
		return true
	default:
		return false
	}
}

// buy is what a player does all the time: as the portal it asks three times. It does not wait for the end for long.
func (r *riot) buy(p *player, dice *rand.Rand) {
	for !r.over() {
		w := want{p, uuid.New(), r.potion.ID, 1 + dice.IntN(3)}
		switch dice.IntN(10) {
		case 0:
			w.item = uuid.New() // which nobody sells
		case 1:
			w.quantity = 100 // which is soon too dear
		case 2, 3:
			w.item = r.elixir.ID // which is soon sold out
		}
		r.mu.Lock()
		r.wanted = append(r.wanted, w)
		r.mu.Unlock()
		for range 3 {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			accepted := p.try(ctx, w.item, w.quantity, w.id)
			cancel()
			if accepted || r.over() {
				break
			}
		}
		for late := time.Now().Add(3 * time.Second); len(p.told(w.id)) == 0 && time.Now().Before(late) && !r.over(); {
			r.pause(time.Duration(1+dice.IntN(20)) * time.Millisecond)
		}
	}
}

func (r *riot) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.stop:
	}
}

// keepShop adds elixirs, changes what is said of them, and adds and removes another item.
func (r *riot) keepShop(dice *rand.Rand) {
	ask := func(method, path, body string, want ...int) (p []byte) {
		for status := 0; status == 0 || status == 503; {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			status, p = r.ask(ctx, method, "catalog", "/catalog-svc/items"+path, r.admin, body)
			cancel()
			if status != 0 && status != 503 && !slices.Contains(want, status) {
				r.t.Errorf("%s %s answered with %d, %s, want %v", method, path, status, p, want)
			}
		}
		return p
	}
	stock := *r.elixir.Stock
	for n := 1; !r.over(); n++ {
		stock += int64(dice.IntN(5))
		ask("PUT", "/"+r.elixir.ID.String(), fmt.Sprintf(`{"name":"Elixir","description":"the %dth","price":20,"stock":%d}`, n, stock), 204)
		if n%5 == 0 {
			var i item
			if err := json.Unmarshal(ask("POST", "", fmt.Sprintf(`{"name":"Ether %d","description":"","price":1}`, n), 201), &i); err != nil {
				r.t.Error(err)
			}
			ask("DELETE", "/"+i.ID.String(), "", 204, 404)
		}
		r.pause(time.Duration(dice.IntN(200)) * time.Millisecond)
	}
}

// rage kills.
func (r *riot) rage(dice *rand.Rand) {
	for range r.kills {
		time.Sleep(time.Duration(20+dice.IntN(1500)) * time.Millisecond) // the time of the kill is what the test is about
		n := len(r.hosts)
		if r.nats != nil {
			n++
		}
		i := dice.IntN(n)
		down := time.Duration(dice.IntN(100)) * time.Millisecond
		if dice.IntN(20) == 0 {
			down = 3 * time.Second
		}
		victim, k := r.nats, kill{service: "nats"}
		if i < len(r.hosts) {
			victim, k.service = r.hosts[i].process, r.hosts[i].services[0]
			k.trading = r.hosts[i] == r.of("trading")
		}
		victim.kill()
		k.at = time.Now()
		r.killed = append(r.killed, k)
		time.Sleep(down)
		victim.again()
	}
}

// judge checks what the buyers were told, and that purchases have ended in time.
func (r *riot) judge(b books) {
	var twice int
	var longest time.Duration
	ends := make(map[string]int)
	for _, w := range r.wanted {
		p, found := b.purchases[w.id.String()]
		if !found {
			r.t.Errorf("purchase %s is lost", w.id)
			continue
		}
		reason := ""
		if p.data.Error != nil {
			reason = *p.data.Error
		}
		ends[kindOf(p.state, reason)]++
		longest = max(longest, time.Duration(p.updated-p.created)*time.Millisecond)
		// While processes are killed all the time nobody may come to it.
		due := max(p.created+r.Deadline.Milliseconds(), r.peace.UnixMilli())
		if late := time.Duration(p.updated-due) * time.Millisecond; late > patience {
			r.t.Errorf("purchase %s ended %s after its deadline, in peace", w.id, late)
		}
		told := w.p.told(w.id)
		if len(told) == 0 {
			r.t.Errorf("the buyer of purchase %s, which is %s, was told nothing", w.id, p.state)
		}
		for i, h := range told {
			if h.state != p.state {
				r.t.Errorf("the buyer of purchase %s was told that it is %s, it is %s", w.id, h.state, p.state)
			}
			if i > 0 && !r.between(told[i-1].at, h.at) {
				r.t.Errorf("the buyer of purchase %s was told twice, at %s and at %s, and no kill was between", w.id, told[i-1].at, h.at)
			}
		}
		if len(told) > 1 {
			twice++
		}
	}
	if n := len(b.purchases); n != len(r.wanted) {
		r.t.Errorf("there are %d purchases, want %d", n, len(r.wanted))
	}
	victims := make(map[string]int)
	for _, k := range r.killed {
		victims[k.service]++
	}
	r.t.Logf("%d kills %v, %d purchases %v, told twice of %d, the longest took %s", len(r.killed), victims, len(b.purchases), ends, twice, longest)
}

// between reports whether the process with the buyers' connections was killed after a time, soon enough that it may not have noted
// what it had told then, and before another one.
func (r *riot) between(after, before time.Time) bool {
	for _, k := range r.killed {
		if k.trading && k.at.After(after) && k.at.Before(before) && k.at.Sub(after) < 5*time.Second {
			return true
		}
	}
	return false
}

func kindOf(state, reason string) string {
	if state == string(trading.Completed) {
		return state
	}
	for _, kind := range []string{"Unknown item", "Not enough gil", "insufficient stock", "was not done in"} {
		if strings.Contains(reason, kind) {
			return kind
		}
	}
	return reason
}
