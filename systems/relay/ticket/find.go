package ticket

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxList is how many tickets [Queue.List] returns at most.
const MaxList = 1000

// Filter says which tickets to list. Zero fields let all pass.
type Filter struct {
	// States that tickets may be in.
	States []State
	// ViewModel and RootID, compared exactly.
	ViewModel, RootID string
	// After is the id of a ticket: only later ones are listed.
	After string
	// Limit bounds how many are listed. Default and most [MaxList].
	Limit int
}

// Get returns a ticket. Without one of that id, or where its receipt's time is over, the error is an [ErrNoTicket].
func (q *Queue) Get(ctx context.Context, id string) (Ticket, error) {
	seq, err := parseID(id)
	if err != nil {
		return Ticket{}, err
	}
	now := millis(q.now())
	_, t, err := scan(q.store.QueryRow(ctx, "SELECT "+columns+" FROM ticket WHERE seq = ? AND (state <> 3 OR delete_at > ?)", seq, now))
	if errors.Is(err, sql.ErrNoRows) {
		return Ticket{}, noTicket(id)
	}
	if err != nil {
		return Ticket{}, fmt.Errorf("ticket: read: %w", err)
	}
	t.State = t.stateAt(now)
	return t, nil
}

func noTicket(id string) error { return fmt.Errorf("%w: %q", ErrNoTicket, clip(id)) }

func parseID(id string) (int64, error) {
	seq, err := strconv.ParseInt(id, 10, 64)
	if err != nil || strconv.FormatInt(seq, 10) != id {
		return 0, noTicket(id)
	}
	return seq, nil
}

// List returns the tickets that a filter lets pass, the oldest first, and whether there are more than its limit.
func (q *Queue) List(ctx context.Context, f Filter) (tickets []Ticket, more bool, err error) {
	limit := f.Limit
	if limit <= 0 || limit > MaxList {
		limit = MaxList
	}
	now := millis(q.now())
	where, args := []string{"(state <> 3 OR delete_at > ?)"}, []any{now}
	add := func(text string, values ...any) {
		where, args = append(where, text), append(args, values...)
	}
	if len(f.States) > 0 {
		var any []string
		for _, s := range f.States {
			switch s {
			case Waiting:
				any, args = append(any, "(state = 0 AND earliest > ?)"), append(args, now)
			case Ready:
				any, args = append(any, "state = 1", "(state = 0 AND earliest <= ?)"), append(args, now)
			default:
				any = append(any, "state = "+strconv.Itoa(int(s)))
			}
		}
		where = append(where, "("+strings.Join(any, " OR ")+")")
	}
	if f.ViewModel != "" {
		add("view_model = ?", f.ViewModel)
	}
	if f.RootID != "" {
		add("root_id = ?", f.RootID)
	}
	if f.After != "" {
		seq, err := parseID(f.After)
		if err != nil {
			return nil, false, err
		}
		add("seq > ?", seq)
	}
	args = append(args, limit+1)
	rows, err := q.store.Query(ctx, "SELECT "+columns+" FROM ticket WHERE "+strings.Join(where, " AND ")+" ORDER BY seq LIMIT ?", args...)
	if err != nil {
		return nil, false, fmt.Errorf("ticket: list: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		_, t, err := scan(rows)
		if err != nil {
			return nil, false, fmt.Errorf("ticket: list: %w", err)
		}
		t.State = t.stateAt(now)
		tickets = append(tickets, t)
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("ticket: list: %w", err)
	}
	if len(tickets) > limit {
		return tickets[:limit], true, nil
	}
	return tickets, false, nil
}

// Retry makes a failed ticket ready again and returns it. Its attempts go on counting. Without one the error is an [ErrNoTicket],
// for one that has not failed an [ErrNotFailed].
func (q *Queue) Retry(ctx context.Context, id string) (Ticket, error) {
	seq, err := parseID(id)
	if err != nil {
		return Ticket{}, err
	}
	n, err := q.store.Exec(ctx, "UPDATE ticket SET state = 1, error = '', cut = 0 WHERE seq = ? AND state = 4", seq)
	if err != nil {
		return Ticket{}, fmt.Errorf("ticket: retry: %w", err)
	}
	t, err := q.Get(ctx, id)
	if n == 0 {
		if err == nil {
			err = fmt.Errorf("%w: it is %s", ErrNotFailed, t.State)
		}
		return Ticket{}, err
	}
	q.nudge()
	return t, err
}
