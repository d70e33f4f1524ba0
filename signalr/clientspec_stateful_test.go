package signalr_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// resumable runs a test of a connection with stateful reconnect, in both protocols, in a time of its own. Events are an error unless the
// test wants them.
func resumable(t *testing.T, run func(t *testing.T, f *fakeServer, opts signalr.ClientOptions)) {
	for _, protocol := range []string{"json", "messagepack"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, f *fakeServer) {
				f.protocol, f.members = protocol, `"useStatefulReconnect":true,`
				run(t, f, signalr.ClientOptions{StatefulReconnect: true})
			})
		})
	}
}

// signalr-core client, stateful reconnect on the wire: the same id, no negotiate, no handshake; Sequence first, then what the server has
// not acknowledged; what comes twice is handled once; acknowledgements at a tick of 1 s. Calls and streams live on, and nobody hears of it.
func TestClientSpecResume(t *testing.T) {
	t.Parallel()
	resumable(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		opts.Token = (&tokens{}).next
		opts.Reconnect = hubbub.RetryDelays(0)
		opts.OnReconnecting = func(err error) { t.Errorf("reconnecting: %v", err) }
		d := &diary{}
		c, p := f.connect(opts, func(c *signalr.Client) {
			c.On("Item", hubbub.Action1(func(_ context.Context, i int) error { d.note("%d", i); return nil }))
		})
		id := c.ID()
		if want := fmt.Sprintf(`{"protocol":%q,"version":2}`, f.protocol); p.handshake != want {
			t.Errorf("handshake %s, want %s", p.handshake, want)
		}
		// Lost before the answer: the call is said again.
		first := calling[int](t.Context(), c, "Run", 1)
		call := `{"type":1,"invocationId":"1","target":"Run","arguments":[1]}`
		p.want(call)
		p.cut()
		p = f.accept()
		p.want(`{"type":9,"sequenceId":1}`, call)
		p.say(`{"type":9,"sequenceId":1}`, `{"type":3,"invocationId":"1","result":5}`, `{"type":8,"sequenceId":1}`)
		if a := <-first; a.v != 5 || a.err != nil {
			t.Errorf("Run: %d, %v", a.v, a.err)
		}
		said := time.Now()
		p.want(`{"type":8,"sequenceId":1}`)
		if d := time.Since(said); d > time.Second {
			t.Errorf("acknowledged after %v, want a tick of 1 s", d)
		}
		// Lost when all was acknowledged, and while nothing can be said: the next ids are named, a call of that time goes then.
		p.cut()
		p = f.accept()
		p.want(`{"type":9,"sequenceId":2}`)
		p.say(`{"type":9,"sequenceId":1}`, `{"type":3,"invocationId":"1","result":5}`, `{"type":1,"target":"Item","arguments":[1]}`, `{"type":1,"target":"Item","arguments":[2]}`)
		p.want(`{"type":8,"sequenceId":3}`)
		// Twice the same, the acknowledgement was lost: it is said again.
		p.cut()
		p = f.accept()
		p.want(`{"type":9,"sequenceId":2}`)
		p.say(`{"type":9,"sequenceId":2}`, `{"type":1,"target":"Item","arguments":[1]}`, `{"type":1,"target":"Item","arguments":[2]}`, ping)
		p.want(`{"type":8,"sequenceId":3}`)
		p.say(`{"type":1,"target":"Item","arguments":[3]}`)
		p.want(`{"type":8,"sequenceId":4}`)
		d.want(t, "1", "2", "3")
		if c.ID() != id || c.State() != hubbub.Connected {
			t.Errorf("the client is %v, its id is %q, want %q", c.State(), c.ID(), id)
		}
		if got, want := paths(f.requests()), slices.Repeat([]string{"GET /hub?id=tok1"}, 4); !slices.Equal(got[1:], want) {
			t.Errorf("requests %q, want one negotiation and four sockets", got)
		}
		if got := bearers(f.requests("WebSockets")); !slices.Equal(got, []string{"T2", "T3", "T4", "T5"}) {
			t.Errorf("sockets with the tokens %q, want a fresh one each", got)
		}
		// Close ends it for good.
		c.Close()
		p.want(`{"type":7}`)
		p.wantEnd()
		time.Sleep(time.Minute)
		if n := len(f.requests("WebSockets")); n != 4 {
			t.Errorf("%d sockets, want none after Close", n)
		}
	})
}

