package signalr

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubbub-go/hubbub"
)

// session is a hub conversation over a connection: the handshake, then records in both directions, pings and time-outs. It is
// the hubbub.Conn that the hub sees.
type session struct {
	c       *connection
	hub     *hubbub.Hub
	opts    *hubbub.Options
	started time.Time

	// Used by receive only.
	rest   []byte  // of a record that has not arrived whole
	source *socket // where rest came from

	proto   protocol // set by the handshake, before link
	framing hubbub.Framing
	ping    []byte // encoded and framed

	busy     atomic.Bool  // receive runs
	heard    atomic.Int64 // when the last whole message came, in nanoseconds since started
	pinged   atomic.Bool  // the client has sent a ping, so its silence means something
	lastPing time.Time    // of the server; used by tick only

	mu    sync.Mutex
	link  *hubbub.Link
	shook bool // the handshake is done
	ended bool
	cause error
}

func newSession(c *connection) *session {
	return &session{c: c, hub: c.ep.hub, opts: c.ep.options, started: time.Now()}
}

func (s *session) start() {}

// ID, Protocol, Framing, Request and Outbox are hubbub.Conn.

func (s *session) ID() string                { return s.c.id }
func (s *session) Protocol() hubbub.Protocol { return s.proto }
func (s *session) Framing() hubbub.Framing   { return s.framing }
func (s *session) Request() *hubbub.Request  { return s.c.req }
func (s *session) Outbox() *hubbub.Outbox    { return s.c.out }

// Flush writes what waits on the goroutine of its caller where the transport can. While bytes of the client are being read more
// answers may be about to come, and one write shall carry them all.
func (s *session) Flush() {
	if s.busy.Load() {
		s.c.wake()
		return
	}
	s.c.flush()
}

// Close implements hubbub.Conn.
func (s *session) Close(m *hubbub.Close, reason error) { s.end(m, reason) }

// end says m as the last thing, if anybody hears it, and takes leave of the hub and the transport.
func (s *session) end(m *hubbub.Close, reason error) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended, s.cause = true, reason
	link, shook := s.link, s.shook
	s.mu.Unlock()
	r := s.c.replay.Load()
	if r != nil {
		r.stop()
	}
	if m == nil || !shook {
		s.c.finish(1000, m == nil)
	} else {
		frame := s.encode(m)
		if r != nil {
			r.finish(frame)
			s.c.out.Finish(nil, 0)
		} else {
			s.c.out.Finish(frame, hubbub.TypeClose)
		}
		s.c.finish(1000, false)
	}
	if link != nil {
		link.Detach(reason)
	}
}

// encode frames a message of this dialect; they have no values that could fail.
func (s *session) encode(m hubbub.Message) []byte {
	b, err := s.proto.Append(nil, m)
	if err != nil {
		s.opts.Logger.Error("message not encoded", "hub", s.hub.Name(), "type", m.Type(), "error", err)
		return nil
	}
	return frame(s.framing, b)
}

func frame(f hubbub.Framing, b []byte) []byte {
	if f == nil {
		return b
	}
	return f.AppendFrame(make([]byte, 0, len(b)+14), b)
}

func (s *session) sequenceFrame(id int64) []byte { return s.encode(sequence{id}) }

// control sends a message that is not counted by stateful reconnect and may go before others.
func (s *session) control(b []byte, t hubbub.MessageType) {
	if r := s.c.replay.Load(); r != nil {
		r.push(b)
		s.c.wake()
		return
	}
	_ = s.c.out.Push(b, t) // a full queue has no room for a ping, and needs none
}

// fail ends the connection for what the client did wrong.
func (s *session) fail(err error) {
	s.end(&hubbub.Close{Error: hubbub.CloseText(err, s.opts.EnableDetailedErrors), AllowReconnect: true}, err)
}

// lost is an end that nobody can be told of.
func (s *session) lost(reason error) { s.end(nil, reason) }

func (s *session) gone() { s.end(&hubbub.Close{AllowReconnect: true}, nil) }

func (s *session) expired() {
	s.end(&hubbub.Close{AllowReconnect: true}, namedError{"expired", "the credential has expired"})
}

