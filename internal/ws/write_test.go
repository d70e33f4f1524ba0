package ws_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub/internal/ws"
)

func text(s string) []byte { return ws.AppendFrame(nil, ws.Text, []byte(s)) }

// both runs a test over plain TCP and over TLS.
func both(t *testing.T, test func(t *testing.T, s *server)) {
	t.Parallel()
	for name, tls := range map[string]bool{"tcp": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, serve(t, tls))
		})
	}
}

func TestNothingIsWrittenBeforeStart(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		cl := s.dial(t, nil)
		c := s.accepted(t)
		r := read(c)
		q := &queue{}
		q.push(text("first"))
		c.Wake()
		cl.send(t, cat(masked(0x89, "early"), masked(0x81, "x")))
		cl.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if b, err := cl.br.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read %#x, %v before Start, want nothing", b, err)
		}
		cl.SetReadDeadline(time.Now().Add(patience))
		c.Start(q)
		if s.TLS == nil { // a TLS client cannot read behind a deadline it has met
			cl.wantFrame(t, ws.Pong, "early")
			cl.wantFrame(t, ws.Text, "first")
		}
		cl.send(t, closeFrame(1000, ""))
		wait(t, "the end of Read", r.over)
		eventually(t, "the first Fill", func() bool { q.mu.Lock(); defer q.mu.Unlock(); return q.fills > 0 })
	})
}

// TestConcurrentWakes pushes from many goroutines: nothing may be lost or change places.
func TestConcurrentWakes(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		const pushers, each = 16, 1500
		cl := s.dial(t, nil)
		c := s.accepted(t)
		q := &queue{}
		c.Start(q)
		var count int
		var mu sync.Mutex
		for range pushers {
			go func() {
				for range each {
					mu.Lock()
					q.push(text(strconv.Itoa(count)))
					count++
					mu.Unlock()
					c.Wake()
					c.Wake()
				}
			}()
		}
		for i := range pushers * each {
			cl.wantFrame(t, ws.Text, strconv.Itoa(i))
		}
	})
}

// TestBacklogIsOneTurn: what has piled up goes out together, up to the bytes of a turn.
func TestBacklogIsOneTurn(t *testing.T) {
	t.Parallel()
	s := serve(t, false)
	cl := s.dial(t, nil)
	c := s.accepted(t)
	q := &queue{}
	for i := range 100 {
		q.push(text(strconv.Itoa(i)))
	}
	c.Start(q)
	for i := range 100 {
		cl.wantFrame(t, ws.Text, strconv.Itoa(i))
	}
	if q.mu.Lock(); q.fills != 1 {
		t.Errorf("%d turns for 100 small frames, want 1", q.fills)
	}
	q.fills = 0
	big := strings.Repeat("b", 4000)
	for range 20 {
		q.frames = append(q.frames, text(big))
	}
	q.mu.Unlock()
	c.Wake()
	for range 20 {
		cl.wantFrame(t, ws.Text, big)
	}
	if q.mu.Lock(); q.fills != 4 {
		t.Errorf("%d turns for 80 kB, want 4", q.fills)
	}
	q.mu.Unlock()
}

func TestSizes(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		cl := s.dial(t, nil)
		c := s.accepted(t)
		q := &queue{}
		c.Start(q)
		for _, n := range []int{0, 1, 125, 126, 16383, 16384, 16385, 65535, 65536, 1 << 20, 8 << 20, 1} {
			payload := strings.Repeat("s", n)
			q.push(ws.AppendFrame(nil, ws.Binary, []byte(payload)))
			c.Wake()
			cl.wantFrame(t, ws.Binary, payload)
		}
	})
}

var body = strings.Repeat("-", 10_000) // two of them fit in a pooled buffer

// stuff pushes numbered frames until the write of c is stuck.
func stuff(t *testing.T, c *ws.Conn, q *queue) (frames int) {
	t.Helper()
	for c.WriteStalled() < 300*time.Millisecond {
		if frames == 25_000 {
			t.Fatal("a peer that does not read has taken 250 MB")
		}
		q.mu.Lock()
		pending := len(q.frames)
		q.mu.Unlock()
		if pending > 16 {
			runtime.Gosched()
			continue
		}
		q.push(text(fmt.Sprintf("%08d%s", frames, body)))
		frames++
		c.Wake()
	}
	return frames
}

