package ws_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hubbub-go/hubbub/internal/ws"
)

// scripted is a connection that gives data in pieces, then EOF, and takes every write.
type scripted struct {
	net.Conn // the methods that nobody calls
	data     []byte
	size     func() int // of the next piece
}

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), max(s.size(), 1))], s.data)
	if s.data = s.data[n:]; len(s.data) == 0 {
		return n, io.EOF // as io.Reader allows
	}
	return n, nil
}

func (s *scripted) Write(p []byte) (int, error)      { return len(p), nil }
func (s *scripted) Close() error                     { return nil }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }

// result reads data in pieces and tells what came of it.
func result(t *testing.T, data []byte, size func() int) (stream []byte, end string) {
	c := acceptOn(t, &scripted{data: bytes.Clone(data), size: size})
	err := c.Read(func(p []byte) error {
		if len(p) == 0 || len(p) > 8<<10 {
			t.Errorf("piece of %d bytes", len(p))
		}
		stream = append(stream, p...)
		return nil
	})
	c.Kill()
	<-c.Done()
	var broken *ws.ProtocolError
	if errors.As(err, &broken) {
		return stream, fmt.Sprint("violation ", broken.Code)
	}
	return stream, err.Error()
}

// reference is a second reading of RFC 6455: it has all bytes at once and takes its time.
func reference(p []byte) (stream []byte, end string) {
	const bad, cut = "violation 1002", "EOF"
	var message []byte
	open, isText := false, false
	for {
		if len(p) < 2 {
			return stream, cut
		}
		fin, op, n, size := p[0] >= 0x80, p[0]&15, uint64(p[1]&127), 2
		isControl := op >= 8
		if p[0]&0x70 != 0 || op > 10 || op > 2 && op < 8 || p[1] < 0x80 ||
			isControl && (!fin || n > 125) || !isControl && open == (op != 0) {
			return stream, bad
		}
		if n == 126 {
			size = 4
		} else if n == 127 {
			size = 10
		}
		if len(p) < size+4 {
			return stream, cut
		}
		if n == 126 {
			n = uint64(binary.BigEndian.Uint16(p[2:]))
		} else if n == 127 {
			n = binary.BigEndian.Uint64(p[2:])
		}
		if int64(n) < 0 {
			return stream, bad
		}
		key, whole := p[size:size+4], true
		p = p[size+4:]
		if n > uint64(len(p)) {
			n, whole = uint64(len(p)), false
		}
		payload := make([]byte, n)
		for i := range payload {
			payload[i] = p[i] ^ key[i%4]
		}
		p = p[n:]
		if isControl {
			if !whole {
				return stream, cut
			}
			if op == 8 {
				return stream, referenceClose(payload)
			}
			continue
		}
		if op != 0 {
			message, isText = nil, op == 1
		}
		open = !fin
		before := len(message)
		message = append(message, payload...)
		if isText {
			if good := textPrefix(message); good < len(message) {
				return append(stream, message[before:good]...), "violation 1007"
			}
		}
		stream = append(stream, payload...)
		if !whole {
			return stream, cut
		}
		if isText && fin && !utf8.Valid(message) {
			return stream, "violation 1007"
		}
	}
}

// textPrefix is how much of p can be the beginning of valid UTF-8.
func textPrefix(p []byte) int {
	n := 0
	for n < len(p) {
		if r, size := utf8.DecodeRune(p[n:]); r != utf8.RuneError || size > 1 {
			n += size
			continue
		}
		// What is left begins no whole character: how far does it begin one at all?
		for k := min(len(p)-n, 3); k > 0; k-- {
			if beginsRune(p[n : n+k]) {
				return n + k
			}
		}
		return n
	}
	return n
}

func beginsRune(p []byte) bool {
	for _, a := range []byte{0x80, 0x90, 0xA0, 0x8F, 0x9F, 0xBF} {
		for _, tail := range [][]byte{{a}, {a, 0x80}, {a, 0x80, 0x80}} {
			if q := append(bytes.Clone(p), tail...); utf8.Valid(q) {
				return true
			}
		}
	}
	return false
}

func referenceClose(p []byte) string {
	if len(p) == 0 {
		return "ws: peer closed with code 1005"
	}
	if len(p) == 1 || !utf8.Valid(p[2:]) {
		return "violation 1002"
	}
	code := int(p[0])<<8 | int(p[1])
	known := code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code < 5000
	if !known {
		return "violation 1002"
	}
	return (&ws.CloseError{Code: code, Reason: string(p[2:])}).Error()
}

// FuzzRead feeds bytes in every manner of pieces: the stream and the end must be those of
// the reference, however the bytes are cut.
func FuzzRead(f *testing.F) {
	for _, d := range dialogues() {
		if len(d.send) < 1000 {
			f.Add(d.send, uint16(0x1234))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, cuts uint16) {
		want, end := reference(data)
		state := uint32(cuts) + 1
		for name, size := range map[string]func() int{
			"whole":  func() int { return len(data) },
			"single": func() int { return 1 },
			"random": func() int { state = state*1664525 + 1013904223; return int(state>>24) % 23 },
		} {
			got, gotEnd := result(t, data, size)
			if !bytes.Equal(got, want) || gotEnd != end {
				t.Errorf("%s: %q, %s; want %q, %s", name, got, gotEnd, want, end)
			}
		}
	})
}
