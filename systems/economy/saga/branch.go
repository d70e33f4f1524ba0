package saga

import (
	"context"
	"errors"
	"slices"

	"github.com/hubbub-go/hubbub/systems/bus/box"
)

// Branch is what an event does in a state: see [When].
type Branch[S any] interface{ branch() branch[S] }

// branch is a Branch, whatever the type of its event is.
type branch[S any] struct {
	event *event[S]
	to    []State
	label []string // for the drawing
	run   func(ctx context.Context, c *Change[S], e any) error
}

// Steps is a branch that is being said: its steps run in their order.
type Steps[S, E any] struct {
	event   *event[S]
	steps   []func(ctx context.Context, c *Change[S], e E) error
	to      []State
	label   []string
	refused func(ctx context.Context, c *Change[S], r *box.Refusal) error
}

// When begins a branch: when this happens, the steps are done.
func When[S, E any](e Event[S, E]) *Steps[S, E] { return &Steps[S, E]{event: e.event} }

// Then does something. An error of f, other than a [box.Refusal] for which there is OnRefusal, means that nothing of the event
// has happened; it comes again.
func (w *Steps[S, E]) Then(f func(ctx context.Context, c *Change[S], e E) error) *Steps[S, E] {
	w.steps = append(w.steps, f)
	return w
}

// Send sends a command that the machine declared, built from the instance as the steps before have left it.
func (w *Steps[S, E]) Send(commands ...command[S]) *Steps[S, E] {
	for _, command := range commands {
		w.label = append(w.label, "send "+command.topic())
		w.steps = append(w.steps, func(ctx context.Context, c *Change[S], _ E) error { return c.send(ctx, command) })
	}
	return w
}

// Schedule starts a timer of the machine for the instance, or starts it anew. The timers of an instance end with a final state.
func (w *Steps[S, E]) Schedule(timer Event[S, Due]) *Steps[S, E] {
	w.label = append(w.label, "start "+timer.name)
	w.steps = append(w.steps, func(ctx context.Context, c *Change[S], _ E) error { return c.schedule(ctx, timer.event) })
	return w
}

// Compensate sends the undoing commands of all that was done, or may have been, last first. What was refused for good was not
// done.
func (w *Steps[S, E]) Compensate() *Steps[S, E] {
	w.label = append(w.label, "compensate")
	w.steps = append(w.steps, func(ctx context.Context, c *Change[S], _ E) error { return c.compensate(ctx) })
	return w
}

// TransitionTo brings the instance into another state.
func (w *Steps[S, E]) TransitionTo(s State) *Steps[S, E] {
	w.to = append(w.to, s)
	w.steps = append(w.steps, func(_ context.Context, c *Change[S], _ E) error {
		c.To = s
		return nil
	})
	return w
}

// OnRefusal says where the instance goes when a step refuses, after f has noted why. Later steps are left out.
func (w *Steps[S, E]) OnRefusal(f func(ctx context.Context, c *Change[S], r *box.Refusal) error, to State) *Steps[S, E] {
	w.to = append(w.to, to)
	w.refused = func(ctx context.Context, c *Change[S], r *box.Refusal) error {
		c.To = to
		return f(ctx, c, r)
	}
	return w
}

func (w *Steps[S, E]) branch() branch[S] {
	steps, refused := slices.Clone(w.steps), w.refused
	return branch[S]{event: w.event, to: w.to, label: w.label, run: func(ctx context.Context, c *Change[S], e any) error {
		for _, step := range steps {
			err := step(ctx, c, e.(E))
			if r, ok := errors.AsType[*box.Refusal](err); ok && refused != nil {
				return refused(ctx, c, r)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}}
}
