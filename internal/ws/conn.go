package ws

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Source is what a [Conn] writes: whole frames ready for the wire.
type Source interface {
	// Fill appends pending frames to dst, whole frames only, until dst has about max bytes,
	// and at least one frame when one is pending. more tells that frames are left; it must
	// not be set when nothing was appended. Fill is called by one goroutine at a time, not
	// always the same one, and not after Done; it must not block. The bytes it appends are
	// copies: dst is reused.
	Fill(dst []byte, max int) (out []byte, more bool)
}

// Conn is the server's end of a WebSocket connection. All methods are safe for concurrent
// use, but only one call of Read is allowed.
type Conn struct {
	nc    net.Conn
	raw   syscall.RawConn // nil: TLS, wrapped, or a platform without direct access
	f     *flusher
	next  *Conn // in the FIFO of f
	epoch time.Time

	state  atomic.Uint32 // of the write side, see flusher.go
	refs   atomic.Int32  // socket, write side, lingering reader: what Done waits for
	killed atomic.Bool   // changed under mu
	stall  atomic.Int64  // when the write under way began, nanoseconds after epoch plus 1; 0: none
	done   chan struct{}

	parse parser
	early []byte // came with the request, not read yet

	mu       sync.Mutex
	src      Source
	started  bool
	pong     []byte // payload of the newest ping
	pongDue  bool
	closing  bool // Close was called: what follows are its arguments
	code     int
	reason   string
	wait     time.Duration
	last     bool // the last bytes have been handed to a write
	sent     bool // and written
	reading  readState
	peerDone bool // the peer sent its close frame
	peerGone bool // the read side ended by an error of the socket
	broken   bool // the read side ended by a violation: what follows cannot be parsed
	cause    error
	deadline time.Time // for the peer, once sent
	timer    *time.Timer
}

func newConn(nc net.Conn, early []byte) *Conn {
	c := &Conn{nc: nc, raw: rawConn(nc), early: early, epoch: time.Now(), done: make(chan struct{})}
	c.f = nextFlusher()
	c.refs.Store(2) // the socket and the write side
	c.state.Store(busy)
	return c
}

// RemoteAddr returns the network address of the peer.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// Done returns a channel that is closed when the socket is closed and no goroutine of the
// connection's write side is left, so that the Source is not called any more. A running
// Read returns by itself about then.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Start sets the source and queues the connection. Before Start nothing is written. Only
// the first call counts; after Close or Kill it has no effect. It does not block.
func (c *Conn) Start(src Source) {
	c.mu.Lock()
	if c.started {
		c.mu.Unlock()
		return
	}
	c.started, c.src = true, src
	c.mu.Unlock()
	c.release(true)
}

// Wake tells that the source has something to write: it queues the connection on its
// flusher unless it is queued already. Wake is cheap and never blocks; it may be called by
// any goroutine, any number of times, also before Start and after the end.
func (c *Conn) Wake() {
	for {
		switch c.state.Load() {
		case idle:
			if c.state.CompareAndSwap(idle, queued) {
				c.enqueue()
				return
			}
		case busy:
			if c.state.CompareAndSwap(busy, woken) {
				return
			}
		default:
			return
		}
	}
}

// Flush is Wake for a caller who has time for one system call: unless somebody is writing
// or about to, it makes a turn's one non-blocking write itself, which saves the switch to
// another goroutine. What does not fit into it is left to the flusher or, when the peer is
// slow, to a goroutine of its own. Flush calls the Source. It never waits for the peer.
func (c *Conn) Flush() {
	if c.raw == nil || !c.state.CompareAndSwap(idle, busy) {
		c.Wake()
		return
	}
	if buf := c.turn(borrow()); buf != nil {
		buf.free()
	}
}

// WriteStalled returns for how long the current write has made no progress, 0 when none is
// stuck. It is cheap. A connection that makes no progress for 60 s is killed without the
// owner's help.
func (c *Conn) WriteStalled() time.Duration {
	at := c.stall.Load()
	if at == 0 {
		return 0
	}
	return max(time.Since(c.epoch)-time.Duration(at-1), 1)
}

// Kill closes the TCP connection at once: what is not written yet is lost, and Read
// returns. It does not wait for Read or for writes. Later calls have no effect.
func (c *Conn) Kill() { c.kill(nil) }

// kill is Kill with the error that a running Read shall return instead of net.ErrClosed.
func (c *Conn) kill(cause error) {
	c.mu.Lock()
	if c.killed.Load() {
		c.mu.Unlock()
		return
	}
	c.cause = cause
	c.killed.Store(true)
	if c.timer != nil {
		c.timer.Stop()
	}
	unstarted := !c.started
	c.started = true
	c.mu.Unlock()

	c.closeSocket()
	c.unref()
	if unstarted {
		c.release(false)
	} else {
		c.retire()
	}
}

// closeSocket closes without waiting. A TLS connection would first try to send an alert,
// for up to 5 s when the peer does not read, so its socket is closed directly. What a stuck
// peer has not taken would keep kernel memory long after; it is thrown away.
func (c *Conn) closeSocket() {
	nc := c.nc
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if t, ok := nc.(*net.TCPConn); ok && c.stall.Load() != 0 {
		t.SetLinger(0)
	}
	nc.Close()
}

// unref gives up one of the things Done waits for.
func (c *Conn) unref() {
	if c.refs.Add(-1) == 0 {
		close(c.done)
	}
}
