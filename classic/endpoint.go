package classic

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
)

// service is one hub as an endpoint offers it.
type service struct {
	hub   *hubbub.Hub
	name  string
	proto *protocol
}

// endpoint is one base path: its options, its hubs, its connections, and the clock that watches them.
type endpoint struct {
	started     time.Time // in milliseconds, as tokens have it
	opts        Options
	keepFor     time.Duration
	limit       int // of bytes that wait for one connection
	sendTimeout time.Duration
	hubs        []*service
	byName      map[string]*service // in lower case
	raw         *service            // of a persistent connection
	values      *codec

	mu    sync.Mutex
	conns map[string]*connection
	ended map[string]time.Time // ids that were ended here, until nobody comes back any more
	prune int                  // size of ended at which it is cleaned next
	quiet chan struct{}        // closed when the last connection has gone; nil while the clock stands
}

func newEndpoint(opts *Options, hubs ...*hubbub.Hub) *endpoint {
	e := &endpoint{
		opts: opts.withDefaults(), started: time.Now().Truncate(time.Millisecond), byName: make(map[string]*service), values: newCodec(), prune: 64,
		conns: make(map[string]*connection), ended: make(map[string]time.Time),
	}
	e.keepFor = e.opts.keepFor()
	for _, h := range hubs {
		name := h.Name()
		key := strings.ToLower(name)
		switch {
		case name == "" || strings.Contains(name, "."):
			panic(fmt.Sprintf("classic: hub name %q, want one without a dot", name))
		case e.byName[key] != nil:
			panic(fmt.Sprintf("classic: hub %q is mapped twice, as %q", name, e.byName[key].name))
		}
		e.add(h, false)
	}
	slices.SortFunc(e.hubs, func(a, b *service) int { return strings.Compare(a.name, b.name) })
	return e
}

// add offers a hub.
func (e *endpoint) add(h *hubbub.Hub, raw bool) *service {
	o := h.Options()
	s := &service{hub: h, name: h.Name(), proto: &protocol{name: h.Name(), values: e.values, details: o.EnableDetailedErrors, raw: raw}}
	h.Support(s.proto)
	e.hubs = append(e.hubs, s)
	e.byName[strings.ToLower(s.name)] = s
	e.limit = max(e.limit, o.MaximumQueuedBytes)
	e.sendTimeout = max(e.sendTimeout, o.SendTimeout)
	return s
}

// find returns the hub of that name, in any case, or nil.
func (e *endpoint) find(name string) *service {
	for _, s := range e.hubs { // few, and mostly spelled as declared
		if s.name == name {
			return s
		}
	}
	return e.byName[strings.ToLower(name)]
}

func (e *endpoint) logger() *slog.Logger { return e.hubs[0].hub.Options().Logger }

// stopping reports whether new connections are refused, because one of the hubs is shutting down.
func (e *endpoint) stopping() bool {
	for _, s := range e.hubs {
		select {
		case <-s.hub.Stopping():
			return true
		default:
		}
	}
	return false
}

// lookup returns the connection with that id, or nil; over is true for one that has ended here.
func (e *endpoint) lookup(id string) (c *connection, over bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, over = e.ended[id]
	return e.conns[id], over
}

// enter makes c the connection of its id, or returns the one that is there already; nil for an id that has ended meanwhile.
func (e *endpoint) enter(c *connection) *connection {
	e.mu.Lock()
	defer e.mu.Unlock()
	if other := e.conns[c.id]; other != nil {
		return other
	}
	if _, over := e.ended[c.id]; over {
		return nil
	}
	e.conns[c.id] = c
	if e.quiet == nil {
		e.quiet = make(chan struct{})
		go e.clock(e.quiet)
	}
	return c
}

// remove forgets a connection. Unless its client may return, its id is refused for as long as the client may try.
func (e *endpoint) remove(c *connection, returns bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conns[c.id] != c {
		return
	}
	delete(e.conns, c.id)
	now := time.Now()
	if !returns {
		e.ended[c.id] = now.Add(e.keepFor)
	}
	if len(e.ended) >= e.prune {
		for id, until := range e.ended {
			if now.After(until) {
				delete(e.ended, id)
			}
		}
		e.prune = max(64, 2*len(e.ended))
	}
	if len(e.conns) == 0 {
		close(e.quiet)
		e.quiet = nil
	}
}

// clock looks after all connections once a second while there are any.
func (e *endpoint) clock(quiet chan struct{}) {
	tick := time.NewTicker(clockPeriod)
	defer tick.Stop()
	var list []*connection
	stopping := e.hubs[0].hub.Stopping()
	for {
		var now time.Time
		select {
		case <-quiet:
			return
		case <-stopping:
			stopping, now = nil, time.Now() // no hub knows connections that have listed none
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
