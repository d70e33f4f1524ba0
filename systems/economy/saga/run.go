package saga

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus/box"
)

// How often a machine looks for timers that are due and commands without an answer, also when it could not, and how long looking
// may take.
const (
	look      = 100 * time.Millisecond
	lookAgain = time.Second
	lookTime  = 10 * time.Second
)

// most is how many of them are looked for at once, and atOnce how many timers happen at a time.
const (
	most   = 100
	atOnce = 4
)

// Register makes the machine listen to its events. Call it once, when all of the machine is declared.
func (m *Machine[S]) Register(h *box.Handlers) {
	for _, c := range m.commands {
		c.declareFault()
	}
	for _, e := range m.events {
		if e.register != nil {
			e.register(h)
		}
	}
}

// Run fires timers and sends commands again that had no answer, until ctx ends. Several processes may run a machine on one
// database.
func (m *Machine[S]) Run(ctx context.Context, b *box.Box) {
	t := time.NewTimer(look)
	defer t.Stop()
	for {
		pause := look
		for _, f := range []func(context.Context, *box.Box) (int, error){m.fire, m.resend} {
			for {
				n, err := f(ctx, b)
				if err != nil && ctx.Err() == nil {
					b.Logger().WarnContext(ctx, "saga: timers and commands", "machine", m.name, "error", err)
				}
				if err != nil {
					pause = lookAgain
				}
				if err != nil || n < most {
					break
				}
			}
		}
		t.Reset(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// due is a timer or a command whose time has come.
type due struct {
	id, name string
	body     []byte
	attempt  int
}

func list(ctx context.Context, b *box.Box, query string, args ...any) ([]due, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	rows, err := b.Store().Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []due
	for rows.Next() {
		var d due
		if err := rows.Scan(&d.id, &d.name); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, rows.Err()
}

// fire lets timers happen, each in a transaction of its own. One that fails or is early comes again later, so that it does not hold
// up others.
func (m *Machine[S]) fire(ctx context.Context, b *box.Box) (int, error) {
	all, err := list(ctx, b, fmt.Sprintf("SELECT id, timer FROM saga_timer WHERE machine = ? AND due <= ? ORDER BY due LIMIT %d", most), m.name, b.Now().UnixMilli())
	if err != nil {
		return 0, err
	}
	return len(all), each(all, func(d due) error {
		err := b.Tx(ctx, func(tx *box.Tx) error { return m.due(ctx, tx, d) })
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.Logger().WarnContext(ctx, "saga: timer comes again later", "machine", m.name, "instance", d.id, "timer", d.name, "error", err)
		if err := m.postpone(ctx, b, d); err != nil { // the database is away
			return fmt.Errorf("timer %s of %s: %w", d.name, d.id, err)
		}
		return nil
	})
}

// each does f for all, some at a time, and returns the first error, after which no more are begun.
func each(all []due, f func(due) error) error {
	var mu sync.Mutex
	var first error
	next := 0
	var work sync.WaitGroup
	for range min(atOnce, len(all)) {
		work.Go(func() {
			for {
				mu.Lock()
				if first != nil || next == len(all) {
					mu.Unlock()
					return
				}
				d := all[next]
				next++
				mu.Unlock()
				if err := f(d); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
				}
			}
		})
	}
	work.Wait()
	return first
}

// due lets a timer happen. A panic is a fault of the instance, as in a handler of a message.
func (m *Machine[S]) due(ctx context.Context, tx *box.Tx, d due) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	n, err := tx.Exec(ctx, "DELETE FROM saga_timer WHERE machine = ? AND id = ? AND timer = ? AND due <= ?", m.name, d.id, d.name, tx.Now().UnixMilli())
	if err != nil || n == 0 { // another process was first, or it was started anew
		return err
	}
	e := m.eventNamed(d.name)
	if e == nil {
		return nil // of an older program
	}
	return m.within(ctx, tx, d.id, "timer "+d.name, func(ctx context.Context) error { return m.happen(ctx, tx, e, d.id, Due{}) })
}

// postpone starts a timer anew that is due.
func (m *Machine[S]) postpone(ctx context.Context, b *box.Box, d due) error {
	now := b.Now()
	_, err := b.Store().Exec(ctx, "UPDATE saga_timer SET due = ? WHERE machine = ? AND id = ? AND timer = ? AND due <= ?",
		now.Add(lookAgain).UnixMilli(), m.name, d.id, d.name, now.UnixMilli())
	return err
}

// resend sends commands without an answer again.
func (m *Machine[S]) resend(ctx context.Context, b *box.Box) (int, error) {
	all, err := list(ctx, b, fmt.Sprintf("SELECT id, command FROM saga_command WHERE machine = ? AND status = 'open' AND next <= ? ORDER BY next LIMIT %d", most),
		m.name, b.Now().UnixMilli())
	if err != nil || len(all) == 0 {
		return 0, err
	}
	if err := m.resendAll(ctx, b, all); err == nil || ctx.Err() != nil {
		return len(all), err
	}
	for _, d := range all { // one that fails must not hold up the others
		err := m.resendAll(ctx, b, []due{d})
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		b.Logger().WarnContext(ctx, "saga: command comes again later", "machine", m.name, "instance", d.id, "command", d.name, "error", err)
		now := b.Now()
		if _, err := b.Store().Exec(ctx, "UPDATE saga_command SET next = ? WHERE machine = ? AND id = ? AND command = ? AND next <= ?",
			now.Add(m.MaximumResend).UnixMilli(), m.name, d.id, d.name, now.UnixMilli()); err != nil { // the database is away
			return 0, fmt.Errorf("command %s of %s: %w", d.name, d.id, err)
		}
	}
	return len(all), nil
}

// resendAll sends commands again in one transaction.
func (m *Machine[S]) resendAll(ctx context.Context, b *box.Box, all []due) error {
	return b.Tx(ctx, func(tx *box.Tx) error {
		for _, d := range all {
			if err := m.again(ctx, tx, d); err != nil {
				return fmt.Errorf("command %s of %s: %w", d.name, d.id, err)
			}
		}
		return nil
	})
}

func (m *Machine[S]) again(ctx context.Context, tx *box.Tx, d due) error {
	rows, err := tx.Query(ctx, "SELECT body, attempt FROM saga_command WHERE machine = ? AND id = ? AND command = ? AND status = 'open' AND next <= ?",
		m.name, d.id, d.name, tx.Now().UnixMilli())
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() { // answered meanwhile, or sent by another process
		return rows.Err()
	}
	if err := rows.Scan(&d.body, &d.attempt); err != nil {
		return err
	}
	if err := rows.Close(); err != nil { // a conflict may come after the row
		return err
	}
	pause := m.MaximumResend
	if d.attempt < 16 {
		pause = min(m.Resend<<d.attempt, m.MaximumResend)
	}
	if _, err := tx.Exec(ctx, "UPDATE saga_command SET attempt = attempt + 1, next = ? WHERE machine = ? AND id = ? AND command = ?",
		tx.Now().Add(pause).UnixMilli(), m.name, d.id, d.name); err != nil {
		return err
	}
	tx.AfterCommit(func() { m.counts.resent.Add(1) })
	return m.within(ctx, tx, d.id, "resend "+d.name, func(ctx context.Context) error {
		tx.Logger().InfoContext(ctx, "saga: command had no answer, so send it again", "machine", m.name, "instance", d.id, "command", d.name, "attempt", d.attempt+1)
		return tx.Send(ctx, rawLetter{d.name, d.id, d.body})
	})
}

// rawLetter is a letter that was built before.
type rawLetter struct {
	topic, key string
	body       []byte
}

func (r rawLetter) Topic() string                { return r.topic }
func (r rawLetter) Key() string                  { return r.key }
func (r rawLetter) MarshalJSON() ([]byte, error) { return r.body, nil }
