package relay_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/relay"
)

// crowd connects n Core clients, as few at a time as a machine can take, and lets each subscribe.
func crowd(t testing.TB, s *server, n int, subscribe func(i int, p *peer)) []*peer {
	t.Helper()
	peers := make([]*peer, n)
	slots := make(chan struct{}, 16)
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			p, err := s.small()
			if err != nil {
				t.Error(err)
				return
			}
			peers[i] = p
			subscribe(i, p)
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return peers
}

// small connects a Core client without a negotiation.
func (s *server) small() (*peer, error) {
	p := &peer{t: s.t, events: make(chan string, 1<<10)}
	web := &http.Transport{}
	c := signalr.NewClient(s.url+relay.CorePath, &signalr.ClientOptions{
		Transports: signalr.WebSockets, SkipNegotiation: true, HTTPClient: &http.Client{Transport: web}})
	c.On("ReceiveEvent", hubbub.Raw(p.receive))
	p.invoke = func(method string, args ...any) error { return c.Invoke(s.t.Context(), nil, method, args...) }
	return p, p.start(c.Start, c.Close, web)
}

const (
	crowdSize = 1000
	guidsEach = 10
)

func guidOf(i, k int) string { return fmt.Sprintf("guid %d of %d", k, i) }

// 10,000 subscriptions on 1,000 connections: one trigger costs one delivery. And 1,000 subscribers of one eventguid with 1,000
// cookies: everyone gets its own.
func TestCrowd(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	peers := crowd(t, s, crowdSize, func(i int, p *peer) {
		for k := range guidsEach {
			p.subscribe(guidOf(i, k), fmt.Sprintf("cookie %d of %d", k, i))
		}
		p.subscribe("all", fmt.Sprint("cookie of ", i))
	})
	if st := s.Stats(); st.Connections != crowdSize || st.Subscriptions != crowdSize*(guidsEach+1) {
		t.Fatalf("counted %+v", st)
	}
	for i := 0; i < crowdSize; i += 10 {
		k := i / 10 % guidsEach
		before := s.Stats().Delivered
		s.trigger(guidOf(i, k), 1)
		if n := s.Stats().Delivered - before; n != 1 {
			t.Fatalf("one trigger cost %d deliveries, want 1", n)
		}
	}
	s.trigger("all", crowdSize)
	for i, p := range peers {
		if i%10 == 0 {
			if got, want := p.next(), fmt.Sprintf("%s=cookie %d of %d", guidOf(i, i/10%guidsEach), i/10%guidsEach, i); got != want {
				t.Fatalf("connection %d got %q, want %q", i, got, want)
			}
		}
		if got, want := p.next(), fmt.Sprint("all=cookie of ", i); got != want {
			t.Fatalf("connection %d got %q, want %q", i, got, want)
		}
	}
	for i, p := range peers {
		if len(p.events) > 0 {
			t.Fatalf("connection %d got %q too", i, <-p.events)
		}
	}
}

// BenchmarkTrigger measures a trigger until its one listener of many has got it.
func BenchmarkTrigger(b *testing.B) {
	s := newServer(b)
	peers := crowd(b, s, crowdSize, func(i int, p *peer) {
		for k := range guidsEach {
			p.subscribe(guidOf(i, k), "Viewmodel=SomeVM&RootId=12|7")
		}
	})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c := i % crowdSize
		if _, err := s.Trigger(b.Context(), guidOf(c, i/crowdSize%guidsEach)); err != nil {
			b.Fatal(err)
		}
		peers[c].next()
	}
	b.StopTimer()
	if n := s.Stats().Delivered; n < uint64(b.N) {
		b.Fatalf("%d deliveries for %d triggers", n, b.N)
	}
}

// BenchmarkTriggerCrowd measures a trigger until all of 1,000 listeners have got their cookies.
func BenchmarkTriggerCrowd(b *testing.B) {
	s := newServer(b)
	peers := crowd(b, s, crowdSize, func(i int, p *peer) { p.subscribe("all", fmt.Sprint("Viewmodel=SomeVM&RootId=12|", i)) })
	b.ReportAllocs()
	for b.Loop() {
		if n, err := s.Trigger(b.Context(), "all"); err != nil || n != crowdSize {
			b.Fatalf("%d listeners, %v", n, err)
		}
		for i, p := range peers {
			if got := p.next(); !strings.HasSuffix(got, fmt.Sprint("|", i)) {
				b.Fatalf("connection %d got %q", i, got)
			}
		}
	}
	b.ReportMetric(float64(b.N*crowdSize)/b.Elapsed().Seconds(), "deliveries/s")
}

// BenchmarkTriggerParallel measures triggers that nobody hears, many at a time: what is left is the way through the ledger.
func BenchmarkTriggerParallel(b *testing.B) {
	s := newServer(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Trigger(b.Context(), "nobody"); err != nil {
				b.Error(err)
			}
		}
	})
}