func (s *session) refreshed(u *hubbub.User) {
	s.mu.Lock()
	link := s.link
	s.mu.Unlock()
	if link != nil {
		link.Refresh(u)
	}
}

// namedError is an end with a reason of its own in the counters.
type namedError struct{ reason, text string }

func (e namedError) Error() string  { return e.text }
func (e namedError) Reason() string { return e.reason }

// timeoutError is what OnDisconnected hears of a client that fell silent.
type timeoutError struct{ error }

func (timeoutError) Reason() string  { return "timeout" }
func (e timeoutError) Unwrap() error { return e.error }

var errSilent = timeoutError{hubbub.Classify("OperationCanceledException", nil,
	"Client hasn't sent a message/ping within the configured ClientTimeoutInterval.")}

// tick sends pings and acknowledgements and notices a silent client.
func (s *session) tick(now time.Time) {
	s.mu.Lock()
	shook, ended := s.shook, s.ended
	s.mu.Unlock()
	switch {
	case ended:
		return
	case !shook:
		switch {
		case s.c.ep.stopping():
			s.refuse("Handshake was canceled.", hubbub.ErrShutdown)
		case now.Sub(s.started) > s.opts.HandshakeTimeout:
			s.refuse("Handshake was canceled.", namedError{"timeout", "the handshake took too long"})
		}
		return
	}
	if r := s.c.replay.Load(); r != nil {
		if id, due := r.due(); due {
			s.control(s.encode(ack{id}), typeAck)
		}
	}
	if s.c.transport == LongPolling {
		return
	}
	if s.lastPing.IsZero() {
		s.lastPing = now
	}
	if now.Sub(s.lastPing) >= s.opts.KeepAliveInterval {
		s.lastPing = now
		s.control(s.ping, hubbub.TypePing)
	}
	silent := now.Sub(s.started) - time.Duration(s.heard.Load())
	if s.pinged.Load() && !s.busy.Load() && silent > s.opts.ClientTimeoutInterval && !s.away() {
		s.fail(errSilent)
	}
}

// away reports whether a stateful connection has no socket at the moment.
func (s *session) away() bool { return s.c.transport == WebSockets && s.c.socket.Load() == nil }

// receive takes bytes of the client: the handshake, then records, merged or split in any way.
func (s *session) receive(p []byte) error {
	s.busy.Store(true)
	defer s.busy.Store(false)
	if from := s.c.from; from != s.source {
		s.rest, s.source = nil, from // half a record of a cut socket comes again
	}
	if len(s.rest) > 0 {
		s.rest = append(s.rest, p...)
		p = s.rest
	}
	taken, err := s.records(p)
	if err != nil {
		s.rest = nil
		return err
	}
	switch left := p[taken:]; {
	case len(left) == 0:
		s.rest = nil
	case taken == 0 && len(s.rest) > 0: // p is rest, and it has grown
	default:
		s.rest = append([]byte(nil), left...)
	}
	return nil
}

// records takes every whole record of p and returns how much that was.
func (s *session) records(p []byte) (taken int, err error) {
	for taken < len(p) {
		s.mu.Lock()
		shook, ended := s.shook, s.ended
		s.mu.Unlock()
		if ended {
			return len(p), nil
		}
		if !shook {
			n := s.handshake(p[taken:])
			if n == 0 {
				return taken, nil
			}
			taken += n
			continue
		}
		record, n, err := s.proto.next(p[taken:], max(s.opts.MaximumReceiveMessageSize, 0))
		if err != nil {
			return taken, err
		}
		if n == 0 {
			return taken, nil
		}
		taken += n
		s.heard.Store(int64(time.Since(s.started)))
		if err := s.message(record, n); err != nil {
			return taken, err
		}
	}
	return taken, nil
}

