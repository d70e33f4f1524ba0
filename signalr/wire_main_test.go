package signalr_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
	"github.com/hubbub-go/hubbub/signalr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a hub, mapped to /hub, behind HTTP on loopback.
type server struct {
	hub *hubbub.Hub
	mux *http.ServeMux
	srv *httptest.Server
	url string // of the hub
}

type setup struct {
	hub     *hubbub.Options
	signalr *signalr.Options
	methods func(h *hubbub.Hub) // more than those of basics
}

// start starts a server that ends with the test, after all its connections.
func start(t testing.TB, s setup) *server {
	t.Helper()
	opts := hubbub.Options{}
	if s.hub != nil {
		opts = *s.hub
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	h := hubbub.NewHub("wire", &opts)
	basics(h)
	if s.methods != nil {
		s.methods(h)
	}
	sv := &server{hub: h, mux: http.NewServeMux()}
	signalr.MapHub(sv.mux, "/hub", h, s.signalr)
	sv.srv = httptest.NewUnstartedServer(sv.mux)
	sv.srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	sv.srv.Start()
	sv.url = sv.srv.URL + "/hub"
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), rawclient.Patience)
		defer stop()
		if err := h.Shutdown(ctx, 0); err != nil {
			t.Errorf("shutdown at the end of the test: %v", err)
		}
		sv.srv.CloseClientConnections()
		sv.srv.Close()
	})
	return sv
}

// basics are methods that most tests use.
func basics(h *hubbub.Hub) {
	h.Handle("Echo", hubbub.Func1(func(_ context.Context, s string) (string, error) { return s, nil }))
	h.Handle("Void", hubbub.Action0(func(context.Context) error { return nil }))
	h.Handle("ID", hubbub.Func0(func(ctx context.Context) (string, error) { return hubbub.CallerFrom(ctx).ID(), nil }))
	h.Handle("Me", hubbub.Func0(func(ctx context.Context) (string, error) { return nameOf(hubbub.CallerFrom(ctx).User()), nil }))
	h.Handle("Abort", hubbub.Action0(func(ctx context.Context) error {
		hubbub.CallerFrom(ctx).Abort()
		return nil
	}))
	h.Handle("Count", hubbub.Func1(func(_ context.Context, n int) (hubbub.Seq[int], error) {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
		}, nil
	}))
}

// The fence of most tests: a call and its answer, see [rawclient.Conn.ExpectNothing].
const (
	fence  = `{"type":1,"invocationId":"fence","target":"Echo","arguments":["fence"]}`
	fenced = `{"type":3,"invocationId":"fence","result":"fence"}`
)

// connect opens a connection.
func (s *server) connect(t testing.TB, o rawclient.Options) *rawclient.Conn {
	t.Helper()
	return rawclient.Connect(t, s.url, o)
}

// await polls until ok, and fails the test after some patience.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(rawclient.Patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, rawclient.Patience)
		}
		<-tick.C
	}
}

// receive takes a value from a channel, and fails the test after some patience.
func receive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(rawclient.Patience):
		t.Fatalf("%s: not within %v", what, rawclient.Patience)
		panic("not reached")
	}
}

// still wants a channel to stay silent for a time that is long against what could send to it.
func still[T any](t testing.TB, what string, ch <-chan T, d time.Duration) {
	t.Helper()
	select {
	case v := <-ch:
		t.Fatalf("%s: got %v, want nothing", what, v)
	case <-time.After(d):
	}
}

// everyWay runs a test over all transports and protocols.
func everyWay(t *testing.T, f func(t *testing.T, way rawclient.Way)) {
	for _, way := range rawclient.Ways {
		t.Run(way.String(), func(t *testing.T) {
			t.Parallel()
			f(t, way)
		})
	}
}

// everyTransport runs a test over all transports with json.
func everyTransport(t *testing.T, f func(t *testing.T, way rawclient.Way)) {
	for _, way := range rawclient.Transports {
		t.Run(way.Transport, func(t *testing.T) {
			t.Parallel()
			f(t, way)
		})
	}
}

// ends records what OnDisconnected gets.
type ends chan error

func (e ends) register(h *hubbub.Hub) {
	h.OnDisconnected(func(_ context.Context, err error) { e <- err })
}

// class is the class that err would be printed with, and its text.
func class(err error) string {
	if err == nil {
		return "nil"
	}
	var e *hubbub.Error
	if errors.As(err, &e) {
		return strings.TrimPrefix(hubbub.Describe("", err, true), " ")
	}
	return "other: " + err.Error()
}

// toy is a middleware that reads tokens `user.expiry.note`: the expiry in Unix milliseconds, 0 for none; the note is the claim
// "role". The header wins over access_token. A bad token is answered with 401, none is anonymous.
func toy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tok := r.URL.Query().Get("access_token")
		if h, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			tok = h
		}
		if tok == "" {
			next.ServeHTTP(w, r)
			return
		}
		u, ok := parseToy(tok)
		if !ok {
			w.Header()["Content-Type"] = nil
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(hubbub.WithUser(r.Context(), u)))
	})
}

func parseToy(tok string) (*hubbub.User, bool) {
	name, rest, ok := strings.Cut(tok, ".")
	expiry, note, ok2 := strings.Cut(rest, ".")
	ms, err := strconv.ParseInt(expiry, 10, 64)
	if !ok || !ok2 || err != nil {
		return nil, false
	}
	u := &hubbub.User{ID: name, Name: name, Claims: map[string]any{"sub": name, "role": note}}
	if ms != 0 {
		if u.Expires = time.UnixMilli(ms); time.Now().After(u.Expires) {
			return nil, false
		}
	}
	return u, true
}

// token makes a token of [toy].
func token(user string, life time.Duration, note string) string {
	ms := int64(0)
	if life != 0 {
		ms = time.Now().Add(life).UnixMilli()
	}
	return fmt.Sprintf("%s.%d.%s", user, ms, note)
}

// bearer is the header of a token, none for "".
func bearer(tok string) http.Header {
	if tok == "" {
		return nil
	}
	return http.Header{"Authorization": {"Bearer " + tok}}
}

func nameOf(u *hubbub.User) string {
	if u == nil {
		return "(nobody)"
	}
	return u.ID + "/" + u.Claim("role")
}

// heap is what the program holds on to.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
