// Package jsonvalue writes and reads the values of messages as JSON: arguments, items and results, in the form that the
// serializer of the .NET side has for them. What stands around the values is each dialect's own; [Scanner] helps to cut it.
//
// The form of ASP.NET Core SignalR, that of System.Text.Json:
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
// The form of classic SignalR, that of Json.NET 13, is the same with these differences:
//
//   - Names are as declared by default.
//   - Floats always show that they are: 1.0, 0.1, 1E+16. NaN and the infinities are texts.
//   - Strings escape control characters, quotes, backslashes, U+0085, U+2028 and U+2029, and nothing else.
//   - On the way in a text that holds a number is one, and a number is a text. Any number is a bool, and so are texts of true and
//     false in any case. Integers of the size of .NET's long, and unsigned ones, are also read from 5.0, true and false. Others
//     are not, and a fraction is no integer anywhere. Null is still no number, bool, time or UUID; the empty text counts as null
//     there, and in lists, maps, structs and pointers.
//   - Bytes are also read from an array of numbers, times also from /Date(1700000000000)/, types with UnmarshalText also from
//     a number, which is the value itself for integers.
//   - Half surrogate pairs and bytes that are no UTF-8 are read as U+FFFD.
//   - Values may nest 20 deep on the way in.
package jsonvalue

import (
	"reflect"
	"sync"

	"github.com/hubbub-go/hubbub"
)

const (
	// maxDepth is how deep arrays and objects may nest, the message around them counted.
	maxDepth = 64
	// classicDepth is how deep those may nest that a classic peer sent. Json.NET has no limit for what it writes, and maxDepth
	// is where values end here that contain themselves.
	classicDepth = 20
)

// Codec writes and reads values in one form. It is safe for concurrent use, and a [hubbub.Decoder]. There is one of each
// form, so codecs may be compared, and what one has learnt about a type serves all.
type Codec struct {
	naming  hubbub.Naming
	depth   int32    // that may be read
	classic bool     // the form of classic SignalR
	plans   sync.Map // *plan by reflect.Type
}

var (
	core    = [2]Codec{{naming: hubbub.CamelCase, depth: maxDepth}, {naming: hubbub.AsDeclared, depth: maxDepth}}
	classic = [2]Codec{
		{naming: hubbub.CamelCase, depth: classicDepth, classic: true},
		{naming: hubbub.AsDeclared, depth: classicDepth, classic: true},
	}
)

// New returns the codec of ASP.NET Core SignalR. naming is for struct fields without a tag on their way out; on their way in
// names match without regard to case.
func New(naming hubbub.Naming) *Codec { return &core[min(naming, hubbub.AsDeclared)] }

// NewClassic returns the codec of classic SignalR, whose names are as declared unless a program wants it otherwise.
func NewClassic(naming hubbub.Naming) *Codec { return &classic[min(naming, hubbub.AsDeclared)] }

// appendString writes a string in the codec's form.
func (c *Codec) appendString(dst []byte, s string) []byte {
	if c.classic {
		return AppendClassicString(dst, s)
	}
	return AppendString(dst, s)
}

// TypeName is the name that .NET has for the type of v, or for the type v points to, such as Int32.
func (c *Codec) TypeName(v any) string { return TypeName(reflect.TypeOf(v)) }

// Scan returns a scanner of b that lets it nest as deep as the dialect allows a message to.
func (c *Codec) Scan(b []byte) Scanner { return Scanner{b: b, limit: c.depth, classic: c.classic} }

// ExactDecoder is a decoder of another protocol whose values can be translated without losing digits.
type ExactDecoder interface {
	// DecodeExact reads one value without a type: integers as int64, or uint64 where they must.
	DecodeExact(raw []byte) (any, error)
}

// AppendValue writes a value that is on its way out, passes on one that came as JSON, whatever its form, and translates one
// that came in another protocol. The first bytes of what it returns are dst, with an error too.
func (c *Codec) AppendValue(dst []byte, x hubbub.Value) ([]byte, error) {
	raw, dec := x.Raw()
	switch dec := dec.(type) {
	case nil:
		return c.Append(dst, x.Any())
	case *Codec:
		return append(dst, raw...), nil
	case ExactDecoder:
		v, err := dec.DecodeExact(raw)
		if err != nil {
			return dst, err
		}
		return c.Append(dst, v)
	default:
		var v any
		if err := dec.Decode(raw, &v); err != nil {
			return dst, err
		}
		return c.Append(dst, v)
	}
}
