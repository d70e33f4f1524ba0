package signalr_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

func startAgainst(t *testing.T, h http.HandlerFunc) error {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c := signalr.NewClient(srv.URL+"/hub?x=1", nil)
	defer c.Close()
	return c.Start(ctx)
}

// signalr-core client, start and fall back: the rows of negotiate answers that fail the start.
func TestClientSpecNegotiateRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		want   func(error) bool
	}{
		"status 404": {404, "", func(err error) bool { var e *signalr.HTTPError; return errors.As(err, &e) && e.Status == 404 }},
		"error":      {200, `{"error":"no"}`, func(err error) bool { var e *hubbub.Error; return errors.As(err, &e) && e.Message == "no" }},
		"not JSON":   {200, `<html>`, func(err error) bool { return errors.Is(err, signalr.ErrInvalidAnswer) }},
		"no id":      {200, `{"negotiateVersion":1,"connectionToken":"t","availableTransports":[]}`, func(err error) bool { return errors.Is(err, signalr.ErrInvalidAnswer) }},
		"no token":   {200, `{"negotiateVersion":1,"connectionId":"i","availableTransports":[]}`, func(err error) bool { return errors.Is(err, signalr.ErrInvalidAnswer) }},
		"no list":    {200, `{"negotiateVersion":1,"connectionId":"i","connectionToken":"t"}`, func(err error) bool { return errors.Is(err, signalr.ErrInvalidAnswer) }},
		"classic":    {200, `{"ProtocolVersion":"1.5"}`, func(err error) bool { return errors.Is(err, signalr.ErrClassicServer) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := startAgainst(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			if err == nil || !test.want(err) {
				t.Errorf("start: %v", err)
			}
		})
	}
}

// signalr-core client, redirect: query kept, the server's token used from then on, at most 100 rounds.
func TestClientSpecRedirect(t *testing.T) {
	t.Parallel()
	var seen []string
	err := startAgainst(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization"))
		fmt.Fprintf(w, `{"url":"http://%s/r/hub?k=v","accessToken":"REDIR"}`, r.Host)
	})
	if err == nil || len(seen) != 100 {
		t.Fatalf("start: %v after %d rounds, want an error after 100", err, len(seen))
	}
	want := []string{"POST /hub/negotiate?x=1&negotiateVersion=1 ", "POST /r/hub/negotiate?k=v&negotiateVersion=1 Bearer REDIR"}
	if !slices.Equal(seen[:2], want) {
		t.Errorf("requests %q, want %q", seen[:2], want)
	}
}
