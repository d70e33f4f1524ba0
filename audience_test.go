package hubbub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub"
)

// farm is a hub on several nodes with six connections spread over them: a and b are user u1, c is u2, the others anonymous;
// a, c and e are in group g, b and c in group h. A send comes from the first node.
type farm struct {
	hubs  []*hubbub.Hub
	peers map[string]*peer
}

func newFarm(t *testing.T, nodes int) *farm {
	f := &farm{peers: make(map[string]*peer)}
	var bus hubbub.Backplane
	if nodes > 1 {
		bus = hubbub.NewLocal()
	}
	for i := range nodes {
		h := newHub(&hubbub.Options{Backplane: bus, Node: fmt.Sprint("node", i)})
		h.Handle("Run", hubbub.Action1(func(ctx context.Context, what string) error {
			c := hubbub.CallerFrom(ctx)
			switch what {
			case "others":
				return c.Others().Send(ctx, "m", what)
			case "othersInGroup":
				return c.OthersInGroup("g").Send(ctx, "m", what)
			case "caller":
				return c.Send(ctx, "m", what)
			}
			return errors.New("unknown")
		}))
		f.hubs = append(f.hubs, h)
	}
	users := map[string]string{"a": "u1", "b": "u1", "c": "u2"}
	for i, id := range strings.Split("abcdef", "") {
		f.peers[id] = connect(t, f.hubs[i%nodes], named(id), userNamed(users[id]))
	}
	for group, members := range map[string]string{"g": "ace", "h": "bc"} {
		for _, id := range strings.Split(members, "") {
			must(t, f.hubs[0].Join(t.Context(), id, group))
		}
	}
	return f
}

// reached sends a last message to everybody and returns who got how many before it, in the order of names, such as "aab".
func (f *farm) reached(t *testing.T) string {
	t.Helper()
	for _, id := range slices.Sorted(f.ids()) {
		must(t, f.hubs[0].Client(id).Send(t.Context(), "end"))
	}
	var who strings.Builder
	for _, id := range slices.Sorted(f.ids()) {
		for {
			m := f.peers[id].next()
			if m.Target == "end" {
				break
			}
			if m.Target == "m" {
				who.WriteString(id)
			}
		}
	}
	return who.String()
}

func (f *farm) ids() func(func(string) bool) {
	return func(yield func(string) bool) {
		for id := range f.peers {
			if !yield(id) {
				return
			}
		}
	}
}

// TestAudiences sends to every audience on one node and over two and three.
func TestAudiences(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		to   func(h *hubbub.Hub) hubbub.Clients
		want string
	}{
		{"all", func(h *hubbub.Hub) hubbub.Clients { return h.All() }, "abcdef"},
		{"all except", func(h *hubbub.Hub) hubbub.Clients { return h.All().Except("a", "d").Except("f", "nobody") }, "bce"},
		{"client", func(h *hubbub.Hub) hubbub.Clients { return h.Clients("b") }, "b"},
		{"clients", func(h *hubbub.Hub) hubbub.Clients { return h.Clients("b", "c", "nobody") }, "bc"},
		{"clients named twice", func(h *hubbub.Hub) hubbub.Clients { return h.Clients("b", "a", "b", "a", "b") }, "ab"},
		{"clients except", func(h *hubbub.Hub) hubbub.Clients { return h.Clients("a", "b", "c").Except("b", "c") }, "a"},
		{"no clients", func(h *hubbub.Hub) hubbub.Clients { return h.Clients() }, ""},
		{"case of an id counts", func(h *hubbub.Hub) hubbub.Clients { return h.Clients("A") }, ""},
		{"group", func(h *hubbub.Hub) hubbub.Clients { return h.Group("g") }, "ace"},
		{"group except", func(h *hubbub.Hub) hubbub.Clients { return h.Group("g").Except("a", "b") }, "ce"},
		{"groups, a member of both", func(h *hubbub.Hub) hubbub.Clients { return h.Groups("g", "h") }, "abcce"},
		{"case of a group counts", func(h *hubbub.Hub) hubbub.Clients { return h.Group("G") }, ""},
		{"empty group", func(h *hubbub.Hub) hubbub.Clients { return h.Group("nobody") }, ""},
		{"user", func(h *hubbub.Hub) hubbub.Clients { return h.User("u1") }, "ab"},
		{"users", func(h *hubbub.Hub) hubbub.Clients { return h.Users("u1", "u2", "nobody") }, "abc"},
		{"users named twice", func(h *hubbub.Hub) hubbub.Clients { return h.Users("u1", "u1") }, "ab"},
		{"user except", func(h *hubbub.Hub) hubbub.Clients { return h.User("u1").Except("a") }, "b"},
		{"empty user id", func(h *hubbub.Hub) hubbub.Clients { return h.User("") }, ""},
	}
	for nodes := 1; nodes <= 3; nodes++ {
		t.Run(fmt.Sprint(nodes, " nodes"), func(t *testing.T) {
			t.Parallel()
			f := newFarm(t, nodes)
			for _, test := range tests {
				must(t, test.to(f.hubs[0]).Send(t.Context(), "m", 1))
				if got := f.reached(t); got != test.want {
					t.Errorf("%s reached %q, want %q", test.name, got, test.want)
				}
			}
			must(t, f.hubs[0].Client("d").Send(t.Context(), "m"))
			if got := f.reached(t); got != "d" {
				t.Errorf("a single client: reached %q, want d", got)
			}
			for what, want := range map[string]string{"others": "bcdef", "othersInGroup": "ce", "caller": "a"} {
				got := ""
				f.peers["a"].call("x", "Run", what)
				for f.peers["a"].next().Type != hubbub.TypeCompletion {
					got += "a"
				}
				if got += f.reached(t); got != want {
					t.Errorf("%s reached %q, want %q", what, got, want)
				}
			}
		})
	}
}

