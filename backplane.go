package hubbub

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// Backplane carries bytes between the nodes that share hubs. It knows channels, not hubs, groups or frames; an engine such as
// Redis or NATS is about a hundred lines behind it, and package backplane/backplanetest is the suite it must pass. All methods
// are safe for concurrent use.
type Backplane interface {
	// Publish hands data to every subscription of channel on every node, this one included. It may wait for the engine, but not
	// for subscribers. Of two calls of which the second began when the first had returned, whatever their channels, the first
	// arrives first wherever both arrive: the order that package documentation promises to senders rests on that. Nobody there is
	// no error. It does not keep data.
	Publish(ctx context.Context, channel string, data []byte) error
	// Subscribe calls receive, one call at a time for all channels of the node, for everything published on channel after it has
	// returned, until cancel is called. receive must not block for long, must not keep data, and may call Publish. cancel may
	// return while a last call runs; calling it twice does nothing, as does calling it after Close.
	Subscribe(ctx context.Context, channel string, receive func(data []byte)) (cancel func(), err error)
	// Close ends all subscriptions. Publish and Subscribe fail after it.
	Close() error
}

// NewLocal returns a [Backplane] for hubs of one process: every hub that is given the same one is a node of its own. It is
// the default to test against and has no engine behind it.
func NewLocal() Backplane {
	return &local{subs: make(map[string][]*localSub)}
}

var errLocalClosed = errors.New("backplane is closed")

// local has one unbounded queue, which one goroutine at a time empties: Publish never waits, and messages of different channels
// do not overtake each other.
type local struct {
	mu      sync.Mutex
	closed  bool
	subs    map[string][]*localSub
	queue   []localMessage
	running bool
}

// localSub is one subscription.
type localSub struct {
	receive func([]byte)
	ended   atomic.Bool
}

// localMessage is one message on its way to one subscription.
type localMessage struct {
	to   *localSub
	data []byte
}

func (b *local) Publish(_ context.Context, channel string, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errLocalClosed
	}
	subs := b.subs[channel]
	if len(subs) == 0 {
		return nil
	}
	data = slices.Clone(data)
	for _, s := range subs {
		b.queue = append(b.queue, localMessage{s, data})
	}
	if !b.running {
		b.running = true
		go b.run()
	}
	return nil
}

func (b *local) Subscribe(_ context.Context, channel string, receive func([]byte)) (func(), error) {
	s := &localSub{receive: receive}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, errLocalClosed
	}
	b.subs[channel] = append(b.subs[channel], s)
	return func() { b.cancel(channel, s) }, nil
}

func (b *local) cancel(channel string, s *localSub) {
	s.ended.Store(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	subs := slices.DeleteFunc(b.subs[channel], func(x *localSub) bool { return x == s })
	if len(subs) > 0 {
		b.subs[channel] = subs
	} else {
		delete(b.subs, channel)
	}
}

func (b *local) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, list := range b.subs {
		for _, s := range list {
			s.ended.Store(true)
		}
	}
	b.closed, b.subs, b.queue = true, nil, nil
	return nil
}

// run empties the queue.
func (b *local) run() {
	for {
		b.mu.Lock()
		batch := b.queue
		b.queue = nil
		if len(batch) == 0 {
			b.running = false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		for _, m := range batch {
			if !m.to.ended.Load() {
				m.to.receive(m.data)
			}
		}
	}
}
