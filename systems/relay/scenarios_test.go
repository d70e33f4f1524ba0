package relay_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/relay"
)

// M1, the giver's side: the subscriber gets its own cookie back, once.
func TestM1SubscribeAndTrigger(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	everyDialect(t, func(t *testing.T, d dialect) {
		p := s.connect(d, "", "")
		guid := "g1 " + d.name
		p.subscribe(guid, "Viewmodel=OrderVM&RootId=12|7")
		s.trigger(guid, 1)
		p.expect(s, guid+"=Viewmodel=OrderVM&RootId=12|7")
	})
}

func TestM2ManyListenersOwnCookies(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var all []*peer
	for i, d := range dialects {
		p := s.connect(d, "", "")
		p.subscribe("g1", fmt.Sprint("cookie ", i))
		all = append(all, p)
	}
	other := s.join("")
	other.subscribe("g2", "other")
	other.subscribe("G1", "exactly")
	s.trigger("g1", len(all))
	for i, p := range all {
		p.expect(s, fmt.Sprint("g1=cookie ", i))
	}
	other.expect(s)
}

func TestM3SeveralGuids(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.join("")
	var want []string
	for i := range 100 {
		p.subscribe(fmt.Sprint("g", i), fmt.Sprint("c", i))
	}
	for i := range 100 {
		s.trigger(fmt.Sprint("g", 99-i), 1)
		want = append(want, fmt.Sprintf("g%d=c%d", 99-i, 99-i))
	}
	p.expect(s, want...)
}

func TestM4LastCookieWins(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	everyDialect(t, func(t *testing.T, d dialect) {
		p := s.connect(d, "", "")
		guid := "g1 " + d.name
		p.subscribe(guid, "c1")
		p.subscribe(guid, "c2")
		s.trigger(guid, 1)
		p.expect(s, guid+"=c2")
	})
}

func TestM5End(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	everyDialect(t, func(t *testing.T, d dialect) {
		p := s.connect(d, "", "")
		for _, cookie := range []string{"", " \t", relay.EndSubscription} {
			guid := "g1 " + d.name
			p.subscribe(guid, "c1")
			p.subscribe(guid, cookie)
			s.trigger(guid, 0)
			p.subscribe("unknown "+d.name, cookie)
		}
		p.subscribe("g2 "+d.name, "Endsubscription") // another text
		s.trigger("g2 "+d.name, 1)
		p.expect(s, "g2 "+d.name+"=Endsubscription")
	})
}

func TestM5KeepBlank(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *relay.Config) { c.KeepBlank = true })
	p := s.join("")
	p.subscribe("g1", "")
	p.subscribe("g2", relay.EndSubscription)
	s.trigger("g1", 1)
	s.trigger("g2", 1)
	if a, b := p.next(), p.next(); a != "g1=" || b != "g2="+relay.EndSubscription {
		t.Fatalf("got %q and %q", a, b)
	}
}

func TestM7UnknownGuid(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.join("")
	p.subscribe("g1", "c")
	s.trigger("nobody", 0)
	s.trigger("g1", 1)
	p.close()
	eventually(t, "the connection to go", func() bool { return s.Stats().Connections == 0 })
	s.trigger("g1", 0)
	if st := s.Stats(); st.Unheard != 2 || st.Events != 3 || st.Delivered != 1 || st.Subscriptions != 0 {
		t.Fatalf("counted %+v", st)
	}
}

// M8, the giver's side: every cookie comes back as it was.
func TestM8CookieUnparsed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	cookies := []string{
		"x", "RootId=1", "Viewmodel=Nothing&RootId=%zz", "Viewmodel=A&viewmodel=B", "=&=&", "%00%41", "zero\x00byte", "\"quotes\" \\ <&>",
		"ünï cödé 🂡  ", " c ", "\u2028line", strings.Repeat("long", 16<<10),
	}
	everyDialect(t, func(t *testing.T, d dialect) {
		p := s.connect(d, "", "")
		var want []string
		for i, cookie := range cookies {
			guid := fmt.Sprintf("%s %s %d", d.name, cookie[:min(len(cookie), 30)], i)
			guid = strings.ToValidUTF8(guid, "")
			p.subscribe(guid, cookie)
			s.trigger(guid, 1)
			want = append(want, guid+"="+cookie)
		}
		p.expect(s, want...)
	})
}

