package jsonvalue

import (
	"encoding"
	"encoding/json"
	"reflect"
	"time"

	"github.com/hubbub-go/hubbub"
)

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	rawJSONType  = reflect.TypeFor[json.RawMessage]()
	numberType   = reflect.TypeFor[json.Number]()
	valueType    = reflect.TypeFor[hubbub.Value]()
	textOut      = reflect.TypeFor[encoding.TextMarshaler]()
	textIn       = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// kindNames are the .NET names of the scalars. An int counts as Int32 because that is what it usually is on the other side.
var kindNames = map[reflect.Kind]string{
	reflect.Bool: "Boolean", reflect.String: "String",
	reflect.Int: "Int32", reflect.Int8: "SByte", reflect.Int16: "Int16", reflect.Int32: "Int32", reflect.Int64: "Int64",
	reflect.Uint: "UInt32", reflect.Uint8: "Byte", reflect.Uint16: "UInt16", reflect.Uint32: "UInt32", reflect.Uint64: "UInt64",
	reflect.Float32: "Single", reflect.Float64: "Double", reflect.Interface: "Object",
}

// TypeName is the short .NET name of a Go type, such as Int32. Pointers count as what they point to.
func TypeName(t reflect.Type) string {
	_, name := netName(t)
	return name
}

// fullName is the .NET name with its namespace. Types of the program have none.
func fullName(t reflect.Type) string {
	space, name := netName(t)
	if name == dictionary {
		t = NoPointer(t)
		name += "[" + fullName(t.Key()) + "," + fullName(t.Elem()) + "]"
	}
	return space + name
}

const dictionary = "Dictionary`2"

func netName(t reflect.Type) (space, name string) {
	t = NoPointer(t)
	switch t {
	case nil:
		return "System.", "Object"
	case timeType:
		return "System.", "DateTime"
	case durationType:
		return "System.", "TimeSpan"
	case valueType:
		return "System.", "Object"
	case rawJSONType:
		return "System.Text.Json.", "JsonElement"
	case numberType:
		return "System.", "Decimal"
	}
	if IsUUID(t) {
		return "System.", "Guid"
	}
	if t.Name() != "" && t.PkgPath() != "" {
		return "", t.Name()
	}
	if name, ok := kindNames[t.Kind()]; ok {
		return "System.", name
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		space, name := netName(t.Elem())
		return space, name + "[]"
	case reflect.Map:
		return "System.Collections.Generic.", dictionary
	default:
		return "", t.String()
	}
}

// NoPointer returns what pointers lead to: up to eight of them, for a pointer type may lead to itself.
func NoPointer(t reflect.Type) reflect.Type {
	for range 8 {
		if t == nil || t.Kind() != reflect.Pointer {
			break
		}
		t = t.Elem()
	}
	return t
}

// UUIDLen is the length of the one text that counts as a UUID: 8-4-4-4-12 digits.
const UUIDLen = 36

// IsUUID reports whether t looks like a UUID: 16 bytes that know their text.
func IsUUID(t reflect.Type) bool {
	return t.Kind() == reflect.Array && t.Len() == 16 && t.Elem().Kind() == reflect.Uint8 && reflect.PointerTo(t).Implements(textIn)
}
