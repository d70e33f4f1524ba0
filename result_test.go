package hubbub_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub"
)

// pair is a hub on one or two nodes with a connection "c" on the last; the first node asks.
func pair(t *testing.T, nodes int) (asks *hubbub.Hub, c *peer) {
	var bus hubbub.Backplane
	if nodes > 1 {
		bus = hubbub.NewLocal()
	}
	var last *hubbub.Hub
	for i := range nodes {
		last = newHub(&hubbub.Options{Backplane: bus, Node: fmt.Sprint("node", i)})
		if i == 0 {
			asks = last
		}
	}
	c = connect(t, last, named("c"))
	t.Cleanup(func() { _ = asks.Shutdown(context.Background(), 0) })
	t.Cleanup(func() { _ = last.Shutdown(context.Background(), 0) })
	return asks, c
}

type outcome struct {
	n   int
	err error
}

func ask(ctx context.Context, h *hubbub.Hub) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		n, err := hubbub.Invoke[int](ctx, h.Client("c"), "Ask", "how many")
		done <- outcome{n, err}
	}()
	return done
}

// TestClientResults asks connections of this node and of another.
func TestClientResults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		reply func(c *peer, id string)
		want  string // of the error, "" for the result 5
		is    error
	}{
		{"result", func(c *peer, id string) { c.answer(id, 5) }, "", nil},
		{"error", func(c *peer, id string) { c.end(id, "nope") }, "nope", nil},
		{"no result", func(c *peer, id string) { c.end(id, "") }, "Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown.", nil},
		{"another type", func(c *peer, id string) { c.answer(id, "five") },
			"Error trying to deserialize result to int. json: cannot unmarshal string into Go value of type int", nil},
		{"the connection ends", func(c *peer, _ string) { c.leave() }, "Connection 'c' disconnected.", hubbub.ErrClosed},
		{"answered and gone", func(c *peer, id string) { c.answer(id, 5); c.leave() }, "", nil},
		{"answered twice", func(c *peer, id string) { c.answer(id, 5); c.answer(id, 6) }, "", nil},
	}
	for nodes := 1; nodes <= 2; nodes++ {
		for _, test := range tests {
			t.Run(fmt.Sprint(test.name, " ", nodes), func(t *testing.T) {
				t.Parallel()
				h, c := pair(t, nodes)
				done := ask(t.Context(), h)
				m := c.next()
				if m.text() != `Ask("how many")` || m.ID == "" {
					t.Fatalf("the client was asked %s with id %q", m.text(), m.ID)
				}
				test.reply(c, m.ID)
				got := await(t, "the answer", done)
				switch {
				case test.want == "" && (got.err != nil || got.n != 5):
					t.Errorf("got %d, %v, want 5", got.n, got.err)
				case test.want != "" && (got.err == nil || got.err.Error() != test.want):
					t.Errorf("error %v, want %s", got.err, test.want)
				case test.is != nil && !errors.Is(got.err, test.is):
					t.Errorf("error %v is not %v", got.err, test.is)
				}
			})
		}
	}
}

func TestClientResultGivenUp(t *testing.T) {
	t.Parallel()
	for nodes := 1; nodes <= 2; nodes++ {
		t.Run(fmt.Sprint(nodes, " nodes"), func(t *testing.T) {
			t.Parallel()
			h, c := pair(t, nodes)
			ctx, stop := context.WithCancel(t.Context())
			done := ask(ctx, h)
			m := c.next()
			stop()
			got := await(t, "the answer", done)
			if !errors.Is(got.err, context.Canceled) || got.err.Error() != "Invocation canceled by the server." {
				t.Errorf("error %v", got.err)
			}
			c.answer(m.ID, 5) // too late, and no reason to end
			must(t, h.Client("c").Send(t.Context(), "still here"))
			c.expect("still here()")
			_, err := hubbub.Invoke[int](t.Context(), h.Client("c"), "Ask", make(chan int))
			if err == nil {
				t.Error("asked with an argument that cannot be encoded")
			}
			if err := h.Client("c").Invoke(ctx, nil, "Ask"); !errors.Is(err, context.Canceled) {
				t.Errorf("asked with a context that has ended: %v", err)
			}
		})
	}
}

