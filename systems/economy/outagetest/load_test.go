package outagetest_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/economy/trading"
)

// world is what a test sees of Play Economy: an address, and the database behind it.
type world struct {
	t        testing.TB
	url      string
	buyAt    string // where purchases are posted
	database string
	client   *http.Client
	item     uuid.UUID
	players  []*player
	patience time.Duration // of a buyer, before a POST is sent again

	sent, again atomic.Int64 // purchases, and POSTs that had to be sent again
	slowest     atomic.Int64 // POST that was answered, in ns
	mu          sync.Mutex
	failures    map[string]int // what POSTs that had to be sent again were answered with
}

// player buys things.
type player struct {
	ID    uuid.UUID
	Token string

	w      *world
	leave  func() // ends the connection
	mu     sync.Mutex
	bought []purchase
	heard  map[uuid.UUID][]heard
	steps  map[uuid.UUID][]string
	nudge  chan struct{} // something was heard
}

type purchase struct {
	id       uuid.UUID
	quantity int
	unknown  bool // of an item that is not there
}

// ended reports whether a purchase may end so: where a machine is too slow for its deadline, it is called off.
func (b purchase) ended(h heard) bool {
	if h.state == string(trading.Completed) {
		return !b.unknown
	}
	return h.state == string(trading.Faulted) && (b.unknown || strings.HasPrefix(h.why, "The purchase was not done in"))
}

type heard struct {
	state string
	why   string
	at    time.Time
	after time.Duration // from the change that it tells of
}

// newWorld makes an item and players who listen.
func newWorld(t testing.TB, url, database string, players int) *world {
	t.Helper()
	w := &world{t: t, url: url, buyAt: url, database: database, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}, failures: make(map[string]int), patience: 500 * time.Millisecond}
	t.Cleanup(w.client.CloseIdleConnections)
	var item struct{ ID uuid.UUID }
	w.control("POST", "/test/item", &item)
	w.item = item.ID
	for range players {
		w.players = append(w.players, w.player())
	}
	p := w.players[0]
	eventually(t, "the item is for sale", func() bool {
		status, body := p.request("GET", w.url+"/trading-svc/store", "")
		return status == http.StatusOK && strings.Contains(body, w.item.String())
	})
	return w
}

func (w *world) control(method, path string, v any) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer a.Body.Close()
	if err := json.NewDecoder(a.Body).Decode(v); err != nil {
		w.t.Fatalf("%s: %s, %v", path, a.Status, err)
	}
}

func (w *world) player() *player {
	w.t.Helper()
	p := &player{w: w, heard: make(map[uuid.UUID][]heard), steps: make(map[uuid.UUID][]string), nudge: make(chan struct{}, 1)}
	w.control("POST", "/test/player", p)
	p.listen(w.url)
	return p
}

// tab is the same player with another connection.
func (p *player) tab(url string) *player {
	p.w.t.Helper()
	other := &player{ID: p.ID, Token: p.Token, w: p.w, heard: make(map[uuid.UUID][]heard), steps: make(map[uuid.UUID][]string), nudge: make(chan struct{}, 1)}
	other.listen(url)
	return other
}

// listen connects to a hub as the portal does, and connects again whenever it must.
func (p *player) listen(url string) {
	p.w.t.Helper()
	o := &signalr.ClientOptions{Token: func(context.Context) (string, error) { return p.Token, nil }}
	o.Logger = quiet()
	o.Reconnect = hubbub.RetryForever(50*time.Millisecond, time.Second)
	c := signalr.NewClient(url+"/trading-svc"+trading.HubPath, o)
	c.On(trading.TargetStatus, hubbub.Action1(func(_ context.Context, s trading.PurchaseState) error {
		p.hear(s, true)
		return nil
	}))
	c.On(trading.TargetProgress, hubbub.Action1(func(_ context.Context, s trading.PurchaseState) error {
		p.hear(s, false)
		return nil
	}))
	if err := c.Start(p.w.t.Context()); err != nil {
		p.w.t.Fatal(err)
	}
	p.leave = sync.OnceFunc(func() { c.Close() })
	p.w.t.Cleanup(p.leave)
}

func (p *player) hear(s trading.PurchaseState, end bool) {
	id := uuid.MustParse(s.CorrelationID)
	why := ""
	if s.ErrorMessage != nil {
		why = *s.ErrorMessage
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if end {
		p.heard[id] = append(p.heard[id], heard{s.CurrentState, why, time.Now(), time.Since(s.LastUpdated)})
	} else {
		p.steps[id] = append(p.steps[id], s.CurrentState)
	}
	select {
	case p.nudge <- struct{}{}:
	default:
	}
}

// request asks as the player. Status 0 is no answer.
func (p *player) request(method, url, body string) (int, string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		p.w.t.Error(err)
		return 0, ""
	}
	r.Header.Set("Authorization", "Bearer "+p.Token)
	a, err := p.w.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return 0, err.Error()
	}
	return a.StatusCode, string(text)
}

func (p *player) post(b purchase) (int, string) {
	item := p.w.item
	if b.unknown {
		item = uuid.New()
	}
	begun := time.Now()
	status, text := p.request("POST", p.w.buyAt+"/trading-svc/purchase", fmt.Sprintf(`{"itemId":%q,"quantity":%d,"idempotencyId":%q}`, item, b.quantity, b.id))
	if took := int64(time.Since(begun)); status != 0 && took > p.w.slowest.Load() {
		p.w.slowest.Store(took)
	}
	return status, text
}

