package saga

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus/box"
)

// State names a state of a machine.
type State string

//go:embed migrations/*.sql
var ownMigrations embed.FS

// Migrations returns those of the tables of machines, for [box.Migrations]. Their numbers are from 10 to 19.
func Migrations() fs.FS {
	own, err := fs.Sub(ownMigrations, "migrations")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	return own
}

// ErrConflict is the error of an event that met another one of the same instance: the transaction has to be done again.
var ErrConflict = errors.New("the instance was changed meanwhile")

// Machine is a state machine; S is what each of its instances keeps, as JSON. Declare all of it before it is used; then it is
// safe for concurrent use.
type Machine[S any] struct {
	// Resend is how long a command waits for its answer before it is sent again, the first time; each time twice as long, up to
	// MaximumResend. Defaults 5 s and 30 s.
	Resend, MaximumResend time.Duration

	name     string
	events   []*event[S] // in the order of their declaration
	commands []command[S]
	states   []State
	branches map[State]map[string]branch[S] // "" is the state of an instance that is not there
	order    map[State][]string             // of the branches, for the drawing
	final    map[State]bool
	enter    map[State][]func(ctx context.Context, c *Change[S]) error
	counts   counts
}

// event is a declared event, whatever its type is.
type event[S any] struct {
	name     string
	register func(h *box.Handlers)
	timer    time.Duration // 0: none
	answers  string        // the command that it answers
	fault    bool
}

// counts are what became of events since the program began.
type counts struct{ changed, late, double, early, orphan, resent atomic.Uint64 }

// Stats are what became of events since the program began.
type Stats struct {
	// Changed an instance; Late came in a final state; Double had happened before; Early came before its time and comes again; Orphan is for an
	// instance that is not there.
	Changed, Late, Double, Early, Orphan uint64
	// Resent commands had no answer.
	Resent uint64
}

// Stats returns the counts of the machine. It does not block.
func (m *Machine[S]) Stats() Stats {
	c := &m.counts
	return Stats{c.changed.Load(), c.late.Load(), c.double.Load(), c.early.Load(), c.orphan.Load(), c.resent.Load()}
}

// New returns a machine without states. Instances of machines of different names do not meet.
func New[S any](name string) *Machine[S] {
	return &Machine[S]{
		Resend: 5 * time.Second, MaximumResend: 30 * time.Second, name: name, branches: make(map[State]map[string]branch[S]),
		order: make(map[State][]string), final: make(map[State]bool), enter: make(map[State][]func(context.Context, *Change[S]) error),
	}
}

// Event is something that can happen to an instance: a letter that comes, or a timer that is due.
type Event[S, E any] struct {
	*event[S]
	machine *Machine[S]
}

// On declares the event that a letter of type E comes; its key is the id of the instance.
func On[E box.Letter, S any](m *Machine[S]) Event[S, E] {
	var zero E
	e := m.declare(zero.Topic())
	e.register = func(h *box.Handlers) {
		box.OnEvent(h, func(ctx context.Context, tx *box.Tx, letter E) error {
			return m.happen(ctx, tx, e, letter.Key(), letter)
		})
	}
	return Event[S, E]{e, m}
}

// AnswerTo declares the event that the answer to a command comes: the command is done, whatever the state is.
func AnswerTo[E box.Letter, S any, M box.Letter](c *Command[S, M]) Event[S, E] {
	e := On[E](c.machine)
	e.answers = c.name
	return e
}

// FaultOf declares the event that a command was not done.
func FaultOf[S any, M box.Letter](c *Command[S, M]) Event[S, box.Fault[M]] {
	e := On[box.Fault[M]](c.machine)
	e.answers, e.fault = c.name, true
	c.faultDeclared = true
	return e
}

// Due is the event of a timer.
type Due struct{}

// Timer declares a timer: it is due so long after it was scheduled.
func (m *Machine[S]) Timer(name string, after time.Duration) Event[S, Due] {
	e := m.declare(name)
	e.timer = max(after, time.Millisecond)
	return Event[S, Due]{e, m}
}

func (m *Machine[S]) declare(name string) *event[S] {
	if slices.ContainsFunc(m.events, func(e *event[S]) bool { return e.name == name }) {
		panic(fmt.Sprintf("saga: machine %s has two events %s", m.name, name))
	}
	e := &event[S]{name: name}
	m.events = append(m.events, e)
	return e
}

func (m *Machine[S]) eventNamed(name string) *event[S] {
	for _, e := range m.events {
		if e.name == name {
			return e
		}
	}
	return nil
}

// Initially says which events make an instance.
func (m *Machine[S]) Initially(branches ...Branch[S]) { m.during("", branches) }

// During says what events do in a state. It panics if the state has a branch of the event.
func (m *Machine[S]) During(s State, branches ...Branch[S]) { m.during(s, branches) }

func (m *Machine[S]) during(s State, branches []Branch[S]) {
	m.know(s)
	for _, b := range branches {
		b := b.branch()
		if _, found := m.branches[s][b.event.name]; found {
			panic(fmt.Sprintf("saga: machine %s has two branches for %s in %q", m.name, b.event.name, s))
		}
		if m.branches[s] == nil {
			m.branches[s] = make(map[string]branch[S])
		}
		m.branches[s][b.event.name] = b
		m.order[s] = append(m.order[s], b.event.name)
		for _, to := range b.to {
			m.know(to)
		}
	}
}

// Finally says which states are final: nothing changes an instance any more, its timers are gone, and its commands, except the undoing ones,
// are not sent again.
func (m *Machine[S]) Finally(states ...State) {
	for _, s := range states {
		m.know(s)
		m.final[s] = true
	}
}

// WhenEnter says what is done in the transaction that brings an instance into a state, after everything else.
func (m *Machine[S]) WhenEnter(s State, f func(ctx context.Context, c *Change[S]) error) {
	m.know(s)
	m.enter[s] = append(m.enter[s], f)
}

func (m *Machine[S]) know(s State) {
	if s != "" && !slices.Contains(m.states, s) {
		m.states = append(m.states, s)
	}
}

// Final reports whether a state is final.
func (m *Machine[S]) Final(s State) bool { return m.final[s] }
