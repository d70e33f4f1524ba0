package signalr_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
	"github.com/hubbub-go/hubbub/signalr"
)

// fakeServer is a server of the client's tests: it says what the test tells it to say, and remembers what it was asked. By
// itself it answers negotiate and handshakes as a real server does.
type fakeServer struct {
	t    testing.TB
	url  string       // of the hub
	http *http.Client // reaches it where there is no network; nil otherwise
	ctx  context.Context

	// To be set before the first request.
	offers   []string                                          // transports; all by default
	members  string                                            // more of the answer to negotiate, such as `"error":"no",`
	hello    string                                            // answers a handshake; none if empty
	protocol string                                            // json by default
	hook     func(w http.ResponseWriter, r *http.Request) bool // true if it has answered itself
	opened   chan *fakePeer                                    // connections whose handshake was answered

	mu    sync.Mutex
	asked []*fakeRequest
	count int
	peers map[string]*fakePeer
}

// fakeRequest is what a client asked for.
type fakeRequest struct {
	what   string // negotiate, WebSockets, ServerSentEvents, poll, POST, DELETE or refresh
	method string
	url    string
	header http.Header
	length int64
	at     time.Time
}

// newFake starts a server on loopback.
func newFake(t testing.TB) *fakeServer {
	f := makeFake(t)
	srv := httptest.NewUnstartedServer(f)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Start()
	f.url = srv.URL + "/hub"
	ctx, cancel := context.WithCancel(context.Background())
	f.ctx = ctx
	t.Cleanup(func() {
		cancel()
		srv.CloseClientConnections()
		srv.Close()
	})
	return f
}

// newPipedFake starts a server that only f.http reaches, through pipes: in a bubble of synctest its time is the bubble's.
func newPipedFake(t testing.TB) *fakeServer {
	f := makeFake(t)
	ctx, cancel := context.WithCancel(context.Background())
	f.ctx = ctx
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: f, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	f.url = "http://hub.test/hub"
	f.http = &http.Client{Transport: &http.Transport{DialContext: l.dial}}
	t.Cleanup(func() {
		cancel()
		f.http.CloseIdleConnections()
		_ = srv.Close()
		<-done
	})
	return f
}

// pipeListener makes connections without a network.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func makeFake(t testing.TB) *fakeServer {
	return &fakeServer{t: t, offers: []string{"WebSockets", "ServerSentEvents", "LongPolling"}, hello: "{}" + rawclient.Separator,
		protocol: "json", opened: make(chan *fakePeer, 16), peers: make(map[string]*fakePeer)}
}

// purpose names what a request is for.
func purpose(r *http.Request) string {
	switch {
	case strings.HasSuffix(r.URL.Path, "/negotiate"):
		return "negotiate"
	case strings.HasSuffix(r.URL.Path, "/refresh"):
		return "refresh"
	case r.Method != http.MethodGet:
		return r.Method
	case r.Header.Get("Upgrade") != "":
		return "WebSockets"
	case r.Header.Get("Accept") == "text/event-stream":
		return "ServerSentEvents"
	}
	return "poll"
}

// ServeHTTP answers one request.
func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what := purpose(r)
	f.mu.Lock()
	f.asked = append(f.asked, &fakeRequest{what, r.Method, r.URL.String(), r.Header.Clone(), r.ContentLength, time.Now()})
	f.mu.Unlock()
	if f.hook != nil && f.hook(w, r) {
		return
	}
	switch what {
	case "negotiate":
		_, _ = io.WriteString(w, f.answer())
	case "WebSockets", "ServerSentEvents":
		f.peer(r.URL.Query().Get("id"), what).serve(w, r)
	case "poll":
		f.peer(r.URL.Query().Get("id"), "LongPolling").poll(w, r)
	case "POST":
		b, err := io.ReadAll(r.Body)
		if err == nil {
			f.peer(r.URL.Query().Get("id"), "").received(b)
		}
	case "DELETE":
		f.peer(r.URL.Query().Get("id"), "").leave(nil)
		w.WriteHeader(http.StatusAccepted)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// answer is a good answer to negotiate. The connections are id1, id2 … with the tokens tok1, tok2 ….
func (f *fakeServer) answer() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	var list []string
	for _, name := range f.offers {
		formats := `"Text","Binary"`
		if name == "ServerSentEvents" {
			formats = `"Text"`
		}
		list = append(list, fmt.Sprintf(`{"transport":%q,"transferFormats":[%s]}`, name, formats))
	}
	return fmt.Sprintf(`{%s"negotiateVersion":1,"connectionId":"id%d","connectionToken":"tok%d","availableTransports":[%s]}`,
		f.members, f.count, f.count, strings.Join(list, ","))
}

// requests returns what was asked for so far, only of these kinds if there are some.
func (f *fakeServer) requests(kinds ...string) []*fakeRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []*fakeRequest
	for _, r := range f.asked {
		if len(kinds) == 0 || strings.Contains(strings.Join(kinds, " "), r.what) {
			list = append(list, r)
		}
	}
	return list
}

