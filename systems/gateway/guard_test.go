package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/gateway"
)

// identify takes the header X-User for who it is: a name and, behind a colon, rights.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, rights, _ := strings.Cut(r.Header.Get("X-User")+r.URL.Query().Get("user"), ":"); name != "" {
			u := &hubbub.User{ID: name, Claims: map[string]any{"scope": rights}}
			r = r.WithContext(hubbub.WithUser(r.Context(), u))
		}
		next.ServeHTTP(w, r)
	})
}

// TestV13Requires: what routes, services and hubs demand is refused with 401 and 403, and the other side hears nothing of it.
func TestV13Requires(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	var requests sync.Map
	backend := service(t, func(w http.ResponseWriter, r *http.Request) { requests.Store(r.Header.Get("X-User"), true) })
	s := newServer(t, gateway.Config{Auth: identify, Orchestration: gateway.Guard{Requires: "list"}}, func(g *gateway.Gateway) {
		h := c.as(gateway.Core)
		h.Requires = "*"
		g.AddHub("chat", h).AddRoute("known", gateway.HubRoute{InvokeMethod: "Count"}).
			AddRoute("right", gateway.HubRoute{InvokeMethod: "Count", Guard: gateway.Guard{Requires: "say"}})
		g.AddAPI("api", gateway.API{BaseURLs: []string{backend}}).AddRoute("open", gateway.Route{Path: "x"}).
			AddRoute("known", gateway.Route{Path: "x", Guard: gateway.Guard{Requires: "*"}}).
			AddRoute("right", gateway.Route{Path: "x", Guard: gateway.Guard{Requires: "read"}})
	}).connected()
	for _, tt := range []struct {
		verb, path, user string
		want             int
	}{
		{"GET", "api/open", "", 200}, {"GET", "api/known", "", 401}, {"GET", "api/known", "ann", 200}, {"HEAD", "api/known", "", 401},
		{"GET", "api/right", "", 401}, {"GET", "api/right", "bob:write", 403}, {"GET", "api/right", "cid:write read", 200},
		{"POST", "hub/chat/known", "", 401}, {"POST", "hub/chat/known", "ann", 200},
		{"POST", "hub/chat/right", "", 401}, {"POST", "hub/chat/right", "ann", 403}, {"POST", "hub/chat/right", "eve:say", 200},
		{"GET", "orchestration", "", 401}, {"GET", "orchestration", "ann", 403}, {"GET", "orchestration", "ann:list", 200},
		{"GET", "api/none", "", 404}, {"POST", "hub/chat/none", "", 404},
	} {
		status, header, body := s.do(tt.verb, "/api/Gateway/"+tt.path, `[]`, "X-User", tt.user)
		if status != tt.want || (status >= 401 && status < 404 && (header.Get("Cache-Control") != "no-store" || (body == "") != (tt.verb == "HEAD"))) {
			t.Errorf("%s %s as %q: status %d, body %q, want %d", tt.verb, tt.path, tt.user, status, body, tt.want)
		}
	}
	for user, want := range map[string]bool{"": true, "ann": true, "bob:write": false, "cid:write read": true} {
		if _, got := requests.Load(user); got != want {
			t.Errorf("the service heard of %q: %t, want %t", user, got, want)
		}
	}
	if n := c.hub.Stats().Invocations; n != 2 {
		t.Errorf("the hub was called %d times, want 2", n)
	}
}

