package hubtest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/cookiejar"
	"sync"
	"time"
)

// Link is the network between one client and a [Server]: it carries all connections of that client, and misbehaves when it is
// told to. What it does to a connection it does to both directions. Its faults may be changed at any time, also while others
// last. All methods are safe for concurrent use, and none waits.
type Link struct {
	server *Server
	http   *http.Client

	mu      sync.Mutex
	change  *sync.Cond // something that a reader or writer waits for
	wires   map[*wire]struct{}
	dialled int
	delay   time.Duration
	stalled bool
	down    bool
	closed  bool
}

func newLink(s *Server) *Link {
	l := &Link{server: s, wires: make(map[*wire]struct{})}
	l.change = sync.NewCond(&l.mu)
	jar, _ := cookiejar.New(nil) // fails never without options
	l.http = &http.Client{Jar: jar, Transport: &http.Transport{
		DialContext:       l.dial,
		DisableKeepAlives: true, // nothing stays behind when a client has been closed
	}}
	return l
}

// HTTPClient returns a client whose requests go through the link, whatever their host, with a cookie jar of its own. It is for
// [signalr.ClientOptions], for those of package classic, or for plain requests. It is the same one each time.
func (l *Link) HTTPClient() *http.Client { return l.http }

// Drop cuts every connection that the link has at the moment: both sides see a reset at once, and what was under way is lost.
// New ones can be made. Connections that are half-open do not notice.
func (l *Link) Drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop()
}

// drop needs l.mu.
func (l *Link) drop() {
	for w := range l.wires {
		if !w.silent {
			w.kill()
		}
	}
	l.change.Broadcast()
}

// kill ends a wire for both sides. It needs link.mu.
func (w *wire) kill() {
	w.cut, w.silent = true, false
	for i := range w.ends {
		w.ends[i].arriving, w.ends[i].size = nil, 0
	}
	delete(w.link.wires, w)
}

// Down is [Link.Drop], and new connections are refused until [Link.Up]: the server is gone.
func (l *Link) Down() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	l.drop()
}

// Up ends [Link.Down].
func (l *Link) Up() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

// Stall keeps everything that is sent from arriving, until [Link.Resume]. Nothing is lost, and no side sees an error: writing
// goes on until 256 KiB wait.
func (l *Link) Stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stalled = true
}

// Resume ends [Link.Stall]: what has waited arrives, in its order.
func (l *Link) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stalled = false
	l.change.Broadcast()
}

// Delay makes everything that is sent from now on arrive d later, in its order; making a connection takes twice as long. 0, the
// default, is no delay.
func (l *Link) Delay(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = max(d, 0)
}

// HalfOpen makes every connection that the link has at the moment look alive and be dead, for good: nothing arrives any more,
// not even that a side has closed it, and no side sees an error. Only keep-alives and timeouts can find that out. New
// connections can be made and are well.
func (l *Link) HalfOpen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.wires {
		w.silent = true
	}
	l.change.Broadcast()
}

// Dialled returns how many connections were made through the link so far; refused ones do not count. A WebSocket is one, each
// request of another kind is one.
func (l *Link) Dialled() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dialled
}

var errRefused = errors.New("connection refused")

// dial connects to the server, whatever the address.
func (l *Link) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	l.mu.Lock()
	trip := 2 * l.delay
	l.mu.Unlock()
	if trip > 0 {
		timer := time.NewTimer(trip)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, l.undialled(network, ctx.Err())
		case <-l.server.listener.done: // net/http dials on for requests that are gone
			return nil, l.undialled(network, errRefused)
		}
	}
	w, err := l.wire()
	if err != nil {
		return nil, l.undialled(network, err)
	}
	if err := l.server.listener.hand(ctx, &w.ends[1]); err != nil {
		l.mu.Lock()
		w.kill()
		l.mu.Unlock()
		return nil, l.undialled(network, err)
	}
	return &w.ends[0], nil
}

func (l *Link) undialled(network string, err error) error {
	return &net.OpError{Op: "dial", Net: network, Addr: serverAddr, Err: err}
}

// wire makes a new wire, if the link lets it.
func (l *Link) wire() (*wire, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down || l.closed {
		return nil, errRefused
	}
	w := newWire(l, l.server.clientAddr(), serverAddr)
	l.wires[w] = struct{}{}
	l.dialled++
	return w, nil
}

// wake makes everybody look who waits.
func (l *Link) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.change.Broadcast()
}

// clear ends what would keep a client from saying goodbye: faults are over, and connections that one affects are cut.
func (l *Link) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.wires {
		if w.silent || l.stalled {
			w.kill()
		}
	}
	l.stalled, l.delay = false, 0
	l.change.Broadcast()
}

// close ends every connection, half-open ones too, and refuses new ones.
func (l *Link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for w := range l.wires {
		w.kill()
	}
	l.change.Broadcast()
}
