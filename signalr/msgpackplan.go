package signalr

import (
	"encoding"
	"encoding/json"
	"reflect"
	"sync"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

// packMarshaler and packUnmarshaler are the methods of types that bring whole values of MessagePack.
type (
	packMarshaler   interface{ MarshalMsgpack() ([]byte, error) }
	packUnmarshaler interface{ UnmarshalMsgpack([]byte) error }
)

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	rawJSONType  = reflect.TypeFor[json.RawMessage]()
	numberType   = reflect.TypeFor[json.Number]()
	valueType    = reflect.TypeFor[hubbub.Value]()
	textOut      = reflect.TypeFor[encoding.TextMarshaler]()
	textIn       = reflect.TypeFor[encoding.TextUnmarshaler]()

	msgpOut = reflect.TypeFor[msgp.Marshaler]()
	msgpIn  = reflect.TypeFor[msgp.Unmarshaler]()
	packOut = reflect.TypeFor[packMarshaler]()
	packIn  = reflect.TypeFor[packUnmarshaler]()
)

// maxPackDepth is how deep values may nest. It is that of MessagePack-CSharp for untrusted data.
const maxPackDepth = 500

// packPlan is how values of one type are written and read. It is made when the first value comes, so types may contain
// themselves.
type packPlan struct {
	t      reflect.Type
	writer func() packWrite
	reader func() packRead
}

type (
	packWrite func(dst []byte, v reflect.Value, depth int) ([]byte, error)
	packRead  func(b []byte, v reflect.Value, depth int) (rest []byte, err error)
)

var packPlans sync.Map

func packPlanOf(t reflect.Type) *packPlan {
	if p, ok := packPlans.Load(t); ok {
		return p.(*packPlan)
	}
	p := &packPlan{t: t}
	p.writer = sync.OnceValue(p.makeWriter)
	p.reader = sync.OnceValue(p.makeReader)
	first, _ := packPlans.LoadOrStore(t, p)
	return first.(*packPlan)
}

func (p *packPlan) write(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	return p.writer()(dst, v, depth)
}

func (p *packPlan) read(b []byte, v reflect.Value, depth int) ([]byte, error) {
	return p.reader()(b, v, depth)
}

// packDeeper counts a level of nesting.
func packDeeper(depth int) (int, error) {
	if depth >= maxPackDepth {
		return depth, errNest
	}
	return depth + 1, nil
}

// packField is a member with the plan of its type and the bytes of its name.
type packField struct {
	jsonvalue.Field
	plan  *packPlan
	bytes []byte
}

// fields lists the members of a struct, those of embedded structs first. asArray is true for a struct with a field
// that is not exported and tagged `msgpack:",as_array"`.
func (p *packPlan) fields() (fields []packField, asArray bool) {
	plain := jsonvalue.FieldsOf(p.t, "msgpack", nil)
	jsonvalue.ByDepth(plain, true)
	fields = make([]packField, len(plain))
	for i, f := range plain {
		fields[i] = packField{Field: f, plan: packPlanOf(f.Type), bytes: appendText(nil, f.Name)}
	}
	for i := range p.t.NumField() {
		f := p.t.Field(i)
		asArray = asArray || !f.IsExported() && f.Tag.Get("msgpack") == ",as_array"
	}
	return fields, asArray
}
