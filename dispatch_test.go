package hubbub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub"
)

// gate is a hub with a method that says that it has started and then waits until the test lets it go on or its context ends.
type gate struct {
	*hubbub.Hub
	started chan int
	open    chan struct{}
}

func newGate(o *hubbub.Options) *gate {
	g := &gate{Hub: newHub(o), started: make(chan int, 10_000), open: make(chan struct{})}
	g.Handle("Wait", hubbub.Func1(func(ctx context.Context, n int) (int, error) {
		g.started <- n
		select {
		case <-g.open:
			return n, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}))
	g.Handle("Mark", hubbub.Func1(func(_ context.Context, n int) (int, error) { g.started <- n; return n, nil }))
	return g
}

// TestCallsStartInOrder sends many calls of one connection, with and without an answer.
func TestCallsStartInOrder(t *testing.T) {
	t.Parallel()
	const calls = 2000
	for _, permits := range []int{1, 4} {
		t.Run(fmt.Sprint(permits, " permits"), func(t *testing.T) {
			t.Parallel()
			h := newHub(&hubbub.Options{MaximumParallelInvocationsPerClient: permits})
			var running, most atomic.Int32
			order := make(chan int, calls)
			h.Handle("Call", hubbub.Action1(func(_ context.Context, n int) error {
				order <- n
				now := running.Add(1)
				defer running.Add(-1)
				for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
				}
				return nil
			}))
			p := connect(t, h)
			for i := range calls {
				p.call("", "Call", i)
			}
			for i := range calls {
				n := await(t, "a call", order)
				if permits == 1 && n != i {
					t.Fatalf("call %d ran as number %d", n, i)
				}
			}
			if n := int(most.Load()); n > permits {
				t.Errorf("%d calls ran at a time, want at most %d", n, permits)
			}
		})
	}
}

// TestPermits counts how many calls run while none ends.
func TestPermits(t *testing.T) {
	t.Parallel()
	for _, permits := range []int{0, 1, 3} {
		synctest.Test(t, func(t *testing.T) {
			g := newGate(&hubbub.Options{MaximumParallelInvocationsPerClient: permits})
			p := connect(t, g.Hub)
			for i := range 10 {
				p.call(fmt.Sprint(i), "Wait", i)
			}
			synctest.Wait()
			if n, want := len(g.started), max(permits, 1); n != want {
				t.Errorf("%d calls run at a time with %d permits, want %d", n, permits, want)
			}
			close(g.open)
			synctest.Wait()
			if n := len(g.started); n != 10 {
				t.Errorf("%d calls ran in the end, want 10", n)
			}
			p.leave()
		})
	}
}

// TestPendingLimits holds back whoever reads a connection with too many calls before it.
func TestPendingLimits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opts hubbub.Options
		fits int // calls that Receive takes while the first runs
	}{
		{"default", hubbub.Options{}, 64},
		{"number", hubbub.Options{MaximumPendingInvocations: 3}, 3},
		{"bytes", hubbub.Options{MaximumPendingBytes: 250}, 3},
		{"below zero", hubbub.Options{MaximumPendingInvocations: -1, MaximumPendingBytes: -1}, 64},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			g := newGate(&test.opts)
			p := connect(t, g.Hub)
			synctest.Wait()
			p.call("", "Wait", 0)
			var taken atomic.Int32
			done := make(chan struct{})
			go func() {
				defer close(done)
				for i := range 200 {
					p.call("", "Mark", i+1)
					taken.Add(1)
				}
			}()
			synctest.Wait()
			// The last call is in the queue already when Receive waits.
			if n := int(taken.Load()); n != test.fits-1 {
				t.Errorf("%s: %d calls were taken, want %d", test.name, n, test.fits-1)
			}
			close(g.open)
			<-done
			synctest.Wait()
			if n := len(g.started); n != 201 {
				t.Errorf("%s: %d calls ran in the end, want 201", test.name, n)
			}
			p.leave()
		})
	}
}

