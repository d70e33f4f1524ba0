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

// said sends what a method was called with back to its caller.
func said(ctx context.Context, args ...any) error {
	return hubbub.CallerFrom(ctx).Send(ctx, "said", args...)
}

// sum adds a stream up.
func sum(s hubbub.Seq[int]) (total int, err error) {
	for n, err := range s {
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

// count is a stream of the numbers below n.
func count(n int) hubbub.Seq[int] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
	}
}

type point struct{ X, Y int }

func adapters(h *hubbub.Hub) {
	h.Handle("A0", hubbub.Action0(func(ctx context.Context) error { return said(ctx) }))
	h.Handle("A1", hubbub.Action1(func(ctx context.Context, a string) error { return said(ctx, a) }))
	h.Handle("A2", hubbub.Action2(func(ctx context.Context, a string, b point) error { return said(ctx, a, b) }))
	h.Handle("A3", hubbub.Action3(func(ctx context.Context, a string, b *int, c []byte) error { return said(ctx, a, b, c) }))
	h.Handle("A4", hubbub.Action4(func(ctx context.Context, a, b string, c map[string]int, d any) error { return said(ctx, a, b, c, d) }))
	h.Handle("F0", hubbub.Func0(func(context.Context) (int, error) { return 7, nil }))
	h.Handle("F1", hubbub.Func1(func(_ context.Context, a int) (int, error) { return a + 1, nil }))
	h.Handle("F2", hubbub.Func2(func(_ context.Context, a, b int) (point, error) { return point{a, b}, nil }))
	h.Handle("F3", hubbub.Func3(func(_ context.Context, a, b, c int) ([]int, error) { return []int{a, b, c}, nil }))
	h.Handle("F4", hubbub.Func4(func(_ context.Context, a, b, c, d int) (any, error) { return a + b + c + d, nil }))
	h.Handle("Raw", hubbub.Raw(func(_ context.Context, args hubbub.Args) (any, error) {
		var last string
		if args.Len() > 0 {
			if err := args.Decode(args.Len()-1, &last); err != nil {
				return nil, err
			}
		}
		return fmt.Sprint(args.Len(), last), nil
	}))
	h.Handle("RawStream", hubbub.RawStream(func(_ context.Context, args hubbub.Args) (hubbub.Seq[any], error) {
		return func(yield func(any, error) bool) {
			for i := range args.Len() {
				var v any
				if err := args.Decode(i, &v); !yield(v, err) {
					return
				}
			}
		}, nil
	}))
	h.Handle("Count", hubbub.Func1(func(_ context.Context, n int) (hubbub.Seq[int], error) { return count(n), nil }))
	h.Handle("Up1", hubbub.Func1(func(_ context.Context, s hubbub.Seq[int]) (int, error) { return sum(s) }))
	h.Handle("Up3", hubbub.Func3(func(_ context.Context, a string, s hubbub.Seq[int], b string) (string, error) {
		n, err := sum(s)
		return fmt.Sprint(a, n, b), err
	}))
	h.Handle("Up4", hubbub.Func4(func(_ context.Context, s hubbub.Seq[int], a string, u hubbub.Seq[string], b int) (string, error) {
		n, err := sum(s)
		for t, err := range u {
			if err != nil {
				return "", err
			}
			a += t
		}
		return fmt.Sprint(n, a, b), err
	}))
	h.Handle("UpAction2", hubbub.Action2(func(ctx context.Context, a string, s hubbub.Seq[int]) error {
		n, err := sum(s)
		return errors.Join(err, said(ctx, a, n))
	}))
	h.Handle("Through", hubbub.Func2(func(_ context.Context, s hubbub.Seq[int], factor int) (hubbub.Seq[int], error) {
		return func(yield func(int, error) bool) {
			for n, err := range s {
				if !yield(n*factor, err) {
					return
				}
			}
		}, nil
	}))
}

