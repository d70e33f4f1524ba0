package relay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/relay"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func TestMain(m *testing.M) {
	if role := roles[os.Getenv(roleVariable)]; role != nil {
		role()
		return
	}
	os.Exit(storetest.Main(m, func() error { return goleak.Find() }))
}

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// people are the tokens of the tests: the text of each is the id of its user and its scopes, with + between, then its prefix.
func people(_ context.Context, token string) (*hubbub.User, error) {
	switch token {
	case "bad":
		return nil, errors.New("bad token")
	case "unknown":
		return nil, fmt.Errorf("%w: no keys", auth.ErrUnavailable)
	}
	name, rest, _ := strings.Cut(token, ",")
	scope, prefix, narrow := strings.Cut(rest, ",")
	u := &hubbub.User{ID: name, Name: name, Claims: map[string]any{"scope": strings.ReplaceAll(scope, "+", " ")}}
	if narrow {
		u.Claims[relay.ClaimPrefix] = prefix
	}
	return u, nil
}

// testLog writes to the log of a test, as long as it runs.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Logf("%s", bytes.TrimSpace(p))
	}
	return len(p), nil
}

// config returns the configuration of a new, empty relay without authentication on that database.
func config(t testing.TB, database string) relay.Config {
	return relay.Config{
		Database: storetest.Config(t, database, "relay"), Keys: hubbub.RandomKeyRing(),
		Logger: slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
}

// server is a relay behind an HTTP server.
type server struct {
	*relay.System
	t    testing.TB
	url  string
	stop func() // as a process does that shuts down
}

func start(t testing.TB, c relay.Config) *server {
	t.Helper()
	sys, err := relay.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	sys.Mount(mux)
	h := httptest.NewServer(sys.FoldCase(mux))
	s := &server{System: sys, t: t, url: h.URL}
	s.stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for _, hub := range sys.Hubs() {
			if err := hub.Shutdown(ctx, 0); err != nil {
				t.Error(err)
			}
		}
		h.Close()
		if err := sys.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// newServer starts a relay on a fresh SQLite database, with changes to its configuration.
func newServer(t testing.TB, change ...func(*relay.Config)) *server {
	t.Helper()
	c := config(t, "sqlite")
	for _, f := range change {
		f(&c)
	}
	return start(t, c)
}

func withAuth(c *relay.Config) { c.Verify = people }

// trigger fires an event and wants so many listeners.
func (s *server) trigger(guid string, listeners int) {
	s.t.Helper()
	n, err := s.Trigger(s.t.Context(), guid)
	if err != nil || n != listeners {
		s.t.Fatalf("trigger %q: %d listeners, %v, want %d", guid, n, err, listeners)
	}
}

// call makes a REST call and returns the status and the body.
func (s *server) call(method, path, token, body string) (int, map[string]any) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := web.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var m map[string]any
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &m); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return res.StatusCode, m
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
}

// peer is a client of the event hub, of one dialect or the other.
type peer struct {
	t      testing.TB
	events chan string // as guid=cookie, then the id after another = where there is one
	invoke func(method string, args ...any) error
	close  func()
}

// dialect connects clients.
type dialect struct {
	name    string
	connect func(s *server, token, query string) (*peer, error)
}

// dialects are both, with each of their transports.
var dialects = func() []dialect {
	var all []dialect
	for _, tr := range []signalr.Transport{signalr.WebSockets, signalr.ServerSentEvents, signalr.LongPolling} {
		all = append(all, dialect{"core " + tr.String(), func(s *server, token, query string) (*peer, error) { return s.core(token, query, tr) }})
	}
	all = append(all, dialect{"core messagepack", func(s *server, token, query string) (*peer, error) {
		return s.core(token, query, signalr.WebSockets, func(o *signalr.ClientOptions) { o.Protocol = "messagepack" })
	}})
	for _, tr := range []classic.Transport{classic.WebSockets, classic.ServerSentEvents, classic.LongPolling} {
		all = append(all, dialect{"classic " + tr.String(), func(s *server, token, query string) (*peer, error) { return s.classic(token, query, tr) }})
	}
	return all
}()

// everyDialect runs a test with each of them, in parallel.
func everyDialect(t *testing.T, f func(t *testing.T, d dialect)) {
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			f(t, d)
		})
	}
}

