package signalr

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/ws"
)

// socket is one WebSocket of a connection. A stateful connection has several, one after the other.
type socket struct {
	c    *connection
	conn *ws.Conn
}

// dead reports whether the socket is closed, whoever did it.
func (s *socket) dead() bool {
	select {
	case <-s.conn.Done():
		return true
	default:
		return false
	}
}

// errSuperseded ends the reading of a socket whose connection has gone over to another.
var errSuperseded = errors.New("the connection has gone over to another WebSocket")

// Fill gives the socket what waits, as long as it is the one of its connection.
func (s *socket) Fill(dst []byte, max int) ([]byte, bool) {
	c := s.c
	if r := c.replay.Load(); r != nil {
		return r.fill(s, s.c.out, dst, max)
	}
	return fill(c.out, dst, max)
}

// fill appends what waits in out, whole messages only, up to about max bytes.
func fill(out *hubbub.Outbox, dst []byte, max int) ([]byte, bool) {
	start := len(dst)
	left := out.Take(func(b []byte, _ hubbub.MessageType) bool {
		if n := len(dst) - start; n > 0 && n+len(b) > max {
			return false
		}
		dst = append(dst, b...)
		return true
	})
	return dst, left > 0
}

// serveWebSocket accepts a new connection, or the next socket of a stateful one.
func (e *endpoint) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	tok, path := connectionTokenOf(r), endpointPath(r.URL.Path)
	var c *connection
	var t token
	if tok != "" {
		var pending bool
		c, t, pending = e.lookup(tok, path)
		if c == nil && !pending {
			answerBare(w, http.StatusNotFound, textNoConnection)
			return
		}
	}
	if e.opts.Transports&WebSockets == 0 {
		answer(w, http.StatusNotFound, "WebSockets"+textNoTransport)
		return
	}
	if e.opts.CheckOrigin != nil && !e.opts.CheckOrigin(r) {
		answer(w, http.StatusForbidden, "")
		return
	}
	user := hubbub.UserFrom(r.Context())
	if c != nil {
		e.resume(w, r, c, user)
		return
	}
	if tok != "" && !e.opts.AllowUserChanges && userHash(user) != t.user {
		answer(w, http.StatusForbidden, textUserChanged)
		return
	}
	if e.stopping() {
		answer(w, http.StatusServiceUnavailable, "")
		return
	}
	c = e.newConnection(WebSockets, snapshot(r, WebSockets), user)
	if tok != "" {
		c.bind(tok, path, &t)
	} else {
		c.id = hubbub.NewConnectionID()
		c.token, c.path = c.id, path
	}
	c.begin()
	if !e.add(c) {
		answer(w, http.StatusConflict, "") // somebody else was faster with the same token
		return
	}
	conn, err := ws.Accept(w, r, e.subProtocol(r))
	if err != nil {
		c.remove()
		return
	}
	s := &socket{c: c, conn: conn}
	c.mu.Lock()
	c.socket.Store(s)
	over := c.finished // while the answer was written
	c.mu.Unlock()
	if over {
		conn.Close(1000, "", e.opts.CloseTimeout)
	}
	c.app.start()
	conn.Start(s)
	go c.read(s)
}

// bind gives the connection the identity that its token says.
func (c *connection) bind(tok, path string, t *token) {
	c.token, c.path, c.version, c.stateful, c.bindBy = tok, path, t.version, t.stateful, t.bindBy
	c.id = t.connectionID()
	if t.version == 0 {
		c.id = tok
	}
}

func (e *endpoint) subProtocol(r *http.Request) string {
	if e.opts.SubProtocol == nil {
		return ""
	}
	var offered []string
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(line, ",") {
			offered = append(offered, strings.TrimSpace(p))
		}
	}
	return e.opts.SubProtocol(offered)
}

// read runs the read side of a socket to its end, and decides how the connection goes on.
func (c *connection) read(s *socket) {
	err := s.conn.Read(func(p []byte) error {
		c.feed.Lock()
		defer c.feed.Unlock()
		if !c.isCurrent(s) {
			return errSuperseded
		}
		c.from = s
		if err := c.app.receive(p); err != nil {
			c.app.fail(err)
			return err
		}
		return nil
	})
	switch {
	case ungraceful(err) && c.suspend(s):
		s.conn.Kill()
		return
	case !c.isCurrent(s): // superseded, perhaps just now: what it says does not count any more
	case c.isFinished():
	default:
		c.readEnded(s, err)
	}
	<-s.conn.Done()
	if c.isCurrent(s) {
		c.remove()
	}
}

func (c *connection) isCurrent(s *socket) bool { return c.socket.Load() == s }

// ungraceful reports whether the socket ended without a word of the peer.
func ungraceful(err error) bool {
	var closed *ws.CloseError
	var broken *ws.ProtocolError
	return !errors.As(err, &closed) && !errors.As(err, &broken)
}

// suspend keeps a stateful connection whose socket was cut, for the client to come back.
func (c *connection) suspend(s *socket) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.replay.Load() == nil || c.finished || !c.isCurrent(s) {
		return false
	}
	c.socket.Store(nil)
	c.inactive = time.Now()
	return true
}
