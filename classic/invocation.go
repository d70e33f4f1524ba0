package classic

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

const (
	maximumDepth = 20   // of a message of a client
	maximumState = 4096 // characters of its round-tripped state
)

// invocation is what a client sends: {"H":"refhub","M":"Add","A":[1,2],"I":0,"S":{}}.
type invocation struct {
	hub, method string  // as the client wrote them
	id          *string // nil if there is none
	args        [][]byte
	state       map[string]hubbub.Value
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
