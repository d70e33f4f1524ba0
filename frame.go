package hubbub

import (
	"fmt"
	"sync"
)

// encoding is one way in which messages go out: a protocol and a framing that connections of the hub use.
type encoding struct {
	protocol Protocol
	framing  Framing
	index    int
	links    int // connections that use it; guarded by the lifetime
}

// encodingOf returns the hub's encoding with that protocol and framing; connections with equal names share it.
func (h *Hub) encodingOf(p Protocol, f Framing) *encoding {
	same := func(e *encoding) bool {
		return e.protocol.Name() == p.Name() && framingName(e.framing) == framingName(f)
	}
	h.encMu.RLock()
	for _, e := range h.encodings {
		if same(e) {
			h.encMu.RUnlock()
			return e
		}
	}
	h.encMu.RUnlock()
	h.encMu.Lock()
	defer h.encMu.Unlock()
	for _, e := range h.encodings {
		if same(e) {
			return e
		}
	}
	e := &encoding{protocol: p, framing: f, index: len(h.encodings)}
	h.encodings = append(h.encodings, e)
	return e
}

func framingName(f Framing) string {
	if f == nil {
		return ""
	}
	return f.Name()
}

// frame is one message to many connections, with its bytes: encoded once for each protocol, wrapped once for each framing,
// and only for what is connected.
type frame struct {
	msg Message
	hub *Hub

	mu      sync.Mutex
	wire    [][]byte // by encoding.index
	records []record // one for each protocol
}

// record is a message as one protocol encodes it, or why it could not.
type record struct {
	protocol string
	b        []byte
	err      error
}

func (h *Hub) newFrame(m Message) *frame { return &frame{msg: m, hub: h} }

// ready returns what goes out to connections of encoding e if that is known already.
func (f *frame) ready(e *encoding) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.index < len(f.wire) {
		return f.wire[e.index]
	}
	return nil
}

// bytes returns what goes out to connections of encoding e.
func (f *frame) bytes(e *encoding) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.index < len(f.wire) && f.wire[e.index] != nil {
		return f.wire[e.index], nil
	}
	b, err := f.record(e.protocol)
	if err != nil {
		return nil, err
	}
	if e.framing != nil {
		b = e.framing.AppendFrame(make([]byte, 0, len(b)+16), b)
	}
	for len(f.wire) <= e.index {
		f.wire = append(f.wire, nil)
	}
	f.wire[e.index] = b
	return b, nil
}

// record returns the message as p encodes it. It needs f.mu.
func (f *frame) record(p Protocol) ([]byte, error) {
	name := p.Name()
	for i := range f.records {
		if r := &f.records[i]; r.protocol == name {
			return r.b, r.err
		}
	}
	if f.msg == nil {
		return nil, fmt.Errorf("message of another node: it was not encoded for protocol %q", name)
	}
	b, err := f.hub.encode(p, nil, f.msg)
	if err == nil {
		f.hub.count.encoded.Add(1)
	}
	f.records = append(f.records, record{name, b, err})
	return b, err
}

// encode is p.Append. A value whose own encoder panics is one that cannot be encoded.
func (h *Hub) encode(p Protocol, dst []byte, m Message) (b []byte, err error) {
	defer h.recovered(&err)
	return p.Append(dst, m)
}

// recordBytes are buffers for messages that are wrapped at once and not kept.
var recordBytes = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// encode returns the bytes of a message to this connection alone.
func (l *Link) encode(m Message) ([]byte, error) {
	if l.enc.framing == nil {
		return l.hub.encode(l.enc.protocol, nil, m)
	}
	buf := recordBytes.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= 64<<10 {
			recordBytes.Put(buf)
		}
	}()
	b, err := l.hub.encode(l.enc.protocol, (*buf)[:0], m)
	if err != nil {
		return nil, err
	}
	*buf = b
	return l.enc.framing.AppendFrame(make([]byte, 0, len(b)+14), b), nil
}
