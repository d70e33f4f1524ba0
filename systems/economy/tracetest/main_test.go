// Package tracetest_test follows purchases through all services by their spans.
package tracetest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/economy/catalog"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/identity"
	"github.com/hubbub-go/hubbub/systems/economy/inventory"
	"github.com/hubbub-go/hubbub/systems/economy/trading"
	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

// spans has those of all tests that have ended.
var spans = tracetest.NewInMemoryExporter()

func TestMain(m *testing.M) {
	slog.SetDefault(quiet()) // the OpenID provider's library logs there
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithSyncer(spans)))
	os.Exit(storetest.Main(m, func() error { return goleak.Find() }))
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// world is Play Economy with all its services, each with a database of its own.
type world struct {
	t        *testing.T
	bus      *bus.Bus
	database store.Config
	keys     *hubbub.KeyRing
	catalog  *catalog.Service
	identity *identity.Service
	trading  *trading.Service
	server   *httptest.Server // of trading
	item     uuid.UUID        // for 5 gil
	player   uuid.UUID        // with 100 gil
}

// newWorld opens all services. A purchase is called off after the deadline.
func newWorld(t *testing.T, database string, deadline time.Duration) *world {
	t.Helper()
	w := &world{t: t, database: storetest.Config(t, database, "x"), keys: hubbub.RandomKeyRing()}
	w.database.Logger = quiet()
	var err error
	if w.bus, err = bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), Name: contracts.BusName, SyncInterval: time.Minute, Logger: quiet()},
		contracts.Queues()...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.bus.Close() })
	if w.catalog, err = catalog.Open(t.Context(), catalog.Config{
		Database: w.named("catalog"), Bus: w.bus, Verify: w.issuer(catalog.Audience).Verify, Logger: quiet(),
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.catalog.Close() })
	stock, err := inventory.Open(t.Context(), inventory.Config{
		Database: w.named("inventory"), Bus: w.bus, Verify: w.issuer(inventory.Audience).Verify, Logger: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stock.Close() })
	w.openIdentity()
	t.Cleanup(func() { w.identity.Close() })
	if w.trading, err = trading.Open(t.Context(), trading.Config{
		Database: w.named("trading"), Bus: w.bus, Verify: w.issuer(trading.Audience).Verify, Deadline: deadline, Resend: deadline / 4, Logger: quiet(),
	}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	w.trading.Mount(mux, nil)
	w.server = httptest.NewServer(mux)
	t.Cleanup(func() {
		w.trading.Hub().Shutdown(context.Background(), 0)
		w.server.Close()
		w.trading.Close()
	})
	w.populate()
	return w
}

func (w *world) openIdentity() {
	w.t.Helper()
	var err error
	if w.identity, err = identity.Open(w.t.Context(), identity.Config{
		Database: w.named("identity"), Bus: w.bus, Issuer: "http://localhost:5002", PasswordCost: bcrypt.MinCost, Logger: quiet(),
		Announce: func(string, string) {},
	}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) named(name string) store.Config {
	c := w.database
	c.Name = name
	return c
}

func (w *world) issuer(audience string) *auth.Issuer {
	return &auth.Issuer{Keys: w.keys, Issuer: "test", Audience: audience}
}

// populate adds an item and a player, and waits until trading knows both.
func (w *world) populate() {
	w.t.Helper()
	i, err := w.catalog.Create(w.t.Context(), catalog.Item{Name: "Potion", Price: 5 * contracts.OneGil})
	if err != nil {
		w.t.Fatal(err)
	}
	w.item = i.ID
	mux := http.NewServeMux()
	if err := w.identity.Mount(mux); err != nil {
		w.t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/register", strings.NewReader(`{"email":"ann@play.com","password":"correct horse"}`))
	r.Header.Set("Content-Type", "application/json")
	registered := httptest.NewRecorder()
	mux.ServeHTTP(registered, r)
	var account struct{ ID uuid.UUID }
	if err := json.Unmarshal(registered.Body.Bytes(), &account); err != nil || registered.Code != http.StatusCreated {
		w.t.Fatalf("register: status %d, %s, %v", registered.Code, registered.Body, err)
	}
	w.player = account.ID
	w.eventually("trading knows item and player", func() bool {
		s, err := w.trading.Store(w.t.Context(), w.player.String())
		if err != nil {
			w.t.Fatal(err)
		}
		return len(s.Items) == 1 && s.UserGil == 100*contracts.OneGil
	})
}

func (w *world) token() string {
	w.t.Helper()
	token, err := w.issuer(trading.Audience).Sign(map[string]any{"sub": w.player.String()}, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// post posts a purchase.
func (w *world) post(quantity int, id uuid.UUID, token, traceparent string) int {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), "POST", w.server.URL+"/purchase",
		strings.NewReader(fmt.Sprintf(`{"itemId":%q,"quantity":%d,"idempotencyId":%q}`, w.item, quantity, id)))
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if traceparent != "" {
		r.Header.Set("Traceparent", traceparent)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// listen connects the player, who is told how purchases end.
func (w *world) listen() <-chan trading.PurchaseState {
	w.t.Helper()
	heard := make(chan trading.PurchaseState, 100)
	token := w.token()
	c := signalr.NewClient(w.server.URL+trading.HubPath, &signalr.ClientOptions{Token: func(context.Context) (string, error) { return token, nil }})
	c.On(trading.TargetStatus, hubbub.Action1(func(_ context.Context, s trading.PurchaseState) error {
		heard <- s
		return nil
	}))
	if err := c.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return heard
}

// hears waits for the end of a purchase.
func (w *world) hears(heard <-chan trading.PurchaseState, id uuid.UUID, state string) {
	w.t.Helper()
	select {
	case s := <-heard:
		if s.CorrelationID != id.String() || s.CurrentState != state {
			w.t.Fatalf("heard %+v, want %s", s, state)
		}
	case <-time.After(patience):
		w.t.Fatalf("heard nothing, want %s", state)
	}
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	if !within(ok) {
		w.t.Fatalf("not in %s: %s", patience, what)
	}
}

// within polls until ok, and reports whether that came to be.
func within(ok func() bool) bool {
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
