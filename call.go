package hubbub

import (
	"context"
	"sync"
	"time"
)

// call is one call of a method from its message to its completion. It is also the context of the method, so that a call
// without deadline or cancellation needs no other allocation.
type call struct {
	link    *Link
	in      *Invocation
	m       *method
	caller  Caller
	uploads []*upload
	size    int
	plain   bool // takes one of the permits
	event   func(context.Context)
	answer  Completion // in the same allocation

	connecting bool // it is OnConnected
	skipped    bool // was cancelled while it waited for a permit; guarded by link.mu until it starts
	released   bool // has given its permit back early; guarded by link.mu
	over       bool // has ended, with its permit given back; guarded by link.mu

	mu   sync.Mutex
	done chan struct{}
	err  error
	stop func() bool
}

type callKey struct{}

func (l *Link) newCall(in *Invocation, m *method, size int) *call {
	c := &call{link: l, in: in, m: m, size: size}
	c.caller = Caller{link: l, user: l.user.Load()}
	return c
}

// Deadline implements context.Context: a call has none.
func (c *call) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context: it is closed when the client cancels the call and when the connection ends.
func (c *call) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		} else {
			c.stop = context.AfterFunc(c.link.ctx, c.cancel)
		}
	}
	return c.done
}

// Err implements context.Context.
func (c *call) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	return c.link.ctx.Err()
}

// Value implements context.Context: it knows the caller and the user.
func (c *call) Value(key any) any {
	switch key.(type) {
	case callerKey:
		return &c.caller
	case callKey:
		return c
	case userKey:
		return c.caller.user
	}
	return nil
}

// abandon is what CancelInvocation does: the context of the call ends, and the streams that it reads, since a method that waits
// for an item cannot watch its context.
func (c *call) abandon() {
	c.cancel()
	for _, u := range c.uploads {
		u.finish(context.Canceled)
	}
}

// cancel ends the context of the call.
func (c *call) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = context.Canceled
	if c.done != nil {
		close(c.done)
	}
}

// canceled reports whether the client cancelled the call or the connection has ended.
func (c *call) canceled() bool { return c.Err() != nil }

// close ends the context when the method has returned.
func (c *call) close() {
	c.cancel()
	if c.stop != nil {
		c.stop()
	}
}

// release gives the permit back while the method goes on, because it waits for its own client: otherwise the answer could
// stand behind a call that waits for the permit. It fails if too many calls of the connection wait like this one: a client that
// never answers must not pile them up.
func (c *call) release() error {
	l := c.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if !c.plain || c.released || c.over {
		return nil
	}
	if l.released >= l.hub.opts.MaximumStreamsPerClient {
		return Errorf("The connection has %d calls that wait for results of clients, the limit.", l.released)
	}
	c.released = true
	l.released++
	l.running--
	l.pump()
	return nil
}

// finish gives back what the call held. It needs link.mu.
func (c *call) finish() {
	l := c.link
	c.over = true
	switch {
	case !c.plain:
		l.streams--
		l.hub.count.streams.Add(-1)
	case c.released:
		l.released--
	default:
		l.running--
	}
}
