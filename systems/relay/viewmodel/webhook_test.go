package viewmodel_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
)

func TestWebhook(t *testing.T) {
	t.Parallel()
	type post struct {
		body   map[string]any
		header http.Header
	}
	posts := make(chan post, 1)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := io.ReadAll(r.Body)
		got := post{header: r.Header}
		if err != nil || json.Unmarshal(p, &got.body) != nil || r.Method != http.MethodPost {
			t.Errorf("%s %s: %q, %v", r.Method, r.URL, p, err)
		}
		posts <- got
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/good", http.StatusTemporaryRedirect)
		case "/bad":
			w.WriteHeader(http.StatusInternalServerError)
		case "/cut":
			panic(http.ErrAbortHandler)
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(h.Close)
	s := compile(t, viewmodel.Options{ViewModels: []viewmodel.Config{vm([]string{"url = self.url", "Name = self.name", "n = self.n * 2"}, "WEBHOOK")}})
	for _, tt := range []struct{ url, want string }{
		{h.URL + "/good", ""},
		{h.URL + "/none", ""},
		{h.URL + "/bad", "action WEBHOOK: the answer has status 500, want 2xx"},
		{h.URL + "/moved", "action WEBHOOK: the answer has status 307, want 2xx"},
		{h.URL + "/cut", "action WEBHOOK: call: EOF"},
		{"", `action WEBHOOK: column url: "", want http://… or https://…`},
		{"http://", `action WEBHOOK: column url: "http://", want http://… or https://…`},
		{"file:///etc/passwd", `column url: "file:///etc/passwd", want http://…`},
		{"http://h/\x00", `column url: `},
		{"http://127.0.0.1:1/secret?key=k", "action WEBHOOK: call: dial tcp 127.0.0.1:1: connect: connection refused"},
	} {
		err := s.Run(t.Context(), &viewmodel.Run{ViewModel: "VM", Ticket: "77", Attempt: 2,
			Object: viewmodel.Object{ID: "12|7", Attributes: map[string]any{"url": tt.url, "name": "<Bolt>", "n": int64(1) << 60}}})
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%q: %v, want %q", tt.url, err, tt.want)
			}
			if strings.HasPrefix(tt.url, h.URL) {
				<-posts
			}
			continue
		}
		call := <-posts
		got, header := call.body, call.header
		if err != nil || len(got) != 4 || got["externalid"] != "12|7" || got["Name"] != "<Bolt>" || got["url"] != tt.url || got["n"] == nil {
			t.Errorf("%q: posted %v, %v", tt.url, got, err)
		}
		if header.Get("Content-Type") != "application/json" || header.Get(viewmodel.HeaderTicket) != "77" || header.Get(viewmodel.HeaderAttempt) != "2" {
			t.Errorf("%q: header %v", tt.url, header)
		}
	}
}

// silent never answers.
type silent struct{}

// RoundTrip implements http.RoundTripper.
func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestWebhookTimeout waits 30 s for an answer, no less and no more.
func TestWebhookTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := compile(t, viewmodel.Options{Transport: silent{}, ViewModels: []viewmodel.Config{vm([]string{"url = 'http://h/'"}, "webhook")}})
		begun := time.Now()
		err := s.Run(t.Context(), &viewmodel.Run{ViewModel: "VM"})
		if err == nil || err.Error() != "action webhook: no answer within 30s" || time.Since(begun) != 30*time.Second {
			t.Fatalf("%v after %v, want no answer after 30 s", err, time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Run(ctx, &viewmodel.Run{ViewModel: "VM"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%v, want the deadline of the context", err)
		}
	})
}
