package classic

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/hubbub-go/hubbub/internal/ws"
)

// envelopeBytes is about how many bytes of messages one envelope carries.
const envelopeBytes = 16 << 10

// socket is a stream over a WebSocket.
type socket struct {
	c      *connection
	conn   *ws.Conn
	number uint64
	next   envelope // used by Fill only
	keep   atomic.Bool
	last   time.Time // of the keep-alive; used by tick only
}

var keepAliveFrame = ws.AppendFrame(nil, ws.Text, []byte("{}"))

// serveWebSocket makes the request a stream of c.
func (x *exchange) serveWebSocket(c *connection, connecting bool) {
	conn, err := ws.Accept(x.w, x.r, "")
	if err != nil {
		return
	}
	s := &socket{c: c, conn: conn, last: time.Now(), next: envelope{initial: connecting, max: envelopeBytes}}
	number, ok := c.attach(s, WebSockets, snapshot(x.r, WebSockets), x.field("messageid"), x.field("groupstoken"))
	if !ok {
		conn.Close(1000, "", closeTimeout)
		return
	}
	s.number = number
	conn.Start(s)
	x.arrived(c)
	go s.read()
}

// Fill gives the socket what is to be said, as long as it carries its connection.
func (s *socket) Fill(dst []byte, max int) ([]byte, bool) {
	start := len(dst)
	if s.keep.Swap(false) {
		dst = append(dst, keepAliveFrame...)
	}
	frame := func(dst []byte, n int) []byte { return ws.AppendHeader(dst, ws.Text, n) }
	for {
		var ok bool
		if dst, ok = s.c.appendNext(dst, s, s.number, &s.next, frame); !ok {
			return dst, false
		}
		if len(dst)-start >= max {
			return dst, s.c.has(s)
		}
	}
}

func (s *socket) wake() { s.conn.Wake() }

func (s *socket) end() { s.conn.Close(1000, "", closeTimeout) }

func (s *socket) tick(now time.Time) {
	if s.conn.WriteStalled() > s.c.ep.sendTimeout {
		s.c.detach(s)
		s.conn.Kill()
		return
	}
	if s.c.ep.opts.keepAliveDue(now.Sub(s.last)) {
		s.last = now
		s.keep.Store(true)
		s.conn.Wake()
	}
}

// read takes the messages of the client until the socket ends. That is not the end of the connection.
func (s *socket) read() {
	c := s.c
	err := s.conn.ReadMessages(max(c.ep.opts.MaximumIncomingWebSocketMessageSize, 0), func(op ws.Opcode, m []byte) error {
		if op != ws.Text {
			return &ws.ProtocolError{Code: 1003, Text: "binary message, want text"}
		}
		if c.ep.raw != nil {
			return c.received(m)
		}
		if err := c.receive(m, route('s', s.number, c.serial.Add(1))); err != nil {
			c.ep.logger().Debug("classic: message refused", "connection", c.id, "error", err)
		}
		return nil
	})
	c.detach(s)
	var closed *ws.CloseError
	var broken *ws.ProtocolError
	switch {
	case errors.As(err, &closed):
		s.conn.Close(1000, "", closeTimeout)
	case errors.As(err, &broken):
		s.conn.Close(broken.Code, "", closeTimeout)
	default:
		s.conn.Kill()
	}
}
