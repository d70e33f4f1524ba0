package signalr_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// bubble runs a test against a server without a network, in a time of its own.
func bubble(t *testing.T, run func(t *testing.T, f *fakeServer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(t, newPipedFake(t)) })
}

// every does something at intervals, until the test is over.
func every(t *testing.T, d time.Duration, do func()) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-time.After(d):
				do()
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-over })
}

// about wants a time that differs by less than a second, later.
func about(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got < want || got >= want+time.Second+time.Millisecond {
		t.Errorf("%s after %v, want %v", what, got, want)
	}
}

// signalr-core client, pings: one every 15 s after the last message of the client, whatever the server says; a client that speaks sends
// none; none on Long Polling.
func TestClientSpecPings(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"WebSockets", "ServerSentEvents", "LongPolling"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, f *fakeServer) {
				f.offers = []string{kind}
				began := time.Now()
				c, p := f.connect(signalr.ClientOptions{}, nil)
				every(t, 10*time.Second, func() { p.say(ping) })
				if kind == "LongPolling" {
					time.Sleep(5 * time.Minute)
					if err := c.Send(t.Context(), "Hi"); err != nil {
						t.Fatal(err)
					}
					if got := p.any().record; got != `{"type":1,"target":"Hi","arguments":[]}` {
						t.Errorf("the client said %s, want nothing before its call", got)
					}
					return
				}
				if first := p.any(); first.record != ping || first.at.Sub(began) > time.Second {
					t.Errorf("the client said %s after %v, want a ping at once", first.record, first.at.Sub(began))
				}
				last := began
				for range 4 {
					h := p.any()
					if h.record != ping {
						t.Fatalf("the client said %s, want a ping", h.record)
					}
					about(t, "a ping", h.at.Sub(last), 15*time.Second)
					last = h.at
				}
				for range 10 { // what the client says puts the ping off
					time.Sleep(10 * time.Second)
					if err := c.Send(t.Context(), "Hi"); err != nil {
						t.Fatal(err)
					}
					h := p.any()
					if h.record == ping {
						t.Error("a ping of a client that speaks")
					}
					last = h.at
				}
				about(t, "the ping behind the last call", p.any().at.Sub(last), 15*time.Second)
			})
		})
	}
}

// signalr-core client, what ends the connection, row nothing received for 30 s: whatever comes begins the time anew; half a message and
// a ping too. Long Polling has no such time.
func TestClientSpecServerTimeout(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"WebSockets", "ServerSentEvents"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, f *fakeServer) {
				f.offers = []string{kind}
				events := make(chan error, 2)
				opts := signalr.ClientOptions{}
				opts.Reconnect = hubbub.RetryDelays(0)
				opts.OnReconnecting = func(err error) { events <- err }
				c, p := f.connect(opts, nil)
				call := calling[int](t.Context(), c, "Run")
				p.next()
				for _, chunk := range []string{ping + "\x1e", `{"type":`, `6}` + "\x1e"} {
					time.Sleep(29 * time.Second)
					p.send(chunk)
				}
				last := time.Now()
				if err := <-events; !errors.Is(err, signalr.ErrServerTimeout) {
					t.Errorf("reconnecting after %v, want the server timeout", err)
				}
				about(t, "the server timeout", time.Since(last), 30*time.Second)
				if a := <-call; !errors.Is(a.err, signalr.ErrServerTimeout) {
					t.Errorf("the call: %v", a.err)
				}
				f.accept()
			})
		})
	}
	t.Run("LongPolling", func(t *testing.T) {
		t.Parallel()
		bubble(t, func(t *testing.T, f *fakeServer) {
			f.offers = []string{"LongPolling"}
			c, p := f.connect(signalr.ClientOptions{}, nil)
			for range 5 {
				time.Sleep(90 * time.Second)
				p.send("") // the end of a poll
			}
			synctest.Wait()
			if c.State() != hubbub.Connected {
				t.Errorf("the client is %v", c.State())
			}
		})
	})
}

