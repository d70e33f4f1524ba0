package ticket_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/relay/ticket"
	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// TestM1 runs what an event asks for: a ticket for a view model and an object.
func TestM1(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		c := config(t, database)
		var j journal
		add(&c, "OrderVM", j.note)
		q := start(t, c)
		q.put("12|7", map[string]any{"name": "Bolt"})
		made := q.create(ticket.Ticket{ViewModel: "OrderVM", RootID: "12|7"})
		if made.ID == "" || made.State != ticket.Ready || made.CreateTime.IsZero() || *made.KeepReceiptMinutes != 10 || made.Attempts != 0 {
			t.Fatalf("made %+v", made)
		}
		got := q.until(made.ID, ticket.Done)
		if got.Attempts != 1 || got.Error != "" || got.Done.IsZero() || got.DeleteTime != got.Done.Add(10*time.Minute) {
			t.Fatalf("done %+v", got)
		}
		if want := []string{"12|7"}; !slices.Equal(j.list(), want) {
			t.Fatalf("ran for %q, want %q", j.list(), want)
		}
		eventually(t, "the count of what is done", func() bool { return q.Stats().Done == 1 }) // it is counted after it is stored
		if s := q.Stats(); s.Created != 1 || s.Runs != 1 || s.Done != 1 || s.Failed+s.Repeated+s.Lost+s.Released+s.Recovered != 0 {
			t.Fatalf("stats %+v", s)
		}
	})
}

// TestDemo plays the demo view models through.
func TestDemo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		model      string
		attributes map[string]any
		want       []string // calls of events
		err        string
	}{
		{"SubscribeVM", map[string]any{"eventguid": "g1"}, []string{`subscribe "" g1 Viewmodel=SomeVM&RootId=1|2`}, ""},
		{"SubscribeVM", map[string]any{"eventguid": "g1", "realtimehub": "http://h/realtimehub"},
			[]string{`subscribe "http://h/realtimehub" g1 Viewmodel=SomeVM&RootId=1|2`}, ""},
		{"SubscribeVM", map[string]any{"eventguid": "g1", "realtimehub": nil}, []string{`subscribe "" g1 Viewmodel=SomeVM&RootId=1|2`}, ""},
		{"SubscribeVM", map[string]any{}, nil, "column eventguid: no such key: eventguid"},
		{"SubscribeVM", map[string]any{"eventguid": ""}, nil, "column eventguid: is empty"},
		{"SubscribeVM", map[string]any{"eventguid": int64(7)}, nil, "column eventguid: got a number, want text"},
		{"TriggerVM", map[string]any{"eventguid": "any text is a guid"}, []string{"trigger any text is a guid"}, ""},
		{"TriggerVM", map[string]any{"eventguid": nil}, nil, "column eventguid: got null, want text"},
		{"WebhookVM", map[string]any{"url": "ftp://h/"}, nil, `column url: "ftp://h/", want http://… or https://…`},
	} {
		t.Run(tt.model, func(t *testing.T) {
			t.Parallel()
			c := config(t, "sqlite")
			var e events
			c.ViewModels.Events = &e
			q := start(t, c)
			q.put("1|2", tt.attributes)
			id := q.create(ticket.Ticket{ViewModel: tt.model, RootID: "1|2"}).ID
			if tt.err != "" {
				if got := q.until(id, ticket.Failed); !strings.Contains(got.Error, tt.err) {
					t.Fatalf("error %q, want %q", got.Error, tt.err)
				}
			} else {
				q.until(id, ticket.Done)
			}
			e.expect(t, tt.want...)
		})
	}
}

