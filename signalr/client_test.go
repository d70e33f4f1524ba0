package signalr_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// clientServer serves a hub for the client's tests. With CONFORMANCE_URL the tests that need no more than the conformance hub
// run against that server.
func clientServer(t *testing.T, opts *hubbub.Options, endpoint *signalr.Options) string {
	t.Helper()
	if u := os.Getenv("CONFORMANCE_URL"); u != "" {
		return u + "/testhub"
	}
	return ownServer(t, opts, endpoint)
}

// ownServer serves a hub with the methods of the conformance hub that the client's tests need, and with some of its own.
func ownServer(t *testing.T, opts *hubbub.Options, endpoint *signalr.Options) string {
	t.Helper()
	hub := hubbub.NewHub("client", opts)
	hub.Handle("Echo", hubbub.Func1(func(_ context.Context, s string) (string, error) { return s, nil }))
	hub.Handle("ThrowException", hubbub.Action1(func(_ context.Context, s string) error { return hubbub.Errorf("%s", s) }))
	hub.Handle("InvokeWithString", hubbub.Action1(func(ctx context.Context, s string) error { return hubbub.CallerFrom(ctx).Send(ctx, "Message", s) }))
	hub.Handle("Stream", hubbub.Func0(func(context.Context) (hubbub.Seq[string], error) {
		return func(yield func(string, error) bool) {
			for _, s := range []string{"a", "b", "c"} {
				if !yield(s, nil) {
					return
				}
			}
		}, nil
	}))
	hub.Handle("StreamingConcat", hubbub.Func1(func(_ context.Context, items hubbub.Seq[string]) (string, error) {
		all := ""
		for s, err := range items {
			if err != nil {
				return "", err
			}
			all += s
		}
		return all, nil
	}))
	hub.Handle("SendSequence", hubbub.Action1(func(ctx context.Context, n int) error {
		for i := range n {
			if err := hubbub.CallerFrom(ctx).Send(ctx, "Item", i); err != nil {
				return err
			}
		}
		return nil
	}))
	hub.Handle("Ask", hubbub.Func1(func(ctx context.Context, target string) (int, error) {
		return hubbub.Invoke[int](ctx, hubbub.CallerFrom(ctx), target, 20)
	}))
	hub.Handle("Wait", hubbub.Action0(func(ctx context.Context) error {
		if err := hubbub.CallerFrom(ctx).Send(ctx, "Waiting"); err != nil {
			return err
		}
		<-ctx.Done()
		hub.All().Send(context.WithoutCancel(ctx), "Canceled")
		return ctx.Err()
	}))
	hub.Handle("Bye", hubbub.Action0(func(ctx context.Context) error { hubbub.CallerFrom(ctx).Abort(); return nil }))
	mux := http.NewServeMux()
	signalr.MapHub(mux, "/testhub", hub, endpoint)
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = hub.Shutdown(ctx, 0)
		srv.Close()
	})
	return srv.URL + "/testhub"
}

// everyWay runs f over every transport and protocol.
func everyClient(t *testing.T, f func(t *testing.T, opts signalr.ClientOptions)) {
	for _, tr := range []signalr.Transport{signalr.WebSockets, signalr.ServerSentEvents, signalr.LongPolling} {
		for _, p := range []string{"json", "messagepack"} {
			if tr == signalr.ServerSentEvents && p == "messagepack" {
				continue
			}
			t.Run(fmt.Sprintf("%s %s", tr, p), func(t *testing.T) {
				t.Parallel()
				f(t, signalr.ClientOptions{Transports: tr, Protocol: p})
			})
		}
	}
}

