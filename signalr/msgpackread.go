package signalr

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

// Decode reads one value. The text of an error is that of ASP.NET Core.
func (p msgpackProtocol) Decode(raw []byte, v any) error {
	rest, err := p.decode(raw, v)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes behind the value", len(rest))
	}
	if err != nil {
		return hubbub.Classify("InvalidDataException", err, "Deserializing object of the `"+p.TypeName(v)+"` type for 'argument' failed.")
	}
	return nil
}

// decode reads the common scalars without reflection.
func (p msgpackProtocol) decode(raw []byte, v any) (rest []byte, err error) {
	switch v := v.(type) {
	case *string:
		*v, rest, err = readText(raw)
	case *bool:
		*v, rest, err = msgp.ReadBoolBytes(raw)
	case *int:
		*v, rest, err = readPackInt[int](raw, strconv.IntSize)
	case *int32:
		*v, rest, err = readPackInt[int32](raw, 32)
	case *int64:
		*v, rest, err = msgp.ReadInt64Bytes(raw)
	case *float64:
		*v, rest, err = readFloat(raw)
	case *[]byte:
		*v, rest, err = readBin(raw)
	case *any:
		*v, rest, err = readAny(raw, 0, false)
	default:
		rv := reflect.ValueOf(v)
		if rv.Kind() != reflect.Pointer || rv.IsNil() {
			return raw, fmt.Errorf("decode into %T, want a pointer", v)
		}
		return packPlanOf(rv.Type().Elem()).read(raw, rv.Elem(), 0)
	}
	return rest, err
}

// DecodeExact reads a value without a type, a float of 32 bits as such.
func (p msgpackProtocol) DecodeExact(raw []byte) (any, error) {
	v, rest, err := readAny(raw, 0, true)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes behind the value", len(rest))
	}
	return v, err
}

func readPackInt[T int | int32](b []byte, bits int) (T, []byte, error) {
	n, rest, err := readInt64(b, bits)
	return T(n), rest, err
}

// readInt64 reads an integer of any width that fits into that many bits.
func readInt64(b []byte, bits int) (int64, []byte, error) {
	n, rest, err := msgp.ReadInt64Bytes(b)
	if err == nil && n<<(64-bits)>>(64-bits) != n {
		err = errRange
	}
	return n, rest, err
}

// readUint64 does the same for an unsigned type.
func readUint64(b []byte, bits int) (uint64, []byte, error) {
	n, rest, err := msgp.ReadUint64Bytes(b)
	if err == nil && n<<(64-bits)>>(64-bits) != n {
		err = errRange
	}
	return n, rest, err
}

// readFloat reads a float of either width or an integer.
func readFloat(b []byte) (float64, []byte, error) {
	if len(b) == 0 {
		return 0, b, errShort
	}
	switch b[0] {
	case codeFloat32:
		f, rest, err := msgp.ReadFloat32Bytes(b)
		return float64(f), rest, err
	case codeFloat64:
		return msgp.ReadFloat64Bytes(b)
	}
	if n, rest, err := msgp.ReadInt64Bytes(b); err == nil {
		return float64(n), rest, nil
	}
	n, rest, err := msgp.ReadUint64Bytes(b)
	return float64(n), rest, err
}

// readBin reads bytes from a bin, from the bytes of a text or from an array of integers.
func readBin(b []byte) ([]byte, []byte, error) {
	if len(b) == 0 {
		return nil, b, errShort
	}
	switch c := b[0]; {
	case c == codeNil:
		return nil, b[1:], nil
	case c >= codeBin8 && c <= codeBin32:
		raw, rest, err := msgp.ReadBytesZC(b)
		return append([]byte{}, raw...), rest, err
	case c >= codeStr8 && c <= codeStr32, c >= 0xa0 && c < codeNil:
		raw, rest, err := msgp.ReadStringZC(b)
		return append([]byte{}, raw...), rest, err
	}
	n, rest, err := readCount(b)
	if err != nil {
		return nil, b, err
	}
	list := make([]byte, 0, n)
	for range n {
		var x uint64
		if x, rest, err = readUint64(rest, 8); err != nil {
			return nil, b, err
		}
		list = append(list, byte(x))
	}
	return list, rest, nil
}

