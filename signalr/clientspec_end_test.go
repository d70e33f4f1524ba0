package signalr_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// ending is one way in which a connection ends.
type ending struct {
	name       string
	transports signalr.Transport // where it happens
	do         func(p *fakePeer)
	proper     bool   // the client is told no error
	text       string // part of the error otherwise
	final      bool   // there is no reconnect
}

const streams = signalr.WebSockets | signalr.ServerSentEvents

var endings = []ending{
	{"close", signalr.AllTransports, func(p *fakePeer) { p.say(`{"type":7}`) }, true, "", true},
	{"close, not to come back", signalr.AllTransports, func(p *fakePeer) { p.say(`{"type":7,"allowReconnect":false}`) }, true, "", true},
	{"close, to come back", signalr.AllTransports, func(p *fakePeer) { p.say(`{"type":7,"allowReconnect":true}`) }, true, "", false},
	{"close with error", signalr.AllTransports, func(p *fakePeer) { p.say(`{"type":7,"error":"E1"}`) }, false,
		"the server closed the connection with the following error: E1", true},
	{"close with error, to come back", signalr.AllTransports, func(p *fakePeer) { p.say(`{"type":7,"error":"E1","allowReconnect":true}`) }, false,
		"the server closed the connection with the following error: E1", false},
	{"close with an empty error", signalr.WebSockets, func(p *fakePeer) { p.say(`{"type":7,"error":"","allowReconnect":true}`) }, true, "", false},
	{"close, messages behind it", signalr.WebSockets, func(p *fakePeer) {
		p.say(`{"type":7,"allowReconnect":true}`, `{"type":3,"invocationId":"1","result":1}`)
	}, true, "", false},
	{"end of the transport", signalr.AllTransports, func(p *fakePeer) { p.end(websocket.StatusNormalClosure) }, true, "", false},
	{"close frame without status", signalr.WebSockets, func(p *fakePeer) { p.end(websocket.StatusNoStatusRcvd) }, true, "", false},
	{"close frame 1001", signalr.WebSockets, func(p *fakePeer) { p.end(websocket.StatusGoingAway) }, false, "StatusGoingAway", false},
	{"close frame 1011", signalr.WebSockets, func(p *fakePeer) { p.end(websocket.StatusInternalError) }, false, "StatusInternalError", false},
	{"cut", streams, func(p *fakePeer) { p.cut() }, false, "EOF", false},
	{"cut of a poll", signalr.LongPolling, func(p *fakePeer) { p.cut() }, false, "answer", false},
	{"cut in a message", streams, func(p *fakePeer) { p.send(`{"type":1,"tar`); p.cut() }, false, "EOF", false},
	{"protocol error", signalr.AllTransports, func(p *fakePeer) { p.say(`{"type":1}`) }, false, "Missing required property 'target'.", false},
}

// signalr-core client, what ends the connection, and what the user sees: every cause over every transport, with a call and a stream that
// wait, with and without automatic reconnect.
func TestClientSpecEndings(t *testing.T) {
	t.Parallel()
	for _, e := range endings {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			clientTransports(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
				if opts.Transports&e.transports == 0 {
					return
				}
				for _, reconnect := range []bool{false, true} {
					e.check(t, f, opts, reconnect)
				}
			})
		})
	}
}

