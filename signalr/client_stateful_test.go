package signalr_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// statefulServer is a hub with stateful reconnect: that of CONFORMANCE_URL, or one with the same methods.
func statefulServer(t *testing.T, opts *hubbub.Options) string {
	t.Helper()
	if u := os.Getenv("CONFORMANCE_URL"); u != "" {
		return u + "/testhub-stateful"
	}
	hub := hubbub.NewHub("stateful", opts)
	basics(hub)
	hub.Handle("InvokeWithString", hubbub.Action1(func(ctx context.Context, s string) error {
		return hubbub.CallerFrom(ctx).Send(ctx, "Message", s)
	}))
	hub.Handle("SendToAll", hubbub.Action1(func(ctx context.Context, s string) error { return hub.All().Send(ctx, "Message", s) }))
	hub.Handle("Stream", hubbub.Func0(func(context.Context) (hubbub.Seq[string], error) { return sequenceOf("a", "b", "c"), nil }))
	hub.Handle("StreamingConcat", hubbub.Func1(func(_ context.Context, items hubbub.Seq[string]) (string, error) { return collect(items) }))
	mux := http.NewServeMux()
	signalr.MapHub(mux, "/hub", hub, &signalr.Options{AllowStatefulReconnects: true})
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = hub.Shutdown(ctx, 0)
		srv.Close()
	})
	return srv.URL + "/hub"
}

// sequenceOf is a stream of these items.
func sequenceOf[T any](items ...T) hubbub.Seq[T] {
	return func(yield func(T, error) bool) {
		for _, x := range items {
			if !yield(x, nil) {
				return
			}
		}
	}
}

// collect joins the items of a stream.
func collect(items hubbub.Seq[string]) (string, error) {
	all := ""
	for s, err := range items {
		if err != nil {
			return "", err
		}
		all += s
	}
	return all, nil
}

// through is rawURL behind a proxy.
func through(t *testing.T, rawURL string) (*faultProxy, string) {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	p := newFaultProxy(t, u.Host)
	u.Host = p.Addr()
	return p, u.String()
}

// setting is a number of the environment, or what stands for it.
func setting[T int | uint64](t *testing.T, name string, otherwise T) T {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		t.Fatal(err)
	}
	return T(n)
}

// traffic is everything that a client and its server can say to each other, numbered, so that a loss, a repetition and a change
// of order all show. Handlers run one at a time, so their numbers need no lock.
type traffic struct {
	t       *testing.T
	client  *signalr.Client // behind the proxy
	other   *signalr.Client // not behind it
	stop    chan struct{}
	workers sync.WaitGroup
	wrong   atomic.Bool
	tag     string // of the broadcasts, which other clients of a server hear too

	counts                          [6]atomic.Int64
	echoes, broadcasts              series
	invocations, downloads, uploads *atomic.Int64
}

// series is a flow of numbered messages of which not too many are on their way.
type series struct {
	room chan struct{}
	next int // the handler's
}

func (x *traffic) fail(format string, args ...any) {
	if !x.wrong.Swap(true) {
		x.t.Errorf(format, args...)
	}
}

// register puts the handler onto the client.
func (x *traffic) register(c *signalr.Client) {
	for _, s := range []*series{&x.echoes, &x.broadcasts} {
		s.room = make(chan struct{}, 100)
	}
	c.On("Message", hubbub.Action1(func(_ context.Context, text string) error {
		s, prefix := &x.echoes, "echo "
		if !strings.HasPrefix(text, prefix) {
			s, prefix = &x.broadcasts, x.tag
		}
		if !strings.HasPrefix(text, prefix) {
			return nil
		}
		number, _, _ := strings.Cut(strings.TrimPrefix(text, prefix), " ")
		if want := strconv.Itoa(s.next); number != want {
			x.fail("message %.20q, want number %s", text, want)
		}
		s.next++
		x.counts[0].Add(1)
		<-s.room
		return nil
	}))
}

