package catalog_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/systems/catalog"
)

// wire is a TCP proxy that can be silent, cut, and led elsewhere.
type wire struct {
	listener net.Listener
	silent   atomic.Bool // what the server says gets lost
	work     sync.WaitGroup

	mu     sync.Mutex
	target string // "" refuses
	conns  map[net.Conn]bool
}

func newWire(t testing.TB, address string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, conns: make(map[net.Conn]bool)}
	w.lead(address)
	w.work.Go(w.serve)
	t.Cleanup(func() {
		w.cut()
		l.Close()
		w.work.Wait()
	})
	return w
}

func (w *wire) url() string { return "http://" + w.listener.Addr().String() }

// lead lets new connections through to the server at that address.
func (w *wire) lead(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.target = strings.TrimPrefix(address, "http://")
}

// cut ends all connections and lets no new ones through.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.target = ""
	for c := range w.conns {
		c.Close()
	}
	clear(w.conns)
}

func (w *wire) serve() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.mu.Lock()
		target := w.target
		w.mu.Unlock()
		var far net.Conn
		if target != "" {
			far, err = net.Dial("tcp", target)
		}
		if far == nil || err != nil {
			near.Close()
			continue
		}
		w.mu.Lock()
		if w.target != target { // it was cut meanwhile
			w.mu.Unlock()
			near.Close()
			far.Close()
			continue
		}
		w.conns[near], w.conns[far] = true, true
		w.mu.Unlock()
		w.work.Go(func() { w.copy(far, near, nil) })
		w.work.Go(func() { w.copy(near, far, &w.silent) })
	}
}

func (w *wire) copy(dst, src net.Conn, silent *atomic.Bool) {
	defer src.Close()
	defer dst.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if silent == nil || !silent.Load() {
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cutFor is how long the network of TestCut is away: CATALOG_CUT=5s is what the users of Centro ask for.
func cutFor(t *testing.T) time.Duration {
	text := os.Getenv("CATALOG_CUT")
	if text == "" {
		return 300 * time.Millisecond
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// again reconnects until it works.
func (c *client) again() {
	c.t.Helper()
	eventually(c.t, "reconnect", func() bool { return c.open("reconnect") == nil })
}

// TestCut (C10): what is published while the network is away arrives once, in order, without a new subscribe call: what the
// server has written into the void, and what it could not write.
func TestCut(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, transport string) {
		s := newServer(t)
		w := newWire(t, s.url)
		c := connect(t, w.url(), transport, with(bothHubs))
		c.watchPart("1")
		c.done("JobEventHub", "SubscribeToPipeline", "1")
		s.part("1", 1)
		c.wants(1)
		n := 1
		for range 3 {
			w.silent.Store(true)
			s.part("1", n+1)
			s.pipeline("1", n+2)
			w.cut()
			<-c.over
			c.close()
			w.silent.Store(false)
			s.part("1", n+3)
			back := time.NewTimer(cutFor(t))
			<-back.C
			s.part("other", 0)
			s.part("1", n+4)
			w.lead(s.url)
			c.again()
			s.part("1", n+5)
			c.wants(n + 1)
			c.wantsJob(n + 2)
			c.wants(n+3, n+4, n+5)
			n += 5
		}
		if got := s.Hubs()[0].Stats(); got.Opened != 1 || got.Invocations != 1 {
			t.Errorf("%d connections and %d calls after the cuts, want one of each", got.Opened, got.Invocations)
		}
		c.done("ResourceEventHub", "UnsubscribeFromPart", "1")
		s.part("1", 0)
		s.pipeline("1", n)
		c.wantsJob(n)
	})
}

// TestLongCut (C11): a client that stays away too long has to start anew, and to subscribe anew.
func TestLongCut(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *catalog.Config) { c.Classic.DisconnectTimeout = 6 * time.Second }) // the least
	c := s.connect("longPolling")
	c.watchPart("1")
	c.close()
	eventually(t, "end of the connection", func() bool { return s.Hubs()[0].Stats().Connections == 0 })
	if got := s.Hubs()[0].Stats().Closed["timeout"]; got != 1 {
		t.Errorf("%d connections timed out, want 1", got)
	}
	if status, body := c.ask(http.MethodGet, "poll", ""); status != http.StatusOK || !strings.Contains(body, `"E":"The connection has ended."`) {
		t.Errorf("poll: status %d, body %q, want an envelope that says that it has ended", status, body)
	}
	c = s.connect("longPolling")
	s.part("1", 1)
	c.watchPart("1")
	s.part("1", 2)
	c.wants(2)
}