// signalr-core client, stateful reconnect, counting: calls, items, results, streams and cancels count in both directions, the handshake,
// pings and acknowledgements do not.
func TestClientSpecResumeCounts(t *testing.T) {
	t.Parallel()
	resumable(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		c, p := f.connect(opts, func(c *signalr.Client) {
			c.On("Ask", hubbub.Func0(func(context.Context) (int, error) { return 8, nil }))
		})
		said := []string{
			`{"type":1,"target":"Send","arguments":[]}`,
			`{"type":1,"invocationId":"2","target":"Upload","arguments":[],"streamIds":["1"]}`,
			`{"type":2,"invocationId":"1","item":1}`,
			`{"type":3,"invocationId":"1"}`,
			`{"type":4,"invocationId":"3","target":"Stream","arguments":[]}`,
			`{"type":5,"invocationId":"3"}`,
			`{"type":3,"invocationId":"s1","result":8}`,
		}
		if err := c.Send(t.Context(), "Send"); err != nil {
			t.Fatal(err)
		}
		p.want(said[0])
		upload := calling[int](t.Context(), c, "Upload", items(nil, 1))
		p.want(said[1:4]...)
		ctx, cancel := context.WithCancel(t.Context())
		streamed := make(chan error, 1)
		go func() {
			for _, err := range hubbub.Stream[int](ctx, c, "Stream") {
				if err != nil {
					streamed <- err
					return
				}
				cancel()
			}
		}()
		p.want(said[4])
		p.say(`{"type":2,"invocationId":"3","item":1}`)
		if err := <-streamed; !errors.Is(err, context.Canceled) {
			t.Errorf("stream: %v", err)
		}
		p.want(said[5])
		p.say(ping, `{"type":1,"invocationId":"s1","target":"Ask","arguments":[]}`)
		p.want(said[6])
		p.cut()
		p = f.accept()
		p.want(append([]string{`{"type":9,"sequenceId":1}`}, said...)...)
		// 1 and 2 were the item and the question; the next two are the end of a stream that is over and the result.
		p.say(`{"type":9,"sequenceId":3}`, `{"type":3,"invocationId":"3"}`, `{"type":3,"invocationId":"2","result":6}`, `{"type":8,"sequenceId":5}`)
		if a := <-upload; a.v != 6 || a.err != nil {
			t.Errorf("Upload: %d, %v", a.v, a.err)
		}
		p.want(`{"type":8,"sequenceId":4}`)
		p.cut()
		p = f.accept()
		p.want(append([]string{`{"type":9,"sequenceId":6}`}, said[5:]...)...)
	})
}

// signalr-core client, stateful reconnect, a refused attempt: the normal end, or automatic reconnect with a new connection whose numbers
// begin at 1, whether or not the server agrees again.
func TestClientSpecResumeRefused(t *testing.T) {
	t.Parallel()
	resumable(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		var refuse atomic.Bool
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if refuse.Load() && purpose(r) == "WebSockets" {
				refuse.Store(false)
				w.WriteHeader(http.StatusNotFound)
				return true
			}
			return false
		}
		reasons, closed := make(chan error, 1), make(chan error, 1)
		opts.Reconnect = hubbub.RetryDelays(0)
		opts.OnReconnecting = func(err error) { reasons <- err }
		opts.OnClosed = func(err error) { closed <- err }
		c, p := f.connect(opts, nil)
		for _, x := range []struct {
			members string
			version int
		}{{`"useStatefulReconnect":true,`, 2}, {"", 1}} {
			call := calling[int](t.Context(), c, "Run")
			p.want(`{"type":1,"invocationId":"1","target":"Run","arguments":[]}`)
			f.mu.Lock()
			f.members = x.members
			f.mu.Unlock()
			refuse.Store(true)
			p.cut()
			var e *signalr.HTTPError
			if err := <-reasons; !errors.As(err, &e) || e.Status != http.StatusNotFound {
				t.Errorf("reconnecting after %v, want the status 404 in it", err)
			}
			if a := <-call; !errors.As(a.err, &e) {
				t.Errorf("Run: %v", a.err)
			}
			p = f.accept()
			synctest.Wait() // until the client has read the answer
			if want := fmt.Sprintf(`{"protocol":%q,"version":%d}`, f.protocol, x.version); p.handshake != want {
				t.Errorf("handshake %s, want %s", p.handshake, want)
			}
		}
		p.say(`{"type":1,"target":"Nobody","arguments":[]}`)
		time.Sleep(5 * time.Second)
		p.cut() // no second socket for tok3, and no acknowledgement
		<-reasons
		p.wantEnd()
		f.accept()
		synctest.Wait()
		if n := len(f.requests("negotiate")); n != 4 {
			t.Errorf("%d negotiations, want 4", n)
		}
		c.Close()
		if err := <-closed; err != nil {
			t.Errorf("closed with %v", err)
		}
	})
}