// TestStuckReader: a client that does not read loses nothing and slows nobody.
func TestStuckReader(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		cl := s.dial(t, nil)
		cl.tcp().SetReadBuffer(256 << 10) // less than one segment of the loopback would crawl later
		c := s.accepted(t)
		q := &queue{}
		c.Start(q)
		frames := stuff(t, c, q)

		var others sync.WaitGroup
		for range 2*runtime.GOMAXPROCS(0) + 1 { // so that each flusher has one
			other := s.dial(t, nil)
			oc, oq := s.accepted(t), &queue{}
			oc.Start(oq)
			others.Go(func() {
				// Large enough to show when a buffer is shared with the stuck client.
				for i := range 100 {
					want := strings.Repeat(strconv.Itoa(i%10), 15_000)
					oq.push(text(want))
					oc.Wake()
					if op, p, err := other.frame(); err != nil || op != ws.Text || string(p) != want {
						t.Errorf("other client: %d %.9q %v, want frame %d", op, p, err, i)
						return
					}
				}
			})
		}
		others.Wait()
		if c.WriteStalled() == 0 {
			t.Error("the stuck write is over although nobody has read")
		}
		for i := range frames {
			op, p, err := cl.frame()
			if err != nil || op != ws.Text || string(p) != fmt.Sprintf("%08d%s", i, body) {
				t.Fatalf("opcode %d, %.8q, %d bytes, %v, want %08d", op, p, len(p), err, i)
			}
		}
		eventually(t, "the end of the stuck write", func() bool { return c.WriteStalled() == 0 })
		for _, s := range []string{"with", "the", "flusher", "again"} {
			q.push(text(s))
			c.Wake()
			cl.wantFrame(t, ws.Text, s)
		}
	})
}

func TestKillDuringWrite(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		s.dial(t, nil)
		c := s.accepted(t)
		r := read(c)
		q := &queue{}
		c.Start(q)
		stuff(t, c, q)
		c.Close(1000, "", patience) // behind what is stuck
		begin := time.Now()
		c.Kill()
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("Kill took %v", took)
		}
		wait(t, "the end of Read", r.over)
		if r.err != net.ErrClosed {
			t.Errorf("Read: %v, want net.ErrClosed", r.err)
		}
		wait(t, "Done", c.Done())
		q.mu.Lock()
		q.gone = true
		q.mu.Unlock()
		for range 100 {
			c.Wake()
		}
		if q.mu.Lock(); q.late {
			t.Error("Fill was called after Done")
		}
		q.mu.Unlock()
		if c.WriteStalled() != 0 {
			t.Error("a write is stuck after Done")
		}
	})
}

// TestNobodyWakesTheDead races Wake, Kill, Close and Start against each other.
func TestNobodyWakesTheDead(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		for i := range 60 {
			cl := s.dial(t, nil)
			c := s.accepted(t)
			r := read(c)
			q := &queue{}
			q.push(text("x"))
			var all sync.WaitGroup
			for _, f := range []func(){
				func() { c.Start(q) }, c.Wake, c.Wake, c.Flush, c.Flush, c.Kill, c.Kill,
				func() { c.Close(1000, "", time.Second) }, func() { c.Close(1001, "", time.Second) },
				func() { cl.Write(masked(0x89, "p")) },
			} {
				all.Go(f)
			}
			all.Wait()
			wait(t, "the end of Read", r.over)
			wait(t, "Done", c.Done())
			if r.err == nil {
				t.Errorf("round %d: Read ended without an error", i)
			}
		}
	})
}

// gate is a connection whose writes wait for a permit and are recorded.
type gate struct {
	net.Conn
	mu       sync.Mutex
	writes   [][]byte
	deadline time.Time
	begun    chan struct{}
	permit   chan struct{}
}

func (g *gate) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("HTTP/1.1 101")) {
		return len(p), nil
	}
	g.mu.Lock()
	g.writes = append(g.writes, bytes.Clone(p))
	g.mu.Unlock()
	g.begun <- struct{}{}
	<-g.permit
	return len(p), nil
}

func (g *gate) SetWriteDeadline(d time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deadline = d
	return nil
}

// TestPongOvertakes: behind a stuck write the newest pong goes first, the older ones are
// dropped.
func TestPongOvertakes(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	g := &gate{Conn: near, begun: make(chan struct{}), permit: make(chan struct{})}
	c := acceptOn(t, g)
	q := &queue{}
	q.push(text("one"))
	r := read(c)
	c.Start(q)
	<-g.begun
	q.push(text("two"))
	c.Wake()
	for _, p := range []string{"ping 1", "ping 2", "the newest ping"} {
		far.Write(masked(0x89, p))
	}
	far.Write(masked(0x81, "all pings are read when this is"))
	far.Write(masked(0x8A, ""))
	g.permit <- struct{}{}
	<-g.begun
	g.permit <- struct{}{}
	far.Write(masked(0x89, "idle ping"))
	<-g.begun
	g.permit <- struct{}{}
	far.Close()
	wait(t, "the end of Read", r.over)
	want := []string{
		string(text("one")),
		string(ws.AppendFrame(nil, ws.Pong, []byte("the newest ping"))) + string(text("two")),
		string(ws.AppendFrame(nil, ws.Pong, []byte("idle ping"))),
	}
	if len(g.writes) != len(want) {
		t.Fatalf("writes %q, want %q", g.writes, want)
	}
	for i := range want {
		if string(g.writes[i]) != want[i] {
			t.Errorf("write %d: %q, want %q", i, g.writes[i], want[i])
		}
	}
	eventually(t, "the end of the write deadline", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.deadline.IsZero()
	})
	c.Kill()
	wait(t, "Done", c.Done())
}

