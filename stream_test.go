package hubbub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub"
)

const failed = "An unexpected error occurred invoking '%s' on the server."

func TestUploadOrder(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	h.Handle("Up", hubbub.Func1(func(_ context.Context, s hubbub.Seq[int]) (int, error) {
		want := 0
		for n, err := range s {
			if err != nil || n != want {
				return 0, hubbub.Errorf("got %d, %v, want %d", n, err, want)
			}
			want++
		}
		return want, nil
	}))
	p := connect(t, h)
	p.upload("1", "Up", []string{"s"})
	for i := range 2000 {
		p.item("s", i)
	}
	p.end("s", "")
	p.expect("done 1 = 2000")
}

func TestUploadEnds(t *testing.T) {
	t.Parallel()
	for _, details := range []bool{false, true} {
		h := newHub(&hubbub.Options{EnableDetailedErrors: details})
		adapters(h)
		h.Handle("First", hubbub.Func1(func(_ context.Context, s hubbub.Seq[int]) (int, error) {
			for n, err := range s {
				return n, err
			}
			return -1, nil
		}))
		h.Handle("Ignore", hubbub.Func1(func(context.Context, hubbub.Seq[int]) (int, error) { return 1, nil }))
		h.Handle("Twice", hubbub.Func1(func(_ context.Context, s hubbub.Seq[int]) (int, error) {
			n, err := sum(s)
			again, err2 := sum(s)
			return n*10 + again, errors.Join(err, err2)
		}))
		p := connect(t, h)

		p.upload("1", "Up1", []string{"s"})
		p.item("s", 1)
		p.end("s", "no more")
		p.expect("done 1 ! " + fmt.Sprintf(failed, "Up1") + " HubException: no more")

		p.upload("1", "Up1", []string{"s"})
		p.item("s", 1)
		p.receive(&hubbub.Completion{InvocationID: "s", HasResult: true, Result: hubbub.RawValue([]byte("5"), p.dialect)})
		p.item("s", 2) // behind its end
		p.expect("done 1 = 1")

		tail := ""
		if details {
			tail = " UnmarshalTypeError: json: cannot unmarshal string into Go value of type int"
		}
		p.upload("1", "Up1", []string{"s"})
		p.item("s", "word")
		p.item("s", 2)
		p.end("s", "")
		p.expect("done 1 ! " + fmt.Sprintf(failed, "Up1") + " HubException: Failed to bind Stream message." + tail)

		for _, early := range []string{"First", "Ignore"} { // the rest goes nowhere and holds nobody back
			p.upload("1", early, []string{"s"})
			for range 100 {
				p.item("s", 1)
			}
			p.end("s", "")
			p.expect("done 1 = 1")
		}
		p.upload("1", "Twice", []string{"s"})
		p.item("s", 3)
		p.end("s", "")
		p.expect("done 1 = 30")
		p.item("unknown", 1)
		p.end("unknown", "x")
		p.call("1", "F0")
		p.expect("done 1 = 7")
	}
}

// TestUploadOverflow holds back the reader of a connection when a stream is full, and lets it go when the method takes an
// item, when it ends, and when the connection does.
func TestUploadOverflow(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"takes", "returns", "disconnects", "cancels"} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(&hubbub.Options{StreamBufferCapacity: 3})
			next, got := make(chan bool), 0
			h.Handle("Up", hubbub.Action1(func(ctx context.Context, s hubbub.Seq[int]) error {
				if !<-next {
					return nil
				}
				for _, err := range s {
					if err != nil {
						return err
					}
					got++
					if !<-next {
						return nil
					}
				}
				return nil
			}))
			p := connect(t, h)
			p.upload("1", "Up", []string{"s"})
			var sent atomic.Int32
			done := make(chan struct{})
			go func() {
				defer close(done)
				for i := range 10 {
					p.item("s", i)
					sent.Add(1)
				}
			}()
			synctest.Wait()
			if n := sent.Load(); n != 3 {
				t.Errorf("%d items were taken, want 3", n)
			}
			switch how {
			case "takes":
				next <- true
				synctest.Wait()
				if n := sent.Load(); n != 4 {
					t.Errorf("%d items were taken after the method had read one, want 4", n)
				}
				next <- false
			case "returns":
				next <- false
			case "cancels":
				// CancelInvocation stands behind the items on the line, but another transport may hand it over beside them.
				p.cancel("1")
				<-done
				next <- false
			case "disconnects":
				p.leave()
				<-done
				next <- false
			}
			<-done
			synctest.Wait()
			p.leave()
		})
	}
}

