package classic_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// server is a classic endpoint at /signalr with two hubs, RefHub and AuthHub, and a log of their events.
type server struct {
	t    testing.TB
	url  string
	hub  *hubbub.Hub // RefHub
	only *hubbub.Hub // AuthHub: for users with the role "member"
	http *httptest.Server

	mu     sync.Mutex
	events []string
	came   chan struct{}
}

type config struct {
	classic classic.Options
	hub     hubbub.Options
	setup   func(*server, *hubbub.Hub)
}

// ringOf returns the keys of every server of the tests, so that one can stand for another after a restart.
func ringOf(t testing.TB, secrets ...string) *hubbub.KeyRing {
	t.Helper()
	var keys []hubbub.Key
	for _, s := range secrets {
		keys = append(keys, hubbub.Key{ID: uint32(len(s)), Secret: []byte(strings.Repeat(s, 40))})
	}
	ring, err := hubbub.NewKeyRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// bearer makes the user of the name that is the token; "member" is a user with that role.
func bearer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if name == "" {
			name = r.URL.Query().Get("access_token")
		}
		if name != "" {
			u := &hubbub.User{ID: name, Name: name, Claims: map[string]any{"role": name}}
			r = r.WithContext(hubbub.WithUser(r.Context(), u))
		}
		next.ServeHTTP(w, r)
	})
}

func newServer(t testing.TB, change ...func(*config)) *server {
	t.Helper()
	c := config{}
	c.hub.Logger = slog.New(slog.DiscardHandler)
	c.classic.Keys = ringOf(t, "k")
	c.classic.Auth = bearer
	for _, f := range change {
		f(&c)
	}
	s := &server{t: t, came: make(chan struct{}, 1)}
	s.hub = hubbub.NewHub("RefHub", &c.hub)
	member := c.hub
	member.Require = []hubbub.Rule{hubbub.RequireRole("member")}
	s.only = hubbub.NewHub("AuthHub", &member)
	s.methods()
	if c.setup != nil {
		c.setup(s, s.hub)
	}
	s.mount(&c.classic, s.hub, s.only)
	return s
}

func (s *server) mount(o *classic.Options, hubs ...*hubbub.Hub) {
	mux := http.NewServeMux()
	classic.MapHubs(mux, "/signalr", o, hubs...)
	s.listen(mux)
}

func (s *server) listen(mux http.Handler) {
	s.http = httptest.NewServer(mux)
	s.url = s.http.URL
	s.t.Cleanup(s.stop)
}

// stop ends the server as a process does that shuts down.
func (s *server) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := errors.Join(s.hub.Shutdown(ctx, 0), s.only.Shutdown(ctx, 0)); err != nil {
		s.t.Error(err)
	}
	s.http.Close()
}

func (s *server) note(format string, args ...any) {
	s.mu.Lock()
	s.events = append(s.events, fmt.Sprintf(format, args...))
	s.mu.Unlock()
	select {
	case s.came <- struct{}{}:
	default:
	}
}

// heard waits until an event of that text has come and returns how many have.
func (s *server) heard(want string) int {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		s.mu.Lock()
		n := 0
		for _, e := range s.events {
			if strings.HasPrefix(e, want) {
				n++
			}
		}
		all := fmt.Sprint(s.events)
		s.mu.Unlock()
		if n > 0 {
			return n
		}
		select {
		case <-s.came:
		case <-deadline:
			s.t.Fatalf("no event %q after %v, only %s", want, patience, all)
		}
	}
}

// eventsOf returns the events of a connection so far.
func (s *server) eventsOf(id string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, e := range s.events {
		if name, of, _ := strings.Cut(e, " "); strings.HasPrefix(of, id) {
			list = append(list, name)
		}
	}
	return list
}

type point struct {
	X, Y int
	Name string
}

