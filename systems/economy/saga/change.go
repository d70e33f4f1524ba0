package saga

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Instance is one run of a machine.
type Instance[S any] struct {
	ID    string
	State State
	// Version is 1 for a new one and grows with each change.
	Version          int64
	Created, Updated time.Time
	Data             S
}

// Change is an instance at which something happens. It belongs to the steps of one branch.
type Change[S any] struct {
	Instance[S]
	// To is the state that it goes into.
	To State
	// Tx is the transaction of the change: what steps write there is written with it or not at all.
	Tx *box.Tx
	// Now is the time of the change.
	Now time.Time

	machine *Machine[S]
	created bool
	trace   string
	note    string
	undoing map[string]struct{}
}

// Note writes a text into the history of the instance.
func (c *Change[S]) Note(text string) { c.note = text }

// Load returns an instance as it is, or [sql.ErrNoRows].
func (m *Machine[S]) Load(ctx context.Context, q store.Queryer, id string) (*Instance[S], error) {
	i, _, err := m.load(ctx, q, id)
	return i, err
}

func (m *Machine[S]) load(ctx context.Context, q store.Queryer, id string) (*Instance[S], string, error) {
	i := &Instance[S]{ID: id}
	var created, updated int64
	var data []byte
	var trace string
	err := q.QueryRow(ctx, "SELECT state, version, created, updated, data, trace FROM saga WHERE machine = ? AND id = ?", m.name, id).
		Scan(&i.State, &i.Version, &created, &updated, &data, &trace)
	if err == nil {
		err = json.Unmarshal(data, &i.Data)
	}
	if err != nil {
		return nil, "", fmt.Errorf("saga: load %s %s: %w", m.name, id, err)
	}
	i.Created, i.Updated = time.UnixMilli(created).UTC(), time.UnixMilli(updated).UTC()
	return i, trace, nil
}

// Raise lets an event happen in a transaction of the caller, as if its letter had come. It returns the instance afterwards, nil
// if there is none. On [ErrConflict] do the transaction again.
func Raise[S any, E box.Letter](ctx context.Context, tx *box.Tx, e Event[S, E], letter E) (*Instance[S], error) {
	c, err := e.machine.find(ctx, tx, letter.Key())
	if err != nil {
		return nil, err
	}
	return c.raise(ctx, e.event, letter)
}

// Begin is [Raise] for an event that makes an instance: one that is there already is returned as it is, and nothing happens. begun
// says whether there was none.
func Begin[S any, E box.Letter](ctx context.Context, tx *box.Tx, e Event[S, E], letter E) (i *Instance[S], begun bool, err error) {
	c, err := e.machine.find(ctx, tx, letter.Key())
	if err != nil || !c.created {
		return &c.Instance, false, err
	}
	i, err = c.raise(ctx, e.event, letter)
	return i, true, err
}

func (c *Change[S]) raise(ctx context.Context, e *event[S], letter any) (*Instance[S], error) {
	if err := c.happen(ctx, e, letter); err != nil {
		if errors.Is(err, box.ErrIgnored) {
			err = nil
		}
		return nil, err
	}
	return &c.Instance, nil
}

// happen is what the machine is for: an event happens to an instance.
func (m *Machine[S]) happen(ctx context.Context, tx *box.Tx, e *event[S], id string, value any) error {
	c, err := m.find(ctx, tx, id)
	if err != nil {
		return err
	}
	return c.happen(ctx, e, value)
}

// find returns a change of an instance, which is new if it is not there.
func (m *Machine[S]) find(ctx context.Context, tx *box.Tx, id string) (*Change[S], error) {
	c := &Change[S]{Tx: tx, Now: tx.Now(), machine: m}
	i, trace, err := m.load(ctx, tx, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		c.created = true
		c.ID, c.Created = id, c.Now
		c.trace = bus.TraceText(ctx)
	case err != nil:
		return c, err
	default:
		c.Instance, c.trace = *i, trace
	}
	return c, nil
}

func (c *Change[S]) happen(ctx context.Context, e *event[S], value any) error {
	news := false
	if !c.created {
		var err error
		if news, err = c.answered(ctx, e, isFinal(value)); err != nil {
			return err
		}
	}
	b, found := c.machine.branches[c.State][e.name]
	if !found {
		return c.stray(ctx, e, news)
	}
	c.To = c.State
	if err := b.run(ctx, c, value); err != nil {
		return err
	}
	return c.store(ctx, e)
}

// isFinal reports whether a value is a fault that is remembered, or no fault.
func isFinal(value any) bool {
	f, ok := value.(interface{ IsFinal() bool })
	return !ok || f.IsFinal()
}

