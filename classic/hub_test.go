package classic_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
)

func classicHandler(hubs ...*hubbub.Hub) { classic.Handler(nil, hubs...) }

// streams are the transports whose answers the tests read in the same way.
var streams = []string{"webSockets", "serverSentEvents"}

// TestCalls are the answers to calls (SignalR 2.x, "Result"), over a socket and as bodies of POSTs.
func TestCalls(t *testing.T) {
	t.Parallel()
	tests := []struct{ call, answer, detailed string }{
		{`{"H":"refhub","M":"Echo","A":["hi<>é"],"I":0}`, `{"R":"hi<>é","I":"0"}`, ""},
		{`{"I":"1","H":"RefHub","M":"echo","A":["x"]}`, `{"R":"x","I":"1"}`, ""},
		{`{"h":"REFHUB","m":"ADD","a":[1,2],"i":2}`, `{"R":3,"I":"2"}`, ""},
		{`{"H":"refhub","M":"Nothing","I":3}`, `{"I":"3"}`, ""},
		{`{"H":"refhub","M":"Nothing","A":[]}`, `{"I":null}`, ""},
		{`{"H":"refhub","M":"Point","A":[{"x":1,"Y":2,"name":"n","Other":true}],"I":4}`, `{"R":{"X":2,"Y":2,"Name":"n"},"I":"4"}`, ""},
		{`{"H":"refhub","M":"Throw","I":8}`, `{"I":"8","E":"There was an error invoking Hub method 'refhub.Throw'."}`, `{"I":"8","E":"boom"}`},
		{`{"H":"refhub","M":"HubThrow","I":9}`, `{"I":"9","H":true,"E":"hub boom"}`, `{"I":"9","H":true,"E":"hub boom"}`},
		{`{"H":"refhub","M":"HubThrowData","I":10}`, `{"I":"10","H":true,"E":"hub boom","D":{"Code":42}}`, ""},
		{`{"H":"refhub","M":"NoSuch","I":11}`, `{"I":"11","E":"There was an error invoking Hub method 'refhub.NoSuch'."}`,
			`{"I":"11","E":"'NoSuch' method could not be resolved. No method found with that name."}`},
		{`{"H":"refhub","M":"Echo","A":[],"I":12}`, `{"I":"12","E":"There was an error invoking Hub method 'refhub.Echo'."}`, `{"I":"12","E":"'Echo' method could not be resolved.*`},
		{`{"H":"refhub","M":"Add","A":[{},2],"I":13}`, `{"I":"13","E":"There was an error invoking Hub method 'refhub.Add'."}`, `{"I":"13","E":"*`},
		{`{"H":"refhub","M":"Closed","I":14}`, `{"I":"14","E":"There was an error invoking Hub method 'refhub.Closed'."}`,
			`{"I":"14","E":"Caller is not authorized to invoke the Closed method on RefHub."}`},
		{`{"H":"authhub","M":"Secret","I":15}`, `{"I":"15","E":"There was an error invoking Hub method 'authhub.Secret'."}`, ""},
		{`{"H":"nohub","M":"x","I":16}`, `{"I":"16","E":"There was an error invoking Hub method 'nohub.x'."}`, `{"I":"16","E":"'nohub' Hub could not be resolved."}`},
		{`{"H":"refhub","M":"Stream","I":17}`, `{"I":"17","E":"There was an error invoking Hub method 'refhub.Stream'."}`, ""},
		{`{"H":"refhub","M":"Ask","I":18}`, `{"I":"18","H":true,"E":"classic SignalR clients cannot return results"}`, ""},
		{`{"H":"refhub","M":"Echo","A":["x"],"I":19,"S":{"big":"` + strings.Repeat("x", 4200) + `"}}`, `{"I":"19","E":"*`, ""},
		{`{"H":"refhub","M":"Nothing","I":"a\u0000b"}`, `{"I":"a\u0000b"}`, ""},
		{`{"H":"no\u0000hub","M":"x\u0000y","I":"21"}`, `{"I":"21","E":"There was an error invoking Hub method 'no\u0000hub.x\u0000y'."}`, ""},
		{`{"H":"refhub","I":20}`, `{"I":"20","E":"*`, ""},
	}
	for _, transport := range streams {
		for _, details := range []bool{false, true} {
			t.Run(fmt.Sprint(transport, details), func(t *testing.T) {
				t.Parallel()
				s := newServer(t, func(c *config) { c.hub.EnableDetailedErrors = details })
				_, ch := s.connect(transport)
				for _, test := range tests {
					want := test.answer
					if details && test.detailed != "" {
						want = test.detailed
					}
					if got := ch.call(test.call); !like(got, want) && !(details && test.detailed == "" && strings.Contains(got, `"E":`)) {
						t.Errorf("%s: %s, want %s", test.call, got, want)
					}
				}
			})
		}
	}
}

