package signalr

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

// jsonEnvelope collects the members of a message while they come by. They come in any order, and the last of a name wins, so
// what they mean together is decided at the end.
type jsonEnvelope struct {
	p *jsonProtocol
	s jsonvalue.Scanner

	typ        int64
	id, target string
	errText    string
	in         *hubbub.Invocation // made when arguments, streamIds or headers come
	args       hubbub.Args
	item       []byte
	result     []byte
	sequence   int64
	reconnect  bool

	hasType, hasTarget, hasArgs, hasError, hasSequence bool
}

func (p *jsonProtocol) parse(record []byte) (hubbub.Message, error) {
	e := jsonEnvelope{p: p, s: p.Scan(record)}
	if err := openObject(&e.s); err != nil {
		return nil, rejection(err)
	}
	for first := true; ; first = false {
		ok, err := e.s.More(first, '}')
		if err != nil {
			return nil, rejection(err)
		}
		if !ok {
			return e.message()
		}
		name, err := e.s.Name()
		if err == nil {
			err = e.member(name)
		}
		if err != nil {
			return nil, rejection(err)
		}
	}
}

// openObject steps into the object that a record must be.
func openObject(s *jsonvalue.Scanner) error {
	var kind string
	switch s.Peek() {
	case '{':
		return s.Enter()
	case '[':
		kind = "Array"
	default:
		c, _, err := s.Scalar()
		if err != nil {
			return err
		}
		kind = tokenName(c)
	}
	return invalidData("Unexpected JSON Token Type '%s'. Expected a JSON Object.", kind)
}

// tokenName is the name of a token by its first byte, as System.Text.Json has it.
func tokenName(c byte) string {
	switch c {
	case '"':
		return "String"
	case 't':
		return "True"
	case 'f':
		return "False"
	case 'n':
		return "Null"
	case '[':
		return "StartArray"
	case '{':
		return "StartObject"
	default:
		return "Number"
	}
}

// rejection is the error that ends the connection: syntax errors all read the same there.
func rejection(err error) error {
	switch {
	case errors.Is(err, jsonvalue.ErrSyntax), errors.Is(err, jsonvalue.ErrDepth):
		return hubbub.Classify("InvalidDataException", err, "Error reading JSON.")
	case errors.Is(err, jsonvalue.ErrUTF8):
		return hubbub.Classify("InvalidOperationException", err, "Cannot transcode invalid UTF-8 JSON text to UTF-16 string.")
	case errors.Is(err, jsonvalue.ErrSurrogate):
		return hubbub.Classify("InvalidOperationException", err, "Cannot read incomplete UTF-16 JSON text as string with missing low surrogate.")
	}
	return err
}

func invalidData(format string, args ...any) error {
	return hubbub.Classify("InvalidDataException", nil, fmt.Sprintf(format, args...))
}

// member reads the value of one member.
func (e *jsonEnvelope) member(name []byte) (err error) {
	switch string(name) {
	case "type":
		e.hasType = true
		e.typ, err = wireInt(&e.s, "type", 32)
	case "invocationId":
		e.id, err = wireString(&e.s, "invocationId")
	case "target":
		e.hasTarget = true
		e.target, err = wireString(&e.s, "target")
	case "arguments":
		e.hasArgs = true
		err = e.arguments()
	case "streamIds":
		err = e.streamIDs()
	case "headers":
		err = e.headers()
	case "item":
		e.item, err = e.s.RawValue()
	case "result":
		e.result, err = e.s.RawValue()
	case "error":
		e.hasError = true
		e.errText, err = wireString(&e.s, "error")
	case "allowReconnect":
		var kind byte
		if kind, _, err = wireToken(&e.s); err == nil && kind != 't' && kind != 'f' {
			return invalidData("Expected 'allowReconnect' to be true or false.")
		}
		e.reconnect = kind == 't'
	case "sequenceId":
		e.hasSequence = true
		e.sequence, err = wireInt(&e.s, "sequenceId", 64)
	default:
		err = e.s.Skip()
	}
	return err
}

// wireToken steps over a scalar and returns its kind and its bytes. Of an array or an object it only tells the kind.
func wireToken(s *jsonvalue.Scanner) (kind byte, raw []byte, err error) {
	if c := s.Peek(); c == '[' || c == '{' {
		return c, nil, nil
	}
	return s.Scalar()
}

func wireString(s *jsonvalue.Scanner, name string) (string, error) {
	if s.Peek() == '"' {
		return s.Text()
	}
	if _, _, err := wireToken(s); err != nil {
		return "", err
	}
	return "", invalidData("Expected '%s' to be of type String.", name)
}

func wireInt(s *jsonvalue.Scanner, name string, bits int) (int64, error) {
	kind, raw, err := wireToken(s)
	if err != nil {
		return 0, err
	}
	if kind != '0' {
		return 0, invalidData("Expected '%s' to be of type Number.", name)
	}
	n, err := jsonvalue.ParseInt(raw, bits)
	if err != nil {
		return 0, hubbub.Classify("FormatException", err, "Either the JSON value is not in a supported format, or is out of bounds for an Int"+strconv.Itoa(bits)+".")
	}
	return n, nil
}

func (e *jsonEnvelope) invocation() *hubbub.Invocation {
	if e.in == nil {
		e.in = new(hubbub.Invocation)
	}
	return e.in
}

