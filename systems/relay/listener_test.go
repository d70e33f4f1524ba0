package relay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/dial"
	"github.com/hubbub-go/hubbub/systems/relay"
)

// way is how a listener gets to a hub.
type way struct {
	path      string
	transport signalr.Transport
	dialect   dial.Dialect
}

func (w way) String() string { return w.dialect.String() + " " + w.transport.String() }

// everyWay runs a test over both dialects, which are found out, with each of their transports.
func everyWay(t *testing.T, f func(t *testing.T, w way)) {
	for _, dialect := range []dial.Dialect{dial.Core, dial.Classic} {
		for _, transport := range []signalr.Transport{signalr.WebSockets, signalr.ServerSentEvents, signalr.LongPolling} {
			w := way{relay.CorePath, transport, dialect}
			if dialect == dial.Classic {
				w.path = relay.ClassicPath
			}
			t.Run(w.String(), func(t *testing.T) {
				t.Parallel()
				f(t, w)
			})
		}
	}
}

// ear is a listener and what it has heard.
type ear struct {
	*relay.Listener
	t      testing.TB
	events chan string // guid=cookie
	web    *http.Transport
}

// listen starts a listener of the hub at address. It does not wait for the hub.
func listen(t testing.TB, address string, change ...func(*relay.ListenOptions)) *ear {
	t.Helper()
	e := &ear{t: t, events: make(chan string, 1<<14), web: &http.Transport{}}
	o := relay.ListenOptions{
		Hub:     dial.Hub{HTTPClient: &http.Client{Transport: e.web}},
		OnEvent: func(_ context.Context, v relay.Event) error { e.events <- v.Guid + "=" + v.Cookie; return nil },
		Reconnect: func(r hubbub.Retry) (time.Duration, bool) {
			return min(time.Duration(r.Attempt)*20*time.Millisecond, 200*time.Millisecond), true
		},
		Logger: slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	o.Hub.ClassicOptions.Reconnect = func(r hubbub.Retry) (time.Duration, bool) { return 100 * time.Millisecond, r.Attempt < 30 }
	for _, f := range change {
		f(&o)
	}
	l, err := relay.Listen(address, o)
	if err != nil {
		t.Fatal(err)
	}
	e.Listener = l
	t.Cleanup(func() {
		l.Close()
		e.web.CloseIdleConnections()
	})
	return e
}

// over makes a listener use the transport of a way.
func over(w way) func(*relay.ListenOptions) {
	return func(o *relay.ListenOptions) { o.Hub.Transports = w.transport }
}

// ready waits until the listener is healthy.
func (e *ear) ready() *ear {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), patience)
	defer cancel()
	if err := e.Ready(ctx); err != nil {
		e.t.Fatal(err)
	}
	return e
}

func (e *ear) subscribe(guid, cookie string) {
	e.t.Helper()
	if err := e.Subscribe(e.t.Context(), guid, cookie); err != nil {
		e.t.Fatalf("subscribe %q: %v", guid, err)
	}
}

// hears wants exactly these next.
func (e *ear) hears(want ...string) {
	e.t.Helper()
	for _, w := range want {
		select {
		case got := <-e.events:
			if got != w {
				e.t.Fatalf("heard %.80q, want %.80q", got, w)
			}
		case <-time.After(patience):
			e.t.Fatalf("heard nothing, want %.80q", w)
		}
	}
}

// quiet fails if anything has been heard.
func (e *ear) quiet() {
	e.t.Helper()
	if len(e.events) > 0 {
		e.t.Fatalf("heard %.80q, want nothing", <-e.events)
	}
}

// M1, M3, M4, M5, M12 from the side of the listener.
func TestListener(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, w way) {
		s := newServer(t)
		e := listen(t, s.url+w.path, over(w))
		e.subscribe("g1", "Viewmodel=OrderVM&RootId=12|7")
		s.trigger("g1", 1)
		e.hears("g1=Viewmodel=OrderVM&RootId=12|7")
		e.subscribe("g1", "c2")
		s.trigger("g1", 1)
		s.trigger("g1", 1)
		e.hears("g1=c2", "g1=c2")
		long := strings.Repeat("%&=\"\\ü", 5000)
		for i := range 20 {
			e.subscribe(fmt.Sprint("many ", i), fmt.Sprint(i, long))
		}
		for i := range 20 {
			s.trigger(fmt.Sprint("many ", i), 1)
			e.hears(fmt.Sprint("many ", i, "=", i, long))
		}
		e.subscribe("g1", "")
		e.subscribe("g1", "")
		e.subscribe("many 3", relay.EndSubscription)
		e.subscribe("unknown", relay.EndSubscription)
		s.trigger("g1", 0)
		s.trigger("many 3", 0)
		s.trigger("many 4", 1)
		e.hears("many 4=4" + long)
		e.quiet()
		eventually(t, "the last event to be counted", func() bool { return e.Health().Events == 24 }) // after its function has returned
		h := e.Health()
		if !h.Healthy || h.Dialect != w.dialect || h.Err != nil || h.Subscriptions != 19 || h.Connects != 1 || h.Events != 24 || h.Refused != 0 {
			t.Errorf("health %+v", h)
		}
	})
}

