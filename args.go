package hubbub

import (
	"fmt"
	"reflect"
)

// Decoder turns one encoded value into the Go value that v points to. It belongs to a protocol; it is safe for concurrent use
// and does not keep raw. Its error is for the log and for detailed errors: the client reads the sentence of error.go.
type Decoder interface {
	Decode(raw []byte, v any) error
}

// Value is one item or result: encoded as it came from the peer, or a Go value on its way out. The zero Value is nil.
type Value struct {
	raw []byte
	dec Decoder
	v   any
}

// ValueOf returns a Value on its way out.
func ValueOf(v any) Value { return Value{v: v} }

// RawValue returns a Value as it came: raw, encoded for dec. The Value keeps raw, which must not change any more.
func RawValue(raw []byte, dec Decoder) Value { return Value{raw: raw, dec: dec} }

// Decode stores the value in what v points to.
func (x Value) Decode(v any) error {
	if x.dec == nil {
		return assign(v, x.v)
	}
	return x.dec.Decode(x.raw, v)
}

// Raw returns the encoded bytes and the decoder they are for, or nil, nil for a value on its way out. The bytes must not be changed.
func (x Value) Raw() ([]byte, Decoder) { return x.raw, x.dec }

// Any returns the Go value of a Value on its way out.
func (x Value) Any() any { return x.v }

// Args are the positional arguments of an invocation: encoded as they came from the peer until a method's types are known,
// or Go values on their way out. The zero Args has no arguments. Args are immutable.
type Args struct {
	raw    [][]byte
	dec    Decoder
	values []any
	err    error
}

// ArgsOf returns arguments on their way out. It keeps values.
func ArgsOf(values ...any) Args { return Args{values: values} }

// RawArgs returns arguments as they came: raw[i] is argument i, encoded for dec. It keeps raw, which must not change any more.
func RawArgs(raw [][]byte, dec Decoder) Args { return Args{raw: raw, dec: dec} }

// BadArgs returns arguments that could not be read although their message could. A call with them fails with err, the
// connection goes on.
func BadArgs(err error) Args { return Args{err: err} }

// Err is the error of [BadArgs], or nil.
func (a Args) Err() error { return a.err }

// Len returns the number of arguments.
func (a Args) Len() int {
	if a.dec != nil {
		return len(a.raw)
	}
	return len(a.values)
}

// Decode stores argument i in what v points to. It panics if there is no argument i.
func (a Args) Decode(i int, v any) error { return a.At(i).Decode(v) }

// At returns argument i. It panics if there is none.
func (a Args) At(i int) Value {
	if a.dec != nil {
		return Value{raw: a.raw[i], dec: a.dec}
	}
	return Value{v: a.values[i]}
}

// Values returns the Go values of arguments on their way out, nil for others. The slice must not be changed.
func (a Args) Values() []any { return a.values }

// assign stores v in what dst points to, for values that never were encoded.
func assign(dst, v any) error {
	d := reflect.ValueOf(dst)
	if d.Kind() != reflect.Pointer || d.IsNil() {
		return fmt.Errorf("decode into %T: want a pointer", dst)
	}
	d = d.Elem()
	if v == nil {
		d.SetZero()
		return nil
	}
	s := reflect.ValueOf(v)
	switch {
	case s.Type().AssignableTo(d.Type()):
		d.Set(s)
	case s.CanConvert(d.Type()) && s.Kind() == d.Kind():
		d.Set(s.Convert(d.Type()))
	default:
		return fmt.Errorf("decode %T into %s: types differ", v, d.Type())
	}
	return nil
}
