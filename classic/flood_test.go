package classic_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
)

// TestStorm lets everything happen to one connection at once: new streams of every transport, calls, groups, messages and, at
// last, an abort. OnConnected and OnDisconnected run once, nothing hangs, and nothing is left.
func TestStorm(t *testing.T) {
	t.Parallel()
	for round := range 8 {
		s := newServer(t)
		c := s.negotiated("longPolling")
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		request := func(transport, command, body string) {
			one := *c
			one.transport = transport
			short, cancel := context.WithTimeout(ctx, time.Duration(1+rand.IntN(20))*time.Millisecond)
			defer cancel()
			r, err := http.NewRequestWithContext(short, http.MethodPost, one.address(command, url.Values{"frameId": {"1"}}), strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			if transport == "webSockets" && command != "abort" {
				r.Method, r.Body = http.MethodGet, nil
				for name, v := range map[string]string{
					"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
				} {
					r.Header.Set(name, v)
				}
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				return
			}
			if res.StatusCode == 101 {
				<-short.Done()
			} else {
				io.Copy(io.Discard, res.Body)
			}
			res.Body.Close()
		}
		for i, transport := range []string{"webSockets", "serverSentEvents", "longPolling", "foreverFrame", "longPolling", "webSockets"} {
			all.Go(func() {
				for n := range 25 {
					request(transport, []string{"connect", "reconnect", "poll", "start"}[(i+n)%4], "")
					request("longPolling", "send", "data="+url.QueryEscape(fmt.Sprintf(`{"H":"refhub","M":"Join","A":["g%d"],"I":1}`, n)))
					_ = s.hub.All().Send(ctx, "Msg", n)
				}
			})
		}
		all.Wait()
		c.start()
		for range 4 {
			all.Go(func() { request([]string{"webSockets", "longPolling"}[round%2], "reconnect", "") })
		}
		c.abort()
		all.Wait()
		stop()
		s.heard("disconnected:RefHub " + c.id + " stopCalled=true")
		count := map[string]int{}
		for _, e := range s.eventsOf(c.id) {
			count[e]++
		}
		if count["connected:RefHub"]+min(count["reconnected:RefHub"], 1) < 1 || count["connected:RefHub"] > 1 || count["disconnected:RefHub"] != 1 {
			t.Errorf("events %v", count)
		}
		if !soon(func() bool { return s.hub.All().Count() == 0 }) {
			t.Error("the connection has not gone")
		}
	}
}

// TestPersistentFlood: what a persistent connection posts while its hub is busy is bounded, as calls of hubs are.
func TestPersistentFlood(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := &server{t: t, came: make(chan struct{}, 1)}
	hub := hubbub.NewHub("Raw", nil)
	hub.Handle("OnReceived", hubbub.Action1(func(ctx context.Context, _ string) error {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	}))
	mux := http.NewServeMux()
	classic.MapConnection(mux, "/signalr", &classic.Options{Keys: ringOf(t, "k")}, hub)
	s.hub, s.only = hub, hubbub.NewHub("None", nil)
	s.listen(mux)
	c := s.negotiated("serverSentEvents", func(c *client) { c.hubs = "" })
	const posts = 300
	codes := make(chan int, posts)
	var all sync.WaitGroup
	for range posts {
		all.Go(func() {
			status, _ := c.send("x")
			codes <- status
		})
	}
	refused := 0
	for refused < 50 {
		select {
		case code := <-codes:
			if code == http.StatusServiceUnavailable {
				refused++
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%d of %d posts refused with 503, want at least 50", refused, posts)
			refused = posts
		}
	}
	close(release)
	all.Wait()
}