// M10: the hub dies and comes back without a memory. The listener subscribes to everything again before it says that it is healthy.
func TestM10Reconnect(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, w way) {
		for _, again := range []string{"k", "other"} { // classic clients may come back with the token that the keys have signed
			c := giverSettings{Database: config(t, "sqlite").Database, Key: "k"}
			giver := play(t, "giver", c)
			e := listen(t, giver.url+w.path, over(w))
			const many = 60
			for i := range many {
				e.subscribe(fmt.Sprint("g", i), fmt.Sprint("c", i))
			}
			e.subscribe("g7", "new")
			e.subscribe("g8", "")
			giver.server().fire("g7", 1)
			e.hears("g7=new")
			giver.kill()
			eventually(t, "a listener that knows of its loss", func() bool { return !e.Health().Healthy })
			e.subscribe("late", "c") // while there is no hub
			c.Listen, c.Key = strings.TrimPrefix(giver.url, "http://"), again
			giver = play(t, "giver", c)
			e.ready()
			s := giver.server()
			for i := range many {
				switch guid := fmt.Sprint("g", i); i {
				case 7:
					s.fire(guid, 1)
					e.hears("g7=new")
				case 8:
					s.fire(guid, 0)
				default:
					if i%20 == 0 {
						s.fire(guid, 1)
						e.hears(fmt.Sprint(guid, "=c", i))
					}
				}
			}
			s.fire("late", 1)
			e.hears("late=c")
			e.quiet()
			if h := e.Health(); h.Subscriptions != many || h.Events == 0 || h.Connects < 2 {
				t.Errorf("health %+v", h)
			}
			e.Close()
			giver.kill()
		}
	})
}

// A listener is there before its hub.
func TestListenerFirst(t *testing.T) {
	t.Parallel()
	c := giverSettings{Database: config(t, "sqlite").Database, Key: "k"}
	giver := play(t, "giver", c)
	giver.kill()
	e := listen(t, giver.url) // without a path
	eventually(t, "a reason", func() bool { return e.Health().Err != nil })
	e.subscribe("g1", "c1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Ready(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("ready: %v, want the reason", err)
	}
	c.Listen = strings.TrimPrefix(giver.url, "http://")
	giver = play(t, "giver", c)
	e.ready()
	giver.server().fire("g1", 1)
	e.hears("g1=c1")
	if got, want := e.URL(), giver.url+relay.CorePath; got != want {
		t.Errorf("URL %q, want %q", got, want)
	}
}

// foreignHub has just the two members, in both dialects, and no memory. say calls its clients.
func foreignHub(t testing.TB) (address string, subscribed chan [2]string, hub *hubbub.Hub) {
	subscribed = make(chan [2]string, 1000)
	hub = hubbub.NewHub("EventHub", &hubbub.Options{Logger: slog.New(slog.DiscardHandler)})
	hub.Handle("SubscribeToEvent", hubbub.Action2(func(_ context.Context, guid, cookie string) error {
		subscribed <- [2]string{guid, cookie}
		if guid == "forbidden" {
			return hubbub.Errorf("Not for you.")
		}
		return nil
	}))
	mux := http.NewServeMux()
	signalr.MapHub(mux, "/core", hub, nil)
	classic.MapHubs(mux, "/signalr", nil, hub)
	s := httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := hub.Shutdown(ctx, 0); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return s.URL, subscribed, hub
}

// A hub of another make with just the two members, which sends what it likes.
func TestListenerForeign(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"core": "/core", "classic": "/signalr"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, subscribed, hub := foreignHub(t)
			e := listen(t, address+path, func(o *relay.ListenOptions) {
				o.Name, o.After, o.Logger = "me", "x-1", slog.New(slog.DiscardHandler)
			})
			e.subscribe("g1", "c1")
			if got := <-subscribed; got != [2]string{"g1", "c1"} {
				t.Fatalf("the hub was told %q", got)
			}
			say := func(args ...any) {
				t.Helper()
				if err := hub.All().Send(t.Context(), "ReceiveEvent", args...); err != nil {
					t.Fatal(err)
				}
			}
			say("g1")
			say("g1", 5)
			say(nil, "c1")
			say()
			say("g2", "c1")
			say("g1", "forged")
			say("g1", "c1", map[string]any{"id": 1})
			say("g1", "c1", strings.Repeat("x", 10_000))
			e.hears("g1=forged", "g1=c1", "g1=c1")
			if h := e.Health(); h.Malformed != 4 || h.Unwanted != 1 || h.Events != 3 || !h.Healthy {
				t.Errorf("health %+v", h)
			}
		})
	}
}

