package hubtest_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/hubtest"
	"github.com/hubbub-go/hubbub/signalr"
)

// The t of the examples is that of the test function in which their code stands.
var t *testing.T

func TestExamples(outer *testing.T) {
	for name, example := range map[string]func(){
		"package": Example, "Any": ExampleAny, "Conn": ExampleConn, "Connect": ExampleConnect, "ConnectAs": ExampleConnectAs,
		"Context": ExampleContext, "ContextAs": ExampleContextAs, "Expect": ExampleExpect, "ExpectNothing": ExampleExpectNothing,
		"Link": ExampleLink, "Link.HalfOpen": ExampleLink_HalfOpen, "Link.Delay": ExampleLink_Delay, "NewServer": ExampleNewServer,
		"Receive": ExampleReceive, "Server": ExampleServer,
	} {
		outer.Run(name, func(inner *testing.T) {
			t = inner
			example()
		})
	}
}

// newChat is the hub of the examples: what one says all hear.
func newChat() *hubbub.Hub {
	chat := hubbub.NewHub("chat", nil)
	chat.Handle("SendMessage", hubbub.Action2(func(ctx context.Context, user, message string) error {
		return chat.All().Send(ctx, "ReceiveMessage", user, message)
	}))
	return chat
}

// Two people in a hub. Nothing waits and nothing sleeps.
func Example() {
	synctest.Test(t, func(t *testing.T) {
		chat := newChat()
		ann := hubtest.Connect(t, chat, "ann")
		bob := hubtest.Connect(t, chat, "bob")

		ann.Send(t.Context(), "SendMessage", "ann", "hi")

		hubtest.Expect(t, bob, "ReceiveMessage", "ann", "hi")
		hubtest.ExpectNothing(t, bob)
	})
}

func ExampleConnect() {
	synctest.Test(t, func(t *testing.T) {
		chat := newChat()
		ann := hubtest.Connect(t, chat, "ann")

		chat.User("ann").Send(t.Context(), "Private", "only for you")

		hubtest.Expect(t, ann, "Private", "only for you")
	})
}

func ExampleConnectAs() {
	synctest.Test(t, func(t *testing.T) {
		chat := newChat()
		chat.Handle("Close", hubbub.Action0(func(ctx context.Context) error {
			return chat.All().Send(ctx, "Closed")
		}), hubbub.RequireRole("moderator"))
		user := &hubbub.User{ID: "ann", Claims: map[string]any{"role": "moderator"}}
		ann := hubtest.ConnectAs(t, chat, user, &signalr.ClientOptions{Protocol: "messagepack"})

		if err := ann.Invoke(t.Context(), nil, "Close"); err != nil {
			t.Fatal(err)
		}

		hubtest.Expect(t, ann, "Closed")
	})
}

// A connection is a client: it calls the hub, and answers it.
func ExampleConn() {
	synctest.Test(t, func(t *testing.T) {
		chat := newChat()
		chat.Handle("Delete", hubbub.Func1(func(ctx context.Context, name string) (bool, error) {
			return hubbub.Invoke[bool](ctx, hubbub.CallerFrom(ctx), "Confirm", "Delete "+name+"?")
		}))
		ann := hubtest.Connect(t, chat, "ann")
		ann.On("Confirm", hubbub.Func1(func(_ context.Context, question string) (bool, error) {
			return question == "Delete all?", nil
		}))

		deleted, err := hubbub.Invoke[bool](t.Context(), ann, "Delete", "all")

		if !deleted || err != nil {
			t.Errorf("deleted: %v, %v", deleted, err)
		}
	})
}

// A hub method is a function. It can be called as one.
func ExampleContext() {
	greet := func(ctx context.Context) (string, error) {
		return "Hello, " + hubbub.CallerFrom(ctx).User().ID, nil
	}

	got, err := greet(hubtest.Context(t, "ann"))

	if got != "Hello, ann" || err != nil {
		t.Errorf("greet: %q, %v", got, err)
	}
}

func ExampleContextAs() {
	remove := func(ctx context.Context) error {
		if !hubbub.UserFrom(ctx).HasRole("moderator") {
			return hubbub.Errorf("only moderators remove messages")
		}
		return nil
	}

	user := &hubbub.User{ID: "ann", Claims: map[string]any{"role": "moderator"}}
	if err := remove(hubtest.ContextAs(t, user)); err != nil {
		t.Errorf("remove: %v", err)
	}
}

func ExampleExpect() {
	synctest.Test(t, func(t *testing.T) {
		chat := newChat()
		ann := hubtest.Connect(t, chat, "ann")

		chat.All().Send(t.Context(), "Score", map[string]int{"ann": 3, "bob": 5})
		chat.All().Send(t.Context(), "Over")

		hubtest.Expect(t, ann, "Score", map[string]int{"ann": 3, "bob": 5})
		hubtest.Expect(t, ann, "Over")
	})
}

