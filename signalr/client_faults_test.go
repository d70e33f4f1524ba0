package signalr_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// quiet logs nothing.
var quiet = slog.New(slog.DiscardHandler)

// faults are what a network does to a connection that is up.
var faults = []struct {
	name string
	do   func(p *faultProxy)
}{
	{"cut", func(p *faultProxy) { p.Cut() }},
	{"cut within a message", func(p *faultProxy) { p.CutAfter(40, nil) }},
	{"half-close to the client", func(p *faultProxy) { p.HalfClose(toClient) }},
	{"half-close to the server", func(p *faultProxy) { p.HalfClose(toServer) }},
	{"stall", func(p *faultProxy) { p.Stall(true) }},
	{"stall to the client", func(p *faultProxy) { p.StallOne(toClient, true) }},
	{"stall to the server", func(p *faultProxy) { p.StallOne(toServer, true) }},
}

// faultHub is a server with short time-outs behind a proxy. hangs counts the calls of Hang that have begun.
func faultHub(t *testing.T, hangs *atomic.Int32) (*faultProxy, string) {
	t.Helper()
	s := start(t, setup{
		hub:     &hubbub.Options{KeepAliveInterval: time.Second, ClientTimeoutInterval: 2500 * time.Millisecond},
		signalr: &signalr.Options{PollTimeout: time.Second, DisconnectTimeout: 500 * time.Millisecond},
		methods: func(h *hubbub.Hub) {
			h.Handle("Hang", hubbub.Action0(func(ctx context.Context) error {
				hangs.Add(1)
				<-ctx.Done()
				return nil
			}))
			h.Handle("Drip", hubbub.Func0(func(ctx context.Context) (hubbub.Seq[int], error) {
				return func(yield func(int, error) bool) {
					if yield(0, nil) {
						<-ctx.Done()
					}
				}, nil
			}))
			h.Handle("Notify", hubbub.Action1(func(ctx context.Context, s string) error {
				return hubbub.CallerFrom(ctx).Send(ctx, "Message", s)
			}))
		},
	})
	t.Cleanup(func() { // the server finds out by itself
		await(t, "the end of all connections", func() bool { return s.hub.Stats().Connections == 0 })
	})
	return through(t, s.url)
}

// faultOptions find out about every fault within 3 s.
func faultOptions(o signalr.ClientOptions) signalr.ClientOptions {
	o.Logger = quiet
	o.KeepAliveInterval, o.ServerTimeout, o.RequestTimeout = 500*time.Millisecond, 2500*time.Millisecond, 2500*time.Millisecond
	o.CloseTimeout = time.Second
	return o
}

// Without stateful reconnect every fault is found, over every transport: calls and streams fail with ErrConnectionLost and are
// not sent again, the hooks come in their order, and the same client and its handlers go on under a new id.
func TestClientFaults(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, opts signalr.ClientOptions) {
		var all sync.WaitGroup
		for _, fault := range faults { // all at once: most of their time is waiting
			if opts.Transports == signalr.LongPolling && fault.name == "half-close to the server" {
				continue // it only ends a poll that has no messages: nothing is lost, and there is nothing to find
			}
			all.Go(func() {
				t.Run(fault.name, func(t *testing.T) { faultOnce(t, faultOptions(opts), fault.do) })
			})
		}
		all.Wait()
	})
}

