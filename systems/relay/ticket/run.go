package ticket

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
)

// execute runs the view model of a ticket for its object.
func (q *Queue) execute(ctx context.Context, j *job) {
	begun := time.Now()
	defer func() {
		if p := recover(); p != nil { // of objects that are not ours; actions are guarded
			j.ending, j.err = endFailed, fmt.Errorf("panic: %v", p)
		}
		j.took = time.Since(begun)
	}()
	t := &j.ticket
	if !q.models.Has(t.ViewModel) {
		j.fail(fmt.Errorf("%w: %q", viewmodel.ErrNoViewModel, clip(t.ViewModel)))
		return
	}
	if CheckID(t.RootID) != nil {
		j.fail(fmt.Errorf("invalid RootId %q: want class|id or a GUID", clip(t.RootID)))
		return
	}
	attributes, err := q.config.Objects.Attributes(ctx, q.store, t.RootID)
	switch {
	case err == nil:
	case errors.Is(err, ErrNoObject):
		j.fail(err)
		return
	case ctx.Err() != nil:
		j.ending = endReleased
		return
	default:
		j.ending, j.err = endAway, fmt.Errorf("read the object %s: %w", t.RootID, err)
		return
	}
	j.run = viewmodel.Run{ViewModel: t.ViewModel, Object: viewmodel.Object{ID: t.RootID, Attributes: attributes}, Ticket: t.ID,
		Attempt: t.Attempts}
	if err := q.models.Run(ctx, &j.run); err != nil {
		if ctx.Err() != nil {
			j.ending = endReleased
			return
		}
		j.fail(err)
	}
}

func (j *job) fail(err error) { j.ending, j.err = endFailed, err }
