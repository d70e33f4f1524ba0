package hubbub

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// answerTimeout is how long a node waits for the node that has a connection to say so.
const answerTimeout = 5 * time.Second

// remote is the hub's side of its backplane: it publishes what is meant for other nodes, and does here what they want.
type remote struct {
	hub *Hub
	bus Backplane

	mu     sync.Mutex
	subs   map[string]*subscription
	acks   map[string]chan struct{}
	closed bool
}

// subscription is one channel with the number of those on this node who need it.
type subscription struct {
	refs   int
	ready  chan struct{}
	cancel func()
	err    error
	ended  atomic.Bool // what still comes is not for its successor, which hears it itself
}

// end cancels the subscription once it is there.
func (s *subscription) end() {
	<-s.ready
	if s.cancel != nil {
		s.cancel()
	}
}

func newRemote(h *Hub) *remote {
	return &remote{hub: h, bus: h.opts.Backplane, subs: make(map[string]*subscription), acks: make(map[string]chan struct{})}
}

// Support tells the hub which protocols its clients may speak, so that messages to other nodes are encoded for all of them.
// Dialects call it when they make an endpoint for the hub. A protocol that also is a [Decoder] can answer for other nodes.
func (h *Hub) Support(protocols ...Protocol) {
	h.encMu.Lock()
	defer h.encMu.Unlock()
	for _, p := range protocols {
		if h.protocol(p.Name()) == nil {
			h.protocols = append(h.protocols, p)
		}
	}
}

func (h *Hub) protocol(name string) Protocol {
	for _, p := range h.protocols {
		if p.Name() == name {
			return p
		}
	}
	return nil
}

func (r *remote) channel(kind, name string) string { return r.hub.name + "/" + kind + "/" + name }

// start subscribes what every node needs. It is tried again until it succeeds.
func (r *remote) start() error {
	for _, ch := range []string{r.channel("all", ""), r.channel("node", r.hub.opts.Node)} {
		if err := r.subscribe(ch, false); err != nil {
			return err
		}
	}
	return nil
}

// subscribe makes sure that channel is subscribed, and with count remembers one more who needs it.
func (r *remote) subscribe(channel string, count bool) error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return ErrShutdown
	}
	s := r.subs[channel]
	mine := s == nil
	if mine {
		s = &subscription{ready: make(chan struct{})}
		r.subs[channel] = s
	}
	if count {
		s.refs++
	}
	r.mu.Unlock()
	if mine {
		ctx, stop := context.WithTimeout(context.Background(), answerTimeout)
		s.cancel, s.err = r.bus.Subscribe(ctx, channel, func(data []byte) {
			if !s.ended.Load() {
				r.receive(channel, data)
			}
		})
		stop()
		if s.err != nil {
			r.mu.Lock()
			if r.subs[channel] == s {
				delete(r.subs, channel)
			}
			r.mu.Unlock()
		}
		close(s.ready)
	}
	<-s.ready
	return s.err
}

func (r *remote) unsubscribe(channel string) {
	r.mu.Lock()
	s := r.subs[channel]
	if s == nil {
		r.mu.Unlock()
		return
	}
	s.refs--
	last := s.refs == 0
	if last {
		delete(r.subs, channel)
		s.ended.Store(true)
	}
	r.mu.Unlock()
	if last {
		s.end()
	}
}

func (r *remote) attach(l *Link) error {
	if err := r.start(); err != nil {
		return err
	}
	if err := r.subscribe(r.channel("connection", l.id), true); err != nil {
		return err
	}
	if l.userID == "" {
		return nil
	}
	err := r.subscribe(r.channel("user", l.userID), true)
	if err != nil {
		r.unsubscribe(r.channel("connection", l.id))
	}
	return err
}

func (r *remote) detach(l *Link, groups []string) {
	r.unsubscribe(r.channel("connection", l.id))
	if l.userID != "" {
		r.unsubscribe(r.channel("user", l.userID))
	}
	for _, g := range groups {
		r.unsubscribe(r.channel("group", g))
	}
}

func (r *remote) close() {
	r.mu.Lock()
	subs := r.subs
	r.subs, r.closed = nil, true
	r.mu.Unlock()
	for _, s := range subs {
		s.ended.Store(true)
		s.end()
	}
}

// send delivers to an audience: here, and through the backplane on the other nodes.
func (h *Hub) send(ctx context.Context, c Clients, target string, args []any) error {
	f := h.newFrame(&Invocation{Target: target, Args: ArgsOf(args...)})
	if c.kind == toClients || c.kind == toUsers {
		c.names = unique(c.names)
	}
	if err := h.sendHere(c, f); err != nil || h.remote == nil {
		return err
	}
	if err := h.remote.send(ctx, c, f); err != nil {
		return fmt.Errorf("send %s: %w", target, err)
	}
	return nil
}

// sendHere delivers to an audience on this node alone.
func (h *Hub) sendHere(c Clients, f *frame) error {
	if err := h.deliver(c, f); err != nil {
		return fmt.Errorf("send %s: %w", f.msg.(*Invocation).Target, err)
	}
	return nil
}

