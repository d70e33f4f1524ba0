package signalr

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

// Decode reads one value. The text of an error is that of System.Text.Json.
func (p *jsonProtocol) Decode(raw []byte, v any) error {
	s := jsonScanner{b: raw}
	err := p.decode(&s, v)
	if err == nil {
		if s.peek(); s.i == len(raw) {
			return nil
		}
		err = errSyntax
	}
	if m, ok := err.(*jsonMismatch); ok {
		line, at := position(raw, m.end)
		return hubbub.Classify("JsonException", nil, fmt.Sprintf("%s | LineNumber: %d | BytePositionInLine: %d.", m.Error(), line, at))
	}
	line, at := position(raw, s.i)
	return hubbub.Classify("JsonException", err, fmt.Sprintf("The JSON value could not be read: %v. Path: $ | LineNumber: %d | BytePositionInLine: %d.", err, line, at))
}

// decode reads the common scalars without reflection.
func (p *jsonProtocol) decode(s *jsonScanner, v any) (err error) {
	switch v := v.(type) {
	case *string:
		*v, err = s.string(reflect.TypeFor[string]())
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
		raw, err := s.rawValue()
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
		err = jsonPlanOf(rv.Type().Elem(), p.naming).read(&heap, rv.Elem())
		s.i = heap.i
	}
	return err
}

// decodeExact reads a value without a type: integers as int64 or uint64.
func (p *jsonProtocol) decodeExact(raw []byte) (any, error) {
	s := jsonScanner{b: raw, exact: true}
	v, err := s.anyValue()
	if s.peek(); err == nil && s.i < len(raw) {
		err = errSyntax
	}
	return v, err
}

func readInt[T int | int32 | int64](s *jsonScanner, bits int) (T, error) {
	n, err := s.int(reflect.TypeFor[T](), bits)
	return T(n), err
}

// null steps over null.
func (s *jsonScanner) null() (bool, error) {
	if s.peek() != 'n' {
		return false, nil
	}
	return true, s.word("null")
}

func (s *jsonScanner) string(t reflect.Type) (string, error) {
	if null, err := s.null(); null {
		return "", err
	}
	start := s.i
	if s.peek() != '"' {
		return "", s.mismatch(t, start)
	}
	text, err := s.text()
	if errors.Is(err, errUTF8) || errors.Is(err, errSurrogate) {
		return "", s.mismatch(t, start)
	}
	return text, err
}

func (s *jsonScanner) bool(t reflect.Type) (bool, error) {
	start := s.i
	switch s.peek() {
	case 't':
		return true, s.word("true")
	case 'f':
		return false, s.word("false")
	default:
		return false, s.mismatch(t, start)
	}
}

// numeral reads the text of a number.
func (s *jsonScanner) numeral(t reflect.Type) ([]byte, error) {
	c := s.peek()
	start := s.i
	if c != '-' && (c < '0' || c > '9') {
		return nil, s.mismatch(t, start)
	}
	err := s.number()
	return s.b[start:s.i], err
}

func (s *jsonScanner) int(t reflect.Type, bits int) (int64, error) {
	text, err := s.numeral(t)
	if err != nil {
		return 0, err
	}
	n, err := parseInt(text, bits)
	if err != nil {
		return 0, s.mismatch(t, s.i-len(text))
	}
	return n, nil
}

func (s *jsonScanner) uint(t reflect.Type, bits int) (uint64, error) {
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

// float reads a number. One beyond the range of the type becomes an infinity, as in .NET.
func (s *jsonScanner) float(t reflect.Type, bits int) (float64, error) {
	text, err := s.numeral(t)
	if err != nil {
		return 0, err
	}
	f, err := strconv.ParseFloat(string(text), bits)
	if errors.Is(err, strconv.ErrRange) {
		err = nil
	}
	return f, err
}

func (s *jsonScanner) bytes(t reflect.Type) ([]byte, error) {
	if null, err := s.null(); null {
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
func (s *jsonScanner) anyValue() (any, error) {
	switch c := s.peek(); c {
	case '{':
		return s.anyObject()
	case '[':
		return s.anyArray()
	case '"':
		return s.string(reflect.TypeFor[string]())
	default:
		kind, raw, err := s.scalar()
		if err != nil || kind == 'n' {
			return nil, err
		}
		if kind != '0' {
			return kind == 't', nil
		}
		if s.exact {
			if n, err := parseInt(raw, 64); err == nil {
				return n, nil
			}
			if n, err := parseUint(raw, 1<<64-1); err == nil {
				return n, nil
			}
		}
		f, err := strconv.ParseFloat(string(raw), 64)
		if errors.Is(err, strconv.ErrRange) {
			err = nil
		}
		return f, err
	}
}

func (s *jsonScanner) anyArray() (any, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	list := []any{}
	for {
		ok, err := s.more(len(list) == 0, ']')
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

func (s *jsonScanner) anyObject() (any, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	object := map[string]any{}
	for first := true; ; first = false {
		ok, err := s.more(first, '}')
		if err != nil || !ok {
			return object, err
		}
		name, err := s.name()
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
func (p *jsonPlan) makeReader() jsonRead {
	t := p.t
	switch {
	case t == timeType:
		return textReader(t, parseTime)
	case t == durationType:
		return textReader(t, parseDuration)
	case t == rawJSONType:
		return func(s *jsonScanner, v reflect.Value) error {
			raw, err := s.rawValue()
			v.SetBytes(append([]byte(nil), raw...))
			return err
		}
	case t == valueType:
		return func(s *jsonScanner, v reflect.Value) error {
			raw, err := s.rawValue()
			v.Set(reflect.ValueOf(hubbub.RawValue(bytes.Clone(raw), &jsonProtocol{naming: p.naming})))
			return err
		}
	case t == numberType:
		return func(s *jsonScanner, v reflect.Value) error {
			text, err := s.numeral(t)
			v.SetString(string(text))
			return err
		}
	case t.Kind() == reflect.Pointer:
		return p.pointerReader()
	case reflect.PointerTo(t).Implements(jsonIn):
		return func(s *jsonScanner, v reflect.Value) error {
			start := s.i
			raw, err := s.rawValue()
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
func textReader[T any](t reflect.Type, parse func(string) (T, error)) jsonRead {
	return func(s *jsonScanner, v reflect.Value) error {
		start := s.i
		if s.peek() != '"' {
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

// nullable reports whether nil may stand for the zero value of a type that knows its text: not for numbers and arrays, which
// are enums and UUIDs there.
func nullable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Struct, reflect.Slice, reflect.Map:
		return true
	default:
		return false
	}
}

// readUnmarshaler reads a type that knows its text.
func readUnmarshaler(t reflect.Type) jsonRead {
	uuid := isUUID(t)
	return func(s *jsonScanner, v reflect.Value) error {
		start := s.i
		if s.peek() == 'n' && nullable(t) {
			v.SetZero()
			return s.word("null")
		}
		if s.peek() != '"' {
			return s.mismatch(t, start)
		}
		text, err := s.string(t)
		if err == nil && uuid && len(text) != uuidLen {
			err = s.mismatch(t, start)
		}
		if err == nil && v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)) != nil {
			err = s.mismatch(t, start)
		}
		return err
	}
}
