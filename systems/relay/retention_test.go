package relay_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/relay"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func retaining(c *relay.Config) { c.Retention.Window = time.Hour }

// gone waits until the server has no connection of the event hub.
func (s *server) gone() {
	s.t.Helper()
	eventually(s.t, "the connections to go", func() bool { return s.Stats().Connections == 0 })
}

// M11 with retention: what was missed comes once, in order, with the cookies it had.
func TestM11EventWhileAway(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		for _, d := range dialects {
			c := config(t, database)
			retaining(&c)
			s := start(t, c)
			p := s.connect(d, "", "?listener=ann")
			p.subscribe("g1", "c1")
			p.subscribe("g2", "c2")
			s.trigger("g1", 1)
			p.expect(s, "g1=c1")
			p.close()
			s.gone()
			s.trigger("g2", 0)
			s.trigger("g1", 0)
			s.trigger("g2", 0)
			s.trigger("g3", 0)
			p = s.connect(d, "", "?listener=ann")
			s.trigger("g1", 1) // it need not subscribe again
			p.expect(s, "g2=c2", "g1=c1", "g2=c2", "g1=c1")
			p.close()
			s.gone()
			s.stop()
			s = start(t, c) // a restart brings nothing again, and loses nothing
			s.trigger("g1", 0)
			p = s.connect(d, "", "?listener=ann")
			p.subscribe("g1", "new")
			s.trigger("g1", 1)
			p.expect(s, "g1=c1", "g1=new")
			p.close()
			s.stop()
		}
	})
}

// M11 without retention: what was missed is lost, and counted.
func TestM11Off(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.join("?listener=ann")
	p.subscribe("g1", "c")
	p.close()
	s.gone()
	s.trigger("g1", 0)
	p = s.join("?listener=ann")
	p.subscribe("g1", "c")
	p.expect(s)
	if n := s.Stats().Unheard; n != 1 {
		t.Fatalf("counted %d events without listeners, want 1", n)
	}
}

// A listener that says how far it is gets everything after that, whatever was sent before.
func TestM11After(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		c := config(t, database)
		retaining(&c)
		s := start(t, c)
		p := s.join("?listener=ann&after=")
		p.subscribe("g1", "c")
		var ids []string
		for i := range 4 {
			s.trigger("g1", 1)
			e := p.next()
			id, ok := strings.CutPrefix(e, "g1=c=")
			if !ok || id == "" || slices.Contains(ids, id) {
				t.Fatalf("event %d is %q, want another id", i, e)
			}
			ids = append(ids, id)
		}
		for _, from := range []string{ids[1], ids[1], ids[3], "other-1", ""} {
			p.close()
			s.gone()
			p = s.join("?listener=ann&after=" + from)
			want := ids[slices.Index(ids, from)+1:]
			if from == "other-1" || from == "" { // what it had to itself is gone by now
				want = nil
			}
			for _, id := range want {
				if got := p.next(); got != "g1=c="+id {
					t.Fatalf("after %s: got %q, want id %s", from, got, id)
				}
			}
		}
		s.trigger("g1", 1)
		if got := p.next(); !strings.HasPrefix(got, "g1=c=") {
			t.Fatalf("got %q", got)
		}
		p.close()
		if bad, err := dialects[0].connect(s, "", "?listener=ann&after="+ids[0]+"x"); err == nil && bad.invoke("SubscribeToEvent", "g1", "") == nil {
			t.Fatal("connected after what is no id")
		}
	})
}

// What was sent to a listener that fell silent comes again: nobody knows whether it has arrived.
func TestM11Silent(t *testing.T) {
	t.Parallel()
	s := newServer(t, retaining, func(c *relay.Config) { c.Hub.ClientTimeoutInterval = 2 * time.Second })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.url, "http")+relay.CorePath+"?listener=ann", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	err = ws.Write(ctx, websocket.MessageText, []byte("{\"protocol\":\"json\",\"version\":1}\x1e"+
		`{"type":1,"target":"SubscribeToEvent","arguments":["g1","c"]}`+"\x1e{\"type\":6}\x1e"))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the subscription", func() bool { return s.Stats().Subscriptions == 1 })
	s.trigger("g1", 1)
	eventually(t, "the event to be sent", func() bool { return s.Stats().Delivered == 1 })
	s.gone()
	p := s.join("?listener=ann")
	p.expect(s, "g1=c")
}

