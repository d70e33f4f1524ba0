package signalr_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// faulty serves a hub behind a proxy that misbehaves.
func faulty(t *testing.T, hung func(ctx context.Context)) (*faultProxy, string) {
	t.Helper()
	hub := hubbub.NewHub("faulty", nil)
	hub.Handle("Echo", hubbub.Func1(func(_ context.Context, i int) (int, error) { return i, nil }))
	hub.Handle("Hang", hubbub.Action0(func(ctx context.Context) error { hung(ctx); return nil }))
	mux := http.NewServeMux()
	signalr.MapHub(mux, "/hub", hub, nil)
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = hub.Shutdown(ctx, 0)
		srv.Close()
	})
	p := newFaultProxy(t, strings.TrimPrefix(srv.URL, "http://"))
	return p, "http://" + p.Addr() + "/hub"
}

// Without stateful reconnect a call fails with its connection and is not sent again; the client comes back under a new id.
func TestClientCutReconnects(t *testing.T) {
	t.Parallel()
	var hangs atomic.Int32
	hanging := make(chan struct{}, 1)
	p, url := faulty(t, func(ctx context.Context) {
		hangs.Add(1)
		hanging <- struct{}{}
		<-ctx.Done()
	})
	reasons, back := make(chan error, 1), make(chan string, 1)
	opts := signalr.ClientOptions{Transports: signalr.WebSockets}
	opts.Reconnect = hubbub.RetryDelays(0, 10*time.Millisecond, 10*time.Millisecond, time.Second)
	opts.OnReconnecting = func(err error) { reasons <- err }
	opts.OnReconnected = func(id string) { back <- id }
	c := startClient(t, url, opts, nil)
	before := c.ID()
	failed := make(chan error, 1)
	go func() { failed <- c.Invoke(t.Context(), nil, "Hang") }()
	<-hanging
	p.Cut()
	if err := <-failed; err == nil {
		t.Error("the call was answered, want an error")
	}
	if err := <-reasons; err == nil {
		t.Error("reconnecting without a reason")
	}
	if id := <-back; id == before || id == "" {
		t.Errorf("id %q after %q, want a new one", id, before)
	}
	if got, err := hubbub.Invoke[int](t.Context(), c, "Echo", 7); err != nil || got != 7 {
		t.Errorf("echo: %d, %v", got, err)
	}
	if n := hangs.Load(); n != 1 {
		t.Errorf("the call was made %d times, want 1", n)
	}
}

// A connection that is up but silent ends with the server timeout, and one whose server is gone for good ends with the policy.
func TestClientStall(t *testing.T) {
	t.Parallel()
	p, url := faulty(t, nil)
	closed := make(chan error, 1)
	opts := signalr.ClientOptions{Transports: signalr.WebSockets, ServerTimeout: 200 * time.Millisecond, CloseTimeout: 100 * time.Millisecond}
	opts.OnClosed = func(err error) { closed <- err }
	c := startClient(t, url, opts, nil)
	p.Stall(true)
	if _, err := hubbub.Invoke[int](t.Context(), c, "Echo", 1); err == nil || !strings.Contains(err.Error(), "server timeout") {
		t.Errorf("call: %v, want the server timeout", err)
	}
	if err := <-closed; err == nil || !strings.Contains(err.Error(), "server timeout") {
		t.Errorf("closed: %v, want the server timeout", err)
	}
}

// A call that ends by its context does not wait for room in the queue of a connection that does not move.
func TestClientStallGiveUp(t *testing.T) {
	t.Parallel()
	p, url := faulty(t, nil)
	opts := signalr.ClientOptions{Transports: signalr.WebSockets, MaximumQueuedBytes: 1 << 10, CloseTimeout: 100 * time.Millisecond}
	c := startClient(t, url, opts, nil)
	p.Stall(true)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	over := make(chan error, 1)
	go func() { over <- c.Invoke(ctx, nil, "Echo", 1) }()
	full, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	for c.Send(full, "Echo", strings.Repeat("x", 900)) == nil {
	}
	select {
	case err := <-over:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("call: %v, want its deadline", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the call waits past its deadline")
	}
}

func TestClientRefusedReconnect(t *testing.T) {
	t.Parallel()
	p, url := faulty(t, nil)
	closed := make(chan error, 1)
	opts := signalr.ClientOptions{}
	opts.Reconnect = hubbub.RetryDelays(0, time.Millisecond)
	opts.OnClosed = func(err error) { closed <- err }
	startClient(t, url, opts, nil)
	p.Refuse(true)
	p.HalfClose(toClient)
	if err := <-closed; err == nil || !strings.Contains(err.Error(), "given up after 2 failed attempts") {
		t.Errorf("closed: %v, want that two attempts failed", err)
	}
}

func TestClientManyInvocations(t *testing.T) {
	t.Parallel()
	_, url := faulty(t, nil)
	c := startClient(t, url, signalr.ClientOptions{}, nil)
	var work sync.WaitGroup
	for g := range 50 {
		work.Go(func() {
			for i := range 200 {
				want := g*200 + i
				if got, err := hubbub.Invoke[int](t.Context(), c, "Echo", want); err != nil || got != want {
					t.Errorf("echo %d: %d, %v", want, got, err)
					return
				}
			}
		})
	}
	work.Wait()
}
