package signalr_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
)

var update = flag.Bool("update", false, "write what the server says over WebSockets with json into testdata/dialogues")

// TestDialogues plays the conversations of testdata/dialogues/*.txtar over every transport and protocol, or over those that
// a line `on: name` of the introduction names, with detailed errors off and on. The files of a dialogue take turns: `client` is what
// the client sends, a record a line, in one WebSocket message or POST; `server` is what it hears then, `server with details` the same
// with detailed errors where that differs. The line (end) is the proper end of the connection. At the end of a dialogue nothing else
// may have come.
func TestDialogues(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/dialogues/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("dialogues: %d found, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				rewrite(t, file, a)
				return
			}
			for _, details := range []bool{false, true} {
				s := start(t, setup{hub: &hubbub.Options{EnableDetailedErrors: details}, methods: dialogueMethods})
				for _, way := range rawclient.Ways {
					if !named(a, way) {
						continue
					}
					t.Run(fmt.Sprintf("%s/details=%v", way, details), func(t *testing.T) {
						t.Parallel()
						play(t, s, way, a, details)
					})
				}
			}
		})
	}
}

func named(a *txtar.Archive, way rawclient.Way) bool {
	on, all := false, true
	for l := range strings.Lines(string(a.Comment)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(l), "on: "); ok {
			all = false
			on = on || name == way.Transport || name == way.Protocol || name == way.String()
		}
	}
	return on || all
}

const (
	detailed = "server with details"
	endLine  = "(end)"
)

func lines(f txtar.File) []string {
	return strings.FieldsFunc(string(f.Data), func(r rune) bool { return r == '\n' })
}

func play(t *testing.T, s *server, way rawclient.Way, a *txtar.Archive, details bool) {
	c := s.connect(t, rawclient.Options{Way: way})
	for i, f := range a.Files {
		switch f.Name {
		case "client":
			c.Send(lines(f)...)
		case "server", detailed:
			hasOther := i+1 < len(a.Files) && a.Files[i+1].Name == detailed
			if (f.Name == detailed && !details) || (details && hasOther) {
				continue
			}
			for _, l := range lines(f) {
				if l == endLine {
					c.ExpectEnd(1000)
					return
				}
				c.Expect(l)
			}
		default:
			t.Fatalf("file %q of a dialogue, want client or server", f.Name)
		}
	}
	c.ExpectNothing(fence, fenced)
}

// rewrite replaces what the server says by what it says now.
func rewrite(t *testing.T, file string, a *txtar.Archive) {
	b := &txtar.Archive{Comment: a.Comment}
	for _, f := range a.Files {
		if f.Name != detailed {
			b.Files = append(b.Files, f)
		}
	}
	said := [2][]string{}
	for n, details := range []bool{false, true} {
		s := start(t, setup{hub: &hubbub.Options{EnableDetailedErrors: details}, methods: dialogueMethods})
		c := s.connect(t, rawclient.Options{})
		for _, f := range b.Files {
			if f.Name == "client" {
				c.Send(lines(f)...)
				continue
			}
			var out strings.Builder
			for {
				r, ok := c.NextWithin(300 * time.Millisecond)
				if !ok {
					break
				}
				out.WriteString(r + "\n")
			}
			if s.hub.Stats().Connections == 0 {
				out.WriteString(endLine + "\n")
			}
			said[n] = append(said[n], out.String())
		}
	}
	out := &txtar.Archive{Comment: b.Comment}
	n := 0
	for _, f := range b.Files {
		if f.Name == "server" {
			f.Data = []byte(said[0][n])
			if said[1][n] != said[0][n] {
				out.Files = append(out.Files, f)
				f = txtar.File{Name: detailed, Data: []byte(said[1][n])}
			}
			n++
		}
		out.Files = append(out.Files, f)
	}
	if err := os.WriteFile(file, txtar.Format(out), 0o644); err != nil {
		t.Fatal(err)
	}
}

