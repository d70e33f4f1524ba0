package economy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func TestMain(m *testing.M) {
	slog.SetDefault(quiet()) // the OpenID provider's library logs there
	os.Exit(storetest.Main(m, func() error { return goleak.Find() }))
}

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

const (
	adminEmail    = "admin@play.com"
	adminPassword = "the password of the administrator"
	password      = "correct horse"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// world is Play Economy as its users see it: behind HTTP, with accounts that were registered.
type world struct {
	t        testing.TB
	database store.Config
	dir      string   // of the bus
	bus      *bus.Bus // to publish past every outbox, and to count what waits
	parts    map[string]*part
	change   func(c *economy.Config)
	broker   string // address of the NATS server, "" for the one inside
	admin    string // a token
	players  atomic.Int64
}

// part is a server with one service or with all of them, which can be stopped and started again at its address.
type part struct {
	w       *world
	only    string
	server  *httptest.Server
	handler atomic.Pointer[http.Handler]
	system  *economy.System
}

// newWorld opens all services in one system on new databases of a kind. change may be nil.
func newWorld(t testing.TB, database string, change func(c *economy.Config)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), database: storetest.Config(t, database, "x"), change: change}
	all := w.serve("")
	w.parts = map[string]*part{economy.Catalog: all, economy.Inventory: all, economy.Identity: all, economy.Trading: all}
	all.start()
	w.bus = all.system.Bus()
	w.admin = w.token(adminEmail, time.Hour)
	return w
}

// newTown opens each service as a system of its own at an address of its own, with a NATS server between them, as four processes
// would be.
func newTown(t testing.TB, database string, change func(c *economy.Config)) *world {
	t.Helper()
	w := &world{t: t, database: storetest.Config(t, database, "x"), change: change, broker: startNATS(t), parts: make(map[string]*part)}
	for _, name := range economy.Names() {
		w.parts[name] = w.serve(name)
	}
	for _, name := range economy.Names() {
		w.parts[name].start()
	}
	w.bus = w.watch()
	w.admin = w.token(adminEmail, time.Hour)
	return w
}

// startNATS starts a server and returns its address.
func startNATS(t testing.TB) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not listen")
	}
	return s.ClientURL()
}

// watch connects to the bus of a town, with more queues than the services have.
func (w *world) watch(more ...bus.Queue) *bus.Bus {
	w.t.Helper()
	b, err := bus.Open(w.t.Context(), bus.Config{URL: w.broker, Name: contracts.BusName, Logger: quiet()}, append(contracts.Queues(), more...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { b.Close() })
	return b
}

// hearing returns what is said in a town of some topics from now on.
func (w *world) hearing(topics ...string) <-chan bus.Message {
	w.t.Helper()
	heard := make(chan bus.Message, 1000)
	c, err := w.watch(bus.Queue{Name: "ears", Topics: topics}).Consume("ears", nil, func(_ context.Context, batch []*bus.Delivery) {
		for _, d := range batch {
			heard <- d.Message
			d.Ack()
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Stop)
	return heard
}

// serve opens a server that says 503 until its part is started.
func (w *world) serve(only string) *part {
	p := &part{w: w, only: only}
	p.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if h := p.handler.Load(); h != nil {
			(*h).ServeHTTP(rw, r)
			return
		}
		rw.WriteHeader(http.StatusServiceUnavailable)
	}))
	w.t.Cleanup(func() {
		p.stop()
		p.server.Close()
	})
	return p
}

