package signalr_test

import (
	"net"
	"sync"
	"testing"
	"time"
)

// faultProxy is a TCP proxy that does to connections what networks do: it passes bytes on between clients and one server, and misbehaves when it is told to. All methods are safe for concurrent
// use, and none waits for the network.
type faultProxy struct {
	listener net.Listener
	target   string
	alive    sync.WaitGroup

	mu       sync.Mutex
	change   *sync.Cond
	links    map[*proxyLink]struct{}
	accepted int
	refuse   bool
	stalled  bool
	delay    time.Duration
	budget   int64 // bytes until the next cut, both directions together; negative is none
	spent    func()
	closed   bool
}

// proxyLink is one connection of a client and the one to the server that belongs to it.
type proxyLink struct {
	client, server net.Conn
}

func (l *proxyLink) cut() {
	for _, c := range []net.Conn{l.client, l.server} {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, as of a network that went away
		}
		_ = c.Close()
	}
}

// newFaultProxy returns a proxy for the server at target, host and port. It ends with the test, and all of its connections with it.
func newFaultProxy(t testing.TB, target string) *faultProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &faultProxy{listener: l, target: target, links: make(map[*proxyLink]struct{}), budget: -1}
	p.change = sync.NewCond(&p.mu)
	p.alive.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr is where clients connect to, host and port.
func (p *faultProxy) Addr() string { return p.listener.Addr().String() }

// Accepted is the number of connections so far that were not refused.
func (p *faultProxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Cut resets all connections, and returns how many there were.
func (p *faultProxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut()
}

func (p *faultProxy) cut() int {
	n := len(p.links)
	for l := range p.links {
		l.cut()
	}
	clear(p.links)
	return n
}

// CutAfter resets all connections when n more bytes have passed, counted over both directions: that is within a message as often
// as between two. Then it calls spent, which may be nil and may call CutAfter again.
func (p *faultProxy) CutAfter(n int64, spent func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.budget, p.spent = n, spent
}

// Stall holds back all bytes of both directions, without an end of any connection, until it is called with false.
func (p *faultProxy) Stall(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = on
	p.change.Broadcast()
}

// Delay lets each piece wait for d before it is passed on. 0 is no delay.
func (p *faultProxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Refuse resets new connections at once, until it is called with false.
func (p *faultProxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// HalfClose ends the direction to the clients of all connections. What clients say still arrives.
func (p *faultProxy) HalfClose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		_ = l.client.(*net.TCPConn).CloseWrite()
	}
}

func (p *faultProxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.cut()
	p.change.Broadcast()
	p.mu.Unlock()
	p.alive.Wait()
}

func (p *faultProxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		l := &proxyLink{client, server}
		p.mu.Lock()
		if p.refuse || p.closed {
			l.cut()
			p.mu.Unlock()
			continue
		}
		p.accepted++
		p.links[l] = struct{}{}
		p.mu.Unlock()
		p.alive.Go(func() { p.copy(l, server, client) })
		p.alive.Go(func() { p.copy(l, client, server) })
	}
}

// copy passes on one direction of a link until it ends.
func (p *faultProxy) copy(l *proxyLink, to, from net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		pass, cut := p.admit(int64(n))
		if _, werr := to.Write(buf[:pass]); werr != nil {
			err = werr
		}
		if cut != nil {
			p.Cut()
			cut()
			return
		}
		if err != nil {
			p.mu.Lock()
			delete(p.links, l)
			p.mu.Unlock()
			_ = l.client.Close()
			_ = l.server.Close()
			return
		}
	}
}

// admit waits as long as it must, and returns how many of n bytes may pass. cut is not nil if that was the last of them.
func (p *faultProxy) admit(n int64) (pass int64, cut func()) {
	p.mu.Lock()
	delay := p.delay
	p.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.stalled && !p.closed {
		p.change.Wait()
	}
	if p.budget < 0 || n < p.budget {
		if p.budget >= 0 {
			p.budget -= n
		}
		return n, nil
	}
	pass, cut = p.budget, p.spent
	p.budget, p.spent = -1, nil
	if cut == nil {
		cut = func() {}
	}
	return pass, cut
}