// stray is an event that its state has no branch for; news says that it is the first answer to a command.
func (c *Change[S]) stray(ctx context.Context, e *event[S], news bool) error {
	m := c.machine
	log := c.Tx.Logger().With("machine", m.name, "instance", c.ID, "event", e.name, "state", string(c.State))
	if c.created {
		m.counts.orphan.Add(1)
		log.InfoContext(ctx, "saga: event for an instance that is not there")
		return box.ErrIgnored
	}
	if e.answers != "" && m.command(e.answers).isUndo() {
		note := "confirmed"
		if e.fault {
			note = "to be sent again"
		}
		return c.history(ctx, e.name, note)
	}
	if m.final[c.State] {
		m.counts.late.Add(1)
		log.InfoContext(ctx, "saga: late event")
		return c.history(ctx, e.name, "late")
	}
	var n int
	if err := c.Tx.QueryRow(ctx, "SELECT count(*) FROM saga_history WHERE machine = ? AND id = ? AND event = ?", m.name, c.ID, e.name).
		Scan(&n); err != nil {
		return fmt.Errorf("saga: history: %w", err)
	}
	if n == 0 && e.answers != "" && !news { // such as the fault of a double of a command that was done
		if err := c.Tx.QueryRow(ctx, "SELECT count(*) FROM saga_command WHERE machine = ? AND id = ? AND command = ? AND status <> 'open'", m.name, c.ID,
			e.answers).Scan(&n); err != nil {
			return fmt.Errorf("saga: command %s: %w", e.answers, err)
		}
	}
	if n > 0 {
		m.counts.double.Add(1)
		log.InfoContext(ctx, "saga: double event")
		return nil
	}
	m.counts.early.Add(1)
	return &box.Later{Why: fmt.Sprintf("%s in state %s of %s", e.name, c.State, m.name)}
}

// store writes the instance, and what follows from its new state.
func (c *Change[S]) store(ctx context.Context, e *event[S]) error {
	m := c.machine
	from, entered := c.State, c.To != c.State
	c.State = c.To
	c.Updated = c.Now
	c.Version++
	if entered {
		for _, f := range m.enter[c.State] {
			if err := f(ctx, c); err != nil {
				return err
			}
		}
	}
	data, err := json.Marshal(&c.Data)
	if err != nil {
		return fmt.Errorf("saga: %s %s: %w", m.name, c.ID, err)
	}
	var n int64
	if c.created {
		n, err = c.Tx.Exec(ctx, "INSERT INTO saga (machine, id, state, version, created, updated, data, trace) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
			m.name, c.ID, string(c.State), c.Version, c.Created.UnixMilli(), c.Updated.UnixMilli(), data, c.trace)
	} else {
		n, err = c.Tx.Exec(ctx, "UPDATE saga SET state = ?, version = ?, updated = ?, data = ? WHERE machine = ? AND id = ? AND version = ?",
			string(c.State), c.Version, c.Updated.UnixMilli(), data, m.name, c.ID, c.Version-1)
	}
	if err == nil && n == 0 {
		err = ErrConflict
	}
	if err != nil {
		return fmt.Errorf("saga: store %s %s: %w", m.name, c.ID, err)
	}
	if m.final[c.State] && entered {
		if err := c.end(ctx); err != nil {
			return err
		}
	}
	m.counts.changed.Add(1)
	c.mark(ctx, e, from)
	return c.history(ctx, e.name, c.note)
}

// end stops what a final state has no use for.
func (c *Change[S]) end(ctx context.Context) error {
	if _, err := c.Tx.Exec(ctx, "DELETE FROM saga_timer WHERE machine = ? AND id = ?", c.machine.name, c.ID); err != nil {
		return fmt.Errorf("saga: end timers: %w", err)
	}
	args := []any{withdrawn, c.machine.name, c.ID}
	for _, command := range c.machine.commands {
		if !command.isUndo() {
			args = append(args, command.topic())
		}
	}
	if len(args) == 3 {
		return nil
	}
	if _, err := c.Tx.Exec(ctx, "UPDATE saga_command SET status = ? WHERE machine = ? AND id = ? AND status = 'open' AND command IN (?"+
		strings.Repeat(", ?", len(args)-4)+")", args...); err != nil {
		return fmt.Errorf("saga: withdraw commands: %w", err)
	}
	return nil
}

// Entry is a line of the history of an instance.
type Entry struct {
	At    time.Time
	Event string
	State State
	Note  string
}

// History returns what has happened to an instance, oldest first.
func (m *Machine[S]) History(ctx context.Context, q store.Queryer, id string) ([]Entry, error) {
	rows, err := q.Query(ctx, "SELECT at, event, state, note FROM saga_history WHERE machine = ? AND id = ? ORDER BY number", m.name, id)
	if err != nil {
		return nil, fmt.Errorf("saga: history of %s: %w", id, err)
	}
	defer rows.Close()
	var all []Entry
	for rows.Next() {
		var e Entry
		var at int64
		if err := rows.Scan(&at, &e.Event, &e.State, &e.Note); err != nil {
			return nil, fmt.Errorf("saga: history of %s: %w", id, err)
		}
		e.At = time.UnixMilli(at).UTC()
		all = append(all, e)
	}
	return all, rows.Err()
}

func (c *Change[S]) history(ctx context.Context, event, note string) error {
	if _, err := c.Tx.Exec(ctx, `INSERT INTO saga_history (machine, id, number, at, event, state, note)
		VALUES (?, ?, (SELECT coalesce(max(number), 0) + 1 FROM saga_history WHERE machine = ? AND id = ?), ?, ?, ?, ?)`,
		c.machine.name, c.ID, c.machine.name, c.ID, c.Now.UnixMilli(), event, string(c.State), note); err != nil {
		return fmt.Errorf("saga: history: %w", err)
	}
	return nil
}

// schedule starts a timer.
func (c *Change[S]) schedule(ctx context.Context, timer *event[S]) error {
	if _, err := c.Tx.Exec(ctx, "INSERT INTO saga_timer (machine, id, timer, due) VALUES (?, ?, ?, ?) ON CONFLICT (machine, id, timer) DO UPDATE SET due = excluded.due",
		c.machine.name, c.ID, timer.name, c.Now.Add(timer.timer).UnixMilli()); err != nil {
		return fmt.Errorf("saga: start %s: %w", timer.name, err)
	}
	return nil
}
