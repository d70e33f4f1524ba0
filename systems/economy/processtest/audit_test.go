package processtest

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/trading"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Rows as the audit reads them. Keys of maps are ids; of what a player has, the player's and the item's.
type (
	account     struct{ gil, version int64 }
	debit       struct{ state, account, gil string }
	holding     struct{ quantity, version int64 }
	reservation struct{ state, user, item, quantity string }
	wares       struct {
		name    string
		price   int64
		stock   sql.NullInt64 // ever to sell
		sold    int64
		version int64
		deleted bool
	}
	left struct {
		remaining sql.NullInt64
		version   int64
	}
	bought struct {
		state            string
		created, updated int64
		data             trading.Purchase
		told             bool
	}
)

// books are what the databases of all services say.
type books struct {
	accounts     map[string]account
	debits       map[string]debit
	holdings     map[string]holding
	reservations map[string]reservation
	supplies     map[string]wares // the inventory's copy of the catalog
	items        map[string]wares // the catalog's
	shop         map[string]wares // trading's copy of the catalog
	left         map[string]left
	shown        map[string]holding
	purses       map[string]account
	purchases    map[string]bought
}

// table reads all rows of a query into a map.
func table[V any](w *world, s *store.Store, query string, scan func(v *V) []any) map[string]V {
	w.t.Helper()
	rows, err := s.Query(context.Background(), query)
	if err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	all := make(map[string]V)
	for rows.Next() {
		var id string
		var v V
		if err := rows.Scan(append([]any{&id}, scan(&v)...)...); err != nil {
			w.t.Fatalf("%s: %v", query, err)
		}
		all[id] = v
	}
	if err := rows.Err(); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	return all
}

func scanAccount(a *account) []any { return []any{&a.gil, &a.version} }
func scanHolding(h *holding) []any { return []any{&h.quantity, &h.version} }

// read reads the books while all is calm.
func (w *world) read() (b books) {
	w.t.Helper()
	with := func(service string, f func(s *store.Store)) {
		s := w.open(service)
		defer s.Close()
		f(s)
	}
	with("identity", func(s *store.Store) {
		b.accounts = table(w, s, "SELECT id, gil, version FROM account", scanAccount)
		b.debits = table(w, s, "SELECT purchase, state, account, gil FROM debit", func(d *debit) []any { return []any{&d.state, &d.account, &d.gil} })
	})
	with("catalog", func(s *store.Store) {
		b.items = table(w, s, "SELECT id, name, price, stock, version FROM item", func(i *wares) []any { return []any{&i.name, &i.price, &i.stock, &i.version} })
	})
	with("inventory", func(s *store.Store) {
		b.holdings = table(w, s, "SELECT user_id || ' ' || item_id, quantity, version FROM inventory_item", scanHolding)
		b.reservations = table(w, s, "SELECT purchase, state, user_id, item_id, quantity FROM reservation", func(r *reservation) []any {
			return []any{&r.state, &r.user, &r.item, &r.quantity}
		})
		b.supplies = table(w, s, "SELECT id, name, supply, sold, version, deleted FROM catalog_item", func(i *wares) []any {
			return []any{&i.name, &i.stock, &i.sold, &i.version, &i.deleted}
		})
	})
	with("trading", func(s *store.Store) {
		b.shop = table(w, s, "SELECT id, name, price, version, deleted FROM catalog_item", func(i *wares) []any { return []any{&i.name, &i.price, &i.version, &i.deleted} })
		b.left = table(w, s, "SELECT item_id, remaining, version FROM stock", func(l *left) []any { return []any{&l.remaining, &l.version} })
		b.shown = table(w, s, "SELECT user_id || ' ' || item_id, quantity, version FROM inventory_item", scanHolding)
		b.purses = table(w, s, "SELECT user_id, gil, version FROM account", scanAccount)
		type row struct {
			bought
			text []byte
		}
		for id, r := range table(w, s, "SELECT id, state, saga.created, updated, data, coalesce(told, 0) > 0 FROM saga LEFT JOIN push ON purchase = id",
			func(r *row) []any { return []any{&r.state, &r.created, &r.updated, &r.text, &r.told} }) {
			if err := json.Unmarshal(r.text, &r.data); err != nil {
				w.t.Fatal(err)
			}
			if b.purchases == nil {
				b.purchases = make(map[string]bought)
			}
			b.purchases[id] = r.bought
		}
	})
	return b
}

// audit checks that the books of all services agree and that nobody has lost or won anything. Call it when all is calm. It returns
// the books.
func (w *world) audit() books {
	w.t.Helper()
	b := w.read()
	b.checkMoney(w)
	b.checkPurchases(w)
	b.checkStock(w)
	b.checkCopies(w)
	return b
}

