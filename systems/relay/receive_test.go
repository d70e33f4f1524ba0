package relay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/dial"
	"github.com/hubbub-go/hubbub/systems/relay"
	"github.com/hubbub-go/hubbub/systems/relay/ticket"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// quickly makes a relay come back to its hubs soon.
func quickly(c *relay.Config) {
	c.Listen.Reconnect = func(hubbub.Retry) (time.Duration, bool) { return 20 * time.Millisecond, true }
	c.Listen.CallTimeout = patience
	inner := c.Listen.Hub
	c.Listen.Hub = func(hub string) dial.Hub {
		var h dial.Hub
		if inner != nil {
			h = inner(hub)
		}
		h.ClassicOptions.Reconnect = func(r hubbub.Retry) (time.Duration, bool) { return 100 * time.Millisecond, r.Attempt < 30 }
		return h
	}
}

// deaf lets a relay say nothing of what it refuses.
func deaf(c *relay.Config) { c.Logger = slog.New(slog.DiscardHandler) }

// subscribe makes the relay subscribe to an event elsewhere.
func (s *server) subscribe(hub, guid, cookie string) {
	s.t.Helper()
	if err := s.Subscribe(s.t.Context(), hub, guid, cookie); err != nil {
		s.t.Fatalf("subscribe %q at %s: %v", guid, hub, err)
	}
}

// tickets returns all, the oldest first, as viewModel rootId state error.
func (s *server) tickets() []string {
	s.t.Helper()
	found, _, err := s.Tickets().List(s.t.Context(), ticket.Filter{})
	if err != nil {
		s.t.Fatal(err)
	}
	var all []string
	for _, t := range found {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%.40s %.40s %v %s", t.ViewModel, t.RootID, t.State, t.Error)))
	}
	return all
}

// object makes an object, on which SomeVM counts its runs.
func (s *server) object(id string) {
	s.t.Helper()
	if status, m := s.call("PUT", "/realtime/objects/"+id, "", `{"runs":0}`); status != http.StatusNoContent {
		s.t.Fatalf("object %s: status %d %v", id, status, m)
	}
}

// ran waits until SomeVM has run so often for an object.
func (s *server) ran(id string, times int) {
	s.t.Helper()
	var m map[string]any
	deadline := time.Now().Add(patience)
	for m["runs"] != float64(times) {
		if time.Now().After(deadline) {
			s.t.Fatalf("object %s: %v, want %d runs; tickets %q, listeners %+v", id, m, times, s.tickets(), s.Listeners())
		}
		time.Sleep(5 * time.Millisecond)
		_, m = s.call("GET", "/realtime/objects/"+id, "", "")
	}
}

func cookieFor(id string) string { return "Viewmodel=SomeVM&RootId=" + id }

// M1, M4, M5, M12 between two servers: what fires at one becomes a ticket of the other.
func TestM1Receiver(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, w way) {
		giver := newServer(t)
		s := newServer(t, withDemo, func(c *relay.Config) {
			c.Listen.Hub = func(string) dial.Hub { return dial.Hub{Transports: w.transport} }
		})
		for _, id := range []string{"12|7", "12|8"} {
			s.object(strings.ReplaceAll(id, "|", "%7C"))
		}
		hub := giver.url + w.path
		s.subscribe(hub, "g1", cookieFor("12|7"))
		giver.trigger("g1", 1)
		s.ran("12%7C7", 1)
		giver.trigger("g1", 1)
		giver.trigger("g1", 1)
		s.ran("12%7C7", 3)
		s.subscribe(hub, "g1", cookieFor("12|8"))
		s.subscribe(hub, "g2", "viewmodel=SomeVM&note=%C3%A4&ROOTID=12%7c7")
		giver.trigger("g1", 1)
		s.ran("12%7C8", 1)
		giver.trigger("g2", 1)
		s.ran("12%7C7", 4)
		if h := s.Listeners(); len(h) != 1 || !h[0].Healthy || h[0].Dialect != w.dialect || h[0].Connects != 1 || h[0].Subscriptions != 2 {
			t.Errorf("listeners %+v, want one connection", h)
		}
		s.subscribe(hub, "g1", "")
		giver.trigger("g1", 0)
		s.subscribe(hub, "g2", relay.EndSubscription)
		giver.trigger("g2", 0)
		eventually(t, "a listener without subscriptions that leaves", func() bool { return len(s.Listeners()) == 0 })
		if st := s.Stats(); st.Heard != 5 || st.Unwanted != 0 || len(s.tickets()) != 5 {
			t.Errorf("counted %+v, tickets %q", st, s.tickets())
		}
	})
}

