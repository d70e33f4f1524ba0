package signalr

import (
	"encoding/json"
	"reflect"
	"strconv"
	"sync"

	"github.com/hubbub-go/hubbub"
)

var (
	jsonOut = reflect.TypeFor[json.Marshaler]()
	jsonIn  = reflect.TypeFor[json.Unmarshaler]()
)

// jsonPlan is how values of one type are written and read. It is made when the first value comes, so types may contain
// themselves.
type jsonPlan struct {
	t      reflect.Type
	naming hubbub.Naming
	writer func() jsonWrite
	reader func() jsonRead
}

type (
	jsonWrite func(dst []byte, v reflect.Value, depth int) ([]byte, error)
	jsonRead  func(s *jsonScanner, v reflect.Value) error
)

// jsonPlans holds the plans by type, for each naming.
var jsonPlans [2]sync.Map

func jsonPlanOf(t reflect.Type, naming hubbub.Naming) *jsonPlan {
	plans := &jsonPlans[min(naming, hubbub.AsDeclared)]
	if p, ok := plans.Load(t); ok {
		return p.(*jsonPlan)
	}
	p := &jsonPlan{t: t, naming: naming}
	p.writer = sync.OnceValue(p.makeWriter)
	p.reader = sync.OnceValue(p.makeReader)
	first, _ := plans.LoadOrStore(t, p)
	return first.(*jsonPlan)
}

func (p *jsonPlan) of(t reflect.Type) *jsonPlan { return jsonPlanOf(t, p.naming) }

func (p *jsonPlan) write(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	return p.writer()(dst, v, depth)
}

func (p *jsonPlan) read(s *jsonScanner, v reflect.Value) error { return p.reader()(s, v) }

// jsonField is a member with the plan of its type and the bytes of its name.
type jsonField struct {
	field
	plan   *jsonPlan
	quoted []byte // the name as a string with its colon
}

// fields lists the members of a struct, those of embedded structs last.
func (p *jsonPlan) fields() []jsonField {
	rename := camelCase
	if p.naming == hubbub.AsDeclared {
		rename = asDeclared
	}
	plain := fieldsOf(p.t, "json", rename)
	byDepth(plain, false)
	fields := make([]jsonField, len(plain))
	for i, f := range plain {
		fields[i] = jsonField{field: f, plan: p.of(f.typ), quoted: append(appendString(nil, f.name), ':')}
	}
	return fields
}

// jsonMismatch says that a value of JSON is none of a type. The path grows on the way out.
type jsonMismatch struct {
	typ  reflect.Type
	path string
	end  int // of the token that does not fit
}

func (m *jsonMismatch) Error() string {
	return "The JSON value could not be converted to " + fullTypeName(m.typ) + ". Path: $" + m.path
}

// mismatch is the error for the value that starts at start.
func (s *jsonScanner) mismatch(t reflect.Type, start int) error {
	at := jsonScanner{b: s.b, i: start}
	if c := at.peek(); c == '[' || c == '{' {
		at.i++
	} else if _, _, err := at.scalar(); err != nil {
		return err
	}
	return &jsonMismatch{typ: t, end: at.i}
}

// under puts the name of a member in front of the path.
func under(err error, name []byte) error {
	if m, ok := err.(*jsonMismatch); ok {
		for _, c := range name {
			switch c {
			case '.', ' ', '\'', '/', '"', '[', ']', '(', ')', '\t', '\n', '\r', '\f', '\b', '\\':
				m.path = "['" + string(name) + "']" + m.path
				return err
			}
		}
		m.path = "." + string(name) + m.path
	}
	return err
}

// within puts the place of an element in front of the path.
func within(err error, i int) error {
	if m, ok := err.(*jsonMismatch); ok {
		m.path = "[" + strconv.Itoa(i) + "]" + m.path
	}
	return err
}
