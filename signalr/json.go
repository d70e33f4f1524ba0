package signalr

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/hubbub-go/hubbub"
)

// recordSeparator ends every record of a text protocol and the handshake (HubProtocol.md, "JSON Encoding").
const recordSeparator = 0x1e

// errTooLarge is the sentence of ASP.NET Core for a record beyond the size limit.
func errTooLarge(max int) error {
	return invalidData("The maximum message size of %dB was exceeded. The message size can be configured in AddHubOptions.", max)
}

// jsonProtocol is the hub protocol "json". Go values have the form that System.Text.Json gives to their .NET relatives:
//
//   - Struct fields without a json tag are named in camel case (URLPath is urlPath), or as declared with [hubbub.AsDeclared].
//     A json tag wins, with omitempty, omitzero and string as for encoding/json. Nil is written as null. Fields of embedded
//     structs come after the own ones. On the way in names match without regard to case, unknown members are skipped and
//     the last of a name wins.
//   - Map keys are text: of a string, an integer, a bool (True, False), a time, or a type with MarshalText. They are written in
//     the order of that text.
//   - Numbers are strict: 1.0, 1e2, "1" and null are no integers, null is no number and no bool. Beyond the range of a type is
//     refused for integers and infinite for floats. NaN and the infinities cannot be written.
//   - []byte, and arrays of bytes, are base64 with padding. Nil is null.
//   - time.Time is 2024-01-02T03:04:05.1234567Z: up to seven digits of a second, Z for time.UTC and an offset else. A text with
//     neither is read as UTC.
//   - time.Duration is the text of a .NET TimeSpan, [-][d.]hh:mm:ss[.fffffff], cut to 100 ns.
//   - [json.RawMessage] is any JSON, [json.Number] keeps all digits, any becomes what encoding/json makes of it, [hubbub.Value]
//     stays encoded.
//   - Types with MarshalJSON, MarshalText and their reverses keep their form. A UUID is 16 bytes with MarshalText; only its
//     text of 36 characters is read.
//   - Strings are escaped as .NET 10 does it, down to the last byte.
//
// Decode fails with the text of a JsonException of .NET, System.Int32 standing for int and int32.
type jsonProtocol struct {
	naming hubbub.Naming
}

// newJSON returns the hub protocol "json". naming is for struct fields without a tag on their way out; on their way in names
// match without regard to case.
func newJSON(naming hubbub.Naming) protocol { return &jsonProtocol{naming: naming} }

func (p *jsonProtocol) Name() string { return "json" }

func (p *jsonProtocol) binary() bool { return false }

// next looks at all of buf each time, at the speed of memchr: a record that dribbles in costs the square of the size limit at
// worst, 32 KiB in single bytes about 20 ms.
func (p *jsonProtocol) next(buf []byte, max int) (record []byte, n int, err error) {
	if max > 0 && len(buf) > max {
		buf = buf[:max]
	}
	i := bytes.IndexByte(buf, recordSeparator)
	if i >= 0 {
		return buf[:i:i], i + 1, nil
	}
	if max > 0 && len(buf) == max {
		return nil, 0, errTooLarge(max)
	}
	return nil, 0, nil
}

// TypeName is the name that .NET has for the type of v, or for the type v points to, such as Int32.
func (p *jsonProtocol) TypeName(v any) string { return typeName(reflect.TypeOf(v)) }

// Append writes a message with its members in the order of ASP.NET Core.
func (p *jsonProtocol) Append(dst []byte, m hubbub.Message) ([]byte, error) {
	out, err := p.append(dst, m)
	if err != nil {
		return dst, fmt.Errorf("json: %w", err)
	}
	return append(out, '}', recordSeparator), nil
}

func (p *jsonProtocol) append(dst []byte, m hubbub.Message) (_ []byte, err error) {
	switch m := m.(type) {
	case *hubbub.Invocation:
		return p.appendCall(dst, m)
	case *hubbub.StreamItem:
		dst = append(dst, `{"type":2`...)
		dst = appendMember(dst, `,"invocationId":`, m.InvocationID)
		return p.appendValue(append(dst, `,"item":`...), m.Item)
	case *hubbub.Completion:
		dst = append(dst, `{"type":3`...)
		dst = appendMember(dst, `,"invocationId":`, m.InvocationID)
		dst = appendMember(dst, `,"error":`, m.Error)
		if m.HasResult && m.Error == "" {
			return p.appendValue(append(dst, `,"result":`...), m.Result)
		}
	case *hubbub.CancelInvocation:
		dst = append(dst, `{"type":5`...)
		dst = appendMember(dst, `,"invocationId":`, m.InvocationID)
	case hubbub.Ping:
		dst = append(dst, `{"type":6`...)
	case *hubbub.Close:
		dst = append(dst, `{"type":7`...)
		dst = appendMember(dst, `,"error":`, m.Error)
		if m.AllowReconnect {
			dst = append(dst, `,"allowReconnect":true`...)
		}
	case ack:
		dst = strconv.AppendInt(append(dst, `{"type":8,"sequenceId":`...), m.SequenceID, 10)
	case sequence:
		dst = strconv.AppendInt(append(dst, `{"type":9,"sequenceId":`...), m.SequenceID, 10)
	default:
		return dst, fmt.Errorf("message of type %T, want one of the hub protocol", m)
	}
	return dst, nil
}

// appendMember writes a member that is left out when it is empty. name comes with its punctuation.
func appendMember(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(append(dst, name...), value)
}

func (p *jsonProtocol) appendCall(dst []byte, in *hubbub.Invocation) (_ []byte, err error) {
	if in.Stream {
		dst = append(dst, `{"type":4`...)
	} else {
		dst = append(dst, `{"type":1`...)
	}
	if len(in.Headers) > 0 {
		dst = appendHeaders(append(dst, `,"headers":{`...), in.Headers)
	}
	dst = appendMember(dst, `,"invocationId":`, in.ID)
	dst = appendString(append(dst, `,"target":`...), in.Target)
	dst = append(dst, `,"arguments":[`...)
	for i := range in.Args.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = p.appendValue(dst, in.Args.At(i)); err != nil {
			return dst, fmt.Errorf("argument %d of %s: %w", i, in.Target, err)
		}
	}
	dst = append(dst, ']')
	if len(in.StreamIDs) > 0 {
		dst = append(dst, `,"streamIds":[`...)
		for i, id := range in.StreamIDs {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, id)
		}
		dst = append(dst, ']')
	}
	return dst, nil
}

func appendHeaders(dst []byte, headers map[string]string) []byte {
	for i, name := range sortedKeys(headers) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, name)
		dst = appendString(append(dst, ':'), headers[name])
	}
	return append(dst, '}')
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// appendValue writes a value that is on its way out, passes on one that came as JSON, and translates one that came in
// another protocol.
func (p *jsonProtocol) appendValue(dst []byte, x hubbub.Value) ([]byte, error) {
	raw, dec := x.Raw()
	switch dec := dec.(type) {
	case nil:
		return p.appendAny(dst, x.Any())
	case *jsonProtocol:
		return append(dst, raw...), nil
	case exactDecoder:
		v, err := dec.decodeExact(raw)
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

// exactDecoder decodes a value without a type so that another protocol can write it: integers keep all their digits.
type exactDecoder interface {
	decodeExact(raw []byte) (any, error)
}
