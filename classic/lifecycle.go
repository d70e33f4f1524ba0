package classic

import (
	"maps"
	"net/http"
	"slices"

	"github.com/hubbub-go/hubbub"
)

// open returns the connection of the request, making it if the server does not know it. returning is true for a client that
// must have been connected before: then its groups come from the groups token, and OnReconnected stands for OnConnected. It
// returns nil if it has answered.
func (x *exchange) open(returning bool) *connection {
	c, over := x.e.lookup(x.id)
	switch {
	case over:
		x.tooLate()
		return nil
	case c == nil && x.e.stopping():
		x.refuse(http.StatusServiceUnavailable, "")
		return nil
	case c == nil:
		c = x.e.newConnection(x.id, x.user, snapshot(x.r, x.t))
		c.returning.Store(returning)
		if c = x.e.enter(c); c == nil {
			x.tooLate()
			return nil
		}
	}
	c.renew(x.user)
	for _, s := range x.refused {
		c.leave(s)
	}
	var groups map[string][]string
	if token := x.field("groupstoken"); token != "" && returning {
		groups = parseGroupsToken(token, x.e.opts.Keys, x.id)
	}
	if groups != nil && c.unseen() {
		c.returning.Store(true) // so far it has only called
	}
	if err := c.join(x.hubs, x.user, groups); err != nil {
		c.mayReturn()
		c.end(err)
		x.e.logger().Error("classic: connection refused", "connection", c.id, "error", err)
		x.refuse(http.StatusServiceUnavailable, "")
		return nil
	}
	return c
}

// tooLate answers a client whose connection has ended. A poll is told in an envelope, which clients since 2.4 obey: a status would
// make them try again until their time is over.
func (x *exchange) tooLate() {
	if x.t != LongPolling || x.command == "send" {
		x.refuse(http.StatusBadRequest, textGone)
		return
	}
	b := appendText([]byte(`{"C":"d-0","E":`), textGone)
	x.json(append(b, `,"M":[]}`...))
}

// renew takes the credential that a request brings along, of the same user, if it is good for longer.
func (c *connection) renew(u *hubbub.User) {
	if u == nil || u.Expires.IsZero() {
		return
	}
	c.mu.Lock()
	longer := c.user != nil && u.Expires.After(c.user.Expires) && !c.user.Expires.IsZero()
	if longer {
		c.user = u
	}
	views, visitors := c.views, maps.Clone(c.visitors)
	c.mu.Unlock()
	if !longer {
		return
	}
	for _, v := range views {
		v.link.Refresh(u)
	}
	for _, v := range visitors {
		v.link.Refresh(u)
	}
}

// join makes the connection part of the hubs that it is not part of yet, and of its groups there.
func (c *connection) join(hubs []*service, user *hubbub.User, groups map[string][]string) error {
	c.joining.Lock()
	defer c.joining.Unlock()
	for _, s := range hubs {
		c.mu.Lock()
		delete(c.barred, s)
		c.mu.Unlock()
		if v := c.view(s); v != nil {
			if err := v.restore(groups); err != nil {
				return err
			}
			continue
		}
		v := &view{c: c, s: s}
		link, err := s.hub.Hold(v, user)
		if err != nil {
			return err
		}
		v.link = link
		c.mu.Lock()
		ended, reason := c.ended, c.reason
		if !ended {
			c.views = append(c.views[:len(c.views):len(c.views)], v)
		}
		c.mu.Unlock()
		if ended {
			link.Detach(reason)
			return hubbub.ErrClosed
		}
		if err := v.restore(groups); err != nil {
			return err
		}
	}
	return nil
}

// leave takes the connection out of a hub that the user may no longer reach.
func (c *connection) leave(s *service) {
	c.joining.Lock()
	defer c.joining.Unlock()
	v := c.view(s)
	c.mu.Lock()
	if c.barred == nil {
		c.barred = make(map[*service]bool)
	}
	c.barred[s] = true
	if v == nil {
		c.mu.Unlock()
		return
	}
	c.views = slices.DeleteFunc(slices.Clone(c.views), func(other *view) bool { return other == v })
	c.mu.Unlock()
	v.link.Detach(hubbub.ErrUnauthorized)
	c.regroup.Store(true)
	c.wake()
}

