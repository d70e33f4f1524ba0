package console_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/cmd/hubbub/console"
	"github.com/hubbub-go/hubbub/signalr"
)

var update = flag.Bool("update", false, "write the golden files in testdata")

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if binaries != "" {
			os.RemoveAll(binaries)
		}
		os.Exit(code)
	}))
}

// output is a writer that can be watched.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// run is one run of a command.
type run struct {
	stdin       io.Reader
	stop        chan os.Signal
	out, errors output
}

// do runs a command and returns its exit code, as the binary does.
func (r *run) do(args ...string) int {
	if r.stdin == nil {
		r.stdin = strings.NewReader("")
	}
	c := &console.Console{Stdin: r.stdin, Stdout: &r.out, Stderr: &r.errors, Environ: os.Environ(), Stop: r.stop,
		Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }}
	root := &cobra.Command{Use: "hubbub", SilenceUsage: true, SilenceErrors: true}
	root.AddGroup(&cobra.Group{ID: console.GroupID})
	root.AddCommand(c.Commands()...)
	root.SetArgs(args)
	root.SetOut(&r.out)
	root.SetErr(&r.errors)
	err := root.Execute()
	if err == nil {
		return 0
	}
	io.WriteString(&r.errors, "hubbub: "+err.Error()+"\n")
	var failed *console.Failure
	if errors.As(err, &failed) {
		return failed.Code
	}
	return 2
}

// server is a hub to talk to.
type server struct {
	url string // of the hub
	hub *hubbub.Hub
	mux *http.ServeMux
}

// serve starts a server with a hub at /hub. before, if not nil, stands between: it is given the hub's handler.
func serve(t *testing.T, opts *hubbub.Options, endpoint *signalr.Options, before func(http.Handler) http.Handler) *server {
	t.Helper()
	o := hubbub.Options{EnableDetailedErrors: true}
	if opts != nil {
		o = *opts
	}
	o.Logger = slog.New(slog.DiscardHandler)
	s := &server{hub: hubbub.NewHub("console", &o), mux: http.NewServeMux()}
	s.methods()
	signalr.MapHub(s.mux, "/hub", s.hub, endpoint)
	var h http.Handler = s.mux
	if before != nil {
		h = before(h)
	}
	srv := httptest.NewServer(h)
	s.url = srv.URL + "/hub"
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.hub.Shutdown(ctx, 0); err != nil {
			t.Error(err)
		}
		srv.CloseClientConnections()
		srv.Close()
	})
	return s
}

func (s *server) methods() {
	h := s.hub
	h.Handle("Echo", hubbub.Func1(func(_ context.Context, v any) (any, error) { return v, nil }))
	h.Handle("Kind", hubbub.Func1(func(_ context.Context, v any) (string, error) {
		switch v.(type) {
		case string:
			return "text", nil
		case map[string]any:
			return "object", nil
		}
		return "other", nil
	}))
	h.Handle("Fail", hubbub.Action0(func(context.Context) error { return hubbub.Errorf("not today") }))
	h.Handle("Say", hubbub.Action1(func(ctx context.Context, text string) error {
		return hubbub.CallerFrom(ctx).Send(ctx, "Said", text, 1, nil)
	}))
	h.Handle("Count", hubbub.Func1(func(_ context.Context, n int) (hubbub.Seq[int], error) {
		return func(yield func(int, error) bool) {
			for i := 0; i < n && yield(i, nil); i++ {
			}
		}, nil
	}))
	h.Handle("Join", hubbub.Func2(func(_ context.Context, between string, items hubbub.Seq[any]) (string, error) {
		var list []string
		for v, err := range items {
			if err != nil {
				return "", err
			}
			text, ok := v.(string)
			if !ok {
				text = "(no text)"
			}
			list = append(list, text)
		}
		return strings.Join(list, between), nil
	}))
	h.Handle("Ask", hubbub.Func1(func(ctx context.Context, target string) (any, error) {
		return hubbub.Invoke[any](ctx, hubbub.CallerFrom(ctx), target, "please")
	}))
	h.Handle("Wait", hubbub.Action0(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
	h.Handle("Bye", hubbub.Action0(func(ctx context.Context) error { hubbub.CallerFrom(ctx).Abort(); return nil }))
}

// stable is output without what differs from run to run.
func stable(text string, urls ...string) string {
	for i, u := range urls {
		text = strings.ReplaceAll(text, strings.TrimSuffix(u, "/hub"), "http://server"+strings.Repeat("'", i))
	}
	for _, x := range []struct{ pattern, with string }{
		{`("[cC]onnection(?:Id|Token)":")[^"]*`, `${1}…`},
		{`("C":"d-)[0-9a-f]+`, `${1}…`},
		{`(connection(?: id| token)? +)[A-Za-z0-9_-]{20,}`, `${1}…`},
		{`"(milliseconds|least|median|most)":[0-9.]+`, `"$1":0`},
		{` +[0-9.]+ (ms|s)\b`, ` TIME`},
		{`(?m)^ +[0-9]+\.[0-9]{3} `, `  TIME `},
	} {
		text = regexp.MustCompile(x.pattern).ReplaceAllString(text, x.with)
	}
	return text
}

// golden compares text with a file of testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("got\n%s\nwant, as in %s,\n%s", text, path, want)
	}
}

// hijacked gives away how to cut the connection that a WebSocket takes over.
type hijacked struct {
	http.ResponseWriter
	cut chan<- func()
}

// Hijack implements http.Hijacker.
func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err == nil {
		h.cut <- func() { conn.Close() }
	}
	return conn, rw, err
}
