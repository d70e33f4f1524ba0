package hubbub

import (
	"errors"
	"slices"
	"sync"
)

// lifetime knows who is connected to this node, in which groups and as which user.
type lifetime struct {
	mu     sync.RWMutex
	links  map[string]*Link
	all    []*Link
	groups map[string][]*Link
	users  map[string][]*Link
}

func (m *lifetime) init() {
	m.links = make(map[string]*Link)
	m.groups = make(map[string][]*Link)
	m.users = make(map[string][]*Link)
}

// add registers l and puts hello first into its queue, so that nothing can be sent to it before and nothing is missed after.
func (m *lifetime) add(l *Link, hello []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if hello != nil {
		if err := l.out.Push(hello, 0); err != nil {
			return err
		}
	}
	m.links[l.id] = l
	l.allPos = len(m.all)
	m.all = append(m.all, l)
	if l.userID != "" {
		l.userPos = len(m.users[l.userID])
		m.users[l.userID] = append(m.users[l.userID], l)
	}
	return nil
}

// remove forgets l and returns the groups it was in.
func (m *lifetime) remove(l *Link) (groups []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.links[l.id] != l {
		return nil
	}
	delete(m.links, l.id)
	m.all = cut(m.all, l.allPos, func(x *Link, i int) { x.allPos = i })
	if l.userID != "" {
		drop(m.users, l.userID, l.userPos, func(x *Link, i int) { x.userPos = i })
	}
	for g, pos := range l.groupPos {
		drop(m.groups, g, pos, func(x *Link, i int) { x.groupPos[g] = i })
		groups = append(groups, g)
	}
	l.groupPos = nil
	return groups
}

// join and leave report whether anything changed.
func (m *lifetime) join(l *Link, group string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, in := l.groupPos[group]; in || m.links[l.id] != l {
		return false
	}
	if l.groupPos == nil {
		l.groupPos = make(map[string]int)
	}
	l.groupPos[group] = len(m.groups[group])
	m.groups[group] = append(m.groups[group], l)
	return true
}

func (m *lifetime) leave(l *Link, group string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	pos, in := l.groupPos[group]
	if !in {
		return false
	}
	delete(l.groupPos, group)
	drop(m.groups, group, pos, func(x *Link, i int) { x.groupPos[group] = i })
	return true
}

func cut(list []*Link, pos int, moved func(*Link, int)) []*Link {
	last := len(list) - 1
	list[pos] = list[last]
	list[last] = nil
	if pos != last {
		moved(list[pos], pos)
	}
	return list[:last]
}

func drop(sets map[string][]*Link, name string, pos int, moved func(*Link, int)) {
	if list := cut(sets[name], pos, moved); len(list) > 0 {
		sets[name] = list
	} else {
		delete(sets, name)
	}
}

func (m *lifetime) find(id string) *Link {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.links[id]
}

func (m *lifetime) snapshot() []*Link {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Clone(m.all)
}

func (m *lifetime) len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.all)
}

// delivery is one frame on its way to the members of an audience on this node.
type delivery struct {
	f      *frame
	except map[string]struct{}
	slow   []*Link
	err    error
}

// deliver puts f into the queue of every connection of this node that c means. A full queue costs its connection, nobody
// waits. The error is that of an encoding.
func (h *Hub) deliver(c Clients, f *frame) error {
	d := delivery{f: f}
	if len(c.except) > 0 {
		d.except = make(map[string]struct{}, len(c.except))
		for _, id := range c.except {
			d.except[id] = struct{}{}
		}
	}
	m := &h.life
	m.mu.RLock()
	switch c.kind {
	case toAll:
		d.to(m.all)
	case toClients:
		for i, id := range c.names {
			if l := m.links[id]; l != nil && !slices.Contains(c.names[:i], id) {
				d.one(l)
			}
		}
	case toGroups:
		for _, name := range c.names {
			d.to(m.groups[name])
		}
	case toUsers:
		for i, id := range c.names {
			if !slices.Contains(c.names[:i], id) {
				d.to(m.users[id])
			}
		}
	}
	m.mu.RUnlock()
	for _, l := range d.slow {
		l.conn.Close(nil, ErrSlow)
	}
	return d.err
}

func (d *delivery) to(links []*Link) {
	for _, l := range links {
		d.one(l)
	}
}

func (d *delivery) one(l *Link) {
	if d.except != nil {
		if _, out := d.except[l.id]; out {
			return
		}
	}
	b, err := d.f.bytes(l.enc)
	if err != nil {
		d.err = err
		return
	}
	switch err := l.out.Push(b, TypeInvocation); {
	case err == nil:
		l.hub.count.sent.Add(1)
	case errors.Is(err, ErrSlow):
		d.slow = append(d.slow, l)
	}
}
