package hubbub

import (
	"context"
	"sync"
)

// Caller is the connection that a hub method runs for. A nil Caller is what [CallerFrom] finds outside a call: its methods
// return zero values or [ErrNoCaller]. It is safe for concurrent use and stays valid after the call.
type Caller struct {
	link *Link
	user *User
}

type callerKey struct{}

// CallerFrom returns the caller of the hub method, OnConnected or OnDisconnected that ctx belongs to, or nil.
func CallerFrom(ctx context.Context) *Caller {
	c, _ := ctx.Value(callerKey{}).(*Caller)
	return c
}

// ID returns the connection id.
func (c *Caller) ID() string {
	if c == nil {
		return ""
	}
	return c.link.id
}

// User returns the user as it was when the call started, nil if anonymous.
func (c *Caller) User() *User {
	if c == nil {
		return nil
	}
	return c.user
}

// Hub returns the hub.
func (c *Caller) Hub() *Hub {
	if c == nil {
		return nil
	}
	return c.link.hub
}

// Request returns the request that opened the connection.
func (c *Caller) Request() *Request {
	if c == nil {
		return &Request{}
	}
	return c.link.conn.Request()
}

// Done is closed when the connection has ended. It outlives the call.
func (c *Caller) Done() <-chan struct{} {
	if c == nil {
		return nil
	}
	return c.link.ctx.Done()
}

// Send sends an invocation to the caller. See [Clients.Send].
func (c *Caller) Send(ctx context.Context, target string, args ...any) error {
	if c == nil {
		return ErrNoCaller
	}
	h := c.Hub()
	in := &Invocation{Target: target, Args: ArgsOf(args...)}
	if own, ok := ctx.Value(callKey{}).(*call); ok && own.link == c.link {
		in.State = StateFrom(ctx)
	}
	return h.sendHere(Clients{kind: toClients, names: []string{c.ID()}}, h.newFrame(in))
}

// Invoke calls a method of the caller and waits for its result. See [SingleClient.Invoke].
func (c *Caller) Invoke(ctx context.Context, result any, target string, args ...any) error {
	if c == nil {
		return ErrNoCaller
	}
	return c.Hub().invoke(ctx, c.ID(), c.link, result, target, args)
}

// Others returns all connections but the caller's.
func (c *Caller) Others() Clients {
	if c == nil {
		return Clients{kind: toNobody}
	}
	return c.Hub().All().Except(c.ID())
}

// OthersInGroup returns the members of a group but the caller.
func (c *Caller) OthersInGroup(group string) Clients {
	if c == nil {
		return Clients{kind: toNobody}
	}
	return c.Hub().Group(group).Except(c.ID())
}

// Join adds the caller to a group until the connection ends or [Caller.Leave]. Joining twice counts once.
func (c *Caller) Join(ctx context.Context, group string) error {
	if c == nil {
		return ErrNoCaller
	}
	return c.Hub().membership(ctx, c.ID(), c.link, group, true)
}

// Leave removes the caller from a group. Leaving a group one is not in is no error.
func (c *Caller) Leave(ctx context.Context, group string) error {
	if c == nil {
		return ErrNoCaller
	}
	return c.Hub().membership(ctx, c.ID(), c.link, group, false)
}

// Abort ends the connection for good: its client does not reconnect. It returns at once.
func (c *Caller) Abort() {
	if c != nil {
		c.link.conn.Close(&Close{}, nil)
	}
}

// Items are values that belong to the connection, shared by its calls.
func (c *Caller) Items() *sync.Map {
	if c == nil {
		return new(sync.Map)
	}
	return c.link.shared()
}