// TestRestart (C12): after a restart with the same keys a client goes on without a new subscribe call; what it may no longer
// watch it does not hear.
func TestRestart(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, transport string) {
		before := newServer(t)
		w := newWire(t, before.url)
		c := connect(t, w.url(), transport, with(bothHubs))
		c.watchPart("1")
		c.watchPart("gone")
		c.done("JobEventHub", "SubscribeToPipeline", "7")
		token := c.groupsToken()
		eventually(t, "groups token of the pipeline", func() bool { return c.groupsToken() != "" && len(c.groupsToken()) >= len(token) })
		before.pipeline("7", 1)
		c.wantsJob(1) // the envelope has brought the newest token
		before.stop()
		<-c.over
		c.close()

		after := newServer(t, func(c *catalog.Config) {
			c.PartRight = func(_ context.Context, _ *hubbub.User, key string) (bool, error) { return key != "gone", nil }
		})
		w.cut()
		w.lead(after.url)
		c.again()
		eventually(t, "groups", func() bool { return after.Hubs()[0].Group("part:1").Count() == 1 })
		eventually(t, "groups", func() bool { return after.Hubs()[1].Group("pipeline:7").Count() == 1 })
		after.part("gone", 2)
		after.part("1", 3)
		after.pipeline("7", 4)
		c.wants(3)
		c.wantsJob(4)
		if got := after.Hubs()[0].Stats().Invocations; got != 0 {
			t.Errorf("%d calls, want none", got)
		}
		c.done("ResourceEventHub", "UnsubscribeFromPart", "1")
		after.part("1", 5)
		after.pipeline("7", 6)
		c.wantsJob(6)
	})
}

// TestOtherKeys (C12): a server with other keys knows nobody from before.
func TestOtherKeys(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, transport string) {
		before := newServer(t)
		c := before.connect(transport)
		c.watchPart("1")
		c.close()
		after := newServer(t, func(c *catalog.Config) { c.Classic.Keys = ringOf(t, "other") })
		c.base = after.url + "/Centro/signalr"
		for _, command := range []string{"connect", "reconnect", "start", "send", "abort"} {
			_, err := c.dial(t.Context(), command)
			if transport == "longPolling" || command != "connect" && command != "reconnect" {
				status, body := c.ask(http.MethodGet, command, "")
				err = &refused{status, body}
			}
			if !isRefused(err, http.StatusBadRequest, "The ConnectionId is in the incorrect format.") {
				t.Errorf("%s: %v, want 400 and the sentence", command, err)
			}
		}
		c = after.connect(transport)
		c.watchPart("1")
		after.part("1", 1)
		c.wants(1)
	})
}

// TestTampering (C13): no groups token but the connection's own lets it into a group, neither on a server that knows it nor after
// a restart.
func TestTampering(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, transport string) {
		s := newServer(t)
		w := newWire(t, s.url)
		spy, other := connect(t, w.url(), transport), s.connect(transport, as("Bearer bob"))
		own := s.connect(transport)
		other.watchPart("secret")
		own.watchPart("secret")
		spy.watchPart("fence")
		fence, secret := spy.groupsToken(), other.groupsToken()
		forged := []string{secret, own.groupsToken(), "x", "", fence[:len(fence)-1], fence + "A", flip(fence, 0), flip(fence, len(fence)/2), flip(fence, len(fence)-1)}
		n := 0
		for _, token := range forged { // the server knows the connection: the token means nothing
			spy.close()
			spy.mu.Lock()
			spy.groups = token
			spy.mu.Unlock()
			spy.again()
			n += 2
			s.part("secret", n-1)
			s.part("fence", n)
			spy.wants(n)
		}
		s.stop()
		<-spy.over
		spy.close()
		for _, token := range forged { // each on a server of its own, that does not know it
			after := newServer(t)
			w.cut()
			w.lead(after.url)
			spy.web.CloseIdleConnections()
			spy.mu.Lock()
			spy.groups = token
			spy.mu.Unlock()
			spy.again()
			spy.watchPart("other fence")
			after.part("secret", 1)
			after.part("fence", 2)
			after.part("other fence", 3)
			spy.wants(3)
			spy.close()
		}
	})
}

