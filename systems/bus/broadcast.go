package bus

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// heardAhead is how many messages may wait for the receivers of a process; past it they are lost.
const heardAhead = 8192

// Broadcast is what all processes of a system hear at once: nothing of it is kept, so who is away misses it, and what is said
// while the server is away is lost. It has the methods of a backplane of hubs, for systems whose nodes have no other one. All
// methods are safe for concurrent use.
type Broadcast struct {
	bus   *Bus
	heard chan *nats.Msg
	done  chan struct{}

	mu        sync.Mutex
	closed    bool
	receivers map[*nats.Subscription]func([]byte)
}

// Broadcast returns a new broadcast, whose subscriptions are its own. Close it when done; the bus does so as well.
func (b *Bus) Broadcast() *Broadcast {
	r := &Broadcast{
		bus: b, heard: make(chan *nats.Msg, heardAhead), done: make(chan struct{}), receivers: make(map[*nats.Subscription]func([]byte)),
	}
	go r.run()
	return r
}

// External reports whether the server is elsewhere, so that other processes may use it too.
func (b *Bus) External() bool { return b.server == nil }

// Publish says data on a channel, a text of any form, to its subscribers in all processes, this one included. It does not wait for
// them, and hardly for the server: it fails while that is away. What one process publishes arrives in its order, on whatever
// channels. It does not keep data, of which there may be [MaximumBody] bytes.
func (r *Broadcast) Publish(_ context.Context, channel string, data []byte) error {
	if r.ended() {
		return fmt.Errorf("bus: broadcast: %w", ErrClosed)
	}
	err := r.bus.conn.Publish(r.bus.channelSubject(channel), data)
	if errors.Is(err, nats.ErrReconnectBufExceeded) {
		err = nats.ErrDisconnected
	}
	if err != nil {
		return fmt.Errorf("bus: broadcast: %w", err)
	}
	return nil
}

// Subscribe has receive called, one call at a time for all channels of the broadcast, with what is said on the channel from now on
// until cancel is called. It blocks until the server knows of it, 2 s at most; a server that is away learns of it when it
// is back. receive must not block for long and must not keep data.
func (r *Broadcast) Subscribe(ctx context.Context, channel string, receive func(data []byte)) (cancel func(), err error) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, fmt.Errorf("bus: broadcast: %w", ErrClosed)
	}
	s, err := r.bus.conn.ChanSubscribe(r.bus.channelSubject(channel), r.heard)
	if err != nil {
		r.mu.Unlock()
		return nil, fmt.Errorf("bus: broadcast: %w", err)
	}
	r.receivers[s] = receive
	r.mu.Unlock()
	ctx, stop := context.WithTimeout(ctx, 2*time.Second)
	defer stop()
	if err := r.bus.conn.FlushWithContext(ctx); err != nil && r.bus.conn.IsClosed() {
		return nil, fmt.Errorf("bus: broadcast: %w", err)
	}
	return func() { r.cancel(s) }, nil
}

func (r *Broadcast) cancel(s *nats.Subscription) {
	r.mu.Lock()
	_, found := r.receivers[s]
	delete(r.receivers, s)
	r.mu.Unlock()
	if found {
		r.unsubscribe(s)
	}
}

func (r *Broadcast) unsubscribe(s *nats.Subscription) {
	if err := s.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrBadSubscription) {
		r.bus.config.Logger.Debug("bus: end a subscription", "error", err)
	}
}

// Close ends all subscriptions. A receiver that runs may run on.
func (r *Broadcast) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	all := r.receivers
	r.receivers = nil
	r.mu.Unlock()
	close(r.done)
	for s := range all {
		r.unsubscribe(s)
	}
	return nil
}

func (r *Broadcast) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

func (r *Broadcast) run() {
	for {
		select {
		case m := <-r.heard:
			r.mu.Lock()
			receive := r.receivers[m.Sub]
			r.mu.Unlock()
			if receive != nil {
				receive(m.Data)
			}
		case <-r.done:
			return
		case <-r.bus.ctx.Done():
			r.Close()
			return
		}
	}
}

// channelSubject is the subject of a channel, whose name may be anything: outside of what streams keep.
func (b *Bus) channelSubject(channel string) string {
	word := base64.RawURLEncoding.EncodeToString([]byte(channel))
	if len(word) > 500 {
		sum := sha256.Sum256([]byte(channel))
		word = "long" + hex.EncodeToString(sum[:])
	}
	return b.config.Name + "-now.c" + word
}
