package saga

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hubbub-go/hubbub/systems/bus/box"
)

// Command is something that a machine can tell another service to do, once for each instance.
type Command[S any, M box.Letter] struct {
	machine *Machine[S]
	name    string
	build   func(*S) M
	undo    command[S]
	undoes  bool

	faultDeclared bool
}

// command is a Command, whatever the type of its letter is.
type command[S any] interface {
	topic() string
	letter(*S) box.Letter
	undoneBy() command[S]
	isUndo() bool
	markUndo()
	declareFault()
}

// Commands declares a command. build makes it from an instance; its key must be the instance's id.
func Commands[S any, M box.Letter](m *Machine[S], build func(*S) M) *Command[S, M] {
	var zero M
	c := &Command[S, M]{machine: m, name: zero.Topic(), build: build}
	m.commands = append(m.commands, c)
	return c
}

// UndoneBy says which command undoes this one. It must undo whether the first one was done, is still on its way (then it must
// never be done), or was done in part; and it must not be refused.
func (c *Command[S, M]) UndoneBy(undo command[S]) *Command[S, M] {
	c.undo = undo
	undo.markUndo()
	return c
}

func (c *Command[S, M]) topic() string          { return c.name }
func (c *Command[S, M]) letter(s *S) box.Letter { return c.build(s) }
func (c *Command[S, M]) undoneBy() command[S]   { return c.undo }
func (c *Command[S, M]) isUndo() bool           { return c.undoes }
func (c *Command[S, M]) markUndo()              { c.undoes = true }

// declareFault makes the machine listen to faults that no branch is about.
func (c *Command[S, M]) declareFault() {
	if !c.faultDeclared {
		FaultOf(c)
	}
}

const (
	open      = "open"
	done      = "done"
	refused   = "refused"
	withdrawn = "withdrawn"
	undone    = "undone"
)

// send puts a command into the outbox and notes that it has no answer yet.
func (c *Change[S]) send(ctx context.Context, command command[S]) error {
	letter := command.letter(&c.Data)
	if letter.Key() != c.ID {
		return fmt.Errorf("saga: command %s has key %q, want that of its instance, %q", command.topic(), letter.Key(), c.ID)
	}
	body, err := json.Marshal(letter)
	if err != nil {
		return fmt.Errorf("saga: command %s: %w", command.topic(), err)
	}
	if _, err := c.Tx.Exec(ctx, `INSERT INTO saga_command (machine, id, command, status, body, attempt, next) VALUES (?, ?, ?, 'open', ?, 1, ?)
		ON CONFLICT (machine, id, command) DO UPDATE SET status = excluded.status, body = excluded.body, attempt = 1, next = excluded.next`,
		c.machine.name, c.ID, command.topic(), body, c.Now.Add(c.machine.Resend).UnixMilli()); err != nil {
		return fmt.Errorf("saga: command %s: %w", command.topic(), err)
	}
	return c.Tx.Send(ctx, letter)
}

// answered notes that a command has its answer, and says whether that is news.
func (c *Change[S]) answered(ctx context.Context, e *event[S], final bool) (news bool, err error) {
	if e.answers == "" || e.fault && !final {
		return false, nil // after a technical fault a copy may still be done
	}
	status := done
	if e.fault {
		if c.machine.command(e.answers).isUndo() {
			return false, nil // must be done, and so is sent again
		}
		status = refused
	}
	n, err := c.Tx.Exec(ctx, "UPDATE saga_command SET status = ? WHERE machine = ? AND id = ? AND command = ? AND status = 'open'",
		status, c.machine.name, c.ID, e.answers)
	if err != nil {
		return false, fmt.Errorf("saga: answer to %s: %w", e.answers, err)
	}
	if n == 0 && !e.fault {
		return false, c.regret(ctx, c.machine.command(e.answers))
	}
	return n > 0, nil
}

// regret undoes a command that was refused and is done nevertheless, in a final state at once, else with the others: its receiver
// has forgotten that it refused, and was told again.
func (c *Change[S]) regret(ctx context.Context, command command[S]) error {
	undo, status := command.undoneBy(), done
	final := undo != nil && c.machine.final[c.State]
	if final {
		status = undone
	}
	n, err := c.Tx.Exec(ctx, "UPDATE saga_command SET status = ? WHERE machine = ? AND id = ? AND command = ? AND status = ?", status, c.machine.name, c.ID,
		command.topic(), refused)
	if err != nil {
		return fmt.Errorf("saga: answer to %s: %w", command.topic(), err)
	}
	if n == 0 || !final {
		return nil
	}
	return c.send(ctx, undo)
}

func (m *Machine[S]) command(topic string) command[S] {
	for _, c := range m.commands {
		if c.topic() == topic {
			return c
		}
	}
	panic("saga: no command " + topic) // declared ones only
}

// compensate sends the undoing commands of those that may have been done.
func (c *Change[S]) compensate(ctx context.Context) error {
	for i := len(c.machine.commands) - 1; i >= 0; i-- {
		command := c.machine.commands[i]
		if command.undoneBy() == nil {
			continue
		}
		var status string
		err := c.Tx.QueryRow(ctx, "SELECT status FROM saga_command WHERE machine = ? AND id = ? AND command = ?", c.machine.name, c.ID,
			command.topic()).Scan(&status)
		if errors.Is(err, sql.ErrNoRows) || err == nil && status != open && status != done {
			continue
		}
		if err != nil {
			return fmt.Errorf("saga: compensate %s: %w", command.topic(), err)
		}
		if _, err := c.Tx.Exec(ctx, "UPDATE saga_command SET status = ? WHERE machine = ? AND id = ? AND command = ?", undone, c.machine.name, c.ID,
			command.topic()); err != nil {
			return fmt.Errorf("saga: compensate %s: %w", command.topic(), err)
		}
		if _, sent := c.undoing[command.undoneBy().topic()]; sent {
			continue // one command may undo several
		}
		if c.undoing == nil {
			c.undoing = make(map[string]struct{})
		}
		c.undoing[command.undoneBy().topic()] = struct{}{}
		if err := c.send(ctx, command.undoneBy()); err != nil {
			return err
		}
	}
	return nil
}
