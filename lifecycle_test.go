package hubbub_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub"
)

// journal is what happened, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) want(t *testing.T, lines ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if !slices.Equal(j.lines, lines) {
		t.Errorf("happened:\n\t%s\nwant:\n\t%s", strings.Join(j.lines, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

func TestConnectionEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		h := newHub(nil)
		open := make(chan struct{})
		h.OnConnected(func(ctx context.Context) error {
			c := hubbub.CallerFrom(ctx)
			c.Items().Store("n", 1)
			j.add("connected %s %s", c.ID(), c.User().ID)
			<-open
			j.add("accepted")
			return errors.Join(c.Join(ctx, "g"), c.Send(ctx, "welcome"))
		})
		h.Handle("Call", hubbub.Action0(func(ctx context.Context) error {
			n, _ := hubbub.CallerFrom(ctx).Items().Load("n")
			j.add("called by %s with %v", hubbub.CallerFrom(ctx).User().ID, n)
			return nil
		}))
		h.OnAuthenticationRefreshed(func(ctx context.Context) error {
			j.add("refreshed %s", hubbub.CallerFrom(ctx).User().Name)
			return errors.New("is only logged")
		})
		h.OnDisconnected(func(ctx context.Context, err error) {
			c := hubbub.CallerFrom(ctx)
			<-c.Done()
			n, _ := c.Items().Load("n")
			j.add("disconnected %s with %v: %v, context %v, %d members", c.ID(), n, err, ctx.Err(), h.Stats().Groups)
		})
		p := connect(t, h, named("c"), as(&hubbub.User{ID: "u", Name: "old"}))
		p.call("1", "Call")
		p.linked().Refresh(&hubbub.User{ID: "u", Name: "new"})
		p.call("2", "Call")
		synctest.Wait()
		j.want(t, "connected c u")
		close(open)
		p.expect("welcome()", "done 1 = null", "done 2 = null")
		p.lose(errors.New("broken"))
		j.want(t, "connected c u", "accepted", "called by u with 1", "refreshed new", "called by u with 1",
			"disconnected c with 1: broken, context <nil>, 1 members")
		if s := h.Stats(); s.Groups != 0 || s.Users != 0 || s.Connections != 0 || s.Opened != 1 || s.Closed["error"] != 1 {
			t.Errorf("stats %+v", s)
		}
		p.linked().Refresh(nil)
		p.linked().Detach(nil)
		p.linked().Detach(errors.New("again"))
		p.call("3", "Call")
		synctest.Wait()
		if n := len(j.lines); n != 6 {
			t.Errorf("%d things happened, want 6", n)
		}
	})
}

func TestOnConnectedRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fails  func() error
		detail bool
		want   string
	}{
		"plain":           {func() error { return errors.New("secret") }, false, "Connection closed with an error."},
		"plain, details":  {func() error { return errors.New("secret") }, true, "Connection closed with an error. Exception: secret"},
		"for the client":  {func() error { return hubbub.Errorf("full") }, false, "Connection closed with an error. HubException: full"},
		"a panic":         {func() error { panic("oops") }, false, "Connection closed with an error."},
		"a panic, detail": {func() error { panic("oops") }, true, "Connection closed with an error. PanicException: oops"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(&hubbub.Options{EnableDetailedErrors: test.detail})
			adapters(h)
			h.OnConnected(func(ctx context.Context) error {
				if hubbub.CallerFrom(ctx).ID() == "bad" {
					return test.fails()
				}
				return nil
			})
			var gone atomic.Int32
			h.OnDisconnected(func(ctx context.Context, _ error) {
				gone.Add(1)
				if id := hubbub.CallerFrom(ctx).ID(); id == "bad" {
					t.Error("OnDisconnected ran for a connection that was never accepted")
				}
			})
			good, bad := connect(t, h, named("good")), connect(t, h, named("bad"))
			bad.call("1", "F0")
			bad.expect(fmt.Sprintf("close %q false", test.want))
			await(t, "the connection to end", bad.linked().Done())
			good.call("1", "F0")
			good.expect("done 1 = 7")
			good.leave()
			if gone.Load() != 1 {
				t.Errorf("OnDisconnected ran %d times, want once", gone.Load())
			}
		})
	}
}

// TestDetachDuringOnConnected does not overtake it.
func TestDetachDuringOnConnected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		h := newHub(nil)
		h.OnConnected(func(ctx context.Context) error {
			<-hubbub.CallerFrom(ctx).Done()
			time.Sleep(time.Second)
			j.add("accepted, %v", ctx.Err())
			return nil
		})
		h.OnDisconnected(func(_ context.Context, err error) { j.add("disconnected, %v", err) })
		h.Handle("Call", hubbub.Action0(func(context.Context) error { j.add("called"); return nil }))
		p := connect(t, h)
		p.call("", "Call")
		p.leave()
		j.want(t, "accepted, context canceled", "disconnected, <nil>")
	})
}