// signalr-core client, pings and timeouts: the options set other times.
func TestClientSpecTimeOptions(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, f *fakeServer) {
		closed := make(chan error, 1)
		opts := signalr.ClientOptions{KeepAliveInterval: 4 * time.Second, ServerTimeout: 10 * time.Second}
		opts.OnClosed = func(err error) { closed <- err }
		began := time.Now()
		_, p := f.connect(opts, nil)
		p.any()
		about(t, "the ping", p.any().at.Sub(began), 4*time.Second)
		if err := <-closed; !errors.Is(err, signalr.ErrServerTimeout) {
			t.Errorf("closed with %v", err)
		}
		about(t, "the end", time.Since(began), 10*time.Second)
	})
}

// signalr-core client, automatic reconnect: attempts 0, 2, 12 and 42 s after the loss, each a whole start from negotiate on, then the
// end, which names them. The policy is told of attempts, time and reasons. A client that has given up can be started again.
func TestClientSpecReconnectSchedule(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, f *fakeServer) {
		var lost atomic.Bool
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if lost.Load() && purpose(r) != "negotiate" {
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			return false
		}
		var retries []hubbub.Retry
		d := &diary{}
		closed := make(chan error, 1)
		var c *signalr.Client
		opts := signalr.ClientOptions{}
		opts.Reconnect = func(r hubbub.Retry) (time.Duration, bool) {
			retries = append(retries, r)
			return hubbub.StandardRetry()(r)
		}
		opts.OnReconnecting = func(err error) { d.note("reconnecting %v %v", c.State(), err != nil) }
		opts.OnReconnected = func(id string) { d.note("reconnected %s", id) }
		opts.OnClosed = func(err error) { d.note("closed %v", c.State()); closed <- err }
		c = f.client(opts)
		f.start(c)
		lost.Store(true)
		f.accept().cut()
		before := len(f.requests("negotiate"))
		began := time.Now()
		err := <-closed
		about(t, "the end", time.Since(began), 42*time.Second)
		if !strings.Contains(err.Error(), "given up after 4 failed attempts in 42s") {
			t.Errorf("closed with %v", err)
		}
		if _, ok := errors.AsType[*signalr.TransportsError](err); !ok {
			t.Errorf("closed with %v, want the reason of the last attempt in it", err)
		}
		var times []time.Duration
		for _, r := range f.requests("negotiate")[before:] {
			if at := r.at.Sub(began).Round(time.Second); len(times) == 0 || times[len(times)-1] != at {
				times = append(times, at)
			}
		}
		if want := "[0s 2s 12s 42s]"; fmt.Sprint(times) != want {
			t.Errorf("attempts after %v, want %s", times, want)
		}
		if got, want := len(f.requests("negotiate"))-before, 4*3; got != want {
			t.Errorf("%d negotiations, want %d: each attempt tries all transports", got, want)
		}
		d.want(t, "reconnecting reconnecting true", "closed disconnected")
		for i, r := range retries {
			if _, ok := errors.AsType[*signalr.TransportsError](r.Reason); r.Attempt != i || ok != (i > 0) || r.Elapsed.Round(time.Second) != []time.Duration{0, 0, 2, 12, 42}[i]*time.Second {
				t.Errorf("retry %d: %+v", i, r)
			}
		}
		if len(retries) != 5 {
			t.Errorf("the policy was asked %d times, want 5", len(retries))
		}
		lost.Store(false)
		f.start(c)
		f.accept()
	})
}

// signalr-core client, automatic reconnect: a later attempt succeeds; handlers stay, and the next loss begins with the first delay again.
// Calls meanwhile fail.
func TestClientSpecReconnectLater(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, f *fakeServer) {
		var refused atomic.Int32
		f.hook = func(w http.ResponseWriter, _ *http.Request) bool {
			if refused.Add(-1) < 0 {
				return false
			}
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		back, got := make(chan string, 1), make(chan int, 1)
		opts := signalr.ClientOptions{}
		opts.Reconnect = hubbub.StandardRetry()
		opts.OnReconnected = func(id string) { back <- id }
		c, p := f.connect(opts, func(c *signalr.Client) {
			c.On("Item", hubbub.Action1(func(_ context.Context, i int) error { got <- i; return nil }))
		})
		for round := range 2 {
			refused.Store(2)
			began := time.Now()
			p.end(1000)
			time.Sleep(5 * time.Second)
			if err := c.Invoke(t.Context(), nil, "Hi"); !errors.Is(err, hubbub.ErrNotConnected) {
				t.Errorf("a call while reconnecting: %v", err)
			}
			if err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "the client is reconnecting, want disconnected") {
				t.Errorf("start while reconnecting: %v", err)
			}
			if c.ID() != "" {
				t.Errorf("the id is %q while reconnecting", c.ID())
			}
			if id, want := <-back, fmt.Sprintf("id%d", round+2); id != want || c.ID() != want {
				t.Errorf("the id is %q, %q, want %s", id, c.ID(), want)
			}
			about(t, "the reconnect", time.Since(began), 12*time.Second)
			p = f.accept()
			p.say(`{"type":1,"target":"Item","arguments":[7]}`)
			<-got
		}
	})
}