func (s *server) methods() {
	h := s.hub
	h.Handle("Echo", hubbub.Func1(func(_ context.Context, v string) (string, error) { return v, nil }))
	h.Handle("Add", hubbub.Func2(func(_ context.Context, a, b int) (int, error) { return a + b, nil }))
	h.Handle("Nothing", hubbub.Action0(func(context.Context) error { return nil }))
	h.Handle("Point", hubbub.Func1(func(_ context.Context, p point) (point, error) { p.X++; return p, nil }))
	h.Handle("Throw", hubbub.Action0(func(context.Context) error { return errors.New("boom") }))
	h.Handle("HubThrow", hubbub.Action0(func(context.Context) error { return hubbub.Errorf("hub boom") }))
	h.Handle("HubThrowData", hubbub.Action0(func(context.Context) error {
		return &hubbub.Error{Message: "hub boom", Data: map[string]any{"Code": 42}}
	}))
	h.Handle("Closed", hubbub.Action0(func(context.Context) error { return nil }), hubbub.RequireRole("member"))
	h.Handle("Broadcast", hubbub.Action1(func(ctx context.Context, v string) error { return h.All().Send(ctx, "Msg", "all", v) }))
	h.Handle("Join", hubbub.Action1(func(ctx context.Context, g string) error { return hubbub.CallerFrom(ctx).Join(ctx, g) }))
	h.Handle("Leave", hubbub.Action1(func(ctx context.Context, g string) error { return hubbub.CallerFrom(ctx).Leave(ctx, g) }))
	h.Handle("ToGroup", hubbub.Action2(func(ctx context.Context, g, v string) error { return h.Group(g).Send(ctx, "Msg", g, v) }))
	h.Handle("Progress", hubbub.Func1(func(ctx context.Context, n int) (string, error) {
		for i := range n {
			if err := hubbub.ReportProgress(ctx, i); err != nil {
				return "", err
			}
		}
		return "done", nil
	}))
	h.Handle("State", hubbub.Func0(func(ctx context.Context) (string, error) {
		state, color := hubbub.StateFrom(ctx), ""
		if _, err := state.Get("color", &color); err != nil {
			return "", err
		}
		state.Set("color", "red")
		state.Set("count", 5)
		return color, hubbub.CallerFrom(ctx).Send(ctx, "Msg", "state", color)
	}))
	h.Handle("Stream", hubbub.Func0(func(context.Context) (hubbub.Seq[int], error) {
		return func(yield func(int, error) bool) { yield(1, nil) }, nil
	}))
	h.Handle("Ask", hubbub.Func0(func(ctx context.Context) (int, error) {
		return hubbub.Invoke[int](ctx, hubbub.CallerFrom(ctx), "Question")
	}))
	h.Handle("Abort", hubbub.Action0(func(ctx context.Context) error { hubbub.CallerFrom(ctx).Abort(); return nil }))
	s.only.Handle("Secret", hubbub.Func0(func(context.Context) (string, error) { return "42", nil }))
	for _, hub := range []*hubbub.Hub{h, s.only} {
		name := hub.Name()
		hub.OnConnected(func(ctx context.Context) error {
			s.note("connected:%s %s", name, hubbub.CallerFrom(ctx).ID())
			return nil
		})
		hub.OnReconnected(func(ctx context.Context) error {
			s.note("reconnected:%s %s", name, hubbub.CallerFrom(ctx).ID())
			return nil
		})
		hub.OnDisconnected(func(ctx context.Context, err error) {
			s.note("disconnected:%s %s stopCalled=%v", name, hubbub.CallerFrom(ctx).ID(), err == nil)
		})
	}
}

// client is a classic client by hand: what it knows of its connection, and what it sends with every request.
type client struct {
	s         *server
	t         testing.TB
	transport string
	hubs      string
	token     string
	id        string
	user      string
	protocol  string
	cursor    string
	groups    string
	firstBody string // of the poll that another has replaced
}

const refHub = `[{"name":"refhub"}]`