// TestGarbage: what cannot be read disturbs nobody: a socket goes on, a POST is answered with 500.
func TestGarbage(t *testing.T) {
	t.Parallel()
	garbage := []string{"", "x", "{", "[]", `"text"`, `{"H":1,"M":2}`, `{"A":[1]}`, strings.Repeat("[", 30) + strings.Repeat("]", 30)}
	s := newServer(t)
	_, ch := s.connect("webSockets")
	for _, g := range garbage {
		ch.write(g)
	}
	if got := ch.call(`{"H":"refhub","M":"Echo","A":["alive"],"I":1}`); got != `{"R":"alive","I":"1"}` {
		t.Errorf("after garbage: %s", got)
	}
	c, _ := s.connect("serverSentEvents")
	for _, g := range garbage {
		if status, body := c.send(g); status != 500 || body != "" {
			t.Errorf("send %q: status %d, body %q, want 500 and nothing", g, status, body)
		}
	}
}

// TestState: what a method changes comes back with its answer, and with what it sends to its caller (SignalR 2.x, "state").
func TestState(t *testing.T) {
	t.Parallel()
	for _, transport := range streams {
		s := newServer(t)
		_, ch := s.connect(transport)
		if transport == "webSockets" {
			ch.write(`{"H":"refhub","M":"State","I":1,"S":{"color":"blue","other":1}}`)
			if got := ch.messages(1)[0]; got != `{"H":"RefHub","M":"Msg","A":["state","blue"],"S":{"color":"red","count":5}}` {
				t.Errorf("message %s", got)
			}
			if got := ch.read().raw; got != `{"S":{"color":"red","count":5},"R":"blue","I":"1"}` {
				t.Errorf("answer %s", got)
			}
			continue
		}
		if got := ch.call(`{"H":"refhub","M":"State","I":1,"S":{"color":"blue"}}`); got != `{"S":{"color":"red","count":5},"R":"blue","I":"1"}` {
			t.Errorf("answer %s", got)
		}
	}
}

// TestProgress comes inside envelopes, before the answer.
func TestProgress(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, ch := s.connect("webSockets")
	ch.write(`{"H":"refhub","M":"Progress","A":[3],"I":39}`)
	for i, m := range ch.messages(3) {
		if want := fmt.Sprintf(`{"I":"P|39","P":{"I":"39","D":%d}}`, i); m != want {
			t.Errorf("progress %s, want %s", m, want)
		}
	}
	if got := ch.read().raw; got != `{"R":"done","I":"39"}` {
		t.Errorf("answer %s", got)
	}
}

// TestMessages: who is meant hears, once, in the server's spelling; who has not listed the hub does not.
func TestMessages(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, a := s.connect("webSockets")
	_, b := s.connect("serverSentEvents")
	_, silent := s.connect("webSockets", func(c *client) { c.hubs = "[]" })
	if got := silent.call(`{"H":"refhub","M":"Broadcast","A":["m1"],"I":0}`); got != `{"I":"0"}` {
		t.Errorf("call of a hub that is not listed: %s", got)
	}
	for _, ch := range []*channel{a, b} {
		if got := ch.messages(1)[0]; got != `{"H":"RefHub","M":"Msg","A":["all","m1"]}` {
			t.Errorf("message %s", got)
		}
	}
	if got := silent.call(`{"H":"refhub","M":"Join","A":["g"],"I":1}`); got != `{"I":"1"}` {
		t.Errorf("join without listing: %s", got)
	}
	a.call(`{"H":"refhub","M":"Join","A":["g"],"I":1}`)
	b.call(`{"H":"refhub","M":"ToGroup","A":["g","m2"],"I":1}`)
	if got := a.messages(1)[0]; got != `{"H":"RefHub","M":"Msg","A":["g","m2"]}` {
		t.Errorf("message to the group %s", got)
	}
	b.call(`{"H":"refhub","M":"Broadcast","A":["m3"],"I":2}`)
	if got := b.messages(1)[0]; !strings.Contains(got, "m3") {
		t.Errorf("b got %s, want only m3: it is not in the group", got)
	}
	if got := silent.call(`{"H":"refhub","M":"Echo","A":["only this"],"I":2}`); got != `{"R":"only this","I":"2"}` {
		t.Errorf("the silent one got %s", got)
	}
}

