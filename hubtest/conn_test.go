package hubtest_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/hubtest"
	"github.com/hubbub-go/hubbub/signalr"
)

func TestTwoUsers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		chat := newHub(hubbub.Options{})
		ann := hubtest.Connect(t, chat, "ann")
		bob := hubtest.Connect(t, chat, "bob")
		if ann.ID() == "" || ann.ID() == bob.ID() {
			t.Errorf("connection ids %q and %q, want two", ann.ID(), bob.ID())
		}
		if err := ann.Send(t.Context(), "SendMessage", "ann", "hi"); err != nil {
			t.Fatal(err)
		}
		hubtest.Expect(t, bob, "ReceiveMessage", "ann", "hi")
		hubtest.ExpectNothing(t, bob)
		hubtest.Expect(t, ann, "ReceiveMessage", "ann", "hi")
		if err := chat.User("bob").Send(t.Context(), "Private", 1, nil, []string{"x"}); err != nil {
			t.Fatal(err)
		}
		hubtest.ExpectNothing(t, ann)
		hubtest.Expect(t, bob, "Private", 1.0, nil, []any{"x"})
	})
}

func TestGroups(t *testing.T) {
	bubble(t, func(t *testing.T) {
		chat := newHub(hubbub.Options{})
		ann := hubtest.Connect(t, chat, "ann")
		bob := hubtest.Connect(t, chat, "bob")
		if err := ann.Invoke(t.Context(), nil, "Join", "red"); err != nil {
			t.Fatal(err)
		}
		_ = bob.Send(t.Context(), "ToGroup", "red", "one")
		hubtest.Expect(t, ann, "ReceiveMessage", "red", "one")
		hubtest.ExpectNothing(t, bob)
		if err := ann.Invoke(t.Context(), nil, "Leave", "red"); err != nil {
			t.Fatal(err)
		}
		_ = bob.Send(t.Context(), "ToGroup", "red", "two")
		hubtest.ExpectNothing(t, ann)
	})
}

// TestProtocolsAndTransports calls in both directions, in every way, over everything, inside and outside of a bubble.
func TestProtocolsAndTransports(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		protocol  string
		transport signalr.Transport
	}{
		{"json", signalr.WebSockets}, {"json", signalr.ServerSentEvents}, {"json", signalr.LongPolling},
		{"messagepack", signalr.WebSockets}, {"messagepack", signalr.LongPolling},
	} {
		everything := func(t *testing.T) {
			chat := newHub(hubbub.Options{})
			user := &hubbub.User{ID: "ann", Claims: map[string]any{"team": "red"}}
			ann := hubtest.ConnectAs(t, chat, user, &signalr.ClientOptions{Protocol: tt.protocol, Transports: tt.transport})
			ann.On("Confirm", hubbub.Func1(func(_ context.Context, question string) (bool, error) { return question == "sure?", nil }))
			if n, err := hubbub.Invoke[int](t.Context(), ann, "Double", 21); n != 42 || err != nil {
				t.Errorf("Double(21): %d, %v", n, err)
			}
			if who, err := hubbub.Invoke[string](t.Context(), ann, "WhoAmI"); who != "ann of red" || err != nil {
				t.Errorf("WhoAmI: %q, %v, want ann of red", who, err)
			}
			if ok, err := hubbub.Invoke[bool](t.Context(), ann, "Confirm", "sure?"); !ok || err != nil {
				t.Errorf("Confirm: %v, %v, want true", ok, err)
			}
			var items []int
			for n, err := range hubbub.Stream[int](t.Context(), ann, "Count", 3) {
				if err != nil {
					t.Fatal(err)
				}
				items = append(items, n)
			}
			if !slices.Equal(items, []int{0, 1, 2}) {
				t.Errorf("items %v, want 0 1 2", items)
			}
			type point struct{ XPos, Y int }
			if err := chat.All().Send(t.Context(), "Draw", point{1, 2}, []byte{1, 2}, map[string]any{"n": 1.5}); err != nil {
				t.Fatal(err)
			}
			hubtest.Expect(t, ann, "Draw", point{1, 2}, []byte{1, 2}, map[string]float64{"n": 1.5})
		}
		name := fmt.Sprintf("%s over %v", tt.protocol, tt.transport)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everything(t)
		})
		t.Run(name+" in a bubble", func(t *testing.T) { bubble(t, everything) })
	}
}

func TestConnectWaitsForOnConnected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		chat := newHub(hubbub.Options{})
		joined := 0
		chat.OnConnected(func(ctx context.Context) error {
			joined++
			return hubbub.CallerFrom(ctx).Send(ctx, "Welcome")
		})
		var left []error
		chat.OnDisconnected(func(_ context.Context, err error) { left = append(left, err) })
		ann := hubtest.Connect(t, chat, "")
		if joined != 1 {
			t.Errorf("OnConnected has run %d times, want once", joined)
		}
		hubtest.Expect(t, ann, "Welcome")
		if who, err := hubbub.Invoke[string](t.Context(), ann, "WhoAmI"); who != "nobody" || err != nil {
			t.Errorf("WhoAmI: %q, %v, want nobody", who, err)
		}
		if err := ann.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(left) != 1 || left[0] != nil {
			t.Errorf("OnDisconnected heard %v, want one end in order", left)
		}
	})
}

func TestUnansweredClientResult(t *testing.T) {
	bubble(t, func(t *testing.T) {
		chat := newHub(hubbub.Options{EnableDetailedErrors: true})
		ann := hubtest.Connect(t, chat, "ann")
		_, err := hubbub.Invoke[bool](t.Context(), ann, "Confirm", "sure?")
		if err == nil {
			t.Error("the call went well, want an error as nobody answers")
		}
		hubtest.Expect(t, ann, "Confirm", "sure?")
	})
}

func TestConnectRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		chat := newHub(hubbub.Options{RequireUser: true})
		got := failure(t, func(t testing.TB) { hubtest.Connect(t, chat, "") })
		wantText(t, "failure", got, "hubtest: connect an anonymous connection: start: negotiate: the server answered with status 401 (Unauthorized)")
		hubtest.Connect(t, chat, "ann")
	})
}