// What a hub refuses is told, and asked for again now and then and with every connection; the rest goes on.
func TestListenerRefused(t *testing.T) {
	t.Parallel()
	address, subscribed, hub := foreignHub(t)
	e := listen(t, address+"/core", func(o *relay.ListenOptions) {
		o.RetryRefused = 10 * time.Millisecond
		o.Logger = slog.New(slog.DiscardHandler)
	})
	e.subscribe("g1", "c1")
	err := e.Subscribe(t.Context(), "forbidden", "c")
	if said, ok := errors.AsType[*hubbub.Error](err); !ok || !strings.Contains(said.Error(), "Not for you.") {
		t.Fatalf("refused with %v", err)
	}
	for want := [2]string{"forbidden", "c"}; <-subscribed != want; {
	}
	if got := <-subscribed; got[0] != "forbidden" {
		t.Fatalf("the hub was told %q, want what it has refused", got)
	}
	e.ready()
	if h := e.Health(); h.Refused != 1 || h.Subscriptions != 2 || h.Connects != 1 {
		t.Errorf("health %+v", h)
	}
	if err := hub.All().Send(t.Context(), "ReceiveEvent", "g1", "c1"); err != nil {
		t.Fatal(err)
	}
	e.hears("g1=c1")
}

// M18 from the side of the listener: its own token for each hub.
func TestListenerToken(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, w way) {
		s := newServer(t, withAuth)
		var token atomic.Value
		token.Store("bad")
		e := listen(t, s.url+w.path, over(w), func(o *relay.ListenOptions) {
			o.Hub.Token = func(context.Context) (string, error) { return token.Load().(string), nil }
			o.Logger = slog.New(slog.DiscardHandler)
		})
		eventually(t, "a refusal", func() bool { return e.Health().Err != nil })
		if err := e.Health().Err; !strings.Contains(err.Error(), "401") {
			t.Errorf("refused with %v, want status 401", err)
		}
		token.Store("ann,events:subscribe,mine")
		e.ready()
		e.subscribe("mine 1", "c")
		if err := e.Subscribe(t.Context(), "yours", "c"); err == nil || !strings.Contains(err.Error(), "The token is not for the eventguid") {
			t.Errorf("subscribed with %v", err)
		}
		s.trigger("mine 1", 1)
		e.hears("mine 1=c")
	})
}

// An event that could not be taken is given again, and those behind it wait; a panic takes nothing with it.
func TestListenerTakesAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var n atomic.Int64
	var e *ear
	e = listen(t, s.url, func(o *relay.ListenOptions) {
		o.Logger = slog.New(slog.DiscardHandler)
		o.OnEvent = func(_ context.Context, v relay.Event) error {
			switch n.Add(1) {
			case 1, 2:
				return errors.New("no database")
			case 3:
				panic("nothing")
			}
			e.events <- v.Guid
			return nil
		}
	})
	e.subscribe("g1", "c")
	e.subscribe("g2", "c")
	s.trigger("g1", 1)
	s.trigger("g2", 1)
	e.hears("g2")
	eventually(t, "both events", func() bool { return e.Health().Events == 2 })
	if got := n.Load(); got != 4 {
		t.Errorf("given %d times, want 4", got)
	}
}

func TestListenInvalid(t *testing.T) {
	t.Parallel()
	on := func(context.Context, relay.Event) error { return nil }
	for address, want := range map[string]string{
		"":                       `hub "", want http://host/path`,
		"ftp://host/hub":         "want http://host/path",
		"http://":                "want http://host/path",
		"host/hub":               "want http://host/path",
		"http://%zz":             "cannot be read",
		"http://me:pw@host/hub":  `hub of host "host" has a user in its address`,
		"http://host/" + long(5): "want at most 4096",
	} {
		_, err := relay.Listen(address, relay.ListenOptions{OnEvent: on})
		if _, ok := errors.AsType[*relay.Invalid](err); !ok || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "pw") {
			t.Errorf("Listen(%.50q): %v, want %q", address, err, want)
		}
	}
	if _, err := relay.Listen("http://127.0.0.1:1/", relay.ListenOptions{}); err == nil {
		t.Error("listens without OnEvent")
	}
	e := listen(t, "http://127.0.0.1:1/", func(o *relay.ListenOptions) { o.MostSubscriptions = 1 })
	eventually(t, "the end of the first attempt", func() bool { return e.Health().Err != nil })
	e.subscribe("g1", "c")
	for _, guid := range []string{"", "g2"} {
		err := e.Subscribe(t.Context(), guid, "c")
		if _, ok := errors.AsType[*relay.Invalid](err); !ok {
			t.Errorf("subscribed to %q: %v", guid, err)
		}
	}
	e.Close()
	if err := e.Ready(t.Context()); !errors.Is(err, hubbub.ErrClosed) {
		t.Errorf("ready after the end: %v", err)
	}
}

func long(kib int) string { return strings.Repeat("x", kib<<10) }
