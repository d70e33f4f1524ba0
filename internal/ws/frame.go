package ws

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// Opcode is the type of a frame (RFC 6455, 5.2).
type Opcode byte

// The opcodes a server sends.
const (
	Text   Opcode = 0x1 // a text message, UTF-8
	Binary Opcode = 0x2 // a binary message
	Close  Opcode = 0x8 // the closing handshake
	Ping   Opcode = 0x9 // asks for a Pong
	Pong   Opcode = 0xA // answers a Ping
)

const continuation Opcode = 0x0

// Limits of RFC 6455, 5.5: the payload of a control frame, and what a close code leaves of
// it for the reason.
const (
	maxControl = 125
	maxReason  = maxControl - 2
)

const (
	bitFin  = 0x80
	bitsRsv = 0x70
	bitMask = 0x80
)

// AppendFrame appends one complete unmasked frame (FIN set) of opcode op around payload to
// dst and returns the result. It is safe for concurrent use on different dst and keeps
// neither slice. The payload of a control frame must not exceed 125 bytes.
func AppendFrame(dst []byte, op Opcode, payload []byte) []byte {
	return append(AppendHeader(dst, op, len(payload)), payload...)
}

// AppendHeader appends the header of a complete unmasked frame of opcode op with n bytes of
// payload, which the caller appends.
func AppendHeader(dst []byte, op Opcode, n int) []byte {
	dst = append(dst, bitFin|byte(op))
	switch {
	case n <= maxControl:
		dst = append(dst, byte(n))
	case n <= 0xFFFF:
		dst = append(dst, 126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	default:
		dst = append(dst, 127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	return dst
}

// AppendClose appends a close frame to dst and returns the result. A reason longer than
// 123 bytes is cut at a character, bytes that are no UTF-8 become U+FFFD. Codes 0 and 1005
// give a close frame without a code and without a reason; other codes are not checked.
func AppendClose(dst []byte, code int, reason string) []byte {
	if code == 0 || code == codeNone {
		return AppendFrame(dst, Close, nil)
	}
	var payload [maxControl]byte
	binary.BigEndian.PutUint16(payload[:], uint16(code))
	n := copy(payload[2:], cutReason(reason))
	return AppendFrame(dst, Close, payload[:2+n])
}

func cutReason(reason string) string {
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	if len(reason) <= maxReason {
		return reason
	}
	n := maxReason
	for !utf8.RuneStart(reason[n]) {
		n--
	}
	return reason[:n]
}
