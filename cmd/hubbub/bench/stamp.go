package bench

import (
	"bytes"
	"strings"
	"time"
)

// A stamp begins the text of every message: a mark, sender and number, and the time that the message was due.
// It has letters and digits only, which no server escapes, so it is found in a record without decoding it.
const (
	mark      = "hbX"
	stampSize = len(mark) + 8 + 8 + 16
	recordEnd = 0x1e
)

// origin is the zero of this process's clock, on the wall so that several processes of one machine agree.
var (
	origin     = time.Now()
	originWall = origin.UnixNano()
)

// now is the time in nanoseconds. It never goes back within a process.
func now() int64 { return originWall + int64(time.Since(origin)) }

const hexDigits = "0123456789abcdef"

// putHex writes v with all of dst's digits.
func putHex(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = hexDigits[v&15]
		v >>= 4
	}
}

func putStamp(dst []byte, sender, seq uint32, due int64) {
	copy(dst, mark)
	putHex(dst[3:11], uint64(sender))
	putHex(dst[11:19], uint64(seq))
	putHex(dst[19:35], uint64(due))
}

// stamp finds the stamp of a record.
func stamp(record []byte) (sender, seq uint32, due int64, ok bool) {
	i := bytes.Index(record, []byte(mark))
	if i < 0 || len(record)-i < stampSize {
		return 0, 0, 0, false
	}
	s := record[i:]
	a, ok1 := hexOf(s[3:11])
	b, ok2 := hexOf(s[11:19])
	c, ok3 := hexOf(s[19:35])
	return uint32(a), uint32(b), int64(c), ok1 && ok2 && ok3
}

func hexOf(s []byte) (v uint64, ok bool) {
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// template is a frame that was encoded once. Sending fills in the number and the time.
type template struct {
	frame []byte
	id    int // of the invocation id's eight digits; -1: it has none
	stamp int
}

// newTemplate makes the frame of a message. Group and target do not matter to raw wires.
func newTemplate(wire Wire, f format, target, group string, size int, result bool) *template {
	text := mark + strings.Repeat("x", size-len(mark))
	t := &template{id: -1}
	var body []byte
	switch {
	case wire == wireRaw && result:
		body = append(append([]byte{rawEcho}, text...), recordEnd)
	case wire == wireRaw:
		body = append(append([]byte{rawAll}, text...), recordEnd)
	case wire == wireEcho:
		body = append([]byte(text), recordEnd)
	default:
		args := []any{text}
		if group != "" {
			args = []any{group, text}
		}
		id := ""
		if result {
			id = "00000000"
		}
		body = f.invocation(id, target, args...)
	}
	t.frame = f.frame(body)
	if wire == wireHub && result {
		t.id = bytes.Index(t.frame, []byte("00000000"))
	}
	t.stamp = bytes.Index(t.frame, []byte(text))
	return t
}

// appendTo appends the frame of one message.
func (t *template) appendTo(dst []byte, sender, seq uint32, due int64) []byte {
	start := len(dst)
	dst = append(dst, t.frame...)
	f := dst[start:]
	if t.id >= 0 {
		putHex(f[t.id:t.id+8], uint64(seq))
	}
	putStamp(f[t.stamp:], sender, seq, due)
	return dst
}
