package viewmodel

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
)

// Run is one run of a view model for one object. It belongs to one goroutine.
type Run struct {
	// ViewModel is the name of the view model.
	ViewModel string
	// Object that the view model is run for, as it was when the run began. Its attributes must not be changed.
	Object Object
	// Ticket is the id of the ticket that is being run, "" without one.
	Ticket string
	// Attempt counts the runs of the ticket, this one included.
	Attempt int

	model   *model
	values  []any
	changes []func(attributes map[string]any) error
}

// Column returns the value of a column by its name without regard to case, and whether there is one: nil, bool, int64, float64,
// string, []any or map[string]any.
func (r *Run) Column(name string) (value any, found bool) {
	i := r.model.column(name)
	if i < 0 {
		return nil, false
	}
	return r.values[i], true
}

// Text returns the value of a column that must be there and be a text.
func (r *Run) Text(name string) (string, error) {
	v, found := r.Column(name)
	if !found {
		return "", fmt.Errorf("column %s: there is none", name)
	}
	text, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("column %s: got %s, want text", name, typeOf(v))
	}
	return text, nil
}

// Update changes the attributes of the object in the transaction that ends the run, if all actions succeed: change gets a copy
// of what they are then, which it may alter. Nothing of it stays if it fails, and then the run has failed. It may be called
// several times, each time with another copy, and must do nothing else. What it sets may be nil, bool, a number, string, []any
// or map[string]any.
func (r *Run) Update(change func(attributes map[string]any) error) {
	r.changes = append(r.changes, change)
}

// Changes reports whether an action wants to change the object.
func (r *Run) Changes() bool { return len(r.changes) > 0 }

// Apply makes the changes to attributes, which it alters, in the order of the calls of [Run.Update].
func (r *Run) Apply(attributes map[string]any) error {
	for _, change := range r.changes {
		if err := guard(func() error { return change(attributes) }); err != nil {
			return fmt.Errorf("update of %s: %w", r.Object.ID, err)
		}
	}
	return nil
}

// Run computes the columns and runs the actions in order, until one fails. Panics of actions are errors. It blocks for the
// actions; it ends with an error soon after ctx has ended. The caller makes the changes of [Run.Apply] afterwards.
func (s *Set) Run(ctx context.Context, r *Run) error {
	m := s.models[r.ViewModel]
	if m == nil {
		return fmt.Errorf("%w: %q", ErrNoViewModel, r.ViewModel)
	}
	if m.class != "" && m.class != r.Object.Class() {
		return fmt.Errorf("view model %s wants an object of the class %s, not %s", m.name, m.class, r.Object.ID)
	}
	r.model, r.changes, r.values = m, nil, make([]any, len(m.columns))
	self := r.Object.self()
	for i := range m.columns {
		v, err := m.columns[i].eval(ctx, self)
		if err != nil {
			return fmt.Errorf("column %s: %w", m.columns[i].name, err)
		}
		r.values[i] = v
	}
	for _, a := range m.actions {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("action %s: %w", a.name, err)
		}
		if err := guard(func() error { return a.do(ctx, r) }); err != nil {
			return fmt.Errorf("action %s: %w", a.name, err)
		}
	}
	return nil
}

// guard turns a panic into an error, with the place where it happened.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v at %s", p, place(string(debug.Stack())))
		}
	}()
	return f()
}

// place is the line of a stack that panicked: the first after that of panic itself.
func place(stack string) string {
	_, rest, found := strings.Cut(stack, "panic(")
	lines := strings.Split(rest, "\n")
	if !found || len(lines) < 4 {
		return "an unknown place"
	}
	at, _, _ := strings.Cut(strings.TrimSpace(lines[3]), " ")
	return at[strings.LastIndexByte(at, '/')+1:]
}

// typeOf is what JSON calls the type of a value.
func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a bool"
	case int64, float64:
		return "a number"
	case string:
		return "text"
	case []any:
		return "a list"
	}
	return "an object"
}
