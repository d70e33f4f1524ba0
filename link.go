package hubbub

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
)

// newID returns 128 random bits as 22 characters of base64url.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// NewConnectionID returns a connection id that nobody can guess: 128 random bits as 22 characters of base64url.
func NewConnectionID() string { return newID() }

// flusher is a [Conn] that can write what waits in its queue at once, on the goroutine of its caller, without waiting for the
// peer. That is for the last answer of a goroutine: whoever goes on working lets others write.
type flusher interface{ Flush() }

// Link is the hub's side of one connection. The dialect that made it with [Hub.Attach] hands over what the peer says and
// tells when the peer is gone.
type Link struct {
	hub    *Hub
	conn   Conn
	out    *Outbox
	id     string
	enc    *encoding
	userID string
	ctx    context.Context
	cancel context.CancelFunc
	user   atomic.Pointer[User]
	items  atomic.Pointer[sync.Map]
	done   chan struct{}

	// Places in the lists of the lifetime, guarded by it.
	allPos, userPos int
	groupPos        map[string]int

	flusher flusher      // nil if the connection is none
	watcher GroupWatcher // nil if the connection is none
	visitor bool         // only calls: in no audience, no events

	mu       sync.Mutex
	opening  bool             // OnConnected has begun, or never will
	ready    bool             // OnConnected has accepted
	refusal  error            // of OnConnected
	ended    bool             // Detach was called
	opened   chan struct{}    // closed when OnConnected has ended
	pending  []*call          // calls that wait for their turn
	waiting  []*call          // the array that pending starts in again when it is empty
	bytes    int              // size of what waits
	running  int              // calls that hold a permit
	released int              // calls that have given it back and wait for a client
	streams  int              // calls with streams
	active   map[string]*call // calls by invocation id
	uploads  map[string]*upload
	space    chan struct{} // not nil while Receive waits for room
}

// Attach makes a connection part of the hub and starts [Hub.OnConnected] for it. hello, if not nil, is the first thing that
// goes out: the dialect's answer to the handshake. Whatever is sent to the connection from then on follows it. The dialect
// must call [Link.Detach] in the end. It fails with [ErrShutdown] when the hub is stopping, and if the backplane refuses.
func (h *Hub) Attach(conn Conn, user *User, hello []byte) (*Link, error) {
	l, err := h.hold(conn, user, hello)
	if err != nil {
		return nil, err
	}
	l.opening = true
	go l.open(h.onConnected, "OnConnected")
	return l, nil
}

// hold makes a connection part of the hub.
func (h *Hub) hold(conn Conn, user *User, hello []byte) (*Link, error) {
	h.served.Store(true)
	select {
	case <-h.stop:
		return nil, ErrShutdown
	default:
	}
	l := h.newLink(conn, user)
	if h.remote != nil {
		if err := h.remote.attach(l); err != nil {
			l.cancel()
			return nil, fmt.Errorf("hub %s: attach to the backplane: %w", h.name, err)
		}
	}
	if err := h.life.add(l, hello); err != nil {
		if h.remote != nil {
			h.remote.detach(l, nil)
		}
		l.cancel()
		return nil, err
	}
	h.crew.enter()
	h.count.opened.Add(1)
	return l, nil
}

func (h *Hub) newLink(conn Conn, user *User) *Link {
	l := &Link{
		hub: h, conn: conn, out: conn.Outbox(), id: conn.ID(), enc: h.encodingOf(conn.Protocol(), conn.Framing()),
		done: make(chan struct{}), opened: make(chan struct{}),
	}
	l.flusher, _ = conn.(flusher)
	l.watcher, _ = conn.(GroupWatcher)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.user.Store(user)
	if user != nil {
		l.userID = user.ID
	}
	return l
}

// open runs OnConnected, or what stands for it, and lets the calls go that came meanwhile.
func (l *Link) open(event func(context.Context) error, name string) {
	err := l.connected(event)
	l.mu.Lock()
	l.refusal = err
	if err == nil {
		l.ready = true
		l.pump()
	}
	close(l.opened)
	l.mu.Unlock()
	if err != nil {
		l.hub.opts.Logger.Error(name+" failed", "hub", l.hub.name, "connection", l.id, "error", err)
		l.conn.Close(&Close{Error: Describe(textConnection, err, l.hub.opts.EnableDetailedErrors)}, err)
	}
}

func (l *Link) connected(event func(context.Context) error) (err error) {
	if event == nil {
		return nil
	}
	defer l.hub.recovered(&err)
	c := l.newCall(nil, nil, 0)
	c.connecting = true
	return event(c)
}

