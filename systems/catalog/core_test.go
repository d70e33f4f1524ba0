package catalog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/catalog"
)

// core is a client of ASP.NET Core SignalR.
type core struct {
	*signalr.Client
	t       testing.TB
	updates chan string
}

// connectCore connects to a path; events come as JSON whatever the protocol.
func (s *server) connectCore(path, protocol string, transport signalr.Transport) *core {
	s.t.Helper()
	c := &core{t: s.t, updates: make(chan string, 1<<16)}
	c.Client = signalr.NewClient(s.url+path, &signalr.ClientOptions{Protocol: protocol, Transports: transport,
		Token: func(context.Context) (string, error) { return "ann", nil }})
	if protocol == "messagepack" {
		c.On("Update", hubbub.Action1(func(_ context.Context, event any) error {
			b, err := json.Marshal(event)
			c.updates <- string(b)
			return err
		}))
	} else {
		c.On("Update", hubbub.Action1(func(_ context.Context, event json.RawMessage) error { c.updates <- string(event); return nil }))
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

func (c *core) done(method, key string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := c.Invoke(ctx, nil, method, key); err != nil {
		c.t.Fatalf("%s %s: %v", method, key, err)
	}
}

func (c *core) wants(event string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	select {
	case got := <-c.updates:
		if got != event {
			c.t.Errorf("update %s, want %s", got, event)
		}
	case <-ctx.Done():
		c.t.Fatalf("no update after %v", patience)
	}
}

// TestCoreClients: the same events for clients of ASP.NET Core SignalR, parts and pipelines over one connection, or one hub alone.
func TestCoreClients(t *testing.T) {
	t.Parallel()
	for _, transport := range []signalr.Transport{signalr.WebSockets, signalr.ServerSentEvents, signalr.LongPolling} {
		for _, protocol := range []string{"json", "messagepack"} {
			if protocol == "messagepack" && transport == signalr.ServerSentEvents {
				continue // a text transport
			}
			t.Run(fmt.Sprint(transport, protocol), func(t *testing.T) {
				t.Parallel()
				s := newServer(t)
				all := s.connectCore("/centro/events", protocol, transport)
				resource := s.connectCore("/Centro/Events/resourceEventHub", protocol, transport)
				job := s.connectCore("/centro/events/JobEventHub", protocol, transport)
				all.done("SubscribeToPart", "1")
				all.done("SubscribeToPipeline", "1")
				resource.done("SubscribeToPart", "1")
				job.done("SubscribeToPipeline", "1")
				for n := range 3 {
					s.part("1", n)
					s.pipeline("1", n)
					part, pipeline := fmt.Sprintf(`{"Version":%d}`, n), fmt.Sprintf(`{"Progress":%d}`, n)
					all.wants(part)
					all.wants(pipeline)
					resource.wants(part)
					job.wants(pipeline)
				}
				all.done("UnsubscribeFromPart", "1")
				s.part("1", 4)
				s.pipeline("1", 5)
				all.wants(`{"Progress":5}`)
				for _, method := range []string{"SubscribeToPipeline", "Update"} {
					if err := resource.Invoke(t.Context(), nil, method, "1"); err == nil {
						t.Errorf("%s on the other hub: no error", method)
					}
				}
			})
		}
	}
}

// TestBothGenerations: a group is one group for both generations of clients, and an event is encoded once for each, however many
// there are.
func TestBothGenerations(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var old []*client
	for _, transport := range transports {
		for range 3 {
			c := s.connect(transport)
			c.watchPart("1")
			old = append(old, c)
		}
	}
	var others []*core
	for _, transport := range []signalr.Transport{signalr.WebSockets, signalr.ServerSentEvents, signalr.LongPolling} {
		for range 3 {
			c := s.connectCore("/centro/events/ResourceEventHub", "json", transport)
			c.done("SubscribeToPart", "1")
			others = append(others, c)
		}
	}
	hub := s.Hubs()[0]
	before := hub.Stats()
	const events = 10
	for n := range events {
		s.part("1", n)
	}
	for _, c := range old {
		for n := range events {
			c.wants(n)
		}
	}
	for _, c := range others {
		for n := range events {
			c.wants(fmt.Sprintf(`{"Version":%d}`, n))
		}
	}
	after := hub.Stats()
	if got := after.Encoded - before.Encoded; got != 2*events {
		t.Errorf("%d encodings, want %d", got, 2*events)
	}
	if got, want := after.Sent-before.Sent, int64(events*(len(old)+len(others))); got != want {
		t.Errorf("%d messages sent, want %d", got, want)
	}
}

// TestCoreRights: rules and rights are those of classic clients.
func TestCoreRights(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *catalog.Config) {
		c.JobRule = may("jobs")
		c.PartRight = func(_ context.Context, _ *hubbub.User, key string) (bool, error) { return key == "open", nil }
	})
	all := s.connectCore("/centro/events", "json", signalr.WebSockets)
	all.done("SubscribeToPart", "open")
	for method, key := range map[string]string{"SubscribeToPart": "secret", "SubscribeToPipeline": "1"} {
		if err := all.Invoke(t.Context(), nil, method, key); err == nil {
			t.Errorf("%s %s: no error", method, key)
		}
	}
	for path, status := range map[string]int{"/centro/events": 200, "/centro/events/ResourceEventHub": 200, "/centro/events/JobEventHub": 403} {
		if got, _, _ := s.post("POST", path+"/negotiate?negotiateVersion=1", "Bearer ann", ""); got != status {
			t.Errorf("negotiate at %s: status %d, want %d", path, got, status)
		}
		if got, _, _ := s.post("POST", path+"/negotiate?negotiateVersion=1", "", ""); got != 401 {
			t.Errorf("negotiate at %s without a token: status %d, want 401", path, got)
		}
	}
}
