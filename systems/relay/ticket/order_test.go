package ticket_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/relay/ticket"
	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// TestOrder drains 10,000 tickets of mixed priority with 4 workers, fewer on PostgreSQL and with the race detector. When a ticket begins, all that come before it have begun, but
// for those that the other workers are about to begin.
func TestOrder(t *testing.T) {
	t.Parallel()
	const workers = 4
	for database, n := range orderTickets {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			c := config(t, database)
			c.Workers = workers
			var mu sync.Mutex
			var ran []string
			add(&c, "NoteVM", func(_ context.Context, r *viewmodel.Run) error {
				mu.Lock()
				defer mu.Unlock()
				ran = append(ran, r.Ticket)
				return nil
			})
			q, _ := open(t, c)
			q.put("1|2", nil)
			want := fill(t, q, n, "NoteVM", func(int) string { return "1|2" })
			q.Start()
			for deadline := time.Now().Add(4 * patience); q.Stats().Done < int64(n) && time.Now().Before(deadline); {
				time.Sleep(5 * time.Millisecond)
			}
			q.counts(map[ticket.State]int64{ticket.Done: int64(n)})
			mu.Lock()
			defer mu.Unlock()
			if len(ran) != n {
				t.Fatalf("%d runs, want %d", len(ran), n)
			}
			place := make(map[string]int, n)
			for i, id := range want {
				place[id] = i
			}
			for i, id := range ran {
				if place[id] > i+workers-1 { // those before it have all been claimed, and run in the other workers
					t.Fatalf("run %d was of the ticket in place %d", i, place[id])
				}
			}
		})
	}
}

// fill makes n tickets of mixed priority and returns their ids in the order in which they should run.
func fill(t testing.TB, q *queue, n int, model string, root func(i int) string) []string {
	t.Helper()
	var all []ticket.Ticket
	for i := range n {
		in := ticket.Ticket{ViewModel: model, RootID: root(i)}
		if p := i * 7919 % 11; p < 10 {
			in.Priority = new(p)
		}
		all = append(all, in)
	}
	made, err := q.CreateAll(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(made, func(a, b ticket.Ticket) int {
		rank := func(t ticket.Ticket) int {
			if t.Priority == nil {
				return 1 << 30
			}
			return *t.Priority
		}
		return rank(a) - rank(b)
	})
	ids := make([]string, n)
	for i := range made {
		ids[i] = made[i].ID
	}
	return ids
}

// BenchmarkDrain is the time of one ticket from a full queue, with 4 workers: of a view model that changes nothing, and of one
// that changes one of 100 objects.
func BenchmarkDrain(b *testing.B) {
	for _, database := range storetest.Databases {
		for _, model := range []string{"NoteVM", "SomeVM"} {
			b.Run(database+"/"+model, func(b *testing.B) {
				c := config(b, database)
				c.Workers = 4
				last := make(chan bool)
				var mu sync.Mutex
				var count int
				add(&c, "NoteVM", func(context.Context, *viewmodel.Run) error {
					mu.Lock()
					defer mu.Unlock()
					if count++; count == b.N {
						close(last)
					}
					return nil
				})
				c.ViewModels.ViewModels = append(c.ViewModels.ViewModels, viewmodel.Config{Name: "BothVM", Actions: []string{"CountRun", "doNoteVM"}})
				q, shut := open(b, c)
				for i := range 100 {
					q.put(fmt.Sprintf("1|%d", i), map[string]any{"name": "Bolt", "price": 12.5})
				}
				name := map[string]string{"NoteVM": "NoteVM", "SomeVM": "BothVM"}[model]
				fill(b, q, b.N, name, func(i int) string { return fmt.Sprintf("1|%d", i%100) })
				b.ResetTimer()
				q.Start()
				<-last
				shut()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tickets/s")
			})
		}
	}
}

// BenchmarkCreate is the time of making a ticket, one in a transaction.
func BenchmarkCreate(b *testing.B) {
	for _, database := range storetest.Databases {
		b.Run(database, func(b *testing.B) {
			q, _ := open(b, config(b, database))
			for b.Loop() {
				q.create(ticket.Ticket{ViewModel: "SomeVM", RootID: "1|2"})
			}
		})
	}
}
