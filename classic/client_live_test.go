package classic_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
)

// hooks are what a client tells.
type hooks struct {
	gone, closed, failed chan error
	back                 chan string
	slow                 chan struct{}
}

func newHooks() *hooks {
	return &hooks{make(chan error, 100), make(chan error, 1), make(chan error, 100), make(chan string, 100), make(chan struct{}, 100)}
}

func (h *hooks) set(o *classic.ClientOptions) {
	quickEnd(o)
	o.OnReconnecting = func(err error) { h.gone <- err }
	o.OnReconnected = func(id string) { h.back <- id }
	o.OnClosed = func(err error) { h.closed <- err }
	o.OnSlow = func() { h.slow <- struct{}{} }
	o.OnError = func(err error) { h.failed <- err }
}

// A lost stream is resumed with cursor and groups, the pending call fails, and its id is not used again.
func TestClientResume(t *testing.T) {
	t.Parallel()
	calls, again := make(chan string, 10), make(chan struct{})
	f := newFake(t, func(f *fake) {
		f.stream = func(command string, s *fakeSay) {
			if command == "connect" {
				s.write(`{"C":"d-1,0","S":1,"M":[]}`)
				s.write(`{"C":"d-1,1","G":"gt","M":[{"H":"RefHub","M":"Msg","A":["all","1"]}]}`)
				s.write(`{}`)
				calls <- <-s.heard
				return
			}
			call := <-s.heard
			calls <- call
			s.write(`{"I":"0","R":"of the socket before"}`)
			<-again
			s.write(fmt.Sprintf(`{"I":%q,"R":"new"}`, idOf(s.t, call)))
			<-s.done
		}
	})
	h := newHooks()
	c := dialed(t, f.url, classic.WebSockets, h.set)
	p := c.Hub("RefHub")
	got := messages(p)
	started(t, c)
	within(t, got, "the message")
	err := p.Invoke(t.Context(), nil, "Wait", 1)
	if !errors.Is(err, classic.ErrReconnecting) || !strings.HasSuffix(err.Error(), "Connection started reconnecting before invocation result was received.") {
		t.Errorf("call on a socket that is lost: %v", err)
	}
	if call := <-calls; call != `{"I":"0","H":"RefHub","M":"Wait","A":[1]}` {
		t.Errorf("call %s", call)
	}
	within(t, h.gone, "reconnecting")
	within(t, h.back, "reconnected")
	if q := f.last("reconnect"); q.Get("messageId") != "d-1,1" || q.Get("groupsToken") != "gt" || q.Get("connectionToken") != "to+k/e=n" {
		t.Errorf("reconnect with %v", q)
	}
	close(again)
	if v, err := hubbub.Invoke[string](t.Context(), p, "Next"); err != nil || v != "new" {
		t.Errorf("next call: %q, %v", v, err)
	}
	if call := <-calls; idOf(t, call) != "1" {
		t.Errorf("call %s, want an id that was not used", call)
	}
}

func TestClientReconnectTimeout(t *testing.T) {
	t.Parallel()
	overAll(t, func(t *testing.T, tr classic.Transport) {
		f := newFake(t, func(f *fake) {
			f.answers["DisconnectTimeout"] = "0.3"
			f.stream = func(_ string, s *fakeSay) { s.write(fakeInit) }
			refuse := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "bad token", http.StatusBadRequest) }
			f.on["reconnect"], f.on["poll"] = refuse, refuse
		})
		h := newHooks()
		c := dialed(t, f.url, tr, h.set, func(o *classic.ClientOptions) { o.Reconnect = hubbub.RetryForever(20*time.Millisecond, time.Second) })
		started(t, c)
		within(t, h.gone, "reconnecting")
		err := within(t, h.closed, "the end")
		e, ok := errors.AsType[*classic.ReconnectTimeoutError](err)
		if !ok || !strings.Contains(err.Error(), "Couldn't reconnect within the configured timeout of 300 ms, disconnecting.") {
			t.Fatalf("closed: %v, want a *ReconnectTimeoutError", err)
		}
		if last, ok := errors.AsType[*classic.HTTPError](e.Last); !ok || last.Status != http.StatusBadRequest {
			t.Errorf("last error %v, want status 400", e.Last)
		}
		within(t, h.failed, "the error of an attempt")
		if strings.Contains(fmt.Sprint(f.requests()), "abort") {
			t.Error("aborted a connection that the server has forgotten")
		}
	})
}

