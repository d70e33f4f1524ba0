package signalr_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// greeter is the hub of the examples.
func greeter() *hubbub.Hub {
	hub := hubbub.NewHub("greeter", nil)
	hub.Handle("Greet", hubbub.Func0(func(ctx context.Context) (string, error) {
		c := hubbub.CallerFrom(ctx)
		if c.User() == nil {
			return "hello stranger, by " + c.Request().Transport, nil
		}
		return "hello " + c.User().ID + ", by " + c.Request().Transport, nil
	}))
	return hub
}

// greet connects, asks for a greeting and leaves.
func greet(url string, opts *signalr.ClientOptions) {
	ctx := context.Background()
	c := signalr.NewClient(url, opts)
	err := c.Start(ctx)
	if refused, ok := errors.AsType[*signalr.HTTPError](err); ok {
		fmt.Println("status", refused.Status)
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	greeting, err := hubbub.Invoke[string](ctx, c, "Greet")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(greeting)
}

func ExampleMapHub() {
	mux := http.NewServeMux()
	hub := greeter()
	signalr.MapHub(mux, "/hub", hub, nil)
	signalr.MapHub(mux, "/old/address", hub, nil) // the same connections and groups
	server := httptest.NewServer(mux)
	defer server.Close()
	greet(server.URL+"/hub", nil)
	greet(server.URL+"/old/address", nil)
	// Output:
	// hello stranger, by WebSockets
	// hello stranger, by WebSockets
}

// Any other router will do: it must pass on what is below the path, too.
func ExampleHandler() {
	hub := signalr.Handler(greeter(), nil)
	router := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/hub" || strings.HasPrefix(r.URL.Path, "/v1/hub/") {
			hub.ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	})
	server := httptest.NewServer(router)
	defer server.Close()
	greet(server.URL+"/v1/hub", nil)
	greet(server.URL+"/v2/hub", nil)
	// Output:
	// hello stranger, by WebSockets
	// status 404
}

// The routes of ASP.NET Core do not care about case, those of net/http do.
func ExampleFoldCase() {
	mux := http.NewServeMux()
	signalr.MapHub(mux, "/mainHub", greeter(), nil)
	server := httptest.NewServer(signalr.FoldCase(mux, "/mainHub"))
	defer server.Close()
	greet(server.URL+"/MAINHUB", nil)
	// Output: hello stranger, by WebSockets
}

// logged is a signalr.Mux that tells what is registered.
type logged struct{ *http.ServeMux }

func (l logged) Handle(pattern string, h http.Handler) {
	fmt.Println(pattern)
	l.ServeMux.Handle(pattern, h)
}

// Whatever has the method Handle of http.ServeMux can have a hub mapped.
func ExampleMux() {
	var mux signalr.Mux = logged{http.NewServeMux()}
	signalr.MapHub(mux, "/hub", greeter(), nil)
	// Output:
	// /hub
	// /hub/{$}
	// /hub/negotiate
	// /hub/negotiate/{$}
}

func ExampleOptions() {
	badge := func(next http.Handler) http.Handler { // package auth has middleware for tokens
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name := r.Header.Get("Badge"); name != "" {
				r = r.WithContext(hubbub.WithUser(r.Context(), &hubbub.User{ID: name}))
			}
			next.ServeHTTP(w, r)
		})
	}
	mux := http.NewServeMux()
	signalr.MapHub(mux, "/hub", greeter(), &signalr.Options{
		Transports:              signalr.WebSockets | signalr.LongPolling,
		AllowStatefulReconnects: true,
		DisconnectTimeout:       30 * time.Second,
		Auth:                    badge,
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	greet(server.URL+"/hub", nil)
	greet(server.URL+"/hub", &signalr.ClientOptions{Transports: signalr.LongPolling, Header: http.Header{"Badge": {"ann"}}})
	// Output:
	// hello stranger, by WebSockets
	// hello ann, by LongPolling
}

// Transports are a set.
func ExampleTransport() {
	set := signalr.WebSockets | signalr.LongPolling
	fmt.Println(set&signalr.LongPolling != 0, set&signalr.ServerSentEvents != 0, signalr.ServerSentEvents)
	// Output: true false ServerSentEvents
}

// A raw connection has no hub protocol: bytes come and go in chunks, over any transport.
func ExampleMapConnection() {
	echo := func(ctx context.Context, c *signalr.RawConnection) error {
		for {
			chunk, err := c.Read(ctx)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := c.Write(chunk); err != nil {
				return err
			}
		}
	}
	mux := http.NewServeMux()
	signalr.MapConnection(mux, "/echo", echo, nil)
	server := httptest.NewServer(mux)
	defer server.Close()

	ctx := context.Background()
	socket, _, err := websocket.Dial(ctx, server.URL+"/echo", nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := socket.Write(ctx, websocket.MessageText, []byte("anybody there?")); err != nil {
		log.Fatal(err)
	}
	_, chunk, err := socket.Read(ctx)
	fmt.Println(string(chunk), err)
	fmt.Println(socket.Close(websocket.StatusNormalClosure, ""))
	// Output:
	// anybody there? <nil>
	// <nil>
}

// A handler that returns ends its connection.
func ExampleConnectionHandler() {
	var handler signalr.ConnectionHandler = func(_ context.Context, c *signalr.RawConnection) error {
		return c.Write([]byte("hello " + c.Request().Transport + ", goodbye"))
	}
	mux := http.NewServeMux()
	signalr.MapConnection(mux, "/daytime", handler, nil)
	server := httptest.NewServer(mux)
	defer server.Close()

	ctx := context.Background()
	socket, _, err := websocket.Dial(ctx, server.URL+"/daytime", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer socket.CloseNow()
	_, chunk, err := socket.Read(ctx)
	fmt.Println(string(chunk), err)
	_, _, err = socket.Read(ctx)
	fmt.Println(websocket.CloseStatus(err))
	// Output:
	// hello WebSockets, goodbye <nil>
	// StatusNormalClosure
}

// The application decides whether a new credential may take the place of the old one.
func ExampleRefresh() {
	day := time.Now().Add(24 * time.Hour)
	users := map[string]*hubbub.User{
		"monday":  {ID: "ann", Expires: day},
		"tuesday": {ID: "ann", Expires: day.Add(24 * time.Hour)},
	}
	tokens := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			next.ServeHTTP(w, r.WithContext(hubbub.WithUser(r.Context(), users[token])))
		})
	}
	mux := http.NewServeMux()
	signalr.MapHub(mux, "/hub", greeter(), &signalr.Options{
		Auth:                        tokens,
		EnableAuthenticationRefresh: true,
		OnAuthenticationRefresh: func(_ context.Context, r signalr.Refresh) (bool, error) {
			fmt.Println(r.New.ID, "stays", r.Expires.Sub(r.Previous.Expires))
			return true, nil
		},
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	token := "monday"
	c := signalr.NewClient(server.URL+"/hub", &signalr.ClientOptions{
		Token: func(context.Context) (string, error) { return token, nil },
	})
	if err := c.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	token = "tuesday"
	lifetime, err := c.RefreshAuthentication(context.Background())
	fmt.Println(lifetime.Round(time.Minute), err)
	// Output:
	// ann stays 24h0m0s
	// 48h0m0s <nil>
}
