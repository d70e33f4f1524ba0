package bench

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tinylib/msgp/msgp"
)

// What a hub speaks, and over what, by the names of the flags.
const (
	protocolJSON        = "json"
	protocolMessagePack = "messagepack"
	transportWebSockets = "websockets"
	transportSSE        = "sse"
	transportPolling    = "longpolling"
)

// format is how messages lie on the wire.
type format struct {
	framed bool // in WebSocket frames
	packed bool // MessagePack with its length in front, instead of JSON with a record end behind
}

// format is that of the job's target: the limit speaks neither hub protocol.
func (j *Job) format() format {
	hub := j.Target.Wire == wireHub
	return format{
		framed: j.Target.Wire != wireRaw && !j.overHTTP(),
		packed: hub && j.Protocol == protocolMessagePack,
	}
}

// overHTTP reports whether messages go over Server-Sent Events or Long Polling.
func (j *Job) overHTTP() bool {
	return (j.Target.Wire == wireHub || j.Target.Wire == wireEcho) && j.Transport != "" && j.Transport != transportWebSockets
}

// frame is a message as it is written.
func (f format) frame(message []byte) []byte {
	switch {
	case !f.framed:
		return message
	case f.packed:
		return appendMasked(nil, opBinary, message)
	}
	return appendMasked(nil, opText, message)
}

// invocation is a call, with an id where it has one. Arguments are texts and ints.
func (f format) invocation(id, target string, args ...any) []byte {
	if f.packed {
		return packedInvocation(id, target, args)
	}
	b := []byte(`{"type":1,`)
	if id != "" {
		b = append(append(append(b, `"invocationId":`...), quote(id)...), ',')
	}
	b = append(append(append(b, `"target":`...), quote(target)...), `,"arguments":[`...)
	for i, a := range args {
		if i > 0 {
			b = append(b, ',')
		}
		if text, ok := a.(string); ok {
			b = append(b, quote(text)...)
			continue
		}
		b = fmt.Append(b, a)
	}
	return append(b, "]}\x1e"...)
}

func packedInvocation(id, target string, args []any) []byte {
	b := msgp.AppendArrayHeader(nil, 6)
	b = msgp.AppendInt(b, 1)
	b = msgp.AppendMapHeader(b, 0)
	if id == "" {
		b = msgp.AppendNil(b)
	} else {
		b = msgp.AppendString(b, id)
	}
	b = msgp.AppendString(b, target)
	b = msgp.AppendArrayHeader(b, uint32(len(args)))
	for _, a := range args {
		switch a := a.(type) {
		case string:
			b = msgp.AppendString(b, a)
		case int:
			b = msgp.AppendInt(b, a)
		}
	}
	b = msgp.AppendArrayHeader(b, 0) // no streams
	return append(appendLength(nil, len(b)), b...)
}

// appendLength appends n, seven bits a byte, the lowest first.
func appendLength(dst []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// errLength is about a length that no message has.
var errLength = errors.New("a message's length has more than five bytes or is over the limit")

// readLength reads what appendLength writes. used is 0 while the end is missing.
func readLength(p []byte) (n, used int, err error) {
	for i, b := range p {
		if i == 5 {
			break
		}
		n |= int(b&0x7f) << (7 * i)
		if b < 0x80 {
			if n > largestFrame {
				return 0, 0, errLength
			}
			return n, i + 1, nil
		}
	}
	if len(p) >= 5 {
		return 0, 0, errLength
	}
	return 0, 0, nil
}

// ping is a keep-alive.
func (f format) ping() []byte {
	if f.packed {
		return f.frame([]byte{2, 0x91, 6})
	}
	return f.frame([]byte(`{"type":6}` + "\x1e"))
}

// handshake opens the hub protocol. It is JSON in every protocol.
func (f format) handshake() []byte {
	name := protocolJSON
	if f.packed {
		name = protocolMessagePack
	}
	return f.frame(fmt.Appendf(nil, `{"protocol":%q,"version":1}`+"\x1e", name))
}

// kind is the type of a message, 0 where it has none.
func (f format) kind(r []byte) int {
	if f.packed {
		_, r, err := msgp.ReadArrayHeaderBytes(r)
		if err != nil {
			return 0
		}
		n, _, err := msgp.ReadIntBytes(r)
		if err != nil {
			return 0
		}
		return n
	}
	if r, ok := bytes.CutPrefix(r, []byte(`{"type":`)); ok && len(r) > 0 {
		return int(r[0] - '0')
	}
	return 0
}

// failed reports whether a completion tells of an error.
func (f format) failed(r []byte) bool {
	if !f.packed {
		return bytes.Contains(r, []byte(`"error":`))
	}
	_, r, err := msgp.ReadArrayHeaderBytes(r)
	for range 3 { // type, headers, id
		if err == nil {
			r, err = msgp.Skip(r)
		}
	}
	if err != nil {
		return true
	}
	kind, _, err := msgp.ReadIntBytes(r)
	return err != nil || kind == 1
}

// item is the number that a call of Item carries; ok is false for every other message.
func (f format) item(r []byte) (n int, ok bool) {
	if !f.packed {
		_, arguments, found := bytes.Cut(r, []byte(`"arguments":[`))
		if !found || !bytes.Contains(r, []byte(`"Item"`)) {
			return 0, false
		}
		_, err := fmt.Sscanf(string(arguments), "%d]", &n)
		return n, err == nil
	}
	_, after, found := bytes.Cut(r, []byte("\xa4Item\x91"))
	if !found {
		return 0, false
	}
	n, _, err := msgp.ReadIntBytes(after)
	return n, err == nil
}
