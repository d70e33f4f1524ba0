package gateway_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/gateway"
)

// everyDialect runs a test with downstream hubs of both, named and found out.
func everyDialect(t *testing.T, f func(t *testing.T, as func(c *chat) gateway.Hub)) {
	for name, as := range map[string]func(c *chat) gateway.Hub{
		"core":    func(c *chat) gateway.Hub { return c.as(gateway.Core) },
		"classic": func(c *chat) gateway.Hub { return c.as(gateway.Classic) },
		"auto":    func(c *chat) gateway.Hub { return c.as(gateway.Auto) },
		"auto, classic": func(c *chat) gateway.Hub {
			return gateway.Hub{URL: "http://" + c.addr + "/signalr", HubName: "ChatHub"}
		},
		"auto, classic without path": func(c *chat) gateway.Hub {
			return gateway.Hub{URL: "http://" + c.addr, HubName: "ChatHub"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, as)
		})
	}
}

// room is the route of the demo, registered without a key and without a broadcast type.
var room = gateway.HubRoute{InvokeMethod: "SendMessage", ReceiveMethod: "ReceiveMessage", ReceiveParameterTypes: []string{"string", "string"}}

// TestPostReachesEveryClient: V1, V18.
func TestPostReachesEveryClient(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, as func(c *chat) gateway.Hub) {
		c := newChat(t, "")
		s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) { g.AddHub("ChatService", as(c)).AddRoute("Room", room) })
		a, b := s.listen("ReceiveMessage"), s.listen("ReceiveMessage")
		for i := range 3 {
			n := strconv.Itoa(i)
			s.post("chatservice/room", `[{"name":"John","message":"Hi`+n+`"}]`, 200, "")
			want := `ReceiveMessage[["John","Hi` + n + `"],{}]`
			a.hears(want)
			b.hears(want)
		}
		if h := s.Health()[0]; h.Delivered != 3 || h.Invoked != 3 || h.Connects != 1 {
			t.Errorf("health %+v, want 3 calls and 3 deliveries over one connection", h)
		}
	})
}

// TestArgumentCounts: V2.
func TestArgumentCounts(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, as func(c *chat) gateway.Hub) {
		c := newChat(t, "")
		s := newServer(t, gateway.Config{MaxBodySize: 300}, func(g *gateway.Gateway) {
			g.AddHub("chat", as(c)).AddRoute("count", gateway.HubRoute{InvokeMethod: "Count"})
		}).connected()
		for _, body := range []string{`[]`, `[1]`, `[null]`, `[1,null,"a",{"A":12345678901234567890.10},[],6,7,8,9,10]`} {
			s.post("chat/count", body, 200, "")
			status, header, got := s.do("POST", "/api/gateway/HUB/CHAT/COUNT?wait=result", body)
			if status != 200 || got != body || header.Get("Content-Type") != "application/json; charset=utf-8" {
				t.Errorf("%s: status %d, result %s of type %s, want the arguments as they are", body, status, got, header.Get("Content-Type"))
			}
		}
		for _, body := range []string{`[1,2,3,4,5,6,7,8,9,10,11]`, `{"a":1}`, `null`, ``, `[1`, `[1]x`, `"a"`} {
			s.post("chat/count", body, 400, "about:blank")
		}
		s.post("chat/count?wait=never", `[]`, 400, "wait")
		s.post("chat/count", `["`+strings.Repeat("x", 300)+`"]`, 413, "300 bytes")
		if status, _, _ := s.do("POST", "/api/Gateway/hub/chat/count", `[]`, "Content-Type", "text/plain"); status != 415 {
			t.Errorf("a text, which any page may send: status %d, want 415", status)
		}
	})
}

// TestMoreArguments: V2, with a higher limit.
func TestMoreArguments(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	s := newServer(t, gateway.Config{MaxArguments: 11}, func(g *gateway.Gateway) {
		g.AddHub("chat", c.as(gateway.Core)).AddRoute("count", gateway.HubRoute{InvokeMethod: "Count"})
	}).connected()
	s.post("chat/count?wait=result", `[1,2,3,4,5,6,7,8,9,10,11]`, 200, `10,11]`)
	s.post("chat/count", `[1,2,3,4,5,6,7,8,9,10,11,12]`, 400, "12 elements, want at most 11")
}

// TestUnknownRoutes: V3.
func TestUnknownRoutes(t *testing.T) {
	t.Parallel()
	c := newChat(t, "")
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		g.AddHub("chat", c.as(gateway.Core)).AddRoute("room", room).AddRoute("ear", gateway.HubRoute{ReceiveMethod: "X"})
		g.AddHub("other", c.as(gateway.Core)).AddRoute("own", room)
	})
	for _, target := range []string{
		"POST /api/Gateway/hub/none/room", "POST /api/Gateway/hub/chat/none", "POST /api/Gateway/hub/chat/own", "POST /api/Gateway/hub/chat/ear",
		"POST /api/Gateway/hub/chat", "POST /api/Gateway/hub/chat/room/more", "POST /api/Gateway", "POST /api/Gateway/", "POST /api/Gateways/hub/chat/room",
		"GET /api/Gateway/hub/chat/room", "PUT /api/Gateway/hub/chat/room", "DELETE /api/Gateway/hub/chat/room", "PATCH /api/Gateway/hub/chat/room",
	} {
		method, path, _ := strings.Cut(target, " ")
		status, _, body := s.do(method, path, `[]`)
		if status != http.StatusNotFound || (body != "" && body != "404 page not found\n") || (strings.HasPrefix(path, "/api/Gateway/hub") && body != "") {
			t.Errorf("%s: status %d, body %q, want 404 and none", target, status, body)
		}
	}
}

