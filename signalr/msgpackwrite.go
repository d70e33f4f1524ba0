package signalr

import (
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
	"github.com/vmihailenco/msgpack/v5"
)

// appendText writes a text. Bytes that are no UTF-8 become U+FFFD.
func appendText(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	return msgp.AppendString(dst, s)
}

func (p msgpackProtocol) appendAny(dst []byte, v any) ([]byte, error) {
	b, err := msgpack.Marshal(v)
	return append(dst, b...), err
}

func (msgpackProtocol) Decode(raw []byte, v any) error { return msgpack.Unmarshal(raw, v) }
