package hubtest

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/signalr"
)

// Server serves HTTP in memory. Clients reach it through a [Link], one for each. All methods are safe for concurrent use.
type Server struct {
	// URL is the address of the server, without a path: the same for every server, as each is reached through links of its own.
	URL string

	t        testing.TB
	listener *listener
	http     *http.Server
	served   chan struct{} // closed when nothing is accepted any more
	once     sync.Once

	mu    sync.Mutex
	links []*Link
	ports int
	over  bool
}

// serverAddr is the address of every server, for documentation only (RFC 5737).
var serverAddr = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}

// NewServer serves h, such as an *http.ServeMux with hubs mapped to it, until the test ends or [Server.Close]. It does not
// block.
func NewServer(t testing.TB, h http.Handler) *Server {
	t.Helper()
	s := &Server{
		URL: "http://hub.test", t: t,
		listener: &listener{accepting: make(chan net.Conn), done: make(chan struct{})},
		http:     &http.Server{Handler: h},
		served:   make(chan struct{}),
	}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(s.listener) // ends with the listener
	}()
	running.begin(t)
	t.Cleanup(func() {
		s.Close()
		if running.end(t) && settle() {
			time.Sleep(aftermath)
		}
	})
	return s
}

// aftermath passes at the end of a bubble, whose time stands still afterwards: hubs wait up to 15 s for clients that are away
// and may come back, and a goroutine that still waits then fails the test.
const aftermath = time.Minute

// tests counts the servers of each test that runs, to know the last one.
type tests struct {
	mu      sync.Mutex
	servers map[testing.TB]int
}

var running = tests{servers: make(map[testing.TB]int)}

func (r *tests) begin(t testing.TB) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.servers[t]++
}

// end reports whether it was the last server of the test.
func (r *tests) end(t testing.TB) (last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.servers[t]--
	if last = r.servers[t] == 0; last {
		delete(r.servers, t)
	}
	return last
}

// Link returns a new way to the server, for one client: without faults, and independent of the others.
func (s *Server) Link() *Link {
	l := newLink(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links = append(s.links, l)
	l.closed = s.over
	return l
}

// Connect connects a client to the hub at path, through a link of its own. opts may be nil; it is not changed, and its
// HTTPClient is not used. See [Connect].
func (s *Server) Connect(t testing.TB, path string, opts *signalr.ClientOptions) *Conn {
	t.Helper()
	return connect(t, s.Link(), s.URL+path, path, opts)
}

// Close ends the server as a power cut does: every connection is reset, and new ones are refused. It waits until nothing is
// accepted any more, but not for handlers. The end of the test calls it; later calls do nothing.
func (s *Server) Close() {
	s.once.Do(func() {
		s.mu.Lock()
		s.over = true
		links := s.links
		s.mu.Unlock()
		s.listener.Close()
		_ = s.http.Close()
		for _, l := range links {
			l.close()
		}
		<-s.served
	})
}

// clientAddr returns an address that no other connection to the server has.
func (s *Server) clientAddr() *net.TCPAddr {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ports++
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 1024 + s.ports%64000}
}

// listener hands connections to the HTTP server.
type listener struct {
	accepting chan net.Conn
	once      sync.Once
	done      chan struct{}
}

func (l *listener) hand(ctx context.Context, c net.Conn) error {
	select {
	case l.accepting <- c:
		return nil
	case <-l.done:
		return errRefused
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Accept, Close and Addr implement net.Listener.

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepting:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *listener) Addr() net.Addr { return serverAddr }
