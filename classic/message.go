package classic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

const (
	maximumDepth = 20   // of a message of a client
	maximumState = 4096 // characters of its round-tripped state
)

var (
	errStreams = &hubbub.Error{Message: "classic SignalR has no streams"}
	errResults = &hubbub.Error{Message: "classic SignalR clients cannot return results"}
)

// invocation is what a client sends: {"H":"refhub","M":"Add","A":[1,2],"I":0,"S":{}}.
type invocation struct {
	hub, method string  // as the client wrote them
	id          *string // nil if there is none
	args        [][]byte
	state       map[string]hubbub.Value
}

// callID is the id of a call as the runtime sees it: the way its answer takes, then what the answer must say, with a zero byte
// between them. Two calls never have the same, although two calls of a client may.
type callID string

// newCallID makes the id of the call that is answered over route. id is the member I, nil if there is none.
func newCallID(route, hub, method string, id *string) callID {
	i := ""
	if id != nil {
		i = "=" + *id
	}
	return callID(route + "\x00" + i + "\x00" + hub + "\x00" + method)
}

func (c callID) parts() (route, id, hub, method string) {
	route, rest, _ := strings.Cut(string(c), "\x00")
	id, rest, _ = strings.Cut(rest, "\x00")
	hub, method, _ = strings.Cut(rest, "\x00")
	return route, id, hub, method
}

// appendID appends the id of a call as its answer has it: always a string, null if the client sent none.
func appendID(dst []byte, id string) []byte {
	if id == "" {
		return append(dst, "null"...)
	}
	return appendText(dst, id[1:])
}

// parseInvocation reads a message of a client, which it keeps. Names of members are matched without regard to case, and the
// last of a name wins. With an error the invocation has what could be read all the same.
func parseInvocation(data []byte, values *codec) (in invocation, err error) {
	s := values.Scan(data)
	hasHub, hasMethod := false, false
	if err := members(&s, func(name []byte) (err error) {
		if len(name) != 1 {
			return s.Skip()
		}
		switch name[0] &^ 0x20 {
		case 'H':
			in.hub, hasHub, err = optionalText(&s)
		case 'M':
			in.method, hasMethod, err = optionalText(&s)
		case 'I':
			in.id, err = scanID(&s)
		case 'A':
			in.args, err = arguments(&s)
		case 'S':
			in.state, err = stateOf(&s, values)
		default:
			err = s.Skip()
		}
		return err
	}); err != nil {
		return in, fmt.Errorf("message of %d bytes: %w", len(data), err)
	}
	if err := s.End(); err != nil {
		return in, fmt.Errorf("message of %d bytes: behind its end: %w", len(data), err)
	}
	if !hasHub || !hasMethod {
		return in, errors.New("message without hub (H) or method (M)")
	}
	size := 0
	for name, x := range in.state {
		raw, _ := x.Raw()
		size += len(name) + len(raw)
	}
	if size > maximumState {
		return in, fmt.Errorf("state of %d characters, want at most %d", size, maximumState)
	}
	return in, nil
}

// members calls read at the value of each member of an object. null has none.
func members(s *jsonvalue.Scanner, read func(name []byte) error) error {
	if null, err := s.Null(); null {
		return err
	}
	if s.Peek() != '{' {
		return jsonvalue.ErrSyntax
	}
	if err := s.Enter(); err != nil {
		return err
	}
	for first := true; ; first = false {
		ok, err := s.More(first, '}')
		if err != nil || !ok {
			return err
		}
		name, err := s.Name()
		if err != nil {
			return err
		}
		if err := read(name); err != nil {
			return err
		}
	}
}

// optionalText reads a text. null is none.
func optionalText(s *jsonvalue.Scanner) (text string, ok bool, err error) {
	if null, err := s.Null(); null {
		return "", false, err
	}
	text, err = s.Text()
	return text, err == nil, err
}

// scanID is the text of the member I: a string, or a number as it was written.
func scanID(s *jsonvalue.Scanner) (*string, error) {
	if null, err := s.Null(); null {
		return nil, err
	}
	if s.Peek() == '"' {
		text, err := s.Text()
		return &text, err
	}
	raw, err := s.RawValue()
	text := string(raw)
	return &text, err
}