// TestV13Authorization: it hears what is wanted, by whom, of every kind of access, and refuses before anything happens.
func TestV13Authorization(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	backend := service(t, func(w http.ResponseWriter, r *http.Request) {})
	var mu sync.Mutex
	var seen []string
	var answer error
	authorize := func(_ context.Context, a *gateway.Access) error {
		mu.Lock()
		defer mu.Unlock()
		name := ""
		if a.User != nil {
			name = a.User.ID
		}
		seen = append(seen, fmt.Sprint(a.Operation, a.API, "/", a.Route, " ", a.Verb, " ", name, a.Request != nil))
		return answer
	}
	s := newServer(t, gateway.Config{Auth: identify, Guard: gateway.Guard{Authorize: authorize}}, func(g *gateway.Gateway) {
		h := c.as(gateway.Core)
		h.ReceiveKey = secret
		g.AddHub("Chat", h).AddRoute("Count", gateway.HubRoute{InvokeMethod: "Count"}).
			AddRoute("one", gateway.HubRoute{ReceiveMethod: "ToOne", BroadcastType: gateway.BroadcastIndividual}).
			AddRoute("group", gateway.HubRoute{ReceiveMethod: "ToGroup", BroadcastType: gateway.BroadcastGroup, ReceiveGroup: "Ops"})
		g.AddAPI("Api", gateway.API{BaseURLs: []string{backend}}).AddRoute("X", gateway.Route{Verb: "PUT"})
	}).connected()
	l := s.listen()
	for _, step := range []struct {
		answer error
		status int
		text   string // for the client
	}{
		{nil, 200, ""}, {gateway.ErrUnauthenticated, 401, "not known"}, {hubbub.Errorf("Not on Sundays, 100 %%."), 403, "Not on Sundays"},
		{errors.New("the database says no"), 403, "This is not allowed"},
	} {
		mu.Lock()
		seen, answer = nil, step.answer
		mu.Unlock()
		for _, target := range []string{"PUT api/x", "POST hub/chat/count", "GET orchestration"} {
			verb, path, _ := strings.Cut(target, " ")
			status, _, body := s.do(verb, "/api/gateway/"+path, `[]`, "X-User", "ann")
			if status != step.status || (step.status != 200 && (!strings.Contains(body, step.text) || strings.Contains(body, "database"))) {
				t.Errorf("%s: status %d, body %s, want %d and %q", target, status, body, step.status, step.text)
			}
		}
		l.call("InvokeDownstreamHub", with("key", "count", "data", 1), step.text)
		l.call("SubscribeToRoute", with("key", "one", "userId", "u"), step.text)
		l.call("SubscribeToGroup", with("key", "group", "receiveGroup", "Ops"), step.text)
		want := []string{"0api/x PUT anntrue", "1chat/count POST anntrue", "3/ GET anntrue", "1chat/count  false", "2chat/one  false", "2chat/group  false"}
		mu.Lock()
		if strings.Join(seen, ", ") != strings.Join(want, ", ") {
			t.Errorf("seen %q, want %q", seen, want)
		}
		mu.Unlock()
	}
	if n := c.hub.Stats().Invocations; n != 2 {
		t.Errorf("the hub was called %d times, want 2", n)
	}
}

// TestV13Filters: they run around the answer, those of the gateway outside of those of the route, and only for what is allowed.
func TestV13Filters(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	var mu sync.Mutex
	var steps []string
	note := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		steps = append(steps, s)
	}
	named := func(name string) gateway.Filter {
		return func(next gateway.Handler) gateway.Handler {
			return func(w http.ResponseWriter, r *http.Request, a *gateway.Access) {
				note(name + " " + a.API + "/" + a.Route)
				next(w, r, a)
				note("after " + name)
			}
		}
	}
	limit := func(next gateway.Handler) gateway.Handler {
		return func(w http.ResponseWriter, r *http.Request, a *gateway.Access) {
			if r.Header.Get("X-Many") != "" {
				http.Error(w, "too many", http.StatusTooManyRequests)
				return
			}
			r.Body = io.NopCloser(strings.NewReader(`["changed"]`))
			next(w, r, a)
		}
	}
	s := newServer(t, gateway.Config{Auth: identify, Guard: gateway.Guard{Filters: []gateway.Filter{named("a"), named("b")}}}, func(g *gateway.Gateway) {
		h := c.as(gateway.Core)
		h.Filters = []gateway.Filter{named("hub")}
		g.AddHub("chat", h).AddRoute("count", gateway.HubRoute{InvokeMethod: "Count", Guard: gateway.Guard{Requires: "*", Filters: []gateway.Filter{named("route"), limit}}})
	}).connected()
	if status, _, _ := s.do("POST", "/api/Gateway/hub/chat/count", `[]`); status != 401 || len(steps) != 0 {
		t.Errorf("status %d, filters %q, want 401 and none", status, steps)
	}
	if status, _, body := s.do("POST", "/api/Gateway/hub/chat/count?wait=result", `[]`, "X-User", "ann"); status != 200 || body != `["changed"]` {
		t.Errorf("status %d, body %s, want what the filter has changed", status, body)
	}
	if status, _, body := s.do("POST", "/api/Gateway/hub/chat/count", `[]`, "X-User", "ann", "X-Many", "1"); status != 429 || body != "too many\n" {
		t.Errorf("status %d, body %s, want 429", status, body)
	}
	want := strings.Repeat("a chat/count, b chat/count, hub chat/count, route chat/count, after route, after hub, after b, after a, ", 2)
	if got := strings.Join(steps, ", ") + ", "; got != want {
		t.Errorf("steps %q, want %q", got, want)
	}
	if n := c.hub.Stats().Invocations; n != 1 {
		t.Errorf("the hub was called %d times, want once", n)
	}
}

