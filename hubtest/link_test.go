package hubtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/hubtest"
	"github.com/hubbub-go/hubbub/signalr"
)

// diary keeps when what happened to a client, by the clock of the bubble.
type diary struct {
	mu    sync.Mutex
	start time.Time
	lines []string
}

func newDiary() *diary { return &diary{start: time.Now()} }

func (d *diary) add(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%v ", time.Since(d.start))+fmt.Sprintf(format, args...))
}

func (d *diary) want(t *testing.T, lines ...string) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	wantText(t, "what happened", strings.Join(d.lines, "\n"), lines...)
}

// hooked returns options whose hooks write into the diary.
func (d *diary) hooked(policy hubbub.RetryPolicy) *signalr.ClientOptions {
	return &signalr.ClientOptions{ClientOptions: hubbub.ClientOptions{
		Reconnect: func(r hubbub.Retry) (time.Duration, bool) {
			if policy == nil {
				return 0, false
			}
			wait, again := policy(r)
			d.add("attempt %d", r.Attempt)
			return wait, again
		},
		OnReconnecting: func(error) { d.add("reconnecting") },
		OnReconnected:  func(string) { d.add("reconnected") },
		OnClosed:       func(err error) { d.add("closed: %v", err) },
	}}
}

func TestReconnectScheduleInFakeTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDiary()
		ann := hubtest.ConnectAs(t, newHub(hubbub.Options{}), nil, d.hooked(hubbub.StandardRetry()))
		ann.Link().Down()
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := ann.State(); s != hubbub.Disconnected {
			t.Errorf("the client is %v, want disconnected", s)
		}
		d.mu.Lock()
		last := d.lines[len(d.lines)-1]
		d.lines = d.lines[:len(d.lines)-1]
		d.mu.Unlock()
		d.want(t, "0s reconnecting", "0s attempt 0", "0s attempt 1", "2s attempt 2", "12s attempt 3", "42s attempt 4")
		for _, part := range []string{"42s closed: ", "given up after 4 failed attempts in 42s", "connection refused"} {
			if !strings.Contains(last, part) {
				t.Errorf("end %q, want it to say %q", last, part)
			}
		}
	})
}

func TestReconnectWhenTheServerIsBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDiary()
		chat := newHub(hubbub.Options{})
		ann := hubtest.ConnectAs(t, chat, nil, d.hooked(hubbub.StandardRetry()))
		first := ann.ID()
		ann.Link().Down()
		time.Sleep(5 * time.Second)
		ann.Link().Up()
		time.Sleep(10 * time.Second)
		d.want(t, "0s reconnecting", "0s attempt 0", "0s attempt 1", "2s attempt 2", "12s reconnected")
		if id := ann.ID(); id == first || id == "" {
			t.Errorf("connection id %q after %q, want a new one", id, first)
		}
		if err := chat.All().Send(t.Context(), "Back"); err != nil {
			t.Fatal(err)
		}
		hubtest.Expect(t, ann, "Back")
	})
}

func TestDropIsSeenByBothSides(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDiary()
		chat := newHub(hubbub.Options{})
		chat.OnDisconnected(func(_ context.Context, err error) { d.add("hub: %v", err) })
		ann := hubtest.ConnectAs(t, chat, nil, &signalr.ClientOptions{ClientOptions: hubbub.ClientOptions{
			OnClosed: func(err error) { d.add("client: %v", err != nil) },
		}})
		bob := hubtest.Connect(t, chat, "bob")
		ann.Link().Drop()
		synctest.Wait()
		d.mu.Lock()
		if len(d.lines) == 2 && d.lines[0] > d.lines[1] {
			d.lines[0], d.lines[1] = d.lines[1], d.lines[0]
		}
		d.mu.Unlock()
		d.want(t, "0s client: true", "0s hub: <nil>") // as ASP.NET Core calls it when a client vanishes
		if err := bob.Invoke(t.Context(), nil, "SendMessage", "bob", "still here"); err != nil {
			t.Errorf("bob: %v, want him to notice nothing", err)
		}
	})
}

