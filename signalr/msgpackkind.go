package signalr

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/tinylib/msgp/msgp"

	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

var errTwice = errors.New("map key comes twice")

// makeKindReader chooses how values of a type without methods of its own are read.
func (p *packPlan) makeKindReader() packRead {
	t := p.t
	switch t.Kind() {
	case reflect.Bool:
		return func(b []byte, v reflect.Value, _ int) ([]byte, error) {
			x, rest, err := msgp.ReadBoolBytes(b)
			v.SetBool(x)
			return rest, err
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(b []byte, v reflect.Value, _ int) ([]byte, error) {
			n, rest, err := readInt64(b, t.Bits())
			v.SetInt(n)
			return rest, err
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return func(b []byte, v reflect.Value, _ int) ([]byte, error) {
			n, rest, err := readUint64(b, t.Bits())
			v.SetUint(n)
			return rest, err
		}
	case reflect.Float32, reflect.Float64:
		return func(b []byte, v reflect.Value, _ int) ([]byte, error) {
			f, rest, err := readFloat(b)
			v.SetFloat(f)
			return rest, err
		}
	case reflect.String:
		return func(b []byte, v reflect.Value, _ int) ([]byte, error) {
			s, rest, err := readText(b)
			v.SetString(s)
			return rest, err
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
	return packUnreadable(t)
}

func packUnreadable(t reflect.Type) packRead {
	return func(b []byte, _ reflect.Value, _ int) ([]byte, error) {
		return b, fmt.Errorf("read into %s, want a type that has a form on the wire", t)
	}
}

func isPackNil(b []byte) bool { return len(b) > 0 && b[0] == codeNil }

func (p *packPlan) readInterface(b []byte, v reflect.Value, depth int) ([]byte, error) {
	if p.t.NumMethod() > 0 {
		return b, fmt.Errorf("read into the interface %s, want any", p.t)
	}
	x, rest, err := readAny(b, depth, false)
	if err != nil || x == nil {
		v.SetZero()
		return rest, err
	}
	v.Set(reflect.ValueOf(x))
	return rest, nil
}

func (p *packPlan) pointerReader() packRead {
	elem := packPlanOf(p.t.Elem())
	if jsonvalue.NoPointer(elem.t).Kind() == reflect.Pointer {
		return packUnreadable(p.t)
	}
	return func(b []byte, v reflect.Value, depth int) ([]byte, error) {
		if isPackNil(b) {
			v.SetZero()
			return b[1:], nil
		}
		x := reflect.New(elem.t)
		rest, err := elem.read(b, x.Elem(), depth)
		if err != nil {
			return b, err
		}
		v.Set(x)
		return rest, nil
	}
}

func (p *packPlan) listReader() packRead {
	t := p.t
	elem := packPlanOf(t.Elem())
	if elem.t.Kind() == reflect.Uint8 && elem.makesBytes() {
		return readPackBytes
	}
	return func(b []byte, v reflect.Value, depth int) ([]byte, error) {
		if t.Kind() == reflect.Slice && isPackNil(b) {
			v.SetZero()
			return b[1:], nil
		}
		depth, err := packDeeper(depth)
		if err != nil {
			return b, err
		}
		n, rest, err := readCount(b)
		if err != nil {
			return b, err
		}
		if t.Kind() == reflect.Array && n != t.Len() {
			return b, fmt.Errorf("array of %d elements, want %d", n, t.Len())
		}
		list := v
		if t.Kind() == reflect.Slice {
			list = reflect.New(t).Elem()
			list.Set(reflect.MakeSlice(t, 0, min(n, 64)))
		}
		for i := range n {
			if t.Kind() == reflect.Slice {
				list.Grow(1)
				list.SetLen(i + 1)
			}
			if rest, err = elem.read(rest, list.Index(i), depth); err != nil {
				return b, fmt.Errorf("element %d: %w", i, err)
			}
		}
		if t.Kind() == reflect.Slice {
			v.Set(list)
		}
		return rest, nil
	}
}

// readPackBytes reads a slice or an array of bytes.
func readPackBytes(b []byte, v reflect.Value, _ int) ([]byte, error) {
	raw, rest, err := readBin(b)
	if err != nil {
		return b, err
	}
	if v.Kind() == reflect.Slice {
		v.SetBytes(raw)
		return rest, nil
	}
	if len(raw) != v.Len() {
		return b, fmt.Errorf("%d bytes, want %d", len(raw), v.Len())
	}
	copy(v.Bytes(), raw)
	return rest, nil
}

func (p *packPlan) mapReader() packRead {
	t := p.t
	key, elem := packPlanOf(t.Key()), packPlanOf(t.Elem())
	return func(b []byte, v reflect.Value, depth int) ([]byte, error) {
		if isPackNil(b) {
			v.SetZero()
			return b[1:], nil
		}
		depth, err := packDeeper(depth)
		if err != nil {
			return b, err
		}
		n, rest, err := readPairs(b)
		if err != nil {
			return b, err
		}
		m := reflect.MakeMap(t)
		for range n {
			k, x := reflect.New(key.t).Elem(), reflect.New(elem.t).Elem()
			if rest, err = key.read(rest, k, depth); err != nil {
				return b, fmt.Errorf("map key: %w", err)
			}
			if !k.Comparable() || k.Kind() == reflect.Interface && k.IsNil() {
				return b, fmt.Errorf("map key of type %s, want a scalar", k.Type())
			}
			if m.MapIndex(k).IsValid() {
				return b, errTwice
			}
			if rest, err = elem.read(rest, x, depth); err != nil {
				return b, fmt.Errorf("map value: %w", err)
			}
			m.SetMapIndex(k, x)
		}
		v.Set(m)
		return rest, nil
	}
}

func (p *packPlan) structReader() packRead {
	fields, asArray := p.fields()
	places := make(map[string]int, len(fields))
	for i, f := range fields {
		places[f.Name] = i
	}
	read := func(b []byte, v reflect.Value, i, depth int) ([]byte, error) {
		if i >= 0 && i < len(fields) {
			if member, ok := fields[i].Of(v); ok {
				member.SetZero()
				rest, err := fields[i].plan.read(b, member, depth)
				if err != nil {
					return b, fmt.Errorf("%s: %w", fields[i].Name, err)
				}
				return rest, nil
			}
		}
		n, err := valueLen(b)
		return b[n:], err
	}
	return func(b []byte, v reflect.Value, depth int) ([]byte, error) {
		if isPackNil(b) {
			v.SetZero()
			return b[1:], nil
		}
		depth, err := packDeeper(depth)
		if err != nil {
			return b, err
		}
		if asArray {
			n, rest, err := readCount(b)
			for i := 0; i < n && err == nil; i++ {
				rest, err = read(rest, v, i, depth)
			}
			return rest, err
		}
		n, rest, err := readPairs(b)
		for range n {
			if err != nil {
				break
			}
			var name []byte
			if name, rest, err = msgp.ReadStringZC(rest); err == nil {
				i, known := places[string(name)]
				if !known {
					i = -1
				}
				rest, err = read(rest, v, i, depth)
			}
		}
		return rest, err
	}
}