// recovered turns a panic of the hub's code into an error. It must be deferred directly.
func (h *Hub) recovered(err *error) {
	if v := recover(); v != nil {
		h.count.panics.Add(1)
		h.opts.Logger.Error("panic in hub code", "hub", h.name, "panic", v, "stack", string(debug.Stack()))
		*err = Classify("PanicException", nil, fmt.Sprint(v))
	}
}

// ID returns the connection id.
func (l *Link) ID() string { return l.id }

// User returns the current user, nil if anonymous.
func (l *Link) User() *User { return l.user.Load() }

// Done is closed when the connection has left the hub and [Hub.OnDisconnected] has run.
func (l *Link) Done() <-chan struct{} { return l.done }

// Refresh replaces the user at once, for later calls; running ones keep theirs, and neither [Hub.User] nor groups change.
// [Hub.OnAuthenticationRefreshed] takes its turn among the calls of the connection; where too much waits already, one turn
// stands for several refreshes. It does not block.
func (l *Link) Refresh(user *User) {
	l.user.Store(user)
	l.event("OnAuthenticationRefreshed", l.hub.onRefreshed)
}

// event runs f in its turn among the calls of the connection; where too much waits already, one turn stands for several.
func (l *Link) event(name string, f func(context.Context) error) {
	if f == nil {
		return
	}
	c := l.newCall(nil, nil, 0)
	c.plain = true
	c.event = func(ctx context.Context) {
		var err error
		defer func() {
			if err != nil {
				l.hub.opts.Logger.Error(name+" failed", "hub", l.hub.name, "connection", l.id, "error", err)
			}
		}()
		defer l.hub.recovered(&err)
		err = f(ctx)
	}
	l.mu.Lock()
	full := len(l.pending) >= l.hub.opts.MaximumPendingInvocations
	if !l.ended && !(full && slices.ContainsFunc(l.pending, func(c *call) bool { return c.event != nil })) {
		l.wait(c)
		l.pump()
	}
	l.mu.Unlock()
}

// Detach says that the peer is gone or given up. reason is nil for an ordinary end. It returns at once: the context of the
// connection ends, [Hub.OnDisconnected] runs, the streams that the peer was sending fail, groups forget the connection, then
// [Link.Done] is closed. Methods that still run are not waited for. Later calls do nothing.
func (l *Link) Detach(reason error) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return
	}
	l.ended = true
	if !l.opening {
		l.opening = true
		close(l.opened)
	}
	for _, c := range l.pending {
		if !c.plain {
			c.finish()
		}
	}
	l.pending, l.waiting, l.bytes = nil, nil, 0
	l.wakeReceiver()
	l.mu.Unlock()
	l.cancel()
	go l.end(reason)
}

func (l *Link) end(reason error) {
	<-l.opened
	h := l.hub
	if l.ready && !l.visitor && h.onDisconnected != nil {
		var err error
		func() {
			defer h.recovered(&err)
			h.onDisconnected(context.WithoutCancel(l.newCall(nil, nil, 0)), ordinary(reason))
		}()
	}
	l.mu.Lock()
	for _, u := range l.uploads {
		u.finish(errConnection)
	}
	l.uploads = nil
	l.mu.Unlock()
	if l.visitor {
		close(l.done)
		return
	}
	groups := h.life.remove(l)
	if h.remote != nil {
		h.remote.detach(l, groups)
	}
	h.count.end(reasonOf(reason))
	h.crew.leave()
	close(l.done)
}

// ordinary hides reasons that OnDisconnected calls an ordinary end.
func ordinary(reason error) error {
	switch reasonOf(reason) {
	case "normal", "shutdown", "expired":
		return nil
	}
	return reason
}

func (l *Link) shared() *sync.Map {
	if m := l.items.Load(); m != nil {
		return m
	}
	l.items.CompareAndSwap(nil, new(sync.Map))
	return l.items.Load()
}

// CloseWhere closes every connection of this node for which match returns true: its client reads text, if not empty, as the
// reason and comes back only with allowReconnect. It returns their number at once. match must not block.
func (h *Hub) CloseWhere(match func(c *Caller) bool, text string, allowReconnect bool) int {
	n := 0
	for _, l := range h.life.snapshot() {
		if match(&Caller{link: l, user: l.user.Load()}) {
			n++
			l.conn.Close(&Close{Error: text, AllowReconnect: allowReconnect}, nil)
		}
	}
	return n
}
