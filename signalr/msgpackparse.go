package signalr

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"github.com/hubbub-go/hubbub"
)

// msgpackEnvelope reads the items of a message in their order.
type msgpackEnvelope struct {
	p     msgpackProtocol
	b     []byte // what is left
	items uint32 // as announced
}

// parse reads the items that a message needs. Further items and what stands behind the array are ignored.
func (p msgpackProtocol) parse(record []byte) (hubbub.Message, error) {
	items, rest, err := msgp.ReadArrayHeaderBytes(record)
	if err != nil {
		return nil, unexpected(record, err)
	}
	e := &msgpackEnvelope{p: p, b: rest, items: items}
	typ, err := e.int("messageType", 32)
	if err != nil {
		return nil, err
	}
	switch typ {
	case int64(hubbub.TypeInvocation):
		return e.call(false)
	case int64(hubbub.TypeStreamInvocation):
		return e.call(true)
	case int64(hubbub.TypeStreamItem):
		return e.streamItem()
	case int64(hubbub.TypeCompletion):
		return e.completion()
	case int64(hubbub.TypeCancelInvocation):
		id, _, err := e.head("CancelInvocation")
		if err != nil {
			return nil, err
		}
		return &hubbub.CancelInvocation{InvocationID: id}, nil
	case int64(hubbub.TypePing):
		return hubbub.Ping{}, nil
	case int64(hubbub.TypeClose):
		return e.close()
	case int64(typeAck):
		n, err := e.int("sequenceId", 64)
		if err != nil {
			return nil, err
		}
		return ack{SequenceID: n}, nil
	case int64(typeSequence):
		n, err := e.int("sequenceId", 64)
		if err != nil {
			return nil, err
		}
		return sequence{SequenceID: n}, nil
	}
	return nil, nil
}

// unexpected is the error for a value that is not what must stand there, or that ends too early.
func unexpected(b []byte, err error) error {
	if len(b) == 0 || errors.Is(err, msgp.ErrShortBytes) {
		return hubbub.Classify("EndOfStreamException", err, "Attempted to read past the end of the stream.")
	}
	return hubbub.Classify("MessagePackSerializationException", err,
		fmt.Sprintf("Unexpected msgpack code %d (%s) encountered.", b[0], codeName(b[0])))
}

// head reads the headers and the id. what is "" where the id may be absent.
func (e *msgpackEnvelope) head(what string) (id string, headers map[string]string, err error) {
	if headers, err = e.headers(); err != nil {
		return "", nil, err
	}
	if id, err = e.string("invocationId"); err != nil {
		return "", nil, err
	}
	if id == "" && what != "" {
		return "", nil, invalidData("Null or empty invocation ID for %s message.", what)
	}
	return id, headers, nil
}