// TestUploadWakes ends a call that waits for an item: a method that ranges over a stream cannot watch its context.
func TestUploadWakes(t *testing.T) {
	t.Parallel()
	h := newHub(&hubbub.Options{EnableDetailedErrors: true})
	started, ends := make(chan struct{}, 2), make(chan error, 1)
	var order atomic.Int32
	h.Handle("Up", hubbub.Action1(func(ctx context.Context, s hubbub.Seq[int]) error {
		started <- struct{}{}
		_, err := sum(s)
		if ctx.Err() == nil {
			t.Error("the stream ended before the context")
		}
		order.CompareAndSwap(1, 2)
		ends <- err
		return err
	}))
	h.OnDisconnected(func(context.Context, error) { order.CompareAndSwap(0, 1) })
	p := connect(t, h)
	p.upload("1", "Up", []string{"s"})
	p.item("s", 1)
	await(t, "the method to start", started)
	p.cancel("1")
	if err := await(t, "the method", ends); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled upload ended with %v, want context.Canceled", err)
	}
	p.expect("done 1 ! " + fmt.Sprintf(failed, "Up") + " TaskCanceledException: A task was canceled.")
	p.upload("1", "Up", []string{"s"})
	await(t, "the method to start", started)
	p.leave()
	if err := await(t, "the method", ends); err == nil || err.Error() != "The underlying connection was closed." {
		t.Errorf("an upload of a connection that is gone ended with %v", err)
	}
	if order.Load() != 2 {
		t.Error("the upload failed before OnDisconnected had run")
	}
}

func TestDownloads(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	adapters(h)
	fails := func(n int, err error) hubbub.Seq[int] {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
			if yield(0, err) || yield(99, nil) {
				t.Error("a stream may go on after its error")
			}
		}
	}
	give := func(s hubbub.Seq[int]) hubbub.Method {
		return hubbub.Func0(func(context.Context) (hubbub.Seq[int], error) { return s, nil })
	}
	h.Handle("Fails", give(fails(2, errors.New("secret"))))
	h.Handle("Refuses", give(fails(1, hubbub.Errorf("enough"))))
	h.Handle("Foreign", give(fails(1, context.Canceled)))
	h.Handle("Nil", give(nil))
	h.Handle("Panics", give(func(yield func(int, error) bool) { yield(0, nil); panic("oops") }))
	h.Handle("Never", hubbub.Func0(func(context.Context) (hubbub.Seq[int], error) { return count(1), hubbub.Errorf("no") }))
	h.Handle("Bad", hubbub.Func0(func(context.Context) (hubbub.Seq[any], error) {
		return func(yield func(any, error) bool) {
			if yield(1, nil) && yield(make(chan int), nil) {
				t.Error("an item that cannot be encoded was taken")
			}
		}, nil
	}))
	p := connect(t, h)
	const streaming = "done 1 ! An error occurred on the server while streaming results."
	for name, want := range map[string][]string{
		"Fails":   {"item 1 = 0", "item 1 = 1", streaming},
		"Refuses": {"item 1 = 0", streaming + " HubException: enough"},
		"Foreign": {"item 1 = 0", streaming},
		"Nil":     {"done 1 ! The value returned by the streaming method 'Nil' is not a ChannelReader<> or IAsyncEnumerable<>."},
		"Panics":  {"item 1 = 0", streaming},
		"Never":   {"done 1 ! " + fmt.Sprintf(failed, "Never") + " HubException: no"},
		"Bad":     {"item 1 = 1", streaming},
	} {
		p.stream("1", name)
		p.expect(want...)
	}
	p.stream("1", "Count", 5000)
	for i := range 5000 {
		p.expect(fmt.Sprint("item 1 = ", i))
	}
	p.expect("done 1")
	p.stream("", "Count", 2) // nobody can tell whose items these are
	p.expect("item  = 0", "item  = 1")
	p.call("1", "F0")
	p.expect("done 1 = 7")
	eventually(t, "all streams to end", func() bool { return h.Stats().Streams == 0 })
}

