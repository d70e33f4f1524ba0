package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/gateway"
)

// service starts one that answers with f.
func service(t testing.TB, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

// echo answers with what has come.
func echo(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Method", r.Method)
	fmt.Fprintf(w, "%s %s %s %s", r.Method, r.RequestURI, r.Header.Get("Content-Type"), b)
}

// TestV14Verbs: each verb with and without parameters.
func TestV14Verbs(t *testing.T) {
	t.Parallel()
	base := service(t, echo)
	s := newServer(t, gateway.Config{MaxBodySize: 100}, func(g *gateway.Gateway) {
		g.AddAPI("Weather", gateway.API{BaseURLs: []string{base + "/v1/"}}).
			AddRoute("forecast", gateway.Route{Path: "forecast"}).
			AddRoute("types", gateway.Route{Verb: "get", Path: "/types/"}).
			AddRoute("typed", gateway.Route{Path: "types/{id}/of?y={Year}&z=1"}).
			AddRoute("add", gateway.Route{Verb: "POST", Path: "types"}).
			AddRoute("put", gateway.Route{Verb: "PUT", Path: "types"}).
			AddRoute("patch", gateway.Route{Verb: "PATCH", Path: "types"}).
			AddRoute("drop", gateway.Route{Verb: "DELETE", Path: "types/"})
	})
	for _, x := range []struct{ method, path, body, want string }{
		{"GET", "weather/forecast", "", "GET /v1/forecast application/json "},
		{"GET", "WEATHER/Forecast?other=1", "", "GET /v1/forecast application/json "},
		{"GET", "weather/types?parameters=7", "", "GET /v1/types/7 application/json "},
		{"GET", "weather/types?Parameters=a%2Fb%20c%3Fd%3De%20f%26g%3D%23", "", "GET /v1/types/a/b%20c?d=e%20f&g=%23 application/json "},
		{"GET", "weather/typed?parameters=id%3D7%26year%3D20%2F6", "", "GET /v1/types/7/of?y=20%2F6&z=1 application/json "},
		{"GET", "weather/typed?parameters=ID%3Da%2Fb%3Fc%26year%3D1", "", "GET /v1/types/a%2Fb%3Fc/of?y=1&z=1 application/json "},
		{"POST", "weather/add", `{"a":1}`, `POST /v1/types application/json {"a":1}`},
		{"PUT", "weather/put?parameters=%3Fid%3D1", `{"a":2}`, `PUT /v1/types?id=1 application/json {"a":2}`},
		{"PATCH", "weather/patch", `[{"op":"remove","path":"/a"}]`, `PATCH /v1/types application/json-patch+json [{"op":"remove","path":"/a"}]`},
		{"DELETE", "weather/drop?parameters=5", "", "DELETE /v1/types/5 application/json "},
	} {
		status, header, body := s.do(x.method, "/api/Gateway/"+x.path, x.body)
		if status != 200 || body != x.want || header.Get("X-Method") != x.method || header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: status %d, headers %v, body %q, want %q", x.method, x.path, status, header, body, x.want)
		}
	}
	if status, header, body := s.do("HEAD", "/api/Gateway/weather/forecast", ""); status != 200 || body != "" || header.Get("X-Method") != "HEAD" {
		t.Errorf("HEAD: status %d, headers %v, body %q", status, header, body)
	}
	for _, x := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "none/forecast", "", 404}, {"GET", "weather/none", "", 404}, {"POST", "weather/forecast", "{}", 404}, {"GET", "weather/add", "", 404},
		{"HEAD", "weather/add", "", 404}, {"OPTIONS", "weather/forecast", "", 404}, {"GET", "weather", "", 404}, {"GET", "weather/forecast/x", "", 404},
		{"GET", "weather/typed?parameters=id%3D7", "", 400}, {"GET", "weather/typed?parameters=id%3D..%26year%3D1", "", 400},
		{"GET", "weather/types?parameters=..%2Fadmin", "", 400}, {"GET", "weather/types?parameters=%252e%252e%2Fadmin", "", 400},
		{"GET", "weather/types?parameters=x%2F..%5C..%5Cadmin", "", 400}, {"GET", "weather/types?parameters=%zz", "", 400},
		{"POST", "weather/add", strings.Repeat("x", 101), 413},
	} {
		status, _, body := s.do(x.method, "/api/Gateway/"+x.path, x.body)
		if status != x.status || (status == 404 && body != "") {
			t.Errorf("%s %s: status %d, body %q, want %d", x.method, x.path, status, body, x.status)
		}
	}
}