func TestClientResultIsDropped(t *testing.T) {
	t.Parallel()
	h, c := pair(t, 1)
	done := make(chan error, 1)
	go func() { done <- h.Client("c").Invoke(t.Context(), nil, "Ask") }()
	c.answer(c.next().ID, "anything")
	must(t, await(t, "the answer", done))
}

// TestStrangerAnswers ends the stranger, not the question.
func TestStrangerAnswers(t *testing.T) {
	t.Parallel()
	for nodes := 1; nodes <= 2; nodes++ {
		h, c := pair(t, nodes)
		stranger := connect(t, h)
		done := ask(t.Context(), h)
		id := c.next().ID
		err := stranger.linked().Receive(&hubbub.Completion{InvocationID: id, HasResult: true, Result: hubbub.RawValue([]byte("6"), common)}, 10)
		want := "Connection ID '" + stranger.id + "' is not valid for invocation ID '" + id + "'."
		if err == nil || err.Error() != want {
			t.Errorf("the stranger's answer: %v, want %s", err, want)
		}
		c.answer(id, 5)
		if got := await(t, "the answer", done); got.n != 5 || got.err != nil {
			t.Errorf("got %d, %v, want 5", got.n, got.err)
		}
	}
}

func TestClientThatDoesNotExist(t *testing.T) {
	t.Parallel()
	for nodes := 1; nodes <= 2; nodes++ {
		synctest.Test(t, func(t *testing.T) {
			h, c := pair(t, nodes)
			start := time.Now()
			_, err := hubbub.Invoke[int](t.Context(), h.Client("nobody"), "Ask")
			if err == nil || err.Error() != "Connection 'nobody' does not exist." || !errors.Is(err, hubbub.ErrClosed) {
				t.Errorf("error %v", err)
			}
			if took, want := time.Since(start), time.Duration(nodes-1)*5*time.Second; took != want {
				t.Errorf("it took %v, want %v", took, want)
			}
			if nodes == 2 {
				if err := h.Join(t.Context(), "nobody", "g"); !errors.Is(err, hubbub.ErrClosed) {
					t.Errorf("join nobody: %v, want ErrClosed", err)
				}
			}
			c.leave()
		})
	}
}

// TestWaitingForAClientDoesNotBlockIt answers behind other calls of the same connection, with one permit.
func TestWaitingForAClientDoesNotBlockIt(t *testing.T) {
	t.Parallel()
	h := newHub(&hubbub.Options{MaximumPendingInvocations: 2})
	adapters(h)
	h.Handle("Ask", hubbub.Func0(func(ctx context.Context) (int, error) {
		return hubbub.Invoke[int](ctx, hubbub.CallerFrom(ctx), "Give")
	}))
	p := connect(t, h)
	p.call("1", "Ask")
	id := p.next().ID
	for range 20 {
		p.call("2", "F0")
		p.expect("done 2 = 7")
	}
	p.answer(id, 5)
	p.expect("done 1 = 5")
}

// TestPermitsAfterAnAnswer counts what runs when calls have waited for their client, and when one asks after its method has
// returned: the permits are neither lost nor doubled.
func TestPermitsAfterAnAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newHub(nil)
		started, open := make(chan int, 100), make(chan struct{})
		g.Handle("Wait", hubbub.Action0(func(context.Context) error { started <- 1; <-open; return nil }))
		late := make(chan struct{})
		g.Handle("Ask", hubbub.Action0(func(ctx context.Context) error {
			go func() { // outlives the method
				<-late
				_, err := hubbub.Invoke[int](ctx, hubbub.CallerFrom(ctx), "Late")
				if !errors.Is(err, context.Canceled) {
					t.Errorf("asked after the method: %v, want context.Canceled", err)
				}
			}()
			return nil
		}))
		g.Handle("Twice", hubbub.Action0(func(ctx context.Context) error {
			for range 2 {
				if err := hubbub.CallerFrom(ctx).Invoke(ctx, nil, "Give"); err != nil {
					return err
				}
			}
			return nil
		}))
		p := connect(t, g)
		for range 3 {
			p.call("", "Twice")
			p.answer(p.next().ID, 1)
			p.answer(p.next().ID, 1)
			p.call("", "Ask")
		}
		synctest.Wait()
		close(late)
		synctest.Wait()
		for range 10 {
			p.call("", "Wait")
		}
		synctest.Wait()
		if n := len(started); n != 1 {
			t.Errorf("%d calls run at a time, want 1", n)
		}
		close(open)
		synctest.Wait()
		if n := len(started); n != 10 {
			t.Errorf("%d calls ran, want 10", n)
		}
		p.leave()
	})
}

