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

	encodings int  // how many of the hub's are in use
	stopped   bool // nobody is added any more
}

func (m *lifetime) init() {
	m.links = make(map[string]*Link)
	m.groups = make(map[string][]*Link)
	m.users = make(map[string][]*Link)
}

var errTwice = errors.New("hubbub: the connection id is in use")

// add registers l and puts hello first into its queue, so that nothing can be sent to it before and nothing is missed after.
func (m *lifetime) add(l *Link, hello []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.stopped:
		return ErrShutdown
	case m.links[l.id] != nil: // a second one would hide the first, which could then never be removed
		return errTwice
	}
	if hello != nil {
		if err := l.out.Push(hello, 0); err != nil {
			return err
		}
	}
	m.links[l.id] = l
	if l.enc.links++; l.enc.links == 1 {
		m.encodings++
	}
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
	if l.enc.links--; l.enc.links == 0 {
		m.encodings--
	}
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
	return l.watched(m.enter(l, group))
}

func (m *lifetime) enter(l *Link, group string) bool {
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
	return l.watched(m.exit(l, group))
}

// watched tells the connection that its groups have changed.
func (l *Link) watched(changed bool) bool {
	if changed && l.watcher != nil {
		l.watcher.GroupsChanged()
	}
	return changed
}

func (m *lifetime) exit(l *Link, group string) bool {
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

// stop refuses everybody from now on and returns those who are here.
func (m *lifetime) stop() []*Link {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
	return slices.Clone(m.all)
}
