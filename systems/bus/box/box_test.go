package box_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func handlers(f func(ctx context.Context, tx *box.Tx, d Deposit) error) *box.Handlers {
	h := &box.Handlers{}
	box.OnCommand(h, f)
	return h
}

func TestSentWithTheTransactionOrNotAtAll(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, nil)
		said := p.said()
		lost := errors.New("lost")
		if err := p.Tx(t.Context(), func(tx *box.Tx) error {
			return errors.Join(tx.Send(t.Context(), Deposited{"no", 1}), lost)
		}); !errors.Is(err, lost) {
			t.Fatal(err)
		}
		span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, Remote: true})
		ctx := trace.ContextWithSpanContext(t.Context(), span)
		if err := p.Tx(ctx, func(tx *box.Tx) error {
			if err := deposit(ctx, tx, Deposit{"first", "ann", 5}); err != nil {
				return err
			}
			return tx.Send(ctx, Deposited{"second", 2})
		}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"first", "second"} {
			m := next(t, said)
			if m.Key != want {
				t.Errorf("got %s, want %s", m.Key, want)
			}
			if got := trace.SpanContextFromContext(bus.Extract(context.Background(), &m)); !got.Equal(span) {
				t.Errorf("trace %v, want %v", got, span)
			}
		}
		if n := p.total("ann"); n != 5 {
			t.Errorf("total %d, want 5", n)
		}
		eventually(t, "the outbox is empty", func() bool {
			n, err := p.Waiting(t.Context())
			return err == nil && n == 0
		})
	})
}

func TestDoublesOfACommandGetTheSameAnswer(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, nil)
		said := p.said()
		p.consume("bank", handlers(deposit))
		d := Deposit{"1", "ann", 5}
		p.send(d, d, Deposit{"2", "ann", 7}, d)
		totals := make(map[string][]int64)
		for range 4 {
			var got Deposited
			if err := json.Unmarshal(next(t, said).Body, &got); err != nil {
				t.Fatal(err)
			}
			totals[got.ID] = append(totals[got.ID], got.Total)
		}
		if fmt.Sprint(totals) != "map[1:[5 5 5] 2:[12]]" {
			t.Errorf("answers %v", totals)
		}
		if n := p.total("ann"); n != 12 {
			t.Errorf("total %d, want 12", n)
		}
		eventually(t, "two doubles are counted", func() bool { return p.Stats().Doubles == 2 && p.Stats().Handled == 4 })
	})
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, nil)
		said := p.said()
		// All in one batch: what is refused must not take the others with it.
		p.send(Deposit{"1", "ann", 5}, Deposit{"2", "bob", -3}, Deposit{"3", "ann", 1}, Deposit{"2", "bob", -3})
		p.consume("bank", handlers(deposit))
		var faults int
		for range 4 {
			m := next(t, said)
			if m.Topic != "Fault.Deposit" {
				continue
			}
			faults++
			var f box.Fault[Deposit]
			if err := json.Unmarshal(m.Body, &f); err != nil {
				t.Fatal(err)
			}
			if f.Topic() != m.Topic || f.Key() != "2" || m.Key != "2" || f.Message.Amount != -3 || f.Reason() != "bob would have -3" || !f.Final ||
				f.Exceptions[0].ExceptionType != "Overdrawn" || time.Since(f.Timestamp) > time.Minute {
				t.Errorf("fault %s", m.Body)
			}
		}
		if faults != 2 {
			t.Errorf("%d faults, want the same one twice", faults)
		}
		if a, b := p.total("ann"), p.total("bob"); a != 6 || b != 0 {
			t.Errorf("totals %d and %d, want 6 and 0", a, b)
		}
		if dead := p.letters(0); len(dead) != 0 {
			t.Errorf("dead letters %v", dead)
		}
	})
}

func TestTechnicalFault(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, func(c *box.Config) { c.Pauses = []time.Duration{time.Millisecond, 50 * time.Millisecond} })
		said := p.said()
		var tries, panics atomic.Int64
		p.consume("bank", handlers(func(ctx context.Context, tx *box.Tx, d Deposit) error {
			if err := deposit(ctx, tx, d); err != nil {
				return err
			}
			switch {
			case d.ID == "never":
				return errors.New("the disk is full")
			case d.ID == "third" && tries.Add(1) < 3:
				return errors.New("the disk was full")
			case d.ID == "panics" && panics.Add(1) < 2:
				panic("oops")
			}
			return nil
		}))
		p.send(Deposit{"fine", "ann", 1}, Deposit{"never", "ann", 10}, Deposit{"third", "ann", 100}, Deposit{"panics", "ann", 1000})
		got := make(map[string]bus.Message)
		for range 4 {
			m := next(t, said)
			got[m.Topic+" "+m.Key] = m
		}
		var f box.Fault[Deposit]
		if err := json.Unmarshal(got["Fault.Deposit never"].Body, &f); err != nil {
			t.Fatalf("%v in %v", err, got)
		}
		if f.Final || f.Reason() != "Deposit could not be done" || f.Exceptions[0].ExceptionType != "TechnicalFault" {
			t.Errorf("fault %+v", f)
		}
		if n := p.total("ann"); n != 1101 {
			t.Errorf("total %d, want 1101", n)
		}
		dead := p.letters(1)
		if len(dead) != 1 || dead[0].Key != "never" || !strings.Contains(dead[0].Reason, "the disk is full") {
			t.Errorf("dead letters %+v", dead)
		}
	})
}

