package classic_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
)

func atOnce(o *classic.ClientOptions) { o.Reconnect = hubbub.RetryDelays(0, time.Millisecond) }

// reaches waits until a client is in a state.
func reaches(t *testing.T, c *classic.Client, want hubbub.ClientState) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	deadline := time.After(patience)
	for c.State() != want {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("state %v after %v, want %v", c.State(), patience, want)
		}
	}
}

// OnReconnected may call the server, as it does not keep the client from reading.
func TestClientHookCalls(t *testing.T) {
	t.Parallel()
	overAll(t, func(t *testing.T, tr classic.Transport) {
		s := newServer(t)
		f, url := newFaulty(t, s.url)
		said := make(chan error, 10)
		var p *classic.HubProxy
		c := dialed(t, url, tr, func(o *classic.ClientOptions) {
			o.Reconnect = func(hubbub.Retry) (time.Duration, bool) { return time.Millisecond, true }
			o.OnReconnected = func(string) {
				v, err := hubbub.Invoke[string](t.Context(), p, "Echo", "again")
				if err == nil && v != "again" {
					err = errors.New("got " + v)
				}
				said <- err
			}
		})
		p = c.Hub("RefHub")
		started(t, c)
		f.Refuse(true)
		f.Cut()
		reaches(t, c, hubbub.Reconnecting)
		f.Refuse(false)
		if err := within(t, said, "what the hook heard"); err != nil {
			t.Error(err)
		}
	})
}

// A hook that panics takes nothing with it.
func TestClientHookPanics(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	f, url := newFaulty(t, s.url)
	told := make(chan string, 10)
	tell := func(name string) {
		told <- name
		panic("no luck")
	}
	c := dialed(t, url, classic.WebSockets, func(o *classic.ClientOptions) {
		o.Reconnect = func(hubbub.Retry) (time.Duration, bool) { return time.Millisecond, true }
		o.OnReconnecting = func(error) { tell("reconnecting") }
		o.OnReconnected = func(string) { tell("reconnected") }
		o.OnClosed = func(error) { tell("closed") }
	})
	p := c.Hub("RefHub")
	started(t, c)
	for range 2 {
		f.Cut()
		for _, want := range []string{"reconnecting", "reconnected"} {
			if got := within(t, told, want); got != want {
				t.Errorf("hook %q, want %q", got, want)
			}
		}
		if err := p.Invoke(t.Context(), nil, "Nothing"); err != nil {
			t.Error(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if got := within(t, told, "closed"); got != "closed" {
		t.Errorf("hook %q, want closed", got)
	}
}

// A call tells whether it may have been made: one whose answer did not come, and one that was never sent.
func TestClientLostCalls(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(f *fake) {
		f.stream = func(command string, s *fakeSay) {
			if command == "connect" {
				s.write(fakeInit)
				<-s.heard // the call, which is not answered
				return
			}
			<-s.done
		}
	})
	gone, again := make(chan struct{}), make(chan struct{})
	over := make(chan error, 1)
	c := dialed(t, f.url, classic.WebSockets, atOnce, quickEnd, func(o *classic.ClientOptions) {
		o.OnReconnecting = func(error) {
			close(gone)
			<-again
		}
	})
	p := c.Hub("RefHub")
	started(t, c)
	go func() { over <- p.Invoke(t.Context(), nil, "Nothing") }()
	err := within(t, over, "the end of the call")
	if !errors.Is(err, hubbub.ErrConnectionLost) || !errors.Is(err, classic.ErrReconnecting) || errors.Is(err, hubbub.ErrNotConnected) ||
		!strings.Contains(err.Error(), "Connection started reconnecting before invocation result was received.") {
		t.Errorf("a call that was sent: %v", err)
	}
	within(t, gone, "reconnecting")
	err = p.Invoke(t.Context(), nil, "Nothing")
	if !errors.Is(err, hubbub.ErrNotConnected) || !errors.Is(err, classic.ErrReconnecting) || errors.Is(err, hubbub.ErrConnectionLost) ||
		!strings.Contains(err.Error(), "Data cannot be sent because the WebSocket connection is reconnecting.") {
		t.Errorf("a call without a socket: %v", err)
	}
	close(again)
	f.await("reconnect")
	reaches(t, c, hubbub.Connected)
	go func() { over <- p.Invoke(t.Context(), nil, "Nothing") }()
	_ = c.Close() // the script never ends the stream
	if err := within(t, over, "the end of the call"); !errors.Is(err, hubbub.ErrClosed) && !errors.Is(err, hubbub.ErrNotConnected) {
		t.Errorf("a call when the client is closed: %v", err)
	}
}

// A handler that waits for an answer behind more calls of the server than may wait does not hang: the connection ends.
func TestClientSlowHandlers(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(f *fake) {
		f.stream = func(_ string, s *fakeSay) {
			s.write(fakeInit)
			s.write(`{"C":"a","M":[{"H":"RefHub","M":"msg","A":["all","1"]}]}`)
			<-s.heard
			for range 100 {
				s.write(`{"C":"b","M":[{"H":"RefHub","M":"msg","A":["all","2"]}]}`)
			}
			<-s.done
		}
	})
	closed, over := make(chan error, 1), make(chan error, 1)
	c := dialed(t, f.url, classic.WebSockets, quickEnd, func(o *classic.ClientOptions) {
		o.MaximumPendingInvocations = 1
		o.OnClosed = func(err error) { closed <- err }
	})
	p := c.Hub("RefHub")
	p.On("msg", hubbub.Action2(func(ctx context.Context, _, text string) error {
		if text == "1" {
			over <- p.Invoke(ctx, nil, "Nothing")
		}
		return nil
	}))
	started(t, c)
	if err := within(t, over, "the end of the call"); !errors.Is(err, hubbub.ErrConnectionLost) && !errors.Is(err, context.Canceled) {
		t.Errorf("the call of the handler: %v", err)
	}
	if err := within(t, closed, "the end"); !errors.Is(err, hubbub.ErrSlow) {
		t.Errorf("closed with %v, want ErrSlow", err)
	}
	if c.State() != hubbub.Disconnected {
		t.Errorf("state %v, want disconnected", c.State())
	}
}
