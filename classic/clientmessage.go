package classic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hubbub-go/hubbub"
)

// received is one message of a server: an envelope, or the answer to a call. A keep-alive is an envelope without anything.
type received struct {
	cursor     string
	initial    bool // the stream is open (S)
	restart    bool // the server is going away, come back (T)
	disconnect bool // of 1.x servers: do not come back
	groups     *string
	delay      time.Duration // before the next poll (L)
	fatal      string
	elements   []json.RawMessage

	answer *answer
}

// answer is what comes back for a call.
type answer struct {
	id     string
	result json.RawMessage // nil if there is none
	state  map[string]json.RawMessage
	err    error // *hubbub.Error
}

// wireMessage has the members of envelopes and answers; S, D and E mean different things in the two.
type wireMessage struct {
	C string
	S json.RawMessage
	T json.RawMessage
	G *string
	L float64
	M []json.RawMessage
	E *string
	D json.RawMessage

	I json.RawMessage
	R json.RawMessage
	H bool
}

// parseReceived reads a message of a server, of which it keeps parts. Members it does not know are skipped.
func parseReceived(data []byte, values *codec) (received, error) {
	var m wireMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return received{}, fmt.Errorf("message of %d bytes: %w", len(data), err)
	}
	if m.I != nil {
		a := &answer{result: m.R}
		if id := idText(m.I); id != nil { // else the answer to a call that wanted none
			a.id = *id
		}
		if present(m.S) {
			if err := json.Unmarshal(m.S, &a.state); err != nil {
				return received{}, fmt.Errorf("state of answer %s: %w", a.id, err)
			}
		}
		if m.E != nil {
			a.err = callError(&m, values)
		}
		return received{answer: a}, nil
	}
	r := received{
		cursor: m.C, initial: present(m.S), restart: present(m.T), disconnect: present(m.D), groups: m.G, elements: m.M,
		delay: time.Duration(m.L * float64(time.Millisecond)),
	}
	if m.E != nil {
		r.fatal = *m.E
	}
	return r, nil
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// callError is the error of an answer, as the .NET client throws it.
func callError(m *wireMessage, values *codec) error {
	e := &hubbub.Error{Class: "InvalidOperationException", Message: *m.E}
	if m.H {
		e.Class = ""
		if present(m.D) {
			e.Data = hubbub.RawValue(m.D, values)
		}
	}
	return e
}

// element is one element of M: a call of a hub, or a word about how far a call is.
type element struct {
	H, M string
	A    []json.RawMessage
	S    map[string]json.RawMessage
	P    *struct {
		I json.RawMessage
		D json.RawMessage
	}
}

// parseElement reads an element of an envelope. It is nil where a persistent connection sent a value of its own.
func parseElement(data []byte) (*element, error) {
	if data = bytes.TrimSpace(data); len(data) == 0 || data[0] != '{' {
		return nil, nil
	}
	var e element
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("element of %d bytes: %w", len(data), err)
	}
	if e.P == nil && (e.H == "" || e.M == "") {
		return nil, nil
	}
	return &e, nil
}

// appendInvocation writes a call in the member order of the .NET client. Without id it wants no answer.
func appendInvocation(dst []byte, values *codec, id, hub, method string, args []any, state map[string]json.RawMessage) ([]byte, error) {
	dst = append(dst, '{')
	if id != "" {
		dst = append(appendText(append(dst, `"I":`...), id), ',')
	}
	dst = appendText(append(dst, `"H":`...), hub)
	dst = appendText(append(dst, `,"M":`...), method)
	dst = append(dst, `,"A":[`...)
	for i, a := range args {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = values.Append(dst, a); err != nil {
			return nil, fmt.Errorf("argument %d: %w", i, err)
		}
	}
	dst = append(dst, ']')
	if len(state) > 0 {
		raw, err := json.Marshal(state)
		if err != nil {
			return nil, fmt.Errorf("state: %w", err)
		}
		if len(raw) > maximumState {
			return nil, fmt.Errorf("state of %d characters, want at most %d", len(raw), maximumState)
		}
		dst = append(append(dst, `,"S":`...), raw...)
	}
	return append(dst, '}'), nil
}
