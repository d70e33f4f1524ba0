package signalr

import (
	"encoding/binary"
	"fmt"
	"time"
)

// timestampExt is the extension type of a time (MessagePack specification, "Timestamp extension type").
const timestampExt = -1

// tick is the unit of a time span of .NET.
const tick = 100 * time.Nanosecond

// appendTimestamp writes a time in the shortest of the three timestamps that holds it. Its zone is lost.
func appendTimestamp(dst []byte, t time.Time) []byte {
	seconds, nano := t.Unix(), uint64(t.Nanosecond())
	switch {
	case uint64(seconds) < 1<<32 && nano == 0:
		return binary.BigEndian.AppendUint32(append(dst, 0xd6, 0xff), uint32(seconds))
	case uint64(seconds) < 1<<34:
		return binary.BigEndian.AppendUint64(append(dst, 0xd7, 0xff), nano<<34|uint64(seconds))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xc7, 12, 0xff), uint32(nano))
		return binary.BigEndian.AppendUint64(dst, uint64(seconds))
	}
}

// readTimestamp reads a time, which is in UTC.
func readTimestamp(b []byte) (time.Time, []byte, error) {
	typ, data, rest, err := readExt(b)
	if err != nil {
		return time.Time{}, b, err
	}
	if typ != timestampExt {
		return time.Time{}, b, fmt.Errorf("extension type %d, want %d", typ, timestampExt)
	}
	var seconds, nano int64
	switch len(data) {
	case 4:
		seconds = int64(binary.BigEndian.Uint32(data))
	case 8:
		both := binary.BigEndian.Uint64(data)
		seconds, nano = int64(both&(1<<34-1)), int64(both>>34)
	case 12:
		nano, seconds = int64(binary.BigEndian.Uint32(data)), int64(binary.BigEndian.Uint64(data[4:]))
	default:
		return time.Time{}, b, fmt.Errorf("timestamp of %d bytes, want 4, 8 or 12", len(data))
	}
	if nano > 999_999_999 {
		return time.Time{}, b, fmt.Errorf("timestamp with %d nanoseconds, want less than a second", nano)
	}
	return time.Unix(seconds, nano).UTC(), rest, nil
}

// readExt reads an extension value of any width.
func readExt(b []byte) (typ int8, data, rest []byte, err error) {
	if len(b) == 0 {
		return 0, nil, b, errShort
	}
	c := b[0]
	if c < codeExt8 || c > codeExt32 && c < codeFixExt1 || c >= codeStr8 {
		return 0, nil, b, wrongCode(c, "an extension")
	}
	n, err := valueLen(b)
	if err != nil {
		return 0, nil, b, err
	}
	head := 1
	if c <= codeExt32 {
		head += 1 << (c - codeExt8)
	}
	return int8(b[head]), b[head+1 : n], b[n:], nil
}

func wrongCode(c byte, want string) error { return fmt.Errorf("code %#02x, want %s", c, want) }