// TestStallLimit: without an owner who looks at WriteStalled, a stuck write ends by itself.
func TestStallLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, cl := pipe(t)
		defer cl.Close()
		q := &queue{}
		q.push(text("nobody reads this"))
		c.Start(q)
		r := read(c)
		begin := time.Now()
		time.Sleep(59 * time.Second)
		if got := c.WriteStalled(); got != 59*time.Second {
			t.Errorf("stalled for %v after 59 s", got)
		}
		<-c.Done()
		<-r.over
		if took := time.Since(begin); took != 60*time.Second {
			t.Errorf("killed after %v, want 60 s", took)
		}
		if !errors.Is(r.err, os.ErrDeadlineExceeded) || errors.Is(r.err, net.ErrClosed) {
			t.Errorf("Read: %v, want the error of the write", r.err)
		}
	})
}

// TestStallCountsProgress: a slow reader is not a stuck one.
func TestStallCountsProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, cl := pipe(t)
		defer cl.Close()
		q := &queue{}
		q.push(ws.AppendFrame(nil, ws.Binary, make([]byte, 256<<10)))
		c.Start(q)
		piece := make([]byte, 16<<10)
		for range 16 {
			time.Sleep(50 * time.Second)
			if got := c.WriteStalled(); got != 50*time.Second {
				t.Fatalf("stalled for %v, want 50 s", got)
			}
			for n := 0; n < len(piece); {
				m, err := cl.br.Read(piece[n:])
				if err != nil {
					t.Fatal(err)
				}
				n += m
			}
			synctest.Wait()
		}
		c.Kill()
		<-c.Done()
	})
}

// TestFanOut writes to many connections at once.
func TestFanOut(t *testing.T) {
	t.Parallel()
	s := serve(t, false)
	const clients, messages = 200, 50
	conns := make([]*ws.Conn, clients)
	queues := make([]queue, clients)
	var readers sync.WaitGroup
	for i := range conns {
		cl := s.dial(t, nil)
		conns[i] = s.accepted(t)
		conns[i].Start(&queues[i])
		readers.Go(func() {
			for k := range messages {
				_, p, err := cl.frame()
				if err != nil || len(p) != 4 || binary.BigEndian.Uint32(p) != uint32(k) {
					t.Errorf("message %x, %v, want %d", p, err, k)
					return
				}
			}
		})
	}
	for k := range messages {
		frame := ws.AppendFrame(nil, ws.Binary, binary.BigEndian.AppendUint32(nil, uint32(k)))
		for i := range slices.All(conns) {
			queues[i].push(frame)
			conns[i].Wake()
		}
	}
	readers.Wait()
}

// TestWriteToReset: a write that the socket refuses ends the connection.
func TestWriteToReset(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		cl := s.dial(t, nil)
		c := s.accepted(t)
		q := &queue{}
		r := readSurely(t, c, q, cl)
		cl.tcp().SetLinger(0)
		cl.tcp().Close()
		wait(t, "the end of Read", r.over)
		eventually(t, "the end of a connection that is written to", func() bool {
			q.push(text("to nobody"))
			c.Wake()
			select {
			case <-c.Done():
				return true
			default:
				return false
			}
		})
	})
}

// TestUnixSocket: a Unix socket is as good as TCP.
func TestUnixSocket(t *testing.T) {
	t.Parallel()
	s := serveOn(t, "unix", t.TempDir()+"/s")
	cl := s.dial(t, nil)
	c := s.accepted(t)
	q := &queue{}
	r := readSurely(t, c, q, cl)
	body := strings.Repeat("u", 1<<20)
	for range 5 {
		q.push(text(body))
		c.Wake()
	}
	for range 5 {
		cl.wantFrame(t, ws.Text, body)
	}
	c.Close(1000, "", patience)
	cl.wantFrame(t, ws.Close, closePayload(1000, ""))
	cl.send(t, cat(masked(0x81, "x"), closeFrame(1000, "")))
	wantClosed(t, r, 1000)
	cl.wantEOF(t)
	cl.Close()
	wait(t, "Done", c.Done())
}
