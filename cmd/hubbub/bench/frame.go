package bench

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// Opcodes of RFC 6455.
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

// appendMasked appends one frame of a client. The mask is zero, so that a frame can be encoded once and changed in place; a server
// unmasks it like any other.
func appendMasked(dst []byte, op byte, payload []byte) []byte {
	dst = append(dst, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	return append(append(dst, 0, 0, 0, 0), payload...)
}

// quote is a JSON string.
func quote(s string) []byte {
	q, _ := json.Marshal(s) // a string always has one
	return q
}

// largestFrame bounds what a server may make the load keep.
const largestFrame = 16 << 20

var errClosed = errors.New("the server closed the connection")

// splitter cuts a stream of bytes into records. A record that arrives whole is not copied.
type splitter struct {
	raw    bool   // no frames
	packed bool   // records have their length in front
	carry  []byte // the beginning of a record whose end was not in its frame
}

// next handles what is whole in p and returns the number of bytes it has used. Control frames go to control.
func (s *splitter) next(p []byte, handle func(record []byte), control func(op byte, payload []byte)) (int, error) {
	if s.raw {
		return s.records(p, handle)
	}
	used := 0
	for {
		f := p[used:]
		if len(f) < 2 {
			return used, nil
		}
		head, size := 2, int(f[1]&0x7f)
		switch size {
		case 126:
			if head = 4; len(f) < head {
				return used, nil
			}
			size = int(binary.BigEndian.Uint16(f[2:]))
		case 127:
			if head = 10; len(f) < head {
				return used, nil
			}
			size = int(min(binary.BigEndian.Uint64(f[2:]), largestFrame+1))
		}
		if size > largestFrame || f[1]&0x80 != 0 {
			return used, fmt.Errorf("frame of %d bytes with first bytes %02x %02x, want an unmasked one of at most %d", size, f[0], f[1], largestFrame)
		}
		if len(f) < head+size {
			return used, nil
		}
		payload := f[head : head+size]
		used += head + size
		if op := f[0] & 15; op >= opClose {
			control(op, payload)
			if op == opClose {
				return used, errClosed
			}
			continue
		}
		if err := s.payload(payload, handle); err != nil {
			return used, err
		}
	}
}

func (s *splitter) payload(p []byte, handle func([]byte)) error {
	if len(s.carry) > 0 {
		if s.packed {
			return s.packedCarry(p, handle)
		}
		i := bytes.IndexByte(p, recordEnd)
		if i < 0 {
			s.carry = append(s.carry, p...)
			return nil
		}
		handle(append(s.carry, p[:i]...))
		s.carry, p = s.carry[:0], p[i+1:]
	}
	n, err := s.records(p, handle)
	s.carry = append(s.carry, p[n:]...)
	return err
}

// packedCarry handles records of which the first begins in an earlier frame.
func (s *splitter) packedCarry(p []byte, handle func([]byte)) error {
	s.carry = append(s.carry, p...)
	n, err := s.records(s.carry, handle)
	s.carry = s.carry[:copy(s.carry, s.carry[n:])]
	return err
}

// records handles every whole record of p and returns the bytes used. The first record of a connection may change what they look like.
func (s *splitter) records(p []byte, handle func([]byte)) (int, error) {
	used := 0
	for {
		if s.packed {
			n, head, err := readLength(p[used:])
			if err != nil || head == 0 || len(p)-used-head < n {
				return used, err
			}
			handle(p[used+head : used+head+n])
			used += head + n
			continue
		}
		i := bytes.IndexByte(p[used:], recordEnd)
		if i < 0 {
			return used, nil
		}
		handle(p[used : used+i])
		used += i + 1
	}
}
