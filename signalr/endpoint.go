package signalr

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
)

// endpoint is one address: its options, its connections, and the clock that watches them.
type endpoint struct {
	opts    Options
	hub     *hubbub.Hub     // nil for a raw endpoint
	options *hubbub.Options // the hub's, shared by all connections; nil for a raw endpoint
	raw     ConnectionHandler
	node    [8]byte

	json, msgpack protocol

	mu    sync.Mutex
	conns map[string]*connection // by token
	used  map[string]time.Time   // tokens of connections that are gone, until their first request would come too late anyway
	prune int                    // size of used at which it is cleaned next
	quiet chan struct{}          // closed when the last connection has gone; nil while the clock stands
}

func newEndpoint(hub *hubbub.Hub, raw ConnectionHandler, opts *Options) *endpoint {
	e := &endpoint{
		opts: opts.withDefaults(), hub: hub, raw: raw,
		conns: make(map[string]*connection), used: make(map[string]time.Time), prune: 64,
	}
	node := ""
	if hub != nil {
		o := hub.Options()
		e.options, node = &o, o.Node
		e.json, e.msgpack = newJSON(o.Naming), newMessagePack()
		hub.Support(e.json, e.msgpack)
	}
	sum := sha256.Sum256([]byte(node))
	copy(e.node[:], sum[:])
	return e
}

// stopping reports whether new connections are refused.
func (e *endpoint) stopping() bool {
	if e.hub == nil {
		return false
	}
	select {
	case <-e.hub.Stopping():
		return true
	default:
		return false
	}
}

// lookup finds the connection of a token. Without one, t is what the token says if it may still become a connection.
func (e *endpoint) lookup(tok, path string) (c *connection, t token, pending bool) {
	e.mu.Lock()
	c = e.conns[tok]
	_, used := e.used[tok]
	e.mu.Unlock()
	if c != nil && c.path == path {
		return c, token{}, false
	}
	if c != nil || used {
		return nil, token{}, false
	}
	t, ok := parseToken(tok, e.opts.Keys, path)
	if !ok || time.Now().After(t.bindBy) {
		return nil, token{}, false
	}
	return nil, t, true
}

// add makes c the one connection of its token. It reports false if there is one, or was.
func (e *endpoint) add(c *connection) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, used := e.used[c.token]; used || e.conns[c.token] != nil {
		return false
	}
	e.conns[c.token] = c
	if e.quiet == nil {
		e.quiet = make(chan struct{})
		go e.clock(e.quiet)
	}
	return true
}

// remove forgets a connection: from now on its token is unknown.
func (e *endpoint) remove(c *connection) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conns[c.token] != c {
		return
	}
	delete(e.conns, c.token)
	if now := time.Now(); c.bindBy.After(now) {
		e.used[c.token] = c.bindBy
		if len(e.used) >= e.prune {
			for t, until := range e.used {
				if now.After(until) {
					delete(e.used, t)
				}
			}
			e.prune = max(64, 2*len(e.used))
		}
	}
	if len(e.conns) == 0 {
		close(e.quiet)
		e.quiet = nil
	}
}

// clock looks after all connections once a second, as ASP.NET Core does, while there are any.
func (e *endpoint) clock(quiet chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var stopping <-chan struct{}
	if e.hub != nil {
		stopping = e.hub.Stopping()
	}
	var list []*connection
	for {
		var now time.Time
		select {
		case <-quiet:
			return
		case <-stopping:
			stopping, now = nil, time.Now() // the hub does not know connections before their handshake
		case now = <-tick.C:
		}
		list = list[:0]
		e.mu.Lock()
		for _, c := range e.conns {
			list = append(list, c)
		}
		e.mu.Unlock()
		for _, c := range list {
			c.tick(now)
		}
		clear(list)
	}
}
