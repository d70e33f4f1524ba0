package ws_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/internal/ws"
)

// dialogue is what a client sends, what arrives of it, and how Read ends: with a close code
// of the peer, with a violation, or, when both are 0, with the end of TCP.
type dialogue struct {
	name   string
	send   []byte
	data   string
	closed int
	reason string
	broken int
}

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

func dialogues() []dialogue {
	const k70 = 70000
	long := strings.Repeat("0123456789", k70/10)
	bye := closeFrame(1000, "")
	list := []dialogue{
		{name: "nothing", send: nil},
		{name: "text", send: cat(masked(0x81, "Hello"), bye), data: "Hello", closed: 1000},
		{name: "text and the end of TCP", send: masked(0x81, "Hello"), data: "Hello"},
		{name: "end of TCP inside a header", send: masked(0x81, "Hello")[:4], data: ""},
		{name: "end of TCP inside a payload", send: masked(0x81, "Hello")[:8], data: "He"},
		{name: "binary that is no UTF-8", send: cat(masked(0x82, "\xff\xfe\x00"), bye), data: "\xff\xfe\x00", closed: 1000},
		{name: "empty messages", send: cat(masked(0x81, ""), masked(0x82, ""), bye), closed: 1000},
		{name: "zero mask", send: cat([]byte("\x81\x85\x00\x00\x00\x00Hello"), bye), data: "Hello", closed: 1000},
		{name: "126 bytes", send: cat(masked(0x82, long[:126]), bye), data: long[:126], closed: 1000},
		{name: "16-bit length", send: cat(masked(0x81, long[:65535]), bye), data: long[:65535], closed: 1000},
		{name: "64-bit length", send: cat(masked(0x81, long), bye), data: long, closed: 1000},
		{name: "lengths longer than needed", send: cat(lengthed(0x81, []byte{126, 0, 2}, "hi"), lengthed(0x81, []byte{127, 0, 0, 0, 0, 0, 0, 0, 2}, "ho"), bye), data: "hiho", closed: 1000},
		{name: "fragments", send: cat(masked(0x01, "Hel"), masked(0x00, ""), masked(0x00, "lo "), masked(0x80, "you"), bye), data: "Hello you", closed: 1000},
		{name: "empty fragments", send: cat(masked(0x02, ""), masked(0x00, ""), masked(0x80, ""), bye), closed: 1000},
		{name: "control frames between fragments", send: cat(masked(0x01, "a"), masked(0x89, "p"), masked(0x00, "b"), masked(0x8A, "q"), masked(0x80, "c"), bye), data: "abc", closed: 1000},
		{name: "pings", send: cat(masked(0x89, ""), masked(0x89, long[:125]), masked(0x81, "x"), bye), data: "x", closed: 1000},
		{name: "pong unasked", send: cat(masked(0x8A, "?"), masked(0x81, "x"), bye), data: "x", closed: 1000},
		{name: "nothing is read behind a close", send: cat(bye, masked(0x81, "late"), []byte{0xFF, 0xFF}), closed: 1000},
		{name: "close inside a message", send: cat(masked(0x01, "a"), closeFrame(1001, "away")), data: "a", closed: 1001, reason: "away"},

		{name: "length with the top bit", send: lengthed(0x82, []byte{127, 0x80, 0, 0, 0, 0, 0, 0, 1}, ""), broken: 1002},
		{name: "greatest length", send: lengthed(0x82, []byte{127, 0x7F, 255, 255, 255, 255, 255, 255, 255}, "start"), data: "start"},
		{name: "no mask", send: cat(masked(0x81, "ok"), []byte("\x81\x05Hello")), data: "ok", broken: 1002},
		{name: "no mask, two bytes there", send: []byte("\x81\x05"), broken: 1002},
		{name: "no mask, long", send: []byte("\x82\x7e"), broken: 1002},
		{name: "close without a mask", send: []byte("\x88\x00"), broken: 1002},
		{name: "fragmented ping", send: masked(0x09, ""), broken: 1002},
		{name: "fragmented pong", send: masked(0x0A, ""), broken: 1002},
		{name: "fragmented close", send: masked(0x08, ""), broken: 1002},
		{name: "ping of 126 bytes", send: masked(0x89, long[:126]), broken: 1002},
		{name: "close with a 64-bit length", send: lengthed(0x88, []byte{127, 0, 0, 0, 0, 0, 0, 0, 0}, ""), broken: 1002},
		{name: "continuation without a message", send: masked(0x80, "x"), broken: 1002},
		{name: "continuation behind a whole message", send: cat(masked(0x81, "x"), masked(0x00, "y")), data: "x", broken: 1002},
		{name: "text inside a text", send: cat(masked(0x01, "x"), masked(0x81, "y")), data: "x", broken: 1002},
		{name: "binary inside a text", send: cat(masked(0x01, "x"), masked(0x02, "y")), data: "x", broken: 1002},
		{name: "close payload of 1 byte", send: masked(0x88, "\x03"), broken: 1002},
		{name: "close reason that is no UTF-8", send: closeFrame(1000, "a\xff"), broken: 1002},
		{name: "close reason cut inside a character", send: closeFrame(1000, "\xe2\x82"), broken: 1002},
		{name: "close without a code", send: masked(0x88, ""), closed: 1005},
		{name: "longest close reason", send: closeFrame(1000, long[:123]), closed: 1000, reason: long[:123]},

		{name: "UTF-8", send: cat(masked(0x81, "κόσμε €\U0010FFFF\x00"), bye), data: "κόσμε €\U0010FFFF\x00", closed: 1000},
		{name: "UTF-8 split over frames", send: cat(masked(0x01, "a\xe2"), masked(0x89, ""), masked(0x00, "\x82"), masked(0x00, ""), masked(0x80, "\xacz"), bye), data: "a€z", closed: 1000},
		{name: "character ends with the message", send: cat(masked(0x81, "a\xf0\x9f\x98"), bye), data: "a\xf0\x9f\x98", broken: 1007},
		{name: "character continued in the next message", send: cat(masked(0x81, "\xe2\x82"), masked(0x81, "\xac")), data: "\xe2\x82", broken: 1007},
		{name: "empty last fragment inside a character", send: cat(masked(0x01, "\xc3"), masked(0x80, "")), data: "\xc3", broken: 1007},
		{name: "wrong UTF-8 seen before the end", send: masked(0x01, "ab\xffcd")[:9], data: "ab", broken: 1007},
		{name: "binary continued is no text", send: cat(masked(0x02, "\xff"), masked(0x80, "\xfe"), bye), data: "\xff\xfe", closed: 1000},
	}
	for _, bits := range []byte{0x10, 0x20, 0x40, 0x70} {
		list = append(list, dialogue{name: fmt.Sprintf("reserved bits %#x", bits), send: masked(0x81|bits, "x"), broken: 1002},
			dialogue{name: fmt.Sprintf("reserved bits %#x in a ping", bits), send: masked(0x89|bits, "x"), broken: 1002})
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		list = append(list, dialogue{name: fmt.Sprintf("opcode %d", op), send: masked(0x80|op, ""), broken: 1002})
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4999} {
		list = append(list, dialogue{name: fmt.Sprintf("close code %d", code), send: closeFrame(code, "ré"), closed: code, reason: "ré"})
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		list = append(list, dialogue{name: fmt.Sprintf("close code %d", code), send: closeFrame(code, ""), broken: 1002})
	}
	for _, wrong := range []string{
		"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
		"\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "\xff", "\xc3(", "\xe2\x82(", "\xf0\x9f\x98(",
	} {
		// What is passed on ends in front of the first byte that cannot follow.
		prefix := map[string]string{
			"\xe0\x80\x80": "\xe0", "\xe0\x9f\xbf": "\xe0", "\xed\xa0\x80": "\xed", "\xed\xbf\xbf": "\xed",
			"\xf0\x80\x80\x80": "\xf0", "\xf0\x8f\xbf\xbf": "\xf0", "\xf4\x90\x80\x80": "\xf4",
			"\xc3(": "\xc3", "\xe2\x82(": "\xe2\x82", "\xf0\x9f\x98(": "\xf0\x9f\x98",
		}[wrong]
		list = append(list, dialogue{name: fmt.Sprintf("text with %x", wrong), send: masked(0x81, "12345678é"+wrong+"!"), data: "12345678é" + prefix, broken: 1007})
	}
	return list
}

// TestDialogues sends each dialogue in one piece, byte by byte, in small pieces, and glued
// to the upgrade request.
func TestDialogues(t *testing.T) {
	t.Parallel()
	s := serve(t, false)
	for _, d := range dialogues() {
		for _, cut := range []int{0, 1, 7, -1} {
			if cut == 1 && len(d.send) > 1000 {
				cut = 997
			}
			t.Run(fmt.Sprintf("%s/%d", d.name, cut), func(t *testing.T) {
				var glued []byte
				if cut < 0 {
					glued = d.send
				}
				cl := s.dial(t, glued)
				c := s.accepted(t)
				c.Start(&queue{})
				r := read(c)
				switch {
				case cut > 0:
					for piece := range slices.Chunk(d.send, cut) {
						cl.Write(piece)
					}
				case cut == 0 && len(d.send) > 0:
					cl.Write(d.send)
				}
				checkDialogue(t, d, cl, c, r)
			})
		}
	}
}

func checkDialogue(t *testing.T, d dialogue, cl *client, c *ws.Conn, r *reading) {
	t.Helper()
	if d.closed == 0 && d.broken == 0 {
		cl.Conn.(*net.TCPConn).CloseWrite()
	}
	wait(t, "the end of Read", r.over)
	if string(r.data) != d.data {
		t.Errorf("data %.60q, want %.60q", r.data, d.data)
	}
	answer := 1000
	var closed *ws.CloseError
	var broken *ws.ProtocolError
	switch {
	case d.closed != 0:
		if !errors.As(r.err, &closed) || closed.Code != d.closed || closed.Reason != d.reason {
			t.Errorf("Read: %v, want close %d %q", r.err, d.closed, d.reason)
		}
	case d.broken != 0:
		if !errors.As(r.err, &broken) || broken.Code != d.broken || broken.Text == "" {
			t.Errorf("Read: %v, want violation %d", r.err, d.broken)
		}
		answer = d.broken
	case r.err != io.EOF:
		t.Errorf("Read: %v, want EOF", r.err)
	}
	c.Close(answer, "", 5*time.Second)
	for {
		op, payload, err := cl.frame()
		if err != nil {
			t.Fatalf("read frame: %v, want close", err)
		}
		if op == ws.Pong {
			continue
		}
		if op != ws.Close || string(payload) != closePayload(answer, "") {
			t.Errorf("frame %d %q, want close %d", op, payload, answer)
		}
		break
	}
	cl.wantEOF(t)
	cl.Close()
	wait(t, "Done", c.Done())
}

func TestPings(t *testing.T) {
	t.Parallel()
	s := serve(t, false)
	cl := s.dial(t, nil)
	c := s.accepted(t)
	c.Start(&queue{})
	read(c)
	long := strings.Repeat("l", 125)
	for _, payload := range []string{"", "a", "\x00\xff\xfe", long} {
		cl.send(t, masked(0x89, payload))
		cl.wantFrame(t, ws.Pong, payload)
		frame := masked(0x89, payload)
		for i := range frame {
			cl.send(t, frame[i:i+1])
		}
		cl.wantFrame(t, ws.Pong, payload)
	}
}

// TestBackPressure blocks onData: the peer must soon find its socket full.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	s := serve(t, false)
	cl := s.dial(t, nil)
	c := s.accepted(t)
	open := make(chan struct{})
	total := 0
	over := make(chan struct{})
	go func() {
		defer close(over)
		c.Read(func(p []byte) error {
			<-open
			total += len(p)
			return nil
		})
	}()
	message := masked(0x82, strings.Repeat("x", 1<<20))
	sent := 0
	cl.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	for sent < 64<<20 {
		n, err := cl.Write(message)
		sent += n
		if err != nil {
			message = message[n:]
			break
		}
	}
	if sent >= 64<<20 {
		t.Fatalf("%d bytes were taken from a peer while its data was not", sent)
	}
	close(open)
	cl.SetWriteDeadline(time.Now().Add(patience))
	cl.send(t, message)
	cl.send(t, closeFrame(1000, ""))
	wait(t, "the end of Read", over)
	if want := (sent + len(message)) / len(masked(0x82, strings.Repeat("x", 1<<20))) << 20; total != want {
		t.Errorf("%d bytes, want %d", total, want)
	}
}

func TestReadEndsWithErrorOfOnData(t *testing.T) {
	t.Parallel()
	s := serve(t, false)
	cl := s.dial(t, nil)
	c := s.accepted(t)
	enough := errors.New("enough")
	cl.send(t, cat(masked(0x81, "one"), masked(0x81, "two"), closeFrame(1000, "")))
	calls := 0
	err := c.Read(func([]byte) error {
		calls++
		return enough
	})
	if err != enough || calls != 1 {
		t.Errorf("Read: %v after %d calls of onData, want enough after 1", err, calls)
	}
	if err := c.Read(nil); err == nil || errors.Is(err, net.ErrClosed) {
		t.Errorf("second Read: %v, want an error that tells of it", err)
	}
}

func TestReadSeesReset(t *testing.T) {
	t.Parallel()
	s := serve(t, false)
	cl := s.dial(t, nil)
	c := s.accepted(t)
	r := read(c)
	cl.Conn.(*net.TCPConn).SetLinger(0)
	cl.Close()
	wait(t, "the end of Read", r.over)
	var op net.Error
	if r.err == nil || errors.Is(r.err, net.ErrClosed) || r.err == io.EOF || errors.As(r.err, &op) && op.Timeout() {
		t.Errorf("Read: %v, want a reset", r.err)
	}
}

func TestErrorTexts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&ws.CloseError{Code: 1005}, "ws: peer closed with code 1005"},
		{&ws.CloseError{Code: 1001, Reason: "a\nb"}, `ws: peer closed with code 1001: "a\nb"`},
		{&ws.ProtocolError{Code: 1002, Text: "bad"}, "ws: protocol violation (1002): bad"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