// TestDownstreamFails: V11. The connection goes on after each failure.
func TestDownstreamFails(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, as func(c *chat) gateway.Hub) {
		c := newChat(t, "")
		s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
			h := as(c)
			h.MaxPending = 1
			g.AddHub("chat", h).AddRoute("fail", gateway.HubRoute{InvokeMethod: "Fail"}).AddRoute("none", gateway.HubRoute{InvokeMethod: "None"}).
				AddRoute("count", gateway.HubRoute{InvokeMethod: "Count"}).AddRoute("slow", gateway.HubRoute{InvokeMethod: "Slow"})
			h.InvokeTimeout = 50 * time.Millisecond
			g.AddHub("hasty", h).AddRoute("slow", gateway.HubRoute{InvokeMethod: "Slow"}).AddRoute("count", gateway.HubRoute{InvokeMethod: "Count"})
		}).connected()
		s.post("chat/fail", `[]`, 502, "The room is full.")
		s.post("chat/none", `[]`, 502, `"status":502`)
		s.post("chat/count?wait=result", `[1]`, 200, "[1]")
		s.post("hasty/slow", `[]`, 504, "in time")
		<-c.entered
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.post("chat/slow", `[]`, 200, "")
		}()
		<-c.entered
		s.post("chat/count", `[]`, 503, "Too many calls")
		select {
		case c.slow <- struct{}{}: // one of the two, if the other has not been cancelled
		case <-done:
		}
		select {
		case c.slow <- struct{}{}:
		case <-done:
		}
		<-done
		s.post("chat/count", `[]`, 200, "")
		h := s.Health()
		if !h[0].Connected || h[0].Connects != 1 || h[0].Failed != 2 || h[0].Refused != 1 || h[1].Failed != 1 || h[1].Connects != 1 {
			t.Errorf("health %+v, want 2 failures, one refusal, one failure, and the connections of the start", h)
		}
	})
}

// TestDownstreamComesAndGoes: V9, V10. No restart of the gateway, no doubled handlers.
func TestDownstreamComesAndGoes(t *testing.T) {
	t.Parallel()
	for _, d := range []gateway.Dialect{gateway.Core, gateway.Classic} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			first := newChat(t, "") // for an address that is free
			addr := first.addr
			first.stop()
			hub := (&chat{addr: addr}).as(d)
			hub.Reconnect = hubbub.RetryDelays() // calls alone make it try again
			s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) { g.AddHub("chat", hub).AddRoute("room", room) })
			a := s.listen("ReceiveMessage")
			s.post("chat/room", `[{"name":"A","message":"0"}]`, 503, "not connected")
			if h := s.Health()[0]; h.Connected || h.Err == nil {
				t.Errorf("health %+v, want none and why", h)
			}
			for _, n := range []string{"1", "2", "3"} {
				c := newChat(t, addr)
				s.post("chat/room", `[{"name":"A","message":"`+n+`"}]`, 200, "")
				a.hears(`ReceiveMessage[["A","` + n + `"],{}]`)
				c.stop()
				eventually(t, "lost", func() bool { return !s.Health()[0].Connected })
			}
			if h := s.Health()[0]; h.Connects != 3 || h.Delivered != 3 {
				t.Errorf("health %+v, want 3 connections and 3 deliveries", h)
			}
		})
	}
}

// TestReconnects: V10, with nobody who asks.
func TestReconnects(t *testing.T) {
	t.Parallel()
	for _, d := range []gateway.Dialect{gateway.Core, gateway.Classic} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			c := newChat(t, "")
			hub := c.as(d)
			hub.Reconnect = hubbub.RetryForever(time.Millisecond, 10*time.Millisecond)
			hub.Header = http.Header{"X-Who": {"gateway"}}
			hub.Token = func(context.Context) (string, error) { return "secret", nil }
			s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) { g.AddHub("chat", hub).AddRoute("room", room) }).connected()
			if got := <-c.header; got.Get("X-Who") != "gateway" || got.Get("Authorization") != "Bearer secret" {
				t.Errorf("headers %v, want those of the hub", got)
			}
			a := s.listen("ReceiveMessage")
			c.say("ReceiveMessage", "before")
			a.hears(`ReceiveMessage[["before"],{}]`)
			c.stop()
			eventually(t, "lost", func() bool { return !s.Health()[0].Connected })
			c = newChat(t, c.addr)
			s.connected()
			c.say("ReceiveMessage", "after", 12345678901234567)
			a.hears(`ReceiveMessage[["after",12345678901234567],{}]`)
		})
	}
}