func (p *part) start() {
	w := p.w
	w.t.Helper()
	c := economy.Config{URL: p.server.URL, Only: p.only, Database: w.database, Logger: slog.New(slog.NewTextHandler(testLog{w.t}, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	c.Database.Logger = quiet()
	c.Bus = bus.Config{URL: w.broker, Dir: w.dir, SyncInterval: time.Minute, Logger: quiet()}
	if p.only != "" {
		c.Issuer = w.parts[economy.Identity].server.URL
	}
	c.Identity.AdminPassword, c.Identity.PasswordCost = adminPassword, bcrypt.MinCost
	c.Trading.Resend = time.Second
	c.Trading.Box = box.Config{Pauses: []time.Duration{10 * time.Millisecond, 100 * time.Millisecond}}
	if w.change != nil {
		w.change(&c)
	}
	s, err := economy.Open(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	mux := http.NewServeMux()
	if err := s.Mount(mux); err != nil {
		s.Close()
		w.t.Fatal(err)
	}
	p.system = s
	h := signalr.FoldCase(mux, s.Paths()...)
	p.handler.Store(&h)
}

func (p *part) stop() {
	if p.system == nil {
		return
	}
	p.handler.Store(nil)
	for _, h := range p.system.Hubs() {
		h.Shutdown(context.Background(), 0)
	}
	p.server.CloseClientConnections()
	p.system.Close()
	p.system = nil
}

// at is the address of a service, without a slash at its end.
func (w *world) at(service string) string {
	p := w.parts[service]
	if p.only != "" {
		return p.server.URL
	}
	return p.server.URL + "/" + service + "-svc"
}

// base is what stands before the paths of a service.
func (w *world) base(service string) string {
	return strings.TrimPrefix(w.at(service), w.parts[service].server.URL)
}

// testLog writes to the log of a test, as long as it runs.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Logf("%s", strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

// token is one of hubbub token.
func (w *world) token(email string, ttl time.Duration) string {
	w.t.Helper()
	d := w.database
	d.Logger = quiet()
	token, err := economy.IssueToken(w.t.Context(), d, email, ttl)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// answer is what a request was answered with.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t testing.TB) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("status %d, body %q: %v", a.status, a.body, err)
	}
	return m
}

// do sends a request to a service. A body is JSON, unless a header says otherwise.
func (w *world) do(method, service, path, token, body string, headers ...string) answer {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, w.at(service)+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return readAll(w.t, res)
}

// readAll reads an answer to its end.
func readAll(t testing.TB, res *http.Response) answer {
	t.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// wants is do for those who know the status.
func (w *world) wants(status int, method, service, path, token, body string, headers ...string) answer {
	w.t.Helper()
	a := w.do(method, service, path, token, body, headers...)
	if a.status != status {
		w.t.Fatalf("%s %s of %s: status %d, want %d; body %s", method, path, service, a.status, status, a.body)
	}
	return a
}

// item adds an item to the catalog and waits until it is for sale. extra are more members, such as `,"stock":1`.
func (w *world) item(name, price, extra string) string {
	w.t.Helper()
	a := w.wants(http.StatusCreated, "POST", economy.Catalog, "/items", w.admin, fmt.Sprintf(`{"name":%q,"description":"One of a test","price":%s%s}`, name, price, extra))
	id := a.json(w.t)["id"].(string)
	eventually(w.t, name+" is for sale", func() bool {
		i := w.sold(w.admin, id)
		_, finite := i["stock"]
		return i != nil && finite == strings.Contains(extra, "stock")
	})
	return id
}

// potion is an item for 5 gil.
func (w *world) potion() string {
	w.t.Helper()
	return w.item("Potion", "5", "")
}

// sold returns what the store says of an item, nil if it does not have it.
func (w *world) sold(token, item string) map[string]any {
	w.t.Helper()
	for _, i := range w.wants(http.StatusOK, "GET", economy.Trading, "/store", token, "").json(w.t)["items"].([]any) {
		if m := i.(map[string]any); m["id"] == item {
			return m
		}
	}
	return nil
}

// player is somebody who has registered.
type player struct {
	w     *world
	id    string
	email string
	token string
}

// player registers somebody and waits until the store knows of the 100 gil.
func (w *world) player() *player {
	w.t.Helper()
	p := &player{w: w, email: fmt.Sprintf("player%d@play.com", w.players.Add(1))}
	a := w.wants(http.StatusCreated, "POST", economy.Identity, "/register", "", fmt.Sprintf(`{"email":%q,"password":%q}`, p.email, password))
	p.id = a.json(w.t)["id"].(string)
	p.token = w.token(p.email, time.Hour)
	eventually(w.t, "the store knows a new player", func() bool { return p.gil() == 100 })
	return p
}

// gil is what the store says that a player has.
func (p *player) gil() float64 {
	p.w.t.Helper()
	return p.w.wants(http.StatusOK, "GET", economy.Trading, "/store", p.token, "").json(p.w.t)["userGil"].(float64)
}

func order(item string, quantity int, id string) string {
	return fmt.Sprintf(`{"itemId":%q,"quantity":%d,"idempotencyId":%q}`, item, quantity, id)
}

// buys posts a purchase with a new id, which it returns, and wants 202.
func (p *player) buys(item string, quantity int) string {
	p.w.t.Helper()
	id := uuid.NewString()
	p.w.wants(http.StatusAccepted, "POST", economy.Trading, "/purchase", p.token, order(item, quantity, id))
	return id
}

// status returns the state of a purchase.
func (p *player) status(id string) map[string]any {
	p.w.t.Helper()
	return p.w.wants(http.StatusOK, "GET", economy.Trading, "/purchase/status/"+id, p.token, "").json(p.w.t)
}

// becomes waits until a purchase has a state.
func (p *player) becomes(id, state string) (got map[string]any) {
	p.w.t.Helper()
	eventually(p.w.t, "purchase "+id+" is "+state, func() bool {
		got = p.status(id)
		return got["state"] == state
	})
	return got
}

// states are those that a purchase went through.
func (p *player) states(id string) (all []string) {
	p.w.t.Helper()
	var steps []struct{ State string }
	a := p.w.wants(http.StatusOK, "GET", economy.Trading, "/purchase/"+id+"/history", p.token, "")
	if err := json.Unmarshal([]byte(a.body), &steps); err != nil {
		p.w.t.Fatal(err)
	}
	for _, s := range steps {
		if len(all) == 0 || all[len(all)-1] != s.State {
			all = append(all, s.State)
		}
	}
	return all
}

// has waits until identity, inventory and store say that a player has so much gil and so many of an item.
func (p *player) has(gil float64, item string, quantity float64) {
	p.w.t.Helper()
	eventually(p.w.t, fmt.Sprintf("player has %v gil and %v items", gil, quantity), func() bool {
		account := p.w.wants(http.StatusOK, "GET", economy.Identity, "/users/"+p.id, p.w.admin, "").json(p.w.t)
		sold := p.w.sold(p.token, item)
		return account["gil"] == gil && p.gil() == gil && p.inventory(item) == quantity && (sold == nil || sold["ownedQuantity"] == quantity)
	})
}

// inventory is how many of an item a player has, as the inventory says.
func (p *player) inventory(item string) (quantity float64) {
	p.w.t.Helper()
	var all []map[string]any
	a := p.w.wants(http.StatusOK, "GET", economy.Inventory, "/items?userId="+p.id, p.token, "")
	if err := json.Unmarshal([]byte(a.body), &all); err != nil {
		p.w.t.Fatal(err)
	}
	for _, i := range all {
		if i["catalogItemId"] == item {
			quantity += i["quantity"].(float64)
		}
	}
	return quantity
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", patience, what)
		}
	}
}

// rest waits until no message is under way, and fails if one has become a dead letter.
func (w *world) rest() {
	w.t.Helper()
	ctx := w.t.Context()
	calm := 0
	eventually(w.t, "no message is under way", func() bool {
		calm++
		for _, b := range w.boxes() {
			if n, err := b.Waiting(ctx); err != nil || n > 0 {
				calm = 0
			}
		}
		all, err := w.bus.Queues(ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, q := range all {
			if q.Waiting > 0 || q.Running > 0 {
				calm = 0
			}
		}
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

// boxes are those of the services that run.
func (w *world) boxes() (all []*box.Box) {
	for name, p := range w.parts {
		s := p.system
		switch {
		case s == nil:
		case name == economy.Catalog:
			all = append(all, s.Catalog().Box())
		case name == economy.Inventory:
			all = append(all, s.Inventory().Box())
		case name == economy.Identity:
			all = append(all, s.Identity().Box())
		default:
			all = append(all, s.Trading().Box())
		}
	}
	return all
}

// publish puts a letter on the bus, past every outbox.
func (w *world) publish(id string, l box.Letter) {
	w.t.Helper()
	body, err := json.Marshal(l)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := w.bus.Publish(ctx, &bus.Message{ID: id, Key: l.Key(), Topic: l.Topic(), Body: body}); err != nil {
		w.t.Fatal(err)
	}
}

var (
	ids   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	times = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z"`)
)

// plain puts names in place of ids that are known, ID in place of others, and TIME in place of times.
func plain(s string, names map[string]string) string {
	s = ids.ReplaceAllStringFunc(s, func(id string) string {
		if name, known := names[id]; known {
			return name
		}
		return "ID"
	})
	return times.ReplaceAllString(s, "TIME")
}

// together runs f n times at once.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

type queueInfo = bus.QueueInfo

// at is a time of JSON.
func at(t testing.TB, v any) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339Nano, fmt.Sprint(v))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// gate holds a service between the commit of a purchase and the messages that it sends.
type gate struct {
	mu     sync.Mutex
	stored chan struct{}
	opened chan struct{}
}

func (g *gate) border(name string) {
	g.mu.Lock()
	stored, opened := g.stored, g.opened
	if name != "committed" || stored == nil {
		g.mu.Unlock()
		return
	}
	g.stored = nil
	g.mu.Unlock()
	close(stored)
	<-opened
}

// close lets the next transaction wait.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stored, g.opened = make(chan struct{}), make(chan struct{})
}

// reached waits until a transaction waits.
func (g *gate) reached(t testing.TB) {
	t.Helper()
	eventually(t, "a transaction waits at the gate", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.stored == nil
	})
}

func (g *gate) open() { close(g.opened) }

// list returns a list of objects.
func (w *world) list(service, path, token string) (all []map[string]any) {
	w.t.Helper()
	a := w.wants(http.StatusOK, "GET", service, path, token, "")
	if err := json.Unmarshal([]byte(a.body), &all); err != nil {
		w.t.Fatal(err)
	}
	return all
}
