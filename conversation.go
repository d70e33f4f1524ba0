package hubbub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
)

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// conversation is what a client and its server say over one connection: calls that wait for their answers, and the server's
// calls that wait for their handlers.
type conversation struct {
	client *Client
	conn   ClientConn
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc

	mu      sync.Mutex
	lastID  uint64
	calls   map[string]*outgoing
	waiting int        // calls that wait for an answer, during which reading never stops
	more    *sync.Cond // something that reading waits for has changed
	queue   []*Invocation
	worker  bool // somebody empties the queue
	asking  int  // calls of the server that want a result and are being answered
	closing bool // reading must not wait any more
	slow    bool // the connection is cut because handlers are
	ended   bool
	err     error
	asked   sync.WaitGroup // handlers that run
}

func newConversation(c *Client, conn ClientConn) *conversation {
	v := &conversation{client: c, conn: conn, calls: make(map[string]*outgoing)}
	v.more = sync.NewCond(&v.mu)
	v.ctx, v.cancel = context.WithCancel(context.Background())
	return v
}

// outgoing is a call of this client that is not over: it waits for a result, or for items of a stream.
type outgoing struct {
	id     string
	stream bool
	answer chan *Completion // of a call, has room for one
	items  []Value          // of a stream
	over   *Completion
	fail   error
}

// patience is by how much the queues of a conversation may outgrow their bound while a call waits for its answer.
const patience = 64

// mayGrow reports whether a queue of n may have one more, if not the reading must wait. It needs v.mu.
func (v *conversation) mayGrow(n int) bool {
	most := v.client.opts.MaximumPendingInvocations
	switch {
	case n < most || v.ended || v.closing || v.slow:
		return true
	case v.waiting == 0:
		return false
	case n >= patience*most:
		v.conn.Cut(fmt.Errorf("%d messages of the server wait for handlers or readers of streams: %w", n, ErrSlow))
		v.slow = true
	}
	return true
}

// run reads until the connection ends, and returns why.
func (v *conversation) run() error {
	for {
		m, err := v.conn.Read()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *Invocation:
			v.handle(m)
		case *Completion:
			v.complete(m)
		case *StreamItem:
			v.item(m)
		}
	}
}

// close says goodbye to the server, which ends run.
func (v *conversation) close() {
	v.mu.Lock()
	v.closing = true
	v.more.Broadcast()
	v.mu.Unlock()
	_ = v.conn.Close()
}

// end fails everything that waits, and waits for handlers: also for those of calls that came before the end, as in the .NET
// client, unless it is this client who has closed.
func (v *conversation) end(reason error) {
	v.mu.Lock()
	v.ended = true
	if v.err = ErrClosed; !v.closing {
		v.err = fmt.Errorf("%w: %w", ErrConnectionLost, orClosed(reason))
	}
	calls := v.calls
	v.calls = nil
	if v.closing {
		v.queue = nil
	}
	for _, o := range calls {
		o.fail = v.err
		if !o.stream {
			close(o.answer)
		}
	}
	v.more.Broadcast()
	v.mu.Unlock()
	v.cancel()
	v.asked.Wait()
	if w, ok := v.conn.(interface{ Wait() }); ok {
		w.Wait()
	}
}

// open registers a call and returns it with the ids for its upload streams, which come before its own as in the .NET client.
func (v *conversation) open(stream bool, uploads int) (*outgoing, []string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended {
		return nil, nil, ErrNotConnected
	}
	ids := v.nextIDs(uploads)
	o := &outgoing{id: v.nextID(), stream: stream}
	if !stream {
		o.answer = make(chan *Completion, 1)
		v.waiting++
		v.more.Broadcast()
	}
	v.calls[o.id] = o
	return o, ids, nil
}

func (v *conversation) nextIDs(n int) []string {
	if n == 0 {
		return nil
	}
	ids := make([]string, n)
	for i := range ids {
		ids[i] = v.nextID()
	}
	return ids
}

func (v *conversation) nextID() string {
	v.lastID++
	return strconv.FormatUint(v.lastID, 10)
}

// drop forgets a call; what still comes for it is ignored. It reports whether the call was not over.
func (v *conversation) drop(o *outgoing) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !o.stream {
		v.waiting--
	}
	_, open := v.calls[o.id]
	delete(v.calls, o.id)
	v.more.Broadcast()
	return open
}

func (v *conversation) complete(m *Completion) {
	v.mu.Lock()
	defer v.mu.Unlock()
	o := v.calls[m.InvocationID]
	if o == nil {
		return // given up, or never asked
	}
	delete(v.calls, m.InvocationID)
	if o.stream {
		o.over = m
		v.more.Broadcast()
		return
	}
	o.answer <- m
}

// item gives an item to its stream. While too many wait there it waits too, and with it everything behind, unless a call waits
// for its answer.
func (v *conversation) item(m *StreamItem) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for {
		o := v.calls[m.InvocationID]
		if o == nil {
			return
		}
		if !o.stream {
			delete(v.calls, o.id)
			o.fail = &Error{Class: "InvalidOperationException", Message: "the server sent an item of a stream for a call; use Stream"}
			close(o.answer)
			return
		}
		if v.mayGrow(len(o.items)) {
			o.items = append(o.items, m.Item)
			v.more.Broadcast()
			return
		}
		v.more.Wait()
	}
}
