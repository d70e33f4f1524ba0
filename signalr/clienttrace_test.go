package signalr_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// TestClientTrace reads a whole conversation out of the chunks that Trace hears of, over every transport.
func TestClientTrace(t *testing.T) {
	t.Parallel()
	url := clientServer(t, nil, nil)
	for _, transport := range []signalr.Transport{signalr.WebSockets, signalr.ServerSentEvents, signalr.LongPolling} {
		t.Run(transport.String(), func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var said [2]strings.Builder
			c := signalr.NewClient(url, &signalr.ClientOptions{Transports: transport, Trace: func(sent bool, over signalr.Transport, p []byte) {
				mu.Lock()
				defer mu.Unlock()
				if over != transport {
					t.Errorf("transport %v, want %v", over, transport)
				}
				i := 0
				if sent {
					i = 1
				}
				said[i].Write(p)
			}})
			if err := c.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := hubbub.Invoke[string](t.Context(), c, "Echo", "there and back"); err != nil {
				t.Fatal(err)
			}
			c.Close()
			mu.Lock()
			defer mu.Unlock()
			received, sent := said[0].String(), said[1].String()
			if want := "{\"protocol\":\"json\",\"version\":1}\x1e"; !strings.HasPrefix(sent, want) || !strings.Contains(sent, `"there and back"`) {
				t.Errorf("sent %q, want the handshake %q, then the call", sent, want)
			}
			if !strings.HasPrefix(received, "{}\x1e") || !strings.Contains(received, `"there and back"`) {
				t.Errorf("received %q, want the answer to the handshake, then the result", received)
			}
		})
	}
}

// TestClientUnhandled lets one function have everything that no handler is registered for.
func TestClientUnhandled(t *testing.T) {
	t.Parallel()
	c := signalr.NewClient(ownServer(t, &hubbub.Options{EnableDetailedErrors: true}, nil), nil)
	calls := make(chan string, 4)
	c.OnUnhandled(func(_ context.Context, in *hubbub.Invocation) (any, error) {
		calls <- in.Target
		switch in.Target {
		case "Twice":
			var n int
			err := in.Args.Decode(0, &n)
			return 2 * n, err
		case "Panic":
			panic("on purpose")
		}
		return nil, errors.New("nobody knows " + in.Target)
	})
	known := make(chan struct{}, 1)
	c.On("Message", hubbub.Action1(func(context.Context, string) error { known <- struct{}{}; return nil }))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := hubbub.Invoke[int](t.Context(), c, "Ask", "Twice"); err != nil || n != 40 {
		t.Errorf("the server got %d, %v, want 40", n, err)
	}
	for target, want := range map[string]string{"Strange": "nobody knows Strange", "Panic": "panic: on purpose"} {
		if _, err := hubbub.Invoke[int](t.Context(), c, "Ask", target); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the server got %v, want %q", err, want)
		}
	}
	for range 3 {
		<-calls
	}
	if err := c.Send(t.Context(), "SendSequence", 1); err != nil {
		t.Fatal(err)
	}
	if got := <-calls; got != "Item" {
		t.Errorf("got a call of %s, want Item", got)
	}
	if err := c.Send(t.Context(), "InvokeWithString", "x"); err != nil {
		t.Fatal(err)
	}
	<-known
	if len(calls) != 0 {
		t.Errorf("OnUnhandled got a call of %s, which has a handler", <-calls)
	}
}

// TestClientWrongServer tells what is no SignalR hub from an older one.
func TestClientWrongServer(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name, answer string
		want         error
	}{
		{"classic", `{"Url":"/signalr","ConnectionToken":"x","ConnectionId":"y","ProtocolVersion":"1.4"}`, signalr.ErrClassicServer},
		{"page", `<html></html>`, signalr.ErrInvalidAnswer},
		{"empty object", `{}`, signalr.ErrInvalidAnswer},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(x.answer)) }))
			defer srv.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := signalr.NewClient(srv.URL, nil).Start(ctx); !errors.Is(err, x.want) {
				t.Errorf("got %v, want %v", err, x.want)
			}
		})
	}
}