// TestV13HubFilterAborts: filters and hooks of the GatewayHub see connections and calls, and can end them.
func TestV13HubFilterAborts(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	gone := make(chan string, 10)
	s := newServer(t, gateway.Config{Auth: identify}, func(g *gateway.Gateway) {
		keyed(c)(g)
		hub := g.GatewayHub()
		hub.OnConnected(func(ctx context.Context) error {
			if hubbub.CallerFrom(ctx).User() == nil {
				return hubbub.Errorf("Members only.")
			}
			return nil
		})
		hub.OnDisconnected(func(ctx context.Context, _ error) { gone <- hubbub.CallerFrom(ctx).User().ID })
		hub.Use(func(next hubbub.HandlerFunc) hubbub.HandlerFunc {
			return func(ctx context.Context, in *hubbub.Invocation) (any, error) {
				if in.Method() == "InvokeDownstreamHub" {
					hubbub.CallerFrom(ctx).Abort()
					return nil, hubbub.Errorf("No calls.")
				}
				return next(ctx, in)
			}
		})
	}).connected()
	stranger := s.dial("", "Done")
	if err := stranger.c.Start(t.Context()); err == nil {
		<-stranger.ended
	}
	l := s.dial("?user=ann", "ToOne")
	if err := l.c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.call("SubscribeToRoute", with("key", "one"), "")
	c.say("ToOne", 1)
	l.hears(`ToOne[[1],{}]`)
	if err := l.c.Invoke(t.Context(), nil, "InvokeDownstreamHub", with("key", "count", "data", 1)); err == nil {
		t.Error("the call went through")
	}
	<-l.ended
	if name := <-gone; name != "ann" {
		t.Errorf("%s is gone, want ann alone", name)
	}
	if n := c.hub.Stats().Invocations; n != 0 {
		t.Errorf("the hub was called %d times, want none", n)
	}
}

