package hubbub

import (
	"context"
	"sync"
	"time"
)

// Outbox is the bounded queue of one connection: whatever is sent to it waits here, encoded and in order, until the transport
// takes it. It is safe for concurrent use. The bytes are shared between connections and must never be changed.
type Outbox struct {
	wake  func()
	limit int

	mu     sync.Mutex
	items  []outboxItem
	head   int
	bytes  int
	closed bool
	proper bool          // closed by Finish
	room   chan struct{} // not nil while somebody waits for room

	// Messages that were ever pushed, taken, and taken before the transport came back, which it does after it has written.
	pushed, taken, written uint64
	came                   chan struct{} // not nil while somebody waits for the transport to come back
}

type outboxItem struct {
	b []byte
	t MessageType
}

// NewOutbox returns a queue of at most limit bytes. wake is called, often and from any goroutine, when there is something to
// take; it must not block. It may be called while the hub delivers to many, so it must not use the hub.
func NewOutbox(limit int, wake func()) *Outbox {
	return &Outbox{wake: wake, limit: limit}
}

// Push appends a message. It never blocks: it fails with [ErrSlow] if the queue is full, with [ErrClosed] after
// [Outbox.Finish]. A message larger than the whole limit fits into an empty queue.
func (o *Outbox) Push(b []byte, t MessageType) error {
	o.mu.Lock()
	err := o.push(b, t, o.limit)
	o.mu.Unlock()
	if err == nil {
		o.wake()
	}
	return err
}

// push needs o.mu.
func (o *Outbox) push(b []byte, t MessageType, limit int) error {
	if o.closed {
		return ErrClosed
	}
	if o.bytes > 0 && o.bytes+len(b) > limit {
		return ErrSlow
	}
	o.append(b, t)
	return nil
}

func (o *Outbox) append(b []byte, t MessageType) {
	if o.head > 0 && len(o.items) == cap(o.items) && o.head >= len(o.items)/2 {
		n := copy(o.items, o.items[o.head:])
		clear(o.items[n:])
		o.items, o.head = o.items[:n], 0
	}
	o.items = append(o.items, outboxItem{b, t})
	o.bytes += len(b)
	o.pushed++
}

// PushWait is Push that waits for room: until timeout (then [ErrSlow]) or until ctx ends (then its error). It fills the queue
// to one half only, so that a long stream leaves room for those who cannot wait.
func (o *Outbox) PushWait(ctx context.Context, b []byte, t MessageType, timeout time.Duration) error {
	err := o.pushWait(ctx, b, t, timeout)
	if err == nil {
		o.wake()
	}
	return err
}

// pushWait is PushWait for a caller who wakes the transport himself.
func (o *Outbox) pushWait(ctx context.Context, b []byte, t MessageType, timeout time.Duration) error {
	var expired <-chan time.Time
	for {
		o.mu.Lock()
		err := o.push(b, t, o.limit/2)
		if err != ErrSlow {
			o.mu.Unlock()
			return err
		}
		if o.room == nil {
			o.room = make(chan struct{})
		}
		room := o.room
		o.mu.Unlock()
		if expired == nil {
			timer := time.NewTimer(timeout)
			defer timer.Stop()
			expired = timer.C
		}
		select {
		case <-room:
		case <-expired:
			return ErrSlow
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Finish appends b, if not nil, whatever the limit, and refuses every later message with [ErrClosed]. Later calls do nothing.
func (o *Outbox) Finish(b []byte, t MessageType) {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return
	}
	if b != nil {
		o.append(b, t)
	}
	o.closed, o.proper = true, true
	o.release()
	o.mu.Unlock()
	o.wake()
}

// Discard drops what waits and refuses every later message with [ErrClosed].
func (o *Outbox) Discard() {
	o.mu.Lock()
	o.closed = true
	o.items, o.head, o.bytes = nil, 0, 0
	o.release()
	o.mu.Unlock()
	o.wake()
}

// Take hands the waiting messages to f, oldest first, until f returns false; that message and those behind it stay. It
// reports how many stay. Whoever takes again has written what was taken before. f must be quick and must not use the Outbox.
func (o *Outbox) Take(f func(b []byte, t MessageType) bool) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.written = o.taken
	if o.came != nil {
		close(o.came)
		o.came = nil
	}
	for o.head < len(o.items) {
		it := &o.items[o.head]
		if !f(it.b, it.t) {
			break
		}
		o.bytes -= len(it.b)
		*it = outboxItem{}
		o.head++
		o.taken++
	}
	if o.head == len(o.items) {
		o.head = 0
		if cap(o.items) > 64 {
			o.items = nil // an idle connection keeps no memory of a burst
		} else {
			o.items = o.items[:0]
		}
	}
	if o.room != nil && o.bytes <= o.limit/4 {
		o.release()
	}
	return len(o.items) - o.head
}

// mark returns what [Outbox.flush] is to wait for: everything that was pushed until now.
func (o *Outbox) mark() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pushed
}

// flush waits until the transport has written everything up to a mark, and reports whether it has: until ctx or the connection
// ends.
func (o *Outbox) flush(ctx context.Context, mark uint64, ended <-chan struct{}) bool {
	for {
		o.mu.Lock()
		if o.written >= mark {
			o.mu.Unlock()
			return true
		}
		if o.came == nil {
			o.came = make(chan struct{})
		}
		came := o.came
		o.mu.Unlock()
		o.wake()
		select {
		case <-came:
		case <-ended:
			return o.said(mark)
		case <-ctx.Done():
			return false
		}
	}
}

// said reports whether everything up to a mark was written to a connection that has ended: one that ends properly writes what waits
// before, and does not come back.
func (o *Outbox) said(mark uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.written >= mark || o.proper && o.taken >= mark
}

// release lets everybody go who waits for room. It needs o.mu.
func (o *Outbox) release() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// Len returns the number of messages that wait and their bytes.
func (o *Outbox) Len() (messages, bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.items) - o.head, o.bytes
}

// Closed reports whether [Outbox.Finish] or [Outbox.Discard] was called.
func (o *Outbox) Closed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed
}
