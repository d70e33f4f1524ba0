package hubbub

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// Backplane carries bytes between the nodes that share hubs. It knows channels, not hubs, groups or frames; an engine such as
// Redis or NATS is about a hundred lines behind it, and package backplane/backplanetest is the suite it must pass. All methods
// are safe for concurrent use.
type Backplane interface {
	// Publish hands data to every subscription of channel on every node, this one included. It may wait for the engine, but not
	// for subscribers. What one node publishes on one channel arrives in that order. Nobody there is no error. It does not keep data.
	Publish(ctx context.Context, channel string, data []byte) error
	// Subscribe calls receive, one call at a time, for everything published on channel after it has returned, until cancel is
	// called. receive must not block for long and must not keep data. cancel may return while a last call runs; calling it twice
	// does nothing.
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

type local struct {
	mu     sync.Mutex
	closed bool
	subs   map[string][]*localSub
}

// localSub is one subscription: an unbounded queue that one goroutine at a time empties, so that Publish never waits.
type localSub struct {
	receive func([]byte)

	mu      sync.Mutex
	queue   [][]byte
	running bool
	ended   bool
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
		s.add(data)
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
	b.subs[channel] = append(slices.Clip(b.subs[channel]), s)
	return func() { b.cancel(channel, s) }, nil
}

func (b *local) cancel(channel string, s *localSub) {
	s.mu.Lock()
	s.ended, s.queue = true, nil
	s.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	subs := slices.DeleteFunc(slices.Clone(b.subs[channel]), func(x *localSub) bool { return x == s })
	if len(subs) == 0 {
		delete(b.subs, channel)
	} else {
		b.subs[channel] = subs
	}
}

func (b *local) Close() error {
	b.mu.Lock()
	subs := b.subs
	b.closed, b.subs = true, nil
	b.mu.Unlock()
	for _, list := range subs {
		for _, s := range list {
			s.mu.Lock()
			s.ended, s.queue = true, nil
			s.mu.Unlock()
		}
	}
	return nil
}

func (s *localSub) add(data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.queue = append(s.queue, data)
	if !s.running {
		s.running = true
		go s.run()
	}
}

func (s *localSub) run() {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 || s.ended {
			s.running = false
			s.mu.Unlock()
			return
		}
		batch := s.queue
		s.queue = nil
		s.mu.Unlock()
		for _, data := range batch {
			s.receive(data)
		}
	}
}
