package classic_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
)

// clientTransports are those that a Go client has.
var clientTransports = []classic.Transport{classic.WebSockets, classic.ServerSentEvents, classic.LongPolling}

// overAll runs a test once per transport of the client.
func overAll(t *testing.T, f func(t *testing.T, tr classic.Transport)) {
	t.Helper()
	for _, tr := range clientTransports {
		t.Run(tr.String(), func(t *testing.T) {
			t.Parallel()
			f(t, tr)
		})
	}
}

// dialed returns a client over one transport that is not started, and closes it in the end.
func dialed(t *testing.T, url string, tr classic.Transport, change ...func(*classic.ClientOptions)) *classic.Client {
	t.Helper()
	o := &classic.ClientOptions{Transports: tr}
	o.Logger = slog.New(slog.DiscardHandler)
	for _, f := range change {
		f(o)
	}
	c := classic.NewClient(url, o)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func started(t *testing.T, c *classic.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

// within waits for a value.
func within[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come within %v", what, patience)
		panic("unreachable")
	}
}

// messages collects the calls of Msg.
func messages(p *classic.HubProxy) <-chan string {
	ch := make(chan string, 100)
	p.On("MSG", hubbub.Action2(func(_ context.Context, to, text string) error { ch <- to + ":" + text; return nil }))
	return ch
}

func TestClientCalls(t *testing.T) {
	t.Parallel()
	overAll(t, func(t *testing.T, tr classic.Transport) {
		s := newServer(t)
		c := dialed(t, s.url, tr)
		p := c.Hub("refhub")
		if c.Hub("RefHub") != p {
			t.Error("another spelling of the name gave another proxy")
		}
		got := messages(p)
		started(t, c)
		if c.State() != hubbub.Connected || c.ID() == "" || c.Transport() != tr {
			t.Errorf("state %v, id %q, transport %v, want connected, an id and %v", c.State(), c.ID(), c.Transport(), tr)
		}
		ctx := t.Context()
		if v, err := hubbub.Invoke[string](ctx, p, "Echo", "hé&+<\u2028>"); err != nil || v != "hé&+<\u2028>" {
			t.Errorf("Echo: %q, %v", v, err)
		}
		if v, err := hubbub.Invoke[int](ctx, p, "add", 1, 2); err != nil || v != 3 {
			t.Errorf("Add: %d, %v", v, err)
		}
		if v, err := hubbub.Invoke[point](ctx, p, "Point", point{1, 2, "n"}); err != nil || v != (point{2, 2, "n"}) {
			t.Errorf("Point: %+v, %v", v, err)
		}
		if err := p.Invoke(ctx, nil, "Nothing"); err != nil {
			t.Error(err)
		}
		if err := p.Send(ctx, "Broadcast", "x"); err != nil {
			t.Error(err)
		}
		if m := within(t, got, "the message to all"); m != "all:x" {
			t.Errorf("got %q, want all:x", m)
		}
		clientErrors(t, p)
		clientState(t, p, got)
		clientProgress(t, p, tr)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		s.heard("disconnected:RefHub")
		if err := p.Invoke(ctx, nil, "Nothing"); !errors.Is(err, hubbub.ErrNotConnected) {
			t.Errorf("call after Close: %v, want ErrNotConnected", err)
		}
	})
}

func clientErrors(t *testing.T, p *classic.HubProxy) {
	t.Helper()
	for _, x := range []struct{ method, class, text string }{
		{"Throw", "InvalidOperationException", "There was an error invoking Hub method 'refhub.Throw'."},
		{"HubThrow", "", "hub boom"},
		{"HubThrowData", "", "hub boom"},
		{"NoSuch", "InvalidOperationException", "There was an error invoking Hub method 'refhub.NoSuch'."},
	} {
		err := p.Invoke(t.Context(), nil, x.method)
		e, ok := errors.AsType[*hubbub.Error](err)
		if !ok || e.Message != x.text || e.Class != x.class {
			t.Errorf("%s: %v (%+v), want %q of class %q", x.method, err, e, x.text, x.class)
			continue
		}
		if v, ok := e.Data.(hubbub.Value); ok == (x.method == "HubThrowData") && ok {
			var data struct{ Code int }
			if err := v.Decode(&data); err != nil || data.Code != 42 {
				t.Errorf("data %+v, %v, want code 42", data, err)
			}
		} else if ok != (x.method == "HubThrowData") {
			t.Errorf("%s: data %v", x.method, e.Data)
		}
	}
}

func clientState(t *testing.T, p *classic.HubProxy, got <-chan string) {
	t.Helper()
	if err := p.State().Set("color", "blue"); err != nil {
		t.Fatal(err)
	}
	if v, err := hubbub.Invoke[string](t.Context(), p, "State"); err != nil || v != "blue" {
		t.Errorf("State: %q, %v, want blue", v, err)
	}
	color, count := "", 0
	_, err1 := p.State().Get("color", &color)
	_, err2 := p.State().Get("count", &count)
	if ok, err := p.State().Get("none", &color); err1 != nil || err2 != nil || color != "red" || count != 5 || ok || err != nil {
		t.Errorf("state %q %d (%v %v %v), want red 5", color, count, err1, err2, err)
	}
	if m := within(t, got, "the message of State"); m != "state:blue" {
		t.Errorf("got %q, want state:blue", m)
	}
	if err := p.State().Set("big", strings.Repeat("x", 5000)); err != nil {
		t.Fatal(err)
	}
	if err := p.Invoke(t.Context(), nil, "Nothing"); err == nil || !strings.Contains(err.Error(), "want at most 4096") {
		t.Errorf("call with too much state: %v", err)
	}
	if err := p.State().Set("big", nil); err != nil {
		t.Fatal(err)
	}
}

func clientProgress(t *testing.T, p *classic.HubProxy, tr classic.Transport) {
	t.Helper()
	var steps []int
	var result string
	err := p.InvokeProgress(t.Context(), &result, func(v hubbub.Value) {
		n := -1
		if err := v.Decode(&n); err != nil {
			t.Error(err)
		}
		steps = append(steps, n)
	}, "Progress", 3)
	if err != nil || result != "done" {
		t.Errorf("Progress: %q, %v", result, err)
	}
	if tr == classic.WebSockets && fmt.Sprint(steps) != "[0 1 2]" { // elsewhere the result may overtake
		t.Errorf("steps %v, want 0 1 2", steps)
	}
}

// The network is cut for a while during which three updates are published. They arrive once and in order; nobody joins again.
func TestClientCut(t *testing.T) {
	t.Parallel()
	overAll(t, func(t *testing.T, tr classic.Transport) {
		s := newServer(t)
		f, url := newFaulty(t, s.url)
		gone, back := make(chan error, 10), make(chan string, 10)
		c := dialed(t, url, tr, func(o *classic.ClientOptions) {
			o.OnReconnecting = func(err error) { gone <- err }
			o.OnReconnected = func(id string) { back <- id }
		})
		p := c.Hub("RefHub")
		got := messages(p)
		started(t, c)
		id := c.ID()
		if err := p.Invoke(t.Context(), nil, "Join", "g"); err != nil {
			t.Fatal(err)
		}
		if err := p.Invoke(t.Context(), nil, "ToGroup", "g", "0"); err != nil {
			t.Fatal(err)
		}
		if m := within(t, got, "a message to the group"); m != "g:0" {
			t.Fatalf("got %q", m)
		}
		f.Refuse(true)
		f.Cut()
		if err := within(t, gone, "reconnecting"); err == nil {
			t.Error("lost without a reason")
		}
		if c.State() != hubbub.Reconnecting {
			t.Errorf("state %v, want reconnecting", c.State())
		}
		for i := range 3 {
			if err := s.hub.Group("g").Send(t.Context(), "Msg", "g", fmt.Sprint(i+1)); err != nil {
				t.Fatal(err)
			}
		}
		if tr == classic.WebSockets {
			if err := p.Invoke(t.Context(), nil, "Nothing"); !errors.Is(err, classic.ErrReconnecting) {
				t.Errorf("call while reconnecting: %v, want ErrReconnecting", err)
			}
		}
		f.Refuse(false)
		if now := within(t, back, "reconnected"); now != id || c.ID() != id {
			t.Errorf("id %q after the cut, want %q", now, id)
		}
		for i := range 3 {
			if m := within(t, got, "an update"); m != fmt.Sprintf("g:%d", i+1) {
				t.Errorf("update %d is %q", i+1, m)
			}
		}
		if err := p.Invoke(t.Context(), nil, "ToGroup", "g", "last"); err != nil {
			t.Fatal(err)
		}
		if m := within(t, got, "the last"); m != "g:last" {
			t.Errorf("got %q, want g:last", m)
		}
	})
}
