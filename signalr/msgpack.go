package signalr

import (
	"fmt"
	"math"
	"reflect"

	"github.com/tinylib/msgp/msgp"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

// The kinds of a completion (HubProtocol.md, "Completion Message Encoding").
const (
	kindError  = 1
	kindVoid   = 2
	kindResult = 3
)

// msgpackProtocol is the hub protocol "messagepack". Go values have the form that MessagePack-CSharp gives to their .NET
// relatives:
//
//   - Structs are maps of their exported fields, named exactly as in Go or by a msgpack tag, with omitempty and omitzero.
//     Fields of embedded structs come first. Case counts on the way in; unknown members are skipped. A struct with a field
//     _ struct{} tagged `msgpack:",as_array"` is an array of its fields, which may be shorter or longer on the way in.
//   - Integers have the shortest form, with unsigned codes unless they are negative. On the way in any integer that fits the type is taken,
//     and floats take integers too. Nil is no number and no bool, but the zero value of strings, structs, slices and maps.
//   - []byte, and arrays of bytes, are bin, and are also read from a text and from an array of integers.
//   - time.Time is a timestamp (extension -1), in UTC on the way in. time.Duration is a count of 100 ns, as a TimeSpan.
//   - Map keys may be any scalar; entries are written in the order of their keys, and a key that comes twice is refused.
//   - any becomes int64 (uint64 where it must), float64, bool, string, []byte, time.Time, []any, map[string]any, or map[any]any
//     where a key is no text. [hubbub.Value] stays encoded. [json.RawMessage] and [json.Number] are translated.
//   - Types with MarshalMsg (tinylib/msgp), MarshalMsgpack or MarshalText and their reverses keep their form, so an enum
//     that is to go as its name, as in .NET, needs MarshalText. A UUID is 16 bytes with MarshalText.
//   - Values nest at most 500 deep. Text that is no UTF-8 becomes U+FFFD.
//
// Decode fails with the text that .NET has for a result of the wrong type.
type msgpackProtocol struct{}

// newMessagePack returns the hub protocol "messagepack".
func newMessagePack() protocol { return msgpackProtocol{} }

func (msgpackProtocol) Name() string { return "messagepack" }

func (msgpackProtocol) binary() bool { return true }

// TypeName is the name that .NET has for the type of v, or for the type v points to, such as Int32.
func (msgpackProtocol) TypeName(v any) string { return jsonvalue.TypeName(reflect.TypeOf(v)) }

// next reads the length before a record: seven bits a byte, the lowest first, at most five bytes and 31 bits.
func (msgpackProtocol) next(buf []byte, max int) (record []byte, n int, err error) {
	length, prefix := 0, 0
	for more := true; more; prefix++ {
		if prefix == len(buf) {
			return nil, 0, nil
		}
		c := buf[prefix]
		if prefix == 4 && c > 0x07 {
			return nil, 0, hubbub.Classify("FormatException", nil, "Messages over 2GB in size are not supported.")
		}
		length |= int(c&0x7f) << (7 * prefix)
		more = c&0x80 != 0
	}
	if max > 0 && length > max-prefix {
		return nil, 0, errTooLarge(max)
	}
	if length > len(buf)-prefix {
		return nil, 0, nil
	}
	n = prefix + length
	return buf[prefix:n:n], n, nil
}

// Append writes a message with its length in front.
func (p msgpackProtocol) Append(dst []byte, m hubbub.Message) ([]byte, error) {
	// Most messages are shorter than 128 bytes, so one byte is kept for the length and the rest moved when it is too little.
	start := len(dst)
	out, err := p.append(append(dst, 0), m)
	if err != nil {
		return dst, fmt.Errorf("messagepack: %w", err)
	}
	length := len(out) - start - 1
	if length > math.MaxInt32 {
		return dst, fmt.Errorf("messagepack: message of %d bytes, want at most %d", length, math.MaxInt32)
	}
	var prefix [5]byte
	n := 0
	for rest := length; ; n++ {
		prefix[n] = byte(rest & 0x7f)
		if rest >>= 7; rest == 0 {
			break
		}
		prefix[n] |= 0x80
	}
	if n > 0 {
		out = append(out, prefix[:n]...)
		copy(out[start+1+n:], out[start+1:start+1+length])
	}
	copy(out[start:], prefix[:n+1])
	return out, nil
}

func (p msgpackProtocol) append(dst []byte, m hubbub.Message) ([]byte, error) {
	switch m := m.(type) {
	case *hubbub.Invocation:
		return p.appendCall(dst, m)
	case *hubbub.StreamItem:
		return p.appendValue(appendHead(dst, 4, hubbub.TypeStreamItem, m.InvocationID), m.Item)
	case *hubbub.Completion:
		switch {
		case m.Error != "":
			dst = append(appendHead(dst, 5, hubbub.TypeCompletion, m.InvocationID), kindError)
			return appendText(dst, m.Error), nil
		case m.HasResult:
			dst = append(appendHead(dst, 5, hubbub.TypeCompletion, m.InvocationID), kindResult)
			return p.appendValue(dst, m.Result)
		}
		return append(appendHead(dst, 4, hubbub.TypeCompletion, m.InvocationID), kindVoid), nil
	case *hubbub.CancelInvocation:
		return appendHead(dst, 3, hubbub.TypeCancelInvocation, m.InvocationID), nil
	case hubbub.Ping:
		return append(dst, 0x91, byte(hubbub.TypePing)), nil
	case *hubbub.Close:
		dst = appendTextOrNil(append(dst, 0x93, byte(hubbub.TypeClose)), m.Error)
		return msgp.AppendBool(dst, m.AllowReconnect), nil
	case ack:
		return appendInt(append(dst, 0x92, byte(typeAck)), m.SequenceID), nil
	case sequence:
		return appendInt(append(dst, 0x92, byte(typeSequence)), m.SequenceID), nil
	default:
		return dst, fmt.Errorf("message of type %T, want one of the hub protocol", m)
	}
}

// appendHead writes the start of a message that has headers and an id.
func appendHead(dst []byte, items byte, typ hubbub.MessageType, id string) []byte {
	return appendTextOrNil(append(dst, 0x90|items, byte(typ), 0x80), id)
}

func (p msgpackProtocol) appendCall(dst []byte, in *hubbub.Invocation) (_ []byte, err error) {
	dst = append(dst, 0x96, byte(in.Type()))
	dst = msgp.AppendMapHeader(dst, uint32(len(in.Headers)))
	if len(in.Headers) > 0 {
		for _, name := range sortedKeys(in.Headers) {
			dst = appendText(appendText(dst, name), in.Headers[name])
		}
	}
	dst = appendText(appendTextOrNil(dst, in.ID), in.Target)
	dst = msgp.AppendArrayHeader(dst, uint32(in.Args.Len()))
	for i := range in.Args.Len() {
		if dst, err = p.appendValue(dst, in.Args.At(i)); err != nil {
			return dst, fmt.Errorf("argument %d of %s: %w", i, in.Target, err)
		}
	}
	dst = msgp.AppendArrayHeader(dst, uint32(len(in.StreamIDs)))
	for _, id := range in.StreamIDs {
		dst = appendText(dst, id)
	}
	return dst, nil
}

func appendTextOrNil(dst []byte, s string) []byte {
	if s == "" {
		return msgp.AppendNil(dst)
	}
	return appendText(dst, s)
}

// appendValue writes a value that is on its way out, passes on one that came as MessagePack, and translates one that came in
// another protocol.
func (p msgpackProtocol) appendValue(dst []byte, x hubbub.Value) ([]byte, error) {
	raw, dec := x.Raw()
	switch dec := dec.(type) {
	case nil:
		return p.appendAny(dst, x.Any())
	case msgpackProtocol:
		return append(dst, raw...), nil
	case jsonvalue.ExactDecoder:
		v, err := dec.DecodeExact(raw)
		if err != nil {
			return dst, err
		}
		return p.appendAny(dst, v)
	default:
		var v any
		if err := dec.Decode(raw, &v); err != nil {
			return dst, err
		}
		return p.appendAny(dst, v)
	}
}