// The newest connection of a listener is the one that counts.
func TestM11TwoConnections(t *testing.T) {
	t.Parallel()
	plane := hubbub.NewLocal()
	t.Cleanup(func() { plane.Close() })
	url := storetest.Postgres(t)
	node := func() *server {
		return newServer(t, retaining, func(c *relay.Config) { c.Hub.Backplane, c.Database.URL = plane, url })
	}
	one, two := node(), node()
	a := one.join("?listener=ann")
	a.subscribe("g1", "c")
	other := one.join("?listener=bob")
	other.subscribe("g1", "bob")
	b := one.join("?listener=ann")
	one.left(t, 2)
	b.expect(one)
	c := two.join("?listener=ann") // on another node
	one.left(t, 1)
	eventually(t, "the nodes to know each other", func() bool {
		n, err := one.Trigger(t.Context(), "g1")
		return err == nil && n == 2
	})
	c.received(two)
	other.received(one)
	one.trigger("g1", 2)
	two.trigger("g1", 2)
	c.expect(two, "g1=c", "g1=c")
	other.expect(one, "g1=bob", "g1=bob")
	c.close()
	two.gone()
	for i := range 50 { // missed events of both nodes, in their order
		if i%2 == 0 {
			one.trigger("g1", 1)
		} else {
			two.trigger("g1", 1)
		}
	}
	d := one.join("?listener=ann")
	d.expect(one, slices.Repeat([]string{"g1=c"}, 50)...)
}

// left waits until so many connections are left.
func (s *server) left(t *testing.T, left int) {
	t.Helper()
	eventually(t, fmt.Sprint(left, " connections to be left"), func() bool { return s.Stats().Connections == left })
}

func TestRetentionLimits(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	s := newServer(t, func(c *relay.Config) {
		c.Retention = relay.Retention{Window: 2 * time.Second, Most: 3}
		c.Clock = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
		c.Limits.Listeners, c.Limits.ListenerBytes = 1, 4
	})
	later.Store(int64(-time.Hour)) // the time stands, as seen by the test
	p := s.join("?listener=ann")
	for i := range 8 {
		p.subscribe(fmt.Sprint("g", i), "c")
	}
	plain := s.join("")
	plain.subscribe("g1", "c")
	other := s.join("?listener=bob")
	if err := other.invoke("SubscribeToEvent", "g1", "c"); err == nil || !strings.Contains(err.Error(), "1 listeners, the limit") {
		t.Fatalf("a second listener: %v", err)
	}
	if long, err := dialects[0].connect(s, "", "?listener=longer"); err == nil && long.invoke("SubscribeToEvent", "g1", "c") == nil {
		t.Fatal("a long name of a listener was taken")
	}
	p.close()
	other.close()
	plain.close()
	s.gone()
	for i := range 8 {
		s.trigger(fmt.Sprint("g", i), 0)
	}
	p = s.join("?listener=ann")
	p.expect(s, "g5=c", "g6=c", "g7=c") // the newest three
	if n := s.Stats().Lost; n != 5 {
		t.Fatalf("counted %d lost, want 5", n)
	}
	p.subscribe("g7", "") // an ended subscription has nothing to come
	p.close()
	s.gone()
	s.trigger("g7", 0)
	s.trigger("g6", 0)
	p = s.join("?listener=ann")
	p.expect(s, "g6=c")
	p.close()
	s.gone()
	s.trigger("g6", 0)
	later.Store(0)
	eventually(t, "the event and its listener to expire", func() bool { return s.Stats().Lost == 6 })
	p = s.join("?listener=ann")
	p.subscribe("g9", "c")
	s.trigger("g1", 0)
	p.expect(s)
}

// Whose token is not good any more for an event gets nothing of it, not even what is kept.
func TestRetentionRights(t *testing.T) {
	t.Parallel()
	s := newServer(t, withAuth, retaining)
	p := s.connect(dialects[0], "ann,events:subscribe", "?listener=x")
	p.subscribe("g1", "ann's")
	p.subscribe("h1", "ann's")
	p.close()
	s.gone()
	s.trigger("g1", 0)
	s.trigger("h1", 0)
	bob := s.connect(dialects[0], "bob,events:subscribe", "?listener=x")
	bob.expect(s)
	bob.close()
	none, err := dialects[0].connect(s, "ann,other", "?listener=x")
	if err != nil || none.invoke("SubscribeToEvent", "g1", "c") == nil {
		t.Fatalf("without the right: %v", err)
	}
	s.trigger("g1", 0)
	none.close()
	s.gone()
	p = s.connect(dialects[0], "ann,events:subscribe,g", "?listener=x")
	s.trigger("h1", 0)
	s.trigger("g1", 1)
	if got := p.next(); got != "g1=ann's" {
		t.Fatalf("got %q", got)
	}
}
