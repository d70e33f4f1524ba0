package hubbub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// Dialer opens connections to a server for a [Client]. A dialect implements it.
type Dialer interface {
	// Dial connects and finishes the handshake. It blocks until then, or until ctx ends; the connection outlives ctx.
	Dial(ctx context.Context) (ClientConn, error)
}

// ClientConn is one connection to a server, as a dialect gives it to a [Client]. Read is called by one goroutine, the other
// methods by any.
type ClientConn interface {
	// ID is the connection id that the server gave, "" if it gave none.
	ID() string
	// Protocol encodes and names types; it is also a [Decoder].
	Protocol() Protocol
	// Read waits for the next message of the server. It fails with a *[CloseError] if the server said that it closes, with
	// io.EOF if the connection ended properly without a word, and with what went wrong otherwise.
	Read() (Message, error)
	// Write queues a message. It waits for room while much is queued, until ctx ends.
	Write(ctx context.Context, m Message) error
	// Close says goodbye and ends the connection, for which it takes a few seconds at most.
	Close() error
	// Cut ends the connection at once. Read then fails with reason.
	Cut(reason error)
}

// CloseError says that the server has closed the connection, and why.
type CloseError struct {
	Message        string // what the server gave as reason, "" if none
	AllowReconnect bool   // whether the server wants the client to come back
}

// Error tells the reason as the .NET client does.
func (e *CloseError) Error() string {
	if e.Message == "" {
		return "the server closed the connection"
	}
	return "the server closed the connection with the following error: " + e.Message
}

// Is makes errors.Is(err, ErrClosed) true.
func (e *CloseError) Is(target error) bool { return target == ErrClosed }

// What calls of a [Client] fail with; test with errors.Is.
var (
	// ErrNotConnected is for calls that need a connection when there is none: they were not sent.
	ErrNotConnected = errors.New("the client is not connected")
	// ErrConnectionLost is for calls whose connection has ended before their answer came: nobody knows whether the server has run
	// them, and they are not sent again. The error wraps what ended the connection too, a *[CloseError] for instance.
	ErrConnectionLost = errors.New("the connection was lost")
)

// ClientState is where a client is in its life.
type ClientState uint8

// The states. A client begins as Disconnected, and may be started again when it is.
const (
	Disconnected ClientState = iota
	Connecting
	Connected
	Reconnecting
)

// String returns the name of the state.
func (s ClientState) String() string {
	switch s {
	case Disconnected:
		return "disconnected"
	case Connecting:
		return "connecting"
	case Connected:
		return "connected"
	case Reconnecting:
		return "reconnecting"
	}
	return fmt.Sprintf("ClientState(%d)", uint8(s))
}

// ClientOptions are those of a [Client], whatever its dialect. Zero fields have the default of their comment.
type ClientOptions struct {
	// Reconnect says when to reconnect after a lost connection. Default never: the connection is over. See [StandardRetry].
	Reconnect RetryPolicy
	// OnReconnecting hears that the connection was lost and is being replaced; reason is nil if it ended properly. The first
	// attempt waits for it, and it for handlers that run, whose context has ended. A hook that panics is logged.
	OnReconnecting func(reason error)
	// OnReconnected hears that there is a connection again, with a new id. Groups must be joined anew: it may call the server,
	// and runs beside the handlers. No other hook runs before it has returned.
	OnReconnected func(connectionID string)
	// OnClosed hears the end: err is nil after Close and after a proper end by the server, and wraps [ErrClosed] after a Close
	// that came while the client was reconnecting. It may start the client again.
	OnClosed func(err error)
	// HandlerTimeout is how long Close waits for all that runs: the goodbye, handlers and hooks. Default 15 s.
	HandlerTimeout time.Duration
	// MaximumPendingInvocations bounds the server's calls that wait for handlers, and the items of one stream that wait for
	// their reader. Past that the connection is not read, unless a call of this client waits for its answer: then it is read on,
	// as a handler may wait for that call, and ends with [ErrSlow] past 64 times as many. Default 1,024.
	MaximumPendingInvocations int
	// Logger for handlers that fail and messages that fit none. Default slog.Default().
	Logger *slog.Logger
}