// signalr-core client, automatic reconnect: the server's no in the handshake is one failed attempt, and its hub may say goodbye for good
// while the client comes back.
func TestClientSpecReconnectHandshake(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, f *fakeServer) {
		closed := make(chan error, 1)
		opts := signalr.ClientOptions{}
		opts.Reconnect = hubbub.RetryDelays(time.Second, time.Second)
		opts.OnClosed = func(err error) { closed <- err }
		_, p := f.connect(opts, nil)
		f.hello = `{"error":"no room"}` + "\x1e"
		p.end(1000)
		began := time.Now()
		err := <-closed
		if e, ok := errors.AsType[*hubbub.Error](err); !ok || !strings.Contains(e.Message, "no room") {
			t.Errorf("closed with %v", err)
		}
		about(t, "the end", time.Since(began), 2*time.Second)
		if n := len(f.requests("negotiate")); n != 3 {
			t.Errorf("%d negotiations, want 3", n)
		}
	})
}

// signalr-core client, stop during a reconnect: in the delay, in an attempt, and in a handshake. It ends at once; the client may be
// started again.
func TestClientSpecStopReconnect(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"delay", "negotiate", "WebSockets", "handshake"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, f *fakeServer) {
				var hang atomic.Bool
				hanging := make(chan struct{}, 4)
				f.hook = func(_ http.ResponseWriter, r *http.Request) bool {
					if !hang.Load() || purpose(r) != where {
						return false
					}
					hanging <- struct{}{}
					<-r.Context().Done()
					return true
				}
				closed := make(chan error, 1)
				opts := signalr.ClientOptions{}
				opts.Reconnect = hubbub.RetryDelays(time.Second)
				opts.OnReconnected = func(string) { t.Error("reconnected") }
				opts.OnClosed = func(err error) { closed <- err }
				c, p := f.connect(opts, nil)
				hang.Store(true)
				if where == "handshake" {
					f.hello = ""
				}
				p.end(1000)
				switch where {
				case "delay":
					time.Sleep(time.Second / 2)
				case "handshake":
					f.accept()
				default:
					<-hanging
				}
				began := time.Now()
				c.Close()
				if d := time.Since(began); d > 0 {
					t.Errorf("Close took %v", d)
				}
				if err := <-closed; !errors.Is(err, hubbub.ErrClosed) || c.State() != hubbub.Disconnected {
					t.Errorf("closed with %v, %v", err, c.State())
				}
				hang.Store(false)
				f.hello = "{}\x1e"
				f.start(c)
				f.accept()
				c.Close()
				if err := <-closed; err != nil {
					t.Errorf("closed with %v", err)
				}
			})
		})
	}
}

// signalr-core client, stop: it waits at most 5 s for a server that does not answer.
func TestClientSpecStopSilent(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"POST", "DELETE"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, f *fakeServer) {
				f.offers = []string{"LongPolling"}
				var hang atomic.Bool
				var held sync.WaitGroup
				f.hook = func(_ http.ResponseWriter, r *http.Request) bool {
					if !hang.Load() || purpose(r) != kind {
						return false
					}
					held.Add(1)
					defer held.Done()
					<-f.ctx.Done()
					return true
				}
				c, _ := f.connect(signalr.ClientOptions{}, nil)
				hang.Store(true)
				began := time.Now()
				c.Close()
				if d := time.Since(began); d < 5*time.Second || d > 10*time.Second {
					t.Errorf("Close took %v, want 5 s for each of goodbye and DELETE that is not answered", d)
				}
			})
		})
	}
}
