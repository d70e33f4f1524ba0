package ws

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// event is what a parser found.
type event byte

const (
	evMore  event = iota // every byte is used up
	evData               // a piece of a data frame's payload
	evPing               // a whole ping
	evPong               // a whole pong
	evClose              // a whole, valid close frame
	evEnd                // the end of a data message; only with borders
)

// parser takes the frames of a client apart. Its state is a header, a few counters and at
// most one control payload, whatever lengths the peer announces.
type parser struct {
	head   [14]byte
	have   uint8 // bytes of head that are there
	want   uint8 // bytes of head that the frame has; 0 before the first two are judged
	inBody bool
	fin    bool
	op     Opcode    // of the frame; a continuation has the opcode of its message
	open   Opcode    // of the fragmented message under way; 0: none
	key    uint32    // mask, rotated so that the next payload byte takes its lowest byte
	left   uint64    // payload bytes still to come
	text   utf8Check // clean between two messages
	border bool      // ends of messages are told
	ctl    []byte    // the part of a control payload that has come so far, nil between
	err    *ProtocolError
}

// next takes bytes from p and returns the first thing found, unmasked in place, and the
// bytes behind it. Once it has returned an error it returns only that.
func (d *parser) next(p []byte) (ev event, data, rest []byte, err error) {
	for d.err == nil {
		if !d.inBody {
			if p = d.header(p); d.err == nil && !d.inBody {
				return evMore, nil, nil, nil
			}
			continue
		}
		if d.op >= Close {
			ev, data, p = d.control(p)
			if d.err != nil {
				break
			}
			return ev, data, p, nil
		}
		if d.left == 0 {
			if d.endFrame(); d.border && d.fin && d.err == nil {
				return evEnd, nil, p, nil
			}
			continue
		}
		if len(p) == 0 {
			return evMore, nil, nil, nil
		}
		if data, p = d.body(p); len(data) > 0 {
			return evData, data, p, nil
		}
	}
	return evMore, nil, nil, d.err
}

// header collects the header of a frame and judges its first two bytes as soon as they are
// there, so that a peer that does not mask hears of it before it has sent four more.
func (d *parser) header(p []byte) []byte {
	if d.want == 0 {
		n := copy(d.head[d.have:2], p)
		d.have += uint8(n)
		p = p[n:]
		if d.have < 2 {
			return p
		}
		if d.judge(d.head[0], d.head[1]); d.err != nil {
			return p
		}
	}
	n := copy(d.head[d.have:d.want], p)
	d.have += uint8(n)
	p = p[n:]
	if d.have < d.want {
		return p
	}
	switch d.want {
	case 6:
		d.left = uint64(d.head[1] &^ bitMask)
	case 8:
		d.left = uint64(binary.BigEndian.Uint16(d.head[2:]))
	default:
		d.left = binary.BigEndian.Uint64(d.head[2:])
		if d.left>>63 != 0 {
			d.err = violation("frame length %#x, want the top bit clear", d.left)
			return p
		}
	}
	d.key = binary.LittleEndian.Uint32(d.head[d.want-4:])
	d.have, d.want, d.inBody = 0, 0, true
	return p
}

// judge checks what the first two bytes of a frame tell and sets how long its header is.
func (d *parser) judge(b0, b1 byte) {
	op, n := Opcode(b0&0x0F), b1&^bitMask
	d.fin = b0&bitFin != 0
	switch {
	case b0&bitsRsv != 0:
		d.err = violation("reserved bits %#x, want none", b0&bitsRsv)
	case op > Binary && op < Close, op > Pong:
		d.err = violation("opcode %d is not defined", op)
	case b1&bitMask == 0:
		d.err = violation("frame of a client without a mask")
	case op >= Close && !d.fin:
		d.err = violation("fragmented control frame")
	case op >= Close && n > maxControl:
		d.err = violation("control frame of more than %d bytes", maxControl)
	case op == continuation && d.open == 0:
		d.err = violation("continuation without a message to continue")
	case op != continuation && op < Close && d.open != 0:
		d.err = violation("new message inside a fragmented one")
	}
	switch d.op = op; op {
	case continuation:
		d.op = d.open
	case Text, Binary:
		d.open = op
	}
	switch n {
	case 126:
		d.want = 8
	case 127:
		d.want = 14
	default:
		d.want = 6
	}
}

// body takes what p has of a data frame's payload. A text stops in front of the first byte
// that is wrong.
func (d *parser) body(p []byte) (data, rest []byte) {
	data, rest = p, nil
	if uint64(len(p)) > d.left {
		data, rest = p[:d.left], p[d.left:]
	}
	d.key = unmask(data, d.key)
	d.left -= uint64(len(data))
	if d.op == Text {
		if i := d.text.scan(data); i >= 0 {
			d.err = &ProtocolError{Code: codeNotUTF8, Text: "text message is no UTF-8"}
			data = data[:i]
		}
	}
	return data, rest
}

func (d *parser) endFrame() {
	d.inBody = false
	if !d.fin {
		return
	}
	if d.op == Text && !d.text.whole() {
		d.err = &ProtocolError{Code: codeNotUTF8, Text: "text message ends inside a character"}
	}
	d.open = 0
}

// control takes what p has of a control frame's payload and returns the frame when it is
// whole. Only a payload that comes in parts is copied.
func (d *parser) control(p []byte) (ev event, payload, rest []byte) {
	n := min(uint64(len(p)), d.left)
	payload, rest = p[:n], p[n:]
	d.key = unmask(payload, d.key)
	if d.left -= n; d.left > 0 {
		d.ctl = append(d.ctl, payload...)
		return evMore, nil, nil
	}
	if d.ctl != nil {
		payload, d.ctl = append(d.ctl, payload...), nil
	}
	d.inBody = false
	switch d.op {
	case Ping:
		return evPing, payload, rest
	case Pong:
		return evPong, payload, rest
	default:
		d.err = judgeClose(payload)
		return evClose, payload, rest
	}
}

// judgeClose checks the payload of a close frame (RFC 6455, 5.5.1 and 7.4).
func judgeClose(payload []byte) *ProtocolError {
	switch {
	case len(payload) == 0:
		return nil
	case len(payload) == 1:
		return violation("close frame of 1 byte, want none or a code of 2")
	}
	if code := int(binary.BigEndian.Uint16(payload)); !validCode(code) {
		return violation("close code %d must not be sent", code)
	}
	if !utf8.Valid(payload[2:]) {
		return violation("reason of the close frame is no UTF-8")
	}
	return nil
}

// closeError reads a close payload that judgeClose has passed.
func closeError(payload []byte) *CloseError {
	if len(payload) < 2 {
		return &CloseError{Code: codeNone}
	}
	return &CloseError{Code: int(binary.BigEndian.Uint16(payload)), Reason: string(payload[2:])}
}

// unmask applies the mask to p in place and returns the mask for the bytes that follow.
func unmask(p []byte, key uint32) uint32 {
	next := bits.RotateLeft32(key, -8*(len(p)%4))
	wide := uint64(key)<<32 | uint64(key)
	for len(p) >= 32 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^wide)
		binary.LittleEndian.PutUint64(p[8:], binary.LittleEndian.Uint64(p[8:])^wide)
		binary.LittleEndian.PutUint64(p[16:], binary.LittleEndian.Uint64(p[16:])^wide)
		binary.LittleEndian.PutUint64(p[24:], binary.LittleEndian.Uint64(p[24:])^wide)
		p = p[32:]
	}
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^wide)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= byte(key)
		key = bits.RotateLeft32(key, -8)
	}
	return next
}
