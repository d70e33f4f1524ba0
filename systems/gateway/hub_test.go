package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/gateway"
)

const secret = "s3cret"

// keyed adds routes of all broadcast types under "chat", whose hub has a receive key.
func keyed(c *chat) func(g *gateway.Gateway) {
	return func(g *gateway.Gateway) {
		h := c.as(gateway.Core)
		h.ReceiveKey = secret
		g.AddHub("chat", h).
			AddRoute("all", gateway.HubRoute{InvokeMethod: "SendMessage", ReceiveMethod: "Done"}).
			AddRoute("group", gateway.HubRoute{ReceiveMethod: "ToGroup", BroadcastType: gateway.BroadcastGroup, ReceiveGroup: "Ops"}).
			AddRoute("one", gateway.HubRoute{ReceiveMethod: "ToOne", BroadcastType: gateway.BroadcastIndividual}).
			AddRoute("two", gateway.HubRoute{ReceiveMethod: "ToTwo", BroadcastType: gateway.BroadcastIndividual, Unwrap: true}).
			AddRoute("count", gateway.HubRoute{InvokeMethod: "Count"}).
			AddRoute("fail", gateway.HubRoute{InvokeMethod: "Fail"})
	}
}

// with returns the argument of a method: names and values by turns.
func with(pairs ...any) map[string]any {
	m := map[string]any{"api": "Chat", "receiveKey": secret}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

// TestGroup: V4.
func TestGroup(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	s := newServer(t, gateway.Config{}, keyed(c)).connected()
	in, out := s.listen("ToGroup", "Done"), s.listen("ToGroup", "Done")
	for _, m := range []string{"SubscribeToGroup", "UnsubscribeFromGroup"} {
		out.call(m, with("key", "group", "receiveGroup", "Ops", "receiveKey", "wrong"), "receiveKey")
		out.call(m, with("key", "group", "receiveGroup", "Ops", "receiveKey", nil), "receiveKey")
		out.call(m, with("key", "group", "receiveGroup", "Other"), `no group "Other"`)
		out.call(m, with("key", "group"), `no group ""`)
		out.call(m, with("key", "one", "receiveGroup", "Ops"), "Individual, want Group")
		out.call(m, with("key", "all", "receiveGroup", "Ops"), "All, want Group")
		out.call(m, with("key", "none", "receiveGroup", "Ops"), `no route "none"`)
		out.call(m, with("api", "none", "key", "group", "receiveGroup", "Ops"), `no hub "none"`)
	}
	right := with("key", "GROUP", "receiveGroup", "Ops")
	in.call("SubscribeToGroup", right, "")
	in.call("SubscribeToGroup", right, "")
	c.say("ToGroup", 1, "a")
	c.say("Done")
	in.hears(`ToGroup[[1,"a"],{}]`)
	in.hears(`Done[[],{}]`)
	out.hears(`Done[[],{}]`)
	in.call("UnsubscribeFromGroup", right, "")
	in.call("UnsubscribeFromGroup", right, "")
	c.say("ToGroup", 2)
	c.say("Done", 2)
	in.hears(`Done[[2],{}]`)
	out.hears(`Done[[2],{}]`)
}

// TestIndividual: V5. Who comes back hears again, who is gone is forgotten.
func TestIndividual(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	s := newServer(t, gateway.Config{MaxSubscriptions: 2}, keyed(c)).connected()
	ann, bob := s.listen("ToOne", "ToTwo", "Done"), s.listen("ToOne", "ToTwo", "Done")
	ann.call("SubscribeToRoute", with("key", "one", "userId", "ann", "receiveKey", "wrong"), "receiveKey")
	ann.call("SubscribeToRoute", with("key", "group", "userId", "ann"), "Group, want Individual")
	ann.call("SubscribeToRoute", with("key", "one", "userId", " "), "userId is empty")
	ann.call("SubscribeToRoute", with("key", "one", "userId", strings.Repeat("a", 257)), "257 bytes")
	ann.call("SubscribeToRoute", with("key", "one", "userId", "ann"), "")
	bob.call("SubscribeToRoute", with("key", "one", "userId", "bob"), "")
	bob.call("SubscribeToRoute", with("key", "two", "userId", "bob"), "")
	bob.call("SubscribeToRoute", with("key", "one", "userId", "bob's other name"), "the limit")
	c.say("ToOne", 1)
	c.say("ToTwo", 1, 2)
	c.say("Done")
	ann.hears(`ToOne[[1],{}]`)
	ann.hears(`Done[[],{}]`)
	bob.hears(`ToOne[[1],{}]`)
	bob.hears(`ToTwo[1,2]`)
	bob.hears(`Done[[],{}]`)
	bob.call("UnsubscribeFromRoute", with("key", "one", "userId", "ann"), "") // another's: nothing happens
	ann.call("UnsubscribeFromRoute", with("key", "one", "userId", "ann"), "")
	c.say("ToOne", 2)
	c.say("Done")
	ann.hears(`Done[[],{}]`)
	bob.hears(`ToOne[[2],{}]`)
	bob.hears(`Done[[],{}]`)
	bob.c.Close()
	again := s.listen("ToOne")
	again.call("SubscribeToRoute", with("key", "one", "userId", "bob"), "")
	c.say("ToOne", 3)
	again.hears(`ToOne[[3],{}]`)
	eventually(t, "one client left", func() bool { return s.GatewayHub().All().Count() == 2 })
}

// TestSeveralUsersOfOneConnection hear once, until the last has left.
func TestSeveralUsersOfOneConnection(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	s := newServer(t, gateway.Config{}, keyed(c)).connected()
	l := s.listen("ToOne", "Done")
	l.call("SubscribeToRoute", with("key", "one", "userId", "a"), "")
	l.call("SubscribeToRoute", with("key", "one", "userId", "b"), "")
	l.call("UnsubscribeFromRoute", with("key", "one", "userId", "a"), "")
	c.say("ToOne", 1)
	c.say("Done")
	l.hears(`ToOne[[1],{}]`)
	l.hears(`Done[[],{}]`)
	l.call("UnsubscribeFromRoute", with("key", "one", "userId", "b"), "")
	c.say("ToOne", 2)
	c.say("Done")
	l.hears(`Done[[],{}]`)
}

// TestUserIsWhoItIs: who has proved who it is cannot subscribe as another.
func TestUserIsWhoItIs(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	config := gateway.Config{Core: signalr.Options{Auth: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(hubbub.WithUser(r.Context(), &hubbub.User{ID: "ann"})))
		})
	}}}
	s := newServer(t, config, keyed(c)).connected()
	l := s.listen("ToOne")
	l.call("SubscribeToRoute", with("key", "one", "userId", "bob"), `you are "ann"`)
	l.call("SubscribeToRoute", with("key", "one"), "")
	c.say("ToOne", 1)
	l.hears(`ToOne[[1],{}]`)
}