func TestClientKeepAlive(t *testing.T) {
	t.Parallel()
	for _, tr := range []classic.Transport{classic.WebSockets, classic.ServerSentEvents} {
		t.Run(tr.String(), func(t *testing.T) {
			t.Parallel()
			f := newFake(t, func(f *fake) { f.answers["KeepAliveTimeout"] = "0.2" })
			h := newHooks()
			c := dialed(t, f.url, tr, h.set, func(o *classic.ClientOptions) { o.Reconnect = hubbub.RetryDelays(0) })
			started(t, c)
			within(t, h.slow, "the warning")
			if err := within(t, h.gone, "reconnecting"); err == nil || !strings.Contains(err.Error(), "silent") {
				t.Errorf("lost: %v, want that the server was silent", err)
			}
			within(t, h.back, "reconnected")
		})
	}
}

// A handler that works for longer than the server may be silent is no silence of the server.
func TestClientSlowHandler(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(f *fake) {
		f.answers["KeepAliveTimeout"] = "0.5"
		f.stream = func(_ string, s *fakeSay) {
			s.write(fakeInit)
			for i := range 20 {
				s.write(fmt.Sprintf(`{"C":"c","M":[{"H":"H","M":"Msg","A":["n","%d"]}]}`, i))
			}
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-s.done:
					return
				case <-tick.C:
					s.write("{}")
				}
			}
		}
	})
	h := newHooks()
	c := dialed(t, f.url, classic.WebSockets, h.set, func(o *classic.ClientOptions) { o.MaximumPendingInvocations = 2 })
	got := make(chan string)
	c.Hub("H").On("Msg", hubbub.Action2(func(ctx context.Context, _, text string) error {
		select {
		case got <- text:
		case <-ctx.Done():
		}
		return nil
	}))
	started(t, c)
	timer := time.NewTimer(time.Second) // while the handler of the first message blocks
	<-timer.C
	for i := range 20 {
		if m := within(t, got, "a message"); m != fmt.Sprint(i) {
			t.Errorf("message %d is %q", i, m)
		}
	}
	if len(h.gone) > 0 {
		t.Errorf("reconnecting: %v", <-h.gone)
	}
}

func TestClientServerEnds(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ name, frame, want string }{
		{"error", `{"C":"x","E":"too many","M":[]}`, "Error message received from the server: 'too many'."},
		{"disconnect of 1.x", `{"C":"x","D":1,"M":[]}`, ""},
	} {
		f := newFake(t, func(f *fake) {
			f.stream = func(_ string, s *fakeSay) {
				s.write(fakeInit)
				s.write(x.frame)
				<-s.done
			}
		})
		h := newHooks()
		c := dialed(t, f.url, classic.WebSockets, h.set)
		started(t, c)
		switch err := within(t, h.closed, "the end"); {
		case x.want == "" && err != nil, x.want != "" && (err == nil || err.Error() != x.want):
			t.Errorf("%s: closed with %v, want %q", x.name, err, x.want)
		}
		if c.State() != hubbub.Disconnected || len(h.gone) > 0 {
			t.Errorf("%s: state %v, reconnecting %d times", x.name, c.State(), len(h.gone))
		}
	}
}

// Polls have spaces for keep-alives, wait as long as L says, and come back with reconnect when the server says T.
func TestClientPolls(t *testing.T) {
	t.Parallel()
	polls := 0
	f := newFake(t, func(f *fake) {
		f.stream = func(command string, s *fakeSay) {
			switch command {
			case "connect":
				s.write(fakeInit)
			case "reconnect":
				s.write(`{"C":"r","M":[{"H":"H","M":"Msg","A":["n","3"]}]}`)
			default:
				switch polls++; polls {
				case 1:
					s.write(" ")
					s.write(" ")
					s.write(`{"C":"p1","L":30,"M":[{"H":"H","M":"Msg","A":["n","1"]}]}`)
				case 2:
					s.write(`{"C":"p2","T":1,"M":[{"H":"H","M":"Msg","A":["n","2"]}]}`)
				default:
					<-s.done
				}
			}
		}
	})
	h := newHooks()
	c := dialed(t, f.url, classic.LongPolling, h.set, func(o *classic.ClientOptions) { o.Reconnect = hubbub.RetryDelays(0) })
	got := messages(c.Hub("H"))
	started(t, c)
	for i := range 3 {
		if m := within(t, got, "a message"); m != fmt.Sprintf("n:%d", i+1) {
			t.Errorf("message %d is %q", i+1, m)
		}
	}
	if err := within(t, h.gone, "reconnecting"); err != nil {
		t.Errorf("reconnecting because of %v", err)
	}
	if q := f.last("reconnect"); q.Get("messageId") != "p2" {
		t.Errorf("reconnect with %v, want the cursor of the last poll", q)
	}
}

