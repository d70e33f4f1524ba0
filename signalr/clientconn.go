package signalr

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubbub-go/hubbub"
)

// clientTransport moves bytes between a client and its server.
type clientTransport interface {
	// read waits for bytes of the server, which belong to the caller. It is called by one goroutine. io.EOF is a proper end.
	read(ctx context.Context) ([]byte, error)
	// write sends bytes, by one goroutine at a time.
	write(ctx context.Context, b []byte) error
	// close ends the transport properly, after everything has been written.
	close(ctx context.Context)
	// cut ends it at once.
	cut()
}

// clientConn is one connection of a client: the hubbub.ClientConn of this dialect.
type clientConn struct {
	d         *dialer
	n         *negotiation
	transport Transport
	out       *hubbub.Outbox
	replay    *replay // nil without stateful reconnect

	ctx    context.Context // ends with the connection
	cancel context.CancelCauseFunc
	tr     atomic.Pointer[clientTransport] // replaced by a stateful reconnect
	wakeup chan struct{}
	rest   []byte // read and not yet parsed
	watch  *time.Timer
	silent atomic.Bool // the socket was cut as the server was silent
	lostAt time.Time   // when a socket was lost after which nothing has been read yet; the reader's

	lastSent atomic.Int64 // nanoseconds since born
	born     time.Time
	closing  atomic.Bool
	closed   sync.Once
	flushed  chan struct{} // closed when the writer has written everything
	alive    sync.WaitGroup
	fresh    sync.WaitGroup // what refreshes the credential, which may wait for code of the user

	freshMu   sync.Mutex
	stopFresh context.CancelFunc // of what refreshes the credential, nil if nothing has yet
}

// ErrServerTimeout says that the server was silent for longer than [ClientOptions.ServerTimeout], or has not answered a request
// within [ClientOptions.RequestTimeout].
var ErrServerTimeout = errors.New("server timeout elapsed without receiving a message from the server")

func newClientConn(d *dialer, n *negotiation, t Transport) *clientConn {
	c := &clientConn{d: d, n: n, transport: t, wakeup: make(chan struct{}, 1), flushed: make(chan struct{}), born: time.Now()}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.out = hubbub.NewOutbox(d.opts.MaximumQueuedBytes, c.wake)
	return c
}

// ID and Protocol are hubbub.ClientConn.

func (c *clientConn) ID() string                { return c.n.id }
func (c *clientConn) Protocol() hubbub.Protocol { return c.d.proto }

func (c *clientConn) wake() {
	select {
	case c.wakeup <- struct{}{}:
	default:
	}
}

// shakeHands tells the server the protocol and waits for its answer.
func (c *clientConn) shakeHands(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.d.opts.HandshakeTimeout)
	defer cancel()
	version := 1
	if c.n.stateful && c.transport == WebSockets {
		version = 2
		r := newReplay(c.d.opts.StatefulReconnectBufferSize, c.tr.Load(), c.wake)
		r.release()
		c.replay = r
	}
	// Only now, as Cut looks at replay.
	cut := make(chan struct{})
	unlink := context.AfterFunc(ctx, func() {
		defer close(cut)
		c.Cut(fmt.Errorf("handshake: %w", ctx.Err()))
	})
	err := c.agree(version)
	if !unlink() { // the answer may have come, but the connection is gone
		<-cut
		if err == nil {
			err = context.Cause(c.ctx)
		}
	}
	return err
}

// agree sends the handshake and reads the answer.
func (c *clientConn) agree(version int) error {
	tr := *c.tr.Load()
	if err := tr.write(c.ctx, appendHandshakeRequest(nil, c.d.proto.Name(), version)); err != nil {
		return fmt.Errorf("handshake: %w", c.because(err))
	}
	for {
		i := bytes.IndexByte(c.rest, recordSeparator)
		if i >= 0 {
			record := c.rest[:i]
			c.rest = c.rest[i+1:]
			return parseHandshakeAnswer(record)
		}
		p, err := tr.read(c.ctx)
		if errors.Is(err, io.EOF) {
			return errors.New("handshake: the server disconnected before sending a handshake response")
		}
		if err != nil {
			return fmt.Errorf("handshake: %w", c.because(err))
		}
		c.rest = append(c.rest, p...)
	}
}

func appendHandshakeRequest(dst []byte, protocol string, version int) []byte {
	return append(fmt.Appendf(dst, `{"protocol":%q,"version":%d}`, protocol, version), recordSeparator)
}