// checkMoney checks that what all players have and have spent is what they began with, and that they own what they have paid.
func (b *books) checkMoney(w *world) {
	w.t.Helper()
	var have, spent, worth int64
	for _, a := range b.accounts {
		have += a.gil
		if a.gil < 0 {
			w.t.Errorf("an account has %d", a.gil)
		}
	}
	for id, p := range b.purchases {
		if p.state == string(trading.Completed) {
			spent += int64(*p.data.Total)
		}
		if !p.told {
			w.t.Errorf("the buyer of purchase %s was not told", id)
		}
	}
	for key, h := range b.holdings {
		worth += h.quantity * b.shop[key[len(key)-36:]].price
	}
	if began := int64(len(b.accounts))*int64(w.Gil) + w.given; have+spent != began || worth != spent {
		w.t.Errorf("players began with %s gil, have %s, have spent %s, and own things for %s", contracts.Gil(began), contracts.Gil(have), contracts.Gil(spent),
			contracts.Gil(worth))
	}
}

// checkPurchases checks that each purchase has ended, in time, and that every service knows it in the same way.
func (b *books) checkPurchases(w *world) {
	w.t.Helper()
	for id, p := range b.purchases {
		d, paid := b.debits[id]
		r, got := b.reservations[id]
		switch p.state {
		case string(trading.Completed):
			if want := (debit{"debited", p.data.UserID.String(), fmt.Sprint(int64(*p.data.Total))}); d != want {
				w.t.Errorf("purchase %s is completed, its debit is %v, want %v", id, d, want)
			}
			if want := (reservation{"granted", p.data.UserID.String(), p.data.ItemID.String(), fmt.Sprint(p.data.Quantity)}); r != want {
				w.t.Errorf("purchase %s is completed, its reservation is %v, want %v", id, r, want)
			}
		case string(trading.Faulted):
			if paid && d.state != "refunded" {
				w.t.Errorf("purchase %s has failed, its debit is %v", id, d)
			}
			if got && r.state != "subtracted" {
				w.t.Errorf("purchase %s has failed, its reservation is %v", id, r)
			}
		default:
			w.t.Errorf("purchase %s is still %s, %s after it began", id, p.state, time.Since(time.UnixMilli(p.created)).Round(time.Millisecond))
		}
	}
	for id := range b.debits {
		if _, found := b.purchases[id]; !found {
			w.t.Errorf("debit for purchase %s, which nobody has made", id)
		}
	}
	for id := range b.reservations {
		if _, found := b.purchases[id]; !found {
			w.t.Errorf("reservation for purchase %s, which nobody has made", id)
		}
	}
}

// checkStock checks that what was sold of each item is what players own, and not more than there was.
func (b *books) checkStock(w *world) {
	w.t.Helper()
	owned := make(map[string]int64)
	for key, h := range b.holdings {
		owned[key[len(key)-36:]] += h.quantity
	}
	for id, i := range b.supplies {
		if i.sold != owned[id] {
			w.t.Errorf("%d of item %s are sold, players own %d", i.sold, i.name, owned[id])
		}
		if i.stock.Valid && i.sold > i.stock.Int64 {
			w.t.Errorf("%d of item %s are sold, there were %d", i.sold, i.name, i.stock.Int64)
		}
		if l, found := b.left[id]; found != i.stock.Valid || found && l.remaining.Int64 != i.stock.Int64-i.sold {
			w.t.Errorf("item %s: trading says that %d are left (version %d), %d of %d are sold", i.name, l.remaining.Int64, l.version, i.sold, i.stock.Int64)
		}
	}
}

// checkCopies checks that the copies are as the originals.
func (b *books) checkCopies(w *world) {
	w.t.Helper()
	same(w, "accounts of trading", b.purses, b.accounts)
	same(w, "possessions of trading", b.shown, b.holdings)
	prices := make(map[string]wares)
	supplies := make(map[string]wares)
	for id, i := range b.items {
		prices[id] = wares{name: i.name, price: i.price, version: i.version}
		supplies[id] = wares{name: i.name, stock: i.stock, version: i.version, sold: b.supplies[id].sold}
	}
	for _, copies := range []map[string]wares{b.shop, b.supplies} {
		for id, i := range copies {
			if _, there := b.items[id]; i.deleted == there {
				w.t.Errorf("item %s is deleted in a copy: %v, in the catalog: %v", id, i.deleted, !there)
			}
			if i.deleted {
				delete(copies, id)
			}
		}
	}
	same(w, "items of trading", b.shop, prices)
	same(w, "items of the inventory", b.supplies, supplies)
}

func same[V comparable](w *world, what string, got, want map[string]V) {
	w.t.Helper()
	var ids []string
	for id := range want {
		ids = append(ids, id)
	}
	for id := range got {
		if _, found := want[id]; !found {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		if got[id] != want[id] {
			w.t.Errorf("%s: %s is %v, want %v", what, id, got[id], want[id])
		}
	}
}
