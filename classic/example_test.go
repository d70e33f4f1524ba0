package classic_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
)

// chat is a hub of the examples.
func chat() *hubbub.Hub {
	hub := hubbub.NewHub("ChatHub", nil)
	hub.Handle("Say", hubbub.Action1(func(ctx context.Context, text string) error {
		return hub.All().Send(ctx, "Said", text)
	}))
	hub.Handle("Rename", hubbub.Action1(func(context.Context, string) error {
		return &hubbub.Error{Message: "that name is taken", Data: map[string]any{"Try": "ann2"}}
	}))
	hub.Handle("Import", hubbub.Func1(func(ctx context.Context, n int) (string, error) {
		for i := range n {
			if err := hubbub.ReportProgress(ctx, i+1); err != nil {
				return "", err
			}
		}
		return "imported", nil
	}))
	hub.Handle("Paint", hubbub.Action0(func(ctx context.Context) error {
		color := ""
		state := hubbub.StateFrom(ctx)
		if _, err := state.Get("color", &color); err != nil {
			return err
		}
		state.Set("color", "light "+color)
		return nil
	}))
	return hub
}

// serveExample serves h until stop is called.
func serveExample(h http.Handler, hubs ...*hubbub.Hub) (url string, stop func()) {
	server := httptest.NewServer(h)
	return server.URL, func() {
		for _, hub := range hubs {
			if err := hub.Shutdown(context.Background(), 0); err != nil {
				log.Print(err)
			}
		}
		server.Close()
	}
}

// dial connects to a chat over one transport.
func dial(url string, opts *classic.ClientOptions) (*classic.Client, *classic.HubProxy) {
	c := classic.NewClient(url, opts)
	proxy := c.Hub("ChatHub")
	if err := c.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	return c, proxy
}

// One address has several hubs, and one connection reaches all of them.
func ExampleMapHubs() {
	clock := hubbub.NewHub("ClockHub", nil)
	clock.Handle("Zone", hubbub.Func0(func(context.Context) (string, error) { return "UTC", nil }))
	talk := chat()
	mux := http.NewServeMux()
	classic.MapHubs(mux, "/signalr", nil, talk, clock)
	url, stop := serveExample(mux, talk, clock)
	defer stop()

	c := classic.NewClient(url, nil)
	said := make(chan string, 1)
	c.Hub("chathub").On("said", hubbub.Action1(func(_ context.Context, text string) error { said <- text; return nil }))
	hours := c.Hub("ClockHub")
	ctx := context.Background()
	if err := c.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	zone, err := hubbub.Invoke[string](ctx, hours, "Zone")
	fmt.Println(zone, err)
	if err := c.Hub("ChatHub").Send(ctx, "Say", "hello"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-said)
	// Output:
	// UTC <nil>
	// hello
}

// One hub for programs of both generations, at one address.
func ExampleOptions() {
	hub := chat()
	keys, err := hubbub.NewKeyRing(hubbub.Key{ID: 1, Secret: []byte(strings.Repeat("a secret of all nodes ", 2))})
	if err != nil {
		log.Fatal(err)
	}
	var slow classic.SlowConsumer = classic.DropOldest // rather than to end the connection of who does not read
	options := &classic.Options{
		Transports:        classic.WebSockets | classic.LongPolling,
		DisconnectTimeout: time.Minute,
		SlowConsumer:      slow,
		Keys:              keys, // so that clients come back after a restart
		Otherwise:         signalr.Handler(hub, nil),
	}
	url, stop := serveExample(classic.Handler(options, hub), hub)
	defer stop()

	ctx := context.Background()
	heard := make(chan string, 2)
	young := signalr.NewClient(url, nil)
	young.On("Said", hubbub.Action1(func(_ context.Context, text string) error { heard <- text; return nil }))
	if err := young.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer young.Close()
	old := classic.NewClient(url, nil)
	talk := old.Hub("ChatHub")
	talk.On("Said", hubbub.Action1(func(_ context.Context, text string) error { heard <- text; return nil }))
	if err := old.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer old.Close()
	if err := talk.Invoke(ctx, nil, "Say", "hello all"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-heard)
	fmt.Println(<-heard)
	// Output:
	// hello all
	// hello all
}

// Any other router will do: it must pass on what is below the path, too.
func ExampleHandler() {
	hub := chat()
	h := classic.Handler(&classic.Options{SlowConsumer: classic.CloseSlow}, hub)
	url, stop := serveExample(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/signalr/") {
			h.ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	}), hub)
	defer stop()

	c, _ := dial(url+"/v1", nil)
	defer c.Close()
	fmt.Println(c.State(), "over", c.Transport())
	// Output: connected over webSockets
}

// echo is a persistent connection: texts without hubs and methods.
func echo() *hubbub.Hub {
	hub := hubbub.NewHub("echo", nil)
	hub.Handle("OnReceived", hubbub.Action1(func(ctx context.Context, text string) error {
		return hubbub.CallerFrom(ctx).Send(ctx, "", text+", "+text)
	}))
	return hub
}