// TestStatusPassesThrough: V15. So do headers, but those of one connection; redirects are not followed.
func TestStatusPassesThrough(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 20)
	base := service(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header
		status := 0
		fmt.Sscanf(r.URL.Path, "/%d", &status)
		h := w.Header()
		h.Set("X-Answer", "yes")
		h.Set("X-Private", "no")
		h.Set("Connection", "X-Private")
		h.Set("Location", "/elsewhere")
		h.Set("Cache-Control", "max-age=3")
		w.WriteHeader(status)
		io.WriteString(w, "why")
	})
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		g.AddAPI("a", gateway.API{BaseURLs: []string{base}, Header: http.Header{"X-Gateway": {"g"}}}).AddRoute("r", gateway.Route{})
	})
	for _, status := range []int{200, 201, 302, 400, 401, 404, 409, 500, 503} {
		code, header, body := s.do("GET", fmt.Sprintf("/api/Gateway/a/r?parameters=%d", status), "",
			"X-Own", "o", "X-Gateway", "forged", "Connection", "X-Hop", "X-Hop", "h", "Te", "trailers", "Authorization", "Bearer t", "User-Agent", "me")
		if code != status || body != "why" || header.Get("X-Answer") != "yes" || header.Get("X-Private") != "" || header.Get("Cache-Control") != "max-age=3" {
			t.Errorf("%d: status %d, headers %v, body %q", status, code, header, body)
		}
		h := <-got
		if h.Get("X-Own") != "o" || h.Get("X-Gateway") != "g" || h.Get("X-Hop") != "" || h.Get("Te") != "" || h.Get("Authorization") != "Bearer t" ||
			h.Get("User-Agent") != "me" || h.Get("X-Forwarded-For") != "127.0.0.1" || h.Get("Accept-Encoding") != "" {
			t.Errorf("the service got %v", h)
		}
	}
}

// TestServiceFails: down is 502, slow is 504, and another service is not concerned.
func TestServiceFails(t *testing.T) {
	t.Parallel()
	good := service(t, echo)
	slow := service(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // else the server does not see that the client leaves
		<-r.Context().Done()
	})
	rude := service(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		g.AddAPI("good", gateway.API{BaseURLs: []string{good}}).AddRoute("r", gateway.Route{})
		g.AddAPI("slow", gateway.API{BaseURLs: []string{slow}}).AddRoute("r", gateway.Route{Timeout: 50 * time.Millisecond})
		g.AddAPI("rude", gateway.API{BaseURLs: []string{rude}}).AddRoute("r", gateway.Route{})
		g.AddAPI("down", gateway.API{BaseURLs: []string{closedAddress(t)}}).AddRoute("r", gateway.Route{})
	})
	for key, want := range map[string]int{"slow": 504, "rude": 502, "down": 502, "good": 200} {
		status, header, body := s.do("GET", "/api/Gateway/"+key+"/r", "")
		if status != want || (want != 200 && header.Get("Content-Type") != "application/problem+json; charset=utf-8") {
			t.Errorf("%s: status %d, body %q, want %d and a problem", key, status, body, want)
		}
	}
}

