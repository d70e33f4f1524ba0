package ticket

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/hubbub-go/hubbub/systems/store"
)

// outcome is what was stored of a run.
type outcome struct {
	*job
	ending ending
	err    error
}

// ends stores what runs have come to, in one transaction or, if none changes an object, one statement after the other.
type ends struct {
	q   *Queue
	in  store.Queryer
	now int64
	all []outcome
	// objects that were read and changed, by id: several tickets of one transaction may change the same one.
	objects map[string]map[string]any
}

// end stores what runs have come to, each one unless another process has its ticket.
func (q *Queue) end(ctx context.Context, in store.Queryer, jobs []*job) ([]outcome, error) {
	e := &ends{q: q, in: in, now: millis(q.now()), objects: make(map[string]map[string]any)}
	var keep, drop []*job
	for _, j := range jobs {
		var err error
		switch {
		case j.ending == endFailed:
			err = e.failed(ctx, j, j.err)
		case j.ending == endReleased:
			err = e.one(ctx, j, "state = 1, node = '', claim = 0, lease = 0")
		case j.ending == endAway: // promote finds it when the lease ends
			err = e.one(ctx, j, "node = '', claim = 0, lease = ?", e.now+afterError.Milliseconds())
		case j.run.Changes():
			err = e.changing(ctx, j)
		case *j.ticket.KeepReceiptMinutes == 0:
			drop = append(drop, j)
		default:
			keep = append(keep, j)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := e.plain(ctx, keep, drop); err != nil {
		return nil, err
	}
	for id, attributes := range e.objects {
		if err := q.config.Objects.Put(ctx, in, id, attributes); err != nil {
			return nil, fmt.Errorf("store the object %s: %w", id, err)
		}
	}
	return e.all, nil
}

const (
	setDone = "state = 3, done = ?, delete_at = ? + keep * 60000, error = '', cut = 0, node = '', claim = 0, lease = 0"
	mine    = " WHERE state = 2 AND node = ? AND seq IN ("
)

// plain stores tickets that are done and change nothing: with a receipt, and without.
func (e *ends) plain(ctx context.Context, keep, drop []*job) error {
	if len(keep) > 0 {
		args := append([]any{e.now, e.now, e.q.node}, seqs(keep)...)
		if _, err := e.in.Exec(ctx, "UPDATE ticket SET "+setDone+mine+marks(len(keep))+")", args...); err != nil {
			return err
		}
	}
	if len(drop) > 0 {
		args := append([]any{e.q.node}, seqs(drop)...)
		if _, err := e.in.Exec(ctx, "DELETE FROM ticket"+mine+marks(len(drop))+")", args...); err != nil {
			return err
		}
	}
	for _, j := range append(keep, drop...) {
		e.all = append(e.all, outcome{j, endDone, nil})
	}
	return nil
}

func seqs(jobs []*job) []any {
	all := make([]any, len(jobs))
	for i, j := range jobs {
		all[i] = j.seq
	}
	return all
}

// update changes the ticket of a run, and reports whether it is still ours.
func (e *ends) update(ctx context.Context, j *job, set string, args ...any) (bool, error) {
	n, err := e.in.Exec(ctx, "UPDATE ticket SET "+set+mine+"?)", append(args, e.q.node, j.seq)...)
	return n == 1, err
}

func (e *ends) one(ctx context.Context, j *job, set string, args ...any) error {
	ours, err := e.update(ctx, j, set, args...)
	if err == nil && ours {
		e.all = append(e.all, outcome{j, j.ending, j.err})
	}
	return err
}

func (e *ends) failed(ctx context.Context, j *job, why error) error {
	ours, err := e.update(ctx, j, "state = 4, error = ?, cut = 0, node = '', claim = 0, lease = 0", errorText(why))
	if err == nil && ours {
		e.all = append(e.all, outcome{j, endFailed, why})
	}
	return err
}

// changing stores a ticket that changes its object, together with the change, or the failure of the change.
func (e *ends) changing(ctx context.Context, j *job) error {
	id := j.ticket.RootID
	old, read := e.objects[id]
	if !read {
		var err error
		old, err = e.q.config.Objects.Attributes(ctx, e.in, id)
		if errors.Is(err, ErrNoObject) {
			return e.failed(ctx, j, err)
		}
		if err != nil {
			return fmt.Errorf("read the object %s: %w", id, err)
		}
	}
	attributes := clone(old)
	if err := j.run.Apply(attributes); err != nil {
		return e.failed(ctx, j, err)
	}
	if _, err := encode(attributes); err != nil {
		return e.failed(ctx, j, fmt.Errorf("update of %s: %w", id, err))
	}
	ours, err := e.update(ctx, j, setDone, e.now, e.now)
	if err != nil || !ours {
		return err
	}
	if *j.ticket.KeepReceiptMinutes == 0 {
		if _, err := e.in.Exec(ctx, "DELETE FROM ticket WHERE seq = ?", j.seq); err != nil {
			return err
		}
	}
	e.objects[id] = attributes
	e.all = append(e.all, outcome{j, endDone, nil})
	return nil
}

// clone copies attributes with all that is in them.
func clone(attributes map[string]any) map[string]any {
	m := maps.Clone(attributes)
	for k, v := range m {
		m[k] = cloneValue(v)
	}
	return m
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return clone(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = cloneValue(v[i])
		}
		return list
	}
	return v
}

// errorText is what a ticket keeps of an error: valid text that every database takes, of bounded length.
func errorText(err error) string {
	s := strings.ReplaceAll(strings.ToValidUTF8(err.Error(), "\uFFFD"), "\x00", "\uFFFD")
	if s == "" {
		s = "an error without a text"
	}
	if len(s) > maxError {
		s = strings.ToValidUTF8(s[:maxError-3], "") + "…"
	}
	return s
}

// report logs and counts what was stored.
func (q *Queue) report(outcomes []outcome) {
	for _, o := range outcomes {
		q.counts.end(o)
		if o.err != nil {
			q.log.Warn("ticket: failed", "ticket", o.ticket.ID, "viewModel", o.ticket.ViewModel, "rootId", o.ticket.RootID,
				"attempt", o.ticket.Attempts, "error", o.err)
		}
	}
}
