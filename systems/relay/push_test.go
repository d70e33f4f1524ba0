package relay_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/relay"
)

// listenToPush connects a client of each dialect to the push hub and returns what counts their hints.
func listenToPush(t *testing.T, s *server, token string) (core, old *atomic.Int64) {
	t.Helper()
	core, old = new(atomic.Int64), new(atomic.Int64)
	web := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(web.CloseIdleConnections)
	c := signalr.NewClient(s.url+"/clientpushhub", &signalr.ClientOptions{HTTPClient: web, Token: tokens(token)})
	c.On("pullNowWeGotNews", hubbub.Action0(func(context.Context) error { core.Add(1); return nil }))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	o := classic.NewClient(s.url+"/realtime", &classic.ClientOptions{HTTPClient: web, Token: tokens(token)})
	o.Hub("ClientPushHub").On("pullNowWeGotNews", hubbub.Action0(func(context.Context) error { old.Add(1); return nil }))
	if err := o.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	push := s.Hubs()[1]
	eventually(t, "both connections", func() bool { return push.All().Count() == 2 })
	return core, old
}

// Both generations of clients hear that there is news; many hints in a short while become two.
func TestPush(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *relay.Config) { c.PushPause = time.Second })
	core, old := listenToPush(t, s, "")
	for range 100 {
		if err := s.Push(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the hints", func() bool { return core.Load() == 2 && old.Load() == 2 })
	if n := s.Stats().Pushes; n != 2 {
		t.Fatalf("counted %d hints, want 2", n)
	}
}

func TestPushUser(t *testing.T) {
	t.Parallel()
	s := newServer(t, withAuth, func(c *relay.Config) { c.PushPause = time.Millisecond })
	core, old := listenToPush(t, s, "ann")
	if err := s.PushUser(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	if err := s.PushUser(t.Context(), ""); err == nil {
		t.Fatal("a hint for nobody was taken")
	}
	if status, m := s.call("POST", "/realtime/push", "x,events:trigger", `{"user":"ann"}`); status != 202 {
		t.Fatalf("status %d %v", status, m)
	}
	eventually(t, "the hints", func() bool { return core.Load() == 1 && old.Load() == 1 })
	if status, _ := s.call("POST", "/realtime/push", "x,events:trigger", ""); status != 202 {
		t.Fatalf("status %d", status)
	}
	eventually(t, "the hints", func() bool { return core.Load() == 2 && old.Load() == 2 })
}

// Hints reach the clients of every node.
func TestPushNodes(t *testing.T) {
	t.Parallel()
	plane := hubbub.NewLocal()
	t.Cleanup(func() { plane.Close() })
	node := func() *server { return newServer(t, func(c *relay.Config) { c.Hub.Backplane = plane }) }
	one, two := node(), node()
	core, old := listenToPush(t, one, "")
	if err := two.Push(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the hints", func() bool { return core.Load() == 1 && old.Load() == 1 })
}