// run starts it all.
func (x *traffic) run(padding string) {
	x.stop = make(chan struct{})
	ctx := x.t.Context()
	x.invocations, x.downloads, x.uploads = &x.counts[1], &x.counts[2], &x.counts[3]
	x.series(&x.echoes, func(i int) error {
		return x.client.Send(ctx, "InvokeWithString", fmt.Sprintf("echo %d %s", i, padding))
	})
	x.series(&x.broadcasts, func(i int) error { return x.other.Send(ctx, "SendToAll", fmt.Sprintf("%s%d %s", x.tag, i, padding)) })
	for g := range 4 {
		x.work(func(i int) error {
			want := fmt.Sprint(g, " ", i, padding)
			got, err := hubbub.Invoke[string](ctx, x.client, "Echo", want)
			x.invocations.Add(1)
			return differs(got, want, err)
		})
	}
	x.work(func(int) error {
		got, err := collect(hubbub.Stream[string](ctx, x.client, "Stream"))
		x.downloads.Add(1)
		return differs(got, "abc", err)
	})
	x.longUpload(ctx)
	if os.Getenv("CONFORMANCE_URL") != "" { // ASP.NET Core loses count when items of a stream that is over are said again
		return
	}
	x.work(func(i int) error {
		var parts []string
		for k := range 50 {
			parts = append(parts, fmt.Sprintf("%d.%d,", i, k))
		}
		got, err := hubbub.Invoke[string](ctx, x.client, "StreamingConcat", sequenceOf(parts...))
		x.uploads.Add(1)
		return differs(got, strings.Join(parts, ""), err)
	})
}

// longUpload is one stream that lasts until the end.
func (x *traffic) longUpload(ctx context.Context) {
	x.workers.Go(func() {
		var want strings.Builder
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		got, err := hubbub.Invoke[string](ctx, x.client, "StreamingConcat", hubbub.Seq[string](func(yield func(string, error) bool) {
			for i := 0; ; i++ {
				select {
				case <-x.stop:
					return
				case <-tick.C:
				}
				text := fmt.Sprint(i, " ")
				want.WriteString(text)
				if !yield(text, nil) {
					return
				}
			}
		}))
		if err := differs(got, want.String(), err); err != nil {
			x.fail("long upload: %v", err)
		}
	})
}

func differs(got, want string, err error) error {
	if err == nil && got != want {
		err = fmt.Errorf("got %.60q, want %.60q", got, want)
	}
	return err
}

// work repeats f until the end.
func (x *traffic) work(f func(i int) error) {
	x.workers.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-x.stop:
				return
			default:
			}
			if err := f(i); err != nil {
				x.fail("%v", err)
				return
			}
		}
	})
}

func (x *traffic) series(s *series, send func(i int) error) {
	x.work(func(i int) error {
		select {
		case s.room <- struct{}{}:
			return send(i)
		case <-x.stop:
			return nil
		}
	})
}

// end stops it, and wants everything that was said to have been heard.
func (x *traffic) end() {
	close(x.stop)
	over := make(chan struct{})
	go func() { x.workers.Wait(); close(over) }()
	receive(x.t, "the calls that are on their way", over)
	await(x.t, "the messages that are on their way", func() bool { return x.wrong.Load() || len(x.echoes.room)+len(x.broadcasts.room) == 0 })
}

// With stateful reconnect nothing is lost, doubled or put in another order, wherever the socket is cut: in a message, between
// two, in the upgrade that resumes, and just after a Sequence or an Ack.
func TestClientStatefulCuts(t *testing.T) {
	t.Parallel()
	cuts := setting(t, "CUTS", 100)
	for _, test := range []struct {
		name, protocol string
		buffer         int // of both sides, in bytes
		padding        int // of each message
	}{
		{"json", "json", 0, 20},
		{"messagepack", "messagepack", 0, 20},
		{"json with buffers that are full", "json", 2000, 300},
	} {
		t.Run(test.name, func(t *testing.T) {
			if os.Getenv("CONFORMANCE_URL") == "" { // the broadcasts of ASP.NET Core wait for every client that is away
				t.Parallel()
			}
			n := cuts
			if test.buffer > 0 {
				if os.Getenv("CONFORMANCE_URL") != "" {
					return // the buffer of that server is what it is
				}
				n = max(cuts/4, 1)
			}
			opts := &hubbub.Options{StatefulReconnectBufferSize: test.buffer, EnableDetailedErrors: true}
			client := signalr.ClientOptions{Protocol: test.protocol, StatefulReconnectBufferSize: test.buffer}
			statefulCuts(t, statefulServer(t, opts), client, n, strings.Repeat("x", test.padding))
		})
	}
}