// unique returns names, each once, in their order.
func unique(names []string) []string {
	if len(names) < 2 {
		return names
	}
	seen := make(map[string]struct{}, len(names))
	once := make([]string, 0, len(names))
	for _, n := range names {
		if _, twice := seen[n]; !twice {
			seen[n] = struct{}{}
			once = append(once, n)
		}
	}
	return once
}

func (r *remote) send(ctx context.Context, c Clients, f *frame) error {
	e := &envelope{kind: envelopeSend, node: r.hub.opts.Node, except: c.except}
	if err := r.encode(e, f); err != nil {
		return err
	}
	data := e.append(nil)
	switch c.kind {
	case toAll:
		return r.bus.Publish(ctx, r.channel("all", ""), data)
	case toGroups:
		return r.each(ctx, "group", c.names, data)
	case toUsers:
		return r.each(ctx, "user", c.names, data)
	}
	var elsewhere []string
	for _, id := range c.names {
		if r.hub.life.find(id) == nil {
			elsewhere = append(elsewhere, id)
		}
	}
	return r.each(ctx, "connection", elsewhere, data)
}

func (r *remote) each(ctx context.Context, kind string, names []string, data []byte) error {
	for _, name := range names {
		if err := r.bus.Publish(ctx, r.channel(kind, name), data); err != nil {
			return err
		}
	}
	return nil
}

// encode puts the message into e for every protocol that clients of the hub may speak and that can say it. It fails if none can.
func (r *remote) encode(e *envelope, f *frame) error {
	r.hub.encMu.RLock()
	protocols := r.hub.protocols
	r.hub.encMu.RUnlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	var failed error
	for _, p := range protocols {
		b, err := f.record(p)
		if err != nil {
			failed = err // a classic client cannot return results, one of a persistent connection hears one value: others can
			continue
		}
		e.names = append(e.names, p.Name())
		e.records = append(e.records, b)
	}
	if len(e.names) > 0 {
		return nil
	}
	return failed
}

// membership adds a connection to a group or removes it, wherever it is. l is its link if it is of this node.
func (h *Hub) membership(ctx context.Context, id string, l *Link, group string, in bool) error {
	if group == "" {
		return fmt.Errorf("hubbub: empty group name")
	}
	switch {
	case l == nil && h.remote == nil, l != nil && l.visitor:
		return nil
	case l == nil:
		e := &envelope{kind: envelopeLeave, group: group}
		if in {
			e.kind = envelopeJoin
		}
		return h.remote.ask(ctx, id, e)
	case h.remote == nil && in:
		h.life.join(l, group)
	case h.remote == nil:
		h.life.leave(l, group)
	default:
		return h.remote.membership(l, group, in)
	}
	return nil
}

// membership changes a group of a connection of this node, subscribed as long as it has a member here.
func (r *remote) membership(l *Link, group string, in bool) error {
	channel := r.channel("group", group)
	if !in {
		if r.hub.life.leave(l, group) {
			r.unsubscribe(channel)
		}
		return nil
	}
	if err := r.subscribe(channel, true); err != nil {
		return err
	}
	if !r.hub.life.join(l, group) {
		r.unsubscribe(channel)
	}
	return nil
}

// ask sends a command about a connection to the node that has it, and waits until that node has done it.
func (r *remote) ask(ctx context.Context, id string, e *envelope) error {
	if err := r.start(); err != nil {
		return err
	}
	e.node = r.hub.opts.Node
	if e.key == "" {
		e.key = newID()
	}
	done := make(chan struct{}, 1)
	r.mu.Lock()
	r.acks[e.key] = done
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.acks, e.key)
		r.mu.Unlock()
	}()
	if err := r.bus.Publish(ctx, r.channel("connection", id), e.append(nil)); err != nil {
		return err
	}
	timer := time.NewTimer(answerTimeout)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
		return Classify("IOException", ErrClosed, fmt.Sprintf("Connection '%s' does not exist.", id))
	case <-ctx.Done():
		return ctx.Err()
	}
}

// forget tells the node that has the connection that nobody waits for its answer any more.
func (r *remote) forget(id, key string) {
	ctx, stop := context.WithTimeout(context.Background(), answerTimeout)
	defer stop()
	e := &envelope{kind: envelopeForget, node: r.hub.opts.Node, key: key}
	if err := r.bus.Publish(ctx, r.channel("connection", id), e.append(nil)); err != nil {
		r.hub.opts.Logger.Debug("question to another node not taken back", "hub", r.hub.name, "connection", id, "error", err)
	}
}

// invoke asks a connection of another node for a result.
func (r *remote) invoke(ctx context.Context, id string, result any, target string, args []any) error {
	key, q := r.hub.results.open(nil, newID())
	defer func() {
		if r.hub.results.close(key) {
			r.forget(id, key)
		}
	}()
	e := &envelope{kind: envelopeInvoke, key: key}
	if err := r.encode(e, r.hub.newFrame(&Invocation{ID: key, Target: target, Args: ArgsOf(args...)})); err != nil {
		return fmt.Errorf("invoke %s: %w", target, err)
	}
	if err := r.ask(ctx, id, e); err != nil {
		if ctx.Err() != nil {
			return errGivenUp(ctx)
		}
		return err
	}
	return r.hub.await(ctx, q, result)
}