// arguments cuts the arguments apart.
func arguments(s *jsonvalue.Scanner) ([][]byte, error) {
	if null, err := s.Null(); null {
		return nil, err
	}
	if s.Peek() != '[' {
		return nil, jsonvalue.ErrSyntax
	}
	if err := s.Enter(); err != nil {
		return nil, err
	}
	args := make([][]byte, 0, 4)
	for first := true; ; first = false {
		ok, err := s.More(first, ']')
		if err != nil || !ok {
			return args, err
		}
		raw, err := s.RawValue()
		if err != nil {
			return nil, err
		}
		args = append(args, raw)
	}
}

// stateOf reads the round-tripped state.
func stateOf(s *jsonvalue.Scanner, values *codec) (state map[string]hubbub.Value, err error) {
	err = members(s, func(name []byte) error {
		raw, err := s.RawValue()
		if state == nil {
			state = make(map[string]hubbub.Value)
		}
		state[string(name)] = hubbub.RawValue(raw, values)
		return err
	})
	return state, err
}

// idText is the text of an id, in a message that was read as a whole: see scanID.
func idText(raw json.RawMessage) *string {
	s := newCodec().Scan(raw)
	if s.Peek() == 0 {
		return nil
	}
	id, err := scanID(&s)
	if err != nil {
		return nil
	}
	return id
}

// depthOf returns how deep the arrays and objects of a text are nested, whether or not it is JSON.
func depthOf(b []byte) int {
	depth, deepest, quoted := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest
}

// protocol encodes what a hub sends. Of an invocation it makes the element of M, which envelopes carry; of a completion the
// whole answer, behind its route and a zero byte.
type protocol struct {
	name    string // of the hub
	values  *codec
	details bool
	raw     bool // of a persistent connection: the element is the value alone
}

// Name implements hubbub.Protocol.
func (p *protocol) Name() string {
	if p.raw {
		return "classic raw"
	}
	return "classic"
}

// EncodesProgress implements hubbub.ProgressProtocol.
func (p *protocol) EncodesProgress() {}

// Append implements hubbub.Protocol.
func (p *protocol) Append(dst []byte, m hubbub.Message) ([]byte, error) {
	out, err := p.append(dst, m)
	if err != nil {
		return dst, fmt.Errorf("classic: %w", err)
	}
	oneLine(out[len(dst):])
	return out, nil
}

// oneLine makes JSON one line, as an event stream needs it. Ends of lines are white space there: texts have them escaped.
func oneLine(json []byte) {
	for i, b := range json {
		if b == '\n' || b == '\r' {
			json[i] = ' '
		}
	}
}

func (p *protocol) append(dst []byte, m hubbub.Message) ([]byte, error) {
	switch m := m.(type) {
	case *hubbub.Invocation:
		return p.appendCall(dst, m)
	case *hubbub.Completion:
		return p.appendAnswer(dst, m)
	case *hubbub.Progress:
		_, id, _, _ := callID(m.Call.ID).parts()
		id = strings.TrimPrefix(id, "=")
		dst = appendText(append(dst, `{"I":`...), "P|"+id)
		dst = appendText(append(dst, `,"P":{"I":`...), id)
		dst, err := p.values.AppendValue(append(dst, `,"D":`...), m.Value)
		return append(dst, "}}"...), err
	case *hubbub.StreamItem:
		return dst, errStreams
	}
	return dst, fmt.Errorf("message of type %T, want one that classic clients know", m)
}

// appendCall writes {"H":"RefHub","M":"Msg","A":[…]}, with the hub in the server's spelling.
func (p *protocol) appendCall(dst []byte, in *hubbub.Invocation) (_ []byte, err error) {
	switch {
	case in.Stream || len(in.StreamIDs) > 0:
		return dst, errStreams
	case in.ID != "":
		return dst, errResults
	case p.raw:
		if in.Args.Len() != 1 {
			return dst, fmt.Errorf("message of %d values, want one: a persistent connection has no arguments", in.Args.Len())
		}
		return p.values.AppendValue(dst, in.Args.At(0))
	}
	dst = appendText(append(dst, `{"H":`...), p.name)
	dst = appendText(append(dst, `,"M":`...), in.Target)
	dst = append(dst, `,"A":[`...)
	for i := range in.Args.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = p.values.AppendValue(dst, in.Args.At(i)); err != nil {
			return dst, fmt.Errorf("argument %d of %s: %w", i, in.Target, err)
		}
	}
	dst = append(dst, ']')
	if changed := in.State.Changed(); changed != nil {
		if dst, err = p.appendState(append(dst, ','), changed); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func (p *protocol) appendState(dst []byte, changed map[string]hubbub.Value) (_ []byte, err error) {
	dst = append(dst, `"S":{`...)
	for i, name := range slices.Sorted(maps.Keys(changed)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, name), ':')
		if dst, err = p.values.AppendValue(dst, changed[name]); err != nil {
			return dst, fmt.Errorf("state %q: %w", name, err)
		}
	}
	return append(dst, '}'), nil
}

