package gateway

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SchemaOf returns the JSON schema of what encoding/json makes of a T, for the schemas of [Route] and [HubRoute]. Members that are
// not left out when they are empty are required, and pointers may be null; slices and maps are taken for not nil. A type that writes its own JSON can be anything. It panics
// if T has no JSON form: a channel, a function, a complex number.
func SchemaOf[T any]() json.RawMessage {
	s := schemaWriter{names: make(map[reflect.Type]string), taken: make(map[string]bool)}
	schema := s.of(reflect.TypeFor[T](), false)
	if len(s.definitions) > 0 {
		schema = append(slices.Clone(schema), member{"$defs", s.definitions})
	}
	raw, err := json.Marshal(schema)
	if err != nil {
		panic(fmt.Sprintf("gateway: SchemaOf %v: %v", reflect.TypeFor[T](), err))
	}
	return raw
}

// schemaWriter writes the schema of one type. Structs that have a name are definitions, so that they may have themselves in them.
type schemaWriter struct {
	definitions object
	names       map[reflect.Type]string
	taken       map[string]bool
}

var (
	timeType       = reflect.TypeFor[time.Time]()
	numberType     = reflect.TypeFor[json.Number]()
	marshaler      = reflect.TypeFor[json.Marshaler]()
	textMarshaler  = reflect.TypeFor[encoding.TextMarshaler]()
	unsignedSchema = object{{"type", "integer"}, {"minimum", 0}}
)

// of returns the schema of a type; nullable says that null is good too.
func (s *schemaWriter) of(t reflect.Type, nullable bool) object {
	if t.Kind() == reflect.Pointer {
		return s.of(t.Elem(), true)
	}
	schema := s.plain(t)
	if !nullable || len(schema) == 0 {
		return schema
	}
	if kind, ok := schema.get("type").(string); ok {
		schema = slices.Clone(schema)
		schema.set("type", []string{kind, "null"})
		return schema
	}
	return object{{"anyOf", []object{schema, {{"type", "null"}}}}}
}

func (s *schemaWriter) plain(t reflect.Type) object {
	own := func(i reflect.Type) bool { return t.Implements(i) || reflect.PointerTo(t).Implements(i) }
	switch {
	case t == timeType:
		return object{{"type", "string"}, {"format", "date-time"}}
	case t == numberType:
		return object{{"type", "number"}}
	case t.Kind() != reflect.Interface && own(marshaler):
		return object{}
	case t.Kind() != reflect.Interface && own(textMarshaler):
		return object{{"type", "string"}}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{{"type", "boolean"}}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return object{{"type", "integer"}}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return unsignedSchema
	case reflect.Float32, reflect.Float64:
		return object{{"type", "number"}}
	case reflect.String:
		return object{{"type", "string"}}
	case reflect.Interface:
		return object{}
	case reflect.Slice, reflect.Array:
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
			return object{{"type", "string"}, {"contentEncoding", "base64"}}
		}
		return object{{"type", "array"}, {"items", s.of(t.Elem(), false)}}
	case reflect.Map:
		return object{{"type", "object"}, {"additionalProperties", s.of(t.Elem(), false)}}
	case reflect.Struct:
		return s.structure(t)
	}
	panic(fmt.Sprintf("gateway: SchemaOf: a %v has no JSON form", t))
}

// structure returns the schema of a struct: a reference if it has a name.
func (s *schemaWriter) structure(t reflect.Type) object {
	if t.Name() == "" {
		return s.members(t)
	}
	if s.names[t] == "" {
		name, _, _ := strings.Cut(t.Name(), "[") // without parameters of the type
		for i, base := 2, name; s.taken[name]; i++ {
			name = base + strconv.Itoa(i)
		}
		s.names[t], s.taken[name] = name, true
		s.definitions.set(name, object{}) // its place
		s.definitions.set(name, s.members(t))
	}
	return object{{"$ref", "#/$defs/" + s.names[t]}}
}

// members returns the schema of a struct as an object.
func (s *schemaWriter) members(t reflect.Type) object {
	properties, required := object{}, []string{}
	s.fields(t, &properties, &required, []reflect.Type{t})
	schema := object{{"type", "object"}, {"properties", properties}}
	if len(required) > 0 {
		schema = append(schema, member{"required", required})
	}
	return schema
}

// fields adds the members that the fields of a struct become, outer are the structs that it is in; those of a struct within that has
// no name of its own come after, and do not replace others. required may be nil.
func (s *schemaWriter) fields(t reflect.Type, properties *object, required *[]string, outer []reflect.Type) {
	var within []reflect.StructField
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case tag == "-":
			continue
		case f.Anonymous && name == "" && inner.Kind() == reflect.Struct:
			if !slices.Contains(outer, inner) {
				within = append(within, f)
			}
			continue
		case !f.IsExported():
			continue
		case name == "":
			name = f.Name
		}
		if properties.has(name) {
			continue
		}
		schema := s.of(f.Type, false)
		all := strings.Split(options, ",")
		if kind, ok := schema.get("type").(string); ok && slices.Contains(all, "string") && slices.Contains([]string{"integer", "number", "boolean"}, kind) {
			schema = object{{"type", "string"}}
		}
		properties.set(name, schema)
		if required != nil && !slices.Contains(all, "omitempty") && !slices.Contains(all, "omitzero") {
			*required = append(*required, name)
		}
	}
	for _, f := range within {
		if f.Type.Kind() == reflect.Pointer { // without it there are none of its members
			s.fields(f.Type.Elem(), properties, nil, append(slices.Clone(outer), f.Type.Elem()))
			continue
		}
		s.fields(f.Type, properties, required, append(slices.Clone(outer), f.Type))
	}
}
