package hubbub_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// guests is what a hub is about: ordinary Go, which a unit test calls directly.
type guests struct {
	mu     sync.Mutex
	people []string
}

func (g *guests) enter(_ context.Context, name string) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if slices.Contains(g.people, name) {
		return 0, hubbub.Errorf("%s is in already", name)
	}
	g.people = append(g.people, name)
	return len(g.people), nil
}

func (g *guests) clear(context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.people = nil
	return nil
}

// A method value is as good as a function. Action is for those without a result, Func for those with one; the digit is the
// number of arguments.
func ExampleMethod() {
	g := &guests{}
	hub := hubbub.NewHub("room", &hubbub.Options{Logger: nothingLogged})
	hub.Handle("Enter", hubbub.Func1(g.enter))
	hub.Handle("Clear", hubbub.Action0(g.clear))

	client, closeAll := open(hub)
	defer closeAll()
	ctx := context.Background()
	fmt.Println(hubbub.Invoke[int](ctx, client, "Enter", "ann"))
	fmt.Println(hubbub.Invoke[int](ctx, client, "Enter", "bob"))
	fmt.Println(client.Invoke(ctx, nil, "Clear"))
	fmt.Println(hubbub.Invoke[int](ctx, client, "Enter", "ann"))
	// Output:
	// 1 <nil>
	// 2 <nil>
	// <nil>
	// 1 <nil>
}

// The adapters for other numbers of arguments. For more than four, take a struct or Raw.
func ExampleFunc4() {
	hub := hubbub.NewHub("arity", &hubbub.Options{Logger: nothingLogged})
	hub.Handle("Zero", hubbub.Func0(func(context.Context) (string, error) { return "none", nil }))
	hub.Handle("Three", hubbub.Func3(func(_ context.Context, a string, b int, c bool) (string, error) {
		return fmt.Sprintf("%s, %d, %v", a, b, c), nil
	}))
	hub.Handle("Four", hubbub.Func4(func(_ context.Context, a, b, c, d int) (int, error) { return a*b + c*d, nil }))
	hub.Handle("Tell", hubbub.Action1(func(_ context.Context, a string) error { return nil }))
	hub.Handle("TellThree", hubbub.Action3(func(_ context.Context, a, b, c string) error { return nil }))
	hub.Handle("TellFour", hubbub.Action4(func(_ context.Context, a, b, c, d string) error { return nil }))

	client, closeAll := open(hub)
	defer closeAll()
	ctx := context.Background()
	fmt.Println(hubbub.Invoke[string](ctx, client, "Three", "a", 1, true))
	fmt.Println(hubbub.Invoke[int](ctx, client, "Four", 1, 2, 3, 4))
	fmt.Println(client.Invoke(ctx, nil, "TellFour", "one argument only"))
	// Output:
	// a, 1, true <nil>
	// 14 <nil>
	// Failed to invoke 'TellFour' due to an error on the server.
}

// RawStream takes what comes and answers with a stream.
func ExampleRawStream() {
	hub := hubbub.NewHub("rawstream", nil)
	hub.Handle("Each", hubbub.RawStream(func(_ context.Context, args hubbub.Args) (hubbub.Seq[any], error) {
		return func(yield func(any, error) bool) {
			for i := range args.Len() {
				var v any
				if err := args.At(i).Decode(&v); !yield(v, err) {
					return
				}
			}
		}, nil
	}))
	client, closeAll := open(hub)
	defer closeAll()
	for v, err := range hubbub.Stream[any](context.Background(), client, "Each", "a", nil, true) {
		fmt.Println(v, err)
	}
	// Output:
	// a <nil>
	// <nil> <nil>
	// true <nil>
}

// Every limit and time has a default; a nil *Options is all of them.
func ExampleOptions() {
	hub := hubbub.NewHub("careful", &hubbub.Options{
		MaximumReceiveMessageSize:           4096,
		MaximumParallelInvocationsPerClient: 4,
		RequireUser:                         true,
	})
	o := hub.Options() // those in force
	fmt.Println(o.MaximumReceiveMessageSize, o.KeepAliveInterval, o.ClientTimeoutInterval)
	// Output: 4096 15s 30s
}