func TestM12DuplicateTrigger(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.join("")
	p.subscribe("g1", "c")
	s.trigger("g1", 1)
	s.trigger("g1", 1)
	p.expect(s, "g1=c", "g1=c")
}

// Triggers that come one after the other arrive in that order, also from several goroutines.
func TestOrder(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.join("")
	for i := range 200 {
		p.subscribe(fmt.Sprint("g", i), "c")
	}
	turn := make(chan int, 1)
	turn <- 0
	var wg sync.WaitGroup
	var want []string
	for range 4 {
		wg.Go(func() {
			for i := range turn {
				if _, err := s.Trigger(t.Context(), fmt.Sprint("g", i)); err != nil {
					t.Error(err)
				}
				want = append(want, fmt.Sprintf("g%d=c", i))
				if i == 199 {
					close(turn)
					return
				}
				turn <- i + 1
			}
		})
	}
	wg.Wait()
	p.expect(s, want...)
}

// M16: two nodes, one event, once.
func TestM16TwoNodes(t *testing.T) {
	t.Parallel()
	plane := hubbub.NewLocal()
	t.Cleanup(func() { plane.Close() })
	node := func() *server { return newServer(t, func(c *relay.Config) { c.Hub.Backplane = plane }) }
	one, two := node(), node()
	for _, d := range dialects {
		a, b := one.connect(d, "", ""), two.connect(d, "", "")
		a.subscribe("g "+d.name, "a")
		b.subscribe("g "+d.name, "b")
		eventually(t, "the nodes to know each other", func() bool {
			n, err := two.Trigger(t.Context(), "g "+d.name)
			return err == nil && n == 2
		})
		a.received(one)
		b.received(two)
		one.trigger("g "+d.name, 2)
		two.trigger("g "+d.name, 2)
		a.expect(one, "g "+d.name+"=a", "g "+d.name+"=a")
		b.expect(two, "g "+d.name+"=b", "g "+d.name+"=b")
		b.close()
		eventually(t, "the connection to go", func() bool { return two.Stats().Connections == 0 })
		two.trigger("g "+d.name, 1)
		a.expect(one, "g "+d.name+"=a")
		a.close()
	}
	before := one.Stats().Unheard + two.Stats().Unheard
	two.trigger("nobody", 0)
	if got := one.Stats().Unheard + two.Stats().Unheard - before; got != 1 {
		t.Fatalf("counted %d events without listeners on both nodes, want 1", got)
	}
	two.stop()
	one.trigger("nobody", 0) // and does not wait for a node that has gone
}

// Over nodes too, a trigger that began when another had returned arrives behind it.
func TestM16Order(t *testing.T) {
	t.Parallel()
	plane := hubbub.NewLocal()
	t.Cleanup(func() { plane.Close() })
	node := func() *server { return newServer(t, func(c *relay.Config) { c.Hub.Backplane = plane }) }
	nodes := []*server{node(), node()}
	var peers []*peer
	for _, s := range nodes {
		p := s.join("")
		for i := range 100 {
			p.subscribe(fmt.Sprint("g", i), "c")
		}
		peers = append(peers, p)
	}
	var want []string
	for i := range 100 {
		if _, err := nodes[i%2].Trigger(t.Context(), fmt.Sprint("g", i)); err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf("g%d=c", i))
	}
	for i, p := range peers {
		p.expect(nodes[i], want...)
	}
}