func startClient(t *testing.T, url string, opts signalr.ClientOptions, on func(c *signalr.Client)) *signalr.Client {
	t.Helper()
	c := signalr.NewClient(url, &opts)
	if on != nil {
		on(c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestClientCalls(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, opts signalr.ClientOptions) {
		ctx := t.Context()
		messages := make(chan string, 10)
		c := startClient(t, clientServer(t, nil, nil), opts, func(c *signalr.Client) {
			c.On("Message", hubbub.Action1(func(_ context.Context, s string) error { messages <- s; return nil }))
		})
		if got, err := hubbub.Invoke[string](ctx, c, "eCHO", "héllo"); err != nil || got != "héllo" {
			t.Fatalf("Echo: %q, %v", got, err)
		}
		if err := c.Send(ctx, "InvokeWithString", "hi"); err != nil {
			t.Fatal(err)
		}
		if got := <-messages; got != "hi" {
			t.Fatalf("message %q", got)
		}
		_, err := hubbub.Invoke[string](ctx, c, "ThrowException", "nope")
		if e, ok := errors.AsType[*hubbub.Error](err); !ok || e.Message == "" {
			t.Fatalf("error %v, want one of the server", err)
		}
		all := ""
		for s, err := range hubbub.Stream[string](ctx, c, "Stream") {
			if err != nil {
				t.Fatal(err)
			}
			all += s
		}
		if all != "abc" {
			t.Fatalf("stream %q", all)
		}
		items := hubbub.Seq[string](func(yield func(string, error) bool) {
			for _, s := range []string{"x", "y", "z"} {
				if !yield(s, nil) {
					return
				}
			}
		})
		if got, err := hubbub.Invoke[string](ctx, c, "StreamingConcat", items); err != nil || got != "xyz" {
			t.Fatalf("upload: %q, %v", got, err)
		}
	})
}

func TestClientOrder(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, opts signalr.ClientOptions) {
		const count = 2000
		got := make(chan int, count)
		c := startClient(t, clientServer(t, nil, nil), opts, func(c *signalr.Client) {
			c.On("Item", hubbub.Action1(func(_ context.Context, i int) error { got <- i; return nil }))
		})
		if err := c.Invoke(t.Context(), nil, "SendSequence", count); err != nil {
			t.Fatal(err)
		}
		for want := range count {
			if i := <-got; i != want {
				t.Fatalf("item %d, want %d", i, want)
			}
		}
	})
}

func TestClientConcurrentCalls(t *testing.T) {
	t.Parallel()
	c := startClient(t, clientServer(t, nil, nil), signalr.ClientOptions{}, nil)
	var all sync.WaitGroup
	for g := range 50 {
		all.Go(func() {
			for i := range 200 {
				want := fmt.Sprint(g, i)
				if got, err := hubbub.Invoke[string](t.Context(), c, "Echo", want); err != nil || got != want {
					t.Errorf("Echo: %q, %v, want %q", got, err, want)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestClientResults(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, opts signalr.ClientOptions) {
		c := startClient(t, ownServer(t, nil, nil), opts, func(c *signalr.Client) {
			c.On("Double", hubbub.Func1(func(_ context.Context, n int) (int, error) { return 2 * n, nil }))
			c.On("Fail", hubbub.Func1(func(_ context.Context, n int) (int, error) { return 0, errors.New("too small") }))
			c.On("Plain", hubbub.Action1(func(context.Context, int) error { return nil }))
		})
		if got, err := hubbub.Invoke[int](t.Context(), c, "Ask", "Double"); err != nil || got != 40 {
			t.Fatalf("Double: %d, %v", got, err)
		}
		for target, want := range map[string]string{
			"Fail":    "An unexpected error occurred invoking 'Ask' on the server. HubException: too small",
			"Plain":   "An unexpected error occurred invoking 'Ask' on the server. HubException: Client didn't provide a result.",
			"Missing": "An unexpected error occurred invoking 'Ask' on the server. HubException: Client didn't provide a result.",
		} {
			if _, err := hubbub.Invoke[int](t.Context(), c, "Ask", target); err == nil || err.Error() != want {
				t.Errorf("%s: %v, want %s", target, err, want)
			}
		}
	})
}

func TestClientCancel(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, opts signalr.ClientOptions) {
		canceled := make(chan struct{}, 1)
		ctx, cancel := context.WithCancel(t.Context())
		c := startClient(t, ownServer(t, nil, nil), opts, func(c *signalr.Client) {
			c.On("Waiting", hubbub.Action0(func(context.Context) error { cancel(); return nil }))
			c.On("Canceled", hubbub.Action0(func(context.Context) error { canceled <- struct{}{}; return nil }))
		})
		if err := c.Invoke(ctx, nil, "Wait"); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v", err)
		}
		<-canceled
		if got, err := hubbub.Invoke[string](t.Context(), c, "Echo", "still here"); err != nil || got != "still here" {
			t.Fatalf("Echo: %q, %v", got, err)
		}
	})
}

func TestClientClosedByServer(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, opts signalr.ClientOptions) {
		closed := make(chan error, 1)
		opts.Reconnect = hubbub.StandardRetry() // the server says that the client must not come back
		opts.OnClosed = func(err error) { closed <- err }
		c := startClient(t, ownServer(t, nil, nil), opts, nil)
		if err := c.Send(t.Context(), "Bye"); err != nil {
			t.Fatal(err)
		}
		if err := <-closed; err != nil {
			t.Fatalf("closed with %v", err)
		}
		if err := c.Send(t.Context(), "Bye"); !errors.Is(err, hubbub.ErrNotConnected) {
			t.Fatalf("error %v", err)
		}
	})
}
