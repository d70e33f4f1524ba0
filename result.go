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

// lost is closed when the connection that was asked has ended; nil if that is for another node to say.
func (q *question) lost() <-chan struct{} {
	if q.link == nil {
		return nil
	}
	return q.link.ctx.Done()
}

// wait waits for the answer, until the connection or ctx ends. An answer that is there comes before either.
func (q *question) wait(ctx context.Context) (*Completion, error) {
	var err error
	select {
	case m, ok := <-q.answer:
		if ok {
			return m, nil
		}
		return nil, q.gone
	case <-q.lost():
		err = errDisconnected(q.link.id)
	case <-ctx.Done():
		err = errGivenUp(ctx)
	}
	select {
	case m, ok := <-q.answer:
		if ok {
			return m, nil
		}
		return nil, q.gone
	default:
		return nil, err
	}
}

var errForgotten = errors.New("nobody waits for the answer any more")

func errDisconnected(id string) error {
	return Classify("IOException", ErrClosed, fmt.Sprintf("Connection '%s' disconnected.", id))
}

func errGivenUp(ctx context.Context) error {
	return &Error{Message: errServerGone, cause: ctx.Err()}
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

// close gives a question up and reports whether it still waited.
func (r *results) close(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, waited := r.waiting[id]
	delete(r.waiting, id)
	return waited
}

// forget ends a question to l without an answer.
func (r *results) forget(id string, l *Link) {
	if q, ok, foreign := r.take(id, l); ok && !foreign {
		q.gone = errForgotten
		close(q.answer)
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

// invoke asks the connection id for a result. l is its link if it is of this node.
func (h *Hub) invoke(ctx context.Context, id string, l *Link, result any, target string, args []any) error {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		if c.connecting {
			return Classify("InvalidOperationException", nil, "Client results inside OnConnectedAsync Hub methods are not allowed.")
		}
		if err := c.release(); err != nil {
			return err
		}
	}
	switch {
	case l != nil:
	case h.remote != nil:
		return h.remote.invoke(ctx, id, result, target, args)
	default:
		return Classify("IOException", ErrClosed, fmt.Sprintf("Connection '%s' does not exist.", id))
	}
	key := ""
	if h.remote != nil {
		key = newID() // must differ from the ids of other nodes
	}
	key, q := h.results.open(l, key)
	defer h.results.close(key)
	b, err := l.encode(&Invocation{ID: key, Target: target, Args: ArgsOf(args...)})
	if err != nil {
		return fmt.Errorf("invoke %s: %w", target, err)
	}
	switch err := l.push(ctx, b, TypeInvocation); {
	case err == nil:
	case errors.Is(err, ErrClosed), errors.Is(err, ErrSlow):
		return errDisconnected(l.id)
	default:
		return errGivenUp(ctx)
	}
	return h.await(ctx, q, result)
}

// await waits for the answer to a question.
func (h *Hub) await(ctx context.Context, q *question, result any) error {
	m, err := q.wait(ctx)
	switch {
	case err != nil:
		return err
	case m.Error != "":
		return &Error{Message: m.Error}
	case result == nil:
		return nil
	case !m.HasResult:
		return &Error{Message: errNoResult}
	}
	if err := m.Result.Decode(result); err != nil {
		_, dec := m.Result.Raw()
		return errResult(typeName(dec, result), err)
	}
	return nil
}

// typeName is what the protocol calls the type that v points to.
func typeName(p, v any) string {
	if n, ok := p.(interface{ TypeName(v any) string }); ok {
		return n.TypeName(v)
	}
	return fmt.Sprintf("%T", v)
}