// buy posts a purchase until it is accepted, with the same id each time, as the portal does.
func (p *player) buy(b purchase) {
	p.mu.Lock()
	p.bought = append(p.bought, b)
	p.mu.Unlock()
	p.w.sent.Add(1)
	for begun := time.Now(); ; {
		status, text := p.post(b)
		if status == http.StatusAccepted {
			return
		}
		p.w.again.Add(1)
		p.w.mu.Lock()
		p.w.failures[fmt.Sprint(status)]++
		p.w.mu.Unlock()
		if status != 0 && status != http.StatusServiceUnavailable || time.Since(begun) > 5*patience {
			p.w.t.Errorf("purchase answered with %d, %s after %s, want 202, or 503 for a while", status, text, time.Since(begun))
			return
		}
		time.Sleep(p.w.patience) // of the portal
	}
}

// load has players buy, so many a second, until stop is called, which waits for all of them.
func (w *world) load(rate int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		t := time.NewTicker(time.Second / time.Duration(rate))
		defer t.Stop()
		for {
			select {
			case <-t.C:
				p := w.players[rand.IntN(len(w.players))]
				work.Go(func() { p.buy(purchase{uuid.New(), 1 + rand.IntN(3), rand.IntN(20) == 0}) })
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		work.Wait()
	}
}

// told waits until players have heard how each purchase ended, and returns what was heard of those of which they did more than
// once.
func (w *world) told() (twice [][]heard) {
	w.t.Helper()
	deadline := time.Now().Add(2 * patience)
	for _, p := range w.players {
		for _, b := range p.bought {
			all := p.hears(b, deadline)
			if len(all) > 1 {
				twice = append(twice, all)
			}
		}
	}
	return twice
}

// hears waits until the player has heard how a purchase ended.
func (p *player) hears(b purchase, deadline time.Time) []heard {
	p.w.t.Helper()
	for {
		p.mu.Lock()
		all := slices.Clone(p.heard[b.id])
		p.mu.Unlock()
		for _, h := range all {
			if !b.ended(h) || h.state != all[0].state {
				p.w.t.Errorf("heard %v of %+v", all, b)
			}
		}
		if len(all) > 0 {
			return all
		}
		if time.Now().After(deadline) {
			status, text := p.request("GET", p.w.url+"/trading-svc/purchase/status/"+b.id.String(), "")
			p.w.t.Fatalf("%s: heard nothing of it, its status is %d, %s", b.id, status, text)
		}
		select {
		case <-p.nudge:
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// books holds, when all was told, that money and items agree with what was bought, that nothing is left to do, and that trading knows what the others
// know.
func (w *world) books() {
	w.t.Helper()
	db, err := sql.Open("pgx", w.database)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	number := func(query string, args ...any) (n int64) {
		w.t.Helper()
		if err := db.QueryRowContext(w.t.Context(), query, args...).Scan(&n); err != nil {
			w.t.Fatalf("%s: %v", query, err)
		}
		return n
	}
	for _, left := range []string{
		"SELECT count(*) FROM economy_trading.outbox", "SELECT count(*) FROM economy_inventory.outbox", "SELECT count(*) FROM economy_identity.outbox",
		"SELECT count(*) FROM economy_trading.saga WHERE state NOT IN ('Completed', 'Faulted')",
		"SELECT count(*) FROM economy_trading.saga_command WHERE status = 'open'", "SELECT count(*) FROM economy_trading.saga_timer",
		"SELECT count(*) FROM economy_inventory.reservation WHERE state = 'reserved'", "SELECT count(*) FROM economy_trading.push WHERE told = 0",
		"SELECT count(*) FROM economy_identity.account a JOIN economy_trading.account t ON t.user_id = a.id WHERE t.gil <> a.gil",
		`SELECT count(*) FROM economy_inventory.inventory_item i LEFT JOIN economy_trading.inventory_item t ON t.user_id = i.user_id AND t.item_id = i.item_id
			WHERE t.quantity IS DISTINCT FROM i.quantity`,
	} {
		last, changed := int64(-1), time.Now()
		for n := number(left); n > 0; n = number(left) {
			if n != last {
				last, changed = n, time.Now()
			}
			if time.Since(changed) > patience { // a slow machine may take longer, but goes on
				w.t.Fatalf("%s: %d for %s, want 0", left, n, patience)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	purchases, calledOff := 0, 0
	for _, p := range w.players {
		items := 0
		p.mu.Lock()
		for _, b := range p.bought {
			switch all := p.heard[b.id]; {
			case len(all) > 0 && all[0].state == string(trading.Completed):
				items += b.quantity
			case !b.unknown:
				calledOff++
			}
		}
		p.mu.Unlock()
		purchases += len(p.bought)
		gil := number("SELECT gil FROM economy_identity.account WHERE id = $1", p.ID.String())
		has := number("SELECT coalesce(sum(quantity), 0) FROM economy_inventory.inventory_item WHERE user_id = $1", p.ID.String())
		if want := int64(startingGil) - int64(items)*int64(price); gil != want || has != int64(items) {
			w.t.Errorf("player %s has %d gil and %d items, want %d and %d", p.ID, gil, has, want, items)
		}
	}
	if calledOff > 0 {
		w.t.Logf("%d purchases were called off", calledOff)
	}
	if n := number("SELECT count(*) FROM economy_trading.saga"); n != int64(purchases) {
		w.t.Errorf("%d purchases are stored, want %d", n, purchases)
	}
}

// ready returns the statuses of the readiness of the services.
func (w *world) ready() (all []int) {
	for _, s := range []string{"catalog", "inventory", "identity", "trading"} {
		status, _ := w.players[0].request("GET", w.url+"/"+s+"-svc/health/ready", "")
		all = append(all, status)
	}
	return all
}

func (w *world) isReady(status int) bool {
	return !slices.ContainsFunc(w.ready(), func(s int) bool { return s != status })
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