// TestM8 makes tickets that cannot run: they fail with an Error.
func TestM8(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		c := config(t, database)
		c.ViewModels.ViewModels = append(c.ViewModels.ViewModels, viewmodel.Config{Name: "ClassVM", Class: "12"})
		add(&c, "LongVM", func(context.Context, *viewmodel.Run) error { return errors.New(strings.Repeat("ü\x00\xff", 2000)) })
		add(&c, "PanicVM", func(context.Context, *viewmodel.Run) error { panic("no") })
		add(&c, "NotJSONVM", func(_ context.Context, r *viewmodel.Run) error {
			r.Update(func(a map[string]any) error { a["f"] = func() {}; return nil })
			return nil
		})
		add(&c, "GoneVM", func(_ context.Context, r *viewmodel.Run) error {
			r.Update(func(a map[string]any) error { a["name"] = "half"; return errors.New("not allowed") })
			return nil
		})
		q := start(t, c)
		q.put("1|2", map[string]any{"name": "Bolt", "runs": "many"})
		q.put("1|3", nil)
		for _, tt := range []struct{ model, root, want string }{
			{"Nothing", "1|2", `no such view model: "Nothing"`},
			{"", "1|2", `no such view model: ""`},
			{"somevm", "1|2", `no such view model: "somevm"`},
			{"SomeVM", "", `invalid RootId ""`},
			{"SomeVM", "nonsense", `invalid RootId "nonsense": want class|id or a GUID`},
			{"SomeVM", "1|2|3", "invalid RootId"},
			{"SomeVM", "|2", "invalid RootId"},
			{"SomeVM", "1|", "invalid RootId"},
			{"SomeVM", "9|9", `no such object: "9|9"`},
			{"SomeVM", "0b9ad2a1-6c17-4b06-a5c6-8d8b7ad0d5a9", "no such object"},
			{"SomeVM", "1|2", "update of 1|2: attribute runs: got text, want a number"},
			{"ClassVM", "1|2", "view model ClassVM wants an object of the class 12, not 1|2"},
			{"LongVM", "1|2", "action doLongVM: ü"},
			{"PanicVM", "1|2", "action doPanicVM: panic: no at scenarios_test.go:"},
			{"NotJSONVM", "1|3", "update of 1|3: json: unsupported type"},
			{"GoneVM", "1|3", "update of 1|3: not allowed"},
		} {
			id := q.create(ticket.Ticket{ViewModel: tt.model, RootID: tt.root}).ID
			got := q.until(id, ticket.Failed)
			if !strings.Contains(got.Error, tt.want) || len(got.Error) > 2048 || got.Attempts != 1 || !got.Done.IsZero() {
				t.Errorf("%s for %q: %+v, want error %q", tt.model, tt.root, got, tt.want)
			}
		}
		if got := fmt.Sprint(q.object("1|2"), q.object("1|3")); got != "map[name:Bolt runs:many] map[]" {
			t.Errorf("objects %s, want them as they were", got)
		}
	})
}

// TestRefused makes tickets that are not stored.
func TestRefused(t *testing.T) {
	t.Parallel()
	q, _ := open(t, config(t, "sqlite"))
	for name, tt := range map[string]ticket.Ticket{
		"long view model":    {ViewModel: strings.Repeat("v", 251), RootID: "1|2"},
		"64 KiB":             {ViewModel: "SomeVM", RootID: strings.Repeat("1", 64<<10)},
		"not UTF-8":          {ViewModel: "SomeVM", RootID: "1|\xff"},
		"zero byte":          {ViewModel: "Some\x00VM", RootID: "1|2"},
		"large priority":     {ViewModel: "SomeVM", RootID: "1|2", Priority: new(1 << 40)},
		"negative receipt":   {ViewModel: "SomeVM", RootID: "1|2", KeepReceiptMinutes: new(-1)},
		"receipt for ever":   {ViewModel: "SomeVM", RootID: "1|2", KeepReceiptMinutes: new(1 << 40)},
		"a year that is not": {ViewModel: "SomeVM", RootID: "1|2", ExecuteEarliest: time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)},
		"long key":           {ViewModel: "SomeVM", RootID: "1|2", Key: strings.Repeat("k", 1001)},
	} {
		if got, err := q.Create(t.Context(), tt); !errors.Is(err, ticket.ErrInvalid) {
			t.Errorf("%s: %+v, %v, want ErrInvalid", name, got, err)
		}
	}
	q.counts(nil)
}

// TestM12 has two tickets of one object at the same time, again and again: no update is lost.
func TestM12(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		c := config(t, database)
		const pairs = 10
		meet := make(chan bool)
		add(&c, "TwoVM", func(ctx context.Context, r *viewmodel.Run) error {
			select { // two runs at a time
			case meet <- true:
			case <-meet:
			case <-ctx.Done():
				return ctx.Err()
			}
			r.Update(func(a map[string]any) error {
				n, _ := a["runs"].(int64)
				a["runs"] = n + 1
				return nil
			})
			return nil
		})
		q := start(t, c)
		q.put("1|2", map[string]any{"name": "Bolt"})
		for range pairs {
			a := q.create(ticket.Ticket{ViewModel: "TwoVM", RootID: "1|2"})
			b := q.create(ticket.Ticket{ViewModel: "TwoVM", RootID: "1|2"})
			q.until(a.ID, ticket.Done)
			q.until(b.ID, ticket.Done)
		}
		if got := fmt.Sprint(q.object("1|2")); got != "map[name:Bolt runs:20]" {
			t.Fatalf("object %s, want 20 runs", got)
		}
	})
}