// TestCallsThatWaitForAClientAreBounded asks a client that never answers.
func TestCallsThatWaitForAClientAreBounded(t *testing.T) {
	t.Parallel()
	h := newHub(&hubbub.Options{MaximumStreamsPerClient: 5})
	h.Handle("Ask", hubbub.Func0(func(ctx context.Context) (int, error) {
		return hubbub.Invoke[int](ctx, hubbub.CallerFrom(ctx), "Give")
	}))
	p := connect(t, h)
	for i := range 5 {
		p.call(fmt.Sprint(i), "Ask")
		p.expect("Give()")
	}
	last := p.last.ID
	for range 10 {
		p.call("x", "Ask")
		p.expect("done x ! An unexpected error occurred invoking 'Ask' on the server. HubException: The connection has 5 calls that wait for results of clients, the limit.")
	}
	p.answer(last, 1)
	p.expect("done 4 = 1")
	p.call("x", "Ask")
	p.expect("Give()")
}

// TestNoClientResultsWhileConnecting also asks in OnDisconnected, where nobody is left to answer.
func TestNoClientResultsWhileConnecting(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	errs := make(chan error, 2)
	h.OnConnected(func(ctx context.Context) error {
		_, err := hubbub.Invoke[int](ctx, hubbub.CallerFrom(ctx), "Give")
		errs <- err
		return nil
	})
	h.OnDisconnected(func(ctx context.Context, _ error) {
		c := hubbub.CallerFrom(ctx)
		_, err := hubbub.Invoke[int](ctx, c, "Give")
		errs <- errors.Join(err, c.Send(ctx, "bye"), c.Others().Send(ctx, "left", c.ID()), c.Join(ctx, "late"))
	})
	other := connect(t, h, named("other"))
	await(t, "OnConnected", errs)
	p := connect(t, h, named("c"))
	if err := await(t, "OnConnected", errs); err == nil || err.Error() != "Client results inside OnConnectedAsync Hub methods are not allowed." {
		t.Errorf("error %v", err)
	}
	p.leave()
	if err := await(t, "OnDisconnected", errs); !errors.Is(err, hubbub.ErrClosed) || err.Error() != "Connection 'c' disconnected." {
		t.Errorf("error %v", err)
	}
	other.expect(`left("c")`)
	if n := h.Stats().Groups; n != 0 {
		t.Errorf("%d groups, want none: the connection is gone", n)
	}
}

// TestNodesForgetQuestions asks a client that never answers, from another node that gives up each time.
func TestNodesForgetQuestions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := &counted{Backplane: hubbub.NewLocal()}
		h := newHub(&hubbub.Options{Backplane: bus})
		c := connect(t, newHub(&hubbub.Options{Backplane: bus}), named("c"))
		for range 50 {
			ctx, stop := context.WithTimeout(t.Context(), time.Second)
			if got := <-ask(ctx, h); !errors.Is(got.err, context.DeadlineExceeded) {
				t.Errorf("error %v, want context.DeadlineExceeded", got.err)
			}
			stop()
		}
		synctest.Wait()
		before := bus.published.Load()
		c.leave()
		synctest.Wait()
		if n := bus.published.Load() - before; n != 0 {
			t.Errorf("the end of the connection was told %d times to nodes that had given up", n)
		}
	})
}

// counted counts what is published.
type counted struct {
	hubbub.Backplane
	published atomic.Int64
}

func (b *counted) Publish(ctx context.Context, channel string, data []byte) error {
	b.published.Add(1)
	return b.Backplane.Publish(ctx, channel, data)
}