func TestLaterAndDeadLetters(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, nil)
		said := p.said()
		h := handlers(func(ctx context.Context, tx *box.Tx, d Deposit) error {
			var n int
			if err := tx.QueryRow(ctx, "SELECT count(*) FROM account WHERE name = ?", d.Account).Scan(&n); err != nil {
				return err
			}
			if n == 0 {
				return &box.Later{Why: "no account yet", Pause: 10 * time.Millisecond}
			}
			return deposit(ctx, tx, d)
		})
		box.OnEvent(h, func(ctx context.Context, tx *box.Tx, o Opened) error {
			if o.Account == "" {
				return box.Refuse("NoName", "an account needs a name")
			}
			_, err := tx.Exec(ctx, "INSERT INTO account (name, total) VALUES (?, 0)", o.Account)
			return err
		})
		p.consume("bank", h)
		p.send(Deposit{"1", "ann", 5})
		eventually(t, "it was too early", func() bool { return p.Stats().Early > 0 })
		p.send(Opened{"ann"}, Opened{""})
		if m := next(t, said); m.Topic != "Deposited" || m.Key != "1" {
			t.Errorf("got %s %s", m.Topic, m.Key)
		}
		if err := p.bus.Publish(t.Context(), &bus.Message{ID: "x", Topic: "Deposit", Body: []byte("[")}); err != nil {
			t.Fatal(err)
		}
		reasons := make(map[string]bool)
		for _, l := range p.letters(2) {
			reasons[l.Reason] = true
		}
		if !reasons["an account needs a name"] || !reasons["body: unexpected end of JSON input"] || len(reasons) != 2 {
			t.Errorf("dead letters because of %v", reasons)
		}
	})
}

func TestIgnoredIsNotRemembered(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, nil)
		said := p.said()
		var ready atomic.Bool
		p.consume("bank", handlers(func(ctx context.Context, tx *box.Tx, d Deposit) error {
			if err := deposit(ctx, tx, d); err != nil || ready.Load() {
				return err
			}
			return box.ErrIgnored
		}))
		d := Deposit{"1", "ann", 5}
		p.send(d)
		eventually(t, "it is done with", func() bool { return p.Stats().Handled == 1 })
		ready.Store(true)
		p.send(d)
		if m := next(t, said); m.Key != "1" {
			t.Errorf("got %s", m.Key)
		}
		if n := p.total("ann"); n != 5 {
			t.Errorf("total %d, want 5", n)
		}
	})
}

func TestInboxForgets(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		var ahead atomic.Int64
		p := newPlace(t, database, func(c *box.Config) {
			c.Keep = time.Hour
			c.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		said := p.said()
		p.consume("bank", handlers(deposit))
		for i, want := range []int64{5, 5, 10} { // a double, and one after the time
			if i == 2 {
				ahead.Store(int64(2 * time.Hour))
			}
			if err := p.Forget(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.send(Deposit{"1", "ann", 5})
			next(t, said)
			if n := p.total("ann"); n != want {
				t.Errorf("total %d, want %d", n, want)
			}
		}
	})
}

func TestTakesOverWhatOthersLeft(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		c := storetest.Config(t, database, "bank")
		b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), Name: "test", SyncInterval: time.Minute, Logger: quiet()}, bank, customer)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		first := openPlace(t, c, b, nil)
		said := first.said()
		first.Close() // nobody pumps
		first.send(Deposited{"left", 1})
		if n, err := first.Waiting(t.Context()); n != 1 || err != nil {
			t.Fatalf("%d in the outbox, %v, want 1", n, err)
		}
		if database == "postgres" { // as after a crash, long ago
			if _, err := first.store.Exec(t.Context(), "INSERT INTO outbox_owner SELECT owner, 1 FROM outbox"); err != nil {
				t.Fatal(err)
			}
		}
		first.store.Close()
		openPlace(t, c, b, nil)
		if m := next(t, said); m.Key != "left" {
			t.Errorf("got %s", m.Key)
		}
	})
}

func TestTwoProcessesOnOneDatabase(t *testing.T) {
	t.Parallel()
	c := storetest.Config(t, "postgres", "bank")
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), Name: "test", SyncInterval: time.Minute, Logger: quiet()}, bank, customer)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	one, two := openPlace(t, c, b, nil), openPlace(t, c, b, nil)
	said := one.said()
	one.consume("bank", handlers(deposit))
	two.consume("bank", handlers(deposit))
	const n = 100
	for i := range n {
		p := one
		if i%2 == 1 {
			p = two
		}
		p.send(Deposit{fmt.Sprint(i), "ann", 1})
	}
	keys := make(map[string]bool)
	for len(keys) < n {
		keys[next(t, said).Key] = true
	}
	if total := one.total("ann"); total != n {
		t.Errorf("total %d, want %d", total, n)
	}
}