type named2 struct{ error }

func (named2) Reason() string { return "expired" }

func TestReasons(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, test := range []struct {
		reason, heard error
		counted       string
	}{
		{nil, nil, "normal"},
		{broken, broken, "error"},
		{hubbub.ErrSlow, hubbub.ErrSlow, "slow"},
		{fmt.Errorf("write: %w", hubbub.ErrSlow), hubbub.ErrSlow, "slow"},
		{hubbub.ErrShutdown, nil, "shutdown"},
		{named2{broken}, nil, "expired"},
	} {
		h := newHub(nil)
		heard := make(chan error, 1)
		h.OnDisconnected(func(_ context.Context, err error) { heard <- err })
		connect(t, h).lose(test.reason)
		if err := await(t, "OnDisconnected", heard); !errors.Is(err, test.heard) || (err == nil) != (test.heard == nil) {
			t.Errorf("%v: OnDisconnected heard %v, want %v", test.reason, err, test.heard)
		}
		if s := h.Stats(); s.Closed[test.counted] != 1 || len(s.Closed) != 1 {
			t.Errorf("%v: counted %v, want %s", test.reason, s.Closed, test.counted)
		}
	}
}

// TestRefreshedUserOfPendingCalls: a call that has not started when the user changes runs as the new one.
func TestRefreshedUserOfPendingCalls(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	open := make(chan struct{})
	started := make(chan struct{}, 1)
	h.Handle("Who", hubbub.Func0(func(ctx context.Context) (string, error) {
		select {
		case started <- struct{}{}:
			<-open
		default:
		}
		return hubbub.CallerFrom(ctx).User().Name, nil
	}), hubbub.RequireUser())
	p := connect(t, h, as(&hubbub.User{Name: "old"}))
	p.call("1", "Who")
	await(t, "the method", started)
	p.call("2", "Who")
	p.linked().Refresh(&hubbub.User{Name: "new"})
	if u := p.linked().User(); u.Name != "new" {
		t.Errorf("user %s at once, want new", u.Name)
	}
	close(open)
	p.expect(`done 1 = "old"`, `done 2 = "new"`)
	p.linked().Refresh(nil)
	p.call("3", "Who")
	p.expect("done 3 ! Failed to invoke 'Who' because user is unauthorized")
}

// TestRefreshesDoNotPileUp refreshes behind a method that does not end.
func TestRefreshesDoNotPileUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(&hubbub.Options{MaximumPendingInvocations: 8})
		var events atomic.Int32
		last := ""
		g.OnAuthenticationRefreshed(func(ctx context.Context) error {
			events.Add(1)
			last = hubbub.CallerFrom(ctx).User().Name
			return nil
		})
		p := connect(t, g.Hub)
		p.call("", "Wait", 1)
		synctest.Wait()
		for i := range 1000 {
			p.linked().Refresh(&hubbub.User{Name: fmt.Sprint(i)})
		}
		close(g.open)
		synctest.Wait()
		if n := events.Load(); n != 8 || last != "999" {
			t.Errorf("%d events, the last with user %q, want 8 and 999", n, last)
		}
		p.leave()
	})
}