// TestHalfOpenIsFoundByTheServerTimeout is exact: the client hears nothing for 30 s, and neither side hears of an error before.
func TestHalfOpenIsFoundByTheServerTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDiary()
		chat := newHub(hubbub.Options{})
		chat.OnDisconnected(func(_ context.Context, err error) { d.add("hub: %v", err) })
		ann := hubtest.ConnectAs(t, chat, nil, d.hooked(hubbub.StandardRetry()))
		ann.Link().HalfOpen()
		if err := ann.Send(t.Context(), "SendMessage", "ann", "lost"); err != nil {
			t.Errorf("send: %v, want nobody to notice", err)
		}
		time.Sleep(30*time.Second - 1)
		synctest.Wait()
		if s := ann.State(); s != hubbub.Connected {
			t.Errorf("the client is %v just before 30 s, want connected", s)
		}
		hubtest.ExpectNothing(t, ann)
		time.Sleep(5 * time.Second)
		d.want(t, "30s reconnecting", "30s attempt 0", "30s reconnected",
			"31s hub: Client hasn't sent a message/ping within the configured ClientTimeoutInterval.")
		if err := ann.Invoke(t.Context(), nil, "SendMessage", "ann", "back"); err != nil {
			t.Fatal(err)
		}
		hubtest.Expect(t, ann, "ReceiveMessage", "ann", "back")
	})
}

func TestStallLosesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ann := hubtest.Connect(t, newHub(hubbub.Options{}), "ann")
		ann.Link().Stall()
		for i := range 3 {
			if err := ann.Send(t.Context(), "SendMessage", "ann", fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(20 * time.Second)
		hubtest.ExpectNothing(t, ann)
		ann.Link().Resume()
		for i := range 3 {
			hubtest.Expect(t, ann, "ReceiveMessage", "ann", fmt.Sprint(i))
		}
		hubtest.ExpectNothing(t, ann)
	})
}

func TestDelayIsExact(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ann := hubtest.Connect(t, newHub(hubbub.Options{}), "ann")
		ann.Link().Delay(100 * time.Millisecond)
		begin := time.Now()
		if _, err := hubbub.Invoke[int](t.Context(), ann, "Double", 1); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 200*time.Millisecond {
			t.Errorf("a call took %v, want there and back 200ms", took)
		}
		_ = ann.Send(t.Context(), "SendMessage", "ann", "slow")
		synctest.Wait() // it is on its way
		ann.Link().Delay(0)
		_ = ann.Send(t.Context(), "SendMessage", "ann", "fast")
		hubtest.ExpectNothing(t, ann)
		hubtest.Expect(t, ann, "ReceiveMessage", "ann", "slow")
		hubtest.Expect(t, ann, "ReceiveMessage", "ann", "fast")
		if took := time.Since(begin); took != 300*time.Millisecond {
			t.Errorf("the message came after %v, want 300ms", took)
		}
	})
}

// TestStatefulReconnect cuts 100 times while both sides send: nothing is lost, doubled or reordered, and nobody notices.
func TestStatefulReconnect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const cuts = 100
		d := newDiary()
		opts := d.hooked(nil)
		opts.StatefulReconnect = true
		chat := newHub(hubbub.Options{})
		var heard []string
		chat.Handle("Note", hubbub.Action1(func(_ context.Context, text string) error {
			heard = append(heard, text)
			return nil
		}))
		ann := hubtest.ConnectAs(t, chat, &hubbub.User{ID: "ann"}, opts)
		for i := range cuts {
			ann.Link().Delay(time.Duration(i%3) * time.Millisecond)
			if err := errors.Join(ann.Send(t.Context(), "Note", fmt.Sprint(i)), chat.User("ann").Send(t.Context(), "Number", i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(i%4) * time.Millisecond)
			ann.Link().Drop()
			time.Sleep(time.Duration(i%20) * 7 * time.Millisecond)
		}
		for i := range cuts {
			hubtest.Expect(t, ann, "Number", i)
		}
		time.Sleep(time.Second)
		hubtest.ExpectNothing(t, ann)
		for i, text := range heard {
			if text != fmt.Sprint(i) {
				t.Fatalf("the hub heard %q, want every number once and in order", heard)
			}
		}
		if len(heard) != cuts {
			t.Errorf("the hub heard %d notes, want %d", len(heard), cuts)
		}
		if n := ann.Link().Dialled(); n < 30 {
			t.Errorf("%d connections, want many: the cuts have not hit", n)
		}
		d.want(t, "")
	})
}

