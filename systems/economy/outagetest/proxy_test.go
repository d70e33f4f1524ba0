package outagetest_test

import (
	"net"
	"sync"
	"testing"
)

// proxy passes TCP connections on to a server that may change, and can be the network that fails.
type proxy struct {
	l net.Listener

	mu      sync.Mutex
	target  string
	stalled chan struct{} // nil while bytes flow; closed when they flow again
	conns   map[*passage]struct{}
	// toServer may look at what a client sends; it passes it on itself where it returns true.
	toServer func(p *passage, data []byte) bool
	work     sync.WaitGroup
}

// passage is one connection through a proxy.
type passage struct {
	client, server net.Conn
	lost           bool // nothing passes any more, and nobody is told
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, target: target, conns: make(map[*passage]struct{})}
	p.work.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.flow()
		p.cut()
		p.work.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.l.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(client) })
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	p.gate(nil)
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	s, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer s.Close()
	one := &passage{client: client, server: s}
	p.mu.Lock()
	p.conns[one] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, one)
		p.mu.Unlock()
	}()
	var back sync.WaitGroup
	back.Go(func() {
		p.copy(one, client, s, false)
		if !p.isLost(one) {
			client.Close()
		}
	})
	p.copy(one, s, client, true)
	s.Close()
	back.Wait()
}

func (p *proxy) isLost(one *passage) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return one.lost
}

// copy passes bytes on, as long as they flow. A passage that is lost swallows them.
func (p *proxy) copy(one *passage, to, from net.Conn, toServer bool) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 && !p.gate(one) && !(toServer && p.taken(one, b[:n])) {
			if _, err := to.Write(b[:n]); err != nil && !p.isLost(one) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// taken lets toServer look at data.
func (p *proxy) taken(one *passage, data []byte) bool {
	p.mu.Lock()
	look := p.toServer
	p.mu.Unlock()
	return look != nil && look(one, data)
}

// gate waits while nothing flows, and reports whether the passage is lost.
func (p *proxy) gate(one *passage) bool {
	for {
		p.mu.Lock()
		stalled, lost := p.stalled, one != nil && one.lost
		p.mu.Unlock()
		if lost || stalled == nil {
			return lost
		}
		<-stalled
	}
}

// look has toServer look at what clients send from now on.
func (p *proxy) look(toServer func(p *passage, data []byte) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.toServer = toServer
}

// stall keeps everything that comes, and new connections, until flow.
func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled == nil {
		p.stalled = make(chan struct{})
	}
}

// flow ends a stall.
func (p *proxy) flow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled != nil {
		close(p.stalled)
		p.stalled = nil
	}
}

// lose makes the connections that are there swallow everything, as those to a machine that has lost its power; new ones work.
func (p *proxy) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for one := range p.conns {
		one.lost = true
		one.server.Close() // the machine's own view of them
	}
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for one := range p.conns {
		one.client.Close()
		one.server.Close()
	}
}

// to changes where new connections go, and cuts the old ones.
func (p *proxy) to(target string) {
	p.mu.Lock()
	p.target = target
	p.mu.Unlock()
	p.cut()
}
