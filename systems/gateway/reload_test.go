package gateway_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/gateway"
)

// reload puts routes in force.
func (s *server) reload(register func(r *gateway.Routes)) {
	s.t.Helper()
	var r gateway.Routes
	register(&r)
	if err := s.Reload(&r); err != nil {
		s.t.Fatal(err)
	}
}

// TestReloadKeepsConnections: other routes of the same hub, over the connection that there is, with the clients that there are.
func TestReloadKeepsConnections(t *testing.T) {
	t.Parallel()
	for _, d := range []gateway.Dialect{gateway.Core, gateway.Classic} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			c := newChat(t, "")
			s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) { g.AddHub("chat", c.as(d)).AddRoute("room", room) }).connected()
			l := s.listen("ReceiveMessage", "Other", "Wrapped")
			s.reload(func(r *gateway.Routes) {
				h := c.as(d)
				h.InvokeTimeout, h.ReceiveKey, h.MaxPending = time.Minute, secret, 7
				r.AddHub("Chat", h).
					AddRoute("hall", gateway.HubRoute{InvokeMethod: "Count", ReceiveMethod: "Other", Unwrap: true}).
					AddRoute("group", gateway.HubRoute{ReceiveMethod: "Wrapped", BroadcastType: gateway.BroadcastGroup, ReceiveGroup: "g"})
			})
			s.post("chat/room", `[{"name":"A","message":"b"}]`, 404, "")
			s.post("chat/hall?wait=result", `[1]`, 200, "[1]")
			l.call("SubscribeToGroup", with("key", "group", "receiveGroup", "g"), "")
			c.say("ReceiveMessage", "nobody hears") // of a route that is gone
			c.say("Other", 1)
			c.say("Wrapped", 2)
			l.hears(`Other[1]`)
			l.hears(`Wrapped[[2],{}]`)
			if h := s.Health()[0]; h.Connects != 1 || h.Delivered != 2 || c.hub.Stats().Opened != 1 {
				t.Errorf("health %+v, want one connection and two deliveries", h)
			}
		})
	}
}

// TestReloadReplacesHubs: another address is another connection, a hub that is gone is left, one that is new is connected to.
func TestReloadReplacesHubs(t *testing.T) {
	t.Parallel()
	one, two, three := newChat(t, ""), newChat(t, ""), newChat(t, "")
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		g.AddHub("a", one.as(gateway.Core)).AddRoute("room", room)
		g.AddHub("b", two.as(gateway.Core)).AddRoute("room", room)
	}).connected()
	l := s.listen("ReceiveMessage")
	s.reload(func(r *gateway.Routes) {
		r.AddHub("a", three.as(gateway.Classic)).AddRoute("room", room)
	})
	s.post("b/room", `[]`, 404, "")
	s.post("a/room", `[{"name":"A","message":"1"}]`, 200, "")
	l.hears(`ReceiveMessage[["A","1"],{}]`)
	for _, c := range []*chat{one, two} {
		eventually(t, "left", func() bool { return c.hub.Stats().Connections == 0 })
	}
	if h := s.Health(); len(h) != 1 || h[0].Key != "a" || h[0].Connects != 2 || h[0].Dialect != gateway.Classic {
		t.Errorf("health %+v, want the second connection of a", h)
	}
}

// TestReloadLetsCallsFinish: a call that runs has its answer from the hub that it was sent to.
func TestReloadLetsCallsFinish(t *testing.T) {
	t.Parallel()
	old, fresh := newChat(t, ""), newChat(t, "")
	routes := func(h *gateway.HubRoutes) {
		h.AddRoute("slow", gateway.HubRoute{InvokeMethod: "Slow"}).AddRoute("room", room)
	}
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) { routes(g.AddHub("chat", old.as(gateway.Core))) }).connected()
	l := s.listen("ReceiveMessage")
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.post("chat/slow", `[]`, 200, "")
	}()
	<-old.entered
	s.reload(func(r *gateway.Routes) { routes(r.AddHub("chat", fresh.as(gateway.Core))) })
	s.post("chat/room", `[{"name":"A","message":"1"}]`, 200, "")
	l.hears(`ReceiveMessage[["A","1"],{}]`)
	old.say("ReceiveMessage", "of the hub that was") // still connected, and not heard
	old.slow <- struct{}{}
	<-done
	eventually(t, "left", func() bool { return old.hub.Stats().Connections == 0 })
	s.post("chat/room", `[{"name":"A","message":"2"}]`, 200, "")
	l.hears(`ReceiveMessage[["A","2"],{}]`)
}