// TestRealClient is how a program's own client is tested: its options, each transport, through a server with its own mux.
func TestRealClient(t *testing.T) {
	t.Parallel()
	for _, transport := range []signalr.Transport{signalr.WebSockets, signalr.ServerSentEvents, signalr.LongPolling} {
		t.Run(transport.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				mux := http.NewServeMux()
				signalr.MapHub(mux, "/chat", newHub(hubbub.Options{}), nil)
				server := hubtest.NewServer(t, mux)
				link := server.Link()
				d := newDiary()
				opts := d.hooked(hubbub.StandardRetry())
				opts.HTTPClient, opts.Transports = link.HTTPClient(), transport
				c := signalr.NewClient(server.URL+"/chat", opts)
				if err := c.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				if n, err := hubbub.Invoke[int](t.Context(), c, "Double", 4); n != 8 || err != nil {
					t.Errorf("Double(4): %d, %v", n, err)
				}
				link.Down()
				time.Sleep(time.Second)
				link.Up()
				time.Sleep(time.Second)
				d.want(t, "0s reconnecting", "0s attempt 0", "0s attempt 1", "2s reconnected")
				if n, err := hubbub.Invoke[int](t.Context(), c, "Double", 4); n != 8 || err != nil {
					t.Errorf("Double(4): %d, %v", n, err)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestServerConnect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		chat := newHub(hubbub.Options{})
		mux := http.NewServeMux()
		signalr.MapHub(mux, "/chat", chat, nil)
		mux.HandleFunc("/plain", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host, " ", r.RemoteAddr) })
		server := hubtest.NewServer(t, mux)
		ann := server.Connect(t, "/chat", nil)
		bob := server.Connect(t, "/chat", &signalr.ClientOptions{Protocol: "messagepack"})
		_ = ann.Send(t.Context(), "SendMessage", "ann", "hi")
		hubtest.Expect(t, ann, "ReceiveMessage", "ann", "hi")
		hubtest.Expect(t, bob, "ReceiveMessage", "ann", "hi")

		link := server.Link()
		res, err := link.HTTPClient().Get(server.URL + "/plain")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if got := string(body); !strings.HasPrefix(got, "hub.test 192.0.2.2:") || err != nil {
			t.Errorf("body %q, %v", got, err)
		}
		if n := link.Dialled(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
		got := failure(t, func(t testing.TB) { server.Connect(t, "/nowhere", nil) })
		if !strings.Contains(got, "hubtest: connect /nowhere: start: ") || !strings.Contains(got, "404") {
			t.Errorf("failure %q, want the path and the status", got)
		}

		server.Close()
		synctest.Wait()
		if s := ann.State(); s != hubbub.Disconnected {
			t.Errorf("the client is %v after the server was closed, want disconnected", s)
		}
		if _, err := link.HTTPClient().Get(server.URL); err == nil {
			t.Error("the server answers after Close")
		}
		if _, err := server.Link().HTTPClient().Get(server.URL); err == nil {
			t.Error("the server answers over a new link after Close")
		}
	})
}

func TestDialEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		link := hubtest.NewServer(t, http.NotFoundHandler()).Link()
		link.Delay(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://anywhere/", nil)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := link.HTTPClient().Do(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("request: %v, want the end of its context", err)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("it took %v, want 1s", took)
		}
	})
}

// TestDialToAClosedServer waits for a server that closes meanwhile.
func TestDialToAClosedServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := hubtest.NewServer(t, http.NotFoundHandler())
		link := server.Link()
		link.Delay(time.Minute)
		time.AfterFunc(time.Second, server.Close)
		begin := time.Now()
		if _, err := link.HTTPClient().Get(server.URL); err == nil || !strings.Contains(err.Error(), "connection refused") || time.Since(begin) != time.Second {
			t.Errorf("request: %v after %v, want it refused after 1s", err, time.Since(begin))
		}
	})
}

// TestBubbleEndsInTheMiddle leaves in a state that hubs wait to end: the end of the test must not hang or complain.
func TestBubbleEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	faults := map[string]func(*hubtest.Link){
		"none": func(*hubtest.Link) {}, "down": (*hubtest.Link).Down, "half-open": (*hubtest.Link).HalfOpen, "stall": (*hubtest.Link).Stall,
		"delay": func(l *hubtest.Link) { l.Delay(time.Hour) },
	}
	for _, transport := range []signalr.Transport{signalr.WebSockets, signalr.ServerSentEvents, signalr.LongPolling} {
		for name, fault := range faults {
			t.Run(fmt.Sprintf("%v %s", transport, name), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					d := newDiary()
					opts := d.hooked(hubbub.RetryForever(time.Second, time.Minute))
					opts.Transports, opts.StatefulReconnect = transport, transport == signalr.WebSockets
					ann := hubtest.ConnectAs(t, newHub(hubbub.Options{}), nil, opts)
					fault(ann.Link())
					_ = ann.Send(t.Context(), "SendMessage", "ann", "on the way")
					synctest.Wait()
				})
			})
		}
	}
}