// TestSameKeysOnTwoHubs: V6. Neither routes nor groups reach across hubs.
func TestSameKeysOnTwoHubs(t *testing.T) {
	t.Parallel()
	one, two := newChat(t, ""), newChat(t, "")
	route := gateway.HubRoute{InvokeMethod: "Count", ReceiveMethod: "News", BroadcastType: gateway.BroadcastGroup, ReceiveGroup: "g"}
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		a, b := one.as(gateway.Core), two.as(gateway.Classic)
		a.ReceiveKey, b.ReceiveKey = "a", "b"
		g.AddHub("a", a).AddRoute("room", route)
		g.AddHub("b", b).AddRoute("ROOM", route).AddRoute("done", gateway.HubRoute{ReceiveMethod: "Done"})
	}).connected()
	la, lb := s.listen("News", "Done"), s.listen("News", "Done")
	la.call("SubscribeToGroup", map[string]any{"api": "a", "key": "room", "receiveKey": "b", "receiveGroup": "g"}, "receiveKey")
	la.call("SubscribeToGroup", map[string]any{"api": "a", "key": "room", "receiveKey": "a", "receiveGroup": "g"}, "")
	lb.call("SubscribeToGroup", map[string]any{"api": "b", "key": "room", "receiveKey": "b", "receiveGroup": "g"}, "")
	one.say("Done") // of a hub that has no route for it
	one.say("News", "a")
	la.hears(`News[["a"],{}]`)
	two.say("News", "b")
	two.say("Done")
	lb.hears(`News[["b"],{}]`)
	lb.hears(`Done[[],{}]`)
	la.hears(`Done[[],{}]`)
	s.post("a/room?wait=result", `[1]`, 200, "[1]")
	s.post("b/room?wait=result", `[2]`, 200, "[2]")
}