func faultOnce(t *testing.T, opts signalr.ClientOptions, do func(p *faultProxy)) {
	var hangs atomic.Int32
	p, url := faultHub(t, &hangs)
	events := make(chan string, 8)
	opts.Reconnect = func(r hubbub.Retry) (time.Duration, bool) { return 20 * time.Millisecond, r.Attempt < 100 }
	opts.OnReconnecting = func(error) {
		p.Stall(false)
		events <- "reconnecting"
	}
	opts.OnReconnected = func(id string) { events <- "reconnected " + id }
	opts.OnClosed = func(err error) { events <- fmt.Sprint("closed ", err) }
	messages := make(chan string, 8)
	c := startClient(t, url, opts, func(c *signalr.Client) {
		c.On("Message", hubbub.Action1(func(_ context.Context, s string) error { messages <- s; return nil }))
	})
	before := c.ID()
	dripping, ended, failed := make(chan int, 8), make(chan error, 1), make(chan error, 1)
	go func() {
		for i, err := range hubbub.Stream[int](t.Context(), c, "Drip") {
			if err != nil {
				ended <- err
				return
			}
			dripping <- i
		}
		ended <- nil
	}()
	receive(t, "the first item", dripping)
	go func() { failed <- c.Invoke(t.Context(), nil, "Hang") }()
	await(t, "the call", func() bool { return hangs.Load() == 1 })

	do(p)
	again := time.AfterFunc(4*time.Second, func() { do(p) }) // polls that had just ended were not hurt
	defer again.Stop()
	for what, ch := range map[string]chan error{"call": failed, "stream": ended} {
		if err := receive(t, "the end of the "+what, ch); !errors.Is(err, hubbub.ErrConnectionLost) {
			t.Errorf("%s: %v, want ErrConnectionLost", what, err)
		}
	}
	if got := receive(t, "a hook", events); got != "reconnecting" {
		t.Errorf("hook: %s, want reconnecting", got)
	}
	if got := receive(t, "a hook", events); got != "reconnected "+c.ID() || c.ID() == before {
		t.Errorf("hook: %s, now %s, want a reconnect with another id than %s", got, c.ID(), before)
	}
	if err := c.Send(t.Context(), "Notify", "still here"); err != nil {
		t.Error(err)
	}
	if got := receive(t, "a message", messages); got != "still here" {
		t.Errorf("message %q", got)
	}
	if got, err := hubbub.Invoke[string](t.Context(), c, "Echo", "x"); err != nil || got != "x" {
		t.Errorf("echo: %q, %v", got, err)
	}
	if n := hangs.Load(); n != 1 {
		t.Errorf("the call was made %d times, want once", n)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if got := receive(t, "a hook", events); got != "closed <nil>" {
		t.Errorf("hook: %s, want closed", got)
	}
}

// Bytes that come slowly and in pieces are no fault.
func TestClientSlowNetwork(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, opts signalr.ClientOptions) {
		p, url := faultHub(t, new(atomic.Int32))
		p.Pieces(7)
		p.Delay(100 * time.Microsecond)
		opts.OnClosed = func(err error) {
			if err != nil {
				t.Errorf("closed: %v", err)
			}
		}
		c := startClient(t, url, opts, nil)
		for _, n := range []int{1, 100, 3000} {
			want := strings.Repeat("é", n)
			if got, err := hubbub.Invoke[string](t.Context(), c, "Echo", want); err != nil || got != want {
				t.Errorf("echo of %d bytes: %d bytes, %v", len(want), len(got), err)
			}
		}
	})
}

// A network that no longer takes what is said on connections that are open does not end Long Polling, which opens others.
func TestClientPollHalfClosed(t *testing.T) {
	t.Parallel()
	p, url := faultHub(t, new(atomic.Int32))
	opts := faultOptions(signalr.ClientOptions{Transports: signalr.LongPolling})
	opts.Reconnect = hubbub.RetryDelays(0)
	c := startClient(t, url, opts, nil)
	for range 5 {
		p.HalfClose(toServer)
		await(t, "an answer", func() bool {
			got, err := hubbub.Invoke[string](t.Context(), c, "Echo", "x")
			if err != nil && !errors.Is(err, hubbub.ErrConnectionLost) && !errors.Is(err, hubbub.ErrNotConnected) {
				t.Errorf("echo: %v, want an answer or ErrConnectionLost", err)
			}
			return err == nil && got == "x"
		})
	}
}