func flip(token string, at int) string {
	b := []byte(token)
	if b[at]++; b[at] == '{' || b[at] == '[' || b[at] == ':' {
		b[at] = '0'
	}
	return string(b)
}

// TestFallback (C4): where a proxy refuses sockets clients go on with event streams, and where it refuses these with polls: the
// same events in the same order.
func TestFallback(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ blocked, want string }{
		{"", "webSockets"}, {"webSockets", "serverSentEvents"}, {"webSockets serverSentEvents", "longPolling"},
	} {
		t.Run(x.want, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			target, err := url.Parse(s.url)
			if err != nil {
				t.Fatal(err)
			}
			through := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
				Transport: &http.Transport{DisableKeepAlives: true}}
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				socket := r.Header.Get("Upgrade") != "" && strings.Contains(x.blocked, "webSockets")
				stream := r.URL.Query().Get("transport") == "serverSentEvents" && strings.Contains(x.blocked, "serverSentEvents")
				if socket || stream {
					w.WriteHeader(http.StatusBadGateway)
					return
				}
				through.ServeHTTP(w, r)
			}))
			defer proxy.Close()
			c := newClient(t, proxy.URL, "")
			for _, c.transport = range []string{"webSockets", "serverSentEvents", "longPolling"} { // as .NET clients do, with one token
				if err = c.open("connect"); err == nil {
					break
				}
			}
			if err != nil || c.transport != x.want {
				t.Fatalf("connected with %s (%v), want %s", c.transport, err, x.want)
			}
			c.start()
			c.watchPart("1")
			for n := range 50 {
				s.part("1", n)
			}
			for n := range 50 {
				c.wants(n)
			}
			c.close()
		})
	}
}

// TestRoundRobin (C15, one node): a poll comes over one address, the next over another.
func TestRoundRobin(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first, second := newWire(t, s.url), newWire(t, s.url)
	var turn atomic.Int32
	c := connect(t, s.url, "longPolling", func(c *client) {
		c.web.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			w := first
			if turn.Add(1)%2 == 0 {
				w = second
			}
			var d net.Dialer
			return d.DialContext(ctx, network, w.listener.Addr().String())
		}}
	})
	c.watchPart("1")
	for n := range 20 {
		s.part("1", n)
		c.wants(n)
	}
	if n := turn.Load(); n < 20 {
		t.Errorf("%d connections, want one for each poll", n)
	}
}

// TestNodes (C15): what is published on one node reaches the clients of another.
func TestNodes(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, transport string) {
		bus := hubbub.NewLocal()
		node := func(name string) *server {
			return newServer(t, func(c *catalog.Config) { c.Hub.Backplane, c.Hub.Node = bus, name })
		}
		near, far := node("near"), node("far")
		c := near.connect(transport, with(bothHubs))
		c.watchPart("1")
		c.done("JobEventHub", "SubscribeToPipeline", "2")
		for n := range 20 {
			far.part("1", n)
			far.pipeline("2", n)
		}
		for n := range 20 {
			for range 2 { // two groups of two hubs have no order between them on other nodes
				switch m := c.next(); m {
				case updateOf("ResourceEventHub", fmt.Sprintf(`{"Version":%d}`, n)), updateOf("JobEventHub", fmt.Sprintf(`{"Progress":%d}`, n)):
				default:
					t.Errorf("update %s, want number %d", m, n)
				}
			}
		}
	})
}

// reader reads a classic WebSocket as slowly as it is told: frame by frame, off the bare socket.
type reader struct {
	net.Conn
	buf []byte
}

