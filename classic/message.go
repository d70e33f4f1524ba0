package classic

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hubbub-go/hubbub"
)

var (
	errStreams = &hubbub.Error{Message: "classic SignalR has no streams"}
	errResults = &hubbub.Error{Message: "classic SignalR clients cannot return results"}
)

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
