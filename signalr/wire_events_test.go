package signalr_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/internal/rawclient"
)

// stream opens an event stream for a token and leaves its reading to the test.
func stream(t *testing.T, ctx context.Context, url string) (*http.Response, *bufio.Reader) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", sseAccept)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res, bufio.NewReader(res.Body)
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	s, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("read a line: %v after %q", err, s)
	}
	return s
}

// TestEventsHead: headers and the first bytes come at once, before anything was said.
func TestEventsHead(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	url := s.url + "?id=" + rawclient.Negotiate(t, s.url, "negotiateVersion=1", nil).ConnectionToken
	ctx, stop := context.WithTimeout(t.Context(), rawclient.Patience)
	defer stop()
	res, r := stream(t, ctx, url)
	if res.StatusCode != 200 || res.ContentLength != -1 {
		t.Errorf("status %d, length %d, want 200 without a length", res.StatusCode, res.ContentLength)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream", "Cache-Control": "no-cache,no-store", "Pragma": "no-cache",
		"Content-Encoding": "identity", "X-Accel-Buffering": "no",
	} {
		if got := strings.Join(res.Header.Values(name), "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := line(t, r); got != ":\r\n" {
		t.Fatalf("first line %q, want a comment", got)
	}
	if a := rawclient.Do(t, "POST", url, nil, `{"protocol":"json","version":1}`+"\x1e"); a.Status != 200 {
		t.Fatalf("POST: status %d", a.Status)
	}
	for _, want := range []string{"data: {}\x1e\r\n", "\r\n"} {
		if got := line(t, r); got != want {
			t.Fatalf("line %q, want %q", got, want)
		}
	}
	rawclient.Do(t, "POST", url, nil, fence+"\x1e")
	for _, want := range []string{"data: " + fenced + "\x1e\r\n", "\r\n"} {
		if got := line(t, r); got != want {
			t.Fatalf("line %q, want %q", got, want)
		}
	}
}

// TestEventsEnd: there is no second stream, and an abandoned one ends its connection at once.
func TestEventsEnd(t *testing.T) {
	t.Parallel()
	gone := make(ends, 1)
	s := start(t, setup{methods: gone.register})
	c := s.connect(t, rawclient.Options{Way: rawclient.Ways[2]})
	row{method: "GET", path: "?id=" + c.ConnectionToken, header: accept(sseAccept), status: 409, kind: "text/plain"}.check(t, s.url)
	c.ExpectNothing(fence, fenced)
	c.Drop()
	if err := receive(t, "OnDisconnected", gone); err != nil {
		t.Errorf("OnDisconnected got %v, want nil", err)
	}
	await(t, "404", func() bool {
		return rawclient.Do(t, "GET", s.url+"?id="+c.ConnectionToken, accept(sseAccept), "").Status == 404
	})
}

// TestEventsLarge: a message far beyond any buffer is one event.
func TestEventsLarge(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	c := s.connect(t, rawclient.Options{Way: rawclient.Ways[2]})
	text := strings.Repeat("é", 250_000)
	if err := s.hub.All().Send(t.Context(), "M", text); err != nil {
		t.Fatal(err)
	}
	c.Expect(`{"type":1,"target":"M","arguments":["` + text + `"]}`)
}
