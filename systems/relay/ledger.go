package relay

import (
	"context"
	"errors"
	"fmt"
)

var errClosed = errors.New("relay: closed")

// firing is one trigger on its way.
type firing struct {
	guid   string
	heard  int // by webhooks, by this server itself, and by the connections of this node where it is alone
	asked  *ask
	err    error
	traced context.Context
	done   chan struct{}
}

// ledger takes triggers one after the other, in the order in which they come, as many at a time as wait: what must be stored for
// webhooks and listeners is stored in one transaction, and then they are told to everybody.
type ledger struct {
	s    *System
	wait chan *firing
}

const (
	mostWaiting = 1024 // triggers, before the next one has to wait
	mostAtOnce  = 256  // triggers in one transaction
)

func newLedger(s *System) *ledger { return &ledger{s, make(chan *firing, mostWaiting)} }

// Trigger fires an event: whoever has subscribed to it, on any node, gets ReceiveEvent with its own cookie; webhooks are called
// later. It returns how many listen, without those who are away: connections of all nodes, webhooks, and this server if it has
// subscribed itself. It blocks until what has to outlive a crash is stored and all nodes have been told; it waits for the numbers
// of other nodes, at most 2 s, and leaves those out that do not answer. Nobody there is no error. It fails with an *[Invalid] for
// an empty or too long eventguid; after any other error some may have heard of the event.
func (s *System) Trigger(ctx context.Context, guid string) (listeners int, err error) {
	if err := s.validGuid(guid); err != nil {
		return 0, err
	}
	f := &firing{guid: guid, traced: context.WithoutCancel(ctx), done: make(chan struct{})}
	select {
	case s.ledger.wait <- f:
	case <-ctx.Done():
		return 0, fmt.Errorf("relay: trigger: %w", ctx.Err())
	case <-s.ctx.Done():
		return 0, errClosed
	}
	select {
	case <-f.done:
	case <-s.ctx.Done():
		return 0, errClosed
	}
	if f.err != nil {
		return 0, fmt.Errorf("relay: trigger %q: %w", clip(guid), f.err)
	}
	n := f.heard
	if f.asked != nil {
		n += s.nodes.answers(ctx, f.asked)
	}
	s.count.events.Add(1)
	if n == 0 {
		s.count.unheard.Add(1)
	}
	return n, nil
}

// Invalid is the error of an eventguid, a cookie or an address that cannot be used.
type Invalid struct{ Text string }

// Error says what is wrong.
func (e *Invalid) Error() string { return "relay: " + e.Text }

func (s *System) validGuid(guid string) error {
	switch most := s.config.Limits.GuidBytes; {
	case guid == "":
		return &Invalid{"eventguid is empty, want a text"}
	case len(guid) > most:
		return &Invalid{fmt.Sprintf("eventguid has %d bytes, want at most %d", len(guid), most)}
	}
	return nil
}

// run works until the system stops.
func (l *ledger) run() {
	for {
		select {
		case f := <-l.wait:
			l.fire(l.batch(f))
		case <-l.s.ctx.Done():
			return
		}
	}
}

// batch returns f and what waits behind it.
func (l *ledger) batch(f *firing) []*firing {
	list := append(make([]*firing, 0, 8), f)
	for len(list) < mostAtOnce {
		select {
		case f := <-l.wait:
			list = append(list, f)
		default:
			return list
		}
	}
	return list
}

func (l *ledger) fire(list []*firing) {
	s := l.s
	err := l.record(s.ctx, list)
	for _, f := range list {
		if err != nil {
			f.err = err
		} else {
			f.err = l.tell(f)
		}
		close(f.done)
	}
}

// tell tells this server itself, then every node.
func (l *ledger) tell(f *firing) error {
	s := l.s
	if s.own != nil {
		had, err := s.own(f.traced, f.guid)
		if err != nil {
			return fmt.Errorf("own subscription: %w", err)
		}
		if had {
			f.heard++
		}
	}
	if s.nodes == nil {
		f.heard += s.deliver(f.traced, f.guid)
		return nil
	}
	var err error
	f.asked, err = s.nodes.tell(f.traced, f.guid)
	return err
}

// record stores what webhooks and listeners that are known here have to get.
func (l *ledger) record(ctx context.Context, list []*firing) error {
	s := l.s
	posts, err := s.courier.wanted(ctx, list)
	if err != nil {
		return fmt.Errorf("look for webhooks: %w", err)
	}
	var kept []keptEvent
	if s.keep != nil {
		if kept, err = s.keep.wanted(ctx, list); err != nil {
			return fmt.Errorf("look for listeners: %w", err)
		}
	}
	if len(posts) == 0 && len(kept) == 0 {
		return nil
	}
	if err := l.commit(ctx, posts, kept); err != nil {
		return fmt.Errorf("store for webhooks and listeners: %w", err)
	}
	s.courier.expect(posts)
	return nil
}