// A client whose server does not come back gives up after its schedule, says why, and can be started again.
func TestClientGivesUp(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, opts signalr.ClientOptions) {
		var hangs atomic.Int32
		p, url := faultHub(t, &hangs)
		opts = faultOptions(opts)
		opts.Reconnect = hubbub.RetryDelays(0, time.Millisecond, time.Millisecond)
		closed := make(chan error, 2)
		opts.OnClosed = func(err error) { closed <- err }
		c := startClient(t, url, opts, nil)
		p.Refuse(true)
		p.Cut()
		if err := receive(t, "the end", closed); err == nil || !strings.Contains(err.Error(), "given up after 3 failed attempts") || errors.Unwrap(err) == nil {
			t.Errorf("closed: %v, want that three attempts failed, and why", err)
		}
		if err := c.Invoke(t.Context(), nil, "Void"); !errors.Is(err, hubbub.ErrNotConnected) {
			t.Errorf("call: %v, want ErrNotConnected", err)
		}
		p.Refuse(false)
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.Invoke(t.Context(), nil, "Void"); err != nil {
			t.Error(err)
		}
	})
}

// A poll whose answer is lost may have lost messages. It ends the connection, and is not repeated by net/http.
func TestClientPollLost(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	closed := make(chan error, 1)
	opts := signalr.ClientOptions{Transports: signalr.LongPolling}
	opts.OnClosed = func(err error) { closed <- err }
	_, peer := f.connect(opts, nil)
	f.await("poll", 3)
	peer.cut()
	if err := receive(t, "the end", closed); err == nil || !strings.Contains(err.Error(), "messages may be lost") {
		t.Errorf("closed: %v, want that messages may be lost", err)
	}
	if n := len(f.requests("poll")); n > 4 {
		t.Errorf("%d polls, want none after the one that was cut", n)
	}
}

// A server that takes requests and says nothing does not hold a reconnect up for ever.
func TestClientStalledReconnect(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var negotiations atomic.Int32
	f.hook = func(_ http.ResponseWriter, r *http.Request) bool {
		if purpose(r) != "negotiate" || negotiations.Add(1) != 2 {
			return false
		}
		<-r.Context().Done()
		return true
	}
	back := make(chan string, 1)
	var reasons []error
	opts := signalr.ClientOptions{RequestTimeout: 100 * time.Millisecond, Transports: signalr.WebSockets}
	opts.Reconnect = func(r hubbub.Retry) (time.Duration, bool) {
		reasons = append(reasons, r.Reason)
		return 0, true
	}
	opts.OnReconnected = func(id string) { back <- id }
	_, peer := f.connect(opts, nil)
	peer.cut()
	receive(t, "the reconnect", back)
	if len(reasons) != 2 || !errors.Is(reasons[1], signalr.ErrServerTimeout) {
		t.Errorf("reasons %v, want the second to be ErrServerTimeout", reasons)
	}
}

// A stateful connection whose socket falls silent goes on over another: its calls do not notice.
func TestClientStatefulSilence(t *testing.T) {
	t.Parallel()
	p, url := through(t, statefulServer(t, &hubbub.Options{KeepAliveInterval: time.Second}))
	opts := signalr.ClientOptions{StatefulReconnect: true, ServerTimeout: 2500 * time.Millisecond, Transports: signalr.WebSockets}
	c := startClient(t, url, opts, nil)
	id, sockets := c.ID(), p.Accepted()
	p.StallOne(toClient, true)
	echoed := make(chan error, 1)
	go func() {
		got, err := hubbub.Invoke[string](t.Context(), c, "Echo", "x")
		echoed <- differs(got, "x", err)
	}()
	await(t, "another socket", func() bool { return p.Accepted() > sockets })
	p.Stall(false)
	if err := receive(t, "the answer", echoed); err != nil {
		t.Error(err)
	}
	if got := c.ID(); got != id {
		t.Errorf("id %s, want %s still", got, id)
	}
}

// A gateway in front of a server that restarts says 503. That does not end a stateful connection, 404 does.
func TestClientStatefulRefused(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{http.StatusServiceUnavailable: true, http.StatusNotFound: false} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.members = `"useStatefulReconnect":true,`
			var upgrades atomic.Int32
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				if purpose(r) != "WebSockets" || upgrades.Add(1) != 2 {
					return false
				}
				w.WriteHeader(status)
				return true
			}
			closed := make(chan error, 1)
			opts := signalr.ClientOptions{Transports: signalr.WebSockets, StatefulReconnect: true}
			opts.OnClosed = func(err error) { closed <- err }
			_, peer := f.connect(opts, nil)
			peer.cut()
			if want {
				f.accept().want(`{"type":9,"sequenceId":1}`)
				return
			}
			err := receive(t, "the end", closed)
			if e, ok := errors.AsType[*signalr.HTTPError](err); !ok || e.Status != status {
				t.Errorf("closed: %v, want the status %d", err, status)
			}
		})
	}
}

