package classic_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// faulty is a proxy between a client and its server that can be cut, stalled, half closed and closed to newcomers.
type faulty struct {
	listener net.Listener
	target   string
	alive    sync.WaitGroup

	mu      sync.Mutex
	change  *sync.Cond
	links   map[[2]net.Conn]struct{}
	refuse  bool
	stalled bool
	closed  bool
}

// newFaulty returns a proxy to the server at the address of url, and the address of the proxy.
func newFaulty(t *testing.T, url string) (*faulty, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &faulty{listener: l, target: strings.TrimPrefix(url, "http://"), links: make(map[[2]net.Conn]struct{})}
	f.change = sync.NewCond(&f.mu)
	f.alive.Go(f.accept)
	t.Cleanup(func() {
		_ = l.Close()
		f.mu.Lock()
		f.closed, f.stalled = true, false
		f.change.Broadcast()
		f.mu.Unlock()
		f.Cut()
		f.alive.Wait()
	})
	return f, "http://" + l.Addr().String()
}

// Cut ends all connections.
func (f *faulty) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for l := range f.links {
		_, _ = l[0].Close(), l[1].Close()
	}
	clear(f.links)
}

// Refuse ends new connections at once, until it is called with false.
func (f *faulty) Refuse(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = on
}

// Move leads new connections to another server.
func (f *faulty) Move(url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.target = strings.TrimPrefix(url, "http://")
}

// Stall holds back all bytes, until it is called with false.
func (f *faulty) Stall(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stalled = on
	f.change.Broadcast()
}

// HalfClose ends the direction to the client of all connections.
func (f *faulty) HalfClose() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for l := range f.links {
		_ = l[0].(*net.TCPConn).CloseWrite()
	}
}

func (f *faulty) accept() {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		target := f.target
		f.mu.Unlock()
		server, err := net.Dial("tcp", target)
		if err != nil {
			_ = client.Close()
			continue
		}
		link := [2]net.Conn{client, server}
		f.mu.Lock()
		if f.refuse || f.closed {
			_, _ = client.Close(), server.Close()
			f.mu.Unlock()
			continue
		}
		f.links[link] = struct{}{}
		f.mu.Unlock()
		f.alive.Go(func() { f.copy(link, server, client) })
		f.alive.Go(func() { f.copy(link, client, server) })
	}
}

func (f *faulty) copy(link [2]net.Conn, to, from net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		f.mu.Lock()
		for f.stalled && !f.closed {
			f.change.Wait()
		}
		f.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				break
			}
		}
		if err == io.EOF {
			_ = to.(*net.TCPConn).CloseWrite()
			return
		}
		if err != nil {
			break
		}
	}
	_, _ = link[0].Close(), link[1].Close()
	f.mu.Lock()
	delete(f.links, link)
	f.mu.Unlock()
}