// Client is a connection to a hub of a server that survives reconnects. Register handlers with [Client.On] before
// [Client.Start], so that nothing is missed. All methods are safe for concurrent use. Dialects make one: see signalr.NewClient.
type Client struct {
	dialer   Dialer
	opts     ClientOptions
	handlers handlers

	mu    sync.Mutex
	state ClientState
	conv  *conversation      // the current one; nil unless Connected
	stop  context.CancelFunc // ends what Start has begun
	done  chan struct{}      // closed when what Start has begun is over
}

// NewClient returns a client that connects with d. opts may be nil.
func NewClient(d Dialer, opts *ClientOptions) *Client {
	c := &Client{dialer: d}
	if opts != nil {
		c.opts = *opts
	}
	if c.opts.MaximumPendingInvocations == 0 {
		c.opts.MaximumPendingInvocations = 1024
	}
	if c.opts.HandlerTimeout == 0 {
		c.opts.HandlerTimeout = 15 * time.Second
	}
	if c.opts.Logger == nil {
		c.opts.Logger = slog.Default()
	}
	c.handlers.byTarget = make(map[string]*handlerList)
	return c
}

// Start connects. It blocks until the handshake is done, ctx ends or the first attempt has failed: that one is not retried.
// The connection does not end with ctx but with [Client.Close], which also ends a Start, with [ErrClosed]. It fails if the client
// is not disconnected.
func (c *Client) Start(ctx context.Context) error {
	c.mu.Lock()
	if c.state != Disconnected {
		state := c.state
		c.mu.Unlock()
		return fmt.Errorf("start: the client is %s, want disconnected", state)
	}
	life, stop := context.WithCancel(context.Background())
	done, before := make(chan struct{}), c.done
	c.state, c.stop, c.done = Connecting, stop, done
	c.mu.Unlock()

	dial, cancel := context.WithCancel(ctx)
	unlink := context.AfterFunc(life, cancel) // Close ends a Start
	conn, err := c.dialer.Dial(dial)
	unlink()
	cancel()
	if closed := life.Err() != nil; closed && err == nil {
		conn.Cut(ErrClosed)
		err = ErrClosed
	} else if closed && ctx.Err() == nil {
		err = ErrClosed
	}
	if err != nil {
		c.mu.Lock()
		c.state = Disconnected
		c.mu.Unlock()
		stop()
		go finish(done, before)
		return fmt.Errorf("start: %w", err)
	}
	v := c.converse(conn)
	go func() {
		defer finish(done, before)
		c.live(life, v)
	}()
	return nil
}

// finish closes done when what was started before is over too: one of its hooks may have started this.
func finish(done, before chan struct{}) {
	if before != nil {
		<-before
	}
	close(done)
}

// converse makes conn the current connection.
func (c *Client) converse(conn ClientConn) *conversation {
	v := newConversation(c, conn)
	c.mu.Lock()
	c.state, c.conv = Connected, v
	c.mu.Unlock()
	return v
}

// live keeps the client connected until it is closed or must give up.
func (c *Client) live(life context.Context, v *conversation) {
	hook := func() {} // waits for OnReconnected
	for {
		said := make(chan struct{})
		unlink := context.AfterFunc(life, func() {
			defer close(said)
			v.close()
		})
		err := v.run()
		closed := !unlink()
		if closed {
			<-said
		}
		c.mu.Lock()
		c.conv = nil
		again := c.opts.Reconnect != nil && !closed && reconnects(err)
		if again {
			c.state = Reconnecting
		} else {
			c.state = Disconnected
		}
		c.mu.Unlock()
		reason := plain(err)
		if closed {
			reason = nil
		}
		v.end(reason)
		hook()
		if !again {
			c.closed(reason)
			return
		}
		if c.opts.OnReconnecting != nil {
			c.hook("OnReconnecting", func() { c.opts.OnReconnecting(reason) })
		}
		next, err := c.redial(life, reason)
		if err != nil {
			c.mu.Lock()
			c.state = Disconnected
			c.mu.Unlock()
			c.closed(err)
			return
		}
		v = next
		hook = c.reconnected(v.conn.ID())
	}
}

