package hubbub

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Send calls target on the server without asking for an answer. It waits only while much is queued. Arguments of type [Seq]
// are streams that the server reads; they are sent in the background.
func (c *Client) Send(ctx context.Context, target string, args ...any) error {
	v, err := c.current()
	if err != nil {
		return fmt.Errorf("send %s: %w", target, err)
	}
	plainArgs, streams := split(args)
	v.mu.Lock()
	ids := v.nextIDs(len(streams))
	v.mu.Unlock()
	if err := v.conn.Write(ctx, &Invocation{Target: target, Args: ArgsOf(plainArgs...), StreamIDs: ids}); err != nil {
		return fmt.Errorf("send %s: %w", target, err)
	}
	v.upload(v.ctx, ids, streams)
	return nil
}

// Invoke implements [Invoker]: it calls target on the server and stores its result in what result points to; nil drops it. It
// blocks until the answer is there. When ctx ends first, the server is asked to cancel the call. An error of the server is an
// *[Error]. A call whose connection is lost fails; it is never sent again.
func (c *Client) Invoke(ctx context.Context, result any, target string, args ...any) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("invoke %s: %w", target, err)
	}
	v, err := c.current()
	if err != nil {
		return fmt.Errorf("invoke %s: %w", target, err)
	}
	m, err := v.invoke(ctx, target, args)
	switch {
	case err != nil:
		return fmt.Errorf("invoke %s: %w", target, err)
	case m.Error != "":
		return &Error{Message: m.Error}
	case result == nil || !m.HasResult: // a server that gives no result means the zero value
		return nil
	}
	if err := m.Result.Decode(result); err != nil {
		return errResult(typeName(v.conn.Protocol(), result), err)
	}
	return nil
}

func (v *conversation) invoke(ctx context.Context, target string, args []any) (*Completion, error) {
	plainArgs, streams := split(args)
	o, ids, err := v.open(false, len(streams))
	if err != nil {
		return nil, err
	}
	defer v.drop(o)
	if err := v.conn.Write(ctx, &Invocation{ID: o.id, Target: target, Args: ArgsOf(plainArgs...), StreamIDs: ids}); err != nil {
		return nil, err
	}
	end := v.upload(v.ctx, ids, streams)
	select {
	case m, ok := <-o.answer:
		v.finish(len(streams), end)
		if !ok {
			return nil, o.fail
		}
		return m, nil
	case <-ctx.Done():
		v.giveUp(o, end)
		return nil, ctx.Err()
	}
}

// giveUp asks the server to stop a call that nobody waits for any more, after the streams of the call have ended.
func (v *conversation) giveUp(o *outgoing, end func()) {
	v.mu.Lock()
	_, open := v.calls[o.id]
	v.mu.Unlock()
	v.beside(func() {
		end()
		if open {
			_ = v.conn.Write(v.ctx, &CancelInvocation{InvocationID: o.id})
		}
	})
}

// finish ends the streams of a call that is over.
func (v *conversation) finish(streams int, end func()) {
	if streams > 0 {
		v.beside(end)
	}
}

// beside runs what may have to wait for room in the queue, for which a call that is over does not wait. The end of the
// connection ends it, and waits for it.
func (v *conversation) beside(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.ended {
		v.asked.Go(f)
	}
}

// split takes the streams out of the arguments of a call.
func split(args []any) (plainArgs []any, streams []seqResult) {
	plainArgs = args
	for i, a := range args {
		if s, ok := a.(seqResult); ok {
			if streams == nil {
				plainArgs = append([]any(nil), args[:i]...)
			}
			streams = append(streams, s)
		} else if streams != nil {
			plainArgs = append(plainArgs, a)
		}
	}
	return plainArgs, streams
}

// upstream is one stream that this client sends.
type upstream struct {
	v   *conversation
	ctx context.Context
	id  string

	mu   sync.Mutex
	over bool
}

// upload sends the items of streams beside everything else. end cancels those that are not over; it does not wait for the code
// of the streams.
func (v *conversation) upload(ctx context.Context, ids []string, streams []seqResult) (end func()) {
	if len(streams) == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	all := make([]*upstream, len(streams))
	for i, s := range streams {
		all[i] = &upstream{v: v, ctx: ctx, id: ids[i]}
		go all[i].run(s)
	}
	return func() {
		cancel()
		for _, u := range all {
			u.end("Stream canceled by client.")
		}
	}
}

