package hubbub_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub"
)

// TestShutdown asks everybody to come back elsewhere, at a pace.
func TestShutdown(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		perSecond int
		want      time.Duration
	}{{0, 0}, {10, 3 * time.Second}, {1000, 30 * time.Millisecond}} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(nil)
			var peers []*peer
			for range 30 {
				peers = append(peers, connect(t, h))
			}
			synctest.Wait()
			start := time.Now()
			must(t, h.Shutdown(t.Context(), test.perSecond))
			if took := time.Since(start); took != test.want {
				t.Errorf("it took %v at %d a second, want %v", took, test.perSecond, test.want)
			}
			for _, p := range peers {
				p.expect(`close "" true`)
			}
			if s := h.Stats(); s.Connections != 0 || s.Closed["shutdown"] != 30 {
				t.Errorf("%d connections, closed %v, want 30 for the shutdown", s.Connections, s.Closed)
			}
			if err := unattached(t).attach(h); !errors.Is(err, hubbub.ErrShutdown) {
				t.Errorf("attach: %v, want ErrShutdown", err)
			}
			<-h.Stopping()
			must(t, h.Shutdown(t.Context(), 0))
		})
	}
}

// deaf is a connection that does not end when it is asked to.
type deaf struct{ *peer }

func (deaf) Close(*hubbub.Close, error) {}

func TestShutdownDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(nil)
		h.Handle("Stay", hubbub.Action0(func(ctx context.Context) error { <-ctx.Done(); return nil }))
		var peers []*peer
		var links []*hubbub.Link
		for range 10 {
			p := unattached(t)
			link, err := h.Attach(deaf{p}, nil, []byte("hello"))
			must(t, err)
			must(t, link.Receive(&hubbub.Invocation{Target: "Stay"}, 1))
			peers, links = append(peers, p), append(links, link)
		}
		start := time.Now()
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
		defer stop()
		err := h.Shutdown(ctx, 2)
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != 2*time.Second {
			t.Errorf("%v after %v, want the deadline after 2s", err, took)
		}
		for i, l := range links {
			<-l.Done()
			if n, _ := peers[i].out.Len(); n != 0 || !peers[i].out.Closed() {
				t.Errorf("%d messages wait for a connection that was cut", n)
			}
		}
	})
}

// TestShutdownWhileConnectionsArrive leaves nobody behind.
func TestShutdownWhileConnectionsArrive(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 2} {
		for range 20 {
			var bus hubbub.Backplane
			if nodes > 1 {
				bus = hubbub.NewLocal()
			}
			h := newHub(&hubbub.Options{Backplane: bus})
			var all sync.WaitGroup
			start := make(chan struct{})
			for range 8 {
				all.Go(func() {
					<-start
					for range 20 {
						if err := unattached(t).attach(h); err != nil && !errors.Is(err, hubbub.ErrShutdown) {
							t.Errorf("attach: %v", err)
						}
					}
				})
			}
			close(start)
			must(t, h.Shutdown(t.Context(), 0))
			all.Wait()
			if n := h.Stats().Connections; n != 0 {
				t.Fatalf("%d connections are left", n)
			}
		}
	}
}

// TestShutdownEndsSubscriptions of this node alone.
func TestShutdownEndsSubscriptions(t *testing.T) {
	t.Parallel()
	bus := hubbub.NewLocal()
	first, second := newHub(&hubbub.Options{Backplane: bus}), newHub(&hubbub.Options{Backplane: bus})
	connect(t, first, named("a"))
	b := connect(t, second, named("b"))
	must(t, first.Shutdown(t.Context(), 0))
	if err := first.Join(t.Context(), "b", "g"); !errors.Is(err, hubbub.ErrShutdown) {
		t.Errorf("join after the shutdown: %v, want ErrShutdown", err)
	}
	must(t, second.All().Send(t.Context(), "m"))
	must(t, first.All().Send(t.Context(), "the last word"))
	b.expect("m()", "the last word()")
	must(t, bus.Close())
	if err := second.All().Send(t.Context(), "m"); err == nil {
		t.Error("sent over a backplane that is closed")
	}
	if err := unattached(t).attach(second); err != nil {
		return // its connection needs a channel of its own
	}
	t.Error("attached to a backplane that is closed")
}

// TestHelloComesFirst sends to everybody while connections come: what the dialect says first stays first.
func TestHelloComesFirst(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	stop := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = h.All().Send(context.Background(), "m")
			}
		}
	})
	for range 200 {
		p := unattached(t, queue(1<<24))
		link, err := h.Attach(p, nil, []byte("hello"))
		must(t, err)
		if b, ok := p.take(); !ok || string(b) != "hello" {
			t.Errorf("%q came first, want hello", b)
		}
		link.Detach(nil)
		await(t, "the connection to leave", link.Done())
	}
	close(stop)
	sender.Wait()
	full := unattached(t)
	full.out.Discard()
	if _, err := h.Attach(full, nil, []byte("hello")); !errors.Is(err, hubbub.ErrClosed) {
		t.Errorf("attach a connection that is closed: %v, want ErrClosed", err)
	}
	if n := h.Stats().Connections; n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestOptionsHaveDefaults(t *testing.T) {
	t.Parallel()
	want := hubbub.NewHub("a", nil).Options()
	got := hubbub.NewHub("b", &hubbub.Options{KeepAliveInterval: -1, MaximumPendingInvocations: -1, StreamBufferCapacity: -5, MaximumReceiveMessageSize: -1}).Options()
	if want.KeepAliveInterval != 15*time.Second || want.ClientTimeoutInterval != 30*time.Second || want.HandshakeTimeout != 15*time.Second ||
		want.SendTimeout != 10*time.Second || want.MaximumReceiveMessageSize != 32768 || want.StreamBufferCapacity != 10 ||
		want.MaximumParallelInvocationsPerClient != 1 || want.MaximumQueuedBytes != 1<<20 || want.Logger == nil || want.Node == "" {
		t.Errorf("defaults %+v", want)
	}
	if got.MaximumReceiveMessageSize != -1 {
		t.Errorf("message size %d, want -1: no limit", got.MaximumReceiveMessageSize)
	}
	got.MaximumReceiveMessageSize, got.Node = want.MaximumReceiveMessageSize, want.Node
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("options below zero became %+v, want %+v", got, want)
	}
	if h := hubbub.NewHub("name", nil); h.Name() != "name" {
		t.Errorf("name %q", h.Name())
	}
}