func TestAdapters(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	adapters(h)
	p := connect(t, h)
	tests := []struct {
		method string
		args   []any
		want   []string
	}{
		{"A0", nil, []string{`said()`, `done 1 = null`}},
		{"A1", []any{"x"}, []string{`said("x")`, `done 1 = null`}},
		{"A2", []any{"x", point{1, 2}}, []string{`said("x",{"X":1,"Y":2})`, `done 1 = null`}},
		{"A3", []any{"x", nil, []byte{1}}, []string{`said("x",null,"AQ==")`, `done 1 = null`}},
		{"A4", []any{"x", "y", map[string]int{"z": 1}, []int{2}}, []string{`said("x","y",{"z":1},[2])`, `done 1 = null`}},
		{"F0", nil, []string{`done 1 = 7`}},
		{"F1", []any{1}, []string{`done 1 = 2`}},
		{"F2", []any{1, 2}, []string{`done 1 = {"X":1,"Y":2}`}},
		{"F3", []any{1, 2, 3}, []string{`done 1 = [1,2,3]`}},
		{"F4", []any{1, 2, 3, 4}, []string{`done 1 = 10`}},
		{"Raw", nil, []string{`done 1 = "0"`}},
		{"Raw", []any{1, 2, 3, 4, "x"}, []string{`done 1 = "5x"`}},
		{"F1", nil, []string{`done 1 ! Failed to invoke 'F1' due to an error on the server.`}},
		{"F1", []any{1, 2}, []string{`done 1 ! Failed to invoke 'F1' due to an error on the server.`}},
		{"F1", []any{"x"}, []string{`done 1 ! Failed to invoke 'F1' due to an error on the server.`}},
		{"Raw", []any{1}, []string{`done 1 ! An unexpected error occurred invoking 'Raw' on the server.`}},
		{"Nothing", nil, []string{`done 1 ! Failed to invoke 'Nothing' due to an error on the server. HubException: Method does not exist.`}},
		{"Count", []any{1}, []string{`done 1 ! The client attempted to invoke the streaming 'Count' method with a non-streaming invocation.`}},
	}
	for _, test := range tests {
		p.call("1", test.method, test.args...)
		p.expect(test.want...)
	}
	p.stream("2", "Count", 3)
	p.expect("item 2 = 0", "item 2 = 1", "item 2 = 2", "done 2")
	p.stream("2", "RawStream", "a", 1)
	p.expect(`item 2 = "a"`, `item 2 = 1`, "done 2")
	p.stream("2", "F0")
	p.expect("done 2 ! The client attempted to invoke the non-streaming 'F0' method with a streaming invocation.")
}

func TestStreamParametersInAnyPlace(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	adapters(h)
	p := connect(t, h)

	p.upload("1", "Up1", []string{"s"})
	p.item("s", 1)
	p.item("s", 2)
	p.end("s", "")
	p.expect("done 1 = 3")

	p.upload("1", "Up3", []string{"s"}, "a", "b")
	p.item("s", 5)
	p.end("s", "")
	p.expect(`done 1 = "a5b"`)

	p.upload("1", "Up4", []string{"s", "u"}, "a", 9)
	p.item("u", "x")
	p.item("s", 1)
	p.item("u", "y")
	p.end("u", "")
	p.item("s", 2)
	p.end("s", "")
	p.expect(`done 1 = "3axy9"`)

	p.upload("", "UpAction2", []string{"s"}, "a")
	p.item("s", 4)
	p.end("s", "")
	p.expect(`said("a",4)`)

	in := p.invocation("1", "Through", []any{10})
	in.Stream, in.StreamIDs = true, []string{"s"}
	p.receive(in)
	p.item("s", 1)
	p.expect("item 1 = 10")
	p.item("s", 2)
	p.expect("item 1 = 20")
	p.end("s", "")
	p.expect("done 1")

	for _, ids := range [][]string{nil, {"s", "t"}} {
		p.upload("1", "Up1", ids)
		p.expect(fmt.Sprintf("done 1 ! An unexpected error occurred invoking 'Up1' on the server. HubException: Client sent %d stream(s), Hub method expects 1.", len(ids)))
	}
	p.upload("1", "F0", []string{"s"})
	p.expect("done 1 ! An unexpected error occurred invoking 'F0' on the server. HubException: Client sent 1 stream(s), Hub method expects 0.")
}