// Untagged fields of structs are camelCase on the wire, as in ASP.NET Core, unless the hub says otherwise. A tag always wins.
func ExampleNaming() {
	type order struct {
		ItemCount int
		Total     int `json:"sum"`
	}
	for _, naming := range []hubbub.Naming{hubbub.CamelCase, hubbub.AsDeclared} {
		hub := hubbub.NewHub("orders", &hubbub.Options{Naming: naming})
		hub.Handle("Last", hubbub.Func0(func(context.Context) (order, error) { return order{3, 10}, nil }))
		client, closeAll := open(hub)
		fields, err := hubbub.Invoke[map[string]int](context.Background(), client, "Last")
		fmt.Println(fields, err)
		closeAll()
	}
	// Output:
	// map[itemCount:3 sum:10] <nil>
	// map[ItemCount:3 sum:10] <nil>
}

// The request that opened the connection stays within reach.
func ExampleRequest() {
	hub := hubbub.NewHub("tenants", nil)
	hub.OnConnected(func(ctx context.Context) error {
		c := hubbub.CallerFrom(ctx)
		if c.Request().Query.Get("tenant") == "" {
			return hubbub.Errorf("which tenant?")
		}
		return c.Join(ctx, "tenant:"+c.Request().Query.Get("tenant"))
	})
	hub.Handle("Where", hubbub.Func0(func(ctx context.Context) (string, error) {
		r := hubbub.CallerFrom(ctx).Request()
		return r.Path + " by " + r.Transport, nil
	}))
	url, closeServer := serve(hub)
	defer closeServer()
	c := signalr.NewClient(url+"?tenant=blue", nil)
	if err := c.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(hubbub.Invoke[string](context.Background(), c, "Where"))
	// Output: /hub by WebSockets <nil>
}

// One connection can be asked, from anywhere that knows its id.
func ExampleSingleClient() {
	hub := hubbub.NewHub("devices", nil)
	client, closeAll := open(hub, func(c *signalr.Client) {
		c.On("Temperature", hubbub.Func0(func(context.Context) (float64, error) { return 21.5, nil }))
	})
	defer closeAll()

	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second) // it may never answer
	defer stop()
	fmt.Println(hubbub.Invoke[float64](ctx, hub.Client(client.ID()), "Temperature"))

	_, err := hubbub.Invoke[float64](ctx, hub.Client("gone"), "Temperature")
	fmt.Println(errors.Is(err, hubbub.ErrClosed))
	// Output:
	// 21.5 <nil>
	// true
}

// A filter is a HandlerFunc around another. This one answers some calls by itself.
func ExampleHandlerFunc() {
	cached := map[string]any{"Answer": 42}
	cache := func(next hubbub.HandlerFunc) hubbub.HandlerFunc {
		return func(ctx context.Context, in *hubbub.Invocation) (any, error) {
			if v, ok := cached[in.Method()]; ok {
				return v, nil
			}
			return next(ctx, in)
		}
	}
	hub := hubbub.NewHub("cached", nil)
	hub.Use(cache)
	hub.Handle("Answer", hubbub.Func0(func(context.Context) (int, error) { return 0, errors.New("is never called") }))
	client, closeAll := open(hub)
	defer closeAll()
	fmt.Println(hubbub.Invoke[int](context.Background(), client, "answer"))
	// Output: 42 <nil>
}

// Middleware that knows who sends a request tells the hub so. Package auth has some for tokens.
func ExampleWithUser() {
	hub := hubbub.NewHub("whoami", nil)
	hub.Handle("WhoAmI", hubbub.Func0(func(ctx context.Context) (string, error) {
		return hubbub.CallerFrom(ctx).User().Name, nil
	}))
	badge := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name := r.Header.Get("Badge"); name != "" {
				r = r.WithContext(hubbub.WithUser(r.Context(), &hubbub.User{ID: strings.ToLower(name), Name: name}))
			}
			next.ServeHTTP(w, r)
		})
	}
	url, closeServer := serveWith(hub, &signalr.Options{Auth: badge})
	defer closeServer()
	c := signalr.NewClient(url, &signalr.ClientOptions{Header: http.Header{"Badge": {"Ann"}}})
	if err := c.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(hubbub.Invoke[string](context.Background(), c, "WhoAmI"))
	// Output: Ann <nil>
}

