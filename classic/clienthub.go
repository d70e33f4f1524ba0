package classic

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/hubbub-go/hubbub"
)

// HubProxy is a hub of the server, as a client sees it; [Client.Hub] returns it. It is a [hubbub.Invoker]. All methods are safe
// for concurrent use.
type HubProxy struct {
	client *Client
	name   string
	state  ProxyState
}

// Name is the name of the hub as [Client.Hub] was given it.
func (p *HubProxy) Name() string { return p.name }

// State returns the values that go to the hub with every call and come back with its answer.
func (p *HubProxy) State() *ProxyState { return &p.state }

// On registers a handler for the hub's calls of method, whose name is matched without regard to case, and returns how to remove
// it. Several handlers for one name run one after the other, in order; the next call waits for all of them. Their context
// ends with the connection, not when it reconnects. A handler may call the server. A result of a handler is dropped, and an
// error is logged.
func (p *HubProxy) On(method string, m hubbub.Method) (remove func()) {
	return p.client.inner.On(targetOf(p.name, method), m)
}

// targetOf is the name under which the handlers of a hub's method are kept.
func targetOf(hub, method string) string { return strings.ToLower(hub + "." + method) }

// Send calls a method of the hub without waiting for its end over WebSockets; over other transports it waits until the server has
// taken the call and answered. What the method returns, an error included, is dropped.
func (p *HubProxy) Send(ctx context.Context, method string, args ...any) error {
	s, err := p.client.connected()
	if err == nil {
		err = p.send(ctx, s, method, args)
	}
	if err != nil {
		return fmt.Errorf("send %s.%s: %w", p.name, method, err)
	}
	return nil
}

func (p *HubProxy) send(ctx context.Context, s *session, method string, args []any) error {
	b, err := appendInvocation(nil, p.client.values, "", p.name, method, args, p.state.all())
	if err != nil {
		return err
	}
	_, err = s.send(ctx, b)
	return err
}

// Invoke implements [hubbub.Invoker]: it calls a method of the hub and stores its result in what result points to; nil drops it.
// It blocks until the answer is there or ctx ends; the server cannot be told to stop. An error of the server is a
// *[hubbub.Error], of the class InvalidOperationException unless the method meant it for its caller; its Data is a
// [hubbub.Value] or nil. A call whose WebSocket is lost fails with [ErrReconnecting]; it is never sent again.
func (p *HubProxy) Invoke(ctx context.Context, result any, method string, args ...any) error {
	return p.InvokeProgress(ctx, result, nil, method, args...)
}

// InvokeProgress is [HubProxy.Invoke] for a method that tells how far it is: progress hears of that, in order and before the
// result; nil drops it. Nothing else is read from the server while it runs. Over HTTP transports the last words may be lost, since
// the result comes another way.
func (p *HubProxy) InvokeProgress(ctx context.Context, result any, progress func(v hubbub.Value), method string, args ...any) error {
	a, err := p.invoke(ctx, progress, method, args)
	if err != nil {
		return fmt.Errorf("invoke %s.%s: %w", p.name, method, err)
	}
	p.state.merge(a.state)
	switch {
	case a.err != nil:
		return a.err
	case result == nil || a.result == nil: // a server leaves null out
		return nil
	}
	if err := p.client.values.Decode(a.result, result); err != nil {
		return fmt.Errorf("invoke %s.%s: result: %w", p.name, method, err)
	}
	return nil
}

func (p *HubProxy) invoke(ctx context.Context, progress func(hubbub.Value), method string, args []any) (*answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := p.client.connected()
	if err != nil {
		return nil, err
	}
	id := p.client.invocationID()
	b, err := appendInvocation(nil, p.client.values, id, p.name, method, args, p.state.all())
	if err != nil {
		return nil, err
	}
	call := &clientCall{answer: make(chan *answer, 1), progress: progress}
	if err := s.open(id, call); err != nil {
		return nil, err
	}
	defer s.forget(id)
	direct, err := s.send(ctx, b)
	if err != nil {
		return nil, err
	}
	if direct != nil {
		if direct.id != id {
			return nil, fmt.Errorf("the answer is for call %q, want %q", direct.id, id)
		}
		return direct, nil
	}
	select {
	case a := <-call.answer:
		if a == nil {
			return nil, call.err
		}
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// clientCall is a call that waits for its answer.
type clientCall struct {
	answer   chan *answer // nil is sent after err was set
	err      error
	progress func(hubbub.Value)
}

// tell runs the function that hears of progress.
func (call *clientCall) tell(v hubbub.Value, log *slog.Logger) {
	if call.progress == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic in a function that hears of progress", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	call.progress(v)
}

// ProxyState are named values that go to a hub with every call, and that the hub changes with its answers (SignalR 2.x,
// "round-tripped state"): at most 4,096 characters of JSON in all. It is safe for concurrent use.
type ProxyState struct {
	values *codec

	mu  sync.Mutex
	raw map[string]json.RawMessage
}

// Get stores the value of that name in what v points to and reports whether there is one. Names are case-sensitive.
func (s *ProxyState) Get(name string, v any) (bool, error) {
	s.mu.Lock()
	raw, ok := s.raw[name]
	s.mu.Unlock()
	if !ok {
		return false, nil
	}
	if err := s.values.Decode(raw, v); err != nil {
		return true, fmt.Errorf("classic: state %q: %w", name, err)
	}
	return true, nil
}

// Set changes a value; it is encoded at once. The hub learns it with the next call. It fails if v cannot be encoded.
func (s *ProxyState) Set(name string, v any) error {
	raw, err := s.values.Append(nil, v)
	if err != nil {
		return fmt.Errorf("classic: state %q: %w", name, err)
	}
	s.merge(map[string]json.RawMessage{name: raw})
	return nil
}

func (s *ProxyState) merge(changed map[string]json.RawMessage) {
	if len(changed) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.raw == nil {
		s.raw = make(map[string]json.RawMessage)
	}
	for name, raw := range changed {
		s.raw[name] = raw
	}
}

// all returns a copy of the values.
func (s *ProxyState) all() map[string]json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.raw) == 0 {
		return nil
	}
	all := make(map[string]json.RawMessage, len(s.raw))
	for name, raw := range s.raw {
		all[name] = raw
	}
	return all
}