func TestM18Auth(t *testing.T) {
	t.Parallel()
	s := newServer(t, withAuth)
	everyDialect(t, func(t *testing.T, d dialect) {
		if _, err := d.connect(s, "", ""); !strings.Contains(fmt.Sprint(err), "401") {
			t.Errorf("connected without a token: %v, want status 401", err)
		}
		p, err := d.connect(s, "ann,other", "")
		if err != nil {
			t.Fatal(err)
		}
		err = p.invoke("SubscribeToEvent", "g "+d.name, "c")
		if err == nil || !strings.Contains(err.Error(), "The right events:subscribe is needed.") {
			t.Errorf("without the right: %v", err)
		}
		if err := p.invoke("SubscribeToEvent", 1, "c"); err == nil { // the connection lives
			t.Error("a number was taken")
		}
		s.trigger("g "+d.name, 0)
		p = s.connect(d, "bob,events:subscribe", "")
		p.subscribe("g "+d.name, "c")
		s.trigger("g "+d.name, 1)
		if got := p.next(); got != "g "+d.name+"=c" {
			t.Errorf("got %q", got)
		}
	})
}

func TestAccess(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		access relay.Access
		token  string
		want   string
	}{
		{relay.NeedRight, "ann,events:subscribe", ""},
		{relay.NeedRight, "ann,events:subscribe,g", ""},
		{relay.NeedRight, "ann,events:subscribe,h", "not for the eventguid"},
		{relay.NeedRight, "ann,events:trigger", "events:subscribe"},
		{relay.AnyUser, "ann", ""},
		{relay.AnyUser, "ann,,h", "not for the eventguid"},
		{relay.AnyUser, "", "401"},
		{relay.Anybody, "", ""},
	} {
		t.Run(fmt.Sprint(test.access, " ", test.token), func(t *testing.T) {
			t.Parallel()
			s := newServer(t, withAuth, func(c *relay.Config) { c.Access = test.access })
			p, err := dialects[0].connect(s, test.token, "")
			if err == nil {
				err = p.invoke("SubscribeToEvent", "g1", "c")
			}
			if test.want == "" && err != nil || test.want != "" && !strings.Contains(fmt.Sprint(err), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
		})
	}
}

// Arguments that are no texts are a hub error that changes nothing.
func TestArguments(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *relay.Config) { c.Limits = relay.Limits{Subscriptions: 2, GuidBytes: 10, CookieBytes: 10} })
	everyDialect(t, func(t *testing.T, d dialect) {
		p := s.connect(d, "", "")
		guid := fmt.Sprint("g", marks.Add(1))
		p.subscribe(guid, "c")
		for _, args := range [][]any{
			{}, {guid}, {guid, nil}, {nil, "x"}, {guid, 1}, {1, "x"}, {guid, true}, {guid, []string{"x"}}, {guid, map[string]any{"x": 1}},
			{guid, "x", "y"}, {"", "x"}, {"longer than ten", "x"}, {guid, "longer than ten"},
		} {
			if err := p.invoke("SubscribeToEvent", args...); err == nil {
				t.Errorf("arguments %v were taken", args)
			}
		}
		s.trigger(guid, 1)
		if got := p.next(); got != guid+"=c" {
			t.Errorf("got %q, want the cookie from before", got)
		}
		p.subscribe("more", "c")
		if err := p.invoke("SubscribeToEvent", "too many", "c"); err == nil || !strings.Contains(err.Error(), "2 subscriptions, the limit") {
			t.Errorf("a third subscription: %v", err)
		}
		p.subscribe(guid, "again")
		p.subscribe("more", "")
		p.subscribe("another", "c")
		if n := s.Stats().Refused; n < 12 {
			t.Errorf("counted %d refusals, want 12 at least", n)
		}
	})
}

// The addresses and the method are found without regard to case.
func TestCase(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := newPeer(t)
	c := signalr.NewClient(s.url+"/RealTimeHub", &signalr.ClientOptions{HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
	c.On("ReceiveEvent", hubbub.Raw(p.receive))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Invoke(t.Context(), nil, "subscribetoevent", "g1", "c"); err != nil {
		t.Fatal(err)
	}
	s.trigger("g1", 1)
	if got := p.next(); got != "g1=c" {
		t.Fatalf("got %q", got)
	}
}
