package hubbub

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
)

// results are the questions to clients that wait for an answer.
type results struct {
	mu      sync.Mutex
	last    uint64
	waiting map[string]*question
}

// question is one call to a client that wants a result.
type question struct {
	link   *Link            // who may answer; nil while only another node knows
	answer chan *Completion // has room for one
	gone   error            // set before answer is closed without an answer
}

// lost is closed when the connection that was asked has left the hub; nil if that is for another node to say.
func (q *question) lost() <-chan struct{} {
	if q.link == nil {
		return nil
	}
	return q.link.done
}

func errDisconnected(id string) error {
	return Classify("IOException", ErrClosed, fmt.Sprintf("Connection '%s' disconnected.", id))
}

func (r *results) init() { r.waiting = make(map[string]*question) }

// open registers a question to l and returns its id.
func (r *results) open(l *Link, id string) (string, *question) {
	q := &question{link: l, answer: make(chan *Completion, 1)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if id == "" {
		r.last++
		id = "s" + strconv.FormatUint(r.last, 10)
	}
	r.waiting[id] = q
	return id, q
}

func (r *results) close(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, id)
}

// lost ends all questions to a connection that is gone.
func (r *results) lost(l *Link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, q := range r.waiting {
		if q.link == l {
			delete(r.waiting, id)
			q.gone = errDisconnected(l.id)
			close(q.answer)
		}
	}
}

// take ends the question with that id for the connection that answers it. ok is false if there is none; foreign is true if
// another connection was asked.
func (r *results) take(id string, from *Link) (q *question, ok, foreign bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q, ok = r.waiting[id]
	if !ok {
		return nil, false, false
	}
	if q.link != from {
		return nil, true, true
	}
	delete(r.waiting, id)
	return q, true, false
}

// completion ends a stream of the client, or answers a question of the server.
func (l *Link) completion(m *Completion) error {
	l.mu.Lock()
	u := l.uploads[m.InvocationID]
	l.mu.Unlock()
	if u != nil {
		var err error
		if m.Error != "" {
			err = &Error{Message: m.Error}
		}
		u.finish(err)
		return nil
	}
	q, ok, foreign := l.hub.results.take(m.InvocationID, l)
	switch {
	case foreign:
		return Classify("InvalidOperationException", nil,
			fmt.Sprintf("Connection ID '%s' is not valid for invocation ID '%s'.", l.id, m.InvocationID))
	case ok:
		q.answer <- m
	}
	return nil
}

// invoke asks the connection id for a result.
func (h *Hub) invoke(ctx context.Context, id string, result any, target string, args []any) error {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		if c.connecting {
			return Classify("InvalidOperationException", nil, "Client results inside OnConnectedAsync Hub methods are not allowed.")
		}
		c.release()
	}
	l := h.life.find(id)
	if l == nil {
		if h.remote != nil {
			return h.remote.invoke(ctx, id, result, target, args)
		}
		return Classify("IOException", ErrClosed, fmt.Sprintf("Connection '%s' does not exist.", id))
	}
	key := ""
	if h.remote != nil {
		key = newID() // must differ from the ids of other nodes
	}
	key, q := h.results.open(l, key)
	defer h.results.close(key)
	if err := l.write(ctx, &Invocation{ID: key, Target: target, Args: ArgsOf(args...)}); err != nil {
		return err
	}
	return h.await(ctx, q, result, l.enc.protocol)
}

// await waits for the answer to a question.
func (h *Hub) await(ctx context.Context, q *question, result any, p Protocol) error {
	select {
	case m, ok := <-q.answer:
		switch {
		case !ok:
			return q.gone
		case m.Error != "":
			return &Error{Message: m.Error}
		case result == nil:
			return nil
		case !m.HasResult:
			return &Error{Message: errNoResult}
		}
		if err := m.Result.Decode(result); err != nil {
			return errResult(typeName(p, result), err)
		}
		return nil
	case <-q.lost():
		return errDisconnected(q.link.id)
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(ctx.Err(), context.Canceled) {
			return &Error{Message: errServerGone, cause: ctx.Err()}
		}
		return ctx.Err()
	}
}

// typeName is what the protocol calls the type that v points to.
func typeName(p Protocol, v any) string {
	if n, ok := p.(interface{ TypeName(v any) string }); ok {
		return n.TypeName(v)
	}
	return fmt.Sprintf("%T", v)
}