// slowClient connects with a bare socket, and subscribes to a part.
func (s *server) slowClient(key string) *reader {
	s.t.Helper()
	c := newClient(s.t, s.url, "webSockets")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	if err := conn.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil {
		s.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		s.t.Fatal(err)
	}
	u, err := url.Parse(c.address("connect"))
	if err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ann\r\n\r\n", u.RequestURI())
	r := &reader{Conn: conn}
	r.until(s.t, `"S":1`)
	c.start()
	call := fmt.Sprintf(`{"H":"ResourceEventHub","M":"SubscribeToPart","A":[%q],"I":"1"}`, key)
	if len(call) > 125 {
		s.t.Fatalf("call of %d bytes, want a short frame", len(call))
	}
	frame := append([]byte{0x81, 0x80 | byte(len(call)), 0, 0, 0, 0}, call...) // masked with zeros
	if _, err := conn.Write(frame); err != nil {
		s.t.Fatal(err)
	}
	r.until(s.t, `{"I":"1"}`)
	return r
}

// until reads on until the text has come.
func (r *reader) until(t testing.TB, text string) {
	t.Helper()
	chunk := make([]byte, 64<<10)
	for !strings.Contains(string(r.buf), text) {
		n, err := r.Read(chunk)
		if r.buf = append(r.buf, chunk[:n]...); err != nil {
			t.Fatalf("%v before %q came", err, text)
		}
	}
}

// rest reads all that comes until the text has come or the socket ends.
func (r *reader) rest(text string) string {
	chunk := make([]byte, 64<<10)
	for !strings.Contains(string(r.buf[max(0, len(r.buf)-2*len(chunk)):]), text) {
		n, err := r.Read(chunk)
		if r.buf = append(r.buf, chunk[:n]...); err != nil {
			break
		}
	}
	return string(r.buf)
}

// TestSlow (C16): a client that does not read is closed, or loses the oldest events, as configured. Others lose nothing.
func TestSlow(t *testing.T) {
	t.Parallel()
	const events = 150
	big := strings.Repeat("x", 60<<10) // 9 MB in all, more than sockets hold
	publish := func(t *testing.T, s *server, other *client) {
		for n := range events {
			event := fmt.Appendf(nil, `{"n":"<%d>","text":"%s"}`, n, big)
			if err := s.PublishPart(t.Context(), "1", event); err != nil {
				t.Fatal(err)
			}
			if got := other.next(); got != updateOf("ResourceEventHub", string(event)) {
				t.Fatalf("the other client has %.100s, want event %d", got, n)
			}
		}
	}
	change := func(f func(*catalog.Config)) func(*catalog.Config) {
		return func(c *catalog.Config) { c.Hub.MaximumQueuedBytes, c.Hub.SendTimeout = 256<<10, 3*patience; f(c) }
	}
	t.Run("close", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, change(func(*catalog.Config) {}))
		slow, other := s.slowClient("1"), s.connect("webSockets")
		other.watchPart("1")
		publish(t, s, other)
		eventually(t, "end of the slow connection", func() bool { return s.Hubs()[0].Stats().Connections == 1 })
		if got := s.Hubs()[0].Stats().Closed["slow"]; got != 1 {
			t.Errorf("%d connections closed because they were slow, want 1", got)
		}
		if text := slow.rest("never"); strings.Contains(text, fmt.Sprintf("<%d>", events-1)) {
			t.Error("the slow client has the last event, want an end before it")
		}
	})
	t.Run("drop", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, change(func(c *catalog.Config) { c.Classic.SlowConsumer = classic.DropOldest }))
		slow, other := s.slowClient("1"), s.connect("webSockets")
		other.watchPart("1")
		publish(t, s, other)
		text := slow.rest(fmt.Sprintf("<%d>", events-1))
		at, came := 0, 0
		for n := range events {
			if i := strings.Index(text[at:], fmt.Sprintf("<%d>", n)); i >= 0 {
				at += i
				came++
			}
		}
		if strings.Count(text, `"n":"<`) != came || came == events || came < 4 {
			t.Errorf("%d events of %d came, %d in order, want a part, in order", strings.Count(text, `"n":"<`), events, came)
		}
		if got := s.Hubs()[0].Stats(); got.Connections != 2 || len(got.Closed) != 0 {
			t.Errorf("connections %d, closed %v, want both open", got.Connections, got.Closed)
		}
	})
}