// negotiated returns a client with a token.
func (s *server) negotiated(transport string, change ...func(*client)) *client {
	s.t.Helper()
	c := &client{s: s, t: s.t, transport: transport, hubs: refHub, protocol: "2.1"}
	for _, f := range change {
		f(c)
	}
	status, body := c.get("negotiate", nil)
	if status != http.StatusOK {
		s.t.Fatalf("negotiate: status %d, body %q", status, body)
	}
	var a struct{ ConnectionToken, ConnectionId string } //nolint:revive // as on the wire
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		s.t.Fatal(err)
	}
	c.token, c.id = a.ConnectionToken, a.ConnectionId
	return c
}

func (c *client) address(command string, more url.Values) string {
	q := url.Values{"clientProtocol": {c.protocol}}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("transport", c.transport)
	set("connectionData", c.hubs)
	set("connectionToken", c.token)
	for name, v := range more {
		q[name] = v
	}
	return c.s.url + "/signalr/" + command + "?" + q.Encode()
}

func (c *client) request(method, command string, more url.Values, body io.Reader) *http.Response {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	c.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, c.address(command, more), body)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.user != "" {
		r.Header.Set("Authorization", "Bearer "+c.user)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

func whole(t testing.TB, res *http.Response) (int, string) {
	t.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func (c *client) get(command string, more url.Values) (int, string) {
	c.t.Helper()
	return whole(c.t, c.request(http.MethodGet, command, more, nil))
}

// send posts a message as .NET clients do, without a content type.
func (c *client) send(message string) (int, string) {
	c.t.Helper()
	return whole(c.t, c.request(http.MethodPost, "send", nil, strings.NewReader("data="+url.QueryEscape(message))))
}

func (c *client) start() {
	c.t.Helper()
	if status, body := c.get("start", nil); status != http.StatusOK || body != `{ "Response": "started" }` {
		c.t.Fatalf("start: status %d, body %q", status, body)
	}
}

func (c *client) abort() {
	c.t.Helper()
	if status, body := whole(c.t, c.request(http.MethodPost, "abort", nil, nil)); status != http.StatusOK || body != "" {
		c.t.Fatalf("abort: status %d, body %q", status, body)
	}
}

// resume are the values with which a client comes back.
func (c *client) resume() url.Values {
	q := url.Values{}
	if c.cursor != "" {
		q.Set("messageId", c.cursor)
	}
	if c.groups != "" {
		q.Set("groupsToken", c.groups)
	}
	return q
}

// frame is what a server says to a client: an envelope, an answer or a keep-alive.
type frame struct {
	C, G, E *string
	S       json.RawMessage
	T, L    *int
	M       []json.RawMessage
	I       *string
	raw     string
}

func (c *client) parse(text string) frame {
	c.t.Helper()
	f := frame{raw: text}
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		c.t.Fatalf("frame %q: %v", text, err)
	}
	if f.C != nil {
		c.cursor = *f.C
		if f.M == nil {
			c.t.Errorf("envelope %s without M", text)
		}
	}
	if f.G != nil {
		c.groups = *f.G
	}
	return f
}

// channel is an open stream: it hands out what the server says.
type channel struct {
	c      *client
	socket *websocket.Conn
	events *lines
	close  func()
	queue  []string // messages that were read and not asked for yet
}

// open opens a stream with the command.
func (c *client) open(command string) *channel {
	c.t.Helper()
	if c.transport != "webSockets" {
		res := c.request(http.MethodGet, command, c.resume(), nil)
		if res.StatusCode != http.StatusOK {
			status, body := whole(c.t, res)
			c.t.Fatalf("%s: status %d, body %q", command, status, body)
		}
		ch := &channel{c: c, events: newLines(res.Body), close: func() { res.Body.Close() }}
		c.t.Cleanup(ch.close)
		if first, err := ch.events.next(); err != nil || first != "initialized" {
			c.t.Fatalf("first event %q, error %v", first, err)
		}
		return ch
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	header := http.Header{}
	if c.user != "" {
		header.Set("Authorization", "Bearer "+c.user)
	}
	socket, _, err := websocket.Dial(ctx, c.address(command, c.resume()), &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		c.t.Fatalf("%s: %v", command, err)
	}
	socket.SetReadLimit(-1)
	ch := &channel{c: c, socket: socket, close: func() { socket.CloseNow() }}
	c.t.Cleanup(ch.close)
	return ch
}

// connect negotiates, opens a stream and starts.
func (s *server) connect(transport string, change ...func(*client)) (*client, *channel) {
	s.t.Helper()
	c := s.negotiated(transport, change...)
	ch := c.open("connect")
	if f := ch.read(); string(f.S) != "1" {
		s.t.Fatalf("first envelope %s, want S", f.raw)
	}
	c.start()
	return c, ch
}

// text returns what the server says next, or how the stream ended.
func (ch *channel) text() (string, error) {
	if ch.socket == nil {
		return ch.events.next()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, b, err := ch.socket.Read(ctx)
	return string(b), err
}

// read returns the next frame but keep-alives.
func (ch *channel) read() frame {
	ch.c.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		if time.Now().After(deadline) {
			ch.c.t.Fatalf("nothing but keep-alives for %v", patience)
		}
		text, err := ch.text()
		if err != nil {
			ch.c.t.Fatalf("stream ended: %v", err)
		}
		if text != "{}" {
			f := ch.c.parse(text)
			for _, m := range f.M {
				ch.queue = append(ch.queue, string(m))
			}
			return f
		}
	}
}

// messages reads on until n more messages have come and returns them.
func (ch *channel) messages(n int) []string {
	ch.c.t.Helper()
	for len(ch.queue) < n {
		ch.read()
	}
	list := ch.queue[:n:n]
	ch.queue = ch.queue[n:]
	return list
}

// call calls a method and returns the answer; it comes over the socket, or as the body of the POST.
func (ch *channel) call(message string) string {
	ch.c.t.Helper()
	if ch.socket == nil {
		status, body := ch.c.send(message)
		if status != http.StatusOK {
			ch.c.t.Fatalf("send %s: status %d, body %q", message, status, body)
		}
		return body
	}
	ch.write(message)
	for {
		if f := ch.read(); f.C == nil {
			return f.raw
		}
	}
}

func (ch *channel) write(message string) {
	ch.c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := ch.socket.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		ch.c.t.Fatal(err)
	}
}

// ended reads on until the stream ends and returns the code of a WebSocket, or 0.
func (ch *channel) ended() int {
	ch.c.t.Helper()
	for {
		if _, err := ch.text(); err != nil {
			if ch.socket == nil && err != io.EOF {
				ch.c.t.Errorf("stream ended with %v", err)
			}
			return int(websocket.CloseStatus(err))
		}
	}
}

// lines reads the events of a stream.
type lines struct {
	body io.Reader
	rest string
}

func newLines(body io.Reader) *lines { return &lines{body: body} }

func (l *lines) next() (string, error) {
	buf := make([]byte, 4096)
	for {
		if event, rest, ok := strings.Cut(l.rest, "\n\n"); ok {
			l.rest = rest
			data, isData := strings.CutPrefix(event, "data: ")
			if !isData || strings.ContainsAny(data, "\r\n") {
				return "", fmt.Errorf("event %q, want one line of data", event)
			}
			return data, nil
		}
		n, err := l.body.Read(buf)
		l.rest += string(buf[:n])
		if err != nil && n == 0 {
			return "", err
		}
	}
}

// slowMethod is a method that says when it has begun and waits until it may end.
func slowMethod(started chan<- struct{}, release <-chan struct{}) hubbub.Method {
	return hubbub.Func0(func(context.Context) (string, error) {
		close(started)
		<-release
		return "of the old socket", nil
	})
}

// onlyGood lets clients return to the group "good" only.
func onlyGood(_ *server, h *hubbub.Hub) {
	h.OnRejoiningGroups(func(_ context.Context, groups []string) []string {
		return slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return g != "good" })
	})
}
