package hubbub

import (
	"errors"
	"maps"
	"sync"
	"sync/atomic"
)

// counters are what a hub counts.
type counters struct {
	opened, received, sent, encoded atomic.Int64
	invocations, failed, panics     atomic.Int64
	streams                         atomic.Int64

	mu     sync.Mutex
	closed map[string]int64
}

func (c *counters) end(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed == nil {
		c.closed = make(map[string]int64)
	}
	c.closed[reason]++
}

// Stats are the counters of a hub on this node since it was made.
type Stats struct {
	Connections int              // connected now
	Groups      int              // groups with members now
	Users       int              // users with a connection now
	Opened      int64            // connections that finished their handshake
	Closed      map[string]int64 // ended connections by reason: normal, slow, shutdown, timeout, expired, error
	Received    int64            // messages from clients
	Sent        int64            // messages put into the queues of connections
	Encoded     int64            // encodings of messages to an audience: one for each message and protocol in use
	Invocations int64            // calls of methods that were started
	Failed      int64            // calls that were answered with an error
	Panics      int64            // panics in methods, filters and streams
	Streams     int64            // calls with streams running now
}

// Stats returns the counters. Each is exact, together they are not one moment.
func (h *Hub) Stats() Stats {
	c := &h.count
	s := Stats{
		Opened: c.opened.Load(), Received: c.received.Load(), Sent: c.sent.Load(), Encoded: c.encoded.Load(),
		Invocations: c.invocations.Load(), Failed: c.failed.Load(), Panics: c.panics.Load(), Streams: c.streams.Load(),
	}
	c.mu.Lock()
	s.Closed = maps.Clone(c.closed)
	c.mu.Unlock()
	h.life.mu.RLock()
	s.Connections, s.Groups, s.Users = len(h.life.all), len(h.life.groups), len(h.life.users)
	h.life.mu.RUnlock()
	return s
}

// reasonOf names why a connection ended, for [Stats]. An error can name its reason itself with a method Reason() string.
func reasonOf(err error) string {
	var named interface{ Reason() string }
	switch {
	case err == nil:
		return "normal"
	case errors.Is(err, ErrSlow):
		return "slow"
	case errors.Is(err, ErrShutdown):
		return "shutdown"
	case errors.As(err, &named):
		return named.Reason()
	}
	return "error"
}
