package hubbub_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// serve makes a hub reachable for an example.
func serve(hub *hubbub.Hub) (url string, closeServer func()) { return serveWith(hub, nil) }

func serveWith(hub *hubbub.Hub, opts *signalr.Options) (url string, closeServer func()) {
	mux := http.NewServeMux()
	signalr.MapHub(mux, "/hub", hub, opts)
	server := httptest.NewServer(mux)
	return server.URL + "/hub", func() {
		_ = hub.Shutdown(context.Background(), 0)
		server.Close()
	}
}

// open serves a hub for an example and connects a client to it.
func open(hub *hubbub.Hub, handlers ...func(c *signalr.Client)) (c *signalr.Client, closeAll func()) {
	url, closeServer := serve(hub)
	c = signalr.NewClient(url, nil)
	for _, on := range handlers {
		on(c)
	}
	if err := c.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	return c, func() {
		c.Close()
		closeServer()
	}
}

// A chat server. Any SignalR client can connect to http://localhost:8080/chat.
func Example_hello() {
	chat := hubbub.NewHub("chat", nil)

	chat.Handle("SendMessage", hubbub.Action2(func(ctx context.Context, user, message string) error {
		return chat.All().Send(ctx, "ReceiveMessage", user, message)
	}))

	signalr.MapHub(http.DefaultServeMux, "/chat", chat, nil)
	log.Fatal(http.ListenAndServe("localhost:8080", nil))
}

func ExampleHub() {
	hub := hubbub.NewHub("calculator", nil)
	hub.OnConnected(func(ctx context.Context) error {
		return hubbub.CallerFrom(ctx).Join(ctx, "everybody")
	})
	hub.Handle("Add", hubbub.Func2(func(_ context.Context, a, b int) (int, error) { return a + b, nil }))

	client, closeAll := open(hub)
	defer closeAll()
	sum, err := hubbub.Invoke[int](context.Background(), client, "add", 1, 2) // names are found without regard to case
	fmt.Println(sum, err)
	// Output: 3 <nil>
}

// A hub method learns who calls it from its context.
func ExampleCaller() {
	hub := hubbub.NewHub("counter", nil)
	hub.Handle("Count", hubbub.Func0(func(ctx context.Context) (int, error) {
		items := hubbub.CallerFrom(ctx).Items() // they belong to the connection
		n, _ := items.LoadOrStore("calls", new(int))
		*n.(*int)++ // calls of one connection run one at a time
		return *n.(*int), nil
	}))

	client, closeAll := open(hub)
	defer closeAll()
	for range 3 {
		n, _ := hubbub.Invoke[int](context.Background(), client, "Count")
		fmt.Println(n)
	}
	// Output:
	// 1
	// 2
	// 3
}

// Audiences are values; a send to one reaches each of its connections, on this node and on all others.
func ExampleClients() {
	hub := hubbub.NewHub("news", nil)
	hub.Handle("Follow", hubbub.Action1(func(ctx context.Context, topic string) error {
		return hubbub.CallerFrom(ctx).Join(ctx, topic)
	}))

	heard := make(chan string, 3)
	client, closeAll := open(hub, func(c *signalr.Client) {
		c.On("News", hubbub.Action1(func(_ context.Context, text string) error { heard <- text; return nil }))
	})
	defer closeAll()
	ctx := context.Background()
	_ = client.Invoke(ctx, nil, "Follow", "go")

	_ = hub.Group("go").Send(ctx, "News", "a new release")
	_ = hub.Group("rust").Send(ctx, "News", "not for us")
	_ = hub.All().Except(client.ID()).Send(ctx, "News", "not for us either")
	_ = hub.Client(client.ID()).Send(ctx, "News", "for you alone")
	fmt.Println(<-heard)
	fmt.Println(<-heard)
	// Output:
	// a new release
	// for you alone
}

