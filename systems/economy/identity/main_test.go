package identity_test

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
	"golang.org/x/crypto/bcrypt"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/identity"
	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func TestMain(m *testing.M) {
	slog.SetDefault(quiet()) // the OpenID provider's library logs there
	os.Exit(storetest.Main(m, func() error { return goleak.Find() }))
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

const (
	adminEmail    = "admin@play.com"
	adminPassword = "the password of the administrator"
	callback      = "http://localhost:3000/authentication/login-callback"
	signedOut     = "http://localhost:3000/authentication/logout-callback"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// clock is one that a test moves, and may stop.
type clock struct {
	mu   sync.Mutex
	by   time.Duration
	stop time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stop.IsZero() {
		return c.stop.Add(c.by)
	}
	return time.Now().Add(c.by)
}

func (c *clock) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop = time.Now()
}

func (c *clock) move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by += by
}

// place is the service behind a server, with somebody who listens to what it says.
type place struct {
	*identity.Service
	t        testing.TB
	url      string // of the service, without a slash at its end
	bus      *bus.Bus
	database store.Config
	clock    *clock
	change   func(c *identity.Config)

	mu    sync.Mutex
	heard []*bus.Message
	news  chan struct{}
}

// newPlace opens the service on a new database. Without change it has the defaults.
func newPlace(t testing.TB, database string, change func(c *identity.Config)) *place {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), Name: contracts.BusName, SyncInterval: time.Minute, Logger: quiet()}, contracts.Queues()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	p := &place{t: t, bus: b, database: storetest.Config(t, database, "identity"), clock: &clock{}, change: change, news: make(chan struct{}, 1)}
	p.database.Logger = quiet()
	c, err := b.Consume(contracts.TradingQueue, nil, p.hear)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = server.URL + "/identity-svc"
	p.Service = p.open()
	t.Cleanup(func() { p.Close() })
	if err := p.Mount(mux); err != nil {
		t.Fatal(err)
	}
	return p
}

// open opens the service of the place once more.
func (p *place) open() *identity.Service {
	p.t.Helper()
	c := identity.Config{
		Database: p.database, Bus: p.bus, Issuer: p.url, AdminPassword: adminPassword, PasswordCost: bcrypt.MinCost,
		Box: box.Config{Clock: p.clock.now}, Logger: quiet(),
	}
	if p.change != nil {
		p.change(&c)
	}
	s, err := identity.Open(p.t.Context(), c)
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

func (p *place) hear(_ context.Context, batch []*bus.Delivery) {
	p.mu.Lock()
	for _, d := range batch {
		m := d.Message
		p.heard = append(p.heard, &m)
		d.Ack()
	}
	p.mu.Unlock()
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// all returns the messages of a topic that have come.
func (p *place) all(topic string) (all []*bus.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.heard {
		if m.Topic == topic {
			all = append(all, m)
		}
	}
	return all
}

// until waits until something is true of what has come.
func (p *place) until(what string, ok func() bool) {
	p.t.Helper()
	late := time.After(patience)
	for !ok() {
		select {
		case <-p.news:
		case <-late:
			p.t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// updated waits for what was told last about an account.
func (p *place) updated(id uuid.UUID, version int64) (last contracts.UserUpdated) {
	p.t.Helper()
	p.until(fmt.Sprintf("version %d of account %s", version, id), func() bool {
		for _, m := range p.all("UserUpdated") {
			var u contracts.UserUpdated
			if err := json.Unmarshal(m.Body, &u); err != nil {
				p.t.Fatal(err)
			}
			if u.UserID == id && u.Version == version {
				last = u
				return true
			}
		}
		return false
	})
	return last
}

// player registers an account.
func (p *place) player(email string) identity.User {
	p.t.Helper()
	u, err := p.Register(p.t.Context(), email, "correct horse", "")
	if err != nil {
		p.t.Fatal(err)
	}
	return u
}

func (p *place) token(email string) string {
	p.t.Helper()
	token, err := p.Token(p.t.Context(), email, time.Hour)
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

// answer is what the service answered.
type answer struct {
	status int
	header http.Header
	body   string
}

// problem is the body of an answer as problem details.
type problem struct {
	Title  string              `json:"title"`
	Status int                 `json:"status"`
	Errors map[string][]string `json:"errors"`
}

func (a answer) problem(t testing.TB) (d problem) {
	t.Helper()
	if kind := a.header.Get("Content-Type"); !strings.HasPrefix(kind, "application/problem+json") {
		t.Errorf("content type %q, want problem details; body %s", kind, a.body)
	}
	a.decode(t, &d)
	if d.Title == "" || d.Status != a.status {
		t.Errorf("status %d, problem %s, want a title and the status", a.status, a.body)
	}
	return d
}

func (a answer) decode(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("status %d, body %q: %v", a.status, a.body, err)
	}
}

// do sends a request; body is JSON unless a header says otherwise.
func (p *place) do(method, path, token, body string, headers ...string) answer {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
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
	return p.send(http.DefaultTransport, r)
}

func (p *place) send(by http.RoundTripper, r *http.Request) answer {
	p.t.Helper()
	res, err := by.RoundTrip(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(bytes.TrimSpace(b))}
}
