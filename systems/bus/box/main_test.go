package box_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func TestMain(m *testing.M) {
	if os.Getenv(crashIn) != "" {
		crashing()
		return
	}
	os.Exit(storetest.Main(m, func() error { return goleak.Find() }))
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// Deposit commands to put money into an account.
type Deposit struct {
	ID      string `json:"id"`
	Account string `json:"account"`
	Amount  int64  `json:"amount"`
}

func (Deposit) Topic() string { return "Deposit" }
func (d Deposit) Key() string { return d.ID }

// Deposited tells that it was done.
type Deposited struct {
	ID    string `json:"id"`
	Total int64  `json:"total"`
}

func (Deposited) Topic() string { return "Deposited" }
func (d Deposited) Key() string { return d.ID }

// Opened is an event without a key.
type Opened struct {
	Account string `json:"account"`
}

func (Opened) Topic() string { return "Opened" }
func (Opened) Key() string   { return "" }

var (
	bank     = bus.Queue{Name: "bank", Topics: []string{"Deposit", "Opened"}}
	customer = bus.Queue{Name: "customer", Topics: []string{"Deposited", "Fault.Deposit"}}
)

var migrations = fstest.MapFS{"00010_account.sql": {Data: []byte(`-- +goose Up
CREATE TABLE account (name TEXT PRIMARY KEY, total BIGINT NOT NULL);
`)}}

// place is a database with a box, and the bus.
type place struct {
	*box.Box
	t     testing.TB
	bus   *bus.Bus
	store *store.Store
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// newPlace opens a bus in the process and an empty database.
func newPlace(t testing.TB, database string, change func(c *box.Config)) *place {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), Name: "test", SyncInterval: time.Minute, Logger: quiet()}, bank, customer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return openPlace(t, storetest.Config(t, database, "bank"), b, change)
}

func openPlace(t testing.TB, c store.Config, b *bus.Bus, change func(c *box.Config)) *place {
	t.Helper()
	c.Logger = quiet()
	s, err := store.Open(t.Context(), c, box.Migrations(migrations))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	bc := box.Config{Store: s, Bus: b, Logger: slog.New(slog.NewTextHandler(testLog{t}, nil))}
	if change != nil {
		change(&bc)
	}
	x, err := box.Open(t.Context(), bc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return &place{x, t, b, s}
}

// testLog writes to the log of a test, as long as it runs.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Logf("%s", bytes.TrimSpace(p))
	}
	return len(p), nil
}

// deposit is the handler of the tests.
func deposit(ctx context.Context, tx *box.Tx, d Deposit) error {
	var total int64
	if err := tx.QueryRow(ctx, "INSERT INTO account (name, total) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET total = account.total + excluded.total RETURNING total",
		d.Account, d.Amount).Scan(&total); err != nil {
		return err
	}
	if total < 0 {
		return box.Refuse("Overdrawn", "%s would have %d", d.Account, total)
	}
	return tx.Send(ctx, Deposited{d.ID, total})
}

func (p *place) consume(queue string, h *box.Handlers) {
	p.t.Helper()
	if err := p.Consume(queue, h); err != nil {
		p.t.Fatal(err)
	}
}

// send sends letters in a transaction.
func (p *place) send(letters ...box.Letter) {
	p.t.Helper()
	if err := p.Tx(p.t.Context(), func(tx *box.Tx) error { return tx.Send(p.t.Context(), letters...) }); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) total(account string) int64 {
	p.t.Helper()
	var n int64
	if err := p.store.QueryRow(p.t.Context(), "SELECT coalesce(sum(total), 0) FROM account WHERE name = ?", account).Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// said collects what the customer is told, straight from the bus.
func (p *place) said() <-chan bus.Message {
	p.t.Helper()
	all := make(chan bus.Message, 10_000)
	if _, err := p.bus.Consume("customer", nil, func(_ context.Context, batch []*bus.Delivery) {
		for _, d := range batch {
			all <- d.Message
			d.Ack()
		}
	}); err != nil {
		p.t.Fatal(err)
	}
	return all
}

func next(t testing.TB, all <-chan bus.Message) bus.Message {
	t.Helper()
	select {
	case m := <-all:
		return m
	case <-time.After(patience):
		t.Fatal("no message")
		return bus.Message{}
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

// letters waits for so many dead letters.
func (p *place) letters(n int) (all []*bus.DeadLetter) {
	p.t.Helper()
	eventually(p.t, "dead letters", func() bool {
		var err error
		if all, err = p.bus.DeadLetters(p.t.Context(), 0, 100); err != nil {
			p.t.Fatal(err)
		}
		return len(all) >= n
	})
	return all
}
