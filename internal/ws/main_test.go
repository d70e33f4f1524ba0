package ws_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub/internal/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// queue is a Source: an unbounded list of frames.
type queue struct {
	mu     sync.Mutex
	frames [][]byte
	fills  int
	gone   bool // a Fill is an error from now on
	late   bool // and one has happened
}

func (q *queue) push(frames ...[]byte) {
	q.mu.Lock()
	q.frames = append(q.frames, frames...)
	q.mu.Unlock()
}

func (q *queue) Fill(dst []byte, max int) ([]byte, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fills++
	q.late = q.late || q.gone
	for len(q.frames) > 0 {
		dst = append(dst, q.frames[0]...)
		q.frames = q.frames[1:]
		if len(dst) >= max {
			break
		}
	}
	return dst, len(q.frames) > 0
}

// server accepts every request and hands the connections out.
type server struct {
	*httptest.Server
	conns chan *ws.Conn
}

func newServer(t testing.TB) *server {
	s := &server{conns: make(chan *ws.Conn, 2000)}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := ws.Accept(w, r, ""); err == nil {
			s.conns <- c
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func serve(t testing.TB, tls bool) *server {
	s := newServer(t)
	if tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	return s
}

func serveOn(t testing.TB, network, address string) *server {
	s := newServer(t)
	s.Listener.Close()
	var err error
	if s.Listener, err = net.Listen(network, address); err != nil {
		t.Fatal(err)
	}
	s.Start()
	return s
}

// accepted returns the server's end of the connection dialled last. It is killed, and its
// Done awaited, when the test ends.
func (s *server) accepted(t testing.TB) *ws.Conn {
	t.Helper()
	select {
	case c := <-s.conns:
		t.Cleanup(func() {
			c.Kill()
			wait(t, "Done", c.Done())
		})
		return c
	case <-time.After(patience):
		t.Fatal("no connection was accepted")
		return nil
	}
}

// client is a WebSocket client that does nothing by itself.
type client struct {
	net.Conn
	br *bufio.Reader
}

const upgradeRequest = "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// dial upgrades, with the bytes of glued right behind the request.
func (s *server) dial(t testing.TB, glued []byte) *client {
	t.Helper()
	var nc net.Conn
	var err error
	if s.TLS != nil {
		nc, err = tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	} else {
		nc, err = net.Dial(s.Listener.Addr().Network(), s.Listener.Addr().String())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	c := &client{Conn: nc, br: bufio.NewReader(nc)}
	if _, err := nc.Write(append([]byte(upgradeRequest), glued...)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(c.br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d, want 101", res.StatusCode)
	}
	return c
}

func (c *client) tcp() *net.TCPConn {
	if t, ok := c.Conn.(*tls.Conn); ok {
		return t.NetConn().(*net.TCPConn)
	}
	return c.Conn.(*net.TCPConn)
}

// frame reads one frame of the server.
func (c *client) frame() (op ws.Opcode, payload []byte, err error) {
	var head [10]byte
	if _, err := io.ReadFull(c.br, head[:2]); err != nil {
		return 0, nil, err
	}
	if head[0]&0xF0 != 0x80 {
		return 0, nil, fmt.Errorf("first byte %#x, want FIN and no reserved bit", head[0])
	}
	op = ws.Opcode(head[0] & 0x0F)
	n := uint64(head[1])
	switch n {
	case 126:
		_, err = io.ReadFull(c.br, head[:2])
		n = uint64(binary.BigEndian.Uint16(head[:]))
	case 127:
		_, err = io.ReadFull(c.br, head[2:])
		n = binary.BigEndian.Uint64(head[2:])
	}
	if err != nil {
		return 0, nil, err
	}
	if n > 64<<20 {
		return 0, nil, fmt.Errorf("frame of %d bytes", n)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.br, payload)
	return op, payload, err
}

// wantFrame reads one frame and compares it.
func (c *client) wantFrame(t testing.TB, op ws.Opcode, payload string) {
	t.Helper()
	gotOp, got, err := c.frame()
	if err != nil {
		t.Fatalf("read frame: %v, want opcode %d %.40q", err, op, payload)
	}
	if gotOp != op || string(got) != payload {
		t.Fatalf("frame with opcode %d %.40q, want %d %.40q", gotOp, got, op, payload)
	}
}

// wantEOF checks that the stream ends in good order: with a FIN, not with a reset.
func (c *client) wantEOF(t testing.TB) {
	t.Helper()
	if b, err := c.br.ReadByte(); err != io.EOF {
		t.Fatalf("read: %#x, %v, want EOF", b, err)
	}
}

func (c *client) send(t testing.TB, p []byte) {
	t.Helper()
	if _, err := c.Write(p); err != nil {
		t.Fatal(err)
	}
}

// masked is a frame of a client: first byte, then payload behind the shortest length.
func masked(b0 byte, payload string) []byte {
	n := len(payload)
	switch {
	case n <= 125:
		return lengthed(b0, []byte{byte(n)}, payload)
	case n <= 0xFFFF:
		return lengthed(b0, binary.BigEndian.AppendUint16([]byte{126}, uint16(n)), payload)
	default:
		return lengthed(b0, binary.BigEndian.AppendUint64([]byte{127}, uint64(n)), payload)
	}
}

// lengthed is a masked frame with the given length bytes.
func lengthed(b0 byte, length []byte, payload string) []byte {
	key := [4]byte{0x9F, 0x01, 0x00, 0xC3}
	p := append([]byte{b0}, length...)
	p[1] |= 0x80
	p = append(p, key[:]...)
	for i := range len(payload) {
		p = append(p, payload[i]^key[i%4])
	}
	return p
}

func closeFrame(code int, reason string) []byte {
	return masked(0x88, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

func closePayload(code int, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

// reading runs c.Read and returns what it gives.
type reading struct {
	data []byte
	len  atomic.Int64 // of data
	err  error
	over chan struct{}
}

func read(c *ws.Conn) *reading {
	r := &reading{over: make(chan struct{})}
	go func() {
		defer close(r.over)
		r.err = c.Read(func(p []byte) error {
			r.data = append(r.data, p...)
			r.len.Add(int64(len(p)))
			return nil
		})
	}()
	return r
}

// readSurely starts c and does not return before Read has read something.
func readSurely(t testing.TB, c *ws.Conn, src ws.Source, cl *client) *reading {
	t.Helper()
	c.Start(src)
	r := read(c)
	cl.send(t, masked(0x89, "sure"))
	cl.wantFrame(t, ws.Pong, "sure")
	return r
}

func wait(t testing.TB, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatalf("%s did not come within %v", what, patience)
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s did not happen within %v", what, patience)
		}
	}
}
