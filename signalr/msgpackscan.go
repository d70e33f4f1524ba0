package signalr

import (
	"encoding/binary"
	"errors"

	"github.com/tinylib/msgp/msgp"
)

// The codes of MessagePack that are not ranges.
const (
	codeNil     = 0xc0
	codeInvalid = 0xc1
	codeFalse   = 0xc2
	codeTrue    = 0xc3
	codeBin8    = 0xc4
	codeBin32   = 0xc6
	codeExt8    = 0xc7
	codeExt32   = 0xc9
	codeFloat32 = 0xca
	codeFloat64 = 0xcb
	codeUint8   = 0xcc
	codeInt64   = 0xd3
	codeFixExt1 = 0xd4
	codeFixExt8 = 0xd7
	codeStr8    = 0xd9
	codeStr32   = 0xdb
	codeArray16 = 0xdc
	codeArray32 = 0xdd
	codeMap16   = 0xde
	codeMap32   = 0xdf
	codeNegFix  = 0xe0
)

var (
	errShort = errors.New("bytes end inside a value")
	errCode  = errors.New("code c1 is no MessagePack")
	errNest  = errors.New("MessagePack nests deeper than 500")
	errRange = errors.New("number is out of range")
)

// codeNames are the names of the codes from c0 to df.
var codeNames = [...]string{
	"nil", "(never used)", "false", "true", "bin 8", "bin 16", "bin 32", "ext 8", "ext 16", "ext 32", "float 32", "float 64",
	"uint 8", "uint 16", "uint 32", "uint 64", "int 8", "int 16", "int 32", "int 64", "fixext 1", "fixext 2", "fixext 4", "fixext 8", "fixext 16",
	"str 8", "str 16", "str 32", "array 16", "array 32", "map 16", "map 32",
}

// codeName is the name of a code in the MessagePack specification.
func codeName(c byte) string {
	switch {
	case c < 0x80:
		return "positive fixint"
	case c < 0x90:
		return "fixmap"
	case c < 0xa0:
		return "fixarray"
	case c < codeNil:
		return "fixstr"
	case c >= codeNegFix:
		return "negative fixint"
	}
	return codeNames[c-codeNil]
}

// valueLen returns the length of the value at the start of b, whatever it is, without recursion: values may nest as deep as
// they like here, and what they announce costs nothing.
func valueLen(b []byte) (int, error) {
	n := uint64(0)
	size := uint64(len(b))
	for todo := uint64(1); todo > 0; todo-- {
		if todo > size-n {
			return 0, errShort
		}
		own, children, err := headLen(b[n:])
		if err != nil {
			return 0, err
		}
		if own > size-n {
			return 0, errShort
		}
		n += own
		todo += children
	}
	return int(n), nil
}

// headLen returns how many bytes the value at the start of b takes without the values inside it, and how many those are.
func headLen(b []byte) (own, children uint64, err error) {
	c := b[0]
	switch {
	case c < 0x80 || c >= codeNegFix:
		return 1, 0, nil
	case c < 0x90:
		return 1, 2 * uint64(c&15), nil
	case c < 0xa0:
		return 1, uint64(c & 15), nil
	case c < 0xc0:
		return 1 + uint64(c&31), 0, nil
	case c == codeInvalid:
		return 0, 0, errCode
	case c <= codeTrue:
		return 1, 0, nil
	case c == codeFloat32 || c == codeFloat64:
		return 5 + 4*uint64(c-codeFloat32), 0, nil
	case c >= codeUint8 && c <= codeInt64:
		return 1 + 1<<((c-codeUint8)&3), 0, nil
	case c >= codeFixExt1 && c < codeStr8:
		return 2 + 1<<(c-codeFixExt1), 0, nil
	}
	var width, first, extra uint64
	switch {
	case c <= codeBin32:
		width = 1 << (c - codeBin8)
	case c <= codeExt32:
		width, extra = 1<<(c-codeExt8), 1
	case c <= codeStr32:
		width = 1 << (c - codeStr8)
	case c <= codeArray32:
		width, first = 2<<(c-codeArray16), 1
	default:
		width, first = 2<<(c-codeMap16), 2
	}
	if uint64(len(b)) < 1+width {
		return 0, 0, errShort
	}
	var wide [4]byte
	copy(wide[4-width:], b[1:1+width])
	n := uint64(binary.BigEndian.Uint32(wide[:]))
	if first > 0 {
		return 1 + width, first * n, nil
	}
	return 1 + width + extra + n, 0, nil
}

// appendInt writes an integer in its shortest form, with an unsigned code unless it is negative.
func appendInt(dst []byte, n int64) []byte {
	if n >= 0 {
		return msgp.AppendUint64(dst, uint64(n))
	}
	return msgp.AppendInt64(dst, n)
}
