package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Streams arrive in both directions over every transport, and the server stops what the client does not want any more.
func TestStreaming(t *testing.T) {
	t.Parallel()
	const want = `tick 1
tick 2
tick 3
enough of ticks: true
mean 3
ANYBODY
THERE?
An unexpected error occurred invoking 'Ticks' on the server. HubException: a tick takes 1 to 60000 ms, not 0
`
	for _, transport := range []signalr.Transport{signalr.WebSockets, signalr.ServerSentEvents, signalr.LongPolling} {
		t.Run(transport.String(), func(t *testing.T) {
			t.Parallel()
			stopped, hub, url := serve(t, transport)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var out bytes.Buffer
			if err := talk(ctx, url, &out); err != nil {
				t.Fatal(err)
			}
			if out.String() != want {
				t.Errorf("the client prints\n%swant\n%s", out.String(), want)
			}
			for range 2 {
				select {
				case <-stopped:
				case <-ctx.Done():
					t.Fatal("the server still ticks, want both calls to have ended")
				}
			}
			if err := hub.Shutdown(ctx, 0); err != nil {
				t.Fatal(err)
			}
			if n := hub.Stats().Streams; n != 0 {
				t.Errorf("%d streams are running, want 0", n)
			}
		})
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	err := talk(t.Context(), server.URL, io.Discard)
	if status, ok := errors.AsType[*signalr.HTTPError](err); !ok || status.Status != http.StatusNotFound {
		t.Errorf("talk: %v, want an HTTPError with status 404", err)
	}
}

// serve serves the hub over one transport; stopped hears of every stream of ticks that ends.
func serve(t *testing.T, transport signalr.Transport) (stopped chan string, hub *hubbub.Hub, url string) {
	t.Helper()
	stopped = make(chan string, 2)
	hub = newHub(func(format string, _ ...any) { stopped <- format })
	mux := http.NewServeMux()
	signalr.MapHub(mux, "/streams", hub, &signalr.Options{Transports: transport})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return stopped, hub, server.URL + "/streams"
}