// UserFrom is for plain HTTP handlers beside the hub, behind the same middleware.
func ExampleUserFrom() {
	ctx := hubbub.WithUser(context.Background(), &hubbub.User{ID: "ann"})
	fmt.Println(hubbub.UserFrom(ctx).ID, hubbub.UserFrom(context.Background()) == nil)
	// Output: ann true
}

// Rules of a hub are asked on every request, rules of a method on every call.
func ExampleRequireRole() {
	hub := hubbub.NewHub("back office", &hubbub.Options{Require: []hubbub.Rule{hubbub.RequireUser()}})
	nothing := hubbub.Action0(func(context.Context) error { return nil })
	hub.Handle("Read", nothing)
	hub.Handle("Write", nothing, hubbub.RequireScope("orders:write"))
	hub.Handle("Purge", nothing, hubbub.RequireRole("admin", "operator"))

	clerk := &hubbub.User{ID: "ann", Claims: map[string]any{"scope": "orders:read orders:write", "role": "clerk"}}
	url, closeServer := serveWith(hub, &signalr.Options{Auth: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(hubbub.WithUser(r.Context(), clerk)))
		})
	}})
	defer closeServer()
	c := signalr.NewClient(url, nil)
	if err := c.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for _, method := range []string{"Read", "Write", "Purge"} {
		fmt.Println(c.Invoke(context.Background(), nil, method))
	}
	// Output:
	// <nil>
	// <nil>
	// Failed to invoke 'Purge' because user is unauthorized
}

// What travels beside the arguments of classic clients. Others have none, and nothing is kept for them.
func ExampleState() {
	visit := func(s *hubbub.State) {
		var visits int
		if _, err := s.Get("visits", &visits); err != nil {
			log.Fatal(err)
		}
		s.Set("visits", visits+1)
	}
	hub := hubbub.NewHub("counter", nil)
	hub.Handle("Visit", hubbub.Action0(func(ctx context.Context) error {
		visit(hubbub.StateFrom(ctx))
		return nil
	}))

	classic := hubbub.NewState(map[string]hubbub.Value{"visits": hubbub.ValueOf(2)}) // as a dialect makes it
	visit(classic)
	fmt.Println(classic.Changed()["visits"].Any())

	client, closeAll := open(hub)
	defer closeAll()
	fmt.Println(client.Invoke(context.Background(), nil, "Visit"))
	// Output:
	// 3
	// <nil>
}

// A method for classic clients and others tells how far it is to those who can hear it.
func ExampleReportProgress() {
	hub := hubbub.NewHub("imports", nil)
	hub.Handle("Import", hubbub.Func1(func(ctx context.Context, files []string) (int, error) {
		for i := range files {
			err := hubbub.ReportProgress(ctx, 100*i/len(files))
			if err != nil && !errors.Is(err, errors.ErrUnsupported) {
				return 0, err
			}
		}
		return len(files), nil
	}))
	client, closeAll := open(hub)
	defer closeAll()
	fmt.Println(hubbub.Invoke[int](context.Background(), client, "Import", []string{"a", "b"}))
	// Output: 2 <nil>
}

// The counters of a hub are what /metrics and dashboards are made of.
func ExampleStats() {
	hub := hubbub.NewHub("busy", nil)
	client, closeAll := open(hub)
	defer closeAll()
	_ = hub.All().Send(context.Background(), "News", "hello")
	client.Close()
	_ = hub.Shutdown(context.Background(), 0)
	s := hub.Stats()
	fmt.Println(s.Opened, s.Connections, s.Encoded, s.Closed["normal"])
	// Output: 1 0 1 1
}

// Sentences for clients are made in one place: what ends a connection, and what may be told of it.
func ExampleCloseText() {
	fmt.Println(hubbub.CloseText(errors.New("disk full"), false))
	fmt.Println(hubbub.CloseText(hubbub.Errorf("come back tomorrow"), false))
	// Output:
	// Connection closed with an error.
	// Connection closed with an error. HubException: come back tomorrow
}
