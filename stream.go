package hubbub

import (
	"context"
	"fmt"
	"iter"
	"sync"
)

// maximumUploads bounds the streams that one call may announce.
const maximumUploads = 64

// Seq is a stream of values, the only stream type: as a result of a hub method it is what the server sends, as a parameter
// what the client sends. A Seq that yields an error ends with it. Breaking out of the range over a parameter drops the rest of
// the client's stream. A Seq given to a method can be ranged over once.
type Seq[T any] iter.Seq2[T, error]

// seqResult is a Seq of whatever type, as a result.
type seqResult interface {
	each(yield func(any, error) bool)
	empty() bool
}

// seqParam is a pointer to a Seq of whatever type, as a parameter.
type seqParam interface{ receive(u *upload) }

func (s Seq[T]) empty() bool { return s == nil }

func (s Seq[T]) each(yield func(any, error) bool) {
	s(func(v T, err error) bool { return yield(v, err) })
}

func (s *Seq[T]) receive(u *upload) {
	*s = func(yield func(T, error) bool) {
		if u == nil {
			return
		}
		defer u.stop()
		for {
			var zero, v T
			item, more, err := u.next()
			if err != nil {
				yield(zero, err)
				return
			}
			if !more {
				return
			}
			if err := item.Decode(&v); err != nil {
				yield(zero, &Error{Message: errItem, cause: err, detail: err})
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

// upload is a stream that the client sends, between the connection and the method: a bounded queue.
type upload struct {
	items   chan Value
	end     chan struct{} // closed when the client or the connection has ended the stream
	err     error         // why, nil for a proper end; set before end is closed
	once    sync.Once
	stopped chan struct{} // closed when the method takes no more
	stopOne sync.Once
}

func newUpload(capacity int) *upload {
	return &upload{items: make(chan Value, capacity), end: make(chan struct{}), stopped: make(chan struct{})}
}

// push waits until there is room for an item, the method has stopped or the connection has ended.
func (u *upload) push(ctx context.Context, v Value) {
	select {
	case <-u.end: // an item behind the end of its stream
		return
	default:
	}
	select {
	case u.items <- v:
	case <-u.stopped:
	case <-u.end:
	case <-ctx.Done():
	}
}

func (u *upload) finish(err error) {
	u.once.Do(func() {
		u.err = err
		close(u.end)
	})
}

func (u *upload) stop() { u.stopOne.Do(func() { close(u.stopped) }) }

// next waits for an item or the end. Items that came before the end are delivered before it.
func (u *upload) next() (v Value, more bool, err error) {
	select {
	case v = <-u.items:
		return v, true, nil
	default:
	}
	select {
	case v = <-u.items:
		return v, true, nil
	case <-u.stopped:
		return Value{}, false, nil
	case <-u.end:
		select {
		case v = <-u.items:
			return v, true, nil
		default:
			return Value{}, false, u.err
		}
	}
}

// item gives an item to its stream; an unknown or finished stream drops it.
func (l *Link) item(m *StreamItem) {
	l.mu.Lock()
	u := l.uploads[m.InvocationID]
	l.mu.Unlock()
	if u != nil {
		u.push(l.ctx, m.Item)
	}
}

// stream sends the items of a result. It returns the error text that ends the stream, "" for a proper end.
func (l *Link) stream(c *call, s seqResult) (text string) {
	err := l.sendItems(c, s)
	if err == nil || c.canceled() {
		return ""
	}
	l.failed(c, err)
	return Describe(textStreamFailed, err, l.hub.opts.EnableDetailedErrors)
}

func (l *Link) sendItems(c *call, s seqResult) (err error) {
	defer l.hub.recovered(&err)
	over := false
	s.each(func(v any, failed error) bool {
		if over || c.canceled() {
			return false
		}
		over = true
		if failed != nil {
			err = failed
			return false
		}
		b, bad := l.encode(&StreamItem{InvocationID: c.in.ID, Item: ValueOf(v)})
		if bad != nil {
			err = fmt.Errorf("encode an item: %w", bad)
			return false
		}
		over = l.push(c, b, TypeStreamItem) != nil
		return !over
	})
	return err
}
