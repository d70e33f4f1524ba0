package dial_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/hubtest"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/dial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// newHub has a method that says its argument to the caller and returns it.
func newHub() *hubbub.Hub {
	hub := hubbub.NewHub("EchoHub", &hubbub.Options{Logger: quiet})
	hub.Handle("Say", hubbub.Func1(func(ctx context.Context, text string) (string, error) {
		if text == "" {
			return "", hubbub.Errorf("Nothing said.")
		}
		return text, hubbub.CallerFrom(ctx).Send(ctx, "Said", text)
	}))
	return hub
}

// server serves a hub in one dialect or both, and keeps what has come.
type server struct {
	*hubtest.Server
	mu       sync.Mutex
	requests []*http.Request
}

func newServer(t *testing.T, core, old bool) *server {
	hub, mux := newHub(), http.NewServeMux()
	if core {
		signalr.MapHub(mux, "/echo", hub, nil)
	}
	if old {
		classic.MapHubs(mux, "/old/signalr", nil, hub)
	}
	s := &server{}
	s.Server = hubtest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Clone(context.Background()))
		s.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	return s
}

// seen returns the requests whose path ends like that.
func (s *server) seen(suffix string) (all []*http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		if strings.HasSuffix(r.URL.Path, suffix) {
			all = append(all, r)
		}
	}
	return all
}

// hub describes the server's hub at path.
func (s *server) hub(path string) dial.Hub {
	return dial.Hub{URL: s.URL + path, HTTPClient: s.Link().HTTPClient(), Logger: quiet}
}

func TestConnect(t *testing.T) {
	t.Parallel()
	transports := []signalr.Transport{0, signalr.WebSockets, signalr.ServerSentEvents, signalr.LongPolling}
	for _, test := range []struct {
		name, path   string
		ask, want    dial.Dialect
		core, old    bool
		exact, named bool
	}{
		{"core by name", "/echo", dial.Core, dial.Core, true, true, false, false},
		{"core found out", "/echo", dial.Auto, dial.Core, true, true, false, true},
		{"classic by name", "/old", dial.Classic, dial.Classic, true, true, false, true},
		{"classic by name and exact address", "/old/signalr/", dial.Classic, dial.Classic, true, true, true, true},
		{"classic found out by its answer", "/old/signalr", dial.Auto, dial.Classic, false, true, false, true},
		{"classic found out by 404", "/old", dial.Auto, dial.Classic, false, true, false, true},
	} {
		for _, transport := range transports {
			t.Run(fmt.Sprintf("%s over %v", test.name, transport), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newServer(t, test.core, test.old)
					h := s.hub(test.path + "?listener=a%20b&x=1&x=2")
					h.Dialect, h.Transports, h.ClassicOptions.ExactURL = test.ask, transport, test.exact
					if test.named {
						h.HubName = "echohub"
					}
					h.Header = http.Header{"X-Purpose": {"test"}}
					tokens := 0
					h.Token = func(context.Context) (string, error) { tokens++; return "secret", nil }
					h.OnReconnecting = func(err error) { t.Errorf("reconnecting: %v", err) }
					h.OnReconnected = func(string) { t.Error("reconnected") }
					closed := make(chan error, 2)
					h.OnClosed = func(err error) { closed <- err }
					converse(t, h, test.want)
					if err := <-closed; err != nil || len(closed) > 0 {
						t.Errorf("closed with %v, and %d times more, want once with nil", err, len(closed))
					}
					if tokens == 0 {
						t.Error("nobody asked for a token")
					}
					where := map[dial.Dialect]string{dial.Core: "/echo/negotiate", dial.Classic: "/old/signalr/negotiate"}[test.want]
					for _, r := range s.seen(where) {
						if got := r.URL.Query(); got.Get("listener") != "a b" || !slices.Equal(got["x"], []string{"1", "2"}) {
							t.Errorf("negotiated with %v, want the query of the address", r.URL)
						}
						if r.Header.Get("X-Purpose") != "test" || r.Header.Get("Authorization") != "Bearer secret" {
							t.Errorf("negotiated with %v, want header and token", r.Header)
						}
					}
				})
			})
		}
	}
}

