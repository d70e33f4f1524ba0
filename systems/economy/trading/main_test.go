package trading_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/catalog"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/inventory"
	"github.com/hubbub-go/hubbub/systems/economy/trading"
	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func TestMain(m *testing.M) {
	os.Exit(storetest.Main(m, func() error { return goleak.Find() }))
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// world is Play Economy with all its services in this process, each with a database of its own.
type world struct {
	t         testing.TB
	bus       *bus.Bus
	keys      *hubbub.KeyRing
	catalog   *catalog.Service
	inventory *inventory.Service
	bank      *bank
	trading   *trading.Service
	url       string
	database  func(name string) store.Config
	change    func(c *trading.Config)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// newWorld opens all services on new databases of a kind.
func newWorld(t testing.TB, database string, change func(c *trading.Config)) *world {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), Name: contracts.BusName, SyncInterval: time.Minute, Logger: quiet()}, contracts.Queues()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	one := storetest.Config(t, database, "x")
	w := &world{t: t, bus: b, keys: hubbub.RandomKeyRing(), change: change, database: func(name string) store.Config {
		c := one
		c.Name, c.Logger = name, quiet()
		return c
	}}
	w.openCatalog()
	w.openInventory()
	w.openBank()
	w.trading, w.url = w.openTrading()
	return w
}

func (w *world) issuer(audience string) *auth.Issuer {
	return &auth.Issuer{Keys: w.keys, Issuer: "test", Audience: audience}
}

func (w *world) log() *slog.Logger { return slog.New(slog.NewTextHandler(testLog{w.t}, nil)) }

func (w *world) pauses() box.Config {
	return box.Config{Pauses: []time.Duration{10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond}}
}

func (w *world) openCatalog() {
	var err error
	if w.catalog, err = catalog.Open(w.t.Context(), catalog.Config{
		Database: w.database("catalog"), Bus: w.bus, Verify: w.issuer(catalog.Audience).Verify, Box: w.pauses(), Logger: w.log(),
	}); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.catalog.Close() })
}

