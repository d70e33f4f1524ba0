package jsonvalue

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// makeKindReader chooses how values of a type without methods of its own are read.
func (p *plan) makeKindReader() readFunc {
	t := p.t
	switch t.Kind() {
	case reflect.Bool:
		return func(s *Scanner, v reflect.Value) error {
			b, err := s.bool(t)
			v.SetBool(b)
			return err
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(s *Scanner, v reflect.Value) error {
			n, err := s.int(t, t.Bits())
			v.SetInt(n)
			return err
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return func(s *Scanner, v reflect.Value) error {
			n, err := s.uint(t, t.Bits())
			v.SetUint(n)
			return err
		}
	case reflect.Float32, reflect.Float64:
		return func(s *Scanner, v reflect.Value) error {
			f, err := s.float(t, t.Bits())
			v.SetFloat(f)
			return err
		}
	case reflect.String:
		return func(s *Scanner, v reflect.Value) error {
			text, err := s.string(t)
			v.SetString(text)
			return err
		}
	case reflect.Interface:
		return p.readInterface
	case reflect.Slice, reflect.Array:
		return p.listReader()
	case reflect.Map:
		return p.mapReader()
	case reflect.Struct:
		return p.structReader()
	}
	return unreadable(t)
}

func unreadable(t reflect.Type) readFunc {
	return func(*Scanner, reflect.Value) error {
		return fmt.Errorf("read into %s, want a type that has a form on the wire", t)
	}
}

func (p *plan) readInterface(s *Scanner, v reflect.Value) error {
	if p.t.NumMethod() > 0 {
		return s.mismatch(p.t, s.i)
	}
	x, err := s.anyValue()
	if err != nil || x == nil {
		v.SetZero()
		return err
	}
	v.Set(reflect.ValueOf(x))
	return nil
}

func (p *plan) pointerReader() readFunc {
	t := p.t
	elem := p.of(p.t.Elem())
	if NoPointer(elem.t).Kind() == reflect.Pointer {
		return unreadable(p.t)
	}
	return func(s *Scanner, v reflect.Value) error {
		if null, err := s.absent(t); null {
			v.SetZero()
			return err
		}
		x := reflect.New(elem.t)
		if err := elem.read(s, x.Elem()); err != nil {
			return err
		}
		v.Set(x)
		return nil
	}
}

func (p *plan) listReader() readFunc {
	t := p.t
	elem := p.of(t.Elem())
	if elem.t.Kind() == reflect.Uint8 && elem.makesBytes() {
		return func(s *Scanner, v reflect.Value) error { return readBytes(s, v) }
	}
	if t.Kind() == reflect.Array {
		return func(s *Scanner, v reflect.Value) error {
			start := s.i
			n := 0
			err := s.elements(t, func() error {
				if n == v.Len() {
					return s.mismatch(t, start)
				}
				n++
				return elem.read(s, v.Index(n-1))
			})
			if err == nil && n < v.Len() {
				err = s.mismatch(t, start)
			}
			return err
		}
	}
	return func(s *Scanner, v reflect.Value) error {
		if null, err := s.absent(t); null {
			v.SetZero()
			return err
		}
		list := reflect.New(t).Elem()
		list.Set(reflect.MakeSlice(t, 0, 0))
		err := s.elements(t, func() error {
			n := list.Len()
			list.Grow(1)
			list.SetLen(n + 1)
			return within(elem.read(s, list.Index(n)), n)
		})
		if err == nil {
			v.Set(list)
		}
		return err
	}
}

// readBytes reads a slice or an array of bytes from base64.
func readBytes(s *Scanner, v reflect.Value) error {
	start := s.i
	b, err := s.bytes(v.Type())
	if err != nil {
		return err
	}
	if v.Kind() == reflect.Slice {
		v.SetBytes(b)
		return nil
	}
	if len(b) != v.Len() {
		return s.mismatch(v.Type(), start)
	}
	copy(v.Bytes(), b)
	return nil
}

// elements calls read at each element of an array.
func (s *Scanner) elements(t reflect.Type, read func() error) error {
	if s.Peek() != '[' {
		return s.mismatch(t, s.i)
	}
	if err := s.Enter(); err != nil {
		return err
	}
	for first := true; ; first = false {
		ok, err := s.More(first, ']')
		if err != nil || !ok {
			return err
		}
		if err := read(); err != nil {
			return err
		}
	}
}

// members calls read at the value of each member of an object.
func (s *Scanner) members(t reflect.Type, read func(name []byte) error) error {
	if s.Peek() != '{' {
		return s.mismatch(t, s.i)
	}
	if err := s.Enter(); err != nil {
		return err
	}
	for first := true; ; first = false {
		ok, err := s.More(first, '}')
		if err != nil || !ok {
			return err
		}
		name, err := s.Name()
		if err != nil {
			return err
		}
		if err := read(name); err != nil {
			return under(err, name)
		}
	}
}

func (p *plan) mapReader() readFunc {
	t := p.t
	elem := p.of(t.Elem())
	return func(s *Scanner, v reflect.Value) error {
		if null, err := s.absent(t); null {
			v.SetZero()
			return err
		}
		m := reflect.MakeMap(t)
		err := s.members(t, func(name []byte) error {
			key := reflect.New(t.Key()).Elem()
			if err := setKey(key, string(name)); err != nil {
				return s.badKey(t.Key(), name)
			}
			x := reflect.New(elem.t).Elem()
			if err := elem.read(s, x); err != nil {
				return err
			}
			m.SetMapIndex(key, x)
			return nil
		})
		if err == nil {
			v.Set(m)
		}
		return err
	}
}

// setKey reads the text of a map's key, the reverse of keyText.
func setKey(k reflect.Value, text string) (err error) {
	if k.Kind() == reflect.String {
		k.SetString(text)
		return nil
	}
	if k.Type() == timeType {
		t, err := parseTime(text)
		k.Set(reflect.ValueOf(t))
		return err
	}
	if u, ok := k.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch k.Kind() {
	case reflect.Bool:
		k.SetBool(strings.EqualFold(text, "true"))
		if !k.Bool() && !strings.EqualFold(text, "false") {
			return fmt.Errorf("key %q, want True or False", text)
		}
		return nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, k.Type().Bits())
		k.SetInt(n)
		return err
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, k.Type().Bits())
		k.SetUint(n)
		return err
	case reflect.Interface:
		if k.NumMethod() == 0 {
			k.Set(reflect.ValueOf(text))
			return nil
		}
	}
	return fmt.Errorf("map key of type %s, want a string, an integer, a boolean or a type with UnmarshalText", k.Type())
}

func (p *plan) structReader() readFunc {
	fields := p.fields()
	plain := make([]Field, len(fields))
	for i, f := range fields {
		plain[i] = f.Field
	}
	places, t := foldNames(plain), p.t
	return func(s *Scanner, v reflect.Value) error {
		if null, err := s.absent(t); null {
			v.SetZero()
			return err
		}
		return s.members(t, func(name []byte) error {
			i, ok := lookupFold(places, name)
			if !ok {
				return s.Skip()
			}
			member, ok := fields[i].Of(v)
			if !ok {
				return s.Skip()
			}
			member.SetZero()
			if fields[i].inString && s.Peek() == '"' && member.Kind() != reflect.String {
				return readInString(s, fields[i].plan, member)
			}
			return fields[i].plan.read(s, member)
		})
	}
}

// readInString reads a scalar that a tag puts inside a string.
func readInString(s *Scanner, plan *plan, v reflect.Value) error {
	start := s.i
	text, err := s.string(plan.t)
	if err != nil {
		return err
	}
	inner := &Scanner{b: []byte(text), depth: s.depth, limit: s.limit, classic: s.classic}
	if err := plan.read(inner, v); err != nil || inner.i != len(text) {
		return s.mismatch(plan.t, start)
	}
	return nil
}