// TestM13 makes tickets of priority 2, 1 and none, and a delayed one of priority 0: that one runs last, at its time.
func TestM13(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		c := config(t, database)
		c.Workers = 1
		var j journal
		add(&c, "OrderVM", j.note)
		q, _ := open(t, c)
		for _, id := range []string{"1|two", "1|one", "1|null", "1|zero", "1|late", "1|null2", "1|minus"} {
			q.put(id, nil)
		}
		q.create(ticket.Ticket{ViewModel: "OrderVM", RootID: "1|two", Priority: new(2)})
		late := q.create(ticket.Ticket{ViewModel: "OrderVM", RootID: "1|late", Priority: new(0), ExecuteEarliest: time.Now().Add(2 * time.Second)})
		q.create(ticket.Ticket{ViewModel: "OrderVM", RootID: "1|null"})
		q.create(ticket.Ticket{ViewModel: "OrderVM", RootID: "1|one", Priority: new(1), ExecuteEarliest: time.Now().Add(-time.Hour)})
		q.create(ticket.Ticket{ViewModel: "OrderVM", RootID: "1|null2"})
		q.create(ticket.Ticket{ViewModel: "OrderVM", RootID: "1|minus", Priority: new(-5)})
		if late.State != ticket.Waiting {
			t.Fatalf("delayed ticket %+v, want it waiting", late)
		}
		q.Start()
		got := q.until(late.ID, ticket.Done)
		if want := []string{"1|minus", "1|one", "1|two", "1|null", "1|null2", "1|late"}; !slices.Equal(j.list(), want) {
			t.Fatalf("order %q, want %q", j.list(), want)
		}
		if got.Done.Before(late.ExecuteEarliest) {
			t.Fatalf("done %v, before %v", got.Done, late.ExecuteEarliest)
		}
	})
}

// TestM15 has the time pass: a receipt stays for its minutes, a failed ticket for ever.
func TestM15(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		c := config(t, database)
		var ahead atomic.Int64
		c.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		q, shut := open(t, c)
		q.Start()
		q.put("1|2", nil)
		ten := q.create(ticket.Ticket{ViewModel: "SomeVM", RootID: "1|2"})
		hour := q.create(ticket.Ticket{ViewModel: "SomeVM", RootID: "1|2", KeepReceiptMinutes: new(60)})
		none := q.create(ticket.Ticket{ViewModel: "SomeVM", RootID: "1|2", KeepReceiptMinutes: new(0)})
		failed := q.create(ticket.Ticket{ViewModel: "SomeVM", RootID: "1|3"})
		done := q.until(ten.ID, ticket.Done)
		q.until(hour.ID, ticket.Done)
		q.until(failed.ID, ticket.Failed)
		if done.DeleteTime != done.Done.Add(10*time.Minute) {
			t.Fatalf("deleted at %v, want 10 minutes after %v", done.DeleteTime, done.Done)
		}
		there := func(want ...string) {
			t.Helper()
			list, _, err := q.List(t.Context(), ticket.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, t := range list {
				got = append(got, t.ID)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("there are %q, want %q", got, want)
			}
		}
		gone := func(id string) {
			t.Helper()
			if _, err := q.Get(t.Context(), id); !errors.Is(err, ticket.ErrNoTicket) {
				t.Fatalf("ticket %s: %v, want ErrNoTicket", id, err)
			}
		}
		eventually(t, "the ticket without a receipt to go", func() bool {
			_, err := q.Get(t.Context(), none.ID)
			return errors.Is(err, ticket.ErrNoTicket)
		})
		ahead.Store(int64(9 * time.Minute))
		there(ten.ID, hour.ID, failed.ID)
		ahead.Store(int64(11 * time.Minute))
		there(hour.ID, failed.ID)
		gone(ten.ID)
		q.counts(map[ticket.State]int64{ticket.Done: 1, ticket.Failed: 1})
		ahead.Store(int64(1000 * time.Hour))
		there(failed.ID)
		gone(hour.ID)
		shut() // the next start removes what is over
		ahead.Store(0)
		q, shut = open(t, c)
		there(ten.ID, hour.ID, failed.ID)
		ahead.Store(int64(1000 * time.Hour))
		q.Start()
		shut()
		ahead.Store(0)
		q, _ = open(t, c)
		there(failed.ID)
		if got := q.object("1|2")["runs"]; got != int64(3) {
			t.Fatalf("%v runs, want 3", got)
		}
	})
}

