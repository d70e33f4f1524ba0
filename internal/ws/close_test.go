package ws_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub/internal/ws"
)

func wantClosed(t *testing.T, r *reading, code int) {
	t.Helper()
	wait(t, "the end of Read", r.over)
	var closed *ws.CloseError
	if !errors.As(r.err, &closed) || closed.Code != code {
		t.Errorf("Read: %v, want close %d", r.err, code)
	}
}

// TestClientCloses: bytes that the client sends behind its close frame, and that nobody
// wants, must not turn the answer into a reset.
func TestClientCloses(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		cl := s.dial(t, nil)
		c := s.accepted(t)
		q := &queue{}
		c.Start(q)
		r := read(c)
		cl.send(t, cat(closeFrame(3001, "bye"), []byte(strings.Repeat("junk", 16<<10))))
		wantClosed(t, r, 3001)
		q.push(text("pending"))
		c.Close(1000, "done", 5*time.Second)
		c.Close(1001, "too late", 0)
		cl.wantFrame(t, ws.Text, "pending")
		cl.wantFrame(t, ws.Close, closePayload(1000, "done"))
		cl.wantEOF(t)
		cl.send(t, []byte("more junk"))
		cl.Close()
		wait(t, "Done", c.Done())
		if err := c.Read(nil); err != net.ErrClosed {
			t.Errorf("Read afterwards: %v, want net.ErrClosed", err)
		}
	})
}

// TestServerCloses: everything pending goes out before the close frame.
func TestServerCloses(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		cl := s.dial(t, nil)
		c := s.accepted(t)
		q := &queue{}
		r := readSurely(t, c, q, cl)
		const frames = 300
		body := strings.Repeat("b", 10000)
		for range frames {
			q.push(text(body))
		}
		begin := time.Now()
		c.Close(1001, "going away", patience)
		if took := time.Since(begin); took > time.Second {
			t.Errorf("Close took %v", took)
		}
		for range frames {
			cl.wantFrame(t, ws.Text, body)
		}
		cl.wantFrame(t, ws.Close, closePayload(1001, "going away"))
		cl.send(t, cat(masked(0x81, "on its way"), masked(0x89, "no pong behind a close"), closeFrame(1001, "")))
		wantClosed(t, r, 1001)
		if string(r.data) != "on its way" {
			t.Errorf("data %q behind our close frame", r.data)
		}
		cl.wantEOF(t)
		cl.Close()
		wait(t, "Done", c.Done())
	})
}

func TestServerClosesAndPeerEndsTCP(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		cl := s.dial(t, nil)
		c := s.accepted(t)
		r := readSurely(t, c, &queue{}, cl)
		c.Close(1000, "", patience)
		cl.wantFrame(t, ws.Close, closePayload(1000, ""))
		cl.Close()
		wait(t, "the end of Read", r.over)
		if r.err != io.EOF {
			t.Errorf("Read: %v, want EOF", r.err)
		}
		wait(t, "Done", c.Done())
	})
}

func TestServerClosesAfterEndOfTCP(t *testing.T) {
	t.Parallel()
	s := serve(t, false)
	cl := s.dial(t, nil)
	c := s.accepted(t)
	q := &queue{}
	c.Start(q)
	r := read(c)
	cl.Conn.(*net.TCPConn).CloseWrite()
	wait(t, "the end of Read", r.over)
	q.push(text("a half-open peer still reads"))
	c.Close(1000, "", patience)
	cl.wantFrame(t, ws.Text, "a half-open peer still reads")
	cl.wantFrame(t, ws.Close, closePayload(1000, ""))
	cl.wantEOF(t)
	wait(t, "Done", c.Done())
}

// TestOwnerStopsReading: after an error of onData the connection itself looks for the
// peer's close frame, from the middle of the read on which the owner gave up. The same
// goes for an owner who has never read.
func TestOwnerStopsReading(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		for _, never := range []bool{false, true} {
			cl := s.dial(t, nil)
			c := s.accepted(t)
			half := masked(0x82, strings.Repeat("x", 1000))
			cl.send(t, cat(masked(0x82, "bad"), half[:500]))
			bad := errors.New("bad")
			if !never {
				if err := c.Read(func([]byte) error { return bad }); err != bad {
					t.Fatalf("Read: %v, want bad", err)
				}
			}
			c.Close(1003, "", patience)
			cl.wantFrame(t, ws.Close, closePayload(1003, ""))
			cl.send(t, cat(half[500:], masked(0x81, "dropped"), closeFrame(1003, "")))
			cl.wantEOF(t)
			cl.Close()
			wait(t, "Done", c.Done())
		}
	})
}

