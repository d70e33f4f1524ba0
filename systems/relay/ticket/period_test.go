package ticket_test

import (
	"context"
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

// TestPeriod runs a view model by period for the objects that it selects, on one process of two.
func TestPeriod(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		c := config(t, database)
		var j journal
		c.ViewModels.ViewModels = append(c.ViewModels.ViewModels,
			viewmodel.Config{Name: "DueVM", Class: "Order", Every: 2 * time.Second, Select: "self.due", Actions: []string{"note"}})
		c.ViewModels.Functions["note"] = j.note
		q, _ := open(t, c)
		for i := range 450 { // more than two pages
			q.put(fmt.Sprintf("Order|%03d", i), map[string]any{"due": i%50 == 7})
		}
		q.put("Order|x", nil) // its selection fails, the others run all the same
		q.put("Item|7", map[string]any{"due": true})
		var want []string
		for i := 7; i < 450; i += 50 {
			want = append(want, fmt.Sprintf("Order|%03d", i))
		}
		begun := time.Now()
		q.Start()
		if database == "postgres" {
			start(t, c)
		}
		eventually(t, "the first period", func() bool { return len(j.list()) >= len(want) })
		if took := time.Since(begun); took < 2*time.Second {
			t.Errorf("the first period was over after %v, want it to begin after 2 s", took)
		}
		got := j.list()[:len(want)]
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("ran for %q, want %q", got, want)
		}
		eventually(t, "the second period", func() bool { return len(j.list()) >= 2*len(want) })
		got = j.list()[:2*len(want)]
		slices.Sort(got)
		for i := range got {
			if got[i] != want[i/2] {
				t.Fatalf("ran for %q in two periods, want each of %q twice", got, want)
			}
		}
		eventually(t, "no receipts", func() bool {
			list, _, err := q.List(t.Context(), ticket.Filter{States: []ticket.State{ticket.Done}})
			return err == nil && len(list) == 0
		})
	})
}

// TestPeriodFailure tries a failed object of a period again in the next one, with the same ticket.
func TestPeriodFailure(t *testing.T) {
	t.Parallel()
	c := config(t, "sqlite")
	var runs atomic.Int64
	c.ViewModels.ViewModels = append(c.ViewModels.ViewModels, viewmodel.Config{Name: "FailVM", Every: time.Second, Actions: []string{"fail"}})
	c.ViewModels.Functions["fail"] = func(_ context.Context, r *viewmodel.Run) error {
		if runs.Add(1) < 3 {
			return fmt.Errorf("attempt %d", r.Attempt)
		}
		return nil
	}
	q, _ := open(t, c)
	q.put("1|2", nil)
	q.Start()
	var list []ticket.Ticket
	eventually(t, "the second failure", func() bool {
		var err error
		if list, _, err = q.List(t.Context(), ticket.Filter{States: []ticket.State{ticket.Failed}}); err != nil {
			t.Fatal(err)
		}
		return len(list) == 1 && list[0].Attempts == 2
	})
	if !strings.Contains(list[0].Error, "attempt 2") || list[0].ViewModel != "FailVM" || list[0].RootID != "1|2" {
		t.Fatalf("failed %+v", list[0])
	}
	eventually(t, "the third run", func() bool {
		_, err := q.Get(t.Context(), list[0].ID)
		return err != nil && q.Stats().Failed == 2
	})
}

// TestPeriodKept keeps the period over a restart: what was due meanwhile runs at once.
func TestPeriodKept(t *testing.T) {
	t.Parallel()
	c := config(t, "sqlite")
	var j journal
	var ahead atomic.Int64
	c.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	c.ViewModels.ViewModels = append(c.ViewModels.ViewModels, viewmodel.Config{Name: "DayVM", Every: 24 * time.Hour, Actions: []string{"note"}})
	c.ViewModels.Functions["note"] = j.note
	q, shut := open(t, c)
	q.put("1|2", nil)
	q.Start()
	shut()
	if got := j.list(); len(got) != 0 {
		t.Fatalf("ran for %q before the period was over", got)
	}
	ahead.Store(int64(25 * time.Hour))
	_, shut = open(t, c)
	shut()
	q, _ = open(t, c)
	q.Start()
	eventually(t, "the period", func() bool { return len(j.list()) == 1 })
}