// TestRetry has a failed ticket run again.
func TestRetry(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		q := start(t, config(t, database))
		id := q.create(ticket.Ticket{ViewModel: "SomeVM", RootID: "1|2", Key: "k"}).ID
		q.until(id, ticket.Failed)
		if _, err := q.Retry(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the second run to fail", func() bool {
			got := q.get(id)
			return got.State == ticket.Failed && got.Attempts == 2
		})
		q.put("1|2", nil)
		got, err := q.Retry(t.Context(), id)
		if err != nil || got.Error != "" || got.State == ticket.Failed {
			t.Fatalf("retry: %+v, %v", got, err)
		}
		if got := q.until(id, ticket.Done); got.Attempts != 3 || got.Key != "k" {
			t.Fatalf("done %+v, want 3 attempts", got)
		}
		if _, err := q.Retry(t.Context(), id); !errors.Is(err, ticket.ErrNotFailed) {
			t.Fatalf("retry of a done ticket: %v, want ErrNotFailed", err)
		}
		for _, id := range []string{"999999", "", "x", "01", "-1"} {
			if _, err := q.Retry(t.Context(), id); !errors.Is(err, ticket.ErrNoTicket) {
				t.Fatalf("retry of %q: %v, want ErrNoTicket", id, err)
			}
		}
		eventually(t, "the count of what is done", func() bool { return q.Stats().Done == 1 })
		if s := q.Stats(); s.Runs != 3 || s.Repeated != 2 || s.Failed != 2 || s.Done != 1 {
			t.Fatalf("stats %+v", s)
		}
	})
}

// TestKey makes tickets with the same key: there is one, as long as it is kept.
func TestKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		q, _ := open(t, config(t, database))
		first := q.create(ticket.Ticket{ViewModel: "SomeVM", RootID: "1|2", Key: "k", KeepReceiptMinutes: new(0)})
		same := q.create(ticket.Ticket{ViewModel: "TriggerVM", RootID: "1|3", Key: "k"})
		other := q.create(ticket.Ticket{ViewModel: "SomeVM", RootID: "1|2", Key: "K"})
		if same.ID != first.ID || same.ViewModel != "SomeVM" || other.ID == first.ID {
			t.Fatalf("made %+v, then %+v and %+v", first, same, other)
		}
		if got := q.Stats().Created; got != 2 {
			t.Fatalf("%d created, want 2", got)
		}
		q.put("1|2", nil)
		q.Start()
		q.until(other.ID, ticket.Done)
		eventually(t, "another ticket of the key", func() bool {
			return q.create(ticket.Ticket{ViewModel: "SomeVM", RootID: "1|2", Key: "k"}).ID != first.ID
		})
	})
}

// TestCreateAll stores all tickets or none.
func TestCreateAll(t *testing.T) {
	t.Parallel()
	q, _ := open(t, config(t, "sqlite"))
	good := ticket.Ticket{ViewModel: "SomeVM", RootID: "1|2"}
	if _, err := q.CreateAll(t.Context(), []ticket.Ticket{good, {ViewModel: "\x00"}}); !errors.Is(err, ticket.ErrInvalid) {
		t.Fatalf("got %v, want ErrInvalid", err)
	}
	q.counts(nil)
	all, err := q.CreateAll(t.Context(), []ticket.Ticket{good, good, good})
	if err != nil || len(all) != 3 || all[0].ID == all[2].ID {
		t.Fatalf("made %+v, %v", all, err)
	}
	if none, err := q.CreateAll(t.Context(), nil); err != nil || len(none) != 0 {
		t.Fatalf("made %+v, %v", none, err)
	}
	q.counts(map[ticket.State]int64{ticket.Ready: 3})
}

// TestMark sets marks with tickets, without, and not with tickets that are refused.
func TestMark(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		q, _ := open(t, config(t, database))
		want := func(a, b string) {
			t.Helper()
			gotA, errA := q.Mark(t.Context(), "a")
			gotB, errB := q.Mark(t.Context(), "b")
			if gotA != a || gotB != b || errA != nil || errB != nil {
				t.Fatalf("marks %q and %q, %v, %v, want %q and %q", gotA, gotB, errA, errB, a, b)
			}
		}
		want("", "")
		good := ticket.Ticket{ViewModel: "SomeVM", RootID: "1|2"}
		if _, err := q.Create(t.Context(), good, ticket.Mark{Name: "a", Value: "1"}, ticket.Mark{Name: "b", Value: "2"}); err != nil {
			t.Fatal(err)
		}
		want("1", "2")
		if _, err := q.CreateAll(t.Context(), nil, ticket.Mark{Name: "a", Value: "3"}); err != nil {
			t.Fatal(err)
		}
		want("3", "2")
		for _, bad := range []ticket.Mark{{Name: "a\x00"}, {Name: "a", Value: strings.Repeat("v", 1001)}} {
			if _, err := q.Create(t.Context(), good, bad); !errors.Is(err, ticket.ErrInvalid) {
				t.Fatalf("got %v, want ErrInvalid", err)
			}
		}
		if _, err := q.Create(t.Context(), ticket.Ticket{ViewModel: "\xff"}, ticket.Mark{Name: "a", Value: "4"}); !errors.Is(err, ticket.ErrInvalid) {
			t.Fatalf("got %v, want ErrInvalid", err)
		}
		want("3", "2")
		q.counts(map[ticket.State]int64{ticket.Ready: 1})
	})
}
