package signalr_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// faultProxy is a TCP proxy that does to connections what networks do: it passes bytes on between clients and one server, and
// misbehaves when it is told to. All methods are safe for concurrent use, and none waits for the network.
type faultProxy struct {
	listener net.Listener
	target   string
	alive    sync.WaitGroup
	mu       sync.Mutex
	change   *sync.Cond
	links    map[*proxyLink]struct{}
	accepted int
	open     int // links that the server has not ended; counted with WholeFrames
	refuse   bool
	whole    bool    // see WholeFrames
	stalled  [2]bool // by direction
	delay    time.Duration
	piece    int                 // most bytes that are passed on at once
	watch    func(b []byte) bool // of what servers say; see CutAt
	tap      func(l *proxyLink, direction int, b []byte)
	budget   int64 // bytes until the next cut, both directions together; negative is none
	spent    func()
	closed   bool
}

// proxyLink is one connection of a client and the one to the server that belongs to it.
type proxyLink struct {
	client, server net.Conn
	whole          bool
	shut           [2]bool // directions that have ended; guarded by faultProxy.mu
}

// The directions of a connection.
const (
	toServer = iota
	toClient
)

func (l *proxyLink) cut() {
	for _, c := range []net.Conn{l.client, l.server} {
		tcp := c.(*net.TCPConn)
		if l.whole && c == l.server { // see end
			_ = tcp.CloseWrite()
			continue
		}
		_ = tcp.SetLinger(0) // a reset, as of a network that went away
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
	p := &faultProxy{listener: l, target: target, links: make(map[*proxyLink]struct{}), budget: -1, piece: 4096}
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

// CutAt resets all connections as soon as a server has said something of which seen is true, which is passed on before. seen
// gets what is read at once from a server; it must not use the proxy.
func (p *faultProxy) CutAt(seen func(b []byte) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watch = seen
}

// Stall holds back all bytes of both directions, without an end of any connection, until it is called with false.
func (p *faultProxy) Stall(on bool) {
	p.StallOne(toServer, on)
	p.StallOne(toClient, on)
}

// StallOne is Stall for one direction.
func (p *faultProxy) StallOne(direction int, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled[direction] = on
	p.change.Broadcast()
}

// Delay lets each piece wait for d before it is passed on. 0 is no delay.
func (p *faultProxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Pieces passes on at most n bytes at once.
func (p *faultProxy) Pieces(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.piece = n
}

// WholeFrames spares servers what ASP.NET Core does not survive: it passes on to them only whole WebSocket frames, makes a cut an
// end for them instead of a reset, and lets a client in again only when the server has ended the connection before.
func (p *faultProxy) WholeFrames(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.whole = on
}

// Tap calls f with all that servers say, passed on or not, and with what was passed on to them. It is set before the first
// connection.
func (p *faultProxy) Tap(f func(l *proxyLink, direction int, b []byte)) { p.tap = f }

// Refuse resets new connections at once, until it is called with false.
func (p *faultProxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// HalfClose ends one direction of all connections. What is said in the other one still arrives; what is said in this one is lost.
func (p *faultProxy) HalfClose(direction int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.shut[direction] = true
		to := l.server
		if direction == toClient {
			to = l.client
		}
		_ = to.(*net.TCPConn).CloseWrite()
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
		p.mu.Lock()
		for p.whole && p.open > 0 && !p.closed && len(p.links) == 0 {
			p.change.Wait()
		}
		p.mu.Unlock()
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		l := &proxyLink{client: client, server: server, whole: p.whole}
		if p.refuse || p.closed {
			l.cut()
			p.mu.Unlock()
			continue
		}
		p.accepted++
		p.open++
		p.links[l] = struct{}{}
		p.mu.Unlock()
		p.alive.Go(func() { p.copy(l, toServer, server, client) })
		p.alive.Go(func() { p.copy(l, toClient, client, server) })
	}
}

// copy passes on one direction of a link until it ends.
func (p *faultProxy) copy(l *proxyLink, direction int, to, from net.Conn) {
	buf := make([]byte, 4096)
	read := from.Read
	if l.whole && direction == toServer {
		buf, read = make([]byte, 1<<20), (&frameReader{r: bufio.NewReader(from)}).Read
	}
	for {
		n, err := read(buf)
		if p.tap != nil && direction == toClient {
			p.tap(l, direction, buf[:n])
		}
		for b := buf[:n]; len(b) > 0; {
			pass, shut, cut := p.admit(l, direction, b)
			if !shut {
				if _, werr := to.Write(b[:pass]); werr != nil {
					err = werr
				} else if p.tap != nil && direction == toServer {
					p.tap(l, direction, b[:pass])
				}
			}
			if cut != nil {
				p.Cut()
				cut()
				p.end(l, direction)
				return
			}
			b = b[pass:]
		}
		if err != nil {
			p.mu.Lock()
			delete(p.links, l)
			p.mu.Unlock()
			p.end(l, direction)
			return
		}
	}
}

// end closes both sides after one direction has ended. With WholeFrames the server hears an end, and no reset, after all that was
// passed on to it: what it says until then is read.
func (p *faultProxy) end(l *proxyLink, direction int) {
	_ = l.client.Close()
	if l.whole {
		_ = l.server.(*net.TCPConn).CloseWrite()
		_ = l.server.SetReadDeadline(time.Now().Add(5 * time.Second))
		if direction == toServer {
			return // the other direction reads
		}
		_, _ = io.Copy(io.Discard, l.server)
	}
	_ = l.server.Close()
	if direction == toClient {
		p.mu.Lock()
		p.open--
		p.change.Broadcast()
		p.mu.Unlock()
	}
}

// frameReader reads a request and then one whole WebSocket frame after the other.
type frameReader struct {
	r     *bufio.Reader
	asked bool
}

// Read fills b with the lines of a request, one by one, or with a frame.
func (f *frameReader) Read(b []byte) (int, error) {
	if !f.asked {
		line, err := f.r.ReadSlice('\n')
		f.asked = len(line) <= 2
		return copy(b, line), err
	}
	head, err := f.r.Peek(2)
	if err != nil {
		return 0, err
	}
	size, n := 2+4, int(head[1]&0x7f)
	switch n {
	case 126:
		size += 2
		if head, err = f.r.Peek(4); err == nil {
			n = int(binary.BigEndian.Uint16(head[2:]))
		}
	case 127:
		size += 8
		if head, err = f.r.Peek(10); err == nil {
			n = int(binary.BigEndian.Uint64(head[2:]))
		}
	}
	if err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(f.r, b[:size+n]); err != nil {
		return 0, err
	}
	return size + n, nil
}

// admit waits as long as it must, and returns how many bytes of b may pass now, or whether the direction has ended. cut is not
// nil if that was the last of them.
func (p *faultProxy) admit(l *proxyLink, direction int, b []byte) (pass int, shut bool, cut func()) {
	p.mu.Lock()
	delay := p.delay
	p.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.stalled[direction] && !p.closed {
		p.change.Wait()
	}
	if l.shut[direction] {
		return len(b), true, nil
	}
	if direction == toClient && p.watch != nil && p.watch(b) {
		p.watch = nil
		return len(b), false, func() {}
	}
	if pass = min(len(b), p.piece); l.whole && direction == toServer {
		return len(b), false, nil
	}
	if p.budget < 0 || int64(pass) < p.budget {
		if p.budget >= 0 {
			p.budget -= int64(pass)
		}
		return pass, false, nil
	}
	pass, cut = int(p.budget), p.spent
	p.budget, p.spent = -1, nil
	if cut == nil {
		cut = func() {}
	}
	return pass, false, cut
}
