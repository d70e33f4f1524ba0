package notify

import (
	"bytes"
	"encoding/json"

	"github.com/vmihailenco/msgpack/v5"
)

// rawJSON is a notification as it is stored and sent: encoded once, whoever gets it. Clients of the JSON protocol read its
// bytes; for those of MessagePack it is turned into the same maps, lists and numbers.
type rawJSON []byte

// MarshalJSON returns the bytes.
func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

// EncodeMsgpack writes the same value in MessagePack.
func (r rawJSON) EncodeMsgpack(e *msgpack.Encoder) error {
	d := json.NewDecoder(bytes.NewReader(r))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err
	}
	e.SetSortMapKeys(true)
	e.UseCompactInts(true)
	return e.Encode(plainNumbers(v))
}

// plainNumbers replaces the numbers in v, as text so far, by integers where they are whole.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = plainNumbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = plainNumbers(e)
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	}
	return v
}