func TestNobodyIsAnAudience(t *testing.T) {
	t.Parallel()
	var nobody *hubbub.Caller
	ctx := t.Context()
	if c := hubbub.CallerFrom(ctx); c != nil {
		t.Errorf("caller of a plain context is %v, want nil", c)
	}
	_, err := hubbub.Invoke[int](ctx, nobody, "m")
	_, err2 := hubbub.Invoke[int](ctx, hubbub.SingleClient{}, "m")
	for what, err := range map[string]error{
		"Send": nobody.Send(ctx, "m"), "Invoke": err, "Join": nobody.Join(ctx, "g"), "Leave": nobody.Leave(ctx, "g"),
		"Others": nobody.Others().Send(ctx, "m"), "OthersInGroup": nobody.OthersInGroup("g").Send(ctx, "m"),
		"zero Clients": hubbub.Clients{}.Send(ctx, "m"), "zero SingleClient": hubbub.SingleClient{}.Send(ctx, "m"), "zero Invoke": err2,
	} {
		if !errors.Is(err, hubbub.ErrNoCaller) {
			t.Errorf("%s: error %v, want ErrNoCaller", what, err)
		}
	}
	nobody.Abort()
	if nobody.ID() != "" || nobody.User() != nil || nobody.Hub() != nil || nobody.Done() != nil || nobody.Request() == nil || nobody.Items() == nil {
		t.Error("a nil caller has something")
	}
}

// TestGroupsAcrossNodes joins and leaves connections of other nodes.
func TestGroupsAcrossNodes(t *testing.T) {
	t.Parallel()
	for nodes := 1; nodes <= 3; nodes++ {
		t.Run(fmt.Sprint(nodes, " nodes"), func(t *testing.T) {
			t.Parallel()
			f := newFarm(t, nodes)
			ctx := t.Context()
			group := func(want string) {
				t.Helper()
				must(t, f.hubs[0].Group("room").Send(ctx, "m"))
				if got := f.reached(t); got != want {
					t.Fatalf("group has %q, want %q", got, want)
				}
			}
			last := f.hubs[nodes-1]
			for _, id := range []string{"a", "b", "c", "b"} {
				must(t, last.Join(ctx, id, "room"))
			}
			group("abc")
			must(t, last.Leave(ctx, "b", "room"))
			must(t, last.Leave(ctx, "b", "room"))
			must(t, last.Leave(ctx, "d", "room"))
			group("ac")
			f.peers["c"].leave()
			delete(f.peers, "c")
			group("a")
			must(t, last.Leave(ctx, "a", "room"))
			group("")
			for i, h := range f.hubs {
				if n := h.Stats().Groups; n > 2 {
					t.Errorf("node %d has %d groups, want those that have members", i, n)
				}
			}
			if err := f.hubs[0].Join(ctx, "a", ""); err == nil {
				t.Error("joined a group without a name")
			}
		})
	}
}

func TestJoinOfAConnectionThatIsGone(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	must(t, h.Join(t.Context(), "nobody", "g"))
	must(t, h.Leave(t.Context(), "nobody", "g"))
	if n := h.Stats().Groups; n != 0 {
		t.Errorf("%d groups, want 0", n)
	}

	far := newHub(&hubbub.Options{Backplane: hubbub.NewLocal()})
	var caller *hubbub.Caller
	left := make(chan struct{})
	far.Handle("Who", hubbub.Action0(func(ctx context.Context) error {
		caller = hubbub.CallerFrom(ctx)
		close(left)
		return nil
	}))
	p := connect(t, far)
	p.call("", "Who")
	await(t, "the method", left)
	p.leave()
	must(t, caller.Join(t.Context(), "g"))
	must(t, caller.Leave(t.Context(), "g"))
	must(t, caller.Send(t.Context(), "m"))
	if _, err := hubbub.Invoke[int](t.Context(), caller, "m"); !errors.Is(err, hubbub.ErrClosed) {
		t.Errorf("invoke a caller that is gone: %v, want ErrClosed", err)
	}
	if s := far.Stats(); s.Groups != 0 || s.Connections != 0 {
		t.Errorf("%d groups and %d connections, want none", s.Groups, s.Connections)
	}
}

// TestOrderAcrossNodes sends through audiences of every kind, which travel on different channels.
func TestOrderAcrossNodes(t *testing.T) {
	t.Parallel()
	f := newFarm(t, 2)
	b, ctx := f.peers["b"], t.Context()
	audiences := []hubbub.Clients{f.hubs[0].All(), f.hubs[0].Group("h"), f.hubs[0].User("u1"), f.hubs[0].Clients("b")}
	const rounds = 500
	for i := range rounds {
		must(t, audiences[i%len(audiences)].Send(ctx, "n", i))
	}
	for i := range rounds {
		b.expect(fmt.Sprintf("n(%d)", i))
	}
}