// TestReloadUnderTraffic: no call fails while routes come, change and go, and every message arrives once.
func TestReloadUnderTraffic(t *testing.T) {
	t.Parallel()
	c, other := newChat(t, ""), newChat(t, "")
	steady := c.as(gateway.Core)
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		g.AddHub("chat", steady).AddRoute("room", room)
	}).connected()
	l := s.listen("ReceiveMessage")
	stop := make(chan struct{})
	var reloads sync.WaitGroup
	reloads.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			var r gateway.Routes
			r.AddHub("chat", steady).AddRoute("room", room).AddRoute("r"+strconv.Itoa(n), gateway.HubRoute{ReceiveMethod: "M" + strconv.Itoa(n)})
			if n%2 == 0 {
				r.AddHub("other", other.as(gateway.Core)).AddRoute("room", gateway.HubRoute{ReceiveMethod: "X"})
			}
			if err := s.Reload(&r); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range 50 {
		n := strconv.Itoa(i)
		s.post("chat/room", `[{"name":"A","message":"`+n+`"}]`, 200, "")
		l.hears(`ReceiveMessage[["A","` + n + `"],{}]`)
	}
	close(stop)
	reloads.Wait()
	if h := s.Health()[0]; h.Connects != 1 || h.Delivered != 50 || h.Failed != 0 {
		t.Errorf("health %+v, want one connection, 50 deliveries and no failure", h)
	}
}

// TestReloadAndSubscriptions: those of a route that is gone deliver nothing and do not count; with another key they are over.
func TestReloadAndSubscriptions(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	hub := func(key string) gateway.Hub {
		h := c.as(gateway.Core)
		h.ReceiveKey = key
		return h
	}
	group := gateway.HubRoute{ReceiveMethod: "ToGroup", BroadcastType: gateway.BroadcastGroup, ReceiveGroup: "Ops"}
	one := gateway.HubRoute{ReceiveMethod: "ToOne", BroadcastType: gateway.BroadcastIndividual}
	done := gateway.HubRoute{ReceiveMethod: "Done"}
	s := newServer(t, gateway.Config{MaxSubscriptions: 1}, func(g *gateway.Gateway) {
		g.AddHub("chat", hub(secret)).AddRoute("group", group).AddRoute("done", done)
	}).connected()
	l := s.listen("ToGroup", "ToOne", "Done")
	l.call("SubscribeToGroup", with("key", "group", "receiveGroup", "Ops"), "")
	quiet := func() {
		t.Helper()
		c.say("ToGroup", 1)
		c.say("ToOne", 1)
		c.say("Done")
		l.hears(`Done[[],{}]`)
	}
	s.reload(func(r *gateway.Routes) { r.AddHub("chat", hub(secret)).AddRoute("done", done) })
	quiet()
	l.call("UnsubscribeFromGroup", with("key", "group", "receiveGroup", "Ops"), `no route "group"`)
	s.reload(func(r *gateway.Routes) {
		r.AddHub("chat", hub(secret)).AddRoute("group", group).AddRoute("done", done)
	})
	c.say("ToGroup", 2)
	l.hears(`ToGroup[[2],{}]`)
	s.reload(func(r *gateway.Routes) {
		r.AddHub("chat", hub("other")).AddRoute("group", group).AddRoute("one", one).AddRoute("done", done)
	})
	quiet()
	l.call("SubscribeToRoute", with("key", "one", "userId", "ann", "receiveKey", "other"), "")
	c.say("ToOne", 3)
	l.hears(`ToOne[[3],{}]`)
	if n := c.hub.Stats().Opened; n != 1 {
		t.Errorf("%d connections, want one", n)
	}
}