// message handles one record of n bytes.
func (s *session) message(record []byte, n int) error {
	m, err := s.proto.parse(bytes.Clone(record))
	if err != nil {
		return err
	}
	r := s.c.replay.Load()
	if r != nil {
		r.release()
		if m != nil && trackable(m.Type()) {
			fresh := r.received(n)
			if id, due := r.pressing(); due {
				s.control(s.encode(ack{id}), typeAck)
			}
			if !fresh {
				return nil // it was handled before the socket was cut
			}
		}
	}
	switch m := m.(type) {
	case nil: // a type of the future
	case hubbub.Ping:
		if s.c.transport != LongPolling {
			s.pinged.Store(true)
		}
	case *hubbub.Close:
		var reason error
		if m.Error != "" {
			reason = hubbub.Errorf("%s", m.Error)
		}
		s.end(&hubbub.Close{}, reason)
	case ack:
		if r != nil {
			r.ack(m.SequenceID)
			s.c.wake()
		}
	case sequence:
		if r != nil {
			return r.sequence(m.SequenceID)
		}
	default:
		return s.link.Receive(m, n)
	}
	if r != nil {
		s.c.wake()
	}
	return nil
}

// handshake handles the first record of p and returns how much of p it took.
func (s *session) handshake(p []byte) int {
	i := bytes.IndexByte(p, recordSeparator)
	if limit := s.opts.MaximumReceiveMessageSize; limit > 0 && (i >= limit || (i < 0 && len(p) > limit)) {
		s.refuse("Handshake was canceled.", namedError{"error", "the handshake is larger than a message may be"})
		return len(p)
	}
	if i < 0 {
		return 0
	}
	h, err := parseHandshake(p[:i])
	if err != nil {
		s.refuse(hubbub.Describe("An unexpected error occurred during connection handshake.", err, s.opts.EnableDetailedErrors), err)
		return len(p)
	}
	if text := s.agree(h); text != "" {
		s.refuse(text, namedError{"error", text})
		return len(p)
	}
	s.open(h)
	return i + 1
}

// agree chooses the protocol that the client asks for, or says why it cannot.
func (s *session) agree(h handshakeRequest) (refusal string) {
	var proto protocol
	for _, p := range []protocol{s.c.ep.json, s.c.ep.msgpack} {
		if strings.EqualFold(p.Name(), h.Protocol) && supported(s.opts.SupportedProtocols, p.Name()) {
			proto = p
		}
	}
	switch {
	case proto == nil:
		return "The protocol '" + h.Protocol + "' is not supported."
	case h.Version > maxHandshakeVersion:
		return "The server does not support version " + itoa(h.Version) + " of the '" + h.Protocol + "' protocol."
	case proto.binary() && s.c.transport == ServerSentEvents:
		return "Cannot use the '" + h.Protocol + "' protocol on the current transport. The transport does not support 'Binary' transfer format."
	}
	s.proto = proto
	s.framing = framingOf(s.c.transport, proto.binary())
	return ""
}

// maxHandshakeVersion is the newest version of both protocols; 2 may use stateful reconnect.
const maxHandshakeVersion = 2

func supported(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return len(names) == 0
}

// open makes the connection part of the hub. The answer to the handshake is the first thing that the client hears.
func (s *session) open(h handshakeRequest) {
	if b, err := s.proto.Append(nil, hubbub.Ping{}); err == nil {
		s.ping = frame(s.framing, b)
	}
	if s.c.stateful && h.Version == 2 && s.c.transport == WebSockets {
		s.c.replay.Store(newReplay(s.opts.StatefulReconnectBufferSize, s.c.socket.Load(), s.c.wake))
	}
	s.heard.Store(int64(time.Since(s.started)))
	hello := frame(s.framing, appendHandshake(nil, ""))
	s.mu.Lock()
	s.shook = true
	s.mu.Unlock()
	link, err := s.hub.Attach(s, s.c.currentUser(), hello)
	if err != nil {
		_ = s.c.out.Push(hello, 0)
		s.end(&hubbub.Close{AllowReconnect: true}, err)
		return
	}
	s.mu.Lock()
	s.link = link
	ended, cause := s.ended, s.cause
	s.mu.Unlock()
	if ended {
		link.Detach(cause)
	}
}

// refuse answers the handshake with an error and ends the connection. It is text, whatever the protocol.
func (s *session) refuse(text string, reason error) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended, s.cause = true, reason
	s.mu.Unlock()
	s.opts.Logger.Debug("handshake refused", "hub", s.hub.Name(), "connection", s.c.id, "error", reason)
	s.c.out.Finish(frame(framingOf(s.c.transport, false), appendHandshake(nil, text)), 0)
	s.c.finish(1000, false)
}