// TestMetrics: what each route has done, and how the hubs are; those of routes that are gone are not told.
func TestMetrics(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	backend := service(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) })
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		g.AddHub("chat", c.as(gateway.Core)).AddRoute("room", room).AddRoute("fail", gateway.HubRoute{InvokeMethod: "Fail"})
		g.AddHub("away", gateway.Hub{URL: "http://" + closedAddress(t) + "/x"}).AddRoute("room", room)
		g.AddAPI("api", gateway.API{BaseURLs: []string{backend}}).AddRoute("tea", gateway.Route{})
		g.AddAPI("lost", gateway.API{BaseURLs: []string{"http://" + closedAddress(t)}}).AddRoute("x", gateway.Route{})
	})
	l := s.listen("ReceiveMessage")
	s.post("chat/room", `[{"name":"A","message":"b"}]`, 200, "")
	l.hears(`ReceiveMessage[["A","b"],{}]`)
	s.post("chat/fail", `[]`, 502, "full")
	s.post("chat/fail", `{}`, 400, "array")
	s.post("away/room", `[{}]`, 503, "not connected")
	s.do("GET", "/api/Gateway/api/tea", "")
	s.do("GET", "/api/Gateway/lost/x", "")
	expect := func(want string, names ...string) {
		t.Helper()
		if err := testutil.CollectAndCompare(prometheus.Collector(s.Gateway), strings.NewReader(want), names...); err != nil {
			t.Error(err)
		}
	}
	expect(`
# HELP hubbub_gateway_requests_total Requests over HTTP by route and status; canceled if the client did not wait, aborted if the answer broke off.
# TYPE hubbub_gateway_requests_total counter
hubbub_gateway_requests_total{api="api",kind="api",route="tea",status="418"} 1
hubbub_gateway_requests_total{api="away",kind="hub",route="room",status="503"} 1
hubbub_gateway_requests_total{api="chat",kind="hub",route="fail",status="400"} 1
hubbub_gateway_requests_total{api="chat",kind="hub",route="fail",status="502"} 1
hubbub_gateway_requests_total{api="chat",kind="hub",route="room",status="200"} 1
hubbub_gateway_requests_total{api="lost",kind="api",route="x",status="502"} 1
# HELP hubbub_gateway_hub_calls_total Calls of hubs, by POST and by clients of the GatewayHub: 200, or the status that tells why a call failed.
# TYPE hubbub_gateway_hub_calls_total counter
hubbub_gateway_hub_calls_total{hub="away",route="room",status="503"} 1
hubbub_gateway_hub_calls_total{hub="chat",route="fail",status="502"} 1
hubbub_gateway_hub_calls_total{hub="chat",route="room",status="200"} 1
# HELP hubbub_gateway_delivered_total Messages of hubs that were relayed, each counted once whatever the listeners.
# TYPE hubbub_gateway_delivered_total counter
hubbub_gateway_delivered_total{hub="away",route="room"} 0
hubbub_gateway_delivered_total{hub="chat",route="fail"} 0
hubbub_gateway_delivered_total{hub="chat",route="room"} 1
# HELP hubbub_gateway_hub_up 1 if the gateway is connected to the hub, else 0.
# TYPE hubbub_gateway_hub_up gauge
hubbub_gateway_hub_up{hub="away"} 0
hubbub_gateway_hub_up{hub="chat"} 1
# HELP hubbub_gateway_hub_connects_total Connections to the hub that were made.
# TYPE hubbub_gateway_hub_connects_total counter
hubbub_gateway_hub_connects_total{hub="away"} 0
hubbub_gateway_hub_connects_total{hub="chat"} 1
# HELP hubbub_gateway_hub_refused_total Calls that were not sent, since too many waited.
# TYPE hubbub_gateway_hub_refused_total counter
hubbub_gateway_hub_refused_total{hub="away"} 0
hubbub_gateway_hub_refused_total{hub="chat"} 0
`, "hubbub_gateway_requests_total", "hubbub_gateway_hub_calls_total", "hubbub_gateway_delivered_total", "hubbub_gateway_hub_up",
		"hubbub_gateway_hub_connects_total", "hubbub_gateway_hub_refused_total")
	if n := testutil.CollectAndCount(s.Gateway, "hubbub_gateway_request_duration_seconds"); n != 5 {
		t.Errorf("%d durations, want those of 5 routes", n)
	}
	s.reload(func(r *gateway.Routes) { r.AddHub("chat", c.as(gateway.Core)).AddRoute("room", room) })
	expect(`
# HELP hubbub_gateway_requests_total Requests over HTTP by route and status; canceled if the client did not wait, aborted if the answer broke off.
# TYPE hubbub_gateway_requests_total counter
hubbub_gateway_requests_total{api="chat",kind="hub",route="room",status="200"} 1
# HELP hubbub_gateway_hub_up 1 if the gateway is connected to the hub, else 0.
# TYPE hubbub_gateway_hub_up gauge
hubbub_gateway_hub_up{hub="chat"} 1
`, "hubbub_gateway_requests_total", "hubbub_gateway_hub_up")
	if problems, err := testutil.CollectAndLint(s.Gateway); err != nil || len(problems) > 0 {
		t.Errorf("problems %v, error %v", problems, err)
	}
}