// signalr-core client, stateful reconnect: ours tries again while the server is not there, up to 15 s, where .NET tries once.
func TestClientSpecResumeLater(t *testing.T) {
	t.Parallel()
	for _, back := range []time.Duration{3 * time.Second, time.Minute} {
		t.Run(back.String(), func(t *testing.T) {
			t.Parallel()
			resumable(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
				var lost atomic.Int64
				f.hook = func(w http.ResponseWriter, _ *http.Request) bool {
					if at := lost.Load(); at == 0 || time.Since(time.UnixMilli(at)) > back {
						return false
					}
					w.WriteHeader(http.StatusBadGateway)
					return true
				}
				closed := make(chan error, 1)
				opts.OnClosed = func(err error) { closed <- err }
				c, p := f.connect(opts, nil)
				call := calling[int](t.Context(), c, "Run")
				p.next()
				lost.Store(time.Now().UnixMilli())
				began := time.Now()
				p.cut()
				if back > 15*time.Second {
					var e *signalr.HTTPError
					if err := <-closed; !errors.As(err, &e) || e.Status != http.StatusBadGateway || !strings.Contains(err.Error(), "not resumed within 15s") {
						t.Errorf("closed with %v", err)
					}
					about(t, "the end", time.Since(began), 15*time.Second)
					if a := <-call; a.err == nil {
						t.Error("the call was answered")
					}
					return
				}
				p = f.accept()
				p.want(`{"type":9,"sequenceId":1}`, `{"type":1,"invocationId":"1","target":"Run","arguments":[]}`)
				p.say(`{"type":9,"sequenceId":1}`, `{"type":3,"invocationId":"1","result":2}`)
				if a := <-call; a.v != 2 || a.err != nil {
					t.Errorf("Run: %d, %v", a.v, a.err)
				}
			})
		})
	}
}

// signalr-core client, stateful reconnect, failures: a Sequence too high or below 1 ends the connection, a hub's Close and a protocol
// error do too, without another socket for the same id.
func TestClientSpecResumeEnds(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		record string
		want   string // "" for none
	}{
		"sequence too high": {`{"type":9,"sequenceId":2}`, "Sequence ID greater than amount of messages we've received."},
		"sequence 0":        {`{"type":9,"sequenceId":0}`, "Sequence ID greater"},
		"close":             {`{"type":7}`, ""},
		"close with error":  {`{"type":7,"error":"E1","allowReconnect":true}`, "E1"},
		"stream call":       {`{"type":4,"invocationId":"1","target":"x","arguments":[]}`, "unexpected message"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resumable(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
				closed := make(chan error, 1)
				opts.OnClosed = func(err error) { closed <- err }
				_, p := f.connect(opts, nil)
				p.say(x.record)
				if err := <-closed; (err == nil) != (x.want == "") || (err != nil && !strings.Contains(err.Error(), x.want)) {
					t.Errorf("closed with %v, want %q", err, x.want)
				}
				p.wantEnd()
				time.Sleep(time.Minute)
				if n := len(f.requests("WebSockets")); n != 1 {
					t.Errorf("%d sockets, want 1", n)
				}
			})
		})
	}
}

// signalr-core client, stateful reconnect, a polite end of the socket: one attempt, which a server refuses; then it is an end without
// an error.
func TestClientSpecResumePolite(t *testing.T) {
	t.Parallel()
	resumable(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		var n atomic.Int32
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if purpose(r) != "WebSockets" || n.Add(1) == 1 {
				return false
			}
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		closed := make(chan error, 1)
		opts.OnClosed = func(err error) { closed <- err }
		_, p := f.connect(opts, nil)
		p.end(websocket.StatusNormalClosure)
		if err := <-closed; err != nil {
			t.Errorf("closed with %v", err)
		}
		if n.Load() > 2 {
			t.Errorf("%d sockets, want one attempt", n.Load())
		}
	})
}

// signalr-core client, stateful reconnect, back-pressure: past the buffer size calls wait for an acknowledgement, which is read meanwhile;
// the Close does not wait.
func TestClientSpecResumeBuffer(t *testing.T) {
	t.Parallel()
	resumable(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		opts.StatefulReconnectBufferSize = 1000
		c, p := f.connect(opts, nil)
		text := strings.Repeat("x", 600)
		for i := range 5 {
			if err := c.Send(t.Context(), "Text", i, text); err != nil {
				t.Fatal(err)
			}
		}
		said := func(i int) string { return fmt.Sprintf(`{"type":1,"target":"Text","arguments":[%d,%q]}`, i, text) }
		p.want(said(0), said(1))
		time.Sleep(10 * time.Second)
		if n := len(p.in); n != 0 {
			t.Errorf("%d records past the buffer", n)
		}
		p.say(`{"type":8,"sequenceId":1}`)
		p.want(said(2))
		time.Sleep(time.Second)
		if n := len(p.in); n != 0 {
			t.Errorf("%d records past the buffer", n)
		}
		began := time.Now()
		c.Close()
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("Close took %v", d)
		}
		p.want(`{"type":7}`)
	})
}