// await waits for n requests of a kind.
func (f *fakeServer) await(kind string, n int) []*fakeRequest {
	f.t.Helper()
	await(f.t, fmt.Sprintf("%d × %s", n, kind), func() bool { return len(f.requests(kind)) >= n })
	return f.requests(kind)
}

// fakePeer is the server's end of a connection.
type fakePeer struct {
	f         *fakeServer
	transport string
	token     string
	greeted   chan struct{} // closed with the handshake
	handshake string

	in  chan heard
	out chan utterance

	mu     sync.Mutex
	rest   []byte
	bare   bool          // there is no handshake
	polled bool          // the poll that binds the transport has come
	gone   chan struct{} // closed when the client has left
	why    error         // what a WebSocket ended with
	left   bool
}

// heard is a record of the client.
type heard struct {
	record string
	frame  websocket.MessageType // of a WebSocket
	at     time.Time
}

// utterance is a chunk for the client, or the end of the transport.
type utterance struct {
	chunk  []byte
	raw    bool                  // of an event stream: not as an event
	frame  websocket.MessageType // of a WebSocket, 0 for that of the protocol
	status websocket.StatusCode  // ends it; 1000 on transports without status
	cut    bool                  // ends it without a word
	ping   bool                  // of a WebSocket: asks for a pong, and cuts if none comes
}

func (f *fakeServer) peer(token, transport string) *fakePeer {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers[token]
	if token == "" { // a client that has not negotiated
		p = nil
	}
	if p == nil || (transport == "WebSockets" && p.transport == transport) {
		bare := p != nil // a stateful reconnect has no handshake
		p = &fakePeer{f: f, transport: transport, token: token, bare: bare, greeted: make(chan struct{}),
			in: make(chan heard, 1024), out: make(chan utterance, 1024), gone: make(chan struct{})}
		f.peers[token] = p
		if bare {
			close(p.greeted)
			f.opened <- p
		}
	}
	return p
}

// leave notes that the client has gone.
func (p *fakePeer) leave(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.left {
		p.left, p.why = true, why
		close(p.gone)
	}
}

func (p *fakePeer) serve(w http.ResponseWriter, r *http.Request) {
	if p.transport == "WebSockets" {
		p.socket(w, r)
		return
	}
	defer p.leave(nil)
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w).Flush
	_ = flush()
	for {
		select {
		case u := <-p.out:
			switch {
			case u.cut:
				panic(http.ErrAbortHandler)
			case u.status != 0:
				return
			case u.raw:
				_, _ = w.Write(u.chunk)
			default:
				fmt.Fprintf(w, "data: %s\r\n\r\n", u.chunk)
			}
			_ = flush()
		case <-r.Context().Done():
			return
		case <-p.f.ctx.Done():
			return
		}
	}
}

func (p *fakePeer) socket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		p.leave(err)
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(-1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			typ, b, err := conn.Read(p.f.ctx)
			if err != nil {
				p.leave(err)
				return
			}
			p.take(b, typ)
		}
	}()
	defer func() { <-read }()
	defer conn.CloseNow()
	for {
		select {
		case u := <-p.out:
			switch {
			case u.cut, u.ping && conn.Ping(p.f.ctx) != nil:
				return
			case u.ping:
			case u.status == websocket.StatusNoStatusRcvd:
				_ = conn.Close(u.status, "")
			case u.status != 0:
				_ = conn.Close(u.status, "bye")
				return
			default:
				typ := u.frame
				if typ == 0 {
					if typ = websocket.MessageText; p.f.protocol == "messagepack" {
						typ = websocket.MessageBinary
					}
				}
				_ = conn.Write(p.f.ctx, typ, u.chunk)
			}
		case <-read:
			return
		}
	}
}

func (p *fakePeer) poll(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	first := !p.polled
	p.polled = true
	p.mu.Unlock()
	if first {
		return
	}
	select {
	case u := <-p.out:
		switch {
		case u.cut:
			p.out <- u // HTTP may ask once more
			p.leave(nil)
			panic(http.ErrAbortHandler)
		case u.status != 0:
			p.leave(nil)
			w.WriteHeader(http.StatusNoContent)
		default:
			_, _ = w.Write(u.chunk)
		}
	case <-p.gone:
		w.WriteHeader(http.StatusNoContent)
	case <-r.Context().Done():
	case <-p.f.ctx.Done():
	}
}

func (p *fakePeer) received(b []byte) { p.take(b, 0) }

// take cuts what the client sent into records. The first is the handshake, which is always JSON.
func (p *fakePeer) take(b []byte, frame websocket.MessageType) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, b...)
	for {
		greeting, binary := p.handshake == "" && !p.bare, p.f.protocol == "messagepack"
		record, rest, ok := bytes.Cut(p.rest, []byte(rawclient.Separator))
		if !greeting && binary {
			record, rest, ok = cutBinary(p.rest)
		}
		if !ok {
			return
		}
		p.rest = rest
		if greeting {
			p.handshake = string(record)
			if p.f.hello != "" {
				p.out <- utterance{chunk: []byte(p.f.hello), frame: websocket.MessageText}
			}
			close(p.greeted)
			p.in <- heard{"", frame, time.Now()}
			p.f.opened <- p
			continue
		}
		text, err := rawclient.Decode(p.f.protocol, record)
		if err != nil {
			text = err.Error()
		}
		p.in <- heard{text, frame, time.Now()}
	}
}