// TestReloadRefuses: what cannot be used changes nothing.
func TestReloadRefuses(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) { g.AddHub("chat", c.as(gateway.Core)).AddRoute("room", room) }).connected()
	var bad gateway.Routes
	bad.AddHub("chat", c.as(gateway.Core)).AddRoute("room", gateway.HubRoute{}).AddRoute("x/y", room)
	bad.AddAPI("a", gateway.API{}).AddRoute("r", gateway.Route{Verb: "TRACE"})
	bad.AddAPI("A", gateway.API{BaseURLs: []string{"http://localhost:1"}})
	err := s.Reload(&bad)
	for _, want := range []string{"AddRoute chat/room: neither", `AddRoute chat/x/y: key "x/y"`, "AddAPI a: no BaseURLs", `AddRoute a/r: verb "TRACE"`, "AddAPI a: the key is taken"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	s.post("chat/room", `[{"name":"A","message":"1"}]`, 200, "")
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(new(gateway.Routes)); err == nil {
		t.Error("a closed gateway reloads")
	}
}

// TestReloadBeforeStart: the routes are those to start with.
func TestReloadBeforeStart(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		g.AddHub("gone", c.as(gateway.Core))
		var r gateway.Routes
		r.AddHub("chat", c.as(gateway.Core)).AddRoute("count", gateway.HubRoute{InvokeMethod: "Count"})
		if err := g.Reload(&r); err != nil {
			t.Error(err)
		}
		g.AddHub("more", c.as(gateway.Core))
	}).connected()
	if h := s.Health(); len(h) != 2 || h[0].Key != "chat" || h[1].Key != "more" {
		t.Errorf("health %+v, want chat and more", h)
	}
	s.post("chat/count?wait=result", `[1]`, 200, "[1]")
}

// TestRevision: hubs with functions cannot be compared; their revision says whether they are the same.
func TestRevision(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	hub := func(revision string) gateway.Hub {
		h := c.as(gateway.Core)
		h.Revision, h.Reconnect = revision, hubbub.RetryForever(time.Millisecond, time.Second)
		return h
	}
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) { g.AddHub("chat", hub("1")) }).connected()
	for _, step := range []struct {
		revision string
		connects uint64
	}{{"1", 1}, {"2", 2}, {"2", 2}, {"", 3}, {"", 4}} {
		s.reload(func(r *gateway.Routes) { r.AddHub("chat", hub(step.revision)) })
		s.connected()
		if got := s.Health()[0].Connects; got != step.connects {
			t.Fatalf("revision %q: %d connections, want %d", step.revision, got, step.connects)
		}
	}
}

// TestReloadOfServices: the turns of a service go on where they were, and what is kept of another one is not given out.
func TestReloadOfServices(t *testing.T) {
	t.Parallel()
	named := func(name string) string {
		return service(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(name)) })
	}
	a, b, other := named("a"), named("b"), named("other")
	register := func(r *gateway.Routes, timeout time.Duration, urls ...string) {
		r.AddAPI("names", gateway.API{BaseURLs: urls, Balance: gateway.RoundRobin, Timeout: timeout}).
			AddRoute("name", gateway.Route{Path: "/"}).AddRoute("kept", gateway.Route{Path: "/", Cache: time.Hour})
	}
	s := newServer(t, gateway.Config{}, func(*gateway.Gateway) {})
	get := func(route, want string) {
		t.Helper()
		if status, _, body := s.do("GET", "/api/Gateway/names/"+route, ""); status != 200 || body != want {
			t.Fatalf("status %d, body %q, want %q", status, body, want)
		}
	}
	s.reload(func(r *gateway.Routes) { register(r, time.Minute, a, b) })
	get("name", "a")
	s.reload(func(r *gateway.Routes) { register(r, time.Hour, a, b) })
	get("kept", "b")
	s.reload(func(r *gateway.Routes) { register(r, time.Hour, a, b) })
	get("kept", "b")
	s.reload(func(r *gateway.Routes) { register(r, time.Hour, other) })
	get("kept", "other")
	s.reload(func(*gateway.Routes) {})
	if status, _, body := s.do("GET", "/api/Gateway/names/name", ""); status != 404 || body != "" {
		t.Fatalf("status %d, body %q, want 404", status, body)
	}
}