// TestEndLetsReceiveGo ends a connection whose reader is held back.
func TestEndLetsReceiveGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(&hubbub.Options{MaximumPendingInvocations: 1})
		p := connect(t, g.Hub)
		synctest.Wait()
		p.call("", "Wait", 0)
		done := make(chan struct{})
		go func() { p.call("", "Mark", 1); close(done) }()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("Receive took a call too many")
		default:
		}
		p.leave()
		<-done
		p.call("", "Mark", 2)
		synctest.Wait()
		if n := len(g.started); n != 1 {
			t.Errorf("%d calls started, want only the first", n)
		}
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	canceled := "done %s ! An unexpected error occurred invoking 'Wait' on the server. TaskCanceledException: A task was canceled."
	g := newGate(&hubbub.Options{EnableDetailedErrors: true})
	p := connect(t, g.Hub)
	p.call("running", "Wait", 1)
	await(t, "the method", g.started)
	p.call("pending", "Mark", 2) // is not called at all
	p.call("last", "Mark", 3)
	p.cancel("unknown")
	p.cancel("")
	p.cancel("pending")
	p.cancel("running")
	p.cancel("running")
	p.expect(fmt.Sprintf(canceled, "running"), strings.Replace(fmt.Sprintf(canceled, "pending"), "Wait", "Mark", 1), "done last = 3")
	if n := await(t, "the last call", g.started); n != 3 {
		t.Errorf("call %d ran after the cancelled one, want 3", n)
	}
	p.cancel("last")
	p.call("running", "Mark", 4) // the id is free again
	p.expect("done running = 4")
}

func TestAMethodMayCatchItsCancellation(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	started := make(chan struct{})
	h.Handle("Wait", hubbub.Func0(func(ctx context.Context) (string, error) {
		if ctx.Err() != nil {
			t.Error("the context has ended before its time")
		}
		sub, stop := context.WithTimeout(ctx, time.Hour)
		defer stop()
		close(started)
		<-sub.Done()
		return fmt.Sprint(ctx.Err(), sub.Err()), nil
	}))
	p := connect(t, h)
	p.call("1", "Wait")
	await(t, "the method", started)
	p.cancel("1")
	p.expect(`done 1 = "context canceled context canceled"`)
}

// TestContextEnds looks at contexts after their call and after their connection.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	contexts := make(chan context.Context, 1)
	h.Handle("Give", hubbub.Action0(func(ctx context.Context) error { contexts <- ctx; return nil }))
	h.Handle("Stay", hubbub.Action0(func(ctx context.Context) error { contexts <- ctx; <-ctx.Done(); return ctx.Err() }))
	p := connect(t, h, userNamed("u"))
	p.call("1", "Give")
	ctx := await(t, "a context", contexts)
	p.expect("done 1 = null")
	await(t, "the end of the context", ctx.Done())
	if ctx.Err() == nil {
		t.Error("the context of a method that has returned has no error")
	}
	if c := hubbub.CallerFrom(ctx); c == nil || c.ID() != p.id || c.User().ID != "u" || c.Hub() != h || hubbub.UserFrom(ctx).ID != "u" {
		t.Error("the context has lost its caller")
	}
	if _, ok := ctx.Deadline(); ok || ctx.Value("other") != nil {
		t.Error("the context has a deadline or a value that nobody gave it")
	}
	p.call("", "Stay")
	ctx = await(t, "a context", contexts)
	p.leave()
	await(t, "the end of the context", ctx.Done())
	await(t, "the end of the caller", hubbub.CallerFrom(ctx).Done())
}

func TestDuplicateIDs(t *testing.T) {
	t.Parallel()
	g := newGate(nil)
	adapters(g.Hub)
	p := connect(t, g.Hub)
	p.call("1", "Wait", 1)
	await(t, "the method", g.started)
	p.call("1", "Mark", 2)
	p.expect("done 1 ! Invocation ID '1' is already in use.")
	p.stream("1", "Count", 2)
	p.expect("done 1 ! Invocation ID '1' is already in use.")
	p.cancel("1") // still means the first
	p.expect("done 1 ! An unexpected error occurred invoking 'Wait' on the server.")

	p.upload("2", "Up1", []string{"s"})
	p.upload("3", "Up1", []string{"s"})
	p.expect("done 3 ! An unexpected error occurred invoking 'Up1' on the server. HubException: Stream ID 's' is already in use.")
	p.upload("4", "Up4", []string{"t", "t"}, "a", 1)
	p.expect("done 4 ! An unexpected error occurred invoking 'Up4' on the server. HubException: Stream ID 't' is already in use.")
	p.upload("5", "Up1", []string{"t"}) // refused calls leave nothing behind
	p.item("t", 1)
	p.end("t", "")
	p.expect("done 5 = 1")
	p.item("s", 4)
	p.end("s", "")
	p.expect("done 2 = 4")
}

func TestStreamLimits(t *testing.T) {
	t.Parallel()
	h := newHub(&hubbub.Options{MaximumStreamsPerClient: 2})
	adapters(h)
	p := connect(t, h)
	p.upload("1", "Up1", []string{"a"})
	p.upload("2", "Up1", []string{"b"})
	p.stream("3", "Count", 1)
	p.expect("done 3 ! An unexpected error occurred invoking 'Count' on the server. HubException: The connection has 2 calls with streams running, the limit.")
	p.call("4", "F0")
	p.expect("done 4 = 7")
	p.end("a", "")
	p.expect("done 1 = 0")
	eventually(t, "the stream to end", func() bool { return h.Stats().Streams == 1 })
	p.stream("3", "Count", 1)
	p.expect("item 3 = 0", "done 3")
	ids := make([]string, 65)
	for i := range ids {
		ids[i] = fmt.Sprint("many", i)
	}
	eventually(t, "the stream to end", func() bool { return h.Stats().Streams == 1 })
	p.upload("5", "Up1", ids)
	p.expect("done 5 ! An unexpected error occurred invoking 'Up1' on the server. HubException: Client sent 65 stream(s), Hub method expects 1.")
}

