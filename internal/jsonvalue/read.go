package jsonvalue

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/hubbub-go/hubbub"
)

// Decode reads one value into what v points to. It does not keep raw. Its error has the class JsonException and the text of
// System.Text.Json, where System.Int32 stands for int and int32.
func (c *Codec) Decode(raw []byte, v any) error {
	s := c.Scan(raw)
	err := c.decode(&s, v)
	if err == nil {
		if s.Peek(); s.i == len(raw) {
			return nil
		}
		err = ErrSyntax
	}
	if c.classic {
		return refused(raw, err, s.i)
	}
	if m, ok := err.(*mismatch); ok {
		line, at := position(raw, m.end)
		return hubbub.Classify("JsonException", nil, fmt.Sprintf("%s | LineNumber: %d | BytePositionInLine: %d.", m.Error(), line, at))
	}
	line, at := position(raw, s.i)
	return hubbub.Classify("JsonException", err, fmt.Sprintf("The JSON value could not be read: %v. Path: $ | LineNumber: %d | BytePositionInLine: %d.", err, line, at))
}

// decode reads the common scalars without reflection.
func (c *Codec) decode(s *Scanner, v any) (err error) {
	switch v := v.(type) {
	case *string:
		*v, err = s.string(reflect.TypeFor[string]())
	case **string:
		*v, err = s.stringPointer()
	case *bool:
		*v, err = s.bool(reflect.TypeFor[bool]())
	case *int:
		*v, err = readInt[int](s, strconv.IntSize)
	case *int32:
		*v, err = readInt[int32](s, 32)
	case *int64:
		*v, err = readInt[int64](s, 64)
	case *float64:
		*v, err = s.float(reflect.TypeFor[float64](), 64)
	case *[]byte:
		*v, err = s.bytes(reflect.TypeFor[[]byte]())
	case *json.RawMessage:
		raw, err := s.RawValue()
		*v = append((*v)[:0], raw...)
		return err
	case *any:
		*v, err = s.anyValue()
	default:
		rv := reflect.ValueOf(v)
		if rv.Kind() != reflect.Pointer || rv.IsNil() {
			return fmt.Errorf("decode into %T, want a pointer", v)
		}
		heap := *s // only this way needs the scanner on the heap
		err = c.planOf(rv.Type().Elem()).read(&heap, rv.Elem())
		s.i = heap.i
	}
	return err
}

// DecodeExact reads a value without a type: integers as int64 or uint64.
func (c *Codec) DecodeExact(raw []byte) (any, error) {
	s := c.Scan(raw)
	s.exact = true
	v, err := s.anyValue()
	if s.Peek(); err == nil && s.i < len(raw) {
		err = ErrSyntax
	}
	return v, err
}

func readInt[T int | int32 | int64](s *Scanner, bits int) (T, error) {
	n, err := s.int(reflect.TypeFor[T](), bits)
	return T(n), err
}

// Null steps over null.
func (s *Scanner) Null() (bool, error) {
	if s.Peek() != 'n' {
		return false, nil
	}
	return true, s.word("null")
}

func (s *Scanner) string(t reflect.Type) (string, error) {
	if s.classic {
		return s.lenientString()
	}
	if null, err := s.Null(); null {
		return "", err
	}
	start := s.i
	if s.Peek() != '"' {
		return "", s.mismatch(t, start)
	}
	text, err := s.Text()
	if errors.Is(err, ErrUTF8) || errors.Is(err, ErrSurrogate) {
		return "", s.mismatch(t, start)
	}
	return text, err
}

// stringPointer reads a string that may be null, as the plan of *string does it.
func (s *Scanner) stringPointer() (*string, error) {
	if null, err := s.absent(reflect.TypeFor[*string]()); null {
		return nil, err
	}
	text, err := s.string(reflect.TypeFor[string]())
	if err != nil {
		return nil, err
	}
	return &text, nil
}

func (s *Scanner) bool(t reflect.Type) (bool, error) {
	if s.classic {
		return s.lenientBool(t)
	}
	start := s.i
	switch s.Peek() {
	case 't':
		return true, s.word("true")
	case 'f':
		return false, s.word("false")
	default:
		return false, s.mismatch(t, start)
	}
}

// numeral reads the text of a number.
func (s *Scanner) numeral(t reflect.Type) ([]byte, error) {
	if s.classic {
		return s.lenientNumeral(t)
	}
	c := s.Peek()
	start := s.i
	if c != '-' && (c < '0' || c > '9') {
		return nil, s.mismatch(t, start)
	}
	err := s.number()
	return s.b[start:s.i], err
}

func (s *Scanner) int(t reflect.Type, bits int) (int64, error) {
	if s.classic {
		return lenientInteger(s, t, func(text []byte) (int64, error) { return ParseInt(text, bits) })
	}
	text, err := s.numeral(t)
	if err != nil {
		return 0, err
	}
	n, err := ParseInt(text, bits)
	if err != nil {
		return 0, s.mismatch(t, s.i-len(text))
	}
	return n, nil
}

func (s *Scanner) uint(t reflect.Type, bits int) (uint64, error) {
	if s.classic {
		return lenientInteger(s, t, func(text []byte) (uint64, error) { return parseUint(text, 1<<bits-1) })
	}
	text, err := s.numeral(t)
	if err != nil {
		return 0, err
	}
	n, err := parseUint(text, 1<<bits-1)
	if err != nil {
		return 0, s.mismatch(t, s.i-len(text))
	}
	return n, nil
}

func (s *Scanner) float(t reflect.Type, bits int) (float64, error) {
	if s.classic {
		return s.lenientFloat(t, bits)
	}
	text, err := s.numeral(t)
	if err != nil {
		return 0, err
	}
	return parseFloat(string(text), bits)
}