func (e ending) check(t *testing.T, f *fakeServer, opts signalr.ClientOptions, reconnect bool) {
	t.Helper()
	type event struct {
		name string
		err  error
	}
	events := make(chan event, 4)
	if reconnect {
		opts.Reconnect = hubbub.RetryDelays(0)
	}
	opts.OnReconnecting = func(err error) { events <- event{"reconnecting", err} }
	opts.OnReconnected = func(id string) { events <- event{"reconnected " + id, nil} }
	opts.OnClosed = func(err error) { events <- event{"closed", err} }
	c, p := f.connect(opts, nil)
	call := calling[int](t.Context(), c, "Run")
	p.next()
	streamed := make(chan error, 1)
	go func() { streamed <- streamError(t, c) }()
	p.next()
	e.do(p)
	first := receive(t, "an event", events)
	want := "closed"
	if reconnect && !e.final {
		want = "reconnecting"
	}
	fits := func(what string, err, proper error) {
		t.Helper()
		if e.proper && !errors.Is(err, proper) || !e.proper && (err == nil || !strings.Contains(err.Error(), e.text)) {
			t.Errorf("%s, reconnect %v: %v, want %v, %q", what, reconnect, err, proper, e.text)
		}
	}
	if first.name != want {
		t.Errorf("reconnect %v: %s with %v, want %s", reconnect, first.name, first.err, want)
	}
	if e.proper && first.err != nil {
		t.Errorf("%s with %v, want no error", first.name, first.err)
	}
	fits(first.name, first.err, nil)
	fits("the call", receive(t, "the call", call).err, hubbub.ErrClosed)
	fits("the stream", receive(t, "the stream", streamed), hubbub.ErrClosed)
	p.wantEnd() // says no Close of its own
	if want == "closed" {
		if c.State() != hubbub.Disconnected {
			t.Errorf("the client is %v", c.State())
		}
		return
	}
	next := f.accept()
	if got := receive(t, "the reconnect", events); got.name != "reconnected "+strings.Replace(next.token, "tok", "id", 1) || next.token == p.token {
		t.Errorf("%s with the token %s after %s, want a new one", got.name, next.token, p.token)
	}
	call = calling[int](t.Context(), c, "Again")
	next.want(`{"type":1,"invocationId":"1","target":"Again","arguments":[]}`) // what waited is not sent again
	next.say(`{"type":3,"invocationId":"1","result":3}`)
	if a := receive(t, "the answer", call); a.v != 3 || a.err != nil {
		t.Errorf("after the reconnect: %d, %v", a.v, a.err)
	}
	c.Close()
	if got := receive(t, "the end", events); got.name != "closed" || got.err != nil {
		t.Errorf("%s with %v, want closed without error", got.name, got.err)
	}
	next.want(`{"type":7}`)
}

// signalr-core client, what ends the connection, row Close: a WebSocket is closed with 1000 after it, Long Polling with DELETE.
func TestClientSpecAfterClose(t *testing.T) {
	t.Parallel()
	clientTransports(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		_, p := f.connect(opts, nil)
		p.say(`{"type":7}`)
		p.wantEnd()
		switch opts.Transports {
		case signalr.WebSockets:
			if websocket.CloseStatus(p.why) != websocket.StatusNormalClosure {
				t.Errorf("the WebSocket ended with %v, want 1000", p.why)
			}
		case signalr.LongPolling:
			f.await("DELETE", 1)
		}
	})
}

// signalr-core client, what ends the connection, row POST or poll status not 2xx.
func TestClientSpecStatus(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		kind      string
		transport signalr.Transport
		status    int
	}{
		{"POST", signalr.ServerSentEvents, 404}, {"POST", signalr.LongPolling, 404}, {"POST", signalr.ServerSentEvents, 500},
		{"POST", signalr.LongPolling, 403}, {"poll", signalr.LongPolling, 404}, {"poll", signalr.LongPolling, 500}, {"poll", signalr.LongPolling, 409},
	} {
		t.Run(x.kind+" "+x.transport.String()+" "+http.StatusText(x.status), func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			var n atomic.Int32 // requests of this kind
			good := int32(2)   // POSTs: the handshake, and the ping of an event stream
			switch {
			case x.kind == "poll":
				good = 3 // one binds, one has the answer to the handshake, one waits
			case x.transport == signalr.LongPolling:
				good = 1
			}
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				if purpose(r) != x.kind || n.Add(1) <= good || r.URL.Query().Get("id") != "tok1" {
					return false
				}
				http.Error(w, "No Connection with that ID", x.status)
				return true
			}
			reasons := make(chan error, 1)
			opts := signalr.ClientOptions{Transports: x.transport}
			opts.Reconnect = hubbub.RetryDelays(0)
			opts.OnReconnecting = func(err error) { reasons <- err }
			c, p := f.connect(opts, nil)
			if x.transport == signalr.ServerSentEvents {
				p.any() // the ping
			}
			call := calling[int](t.Context(), c, "Run")
			if x.kind == "poll" {
				p.want(`{"type":1,"invocationId":"1","target":"Run","arguments":[]}`)
				p.say(ping) // ends the poll that runs
			}
			var e *signalr.HTTPError
			if err := receive(t, "the end", reasons); !errors.As(err, &e) || e.Status != x.status || e.What != x.kind || !strings.Contains(e.Body, "No Connection") {
				t.Errorf("reconnecting after %v, want status %d of the %s", err, x.status, x.kind)
			}
			if a := receive(t, "the call", call); !errors.As(a.err, &e) {
				t.Errorf("the call: %v", a.err)
			}
			f.accept()
		})
	}
}

