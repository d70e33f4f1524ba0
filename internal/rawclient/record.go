package rawclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// Separator ends every record of JSON and the handshake.
const Separator = "\x1e"

// Encode turns records, written as JSON, into what the protocol sends.
func Encode(protocol string, records ...string) ([]byte, error) {
	var out []byte
	for _, r := range records {
		if protocol != "messagepack" {
			out = append(append(out, r...), Separator...)
			continue
		}
		body, err := toMessagePack(r)
		if err != nil {
			return nil, fmt.Errorf("record %s as MessagePack: %w", r, err)
		}
		out = append(Prefix(out, len(body)), body...)
	}
	return out, nil
}

// Prefix appends the length that stands before a record of MessagePack.
func Prefix(dst []byte, n int) []byte {
	for n > 0x7f {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

// message has the members of all messages.
type message struct {
	Type           int               `json:"type"`
	Headers        map[string]string `json:"headers,omitempty"`
	InvocationID   string            `json:"invocationId,omitempty"`
	Target         *string           `json:"target,omitempty"`
	Arguments      *[]any            `json:"arguments,omitempty"`
	StreamIDs      []string          `json:"streamIds,omitempty"`
	Item           *any              `json:"item,omitempty"`
	Error          string            `json:"error,omitempty"`
	Result         *json.RawMessage  `json:"result,omitempty"`
	AllowReconnect bool              `json:"allowReconnect,omitempty"`
	SequenceID     *int64            `json:"sequenceId,omitempty"`
}

func toMessagePack(record string) ([]byte, error) {
	var m message
	d := json.NewDecoder(bytes.NewReader([]byte(record)))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	headers := m.Headers
	if headers == nil {
		headers = map[string]string{}
	}
	var id any
	if m.InvocationID != "" {
		id = m.InvocationID
	}
	var list []any
	switch m.Type {
	case 1, 4:
		if m.Target == nil || m.Arguments == nil {
			return nil, errors.New("target and arguments are wanted")
		}
		ids := m.StreamIDs
		if ids == nil {
			ids = []string{}
		}
		list = []any{m.Type, headers, id, *m.Target, numbers(*m.Arguments), ids}
	case 2:
		var item any
		if m.Item != nil {
			item = numbers(*m.Item)
		}
		list = []any{m.Type, headers, id, item}
	case 3:
		list = []any{m.Type, headers, id, 2}
		if m.Error != "" {
			list = []any{m.Type, headers, id, 1, m.Error}
		} else if v, ok, err := resultOf(record); err != nil {
			return nil, err
		} else if ok {
			list = []any{m.Type, headers, id, 3, v}
		}
	case 5:
		list = []any{m.Type, headers, id}
	case 7:
		var text any
		if m.Error != "" {
			text = m.Error
		}
		list = []any{m.Type, text, m.AllowReconnect}
	case 8, 9:
		list = []any{m.Type, *m.SequenceID}
	default:
		list = []any{m.Type}
	}
	return pack(list)
}

// resultOf is the result of a completion, and whether it has one: null is one.
func resultOf(record string) (v any, ok bool, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(record), &members); err != nil {
		return nil, false, err
	}
	raw, ok := members["result"]
	if !ok {
		return nil, false, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, false, err
	}
	return numbers(v), true, nil
}

// pack encodes a value with the shortest numbers.
func pack(v any) ([]byte, error) {
	var b bytes.Buffer
	e := msgpack.NewEncoder(&b)
	e.UseCompactInts(true)
	err := e.Encode(v)
	return b.Bytes(), err
}

// numbers replaces the numbers of JSON by those of Go.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

// Decode turns a record of a protocol, without what delimits it, into JSON in the order of members that ASP.NET Core has. JSON is not
// changed.
func Decode(protocol string, record []byte) (string, error) {
	if protocol != "messagepack" {
		return string(record), nil
	}
	var list []any
	d := msgpack.NewDecoder(bytes.NewReader(record))
	d.UseLooseInterfaceDecoding(true)
	v, err := d.DecodeInterfaceLoose()
	if err != nil {
		return "", fmt.Errorf("record %x: %w", record, err)
	}
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return "", fmt.Errorf("record %x: want an array", record)
	}
	return render(list)
}

func render(list []any) (string, error) {
	at := func(i int) any {
		if i < len(list) {
			return list[i]
		}
		return nil
	}
	kind, _ := at(0).(int64)
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"type":%d`, kind)
	member := func(name string, v any) {
		if v == nil || v == "" {
			return
		}
		fmt.Fprintf(&b, `,"%s":%s`, name, plain(v))
	}
	always := func(name string, v any) { fmt.Fprintf(&b, `,"%s":%s`, name, plain(v)) }
	if h, ok := at(1).(map[string]any); ok && len(h) > 0 {
		member("headers", h)
	}
	switch kind {
	case 1, 4:
		member("invocationId", at(2))
		always("target", at(3))
		always("arguments", at(4))
		if ids, ok := at(5).([]any); ok && len(ids) > 0 {
			member("streamIds", ids)
		}
	case 2:
		member("invocationId", at(2))
		always("item", at(3))
	case 3:
		member("invocationId", at(2))
		switch at(3) {
		case int64(1):
			always("error", at(4))
		case int64(3):
			always("result", at(4))
		}
	case 5:
		member("invocationId", at(2))
	case 7:
		member("error", at(1))
		if at(2) == true {
			always("allowReconnect", true)
		}
	case 8, 9:
		always("sequenceId", at(1))
	}
	b.WriteByte('}')
	return b.String(), nil
}

// plain is a value as JSON, without the escapes for HTML.
func plain(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprintf("%q", err.Error())
	}
	return string(bytes.TrimSpace(b.Bytes()))
}

// split cuts a chunk of the server into its records. Nothing may be left over: a record is never split.
func split(protocol string, chunk []byte) (records [][]byte, err error) {
	for len(chunk) > 0 {
		if protocol != "messagepack" {
			i := bytes.IndexByte(chunk, Separator[0])
			if i < 0 {
				return records, fmt.Errorf("a record without its end: %q", chunk)
			}
			records, chunk = append(records, chunk[:i]), chunk[i+1:]
			continue
		}
		n, shift, size := 0, 0, 0
		for size < len(chunk) && size < 5 {
			n |= int(chunk[size]&0x7f) << shift
			shift += 7
			size++
			if chunk[size-1]&0x80 == 0 {
				break
			}
		}
		if n > len(chunk)-size || chunk[size-1]&0x80 != 0 {
			return records, fmt.Errorf("a record without its end: %x", chunk)
		}
		records, chunk = append(records, chunk[size:size+n]), chunk[size+n:]
	}
	return records, nil
}