// TestDroppedStreamsAreNotCounted ends a connection whose calls with streams have not started.
func TestDroppedStreamsAreNotCounted(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	adapters(h)
	connected := make(chan struct{})
	h.OnConnected(func(context.Context) error { <-connected; return nil })
	p := connect(t, h)
	p.stream("1", "Count", 1)
	p.upload("2", "Up1", []string{"s"})
	if n := h.Stats().Streams; n != 2 {
		t.Errorf("%d streams, want 2", n)
	}
	p.Close(nil, nil)
	if n := h.Stats().Streams; n != 0 {
		t.Errorf("%d streams of a connection that is gone, want 0", n)
	}
	close(connected)
	p.leave()
}

// TestNoAnswerIsWanted makes every kind of failure with calls that have no id.
func TestNoAnswerIsWanted(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	adapters(h)
	h.Handle("Fail", hubbub.Action0(func(context.Context) error { return hubbub.Errorf("no") }))
	p := connect(t, h)
	p.call("", "Nothing")
	p.call("", "F1", "x")
	p.call("", "Fail")
	p.call("", "F0")
	p.upload("", "Up1", nil)
	p.call("1", "F0")
	p.expect("done 1 = 7")
	eventually(t, "four failures", func() bool { return h.Stats().Failed == 4 })
}

func TestErrorsOfMethods(t *testing.T) {
	t.Parallel()
	cause := errors.New("secret")
	errs := map[string]error{
		"Plain": cause, "Ours": hubbub.Errorf("room %d: %w", 5, cause), "Wrapped": fmt.Errorf("outer: %w", hubbub.Errorf("inner")),
		"Class": &hubbub.Error{Class: "OwnException", Message: "m"}, "Private": hubbub.Classify("IOException", cause, "disk"),
		"Context": context.Canceled,
	}
	want := map[string][2]string{ // without and with details
		"Plain":   {"", " Exception: secret"},
		"Ours":    {" HubException: room 5: secret", " HubException: room 5: secret"},
		"Wrapped": {" HubException: inner", " HubException: inner"},
		"Class":   {" OwnException: m", " OwnException: m"},
		"Private": {"", " IOException: disk"},
		"Context": {"", " Exception: context canceled"},
	}
	for i, details := range []bool{false, true} {
		h := newHub(&hubbub.Options{EnableDetailedErrors: details})
		for name, err := range errs {
			h.Handle(name, hubbub.Action0(func(context.Context) error { return err }))
		}
		p := connect(t, h)
		for name := range errs {
			p.call("1", name)
			p.expect("done 1 ! An unexpected error occurred invoking '" + name + "' on the server." + want[name][i])
		}
	}
	if !errors.Is(errs["Ours"], cause) || !errors.Is(errs["Private"], cause) {
		t.Error("an error has lost its cause")
	}
	if got := hubbub.CloseText(nil, true); got != "Connection closed with an error." {
		t.Errorf("close text %q", got)
	}
}

// TestArgumentsThatCouldNotBeRead goes on with the connection.
func TestArgumentsThatCouldNotBeRead(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	adapters(h)
	p := connect(t, h)
	p.receive(&hubbub.Invocation{ID: "1", Target: "f1", Args: hubbub.BadArgs(hubbub.Errorf("nonsense"))})
	p.expect("done 1 ! Failed to invoke 'F1' due to an error on the server. HubException: nonsense")
	p.call("2", "F1", 1)
	p.expect("done 2 = 2")
}

// TestOneSlowMethodHoldsItsConnectionOnly runs calls of others beside it.
func TestOneSlowMethodHoldsItsConnectionOnly(t *testing.T) {
	t.Parallel()
	g := newGate(nil)
	slow := connect(t, g.Hub)
	slow.call("1", "Wait", 0)
	await(t, "the method", g.started)
	var all sync.WaitGroup
	for i := range 20 {
		p := connect(t, g.Hub)
		all.Go(func() {
			p.call("1", "Mark", i)
			if got := p.next().text(); !strings.HasPrefix(got, "done 1 = ") {
				t.Errorf("another connection got %s", got)
			}
		})
	}
	all.Wait()
	close(g.open)
	slow.expect("done 1 = 0")
}
