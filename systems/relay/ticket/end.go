package ticket

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	var done, drop []*job
	for _, j := range jobs {
		var err error
		switch {
		case j.ending == endFailed:
			err = e.failed(ctx, j, j.err)
		case j.ending == endReleased:
			err = e.one(ctx, j, "state = 1, node = '', claim = 0, lease = 0")
		case j.ending == endAway: // promote finds it when the lease ends
			err = e.one(ctx, j, "node = '', claim = 0, lease = ?", e.now+afterError.Milliseconds())
		case *j.ticket.KeepReceiptMinutes == 0 && !j.run.Changes():
			drop = append(drop, j)
		default:
			done = append(done, j)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := e.done(ctx, done); err != nil {
		return nil, err
	}
	if err := e.drop(ctx, drop); err != nil {
		return nil, err
	}
	for id, attributes := range e.objects {
		if err := q.config.Objects.Put(ctx, in, id, attributes); err != nil {
			return nil, q.away(id, fmt.Errorf("store the object %s: %w", id, err))
		}
	}
	return e.all, nil
}

// awayError says that an object that is kept elsewhere cannot be reached.
type awayError struct {
	id string
	error
}

// away makes an error of the object an [awayError], unless the object is in the database, which is away itself then.
func (q *Queue) away(id string, err error) error {
	if q.own {
		return err
	}
	return &awayError{id, err}
}

const (
	setDone   = "UPDATE ticket SET state = 3, done = ?, delete_at = ? + keep * 60000, error = '', cut = 0, lease = 0"
	setFailed = "state = 4, error = ?, done = 0, delete_at = 0, cut = 0, lease = 0"
	ours      = " WHERE state = 2 AND node = ? AND seq IN ("
)

// done stores tickets that are done. Those that change an object have it changed where they are still ours.
func (e *ends) done(ctx context.Context, jobs []*job) error {
	if len(jobs) == 0 {
		return nil
	}
	query := setDone + ours + marks(len(jobs)) + ")"
	args := append([]any{e.now, e.now, e.q.node}, seqs(jobs)...)
	if !slices.ContainsFunc(jobs, func(j *job) bool { return j.run.Changes() }) {
		for _, j := range jobs {
			e.all = append(e.all, outcome{j, endDone, nil})
		}
		_, err := e.in.Exec(ctx, query, args...)
		return err
	}
	kept, err := e.returned(ctx, query+" RETURNING seq", args)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if !kept[j.seq] {
			continue
		}
		if err := e.change(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

// returned runs a statement that returns numbers of tickets.
func (e *ends) returned(ctx context.Context, query string, args []any) (map[int64]bool, error) {
	rows, err := e.in.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := make(map[int64]bool)
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return nil, err
		}
		all[seq] = true
	}
	return all, rows.Err()
}

// drop removes tickets that are done and want no receipt.
func (e *ends) drop(ctx context.Context, jobs []*job) error {
	if len(jobs) == 0 {
		return nil
	}
	for _, j := range jobs {
		e.all = append(e.all, outcome{j, endDone, nil})
	}
	_, err := e.in.Exec(ctx, "DELETE FROM ticket"+ours+marks(len(jobs))+")", append([]any{e.q.node}, seqs(jobs)...)...)
	return err
}

func seqs(jobs []*job) []any {
	all := make([]any, len(jobs))
	for i, j := range jobs {
		all[i] = j.seq
	}
	return all
}

// one stores a run in a statement of its own.
func (e *ends) one(ctx context.Context, j *job, set string, args ...any) error {
	n, err := e.in.Exec(ctx, "UPDATE ticket SET "+set+ours+"?)", append(args, e.q.node, j.seq)...)
	if err == nil && n == 1 {
		e.all = append(e.all, outcome{j, j.ending, j.err})
	}
	return err
}

func (e *ends) failed(ctx context.Context, j *job, why error) error {
	n, err := e.in.Exec(ctx, "UPDATE ticket SET "+setFailed+ours+"?)", errorText(why), e.q.node, j.seq)
	if err == nil && n == 1 {
		e.all = append(e.all, outcome{j, endFailed, why})
	}
	return err
}

// change makes the change of a run whose ticket is stored as done; where it cannot be made, the ticket has failed.
func (e *ends) change(ctx context.Context, j *job) error {
	if !j.run.Changes() {
		e.all = append(e.all, outcome{j, endDone, nil})
		return nil
	}
	id := j.ticket.RootID
	attributes, err := e.attributes(ctx, id)
	if err == nil {
		attributes = clone(attributes)
		if err := j.run.Apply(attributes); err != nil {
			return e.undo(ctx, j, err)
		}
		if _, err := encode(attributes); err != nil {
			return e.undo(ctx, j, fmt.Errorf("update of %s: %w", id, err))
		}
	}
	if errors.Is(err, ErrNoObject) {
		return e.undo(ctx, j, err)
	}
	if err != nil {
		return e.q.away(id, fmt.Errorf("read the object %s: %w", id, err))
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

// attributes returns those of an object as the runs before have left them.
func (e *ends) attributes(ctx context.Context, id string) (map[string]any, error) {
	if attributes, changed := e.objects[id]; changed {
		return attributes, nil
	}
	return e.q.config.Objects.Attributes(ctx, e.in, id)
}

// undo makes a ticket failed that was stored as done in the same transaction.
func (e *ends) undo(ctx context.Context, j *job, why error) error {
	e.all = append(e.all, outcome{j, endFailed, why})
	_, err := e.in.Exec(ctx, "UPDATE ticket SET "+setFailed+" WHERE seq = ?", errorText(why), j.seq)
	return err
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
		what := "ticket: failed"
		if o.ending == endAway {
			what = "ticket: the object could not be reached, the ticket runs again"
		}
		if o.err != nil {
			q.log.Warn(what, "ticket", o.ticket.ID, "viewModel", o.ticket.ViewModel, "rootId", o.ticket.RootID,
				"attempt", o.ticket.Attempts, "error", o.err)
		}
	}
}
