package hubbub_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestFlush sends to two connections of a user, and waits until their transports have written it: a transport has when it comes back
// after it has taken it.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(nil)
		a, b := connect(t, h, userNamed("ann")), connect(t, h, userNamed("ann"))
		other := connect(t, h, userNamed("bob"))
		for _, p := range []*peer{a, b, other} {
			drain(p.out) // what greets them
		}
		audience := h.User("ann")
		flush := func(ctx context.Context) <-chan int {
			n := make(chan int, 1)
			go func() { n <- audience.Flush(ctx) }()
			return n
		}
		wants := func(what string, n <-chan int, want int) {
			t.Helper()
			synctest.Wait()
			select {
			case got := <-n:
				if got != want {
					t.Errorf("%s: %d connections have it, want %d", what, got, want)
				}
			default:
				if want >= 0 {
					t.Errorf("%s: Flush waits, want %d connections that have it", what, want)
				}
			}
		}

		must(t, h.All().Send(t.Context(), "m", 1))
		n := flush(t.Context())
		wants("nothing is taken", n, -1)
		drain(a.out)
		drain(a.out)
		drain(b.out)
		wants("one has it, one is taken", n, -1)
		must(t, audience.Send(t.Context(), "later"))
		drain(b.out)
		wants("both have it", n, 2)
		drain(a.out)
		drain(a.out)
		drain(b.out)
		wants("again, at once", flush(t.Context()), 2)
		audience = h.User("ann").Except(a.id)
		wants("without one", flush(t.Context()), 1)
		audience = h.User("nobody")
		wants("nobody", flush(t.Context()), 0)

		audience = h.User("ann")
		must(t, audience.Send(t.Context(), "m", 2))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n = flush(ctx)
		drain(a.out)
		drain(a.out)
		wants("one is stuck", n, -1)
		time.Sleep(time.Second)
		wants("one was stuck for too long", n, 1)
		wants("it is known of the other one without waiting", flush(ctx), 1)

		n = flush(t.Context())
		wants("one is still stuck", n, -1)
		b.linked().Detach(nil)
		wants("one has ended", n, 1)
	})
}
