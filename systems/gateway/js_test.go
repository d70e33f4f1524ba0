package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/gateway"
)

// transports of the JavaScript client, by its own names.
var transports = []string{"WebSockets", "ServerSentEvents", "LongPolling"}

// scene is one scenario with its own server downstream.
type scene struct {
	*testing.T
	js      *javaScript
	program string
	down    *downstreamProcess
}

// TestJavaScript: the scenarios with the real JavaScript client, a gateway, and a server downstream in a process of its own, of
// either generation. V18 is all of them with a classic one; nothing tells the gateway which it is.
func TestJavaScript(t *testing.T) {
	t.Parallel()
	program := buildDownstream(t)
	js := startJavaScript(t)
	for name, dialect := range map[string]gateway.Dialect{"Core": gateway.Core, "V18_Classic": gateway.Classic} {
		for scenario, play := range map[string]func(s *scene){
			"V1_Post": playPost, "V2_ArgumentCounts": playArgumentCounts, "V3_Unknown": playUnknown, "V4_Group": playGroup,
			"V5_Individual": playIndividual, "V6_SameKeys": playSameKeys, "V7_InvokeDownstreamHub": playInvokeDownstreamHub,
			"V8_Spoof": playSpoof, "V9_DownAtStart": playDownAtStart, "V10_Restart": playRestart, "V11_Failures": playFailures,
			"V12_NoGatewayHub": playNoGatewayHub, "V13_Filters": playFilters, "V16_Orchestration": playOrchestration,
			"OneDelivery": playOneDelivery,
		} {
			t.Run(name+"/"+scenario, func(t *testing.T) {
				t.Parallel()
				play(&scene{t, js, program, newDownstream(t, program, dialect)})
			})
		}
	}
	t.Run("V14_Services", func(t *testing.T) {
		t.Parallel()
		playServices(&scene{T: t, js: js, program: program})
	})
	t.Run("V15_Statuses", func(t *testing.T) {
		t.Parallel()
		playStatuses(&scene{T: t, js: js, down: newDownstream(t, program, gateway.Core).start()})
	})
}

// gateway starts one in front of the running server downstream, with routes under "chat".
func (s *scene) gateway(c gateway.Config, receiveKey string, routes map[string]gateway.HubRoute) *server {
	s.Helper()
	return newServer(s, c, func(g *gateway.Gateway) {
		h := s.down.hub()
		h.ReceiveKey = receiveKey
		hub := g.AddHub("chat", h)
		for _, key := range slices.Sorted(maps.Keys(routes)) {
			hub.AddRoute(key, routes[key])
		}
	})
}

var say = gateway.HubRoute{InvokeMethod: "Say"}

// playPost: registered as in the text, both spellings of the path, all transports; everybody hears once.
func playPost(s *scene) {
	s.down.start()
	g := newServer(s, gateway.Config{}, func(g *gateway.Gateway) {
		g.AddHub("chatservice", s.down.hub()).AddRoute("room", gateway.HubRoute{
			InvokeMethod: "SendMessage", ReceiveMethod: "ReceiveMessage", ReceiveParameterTypes: []string{"String", "String"}})
	}).connected()
	var all []*jsClient
	for _, transport := range transports {
		for _, path := range []string{"/gatewayhub", "/GatewayHub"} {
			c, failed := s.js.connect(s, g.url+path, transport, "ReceiveMessage")
			if failed != "" {
				s.Fatalf("%s: %s", path, failed)
			}
			all = append(all, c)
		}
	}
	s.js.post(g, "chatservice/room", `[{"name":"John","message":"Hi"}]`, 200, "")
	s.js.post(g, "ChatService/ROOM", `[{"Name":"Jane","Message":"Hello"}]`, 200, "")
	for _, c := range all {
		c.hears(`ReceiveMessage[["John","Hi"],{}]`)
		c.hears(`ReceiveMessage[["Jane","Hello"],{}]`)
	}
	if n := g.Health()[0].Delivered; n != 2 {
		s.Errorf("%d messages relayed, want 2", n)
	}
}