// parseHandshakeAnswer reads the answer to a handshake (HubProtocol.md, "Overview").
func parseHandshakeAnswer(record []byte) error {
	var a map[string]json.RawMessage
	if err := json.Unmarshal(record, &a); err != nil {
		return fmt.Errorf("handshake: invalid answer: %w", err)
	}
	if a["type"] != nil {
		return errors.New("handshake: expected a handshake response from the server")
	}
	if a["error"] == nil {
		return nil
	}
	var text string
	if err := json.Unmarshal(a["error"], &text); err != nil || string(a["error"]) == "null" {
		return errors.New("handshake: invalid answer: expected 'error' to be of type String")
	}
	return fmt.Errorf("handshake: %w", &hubbub.Error{Message: "unable to complete handshake with the server due to an error: " + text})
}

// live starts what keeps the connection going.
func (c *clientConn) live() {
	if c.transport != LongPolling {
		c.watch = time.AfterFunc(c.d.opts.ServerTimeout, c.silence)
		c.control(hubbub.Ping{})
	}
	c.alive.Add(2)
	go c.writeAll()
	go c.tend()
	c.scheduleRefresh(c.n.lifetime)
}

// silence ends a socket that has brought nothing for too long. A stateful connection may go on over another.
func (c *clientConn) silence() {
	if c.replay == nil || c.closing.Load() {
		c.Cut(ErrServerTimeout)
		return
	}
	c.silent.Store(true)
	(*c.tr.Load()).cut()
}

// because returns why the connection was cut, if it was, and err otherwise.
func (c *clientConn) because(err error) error {
	if cause := context.Cause(c.ctx); cause != nil && cause != context.Canceled {
		return cause
	}
	return err
}

// Read implements hubbub.ClientConn.
func (c *clientConn) Read() (hubbub.Message, error) {
	for {
		m, err := c.parse()
		if err != nil {
			c.leave() // properly, also when the server has said goodbye
			c.Cut(err)
			return nil, c.ended(err)
		}
		if m != nil {
			return m, nil
		}
		p, err := c.receive()
		if err != nil {
			c.Cut(err)
			return nil, c.ended(c.because(err))
		}
		if len(c.rest) == 0 {
			c.rest = p
		} else {
			c.rest = append(c.rest, p...)
		}
	}
}

// ended waits for the goroutines of the connection, so that nothing is left when the client hears of its end.
func (c *clientConn) ended(err error) error {
	c.alive.Wait()
	c.d.rest()
	return err
}

// Wait waits for what may still run of the user's code when the connection is over.
func (c *clientConn) Wait() {
	c.awaitFresh()
	c.d.rest()
}

// receive waits for bytes, over a stateful reconnect if it must.
func (c *clientConn) receive() ([]byte, error) {
	for {
		if c.watch != nil {
			c.watch.Reset(c.d.opts.ServerTimeout)
		}
		tr := c.tr.Load()
		p, err := (*tr).read(c.ctx)
		if c.watch != nil {
			c.watch.Stop()
		}
		if err == nil {
			c.lostAt = time.Time{}
			return p, nil
		}
		if c.silent.Swap(false) {
			err = ErrServerTimeout
		}
		if c.replay == nil || c.closing.Load() || c.ctx.Err() != nil {
			return nil, err
		}
		if err := c.resume(tr, err); err != nil {
			return nil, err
		}
		c.rest = nil
	}
}

// parse returns the next message for the client, nil if more bytes are needed.
func (c *clientConn) parse() (hubbub.Message, error) {
	for len(c.rest) > 0 {
		record, n, err := c.d.proto.next(c.rest, max(c.d.opts.MaximumReceiveMessageSize, 0))
		if err != nil || n == 0 {
			return nil, err
		}
		if c.rest = c.rest[n:]; len(c.rest) == 0 {
			c.rest = nil
		}
		m, err := c.d.proto.parse(record)
		if err != nil {
			return nil, err
		}
		if m, err = c.take(m, n); m != nil || err != nil {
			return m, err
		}
	}
	return nil, nil
}

// take handles what is not for the client itself, of n bytes.
func (c *clientConn) take(m hubbub.Message, n int) (hubbub.Message, error) {
	r := c.replay
	if r != nil && m != nil && trackable(m.Type()) {
		fresh := r.received(n)
		if id, due := r.pressing(); due {
			c.control(ack{id})
		}
		if !fresh {
			return nil, nil // it was handled before the socket was cut
		}
	}
	switch m := m.(type) {
	case hubbub.Ping:
		return nil, nil
	case *hubbub.Invocation:
		if m.Stream {
			return nil, errors.New("unexpected message: the server called a method of the client as a stream")
		}
	case *hubbub.Close:
		c.closing.Store(true)
		return nil, &hubbub.CloseError{Message: m.Error, AllowReconnect: m.AllowReconnect}
	case ack:
		if r != nil {
			r.ack(m.SequenceID)
			c.wake()
		}
		return nil, nil
	case sequence:
		if r != nil {
			return nil, r.sequence(m.SequenceID)
		}
		return nil, nil
	}
	return m, nil
}

