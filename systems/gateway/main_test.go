package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// testLog writes to the log of a test, as long as it runs.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Logf("%s", bytes.TrimSpace(p))
	}
	return len(p), nil
}

// chat is a downstream server with one hub, reachable in both dialects.
type chat struct {
	t       testing.TB
	hub     *hubbub.Hub
	addr    string
	slow    chan struct{} // lets Slow return
	entered chan struct{} // Slow has begun
	header  chan http.Header
	stop    func()
}

// newChat starts one at addr, "" for any.
func newChat(t testing.TB, addr string) *chat {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	c := &chat{t: t, slow: make(chan struct{}), entered: make(chan struct{}, 10), header: make(chan http.Header, 100)}
	c.hub = hubbub.NewHub("ChatHub", &hubbub.Options{Logger: slog.New(slog.DiscardHandler)})
	type request struct{ Name, Message string }
	c.hub.Handle("SendMessage", hubbub.Action1(func(ctx context.Context, r request) error {
		return c.hub.All().Send(ctx, "ReceiveMessage", r.Name, r.Message)
	}))
	c.hub.Handle("Count", hubbub.Raw(func(ctx context.Context, args hubbub.Args) (any, error) {
		all := make([]json.RawMessage, args.Len())
		for i := range all {
			if err := args.Decode(i, &all[i]); err != nil {
				return nil, err
			}
		}
		return all, nil
	}))
	c.hub.Handle("Fail", hubbub.Action0(func(context.Context) error { return hubbub.Errorf("The room is full.") }))
	c.hub.Handle("Slow", hubbub.Action0(func(ctx context.Context) error {
		c.entered <- struct{}{}
		select {
		case <-c.slow:
		case <-ctx.Done():
		}
		return nil
	}))
	mux := http.NewServeMux()
	signalr.MapHub(mux, "/ChatHub", c.hub, nil)
	classic.MapHubs(mux, "/signalr", nil, c.hub)
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.addr = listener.Addr().String()
	s := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case c.header <- r.Header.Clone():
		default:
		}
		mux.ServeHTTP(w, r)
	})}}
	s.Start()
	c.stop = sync.OnceFunc(func() {
		close(c.slow)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.hub.Shutdown(ctx, 0); err != nil {
			t.Error(err)
		}
		s.CloseClientConnections()
		s.Close()
	})
	t.Cleanup(c.stop)
	return c
}

// as describes the server as a hub of the dialect.
func (c *chat) as(d gateway.Dialect) gateway.Hub {
	if d == gateway.Classic {
		return gateway.Hub{URL: "http://" + c.addr, Dialect: d, HubName: "chathub"}
	}
	return gateway.Hub{URL: "http://" + c.addr + "/ChatHub", Dialect: d}
}

// say lets the hub call its clients.
func (c *chat) say(target string, args ...any) {
	c.t.Helper()
	if err := c.hub.All().Send(context.Background(), target, args...); err != nil {
		c.t.Fatal(err)
	}
}

// server is a gateway behind an HTTP server.
type server struct {
	*gateway.Gateway
	t   testing.TB
	url string
}

// newServer starts a gateway whose routes are those that register adds.
func newServer(t testing.TB, c gateway.Config, register func(g *gateway.Gateway)) *server {
	t.Helper()
	c.Logger = slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelError}))
	g := gateway.New(c)
	register(g)
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(g.Handler())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.Close(ctx); err != nil {
			t.Error(err)
		}
		h.Close()
	})
	return &server{g, t, h.URL}
}

// connected waits until all hubs downstream are.
func (s *server) connected() *server {
	s.t.Helper()
	eventually(s.t, "hubs connected", func() bool {
		for _, h := range s.Health() {
			if !h.Connected {
				return false
			}
		}
		return true
	})
	return s
}

// eventually waits until f is true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !f() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// do sends a request and returns status, headers and body.
func (s *server) do(method, path, body string, header ...string) (int, http.Header, string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := web.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

// post calls a hub and wants a status and, within the body, a text.
func (s *server) post(path, body string, status int, want string) {
	s.t.Helper()
	got, _, text := s.do(http.MethodPost, "/api/Gateway/hub/"+path, body)
	if got != status || !strings.Contains(text, want) || (want == "" && text != "") {
		s.t.Fatalf("POST %s %s: status %d, body %q, want %d and %q", path, body, got, text, status, want)
	}
}

// listener is a client of the GatewayHub and what it has heard.
type listener struct {
	t     testing.TB
	c     *signalr.Client
	heard chan string
	ended chan struct{} // closed when the connection has ended
}

// listen connects one that hears of targets.
func (s *server) listen(targets ...string) *listener {
	s.t.Helper()
	l := s.dial("", targets...)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := l.c.Start(ctx); err != nil {
		s.t.Fatal(err)
	}
	return l
}

// dial makes one that is not connected yet, with that query.
func (s *server) dial(query string, targets ...string) *listener {
	s.t.Helper()
	l := &listener{t: s.t, heard: make(chan string, 100), ended: make(chan struct{})}
	var o signalr.ClientOptions
	o.OnClosed = func(error) { close(l.ended) }
	l.c = signalr.NewClient(s.url+"/GatewayHub"+query, &o)
	for _, target := range targets {
		l.c.On(target, hubbub.Raw(func(_ context.Context, args hubbub.Args) (any, error) {
			all := make([]json.RawMessage, args.Len())
			for i := range all {
				if err := args.Decode(i, &all[i]); err != nil {
					return nil, err
				}
			}
			b, err := json.Marshal(all)
			l.heard <- target + string(b)
			return nil, err
		}))
	}
	s.t.Cleanup(func() { l.c.Close() })
	return l
}

// hears wants exactly that next.
func (l *listener) hears(want string) {
	l.t.Helper()
	select {
	case got := <-l.heard:
		if got != want {
			l.t.Fatalf("heard %s, want %s", got, want)
		}
	case <-time.After(patience):
		l.t.Fatalf("heard nothing, want %s", want)
	}
}

// call calls a method of the GatewayHub and wants an error with that text, "" for none.
func (l *listener) call(method string, args map[string]any, want string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := l.c.Invoke(ctx, nil, method, args)
	switch {
	case want == "" && err != nil:
		l.t.Fatalf("%s(%v): %v", method, args, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		l.t.Fatalf("%s(%v): error %v, want one with %q", method, args, err, want)
	}
}