func playArgumentCounts(s *scene) {
	s.down.start()
	routes := map[string]gateway.HubRoute{"return": {InvokeMethod: "Return"}}
	g := s.gateway(gateway.Config{}, "", routes).connected()
	for _, args := range []string{`[]`, `[1]`, `[1,2,3,4,5,6,7,8,9,10]`, `[null,"x",null]`, `[{"a":[1.50,12345678901234567890]}]`} {
		s.js.post(g, "chat/return?wait=result", args, 200, args)
	}
	s.js.post(g, "chat/return", `[1,2,3,4,5,6,7,8,9,10,11]`, 400, "11 elements")
	s.js.post(g, "chat/return", `{"name":"John"}`, 400, "array")
	s.js.post(g, "chat/return", `null`, 400, "array")
	more := s.gateway(gateway.Config{MaxArguments: 11}, "", routes).connected()
	s.js.post(more, "chat/return?wait=result", `[1,2,3,4,5,6,7,8,9,10,11]`, 200, `,11]`)
}

func playUnknown(s *scene) {
	s.down.start()
	g := s.gateway(gateway.Config{}, "", map[string]gateway.HubRoute{"say": say}).connected()
	for _, x := range [][2]string{{"POST", "hub/none/say"}, {"POST", "hub/chat/none"}, {"GET", "hub/chat/say"}, {"PUT", "hub/chat/say"},
		{"DELETE", "hub/chat/say"}, {"POST", "hub/chat"}, {"POST", "chat/say"}, {"GET", "chat/say"}} {
		var body []string
		if x[0] != "GET" {
			body = []string{"[]"}
		}
		if r := s.js.fetch(s, x[0], g.url+"/api/Gateway/"+x[1], body...); r.Status != 404 || r.Body != "" {
			s.Errorf("%s %s: status %d, body %q, want 404 without one", x[0], x[1], r.Status, r.Body)
		}
	}
}

// subscribable are routes of both kinds that clients subscribe to, and "Done", which everybody hears.
var subscribable = map[string]gateway.HubRoute{
	"say":   say,
	"group": {ReceiveMethod: "ToGroup", BroadcastType: gateway.BroadcastGroup, ReceiveGroup: "Ops"},
	"one":   {ReceiveMethod: "ToOne", BroadcastType: gateway.BroadcastIndividual, Unwrap: true},
	"done":  {ReceiveMethod: "Done"},
}

func playGroup(s *scene) {
	s.down.start()
	g := s.gateway(gateway.Config{}, secret, subscribable).connected()
	outside := s.js.listen(g, "WebSockets", "ToGroup", "Done")
	outside.call("SubscribeToGroup", with("key", "group", "receiveGroup", "Ops", "receiveKey", "wrong"), "receiveKey")
	outside.call("SubscribeToGroup", with("key", "group", "receiveGroup", "Other"), `no group "Other"`)
	outside.call("SubscribeToGroup", with("key", "one", "receiveGroup", "Ops"), "Individual, want Group")
	var inside []*jsClient
	for _, transport := range transports {
		c := s.js.listen(g, transport, "ToGroup", "Done")
		c.call("SubscribeToGroup", with("key", "group", "receiveGroup", "Ops"), "")
		inside = append(inside, c)
	}
	s.js.post(g, "chat/say", `["ToGroup",1,"a"]`, 200, "")
	s.js.post(g, "chat/say", `["Done"]`, 200, "")
	outside.hears(`Done[[],{}]`)
	for _, c := range inside {
		c.hears(`ToGroup[[1,"a"],{}]`)
		c.hears(`Done[[],{}]`)
		c.call("UnsubscribeFromGroup", with("key", "group", "receiveGroup", "Ops"), "")
	}
	s.js.post(g, "chat/say", `["ToGroup",2,"b"]`, 200, "")
	s.js.post(g, "chat/say", `["Done",2]`, 200, "")
	for _, c := range append(inside, outside) {
		c.hears(`Done[[2],{}]`)
	}
}

