package hubbub

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

var errEOF = io.EOF

// handlers are what a client does when its server calls.
type handlers struct {
	mu        sync.Mutex
	byTarget  map[string]*handlerList
	unhandled HandlerFunc
}

type handlerList struct {
	list   []*handler
	result *handler // the one that answers
}

type handler struct {
	m   Method
	sig signature
}

// On registers a handler for the server's calls of target, and returns how to remove it. Names are case-sensitive, as in the
// .NET client. Several handlers for one name run one after the other, in order; the next call waits for all of them. One that
// returns a result (Func…) answers calls that want one: a second one for the same name panics, as does a method with streams.
// The context of a handler ends with the connection. A handler may call the server.
func (c *Client) On(target string, m Method) (remove func()) {
	h := &handler{m: m, sig: m.signature()}
	if h.sig.streams || h.sig.uploads > 0 {
		panic("hubbub: On: a handler of a client cannot have streams: " + target)
	}
	hs := &c.handlers
	hs.mu.Lock()
	defer hs.mu.Unlock()
	l := hs.byTarget[target]
	if l == nil {
		l = &handlerList{}
		hs.byTarget[target] = l
	}
	if h.answers() {
		if l.result != nil {
			panic(fmt.Sprintf("hubbub: On: '%s' already has a value returning handler. Multiple return values are not supported.", target))
		}
		l.result = h
	}
	l.list = append(slices.Clip(l.list), h)
	return func() { c.handlers.remove(target, h) }
}

// OnUnhandled sets what runs for the server's calls of targets that have no handler; nil drops them, which is the default. A call
// that wants a result, which is one with an Invocation.ID, gets what f returns; otherwise only its error counts, for the log. It
// runs in order with the handlers of [Client.On], and under the same rules.
func (c *Client) OnUnhandled(f HandlerFunc) {
	c.handlers.mu.Lock()
	defer c.handlers.mu.Unlock()
	c.handlers.unhandled = f
}

// catch runs the handler of OnUnhandled, if there is one.
func (v *conversation) catch(in *Invocation) (result any, caught bool, err error) {
	hs := &v.client.handlers
	hs.mu.Lock()
	f := hs.unhandled
	hs.mu.Unlock()
	if f == nil {
		return nil, false, nil
	}
	defer func() {
		if p := recover(); p != nil {
			v.client.opts.Logger.Error("panic in a handler", "target", in.Target, "panic", p, "stack", string(debug.Stack()))
			result, caught, err = nil, true, fmt.Errorf("panic: %v", p)
		}
	}()
	result, err = f(v.ctx, in)
	return result, true, err
}

func (h *handler) answers() bool { return h.sig.result != nil }

func (hs *handlers) remove(target string, h *handler) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	l := hs.byTarget[target]
	if l == nil {
		return
	}
	l.list = slices.DeleteFunc(slices.Clone(l.list), func(x *handler) bool { return x == h })
	if l.result == h {
		l.result = nil
	}
	if len(l.list) == 0 {
		delete(hs.byTarget, target)
	}
}

func (hs *handlers) find(target string) (list []*handler, result *handler) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if l := hs.byTarget[target]; l != nil {
		return l.list, l.result
	}
	return nil, nil
}

// expired is for writing what is dropped if there is no room for it.
var expired, _ = context.WithDeadline(context.Background(), time.Unix(0, 0))

// handle queues a call of the server, which must not block what comes behind it. A call that wants a result does not block the
// calls behind it either.
func (v *conversation) handle(in *Invocation) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended {
		return
	}
	if in.ID != "" {
		if v.asking >= v.client.opts.MaximumPendingInvocations {
			v.client.opts.Logger.Error("too many calls of the server wait for results", "target", in.Target)
			_ = v.conn.Write(expired, &Completion{InvocationID: in.ID, Error: "The client has too many calls to answer."})
			return
		}
		v.asking++
		v.asked.Add(1)
		go func() {
			defer v.asked.Done()
			v.answer(in)
			v.mu.Lock()
			v.asking--
			v.mu.Unlock()
		}()
		return
	}
	v.queue = append(v.queue, in)
	if !v.worker {
		v.worker = true
		v.asked.Add(1)
		go v.work()
	}
	for !v.mayGrow(len(v.queue)) {
		v.more.Wait()
	}
}

// work runs the handlers for queued calls, in order, until there are none.
func (v *conversation) work() {
	defer v.asked.Done()
	for {
		v.mu.Lock()
		if len(v.queue) == 0 {
			v.worker, v.queue = false, nil
			v.mu.Unlock()
			return
		}
		in := v.queue[0]
		v.queue[0] = nil
		v.queue = v.queue[1:]
		v.more.Broadcast()
		v.mu.Unlock()
		list, _ := v.client.handlers.find(in.Target)
		if len(list) == 0 {
			v.drain(in)
		}
		for _, h := range list {
			if _, err := v.call(h, in); err != nil {
				v.client.opts.Logger.Error("handler failed", "target", in.Target, "error", err)
			}
		}
	}
}

// drain gives a call without handlers to OnUnhandled.
func (v *conversation) drain(in *Invocation) {
	switch _, caught, err := v.catch(in); {
	case !caught:
		v.client.opts.Logger.Debug("no handler for a call of the server", "target", in.Target)
	case err != nil:
		v.client.opts.Logger.Error("handler failed", "target", in.Target, "error", err)
	}
}

// errArguments says that a call of the server does not fit its handler.
var errArguments = &Error{Message: "Client failed to parse argument(s)."}

// call runs one handler.
func (v *conversation) call(h *handler, in *Invocation) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			v.client.opts.Logger.Error("panic in a handler", "target", in.Target, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if in.Args.Err() != nil || (h.sig.args >= 0 && in.Args.Len() != h.sig.args) {
		return nil, errArguments
	}
	b, err := h.m.bind(in, nil)
	if err != nil {
		v.client.opts.Logger.Debug("argument does not bind", "target", in.Target, "error", err)
		return nil, errArguments
	}
	return b.call(v.ctx)
}

// answer runs the handlers of a call that wants a result, and sends what the one that gives results returned.
func (v *conversation) answer(in *Invocation) {
	list, result := v.client.handlers.find(in.Target)
	done := &Completion{InvocationID: in.ID}
	for _, h := range list {
		value, err := v.call(h, in)
		switch {
		case err != nil && (h == result || err == error(errArguments)):
			done.Error = err.Error()
		case err != nil:
			v.client.opts.Logger.Error("handler failed", "target", in.Target, "error", err)
		case h == result:
			done.HasResult, done.Result = true, ValueOf(value)
		}
	}
	if len(list) == 0 {
		if value, caught, err := v.catch(in); err != nil {
			done.Error = err.Error()
		} else if caught {
			done.HasResult, done.Result = true, ValueOf(value)
		}
	}
	switch {
	case done.Error != "":
		done.HasResult, done.Result = false, Value{}
	case !done.HasResult:
		done.Error = "Client didn't provide a result."
	}
	if err := v.conn.Write(v.ctx, done); err != nil && v.ctx.Err() == nil {
		_ = v.conn.Write(v.ctx, &Completion{InvocationID: in.ID, Error: "Client failed to encode the result: " + err.Error()})
	}
}