// A result of type Seq is a stream to the client, a parameter of type Seq one from it.
func ExampleSeq() {
	hub := hubbub.NewHub("streams", nil)
	hub.Handle("Countdown", hubbub.Func1(func(_ context.Context, from int) (hubbub.Seq[int], error) {
		return func(yield func(int, error) bool) {
			for n := from; n > 0; n-- {
				if !yield(n, nil) {
					return // the client has cancelled, or is gone
				}
			}
		}, nil
	}))
	hub.Handle("Sum", hubbub.Func1(func(_ context.Context, numbers hubbub.Seq[int]) (total int, err error) {
		for n, err := range numbers {
			if err != nil {
				return 0, err
			}
			total += n
		}
		return total, nil
	}))

	client, closeAll := open(hub)
	defer closeAll()
	ctx := context.Background()
	countdown := hubbub.Stream[int](ctx, client, "Countdown", 3)
	for n, err := range countdown {
		fmt.Println(n, err)
	}
	total, err := hubbub.Invoke[int](ctx, client, "Sum", countdown) // what one method sends, the other reads
	fmt.Println(total, err)
	// Output:
	// 3 <nil>
	// 2 <nil>
	// 1 <nil>
	// 6 <nil>
}

// The text of such an error is for the client. Of any other it learns only that there was one.
func ExampleErrorf() {
	hub := hubbub.NewHub("rooms", &hubbub.Options{Logger: slog.New(slog.DiscardHandler)})
	hub.Handle("Enter", hubbub.Action1(func(_ context.Context, room string) error {
		return hubbub.Errorf("room %s is full", room)
	}))
	hub.Handle("Paint", hubbub.Action1(func(_ context.Context, room string) error {
		return &fs.PathError{Op: "open", Path: "/secret/" + room, Err: fs.ErrNotExist}
	}))

	client, closeAll := open(hub)
	defer closeAll()
	fmt.Println(client.Invoke(context.Background(), nil, "Enter", "12"))
	fmt.Println(client.Invoke(context.Background(), nil, "Paint", "12"))
	// Output:
	// An unexpected error occurred invoking 'Enter' on the server. HubException: room 12 is full
	// An unexpected error occurred invoking 'Paint' on the server.
}

// The text of a classified error is told only where detailed errors are on.
func ExampleClassify() {
	err := hubbub.Classify("TimeoutException", context.DeadlineExceeded, "the database took too long")
	fmt.Println(hubbub.Describe("It failed.", err, false))
	fmt.Println(hubbub.Describe("It failed.", err, true))
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// It failed.
	// It failed. TimeoutException: the database took too long
	// true
}

// The server asks a client, within a method or from anywhere else.
func ExampleInvoke() {
	hub := hubbub.NewHub("files", nil)
	hub.Handle("Delete", hubbub.Func1(func(ctx context.Context, name string) (string, error) {
		ctx, stop := context.WithTimeout(ctx, time.Minute) // a client may never answer
		defer stop()
		sure, err := hubbub.Invoke[bool](ctx, hubbub.CallerFrom(ctx), "Confirm", "Delete "+name+"?")
		switch {
		case err != nil:
			return "", err
		case !sure:
			return "kept " + name, nil
		}
		return "deleted " + name, nil
	}))

	client, closeAll := open(hub, func(c *signalr.Client) {
		c.On("Confirm", hubbub.Func1(func(_ context.Context, question string) (bool, error) {
			fmt.Println(question)
			return true, nil
		}))
	})
	defer closeAll()
	fmt.Println(hubbub.Invoke[string](context.Background(), client, "Delete", "a.txt"))
	// Output:
	// Delete a.txt?
	// deleted a.txt <nil>
}

// A filter stands around every call of a hub.
func ExampleFilter() {
	hub := hubbub.NewHub("filtered", nil)
	hub.Handle("Greet", hubbub.Func1(func(_ context.Context, name string) (string, error) { return "Hello " + name, nil }))
	hub.Use(func(next hubbub.HandlerFunc) hubbub.HandlerFunc {
		return func(ctx context.Context, in *hubbub.Invocation) (any, error) {
			if name, ok := in.Argument(0).(*string); ok && *name == "" {
				*name = "stranger"
			}
			result, err := next(ctx, in)
			fmt.Println(in.Method(), "answers", result)
			return result, err
		}
	})

	client, closeAll := open(hub)
	defer closeAll()
	_ = client.Invoke(context.Background(), nil, "greet", "")
	// Output: Greet answers Hello stranger
}

// A rule decides who may call a method. It is a function, so that any can be written.
func ExampleRule() {
	weekdays := func(_ context.Context, u *hubbub.User, in *hubbub.Invocation) bool {
		return u.HasRole("admin") || time.Now().Weekday() != time.Sunday
	}
	hub := hubbub.NewHub("ruled", nil)
	restart := hubbub.Action0(func(context.Context) error { return nil })
	hub.Handle("Restart", restart, hubbub.RequireRole("admin", "operator"), weekdays)

	client, closeAll := open(hub)
	defer closeAll()
	fmt.Println(client.Invoke(context.Background(), nil, "Restart"))
	// Output: Failed to invoke 'Restart' because user is unauthorized
}

