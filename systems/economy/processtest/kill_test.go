package processtest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/identity"
	"github.com/hubbub-go/hubbub/systems/economy/trading"
)

// deed is something that somebody does, and does again until it is done, while processes die.
type deed struct {
	w  *world
	id string // what {id} in statements stands for
	// try reports whether it was accepted.
	try func(ctx context.Context) bool
	// traps that belong to it, beside the one that kills.
	traps  []trap
	bought bool // it is a purchase
	// version is what {version} in statements stands for.
	version int64
	// during is called again and again until a process is killed, and reports whether the kill should come soon, if it does.
	during func() bool
	// finish waits for the end, and checks it.
	finish func(p point)
}

func (d *deed) fill(query string) string {
	return strings.ReplaceAll(strings.ReplaceAll(query, "{id}", d.id), "{version}", strconv.FormatInt(d.version, 10))
}

// visit does a deed for each point, kills the process there and starts it again. Usually the points of P12 are visited in one of the two
// kinds of systems each, and some of the others.
func visit(w *world, points []point, begin func() *deed) {
	for i, p := range points {
		if every := p.every(); !thorough() && i%every != 0 && i%every != every/2 || !thorough() && (i%every == 0) == (w.nats != nil) {
			continue
		}
		for try := 1; !killAt(w, p, begin()); try++ { // a slow machine may bring a purchase past its deadline before it is there
			if try == 5 {
				w.t.Fatalf("%s, %s: nobody came there", p.at, p.name)
			}
		}
	}
}

// killAt does a deed for a point, and reports whether a process was killed there.
func killAt(w *world, p point, d *deed) bool {
	service, _, _ := strings.Cut(p.at, " ")
	victim := w.of(service)
	w.set(d, victim, p)
	accepted := make(chan bool, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		accepted <- d.try(ctx)
	}()
	dead := w.await(p, victim, d)
	if dead {
		for _, f := range p.holds {
			if n := w.count(f.service, d.fill(f.query)); n != f.want {
				w.t.Errorf("%s, %s: %s: %s is %d, want %d", p.at, p.name, f.service, d.fill(f.query), n, f.want)
			}
		}
		// Sent or not, it is not noted: then it is sent again.
		p.twice = d.bought && victim == w.of("trading") && w.count("trading", d.fill(notTold)) == 1
		victim.again()
	}
	for _, h := range w.hosts {
		w.trap(h)
	}
	if !<-accepted {
		w.eventually("it is accepted", func() bool { return d.try(w.t.Context()) })
	}
	d.finish(p)
	w.calm()
	if w.audit(); w.t.Failed() {
		w.t.Fatalf("killed at %q: %s", p.at, p.name)
	}
	return dead
}

// set sets the traps of a deed, and that of a point.
func (w *world) set(d *deed, victim *host, p point) {
	w.t.Helper()
	all := map[*host][]trap{victim: nil}
	for _, t := range append(slices.Clone(d.traps), trap{At: p.at, When: p.when}) {
		t.When = d.fill(t.When)
		service, _, _ := strings.Cut(t.At, " ")
		all[w.of(service)] = append(all[w.of(service)], t)
	}
	for h, traps := range all {
		w.trap(h, traps...)
	}
}

// await waits until the process is dead. It reports false if the deed was over before.
func (w *world) await(p point, victim *host, d *deed) bool {
	w.t.Helper()
	late := time.After(patience)
	var over <-chan time.Time
	for {
		select {
		case <-victim.gone():
			return true
		case <-over:
			return false
		case <-late:
			w.t.Fatalf("%s, %s: the process was not killed in %s", p.at, p.name, patience)
		case <-time.After(10 * time.Millisecond):
			if d.during != nil && d.during() && over == nil {
				over = time.After(patience / 6)
			}
		}
	}
}

// purchase is the deed of buying.
func (w *world) purchase(b *player, item uuid.UUID, quantity int, want ...string) *deed {
	id := uuid.New()
	return &deed{w: w, id: id.String(), bought: true,
		try: func(ctx context.Context) bool { return b.try(ctx, item, quantity, id) },
		finish: func(p point) {
			w.t.Helper()
			var s trading.Status
			w.eventually(fmt.Sprintf("%s, %s: the purchase has ended", p.at, p.name), func() bool {
				s = b.state(id)
				return s.State == trading.Completed || s.State == trading.Faulted
			})
			reason := ""
			if s.Reason != nil {
				reason = *s.Reason
			}
			got, fits := string(s.State)+" "+reason, false
			for _, one := range want {
				fits = fits || strings.HasPrefix(got, one)
			}
			if !fits {
				w.t.Errorf("%s, %s: the purchase is %s, want %q", p.at, p.name, got, want)
			}
			w.calm()
			w.eventually(fmt.Sprintf("%s, %s: the buyer is told", p.at, p.name), func() bool { return len(b.told(id)) > 0 })
			told := b.told(id)
			for _, h := range told {
				if h.state != string(s.State) {
					w.t.Errorf("%s, %s: the buyer was told %v, the purchase is %s", p.at, p.name, told, s.State)
				}
			}
			if len(told) > 1 && !p.twice || len(told) > 2 {
				w.t.Errorf("%s, %s: the buyer was told %v", p.at, p.name, told)
			}
		},
	}
}

