package signalr

import (
	"cmp"
	"encoding"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

// appendText writes a text. Bytes that are no UTF-8 become U+FFFD.
func appendText(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	return msgp.AppendString(dst, s)
}

// appendDouble writes a float with the NaN of .NET.
func appendDouble(dst []byte, f float64) []byte {
	if f != f {
		return binary.BigEndian.AppendUint64(append(dst, codeFloat64), 0xfff8<<48)
	}
	return msgp.AppendFloat64(dst, f)
}

func appendSingle(dst []byte, f float32) []byte {
	if f != f {
		return binary.BigEndian.AppendUint32(append(dst, codeFloat32), 0xffc0<<16)
	}
	return msgp.AppendFloat32(dst, f)
}

func appendBin(dst, b []byte) []byte {
	if b == nil {
		return msgp.AppendNil(dst)
	}
	return msgp.AppendBytes(dst, b)
}

// appendAny writes a Go value.
func (p msgpackProtocol) appendAny(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return msgp.AppendNil(dst), nil
	case string:
		return appendText(dst, v), nil
	case bool:
		return msgp.AppendBool(dst, v), nil
	case int:
		return appendInt(dst, int64(v)), nil
	case int32:
		return appendInt(dst, int64(v)), nil
	case int64:
		return appendInt(dst, v), nil
	case uint64:
		return msgp.AppendUint64(dst, v), nil
	case float64:
		return appendDouble(dst, v), nil
	case []byte:
		return appendBin(dst, v), nil
	case time.Time:
		return appendTimestamp(dst, v), nil
	case time.Duration:
		return appendInt(dst, int64(v/tick)), nil
	case hubbub.Value:
		return p.appendValue(dst, v)
	}
	rv := reflect.ValueOf(v)
	return packPlanOf(rv.Type()).write(dst, rv, 0)
}

// makeWriter chooses how values of a type are written: its own methods come before its kind.
func (p *packPlan) makeWriter() packWrite {
	switch p.t {
	case timeType:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) {
			return appendTimestamp(dst, v.Interface().(time.Time)), nil
		}
	case durationType:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) {
			return appendInt(dst, v.Int()/int64(tick)), nil
		}
	case rawJSONType, numberType:
		return writeRawJSON
	case valueType:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) {
			return msgpackProtocol{}.appendValue(dst, v.Interface().(hubbub.Value))
		}
	}
	own := p.makeKindWriter()
	for _, m := range []struct {
		methods reflect.Type
		write   packWrite
	}{{msgpOut, writeMsgp}, {packOut, writePack}, {textOut, writePackText}} {
		if p.t.Implements(m.methods) {
			return m.write
		}
		if p.t.Kind() != reflect.Pointer && reflect.PointerTo(p.t).Implements(m.methods) {
			return packAddressed(m.write, own)
		}
	}
	return own
}

// packAddressed uses a method of the pointer where there is a pointer to have.
func packAddressed(method, own packWrite) packWrite {
	return func(dst []byte, v reflect.Value, depth int) ([]byte, error) {
		if v.CanAddr() {
			return method(dst, v.Addr(), depth)
		}
		return own(dst, v, depth)
	}
}

// writeRawJSON translates JSON, a number too.
func writeRawJSON(dst []byte, v reflect.Value, _ int) ([]byte, error) {
	var raw []byte
	if v.Kind() == reflect.String {
		raw = []byte(cmp.Or(v.String(), "0"))
	} else if raw = v.Bytes(); raw == nil {
		return msgp.AppendNil(dst), nil
	}
	x, err := jsonvalue.New(hubbub.AsDeclared).DecodeExact(raw)
	if err != nil {
		return dst, fmt.Errorf("raw JSON of %d bytes: %w", len(raw), err)
	}
	return msgpackProtocol{}.appendAny(dst, x)
}

// whole checks that a type's own method wrote one value behind start: else it would break the message.
func whole(dst, out []byte, t reflect.Type, err error) ([]byte, error) {
	if err != nil {
		return dst, fmt.Errorf("write %s: %w", t, err)
	}
	if len(out) <= len(dst) {
		return dst, fmt.Errorf("write %s: its method wrote nothing, want one value", t)
	}
	n, err := valueLen(out[len(dst):])
	if err != nil {
		return dst, fmt.Errorf("write %s: %w", t, err)
	}
	if n != len(out)-len(dst) {
		return dst, fmt.Errorf("write %s: its method wrote %d bytes behind its value", t, len(out)-len(dst)-n)
	}
	return out, nil
}

func writeMsgp(dst []byte, v reflect.Value, _ int) ([]byte, error) {
	if jsonvalue.IsNil(v) {
		return msgp.AppendNil(dst), nil
	}
	out, err := v.Interface().(msgp.Marshaler).MarshalMsg(dst)
	return whole(dst, out, v.Type(), err)
}

func writePack(dst []byte, v reflect.Value, _ int) ([]byte, error) {
	if jsonvalue.IsNil(v) {
		return msgp.AppendNil(dst), nil
	}
	raw, err := v.Interface().(packMarshaler).MarshalMsgpack()
	return whole(dst, append(dst, raw...), v.Type(), err)
}