// converse connects, calls in every way, and closes.
func converse(t *testing.T, h dial.Hub, want dial.Dialect) {
	t.Helper()
	heard := make(chan string, 10)
	hear := func(prefix string) hubbub.Method {
		return hubbub.Action1(func(_ context.Context, text string) error { heard <- prefix + text; return nil })
	}
	h.Handlers = map[string]hubbub.Method{"Said": hear("first ")}
	c, err := dial.Connect(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if c.Dialect() != want || c.ID() == "" || c.State() != hubbub.Connected {
		t.Errorf("dialect %v, id %q, state %v, want %v, connected", c.Dialect(), c.ID(), c.State(), want)
	}
	got, err := hubbub.Invoke[string](t.Context(), c, "Say", "hi")
	if err != nil || got != "hi" {
		t.Errorf("Say: %q, %v", got, err)
	}
	all := []string{<-heard}
	remove := c.On("Said", hear("second "))
	if err := c.Send(t.Context(), "Say", "ho"); err != nil {
		t.Error(err)
	}
	for range 2 {
		all = append(all, <-heard)
	}
	remove()
	if err := c.Invoke(t.Context(), nil, "Say", "end"); err != nil {
		t.Error(err)
	}
	all = append(all, <-heard)
	if err := c.Invoke(t.Context(), nil, "Say", ""); err == nil || !strings.Contains(err.Error(), "Nothing said.") {
		t.Errorf("Say nothing: %v, want what the hub said", err)
	}
	if want := []string{"first hi", "first ho", "second ho", "first end"}; !reflect.DeepEqual(all, want) {
		t.Errorf("heard %q, want %q", all, want)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := c.Invoke(t.Context(), nil, "Say", "late"); err == nil || c.State() != hubbub.Disconnected {
		t.Errorf("after the end: %v, state %v", err, c.State())
	}
}

func TestConnectFails(t *testing.T) {
	t.Parallel()
	status := func(code int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	old := http.NewServeMux()
	classic.MapHubs(old, "/hub", nil, newHub())
	core := http.NewServeMux()
	signalr.MapHub(core, "/hub", newHub(), nil)
	for _, test := range []struct {
		name   string
		server http.Handler
		change func(*dial.Hub)
		want   string
	}{
		{"no address", status(404), func(h *dial.Hub) { h.URL = "" }, `address "", want http://host/path`},
		{"other scheme", status(404), func(h *dial.Hub) { h.URL = "ftp://example.com/hub" }, `address "ftp://example.com/hub", want http`},
		{"no host", status(404), func(h *dial.Hub) { h.URL = "http:///hub" }, `want http://host/path`},
		{"broken address", status(404), func(h *dial.Hub) { h.URL = "http://%zz/" }, `address: parse`},
		{"no dialect", status(404), func(h *dial.Hub) { h.Dialect = 9 }, "dialect Dialect(9), want auto, core or classic"},
		{"no name", status(404), func(h *dial.Hub) { h.Dialect, h.HubName = dial.Classic, "" }, "no HubName"},
		{"nothing there", status(404), func(h *dial.Hub) {}, "status 404"},
		{"core wanted", old, func(h *dial.Hub) { h.Dialect = dial.Core }, "ASP.NET SignalR server"},
		{"classic wanted", core, func(h *dial.Hub) { h.Dialect, h.ClassicOptions.ExactURL = dial.Classic, true }, "Core"},
		{"classic found without a name", old, func(h *dial.Hub) { h.HubName = "" }, "no HubName"},
		{"broken server", status(500), func(h *dial.Hub) {}, "status 500"},
		{"refused", status(401), func(h *dial.Hub) {}, "status 401"},
		{"token", status(200), func(h *dial.Hub) {
			h.Token = func(context.Context) (string, error) { return "", errors.New("no credential") }
		}, "no credential"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := hubtest.NewServer(t, test.server)
				h := dial.Hub{URL: s.URL + "/hub", HubName: "EchoHub", HTTPClient: s.Link().HTTPClient(), Logger: quiet}
				h.OnClosed = func(err error) { t.Errorf("closed: %v", err) }
				test.change(&h)
				c, err := dial.Connect(t.Context(), h)
				if c != nil || err == nil || !strings.HasPrefix(err.Error(), "dial: ") || !strings.Contains(err.Error(), test.want) {
					t.Errorf("connected %v, error %v, want one with %q", c != nil, err, test.want)
				}
			})
		})
	}
}

// A lost Core connection has ended unless it may reconnect; a classic one goes on where it was.
func TestLost(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*dial.Hub)
		again  bool
		same   bool // connection
	}{
		{"core", func(h *dial.Hub) { h.URL += "/echo" }, false, false},
		{"core that reconnects", func(h *dial.Hub) {
			h.URL += "/echo"
			h.CoreOptions.Reconnect = hubbub.RetryDelays(time.Second)
		}, true, false},
		{"classic", func(h *dial.Hub) { h.URL += "/old/signalr" }, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, true, true)
				link := s.Link()
				events := make(chan string, 10)
				h := dial.Hub{URL: s.URL, HubName: "EchoHub", HTTPClient: link.HTTPClient(), Logger: quiet}
				h.OnClosed = func(err error) { events <- fmt.Sprint("closed ", err != nil) }
				h.OnReconnecting = func(err error) { events <- fmt.Sprint("reconnecting ", err != nil) }
				h.OnReconnected = func(id string) { events <- "reconnected " + id }
				test.change(&h)
				c, err := dial.Connect(t.Context(), h)
				if err != nil {
					t.Fatal(err)
				}
				before := c.ID()
				link.Drop()
				var want []string
				if test.again {
					want = append(want, "reconnecting true")
					if got := <-events; got != want[0] {
						t.Errorf("heard %q, want %q", got, want[0])
					}
					if got := <-events; got != "reconnected "+c.ID() || (c.ID() == before) != test.same {
						t.Errorf("heard %q, id %q, was %q, want the same: %v", got, c.ID(), before, test.same)
					}
					if err := c.Invoke(t.Context(), nil, "Say", "hi"); err != nil {
						t.Error(err)
					}
				} else if got := <-events; got != "closed true" || c.State() != hubbub.Disconnected {
					t.Errorf("heard %q, state %v, want the end", got, c.State())
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestConnectStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := hubtest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		h := dial.Hub{URL: s.URL + "/hub", HTTPClient: s.Link().HTTPClient(), Logger: quiet}
		if _, err := dial.Connect(ctx, h); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want that of the context", err)
		}
	})
}
