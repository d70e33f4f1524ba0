package box

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/hubbub-go/hubbub/systems/bus"
)

// known returns whether the inbox has the message, and the answer that was given.
func (t *Tx) known(ctx context.Context, topic, key string) (bool, []byte, error) {
	var kept []byte
	err := t.QueryRow(ctx, "SELECT answer FROM inbox WHERE topic = ? AND key = ?", topic, key).Scan(&kept)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil, nil
	}
	if err != nil {
		return false, nil, fmt.Errorf("inbox: %w", err)
	}
	return true, kept, nil
}

// remember puts the message into the inbox.
func (t *Tx) remember(ctx context.Context, topic, key string, a *answers) error {
	kept, err := a.encode()
	if err != nil {
		return fmt.Errorf("inbox: %w", err)
	}
	if _, err := t.Exec(ctx, "INSERT INTO inbox (topic, key, at, answer) VALUES (?, ?, ?, ?)", topic, key, t.box.millis(), kept); err != nil {
		return fmt.Errorf("inbox: %w", err)
	}
	return nil
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
func (c *consumer) one(ctx context.Context, tx *Tx, d *bus.Delivery) (outcome, error) {
	h, found := c.handlers.byTopic[d.Topic]
	if !found {
		return outcome{bury: "no handler of the topic"}, nil
	}
	double, kept, err := tx.known(ctx, d.Topic, d.Key)
	if err != nil {
		return outcome{}, err
	}
	if double {
		c.box.counts.doubles.Add(1)
		c.box.config.Logger.DebugContext(ctx, "box: double", "topic", d.Topic, "key", d.Key)
		tx.mark(ctx, "double")
		return outcome{}, tx.repeat(ctx, d.Key, kept)
	}
	if h.command {
		tx.kept = &answers{key: d.Key}
		defer func() { tx.kept = nil }()
	}
	if _, err := tx.Exec(ctx, "SAVEPOINT message"); err != nil {
		return outcome{}, err
	}
	sent, then := len(tx.sent), len(tx.then)
	err = call(ctx, h, tx, d.Body)
	o := outcome{}
	refusal, refused := errors.AsType[*Refusal](err)
	if err != nil {
		if o, err = c.judge(ctx, h, d, err); err != nil {
			return outcome{}, err
		}
		if _, err := tx.Exec(ctx, "ROLLBACK TO SAVEPOINT message"); err != nil {
			return outcome{}, err
		}
		tx.sent, tx.then = tx.sent[:sent], tx.then[:then]
		if tx.kept != nil {
			tx.kept.list = nil
		}
	}
	if _, err := tx.Exec(ctx, "RELEASE SAVEPOINT message"); err != nil || o != (outcome{}) {
		return o, err
	}
	if refused {
		c.box.counts.refused.Add(1)
		tx.mark(ctx, "refused", attribute.String("exception.type", refusal.Kind), attribute.String("exception.message", refusal.Text))
		if err := tx.Send(ctx, c.fault(d, refusal, true)); err != nil {
			return outcome{}, err
		}
	}
	return outcome{}, tx.remember(ctx, d.Topic, d.Key, tx.kept)
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
		c.box.counts.early.Add(1)
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
