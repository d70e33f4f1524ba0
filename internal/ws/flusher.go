package ws

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// The states of a connection's write side. Whoever moves it to queued enqueues it; whoever
// finds it queued in the FIFO moves it to busy and owns it until release.
const (
	idle   uint32 = iota // nothing to write
	queued               // in the FIFO of its flusher
	busy                 // being written, or not started
	woken                // busy, and Wake was called meanwhile
	dead                 // killed, nothing will be written again
)

// flusher writes to the connections of its FIFO in turns. Its goroutine lives while the
// FIFO is not empty.
type flusher struct {
	mu          sync.Mutex
	first, last *Conn
	running     bool
	start       func() // run, made once: a go statement with a receiver allocates
}

var (
	flushers = sync.OnceValue(newFlushers)
	turnOf   atomic.Uint32
)

func newFlushers() []flusher {
	all := make([]flusher, runtime.GOMAXPROCS(0))
	for i := range all {
		all[i].start = all[i].run
	}
	return all
}

// nextFlusher spreads connections over the flushers.
func nextFlusher() *flusher {
	all := flushers()
	return &all[int(turnOf.Add(1)%uint32(len(all)))]
}

// enqueue puts a connection in state queued where it will be written. One that cannot be
// written without the risk of waiting gets a goroutine of its own.
func (c *Conn) enqueue() {
	if c.raw == nil {
		go c.takeOver(borrow(), nil, false)
		return
	}
	f := c.f
	f.mu.Lock()
	if f.last == nil {
		f.first = c
	} else {
		f.last.next = c
	}
	f.last = c
	sleeping := !f.running
	f.running = true
	f.mu.Unlock()
	if sleeping {
		go f.start()
	}
}

func (f *flusher) pop() *Conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.first
	if c == nil {
		f.running = false
		return nil
	}
	if f.first = c.next; f.first == nil {
		f.last = nil
	}
	c.next = nil
	return c
}

func (f *flusher) run() {
	buf := borrow()
	for c := f.pop(); c != nil; c = f.pop() {
		if buf == nil {
			buf = borrow()
		}
		c.state.Store(busy)
		buf = c.turn(buf)
	}
	if buf != nil {
		buf.free()
	}
}

// turn makes one non-blocking write and ends the ownership of a busy connection. It returns
// buf, or nil when buf has been given away.
func (c *Conn) turn(buf *writeBuffer) *writeBuffer {
	if c.killed.Load() {
		c.release(false)
		return buf
	}
	out, more, last := c.fill(buf.b[:0])
	buf.b = out
	if len(out) > 0 {
		n, err := buf.w.write(c.raw, out)
		if err != nil {
			c.failWrite(err)
			c.release(false)
			return buf
		}
		if n < len(out) {
			c.markStall()
			go c.takeOver(buf, out[n:], last)
			return nil
		}
	}
	if last {
		c.lastWritten()
	}
	c.release(more)
	if cap(buf.b) > keepBytes {
		return nil
	}
	return buf
}

// fill collects what goes out next: the pong that is due, frames of the source, and behind
// the last of them the close frame. last tells that nothing follows.
func (c *Conn) fill(dst []byte) (out []byte, more, last bool) {
	c.mu.Lock()
	if c.last {
		c.mu.Unlock()
		return dst, false, false
	}
	if c.pongDue {
		dst = AppendFrame(dst, Pong, c.pong)
		c.pongDue = false
	}
	// Read before Fill: a frame that was pending when Close was called is then in this Fill
	// or announced by its more.
	closing, src := c.closing, c.src
	c.mu.Unlock()

	if src != nil {
		dst, more = src.Fill(dst, turnBytes)
	}
	if !closing || more {
		return dst, more, false
	}
	c.mu.Lock()
	c.last = true
	c.mu.Unlock()
	if c.code != 0 {
		dst = AppendClose(dst, c.code, c.reason)
	}
	return dst, false, true
}

// release ends the ownership of a busy connection: back into the FIFO when there is more to
// do, else idle, or dead after a kill.
func (c *Conn) release(more bool) {
	if more || !c.state.CompareAndSwap(busy, idle) {
		c.state.Store(queued)
		c.enqueue()
		return
	}
	c.retire()
}

// retire moves a killed connection from idle to dead, once.
func (c *Conn) retire() {
	if c.killed.Load() && c.state.CompareAndSwap(idle, dead) {
		c.unref()
	}
}
