package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// DeadLetter is a message that a queue has given up.
type DeadLetter struct {
	Message
	// Number orders dead letters and names them for [Bus.Revive] and [Bus.Discard].
	Number uint64
	// Queue that gave it up, after so many attempts, at that time and for that reason.
	Queue    string
	Attempts int
	At       time.Time
	Reason   string
}

// ErrNoDeadLetter is the error for a number that no dead letter has, or has any more.
var ErrNoDeadLetter = errors.New("there is no such dead letter")

func (b *Bus) bury(ctx context.Context, d *Delivery, reason string) error {
	m := d.wire(b.deadStream() + "." + d.Queue)
	m.Header.Set(nats.MsgIdHdr, d.Queue+" "+d.ID)
	m.Header.Set(headerKey, d.Key)
	m.Header.Set(headerID, d.ID)
	m.Header.Set(headerTopic, d.Topic)
	m.Header.Set(headerAttempts, strconv.Itoa(d.Attempt))
	m.Header.Set(headerReason, oneLine(reason))
	if err := b.again(ctx, func(ctx context.Context) error {
		_, err := b.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
		return err
	}); err != nil {
		return fmt.Errorf("bus: bury %s: %w", d.Topic, err)
	}
	b.config.Logger.Error("bus: dead letter", "queue", d.Queue, "topic", d.Topic, "key", d.Key, "attempts", d.Attempt, "reason", reason)
	return nil
}

// oneLine makes a text fit for a header.
func oneLine(s string) string {
	b := []byte(s[:min(len(s), 1000)])
	for i, c := range b {
		if c < ' ' {
			b[i] = ' '
		}
	}
	return string(b)
}

// DeadLetters returns dead letters from a number on, oldest first, at most so many. It blocks for the server.
func (b *Bus) DeadLetters(ctx context.Context, from uint64, most int) ([]*DeadLetter, error) {
	stream, err := b.js.Stream(ctx, b.deadStream())
	if err != nil {
		return nil, fmt.Errorf("bus: dead letters: %w", err)
	}
	state := stream.CachedInfo().State
	var letters []*DeadLetter
	for n := max(from, state.FirstSeq, 1); n <= state.LastSeq && len(letters) < most; n++ {
		raw, err := stream.GetMsg(ctx, n)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("bus: dead letter %d: %w", n, err)
		}
		letters = append(letters, b.letter(raw))
	}
	return letters, nil
}

func (b *Bus) letter(raw *jetstream.RawStreamMsg) *DeadLetter {
	h := raw.Header
	l := &DeadLetter{
		Message: fromWire(h.Get(headerTopic), h, raw.Data), Number: raw.Sequence, Queue: raw.Subject[len(b.deadStream())+1:],
		At: raw.Time, Reason: h.Get(headerReason),
	}
	l.ID = h.Get(headerID)
	l.Attempts, _ = strconv.Atoi(h.Get(headerAttempts))
	return l
}

// Revive publishes a dead letter again, with its topic and key and a new id, and removes it. All queues of the topic get it;
// those that have done their work with it see a double. It blocks for the server.
func (b *Bus) Revive(ctx context.Context, number uint64) error {
	stream, raw, err := b.find(ctx, number)
	if err != nil {
		return err
	}
	m := b.letter(raw).Message
	m.ID = fmt.Sprintf("revived-%d-%s", number, m.ID)
	if len(m.ID) > 200 {
		m.ID = m.ID[:200]
	}
	if err := b.Publish(ctx, &m); err != nil {
		return err
	}
	return b.remove(ctx, stream, number)
}

// Discard removes a dead letter. It blocks for the server.
func (b *Bus) Discard(ctx context.Context, number uint64) error {
	stream, _, err := b.find(ctx, number)
	if err != nil {
		return err
	}
	return b.remove(ctx, stream, number)
}

func (b *Bus) find(ctx context.Context, number uint64) (jetstream.Stream, *jetstream.RawStreamMsg, error) {
	stream, err := b.js.Stream(ctx, b.deadStream())
	if err != nil {
		return nil, nil, fmt.Errorf("bus: dead letters: %w", err)
	}
	raw, err := stream.GetMsg(ctx, number)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		err = ErrNoDeadLetter
	}
	if err != nil {
		return nil, nil, fmt.Errorf("bus: dead letter %d: %w", number, err)
	}
	return stream, raw, nil
}

func (b *Bus) remove(ctx context.Context, stream jetstream.Stream, number uint64) error {
	if err := stream.DeleteMsg(ctx, number); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("bus: remove dead letter %d: %w", number, err)
	}
	return nil
}

// QueueInfo is how much a queue has to do.
type QueueInfo struct {
	Name string
	// Waiting messages are those that no consumer has, Running those that one has had and not settled.
	Waiting, Running int
}

// Queues returns how much each queue of the bus has to do. It blocks for the server.
func (b *Bus) Queues(ctx context.Context) ([]QueueInfo, error) {
	var all []QueueInfo
	for _, q := range b.queues {
		consumer, err := b.js.Consumer(ctx, b.config.Name, q.Name)
		if err != nil {
			return nil, fmt.Errorf("bus: queue %s: %w", q.Name, err)
		}
		info := consumer.CachedInfo()
		all = append(all, QueueInfo{q.Name, int(info.NumPending), info.NumAckPending})
	}
	return all, nil
}
