package ticket

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/hubbub-go/hubbub/systems/store"
)

// columns of a ticket, in the order of scan.
const columns = "seq, view_model, root_id, priority, earliest, keep, created, done, delete_at, error, attempts, state, dedupe"

// scanner is a row.
type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (seq int64, t Ticket, err error) {
	var priority sql.NullInt64
	var key sql.NullString
	var earliest, created, done, deleted int64
	keep := new(int)
	if err := row.Scan(&seq, &t.ViewModel, &t.RootID, &priority, &earliest, keep, &created, &done, &deleted, &t.Error, &t.Attempts,
		&t.State, &key); err != nil {
		return 0, Ticket{}, err
	}
	if priority.Valid {
		t.Priority = new(int(priority.Int64))
	}
	t.ID, t.Key, t.KeepReceiptMinutes = strconv.FormatInt(seq, 10), key.String, keep
	t.ExecuteEarliest, t.CreateTime = fromMillis(earliest), fromMillis(created)
	t.Done, t.DeleteTime = fromMillis(done), fromMillis(deleted)
	return seq, t, nil
}

// Mark is a text under a name that is stored together with tickets, such as how far a listener has got in what makes them.
type Mark struct {
	// Name of the mark, at most 1000 bytes.
	Name string
	// Value replaces what the mark had before. At most 1000 bytes.
	Value string
}

// Create stores a ticket and returns it with what the queue has set; it runs as soon as its time has come and a worker is free.
// Only the fields that a creator sets are looked at. If there is a ticket with its key, that one is returned. A ticket that
// cannot be stored is an [ErrInvalid]. Marks are set in the same transaction. All is durable when Create returns. It blocks for
// the database.
func (q *Queue) Create(ctx context.Context, t Ticket, marks ...Mark) (Ticket, error) {
	all, err := q.CreateAll(ctx, []Ticket{t}, marks...)
	if err != nil {
		return Ticket{}, err
	}
	return all[0], nil
}

// CreateAll is [Queue.Create] for several tickets, or none, in one transaction, which is much faster than one after the other:
// all are stored, or none.
func (q *Queue) CreateAll(ctx context.Context, tickets []Ticket, marks ...Mark) ([]Ticket, error) {
	for i := range tickets {
		if err := tickets[i].check(); err != nil {
			return nil, fmt.Errorf("ticket: create: %w", err)
		}
	}
	for _, m := range marks {
		if err := errors.Join(checkLong("name of a mark", m.Name), checkLong("value of a mark", m.Value)); err != nil {
			return nil, fmt.Errorf("ticket: create: %w", err)
		}
	}
	all := make([]Ticket, len(tickets))
	now := q.now()
	var made int64
	err := q.store.Tx(ctx, func(tx *store.Tx) error {
		made = 0
		for i := range tickets {
			t := tickets[i]
			t.CreateTime = now
			fresh, err := insert(ctx, tx, &t)
			if err != nil {
				return err
			}
			if fresh {
				made++
			}
			all[i] = t
		}
		for _, m := range marks {
			if _, err := tx.Exec(ctx, `INSERT INTO mark (name, value) VALUES (?, ?)
				ON CONFLICT (name) DO UPDATE SET value = excluded.value`, m.Name, m.Value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ticket: create: %w", err)
	}
	q.counts.created.Add(made)
	if made > 0 {
		q.nudge()
	}
	for i := range all {
		all[i].State = all[i].stateAt(millis(now))
	}
	return all, nil
}

// Mark returns the value of a mark, "" if it was never set.
func (q *Queue) Mark(ctx context.Context, name string) (string, error) {
	var value string
	err := q.store.QueryRow(ctx, "SELECT value FROM mark WHERE name = ?", name).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("ticket: read a mark: %w", err)
	}
	return value, nil
}

// insert stores a ticket and completes it. It reports whether there was none with its key.
func insert(ctx context.Context, tx *store.Tx, t *Ticket) (fresh bool, err error) {
	rank, keep := int64(math.MaxInt64), defaultKeepMinutes
	var priority, key any
	if t.Priority != nil {
		rank, priority = int64(*t.Priority), int64(*t.Priority)
	}
	if t.KeepReceiptMinutes != nil {
		keep = *t.KeepReceiptMinutes
	}
	if t.Key != "" {
		key = t.Key
	}
	created, earliest := millis(t.CreateTime), int64(0)
	if !t.ExecuteEarliest.IsZero() {
		earliest = max(millis(t.ExecuteEarliest), 1)
	}
	state := Ready
	if earliest > created {
		state = Waiting
	}
	_, *t, err = scan(tx.QueryRow(ctx, `INSERT INTO ticket (view_model, root_id, priority, rank, earliest, keep, created, done, delete_at,
		error, attempts, cut, state, node, claim, lease, dedupe) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, '', 0, 0, ?, '', 0, 0, ?)
		ON CONFLICT (dedupe) WHERE dedupe IS NOT NULL DO NOTHING RETURNING `+columns,
		t.ViewModel, t.RootID, priority, rank, earliest, keep, created, int64(state), key))
	if !errors.Is(err, sql.ErrNoRows) {
		return err == nil, err
	}
	_, *t, err = scan(tx.QueryRow(ctx, "SELECT "+columns+" FROM ticket WHERE dedupe = ?", key))
	return false, err
}

// stateAt is the state that readers see: a ticket whose time has come is ready, although nobody has looked yet.
func (t *Ticket) stateAt(now int64) State {
	if t.State == Waiting && millis(t.ExecuteEarliest) <= now {
		return Ready
	}
	return t.State
}