// dialogueMethods are what the dialogues call, beside basics.
func dialogueMethods(h *hubbub.Hub) {
	h.Handle("Add", hubbub.Func2(func(_ context.Context, a, b int32) (int32, error) { return a + b, nil }))
	h.Handle("Fail", hubbub.Action0(func(context.Context) error { return errors.New("secret") }))
	h.Handle("FailHub", hubbub.Action0(func(context.Context) error { return hubbub.Errorf("for you") }))
	h.Handle("FailOwn", hubbub.Action0(func(context.Context) error { return &hubbub.Error{Class: "OwnHubException", Message: "m"} }))
	h.Handle("FailWrapped", hubbub.Action0(func(context.Context) error { return fmt.Errorf("wrapped: %w", hubbub.Errorf("for you")) }))
	h.Handle("FailClass", hubbub.Action0(func(context.Context) error {
		return hubbub.Classify("InvalidOperationException", nil, "secret")
	}))
	h.Handle("Panic", hubbub.Action0(func(context.Context) error { panic("secret") }))
	no := func(context.Context, *hubbub.User, *hubbub.Invocation) bool { return false }
	h.Handle("Admin", hubbub.Action1(func(context.Context, int32) error { return nil }), no)
	h.Handle("AdminStream", hubbub.Func0(func(context.Context) (hubbub.Seq[int], error) { return nil, nil }), no)
	h.Handle("BadRule", hubbub.Action0(func(context.Context) error { return nil }),
		func(context.Context, *hubbub.User, *hubbub.Invocation) bool { panic("secret") })
	dialogueStreams(h)
}

func dialogueStreams(h *hubbub.Hub) {
	after := func(n int, end error) hubbub.Seq[int] {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
			yield(0, end)
		}
	}
	h.Handle("NullStream", hubbub.Func0(func(context.Context) (hubbub.Seq[int], error) { return nil, nil }))
	h.Handle("FailStart", hubbub.Func0(func(context.Context) (hubbub.Seq[int], error) { return nil, errors.New("secret") }))
	h.Handle("FailLater", hubbub.Func1(func(_ context.Context, n int) (hubbub.Seq[int], error) { return after(n, errors.New("secret")), nil }))
	h.Handle("FailLaterHub", hubbub.Func1(func(_ context.Context, n int) (hubbub.Seq[int], error) {
		return after(n, hubbub.Errorf("for you")), nil
	}))
	h.Handle("PanicLater", hubbub.Func0(func(context.Context) (hubbub.Seq[int], error) {
		return func(yield func(int, error) bool) {
			yield(1, nil)
			panic("secret")
		}, nil
	}))
	h.Handle("Forever", hubbub.Func0(func(ctx context.Context) (hubbub.Seq[string], error) {
		return func(yield func(string, error) bool) {
			yield("first", nil)
			<-ctx.Done()
		}, nil
	}))
	h.Handle("Wait", hubbub.Func0(func(ctx context.Context) (int, error) {
		if err := hubbub.CallerFrom(ctx).Send(ctx, "Started"); err != nil {
			return 0, err
		}
		<-ctx.Done()
		return 0, ctx.Err()
	}))
	h.Handle("WaitAndCatch", hubbub.Func0(func(ctx context.Context) (string, error) {
		if err := hubbub.CallerFrom(ctx).Send(ctx, "Started"); err != nil {
			return "", err
		}
		<-ctx.Done()
		return "caught", nil
	}))
	h.Handle("Sum", hubbub.Func1(func(_ context.Context, s hubbub.Seq[int32]) (int32, error) {
		var sum int32
		for v, err := range s {
			if err != nil {
				return 0, err
			}
			sum += v
		}
		return sum, nil
	}))
	h.Handle("Weave", hubbub.Func3(func(_ context.Context, a hubbub.Seq[string], sep string, b hubbub.Seq[string]) (string, error) {
		var all []string
		for _, s := range []hubbub.Seq[string]{a, b} {
			for v, err := range s {
				if err != nil {
					return "", err
				}
				all = append(all, v)
			}
		}
		return strings.Join(all, sep), nil
	}))
	h.Handle("Double", hubbub.Func1(func(_ context.Context, s hubbub.Seq[int32]) (hubbub.Seq[int32], error) {
		return func(yield func(int32, error) bool) {
			for v, err := range s {
				if !yield(2*v, err) || err != nil {
					return
				}
			}
		}, nil
	}))
	h.Handle("TakeOne", hubbub.Func1(func(_ context.Context, s hubbub.Seq[int32]) (int32, error) {
		for v, err := range s {
			return v, err
		}
		return -1, nil
	}))
}
