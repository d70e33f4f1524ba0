package signalr

import (
	"net/http"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/ws"
)

// holdTime is how long messages wait for the first frame of a client after its handshake: the JavaScript client does not
// count what it gets before.
const holdTime = 500 * time.Millisecond

// replay is what a stateful connection remembers of both directions: what the client has not acknowledged, and how far the
// client's messages were received (HubProtocol.md, "Ack" and "Sequence").
type replay struct {
	limit int // of bytes not acknowledged

	mu      sync.Mutex
	control [][]byte // frames that go before all others and are not counted
	last    []byte   // the Close, behind everything that may still go
	unacked [][]byte
	bytes   int
	first   int64 // id of unacked[0]
	sent    int   // how many of unacked have gone out on this socket
	ackedBy int64 // highest id that the other side has acknowledged
	extra   bool  // one message may go although unacked is full; see restart
	held    bool
	hold    *time.Timer
	current any // the socket that is filled

	next   int64 // id of the next message of the client
	latest int64 // highest id received
	acked  int64 // highest id acknowledged to the client
	weight int   // bytes received since
}

func newReplay(limit int, owner any, wake func()) *replay {
	r := &replay{limit: limit, first: 1, next: 1, held: true, current: owner}
	r.hold = time.AfterFunc(holdTime, func() {
		r.release()
		wake()
	})
	return r
}

// trackable reports whether messages of this type have an id and are replayed.
func trackable(t hubbub.MessageType) bool {
	return t >= hubbub.TypeInvocation && t <= hubbub.TypeCancelInvocation
}

// release lets messages go that waited for the client's first frame.
func (r *replay) release() {
	r.mu.Lock()
	r.held = false
	r.stop()
	r.mu.Unlock()
}

// stop ends the timer of a connection that ends.
func (r *replay) stop() {
	if r.hold != nil {
		r.hold.Stop()
	}
}

// push appends a frame that is not counted and need not wait its turn.
func (r *replay) push(frame []byte) {
	r.mu.Lock()
	r.control = append(r.control, frame)
	r.mu.Unlock()
}

// finish sets the last frame.
func (r *replay) finish(frame []byte) {
	r.mu.Lock()
	r.last = frame
	r.mu.Unlock()
}

// fill appends to dst what a stateful connection has to write to the socket owner: control frames, what must be sent again, and
// new messages out of out as far as the other side's acknowledgements allow.
func (r *replay) fill(owner any, out *hubbub.Outbox, dst []byte, max int) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current != owner { // gone over to another meanwhile
		return dst, false
	}
	start := len(dst)
	fits := func(b []byte) bool { n := len(dst) - start; return n == 0 || n+len(b) <= max }
	// The answer to the handshake is the only thing that stands before the control frames.
	out.Take(func(b []byte, t hubbub.MessageType) bool {
		if t == 0 {
			dst = append(dst, b...)
		}
		return t == 0
	})
	for len(r.control) > 0 {
		if !fits(r.control[0]) {
			return dst, true
		}
		dst = append(dst, r.control[0]...)
		r.control = r.control[1:]
	}
	r.control = nil
	if !r.held {
		for ; r.sent < len(r.unacked); r.sent++ {
			if !fits(r.unacked[r.sent]) {
				return dst, true
			}
			dst = append(dst, r.unacked[r.sent]...)
		}
		r.forget()
		full := false
		out.Take(func(b []byte, _ hubbub.MessageType) bool {
			if full = !fits(b); full {
				return false
			}
			if r.bytes > r.limit {
				if !r.extra {
					return false
				}
				r.extra = false
			}
			dst = append(dst, b...)
			r.unacked = append(r.unacked, b)
			r.bytes += len(b)
			r.sent++
			return true
		})
		if full {
			return dst, true
		}
	}
	if r.last != nil {
		dst = append(dst, r.last...)
		r.last = nil
	}
	return dst, false
}

// received counts a trackable message of the client, of n bytes. It reports false for one that was received before.
func (r *replay) received(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.weight += n
	id := r.next
	r.next++
	if id <= r.latest {
		return false
	}
	r.latest = id
	return true
}

// sequence takes the id that the client's next message has.
func (r *replay) sequence(id int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id < 1 || id > r.latest+1 { // not r.next, which is lower when a socket was cut while it said again what had been received
		return hubbub.Classify("InvalidOperationException", nil, "Sequence ID greater than amount of messages we've received.")
	}
	r.next = id
	return nil
}