func statefulCuts(t *testing.T, direct string, opts signalr.ClientOptions, cuts int, padding string) {
	seed := setting(t, "SEED", rand.Uint64()>>1)
	t.Logf("SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	p, behind := through(t, direct)
	p.WholeFrames(os.Getenv("CONFORMANCE_URL") != "") // ASP.NET Core puts the bytes of the next socket behind half a record of the one before
	if opts.Protocol == "json" {
		book := newLedger()
		p.Tap(book.tap)
		defer book.report(t)
	}
	x := &traffic{t: t, tag: fmt.Sprint(seed, t.Name(), " ")}
	opts.Transports, opts.StatefulReconnect = signalr.WebSockets, true
	opts.OnClosed = func(err error) {
		if err != nil {
			x.fail("closed: %v", err)
		}
	}
	x.client = startClient(t, behind, opts, x.register)
	x.other = startClient(t, direct, signalr.ClientOptions{Protocol: opts.Protocol}, nil)
	id := x.client.ID()
	began := time.Now()
	x.run(padding)
	cutMany(t, p, random, cuts, func() bool { return x.wrong.Load() })
	x.end()
	if got := x.client.ID(); got != id {
		t.Errorf("id %s, want %s as in the beginning", got, id)
	}
	t.Logf("%d cuts, %d sockets in %.1f s: %d messages, %d invocations, %d streams down, %d up", cuts, p.Accepted(), time.Since(began).Seconds(),
		x.counts[0].Load(), x.invocations.Load(), x.downloads.Load(), x.uploads.Load())
}

// pace is the time between two cuts: servers refuse clients that come back more often than ten times a second.
const pace = 110 * time.Millisecond

// cutMany cuts at random points.
func cutMany(t *testing.T, p *faultProxy, random *rand.Rand, cuts int, enough func() bool) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	var socket = func(b []byte) bool { return strings.Contains(string(b), "101 Switching") }
	for i := 0; i < cuts && !enough(); i++ {
		<-tick.C
		cut := make(chan struct{})
		switch n := random.IntN(10); {
		case n < 5:
			p.CutAfter(random.Int64N(20_000), func() { close(cut) })
		case n < 8: // and again while the client comes back
			p.CutAfter(random.Int64N(2000), func() { p.CutAfter(random.Int64N(700), func() { close(cut) }) })
			i++
		case n < 9:
			p.CutAt(func(b []byte) bool {
				if isControl(b) {
					close(cut)
				}
				return isControl(b)
			})
		default:
			p.Cut()
			p.CutAt(func(b []byte) bool {
				if socket(b) {
					close(cut)
				}
				return socket(b)
			})
			i++
		}
		await(t, "the cut", func() bool { return enough() || closed(cut) })
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// isControl reports whether what a server says has an Ack or a Sequence in it, in either protocol.
func isControl(b []byte) bool {
	if strings.Contains(string(b), `{"type":8`) || strings.Contains(string(b), `{"type":9`) {
		return true
	}
	for i := 0; i+2 < len(b); i++ {
		if b[i] <= 12 && b[i+1] == 0x92 && (b[i+2] == 8 || b[i+2] == 9) {
			return true
		}
	}
	return false
}

// A socket may be cut while messages are said again that were received long ago. Their sender may have heard so meanwhile, and goes
// on behind them.
func TestClientStatefulCutWhileReplayed(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.members = `"useStatefulReconnect":true,`
	got := make(chan int, 8)
	closed := make(chan error, 1)
	opts := signalr.ClientOptions{Transports: signalr.WebSockets, StatefulReconnect: true}
	opts.OnClosed = func(err error) { closed <- err }
	_, peer := f.connect(opts, func(c *signalr.Client) {
		c.On("Item", hubbub.Action1(func(_ context.Context, i int) error { got <- i; return nil }))
	})
	item := func(i int) string { return fmt.Sprintf(`{"type":1,"target":"Item","arguments":[%d]}`, i) }
	hear := func(want int) {
		t.Helper()
		select {
		case i := <-got:
			if i != want {
				t.Fatalf("item %d, want %d", i, want)
			}
		case err := <-closed:
			t.Fatalf("closed: %v", err)
		}
	}
	peer.say(item(1), item(2), item(3))
	for i := 1; i <= 3; i++ {
		hear(i)
	}
	peer.cut()
	peer = f.accept()
	peer.say(`{"type":9,"sequenceId":1}`, item(1))
	peer.cut()
	peer = f.accept()
	peer.say(`{"type":9,"sequenceId":4}`, item(4))
	hear(4)
}
