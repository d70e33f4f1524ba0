package signalr_test

import (
	"context"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
)

const ping = `{"type":6}`

// TestAlivePings: the server pings on its own schedule, whatever else it says.
func TestAlivePings(t *testing.T) {
	t.Parallel()
	s := start(t, setup{hub: &hubbub.Options{KeepAliveInterval: time.Second}})
	for _, way := range rawclient.Ways[:3] {
		t.Run(way.String(), func(t *testing.T) {
			t.Parallel()
			c := s.connect(t, rawclient.Options{Way: way})
			pings, begun := 0, time.Now()
			for pings < 2 {
				c.Send(fence) // traffic does not postpone them
				for r := ""; r != fenced; {
					if r = c.Next(); r == ping {
						pings++
					} else if r != fenced {
						t.Fatalf("record %s", r)
					}
				}
				if time.Since(begun) > rawclient.Patience {
					t.Fatalf("%d pings within %v, want 2", pings, rawclient.Patience)
				}
			}
			if d := time.Since(begun); d < 1500*time.Millisecond {
				t.Errorf("2 pings within %v, want one a second at most", d)
			}
		})
	}
}

// TestAliveSilence: the first ping of a client arms the time-out, and only that. What it says meanwhile counts as life. Long Polling has
// neither pings nor a time-out.
func TestAliveSilence(t *testing.T) {
	t.Parallel()
	s := start(t, setup{hub: &hubbub.Options{ClientTimeoutInterval: 1500 * time.Millisecond, KeepAliveInterval: time.Millisecond}, methods: dialogueMethods})
	poll := s.connect(t, rawclient.Options{Way: rawclient.Ways[3]})
	poll.Send(ping)
	quiet := s.connect(t, rawclient.Options{})
	busy := s.connect(t, rawclient.Options{})
	busy.Send(ping)
	silent := s.connect(t, rawclient.Options{})
	silent.Send(ping)
	calling := s.connect(t, rawclient.Options{}) // a long call does not stop the clock
	calling.Send(`{"type":1,"invocationId":"1","target":"Wait","arguments":[]}`, ping)
	const last = `{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`
	until := func(c *rawclient.Conn, want string) {
		t.Helper()
		for r := ""; r != want; {
			r = c.Next()
		}
	}
	for ended := 0; ended < 2; {
		busy.Send(fence)
		until(busy, fenced)
		for _, c := range []*rawclient.Conn{silent, calling} {
			if r, ok := c.NextWithin(20 * time.Millisecond); ok && r == last {
				ended++
			}
		}
	}
	silent.ExpectEnd(1000)
	calling.ExpectEnd(1000)
	quiet.Send(fence)
	until(quiet, fenced)
	poll.ExpectNothing(fence, fenced)
	if got := s.hub.Stats().Closed["timeout"]; got != 2 {
		t.Errorf("%d connections counted as timed out, want 2", got)
	}
}

// TestAliveHeld: the clock stands while the connection is not read because the server is behind.
func TestAliveHeld(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	s := start(t, setup{hub: &hubbub.Options{ClientTimeoutInterval: 100 * time.Millisecond, StreamBufferCapacity: 1}, methods: func(h *hubbub.Hub) {
		h.Handle("Slow", hubbub.Func1(func(_ context.Context, items hubbub.Seq[int]) (int, error) {
			<-goOn
			n := 0
			for range items {
				n++
			}
			return n, nil
		}))
	}})
	held, silent := s.connect(t, rawclient.Options{}), s.connect(t, rawclient.Options{})
	const item = `{"type":2,"invocationId":"u","item":1}`
	held.Send(ping, `{"type":1,"invocationId":"1","target":"Slow","arguments":[],"streamIds":["u"]}`, item, item, item, `{"type":3,"invocationId":"u"}`)
	silent.Send(ping)
	silent.Expect(`{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`)
	close(goOn)
	held.Expect(`{"type":3,"invocationId":"1","result":3}`)
}