// Ten thousand calls of fifty goroutines, over each transport and protocol, each with its own answer.
func TestClientTenThousandCalls(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, opts signalr.ClientOptions) {
		c := startClient(t, clientServer(t, nil, nil), opts, nil)
		var all sync.WaitGroup
		for g := range 50 {
			all.Go(func() {
				for i := range 200 {
					want := fmt.Sprint(g, " ", i)
					got, err := hubbub.Invoke[string](t.Context(), c, "Echo", want)
					if err := differs(got, want, err); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
	})
}

// A handler that closes its client is not stuck for ever, and neither is anybody else.
func TestClientCloseInHandler(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, opts signalr.ClientOptions) {
		opts.HandlerTimeout = 300 * time.Millisecond
		opts.Logger = quiet
		inside, closed := make(chan error, 1), make(chan error, 1)
		opts.OnClosed = func(err error) { closed <- err }
		c := startClient(t, clientServer(t, nil, nil), opts, func(c *signalr.Client) {
			c.On("Message", hubbub.Action1(func(context.Context, string) error {
				inside <- c.Close()
				return nil
			}))
		})
		if err := c.Send(t.Context(), "InvokeWithString", "x"); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, "Close of the handler", inside); err == nil || !strings.Contains(err.Error(), "still runs") {
			t.Errorf("Close in a handler: %v, want that it still runs", err)
		}
		if err := receive(t, "the end", closed); err != nil {
			t.Errorf("closed: %v", err)
		}
		if err := c.Close(); err != nil || c.State() != hubbub.Disconnected {
			t.Errorf("Close: %v, %v", err, c.State())
		}
	})
}

// A handler may call its server, also when many messages wait behind it and its answer behind those.
func TestClientCallInHandler(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, opts signalr.ClientOptions) {
		opts.MaximumPendingInvocations = 16
		got := make(chan error, 64)
		c := startClient(t, clientServer(t, nil, nil), opts, func(c *signalr.Client) {
			c.On("Item", hubbub.Action1(func(ctx context.Context, i int) error {
				s, err := hubbub.Invoke[string](ctx, c, "Echo", fmt.Sprint(i))
				got <- differs(s, fmt.Sprint(i), err)
				return nil
			}))
		})
		if err := c.Send(t.Context(), "SendSequence", 64); err != nil {
			t.Fatal(err)
		}
		for range 64 {
			if err := receive(t, "an answer", got); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// What waits for a handler that does not end is bounded, also while a call keeps the reading going.
func TestClientSlowHandler(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, opts signalr.ClientOptions) {
		opts.MaximumPendingInvocations, opts.Logger = 2, quiet
		c := startClient(t, clientServer(t, nil, nil), opts, func(c *signalr.Client) {
			c.On("Item", hubbub.Action1(func(ctx context.Context, _ int) error { <-ctx.Done(); return nil }))
		})
		err := c.Invoke(t.Context(), nil, "SendSequence", 10_000)
		if !errors.Is(err, hubbub.ErrSlow) || !errors.Is(err, hubbub.ErrConnectionLost) {
			t.Errorf("call: %v, want ErrConnectionLost for ErrSlow", err)
		}
	})
}

// explosive panics when it is encoded.
type explosive struct{}

func (explosive) MarshalJSON() ([]byte, error) { panic("boom") }