func TestCloseWithoutFrame(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		for _, reading := range []bool{true, false} {
			cl := s.dial(t, nil)
			c := s.accepted(t)
			q := &queue{}
			q.push(text("last words"))
			c.Start(q)
			if reading {
				read(c)
			}
			c.Close(0, "", patience)
			cl.wantFrame(t, ws.Text, "last words")
			cl.wantEOF(t)
			wait(t, "Done of a peer that stays", c.Done())
		}
	})
}

func TestCloseWithoutWait(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		cl := s.dial(t, nil)
		c := s.accepted(t)
		r := readSurely(t, c, &queue{}, cl)
		c.Close(1000, "", 0)
		cl.wantFrame(t, ws.Close, closePayload(1000, ""))
		wait(t, "the end of Read", r.over)
		if r.err != net.ErrClosed {
			t.Errorf("Read: %v, want net.ErrClosed", r.err)
		}
		wait(t, "Done", c.Done())
	})
}

// TestCloseWaits: how long a peer has that does not answer. A pipe cannot be closed for
// writing alone, so there is no second wait.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		code    int
		reading bool
		send    []byte
		want    time.Duration
	}{
		{"reading", 1000, true, nil, 5 * time.Second},
		{"not reading", 1000, false, nil, 5 * time.Second},
		{"not reading, peer sends on", 1000, false, masked(0x81, "x"), 5 * time.Second},
		{"no frame", 0, true, nil, 0},
		{"peer has closed", 1000, true, closeFrame(1000, ""), 0},
		{"violation", 1002, true, []byte{0, 0}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, cl := pipe(t)
				defer cl.Close()
				var r *reading
				if tt.reading {
					r = read(c)
					synctest.Wait()
				}
				begin := time.Now()
				c.Close(tt.code, "", 5*time.Second)
				if tt.code != 0 {
					cl.wantFrame(t, ws.Close, closePayload(tt.code, ""))
				}
				if tt.send != nil {
					cl.send(t, tt.send)
				}
				<-c.Done()
				if took := time.Since(begin); took != tt.want {
					t.Errorf("closed after %v, want %v", took, tt.want)
				}
				if r != nil {
					if <-r.over; tt.send == nil && r.err != net.ErrClosed {
						t.Errorf("Read: %v, want net.ErrClosed", r.err)
					}
				}
			})
		})
	}
}

// TestBlockedOwner: an onData that does not return cannot keep a closed connection.
func TestBlockedOwner(t *testing.T) {
	t.Parallel()
	s := serve(t, false)
	cl := s.dial(t, nil)
	c := s.accepted(t)
	in, out, over := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		over <- c.Read(func([]byte) error {
			close(in)
			<-out
			return nil
		})
	}()
	cl.send(t, masked(0x81, "x"))
	wait(t, "the data", in)
	c.Close(1000, "", 10*time.Millisecond)
	wait(t, "Done", c.Done())
	close(out)
	if err := <-over; err != net.ErrClosed {
		t.Errorf("Read: %v, want net.ErrClosed", err)
	}
}

func TestKill(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		for name, prepare := range map[string]func(*ws.Conn){
			"fresh":   func(*ws.Conn) {},
			"started": func(c *ws.Conn) { c.Start(&queue{}) },
			"closing": func(c *ws.Conn) { c.Close(1000, "", patience) },
		} {
			cl := s.dial(t, nil)
			c := s.accepted(t)
			prepare(c)
			c.Kill()
			c.Kill()
			c.Close(1000, "", patience)
			c.Start(&queue{})
			c.Wake()
			wait(t, "Done of a connection that is "+name, c.Done())
			if err := c.Read(nil); err != net.ErrClosed {
				t.Errorf("%s: Read: %v, want net.ErrClosed", name, err)
			}
			for {
				if _, _, err := cl.frame(); err != nil {
					break
				}
			}
		}
	})
}

// afterFill is a Source that does something when a Fill has already looked for frames.
type afterFill struct {
	queue
	then func()
}

func (a *afterFill) Fill(dst []byte, max int) ([]byte, bool) {
	dst, more := a.queue.Fill(dst, max)
	if then := a.then; then != nil {
		a.then = nil
		then()
	}
	return dst, more
}

// TestCloseDuringFill: what is pushed before Close goes out before the close frame, also
// when the turn under way has missed it.
func TestCloseDuringFill(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		cl := s.dial(t, nil)
		c := s.accepted(t)
		src := &afterFill{}
		src.then = func() {
			src.push(text("just in time"))
			c.Close(1000, "", patience)
		}
		c.Start(src)
		cl.wantFrame(t, ws.Text, "just in time")
		cl.wantFrame(t, ws.Close, closePayload(1000, ""))
	})
}