// Stalls and half-closed connections are found and bridged.
func TestClientFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*faulty){
		"stall": func(f *faulty) { f.Stall(true) }, "half close": func(f *faulty) { f.HalfClose() },
	} {
		for _, tr := range []classic.Transport{classic.WebSockets, classic.ServerSentEvents} {
			t.Run(name+" "+tr.String(), func(t *testing.T) {
				t.Parallel()
				s := newServer(t, func(c *config) {
					c.classic.DisconnectTimeout = 12 * time.Second
					c.classic.KeepAlive = 2 * time.Second
				})
				f, url := newFaulty(t, s.url)
				h := newHooks()
				c := dialed(t, url, tr, h.set, func(o *classic.ClientOptions) { o.Reconnect = hubbub.RetryForever(100*time.Millisecond, time.Second) })
				p := c.Hub("RefHub")
				got := messages(p)
				started(t, c)
				fault(f)
				within(t, h.gone, "reconnecting")
				if err := s.hub.All().Send(t.Context(), "Msg", "all", "meanwhile"); err != nil {
					t.Fatal(err)
				}
				f.Stall(false)
				within(t, h.back, "reconnected")
				if m := within(t, got, "what was missed"); m != "all:meanwhile" {
					t.Errorf("got %q", m)
				}
			})
		}
	}
}

func TestClientRaw(t *testing.T) {
	t.Parallel()
	overAll(t, func(t *testing.T, tr classic.Transport) {
		f := newFake(t, func(f *fake) {
			f.on["send"] = func(_ http.ResponseWriter, r *http.Request) { f.came <- r.PostForm.Get("data") }
			f.stream = func(command string, s *fakeSay) {
				if command == "connect" {
					s.write(`{"C":"x","S":1,"M":["hello","{\"a\":1}",{"g":1},7]}`)
				}
				if s.heard != nil {
					f.came <- <-s.heard
				}
				if command != "connect" || tr != classic.LongPolling {
					<-s.done
				}
			}
		})
		c := dialed(t, f.url+"/raw", tr, quickEnd, func(o *classic.ClientOptions) { o.ExactURL = true })
		got := make(chan string, 10)
		c.OnReceived(func(_ context.Context, v hubbub.Value) error {
			raw, _ := v.Raw()
			got <- string(raw)
			return nil
		})
		started(t, c)
		for _, want := range []string{`"hello"`, `"{\"a\":1}"`, `{"g":1}`, `7`} {
			if v := within(t, got, "a value"); v != want {
				t.Errorf("got %s, want %s", v, want)
			}
		}
		if err := c.SendRaw(t.Context(), "hi & <"); err != nil {
			t.Fatal(err)
		}
		f.await("hi & <")
		if q := f.last("connect"); q.Has("connectionData") {
			t.Errorf("connect with %v, want no connection data", q)
		}
	})
}

// A call whose context ends does not tear the socket.
func TestClientCallGivenUp(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := newServer(t, func(c *config) {
		c.setup = func(_ *server, h *hubbub.Hub) {
			h.Handle("Wait", hubbub.Action0(func(context.Context) error { <-release; return nil }))
		}
	})
	c := dialed(t, s.url, classic.WebSockets)
	p := c.Hub("RefHub")
	started(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Invoke(ctx, nil, "Wait"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("call: %v, want that its time is over", err)
	}
	close(release)
	if v, err := hubbub.Invoke[string](t.Context(), p, "Echo", "x"); err != nil || v != "x" {
		t.Errorf("call after it: %q, %v", v, err)
	}
}

// The context of a handler ends with Close, which waits for it.
func TestClientHandlerContext(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := dialed(t, s.url, classic.WebSockets)
	p := c.Hub("RefHub")
	in, out := make(chan struct{}), make(chan struct{})
	p.On("Msg", hubbub.Raw(func(ctx context.Context, _ hubbub.Args) (any, error) {
		close(in)
		<-ctx.Done()
		close(out)
		return nil, nil
	}))
	started(t, c)
	if err := p.Send(t.Context(), "Broadcast", "x"); err != nil {
		t.Fatal(err)
	}
	within(t, in, "the call")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-out:
	default:
		t.Error("Close did not wait for a handler")
	}
}