func (e *msgpackEnvelope) call(stream bool) (hubbub.Message, error) {
	what, needed := "Invocation", ""
	if stream {
		what, needed = "StreamInvocation", "StreamInvocation"
	}
	in := &hubbub.Invocation{Stream: stream}
	var err error
	if in.ID, in.Headers, err = e.head(needed); err != nil {
		return nil, err
	}
	if in.Target, err = e.string("target"); err != nil {
		return nil, err
	}
	if in.Target == "" {
		return nil, invalidData("Null or empty target for %s message.", what)
	}
	raw, err := e.arguments(in.ArgSpace())
	if err != nil {
		// What stands behind arguments that cannot be read cannot be read either. The call fails, the connection goes on.
		in.Args = hubbub.BadArgs(err)
		return in, nil
	}
	in.Args = hubbub.RawArgs(raw, e.p)
	if e.items > 5 {
		if in.StreamIDs, err = e.streamIDs(); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// arguments cuts the arguments apart and appends them to raw.
func (e *msgpackEnvelope) arguments(raw [][]byte) ([][]byte, error) {
	n, rest, err := msgp.ReadArrayHeaderBytes(e.b)
	if err != nil {
		return nil, hubbub.Classify("InvalidDataException", err, "Reading array length for 'arguments' failed.")
	}
	e.b = rest
	for range n {
		arg, err := e.value()
		if err != nil {
			return nil, hubbub.Classify("InvalidDataException", err, "Error binding arguments. "+
				"Make sure that the types of the provided values match the types of the hub method being invoked.")
		}
		raw = append(raw, arg)
	}
	return raw, nil
}

// value cuts off one value of any kind.
func (e *msgpackEnvelope) value() ([]byte, error) {
	n, err := valueLen(e.b)
	if err != nil {
		return nil, err
	}
	raw := e.b[:n:n]
	e.b = e.b[n:]
	return raw, nil
}

func (e *msgpackEnvelope) streamItem() (hubbub.Message, error) {
	id, _, err := e.head("StreamItem")
	if err != nil {
		return nil, err
	}
	// An item that is cut off fails when somebody decodes it, so that the stream fails and not the connection.
	raw, err := e.value()
	if err != nil {
		raw = e.b
	}
	return &hubbub.StreamItem{InvocationID: id, Item: hubbub.RawValue(raw, e.p)}, nil
}

func (e *msgpackEnvelope) completion() (hubbub.Message, error) {
	id, _, err := e.head("Completion")
	if err != nil {
		return nil, err
	}
	m := &hubbub.Completion{InvocationID: id}
	kind, err := e.int("resultKind", 32)
	if err != nil {
		return nil, err
	}
	switch kind {
	case kindError:
		m.Error, err = e.string("error")
	case kindResult:
		m.HasResult = true
		raw, short := e.value()
		if short != nil {
			raw = e.b
		}
		m.Result = hubbub.RawValue(raw, e.p)
	case kindVoid:
	default:
		err = invalidData("Invalid invocation result kind.")
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (e *msgpackEnvelope) close() (hubbub.Message, error) {
	m := new(hubbub.Close)
	var err error
	if m.Error, err = e.string("error"); err != nil {
		return nil, err
	}
	if e.items > 2 {
		b, _, err := msgp.ReadBoolBytes(e.b)
		if err != nil {
			return nil, hubbub.Classify("InvalidDataException", err, "Reading 'allowReconnect' as Boolean failed.")
		}
		m.AllowReconnect = b
	}
	return m, nil
}

func (e *msgpackEnvelope) headers() (map[string]string, error) {
	n, rest, err := msgp.ReadMapHeaderBytes(e.b)
	if err != nil {
		return nil, hubbub.Classify("InvalidDataException", err, "Reading map length for 'headers' failed.")
	}
	e.b = rest
	var headers map[string]string
	for i := range n {
		key, err := e.string("headers[" + strconv.Itoa(int(i)) + "].Key")
		if err != nil {
			return nil, err
		}
		if key == "" {
			return nil, invalidData("Null or empty key in header.")
		}
		value, err := e.string("headers[" + strconv.Itoa(int(i)) + "].Value")
		if err != nil {
			return nil, err
		}
		if value == "" {
			return nil, invalidData("Null or empty value in header.")
		}
		if headers == nil {
			headers = make(map[string]string)
		}
		if _, twice := headers[key]; twice {
			return nil, hubbub.Classify("ArgumentException", nil, "An item with the same key has already been added. Key: "+key)
		}
		headers[key] = value
	}
	return headers, nil
}

func (e *msgpackEnvelope) streamIDs() ([]string, error) {
	n, rest, err := msgp.ReadArrayHeaderBytes(e.b)
	if err != nil {
		return nil, hubbub.Classify("InvalidDataException", err, "Reading array length for 'streamIds' failed.")
	}
	e.b = rest
	var ids []string
	for range n {
		id, rest, err := readText(e.b)
		if err != nil {
			return nil, unexpected(e.b, err)
		}
		e.b = rest
		if id == "" {
			return nil, invalidData("Null or empty value in streamIds received.")
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// string reads a text, "" for nil.
func (e *msgpackEnvelope) string(field string) (string, error) {
	s, rest, err := readText(e.b)
	if err != nil {
		return "", hubbub.Classify("InvalidDataException", err, "Reading '"+field+"' as String failed.")
	}
	e.b = rest
	return s, nil
}

func (e *msgpackEnvelope) int(field string, bits int) (int64, error) {
	n, rest, err := msgp.ReadInt64Bytes(e.b)
	if err == nil && bits == 32 && int64(int32(n)) != n {
		err = errRange
	}
	if err != nil {
		return 0, hubbub.Classify("InvalidDataException", err, "Reading '"+field+"' as Int"+strconv.Itoa(bits)+" failed.")
	}
	e.b = rest
	return n, nil
}

// readText reads a text, "" for nil. Bytes that are no UTF-8 become U+FFFD.
func readText(b []byte) (string, []byte, error) {
	if len(b) > 0 && b[0] == codeNil {
		return "", b[1:], nil
	}
	raw, rest, err := msgp.ReadStringZC(b)
	if err != nil {
		return "", b, err
	}
	if !utf8.Valid(raw) {
		return string([]rune(string(raw))), rest, nil
	}
	return string(raw), rest, nil
}
