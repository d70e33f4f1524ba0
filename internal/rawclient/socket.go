package rawclient

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The opcodes of RFC 6455.
const (
	OpText   = 1
	OpBinary = 2
	OpClose  = 8
	OpPing   = 9
	OpPong   = 10
)

// Socket is a WebSocket client on the bytes themselves: half frames, wrong ones, nothing read, resets.
type Socket struct {
	t    testing.TB
	tcp  *net.TCPConn
	r    *bufio.Reader
	Head *http.Response // of the upgrade
}

// DialSocket sends an upgrade request for url and reads the head of the answer, whatever it is. Lines are more header fields, or a
// replacement of those that an upgrade needs: `Name: value`, or `Name:` to leave one out.
func DialSocket(t testing.TB, rawURL string, lines ...string) *Socket {
	t.Helper()
	s, u := dialURL(t, rawURL)
	s.Write([]byte("GET " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host + "\r\n" + upgradeFields(lines) + "\r\n"))
	s.tcp.SetReadDeadline(time.Now().Add(Patience))
	var err error
	if s.Head, err = http.ReadResponse(s.r, &http.Request{Method: http.MethodGet}); err != nil {
		t.Fatalf("upgrade: %v", err)
	}
	return s
}

// DialBytes connects to the host of url and sends nothing.
func DialBytes(t testing.TB, rawURL string) *Socket {
	t.Helper()
	s, _ := dialURL(t, rawURL)
	return s
}

func dialURL(t testing.TB, rawURL string) (*Socket, *url.URL) {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.DialTimeout("tcp", u.Host, Patience)
	if err != nil {
		t.Fatal(err)
	}
	s := &Socket{t: t, tcp: c.(*net.TCPConn), r: bufio.NewReader(c)}
	t.Cleanup(func() { s.tcp.Close() })
	return s, u
}

func upgradeFields(lines []string) string {
	fields := []string{
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==",
	}
	var b strings.Builder
	for _, f := range fields {
		name, _, _ := strings.Cut(f, ":")
		replaced := false
		for _, l := range lines {
			other, _, _ := strings.Cut(l, ":")
			replaced = replaced || strings.EqualFold(name, other)
		}
		if !replaced {
			b.WriteString(f + "\r\n")
		}
	}
	for _, l := range lines {
		if !strings.HasSuffix(l, ":") {
			b.WriteString(l + "\r\n")
		}
	}
	return b.String()
}

// Write sends bytes as they are.
func (s *Socket) Write(p []byte) {
	s.t.Helper()
	s.tcp.SetWriteDeadline(time.Now().Add(Patience))
	if _, err := s.tcp.Write(p); err != nil {
		s.t.Fatalf("write: %v", err)
	}
}

// Frame is a masked frame. The mask is zero, so that the payload stands in it as it is.
func Frame(fin bool, op byte, payload string) []byte {
	b := []byte{op, 0x80}
	if fin {
		b[0] |= 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b[1] |= byte(n)
	case n < 1<<16:
		b[1] |= 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] |= 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	b = append(b, 0, 0, 0, 0)
	return append(b, payload...)
}

// Send sends one whole text frame.
func (s *Socket) Send(payload string) {
	s.t.Helper()
	s.Write(Frame(true, OpText, payload))
}

// Read reads one frame of the server.
func (s *Socket) Read() (op byte, payload string) {
	s.t.Helper()
	op, payload, err := s.TryRead(Patience)
	if err != nil {
		s.t.Fatalf("read a frame: %v", err)
	}
	return op, payload
}

// TryRead is Read that returns its error: io.EOF for the end of TCP, a time-out, or the error of the socket.
func (s *Socket) TryRead(wait time.Duration) (op byte, payload string, err error) {
	s.tcp.SetReadDeadline(time.Now().Add(wait))
	var head [2]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return 0, "", err
	}
	if head[0]&0x80 == 0 || head[1]&0x80 != 0 {
		return 0, "", fmt.Errorf("frame head %x, want a whole message without a mask", head)
	}
	n := uint64(head[1])
	switch n {
	case 126:
		var b [2]byte
		if _, err := io.ReadFull(s.r, b[:]); err != nil {
			return 0, "", err
		}
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		if _, err := io.ReadFull(s.r, b[:]); err != nil {
			return 0, "", err
		}
		n = binary.BigEndian.Uint64(b[:])
	}
	p := make([]byte, n)
	if _, err := io.ReadFull(s.r, p); err != nil {
		return 0, "", err
	}
	return head[0] & 0x0f, string(p), nil
}

// ExpectText reads one text frame and wants this payload.
func (s *Socket) ExpectText(want string) {
	s.t.Helper()
	if op, got := s.Read(); op != OpText || got != want {
		s.t.Fatalf("frame %d %q, want text %q", op, got, want)
	}
}

// ExpectClose reads one frame and wants it to be the close frame of that code, without a reason.
func (s *Socket) ExpectClose(code int) {
	s.t.Helper()
	want := string(binary.BigEndian.AppendUint16(nil, uint16(code)))
	if op, got := s.Read(); op != OpClose || got != want {
		s.t.Fatalf("frame %d %q, want close %d", op, got, code)
	}
}

// ExpectEOF wants the end of TCP without another frame.
func (s *Socket) ExpectEOF() {
	s.t.Helper()
	if op, p, err := s.TryRead(Patience); err == nil {
		s.t.Fatalf("frame %d %q, want the end", op, p)
	} else if t, ok := err.(net.Error); ok && t.Timeout() {
		s.t.Fatalf("nothing came within %v, want the end", Patience)
	}
}

// CloseWrite ends the writing side of TCP.
func (s *Socket) CloseWrite() { s.tcp.CloseWrite() }

// SetReadBuffer makes the window small, for a client that does not read.
func (s *Socket) SetReadBuffer(n int) { s.tcp.SetReadBuffer(n) }

// Reset ends TCP by a reset.
func (s *Socket) Reset() {
	s.tcp.SetLinger(0)
	s.tcp.Close()
}

// Close ends TCP.
func (s *Socket) Close() { s.tcp.Close() }
