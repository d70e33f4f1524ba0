package jsonvalue

import (
	"cmp"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/hubbub-go/hubbub"
)

// envelopeDepth is how deep an argument already is in its message.
const envelopeDepth = 2

// Append writes a Go value. The first bytes of what it returns are dst, with an error too.
func (c *Codec) Append(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case string:
		return c.appendString(dst, v), nil
	case *string:
		if v == nil {
			return append(dst, "null"...), nil
		}
		return c.appendString(dst, *v), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case int:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case int32:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case uint64:
		return strconv.AppendUint(dst, v, 10), nil
	case float64:
		return c.appendFloat(dst, v, 64)
	case []byte:
		return appendBase64(dst, v), nil
	case time.Time:
		return appendTime(dst, v)
	case time.Duration:
		return appendDuration(dst, v), nil
	case json.RawMessage:
		return appendRaw(dst, v)
	case hubbub.Value:
		return c.AppendValue(dst, v)
	}
	rv := reflect.ValueOf(v)
	return c.planOf(rv.Type()).write(dst, rv, envelopeDepth)
}

func appendBase64(dst, b []byte) []byte {
	if b == nil {
		return append(dst, "null"...)
	}
	return append(base64.StdEncoding.AppendEncode(append(dst, '"'), b), '"')
}

// appendRaw writes JSON that the program made. It must be one value, or the record would be broken.
func appendRaw(dst, raw []byte) ([]byte, error) {
	if raw == nil {
		return append(dst, "null"...), nil
	}
	s := Scanner{b: raw, limit: maxDepth}
	if err := s.Skip(); err != nil {
		return dst, fmt.Errorf("raw JSON of %d bytes: %w", len(raw), err)
	}
	if s.Peek() != 0 || s.i < len(raw) {
		return dst, fmt.Errorf("raw JSON of %d bytes goes on behind its value at byte %d", len(raw), s.i)
	}
	return append(dst, raw...), nil
}

// makeWriter chooses how values of a type are written: its own methods come before its kind.
func (p *plan) makeWriter() writeFunc {
	switch p.t {
	case timeType:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) {
			return appendTime(dst, v.Interface().(time.Time))
		}
	case durationType:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) {
			return appendDuration(dst, time.Duration(v.Int())), nil
		}
	case rawJSONType:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) { return appendRaw(dst, v.Bytes()) }
	case valueType:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) {
			return p.c.AppendValue(dst, v.Interface().(hubbub.Value))
		}
	case numberType:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) {
			return appendRaw(dst, []byte(cmp.Or(v.String(), "0")))
		}
	}
	own := p.makeKindWriter()
	pointer := reflect.PointerTo(p.t)
	switch {
	case p.t.Implements(jsonOut):
		return writeMarshaler
	case p.t.Kind() != reflect.Pointer && pointer.Implements(jsonOut):
		return addressed(writeMarshaler, own)
	case p.t.Implements(textOut):
		return p.writeTextMarshaler
	case p.t.Kind() != reflect.Pointer && pointer.Implements(textOut):
		return addressed(p.writeTextMarshaler, own)
	}
	return own
}

// addressed uses a method of the pointer where there is a pointer to have, as encoding/json does.
func addressed(method, own writeFunc) writeFunc {
	return func(dst []byte, v reflect.Value, depth int) ([]byte, error) {
		if v.CanAddr() {
			return method(dst, v.Addr(), depth)
		}
		return own(dst, v, depth)
	}
}

func writeMarshaler(dst []byte, v reflect.Value, _ int) ([]byte, error) {
	if IsNil(v) {
		return append(dst, "null"...), nil
	}
	raw, err := v.Interface().(json.Marshaler).MarshalJSON()
	if err != nil {
		return dst, fmt.Errorf("write %s: %w", v.Type(), err)
	}
	return appendRaw(dst, raw)
}

func (p *plan) writeTextMarshaler(dst []byte, v reflect.Value, _ int) ([]byte, error) {
	if IsNil(v) {
		return append(dst, "null"...), nil
	}
	text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return dst, fmt.Errorf("write %s: %w", v.Type(), err)
	}
	return p.c.appendString(dst, string(text)), nil
}

// IsNil reports whether v is nil: a pointer, an interface, a map or a slice.
func IsNil(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return v.IsNil()
	default:
		return false
	}
}

func (p *plan) makeKindWriter() writeFunc {
	switch p.t.Kind() {
	case reflect.Bool:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) {
			return strconv.AppendBool(dst, v.Bool()), nil
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) {
			return strconv.AppendInt(dst, v.Int(), 10), nil
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) {
			return strconv.AppendUint(dst, v.Uint(), 10), nil
		}
	case reflect.Float32, reflect.Float64:
		c, bits := p.c, p.t.Bits()
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) { return c.appendFloat(dst, v.Float(), bits) }
	case reflect.String:
		if p.c.classic {
			return func(dst []byte, v reflect.Value, _ int) ([]byte, error) {
				return AppendClassicString(dst, v.String()), nil
			}
		}
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) { return AppendString(dst, v.String()), nil }
	case reflect.Interface:
		return p.writeInterface
	case reflect.Pointer:
		return p.pointerWriter()
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