// readCount reads the header of an array that has room for its elements in b.
func readCount(b []byte) (int, []byte, error) {
	n, rest, err := msgp.ReadArrayHeaderBytes(b)
	if err == nil && uint64(n) > uint64(len(rest)) {
		err = errShort
	}
	return int(n), rest, err
}

// readPairs reads the header of a map that has room for its entries in b.
func readPairs(b []byte) (int, []byte, error) {
	n, rest, err := msgp.ReadMapHeaderBytes(b)
	if err == nil && uint64(n) > uint64(len(rest))/2 {
		err = errShort
	}
	return int(n), rest, err
}

// readAny reads a value into what Go has for it: nil, bool, int64 (uint64 where it must), float64, string, []byte, time.Time,
// []any, map[string]any, or map[any]any where a key is no text. With exact, a float of 32 bits is a float32.
func readAny(b []byte, depth int, exact bool) (any, []byte, error) {
	if len(b) == 0 {
		return nil, b, errShort
	}
	switch c := b[0]; {
	case c == codeNil:
		return nil, b[1:], nil
	case c == codeFalse || c == codeTrue:
		return c == codeTrue, b[1:], nil
	case c == codeFloat32 && exact:
		return both(msgp.ReadFloat32Bytes(b))
	case c == codeFloat32 || c == codeFloat64:
		return both(readFloat(b))
	case c >= 0xa0 && c < codeNil, c >= codeStr8 && c <= codeStr32:
		return both(readText(b))
	case c >= codeBin8 && c <= codeBin32:
		return both(readBin(b))
	case c >= codeExt8 && c <= codeExt32, c >= codeFixExt1 && c < codeStr8:
		return both(readTimestamp(b))
	case c >= 0x90 && c < 0xa0, c == codeArray16, c == codeArray32:
		return readAnyArray(b, depth, exact)
	case c >= 0x80 && c < 0x90, c == codeMap16, c == codeMap32:
		return readAnyMap(b, depth, exact)
	}
	if n, rest, err := msgp.ReadInt64Bytes(b); err == nil {
		return n, rest, nil
	}
	return both(msgp.ReadUint64Bytes(b))
}

// both makes a value of any type of what a read of one type returned.
func both[T any](v T, rest []byte, err error) (any, []byte, error) { return v, rest, err }

func readAnyArray(b []byte, depth int, exact bool) (any, []byte, error) {
	depth, err := packDeeper(depth)
	if err != nil {
		return nil, b, err
	}
	n, rest, err := readCount(b)
	if err != nil {
		return nil, b, err
	}
	list := make([]any, 0, min(n, 64))
	for range n {
		var v any
		if v, rest, err = readAny(rest, depth, exact); err != nil {
			return nil, b, err
		}
		list = append(list, v)
	}
	return list, rest, nil
}

func readAnyMap(b []byte, depth int, exact bool) (any, []byte, error) {
	depth, err := packDeeper(depth)
	if err != nil {
		return nil, b, err
	}
	n, rest, err := readPairs(b)
	if err != nil {
		return nil, b, err
	}
	named := map[string]any{}
	var mixed map[any]any // made at the first key that is no text
	for range n {
		var k, v any
		if k, rest, err = readAny(rest, depth, exact); err != nil {
			return nil, b, err
		}
		if v, rest, err = readAny(rest, depth, exact); err != nil {
			return nil, b, err
		}
		name, text := k.(string)
		if !text && mixed == nil {
			mixed = make(map[any]any, len(named)+1)
			for k, v := range named {
				mixed[k] = v
			}
		}
		switch {
		case k == nil || !reflect.TypeOf(k).Comparable():
			return nil, b, fmt.Errorf("map key of type %T, want a scalar", k)
		case mixed != nil:
			if _, twice := mixed[k]; twice {
				return nil, b, fmt.Errorf("map key %v comes twice", k)
			}
			mixed[k] = v
		default:
			if _, twice := named[name]; twice {
				return nil, b, fmt.Errorf("map key %q comes twice", name)
			}
			named[name] = v
		}
	}
	if mixed != nil {
		return mixed, rest, nil
	}
	return named, rest, nil
}

