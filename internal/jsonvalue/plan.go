package jsonvalue

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"sync"

	"github.com/hubbub-go/hubbub"
)

var (
	jsonOut = reflect.TypeFor[json.Marshaler]()
	jsonIn  = reflect.TypeFor[json.Unmarshaler]()
)

// plan is how values of one type are written and read. It is made when the first value comes, so types may contain
// themselves.
type plan struct {
	c      *Codec
	t      reflect.Type
	writer func() writeFunc
	reader func() readFunc
}

type (
	writeFunc func(dst []byte, v reflect.Value, depth int) ([]byte, error)
	readFunc  func(s *Scanner, v reflect.Value) error
)

// planOf returns the plan of a type.
func (c *Codec) planOf(t reflect.Type) *plan {
	if p, ok := c.plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{c: c, t: t}
	p.writer = sync.OnceValue(p.makeWriter)
	p.reader = sync.OnceValue(p.makeReader)
	first, _ := c.plans.LoadOrStore(t, p)
	return first.(*plan)
}

func (p *plan) of(t reflect.Type) *plan { return p.c.planOf(t) }

func (p *plan) write(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	return p.writer()(dst, v, depth)
}

func (p *plan) read(s *Scanner, v reflect.Value) error { return p.reader()(s, v) }

// planField is a member with the plan of its type and the bytes of its name.
type planField struct {
	Field
	plan   *plan
	quoted []byte // the name as a string with its colon
}

// fields lists the members of a struct, those of embedded structs last.
func (p *plan) fields() []planField {
	rename := camelCase
	if p.c.naming == hubbub.AsDeclared {
		rename = nil
	}
	plain := FieldsOf(p.t, "json", rename)
	ByDepth(plain, false)
	fields := make([]planField, len(plain))
	for i, f := range plain {
		fields[i] = planField{Field: f, plan: p.of(f.Type), quoted: append(p.c.appendString(nil, f.Name), ':')}
	}
	return fields
}

// mismatch says that a value of JSON is none of a type. The path grows on the way out.
type mismatch struct {
	typ  reflect.Type
	path string
	end  int // of the token that does not fit

	class, text string // of the classic form
}

func (m *mismatch) Error() string {
	return "The JSON value could not be converted to " + fullName(m.typ) + ". Path: $" + m.path
}

// mismatch is the error for the value that starts at start.
func (s *Scanner) mismatch(t reflect.Type, start int) error {
	if s.classic {
		return s.classicMismatch(t, start)
	}
	at := Scanner{b: s.b, i: start}
	if c := at.Peek(); c == '[' || c == '{' {
		at.i++
	} else if _, _, err := at.Scalar(); err != nil {
		return err
	}
	return &mismatch{typ: t, end: at.i}
}

// badKey is the error for a name that is no key of a map.
func (s *Scanner) badKey(t reflect.Type, name []byte) error {
	if s.classic {
		text := fmt.Sprintf("Could not convert string '%s' to dictionary key type '%s'.", name, fullName(t))
		return &mismatch{class: conversionClass, text: text, end: s.i}
	}
	return s.mismatch(t, s.i)
}

// under puts the name of a member in front of the path.
func under(err error, name []byte) error {
	if m, ok := err.(*mismatch); ok {
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
	if m, ok := err.(*mismatch); ok {
		m.path = "[" + strconv.Itoa(i) + "]" + m.path
	}
	return err
}