// deeper counts a level of nesting. It is how a value that contains itself ends.
func deeper(depth int) (int, error) {
	if depth >= maxDepth {
		return depth, fmt.Errorf("write: %w than %d", ErrDepth, maxDepth)
	}
	return depth + 1, nil
}

func (p *plan) writeInterface(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	if v.IsNil() {
		return append(dst, "null"...), nil
	}
	v = v.Elem()
	return p.of(v.Type()).write(dst, v, depth)
}

func (p *plan) pointerWriter() writeFunc {
	elem := p.of(p.t.Elem())
	// Arrays and objects count the levels. A pointer counts as one where it can lead to itself without them.
	indirect := elem.t.Kind() == reflect.Interface || elem.t.Kind() == reflect.Pointer
	return func(dst []byte, v reflect.Value, depth int) (_ []byte, err error) {
		if v.IsNil() {
			return append(dst, "null"...), nil
		}
		if indirect {
			if depth, err = deeper(depth); err != nil {
				return dst, err
			}
		}
		return elem.write(dst, v.Elem(), depth)
	}
}

func (p *plan) listWriter() writeFunc {
	elem := p.of(p.t.Elem())
	slice := p.t.Kind() == reflect.Slice
	if elem.t.Kind() == reflect.Uint8 && elem.makesBytes() {
		return func(dst []byte, v reflect.Value, _ int) ([]byte, error) { return appendBase64(dst, BytesOf(v)), nil }
	}
	return func(dst []byte, v reflect.Value, depth int) (_ []byte, err error) {
		if slice && v.IsNil() {
			return append(dst, "null"...), nil
		}
		if depth, err = deeper(depth); err != nil {
			return dst, err
		}
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = elem.write(dst, v.Index(i), depth); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	}
}

// makesBytes reports whether a list of this type of byte is a string of bytes and not an array: the bytes have no methods.
func (p *plan) makesBytes() bool {
	pointer := reflect.PointerTo(p.t)
	return !pointer.Implements(jsonOut) && !pointer.Implements(textOut)
}

// BytesOf returns the bytes of a slice or an array.
func BytesOf(v reflect.Value) []byte {
	if v.Kind() == reflect.Array && !v.CanAddr() {
		at := reflect.New(v.Type()).Elem()
		at.Set(v)
		v = at
	}
	return v.Bytes()
}

func (p *plan) mapWriter() writeFunc {
	elem := p.of(p.t.Elem())
	return func(dst []byte, v reflect.Value, depth int) (_ []byte, err error) {
		if v.IsNil() {
			return append(dst, "null"...), nil
		}
		if depth, err = deeper(depth); err != nil {
			return dst, err
		}
		type entry struct {
			name  string
			value reflect.Value
		}
		entries := make([]entry, 0, v.Len())
		for it := v.MapRange(); it.Next(); {
			name, err := keyText(it.Key())
			if err != nil {
				return dst, err
			}
			entries = append(entries, entry{name, it.Value()})
		}
		slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
		dst = append(dst, '{')
		for i, e := range entries {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(p.c.appendString(dst, e.name), ':')
			if dst, err = elem.write(dst, e.value, depth); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	}
}

// keyText is the text of a map's key: that of a string, the own one of a type, or the one .NET has for numbers, booleans and times.
func keyText(k reflect.Value) (string, error) {
	if k.Kind() == reflect.String {
		return k.String(), nil
	}
	if k.Kind() == reflect.Interface && !k.IsNil() {
		return keyText(k.Elem())
	}
	if k.Type() == timeType {
		quoted, err := appendTime(nil, k.Interface().(time.Time))
		return string(quoted[min(1, len(quoted)):max(0, len(quoted)-1)]), err
	}
	if m, ok := k.Interface().(encoding.TextMarshaler); ok && !IsNil(k) {
		text, err := m.MarshalText()
		return string(text), err
	}
	switch k.Kind() {
	case reflect.Bool:
		if k.Bool() {
			return "True", nil
		}
		return "False", nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(k.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(k.Uint(), 10), nil
	}
	return "", fmt.Errorf("map key of type %s, want a string, an integer, a boolean or a type with MarshalText", k.Type())
}

func (p *plan) structWriter() writeFunc {
	fields := p.fields()
	return func(dst []byte, v reflect.Value, depth int) (_ []byte, err error) {
		if depth, err = deeper(depth); err != nil {
			return dst, err
		}
		dst = append(dst, '{')
		first := true
		for i := range fields {
			f := &fields[i]
			member, ok := f.In(v)
			if !ok || f.Omitted(member) {
				continue
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(dst, f.quoted...)
			start := len(dst)
			if dst, err = f.plan.write(dst, member, depth); err != nil {
				return dst, fmt.Errorf("%s: %w", f.Name, err)
			}
			if f.inString && dst[start] != '"' && dst[start] != 'n' {
				dst = append(dst, 0, '"')
				copy(dst[start+1:], dst[start:len(dst)-2])
				dst[start] = '"'
			}
		}
		return append(dst, '}'), nil
	}
}