// TestRoutesWithOneReceiveMethod: one delivery where the same clients would hear the same, both forms where they differ.
func TestRoutesWithOneReceiveMethod(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		g.AddHub("chat", c.as(gateway.Core)).AddRoute("a", gateway.HubRoute{ReceiveMethod: "News"}).AddRoute("b", gateway.HubRoute{ReceiveMethod: "News"}).
			AddRoute("c", gateway.HubRoute{ReceiveMethod: "News", Unwrap: true}).AddRoute("d", gateway.HubRoute{ReceiveMethod: "Done"})
	}).connected()
	l := s.listen("News", "Done")
	c.say("News", 1)
	c.say("Done")
	l.hears(`News[[1],{}]`)
	l.hears(`News[1]`)
	l.hears(`Done[[],{}]`)
}

// TestInvokeDownstreamHub: V7.
func TestInvokeDownstreamHub(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	got := make(chan string, 10)
	c.hub.Handle("Note", hubbub.Raw(func(_ context.Context, args hubbub.Args) (any, error) {
		all := make([]json.RawMessage, args.Len())
		for i := range all {
			if err := args.Decode(i, &all[i]); err != nil {
				return nil, err
			}
		}
		b, err := json.Marshal(all)
		got <- string(b)
		return nil, err
	}))
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		h := c.as(gateway.Core)
		h.ReceiveKey, h.InvokeKey = "listen", secret
		g.AddHub("chat", h).AddRoute("note", gateway.HubRoute{InvokeMethod: "Note"}).AddRoute("fail", gateway.HubRoute{InvokeMethod: "Fail"}).
			AddRoute("ear", gateway.HubRoute{ReceiveMethod: "X"})
	}).connected()
	l := s.listen()
	for _, x := range []struct {
		args map[string]any
		want string
	}{
		{with("key", "note", "data", map[string]int{"a": 1}), `[{"a":1}]`},
		{with("key", "note", "data", []int{1, 2}), `[[1,2]]`},
		{with("key", "note", "dataArray", []any{1, nil, "x"}), `[1,null,"x"]`},
		{with("key", "note", "dataArray", []any{}), `[]`},
		{with("key", "note", "data", nil, "dataArray", []any{1}), `[1]`},
		{with("key", "note", "data", 7, "dataArray", []any{1}), `[7]`},
		{map[string]any{"Api": "CHAT", "Key": "Note", "ReceiveKey": secret, "Data": nil, "DataArray": []any{"as .NET names it"}}, `["as .NET names it"]`},
	} {
		l.call("InvokeDownstreamHub", x.args, "")
		if note := <-got; note != x.want {
			t.Errorf("%v: the hub got %s, want %s", x.args, note, x.want)
		}
	}
	l.call("InvokeDownstreamHub", with("key", "note"), "neither data nor dataArray")
	l.call("InvokeDownstreamHub", with("key", "note", "dataArray", make([]int, 11)), "11 elements, want at most 10")
	l.call("InvokeDownstreamHub", with("key", "note", "data", 1, "receiveKey", "listen"), "receiveKey")
	l.call("InvokeDownstreamHub", with("key", "ear", "data", 1), "cannot be called")
	l.call("InvokeDownstreamHub", with("key", "none", "data", 1), "no route")
	l.call("InvokeDownstreamHub", with("key", "fail", "dataArray", []any{}), "The room is full.")
	if len(got) != 0 {
		t.Errorf("a refused call reached the hub: %s", <-got)
	}
}

// TestNobodyCallsReceive: V8. What the original lets clients send to everybody is no method here.
func TestNobodyCallsReceive(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	s := newServer(t, gateway.Config{}, keyed(c)).connected()
	l, victim := s.listen(), s.listen("Done")
	err := l.c.Invoke(t.Context(), nil, "Receive", with("key", "all"), map[string]any{"receiveMethod": "Done"}, []any{"forged"}, nil)
	if err == nil || !strings.Contains(err.Error(), "Method does not exist") {
		t.Errorf("Receive: error %v, want one about no such method", err)
	}
	c.say("Done", "true")
	victim.hears(`Done[["true"],{}]`)
}

// TestNoGatewayHub: V12.
func TestNoGatewayHub(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	s := newServer(t, gateway.Config{NoGatewayHub: true}, func(g *gateway.Gateway) {
		g.AddHub("chat", c.as(gateway.Core)).AddRoute("room", room).AddRoute("count", gateway.HubRoute{InvokeMethod: "Count"})
	}).connected()
	for _, path := range []string{"/gatewayhub", "/GatewayHub/negotiate"} {
		if status, _, _ := s.do("POST", path, ""); status != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, status)
		}
	}
	s.post("chat/room", `[{"name":"A","message":"b"}]`, 200, "")
	s.post("chat/count?wait=result", `[1]`, 200, "[1]") // in order behind what the hub has sent
	if n := s.Health()[0].Delivered; n != 0 || s.GatewayHub() != nil {
		t.Errorf("%d messages relayed by hub %v, want none", n, s.GatewayHub())
	}
}

