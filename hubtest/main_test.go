package hubtest_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs f in a bubble, in parallel with other tests.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// newHub returns a hub that does what the tests need, and says nothing in the log.
func newHub(o hubbub.Options) *hubbub.Hub {
	o.Logger = slog.New(slog.DiscardHandler)
	h := hubbub.NewHub("chat", &o)
	h.Handle("SendMessage", hubbub.Action2(func(ctx context.Context, user, message string) error {
		return h.All().Send(ctx, "ReceiveMessage", user, message)
	}))
	h.Handle("Join", hubbub.Action1(func(ctx context.Context, group string) error {
		return hubbub.CallerFrom(ctx).Join(ctx, group)
	}))
	h.Handle("Leave", hubbub.Action1(func(ctx context.Context, group string) error {
		return hubbub.CallerFrom(ctx).Leave(ctx, group)
	}))
	h.Handle("ToGroup", hubbub.Action2(func(ctx context.Context, group, message string) error {
		return h.Group(group).Send(ctx, "ReceiveMessage", group, message)
	}))
	h.Handle("Double", hubbub.Func1(func(_ context.Context, n int) (int, error) { return 2 * n, nil }))
	h.Handle("Count", hubbub.Func1(func(_ context.Context, n int) (hubbub.Seq[int], error) {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
		}, nil
	}))
	h.Handle("Confirm", hubbub.Func1(func(ctx context.Context, question string) (bool, error) {
		return hubbub.Invoke[bool](ctx, hubbub.CallerFrom(ctx), "Confirm", question)
	}))
	h.Handle("WhoAmI", hubbub.Func0(func(ctx context.Context) (string, error) {
		u := hubbub.UserFrom(ctx)
		if u == nil {
			return "nobody", nil
		}
		return u.ID + " of " + u.Claim("team"), nil
	}))
	return h
}

// fakeTB is a test that may fail without its test failing.
type fakeTB struct {
	testing.TB
	mu   sync.Mutex
	text string
}

func (f *fakeTB) Helper() {}

func (f *fakeTB) Fatal(args ...any) {
	f.mu.Lock()
	f.text += fmt.Sprint(args...)
	f.mu.Unlock()
	runtime.Goexit()
}

func (f *fakeTB) Fatalf(format string, args ...any) { f.Fatal(fmt.Sprintf(format, args...)) }

// failure runs f with a test of its own and returns the text with which it failed, "" if it did not.
func failure(t *testing.T, f func(t testing.TB)) string {
	t.Helper()
	fake := &fakeTB{TB: t}
	over := make(chan struct{})
	go func() {
		defer close(over)
		f(fake)
	}()
	<-over
	return fake.text
}

// wantText fails if got is not want, line by line.
func wantText(t *testing.T, what, got string, want ...string) {
	t.Helper()
	if w := strings.Join(want, "\n"); got != w {
		t.Errorf("%s:\n%s\nwant:\n%s", what, got, w)
	}
}