func tokens(token string) func(context.Context) (string, error) {
	if token == "" {
		return nil
	}
	return func(context.Context) (string, error) { return token, nil }
}

func newPeer(t testing.TB) *peer { return &peer{t: t, events: make(chan string, 1<<16)} }

func (p *peer) receive(_ context.Context, args hubbub.Args) (any, error) {
	var parts []string
	for i := range args.Len() {
		var text string
		if err := args.Decode(i, &text); err != nil {
			p.t.Errorf("argument %d of ReceiveEvent: %v", i, err)
		}
		parts = append(parts, text)
	}
	p.events <- strings.Join(parts, "=")
	return nil, nil
}

func (s *server) core(token, query string, tr signalr.Transport, change ...func(*signalr.ClientOptions)) (*peer, error) {
	p := newPeer(s.t)
	web := &http.Transport{}
	o := &signalr.ClientOptions{Transports: tr, Token: tokens(token), HTTPClient: &http.Client{Transport: web}}
	for _, f := range change {
		f(o)
	}
	c := signalr.NewClient(s.url+relay.CorePath+query, o)
	c.On("ReceiveEvent", hubbub.Raw(p.receive))
	p.invoke = func(method string, args ...any) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return c.Invoke(ctx, nil, method, args...)
	}
	return p, p.start(c.Start, c.Close, web)
}

func (s *server) classic(token, query string, tr classic.Transport) (*peer, error) {
	p := newPeer(s.t)
	values, err := url.ParseQuery(strings.TrimPrefix(query, "?"))
	if err != nil {
		return nil, err
	}
	web := &http.Transport{}
	c := classic.NewClient(s.url+"/realtime", &classic.ClientOptions{Transports: tr, Token: tokens(token), Query: values, HTTPClient: &http.Client{Transport: web}})
	hub := c.Hub(relay.EventHub)
	hub.On("ReceiveEvent", hubbub.Raw(p.receive))
	p.invoke = func(method string, args ...any) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return hub.Invoke(ctx, nil, method, args...)
	}
	return p, p.start(c.Start, c.Close, web)
}

func (p *peer) start(begin func(context.Context) error, end func() error, web *http.Transport) error {
	p.close = sync.OnceFunc(func() {
		if err := end(); err != nil {
			p.t.Logf("close: %v", err)
		}
		web.CloseIdleConnections()
	})
	p.t.Cleanup(p.close)
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	return begin(ctx)
}

// connect connects a client, which must succeed.
func (s *server) connect(d dialect, token, query string) *peer {
	s.t.Helper()
	p, err := d.connect(s, token, query)
	if err != nil {
		s.t.Fatalf("connect: %v", err)
	}
	p.subscribe("g nothing", "") // the server has taken it in
	return p
}

// join connects a Core client.
func (s *server) join(query string) *peer {
	s.t.Helper()
	return s.connect(dialects[0], "", query)
}

func (p *peer) subscribe(guid, cookie string) {
	p.t.Helper()
	if err := p.invoke("SubscribeToEvent", guid, cookie); err != nil {
		p.t.Fatalf("SubscribeToEvent(%q, %q): %v", guid, cookie[:min(len(cookie), 80)], err)
	}
}

func (p *peer) next() string {
	p.t.Helper()
	select {
	case e := <-p.events:
		return e
	case <-time.After(patience):
		p.t.Fatalf("no event after %v", patience)
		return ""
	}
}

var marks atomic.Int64

// received returns what has come of everything that was triggered before it.
func (p *peer) received(s *server) []string {
	p.t.Helper()
	mark := fmt.Sprintf("mark %d", marks.Add(1))
	p.subscribe(mark, "here")
	if _, err := s.Trigger(p.t.Context(), mark); err != nil {
		p.t.Fatal(err)
	}
	var got []string
	for {
		e := p.next()
		if strings.HasPrefix(e, mark) {
			p.subscribe(mark, "")
			return got
		}
		got = append(got, e)
	}
}

// expect fails unless exactly these have come.
func (p *peer) expect(s *server, want ...string) {
	p.t.Helper()
	if got := p.received(s); !slices.Equal(got, want) {
		p.t.Fatalf("received %q, want %q", clipAll(got), clipAll(want))
	}
}

// clipAll shortens texts for a message.
func clipAll(list []string) []string {
	var all []string
	for _, s := range list {
		all = append(all, s[:min(len(s), 80)])
	}
	return all
}