// TestDownloadCancel stops streams, more often than any limit of a counter that does not go down would allow.
func TestDownloadCancel(t *testing.T) {
	t.Parallel()
	h := newHub(&hubbub.Options{MaximumStreamsPerClient: 3})
	ended := make(chan struct{}, 1)
	h.Handle("Forever", hubbub.Func0(func(ctx context.Context) (hubbub.Seq[int], error) {
		return func(yield func(int, error) bool) {
			defer func() { ended <- struct{}{} }()
			if !yield(0, nil) {
				return
			}
			<-ctx.Done()
			if yield(1, nil) || yield(2, nil) {
				t.Error("a cancelled stream may go on")
			}
		}, nil
	}))
	p := connect(t, h)
	for range 300 {
		p.stream("1", "Forever")
		p.expect("item 1 = 0")
		p.cancel("1")
		await(t, "the stream to end", ended)
		p.expect("done 1")
		eventually(t, "the stream to be forgotten", func() bool { return h.Stats().Streams == 0 })
	}
}

// TestDownloadCancelledAtOnce: the method is called, with a context that has ended, and so is the stream.
func TestDownloadCancelledAtOnce(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	called := make(chan error, 2)
	h.Handle("Forever", hubbub.Func0(func(ctx context.Context) (hubbub.Seq[int], error) {
		<-ctx.Done()
		called <- ctx.Err()
		return func(yield func(int, error) bool) {
			called <- ctx.Err()
			yield(1, nil)
		}, nil
	}))
	p := connect(t, h)
	for range 100 {
		p.stream("1", "Forever")
		p.cancel("1")
		for range 2 {
			if err := await(t, "the call", called); !errors.Is(err, context.Canceled) {
				t.Errorf("called with %v, want context.Canceled", err)
			}
		}
		p.expect("done 1")
	}
}

// TestDownloadWaitsForRoom streams more than a queue holds to a peer that reads late, and sends to it meanwhile: the stream is
// slowed down, nothing is lost, and nobody is closed.
func TestDownloadWaitsForRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(nil)
		var made atomic.Int32
		text := strings.Repeat("x", 100)
		h.Handle("Long", hubbub.Func0(func(context.Context) (hubbub.Seq[string], error) {
			return func(yield func(string, error) bool) {
				for range 1000 {
					made.Add(1)
					if !yield(text, nil) {
						return
					}
				}
			}, nil
		}))
		p := connect(t, h, queue(4000))
		p.stream("1", "Long")
		synctest.Wait()
		if n := made.Load(); n > 40 {
			t.Errorf("%d items were made for a peer that does not read, want few", n)
		}
		for range 10 { // there is room for those who cannot wait
			must(t, h.All().Send(t.Context(), "news", text))
		}
		items, news := 0, 0
		for {
			switch m := p.next(); m.Type {
			case hubbub.TypeStreamItem:
				items++
				if items%100 == 0 {
					time.Sleep(9 * time.Second) // slow, but not stuck
				}
				continue
			case hubbub.TypeInvocation:
				news++
				continue
			}
			break
		}
		if items != 1000 || news != 10 {
			t.Errorf("got %d items and %d messages, want 1000 and 10", items, news)
		}
		p.leave()
	})
}

// TestDownloadToAStuckPeer gives the peer up after SendTimeout.
func TestDownloadToAStuckPeer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(&hubbub.Options{SendTimeout: 3 * time.Second})
		adapters(h)
		p := connect(t, h, queue(1000))
		start := time.Now()
		p.stream("1", "Count", 1_000_000)
		<-p.linked().Done()
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("it took %v, want 3s", took)
		}
		if _, err := p.endedWith(); !errors.Is(err, hubbub.ErrSlow) {
			t.Errorf("closed with %v, want ErrSlow", err)
		}
		synctest.Wait()
		if s := h.Stats(); s.Closed["slow"] != 1 || s.Streams != 0 {
			t.Errorf("%v closed and %d streams, want one that was slow and no stream", s.Closed, s.Streams)
		}
	})
}