// TestRegistration: what cannot work is refused at once, with the reason.
func TestRegistration(t *testing.T) {
	t.Parallel()
	good := gateway.Hub{URL: "http://localhost:1/x"}
	for want, f := range map[string]func(g *gateway.Gateway){
		"the key is taken":     func(g *gateway.Gateway) { g.AddHub("a", good); g.AddHub("A", good) },
		"route":                func(g *gateway.Gateway) { g.AddHub("route", good).AddRoute("r", room).AddRoute("R", room) },
		"without slashes":      func(g *gateway.Gateway) { g.AddHub("a/b", good) },
		`""`:                   func(g *gateway.Gateway) { g.AddHub("a", good).AddRoute("", room) },
		"want http://":         func(g *gateway.Gateway) { g.AddHub("a", gateway.Hub{URL: "ftp://x"}) },
		"no HubName":           func(g *gateway.Gateway) { g.AddHub("a", gateway.Hub{URL: good.URL, Dialect: gateway.Classic}) },
		"dialect":              func(g *gateway.Gateway) { g.AddHub("a", gateway.Hub{URL: good.URL, Dialect: 9}) },
		"neither InvokeMethod": func(g *gateway.Gateway) { g.AddHub("a", good).AddRoute("r", gateway.HubRoute{}) },
		"no ReceiveGroup": func(g *gateway.Gateway) {
			g.AddHub("a", good).AddRoute("r", gateway.HubRoute{ReceiveMethod: "X", BroadcastType: gateway.BroadcastGroup})
		},
		"the hub has no Receive": func(g *gateway.Gateway) {
			g.AddHub("a", good).AddRoute("r", gateway.HubRoute{ReceiveMethod: "X", BroadcastType: gateway.BroadcastIndividual})
		},
		"broadcast type": func(g *gateway.Gateway) {
			g.AddHub("a", good).AddRoute("r", gateway.HubRoute{ReceiveMethod: "X", BroadcastType: 7})
		},
		"has started": func(g *gateway.Gateway) {
			if err := g.Close(t.Context()); err != nil {
				t.Error(err)
			}
			g.AddHub("a", good)
		},
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.HasPrefix(text, "gateway: Add") || !strings.Contains(text, want) {
					t.Errorf("panic %q, want one with %q", text, want)
				}
			}()
			f(gateway.New(gateway.Config{}))
		}()
	}
}

// TestNotStarted: calls fail, nothing waits.
func TestNotStarted(t *testing.T) {
	t.Parallel()
	g := gateway.New(gateway.Config{})
	g.AddHub("chat", gateway.Hub{URL: "http://localhost:1/x"}).AddRoute("room", room)
	r := httptest.NewRequest("POST", "/api/Gateway/hub/chat/room", strings.NewReader("[]"))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, r)
	if w.Code != 503 || g.Health()[0].Err == nil {
		t.Errorf("status %d, health %+v, want 503 and why", w.Code, g.Health()[0])
	}
	if err := g.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := g.Start(); err == nil {
		t.Error("a closed gateway starts")
	}
}

// TestTwoNodes: V17. Each node is a client of the hub downstream, and tells its own clients what that says, once, also where
// both nodes were given one backplane.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	config := gateway.Config{GatewayHub: hubbub.Options{Backplane: hubbub.NewLocal()}}
	register := func(g *gateway.Gateway) {
		keyed(c)(g)
		g.AddHub("chatservice", c.as(gateway.Core)).AddRoute("room", room)
	}
	one, two := newServer(t, config, register).connected(), newServer(t, config, register).connected()
	here, there := one.listen("ReceiveMessage", "ToGroup"), two.listen("ReceiveMessage", "ToGroup")
	there.call("SubscribeToGroup", with("key", "group", "receiveGroup", "Ops"), "")
	say := func(s *server, text string) {
		s.post("chatservice/room", `[{"name":"John","message":"`+text+`"}]`, 200, "")
		here.hears(`ReceiveMessage[["John","` + text + `"],{}]`)
		there.hears(`ReceiveMessage[["John","` + text + `"],{}]`)
	}
	say(one, "a")
	say(two, "b")
	c.say("ToGroup", 2)
	there.hears(`ToGroup[[2],{}]`)
	say(one, "c")
}
