package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
)

// refHub has a method for everything that a classic client can do.
type refHub struct{ hub *hubbub.Hub }

// thing is an object that goes there and back.
type thing struct {
	Name   string
	Number int
	Real   float64
	Tags   []string
	Inner  *thing
	Data   []byte
}

func newRefHub(name string, opts *hubbub.Options, events *eventLog) *refHub {
	r := &refHub{hubbub.NewHub(name, opts)}
	r.calls()
	r.failures()
	r.audiences()
	r.classicOnly()
	events.follow(r.hub)
	return r
}

func (r *refHub) calls() {
	h := r.hub
	h.Handle("Echo", hubbub.Func1(func(_ context.Context, s *string) (*string, error) { return s, nil }))
	h.Handle("EchoThing", hubbub.Func1(func(_ context.Context, v *thing) (*thing, error) { return v, nil }))
	h.Handle("Add", hubbub.Func2(func(_ context.Context, a, b int) (int, error) { return a + b, nil }))
	h.Handle("Join3", hubbub.Func3(func(_ context.Context, a string, b bool, c float64) ([]any, error) { return []any{a, b, c}, nil }))
	h.Handle("Nothing", hubbub.Action0(func(context.Context) error { return nil }))
	h.Handle("Length", hubbub.Func1(func(_ context.Context, s string) (int, error) { return len(s), nil }))
	h.Handle("Repeat", hubbub.Func2(func(_ context.Context, s string, n int) (string, error) { return strings.Repeat(s, n), nil }))
	h.Handle("Caller", hubbub.Func0(func(ctx context.Context) (map[string]any, error) { return describeCaller(ctx), nil }))
	h.Handle("Closed", hubbub.Func0(func(context.Context) (string, error) { return "open", nil }), hubbub.RequireUser())
	h.Handle("Hang", hubbub.Action1(func(ctx context.Context, milliseconds int) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(milliseconds) * time.Millisecond):
			return nil
		}
	}))
	h.Handle("Abort", hubbub.Action0(func(ctx context.Context) error { hubbub.CallerFrom(ctx).Abort(); return nil }))
}

func (r *refHub) failures() {
	h := r.hub
	h.Handle("Throw", hubbub.Action0(func(context.Context) error { return errors.New("boom") }))
	h.Handle("Panic", hubbub.Action0(func(context.Context) error { panic("oh dear") }))
	h.Handle("HubThrow", hubbub.Action1(func(_ context.Context, text string) error { return hubbub.Errorf("%s", text) }))
	h.Handle("HubThrowData", hubbub.Action1(func(_ context.Context, code int) error {
		return &hubbub.Error{Message: "hub boom", Data: map[string]any{"Code": code, "Why": "because"}}
	}))
	h.Handle("Ask", hubbub.Func0(func(ctx context.Context) (int, error) {
		return hubbub.Invoke[int](ctx, hubbub.CallerFrom(ctx), "Question")
	}))
	h.Handle("Stream", hubbub.Func0(func(context.Context) (hubbub.Seq[int], error) { return seqOf(1, 2), nil }))
}

func (r *refHub) audiences() {
	h := r.hub
	h.Handle("Join", hubbub.Action1(func(ctx context.Context, g string) error { return hubbub.CallerFrom(ctx).Join(ctx, g) }))
	h.Handle("Leave", hubbub.Action1(func(ctx context.Context, g string) error { return hubbub.CallerFrom(ctx).Leave(ctx, g) }))
	h.Handle("ToGroup", hubbub.Action2(func(ctx context.Context, g, v string) error { return h.Group(g).Send(ctx, "Msg", g, v) }))
	h.Handle("ToAll", hubbub.Action1(func(ctx context.Context, v string) error { return h.All().Send(ctx, "Msg", "all", v) }))
	h.Handle("ToOthers", hubbub.Action1(func(ctx context.Context, v string) error {
		return hubbub.CallerFrom(ctx).Others().Send(ctx, "Msg", "others", v)
	}))
	h.Handle("ToCaller", hubbub.Action1(func(ctx context.Context, v thing) error {
		return hubbub.CallerFrom(ctx).Send(ctx, "Thing", v, nil, 1.5)
	}))
	h.Handle("ToUser", hubbub.Action2(func(ctx context.Context, user, v string) error { return h.User(user).Send(ctx, "Msg", user, v) }))
	h.Handle("ToClient", hubbub.Action2(func(ctx context.Context, id, v string) error { return h.Client(id).Send(ctx, "Msg", id, v) }))
	h.Handle("Sequence", hubbub.Action1(func(ctx context.Context, count int) error {
		c := hubbub.CallerFrom(ctx)
		for i := range count {
			if err := c.Send(ctx, "Item", i); err != nil {
				return err
			}
		}
		return nil
	}))
	h.Handle("Counted", hubbub.Action2(func(ctx context.Context, g, name string) error {
		return h.Group(g).Send(ctx, "Counted", counted(name))
	}))
}

// classicOnly is what the other dialect does not have.
func (r *refHub) classicOnly() {
	h := r.hub
	h.Handle("Progress", hubbub.Func1(func(ctx context.Context, n int) (string, error) {
		for i := range n {
			if err := hubbub.ReportProgress(ctx, i); err != nil {
				return "", err
			}
		}
		return "done", nil
	}))
	h.Handle("State", hubbub.Func1(func(ctx context.Context, set string) (string, error) {
		state, color := hubbub.StateFrom(ctx), ""
		if _, err := state.Get("color", &color); err != nil {
			return "", err
		}
		state.Set("color", set)
		state.Set("count", 5)
		return color, hubbub.CallerFrom(ctx).Send(ctx, "Msg", "state", color)
	}))
}

// encodings counts how often each payload of Counted was encoded.
var encodings tally

type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (t *tally) add(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = make(map[string]int)
	}
	t.n[name]++
}

func (t *tally) of(name string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n[name]
}

// counted is a payload that counts its encodings.
type counted string

// MarshalJSON implements json.Marshaler.
func (c counted) MarshalJSON() ([]byte, error) {
	encodings.add(string(c))
	return []byte(`{"Name":"` + string(c) + `"}`), nil
}