// arguments cuts the arguments apart. They stay as they are until a method's types are known.
func (e *jsonEnvelope) arguments() error {
	s := &e.s
	if s.Peek() != '[' {
		if _, _, err := wireToken(s); err != nil {
			return err
		}
		return invalidData("Expected 'arguments' to be of type Array.")
	}
	if err := s.Enter(); err != nil {
		return err
	}
	raw := e.invocation().ArgSpace()
	for first := true; ; first = false {
		ok, err := s.More(first, ']')
		switch {
		case err == jsonvalue.ErrTrailing:
			line, at := s.Position()
			e.args = hubbub.BadArgs(hubbub.Classify("JsonReaderException", err, fmt.Sprintf("The JSON array contains a trailing comma "+
				"at the end which is not supported in this mode. Change the reader options. LineNumber: %d | BytePositionInLine: %d.", line, at)))
			s.Leave()
			return nil
		case err != nil:
			return err
		case !ok:
			e.args = hubbub.RawArgs(raw, e.p.Codec)
			return nil
		}
		arg, err := s.RawValue()
		if err != nil {
			return err
		}
		raw = append(raw, arg)
	}
}

func (e *jsonEnvelope) streamIDs() error {
	s := &e.s
	if s.Peek() != '[' {
		if _, _, err := wireToken(s); err != nil {
			return err
		}
		return invalidData("Expected 'streamIds' to be of type Array.")
	}
	if err := s.Enter(); err != nil {
		return err
	}
	var ids []string
	for first := true; ; first = false {
		ok, err := s.More(first, ']')
		if err != nil {
			return err
		}
		if !ok {
			e.invocation().StreamIDs = ids
			return nil
		}
		if s.Peek() != '"' {
			kind, _, err := wireToken(s)
			if err != nil {
				return err
			}
			if kind == 'n' {
				return invalidData("Null value for 'streamIds' is not valid.")
			}
			return hubbub.Classify("InvalidOperationException", nil, "Cannot get the value of a token type '"+tokenName(kind)+"' as a string.")
		}
		id, err := s.Text()
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
}

func (e *jsonEnvelope) headers() error {
	s := &e.s
	if s.Peek() != '{' {
		if _, _, err := wireToken(s); err != nil {
			return err
		}
		return invalidData("Expected 'headers' to be of type StartObject.")
	}
	if err := s.Enter(); err != nil {
		return err
	}
	var headers map[string]string
	for first := true; ; first = false {
		ok, err := s.More(first, '}')
		if err != nil {
			return err
		}
		if !ok {
			e.invocation().Headers = headers
			return nil
		}
		name, err := s.Name()
		if err != nil {
			return err
		}
		if s.Peek() != '"' {
			if _, _, err := wireToken(s); err != nil {
				return err
			}
			return invalidData("Expected header '%s' to be of type String.", name)
		}
		value, err := s.Text()
		if err != nil {
			return err
		}
		if headers == nil {
			headers = make(map[string]string)
		}
		headers[string(name)] = value
	}
}

// message makes the message of what came. A type that nobody knows is skipped.
func (e *jsonEnvelope) message() (hubbub.Message, error) {
	if !e.hasType {
		return nil, missing("type")
	}
	if e.typ < int64(hubbub.TypeInvocation) || e.typ > int64(typeSequence) {
		return nil, nil
	}
	typ := hubbub.MessageType(e.typ)
	switch typ {
	case hubbub.TypeInvocation, hubbub.TypeStreamInvocation:
		return e.call(typ == hubbub.TypeStreamInvocation)
	case hubbub.TypePing:
		return hubbub.Ping{}, nil
	case hubbub.TypeClose:
		return &hubbub.Close{Error: e.errText, AllowReconnect: e.reconnect}, nil
	case typeAck, typeSequence:
		if !e.hasSequence {
			return nil, missing("sequenceId")
		}
		if typ == typeAck {
			return ack{SequenceID: e.sequence}, nil
		}
		return sequence{SequenceID: e.sequence}, nil
	}
	if e.id == "" {
		return nil, missing("invocationId")
	}
	switch typ {
	case hubbub.TypeStreamItem:
		if e.item == nil {
			return nil, missing("item")
		}
		return &hubbub.StreamItem{InvocationID: e.id, Item: hubbub.RawValue(e.item, e.p.Codec)}, nil
	case hubbub.TypeCancelInvocation:
		return &hubbub.CancelInvocation{InvocationID: e.id}, nil
	}
	if e.hasError && e.result != nil {
		return nil, invalidData("The 'error' and 'result' properties are mutually exclusive.")
	}
	m := &hubbub.Completion{InvocationID: e.id, Error: e.errText}
	if e.result != nil {
		m.HasResult, m.Result = true, hubbub.RawValue(e.result, e.p.Codec)
	}
	return m, nil
}

// call makes an invocation. The order of the checks is that of ASP.NET Core. The empty target passes: it is the name of no
// method, and fails its call alone.
func (e *jsonEnvelope) call(stream bool) (hubbub.Message, error) {
	switch {
	case stream && e.id == "":
		return nil, missing("invocationId")
	case stream && !e.hasArgs:
		return nil, missing("arguments")
	case !e.hasTarget:
		return nil, missing("target")
	case !e.hasArgs:
		return nil, missing("arguments")
	}
	in := e.invocation()
	in.ID, in.Target, in.Stream, in.Args = e.id, e.target, stream, e.args
	return in, nil
}

func missing(name string) error { return invalidData("Missing required property '%s'.", name) }
