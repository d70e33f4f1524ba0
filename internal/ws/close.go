package ws

import "time"

// lingerTime bounds the wait for the end of a peer to whom there is nothing left to say.
const lingerTime = time.Second

// Close ends the connection and returns at once. What the source has pending is written
// first, until its Fill reports no more; then a close frame of code and reason goes out (see
// [AppendClose]; code 0: none). The peer then has wait, usually 5 s, to answer with its
// close frame or to end TCP, and the socket is closed. When the peer's close frame has come
// already, or there was none of ours or a protocol violation, the socket is closed for
// writing and what the peer still sends is dropped, for at most 1 s, so that a reset does
// not overtake the last bytes. With a wait of 0 the socket is closed behind the last byte.
// A wrapped connection without CloseWrite is closed at once instead.
//
// Only the first call counts, none after Kill does. A peer that does not read can hold up
// Close; see [Conn.WriteStalled].
func (c *Conn) Close(code int, reason string, wait time.Duration) {
	c.mu.Lock()
	if c.closing || c.killed.Load() {
		c.mu.Unlock()
		return
	}
	c.closing, c.code, c.reason, c.wait = true, code, reason, wait
	unstarted := !c.started
	c.started = true
	c.mu.Unlock()
	if unstarted {
		c.release(true)
	} else {
		c.Wake()
	}
}

// lastWritten starts the wait for the peer, after the last byte has gone out.
func (c *Conn) lastWritten() {
	c.mu.Lock()
	c.sent = true
	c.deadline = time.Now().Add(c.wait)
	switch {
	case c.killed.Load():
		c.mu.Unlock()
	case c.wait <= 0:
		c.mu.Unlock()
		c.kill(nil)
	case c.reading != byOwner:
		c.startLinger()
		c.mu.Unlock()
	default:
		wait, half := c.wait, c.code == 0
		if half {
			wait = min(wait, lingerTime)
		}
		c.timer = time.AfterFunc(wait, c.Kill)
		c.mu.Unlock()
		if half && !c.closeWrite() {
			c.kill(nil)
		}
	}
}

// startLinger is called with mu held, when the last bytes are out and nobody reads.
func (c *Conn) startLinger() {
	c.reading = readOver
	if c.timer != nil {
		c.timer.Stop()
	}
	c.refs.Add(1)
	go c.linger(c.code != 0 && !c.peerDone && !c.peerGone && !c.broken)
}

// linger reads for the owner who has stopped reading: until the peer's close frame when
// one is awaited, then until the peer ends TCP.
func (c *Conn) linger(await bool) {
	defer c.unref()
	defer c.Kill()
	if await {
		c.nc.SetReadDeadline(c.deadline)
		c.readLoop(nil)
	}
	c.mu.Lock()
	gone := c.peerGone
	c.mu.Unlock()
	if gone || !c.closeWrite() {
		return
	}
	c.nc.SetReadDeadline(time.Now().Add(min(c.wait, lingerTime)))
	r := newReader(c)
	for {
		_, err := r.read()
		r.done()
		if err != nil {
			return
		}
	}
}

// closeWrite tells the peer that nothing follows, and reports whether that was possible.
func (c *Conn) closeWrite() bool {
	half, ok := c.nc.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}
