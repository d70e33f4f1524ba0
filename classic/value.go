package classic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/hubbub-go/hubbub"
)

// codec turns Go values into JSON and back, in the form that Json.NET gives them.
type codec struct{}

// Append appends v.
func (c *codec) Append(dst []byte, v any) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return dst, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// AppendValue appends a value as it came, or on its way out.
func (c *codec) AppendValue(dst []byte, x hubbub.Value) ([]byte, error) {
	raw, dec := x.Raw()
	if dec == nil {
		return c.Append(dst, x.Any())
	}
	if _, same := dec.(*codec); same {
		return append(dst, raw...), nil
	}
	var v any
	if err := dec.Decode(raw, &v); err != nil {
		return dst, err
	}
	return c.Append(dst, v)
}

// Decode implements hubbub.Decoder.
func (c *codec) Decode(raw []byte, v any) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("read %T: %w", v, err)
	}
	return nil
}

// TypeName names the type of v for people.
func (c *codec) TypeName(v any) string { return reflect.TypeOf(v).String() }

// appendText appends a JSON string.
func appendText(dst []byte, s string) []byte {
	out, err := (&codec{}).Append(dst, s)
	if err != nil { // a string has nothing that could fail
		return append(dst, `""`...)
	}
	return out
}
