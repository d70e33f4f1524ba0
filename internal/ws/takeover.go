package ws

import (
	"fmt"
	"time"
)

const (
	stallLimit = 60 * time.Second // without progress, before a connection is killed
	pieceBytes = 16 << 10         // one blocking write: what counts as progress
)

// takeOver writes to one connection, waiting for its peer, until nothing is pending, and
// hands it back. rest is the part of buf that is not written yet, last what fill said about
// it.
func (c *Conn) takeOver(buf *writeBuffer, rest []byte, last bool) {
	for !c.killed.Load() {
		if len(rest) > 0 {
			if err := c.writeAll(rest); err != nil {
				c.failWrite(err)
				break
			}
		}
		if last {
			c.lastWritten()
		}
		c.state.Store(busy) // a Wake until here is answered by this fill
		rest, _, last = c.fill(buf.b[:0])
		if buf.b = rest; len(rest) == 0 && !last {
			break
		}
	}
	c.state.CompareAndSwap(queued, busy) // killed before the first fill
	c.stall.Store(0)
	buf.free()
	// A deadline that stayed would fail the flusher's writes long after.
	c.nc.SetWriteDeadline(time.Time{})
	c.release(false)
}

func (c *Conn) writeAll(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), pieceBytes)
		c.markStall()
		if err := c.nc.SetWriteDeadline(time.Now().Add(stallLimit)); err != nil {
			return err
		}
		if _, err := c.nc.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	c.stall.Store(0)
	return nil
}

func (c *Conn) markStall() { c.stall.Store(int64(time.Since(c.epoch)) + 1) }

func (c *Conn) failWrite(err error) { c.kill(fmt.Errorf("ws: write: %w", err)) }
