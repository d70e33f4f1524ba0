package ticket_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hubbub-go/hubbub/systems/relay/ticket"
	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// errorLog tells of each error that is logged.
type errorLog chan string

// Write implements io.Writer.
func (l errorLog) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default:
	}
	return len(p), nil
}

// TestDatabaseAway takes the table away while a ticket runs: what came of it is stored when the table is back, and it runs once.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		c := config(t, database)
		failures := make(errorLog, 100)
		c.Logger = slog.New(slog.NewTextHandler(failures, &slog.HandlerOptions{Level: slog.LevelError}))
		entered, leave := make(chan bool), make(chan bool)
		add(&c, "SlowVM", func(_ context.Context, r *viewmodel.Run) error {
			entered <- true
			<-leave
			r.Update(func(a map[string]any) error { a["ran"] = true; return nil })
			return nil
		})
		q := start(t, c)
		q.put("1|2", nil)
		id := q.create(ticket.Ticket{ViewModel: "SlowVM", RootID: "1|2"}).ID
		<-entered
		s, err := store.Open(t.Context(), c.Database, fstest.MapFS{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		rename := func(from, to string) {
			t.Helper()
			if _, err := s.Exec(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
				t.Fatal(err)
			}
		}
		rename("ticket", "elsewhere")
		leave <- true
		eventually(t, "the database to be missed", func() bool {
			select {
			case line := <-failures:
				return strings.Contains(line, "store and claim tickets")
			default:
				return false
			}
		})
		if err := q.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := q.Create(t.Context(), ticket.Ticket{}); err == nil {
			t.Error("a ticket was made without a table")
		}
		rename("elsewhere", "ticket")
		if got := q.until(id, ticket.Done); got.Attempts != 1 {
			t.Fatalf("done %+v, want 1 attempt", got)
		}
		if q.object("1|2")["ran"] != true {
			t.Fatal("the change of the object is missing")
		}
	})
}
