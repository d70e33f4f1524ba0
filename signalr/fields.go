package signalr

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// field is one member of a struct on the wire.
type field struct {
	name      string
	index     []int
	typ       reflect.Type
	tagged    bool
	omitEmpty bool // leave out when false, 0, "", nil or of no elements
	omitZero  bool // leave out when zero, or when its IsZero method says so
	inString  bool // a scalar is written inside a string
}

// fieldsOf lists the members of a struct: its exported fields and those of embedded structs that Go promotes. A tag with that
// key gives the name and options as for encoding/json, rename gives the names of the others. Of two members with one name
// the shallower counts, then the tagged one, then none.
func fieldsOf(t reflect.Type, key string, rename func(string) string) []field {
	var all []field
	var closed [][]int // embedded structs that count as one member
	for _, f := range reflect.VisibleFields(t) {
		tag, _ := f.Tag.Lookup(key)
		name, options, _ := strings.Cut(tag, ",")
		if slices.ContainsFunc(closed, func(index []int) bool { return isPrefix(index, f.Index) }) {
			continue
		}
		if f.Anonymous && (tag == "-" || name != "") {
			closed = append(closed, f.Index)
		}
		if tag == "-" || f.Anonymous && name == "" && embeds(f.Type) || !f.IsExported() {
			continue
		}
		m := field{name: name, index: f.Index, typ: f.Type, tagged: name != ""}
		if name == "" {
			m.name = rename(f.Name)
		}
		for option := range strings.SplitSeq(options, ",") {
			m.omitEmpty = m.omitEmpty || option == "omitempty"
			m.omitZero = m.omitZero || option == "omitzero"
			m.inString = m.inString || option == "string"
		}
		all = append(all, m)
	}
	return slices.DeleteFunc(all, func(m field) bool { return !dominates(m, all) })
}

// embeds reports whether the fields of an embedded t are members of the struct around it.
func embeds(t reflect.Type) bool {
	return noPointer(t).Kind() == reflect.Struct && noPointer(t) != timeType
}

func isPrefix(prefix, index []int) bool {
	return len(prefix) < len(index) && slices.Equal(prefix, index[:len(prefix)])
}

// dominates reports whether no other member takes the name of m from it.
func dominates(m field, all []field) bool {
	for _, o := range all {
		if o.name != m.name || slices.Equal(o.index, m.index) {
			continue
		}
		if len(o.index) < len(m.index) || len(o.index) == len(m.index) && (o.tagged || !m.tagged) {
			return false
		}
	}
	return true
}

// byDepth orders members by how deep they are embedded, and else as declared.
func byDepth(fields []field, deepest bool) {
	slices.SortStableFunc(fields, func(a, b field) int {
		if deepest {
			a, b = b, a
		}
		return cmp.Compare(len(a.index), len(b.index))
	})
}

// in returns the field of the struct v, for reading: false if it is behind a nil pointer.
func (f *field) in(v reflect.Value) (reflect.Value, bool) {
	for i, x := range f.index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(x)
	}
	return v, true
}

// of returns the field of the struct v, for writing: nil pointers on the way become structs. It reports false if one cannot
// because its type is not exported.
func (f *field) of(v reflect.Value) (reflect.Value, bool) {
	for i, x := range f.index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				if !v.CanSet() {
					return v, false
				}
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(x)
	}
	return v, true
}

// omitted reports whether a member with that value is left out.
func (f *field) omitted(v reflect.Value) bool {
	if f.omitZero {
		if z, ok := v.Interface().(interface{ IsZero() bool }); ok && (v.Kind() != reflect.Pointer || !v.IsNil()) {
			return z.IsZero()
		}
		return v.IsZero()
	}
	if !f.omitEmpty {
		return false
	}
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}

// camelCase lowers the capitals at the start of a name up to the last one before a small letter: URLPath is urlPath, ID is id.
func camelCase(name string) string {
	runes := []rune(name)
	for i, r := range runes {
		last := i+1 == len(runes)
		if !unicode.IsUpper(r) || i > 0 && !last && !unicode.IsUpper(runes[i+1]) {
			break
		}
		runes[i] = unicode.ToLower(r)
	}
	return string(runes)
}

func asDeclared(name string) string { return name }

// foldNames maps the names of members, in small letters, to their place; the first of two that differ by case only counts.
func foldNames(fields []field) map[string]int {
	places := make(map[string]int, len(fields))
	for i, f := range fields {
		if folded := strings.ToLower(f.name); !has(places, folded) {
			places[folded] = i
		}
	}
	return places
}

func has(m map[string]int, key string) bool {
	_, ok := m[key]
	return ok
}

// lookupFold finds the place of a name without regard to case, without an allocation for names of ASCII up to 64 bytes.
func lookupFold(places map[string]int, name []byte) (int, bool) {
	var space [64]byte
	if len(name) > len(space) {
		i, ok := places[strings.ToLower(string(name))]
		return i, ok
	}
	for i, c := range name {
		if c >= utf8.RuneSelf {
			i, ok := places[strings.ToLower(string(name))]
			return i, ok
		}
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		space[i] = c
	}
	i, ok := places[string(space[:len(name)])]
	return i, ok
}