func (s *Scanner) bytes(t reflect.Type) ([]byte, error) {
	if s.classic {
		return s.lenientBytes(t)
	}
	if null, err := s.Null(); null {
		return nil, err
	}
	start := s.i
	text, err := s.string(t)
	if err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, s.mismatch(t, start)
	}
	return b, nil
}

// anyValue reads a value into what encoding/json has for it: nil, bool, float64, string, []any, map[string]any. With exact,
// integers are int64, or uint64 where they must.
func (s *Scanner) anyValue() (any, error) {
	switch c := s.Peek(); c {
	case '{':
		return s.anyObject()
	case '[':
		return s.anyArray()
	case '"':
		return s.string(reflect.TypeFor[string]())
	default:
		kind, raw, err := s.Scalar()
		if err != nil || kind == 'n' {
			return nil, err
		}
		if kind != '0' {
			return kind == 't', nil
		}
		if s.exact {
			if n, err := ParseInt(raw, 64); err == nil {
				return n, nil
			}
			if n, err := parseUint(raw, 1<<64-1); err == nil {
				return n, nil
			}
		}
		return parseFloat(string(raw), 64)
	}
}

func (s *Scanner) anyArray() (any, error) {
	if err := s.Enter(); err != nil {
		return nil, err
	}
	list := []any{}
	for {
		ok, err := s.More(len(list) == 0, ']')
		if err != nil || !ok {
			return list, err
		}
		v, err := s.anyValue()
		if err != nil {
			return nil, within(err, len(list))
		}
		list = append(list, v)
	}
}

func (s *Scanner) anyObject() (any, error) {
	if err := s.Enter(); err != nil {
		return nil, err
	}
	object := map[string]any{}
	for first := true; ; first = false {
		ok, err := s.More(first, '}')
		if err != nil || !ok {
			return object, err
		}
		name, err := s.Name()
		if err != nil {
			return nil, err
		}
		v, err := s.anyValue()
		if err != nil {
			return nil, under(err, name)
		}
		object[string(name)] = v
	}
}

// makeReader chooses how values of a type are read: its own methods come before its kind.
func (p *plan) makeReader() readFunc {
	t := p.t
	switch {
	case t == timeType && p.c.classic:
		return lenientTimeReader(t)
	case t == timeType:
		return textReader(t, parseTime)
	case t == durationType && p.c.classic:
		return textReader(t, lenientDuration)
	case t == durationType:
		return textReader(t, parseDuration)
	case t == rawJSONType:
		return func(s *Scanner, v reflect.Value) error {
			raw, err := s.RawValue()
			v.SetBytes(append([]byte(nil), raw...))
			return err
		}
	case t == valueType:
		return func(s *Scanner, v reflect.Value) error {
			raw, err := s.RawValue()
			v.Set(reflect.ValueOf(hubbub.RawValue(bytes.Clone(raw), p.c)))
			return err
		}
	case t == numberType:
		return func(s *Scanner, v reflect.Value) error {
			text, err := s.numeral(t)
			v.SetString(string(text))
			return err
		}
	case t.Kind() == reflect.Pointer:
		return p.pointerReader()
	case reflect.PointerTo(t).Implements(jsonIn):
		return func(s *Scanner, v reflect.Value) error {
			start := s.i
			raw, err := s.RawValue()
			if err == nil && v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(raw) != nil {
				err = s.mismatch(t, start)
			}
			return err
		}
	case reflect.PointerTo(t).Implements(textIn):
		return readUnmarshaler(t)
	}
	return p.makeKindReader()
}

// textReader reads a value that is a text in JSON.
func textReader[T any](t reflect.Type, parse func(string) (T, error)) readFunc {
	return func(s *Scanner, v reflect.Value) error {
		start := s.i
		if s.Peek() != '"' {
			return s.mismatch(t, start)
		}
		text, err := s.string(t)
		if err != nil {
			return err
		}
		x, err := parse(text)
		if err != nil {
			return s.mismatch(t, start)
		}
		*v.Addr().Interface().(*T) = x
		return nil
	}
}

// Nullable reports whether nil may stand for the zero value of a type that knows its text: not for numbers and arrays, which
// are enums and UUIDs there.
func Nullable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Struct, reflect.Slice, reflect.Map:
		return true
	default:
		return false
	}
}

// readUnmarshaler reads a type that knows its text.
func readUnmarshaler(t reflect.Type) readFunc {
	uuid := IsUUID(t)
	return func(s *Scanner, v reflect.Value) error {
		start := s.i
		if s.Peek() == 'n' && Nullable(t) {
			v.SetZero()
			return s.word("null")
		}
		if c := s.Peek(); s.classic && (c == '-' || c >= '0' && c <= '9') {
			return readNumeralText(s, v)
		}
		if s.Peek() != '"' {
			return s.mismatch(t, start)
		}
		text, err := s.string(t)
		if err == nil && uuid && len(text) != UUIDLen && !s.classic {
			err = s.mismatch(t, start)
		}
		if err == nil && v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)) != nil {
			err = s.mismatch(t, start)
		}
		return err
	}
}

// readNumeralText reads a number into a type that knows its text: an enum has its number there, others its digits.
func readNumeralText(s *Scanner, v reflect.Value) error {
	_, raw, start, err := s.token()
	if err != nil {
		return err
	}
	switch {
	case v.CanInt():
		n, err := ParseInt(raw, v.Type().Bits())
		if err == nil {
			v.SetInt(n)
			return nil
		}
	case v.CanUint():
		n, err := parseUint(raw, 1<<v.Type().Bits()-1)
		if err == nil {
			v.SetUint(n)
			return nil
		}
	case v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(raw) == nil:
		return nil
	}
	return s.mismatch(v.Type(), start)
}
