package signalr_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hubbub-go/hubbub"
)

func offer(names ...string) string {
	var list []string
	for _, n := range names {
		list = append(list, fmt.Sprintf(`{"transport":%q,"transferFormats":["Text"]}`, n))
	}
	return `{"negotiateVersion":1,"connectionId":"i","connectionToken":"t","availableTransports":[` + strings.Join(list, ",") + `]}`
}

// signalr-core client, start and fall back: the server's order, a new negotiate for each transport, all errors told.
func TestClientSpecFallback(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	err := startAgainst(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.Method)
		mu.Unlock()
		if r.Method == http.MethodPost {
			_, _ = io.WriteString(w, offer("LongPolling", "ServerSentEvents", "WebSockets"))
			return
		}
		w.WriteHeader(500)
	})
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"POST", "GET", "POST", "GET", "POST", "GET"}; err == nil || !slices.Equal(seen, want) {
		t.Fatalf("start: %v, requests %q, want %q", err, seen, want)
	}
	for _, name := range []string{"LongPolling", "ServerSentEvents", "WebSockets"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("error %q lacks %s", err, name)
		}
	}
}

// signalr-core client, start and fall back: an error in the handshake fails the start without another transport.
func TestClientSpecHandshakeError(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{`{"error":"no"}`, `{"type":6}`, `{"error":null}`, `x`} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			err := startAgainst(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/negotiate"):
					_, _ = io.WriteString(w, offer("ServerSentEvents", "LongPolling"))
				case r.Method == http.MethodGet && r.Header.Get("Accept") == "text/event-stream":
					fmt.Fprintf(w, "data: %s\x1e\r\n\r\n", answer)
					_ = http.NewResponseController(w).Flush()
					<-r.Context().Done()
				case r.Method == http.MethodGet:
					t.Error("another transport was tried")
				}
			})
			var e *hubbub.Error
			if err == nil || !strings.Contains(err.Error(), "handshake") || errors.As(err, &e) != (answer == `{"error":"no"}`) {
				t.Errorf("start: %v", err)
			}
		})
	}
}
