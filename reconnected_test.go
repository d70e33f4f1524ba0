package hubbub_test

import (
	"context"
	"errors"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// TestReconnectedCallsTheServer joins a group anew in the hook, which is what it is for: its calls are answered, and the
// client hears the server meanwhile.
func TestReconnectedCallsTheServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	hub := hubbub.NewHub("lobby", nil)
	hub.Handle("Enter", hubbub.Action1(func(ctx context.Context, group string) error {
		return hubbub.CallerFrom(ctx).Join(ctx, group)
	}))
	url, closeServer := serve(hub)
	defer closeServer()

	joined, heard := make(chan error, 1), make(chan string, 1)
	var c *signalr.Client
	c = signalr.NewClient(url, &signalr.ClientOptions{ClientOptions: hubbub.ClientOptions{
		Reconnect:     hubbub.RetryDelays(0),
		OnReconnected: func(string) { joined <- c.Invoke(ctx, nil, "Enter", "lobby") },
	}})
	c.On("News", hubbub.Action1(func(_ context.Context, text string) error { heard <- text; return nil }))
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	hub.CloseWhere(func(*hubbub.Caller) bool { return true }, "", true)
	if err := <-joined; err != nil {
		t.Fatalf("a call of the hook: %v, want none", err)
	}
	if err := hub.Group("lobby").Send(ctx, "News", "hello again"); err != nil {
		t.Fatal(err)
	}
	select {
	case text := <-heard:
		if text != "hello again" {
			t.Errorf("heard %q, want hello again", text)
		}
	case <-ctx.Done():
		t.Error("the client heard nothing, want what was sent to its group")
	}
}

// TestReconnectedEndsBeforeTheNextHook loses the connection while the hook waits for the server: its call fails, and hooks
// still run one after the other, in order.
func TestReconnectedEndsBeforeTheNextHook(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(hub *hubbub.Hub, c *signalr.Client){
		"lost": func(hub *hubbub.Hub, _ *signalr.Client) {
			hub.CloseWhere(func(*hubbub.Caller) bool { return true }, "", false)
		},
		"closed": func(_ *hubbub.Hub, c *signalr.Client) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			hub := hubbub.NewHub("slow", nil)
			waiting := make(chan bool, 1)
			hub.Handle("Wait", hubbub.Action0(func(ctx context.Context) error {
				waiting <- true
				<-ctx.Done()
				return ctx.Err()
			}))
			url, closeServer := serve(hub)
			defer closeServer()

			events := make(chan string, 4)
			var c *signalr.Client
			c = signalr.NewClient(url, &signalr.ClientOptions{ClientOptions: hubbub.ClientOptions{
				Reconnect:      hubbub.RetryDelays(0),
				OnReconnecting: func(error) { events <- "reconnecting" },
				OnReconnected: func(string) {
					err := c.Invoke(ctx, nil, "Wait")
					if !errors.Is(err, hubbub.ErrClosed) {
						t.Errorf("the call of the hook: %v, want ErrClosed", err)
					}
					events <- "reconnected"
				},
				OnClosed: func(error) { events <- "closed" },
			}})
			if err := c.Start(ctx); err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			hub.CloseWhere(func(*hubbub.Caller) bool { return true }, "", true)
			select {
			case <-waiting:
			case <-ctx.Done():
				t.Fatal("the call of the hook has not reached the server")
			}
			end(hub, c)
			for _, want := range []string{"reconnecting", "reconnected", "closed"} {
				select {
				case got := <-events:
					if got != want {
						t.Fatalf("hook %s, want %s", got, want)
					}
				case <-ctx.Done():
					t.Fatalf("no hook, want %s", want)
				}
			}
		})
	}
}