// closedAddress returns one where nobody listens.
func closedAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// TestV14Balance: a random spread, an exact alternation, the idle one of two; and none of it sends to an address that is down.
func TestV14Balance(t *testing.T) {
	t.Parallel()
	hold, entered := make(chan struct{}), make(chan struct{})
	var counts [2]atomic.Int64
	name := func(i int) string {
		return service(t, func(w http.ResponseWriter, r *http.Request) {
			counts[i].Add(1)
			if r.URL.Path == "/hold" {
				entered <- struct{}{}
				<-hold
			}
			fmt.Fprint(w, i)
		})
	}
	urls := []string{name(0), name(1)}
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		g.AddAPI("random", gateway.API{BaseURLs: urls}).AddRoute("r", gateway.Route{})
		g.AddAPI("turns", gateway.API{BaseURLs: urls, Balance: gateway.RoundRobin}).AddRoute("r", gateway.Route{})
		g.AddAPI("least", gateway.API{BaseURLs: urls, Balance: gateway.LeastPending}).AddRoute("r", gateway.Route{}).AddRoute("hold", gateway.Route{Path: "hold"})
		g.AddAPI("half", gateway.API{BaseURLs: []string{closedAddress(t), urls[0]}, Balance: gateway.RoundRobin}).AddRoute("r", gateway.Route{})
	})
	get := func(path string) string {
		_, _, body := s.do("GET", "/api/Gateway/"+path, "")
		return body
	}
	for i := range 10 {
		if got := get("turns/r"); got != fmt.Sprint(i%2) {
			t.Errorf("turn %d went to %s", i, got)
		}
	}
	before := [2]int64{counts[0].Load(), counts[1].Load()}
	for range 60 {
		get("random/r")
	}
	for i := range counts {
		if n := counts[i].Load() - before[i]; n < 5 || n > 55 {
			t.Errorf("%d of 60 random requests went to %d", n, i)
		}
	}
	busy := make(chan string)
	go func() { busy <- get("least/hold") }()
	<-entered
	idle := get("least/r")
	for range 5 {
		if got := get("least/r"); got != idle {
			t.Errorf("least pending went to %s, then to %s", idle, got)
		}
	}
	close(hold)
	if got := <-busy; got == idle {
		t.Errorf("all went to %s, though one waited there", got)
	}
	if got := get("half/r"); !strings.Contains(got, "502") {
		t.Errorf("the address that is down: %s, want 502", got)
	}
	for range 4 {
		if got := get("half/r"); got != "0" {
			t.Errorf("then: %s, want the other address alone", got)
		}
	}
}

// TestV14TurnsAreExactForMany: concurrent requests share round robin fairly, without a race, whatever the number of addresses.
func TestV14TurnsAreExactForMany(t *testing.T) {
	t.Parallel()
	const clients, each = 50, 6
	for _, n := range []int{2, 3, 5} {
		h := &hosts{status: make(map[string]int), checks: make(map[string]int)}
		var urls []string
		for i := range n {
			urls = append(urls, fmt.Sprintf("http://%d.example", i))
		}
		g := offline(t, gateway.Config{}, func(g *gateway.Gateway) {
			g.AddAPI("a", gateway.API{BaseURLs: urls, Balance: gateway.RoundRobin, Transport: h}).AddRoute("r", gateway.Route{})
		})
		handler := g.Handler()
		var wait sync.WaitGroup
		for range clients {
			wait.Go(func() {
				for range each {
					ask(handler, "a/r")
				}
			})
		}
		wait.Wait()
		for _, b := range g.APIHealth()[0].Backends {
			if b.Taken != uint64(clients*each/n) || b.Pending != 0 {
				t.Errorf("%d addresses: %s got %d requests, %d of them not over, want %d", n, b.URL, b.Taken, b.Pending, clients*each/n)
			}
		}
	}
}

