package hubtest

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
)

const (
	patience  = 5 * time.Second // how long a call of the hub may take to come
	remembers = 8               // calls that a failure lists as having come before
)

// inbox keeps what a hub has called and no handler has taken.
type inbox struct {
	mu      sync.Mutex
	waiting []*message
	before  []*message // those that were expected, the last ones only
	dec     hubbub.Decoder
	ended   bool
	err     error
	changed chan struct{} // closed, and replaced, at each change
}

// message is one call of the hub.
type message struct {
	target string
	args   hubbub.Args
	result bool // is wanted
}

// take is the handler of everything that has none.
func (b *inbox) take(_ context.Context, in *hubbub.Invocation) (any, error) {
	b.change(func() {
		if in.Args.Len() > 0 {
			_, b.dec = in.Args.At(0).Raw()
		}
		b.waiting = append(b.waiting, &message{in.Target, in.Args, in.ID != ""})
	})
	if in.ID == "" {
		return nil, nil
	}
	return nil, hubbub.Errorf("hubtest: no handler for %s, want one from On", in.Target)
}

func (b *inbox) end(err error) { b.change(func() { b.ended, b.err = true, err }) }

func (b *inbox) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	close(b.changed)
	b.changed = make(chan struct{})
}

// next returns the oldest call that waits, nil if there is none. changed is closed when it is worth asking again.
func (b *inbox) next() (m *message, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		return nil, b.changed
	}
	m = b.waiting[0]
	b.waiting = b.waiting[1:]
	return m, nil
}

// decoder returns the one of the calls that came, nil if there was none with arguments.
func (b *inbox) decoder() hubbub.Decoder {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dec
}

// remember adds a call to the history.
func (b *inbox) remember(m *message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.before = append(b.before, m); len(b.before) > remembers {
		b.before = b.before[1:]
	}
}

// history returns the calls that came before, and those that still wait.
func (b *inbox) history() (before, waiting []*message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*message(nil), b.before...), append([]*message(nil), b.waiting...)
}

// over reports whether the connection has ended, and why.
func (b *inbox) over() (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended, b.err
}

// String writes the call as one would write it in Go, its arguments as JSON.
func (m *message) String() string {
	list := make([]string, m.args.Len())
	for i := range list {
		v, err := came(m.args.At(i))
		if err != nil {
			list[i] = "<" + err.Error() + ">"
			continue
		}
		list[i] = text(v)
	}
	call := m.target + "(" + strings.Join(list, ", ") + ")"
	if m.args.Err() != nil {
		call = m.target + "(<" + m.args.Err().Error() + ">)"
	}
	if m.result {
		call += ", which wants a result"
	}
	return call
}

// text writes a JSON value in one line.
func text(v any) string {
	if v == Any {
		return "hubtest.Any"
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "<" + err.Error() + ">"
	}
	return strings.TrimSuffix(b.String(), "\n")
}