// signalr-core client, stop: the hub's Close goes first, then the transport ends in its way; calls and streams that wait fail, and the
// closed event has no error. A second Close does nothing, and the client may start again.
func TestClientSpecStop(t *testing.T) {
	t.Parallel()
	clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		closed := make(chan error, 2)
		opts.OnClosed = func(err error) { closed <- err }
		opts.Reconnect = hubbub.StandardRetry()
		c, p := f.connect(opts, nil)
		for range 2 {
			call := calling[int](t.Context(), c, "Run")
			p.next()
			streamed := make(chan error, 1)
			go func() { streamed <- streamError(t, c) }()
			p.next()
			c.Close()
			if err := receive(t, "the event", closed); err != nil {
				t.Errorf("closed with %v", err)
			}
			if a := receive(t, "the call", call); !errors.Is(a.err, hubbub.ErrClosed) {
				t.Errorf("the call: %v", a.err)
			}
			if err := receive(t, "the stream", streamed); !errors.Is(err, hubbub.ErrClosed) {
				t.Errorf("the stream: %v", err)
			}
			p.want(`{"type":7}`)
			p.wantEnd()
			if opts.Transports == signalr.WebSockets && websocket.CloseStatus(p.why) != websocket.StatusNormalClosure {
				t.Errorf("the WebSocket ended with %v, want 1000", p.why)
			}
			c.Close()
			if len(closed) != 0 {
				t.Error("a second closed event")
			}
			f.start(c)
			p = f.accept()
		}
		if opts.Transports == signalr.LongPolling {
			list := f.await("DELETE", 2)
			if len(list) != 2 || list[0].url != "/hub?id=tok1" || list[1].url != "/hub?id=tok2" {
				t.Errorf("DELETE: %q, want one for each connection", paths(list))
			}
		}
	})
}

// signalr-core client, stop: the server may be faster, with a Close of its own, with the end of the transport, or with 404 for DELETE.
func TestClientSpecStopRace(t *testing.T) {
	t.Parallel()
	clientTransports(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if purpose(r) == "DELETE" {
				w.WriteHeader(http.StatusNotFound)
				return true
			}
			return false
		}
		for _, answer := range []func(p *fakePeer){
			func(p *fakePeer) { p.say(`{"type":7}`); p.end(websocket.StatusNormalClosure) },
			func(p *fakePeer) { p.end(websocket.StatusNormalClosure) },
			func(p *fakePeer) { p.say(`{"type":7,"error":"E1","allowReconnect":true}`); p.cut() },
		} {
			closed := make(chan error, 1)
			opts.OnClosed = func(err error) { closed <- err }
			opts.Reconnect = hubbub.RetryDelays(0)
			c, p := f.connect(opts, nil)
			over := make(chan struct{})
			go func() {
				defer close(over)
				for h := range p.in {
					if h.record == `{"type":7}` {
						answer(p)
						return
					}
				}
			}()
			c.Close()
			if err := receive(t, "the event", closed); err != nil {
				t.Errorf("closed with %v", err)
			}
			receive(t, "the goodbye", over)
		}
	})
}

// signalr-core client, stop: a hook may start the client again.
func TestClientSpecStartInClosed(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var c *signalr.Client
	started := make(chan error, 1)
	var once atomic.Bool
	opts := signalr.ClientOptions{}
	opts.OnClosed = func(error) {
		if once.CompareAndSwap(false, true) {
			started <- c.Start(context.Background())
		}
	}
	c = f.client(opts)
	f.start(c)
	f.accept().end(websocket.StatusNormalClosure)
	if err := receive(t, "the second start", started); err != nil {
		t.Fatal(err)
	}
	p := f.accept()
	if c.State() != hubbub.Connected || c.ID() != "id2" {
		t.Errorf("the client is %v, its id is %q", c.State(), c.ID())
	}
	c.Close()
	p.want(`{"type":7}`)
}