// TestPanicsEverywhere panics in all code of the program that the hub runs, and calls again on the same connection and on
// another.
func TestPanicsEverywhere(t *testing.T) {
	t.Parallel()
	h := newHub(&hubbub.Options{EnableDetailedErrors: true})
	adapters(h)
	oops := func() { panic("oops") }
	h.Handle("Method", hubbub.Action0(func(context.Context) error { oops(); return nil }))
	h.Handle("Nil", hubbub.Func0(func(context.Context) (int, error) { var p *point; return p.X, nil }))
	h.Handle("Filter", hubbub.Action0(func(context.Context) error { return nil }))
	h.Handle("Rule", hubbub.Action0(func(context.Context) error { return nil }),
		func(context.Context, *hubbub.User, *hubbub.Invocation) bool { oops(); return true })
	h.Handle("Argument", hubbub.Action1(func(context.Context, bomb) error { return nil }))
	h.Handle("Result", hubbub.Func0(func(context.Context) (bomb, error) { return bomb{}, nil }))
	h.Handle("Send", hubbub.Action0(func(ctx context.Context) error { return h.All().Send(ctx, "m", bomb{}) }))
	h.Handle("Item", hubbub.Func0(func(context.Context) (hubbub.Seq[bomb], error) {
		return func(yield func(bomb, error) bool) { yield(bomb{}, nil) }, nil
	}))
	h.Handle("Error", hubbub.Action0(func(context.Context) error { return nil }))
	h.Handle("Upload", hubbub.Action1(func(_ context.Context, s hubbub.Seq[bomb]) error {
		for _, err := range s {
			return err
		}
		return nil
	}))
	h.Use(func(next hubbub.HandlerFunc) hubbub.HandlerFunc {
		return func(ctx context.Context, in *hubbub.Invocation) (any, error) {
			if in.Method() == "Filter" {
				oops()
			}
			return next(ctx, in)
		}
	})
	h.OnDisconnected(func(context.Context, error) { oops() })
	h.OnAuthenticationRefreshed(func(context.Context) error { oops(); return nil })
	p, other := connect(t, h), connect(t, h)
	unexpected := func(name, tail string) string { return "done 1 ! " + fmt.Sprintf(failed, name) + tail }
	for name, want := range map[string]string{
		"Method":   unexpected("Method", " PanicException: oops"),
		"Nil":      unexpected("Nil", " PanicException: runtime error: invalid memory address or nil pointer dereference"),
		"Filter":   unexpected("Filter", " PanicException: oops"),
		"Rule":     unexpected("Rule", " PanicException: oops"),
		"Result":   unexpected("Result", " PanicException: write"),
		"Send":     unexpected("Send", " PanicException: write"),
		"Argument": "done 1 ! Failed to invoke 'Argument' due to an error on the server. InvalidDataException: Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked.",
	} {
		args := []any{1}
		if name != "Argument" {
			args = nil
		}
		p.call("1", name, args...)
		p.expect(want)
		other.call("1", "F0")
		other.expect("done 1 = 7")
	}
	p.stream("1", "Item")
	p.expect("done 1 ! An error occurred on the server while streaming results. PanicException: write")
	p.upload("1", "Upload", []string{"s"})
	p.item("s", 1)
	p.expect("done 1 ! " + fmt.Sprintf(failed, "Upload") + " PanicException: read")
	if _, err := hubbub.Invoke[int](t.Context(), h.Client(p.id), "m", bomb{}); err == nil {
		t.Error("asked a client with an argument that panics")
	}
	if err := h.All().Send(t.Context(), "m", bomb{}); err == nil {
		t.Error("sent an argument that panics")
	}
	p.linked().Refresh(nil)
	p.call("1", "F0")
	p.expect("done 1 = 7")
	p.leave()
	other.call("1", "F0")
	other.expect("done 1 = 7")
	if n := h.Stats().Panics; n != 13 {
		t.Errorf("%d panics, want 13", n)
	}
	connect(t, h).call("", "F0") // the hub still takes connections
}

// bomb panics when it is written and when it is read.
type bomb struct{}

func (bomb) MarshalJSON() ([]byte, error) { panic("write") }
func (*bomb) UnmarshalJSON([]byte) error  { panic("read") }

func TestRequest(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	h.Handle("Look", hubbub.Func0(func(ctx context.Context) (string, error) {
		r := hubbub.CallerFrom(ctx).Request()
		v, ok := r.Cookie("a")
		_, none := r.Cookie("b")
		return fmt.Sprint(r.Transport, " ", v, ok, none), nil
	}))
	p := connect(t, h, asking(&hubbub.Request{Transport: "WebSockets", Cookies: []*http.Cookie{{Name: "a", Value: "1"}, {Name: "a", Value: "2"}}}))
	p.call("1", "Look")
	p.expect(`done 1 = "WebSockets 1true false"`)
}

func TestAbort(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	h.Handle("Leave", hubbub.Action0(func(ctx context.Context) error {
		hubbub.CallerFrom(ctx).Abort()
		return nil
	}))
	p := connect(t, h)
	p.call("", "Leave")
	p.expect(`close "" false`)
	await(t, "the connection to end", p.linked().Done())
	if s := h.Stats(); s.Closed["normal"] != 1 {
		t.Errorf("closed %v, want one normally", s.Closed)
	}
}

func TestCloseWhere(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	var peers []*peer
	for i := range 6 {
		peers = append(peers, connect(t, h, userNamed(fmt.Sprint("u", i%3))))
	}
	n := h.CloseWhere(func(c *hubbub.Caller) bool { return c.User().ID == "u1" }, "session ended", false)
	if n != 2 {
		t.Errorf("%d connections closed, want 2", n)
	}
	for i, p := range peers {
		if i%3 == 1 {
			p.expect(`close "session ended" false`)
			await(t, "the connection to end", p.linked().Done())
		}
	}
	must(t, h.All().Send(t.Context(), "still here"))
	peers[0].expect("still here()")
	if n := h.CloseWhere(func(*hubbub.Caller) bool { return true }, "", true); n != 4 {
		t.Errorf("%d connections closed, want 4", n)
	}
	peers[0].expect(`close "" true`)
}
