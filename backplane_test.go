package hubbub_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hubbub-go/hubbub"
)

// broken is a backplane that refuses what a test wants it to.
type broken struct {
	hubbub.Backplane
	publish, subscribe atomic.Pointer[string] // the channels that are refused, by their beginning
	open               atomic.Int64           // subscriptions
}

var errBroken = errors.New("the engine is away")

func refused(prefix *atomic.Pointer[string], channel string) bool {
	p := prefix.Load()
	return p != nil && strings.HasPrefix(channel, *p)
}

func (b *broken) Publish(ctx context.Context, channel string, data []byte) error {
	if refused(&b.publish, channel) {
		return errBroken
	}
	return b.Backplane.Publish(ctx, channel, data)
}

func (b *broken) Subscribe(ctx context.Context, channel string, receive func([]byte)) (func(), error) {
	if refused(&b.subscribe, channel) {
		return nil, errBroken
	}
	b.open.Add(1)
	cancel, err := b.Backplane.Subscribe(ctx, channel, receive)
	return func() { b.open.Add(-1); cancel() }, err
}

// TestBackplaneRefuses: whoever asks is told, this node goes on, and nothing stays subscribed.
func TestBackplaneRefuses(t *testing.T) {
	t.Parallel()
	bus := &broken{Backplane: hubbub.NewLocal()}
	h := newHub(&hubbub.Options{Backplane: bus})
	for _, channel := range []string{"test/all/", "test/node/", "test/connection/", "test/user/"} {
		bus.subscribe.Store(&channel)
		before := bus.open.Load()
		if err := unattached(t, userNamed("u")).attach(h); !errors.Is(err, errBroken) {
			t.Errorf("attach without %s: %v, want errBroken", channel, err)
		}
		if n := bus.open.Load() - before; n > 1 { // what every node needs stays for the next
			t.Errorf("%d subscriptions are left of a connection without %s", n, channel)
		}
	}
	if n := bus.open.Load(); n != 2 || h.Stats().Connections != 0 {
		t.Errorf("%d subscriptions and %d connections, want 2 and none", n, h.Stats().Connections)
	}
	group := "test/group/"
	bus.subscribe.Store(&group)
	p := connect(t, h, userNamed("u"))
	if err := h.Join(t.Context(), p.id, "g"); !errors.Is(err, errBroken) {
		t.Errorf("join: %v, want errBroken", err)
	}
	bus.subscribe.Store(nil)
	must(t, h.Join(t.Context(), p.id, "g"))
	must(t, h.Join(t.Context(), p.id, "g"))
	if n := bus.open.Load(); n != 5 {
		t.Errorf("%d subscriptions, want 5", n)
	}

	everything := "test/"
	bus.publish.Store(&everything)
	for what, to := range map[string]hubbub.Clients{"all": h.All(), "group": h.Group("g"), "user": h.User("u"), "stranger": h.Clients("x")} {
		if err := to.Send(t.Context(), "m", what); !errors.Is(err, errBroken) {
			t.Errorf("send to %s: %v, want errBroken", what, err)
		}
		if what != "stranger" {
			p.expect(`m("` + what + `")`)
		}
	}
	must(t, h.Client(p.id).Send(t.Context(), "m")) // needs no other node
	if err := h.Join(t.Context(), "x", "g"); !errors.Is(err, errBroken) {
		t.Errorf("join a stranger: %v, want errBroken", err)
	}
	if _, err := hubbub.Invoke[int](t.Context(), h.Client("x"), "m"); !errors.Is(err, errBroken) {
		t.Errorf("invoke a stranger: %v, want errBroken", err)
	}
	bus.publish.Store(nil)
	p.leave()
	must(t, h.Shutdown(t.Context(), 0))
	if n := bus.open.Load(); n != 0 {
		t.Errorf("%d subscriptions are left, want 0", n)
	}
}

// TestProtocolOfOneNodeOnly sends to a connection whose protocol the sending node does not know, and asks it.
func TestProtocolOfOneNodeOnly(t *testing.T) {
	t.Parallel()
	bus := hubbub.NewLocal()
	first, second := newHub(&hubbub.Options{Backplane: bus}), newHub(&hubbub.Options{Backplane: bus})
	other := newDialect("other")
	second.Support(other)
	stranger, p := connect(t, second, speaking(other), named("s")), connect(t, second)
	must(t, first.All().Send(t.Context(), "m"))
	p.expect("m()")
	if _, err := hubbub.Invoke[int](t.Context(), first.Client("s"), "m"); !errors.Is(err, hubbub.ErrClosed) {
		t.Errorf("asked in a protocol that this node does not know: %v, want ErrClosed", err)
	}
	first.Support(other)
	must(t, first.All().Send(t.Context(), "now"))
	stranger.expect("now()")
	p.expect("now()")
}

// TestSlowConnectionIsAskedByAnotherNode: the one that asks need not wait to learn it.
func TestSlowConnectionIsAskedByAnotherNode(t *testing.T) {
	t.Parallel()
	bus := hubbub.NewLocal()
	first, second := newHub(&hubbub.Options{Backplane: bus}), newHub(&hubbub.Options{Backplane: bus})
	p := connect(t, second, queue(60))
	must(t, second.Client(p.id).Send(t.Context(), "fill", "this"))
	if _, err := hubbub.Invoke[int](t.Context(), first.Client(p.id), "m"); !errors.Is(err, hubbub.ErrClosed) {
		t.Errorf("asked a connection that does not read: %v, want ErrClosed", err)
	}
	await(t, "the slow connection to be closed", p.linked().Done())
	if s := second.Stats(); s.Closed["slow"] != 1 {
		t.Errorf("closed %v, want one that was slow", s.Closed)
	}
}
