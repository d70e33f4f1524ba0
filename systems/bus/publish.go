package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Settle is how long after Publish a message can still be lost when the machine stops, and so how long its sender has to be able to
// publish it again, under the same id. It is 0 where Config.SyncInterval says what may be lost, and for a server elsewhere, which
// has settings of its own.
func (b *Bus) Settle() time.Duration { return b.config.settle }

// Publish puts messages on the bus, in their order, and returns when all of them are kept as [Config] says. While the server is
// away or full it waits, until ctx ends or the bus is closed; then it does not know whether they are kept, so publish them again
// under the same ids. Any other error is one of a message that no other try would cure. A topic that no queue wants is
// forgotten at once.
func (b *Bus) Publish(ctx context.Context, messages ...*Message) error {
	for _, m := range messages {
		if err := m.Check(); err != nil {
			return fmt.Errorf("bus: publish: %w", err)
		}
	}
	if b.ctx.Err() != nil {
		return fmt.Errorf("bus: publish: %w", ErrClosed)
	}
	if err := b.again(ctx, func(ctx context.Context) error {
		rest, err := b.publish(ctx, messages)
		messages = rest
		return err
	}); err != nil {
		return fmt.Errorf("bus: publish: %w", err)
	}
	return nil
}

// publish sends all messages and then waits for their acknowledgements. It returns those that are not acknowledged from the first
// one on: later ones that arrived nevertheless are doubles the next time.
func (b *Bus) publish(ctx context.Context, messages []*Message) ([]*Message, error) {
	if len(messages) == 1 { // nothing to overlap
		_, err := b.js.PublishMsg(ctx, messages[0].wire(b.subject(messages[0].Topic)), jetstream.WithRetryAttempts(0))
		return messages, err
	}
	acks := make([]jetstream.PubAckFuture, 0, len(messages))
	var sendErr error
	for _, m := range messages {
		ack, err := b.js.PublishMsgAsync(m.wire(b.subject(m.Topic)), jetstream.WithRetryAttempts(0))
		if err != nil {
			sendErr = err
			break
		}
		acks = append(acks, ack)
	}
	for i, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return messages[i:], err
		case <-ctx.Done():
			return messages[i:], ctx.Err()
		}
	}
	return messages[len(acks):], sendErr
}