// both runs a test with all services in one process, and with each in its own.
func both(t *testing.T, test func(t *testing.T, apart bool)) {
	for name, apart := range map[string]bool{"in one process": false, "each in its own": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, apart)
		})
	}
}

// TestKilledWhileCompleting visits all points of a purchase that is completed.
func TestKilledWhileCompleting(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, apart bool) {
		w := newWorld(t, "sqlite", apart, func(c *settings) { c.Gil = 100_000 * contracts.OneGil })
		potion := w.sell(item{Name: "Potion", Price: 5 * contracts.OneGil})
		b := w.player()
		visit(w, join(begun, completing), func() *deed { return w.purchase(b, potion.ID, 2, "Completed") })
	})
}

// TestKilledWhileRefusing visits those of a purchase that is too dear.
func TestKilledWhileRefusing(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, apart bool) {
		w := newWorld(t, "sqlite", apart, nil)
		stock := int64(30)
		potion := w.sell(item{Name: "Potion", Price: 5 * contracts.OneGil, Stock: &stock})
		b := w.player()
		visit(w, refusing, func() *deed { return w.purchase(b, potion.ID, 21, "Faulted Not enough gil to debit 105") })
	})
}

// TestKilledWhileCallingOff visits those of a purchase whose items are not delivered until its deadline.
func TestKilledWhileCallingOff(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, apart bool) {
		w := newWorld(t, "sqlite", apart, func(c *settings) {
			c.Gil, c.Deadline = 100_000*contracts.OneGil, 700*time.Millisecond
		})
		stock := int64(30)
		potion := w.sell(item{Name: "Potion", Price: 5 * contracts.OneGil, Stock: &stock})
		b := w.player()
		visit(w, callingOff, func() *deed {
			// Where the process of the inventory dies too, its message may come again before the deadline is looked at.
			d := w.purchase(b, potion.ID, 2, "Faulted The purchase was not done in 700ms", "Completed")
			d.traps = []trap{{At: "inventory delivered", When: reserved("reserved"), Hold: true}}
			off := false
			d.during = func() bool {
				if !off && w.count("trading", d.fill(isTold)) == 1 {
					off = true
					w.release("inventory")
				}
				return off
			}
			return d
		})
	})
}

// release lets go who is held in the process of a service, if it lives.
func (w *world) release(service string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	w.ask(ctx, "POST", service, "/release", "", "")
}

// TestKilledWhileTelling visits the points of what the catalog and the identity service tell the others.
func TestKilledWhileTelling(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, apart bool) {
		w := newWorld(t, "sqlite", apart, nil)
		stock, changes := int64(10), 0
		potion := w.sell(item{Name: "Potion", Price: 5 * contracts.OneGil, Stock: &stock})
		visit(w, shop("CatalogItemUpdated"), func() *deed {
			changes++
			text := fmt.Sprintf(`{"name":"Potion","description":"the %dth","price":5,"stock":%d}`, changes, 10+changes)
			return &deed{w: w, id: potion.ID.String(), version: 1 + w.count("catalog", "SELECT version FROM item WHERE id = ?", potion.ID.String()),
				try: func(ctx context.Context) bool {
					status, _ := w.ask(ctx, "PUT", "catalog", "/catalog-svc/items/"+potion.ID.String(), w.admin, text)
					return status == 204
				},
				finish: func(point) {
					w.calm()
					if n := w.count("trading", "SELECT remaining FROM stock WHERE item_id = ?", potion.ID.String()); n != int64(10+changes) {
						w.t.Errorf("%d potions are left, want %d", n, 10+changes)
					}
				},
			}
		})
		admin, err := identity.IssueToken(t.Context(), w.databaseOf("identity"), "admin@play.com", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		u := w.register()
		w.calm()
		given := int64(0)
		visit(w, changing, func() *deed {
			given++
			gil := int64(w.Gil) + given
			text := fmt.Sprintf(`{"email":%q,"gil":%s}`, u.Email, contracts.Gil(gil))
			return &deed{w: w, id: u.ID.String(), version: gil,
				try: func(ctx context.Context) bool {
					status, _ := w.ask(ctx, "PUT", "identity", "/identity-svc/users/"+u.ID.String(), admin, text)
					return status == 204
				},
				finish: func(point) {
					w.calm()
					w.given = given
				},
			}
		})
	})
}
