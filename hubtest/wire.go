package hubtest

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// wireBuffer is how many bytes one direction of a wire takes that nobody has read yet. Then writing waits.
const wireBuffer = 256 << 10

var (
	errReset  = errors.New("connection reset by peer")
	errBroken = errors.New("broken pipe")
)

// wire is one connection between a client and a server. All of it is guarded by the mutex of its link.
type wire struct {
	link   *Link
	ends   [2]end // of the client and of the server
	silent bool   // half-open: nothing gets through any more, not even the end
	cut    bool   // both ends see a reset
}

// end is one side of a wire: the net.Conn that a program holds.
type end struct {
	w     *wire
	peer  *end
	local *net.TCPAddr

	arriving []chunk // sent by the peer, in order
	size     int     // of arriving
	fin      time.Time
	finished bool // the peer says nothing more after arriving, from fin on
	closed   bool

	reading, writing deadline
}

// chunk is what one write has sent.
type chunk struct {
	b   []byte
	due time.Time // when it is there
}

// deadline wakes whoever waits when it has passed.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func newWire(l *Link, client, server *net.TCPAddr) *wire {
	w := &wire{link: l}
	w.ends = [2]end{{w: w, peer: &w.ends[1], local: client}, {w: w, peer: &w.ends[0], local: server}}
	return w
}

// Read implements net.Conn.
func (e *end) Read(p []byte) (int, error) {
	l := e.w.link
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch err := e.failed(&e.reading); {
		case err != nil:
			return 0, e.wrap("read", err)
		case len(p) == 0:
			return 0, nil
		case e.w.silent || l.stalled:
		case len(e.arriving) > 0:
			if n := e.take(p); n > 0 {
				l.change.Broadcast() // there is room
				return n, nil
			}
		case e.finished && !time.Now().Before(e.fin):
			return 0, io.EOF
		}
		l.change.Wait()
	}
}

// take moves what is there into p.
func (e *end) take(p []byte) (n int) {
	now := time.Now()
	for len(e.arriving) > 0 && n < len(p) && !now.Before(e.arriving[0].due) {
		c := &e.arriving[0]
		k := copy(p[n:], c.b)
		n += k
		if c.b = c.b[k:]; len(c.b) == 0 {
			e.arriving = e.arriving[1:]
		}
	}
	e.size -= n
	return n
}

// Write implements net.Conn. It returns when the wire has the bytes, long before the peer reads them.
func (e *end) Write(p []byte) (n int, err error) {
	l, to := e.w.link, e.peer
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		err := e.failed(&e.writing)
		if err == nil && to.closed && !e.w.silent {
			err = errBroken
		}
		if err != nil {
			return n, e.wrap("write", err)
		}
		if room := min(wireBuffer-to.size, len(p)-n); room > 0 {
			to.arriving = append(to.arriving, chunk{append([]byte(nil), p[n:n+room]...), to.arrival()})
			to.size += room
			n += room
			l.change.Broadcast()
		}
		if n == len(p) {
			return n, nil
		}
		l.change.Wait()
	}
}

// arrival returns when something sent now is there, and wakes the reader then. Nothing overtakes.
func (e *end) arrival() time.Time {
	l := e.w.link
	due := time.Now()
	if l.delay > 0 {
		due = due.Add(l.delay)
	}
	if n := len(e.arriving); n > 0 && due.Before(e.arriving[n-1].due) {
		due = e.arriving[n-1].due
	}
	if wait := time.Until(due); wait > 0 {
		time.AfterFunc(wait, l.wake)
	}
	return due
}

// failed says why neither reading nor writing goes on, if it does not.
func (e *end) failed(d *deadline) error {
	switch {
	case e.closed:
		return net.ErrClosed
	case e.w.cut:
		return errReset
	case d.passed():
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (e *end) wrap(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: e.local, Addr: e.peer.local, Err: err}
}

// Close implements net.Conn. The peer reads what was sent before, then the end.
func (e *end) Close() error {
	l := e.w.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.closed {
		return net.ErrClosed
	}
	e.closed = true
	e.arriving, e.size = nil, 0
	e.reading.stop()
	e.writing.stop()
	e.peer.finished, e.peer.fin = true, e.peer.arrival()
	if e.peer.closed {
		delete(l.wires, e.w)
	}
	l.change.Broadcast()
	return nil
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

func (e *end) setDeadline(at time.Time, which ...*deadline) error {
	l := e.w.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.closed {
		return net.ErrClosed
	}
	for _, d := range which {
		d.stop()
		d.at = at
		if wait := time.Until(at); !at.IsZero() && wait > 0 {
			d.timer = time.AfterFunc(wait, l.wake)
		}
	}
	l.change.Broadcast()
	return nil
}

// SetDeadline, SetReadDeadline, SetWriteDeadline, LocalAddr and RemoteAddr implement net.Conn.

func (e *end) SetDeadline(at time.Time) error      { return e.setDeadline(at, &e.reading, &e.writing) }
func (e *end) SetReadDeadline(at time.Time) error  { return e.setDeadline(at, &e.reading) }
func (e *end) SetWriteDeadline(at time.Time) error { return e.setDeadline(at, &e.writing) }
func (e *end) LocalAddr() net.Addr                 { return e.local }
func (e *end) RemoteAddr() net.Addr                { return e.peer.local }