func hear(url string) {
	c := classic.NewClient(url, &classic.ClientOptions{ExactURL: true})
	heard := make(chan string, 1)
	c.OnReceived(func(_ context.Context, v hubbub.Value) error {
		var text string
		err := v.Decode(&text)
		heard <- text
		return err
	})
	ctx := context.Background()
	if err := c.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if err := c.SendRaw(ctx, "hello"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-heard)
}

func ExampleMapConnection() {
	hub := echo()
	mux := http.NewServeMux()
	var routes classic.Mux = mux // or anything else that has its Handle
	classic.MapConnection(routes, "/echo", nil, hub)
	url, stop := serveExample(mux, hub)
	defer stop()
	hear(url + "/echo")
	// Output: hello, hello
}

func ExampleConnectionHandler() {
	hub := echo()
	url, stop := serveExample(classic.ConnectionHandler(nil, hub), hub)
	defer stop()
	hear(url)
	// Output: hello, hello
}

func ExampleTransport() {
	for _, t := range []classic.Transport{classic.WebSockets, classic.ServerSentEvents, classic.LongPolling} {
		hub := chat()
		url, stop := serveExample(classic.Handler(nil, hub), hub)
		c, _ := dial(url, &classic.ClientOptions{Transports: t})
		fmt.Println(c.Transport())
		c.Close()
		stop()
	}
	fmt.Println(classic.AllTransports)
	// Output:
	// webSockets
	// serverSentEvents
	// longPolling
	// webSockets,serverSentEvents,foreverFrame,longPolling
}

// An error that a method meant for its caller comes with its data.
func ExampleHubProxy() {
	hub := chat()
	url, stop := serveExample(classic.Handler(nil, hub), hub)
	defer stop()
	c, talk := dial(url, nil)
	defer c.Close()

	err := talk.Invoke(context.Background(), nil, "Rename", "ann")
	said, ok := errors.AsType[*hubbub.Error](err)
	if !ok {
		log.Fatal(err)
	}
	var hint struct{ Try string }
	if v, ok := said.Data.(hubbub.Value); ok {
		if err := v.Decode(&hint); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Printf("%s: %s; try %s\n", talk.Name(), said.Message, hint.Try)
	// Output: ChatHub: that name is taken; try ann2
}

func ExampleHubProxy_InvokeProgress() {
	hub := chat()
	url, stop := serveExample(classic.Handler(nil, hub), hub)
	defer stop()
	c, talk := dial(url, nil)
	defer c.Close()

	var result string
	err := talk.InvokeProgress(context.Background(), &result, func(v hubbub.Value) {
		n := 0
		if err := v.Decode(&n); err == nil {
			fmt.Println(n, "of 3")
		}
	}, "Import", 3)
	fmt.Println(result, err)
	// Output:
	// 1 of 3
	// 2 of 3
	// 3 of 3
	// imported <nil>
}

func ExampleProxyState() {
	hub := chat()
	url, stop := serveExample(classic.Handler(nil, hub), hub)
	defer stop()
	c, talk := dial(url, nil)
	defer c.Close()

	var state *classic.ProxyState = talk.State()
	if err := state.Set("color", "blue"); err != nil {
		log.Fatal(err)
	}
	if err := talk.Invoke(context.Background(), nil, "Paint"); err != nil {
		log.Fatal(err)
	}
	color := ""
	ok, err := state.Get("color", &color)
	fmt.Println(color, ok, err)
	// Output: light blue true <nil>
}

// Why a client could not start, or has ended, is an error with a type.
func ExampleClient() {
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"ProtocolVersion":"2.0","Error":"too many clients"}`)
	}))
	defer busy.Close()
	young := signalr.Handler(hubbub.NewHub("young", nil), nil)
	core := httptest.NewServer(http.StripPrefix("/signalr", young))
	defer core.Close()
	for _, url := range []string{busy.URL, core.URL} {
		err := classic.NewClient(url, nil).Start(context.Background())
		fmt.Println(why(err))
	}
	// Output:
	// the server says: too many clients
	// an ASP.NET Core SignalR hub: use signalr.NewClient
}

// why tells what can go wrong.
func why(err error) string {
	if errors.Is(err, classic.ErrCoreServer) {
		return "an ASP.NET Core SignalR hub: use signalr.NewClient"
	}
	if e, ok := errors.AsType[*classic.ServerError](err); ok {
		return "the server says: " + e.Message
	}
	if e, ok := errors.AsType[*classic.HTTPError](err); ok {
		return fmt.Sprintf("%s answered with status %d", e.What, e.Status)
	}
	if e, ok := errors.AsType[*classic.VersionError](err); ok {
		return "it speaks protocol " + e.Server
	}
	if e, ok := errors.AsType[*classic.StartError](err); ok {
		return "OnConnected failed: " + e.Error()
	}
	if e, ok := errors.AsType[*classic.TransportsError](err); ok {
		var last classic.TransportError = e.Failed[len(e.Failed)-1]
		return fmt.Sprintf("no transport works, not even %s", last.Transport)
	}
	if e, ok := errors.AsType[*classic.ReconnectTimeoutError](err); ok {
		return fmt.Sprintf("no way back within %v", e.Timeout)
	}
	return fmt.Sprint(err)
}
