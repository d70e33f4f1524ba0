package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/hubbub-go/hubbub/systems/bus"
)

var (
	stock = bus.Queue{Name: "stock", Topics: []string{"Grant", "Item.Changed"}}
	shop  = bus.Queue{Name: "shop", Topics: []string{"Granted", "Item.Changed"}}
)

func message(topic string, n int) *bus.Message {
	return &bus.Message{ID: fmt.Sprintf("%s-%d", topic, n), Topic: topic, Body: []byte(fmt.Sprintf(`{"n":%d}`, n))}
}

func TestEveryQueueOfATopicGetsIt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c bus.Config) {
		b := open(t, c, stock, shop)
		atStock, _ := collect(t, b, "stock", ack)
		publish(t, b, message("Granted", 1), message("Grant", 2), message("Item.Changed", 3), message("Nobody", 4))
		if g := next(t, atStock); g.Topic != "Grant" || string(g.Body) != `{"n":2}` || g.ID != "Grant-2" || g.Key != "Grant-2" || g.attempt != 1 {
			t.Errorf("stock got %+v", g)
		}
		if g := next(t, atStock); g.Topic != "Item.Changed" {
			t.Errorf("stock got %+v", g)
		}
		atShop, _ := collect(t, b, "shop", ack) // later: its messages have waited
		for _, want := range []string{"Granted", "Item.Changed"} {
			if g := next(t, atShop); g.Topic != want {
				t.Errorf("shop got %s, want %s", g.Topic, want)
			}
		}
		empty(t, b)
	})
}

// empty waits until no queue has anything to do.
func empty(t *testing.T, b *bus.Bus) {
	t.Helper()
	eventually(t, "all queues are empty", func() bool {
		all, err := b.Queues(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range all {
			if q.Waiting > 0 || q.Running > 0 {
				return false
			}
		}
		return true
	})
}

func TestOrderAndBatches(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c bus.Config) {
		const n = 1000
		b := open(t, c, stock)
		var all []*bus.Message
		for i := range n {
			all = append(all, message("Grant", i))
		}
		publish(t, b, all...)
		largest := make(chan int, n)
		seen := make(chan string, n)
		if _, err := b.Consume("stock", &bus.ConsumeOptions{Batch: 10}, func(_ context.Context, batch []*bus.Delivery) {
			largest <- len(batch)
			for _, d := range batch {
				d.Ack()
				seen <- d.ID
			}
		}); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			select {
			case id := <-seen:
				if id != all[i].ID {
					t.Fatalf("delivery %d is %s, want %s", i, id, all[i].ID)
				}
			case <-time.After(patience):
				t.Fatalf("no delivery %d", i)
			}
		}
		for range len(largest) {
			if size := <-largest; size > 10 {
				t.Errorf("batch of %d, want at most 10", size)
			}
		}
	})
}

func TestSameIDIsSameMessage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c bus.Config) {
		b := open(t, c, stock)
		again := message("Grant", 1)
		again.ID, again.Key = "other", "Grant-1"
		publish(t, b, message("Grant", 1), message("Grant", 1))
		publish(t, b, message("Grant", 1))
		publish(t, b, again, message("Grant", 2))
		seen, _ := collect(t, b, "stock", ack)
		for _, want := range []string{"Grant-1 Grant-1", "other Grant-1", "Grant-2 Grant-2"} {
			if g := next(t, seen); g.ID+" "+g.Key != want {
				t.Errorf("got %s %s, want %s", g.ID, g.Key, want)
			}
		}
		empty(t, b)
	})
}

func TestRetry(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c bus.Config) {
		b := open(t, c, stock)
		publish(t, b, message("Grant", 1))
		const delay = 300 * time.Millisecond
		var at []time.Time
		seen, _ := collect(t, b, "stock", func(_ context.Context, d *bus.Delivery) {
			at = append(at, time.Now())
			switch d.Attempt {
			case 1:
				d.Retry(delay)
			case 2: // nothing: comes again by itself
			default:
				d.Ack()
			}
		})
		for want := 1; want <= 3; want++ {
			if g := next(t, seen); g.attempt != want {
				t.Fatalf("attempt %d, want %d", g.attempt, want)
			}
		}
		if waited := at[1].Sub(at[0]); waited < delay {
			t.Errorf("came again after %s, want %s", waited, delay)
		}
		empty(t, b)
	})
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c bus.Config) {
		b := open(t, c, stock, shop)
		m := message("Item.Changed", 1)
		m.Header = map[string]string{"Colour": "red"}
		bury := func(ctx context.Context, d *bus.Delivery) {
			if d.Header["Colour"] == "red" && d.ID == m.ID {
				if err := d.Bury(ctx, "no such\nitem"); err != nil {
					t.Error(err)
				}
				return
			}
			d.Ack()
		}
		if letters, err := b.DeadLetters(t.Context(), 0, 10); err != nil || len(letters) != 0 {
			t.Errorf("dead letters %v, %v, want none yet", letters, err)
		}
		atStock, _ := collect(t, b, "stock", bury)
		atShop, _ := collect(t, b, "shop", ack)
		publish(t, b, m)
		next(t, atStock)
		next(t, atShop)
		letters, err := b.DeadLetters(t.Context(), 0, 10)
		if err != nil || len(letters) != 1 {
			t.Fatalf("dead letters %v, %v, want one", letters, err)
		}
		l := letters[0]
		if l.Queue != "stock" || l.Topic != m.Topic || l.ID != m.ID || l.Key != m.ID || l.Reason != "no such item" || l.Attempts != 1 ||
			l.Header["Colour"] != "red" || string(l.Body) != string(m.Body) || time.Since(l.At) > time.Minute {
			t.Errorf("dead letter %+v", l)
		}
		empty(t, b)
		if err := b.Revive(t.Context(), l.Number); err != nil {
			t.Fatal(err)
		}
		if g := next(t, atStock); g.ID == m.ID || g.Key != m.ID || string(g.Body) != string(m.Body) {
			t.Errorf("revived %+v", g)
		}
		for _, err := range []error{b.Revive(t.Context(), l.Number), b.Discard(t.Context(), l.Number), b.Discard(t.Context(), 99)} {
			if !errors.Is(err, bus.ErrNoDeadLetter) {
				t.Errorf("got %v, want ErrNoDeadLetter", err)
			}
		}
		if letters, err := b.DeadLetters(t.Context(), 0, 10); err != nil || len(letters) != 0 {
			t.Errorf("dead letters %v, %v, want none", letters, err)
		}
	})
}