// restore puts a client that this server has not connected itself back into its groups, the first time that it proves them.
// groups are nil for a request that proves nothing.
func (v *view) restore(groups map[string][]string) error {
	if !v.c.returning.Load() || v.restored || groups == nil {
		return nil
	}
	v.restored = true
	return v.link.Rejoin(groups[v.s.name])
}

// view returns the connection as the hub sees it, or nil if the client has not listed the hub.
func (c *connection) view(s *service) *view {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.views {
		if v.s == s {
			return v
		}
	}
	return nil
}

// caller returns the link over which the client calls a hub, listed or not.
func (c *connection) caller(s *service) *hubbub.Link {
	if v := c.view(s); v != nil {
		return v.link
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.visitors[s]
	if v == nil {
		v = &view{c: c, s: s}
		v.link = s.hub.Visit(v, c.user)
		if c.ended {
			v.link.Detach(c.reason)
			return v.link
		}
		if c.visitors == nil {
			c.visitors = make(map[*service]*view)
		}
		c.visitors[s] = v
	}
	return v.link
}

// begin runs OnConnected of every hub that has not run it. It blocks until they have returned.
func (c *connection) begin() error {
	c.mu.Lock()
	views := c.views
	c.mu.Unlock()
	for _, v := range views {
		if err := v.link.Open(); err != nil {
			return err
		}
	}
	return nil
}

// serveStart runs OnConnected of all hubs of the connection, once, and answers when they have returned.
func (x *exchange) serveStart() {
	c := x.open(false)
	if c == nil {
		return
	}
	if err := c.begin(); err != nil {
		x.refuse(http.StatusInternalServerError, "")
		return
	}
	x.json([]byte(`{ "Response": "started" }`))
}

// serveAbort ends the connection, whatever transport the request names.
func (x *exchange) serveAbort() {
	if c, _ := x.e.lookup(x.id); c != nil {
		c.end(nil)
	}
	h := x.w.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("Content-Length", "0")
	x.w.WriteHeader(http.StatusOK)
}

// serveStream carries the connection to the client: connect, reconnect, poll, and any other path, which is a reconnect that
// nobody hears of.
func (x *exchange) serveStream() {
	if x.t == WebSockets && !x.isUpgrade() {
		x.refuse(http.StatusBadRequest, textSocket)
		return
	}
	if x.t == WebSockets && x.e.opts.CheckOrigin != nil && !x.e.opts.CheckOrigin(x.r) {
		x.refuse(http.StatusForbidden, "")
		return
	}
	frame := ""
	if x.t == ForeverFrame {
		var ok bool
		if frame, ok = frameID(x.q.get("frameid")); !ok {
			x.refuse(http.StatusInternalServerError, "")
			return
		}
	}
	if x.t == LongPolling && !x.body() {
		return
	}
	connecting := x.command == "connect"
	c := x.open(!connecting)
	if c == nil {
		return
	}
	if connecting && x.startsItself() {
		if err := c.begin(); err != nil {
			x.refuse(http.StatusInternalServerError, "")
			return
		}
	}
	switch x.t {
	case WebSockets:
		x.serveWebSocket(c, connecting)
	case LongPolling:
		x.servePoll(c, connecting)
	default:
		x.serveEvents(c, connecting, frame)
	}
}

// arrived tells the hubs of a client that has a new stream.
func (x *exchange) arrived(c *connection) {
	c.mu.Lock()
	views := c.views
	c.mu.Unlock()
	for _, v := range views {
		switch opened := v.link.Opened(); {
		case opened && x.command == "reconnect":
			v.link.Reconnected()
		case !opened && c.returning.Load():
			go v.link.Reopen() // its calls wait for it; an error ends the connection
		}
	}
}