// run sends the items of s and then its end.
func (u *upstream) run(s seqResult) {
	var failed error
	func() {
		defer func() {
			if p := recover(); p != nil {
				failed = fmt.Errorf("panic: %v", p)
			}
		}()
		s.each(func(item any, err error) bool {
			if err == nil {
				err = u.send(item)
			}
			failed = err
			return err == nil
		})
	}()
	switch {
	case u.ctx.Err() != nil:
		u.end("Stream canceled by client.")
	case failed != nil:
		u.end(uploadError(failed))
	default:
		u.end("")
	}
}

func (u *upstream) send(item any) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return context.Canceled
	}
	return u.v.conn.Write(u.ctx, &StreamItem{InvocationID: u.id, Item: ValueOf(item)})
}

// end tells the server that the stream is over, once; text is the error that ends it, "" if there is none.
func (u *upstream) end(text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.over {
		u.over = true
		_ = u.v.conn.Write(u.v.ctx, &Completion{InvocationID: u.id, Error: text}) // fails only with the connection
	}
}

// uploadError is the text that ends a stream which failed. It must not be empty: that would be no error.
func uploadError(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Message != "" {
		return e.Message
	}
	return fmt.Sprintf("Stream errored by client: '%v'", err)
}

// Streamer is a [Client], or what embeds one.
type Streamer interface {
	stream(ctx context.Context, target string, args []any, yield func(Value, error) bool)
}

// Stream calls target on the server and returns the items that it sends. The call begins when the range begins, each range is
// a call of its own. Breaking out of the range, and the end of ctx, cancel it on the server. It ends with an error if the
// server ends the stream with one (*[Error]), if an item is of another type, or if the connection is lost.
func Stream[T any](ctx context.Context, c Streamer, target string, args ...any) Seq[T] {
	return func(yield func(T, error) bool) {
		c.stream(ctx, target, args, func(item Value, err error) bool {
			var v T
			if err == nil {
				err = item.Decode(&v)
				if err != nil {
					err = fmt.Errorf("stream %s: item: %w", target, err)
				}
			}
			return yield(v, err) && err == nil
		})
	}
}

// stream runs one streaming call. yield gets the items, or the error that ends them.
func (c *Client) stream(ctx context.Context, target string, args []any, yield func(Value, error) bool) {
	fail := func(err error) { yield(Value{}, fmt.Errorf("stream %s: %w", target, err)) }
	v, err := c.current()
	if err != nil {
		fail(err)
		return
	}
	plainArgs, streams := split(args)
	o, ids, err := v.open(true, len(streams))
	if err != nil {
		fail(err)
		return
	}
	if err := v.conn.Write(ctx, &Invocation{ID: o.id, Stream: true, Target: target, Args: ArgsOf(plainArgs...), StreamIDs: ids}); err != nil {
		v.drop(o)
		fail(err)
		return
	}
	end := v.upload(v.ctx, ids, streams)
	wake := context.AfterFunc(ctx, func() {
		v.mu.Lock()
		v.more.Broadcast()
		v.mu.Unlock()
	})
	defer wake()
	defer func() {
		v.giveUp(o, end)
		v.drop(o)
	}()
	for {
		item, err := v.nextItem(ctx, o)
		switch {
		case isEOF(err):
			return
		case err != nil:
			if _, ok := errors.AsType[*Error](err); ok {
				yield(Value{}, err)
			} else {
				fail(err)
			}
			return
		case !yield(item, nil):
			return
		}
	}
}

// nextItem waits for an item of a stream, or for its end: io.EOF is a proper one.
func (v *conversation) nextItem(ctx context.Context, o *outgoing) (Value, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for {
		switch {
		case ctx.Err() != nil:
			return Value{}, ctx.Err()
		case len(o.items) > 0:
			item := o.items[0]
			o.items[0] = Value{}
			o.items = o.items[1:]
			v.more.Broadcast()
			return item, nil
		case o.over != nil && o.over.Error != "":
			return Value{}, &Error{Message: o.over.Error}
		case o.over != nil && o.over.HasResult:
			return Value{}, &Error{Class: "InvalidOperationException", Message: "the server gave a result at the end of a stream; use Invoke"}
		case o.over != nil:
			return Value{}, errEOF
		case o.fail != nil:
			return Value{}, o.fail
		}
		v.more.Wait()
	}
}
