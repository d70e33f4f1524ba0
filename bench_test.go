package hubbub_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/hubbub-go/hubbub"
)

// lean is a protocol that costs next to nothing, so that what is counted is the runtime's own.
type lean struct{}

func (lean) Name() string { return "lean" }

func (lean) Append(dst []byte, m hubbub.Message) ([]byte, error) {
	switch m := m.(type) {
	case *hubbub.Invocation:
		dst = append(dst, m.Target...)
		for _, a := range m.Args.Values() {
			if s, ok := a.(string); ok {
				dst = append(append(dst, ' '), s...)
			}
		}
	case *hubbub.Completion:
		dst = append(append(dst, m.InvocationID...), ' ')
		if n, ok := m.Result.Any().(int); ok {
			dst = strconv.AppendInt(dst, int64(n), 10)
		}
	case *hubbub.StreamItem:
		dst = append(append(dst, m.InvocationID...), ' ')
	}
	return append(dst, '\n'), nil
}

func (lean) Decode(raw []byte, v any) error {
	switch v := v.(type) {
	case *string:
		*v = string(raw)
	case *int:
		*v = len(raw)
	}
	return nil
}

// light is a connection that takes what is written to it at once and throws it away.
type light struct {
	id      string
	framing hubbub.Framing
	out     *hubbub.Outbox
	link    *hubbub.Link
	taken   chan struct{}
}

func (c *light) ID() string               { return c.id }
func (*light) Protocol() hubbub.Protocol  { return lean{} }
func (c *light) Framing() hubbub.Framing  { return c.framing }
func (*light) Request() *hubbub.Request   { return &hubbub.Request{} }
func (c *light) Outbox() *hubbub.Outbox   { return c.out }
func (*light) Close(*hubbub.Close, error) {}
func (c *light) throwAway()               { c.out.Take(func([]byte, hubbub.MessageType) bool { return true }) }
func (c *light) invocation() *hubbub.Invocation {
	in := &hubbub.Invocation{ID: "17", Target: "Add"}
	in.Args = hubbub.RawArgs(append(in.ArgSpace(), room, hello), lean{})
	return in
}

var room, hello = []byte(`"room"`), []byte(`"hello"`)

// attachLight connects one. With announce it says when something was taken.
func attachLight(t testing.TB, h *hubbub.Hub, f hubbub.Framing, announce bool) *light {
	c := &light{id: hubbub.NewConnectionID(), framing: f, taken: make(chan struct{}, 1)}
	c.out = hubbub.NewOutbox(1<<20, func() {
		c.throwAway()
		if announce {
			c.taken <- struct{}{}
		}
	})
	link, err := h.Attach(c, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.link = link
	t.Cleanup(func() {
		link.Detach(nil)
		await(t, "the connection to leave", link.Done())
	})
	return c
}

func addingHub() *hubbub.Hub {
	h := newHub(nil)
	h.Handle("Add", hubbub.Func2(func(_ context.Context, a, b string) (int, error) { return len(a) + len(b), nil }))
	return h
}

// dispatch runs one call from its message to its completion in the queue.
func (c *light) dispatch() {
	_ = c.link.Receive(c.invocation(), 60)
	<-c.taken
}

func BenchmarkDispatch(b *testing.B) {
	for _, f := range []hubbub.Framing{nil, framing{}} {
		b.Run(fmt.Sprintf("framing=%v", f != nil), func(b *testing.B) {
			c := attachLight(b, addingHub(), f, true)
			b.ReportAllocs()
			for b.Loop() {
				c.dispatch()
			}
		})
	}
}

// BenchmarkDispatchBacklog has many calls of one connection wait behind each other.
func BenchmarkDispatchBacklog(b *testing.B) {
	h := newHub(nil)
	done := make(chan struct{}, 1)
	left := 0
	h.Handle("Add", hubbub.Action2(func(_ context.Context, _, _ string) error {
		if left--; left == 0 {
			done <- struct{}{}
		}
		return nil
	}))
	c := attachLight(b, h, nil, false)
	left = b.N
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		in := c.invocation()
		in.ID = ""
		_ = c.link.Receive(in, 60)
	}
	<-done
}

func BenchmarkStream(b *testing.B) {
	h := newHub(nil)
	h.Handle("Count", hubbub.Func1(func(_ context.Context, n int) (hubbub.Seq[int], error) { return count(b.N), nil }))
	ended := make(chan struct{}, 1)
	c := &light{id: "c"}
	c.out = hubbub.NewOutbox(1<<20, func() {
		c.out.Take(func(_ []byte, t hubbub.MessageType) bool {
			if t == hubbub.TypeCompletion {
				ended <- struct{}{}
			}
			return true
		})
	})
	link, err := h.Attach(c, nil, nil)
	must(b, err)
	b.ReportAllocs()
	b.ResetTimer()
	in := &hubbub.Invocation{ID: "1", Target: "Count", Stream: true}
	in.Args = hubbub.RawArgs(append(in.ArgSpace(), []byte("1")), lean{})
	must(b, link.Receive(in, 60))
	<-ended
	link.Detach(nil)
	<-link.Done()
}

func BenchmarkOutbox(b *testing.B) {
	message := make([]byte, 100)
	for _, backlog := range []int{1, 64} {
		b.Run(fmt.Sprint("backlog=", backlog), func(b *testing.B) {
			o := hubbub.NewOutbox(1<<20, func() {})
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				_ = o.Push(message, hubbub.TypePing)
				if n++; n%backlog == 0 {
					o.Take(func([]byte, hubbub.MessageType) bool { return true })
				}
			}
		})
	}
}

func BenchmarkFanOut(b *testing.B) {
	h := newHub(nil)
	for i := range 1000 {
		f := hubbub.Framing(nil)
		if i%2 == 0 {
			f = framing{}
		}
		c := attachLight(b, h, f, false)
		must(b, h.Join(context.Background(), c.id, "g"))
	}
	ctx := context.Background()
	for name, to := range map[string]hubbub.Clients{"All": h.All(), "Group": h.Group("g"), "Except": h.All().Except("somebody")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = to.Send(ctx, "m", "hello")
			}
			b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

func BenchmarkSendToClient(b *testing.B) {
	h := newHub(nil)
	c := attachLight(b, h, nil, false)
	one := h.Client(c.id)
	b.ReportAllocs()
	for b.Loop() {
		_ = one.Send(context.Background(), "m", "hello")
	}
}

func BenchmarkAttachDetach(b *testing.B) {
	h := newHub(nil)
	h.OnConnected(func(context.Context) error { return nil })
	b.ReportAllocs()
	for b.Loop() {
		c := &light{id: "c", out: hubbub.NewOutbox(1<<20, func() {})}
		link, err := h.Attach(c, nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		link.Detach(nil)
		<-link.Done()
	}
}