func playIndividual(s *scene) {
	s.down.start()
	g := s.gateway(gateway.Config{}, secret, subscribable).connected()
	ann, bob := s.js.listen(g, "ServerSentEvents", "ToOne", "Done"), s.js.listen(g, "LongPolling", "ToOne", "Done")
	ann.call("SubscribeToRoute", with("key", "one", "userId", "ann"), "")
	bob.call("SubscribeToRoute", with("key", "one", "userId", "bob"), "")
	s.js.post(g, "chat/say", `["ToOne",1,null]`, 200, "")
	ann.hears(`ToOne[1,null]`)
	bob.hears(`ToOne[1,null]`)
	ann.call("UnsubscribeFromRoute", with("key", "one", "userId", "ann"), "")
	if _, failed := s.js.ask(s, "stop", "client", bob.name); failed != "" {
		s.Fatal(failed)
	}
	again := s.js.listen(g, "WebSockets", "ToOne", "Done")
	again.call("SubscribeToRoute", with("key", "one", "userId", "bob"), "")
	s.js.post(g, "chat/say", `["ToOne",2]`, 200, "")
	s.js.post(g, "chat/say", `["Done"]`, 200, "")
	again.hears(`ToOne[2]`)
	again.hears(`Done[[],{}]`)
	ann.hears(`Done[[],{}]`)
}

// playSameKeys: the second hub is a process of the other generation.
func playSameKeys(s *scene) {
	s.down.start()
	second := newDownstream(s, s.program, gateway.Core+gateway.Classic-s.down.dialect).start()
	g := newServer(s, gateway.Config{}, func(g *gateway.Gateway) {
		for key, p := range map[string]*downstreamProcess{"chat": s.down, "other": second} {
			h := p.hub()
			h.ReceiveKey = secret
			g.AddHub(key, h).AddRoute("room", gateway.HubRoute{InvokeMethod: "Say", ReceiveMethod: "News", BroadcastType: gateway.BroadcastGroup,
				ReceiveGroup: "Ops"}).AddRoute("done", gateway.HubRoute{ReceiveMethod: "Done"})
		}
	}).connected()
	one, other := s.js.listen(g, "WebSockets", "News", "Done"), s.js.listen(g, "WebSockets", "News", "Done")
	one.call("SubscribeToGroup", with("key", "room", "receiveGroup", "Ops"), "")
	other.call("SubscribeToGroup", with("api", "other", "key", "room", "receiveGroup", "Ops"), "")
	s.js.post(g, "chat/room", `["News","of chat"]`, 200, "")
	s.js.post(g, "chat/room", `["Done","chat"]`, 200, "")
	one.hears(`News[["of chat"],{}]`)
	one.hears(`Done[["chat"],{}]`)
	other.hears(`Done[["chat"],{}]`)
	s.js.post(g, "other/room", `["News","of the other"]`, 200, "")
	other.hears(`News[["of the other"],{}]`)
}