func (w *world) openInventory() {
	s, err := inventory.Open(w.t.Context(), inventory.Config{
		Database: w.database("inventory"), Bus: w.bus, Verify: w.issuer(inventory.Audience).Verify, Box: w.pauses(), Logger: w.log(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.inventory = s
	w.t.Cleanup(func() { s.Close() })
}

func (w *world) openBank() {
	b, err := openBank(w.t.Context(), w.database("bank"), w.bus, box.Config{Logger: w.log()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.bank = b
	w.t.Cleanup(func() { b.close() })
}

// openTrading opens a trading service behind an HTTP server.
func (w *world) openTrading() (*trading.Service, string) {
	w.t.Helper()
	c := trading.Config{
		Database: w.database("trading"), Bus: w.bus, Verify: w.issuer(trading.Audience).Verify, Box: w.pauses(), Logger: w.log(), Resend: time.Second,
	}
	if w.change != nil {
		w.change(&c)
	}
	s, err := trading.Open(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	mux := http.NewServeMux()
	s.Mount(mux, nil)
	server := httptest.NewServer(mux)
	w.t.Cleanup(func() {
		s.Hub().Shutdown(context.Background(), 0)
		server.Close()
		s.Close()
	})
	return s, server.URL
}

// testLog writes to the log of a test, as long as it runs.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Logf("%s", bytes.TrimSpace(p))
	}
	return len(p), nil
}

// potion adds an item for 5 gil and waits until trading sells it.
func (w *world) potion(stock *int64) uuid.UUID {
	w.t.Helper()
	i, err := w.catalog.Create(w.t.Context(), catalog.Item{Name: "Potion", Description: "Restores a small amount of HP", Price: 5 * contracts.OneGil, Stock: stock})
	if err != nil {
		w.t.Fatal(err)
	}
	eventually(w.t, "the item is for sale", func() bool {
		all, err := w.trading.Store(w.t.Context(), "")
		if err != nil {
			w.t.Fatal(err)
		}
		for _, s := range all.Items {
			if s.ID == i.ID && (stock == nil) == (s.Stock == nil) {
				return true
			}
		}
		return false
	})
	return i.ID
}

// player is somebody with 100 gil.
type player struct {
	w  *world
	id uuid.UUID
}

func (w *world) player() *player {
	w.t.Helper()
	p := &player{w, uuid.New()}
	if err := w.bank.open(w.t.Context(), p.id, 100*contracts.OneGil); err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (p *player) token(audience string, claims map[string]any) string {
	all := map[string]any{"sub": p.id.String()}
	for k, v := range claims {
		all[k] = v
	}
	token, err := p.w.issuer(audience).Sign(all, time.Hour)
	if err != nil {
		p.w.t.Fatal(err)
	}
	return token
}

// answer is what a request was answered with.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(a.body, &m); err != nil {
		t.Fatalf("body %q: %v", a.body, err)
	}
	return m
}

func request(t testing.TB, method, url, token, body string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	p, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{a.StatusCode, a.Header, p}
}

// buy posts a purchase and wants 202.
func (p *player) buy(item uuid.UUID, quantity int, id uuid.UUID) {
	p.w.t.Helper()
	a := p.post(item, quantity, id)
	if a.status != http.StatusAccepted || !strings.HasSuffix(a.header.Get("Location"), "/purchase/status/"+id.String()) ||
		a.json(p.w.t)["idempotencyId"] != id.String() {
		p.w.t.Fatalf("purchase answered with %d, %v, %s", a.status, a.header, a.body)
	}
}

func (p *player) post(item uuid.UUID, quantity int, id uuid.UUID) answer {
	p.w.t.Helper()
	return request(p.w.t, "POST", p.w.url+"/purchase", p.token(trading.Audience, nil),
		fmt.Sprintf(`{"itemId":%q,"quantity":%d,"idempotencyId":%q}`, item, quantity, id))
}

// status returns the state of a purchase.
func (p *player) status(id uuid.UUID) map[string]any {
	p.w.t.Helper()
	a := request(p.w.t, "GET", p.w.url+"/purchase/status/"+id.String(), p.token(trading.Audience, nil), "")
	if a.status != http.StatusOK {
		p.w.t.Fatalf("status answered with %d, %s", a.status, a.body)
	}
	return a.json(p.w.t)
}

// becomes waits until a purchase has a state.
func (p *player) becomes(id uuid.UUID, state string) map[string]any {
	p.w.t.Helper()
	var got map[string]any
	deadline := time.Now().Add(patience)
	for {
		if got = p.status(id); got["state"] == state {
			return got
		}
		if time.Now().After(deadline) {
			p.w.t.Fatalf("the purchase is %v, want %s", got, state)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// owns waits until a player has so much gil and so many items, for the bank, the inventory and in the store of trading.
func (p *player) owns(gil int64, item uuid.UUID, quantity int64) {
	p.w.t.Helper()
	var seen string
	defer func() {
		if p.w.t.Failed() {
			p.w.t.Log(seen)
		}
	}()
	eventually(p.w.t, fmt.Sprintf("player has %d gil and %d items", gil, quantity), func() bool {
		ctx := p.w.t.Context()
		balance, err := p.w.bank.balance(ctx, p.id)
		if err != nil {
			p.w.t.Fatal(err)
		}
		items, err := p.w.inventory.Items(ctx, p.id)
		if err != nil {
			p.w.t.Fatal(err)
		}
		var has int64
		for _, i := range items {
			if i.CatalogItemID == item {
				has = i.Quantity
			}
		}
		sold, err := p.w.trading.Store(ctx, p.id.String())
		if err != nil {
			p.w.t.Fatal(err)
		}
		var shown int64
		for _, i := range sold.Items {
			if i.ID == item {
				shown = i.OwnedQuantity
			}
		}
		seen = fmt.Sprintf("bank %s, inventory %d, store %s gil and %d items", balance, has, sold.UserGil, shown)
		return balance == contracts.Gil(gil)*contracts.OneGil && sold.UserGil == balance && has == quantity && shown == quantity
	})
}

// listener is a connection of a player.
type listener struct {
	t        testing.TB
	client   *signalr.Client
	status   chan trading.PurchaseState
	progress chan trading.PurchaseState
}

func (p *player) listen(url string) *listener {
	p.w.t.Helper()
	l := &listener{p.w.t, nil, make(chan trading.PurchaseState, 1000), make(chan trading.PurchaseState, 1000)}
	token := p.token(trading.Audience, nil)
	l.client = signalr.NewClient(url+trading.HubPath, &signalr.ClientOptions{
		Token: func(context.Context) (string, error) { return token, nil },
	})
	to := func(all chan trading.PurchaseState) hubbub.Method {
		return hubbub.Action1(func(_ context.Context, s trading.PurchaseState) error {
			all <- s
			return nil
		})
	}
	l.client.On(trading.TargetStatus, to(l.status))
	l.client.On(trading.TargetProgress, to(l.progress))
	if err := l.client.Start(p.w.t.Context()); err != nil {
		p.w.t.Fatal(err)
	}
	var once sync.Once
	p.w.t.Cleanup(func() { once.Do(func() { l.client.Close() }) })
	return l
}

// hears waits for the end of a purchase.
func (l *listener) hears(id uuid.UUID, state string) trading.PurchaseState {
	l.t.Helper()
	select {
	case s := <-l.status:
		if s.CorrelationID != id.String() || s.CurrentState != state {
			l.t.Fatalf("heard %+v, want %s of %s", s, state, id)
		}
		return s
	case <-time.After(patience):
		l.t.Fatalf("heard nothing of %s, want %s", id, state)
		return trading.PurchaseState{}
	}
}

// silent fails if the listener has heard more. Call it when the rest of the world has come to rest.
func (l *listener) silent() {
	l.t.Helper()
	select {
	case s := <-l.status:
		l.t.Errorf("heard %+v, want nothing", s)
	default:
	}
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", patience, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// rest waits until no message is under way, and fails if one of them has become a dead letter.
func (w *world) rest() {
	w.t.Helper()
	ctx := w.t.Context()
	calm := 0
	eventually(w.t, "no message is under way", func() bool {
		for _, b := range []*box.Box{w.catalog.Box(), w.inventory.Box(), w.bank.box, w.trading.Box()} {
			if n, err := b.Waiting(ctx); err != nil || n > 0 {
				calm = 0
				return false
			}
		}
		all, err := w.bus.Queues(ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, q := range all {
			if q.Waiting > 0 || q.Running > 0 {
				calm = 0
				return false
			}
		}
		calm++
		return calm == 3
	})
	dead, err := w.bus.DeadLetters(ctx, 0, 10)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, l := range dead {
		w.t.Errorf("dead letter of %s: %s %s: %s", l.Queue, l.Topic, l.Body, l.Reason)
	}
}