func writePackText(dst []byte, v reflect.Value, _ int) ([]byte, error) {
	if jsonvalue.IsNil(v) {
		return msgp.AppendNil(dst), nil
	}
	text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return dst, fmt.Errorf("write %s: %w", v.Type(), err)
	}
	return appendText(dst, string(text)), nil
}

func (p *packPlan) makeKindWriter() packWrite {
	switch p.t.Kind() {
	case reflect.Bool:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) { return msgp.AppendBool(dst, v.Bool()), nil }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) { return appendInt(dst, v.Int()), nil }
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) { return msgp.AppendUint64(dst, v.Uint()), nil }
	case reflect.Float32:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) {
			return appendSingle(dst, float32(v.Float())), nil
		}
	case reflect.Float64:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) { return appendDouble(dst, v.Float()), nil }
	case reflect.String:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) { return appendText(dst, v.String()), nil }
	case reflect.Interface, reflect.Pointer:
		return writePackIndirect
	case reflect.Slice, reflect.Array:
		return p.listWriter()
	case reflect.Map:
		return p.mapWriter()
	case reflect.Struct:
		return p.structWriter()
	}
	return func(dst []byte, _ reflect.Value, _ int) ([]byte, error) {
		return dst, fmt.Errorf("value of type %s, want one that has a form on the wire", p.t)
	}
}

// writePackIndirect counts a level, for a pointer may lead to itself.
func writePackIndirect(dst []byte, v reflect.Value, depth int) (_ []byte, err error) {
	if v.IsNil() {
		return msgp.AppendNil(dst), nil
	}
	if depth, err = packDeeper(depth); err != nil {
		return dst, err
	}
	v = v.Elem()
	return packPlanOf(v.Type()).write(dst, v, depth)
}

func (p *packPlan) listWriter() packWrite {
	elem := packPlanOf(p.t.Elem())
	slice := p.t.Kind() == reflect.Slice
	if elem.t.Kind() == reflect.Uint8 && elem.makesBytes() {
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) {
			return appendBin(dst, jsonvalue.BytesOf(v)), nil
		}
	}
	return func(dst []byte, v reflect.Value, depth int) (_ []byte, err error) {
		if slice && v.IsNil() {
			return msgp.AppendNil(dst), nil
		}
		if depth, err = packDeeper(depth); err != nil {
			return dst, err
		}
		dst = msgp.AppendArrayHeader(dst, uint32(v.Len()))
		for i := range v.Len() {
			if dst, err = elem.write(dst, v.Index(i), depth); err != nil {
				return dst, err
			}
		}
		return dst, nil
	}
}

// makesBytes reports whether a list of this type of byte is a string of bytes and not an array: the bytes have no methods.
func (p *packPlan) makesBytes() bool {
	pointer := reflect.PointerTo(p.t)
	return !pointer.Implements(msgpOut) && !pointer.Implements(packOut) && !pointer.Implements(textOut)
}

func (p *packPlan) mapWriter() packWrite {
	key, elem := packPlanOf(p.t.Key()), packPlanOf(p.t.Elem())
	return func(dst []byte, v reflect.Value, depth int) (_ []byte, err error) {
		if v.IsNil() {
			return msgp.AppendNil(dst), nil
		}
		if depth, err = packDeeper(depth); err != nil {
			return dst, err
		}
		type entry struct {
			order string // of entries, so that a map always gives the same bytes
			key   []byte
			value reflect.Value
		}
		entries := make([]entry, 0, v.Len())
		for it := v.MapRange(); it.Next(); {
			k, err := key.write(nil, it.Key(), depth)
			if err != nil {
				return dst, err
			}
			order := string(k)
			if it.Key().Kind() == reflect.String {
				order = it.Key().String()
			}
			entries = append(entries, entry{order, k, it.Value()})
		}
		slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.order, b.order) })
		if uint64(len(entries)) > math.MaxUint32 {
			return dst, fmt.Errorf("map of %d entries, want at most %d", len(entries), uint32(math.MaxUint32))
		}
		dst = msgp.AppendMapHeader(dst, uint32(len(entries)))
		for _, e := range entries {
			if dst, err = elem.write(append(dst, e.key...), e.value, depth); err != nil {
				return dst, err
			}
		}
		return dst, nil
	}
}

func (p *packPlan) structWriter() packWrite {
	fields, asArray := p.fields()
	optional := slices.ContainsFunc(fields, func(f packField) bool { return f.Optional() })
	return func(dst []byte, v reflect.Value, depth int) (_ []byte, err error) {
		if depth, err = packDeeper(depth); err != nil {
			return dst, err
		}
		n := len(fields)
		if asArray {
			dst = msgp.AppendArrayHeader(dst, uint32(n))
		} else {
			if optional {
				n = 0
				for i := range fields {
					if member, ok := fields[i].In(v); ok && !fields[i].Omitted(member) {
						n++
					}
				}
			}
			dst = msgp.AppendMapHeader(dst, uint32(n))
		}
		for i := range fields {
			f := &fields[i]
			member, ok := f.In(v)
			switch {
			case asArray && !ok:
				dst = msgp.AppendNil(dst)
				continue
			case !asArray && (!ok || f.Omitted(member)):
				continue
			case !asArray:
				dst = append(dst, f.bytes...)
			}
			if dst, err = f.plan.write(dst, member, depth); err != nil {
				return dst, fmt.Errorf("%s: %w", f.Name, err)
			}
		}
		return dst, nil
	}
}