func playInvokeDownstreamHub(s *scene) {
	s.down.start()
	g := s.gateway(gateway.Config{}, secret, map[string]gateway.HubRoute{
		"say": {InvokeMethod: "Say", ReceiveMethod: "News", Unwrap: true}, "fail": {InvokeMethod: "Fail"}}).connected()
	for _, transport := range transports {
		c := s.js.listen(g, transport, "News")
		c.call("InvokeDownstreamHub", with("key", "say", "dataArray", []any{"News", 1, nil, "x"}), "")
		c.hears(`News[1,null,"x"]`)
		c.call("InvokeDownstreamHub", with("key", "say", "data", "News", "dataArray", []any{"News", 2}), "") // data wins: no arguments
		c.hears(`News[]`)
		c.call("InvokeDownstreamHub", with("key", "say"), "neither data nor dataArray")
		c.call("InvokeDownstreamHub", with("key", "say", "data", "News", "receiveKey", "wrong"), "receiveKey")
		c.call("InvokeDownstreamHub", with("key", "none", "data", 1), "no route")
		c.call("InvokeDownstreamHub", with("key", "fail", "dataArray", []any{}), "The room is full.")
		c.call("InvokeDownstreamHub", with("key", "say", "data", "News"), "")
		c.hears(`News[]`)
		if _, failed := s.js.ask(s, "stop", "client", c.name); failed != "" { // the next one's news are not for it
			s.Fatal(failed)
		}
	}
}

func playSpoof(s *scene) {
	s.down.start()
	g := s.gateway(gateway.Config{}, secret, subscribable).connected()
	victim, forger := s.js.listen(g, "WebSockets", "Done"), s.js.listen(g, "WebSockets")
	forger.call("Receive", with("key", "done", "receiveMethod", "Done"), "Method does not exist")
	_, failed := s.js.ask(s, "invoke", "client", forger.name, "method", "Receive",
		"args", []any{with("key", "done"), map[string]any{"receiveMethod": "Done"}, []any{"forged"}, nil})
	if !strings.Contains(failed, "Method does not exist") {
		s.Errorf("Receive: error %q, want one about no such method", failed)
	}
	s.js.post(g, "chat/say", `["Done","true"]`, 200, "")
	victim.hears(`Done[["true"],{}]`)
}

func playDownAtStart(s *scene) {
	g := s.gateway(gateway.Config{}, secret, subscribable)
	c := s.js.listen(g, "WebSockets", "Done")
	s.js.post(g, "chat/say", `["Done",1]`, 503, "not connected")
	if h := g.Health()[0]; h.Connected || h.Err == nil {
		s.Errorf("health %+v, want not connected, and why", h)
	}
	s.down.start()
	s.js.post(g, "chat/say", `["Done",2]`, 200, "")
	c.hears(`Done[[2],{}]`)
}