func ExampleAny() {
	synctest.Test(t, func(t *testing.T) {
		chat := newChat()
		ann := hubtest.Connect(t, chat, "ann")

		chat.All().Send(t.Context(), "Joined", hubbub.NewConnectionID(), "bob")

		hubtest.Expect(t, ann, "Joined", hubtest.Any, "bob")
	})
}

func ExampleReceive() {
	synctest.Test(t, func(t *testing.T) {
		chat := newChat()
		ann := hubtest.Connect(t, chat, "ann")

		chat.All().Send(t.Context(), "Now", time.Now())

		var now time.Time
		if err := hubtest.Receive(t, ann, "Now").Decode(0, &now); err != nil || now.IsZero() {
			t.Errorf("time %v, %v", now, err)
		}
	})
}

// Inside a bubble it is a fact that nothing comes.
func ExampleExpectNothing() {
	synctest.Test(t, func(t *testing.T) {
		chat := newChat()
		ann := hubtest.Connect(t, chat, "ann")

		time.AfterFunc(time.Hour, func() { chat.All().Send(context.Background(), "Lunch") })

		time.Sleep(time.Hour - 1)
		hubtest.ExpectNothing(t, ann)
		time.Sleep(time.Nanosecond)
		hubtest.Expect(t, ann, "Lunch")
	})
}

// A client tries at once, then after 2 and after 10 more seconds. The test takes none of them.
func ExampleLink() {
	synctest.Test(t, func(t *testing.T) {
		chat := newChat()
		ann := hubtest.ConnectAs(t, chat, nil, &signalr.ClientOptions{
			ClientOptions: hubbub.ClientOptions{Reconnect: hubbub.StandardRetry()},
		})

		ann.Link().Down()
		time.Sleep(5 * time.Second)
		ann.Link().Up()
		time.Sleep(7 * time.Second)
		synctest.Wait()

		if s := ann.State(); s != hubbub.Connected {
			t.Errorf("after 12 s the client is %v", s)
		}
	})
}

// Nothing tells a client that its connection is dead, except that it hears nothing for 30 s.
func ExampleLink_HalfOpen() {
	synctest.Test(t, func(t *testing.T) {
		ann := hubtest.Connect(t, newChat(), "ann")

		ann.Link().HalfOpen()

		time.Sleep(30*time.Second - 1)
		synctest.Wait()
		if s := ann.State(); s != hubbub.Connected {
			t.Errorf("just before 30 s the client is %v", s)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if s := ann.State(); s != hubbub.Disconnected {
			t.Errorf("after 30 s the client is %v", s)
		}
	})
}

// A caller who is patient for a second, on a network that needs longer.
func ExampleLink_Delay() {
	synctest.Test(t, func(t *testing.T) {
		ann := hubtest.Connect(t, newChat(), "ann")
		ann.Link().Delay(600 * time.Millisecond)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()

		if err := ann.Invoke(ctx, nil, "SendMessage", "ann", "hi"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("invoke: %v", err)
		}
	})
}

// A client of package signalr, as the program makes it, over each transport.
func ExampleNewServer() {
	for _, transport := range []signalr.Transport{signalr.WebSockets, signalr.ServerSentEvents, signalr.LongPolling} {
		synctest.Test(t, func(t *testing.T) {
			mux := http.NewServeMux()
			signalr.MapHub(mux, "/chat", newChat(), nil)
			server := hubtest.NewServer(t, mux)

			client := signalr.NewClient(server.URL+"/chat", &signalr.ClientOptions{
				HTTPClient: server.Link().HTTPClient(),
				Transports: transport,
			})
			if err := client.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := client.Invoke(t.Context(), nil, "SendMessage", "ann", "hi"); err != nil {
				t.Error(err)
			}
			client.Close()
		})
	}
}

// An application with what is around its hubs, here a token.
func ExampleServer() {
	synctest.Test(t, func(t *testing.T) {
		mux := http.NewServeMux()
		signalr.MapHub(mux, "/chat", newChat(), nil)
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer secret" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			mux.ServeHTTP(w, r)
		})
		server := hubtest.NewServer(t, app)

		ann := server.Connect(t, "/chat", &signalr.ClientOptions{
			Token: func(context.Context) (string, error) { return "secret", nil },
		})

		ann.Send(t.Context(), "SendMessage", "ann", "hi")
		hubtest.Expect(t, ann, "ReceiveMessage", "ann", "hi")
	})
}
