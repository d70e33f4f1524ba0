package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// people are the tokens of the tests: the text of each is the id of its user and what it may, with blanks between.
func people(_ context.Context, token string) (*hubbub.User, error) {
	switch token {
	case "bad":
		return nil, errors.New("bad token")
	case "unknown":
		return nil, fmt.Errorf("%w: no keys", auth.ErrUnavailable)
	}
	name, scope, _ := strings.Cut(token, ":")
	return &hubbub.User{ID: name, Name: name, Claims: map[string]any{"scope": strings.ReplaceAll(scope, "+", " ")}}, nil
}

// ringOf returns a ring with one key, the same for the same secret.
func ringOf(t testing.TB, secret string) *hubbub.KeyRing {
	t.Helper()
	ring, err := hubbub.NewKeyRing(hubbub.Key{ID: uint32(len(secret)), Secret: []byte(strings.Repeat(secret, 40))})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// testLog writes to the log of a test, as long as it runs.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Logf("%s", bytes.TrimSpace(p))
	}
	return len(p), nil
}

// server is a catalog behind an HTTP server.
type server struct {
	*catalog.System
	t    testing.TB
	url  string
	stop func() // as a process does that shuts down
}

func newServer(t testing.TB, change ...func(*catalog.Config)) *server {
	t.Helper()
	c := catalog.Config{TokenTypes: []catalog.TokenType{{Scheme: "Bearer", Verify: people}}}
	c.Logger = slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelError}))
	c.Classic.Keys = ringOf(t, "k")
	for _, f := range change {
		f(&c)
	}
	sys, err := catalog.New(c)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	sys.Mount(mux)
	h := httptest.NewServer(sys.FoldCase(mux))
	s := &server{System: sys, t: t, url: h.URL}
	s.stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for _, hub := range sys.Hubs() {
			if err := hub.Shutdown(ctx, 0); err != nil {
				t.Error(err)
			}
		}
		h.Close()
	})
	t.Cleanup(s.stop)
	return s
}

// part and pipeline publish an event that is a number in an object.
func (s *server) part(key string, n int) {
	s.t.Helper()
	if err := s.PublishPart(context.Background(), key, fmt.Appendf(nil, `{"Version":%d}`, n)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) pipeline(id string, n int) {
	s.t.Helper()
	if err := s.PublishPipeline(context.Background(), id, fmt.Appendf(nil, `{"Progress":%d}`, n)); err != nil {
		s.t.Fatal(err)
	}
}

// eventually waits until f is true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !f() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// post publishes over REST and returns status, headers and body.
func (s *server) post(method, path, authorization, body string) (int, http.Header, string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return do(s.t, r)
}

func do(t testing.TB, r *http.Request) (int, http.Header, string) {
	t.Helper()
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := web.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}
