package signalr_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
)

// ledger reads what passes a proxy with stateful reconnect, and counts the messages of both sides as their receivers must. One
// that has a number and then another, or a number that has one text and then another, is its sender's fault, whatever the
// receiver made of it.
type ledger struct {
	mu    sync.Mutex
	said  [2]map[int]string
	flows map[*proxyLink]*[2]ledgerFlow
	links int
	wrong []string
}

// ledgerFlow is one direction of one socket.
type ledgerFlow struct {
	socket  int
	rest    []byte // not yet a whole frame
	began   bool   // the header of HTTP is over
	payload []byte // not yet a whole message
	over    bool
	next    int // 0 before the first Sequence
}

// remembered is how many messages a ledger has the texts of: more than buffers of stateful reconnect hold.
const remembered = 50_000

var directionNames = [2]string{toServer: "client", toClient: "server"}

func newLedger() *ledger {
	return &ledger{said: [2]map[int]string{{}, {}}, flows: make(map[*proxyLink]*[2]ledgerFlow)}
}

// tap is for faultProxy.Tap.
func (x *ledger) tap(l *proxyLink, direction int, b []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	pair := x.flows[l]
	if pair == nil {
		pair = &[2]ledgerFlow{{socket: x.links}, {socket: x.links}}
		if x.flows[l] = pair; !bytes.HasPrefix(b, []byte("GET ")) { // that is negotiate
			pair[0].over, pair[1].over = true, true
			return
		}
		if x.links == 0 { // it has a handshake in place of a Sequence
			pair[0].next, pair[1].next = 1, 1
		}
		x.links++
	}
	f := &pair[direction]
	if f.over {
		return
	}
	f.rest = append(f.rest, b...)
	if !f.began {
		i := bytes.Index(f.rest, []byte("\r\n\r\n"))
		if i < 0 {
			return
		}
		f.began, f.rest = true, f.rest[i+4:]
	}
	for {
		opcode, payload, rest, ok := cutFrame(f.rest)
		if !ok {
			return
		}
		f.rest = rest
		if opcode < 8 {
			f.payload = append(f.payload, payload...)
			x.records(f, direction)
		}
	}
}

// cutFrame takes one WebSocket frame off b and unmasks it.
func cutFrame(b []byte) (opcode byte, payload, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, b, false
	}
	at, n := 2, int(b[1]&0x7f)
	switch {
	case n == 126 && len(b) >= 4:
		at, n = 4, int(binary.BigEndian.Uint16(b[2:]))
	case n == 127 && len(b) >= 10:
		at, n = 10, int(binary.BigEndian.Uint64(b[2:]))
	case n > 125:
		return 0, nil, b, false
	}
	var mask [4]byte
	if b[1]&0x80 != 0 {
		if len(b) < at+4 {
			return 0, nil, b, false
		}
		copy(mask[:], b[at:])
		at += 4
	}
	if len(b) < at+n {
		return 0, nil, b, false
	}
	payload = bytes.Clone(b[at : at+n])
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return b[0] & 0x0f, payload, b[at+n:], true
}

// records counts what is whole of a payload.
func (x *ledger) records(f *ledgerFlow, direction int) {
	for len(f.payload) > 0 {
		i := bytes.IndexByte(f.payload, 0x1e)
		if i < 0 {
			return
		}
		record := f.payload[:i]
		f.payload = f.payload[i+1:]
		var m struct {
			Type       int
			SequenceID int
		}
		if err := json.Unmarshal(record, &m); err != nil {
			x.fault(f, direction, "no JSON: %v: %.80q", err, record)
			continue
		}
		switch {
		case m.Type == 9:
			f.next = m.SequenceID
		case m.Type >= 1 && m.Type <= 5:
			x.count(f, direction, string(record))
		}
	}
}

func (x *ledger) count(f *ledgerFlow, direction int, text string) {
	if f.next == 0 {
		x.fault(f, direction, "a message before any Sequence: %.80q", text)
		return
	}
	if before, ok := x.said[direction][f.next]; ok && before != text {
		x.fault(f, direction, "message %d is %.80q, and was %.80q", f.next, text, before)
	}
	x.said[direction][f.next] = text
	delete(x.said[direction], f.next-remembered)
	f.next++
}

func (x *ledger) fault(f *ledgerFlow, direction int, format string, args ...any) {
	x.wrong = append(x.wrong, fmt.Sprintf("socket %d, %s: ", f.socket, directionNames[direction])+fmt.Sprintf(format, args...))
}

func (x *ledger) report(t *testing.T) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, w := range x.wrong {
		if i == 10 {
			break
		}
		t.Error(w)
	}
}
