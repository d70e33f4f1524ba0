package bench_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/cmd/hubbub/bench"
	"github.com/hubbub-go/hubbub/systems/relay"
	"github.com/hubbub-go/hubbub/systems/store"
)

// newRelay is an event hub for everybody, with its triggers.
func newRelay(t testing.TB) string {
	s, err := relay.Open(t.Context(), relay.Config{Database: store.Config{Dir: t.TempDir()}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	s.Mount(mux)
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for _, h := range s.Hubs() {
			_ = h.Shutdown(ctx, 0)
		}
		srv.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv.URL + relay.CorePath
}

func TestEvents(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want func(f bench.Figures) bool
	}{
		{"several of each", []string{"--groups", "40", "-c", "10", "--rate", "200"}, func(f bench.Figures) bool { return f.Sent == 60 && f.P50 > 0 }},
		{"one for all", []string{"--groups", "1", "-c", "10", "--rate", "200"}, func(f bench.Figures) bool { return f.Sent == 60 && f.P50 > 0 }},
		{"one for some", []string{"--groups", "3", "-c", "10", "--rate", "200"}, func(f bench.Figures) bool { return f.Sent > 30 }},
		{"one after the other", []string{"--groups", "20", "-c", "10", "--rate", "0", "--pipeline", "2"}, func(f bench.Figures) bool { return f.Sent > 2 && f.Rate > 0 }},
		{"messagepack", []string{"--groups", "20", "-c", "10", "--rate", "100", "--protocol", "messagepack"}, func(f bench.Figures) bool { return f.Sent == 30 }},
		{"event streams", []string{"--groups", "5", "-c", "5", "--rate", "100", "--transport", "sse"}, func(f bench.Figures) bool { return f.Sent == 30 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := measured(t, append([]string{"events", newRelay(t), "-d", "300ms"}, tt.args...)...)
			faultless(t, r)
			if f := r.Targets[0].Median; !tt.want(f) {
				t.Errorf("figures %+v are not those of the load", f)
			}
		})
	}
}

// What cannot be is said, and an answer that is not the one is an error of the load.
func TestEventsFaults(t *testing.T) {
	t.Parallel()
	url := newRelay(t)
	for _, args := range [][]string{{"--groups", "15", "-c", "10"}, {"-c", "10", "--workers", "2"}, {"-c", "10", "--subscribe-method", "Nothing"}} {
		if _, _, err := command(t, append([]string{"events", url, "-d", "100ms"}, args...)...); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
	r := measured(t, "events", url, "-d", "200ms", "-c", "2", "--groups", "2", "--rate", "50", "--trigger-path", "/nothing", "--drain", "100ms")
	if f := r.Targets[0].Median; f.Errors == 0 || f.Unfinished == 0 || f.Received != 0 {
		t.Errorf("figures %+v, want errors and nothing received", f)
	}
}