// TestOrchestration: V16.
func TestOrchestration(t *testing.T) {
	t.Parallel()
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		g.AddAPI("Weather", gateway.API{BaseURLs: []string{"http://localhost:1"}}).
			AddRoute("Forecast", gateway.Route{Path: "f/{id}", ResponseSchema: []byte(`{"type":"array"}`)}).AddRoute("add", gateway.Route{Verb: "POST"})
		g.AddHub("Chat", gateway.Hub{URL: "http://localhost:1/x", ReceiveKey: secret}).AddRoute("Room", room).
			AddRoute("ops", gateway.HubRoute{ReceiveMethod: "X", BroadcastType: gateway.BroadcastGroup, ReceiveGroup: "Ops"})
	})
	forecast := `{"key":"forecast","verb":"GET","downstreamPath":"f/{id}","requestJsonSchema":null,"responseJsonSchema":{"type":"array"}}`
	add := `{"key":"add","verb":"POST","downstreamPath":"","requestJsonSchema":null,"responseJsonSchema":null}`
	roomEntry := `{"key":"room","invokeMethod":"SendMessage","receiveMethod":"ReceiveMessage","receiveGroup":"","broadcastType":"All","receiveParameterTypes":["string","string"]}`
	ops := `{"key":"ops","invokeMethod":"","receiveMethod":"X","receiveGroup":"Ops","broadcastType":"Group","receiveParameterTypes":[]}`
	api := func(routes ...string) string {
		return `{"api":"weather","orchestrationType":0,"apiRoutes":[` + strings.Join(routes, ",") + `]}`
	}
	hub := func(routes ...string) string {
		return `{"api":"chat","orchestrationType":1,"hubRoutes":[` + strings.Join(routes, ",") + `]}`
	}
	for query, want := range map[string]string{
		"":                           "[" + api(forecast, add) + "," + hub(roomEntry, ops) + "]",
		"?apiKey=EATH":               "[" + api(forecast, add) + "]",
		"?api=cha":                   "[" + hub(roomEntry, ops) + "]",
		"?routeKey=O":                "[" + api(forecast) + "," + hub(roomEntry, ops) + "]",
		"?key=oom":                   "[" + hub(roomEntry) + "]",
		"?APIKEY=weather&RouteKey=a": "[" + api(forecast, add) + "]",
		"?apiKey=chat&api=weather":   "[" + hub(roomEntry, ops) + "]",
		"?api=weather&key=add":       "[" + api(add) + "]",
		"?api=weather&key=room":      "[]",
	} {
		status, _, body := s.do("GET", "/api/Gateway/Orchestration"+query, "")
		if status != 200 || body != want {
			t.Errorf("%s: status %d\n%s, want\n%s", query, status, body, want)
		}
	}
	if status, _, body := s.do("POST", "/api/Gateway/orchestration", ""); status != 404 || body != "" {
		t.Errorf("POST: status %d, body %q, want 404", status, body)
	}
}

// TestAPIRegistration: what cannot work is refused at once, with the reason.
func TestAPIRegistration(t *testing.T) {
	t.Parallel()
	good := gateway.API{BaseURLs: []string{"http://localhost:1"}}
	for want, f := range map[string]func(g *gateway.Gateway){
		"the key is taken": func(g *gateway.Gateway) { g.AddAPI("a", good); g.AddAPI("A", good) },
		"route": func(g *gateway.Gateway) {
			g.AddAPI("route", good).AddRoute("r", gateway.Route{}).AddRoute("R", gateway.Route{})
		},
		"no BaseURLs":  func(g *gateway.Gateway) { g.AddAPI("a", gateway.API{}) },
		"want http://": func(g *gateway.Gateway) { g.AddAPI("a", gateway.API{BaseURLs: []string{"localhost"}}) },
		"balance 9":    func(g *gateway.Gateway) { g.AddAPI("a", gateway.API{BaseURLs: good.BaseURLs, Balance: 9}) },
		`verb "TRACE"`: func(g *gateway.Gateway) { g.AddAPI("a", good).AddRoute("r", gateway.Route{Verb: "trace"}) },
		"want a name":  func(g *gateway.Gateway) { g.AddAPI("a", good).AddRoute("r", gateway.Route{Path: "x/{}"}) },
		"} without {":  func(g *gateway.Gateway) { g.AddAPI("a", good).AddRoute("r", gateway.Route{Path: "x}"}) },
		"fragment":     func(g *gateway.Gateway) { g.AddAPI("a", good).AddRoute("r", gateway.Route{Path: "x#y"}) },
		"no JSON":      func(g *gateway.Gateway) { g.AddAPI("a", good).AddRoute("r", gateway.Route{RequestSchema: []byte("{")}) },
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

// TestAnswersStream: what a service says comes at once, though its answer goes on.
func TestAnswersStream(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	base := service(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		select {
		case <-more:
		case <-r.Context().Done():
		}
		io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		select {
		case <-more:
		case <-r.Context().Done():
		}
		io.WriteString(w, "data: 2\n\n")
	})
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		g.AddAPI("a", gateway.API{BaseURLs: []string{base}, Cache: time.Hour}).AddRoute("r", gateway.Route{})
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", s.url+"/api/Gateway/a/r", nil)
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := web.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	more <- struct{}{} // the status is here already
	first := make([]byte, 9)
	if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != "data: 1\n\n" {
		t.Fatalf("first %q, error %v", first, err)
	}
	close(more)
	if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "data: 2\n\n" {
		t.Errorf("then %q, error %v", rest, err)
	}
}
