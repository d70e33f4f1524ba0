package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/cmd/hubbub/bench"
	"github.com/hubbub-go/hubbub/signalr"
)

// The tool starts its own program again for workers and for the raw server, so the program of the tests plays the tool too.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "bench" {
		c := bench.Command(bench.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, func(err error) error { return err })
		c.SetArgs(os.Args[2:])
		if c.Execute() != nil {
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// newServer is a hub with the methods that the tool calls by default, and an echo endpoint.
func newServer(t testing.TB) string {
	hub := hubbub.NewHub("load", nil)
	hub.Handle("Echo", hubbub.Func1(func(_ context.Context, s string) (string, error) { return s, nil }))
	hub.Handle("Fail", hubbub.Func1(func(_ context.Context, _ string) (string, error) { return "", hubbub.Errorf("no") }))
	hub.Handle("Twice", hubbub.Action1(func(ctx context.Context, s string) error {
		return errors.Join(hub.All().Send(ctx, "Message", s), hub.All().Send(ctx, "Message", s))
	}))
	hub.Handle("SendToAll", hubbub.Action1(func(ctx context.Context, s string) error { return hub.All().Send(ctx, "Message", s) }))
	hub.Handle("AddToGroup", hubbub.Action1(func(ctx context.Context, g string) error { return hubbub.CallerFrom(ctx).Join(ctx, g) }))
	hub.Handle("SendToGroup", hubbub.Action2(func(ctx context.Context, g, s string) error { return hub.Group(g).Send(ctx, "Message", s) }))
	hub.Handle("GroupToAll", hubbub.Action2(func(ctx context.Context, _, s string) error { return hub.All().Send(ctx, "Message", s) }))
	hub.Handle("SendSequence", hubbub.Action1(func(ctx context.Context, n int) error {
		for i := range n {
			if err := hubbub.CallerFrom(ctx).Send(ctx, "Item", i); err != nil {
				return err
			}
		}
		return nil
	}))
	mux := http.NewServeMux()
	signalr.MapHub(mux, "/hub", hub, nil)
	signalr.MapConnection(mux, "/echo", func(ctx context.Context, c *signalr.RawConnection) error {
		for {
			p, err := c.Read(ctx)
			if err != nil {
				return nil
			}
			if err := c.Write(p); err != nil {
				return nil
			}
		}
	}, nil)
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = hub.Shutdown(ctx, 0)
		srv.Close()
	})
	return srv.URL
}

// command runs the tool and returns what it wrote.
func command(t testing.TB, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, log strings.Builder
	c := bench.Command(bench.Streams{In: strings.NewReader(""), Out: &out, Err: &log}, func(err error) error { return err })
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetOut(io.Discard)
	c.SetErr(io.Discard)
	c.SetArgs(args)
	err = c.Execute()
	return out.String(), log.String(), err
}

// measured runs the tool and returns its report, which must have exactly the fields of the type.
func measured(t testing.TB, args ...string) *bench.Report {
	t.Helper()
	out, log, err := command(t, append(args, "--json")...)
	if err != nil {
		t.Fatalf("bench %v: %v\n%s", args, err, log)
	}
	var r bench.Report
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("bench %v: report %v\n%s", args, err, out)
	}
	if r.Format != bench.FormatVersion || len(r.Targets) == 0 || r.Machine.CPUs == 0 || r.When.IsZero() {
		t.Errorf("bench %v: report of format %d with %d targets at %v, want a whole one", args, r.Format, len(r.Targets), r.When)
	}
	return &r
}

// faultless fails when anything was lost, doubled, late for good or refused.
func faultless(t testing.TB, r *bench.Report) {
	t.Helper()
	for _, x := range r.Targets {
		f := x.Median
		troubles := []float64{f.Lost, f.Unfinished, f.Doubled, f.OutOfOrder, f.Strays, f.Errors, f.Closed, f.FailedVisits}
		if slices.Max(troubles) != 0 {
			t.Errorf("%s on %s: lost, unfinished, doubled, out of order, strays, errors, closed, failed visits %v, want none; %v", r.Job.Mode, x.Target.Name, troubles, x.Notes)
		}
		if f.Received == 0 && r.Job.Mode != bench.Idle || f.Expected != f.Received && r.Job.Mode != bench.Idle {
			t.Errorf("%s on %s: %v of %v received, want all", r.Job.Mode, x.Target.Name, f.Received, f.Expected)
		}
	}
}
