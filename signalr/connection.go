package signalr

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/ws"
)

// application is what talks over a connection: a hub session or a raw handler. The connection calls receive from one
// goroutine at a time.
type application interface {
	// start is called once, when the transport is bound.
	start()
	// receive takes bytes of the client, valid during the call only. It may wait; the client then waits too. An error is what
	// the client did wrong: the connection calls fail with it.
	receive(p []byte) error
	// fail ends the connection for an error of receive.
	fail(err error)
	// lost says that the transport is gone for good. reason is nil for an ordinary end.
	lost(reason error)
	// tick is called about once a second.
	tick(now time.Time)
	// refreshed says that the user was replaced.
	refreshed(u *hubbub.User)
	// expired says that the credential has ended and the connection must.
	expired()
	// gone says that the client asked for the end by a DELETE.
	gone()
}

// connection is one client, from the first request of its transport to its end: a queue of bytes in each direction, whatever
// carries them.
type connection struct {
	ep        *endpoint
	id        string
	token     string
	path      string
	version   int // negotiate version, -1 without negotiate
	stateful  bool
	bindBy    time.Time
	transport Transport
	req       *hubbub.Request
	app       application
	out       *hubbub.Outbox

	posts atomic.Int32 // that run or wait for feed
	feed  sync.Mutex   // held while app.receive runs, and so by one POST at a time
	from  *socket      // whose bytes app.receive gets; guarded by feed

	mu       sync.Mutex
	user     *hubbub.User
	expires  time.Time
	finished bool // no more bytes but those that wait; no reconnect
	removed  bool
	inactive time.Time // since when no request carries the connection; zero while one does
	poll     *poll     // the running one, of Long Polling
	arrivals limiter   // of stateful reconnects

	socket atomic.Pointer[socket] // of WebSockets; changed under mu
	replay atomic.Pointer[replay] // of a stateful connection, once its handshake is done

	wakeup chan struct{} // of Server-Sent Events and Long Polling: something waits; nil for WebSockets
}

// errTransport is the reason for a connection that broke the WebSocket protocol.
type errTransport struct{ error }

func (errTransport) Reason() string { return "error" }

// newConnection makes the connection of a first request. It is not in the endpoint's table yet.
func (e *endpoint) newConnection(t Transport, req *hubbub.Request, user *hubbub.User) *connection {
	c := &connection{ep: e, version: -1, transport: t, req: req, user: user}
	if t != WebSockets {
		c.wakeup = make(chan struct{}, 1)
	}
	c.expires = e.expiry(user, time.Now())
	limit := 1 << 20
	if e.hub != nil {
		limit = e.options.MaximumQueuedBytes
	}
	c.out = hubbub.NewOutbox(limit, c.wake)
	return c
}

// begin puts the application onto the connection.
func (c *connection) begin() {
	if c.ep.hub != nil {
		c.app = newSession(c)
	} else {
		c.app = newRawSession(c)
	}
}

// wake tells the transport that something waits to be written.
func (c *connection) wake() {
	if c.transport == WebSockets {
		if s := c.socket.Load(); s != nil {
			s.conn.Wake()
		}
		return
	}
	select {
	case c.wakeup <- struct{}{}:
	default:
	}
}

// flush is wake for a caller who has time to write.
func (c *connection) flush() {
	if s := c.socket.Load(); s != nil {
		s.conn.Flush()
		return
	}
	c.wake()
}

// finish lets the transport write what waits and then ends it: a WebSocket with the close code. Nothing can be queued or
// resumed afterwards. With cut nothing is written any more.
func (c *connection) finish(code int, cut bool) {
	c.mu.Lock()
	if c.finished {
		c.mu.Unlock()
		return
	}
	c.finished = true
	s := c.socket.Load()
	c.mu.Unlock()
	if cut {
		c.out.Discard()
	} else {
		c.out.Finish(nil, 0)
	}
	switch {
	case c.transport != WebSockets:
		c.wake()
		if cut {
			c.cutPoll()
		}
	case s == nil:
		c.remove()
	case cut:
		s.conn.Kill()
	default:
		s.conn.Close(code, "", c.ep.opts.CloseTimeout)
	}
}

func (c *connection) isFinished() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.finished
}

// remove takes the connection out of the endpoint's table.
func (c *connection) remove() {
	c.mu.Lock()
	done := c.removed
	c.removed = true
	c.mu.Unlock()
	if !done {
		c.ep.remove(c)
	}
}

// tick ends what has been away or stuck for too long.
func (c *connection) tick(now time.Time) {
	c.mu.Lock()
	away := !c.inactive.IsZero() && now.Sub(c.inactive) > c.ep.opts.DisconnectTimeout
	finished, s, expires := c.finished, c.socket.Load(), c.expires
	c.mu.Unlock()
	switch {
	case away:
		c.app.lost(nil)
		c.remove()
		return
	case s != nil && s.conn.WriteStalled() > c.sendTimeout():
		c.app.lost(hubbub.ErrSlow)
		s.conn.Kill()
		return
	case finished:
		return
	case s != nil && s.dead():
		// The reader may be held by calls that wait, and not see it.
		if !c.suspend(s) {
			c.app.lost(nil)
			c.finish(1000, true)
		}
		return
	}
	if c.ep.opts.CloseOnAuthenticationExpiration && !expires.IsZero() && now.After(expires) {
		c.app.expired()
		return
	}
	c.app.tick(now)
}

func (c *connection) sendTimeout() time.Duration {
	if c.ep.hub != nil {
		return c.ep.options.SendTimeout
	}
	return 10 * time.Second
}

// currentUser returns the user as of now.
func (c *connection) currentUser() *hubbub.User {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.user
}

// readEnded turns what ended the read side of a WebSocket into how the connection goes on.
func (c *connection) readEnded(s *socket, err error) {
	var closed *ws.CloseError
	var broken *ws.ProtocolError
	switch {
	case errors.As(err, &closed):
		c.out.Discard()
		c.finish(1000, false)
		c.app.lost(nil)
	case errors.As(err, &broken):
		c.out.Discard()
		c.finish(broken.Code, false)
		c.app.lost(errTransport{err})
	default:
		c.finish(1000, true)
		c.app.lost(nil)
	}
}
