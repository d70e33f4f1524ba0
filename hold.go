package hubbub

import (
	"context"
	"maps"
	"slices"
)

// Hold is [Hub.Attach] for a dialect whose clients say later that they are ready: the connection is in every audience at once,
// its calls wait until [Link.Open] or [Link.Reopen].
func (h *Hub) Hold(conn Conn, user *User) (*Link, error) { return h.hold(conn, user, nil) }

// Visit makes a link that only calls: it is in no audience, joins no group, and neither [Hub.OnConnected] nor
// [Hub.OnDisconnected] runs for it. It is for a classic connection that calls a hub which it has not listed. The dialect must
// call [Link.Detach] in the end.
func (h *Hub) Visit(conn Conn, user *User) *Link {
	h.served.Store(true)
	l := h.newLink(conn, user)
	l.visitor, l.opening, l.ready = true, true, true
	close(l.opened)
	return l
}

// Open runs [Hub.OnConnected] for a link of [Hub.Hold], blocks until it has returned and returns its error, with which the
// connection is closed. Only the first call of Open and [Link.Reopen] runs anything; later ones wait for it and return the same.
func (l *Link) Open() error { return l.openWith(l.hub.onConnected, "OnConnected") }

// Reopen is [Link.Open] for a client that comes back to a server that does not know it: [Hub.OnReconnected] runs in place of
// OnConnected, if the hub has it.
func (l *Link) Reopen() error {
	if l.hub.onReconnected == nil {
		return l.Open()
	}
	return l.openWith(l.hub.onReconnected, "OnReconnected")
}

func (l *Link) openWith(event func(context.Context) error, name string) error {
	l.mu.Lock()
	if l.opening {
		l.mu.Unlock()
		<-l.opened
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.refusal == nil && !l.ready {
			return ErrClosed
		}
		return l.refusal
	}
	l.opening = true
	l.mu.Unlock()
	l.open(event, name)
	return l.refusal
}

// Opened reports whether [Hub.OnConnected], or what stands for it, has begun.
func (l *Link) Opened() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opening
}

// Reconnected runs [Hub.OnReconnected] in its turn among the calls of the connection, unless too much waits already. It does
// not block.
func (l *Link) Reconnected() { l.event("OnReconnected", l.hub.onReconnected) }

// Groups returns the groups of the connection, sorted.
func (l *Link) Groups() []string {
	m := &l.hub.life
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Sorted(maps.Keys(l.groupPos))
}

// Rejoin puts the connection into groups that it was in before, as far as [Hub.OnRejoiningGroups] allows. It is for a link of
// [Hub.Hold] before it is opened. It fails if the backplane refuses.
func (l *Link) Rejoin(groups []string) error {
	if f := l.hub.onRejoining; f != nil && len(groups) > 0 {
		var err error
		func() {
			defer l.hub.recovered(&err)
			groups = f(l.newCall(nil, nil, 0), groups)
		}()
		if err != nil {
			return err
		}
	}
	for _, g := range groups {
		if err := l.hub.membership(l.ctx, l.id, l, g, true); err != nil {
			return err
		}
	}
	return nil
}
