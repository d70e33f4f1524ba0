package hubbub_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/hubbub-go/hubbub"
)

// TestEncodeOnce sends to 1,000 connections on two protocols, some of them with a framing of their own: two encodings a send,
// whatever the audience.
func TestEncodeOnce(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	protocols := []*dialect{newDialect("json"), newDialect("messagepack")}
	var peers []*peer
	for i := range 1000 {
		options := []option{speaking(protocols[i%2]), named(fmt.Sprint("c", i)), userNamed(fmt.Sprint("u", i%10))}
		if i%4 < 2 {
			options = append(options, framed(framing{}))
		}
		p := connect(t, h, options...)
		peers = append(peers, p)
		must(t, h.Join(t.Context(), p.id, "g"))
	}
	for name, test := range map[string]struct {
		to       hubbub.Clients
		encoded  int64
		received int64
	}{
		"all":           {h.All(), 2, 1000},
		"group":         {h.Group("g"), 2, 1000},
		"groups":        {h.Groups("g", "g"), 2, 2000},
		"users":         {h.Users("u1", "u2"), 2, 200},
		"a user":        {h.User("u1"), 1, 100},
		"a client":      {h.Clients("c0"), 1, 1},
		"clients":       {h.Clients("c0", "c1", "c2", "c3"), 2, 4},
		"all but one":   {h.All().Except("c0"), 2, 999},
		"but one of 2":  {h.Clients("c0", "c1").Except("c0"), 1, 1},
		"nobody":        {h.Group("empty"), 0, 0},
		"all left out":  {h.Clients("c0").Except("c0"), 0, 0},
		"who is unkown": {h.Clients("x"), 0, 0},
	} {
		before, calls := h.Stats(), protocols[0].appended.Load()+protocols[1].appended.Load()
		must(t, test.to.Send(t.Context(), "m", name))
		after := h.Stats()
		if n := after.Encoded - before.Encoded; n != test.encoded {
			t.Errorf("%s: %d encodings counted, want %d", name, n, test.encoded)
		}
		if n := protocols[0].appended.Load() + protocols[1].appended.Load() - calls; n != test.encoded {
			t.Errorf("%s: Append was called %d times, want %d", name, n, test.encoded)
		}
		if n := after.Sent - before.Sent; n != test.received {
			t.Errorf("%s: %d messages sent, want %d", name, n, test.received)
		}
	}
	must(t, h.All().Send(t.Context(), "end"))
	shared := make(map[string]*byte)
	for _, p := range peers {
		n := 0
		for p.next().Target != "end" {
			n++
		}
		if n < 5 {
			t.Fatalf("%s got %d messages, want at least 5", p.id, n)
		}
	}
	must(t, h.All().Send(t.Context(), "m"))
	for i, p := range peers { // the bytes are shared by all who have the same protocol and framing
		b, _ := p.take()
		key := fmt.Sprint(i%2, i%4 < 2)
		if first := shared[key]; first == nil {
			shared[key] = &b[0]
		} else if first != &b[0] {
			t.Fatalf("%s has bytes of its own", p.id)
		}
	}
}

