package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ConsumeOptions are those of [Bus.Consume]. Zero fields have the default of their comment.
type ConsumeOptions struct {
	// Batch is the most deliveries that the handler gets at once. Default 64.
	Batch int
}

// Delivery is a message that has come to a consumer. Settle it once with Ack, Retry or Bury before the handler returns; one
// that is not settled comes again after a second. Its methods do not wait for the server, except Bury: an acknowledgement that
// is lost on the way means that the message comes again. It belongs to the handler and is not safe for concurrent use.
type Delivery struct {
	Message
	// Attempt is 1 for the first delivery, and grows with each one.
	Attempt int
	// Queue it came by.
	Queue string

	bus     *Bus
	msg     jetstream.Msg
	settled bool
}

// Ack says that the message is done with.
func (d *Delivery) Ack() error { return d.settle(d.msg.Ack) }

// Retry asks for the message again, after the delay.
func (d *Delivery) Retry(delay time.Duration) error {
	return d.settle(func() error { return d.msg.NakWithDelay(max(delay, time.Millisecond)) })
}

// Bury puts the message away as a dead letter, with the reason for those who look at it (see [Bus.DeadLetters]), and does not
// ask for it again. It blocks until the dead letter is kept; if it cannot be before ctx ends, the message comes again.
func (d *Delivery) Bury(ctx context.Context, reason string) error {
	if d.settled {
		return nil
	}
	if err := d.bus.bury(ctx, d, reason); err != nil {
		return err
	}
	return d.settle(d.msg.Term)
}

func (d *Delivery) settle(f func() error) error {
	if d.settled {
		return nil
	}
	d.settled = true
	if err := f(); err != nil {
		return fmt.Errorf("bus: settle %s: %w", d.Topic, err)
	}
	return nil
}

// Consumer is one of those who empty a queue.
type Consumer struct {
	stop context.CancelFunc
	done chan struct{}
}

// Stop ends the deliveries and waits until a running handler has returned; its context ends at once.
func (c *Consumer) Stop() {
	c.stop()
	<-c.done
}

// Consume gives the messages of a declared queue to the handler, one batch after the other, oldest first: as many as are there,
// at most as many as the options say. Several consumers of a queue, in one process or in many, share its messages. It returns at
// once; the consumer works until it is stopped or the bus is closed, and waits for a server that is away. Options may be nil.
func (b *Bus) Consume(queue string, o *ConsumeOptions, handle func(ctx context.Context, batch []*Delivery)) (*Consumer, error) {
	if b.ctx.Err() != nil {
		return nil, fmt.Errorf("bus: consume %s: %w", queue, ErrClosed)
	}
	for _, q := range b.queues {
		if q.Name == queue {
			w := &worker{bus: b, queue: q, batch: 64, handle: handle}
			if o != nil && o.Batch > 0 {
				w.batch = o.Batch
			}
			ctx, stop := context.WithCancel(b.ctx)
			c := &Consumer{stop, make(chan struct{})}
			b.work.Go(func() {
				defer close(c.done)
				defer stop()
				w.run(ctx)
			})
			return c, nil
		}
	}
	return nil, fmt.Errorf("bus: consume %s: the queue was not declared by Open", queue)
}

// worker is the loop of one consumer.
type worker struct {
	bus    *Bus
	queue  Queue
	batch  int
	handle func(ctx context.Context, batch []*Delivery)
}

// run pulls messages, and begins anew when the server has forgotten the queue.
func (w *worker) run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		begun := time.Now()
		err := w.pull(ctx)
		if ctx.Err() != nil {
			return
		}
		if !passing(err) && !errors.Is(err, jetstream.ErrConsumerDeleted) && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			w.bus.config.Logger.Warn("bus: consume", "queue", w.queue.Name, "error", err)
		}
		if time.Since(begun) > 10*time.Second {
			pause = firstPause
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
		pause = min(2*pause, lastPause)
	}
}

func (w *worker) pull(ctx context.Context) error {
	if err := w.bus.declare(ctx); err != nil {
		return err
	}
	consumer, err := w.bus.declareQueue(ctx, w.queue)
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(w.batch), jetstream.PullExpiry(10*time.Second), jetstream.PullHeartbeat(2*time.Second))
	if err != nil {
		return err
	}
	defer messages.Stop()
	come := make(chan jetstream.Msg, w.batch)
	ctx, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		for m := range come { // closed by the reader
			m.Nak()
		}
	}()
	var failed error
	go func() {
		defer close(come)
		for {
			m, err := messages.Next(jetstream.NextContext(ctx))
			if err != nil {
				failed = err
				return
			}
			select {
			case come <- m:
			case <-ctx.Done():
				m.Nak()
				return
			}
		}
	}()
	for {
		batch, more := w.gather(ctx, come)
		if len(batch) > 0 {
			w.give(ctx, batch)
		}
		if !more {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return failed
		}
	}
}

// gather waits for a message and takes those that are there with it.
func (w *worker) gather(ctx context.Context, come <-chan jetstream.Msg) (batch []*Delivery, more bool) {
	select {
	case m, ok := <-come:
		if !ok {
			return nil, false
		}
		batch = w.add(batch, m)
	case <-ctx.Done():
		return nil, false
	}
	for len(batch) < w.batch {
		select {
		case m, ok := <-come:
			if !ok {
				return batch, false
			}
			batch = w.add(batch, m)
		default:
			return batch, true
		}
	}
	return batch, true
}

func (w *worker) add(batch []*Delivery, m jetstream.Msg) []*Delivery {
	d := &Delivery{
		Message: fromWire(strings.TrimPrefix(m.Subject(), w.bus.config.Name+"."), m.Headers(), m.Data()),
		Attempt: 1, Queue: w.queue.Name, bus: w.bus, msg: m,
	}
	if info, err := m.Metadata(); err == nil {
		d.Attempt = int(info.NumDelivered)
		if d.ID == "" { // of a foreign publisher
			d.ID = fmt.Sprintf("%s-%d", info.Stream, info.Sequence.Stream)
			d.Key = cmpText(d.Key, d.ID)
		}
	}
	return append(batch, d)
}

func cmpText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// give runs the handler, and tells the server meanwhile that the batch is still being worked on.
func (w *worker) give(ctx context.Context, batch []*Delivery) {
	msgs := make([]jetstream.Msg, len(batch))
	for i, d := range batch {
		msgs[i] = d.msg
	}
	done := make(chan struct{})
	var alive sync.WaitGroup
	alive.Go(func() {
		t := time.NewTicker(w.bus.config.AckWait / 3)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				for _, m := range msgs {
					if err := m.InProgress(); err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) && !errors.Is(err, nats.ErrDisconnected) {
						break
					}
				}
			case <-done:
				return
			}
		}
	})
	w.handle(ctx, batch)
	close(done)
	alive.Wait()
	for _, d := range batch {
		if err := d.Retry(time.Second); err != nil && w.bus.ctx.Err() == nil {
			w.bus.config.Logger.Debug("bus: ask again", "queue", w.queue.Name, "error", err)
		}
	}
}