// Panics of the user's code end the call that they belong to, not the program.
func TestClientPanics(t *testing.T) {
	t.Parallel()
	p, url := faulty(t, func(context.Context) {})
	back := make(chan string, 1)
	opts := signalr.ClientOptions{Transports: signalr.WebSockets}
	opts.Logger, opts.Reconnect = quiet, hubbub.RetryDelays(0, 0, 0)
	opts.OnReconnecting = func(error) { panic("reconnecting") }
	opts.OnReconnected = func(id string) { back <- id; panic("reconnected") }
	opts.OnClosed = func(error) { panic("closed") }
	c := startClient(t, url, opts, nil)
	if err := c.Invoke(t.Context(), nil, "Echo", explosive{}); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("call: %v, want the panic", err)
	}
	if err := c.Invoke(t.Context(), nil, "Echo", 1, sequenceOf(explosive{})); err == nil {
		t.Error("a call with a stream that nobody wants succeeded")
	}
	p.Cut()
	receive(t, "the reconnect", back)
	if got, err := hubbub.Invoke[int](t.Context(), c, "Echo", 7); err != nil || got != 7 {
		t.Errorf("echo: %d, %v", got, err)
	}
}

// Close ends a client in each of its states, and does not wait for ever for a token that does not come.
func TestClientCloseInEachState(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(release) }) })
	asked := make(chan struct{}, 8)
	for name, token := range map[string]func(ctx context.Context) (string, error){
		"token that ends with its context": func(ctx context.Context) (string, error) {
			asked <- struct{}{}
			<-ctx.Done()
			return "", ctx.Err()
		},
		"token that never comes": func(context.Context) (string, error) {
			asked <- struct{}{}
			<-release
			return "", errors.New("too late")
		},
	} {
		_, url := faulty(t, nil)
		opts := signalr.ClientOptions{Token: token}
		opts.HandlerTimeout = 300 * time.Millisecond
		c := signalr.NewClient(url, &opts)
		if err := c.Close(); err != nil {
			t.Errorf("%s: Close before Start: %v", name, err)
		}
		started := make(chan error, 1)
		go func() { started <- c.Start(t.Context()) }()
		receive(t, "the token", asked)
		if err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "connecting") {
			t.Errorf("%s: second Start: %v, want that it is connecting", name, err)
		}
		if err := c.Close(); (err != nil) != strings.Contains(name, "never") {
			t.Errorf("%s: Close: %v", name, err)
		}
		if strings.Contains(name, "never") {
			once.Do(func() { close(release) })
		}
		if err := receive(t, "Start", started); !errors.Is(err, hubbub.ErrClosed) {
			t.Errorf("%s: Start: %v, want ErrClosed", name, err)
		}
		if err := c.Close(); err != nil || c.State() != hubbub.Disconnected {
			t.Errorf("%s: Close at last: %v, %v", name, err, c.State())
		}
	}
}

// Close while the client waits to reconnect ends it at once, and says so.
func TestClientCloseWhileReconnecting(t *testing.T) {
	t.Parallel()
	p, url := faulty(t, nil)
	var mu sync.Mutex
	var events []string
	note := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, s)
	}
	waiting := make(chan struct{})
	opts := signalr.ClientOptions{}
	opts.Reconnect = func(hubbub.Retry) (time.Duration, bool) { close(waiting); return time.Hour, true }
	opts.OnReconnecting = func(error) { note("reconnecting") }
	opts.OnClosed = func(err error) { note(fmt.Sprint("closed ", errors.Is(err, hubbub.ErrClosed))) }
	c := startClient(t, url, opts, nil)
	p.Cut()
	<-waiting
	if s := c.State(); s != hubbub.Reconnecting {
		t.Errorf("state %v, want reconnecting", s)
	}
	if err := c.Send(t.Context(), "Echo", 1); !errors.Is(err, hubbub.ErrNotConnected) {
		t.Errorf("send: %v, want ErrNotConnected", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"reconnecting", "closed true"}; !slices.Equal(events, want) {
		t.Errorf("hooks %v, want %v", events, want)
	}
}

// A goodbye to a network that does not move ends within the time that it may take.
func TestClientCloseStalled(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, opts signalr.ClientOptions) {
		p, url := faultHub(t, new(atomic.Int32))
		opts.CloseTimeout = 300 * time.Millisecond
		c := startClient(t, url, opts, nil)
		p.Stall(true)
		began := time.Now()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("Close took %v, want about 300 ms", took)
		}
	})
}