// Write implements hubbub.ClientConn.
func (c *clientConn) Write(ctx context.Context, m hubbub.Message) error {
	b, err := c.encode(m)
	if err != nil {
		return err
	}
	if err = c.out.PushWait(ctx, b, m.Type(), 24*time.Hour); errors.Is(err, hubbub.ErrClosed) {
		return fmt.Errorf("%w: %w", hubbub.ErrNotConnected, c.because(err))
	}
	return err
}

// encode returns a message as bytes. A value whose own encoder panics is one that cannot be encoded.
func (c *clientConn) encode(m hubbub.Message) (b []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in the encoder of a value: %v", p)
		}
	}()
	return c.d.proto.Append(make([]byte, 0, 128), m)
}

// control sends a message of this dialect before others.
func (c *clientConn) control(m hubbub.Message) {
	b, err := c.d.proto.Append(nil, m)
	if err != nil {
		return // they have no values that could fail
	}
	if c.replay != nil {
		c.replay.push(b)
		c.wake()
		return
	}
	_ = c.out.Push(b, m.Type()) // a full queue needs no ping
}

// fill appends what waits to be written to tr.
func (c *clientConn) fill(tr *clientTransport, dst []byte) []byte {
	const most = 64 << 10
	if c.replay != nil {
		dst, _ = c.replay.fill(tr, c.out, dst, most)
	} else {
		dst, _ = fill(c.out, dst, most)
	}
	return dst
}

// writeAll writes what is queued, in as few pieces as there is time for, until the connection ends.
func (c *clientConn) writeAll() {
	defer c.alive.Done()
	defer close(c.flushed)
	var buf []byte
	for {
		tr := c.tr.Load()
		buf = c.fill(tr, buf[:0])
		if len(buf) > 0 {
			c.lastSent.Store(int64(time.Since(c.born)))
			if err := (*tr).write(c.ctx, buf); err != nil && c.replay == nil {
				c.Cut(err)
				return
			}
			if cap(buf) > 1<<20 {
				buf = nil
			}
			continue
		}
		closed := c.out.Closed() // asked first: the goodbye may come between the two questions
		if n, _ := c.out.Len(); n == 0 && closed {
			return // goodbye has been said
		}
		select {
		case <-c.wakeup:
		case <-c.ctx.Done():
			return
		}
	}
}

// tend sends pings and acknowledgements when they are due.
func (c *clientConn) tend() {
	defer c.alive.Done()
	tick := time.NewTicker(min(time.Second, max(c.d.opts.KeepAliveInterval/2, time.Millisecond)))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			return
		}
		if c.replay != nil {
			if id, due := c.replay.due(); due {
				c.control(ack{id})
			}
		}
		if idle := time.Since(c.born) - time.Duration(c.lastSent.Load()); c.transport != LongPolling && idle >= c.d.opts.KeepAliveInterval {
			c.control(hubbub.Ping{})
		}
	}
}

// Close implements hubbub.ClientConn.
func (c *clientConn) Close() error {
	c.closed.Do(func() {
		c.closing.Store(true)
		goodbye, _ := c.d.proto.Append(nil, &hubbub.Close{})
		if c.replay != nil {
			c.replay.finish(goodbye)
			c.out.Finish(nil, 0)
		} else {
			c.out.Finish(goodbye, hubbub.TypeClose)
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), c.d.opts.CloseTimeout)
		defer cancel()
		select {
		case <-c.flushed:
			(*c.tr.Load()).close(ctx)
		case <-ctx.Done(): // there is no time for more
		}
		c.Cut(hubbub.ErrClosed)
	})
	return nil
}

// leave ends the transport as its protocol says. The server's own goodbye may end the connection meanwhile.
func (c *clientConn) leave() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), c.d.opts.CloseTimeout)
	defer cancel()
	(*c.tr.Load()).close(ctx)
}

// Cut implements hubbub.ClientConn.
func (c *clientConn) Cut(reason error) {
	c.closing.Store(true)
	c.cancel(reason)
	c.out.Discard()
	if c.replay != nil {
		c.replay.stop()
	}
	if c.watch != nil {
		c.watch.Stop()
	}
	if tr := c.tr.Load(); tr != nil {
		(*tr).cut()
	}
}
