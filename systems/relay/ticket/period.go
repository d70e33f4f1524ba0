package ticket

import (
	"context"
	"time"

	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
)

// pageSize is how many objects a period reads, and how many tickets it makes, at a time.
const pageSize = 200

// periods makes the tickets of view models that run by period. A row of the database says when each one is due, so that a
// restart does not begin its period anew and only one process makes its tickets.
func (q *Queue) periods() {
	all := q.models.Periodic()
	for {
		next := q.config.Clock().Add(time.Minute)
		for i := range all {
			at, err := q.period(q.ctx, &all[i])
			if err != nil && q.ctx.Err() == nil {
				q.log.Error("ticket: run by period", "viewModel", all[i].Name, "error", err)
				at = q.config.Clock().Add(afterError)
			}
			if at.Before(next) {
				next = at
			}
		}
		t := time.NewTimer(max(next.Sub(q.config.Clock()), time.Millisecond))
		select {
		case <-t.C:
		case <-q.stop:
			t.Stop()
			return
		}
	}
}

// period makes the tickets of a view model if they are due, and returns when they are due for the next time.
func (q *Queue) period(ctx context.Context, p *viewmodel.Periodic) (time.Time, error) {
	now := q.now()
	next := now.Add(p.Every)
	if _, err := q.store.Exec(ctx, "INSERT INTO period (view_model, due) VALUES (?, ?) ON CONFLICT (view_model) DO NOTHING",
		p.Name, millis(next)); err != nil {
		return time.Time{}, err
	}
	// What is due much later than the next period was declared with a longer one.
	n, err := q.store.Exec(ctx, "UPDATE period SET due = ? WHERE view_model = ? AND (due <= ? OR due > ?)",
		millis(next), p.Name, millis(now), millis(next.Add(p.Every)))
	if err != nil {
		return time.Time{}, err
	}
	if n == 0 {
		var due int64
		err := q.store.QueryRow(ctx, "SELECT due FROM period WHERE view_model = ?", p.Name).Scan(&due)
		return fromMillis(due), err
	}
	return next, q.runPeriod(ctx, p)
}

// runPeriod makes a ticket for each object that a view model selects. An object whose last ticket has not run yet gets no other
// one; one whose last ticket has failed gets it tried again, so that failures do not pile up.
func (q *Queue) runPeriod(ctx context.Context, p *viewmodel.Periodic) error {
	after := ""
	for {
		objects, err := q.config.Objects.List(ctx, q.store, p.Class, after, pageSize)
		if err != nil || len(objects) == 0 {
			return err
		}
		var tickets []Ticket
		for i := range objects {
			o := &objects[i]
			yes, err := p.Selects(ctx, o)
			if err != nil {
				q.log.ErrorContext(ctx, "ticket: select objects of a period", "viewModel", p.Name, "object", o.ID, "error", err)
			}
			if yes {
				tickets = append(tickets, Ticket{ViewModel: p.Name, RootID: o.ID, KeepReceiptMinutes: new(0),
					Key: "period " + p.Name + " " + o.ID})
			}
		}
		if len(tickets) > 0 {
			made, err := q.CreateAll(ctx, tickets)
			if err != nil {
				return err
			}
			for _, t := range made {
				if t.State == Failed {
					if _, err := q.Retry(ctx, t.ID); err != nil {
						return err
					}
				}
			}
		}
		after = objects[len(objects)-1].ID
		select {
		case <-q.stop:
			return nil
		default:
		}
	}
}
