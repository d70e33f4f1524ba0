package box

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/codes"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Consume handles the messages of a queue, until the box or the bus is closed. The messages of a batch share a transaction, and
// so the wait for the disk; when it fails, its halves get one each, and so on until the one to blame is alone.
func (b *Box) Consume(queue string, h *Handlers) error {
	c := &consumer{box: b, queue: queue, handlers: h, names: make(map[string]string), faulty: make(map[string]faults)}
	for _, topic := range h.Topics() {
		c.names[topic] = c.spanName(topic)
	}
	eater, err := b.config.Bus.Consume(queue, &bus.ConsumeOptions{Batch: consumeBatch}, c.handle)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.eaters = append(b.eaters, eater)
	b.mu.Unlock()
	return nil
}

// consumeBatch bounds the messages that share a transaction. It is larger than what else may share a commit, so that a queue is emptied
// while others write all they can.
const consumeBatch = 256

type consumer struct {
	box      *Box
	queue    string
	handlers *Handlers
	names    map[string]string // of spans, by topic
	faulty   map[string]faults // by topic and id; of the one goroutine that handles
}

// outcome is what becomes of a delivery after the commit; the zero one is done.
type outcome struct {
	bury    string
	early   bool
	later   time.Duration
	ignored bool // done with, and not remembered
}

func (c *consumer) handle(ctx context.Context, batch []*bus.Delivery) {
	c.box.config.Border("delivered")
	jobs := make([]job, len(batch))
	for i, d := range batch {
		jobs[i] = c.begin(ctx, d)
	}
	c.work(ctx, jobs)
	for _, j := range jobs {
		j.span.End()
	}
}

func (c *consumer) work(ctx context.Context, jobs []job) {
	careful := jobs[0].Attempt > 1
	try := func() ([]outcome, error) {
		outcomes, err := c.try(ctx, jobs, careful)
		if errors.Is(err, errUndo) {
			careful = true
			return c.try(ctx, jobs, careful)
		}
		return outcomes, err
	}
	outcomes, err := try()
	for store.IsPassing(err) && ctx.Err() == nil {
		away, back := c.away(ctx)
		if !away {
			break
		}
		if !back {
			return // not settled, they come again, here or elsewhere
		}
		outcomes, err = try()
	}
	switch {
	case err == nil:
		for i, j := range jobs {
			c.settle(j, outcomes[i])
		}
	case len(jobs) > 1: // one of them is to blame: find it
		for _, half := range [][]job{jobs[:len(jobs)/2], jobs[len(jobs)/2:]} {
			if ctx.Err() == nil {
				c.work(ctx, half)
			}
		}
	case ctx.Err() == nil:
		c.failed(jobs[0], err)
	}
}

// errUndo is the error of a transaction in which something of one message has to be undone, and there is no savepoint.
var errUndo = errors.New("a message was refused after its handler had written something")

// try handles deliveries in one transaction. Only a careful one sets savepoints: few messages are refused after something of them was
// written.
func (c *consumer) try(ctx context.Context, jobs []job, careful bool) ([]outcome, error) {
	outcomes := make([]outcome, len(jobs))
	err := c.box.Tx(ctx, func(tx *Tx) error {
		in, err := tx.inboxOf(ctx, jobs)
		if err != nil {
			return err
		}
		for i, j := range jobs {
			if outcomes[i], err = c.one(j.ctx, tx, in, j.Delivery, careful); err != nil {
				return err
			}
		}
		if err := in.remember(ctx); err != nil {
			return err
		}
		c.box.config.Border("handled")
		return nil
	})
	return outcomes, err
}

func (c *consumer) settle(j job, o outcome) {
	ctx, d := j.ctx, j.Delivery
	j.became(o)
	c.forget(d)
	var err error
	switch {
	case o.bury != "":
		c.box.counts.buried.Add(1)
		err = d.Bury(ctx, o.bury)
	case o.early:
		c.box.counts.early.Add(1)
		err = d.Retry(o.later)
	default:
		c.box.counts.handled.Add(1)
		err = d.Ack()
		c.box.config.Border("acknowledged")
	}
	if err != nil && ctx.Err() == nil { // it comes again, as a double
		c.box.config.Logger.WarnContext(ctx, "box: settle", "topic", d.Topic, "key", d.Key, "error", err)
	}
}

// failed decides what becomes of a message after a technical fault.
func (c *consumer) failed(j job, fault error) {
	ctx, d := j.ctx, j.Delivery
	j.span.SetStatus(codes.Error, fault.Error())
	pauses := c.box.config.Pauses
	n := c.note(d, fault)
	c.box.counts.failed.Add(1)
	c.box.config.Logger.WarnContext(ctx, "box: technical fault", "topic", d.Topic, "key", d.Key, "faults", n.real, "passing", n.passing, "error", fault)
	pause := passingTime
	switch {
	case n.real > len(pauses) || n.passing > mostPassing:
		err := c.giveUp(ctx, d, n, fault)
		if err == nil {
			c.forget(d)
			return
		}
		c.box.config.Logger.WarnContext(ctx, "box: cannot give it up, so try on", "topic", d.Topic, "key", d.Key, "error", err)
		if len(pauses) > 0 {
			pause = pauses[len(pauses)-1]
		}
	case !store.IsPassing(fault):
		pause = pauses[n.real-1]
	}
	if err := d.Retry(pause); err != nil {
		c.box.config.Logger.WarnContext(ctx, "box: ask again", "topic", d.Topic, "key", d.Key, "error", err)
	}
}

// giveUp puts a message away, and tells the sender of a command. It fails while the database is away, and nothing is done.
func (c *consumer) giveUp(ctx context.Context, d *bus.Delivery, n faults, fault error) error {
	if err := c.ping(ctx); err != nil {
		return err
	}
	if c.handlers.byTopic[d.Topic].command {
		if err := c.box.Tx(ctx, func(tx *Tx) error {
			return tx.Send(ctx, c.fault(d, fmt.Errorf("%s could not be done", d.Topic), false)) // the log says why
		}); err != nil {
			return err
		}
	}
	c.box.counts.buried.Add(1)
	return d.Bury(ctx, fmt.Sprintf("technical fault, %d attempts: %v", n.real+n.passing, fault))
}

func (c *consumer) fault(d *bus.Delivery, err error, final bool) fault {
	return fault{
		Message: d.Body, Exceptions: []Exception{{kindOf(err), err.Error()}}, Timestamp: c.box.Now(), Final: final, topic: d.Topic, key: d.Key,
	}
}

// counts are what the box has done since it was opened.
type counts struct{ published, handled, doubles, early, refused, failed, buried atomic.Uint64 }

// Stats are what a box has done since it was opened.
type Stats struct {
	// Published messages were taken by the bus; Handled ones were acknowledged, Doubles among them.
	Published, Handled, Doubles uint64
	// Early ones had to come again later, Refused ones were answered with a fault.
	Early, Refused uint64
	// Failed counts technical faults, each attempt; Buried the dead letters.
	Failed, Buried uint64
}

// Stats returns the counts of the box. It does not block.
func (b *Box) Stats() Stats {
	c := &b.counts
	return Stats{c.published.Load(), c.handled.Load(), c.doubles.Load(), c.early.Load(), c.refused.Load(), c.failed.Load(), c.buried.Load()}
}