// badCookies are those of M8, with what becomes of them: an Error of the ticket, or a refusal.
var badCookies = []struct{ name, cookie, ticket string }{
	{"no view model", "RootId=12|7", ""},
	{"any text", "hello", ""},
	{"empty view model", "Viewmodel=&RootId=12|7", ""},
	{"unknown view model", "Viewmodel=NoSuchVM&RootId=12|7", "NoSuchVM"},
	{"no object", "Viewmodel=SomeVM", `invalid RootId ""`},
	{"invalid object", "Viewmodel=SomeVM&RootId=12", `invalid RootId "12"`},
	{"unknown object", "Viewmodel=SomeVM&RootId=12|999", "12|999"},
	{"64 KB", "Viewmodel=SomeVM&RootId=" + strings.Repeat("x", 64<<10-24), ""},
	{"64 KB of a view model", "Viewmodel=" + strings.Repeat("x", 64<<10-10), ""},
	{"broken escape", "Viewmodel=SomeVM&RootId=12%7", ""},
	{"not UTF-8", "Viewmodel=SomeVM&RootId=%ff", ""},
	{"control characters", "Viewmodel=Some%00VM&RootId=12|7", ""},
	{"a key twice", "Viewmodel=SomeVM&RootId=12|7&rootid=12|8", ""},
}

// M8: whatever is in a cookie, a ticket tells it or the log does, and the connection lives.
func TestM8BadCookies(t *testing.T) {
	t.Parallel()
	for _, anyCookie := range []bool{false, true} {
		t.Run(fmt.Sprint("any cookie ", anyCookie), func(t *testing.T) {
			t.Parallel()
			giver := newServer(t)
			s := newServer(t, withDemo, deaf, func(c *relay.Config) { c.AnyCookie = anyCookie })
			s.object("12%7C7")
			for _, hub := range []string{"", giver.url, giver.url + relay.ClassicPath} {
				at, refused, failed := giver, int(s.Stats().Unwanted), 0
				if hub == "" {
					at = s
				}
				before := len(s.tickets())
				want := make(map[string]int)
				for i, bad := range badCookies {
					guid := fmt.Sprint(i, hub)
					s.subscribe(hub, guid, bad.cookie)
					at.trigger(guid, 1)
					if bad.ticket == "" {
						refused++
					} else {
						want[bad.ticket]++
						failed++
					}
				}
				s.subscribe(hub, "good"+hub, cookieFor("12|7"))
				at.trigger("good"+hub, 1)
				eventually(t, "all tickets", func() bool {
					all := s.tickets()[before:]
					for _, line := range all {
						if strings.Contains(line, "ready") || strings.Contains(line, "running") {
							return false
						}
					}
					return len(all) == failed+1
				})
				got := strings.Join(s.tickets()[before:], "\n")
				for text := range want {
					if !strings.Contains(got, text) {
						t.Errorf("tickets\n%s\nwant one whose Error names %q", got, text)
					}
				}
				if n := strings.Count(got, "failed"); n != failed || int(s.Stats().Unwanted) != refused {
					t.Errorf("%d tickets failed and %d events were refused, want %d and %d, at %q:\n%s", n, s.Stats().Unwanted, failed, refused, hub, got)
				}
			}
			for _, h := range s.Listeners() {
				if !h.Healthy || h.Connects != 1 {
					t.Errorf("listener %+v, want the connection that there was", h)
				}
			}
		})
	}
}

// M9: a giver that sends cookies which it was not given, or not for that, runs nothing, also after a restart of the receiver.
func TestM9ForgedCookie(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		address, subscribed, hub := foreignHub(t)
		other, _, otherHub := foreignHub(t)
		c := config(t, database)
		withDemo(&c)
		quickly(&c)
		deaf(&c)
		s := start(t, c)
		s.subscribe(address+"/core", "g1", cookieFor("1|1"))
		s.subscribe(address+"/core", "g1", cookieFor("1|2"))
		s.subscribe(address+"/core", "g2", cookieFor("1|3"))
		s.subscribe(address+"/core", "ended", cookieFor("1|4"))
		s.subscribe(address+"/core", "ended", "")
		s.subscribe(other+"/core", "g3", cookieFor("1|5"))
		s.subscribe("", "g4", cookieFor("1|6"))
		forge := func() {
			t.Helper()
			say := func(h *hubbub.Hub, guid, cookie string) {
				t.Helper()
				if err := h.All().Send(t.Context(), "ReceiveEvent", guid, cookie); err != nil {
					t.Fatal(err)
				}
			}
			say(hub, "g1", "Viewmodel=Evil&RootId=1|1") // never handed out
			say(hub, "g1", cookieFor("1|1"))            // not the last one
			say(hub, "g1", cookieFor("1|2")+" ")
			say(hub, "G1", cookieFor("1|2"))
			say(hub, "g1", "")
			say(hub, "g2", cookieFor("1|2")) // for another event
			say(hub, "ended", cookieFor("1|4"))
			say(hub, "g3", cookieFor("1|5")) // for another hub
			say(hub, "g4", cookieFor("1|6")) // for this server itself
			say(otherHub, "g1", cookieFor("1|2"))
			say(hub, "g1", cookieFor("1|2"))
			say(otherHub, "g3", cookieFor("1|5"))
		}
		refused := func(want uint64) {
			t.Helper()
			eventually(t, "the refusals and two tickets", func() bool {
				st := s.Stats()
				return st.Unwanted == want && st.Heard == 2
			})
			got := strings.Join(s.tickets(), "\n")
			if strings.Contains(got, "Evil") || !strings.Contains(got, "SomeVM 1|2") || !strings.Contains(got, "SomeVM 1|5") {
				t.Errorf("tickets %s", got)
			}
		}
		forge()
		refused(10)
		s.stop()
		for len(subscribed) > 0 {
			<-subscribed
		}
		s = start(t, c)
		got := map[[2]string]bool{<-subscribed: true, <-subscribed: true}
		if want := [2]string{"g1", cookieFor("1|2")}; !got[want] || !got[[2]string{"g2", cookieFor("1|3")}] || len(subscribed) > 0 {
			t.Errorf("subscribed again to %v, and %d more, want g1 and g2", got, len(subscribed))
		}
		for _, hub := range []string{address + "/core", other + "/core"} {
			ready(t, s, hub)
		}
		forge()
		refused(10)
		if n := len(s.tickets()); n != 4 {
			t.Errorf("%d tickets, want 4: %q", n, s.tickets())
		}
	})
}

