package hubbub

import (
	"context"
	"fmt"
	"maps"
	"sync"
)

// State is what classic clients and hubs pass back and forth beside the arguments: named values that the client sends with a
// call and takes back, changed, with its result (SignalR 2.x, "round-tripped state"). Clients of ASP.NET Core SignalR have
// none. It is safe for concurrent use. A nil State is empty and keeps nothing.
type State struct {
	mu      sync.Mutex
	values  map[string]Value
	changed map[string]Value
}

// NewState returns the state that came with a call. It keeps values.
func NewState(values map[string]Value) *State { return &State{values: values} }

// StateFrom returns the state of the call that ctx belongs to: nil outside a call and for clients that have none.
func StateFrom(ctx context.Context) *State {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok || c.in == nil {
		return nil
	}
	return c.in.State
}

// Get stores the value of that name in what v points to and reports whether there is one. Names are case-sensitive.
func (s *State) Get(name string, v any) (bool, error) {
	if s == nil {
		return false, nil
	}
	s.mu.Lock()
	x, ok := s.changed[name]
	if !ok {
		x, ok = s.values[name]
	}
	s.mu.Unlock()
	if !ok {
		return false, nil
	}
	if err := x.Decode(v); err != nil {
		return true, fmt.Errorf("hubbub: state %q: %w", name, err)
	}
	return true, nil
}

// Set changes a value. The client learns it with the result of the call, and with what the method sends to its caller meanwhile.
func (s *State) Set(name string, v any) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(map[string]Value)
	}
	s.changed[name] = ValueOf(v)
}

// Changed returns what Set has changed, for a dialect to encode; nil if nothing.
func (s *State) Changed() map[string]Value {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.changed)
}