// makeReader chooses how values of a type are read: its own methods come before its kind.
func (p *packPlan) makeReader() packRead {
	t := p.t
	pointer := reflect.PointerTo(t)
	switch {
	case t == timeType:
		return func(b []byte, v reflect.Value, _ int) ([]byte, error) {
			x, rest, err := readTimestamp(b)
			*v.Addr().Interface().(*time.Time) = x
			return rest, err
		}
	case t == durationType:
		return readDuration
	case t == valueType:
		return func(b []byte, v reflect.Value, _ int) ([]byte, error) {
			return own(b, func(raw []byte) error {
				v.Set(reflect.ValueOf(hubbub.RawValue(bytes.Clone(raw), msgpackProtocol{})))
				return nil
			})
		}
	case t == rawJSONType, t == numberType:
		return readJSONText
	case t.Kind() == reflect.Pointer:
		return p.pointerReader()
	case pointer.Implements(msgpIn):
		return func(b []byte, v reflect.Value, _ int) ([]byte, error) {
			return own(b, func(raw []byte) error {
				rest, err := v.Addr().Interface().(msgp.Unmarshaler).UnmarshalMsg(raw)
				if err == nil && len(rest) > 0 {
					err = fmt.Errorf("%s left %d bytes of its value", t, len(rest))
				}
				return err
			})
		}
	case pointer.Implements(packIn):
		return func(b []byte, v reflect.Value, _ int) ([]byte, error) {
			return own(b, v.Addr().Interface().(packUnmarshaler).UnmarshalMsgpack)
		}
	case pointer.Implements(textIn):
		return readPackText(t)
	}
	return p.makeKindReader()
}

// own cuts off a value for a type's own method.
func own(b []byte, read func(raw []byte) error) ([]byte, error) {
	n, err := valueLen(b)
	if err != nil {
		return b, err
	}
	return b[n:], read(b[:n:n])
}

func readDuration(b []byte, v reflect.Value, _ int) ([]byte, error) {
	ticks, rest, err := msgp.ReadInt64Bytes(b)
	if err != nil {
		return b, err
	}
	if ticks > math.MaxInt64/int64(tick) || ticks < math.MinInt64/int64(tick) {
		return b, fmt.Errorf("time span of %d ticks: %w", ticks, errRange)
	}
	v.SetInt(ticks * int64(tick))
	return rest, nil
}

// readJSONText translates a value to JSON, into a json.RawMessage or, a number only, into a json.Number.
func readJSONText(b []byte, v reflect.Value, depth int) ([]byte, error) {
	x, rest, err := readAny(b, depth, true)
	if err != nil {
		return b, err
	}
	if v.Kind() == reflect.String {
		switch x.(type) {
		case int64, uint64, float32, float64:
		default:
			return b, errors.New("value is not a number")
		}
	}
	raw, err := jsonvalue.New(hubbub.AsDeclared).Append(nil, x)
	if err != nil {
		return b, err
	}
	v.Set(reflect.ValueOf(raw).Convert(v.Type()))
	return rest, nil
}

// readPackText reads a type that knows its text.
func readPackText(t reflect.Type) packRead {
	uuid := jsonvalue.IsUUID(t)
	return func(b []byte, v reflect.Value, _ int) ([]byte, error) {
		if isPackNil(b) && jsonvalue.Nullable(t) {
			v.SetZero()
			return b[1:], nil
		}
		raw, rest, err := msgp.ReadStringZC(b)
		if err != nil {
			return b, err
		}
		if uuid && len(raw) != jsonvalue.UUIDLen {
			return b, fmt.Errorf("text of %d bytes, want the %d of a UUID", len(raw), jsonvalue.UUIDLen)
		}
		return rest, v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(raw)
	}
}
