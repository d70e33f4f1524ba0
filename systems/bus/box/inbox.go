package box

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/hubbub-go/hubbub/systems/bus"
)

// mark names a message in the inbox.
type mark struct{ topic, key string }

// inbox is what a transaction knows of the inbox: the messages that it is about.
type inbox struct {
	tx     *Tx
	answer map[mark][]byte // of those that were handled, in this transaction too
	fresh  []mark          // handled in this transaction
}

// inboxOf looks deliveries up.
func (t *Tx) inboxOf(ctx context.Context, jobs []job) (*inbox, error) {
	in := &inbox{tx: t, answer: make(map[mark][]byte, len(jobs))}
	args := make([]any, 0, 2*len(jobs))
	for _, j := range jobs {
		args = append(args, j.Topic, j.Key)
	}
	for rest := args; len(rest) > 0; {
		n := 2 * chunk(len(rest)/2)
		if err := in.load(ctx, rest[:n]); err != nil {
			return nil, fmt.Errorf("inbox: %w", err)
		}
		rest = rest[n:]
	}
	return in, nil
}

func (in *inbox) load(ctx context.Context, args []any) error {
	// As a join it goes by the index; (topic, key) IN (VALUES …) reads the whole table on SQLite.
	rows, err := in.tx.Query(ctx, "WITH wanted (topic, key) AS (VALUES "+tuples(len(args)/2, 2)+
		") SELECT inbox.topic, inbox.key, inbox.answer FROM wanted JOIN inbox ON inbox.topic = wanted.topic AND inbox.key = wanted.key", args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var m mark
		var answer []byte
		if err := rows.Scan(&m.topic, &m.key, &answer); err != nil {
			return err
		}
		in.answer[m] = answer
	}
	return rows.Err()
}

// add notes that a message was handled, and how it was answered.
func (in *inbox) add(d *bus.Delivery, a *answers) error {
	kept, err := a.encode()
	if err != nil {
		return fmt.Errorf("inbox: %w", err)
	}
	m := mark{d.Topic, d.Key}
	in.answer[m] = kept
	in.fresh = append(in.fresh, m)
	return nil
}

// remember writes what was added.
func (in *inbox) remember(ctx context.Context) error {
	now := in.tx.box.millis()
	args := make([]any, 0, 4*len(in.fresh))
	for _, m := range in.fresh {
		args = append(args, m.topic, m.key, now, in.answer[m])
	}
	for rest := args; len(rest) > 0; {
		n := 4 * chunk(len(rest)/4)
		if _, err := in.tx.Exec(ctx, "INSERT INTO inbox (topic, key, at, answer) VALUES "+tuples(n/4, 4), rest[:n]...); err != nil {
			return fmt.Errorf("inbox: %w", err)
		}
		rest = rest[n:]
	}
	return nil
}

// chunk is how many of n rows go into one statement: one of few sizes, so that the statements are few.
func chunk(n int) int {
	for _, size := range []int{64, 16, 4} {
		if n >= size {
			return size
		}
	}
	return 1
}

// tuples returns the question marks of n rows.
func tuples(n, columns int) string {
	one := "(" + strings.Repeat("?, ", columns-1) + "?)"
	return strings.Repeat(one+", ", n-1) + one
}

// Forget removes from the inbox what is older than Config.Keep. The box does so by itself once an hour.
func (b *Box) Forget(ctx context.Context) error {
	if _, err := b.config.Store.Exec(ctx, "DELETE FROM inbox WHERE at < ?", b.millis()-b.config.Keep.Milliseconds()); err != nil {
		return fmt.Errorf("box: forget: %w", err)
	}
	return nil
}

// one handles one message in a transaction that others may share: what is refused leaves nothing but its inbox row and the
// fault. An error means that the whole transaction is lost.
func (c *consumer) one(ctx context.Context, tx *Tx, in *inbox, d *bus.Delivery, careful bool) (outcome, error) {
	h, found := c.handlers.byTopic[d.Topic]
	if !found {
		return outcome{bury: "no handler of the topic"}, nil
	}
	if kept, double := in.answer[mark{d.Topic, d.Key}]; double {
		tx.AfterCommit(func() { c.box.counts.doubles.Add(1) })
		c.box.config.Logger.DebugContext(ctx, "box: double", "topic", d.Topic, "key", d.Key)
		tx.mark(ctx, "double")
		return outcome{}, tx.repeat(ctx, d.Key, kept)
	}
	if h.command {
		tx.kept = &answers{key: d.Key}
		defer func() { tx.kept = nil }()
	}
	if careful {
		if _, err := tx.Exec(ctx, "SAVEPOINT message"); err != nil {
			return outcome{}, err
		}
	}
	sent, then, writes := len(tx.sent), len(tx.then), tx.Writes()
	err := call(ctx, h, tx, d.Body)
	o := outcome{}
	refusal, refused := errors.AsType[*Refusal](err)
	if err != nil {
		if o, err = c.judge(ctx, h, d, err); err != nil {
			return outcome{}, err
		}
		switch {
		case careful:
			if _, err := tx.Exec(ctx, "ROLLBACK TO SAVEPOINT message"); err != nil {
				return outcome{}, err
			}
		case tx.Writes() > writes:
			return outcome{}, errUndo
		}
		tx.sent, tx.then = tx.sent[:sent], tx.then[:then]
		if tx.kept != nil {
			tx.kept.list = nil
		}
	}
	if careful {
		if _, err := tx.Exec(ctx, "RELEASE SAVEPOINT message"); err != nil {
			return outcome{}, err
		}
	}
	if o != (outcome{}) {
		return o, nil
	}
	if refused {
		tx.AfterCommit(func() { c.box.counts.refused.Add(1) })
		tx.mark(ctx, "refused", attribute.String("exception.type", refusal.Kind), attribute.String("exception.message", refusal.Text))
		if err := tx.Send(ctx, c.fault(d, refusal, true)); err != nil {
			return outcome{}, err
		}
	}
	return outcome{}, in.add(d, tx.kept)
}

// judge says what an error of a handler makes of a message: the zero outcome is to be remembered. It returns err if it is a
// technical fault.
func (c *consumer) judge(ctx context.Context, h handler, d *bus.Delivery, err error) (outcome, error) {
	refusal, refused := errors.AsType[*Refusal](err)
	later, early := errors.AsType[*Later](err)
	bad, malformed := errors.AsType[*badBody](err)
	switch {
	case errors.Is(err, ErrIgnored):
		return outcome{ignored: true}, nil
	case malformed:
		return outcome{bury: bad.Error()}, nil
	case early && d.Attempt >= mostLater:
		return outcome{bury: fmt.Sprintf("too early, %d times: %s", d.Attempt, later.Why)}, nil
	case early:
		c.box.config.Logger.InfoContext(ctx, "box: too early", "topic", d.Topic, "key", d.Key, "attempt", d.Attempt, "why", later.Why)
		return outcome{early: true, later: cmpDuration(later.Pause, 200*time.Millisecond)}, nil
	case refused && !h.command:
		return outcome{bury: refusal.Error()}, nil
	case refused:
		return outcome{}, nil
	}
	return outcome{}, err
}

// call runs the handler; a panic is a technical fault of this message.
func call(ctx context.Context, h handler, tx *Tx, body []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return h.do(ctx, tx, body)
}

func cmpDuration(a, b time.Duration) time.Duration {
	if a > 0 {
		return a
	}
	return b
}