// TestOrder: what one goroutine sends arrives in its order, whatever hub it is from, once.
func TestOrder(t *testing.T) {
	t.Parallel()
	for _, transport := range streams {
		s := newServer(t)
		_, ch := s.connect(transport, func(c *client) { c.user = "member"; c.hubs = `[{"name":"refhub"},{"name":"authhub"}]` })
		const n = 2000
		for i := range n {
			hub := s.hub
			if i%3 == 0 {
				hub = s.only
			}
			if err := hub.All().Send(t.Context(), "Msg", i); err != nil {
				t.Fatal(err)
			}
		}
		for i, m := range ch.messages(n) {
			if want := fmt.Sprintf(`"A":[%d]}`, i); !strings.HasSuffix(m, want) {
				t.Fatalf("%s: message %d is %s, want %s", transport, i, m, want)
			}
		}
	}
}

// TestEvents: OnConnected runs once, in start, for the hubs that are listed and allowed.
func TestEvents(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.negotiated("webSockets", func(c *client) { c.hubs = `[{"name":"authhub"},{"name":"refhub"}]` })
	ch := c.open("connect")
	ch.read()
	if got := s.eventsOf(c.id); len(got) != 0 {
		t.Errorf("events before start: %v", got)
	}
	c.start()
	c.start()
	if got := fmt.Sprint(s.eventsOf(c.id)); got != "[connected:RefHub]" {
		t.Errorf("events after start: %s", got)
	}
	c.abort()
	if code := ch.ended(); code != 1000 {
		t.Errorf("close code after abort %d, want 1000", code)
	}
	s.heard("disconnected:RefHub " + c.id + " stopCalled=true")
}

// TestOldProtocol: before 1.4 there is no start; connect is one.
func TestOldProtocol(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.negotiated("webSockets", func(c *client) { c.protocol = "1.3" })
	ch := c.open("connect")
	if f := ch.read(); f.S == nil {
		t.Errorf("first envelope %s", f.raw)
	}
	if got := fmt.Sprint(s.eventsOf(c.id)); got != "[connected:RefHub]" {
		t.Errorf("events with S: %s", got)
	}
}

// TestNoStart: a client that never asks for a start can call all the same, and connects then.
func TestNoStart(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.negotiated("webSockets", func(c *client) { c.protocol = "1.5" })
	ch := c.open("connect")
	ch.read()
	if got := ch.call(`{"H":"refhub","M":"Echo","A":["x"],"I":1}`); got != `{"R":"x","I":"1"}` {
		t.Errorf("answer %s", got)
	}
	if got := fmt.Sprint(s.eventsOf(c.id)); got != "[connected:RefHub]" {
		t.Errorf("events: %s", got)
	}
}

// TestRefused: an OnConnected that fails is a start that fails, with 500, and the end.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *config) {
		c.setup = func(_ *server, h *hubbub.Hub) {
			h.Use() // the last to register
		}
	})
	hub := hubbub.NewHub("Refusing", &hubbub.Options{Logger: s.hub.Options().Logger})
	hub.OnConnected(func(context.Context) error { return hubbub.Errorf("not today") })
	other := serve(t, hub)
	c := other.negotiated("webSockets", func(c *client) { c.hubs = `[{"name":"refusing"}]` })
	ch := c.open("connect")
	ch.read()
	if status, body := c.get("start", nil); status != 500 || body != "" {
		t.Errorf("start: status %d, body %q, want 500 and nothing", status, body)
	}
	if code := ch.ended(); code != 1000 {
		t.Errorf("close code %d, want 1000", code)
	}
}