// cutBinary takes the first record with a length in front.
func cutBinary(b []byte) (record, rest []byte, ok bool) {
	n, shift := 0, 0
	for i, c := range b {
		n |= int(c&0x7f) << shift
		if shift += 7; c&0x80 == 0 {
			if len(b) < i+1+n {
				return nil, b, false
			}
			return b[i+1 : i+1+n], b[i+1+n:], true
		}
	}
	return nil, b, false
}

// say sends records, all in one chunk.
func (p *fakePeer) say(records ...string) {
	p.f.t.Helper()
	b, err := rawclient.Encode(p.f.protocol, records...)
	if err != nil {
		p.f.t.Fatal(err)
	}
	p.out <- utterance{chunk: b}
}

// send sends a chunk as it is.
func (p *fakePeer) send(chunk string) { p.out <- utterance{chunk: []byte(chunk)} }

// end ends the transport properly: a WebSocket with this status, an event stream with its end, Long Polling with 204.
func (p *fakePeer) end(status websocket.StatusCode) { p.out <- utterance{status: status} }

// cut ends the transport without a word.
func (p *fakePeer) cut() { p.out <- utterance{cut: true} }

// any returns the next record of the client.
func (p *fakePeer) any() heard {
	p.f.t.Helper()
	for {
		if h := receive(p.f.t, "a record of the client", p.in); h.record != "" {
			return h
		}
	}
}

// next returns the next record of the client that is no ping.
func (p *fakePeer) next() string {
	p.f.t.Helper()
	for {
		if h := p.any(); h.record != ping {
			return h.record
		}
	}
}

// want wants these records next, whatever the order of their members; pings do not count.
func (p *fakePeer) want(records ...string) {
	p.f.t.Helper()
	for _, want := range records {
		if got := p.next(); !sameJSON(got, want) {
			p.f.t.Fatalf("the client said %s, want %s", got, want)
		}
	}
}

// wantEnd waits until the client has left, and wants it to have said nothing more.
func (p *fakePeer) wantEnd() {
	p.f.t.Helper()
	receive(p.f.t, "the end of the connection", p.gone)
	for {
		select {
		case h := <-p.in:
			if h.record != "" && h.record != ping {
				p.f.t.Fatalf("the client said %s before it left, want nothing", h.record)
			}
		default:
			return
		}
	}
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// client makes a client of the server, which ends with the test.
func (f *fakeServer) client(opts signalr.ClientOptions) *signalr.Client {
	if f.http != nil {
		opts.HTTPClient = f.http
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Protocol == "" {
		opts.Protocol = f.protocol
	}
	c := signalr.NewClient(f.url, &opts)
	f.t.Cleanup(func() { _ = c.Close() })
	return c
}

// connect starts a client of the server and returns both ends. on registers handlers; it may be nil.
func (f *fakeServer) connect(opts signalr.ClientOptions, on func(c *signalr.Client)) (*signalr.Client, *fakePeer) {
	f.t.Helper()
	c := f.client(opts)
	if on != nil {
		on(c)
	}
	f.start(c)
	return c, f.accept()
}

// start starts a client, which must succeed.
func (f *fakeServer) start(c *signalr.Client) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), rawclient.Patience)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		f.t.Fatal(err)
	}
}

// refused starts a client, which must fail, and returns why.
func (f *fakeServer) refused(c *signalr.Client) error {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), rawclient.Patience)
	defer cancel()
	err := c.Start(ctx)
	if err == nil {
		f.t.Fatal("the client has started, want an error")
	}
	if s := c.State(); s != hubbub.Disconnected {
		f.t.Errorf("after a failed start the client is %v", s)
	}
	return err
}

// accept returns the next connection.
func (f *fakeServer) accept() *fakePeer {
	f.t.Helper()
	return receive(f.t, "a connection", f.opened)
}

// clientWays runs a test over all transports and protocols that go together.
func clientWays(t *testing.T, run func(t *testing.T, f *fakeServer, opts signalr.ClientOptions)) {
	everyClient(t, func(t *testing.T, opts signalr.ClientOptions) {
		f := newFake(t)
		f.protocol = opts.Protocol
		run(t, f, opts)
	})
}

// clientTransports runs a test over all transports, with JSON.
func clientTransports(t *testing.T, run func(t *testing.T, f *fakeServer, opts signalr.ClientOptions)) {
	for _, tr := range []signalr.Transport{signalr.WebSockets, signalr.ServerSentEvents, signalr.LongPolling} {
		t.Run(tr.String(), func(t *testing.T) {
			t.Parallel()
			run(t, newFake(t), signalr.ClientOptions{Transports: tr})
		})
	}
}
