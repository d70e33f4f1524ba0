package box_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// A database that breaks off is not the fault of a message, however often, and though it answers again at once.
func TestBrokenConnectionsAreNoFault(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "postgres", func(c *box.Config) { c.Pauses = []time.Duration{time.Millisecond} })
	said := p.said()
	var tries atomic.Int64
	p.consume("bank", handlers(func(ctx context.Context, tx *box.Tx, d Deposit) error {
		if tries.Add(1) <= 4 {
			_, err := tx.Exec(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
			return err
		}
		return deposit(ctx, tx, d)
	}))
	p.send(Deposit{"a", "ann", 1})
	if m := next(t, said); m.Topic != "Deposited" {
		t.Errorf("%s %s, want that it was deposited", m.Topic, m.Body)
	}
	if n := p.total("ann"); n != 1 || tries.Load() != 5 {
		t.Errorf("total %d after %d tries, want 1 after 5", n, tries.Load())
	}
}

// Deliveries are no faults: a message that came often, because it was early or because processes died, has all its tries left.
func TestDeliveriesAreNoFaults(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, func(c *box.Config) { c.Pauses = []time.Duration{time.Millisecond, time.Millisecond} })
		said := p.said()
		var tries atomic.Int64
		p.consume("bank", handlers(func(ctx context.Context, tx *box.Tx, d Deposit) error {
			switch n := tries.Add(1); {
			case n <= 4:
				return &box.Later{Why: "early", Pause: time.Millisecond}
			case n <= 6:
				return errors.New("a fault that happens")
			}
			return deposit(ctx, tx, d)
		}))
		p.send(Deposit{"a", "ann", 1})
		if m := next(t, said); m.Topic != "Deposited" {
			t.Errorf("%s %s, want that it was deposited", m.Topic, m.Body)
		}
	})
}

// Messages wait while the database is away, and are handled as soon as it is back: the pauses after faults do not count.
func TestMessagesWaitForTheDatabase(t *testing.T) {
	t.Parallel()
	server := storetest.PostgresOf(t)
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), Name: "test", SyncInterval: time.Minute, Logger: quiet()}, bank, customer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	c := storetest.Config(t, "sqlite", "bank")
	c.URL = server.URL("bank")
	p := openPlace(t, c, b, func(c *box.Config) { c.Pauses = []time.Duration{time.Hour} })
	said := p.said()
	p.consume("bank", handlers(deposit))
	p.send(Deposit{"first", "ann", 1})
	next(t, said)
	server.Stop()
	if err := b.Publish(t.Context(), &bus.Message{ID: "a", Topic: "Deposit", Body: []byte(`{"id":"a","account":"ann","amount":10}`)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the message is held", func() bool {
		all, err := b.Queues(t.Context())
		return err == nil && all[0].Running == 1
	})
	server.Start()
	if m := next(t, said); m.Topic != "Deposited" || m.Key != "a" {
		t.Errorf("%s %s %s, want that it was deposited", m.Topic, m.Key, m.Body)
	}
	if n := p.Stats().Buried; n != 0 {
		t.Errorf("%d dead letters, want none", n)
	}
}