// TestTooLong: a message of more than 64 KiB ends the socket with 1009, not the connection.
func TestTooLong(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, ch := s.connect("webSockets")
	long := func(n int) string {
		m := `{"H":"refhub","M":"Echo","A":[""],"I":1}`
		return m[:len(m)-9] + strings.Repeat("x", n-len(m)) + m[len(m)-9:]
	}
	if got := ch.call(long(65536)); len(got) < 65000 {
		t.Errorf("64 KiB: answer of %d bytes", len(got))
	}
	ch.write(long(65537))
	if code := ch.ended(); code != 1009 {
		t.Errorf("close code %d, want 1009", code)
	}
	ch = c.open("reconnect")
	if got := ch.call(`{"H":"refhub","M":"Echo","A":["back"],"I":1}`); got != `{"R":"back","I":"1"}` {
		t.Errorf("after coming back: %s", got)
	}
}

// TestBinary: a binary message ends the socket.
func TestBinary(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, ch := s.connect("webSockets")
	if err := ch.socket.Write(t.Context(), websocket.MessageBinary, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if code := ch.ended(); code != 1003 {
		t.Errorf("close code %d, want 1003", code)
	}
}

// TestAbortByServer: the client hears why it must not come back, and cannot.
func TestAbortByServer(t *testing.T) {
	t.Parallel()
	for _, transport := range streams {
		s := newServer(t)
		c, ch := s.connect(transport)
		if transport == "webSockets" {
			ch.write(`{"H":"refhub","M":"Abort","I":1}`)
		} else {
			go c.send(`{"H":"refhub","M":"Abort","I":1}`)
		}
		for ch.read().E == nil {
		}
		ch.ended()
		s.heard("disconnected:RefHub " + c.id)
		c.transport = "serverSentEvents"
		if status, body := c.get("reconnect", c.resume()); status != 400 || body != "The connection has ended." {
			t.Errorf("%s: reconnect: status %d, body %q", transport, status, body)
		}
	}
}

// TestKeepAlive: a stream with nothing to say says {} now and then, a poll a blank.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	quick := func(c *config) { c.classic.DisconnectTimeout, c.classic.KeepAlive = 6*time.Second, 2*time.Second }
	s := newServer(t, quick)
	for _, transport := range streams {
		_, ch := s.connect(transport)
		if text, err := ch.text(); text != "{}" || err != nil {
			t.Errorf("%s: %q, error %v, want {}", transport, text, err)
		}
	}
	c := s.negotiated("longPolling")
	_, body := c.get("connect", nil)
	c.parse(body)
	c.start()
	res := c.request(http.MethodGet, "poll", c.resume(), nil)
	blank := make([]byte, 1)
	if _, err := io.ReadFull(res.Body, blank); err != nil || blank[0] != ' ' {
		t.Errorf("poll begins with %q, error %v, want a blank", blank, err)
	}
	s.send("x")
	if _, rest := whole(t, res); !strings.HasPrefix(strings.TrimLeft(rest, " "), `{"C":`) {
		t.Errorf("poll goes on with %q, want an envelope", rest)
	}
}

// serve serves one more hub as the tests do.
func serve(t testing.TB, hub *hubbub.Hub) *server {
	t.Helper()
	s := &server{t: t, hub: hub, only: hubbub.NewHub("none", nil), came: make(chan struct{}, 1)}
	s.mount(&classic.Options{Keys: ringOf(t, "k")}, hub)
	return s
}

// TestManyPosts: calls that come side by side are all answered, each with its own result.
func TestManyPosts(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, _ := s.connect("serverSentEvents")
	for range 20 {
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.address("send", nil),
					strings.NewReader("data="+url.QueryEscape(fmt.Sprintf(`{"H":"refhub","M":"Add","A":[%d,1],"I":%d}`, i, i))))
				if err != nil {
					t.Error(err)
					return
				}
				res, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				defer res.Body.Close()
				b, err := io.ReadAll(res.Body)
				if want := fmt.Sprintf(`{"R":%d,"I":"%d"}`, i+1, i); err != nil || string(b) != want {
					t.Errorf("answer %q, error %v, want %s", b, err, want)
				}
			})
		}
		all.Wait()
	}
}
