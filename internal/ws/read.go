package ws

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
)

// readState tells who reads the socket.
type readState byte

const (
	unread   readState = iota // nobody yet
	byOwner                   // Read
	readOver                  // Read has returned, or the lingering reader is at work
)

// Read runs the read side until the connection ends; it blocks and may be called once.
//
// onData gets the unmasked payload of all data frames as one byte stream, in order, in
// pieces of at most 8 KiB as they come; message borders and types are not told. A piece is
// valid only during the call. While onData blocks nothing is read, so TCP slows the peer
// down. An error of onData ends Read with that error. After Close data still comes until
// the peer ends the connection too.
//
// Control frames are handled inside. A ping is answered by a pong that goes out before what
// the source has; of several due pongs only the newest is sent. Pongs are ignored.
//
// Read returns a [*CloseError] when the peer sent its close frame and a [*ProtocolError]
// when it broke the protocol, both without answering: the owner calls [Conn.Close]. It
// returns [net.ErrClosed] after Kill, after the waiting time of Close, and when everything
// up to the close frame was written before Read was called; the error of the write when a
// failed write ended the connection; and otherwise the error of the socket: [io.EOF] when
// the peer ended TCP without a close frame.
func (c *Conn) Read(onData func(p []byte) error) error {
	return c.readWith(func() error { return c.readLoop(onData) })
}

// ReadMessages is [Conn.Read] for protocols whose messages are those of the WebSocket: onMessage gets each data message whole
// and owns it. A message of more than max bytes ends the reading with a [*ProtocolError] of code 1009 as soon
// as it has grown too long; 0 is no limit. Only one of the two may be called.
func (c *Conn) ReadMessages(max int, onMessage func(op Opcode, message []byte) error) error {
	return c.readWith(func() error {
		c.parse.border = true
		m := messages{c: c, max: max, on: onMessage}
		return c.readLoop(m.data)
	})
}

// messages puts the pieces of data messages together.
type messages struct {
	c    *Conn
	max  int
	on   func(op Opcode, message []byte) error
	part []byte
}

// data takes a piece of a message; nil is its end.
func (m *messages) data(p []byte) error {
	if p == nil {
		whole := m.part
		m.part = nil
		return m.on(m.c.parse.op, whole)
	}
	if m.max > 0 && len(m.part)+len(p) > m.max {
		return &ProtocolError{Code: codeTooBig, Text: fmt.Sprintf("message of more than %d bytes", m.max)}
	}
	m.part = append(m.part, p...)
	return nil
}

// readWith makes its caller the one reader of the connection.
func (c *Conn) readWith(loop func() error) error {
	c.mu.Lock()
	if c.reading != unread {
		over := c.sent || c.killed.Load()
		c.mu.Unlock()
		if over {
			return net.ErrClosed
		}
		return errors.New("ws: read: called a second time, want once")
	}
	c.reading = byOwner
	c.mu.Unlock()
	err := loop()
	c.readEnded()
	return err
}

// readEnded hands the read side to the lingering reader when the last bytes are out.
func (c *Conn) readEnded() {
	c.mu.Lock()
	c.reading = readOver
	if c.sent && !c.killed.Load() {
		c.startLinger()
	}
	c.mu.Unlock()
}

// readLoop reads and parses until the peer's side ends. Without onData payload is dropped.
func (c *Conn) readLoop(onData func(p []byte) error) error {
	if early := c.early; early != nil {
		c.early = nil
		if err := c.digest(early, onData); err != nil {
			return err
		}
	}
	r := newReader(c)
	for {
		p, err := r.read()
		if err == nil {
			err = c.digest(p, onData)
		} else {
			err = c.socketError(err)
		}
		r.done()
		if err != nil {
			return err
		}
	}
}

// digest parses the bytes of one read. After an error of onData the rest is still parsed,
// so that whoever waits for the peer's close frame afterwards finds the next frame.
func (c *Conn) digest(p []byte, onData func(p []byte) error) error {
	var failed error
	for {
		ev, data, rest, err := c.parse.next(p)
		if err != nil {
			c.mu.Lock()
			c.broken = true
			c.mu.Unlock()
			return cmp.Or(failed, err)
		}
		switch ev {
		case evMore:
			return failed
		case evData:
			if onData != nil && failed == nil {
				failed = onData(data)
			}
		case evEnd:
			if onData != nil && failed == nil {
				failed = onData(nil)
			}
		case evPing:
			c.answerPing(data)
		case evClose:
			c.mu.Lock()
			c.peerDone = true
			c.mu.Unlock()
			return cmp.Or(failed, error(closeError(data)))
		}
		p = rest
	}
}

func (c *Conn) answerPing(payload []byte) {
	c.mu.Lock()
	c.pong = append(c.pong[:0], payload...)
	c.pongDue = true
	c.mu.Unlock()
	c.Wake()
}

// socketError decides what Read returns for an error of the socket.
func (c *Conn) socketError(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peerGone = true
	if c.killed.Load() {
		if c.cause != nil {
			return c.cause
		}
		return net.ErrClosed
	}
	if err == io.EOF {
		return err
	}
	return fmt.Errorf("ws: read: %w", err)
}
