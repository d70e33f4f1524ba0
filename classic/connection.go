package classic

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubbub-go/hubbub"
)

// connection is one client, from its first stream to its abort or time-out, over however many streams and transports.
type connection struct {
	ep    *endpoint
	id    string
	user  *hubbub.User
	epoch string
	out   *hubbub.Outbox

	serial  atomic.Uint64 // of calls and of POSTs
	regroup atomic.Bool   // the groups have changed since the token was made

	returning atomic.Bool // the client had been connected before this server knew it
	joining   sync.Mutex  // held while hubs are joined
	grouping  sync.Mutex  // held while the groups token is made, so that an older one does not replace it
	receiving sync.Mutex  // held while a message of the client is handed to a hub, so that they keep their order

	mu       sync.Mutex
	views    []*view
	visitors map[*service]*view
	barred   map[*service]bool // hubs that refused a later request
	req      *hubbub.Request   // of the newest stream, or what came before one
	log      log
	stream   stream
	number   uint64 // of the stream
	posts    map[uint64]chan []byte
	groups   string // the token of the groups, once there have been any
	theirs   string // the one that the client has
	shutdown bool   // the client should come back, here or elsewhere
	final    string // why the server has ended the connection, to be said last
	away     time.Time
	long     bool // the last transport was long polling
	ended    bool
	reason   error
	warned   bool
	slow     bool          // about to be ended for it
	gone     chan struct{} // closed when the connection has ended
}

// stream is what carries a connection to its client for a while.
type stream interface {
	// wake says that there is something to send. It must not block.
	wake()
	// end says that the stream is over, because another has taken its place or the connection has ended. It must not block.
	end()
	// tick is called about once a second.
	tick(now time.Time)
}

// view is a connection as one of its hubs sees it.
type view struct {
	c        *connection
	s        *service
	link     *hubbub.Link
	restored bool // the groups of before are joined; guarded by c.joining
}

// ID, Protocol, Framing, Request, Outbox and Close are hubbub.Conn.

func (v *view) ID() string                { return v.c.id }
func (v *view) Protocol() hubbub.Protocol { return v.s.proto }
func (v *view) Framing() hubbub.Framing   { return nil }
func (v *view) Outbox() *hubbub.Outbox    { return v.c.out }

func (v *view) Request() *hubbub.Request {
	v.c.mu.Lock()
	defer v.c.mu.Unlock()
	return v.c.req
}

func (v *view) Close(m *hubbub.Close, reason error) {
	c := v.c
	c.mu.Lock()
	switch {
	case c.ended || m == nil:
	case m.AllowReconnect:
		c.shutdown = true
	case m.Error != "":
		c.final = m.Error
	default:
		c.final = textEnded
	}
	c.mu.Unlock()
	c.end(reason)
}

// GroupsChanged implements hubbub.GroupWatcher.
func (v *view) GroupsChanged() {
	v.c.regroup.Store(true)
	v.c.wake()
}

// errTimeout is the reason for a connection whose client has not come back.
type errTimeout struct{}

func (errTimeout) Error() string  { return "the client has not come back in time" }
func (errTimeout) Reason() string { return "timeout" }

func (e *endpoint) newConnection(id string, user *hubbub.User, req *hubbub.Request) *connection {
	c := &connection{
		ep: e, id: id, user: user, req: req, epoch: newEpoch(), away: time.Now(), gone: make(chan struct{}),
	}
	c.out = hubbub.NewOutbox(1<<30, c.drain) // it holds nothing: the log has the limit
	return c
}

// drain sorts what the hubs have sent: messages and answers into the log, answers to POSTs to those who wait for them.
func (c *connection) drain() {
	c.mu.Lock()
	c.out.Take(func(b []byte, t hubbub.MessageType) bool {
		if t != hubbub.TypeCompletion {
			c.log.push(b, 0)
			return true
		}
		kind, number, answer, ok := parseRoute(b)
		switch {
		case ok && kind == 's':
			c.log.push(answer, number)
		case ok && c.posts[number] != nil:
			c.posts[number] <- answer // has room for its one answer
			delete(c.posts, number)
		}
		return true
	})
	limit := c.ep.limit
	switch {
	case c.log.bytes <= limit || len(c.log.waiting) < 2 || c.ended:
	case c.stream == nil || c.ep.opts.SlowConsumer == DropOldest:
		c.log.dropWaiting(limit)
		c.warn()
	case !c.slow:
		c.slow = true
		go c.end(hubbub.ErrSlow) // not here: a hub may hold its locks
	}
	s := c.stream
	c.mu.Unlock()
	if s != nil {
		s.wake()
	}
}

// warn says once that messages were dropped. It needs c.mu.
func (c *connection) warn() {
	if !c.warned {
		c.warned = true
		c.ep.logger().Warn("classic: oldest messages dropped, their client is away or does not read", "connection", c.id)
	}
}

// currentUser returns the user as of now.
func (c *connection) currentUser() *hubbub.User {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.user
}

func (c *connection) wake() {
	c.mu.Lock()
	s := c.stream
	c.mu.Unlock()
	if s != nil {
		s.wake()
	}
}