// Raw takes what comes: any number of arguments, each decoded when its type is known.
func ExampleRaw() {
	hub := hubbub.NewHub("raw", nil)
	hub.Handle("Join", hubbub.Raw(func(_ context.Context, args hubbub.Args) (any, error) {
		all := ""
		for i := range args.Len() {
			var v any
			if err := args.Decode(i, &v); err != nil {
				return nil, err
			}
			all += fmt.Sprint(v)
		}
		return all, nil
	}))

	client, closeAll := open(hub)
	defer closeAll()
	fmt.Println(hubbub.Invoke[string](context.Background(), client, "Join", "a", 1, true))
	// Output: a1true <nil>
}

func ExampleUser() {
	u := &hubbub.User{ID: "u-17", Name: "Ann", Claims: map[string]any{
		"role": []any{"writer", "reader"}, "scope": "notes:read notes:write", "tenant": "blue",
	}}
	fmt.Println(u.HasRole("writer"), u.HasScope("notes:write"), u.Claim("tenant"))

	var anonymous *hubbub.User
	fmt.Println(anonymous.HasRole("writer"), anonymous.Same(u))
	// Output:
	// true true blue
	// false false
}

// Two nodes that share a backplane are one hub.
func ExampleNewLocal() {
	bus := hubbub.NewLocal()
	defer bus.Close()
	first := hubbub.NewHub("farm", &hubbub.Options{Backplane: bus, Node: "first"})
	second := hubbub.NewHub("farm", &hubbub.Options{Backplane: bus, Node: "second"})
	signalr.Handler(first, nil) // a node must know which protocols it encodes for

	heard := make(chan string, 1)
	_, closeAll := open(second, func(c *signalr.Client) {
		c.On("News", hubbub.Action1(func(_ context.Context, text string) error { heard <- text; return nil }))
	})
	defer closeAll()
	_ = first.All().Send(context.Background(), "News", "from the first node")
	fmt.Println(<-heard)
	// Output: from the first node
}

func ExampleKeyRing() {
	old := hubbub.Key{ID: 1, Secret: []byte("a secret of thirty-two bytes, old")}
	ring, err := hubbub.NewKeyRing(old)
	if err != nil {
		log.Fatal(err)
	}
	id, mac := ring.Sign("invitation", []byte("room 12"))

	rotated, err := hubbub.NewKeyRing(hubbub.Key{ID: 2, Secret: []byte("a secret of thirty-two bytes, new")}, old)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rotated.Current(), rotated.Verify(id, "invitation", []byte("room 12"), mac))
	fmt.Println(rotated.Verify(id, "invitation", []byte("room 13"), mac))

	other := hubbub.RandomKeyRing() // forgotten at the end of the process
	fmt.Println(other.Verify(id, "invitation", []byte("room 12"), mac))
	// Output:
	// 2 true
	// false
	// false
}

// A session that ends takes its connections with it.
func ExampleHub_CloseWhere() {
	hub := hubbub.NewHub("sessions", nil)
	closed := make(chan struct{})
	hub.OnDisconnected(func(context.Context, error) { close(closed) })

	client, closeAll := open(hub)
	defer closeAll()
	n := hub.CloseWhere(func(c *hubbub.Caller) bool { return c.ID() == client.ID() }, "the session has ended", false)
	<-closed
	fmt.Println(n, "connection closed")
	// Output: 1 connection closed
}

func ExampleHub_Shutdown() {
	hub := hubbub.NewHub("leaving", nil)
	_, closeAll := open(hub)
	defer closeAll()

	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	err := hub.Shutdown(ctx, 500) // clients come back elsewhere, 500 of them a second
	fmt.Println(err, hub.Stats().Connections)
	// Output: <nil> 0
}

func ExampleHub_Stats() {
	hub := hubbub.NewHub("counted", nil)
	hub.Handle("Ping", hubbub.Action0(func(context.Context) error { return nil }))
	client, closeAll := open(hub)
	defer closeAll()
	for range 5 {
		_ = client.Invoke(context.Background(), nil, "Ping")
	}
	s := hub.Stats()
	fmt.Println(s.Connections, s.Invocations, s.Failed)
	// Output: 1 5 0
}