func TestNamesWithoutRegardToCase(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	h.Handle("SendMessage", hubbub.Func0(func(context.Context) (int, error) { return 1, nil }))
	h.Handle("GRÜSSE", hubbub.Func0(func(context.Context) (int, error) { return 2, nil }))
	h.Handle("Fails", hubbub.Action1(func(context.Context, int) error { return nil }))
	p := connect(t, h)
	for name, want := range map[string]string{"SendMessage": "done 1 = 1", "sendmessage": "done 1 = 1", "SENDMESSAGE": "done 1 = 1", "grüsse": "done 1 = 2"} {
		p.call("1", name)
		p.expect(want)
	}
	p.call("1", "fAILS")
	p.expect("done 1 ! Failed to invoke 'Fails' due to an error on the server.")
	p.call("1", "sendMessageX")
	p.expect("done 1 ! Failed to invoke 'sendMessageX' due to an error on the server. HubException: Method does not exist.")
	names := h.Methods()
	slices.Sort(names)
	if want := []string{"Fails", "GRÜSSE", "SendMessage"}; !slices.Equal(names, want) {
		t.Errorf("methods %q, want %q", names, want)
	}
}

// TestOnlyRegisteredMethods asks for the names that a hub has otherwise.
func TestOnlyRegisteredMethods(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	called := false
	h.OnConnected(func(context.Context) error { return nil })
	h.OnDisconnected(func(context.Context, error) { called = true })
	p := connect(t, h)
	for _, name := range []string{"OnConnected", "onDisconnected", "Abort", "abort", "Handle", "Shutdown", "Close", "Items", "connectionID", ""} {
		p.call("1", name, "victim")
		if got := p.next().text(); !strings.HasSuffix(got, "HubException: Method does not exist.") {
			t.Errorf("%q answered %s", name, got)
		}
	}
	if called {
		t.Error("a client called OnDisconnected")
	}
}