// playRestart kills the server downstream twice in the middle of posts. What was answered with 200 is heard once, what was answered
// with 503 never, and what nobody can know at most once; always in order, over every transport.
func playRestart(s *scene) {
	s.down.start()
	g := s.gateway(gateway.Config{}, secret, subscribable).connected()
	var all []*jsClient
	for _, transport := range transports {
		all = append(all, s.js.listen(g, transport, "Done"))
	}
	statuses := make(map[int]int)
	var mu sync.Mutex
	count := func(status, from int) (n int) {
		mu.Lock()
		defer mu.Unlock()
		for i, got := range statuses {
			if i >= from && got == status {
				n++
			}
		}
		return n
	}
	stop := make(chan struct{})
	var posting sync.WaitGroup
	posting.Go(func() {
		for i := 0; ; i++ {
			status, _, _ := g.do("POST", "/api/Gateway/hub/chat/say", fmt.Sprintf(`["Done",%d]`, i))
			mu.Lock()
			statuses[i] = status
			mu.Unlock()
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	for range 2 {
		mu.Lock()
		from := len(statuses)
		mu.Unlock()
		eventually(s, "posts reach the hub", func() bool { return count(200, from) >= 10 })
		s.down.end()
		eventually(s, "posts fail while the hub is away", func() bool { return count(503, from) > 0 })
		s.down.start()
		mu.Lock()
		from = len(statuses)
		mu.Unlock()
		eventually(s, "posts reach the hub after its restart", func() bool { return count(200, from) >= 10 })
	}
	close(stop)
	posting.Wait()
	s.js.post(g, "chat/say", `["Done","end"]`, 200, "")
	if n := g.Health()[0].Connects; n < 3 {
		s.Errorf("connected %d times, want 3 at least", n)
	}
	for _, c := range all {
		c.heardAsAnswered(statuses)
	}
}

// heardAsAnswered reads what a client has heard up to the end and compares it with the statuses of the posts by number.
func (c *jsClient) heardAsAnswered(statuses map[int]int) {
	c.t.Helper()
	times, last := make(map[int]int), -1
	for {
		var got string
		select {
		case got = <-c.heard:
		case <-time.After(patience):
			c.t.Fatalf("%s does not hear the end", c.name)
		}
		if got == `Done[["end"],{}]` {
			break
		}
		var n int
		if _, err := fmt.Sscanf(got, "Done[[%d],{}]", &n); err != nil || n <= last {
			c.t.Fatalf("%s heard %s after %d", c.name, got, last)
		}
		last = n
		times[n]++
	}
	for i, status := range statuses {
		switch n := times[i]; {
		case status == 200 && n != 1, status == 503 && n != 0, n > 1:
			c.t.Errorf("%s heard message %d %d times, whose post was answered with %d", c.name, i, n, status)
		case status != 200 && status != 502 && status != 503:
			c.t.Errorf("post %d was answered with %d", i, status)
		}
	}
}

func playFailures(s *scene) {
	s.down.start()
	g := newServer(s, gateway.Config{}, func(g *gateway.Gateway) {
		h := s.down.hub()
		h.InvokeTimeout = 300 * time.Millisecond
		g.AddHub("hasty", h).AddRoute("wait", gateway.HubRoute{InvokeMethod: "Wait"})
		h.InvokeTimeout = 0
		g.AddHub("chat", h).AddRoute("fail", gateway.HubRoute{InvokeMethod: "Fail"}).AddRoute("none", gateway.HubRoute{InvokeMethod: "NoSuch"}).
			AddRoute("say", gateway.HubRoute{InvokeMethod: "Say", ReceiveMethod: "Done"})
	}).connected()
	c := s.js.listen(g, "WebSockets", "Done")
	s.js.post(g, "hasty/wait", `[1500]`, 504, "not answered in time")
	s.js.post(g, "chat/fail", `[]`, 502, "The room is full.")
	s.js.post(g, "chat/none", `[]`, 502, "NoSuch")
	c.call("InvokeDownstreamHub", with("key", "fail", "dataArray", []any{}, "receiveKey", ""), "The room is full.")
	s.js.post(g, "chat/say", `["Done"]`, 200, "")
	c.hears(`Done[[],{}]`)
	eventually(s, "the hub that was slow answers again", func() bool {
		return s.js.fetch(s, "POST", g.url+"/api/Gateway/hub/hasty/wait", `[0]`).Status == 200
	})
	for _, h := range g.Health() {
		if h.Connects != 1 {
			s.Errorf("%s was connected %d times, want once", h.Key, h.Connects)
		}
	}
}

func playNoGatewayHub(s *scene) {
	s.down.start()
	g := s.gateway(gateway.Config{NoGatewayHub: true}, secret, subscribable).connected()
	for _, path := range []string{"/gatewayhub", "/GatewayHub"} {
		if _, failed := s.js.connect(s, g.url+path, "WebSockets", "Done"); !strings.Contains(failed, "404") {
			s.Errorf("%s: connected with error %q, want 404", path, failed)
		}
	}
	s.js.post(g, "chat/say", `["Done"]`, 200, "")
	if n := g.Health()[0].Delivered; n != 0 {
		s.Errorf("%d messages relayed, want none", n)
	}
}

// playFilters: who is refused does not reach the hub downstream, and a filter of the GatewayHub ends a connection.
func playFilters(s *scene) {
	s.down.start()
	g := newServer(s, gateway.Config{}, func(g *gateway.Gateway) {
		g.GatewayHub().Use(func(next hubbub.HandlerFunc) hubbub.HandlerFunc {
			return func(ctx context.Context, in *hubbub.Invocation) (any, error) {
				if in.Target == "SubscribeToRoute" {
					hubbub.CallerFrom(ctx).Abort()
					return nil, nil
				}
				return next(ctx, in)
			}
		})
		g.AddHub("chat", s.down.hub()).
			AddRoute("say", gateway.HubRoute{InvokeMethod: "Say", ReceiveMethod: "Done"}).
			AddRoute("known", gateway.HubRoute{InvokeMethod: "Say", Guard: gateway.Guard{Requires: "*"}}).
			AddRoute("nobody", gateway.HubRoute{InvokeMethod: "Say", Guard: gateway.Guard{Authorize: func(context.Context, *gateway.Access) error {
				return hubbub.Errorf("Nobody may.")
			}}})
	}).connected()
	before := s.down.counters(s.js)
	s.js.post(g, "chat/known", `["Done"]`, 401, "not known")
	s.js.post(g, "chat/nobody", `["Done"]`, 403, "Nobody may.")
	good, bad := s.js.listen(g, "WebSockets", "Done"), s.js.listen(g, "WebSockets", "Done")
	good.call("InvokeDownstreamHub", map[string]any{"api": "chat", "key": "nobody", "data": "Done"}, "Nobody may.")
	if now := s.down.counters(s.js); now != before {
		s.Errorf("counters downstream %+v, want %+v: refused calls have reached it", now, before)
	}
	_, failed := s.js.ask(s, "invoke", "client", bad.name, "method", "SubscribeToRoute", "args", []any{with("key", "say")})
	if failed == "" {
		s.Error("a connection that was ended was told that its call succeeded")
	}
	select {
	case got := <-bad.heard:
		if !strings.HasPrefix(got, "closed") {
			s.Errorf("heard %s, want closed", got)
		}
	case <-time.After(patience):
		s.Error("the connection did not end")
	}
	s.js.post(g, "chat/say", `["Done"]`, 200, "")
	good.hears(`Done[[],{}]`)
}

// playServices: two processes behind the gateway, every verb, parameters, exact turns, and the cache.
func playServices(s *scene) {
	one, two := newDownstream(s, s.program, gateway.Core).start(), newDownstream(s, s.program, gateway.Core).start()
	urls := []string{"http://" + one.addr, "http://" + two.addr}
	g := newServer(s, gateway.Config{}, func(g *gateway.Gateway) {
		turns := g.AddAPI("items", gateway.API{BaseURLs: urls, Balance: gateway.RoundRobin, Cache: time.Hour}).
			AddRoute("get", gateway.Route{Path: "items/{id}", Cache: -1}).AddRoute("kept", gateway.Route{Path: "items/kept"})
		for _, verb := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			turns.AddRoute(strings.ToLower(verb), gateway.Route{Verb: verb, Path: "items/"})
		}
		g.AddAPI("any", gateway.API{BaseURLs: urls}).AddRoute("get", gateway.Route{Path: "items/"})
	})
	ask := func(verb, path string, body ...string) (a struct {
		Method, Path, Query, Type, Body, Server string
		Asked                                   int
	}) {
		s.Helper()
		r := s.js.fetch(s, verb, g.url+"/api/Gateway/"+path, body...)
		if err := json.Unmarshal([]byte(r.Body), &a); err != nil || r.Status != 200 {
			s.Fatalf("%s %s: status %d, body %q, want 200 and JSON", verb, path, r.Status, r.Body)
		}
		return a
	}
	for _, verb := range []string{"POST", "PUT"} {
		if a := ask(verb, "items/"+verb+"?parameters=7", `{"a":1}`); a.Method != verb || a.Path != "/items/7" || a.Body != `{"a":1}` {
			s.Errorf("%s: the service was asked %+v", verb, a)
		}
	}
	if a := ask("PATCH", "items/patch", `[{"op":"remove","path":"/a"}]`, "application/json-patch+json"); a.Type != "application/json-patch+json" {
		s.Errorf("PATCH: the service was asked %+v", a)
	}
	if a := ask("DELETE", "items/delete?parameters=7"); a.Method != "DELETE" || a.Path != "/items/7" {
		s.Errorf("DELETE: the service was asked %+v", a)
	}
	last := ""
	for i := range 10 {
		a := ask("GET", fmt.Sprintf("items/get?parameters=id%%3D%d", i))
		if a.Path != fmt.Sprintf("/items/%d", i) || a.Server == last {
			s.Errorf("request %d: the service was asked %+v after %s", i, a, last)
		}
		last = a.Server
	}
	first := ask("GET", "items/kept")
	for range 3 {
		if again := ask("GET", "items/kept"); again != first {
			s.Errorf("a kept answer is %+v, want %+v", again, first)
		}
	}
	seen := make(map[string]bool)
	eventually(s, "both addresses asked at random", func() bool {
		seen[ask("GET", "any/get").Server] = true
		return len(seen) == 2
	})
}

func playStatuses(s *scene) {
	g := newServer(s, gateway.Config{}, func(g *gateway.Gateway) {
		g.AddAPI("service", gateway.API{BaseURLs: []string{"http://" + s.down.addr}}).AddRoute("status", gateway.Route{Path: "status/"})
	})
	for _, status := range []int{200, 401, 404, 409, 418, 500, 503} {
		r := s.js.fetch(s, "GET", fmt.Sprintf("%s/api/Gateway/service/status?parameters=%d", g.url, status))
		if want := fmt.Sprintf("the service says %d", status); r.Status != status || r.Body != want {
			s.Errorf("status %d, body %q, want %d and %q", r.Status, r.Body, status, want)
		}
	}
}

func playOrchestration(s *scene) {
	g := s.gateway(gateway.Config{}, secret, subscribable)
	for query, want := range map[string]int{"": 4, "?apiKey=CHA": 4, "?api=cha": 4, "?routeKey=ON": 2, "?key=group": 1, "?apiKey=none": 0, "?key=none": 0} {
		r := s.js.fetch(s, "GET", g.url+"/api/Gateway/orchestration"+query)
		var all []struct {
			API       string
			HubRoutes []struct{ Key string }
		}
		if err := json.Unmarshal([]byte(r.Body), &all); err != nil {
			s.Fatalf("%q: %v: %s", query, err, r.Body)
		}
		n := 0
		for _, a := range all {
			n += len(a.HubRoutes)
		}
		if n != want {
			s.Errorf("%q: %d routes, want %d: %s", query, n, want, r.Body)
		}
	}
}

// playOneDelivery: however many listen, the server downstream has one connection and sends each message once.
func playOneDelivery(s *scene) {
	const listeners, messages = 60, 5
	s.down.start()
	g := s.gateway(gateway.Config{}, secret, subscribable).connected()
	var all []*jsClient
	for i := range listeners {
		all = append(all, s.js.listen(g, transports[i%len(transports)], "Done"))
	}
	before := s.down.counters(s.js)
	for i := range messages {
		s.js.post(g, "chat/say", fmt.Sprintf(`["Done",%d]`, i), 200, "")
	}
	for _, c := range all {
		for i := range messages {
			c.hears(fmt.Sprintf(`Done[[%d],{}]`, i))
		}
	}
	now := s.down.counters(s.js)
	if now.Connections != 1 || now.Invocations-before.Invocations != messages {
		s.Errorf("%d connections, %d invocations downstream, want 1 and %d", now.Connections, now.Invocations-before.Invocations, messages)
	}
	if sent := now.Sent - before.Sent; sent < messages || sent > 2*messages { // a message each, and an answer to each call
		s.Errorf("the server downstream has sent %d messages for %d, want one each and an answer each", sent, messages)
	}
}
