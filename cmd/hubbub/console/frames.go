package console

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/tinylib/msgp/msgp"
)

const recordSeparator = 0x1e

// frame is one message on the wire.
type frame struct {
	kind int    // its type, 0 of a handshake
	text string // what a classic server calls it, "" for others
	size int    // in bytes, with what delimits it
	json json.RawMessage
}

// kinds are the names of the types (HubProtocol.md).
var kinds = []string{"handshake", "Invocation", "StreamItem", "Completion", "StreamInvocation", "CancelInvocation", "Ping", "Close", "Ack", "Sequence"}

func (f frame) name() string {
	if f.text != "" {
		return f.text
	}
	if f.kind >= 0 && f.kind < len(kinds) {
		return kinds[f.kind]
	}
	return fmt.Sprintf("type %d", f.kind)
}

// frames decodes the messages in one chunk of a transport.
func frames(p []byte, protocol string) []frame {
	var list []frame
	for len(p) > 0 {
		var f frame
		if protocol != "messagepack" || bytes.HasPrefix(p, []byte(`{"`)) || bytes.HasPrefix(p, []byte(`{}`)) {
			f = textFrame(p)
		} else {
			f = binaryFrame(p)
		}
		list, p = append(list, f), p[f.size:]
	}
	return list
}

func textFrame(p []byte) frame {
	size := len(p)
	if i := bytes.IndexByte(p, recordSeparator); i >= 0 {
		size = i + 1
	}
	record := bytes.TrimSuffix(p[:size], []byte{recordSeparator})
	f := frame{size: size, json: bytes.Clone(record)}
	var m struct {
		Type int `json:"type"`
	}
	if json.Unmarshal(record, &m) != nil {
		f.kind, f.json = -1, compact(string(record))
	} else {
		f.kind = m.Type
	}
	return f
}

func binaryFrame(p []byte) frame {
	n, width := binary.Uvarint(p)
	if width <= 0 || n > uint64(len(p)-width) {
		return frame{kind: -1, size: len(p), json: compact(fmt.Sprintf("%x", p))}
	}
	f := frame{size: width + int(n)}
	body := p[width:f.size]
	var err error
	if f.json, err = jsonOfMessagePack(body); err != nil {
		f.json = compact(fmt.Sprintf("%x", body))
	}
	f.kind = -1
	if _, rest, err := msgp.ReadArrayHeaderBytes(body); err == nil {
		if kind, _, err := msgp.ReadIntBytes(rest); err == nil {
			f.kind = kind
		}
	}
	return f
}

// classicFrames is one message of a classic connection.
func classicFrames(sent bool, p []byte) []frame {
	f := frame{size: len(p), json: bytes.Clone(bytes.TrimSpace(p))}
	var m struct {
		C, I json.RawMessage
	}
	switch err := json.Unmarshal(p, &m); {
	case err != nil:
		f.text, f.json = "text", compact(string(p))
	case sent:
		f.text = "Invocation"
	case m.I != nil:
		f.text = "Result"
	case m.C != nil:
		f.text = "Envelope"
	default:
		f.text = "KeepAlive"
	}
	return []frame{f}
}
