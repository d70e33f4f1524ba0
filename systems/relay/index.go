package relay

import (
	"sync"

	"github.com/hubbub-go/hubbub"
)

// conn is a connection of the event hub on this node.
type conn struct {
	caller *hubbub.Caller
	guest  *guest // nil unless its events are retained

	mu   sync.Mutex        // one change at a time
	subs map[string]string // cookie by eventguid; of the index
}

// target is a connection that hears of an event, with its cookie.
type target struct {
	conn   *conn
	cookie string
}

// index finds the connections of this node that have subscribed to an event. It is safe for concurrent use.
type index struct {
	mu    sync.RWMutex
	conns map[string]*conn            // by connection id
	guids map[string]map[*conn]string // cookies
	size  int                         // subscriptions
}

func newIndex() *index {
	return &index{conns: make(map[string]*conn), guids: make(map[string]map[*conn]string)}
}

// enter takes a connection in; one that is in already is returned instead.
func (x *index) enter(c *conn) *conn {
	x.mu.Lock()
	defer x.mu.Unlock()
	if known := x.conns[c.caller.ID()]; known != nil {
		return known
	}
	c.subs = make(map[string]string)
	x.conns[c.caller.ID()] = c
	return c
}

func (x *index) find(id string) *conn {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.conns[id]
}

// remove forgets a connection with all it has subscribed to, and returns it, or nil.
func (x *index) remove(id string) *conn {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.conns[id]
	if c == nil {
		return nil
	}
	delete(x.conns, id)
	for guid := range c.subs {
		x.drop(c, guid)
	}
	return c
}

// put subscribes a connection, unless it is gone or has as many subscriptions as it may have. The last cookie counts.
func (x *index) put(c *conn, guid, cookie string, most int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.conns[c.caller.ID()] != c {
		return true
	}
	if _, has := c.subs[guid]; !has {
		if len(c.subs) >= most {
			return false
		}
		x.size++
	}
	c.subs[guid] = cookie
	set := x.guids[guid]
	if set == nil {
		set = make(map[*conn]string, 1)
		x.guids[guid] = set
	}
	set[c] = cookie
	return true
}

// full reports whether a connection may not subscribe to a further event.
func (x *index) full(c *conn, guid string, most int) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	_, has := c.subs[guid]
	return !has && len(c.subs) >= most
}

// end ends a subscription, if there is one.
func (x *index) end(c *conn, guid string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, has := c.subs[guid]; has {
		delete(c.subs, guid)
		x.drop(c, guid)
	}
}

// drop takes a connection out of the set of an event. It needs x.mu.
func (x *index) drop(c *conn, guid string) {
	set := x.guids[guid]
	if delete(set, c); len(set) == 0 {
		delete(x.guids, guid)
	}
	x.size--
}

// targets appends those that hear of an event.
func (x *index) targets(guid string, list []target) []target {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for c, cookie := range x.guids[guid] {
		list = append(list, target{c, cookie})
	}
	return list
}

// guidsOf returns the eventguids that a connection has subscribed to.
func (x *index) guidsOf(c *conn) []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	all := make([]string, 0, len(c.subs))
	for guid := range c.subs {
		all = append(all, guid)
	}
	return all
}

// counts returns how many connections and subscriptions there are.
func (x *index) counts() (conns, subs int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.conns), x.size
}
