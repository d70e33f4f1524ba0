package catalog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/systems/catalog"
)

// TestSample is the C# sample of the Centro document, written against the Go client of classic SignalR: over each transport, and
// over a cut, of which the program sees nothing.
func TestSample(t *testing.T) {
	t.Parallel()
	for _, transport := range []classic.Transport{classic.WebSockets, classic.ServerSentEvents, classic.LongPolling} {
		t.Run(transport.String(), func(t *testing.T) {
			t.Parallel()
			s := newServer(t, func(c *catalog.Config) { c.TokenTypes[0].Scheme = "Centro" })
			w := newWire(t, s.url)
			updates := make(chan string, 100)
			c := classic.NewClient(w.url()+"/Centro", &classic.ClientOptions{
				Header: http.Header{"Authorization": {"Centro ann"}}, Transports: transport,
				ClientOptions: hubbub.ClientOptions{
					Reconnect: func(hubbub.Retry) (time.Duration, bool) { return 5 * time.Millisecond, true }},
			})
			resource, job := c.Hub("ResourceEventHub"), c.Hub("JobEventHub")
			on := func(name string) hubbub.Method {
				return hubbub.Action1(func(_ context.Context, update json.RawMessage) error {
					updates <- name + string(update)
					return nil
				})
			}
			resource.On("Update", on("resource"))
			job.On("Update", on("job"))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := c.Start(ctx); err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			call := func(p *classic.HubProxy, method, key string) {
				t.Helper()
				if err := p.Invoke(ctx, nil, method, key); err != nil {
					t.Fatal(err)
				}
			}
			wants := func(list ...string) {
				t.Helper()
				for _, want := range list {
					select {
					case got := <-updates:
						if got != want {
							t.Errorf("update %s, want %s", got, want)
						}
					case <-ctx.Done():
						t.Fatalf("no update %s after %v", want, patience)
					}
				}
			}
			call(resource, "SubscribeToPart", "1882708")
			call(job, "SubscribeToPipeline", "7")
			s.part("1882708", 1)
			s.pipeline("7", 2)
			wants(`resource{"Version":1}`, `job{"Progress":2}`)

			id := c.ID()
			w.cut()
			for n := 3; n < 6; n++ {
				s.part("1882708", n)
			}
			w.lead(s.url)
			wants(`resource{"Version":3}`, `resource{"Version":4}`, `resource{"Version":5}`)

			call(resource, "UnsubscribeFromPart", "1882708")
			s.part("1882708", 6)
			s.pipeline("7", 7)
			wants(`job{"Progress":7}`)
			if got := c.ID(); got != id {
				t.Errorf("connection %s after the cut, want %s", got, id)
			}
		})
	}
}

// TestMissedWhileAway: with events that come all the time a client that is cut again and again misses none.
func TestMissedWhileAway(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	w := newWire(t, s.url)
	const events, every = 500, 100
	got := make(chan int, events)
	c := classic.NewClient(w.url()+"/Centro", &classic.ClientOptions{
		Header: http.Header{"Authorization": {"Bearer ann"}},
		ClientOptions: hubbub.ClientOptions{
			Reconnect: func(hubbub.Retry) (time.Duration, bool) { return 5 * time.Millisecond, true }},
	})
	c.Hub("ResourceEventHub").On("Update", hubbub.Action1(func(_ context.Context, u catalog.ResourceUpdate) error {
		got <- *u.Version
		return nil
	}))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Hub("ResourceEventHub").Invoke(ctx, nil, "SubscribeToPart", "1"); err != nil {
		t.Fatal(err)
	}
	for n := range events {
		if err := s.PublishResource(ctx, catalog.ResourceUpdate{PartKey: "1", ResourceKey: fmt.Sprint(n), Version: &n}); err != nil {
			t.Fatal(err)
		}
		if n%every == every/2 {
			w.cut()
			w.lead(s.url)
		}
		if n%every == every-1 { // let it come back, so that each cut is one
			for want := n + 1 - every; want <= n; want++ {
				select {
				case v := <-got:
					if v != want {
						t.Fatalf("event %d, want %d", v, want)
					}
				case <-ctx.Done():
					t.Fatalf("no event %d", want)
				}
			}
		}
	}
}
