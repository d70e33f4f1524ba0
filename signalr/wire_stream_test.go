package signalr_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
)

// TestStreamWaits: a stream waits for a client that does not read, and is not cut.
func TestStreamWaits(t *testing.T) {
	t.Parallel()
	var made atomic.Int64
	s := start(t, setup{methods: func(h *hubbub.Hub) {
		h.Handle("Long", hubbub.Func0(func(context.Context) (hubbub.Seq[string], error) {
			return func(yield func(string, error) bool) {
				for i := range 3000 {
					made.Store(int64(i))
					if !yield(fmt.Sprintf("%04d", i)+strings.Repeat("x", 1020), nil) {
						return
					}
				}
			}, nil
		}))
	}})
	p := newPoller(t, s)
	p.post(`{"type":4,"invocationId":"1","target":"Long","arguments":[]}`)
	await(t, "a full queue", func() bool { return made.Load() > 400 })
	if n := made.Load(); n > 1000 {
		t.Errorf("%d items of 1 KiB made without a reader, want about 500: streams may fill half of the queue", n)
	}
	next := 0
	for next <= 3000 {
		a := p.poll()
		if a.Status != 200 {
			t.Fatalf("poll: status %d after %d items", a.Status, next)
		}
		for r := range strings.SplitSeq(strings.TrimSuffix(a.Body, "\x1e"), "\x1e") {
			want := fmt.Sprintf(`{"type":2,"invocationId":"1","item":"%04dx`, next)
			if next == 3000 {
				want = `{"type":3,"invocationId":"1"}`
			}
			if !strings.HasPrefix(r, want) {
				t.Fatalf("item %d: %.60s", next, r)
			}
			next++
		}
	}
}

// TestStreamHoldsItsClient: a full upload holds its client back, and nobody else.
func TestStreamHoldsItsClient(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, way rawclient.Way) {
		goOn := make(chan struct{})
		s := start(t, setup{methods: func(h *hubbub.Hub) {
			h.Handle("Slow", hubbub.Func1(func(_ context.Context, items hubbub.Seq[int]) (int, error) {
				<-goOn
				n := 0
				for range items {
					n++
				}
				return n, nil
			}))
		}})
		c, other := s.connect(t, rawclient.Options{Way: way}), s.connect(t, rawclient.Options{Way: way})
		sent := make(chan error, 1)
		go func() {
			records := []string{`{"type":1,"invocationId":"1","target":"Slow","arguments":[],"streamIds":["u"]}`}
			for range 500 {
				records = append(records, `{"type":2,"invocationId":"u","item":1}`)
			}
			sent <- c.TrySend(append(records, `{"type":3,"invocationId":"u"}`)...)
		}()
		await(t, "a full stream", func() bool { return s.hub.Stats().Received >= 11 })
		other.ExpectNothing(fence, fenced)
		if n := s.hub.Stats().Received; n > 20 {
			t.Errorf("%d messages received while nobody takes items, want about 12", n)
		}
		close(goOn)
		if err := receive(t, "the upload", sent); err != nil {
			t.Errorf("upload: %v", err)
		}
		c.Expect(`{"type":3,"invocationId":"1","result":500}`)
	})
}

// TestStreamEndsWithConnection: the producer of a stream learns that its client is gone.
func TestStreamEndsWithConnection(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		stopped := make(chan struct{}, 1)
		s := start(t, setup{methods: func(h *hubbub.Hub) {
			h.Handle("Stay", hubbub.Func0(func(ctx context.Context) (hubbub.Seq[int], error) {
				return func(yield func(int, error) bool) {
					yield(1, nil)
					<-ctx.Done()
					stopped <- struct{}{}
				}, nil
			}))
		}})
		c := s.connect(t, rawclient.Options{Way: way})
		c.Send(`{"type":4,"invocationId":"1","target":"Stay","arguments":[]}`)
		c.Expect(`{"type":2,"invocationId":"1","item":1}`)
		c.Close()
		receive(t, "the end of the producer", stopped)
		await(t, "no streams", func() bool { return s.hub.Stats().Streams == 0 })
	})
}

// TestStreamLimit: one connection has so many calls with streams running and no more.
func TestStreamLimit(t *testing.T) {
	t.Parallel()
	s := start(t, setup{hub: &hubbub.Options{MaximumStreamsPerClient: 3}, methods: dialogueMethods})
	c := s.connect(t, rawclient.Options{})
	for i := range 3 {
		c.Send(fmt.Sprintf(`{"type":4,"invocationId":"%d","target":"Forever","arguments":[]}`, i))
		c.Expect(fmt.Sprintf(`{"type":2,"invocationId":"%d","item":"first"}`, i))
	}
	c.Send(`{"type":4,"invocationId":"more","target":"Forever","arguments":[]}`)
	if r := c.Next(); !strings.HasPrefix(r, `{"type":3,"invocationId":"more","error":"An unexpected error occurred invoking 'Forever' on the server. HubException: `) {
		t.Errorf("record %s, want a refusal", r)
	}
	c.Send(`{"type":5,"invocationId":"1"}`)
	c.Expect(`{"type":3,"invocationId":"1"}`)
	c.Send(`{"type":4,"invocationId":"more","target":"Forever","arguments":[]}`)
	c.Expect(`{"type":2,"invocationId":"more","item":"first"}`)
}
