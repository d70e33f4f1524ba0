package signalr

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/hubbub-go/hubbub"
)

// jsonEnvelope collects the members of a message while they come by. They come in any order, and the last of a name wins, so
// what they mean together is decided at the end.
type jsonEnvelope struct {
	p *jsonProtocol
	s jsonScanner

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
	e := jsonEnvelope{p: p, s: jsonScanner{b: record}}
	if err := openObject(&e.s); err != nil {
		return nil, rejection(err)
	}
	for first := true; ; first = false {
		ok, err := e.s.more(first, '}')
		if err != nil {
			return nil, rejection(err)
		}
		if !ok {
			return e.message()
		}
		name, err := e.s.name()
		if err == nil {
			err = e.member(name)
		}
		if err != nil {
			return nil, rejection(err)
		}
	}
}

// openObject steps into the object that a record must be.
func openObject(s *jsonScanner) error {
	var kind string
	switch s.peek() {
	case '{':
		return s.enter()
	case '[':
		kind = "Array"
	default:
		c, _, err := s.scalar()
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
	case errors.Is(err, errSyntax), errors.Is(err, errDepth):
		return hubbub.Classify("InvalidDataException", err, "Error reading JSON.")
	case errors.Is(err, errUTF8):
		return hubbub.Classify("InvalidOperationException", err, "Cannot transcode invalid UTF-8 JSON text to UTF-16 string.")
	case errors.Is(err, errSurrogate):
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
		e.typ, err = e.s.wireInt("type", 32)
	case "invocationId":
		e.id, err = e.s.wireString("invocationId")
	case "target":
		e.hasTarget = true
		e.target, err = e.s.wireString("target")
	case "arguments":
		e.hasArgs = true
		err = e.arguments()
	case "streamIds":
		err = e.streamIDs()
	case "headers":
		err = e.headers()
	case "item":
		e.item, err = e.s.rawValue()
	case "result":
		e.result, err = e.s.rawValue()
	case "error":
		e.hasError = true
		e.errText, err = e.s.wireString("error")
	case "allowReconnect":
		var kind byte
		if kind, err = e.s.wireToken(); err == nil && kind != 't' && kind != 'f' {
			return invalidData("Expected 'allowReconnect' to be true or false.")
		}
		e.reconnect = kind == 't'
	case "sequenceId":
		e.hasSequence = true
		e.sequence, err = e.s.wireInt("sequenceId", 64)
	default:
		err = e.s.skip()
	}
	return err
}

// wireToken steps over a scalar and returns its kind. Of an array or an object it only tells the kind.
func (s *jsonScanner) wireToken() (byte, error) {
	if c := s.peek(); c == '[' || c == '{' {
		return c, nil
	}
	kind, _, err := s.scalar()
	return kind, err
}

func (s *jsonScanner) wireString(name string) (string, error) {
	if s.peek() == '"' {
		return s.text()
	}
	if _, err := s.wireToken(); err != nil {
		return "", err
	}
	return "", invalidData("Expected '%s' to be of type String.", name)
}

func (s *jsonScanner) wireInt(name string, bits int) (int64, error) {
	s.peek()
	start := s.i
	kind, err := s.wireToken()
	if err != nil {
		return 0, err
	}
	if kind != '0' {
		return 0, invalidData("Expected '%s' to be of type Number.", name)
	}
	n, err := parseInt(s.b[start:s.i], bits)
	if err != nil {
		return 0, hubbub.Classify("FormatException", err, "Either the JSON value is not in a supported format, or is out of bounds for an Int"+strconv.Itoa(bits)+".")
	}
	return n, nil
}

func (s *jsonScanner) rawValue() ([]byte, error) {
	s.peek()
	start := s.i
	err := s.skip()
	return s.b[start:s.i:s.i], err
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
	if s.peek() != '[' {
		if _, err := s.wireToken(); err != nil {
			return err
		}
		return invalidData("Expected 'arguments' to be of type Array.")
	}
	if err := s.enter(); err != nil {
		return err
	}
	raw := e.invocation().ArgSpace()
	for first := true; ; first = false {
		ok, err := s.more(first, ']')
		switch {
		case err == errTrailing:
			line, at := position(s.b, s.i)
			e.args = hubbub.BadArgs(hubbub.Classify("JsonReaderException", err, fmt.Sprintf("The JSON array contains a trailing comma "+
				"at the end which is not supported in this mode. Change the reader options. LineNumber: %d | BytePositionInLine: %d.", line, at)))
			s.leave()
			return nil
		case err != nil:
			return err
		case !ok:
			e.args = hubbub.RawArgs(raw, e.p)
			return nil
		}
		arg, err := s.rawValue()
		if err != nil {
			return err
		}
		raw = append(raw, arg)
	}
}

// position tells the line of b[i], from 0, and the place in that line.
func position(b []byte, i int) (line, at int) {
	return bytes.Count(b[:i], []byte{'\n'}), i - 1 - bytes.LastIndexByte(b[:i], '\n')
}

func (e *jsonEnvelope) streamIDs() error {
	s := &e.s
	if s.peek() != '[' {
		if _, err := s.wireToken(); err != nil {
			return err
		}
		return invalidData("Expected 'streamIds' to be of type Array.")
	}
	if err := s.enter(); err != nil {
		return err
	}
	var ids []string
	for first := true; ; first = false {
		ok, err := s.more(first, ']')
		if err != nil {
			return err
		}
		if !ok {
			e.invocation().StreamIDs = ids
			return nil
		}
		if s.peek() != '"' {
			kind, err := s.wireToken()
			if err != nil {
				return err
			}
			if kind == 'n' {
				return invalidData("Null value for 'streamIds' is not valid.")
			}
			return hubbub.Classify("InvalidOperationException", nil, "Cannot get the value of a token type '"+tokenName(kind)+"' as a string.")
		}
		id, err := s.text()
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
}

func (e *jsonEnvelope) headers() error {
	s := &e.s
	if s.peek() != '{' {
		if _, err := s.wireToken(); err != nil {
			return err
		}
		return invalidData("Expected 'headers' to be of type StartObject.")
	}
	if err := s.enter(); err != nil {
		return err
	}
	var headers map[string]string
	for first := true; ; first = false {
		ok, err := s.more(first, '}')
		if err != nil {
			return err
		}
		if !ok {
			e.invocation().Headers = headers
			return nil
		}
		name, err := s.name()
		if err != nil {
			return err
		}
		if s.peek() != '"' {
			if _, err := s.wireToken(); err != nil {
				return err
			}
			return invalidData("Expected header '%s' to be of type String.", name)
		}
		value, err := s.text()
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
		return &hubbub.StreamItem{InvocationID: e.id, Item: hubbub.RawValue(e.item, e.p)}, nil
	case hubbub.TypeCancelInvocation:
		return &hubbub.CancelInvocation{InvocationID: e.id}, nil
	}
	if e.hasError && e.result != nil {
		return nil, invalidData("The 'error' and 'result' properties are mutually exclusive.")
	}
	m := &hubbub.Completion{InvocationID: e.id, Error: e.errText}
	if e.result != nil {
		m.HasResult, m.Result = true, hubbub.RawValue(e.result, e.p)
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
