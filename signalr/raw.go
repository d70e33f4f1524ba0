package signalr

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"log/slog"

	"github.com/hubbub-go/hubbub"
)

// ConnectionHandler talks over a connection without a hub protocol: no handshake, no pings. ctx ends with the connection. When
// the handler returns, what it has written is sent and the connection ends; an error (or a panic) closes a WebSocket with code 1011.
type ConnectionHandler func(ctx context.Context, c *RawConnection) error

// RawConnection is a connection of a [ConnectionHandler]: chunks of bytes in each direction, whatever carries them. It is safe
// for concurrent use.
type RawConnection struct {
	s *rawSession
}

// ID returns the connection id.
func (c *RawConnection) ID() string { return c.s.c.id }

// Request returns the request that opened the connection.
func (c *RawConnection) Request() *hubbub.Request { return c.s.c.req }

// User returns the user, nil if anonymous.
func (c *RawConnection) User() *hubbub.User { return c.s.c.currentUser() }

// Read waits for the next chunk of the client, as it came. It returns io.EOF when the client has ended, or ctx's error. The
// chunk belongs to the caller.
func (c *RawConnection) Read(ctx context.Context) ([]byte, error) {
	s := c.s
	for {
		s.mu.Lock()
		if len(s.chunks) > 0 {
			p := s.chunks[0]
			s.chunks[0] = nil
			s.chunks = s.chunks[1:]
			s.size -= len(p)
			s.signal(&s.room)
			s.mu.Unlock()
			return p, nil
		}
		if s.over {
			s.mu.Unlock()
			return nil, io.EOF
		}
		if s.arrived == nil {
			s.arrived = make(chan struct{})
		}
		arrived := s.arrived
		s.mu.Unlock()
		select {
		case <-arrived:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Write sends a chunk. It may be merged with its neighbours, but is never split. It waits while much is queued, for 10 s at
// most ([hubbub.ErrSlow]), and fails with [hubbub.ErrClosed] after the end. It does not keep p.
func (c *RawConnection) Write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	s := c.s
	b := append([]byte(nil), p...)
	err := s.c.out.PushWait(s.ctx, frame(framingOf(s.c.transport, false), b), 0, s.c.sendTimeout())
	if err == context.Canceled {
		return hubbub.ErrClosed
	}
	return err
}

// rawSession runs a handler over a connection.
type rawSession struct {
	c      *connection
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	chunks  [][]byte
	size    int
	over    bool          // nothing more will come
	arrived chan struct{} // not nil while Read waits
	room    chan struct{} // not nil while receive waits
}

func newRawSession(c *connection) *rawSession {
	s := &rawSession{c: c}
	s.ctx, s.cancel = context.WithCancel(hubbub.WithUser(context.Background(), c.user))
	return s
}

// signal wakes who waits. It needs s.mu.
func (s *rawSession) signal(ch *chan struct{}) {
	if *ch != nil {
		close(*ch)
		*ch = nil
	}
}

func (s *rawSession) start() { go s.run() }

func (s *rawSession) run() {
	err := s.handle()
	code := 1000
	if err != nil {
		code = 1011
		slog.Error("connection handler failed", "connection", s.c.id, "error", err)
	}
	s.close()
	s.c.finish(code, false)
	if err != nil && s.c.transport == LongPolling {
		s.c.remove()
	}
}

func (s *rawSession) handle() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return s.c.ep.raw(s.ctx, &RawConnection{s})
}

func (s *rawSession) close() {
	s.mu.Lock()
	s.over = true
	s.signal(&s.arrived)
	s.signal(&s.room)
	s.mu.Unlock()
}

func (s *rawSession) receive(p []byte) error {
	for len(p) > 0 {
		s.mu.Lock()
		if s.over {
			s.mu.Unlock()
			return nil
		}
		if s.size == 0 || s.size+len(p) <= s.c.ep.opts.MaximumBufferedBytes {
			s.chunks = append(s.chunks, append([]byte(nil), p...))
			s.size += len(p)
			s.signal(&s.arrived)
			s.mu.Unlock()
			return nil
		}
		if s.room == nil {
			s.room = make(chan struct{})
		}
		room := s.room
		s.mu.Unlock()
		<-room
	}
	return nil
}

func (s *rawSession) lost(error) {
	s.close()
	s.cancel()
}

// gone and expired let the handler end by itself, at the end of its input.
func (s *rawSession) gone()                  { s.lost(nil) }
func (s *rawSession) expired()               { s.lost(nil); s.c.finish(1000, false) }
func (s *rawSession) fail(error)             {}
func (s *rawSession) tick(time.Time)         {}
func (s *rawSession) refreshed(*hubbub.User) {}
