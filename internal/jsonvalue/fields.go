package jsonvalue

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Field is one member of a struct on the wire.
type Field struct {
	Name      string
	Type      reflect.Type
	index     []int
	tagged    bool
	omitEmpty bool // leave out when false, 0, "", nil or of no elements
	omitZero  bool // leave out when zero, or when its IsZero method says so
	inString  bool // a scalar is written inside a string
}

// FieldsOf lists the members of a struct: its exported fields and those of embedded structs that Go promotes. A tag with that
// key gives the name and options as for encoding/json, rename gives the names of the others, or else they stay as declared. Of
// two members with one name the shallower counts, then the tagged one, then none.
func FieldsOf(t reflect.Type, key string, rename func(string) string) []Field {
	var all []Field
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
		m := Field{Name: name, Type: f.Type, index: f.Index, tagged: name != ""}
		switch {
		case name == "" && rename != nil:
			m.Name = rename(f.Name)
		case name == "":
			m.Name = f.Name
		}
		for option := range strings.SplitSeq(options, ",") {
			m.omitEmpty = m.omitEmpty || option == "omitempty"
			m.omitZero = m.omitZero || option == "omitzero"
			m.inString = m.inString || option == "string"
		}
		all = append(all, m)
	}
	return slices.DeleteFunc(all, func(m Field) bool { return !dominates(m, all) })
}

// embeds reports whether the fields of an embedded t are members of the struct around it.
func embeds(t reflect.Type) bool {
	return NoPointer(t).Kind() == reflect.Struct && NoPointer(t) != timeType
}

func isPrefix(prefix, index []int) bool {
	return len(prefix) < len(index) && slices.Equal(prefix, index[:len(prefix)])
}

// dominates reports whether no other member takes the name of m from it.
func dominates(m Field, all []Field) bool {
	for _, o := range all {
		if o.Name != m.Name || slices.Equal(o.index, m.index) {
			continue
		}
		if len(o.index) < len(m.index) || len(o.index) == len(m.index) && (o.tagged || !m.tagged) {
			return false
		}
	}
	return true
}

// ByDepth orders members by how deep they are embedded, and else as declared.
func ByDepth(fields []Field, deepest bool) {
	slices.SortStableFunc(fields, func(a, b Field) int {
		if deepest {
			a, b = b, a
		}
		return cmp.Compare(len(a.index), len(b.index))
	})
}

// In returns the field of the struct v, for reading: false if it is behind a nil pointer.
func (f *Field) In(v reflect.Value) (reflect.Value, bool) {
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

// Of returns the field of the struct v, for writing: nil pointers on the way become structs. It reports false if one cannot
// because its type is not exported.
func (f *Field) Of(v reflect.Value) (reflect.Value, bool) {
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

// Optional reports whether some structs have nothing to write for the member.
func (f *Field) Optional() bool { return f.omitEmpty || f.omitZero || len(f.index) > 1 }

// Omitted reports whether a member with that value is left out.
func (f *Field) Omitted(v reflect.Value) bool {
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

// foldNames maps the names of members, in small letters, to their place; the first of two that differ by case only counts.
func foldNames(fields []Field) map[string]int {
	places := make(map[string]int, len(fields))
	for i, f := range fields {
		if folded := strings.ToLower(f.Name); !has(places, folded) {
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