// ack takes the id up to which the client has received everything.
func (r *replay) ack(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ackedBy = max(r.ackedBy, min(id, r.first+int64(len(r.unacked))-1))
	r.forget()
}

// forget drops what the client has received. On a new socket that must first be said again all the same: the Sequence has
// announced it. It needs r.mu.
func (r *replay) forget() {
	n := int(min(max(r.ackedBy-r.first+1, 0), int64(r.sent)))
	for _, b := range r.unacked[:n] {
		r.bytes -= len(b)
	}
	clear(r.unacked[:n])
	r.unacked = r.unacked[n:]
	r.first += int64(n)
	r.sent -= n
	if len(r.unacked) == 0 {
		r.unacked = nil
	}
}

// pressing is due for a sender whose buffer fills: it cannot wait for the next second, or one buffer a second is all that it sends.
func (r *replay) pressing() (int64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.weight < r.limit/4 {
		return 0, false
	}
	return r.owed()
}

// due returns the id to acknowledge now, if there is one.
func (r *replay) due() (int64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owed()
}

// owed is due, but for what is just being said again: if it were acknowledged now and the socket cut, the next Sequence would be
// higher than what ASP.NET Core has counted. It needs r.mu.
func (r *replay) owed() (int64, bool) {
	if r.latest <= r.acked || r.next <= r.latest {
		return 0, false
	}
	r.weight = 0
	r.acked = r.latest
	return r.latest, true
}

// restart prepares for a new socket: first the Sequence that frame makes, then everything that was not acknowledged.
func (r *replay) restart(owner any, frame func(id int64) []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = owner
	r.control = [][]byte{frame(r.first)}
	r.sent = 0
	r.held = false
	r.acked = 0    // the last acknowledgement may have been lost with the socket
	r.extra = true // that of the other side too, and ASP.NET Core says it again only behind something new
}

// limiter allows a number of events a second, with some at once.
type limiter struct {
	at   time.Time
	left float64
}

const (
	arrivalsPerSecond = 10
	arrivalsAtOnce    = 60
)

func (l *limiter) allow(now time.Time) bool {
	if l.at.IsZero() {
		l.left = arrivalsAtOnce
	} else {
		l.left = min(arrivalsAtOnce, l.left+now.Sub(l.at).Seconds()*arrivalsPerSecond)
	}
	l.at = now
	if l.left < 1 {
		return false
	}
	l.left--
	return true
}

// resume answers a WebSocket for a connection that exists: a stateful one goes over to it at once.
func (e *endpoint) resume(w http.ResponseWriter, r *http.Request, c *connection, user *hubbub.User) {
	c.mu.Lock()
	switch {
	case c.transport != WebSockets:
		c.mu.Unlock()
		answer(w, http.StatusBadRequest, textOtherTranport)
		return
	case c.replay.Load() == nil || c.finished:
		c.mu.Unlock()
		answer(w, http.StatusConflict, "")
		return
	case !c.arrivals.allow(time.Now()):
		c.mu.Unlock()
		answerBare(w, http.StatusNotFound, textNoConnection)
		return
	}
	previous := c.user
	c.mu.Unlock()
	if !e.opts.AllowUserChanges && !previous.Same(user) {
		answer(w, http.StatusForbidden, textUserChanged)
		return
	}
	change, ok := c.weigh(user)
	if ok && e.opts.EnableAuthenticationRefresh {
		if accepted, err := e.decide(r, c, change); !accepted {
			refuseRefresh(w, err)
			c.app.lost(nil)
			c.finish(1000, true)
			c.remove() // at once: its old socket may still be there
			return
		}
	}
	conn, err := ws.Accept(w, r, e.subProtocol(r))
	if err != nil {
		return
	}
	s := &socket{c: c, conn: conn}
	c.mu.Lock()
	if c.finished || c.removed {
		c.mu.Unlock()
		conn.Kill()
		return
	}
	old := c.socket.Swap(s)
	c.inactive = time.Time{}
	c.replay.Load().restart(s, c.app.(*session).sequenceFrame)
	c.mu.Unlock()
	if old != nil {
		old.conn.Close(1000, "", time.Second)
	}
	conn.Start(s)
	if ok {
		c.apply(change, e.opts.EnableAuthenticationRefresh)
	}
	go c.read(s)
}