// TestSendOrder sends 2,000 messages from one method to its caller and to everybody.
func TestSendOrder(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	h.Handle("Go", hubbub.Action0(func(ctx context.Context) error {
		for i := range 2000 {
			var err error
			switch i % 3 {
			case 0:
				err = hubbub.CallerFrom(ctx).Send(ctx, "n", i)
			case 1:
				err = h.All().Send(ctx, "n", i)
			case 2:
				err = h.Group("g").Send(ctx, "n", i)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}))
	p := connect(t, h)
	must(t, h.Join(t.Context(), p.id, "g"))
	p.call("1", "Go")
	for i := range 2000 {
		p.expect(fmt.Sprintf("n(%d)", i))
	}
	p.expect("done 1 = null") // behind what the method has sent
}

// TestSlowReader sends to a peer that does not read: it is closed alone and counted, and costs no more than its queue.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	ends := make(chan error, 1)
	h.OnDisconnected(func(ctx context.Context, err error) {
		if hubbub.CallerFrom(ctx).ID() == "slow" {
			ends <- err
		}
	})
	connect(t, h, named("slow"), queue(64<<10))
	good := connect(t, h)
	text := strings.Repeat("x", 4096)
	var reading sync.WaitGroup
	reading.Go(func() {
		for i := range 500 {
			good.expect(fmt.Sprintf("m(%d,%q)", i, text))
		}
	})
	goroutines := 0
	for i := range 500 {
		must(t, h.All().Send(t.Context(), "m", i, text))
		goroutines = max(goroutines, runtime.NumGoroutine())
		for _, bytes := good.out.Len(); bytes > 512<<10; _, bytes = good.out.Len() {
			runtime.Gosched()
		}
	}
	reading.Wait()
	if err := await(t, "the slow one to be closed", ends); !errors.Is(err, hubbub.ErrSlow) {
		t.Errorf("closed with %v, want ErrSlow", err)
	}
	eventually(t, "the slow one to be counted", func() bool { return h.Stats().Closed["slow"] == 1 })
	if s := h.Stats(); s.Connections != 1 || len(s.Closed) != 1 {
		t.Errorf("%d connections, closed %v, want one left and one slow", s.Connections, s.Closed)
	}
	if goroutines > 2000 {
		t.Errorf("%d goroutines, want no more than there were", goroutines)
	}
}

// TestSendWhilePeersComeAndGo lets connections come, join, leave and go while others send. The race detector watches.
func TestSendWhilePeersComeAndGo(t *testing.T) {
	t.Parallel()
	for nodes := 1; nodes <= 2; nodes++ {
		t.Run(fmt.Sprint(nodes, " nodes"), func(t *testing.T) {
			t.Parallel()
			f := newFarm(t, nodes)
			stop := make(chan struct{})
			var senders, peers sync.WaitGroup
			for i := range 2 {
				senders.Go(func() {
					for n := 0; ; n++ {
						select {
						case <-stop:
							return
						default:
						}
						h := f.hubs[(i+n)%nodes]
						_ = h.All().Except("a", "b", "c", "d", "e", "f").Send(context.Background(), "m", n)
						_ = h.Group("busy").Send(context.Background(), "m", n)
						_ = h.User("busy").Send(context.Background(), "m", n)
						runtime.Gosched()
					}
				})
			}
			for i := range 4 {
				peers.Go(func() {
					for n := range 50 {
						p := unattached(t, userNamed("busy"), queue(10_000))
						h := f.hubs[(i+n)%nodes]
						if err := p.attach(h); err != nil {
							t.Error(err)
							return
						}
						other := f.hubs[n%nodes]
						_ = other.Join(context.Background(), p.id, "busy")
						if n%3 == 0 {
							_ = h.Leave(context.Background(), p.id, "busy")
						}
						p.leave()
					}
				})
			}
			peers.Wait()
			close(stop)
			senders.Wait()
			for _, h := range f.hubs {
				if s := h.Stats(); s.Groups > 2 || s.Users > 2 || s.Connections > 6 {
					t.Errorf("%d groups, %d users, %d connections are left", s.Groups, s.Users, s.Connections)
				}
			}
		})
	}
}

// TestValuesThatUseTheHub are encoded outside its locks.
func TestValuesThatUseTheHub(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	p := connect(t, h)
	must(t, h.All().Send(t.Context(), "m", curious{h, t}))
	p.expect(`joined("m")`, `m("seen")`)
}

// curious uses the hub while it is written.
type curious struct {
	h *hubbub.Hub
	t *testing.T
}

func (c curious) MarshalJSON() ([]byte, error) {
	p := connect(c.t, c.h) // needs the lock of the lifetime alone
	must(c.t, c.h.Join(context.Background(), p.id, "g"))
	must(c.t, c.h.All().Send(context.Background(), "joined", "m"))
	return []byte(`"seen"`), nil
}

func TestUnencodable(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	h.Handle("Bad", hubbub.Func0(func(context.Context) (any, error) { return make(chan int), nil }))
	d := newDialect("json")
	for range 20 {
		connect(t, h, speaking(d))
	}
	if err := h.All().Send(t.Context(), "target", make(chan int)); err == nil || !strings.HasPrefix(err.Error(), "send target: ") {
		t.Errorf("error %v", err)
	}
	if n := d.appended.Load(); n != 1 {
		t.Errorf("encoded %d times, want once", n)
	}
	p := connect(t, h)
	p.call("1", "Bad")
	p.expect("done 1 ! " + fmt.Sprintf(failed, "Bad"))
}
