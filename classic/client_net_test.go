package classic_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
)

// TLS is what the HTTPClient makes of it; a WebSocket gets through to a server that also speaks HTTP/2.
func TestClientTLS(t *testing.T) {
	t.Parallel()
	overAll(t, func(t *testing.T, tr classic.Transport) {
		s := newServer(t)
		secure := httptest.NewUnstartedServer(s.http.Config.Handler)
		secure.EnableHTTP2 = true
		secure.StartTLS()
		t.Cleanup(secure.Close)
		c := dialed(t, secure.URL, tr, func(o *classic.ClientOptions) { o.HTTPClient = secure.Client() })
		p := c.Hub("RefHub")
		started(t, c)
		if v, err := hubbub.Invoke[string](t.Context(), p, "Echo", "x"); err != nil || v != "x" {
			t.Errorf("Echo: %q, %v", v, err)
		}
		if c.Transport() != tr {
			t.Errorf("over %v, want %v", c.Transport(), tr)
		}
	})
}

// Every request takes the proxy of the HTTPClient and has the cookies of its jar.
func TestClientProxy(t *testing.T) {
	t.Parallel()
	overAll(t, func(t *testing.T, tr classic.Transport) {
		s := newServer(t)
		var through, bare atomic.Int32
		proxy := httptest.NewServer(&httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
			through.Add(1)
			if c, err := r.In.Cookie("sticky"); err != nil || c.Value != "node-1" {
				bare.Add(1)
			}
		}})
		t.Cleanup(proxy.Close)
		via, err := url.Parse(proxy.URL)
		if err != nil {
			t.Fatal(err)
		}
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		to, err := url.Parse(s.url)
		if err != nil {
			t.Fatal(err)
		}
		jar.SetCookies(to, []*http.Cookie{{Name: "sticky", Value: "node-1"}})
		transport := &http.Transport{Proxy: http.ProxyURL(via)}
		t.Cleanup(transport.CloseIdleConnections)
		c := dialed(t, s.url, tr, func(o *classic.ClientOptions) { o.HTTPClient = &http.Client{Transport: transport, Jar: jar} })
		p := c.Hub("RefHub")
		started(t, c)
		if v, err := hubbub.Invoke[string](t.Context(), p, "Echo", "x"); err != nil || v != "x" {
			t.Errorf("Echo: %q, %v", v, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if through.Load() < 4 || bare.Load() > 0 { // negotiate, connect, start, abort
			t.Errorf("%d requests took the proxy, %d of them without the cookie", through.Load(), bare.Load())
		}
	})
}

// One client is for many goroutines: each gets the answers of its own calls.
func TestClientConcurrent(t *testing.T) {
	t.Parallel()
	overAll(t, func(t *testing.T, tr classic.Transport) {
		s := newServer(t)
		c := dialed(t, s.url, tr)
		p := c.Hub("RefHub")
		got := messages(p)
		started(t, c)
		calls := 200
		if tr != classic.WebSockets {
			calls = 20 // each is a request
		}
		var crew sync.WaitGroup
		for g := range 50 {
			crew.Go(func() {
				for i := range calls {
					want := g*calls + i + 1
					if sum, err := hubbub.Invoke[int](t.Context(), p, "Add", g*calls+i, 1); err != nil || sum != want {
						t.Errorf("%d: %d, %v", want, sum, err)
						return
					}
				}
			})
		}
		for range 10 {
			if err := p.Send(t.Context(), "Broadcast", "x"); err != nil {
				t.Error(err)
			}
		}
		crew.Wait()
		for range 10 {
			within(t, got, "a message to all")
		}
	})
}

// The network is cut a hundred times while messages are published. All arrive, once and in order.
func TestClientManyCuts(t *testing.T) {
	t.Parallel()
	overAll(t, func(t *testing.T, tr classic.Transport) {
		s := newServer(t)
		f, url := newFaulty(t, s.url)
		back := make(chan string, 1000)
		c := dialed(t, url, tr, func(o *classic.ClientOptions) {
			o.Reconnect = func(hubbub.Retry) (time.Duration, bool) { return time.Millisecond, true }
			o.OnReconnected = func(id string) { back <- id }
		})
		got := messages(c.Hub("RefHub"))
		started(t, c)
		n := 0
		publish := func() {
			n++
			if err := s.hub.All().Send(t.Context(), "Msg", "all", fmt.Sprint(n)); err != nil {
				t.Error(err)
			}
		}
		for cut := range 100 {
			publish()
			publish()
			f.Cut() // while they are on their way
			publish()
			if tr != classic.LongPolling { // a cut between two polls is none
				if id := within(t, back, "reconnected"); id != c.ID() {
					t.Errorf("cut %d: id %q, want %q", cut, id, c.ID())
				}
			}
			for i := n - 2; i <= n; i++ {
				if m := within(t, got, "a message"); m != fmt.Sprintf("all:%d", i) {
					t.Fatalf("cut %d: got %q, want all:%d", cut, m, i)
				}
			}
		}
		if err := c.Hub("RefHub").Invoke(t.Context(), nil, "Nothing"); err != nil {
			t.Error(err)
		}
		select {
		case m := <-got:
			t.Errorf("%q came twice", m)
		default:
		}
	})
}

// After a restart of the server, with the same keys, a client is in its groups again without a word.
func TestClientServerRestart(t *testing.T) {
	t.Parallel()
	overAll(t, func(t *testing.T, tr classic.Transport) {
		first := newServer(t)
		f, url := newFaulty(t, first.url)
		gone, back := make(chan error, 10), make(chan string, 10)
		c := dialed(t, url, tr, func(o *classic.ClientOptions) {
			o.Reconnect = func(hubbub.Retry) (time.Duration, bool) { return time.Millisecond, true }
			o.OnReconnecting = func(err error) {
				select {
				case gone <- err:
				default:
				}
			}
			o.OnReconnected = func(id string) { back <- id }
		})
		p := c.Hub("RefHub")
		got := messages(p)
		started(t, c)
		id := c.ID()
		if err := p.Invoke(t.Context(), nil, "Join", "g"); err != nil {
			t.Fatal(err)
		}
		if err := p.Invoke(t.Context(), nil, "ToGroup", "g", "before"); err != nil { // behind the new groups token
			t.Fatal(err)
		}
		if m := within(t, got, "a message to the group"); m != "g:before" {
			t.Fatalf("got %q", m)
		}
		second := newServer(t)
		f.Refuse(true)
		f.Move(second.url)
		f.Cut()
		within(t, gone, "reconnecting")
		f.Refuse(false)
		if now := within(t, back, "reconnected"); now != id {
			t.Errorf("id %q after the restart, want %q", now, id)
		}
		second.heard("reconnected:RefHub")
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := second.hub.Group("g").Send(ctx, "Msg", "g", "after"); err != nil {
			t.Fatal(err)
		}
		if m := within(t, got, "a message after the restart"); m != "g:after" {
			t.Errorf("got %q, want g:after", m)
		}
	})
}