// attach makes s the stream of the connection, in place of the one before. cursor and groups are what the client says it has.
// It returns the number of the stream, or false if the connection has ended.
func (c *connection) attach(s stream, t Transport, req *hubbub.Request, cursor, groups string) (uint64, bool) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return 0, false
	}
	old := c.stream
	c.stream, c.away, c.req, c.long = s, time.Time{}, req, t == LongPolling
	c.number++
	number := c.number
	if cursor != "" {
		n, known, ok := parseCursor(cursor, c.epoch)
		switch {
		case known && ok:
			if lost := c.log.rewind(n); lost > 0 {
				c.log.dropped += lost
				c.warn()
			}
			if c.long {
				c.log.acknowledge(n)
			}
		case known:
			c.log.rewind(c.log.first + uint64(len(c.log.kept)))
		case c.returning.Load(): // its cursor is of a server before this one: what this one has written to an earlier stream did not come
			c.log.rewind(c.log.first)
		}
	}
	if c.theirs = groups; groups != "" && c.groups == "" {
		c.regroup.Store(true) // it is worth nothing here, or not yet
	}
	c.mu.Unlock()
	if old != nil {
		old.end()
	}
	return number, true
}

// detach says that s carries the connection no more.
func (c *connection) detach(s stream) {
	c.mu.Lock()
	if c.stream == s {
		c.stream, c.away = nil, time.Now()
	}
	c.mu.Unlock()
}

// has reports whether there is something to say to stream s.
func (c *connection) has(s stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stream == s && (c.log.back < len(c.log.kept) || len(c.log.waiting) > 0 || c.regroup.Load() || c.theirs != c.groups)
}

// envelope says how the next one is made.
type envelope struct {
	initial bool // S: the answer to connect
	delay   int  // L, in milliseconds
	empty   bool // one without messages is wanted
	max     int  // about as many bytes of messages
}

// refreshGroups makes the groups token anew if the groups have changed.
func (c *connection) refreshGroups() {
	if !c.regroup.Load() {
		return
	}
	c.grouping.Lock()
	defer c.grouping.Unlock()
	if !c.regroup.Swap(false) {
		return
	}
	c.mu.Lock()
	views := c.views
	c.mu.Unlock()
	groups := make(map[string][]string)
	for _, v := range views {
		if g := v.link.Groups(); len(g) > 0 { // takes the lock of the hub, under which hubs send
			groups[v.s.name] = g
		}
	}
	token := groupsToken(c.ep.opts.Keys, c.id, groups)
	c.mu.Lock()
	c.groups = token
	c.mu.Unlock()
}

// appendNext appends what is to be said next to stream s, with the given number: an answer, or an envelope. frame appends what
// goes before a text of n bytes. It reports false if there is nothing.
func (c *connection) appendNext(dst []byte, s stream, number uint64, e *envelope, frame func(dst []byte, n int) []byte) ([]byte, bool) {
	c.refreshGroups()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stream != s {
		return dst, false
	}
	if !e.initial {
		if b, ok := c.log.answer(number); ok {
			return append(frame(dst, len(b)), b...), true
		}
	}
	n, size := c.log.messages(e.max)
	final := n == 0 && c.final != ""
	if n == 0 && !e.initial && !e.empty && !final && c.theirs == c.groups {
		return dst, false
	}
	var space [512]byte
	head := append(space[:0], `{"C":"`...)
	head = appendCursor(head, c.epoch, c.log.next()+uint64(n))
	head = append(head, '"')
	if e.initial {
		head = append(head, `,"S":1`...)
	}
	if c.theirs != c.groups {
		head = append(append(append(head, `,"G":"`...), c.groups...), '"')
		c.theirs = c.groups
	}
	if e.delay > 0 {
		head = appendNumber(append(head, `,"L":`...), e.delay)
	}
	if final {
		head = appendText(append(head, `,"E":`...), c.final)
		c.final = ""
	}
	head = append(head, `,"M":[`...)
	dst = frame(dst, len(head)+size+max(n-1, 0)+2)
	dst = append(dst, head...)
	now := time.Now()
	dst = append(c.log.appendMessages(dst, n, now), "]}"...)
	if n > 0 {
		c.log.forget(c.ep.opts.MessageBufferSize, now.Add(-c.ep.keepFor))
	}
	e.initial, e.empty = false, false
	return dst, true
}

// tick ends a connection whose client does not come back, and forgets what nobody will ask for.
func (c *connection) tick(now time.Time) {
	c.mu.Lock()
	threshold := disconnectThreshold
	if c.long {
		threshold = c.ep.opts.LongPollDelay
	}
	over := !c.away.IsZero() && now.Sub(c.away) >= c.ep.opts.DisconnectTimeout+threshold
	c.log.forget(c.ep.opts.MessageBufferSize, now.Add(-c.ep.keepFor))
	s, expires, unlisted := c.stream, time.Time{}, len(c.views) == 0
	if c.user != nil {
		expires = c.user.Expires
	}
	c.mu.Unlock()
	switch {
	case over:
		c.end(errTimeout{})
	case unlisted && c.ep.stopping():
		c.end(hubbub.ErrShutdown)
	case c.ep.opts.CloseOnAuthenticationExpiration && !expires.IsZero() && now.After(expires):
		c.end(nil)
	case s != nil:
		s.tick(now)
	}
}

// unseen reports whether the connection has not had a stream here.
func (c *connection) unseen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.number == 0
}

// mayReturn says that the client may come back with its token once the connection has ended, and is then one that has been
// connected before.
func (c *connection) mayReturn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shutdown = c.shutdown || !c.ended
}

// end ends the connection for all its hubs. reason is nil for an ordinary end. It does not block. Later calls do nothing.
func (c *connection) end(reason error) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.ended, c.reason = true, reason
	s, views, visitors, returns := c.stream, c.views, c.visitors, c.shutdown
	close(c.gone)
	c.mu.Unlock()
	c.ep.remove(c, returns)
	for _, v := range views {
		v.link.Detach(reason)
	}
	for _, v := range visitors {
		v.link.Detach(reason)
	}
	c.out.Discard()
	if s != nil {
		s.end()
	}
}
