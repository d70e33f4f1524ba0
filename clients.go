package hubbub

import (
	"context"
	"slices"
)

type audience uint8

const (
	toAll audience = iota
	toClients
	toGroups
	toUsers
	toNobody // outside a call
)

// Clients is an audience: the connections that a message goes to, on this node and, with a backplane, on all. It is a small
// value, safe for concurrent use, and cheap to make anew for each send.
type Clients struct {
	hub    *Hub
	kind   audience
	names  []string
	except []string
}

// All returns every connection of the hub.
func (h *Hub) All() Clients { return Clients{hub: h, kind: toAll} }

// Client returns the connection with that id. Ids are case-sensitive.
func (h *Hub) Client(id string) SingleClient { return SingleClient{h, id} }

// Clients returns the connections with these ids, each once.
func (h *Hub) Clients(ids ...string) Clients { return Clients{hub: h, kind: toClients, names: ids} }

// Group returns the members of a group. Names are case-sensitive; a group that nobody has joined is empty.
func (h *Hub) Group(name string) Clients {
	return Clients{hub: h, kind: toGroups, names: []string{name}}
}

// Groups returns the members of several groups. Like ASP.NET Core it reaches a member of two of them twice.
func (h *Hub) Groups(names ...string) Clients { return Clients{hub: h, kind: toGroups, names: names} }

// User returns all connections of the user with that id ([User.ID]). Ids are case-sensitive.
func (h *Hub) User(id string) Clients { return Clients{hub: h, kind: toUsers, names: []string{id}} }

// Users returns all connections of these users.
func (h *Hub) Users(ids ...string) Clients { return Clients{hub: h, kind: toUsers, names: ids} }

// Except returns the same audience without the connections with these ids.
func (c Clients) Except(ids ...string) Clients {
	c.except = append(c.except[:len(c.except):len(c.except)], ids...)
	return c
}

// Send sends an invocation of the client method target to everybody in the audience. It never waits for a network: a
// connection whose queue is full is closed (see [Options.MaximumQueuedBytes]). Sends of one goroutine reach each connection in
// their order. Nobody there is no error. It fails if an argument cannot be encoded, or if the backplane refuses.
func (c Clients) Send(ctx context.Context, target string, args ...any) error {
	if c.kind == toNobody || c.hub == nil {
		return ErrNoCaller
	}
	return c.hub.send(ctx, c, target, args)
}

// Flush waits until everything that this goroutine has sent to the audience is written to the networks of its connections on this
// node, and returns how many of them have it: not those that ended first, and when ctx ends not those that are still stuck. Send
// alone leaves messages in queues, and a process that dies loses these. A connection that keeps messages for the case that its
// client comes back, as those of the classic dialect do, has them when they are kept.
func (c Clients) Flush(ctx context.Context) int {
	if c.kind == toNobody || c.hub == nil {
		return 0
	}
	type queue struct {
		link *Link
		mark uint64
	}
	var all []queue
	m := &c.hub.life
	m.mu.RLock()
	m.each(c, func(l *Link) bool {
		if !slices.Contains(c.except, l.id) {
			all = append(all, queue{link: l})
		}
		return true
	})
	m.mu.RUnlock()
	for i := range all { // all of them write at once
		all[i].mark = all[i].link.out.mark()
		all[i].link.out.wake()
	}
	n := 0
	for _, q := range all {
		if q.link.out.flush(ctx, q.mark, q.link.ctx.Done()) {
			n++
		}
	}
	return n
}

// SingleClient is one connection, which can also be asked for a result.
type SingleClient struct {
	hub *Hub
	id  string
}

// Send sends an invocation to the connection. See [Clients.Send].
func (c SingleClient) Send(ctx context.Context, target string, args ...any) error {
	if c.hub == nil {
		return ErrNoCaller
	}
	return c.hub.send(ctx, Clients{hub: c.hub, kind: toClients, names: []string{c.id}}, target, args)
}

// Invoke implements [Invoker]: it calls the client's method and waits for its result, without a limit of time but ctx. Inside a
// hub method it lets the next call of that connection run meanwhile; at most [Options.MaximumStreamsPerClient] calls of a
// connection may wait like that. It fails with an *[Error] for an error of the client, and with one that wraps [ErrClosed] if
// there is no such connection or it ends; with a backplane it takes 5 s to know that no node has it.
func (c SingleClient) Invoke(ctx context.Context, result any, target string, args ...any) error {
	if c.hub == nil {
		return ErrNoCaller
	}
	return c.hub.invoke(ctx, c.id, c.hub.life.find(c.id), result, target, args)
}

// Invoker is the other side of one connection: a [SingleClient], a [Caller], or a client's server.
type Invoker interface {
	// Invoke calls target and stores its result in what result points to; a nil result drops it. It blocks until the answer is
	// there or ctx ends.
	Invoke(ctx context.Context, result any, target string, args ...any) error
}

// Invoke calls target on the other side and returns its result.
func Invoke[T any](ctx context.Context, on Invoker, target string, args ...any) (T, error) {
	var v T
	err := on.Invoke(ctx, &v, target, args...)
	return v, err
}

// Join adds a connection to a group; adding twice counts once. A connection that is gone is no error. With a backplane it
// reaches connections of other nodes and waits for their answer: a connection that no node has is an error then, after 5 s.
func (h *Hub) Join(ctx context.Context, id, group string) error {
	return h.membership(ctx, id, h.life.find(id), group, true)
}

// Leave removes a connection from a group. See [Hub.Join].
func (h *Hub) Leave(ctx context.Context, id, group string) error {
	return h.membership(ctx, id, h.life.find(id), group, false)
}