// reconnected runs the hook beside the reading, which brings the answers to its calls, and returns how to wait for it.
func (c *Client) reconnected(id string) (wait func()) {
	if c.opts.OnReconnected == nil {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.hook("OnReconnected", func() { c.opts.OnReconnected(id) })
	}()
	return func() { <-done }
}

func (c *Client) closed(err error) {
	if c.opts.OnClosed != nil {
		c.hook("OnClosed", func() { c.opts.OnClosed(err) })
	}
}

// hook runs code of the user that must not take the client with it.
func (c *Client) hook(name string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			c.opts.Logger.Error("panic in a hook", "hook", name, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	f()
}

// reconnects reports whether a client may come back after a connection that ended with err: unless the server said no.
func reconnects(err error) bool {
	closed, ok := errors.AsType[*CloseError](err)
	return !ok || closed.AllowReconnect
}

// plain is err, or nil where the connection ended properly without a reason.
func plain(err error) error {
	if closed, ok := errors.AsType[*CloseError](err); ok && closed.Message == "" {
		return nil
	}
	if isEOF(err) {
		return nil
	}
	return err
}

// redial tries to connect again as the policy says.
func (c *Client) redial(life context.Context, reason error) (*conversation, error) {
	lost := time.Now()
	for attempt := 0; ; attempt++ {
		elapsed := time.Since(lost)
		wait, again := c.opts.Reconnect(Retry{Attempt: attempt, Elapsed: elapsed, Reason: reason})
		if !again {
			return nil, fmt.Errorf("reconnect: given up after %d failed attempts in %v: %w", attempt, elapsed.Round(time.Millisecond), orClosed(reason))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-life.Done():
			timer.Stop()
			return nil, fmt.Errorf("reconnect: %w", ErrClosed)
		}
		conn, err := c.dialer.Dial(life)
		if err == nil {
			return c.converse(conn), nil
		}
		if life.Err() != nil {
			return nil, fmt.Errorf("reconnect: %w", ErrClosed)
		}
		reason = err
		c.opts.Logger.Debug("reconnect failed", "attempt", attempt+1, "error", err)
	}
}

func orClosed(err error) error {
	if err == nil {
		return ErrClosed
	}
	return err
}

// Close ends the connection for good: it says goodbye to the server, waits a few seconds at most, and returns when no goroutine
// of the client is left. Calls that wait fail with [ErrClosed]. The client can be started again. Closing twice does nothing. It
// fails if something still runs after [ClientOptions.HandlerTimeout]; the connection has ended all the same. A handler or a hook
// should call it in a goroutine of its own, as it waits for them.
func (c *Client) Close() error {
	c.mu.Lock()
	stop, done := c.stop, c.done
	c.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	timer := time.NewTimer(c.opts.HandlerTimeout)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
		return fmt.Errorf("close: a handler, a hook or the dialer still runs after %v", c.opts.HandlerTimeout)
	}
}

// State returns where the client is at the moment.
func (c *Client) State() ClientState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// ID returns the id of the current connection, "" if there is none or the server did not tell it.
func (c *Client) ID() string {
	if v, err := c.current(); err == nil {
		return v.conn.ID()
	}
	return ""
}

// current returns the conversation that calls go to.
func (c *Client) current() (*conversation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conv == nil {
		return nil, fmt.Errorf("%w: it is %s", ErrNotConnected, c.state)
	}
	return c.conv, nil
}
