package signalr_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// open serves a hub for an example.
func open(hub *hubbub.Hub, opts *signalr.Options) (url string, closeServer func()) {
	mux := http.NewServeMux()
	signalr.MapHub(mux, "/hub", hub, opts)
	server := httptest.NewServer(mux)
	return server.URL + "/hub", func() {
		_ = hub.Shutdown(context.Background(), 0)
		server.Close()
	}
}

// Register handlers, start, call. The client falls back to another transport where WebSockets do not pass.
func ExampleNewClient() {
	url, closeServer := open(greeter(), nil)
	defer closeServer()

	c := signalr.NewClient(url, nil)
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	if err := c.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(hubbub.Invoke[string](ctx, c, "Greet"))
	// Output: hello stranger, by WebSockets <nil>
}

// A Client is a hubbub.Client, with what only ASP.NET Core SignalR has.
func ExampleClient() {
	url, closeServer := open(greeter(), nil)
	defer closeServer()
	c := signalr.NewClient(url, &signalr.ClientOptions{Protocol: "messagepack"})
	if err := c.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.State(), len(c.ID()) > 0)
	c.Close()
	fmt.Println(c.State())
	// Output:
	// connected true
	// disconnected
}

func ExampleClientOptions() {
	url, closeServer := open(greeter(), &signalr.Options{AllowStatefulReconnects: true})
	defer closeServer()
	opts := &signalr.ClientOptions{
		ClientOptions: hubbub.ClientOptions{
			Reconnect:      hubbub.Jitter(hubbub.StandardRetry(), 0.2),
			OnReconnecting: func(reason error) { log.Print("lost: ", reason) },
		},
		Protocol:          "messagepack",
		StatefulReconnect: true,
		Token:             func(context.Context) (string, error) { return "a fresh one for every connection", nil },
		Header:            http.Header{"X-Tenant": {"blue"}},
		HTTPClient: &http.Client{Transport: &http.Transport{
			Proxy:       http.ProxyFromEnvironment,
			DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		}},
	}
	greet(url, opts)
	// Output: hello stranger, by WebSockets
}

// A WebSocket at once saves a request, and a load balancer needs no memory then.
func ExampleClientOptions_skipNegotiation() {
	url, closeServer := open(greeter(), nil)
	defer closeServer()
	greet(url, &signalr.ClientOptions{SkipNegotiation: true, Transports: signalr.WebSockets})
	// Output: hello stranger, by WebSockets
}

// Trace hears what passes, as it passes.
func ExampleClientOptions_trace() {
	url, closeServer := open(greeter(), nil)
	defer closeServer()
	greet(url, &signalr.ClientOptions{Trace: func(sent bool, _ signalr.Transport, p []byte) {
		for record := range strings.SplitSeq(string(p), "\x1e") { // a chunk has one or more
			if sent && strings.Contains(record, `"type":1`) {
				fmt.Println(record)
			}
		}
	}})
	// Output:
	// {"type":1,"invocationId":"1","target":"Greet","arguments":[]}
	// hello stranger, by WebSockets
}

// The status that a server answers with can be told from everything else that goes wrong.
func ExampleHTTPError() {
	hub := hubbub.NewHub("private", &hubbub.Options{RequireUser: true})
	url, closeServer := open(hub, nil)
	defer closeServer()
	err := signalr.NewClient(url, nil).Start(context.Background())
	if refused, ok := errors.AsType[*signalr.HTTPError](err); ok && refused.Status == http.StatusUnauthorized {
		fmt.Println("log in first, says", refused.What)
	}
	// Output: log in first, says negotiate
}

// When no transport works, the error has the reason of each.
func ExampleTransportsError() {
	url, closeServer := open(greeter(), &signalr.Options{Transports: signalr.LongPolling})
	defer closeServer()
	err := signalr.NewClient(url, &signalr.ClientOptions{Transports: signalr.WebSockets}).Start(context.Background())
	if none, ok := errors.AsType[*signalr.TransportsError](err); ok {
		var first signalr.TransportError = none.Failed[0]
		fmt.Println(first.Transport, "failed:", first.Err)
	}
	// Output: LongPolling failed: the transport is disabled by the client
}

// Two mistakes that are often made with an address have errors of their own.
func Example_wrongAddress() {
	answer := func(body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, body)
		}))
		defer server.Close()
		switch err := signalr.NewClient(server.URL, nil).Start(context.Background()); {
		case errors.Is(err, signalr.ErrClassicServer):
			return "the server speaks the older protocol"
		case errors.Is(err, signalr.ErrInvalidAnswer):
			return "there is something else than a hub"
		default:
			return fmt.Sprint(err)
		}
	}
	fmt.Println(answer(`{"Url":"/signalr","ProtocolVersion":"1.5"}`))
	fmt.Println(answer(`<html>It works!</html>`))
	// Output:
	// the server speaks the older protocol
	// there is something else than a hub
}