func TestWaitsForAServiceThatWasNeverStarted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c bus.Config) {
		b := open(t, c, stock, shop)
		publish(t, b, message("Grant", 1))
		b.Close()
		b = open(t, c, stock, shop)
		seen, consumer := collect(t, b, "stock", func(context.Context, *bus.Delivery) {})
		next(t, seen) // and not settled
		consumer.Stop()
		b.Close()
		b = open(t, c, stock, shop)
		seen, _ = collect(t, b, "stock", ack)
		if g := next(t, seen); g.ID != "Grant-1" || g.attempt < 2 {
			t.Errorf("got %+v, want a later attempt of the same", g)
		}
	})
}

func TestTwoConsumersShare(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c bus.Config) {
		const n = 200
		b := open(t, c, stock)
		first, _ := collect(t, b, "stock", ack)
		second, one := collect(t, b, "stock", ack)
		for i := range n {
			publish(t, b, message("Grant", i))
		}
		ids := make(map[string]bool)
		for range n {
			select {
			case g := <-first:
				ids[g.ID] = true
			case g := <-second:
				ids[g.ID] = true
			case <-time.After(patience):
				t.Fatalf("got %d of %d", len(ids), n)
			}
		}
		if len(ids) != n {
			t.Errorf("%d different messages, want %d", len(ids), n)
		}
		one.Stop()
		publish(t, b, message("Grant", n))
		if g := next(t, first); g.ID != message("Grant", n).ID {
			t.Errorf("got %s", g.ID)
		}
	})
}

func TestTraceContextTravels(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c bus.Config) {
		b := open(t, c, stock)
		span := trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1, 2}, SpanID: trace.SpanID{3, 4}, TraceFlags: trace.FlagsSampled, Remote: true,
		})
		m := message("Grant", 1)
		bus.Inject(trace.ContextWithSpanContext(t.Context(), span), m)
		publish(t, b, m)
		seen, _ := collect(t, b, "stock", ack)
		g := next(t, seen)
		if got := trace.SpanContextFromContext(bus.Extract(context.Background(), &g.Message)); !got.Equal(span) {
			t.Errorf("trace %+v, want %+v", got, span)
		}
	})
}

func TestReadyAndClosed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c bus.Config) {
		b := open(t, c, stock)
		if err := b.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		b.Close()
		b.Close()
		_, consume := b.Consume("stock", nil, nil)
		for what, err := range map[string]error{"ready": b.Ready(t.Context()), "publish": b.Publish(t.Context(), message("Grant", 1)), "consume": consume} {
			if !errors.Is(err, bus.ErrClosed) {
				t.Errorf("%s: %v, want ErrClosed", what, err)
			}
		}
	})
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, test := range map[string]struct {
		config bus.Config
		queue  bus.Queue
		want   string
	}{
		"no name":         {bus.Config{Dir: dir}, stock, `name ""`},
		"no folder":       {bus.Config{Name: "a"}, stock, "want Config.Dir"},
		"name of a queue": {bus.Config{Dir: dir, Name: "a"}, bus.Queue{Name: "A b", Topics: []string{"T"}}, `"A b"`},
		"no topic":        {bus.Config{Dir: dir, Name: "a"}, bus.Queue{Name: "q"}, "no topic"},
		"wildcard":        {bus.Config{Dir: dir, Name: "a"}, bus.Queue{Name: "q", Topics: []string{"a.*"}}, `"a.*"`},
		"folder is file":  {bus.Config{Dir: "/dev/null", Name: "a"}, stock, "/dev/null"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := bus.Open(t.Context(), test.config, test.queue)
			if err == nil {
				b.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, want %q in it", err, test.want)
			}
		})
	}
	b := open(t, bus.Config{Dir: dir, Name: "b", Logger: quiet()}, stock)
	for name, m := range map[string]*bus.Message{
		"no id": {Topic: "Grant"}, "id with space": {Topic: "Grant", ID: "a b"}, "key with line end": {Topic: "Grant", ID: "a", Key: "\n"},
		"no topic": {ID: "a"}, "large body": {Topic: "Grant", ID: "a", Body: make([]byte, bus.MaximumBody+1)}, "long id": {Topic: "Grant", ID: strings.Repeat("x", 201)},
	} {
		if err := b.Publish(t.Context(), m); err == nil {
			t.Errorf("%s: published", name)
		}
	}
	if _, err := b.Consume("other", nil, nil); err == nil || !strings.Contains(err.Error(), "not declared") {
		t.Errorf("consume another queue: %v", err)
	}
}
