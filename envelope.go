package hubbub

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// envelopeKind says what a node wants of the others.
type envelopeKind uint8

const (
	envelopeSend   envelopeKind = iota + 1 // deliver to an audience
	envelopeInvoke                         // ask a connection for a result
	envelopeJoin                           // add a connection to a group
	envelopeLeave
	envelopeAck    // the node that has the connection is there
	envelopeResult // what the connection answered
	envelopeGone   // the connection went without an answer
	envelopeForget // nobody waits for the answer any more
)

const envelopeVersion = 1

// envelope is what travels between nodes: the message, already encoded for every protocol of the hub, and whom it is for.
type envelope struct {
	kind    envelopeKind
	node    string   // who sent it
	key     string   // question or command that an answer is for
	group   string   // of join and leave
	except  []string // connections left out
	names   []string // protocol names, with records beside them
	records [][]byte
	err     string // of a result
	has     bool   // a result has a value
}

var errEnvelope = errors.New("envelope of another node is cut short")

func (e *envelope) append(b []byte) []byte {
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	b = append(b, envelopeVersion, byte(e.kind), 0)
	if e.has {
		b[len(b)-1] = 1
	}
	text(e.node)
	text(e.key)
	text(e.group)
	text(e.err)
	b = binary.AppendUvarint(b, uint64(len(e.except)))
	for _, s := range e.except {
		text(s)
	}
	b = binary.AppendUvarint(b, uint64(len(e.names)))
	for i, s := range e.names {
		text(s)
		text(string(e.records[i]))
	}
	return b
}

// parseEnvelope reads what append wrote. It copies, so b may be used again.
func parseEnvelope(b []byte) (*envelope, error) {
	if len(b) < 3 {
		return nil, errEnvelope
	}
	if b[0] != envelopeVersion {
		return nil, fmt.Errorf("envelope of another node has version %d, want %d", b[0], envelopeVersion)
	}
	e := &envelope{kind: envelopeKind(b[1]), has: b[2] == 1}
	b = b[3:]
	var bad bool
	number := func() int {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			bad = true
			return 0
		}
		b = b[size:]
		return int(n)
	}
	text := func() string {
		n := number()
		s := string(b[:n])
		b = b[n:]
		return s
	}
	e.node, e.key, e.group, e.err = text(), text(), text(), text()
	for n := number(); n > 0 && !bad; n-- {
		e.except = append(e.except, text())
	}
	for n := number(); n > 0 && !bad; n-- {
		e.names = append(e.names, text())
		e.records = append(e.records, []byte(text()))
	}
	if bad {
		return nil, errEnvelope
	}
	return e, nil
}
