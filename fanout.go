package hubbub

import (
	"errors"
	"slices"
)

// delivery is one frame on its way to the members of an audience on this node.
type delivery struct {
	f      *frame
	except map[string]struct{}
	late   []*Link // came while the frame was encoded, with an encoding that nobody else has
	slow   []*Link
	err    error
}

// deliver puts f into the queue of every connection of this node that c means. A full queue costs its connection, nobody
// waits. The error is that of an encoding. Values are encoded outside the lock of the lifetime: they run code of their own,
// which may take its time or use the hub.
func (h *Hub) deliver(c Clients, f *frame) error {
	d := delivery{f: f}
	if len(c.except) > 0 {
		d.except = make(map[string]struct{}, len(c.except))
		for _, id := range c.except {
			d.except[id] = struct{}{}
		}
	}
	m := &h.life
	var space [4]*encoding
	for _, e := range d.encodings(m, c, space[:0]) {
		if _, err := f.bytes(e); err != nil {
			d.err = err
		}
	}
	m.mu.RLock()
	m.each(c, func(l *Link) bool {
		if d.excepts(l) {
			return true
		}
		if b := f.ready(l.enc); b != nil {
			d.push(l, b)
		} else {
			d.late = append(d.late, l)
		}
		return true
	})
	m.mu.RUnlock()
	for _, l := range d.late {
		if b, err := f.bytes(l.enc); err != nil {
			d.err = err
		} else {
			d.push(l, b)
		}
	}
	for _, l := range d.slow {
		l.conn.Close(nil, ErrSlow)
	}
	return d.err
}

// Count returns how many connections of this node the audience has at the moment: those that [Clients.Send] would put a message
// into the queue of. One that is in several of its groups counts as often as it would get the message. It does not block.
func (c Clients) Count() int {
	if c.kind == toNobody || c.hub == nil {
		return 0
	}
	m, n := &c.hub.life, 0
	m.mu.RLock()
	defer m.mu.RUnlock()
	m.each(c, func(l *Link) bool {
		if !slices.Contains(c.except, l.id) {
			n++
		}
		return true
	})
	return n
}

// each calls f for every connection that c means until f returns false. It needs m.mu.
func (m *lifetime) each(c Clients, f func(*Link) bool) {
	switch c.kind {
	case toAll:
		visit(m.all, f)
	case toClients:
		for _, id := range c.names {
			if l := m.links[id]; l != nil && !f(l) {
				return
			}
		}
	case toGroups:
		for _, name := range c.names {
			if !visit(m.groups[name], f) {
				return
			}
		}
	case toUsers:
		for _, id := range c.names {
			if !visit(m.users[id], f) {
				return
			}
		}
	}
}

func visit(links []*Link, f func(*Link) bool) bool {
	for _, l := range links {
		if !f(l) {
			return false
		}
	}
	return true
}

// encodings appends those that the members of c use.
func (d *delivery) encodings(m *lifetime, c Clients, list []*encoding) []*encoding {
	m.mu.RLock()
	defer m.mu.RUnlock()
	m.each(c, func(l *Link) bool {
		if d.excepts(l) {
			return true
		}
		for _, e := range list {
			if e == l.enc {
				return true
			}
		}
		list = append(list, l.enc)
		return len(list) < m.encodings
	})
	return list
}

func (d *delivery) excepts(l *Link) bool {
	if d.except == nil {
		return false
	}
	_, out := d.except[l.id]
	return out
}

func (d *delivery) push(l *Link, b []byte) {
	switch err := l.out.Push(b, TypeInvocation); {
	case err == nil:
		l.hub.count.sent.Add(1)
	case errors.Is(err, ErrSlow):
		d.slow = append(d.slow, l)
	}
}