// appendAnswer writes the answer to a call: its members in the order S, R, I, H, E, D, those left out that say nothing.
func (p *protocol) appendAnswer(dst []byte, m *hubbub.Completion) (_ []byte, err error) {
	route, id, hub, method := callID(m.InvocationID).parts()
	dst = append(append(dst, route...), 0, '{')
	if m.Call != nil {
		if changed := m.Call.State.Changed(); changed != nil {
			if dst, err = p.appendState(dst, changed); err != nil {
				return dst, err
			}
			dst = append(dst, ',')
		}
	}
	if m.HasResult && m.Error == "" {
		start := len(dst)
		dst = append(dst, `"R":`...)
		at := len(dst)
		if dst, err = p.values.AppendValue(dst, m.Result); err != nil {
			return dst, err
		}
		if string(dst[at:]) == "null" {
			dst = dst[:start]
		} else {
			dst = append(dst, ',')
		}
	}
	dst = appendID(append(dst, `"I":`...), id)
	if m.Error != "" {
		if dst, err = p.appendError(dst, m.Cause, hub, method); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// appendError writes what the caller may know of an error.
func (p *protocol) appendError(dst []byte, cause error, hub, method string) ([]byte, error) {
	if e, ok := errors.AsType[*hubbub.Error](cause); ok && forClients(cause) {
		dst = appendText(append(dst, `,"H":true,"E":`...), e.Message)
		if e.Data == nil {
			return dst, nil
		}
		return p.values.Append(append(dst, `,"D":`...), e.Data)
	}
	return appendText(append(dst, `,"E":`...), p.errorText(cause, hub, method)), nil
}

// forClients reports whether the text of an error is meant for the caller whatever the options say.
func forClients(err error) bool {
	return hubbub.Describe("", err, false) != "" && !errors.Is(err, hubbub.ErrUnknownMethod)
}

// errorText is the sentence of SignalR 2.x for a call that failed, with the names as the caller wrote them.
func (p *protocol) errorText(cause error, hub, method string) string {
	switch {
	case !p.details || cause == nil:
		return "There was an error invoking Hub method '" + hub + "." + method + "'."
	case errors.Is(cause, hubbub.ErrUnknownMethod):
		return "'" + method + "' method could not be resolved. No method found with that name."
	case errors.Is(cause, hubbub.ErrArgumentCount):
		return "'" + method + "' method could not be resolved. " + cause.Error()
	case errors.Is(cause, hubbub.ErrUnauthorized):
		return "Caller is not authorized to invoke the " + method + " method on " + p.name + "."
	case errors.Is(cause, errUnknownHub):
		return "'" + hub + "' Hub could not be resolved."
	}
	if e, ok := errors.AsType[*hubbub.Error](cause); ok && e.Unwrap() != nil && e.Class == "InvalidDataException" {
		return e.Unwrap().Error() // why an argument did not bind
	}
	return cause.Error()
}

var errUnknownHub = errors.New("there is no such hub")

// route is the way that an answer takes: 's' and the number of a stream, or 'p' and the number of a POST. serial keeps two
// calls of one stream apart.
func route(kind byte, number, serial uint64) string {
	return string(strconv.AppendUint(append(strconv.AppendUint([]byte{kind}, number, 16), '.'), serial, 16))
}

// parseRoute takes the route off an answer.
func parseRoute(b []byte) (kind byte, number uint64, answer []byte, ok bool) {
	head, answer, ok := bytes.Cut(b, []byte{0})
	if !ok || len(head) < 2 {
		return 0, 0, nil, false
	}
	text, _, _ := strings.Cut(string(head[1:]), ".")
	number, err := strconv.ParseUint(text, 16, 64)
	return head[0], number, answer, err == nil
}