func TestRegistrationPanics(t *testing.T) {
	t.Parallel()
	method := hubbub.Action0(func(context.Context) error { return nil })
	served := newHub(nil)
	connect(t, served)
	fresh := newHub(nil)
	fresh.Handle("Taken", method)
	for what, f := range map[string]func(){
		"empty name":               func() { fresh.Handle("", method) },
		"nil method":               func() { fresh.Handle("X", nil) },
		"name taken":               func() { fresh.Handle("taken", method) },
		"Handle late":              func() { served.Handle("X", method) },
		"Use late":                 func() { served.Use() },
		"OnConnected late":         func() { served.OnConnected(nil) },
		"OnDisconnected late":      func() { served.OnDisconnected(nil) },
		"OnAuthentication... late": func() { served.OnAuthenticationRefreshed(nil) },
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.HasPrefix(text, "hubbub: ") {
					t.Errorf("%s: panic %q, want one that says hubbub", what, text)
				}
			}()
			f()
		}()
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	adapters(h)
	var order []string
	note := func(name string) hubbub.Filter {
		return func(next hubbub.HandlerFunc) hubbub.HandlerFunc {
			return func(ctx context.Context, in *hubbub.Invocation) (any, error) {
				order = append(order, name+" before "+in.Method()+" as "+in.Target)
				defer func() { order = append(order, name+" after") }()
				return next(ctx, in)
			}
		}
	}
	h.Use(note("outer"), note("middle"))
	h.Use(func(next hubbub.HandlerFunc) hubbub.HandlerFunc {
		return func(ctx context.Context, in *hubbub.Invocation) (any, error) {
			switch in.Method() {
			case "F0":
				v, err := next(ctx, in)
				return v.(int) * 2, err
			case "F2":
				*in.Argument(1).(*int)++
			case "F3":
				return "never reached", nil
			case "A1":
				return nil, hubbub.Errorf("%s may not", *in.Argument(0).(*string))
			case "Raw":
				*in.Argument(0).(*hubbub.Args) = hubbub.ArgsOf("one", "two")
			case "Up1":
				old := *in.Argument(0).(*hubbub.Seq[int])
				*in.Argument(0).(*hubbub.Seq[int]) = func(yield func(int, error) bool) {
					for v, err := range old {
						if !yield(-v, err) {
							return
						}
					}
				}
			case "Count":
				v, err := next(ctx, in)
				return hubbub.Seq[string](func(yield func(string, error) bool) {
					for n, err := range v.(hubbub.Seq[int]) {
						if !yield(fmt.Sprint("n", n), err) {
							return
						}
					}
				}), err
			case "RawStream":
				return 5, nil
			}
			if in.Method() != "Raw" && in.Argument(4) != nil || in.Argument(-1) != nil {
				t.Error("an argument that is not there")
			}
			return next(ctx, in)
		}
	})
	p := connect(t, h)
	p.call("1", "f0")
	p.expect("done 1 = 14")
	if want := []string{"outer before F0 as f0", "middle before F0 as f0", "middle after", "outer after"}; !slices.Equal(order, want) {
		t.Errorf("filters ran %q, want %q", order, want)
	}
	p.call("1", "F2", 1, 2)
	p.expect(`done 1 = {"X":1,"Y":3}`)
	p.call("1", "F3", 1, 2, 3)
	p.expect(`done 1 = "never reached"`)
	p.call("1", "A1", "ann")
	p.expect("done 1 ! An unexpected error occurred invoking 'A1' on the server. HubException: ann may not")
	p.call("1", "Raw")
	p.expect(`done 1 = "2two"`)
	p.upload("1", "Up1", []string{"s"})
	p.item("s", 3)
	p.end("s", "")
	p.expect("done 1 = -3")
	p.stream("1", "Count", 2)
	p.expect(`item 1 = "n0"`, `item 1 = "n1"`, "done 1")
	p.stream("1", "RawStream")
	p.expect("done 1 ! The value returned by the streaming method 'RawStream' is not a ChannelReader<> or IAsyncEnumerable<>.")
	seen := len(order)
	p.call("1", "F1", "no number")
	p.next()
	p.call("1", "Count", 1)
	p.next()
	if len(order) != seen {
		t.Error("a filter saw a call that was not bound")
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	h := newHub(nil)
	var asked []string
	h.Handle("Read", hubbub.Func1(func(_ context.Context, n int) (int, error) { return n, nil }), hubbub.RequireUser())
	h.Handle("Write", hubbub.Func0(func(context.Context) (int, error) { return 2, nil }), hubbub.RequireRole("admin", "writer"),
		func(ctx context.Context, u *hubbub.User, in *hubbub.Invocation) bool {
			asked = append(asked, in.Method()+" by "+u.Name+" of "+hubbub.CallerFrom(ctx).ID())
			return true
		})
	anonymous := connect(t, h)
	anonymous.call("1", "read", 1)
	anonymous.expect("done 1 ! Failed to invoke 'Read' because user is unauthorized")
	anonymous.call("1", "Read", "binding comes first")
	anonymous.expect("done 1 ! Failed to invoke 'Read' due to an error on the server.")
	anonymous.call("1", "Write")
	anonymous.expect("done 1 ! Failed to invoke 'Write' because user is unauthorized")
	ann := connect(t, h, named("c1"), as(&hubbub.User{Name: "ann", Claims: map[string]any{"role": "writer"}}))
	ann.call("1", "Read", 1)
	ann.expect("done 1 = 1")
	ann.call("1", "Write")
	ann.expect("done 1 = 2")
	if want := []string{"Write by ann of c1"}; !slices.Equal(asked, want) {
		t.Errorf("rule was asked %q, want %q", asked, want)
	}
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	user, admin := &hubbub.User{ID: "u"}, &hubbub.User{ID: "a", Claims: map[string]any{"role": "admin"}}
	tests := []struct {
		name               string
		opts               hubbub.Options
		nobody, user, root bool
	}{
		{"open", hubbub.Options{}, true, true, true},
		{"any user", hubbub.Options{RequireUser: true}, false, true, true},
		{"a rule", hubbub.Options{Require: []hubbub.Rule{hubbub.RequireRole("admin")}}, false, false, true},
		{"all rules", hubbub.Options{Require: []hubbub.Rule{hubbub.RequireUser(), hubbub.RequireScope("x")}}, false, false, false},
	}
	for _, test := range tests {
		h := newHub(&test.opts)
		for who, want := range map[*hubbub.User]bool{nil: test.nobody, user: test.user, admin: test.root} {
			if got := h.Authorize(t.Context(), who); got != want {
				t.Errorf("%s: %+v is let in: %v, want %v", test.name, who, got, want)
			}
		}
	}
}