// ready waits until a relay listens to a hub.
func ready(t testing.TB, s *server, hub string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.ListenerReady(ctx, hub); err != nil {
		t.Fatal(err)
	}
}

// With the registry off every cookie is run, as by the original.
func TestM9RegistryOff(t *testing.T) {
	t.Parallel()
	address, _, hub := foreignHub(t)
	s := newServer(t, withDemo, func(c *relay.Config) { c.AnyCookie = true })
	s.subscribe(address+"/core", "g1", cookieFor("1|1"))
	if err := hub.All().Send(t.Context(), "ReceiveEvent", "g2", "Viewmodel=Evil&RootId=1|1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ticket", func() bool { return len(s.tickets()) == 1 && strings.HasPrefix(s.tickets()[0], "Evil 1|1 failed") })
}

// Where a view model may not listen, nothing connects: not now, and not after a restart with fewer hubs allowed.
func TestAllowedHubs(t *testing.T) {
	t.Parallel()
	address, _, _ := foreignHub(t)
	c := config(t, "sqlite")
	withDemo(&c)
	s := start(t, c)
	s.subscribe(address+"/core", "g1", cookieFor("1|1"))
	s.stop()
	c.Listen.Allow = func(hubURL string) bool { return strings.HasPrefix(hubURL, "https://friend/") }
	s = start(t, c)
	var invalid *relay.Invalid
	if err := s.Subscribe(t.Context(), address+"/core", "g2", cookieFor("1|1")); !errors.As(err, &invalid) || !strings.Contains(err.Error(), "may listen to") {
		t.Errorf("subscribed at a hub that is not allowed: %v", err)
	}
	if h := s.Listeners(); len(h) != 0 {
		t.Errorf("listens to %+v, want nobody", h)
	}
	if err := s.Subscribe(t.Context(), "", "g3", cookieFor("1|1")); err != nil {
		t.Errorf("subscribed at this server: %v", err)
	}
}

// A hub that is down when a subscription is made, and one that is never there, hold nothing up; what was subscribed is not forgotten.
func TestReceiverBeforeItsHub(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		g := giverSettings{Database: config(t, "sqlite").Database, Key: "k"}
		giver := play(t, "giver", g)
		giver.kill()
		c := config(t, database)
		withDemo(&c)
		quickly(&c)
		deaf(&c)
		s := start(t, c)
		s.object("1%7C1")
		s.subscribe(giver.url, "g1", cookieFor("1|1"))
		s.stop()
		s = start(t, c)
		eventually(t, "a listener that knows of no hub", func() bool { h := s.Listeners(); return len(h) == 1 && h[0].Err != nil && !h[0].Healthy })
		g.Listen = strings.TrimPrefix(giver.url, "http://")
		giver = play(t, "giver", g)
		ready(t, s, giver.url)
		giver.server().fire("g1", 1)
		s.ran("1%7C1", 1)
	})
}

func TestSubscribeInvalid(t *testing.T) {
	t.Parallel()
	s := newServer(t, withDemo, deaf, func(c *relay.Config) { c.Listen.Hubs, c.Limits.CookieBytes = 1, 100 })
	hub, cookie := "http://127.0.0.1:1/realtimehub", cookieFor("1|1")
	s.subscribe(hub, "g1", cookie)
	for name, call := range map[string][3]string{
		"no eventguid": {hub, "", cookie}, "long eventguid": {hub, strings.Repeat("g", 1025), cookie}, "long cookie": {hub, "g", strings.Repeat("c", 101)},
		"no address": {"realtimehub", "g", cookie}, "one hub too many": {"http://127.0.0.1:2", "g", cookie},
	} {
		err := s.Subscribe(t.Context(), call[0], call[1], call[2])
		if _, ok := errors.AsType[*relay.Invalid](err); !ok {
			t.Errorf("%s: %v, want it to be invalid", name, err)
		}
	}
	s.subscribe("http://127.0.0.1:2", "g", "") // ends what there is not
	if err := newServer(t).Subscribe(t.Context(), "", "g", cookie); err == nil || !strings.Contains(err.Error(), "no tickets") {
		t.Errorf("without tickets: %v", err)
	}
}
