package hubbub_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// nothingLogged keeps what an example does wrong on purpose out of the log.
var nothingLogged = slog.New(slog.DiscardHandler)

// A client hears calls of the server and makes calls of its own. A dialect makes it: here signalr.NewClient.
func ExampleClient() {
	chat := hubbub.NewHub("chat", nil)
	chat.Handle("SendMessage", hubbub.Action2(func(ctx context.Context, user, message string) error {
		return chat.All().Send(ctx, "ReceiveMessage", user, message)
	}))
	url, closeServer := serve(chat)
	defer closeServer()

	c := signalr.NewClient(url, nil)
	heard := make(chan bool)
	c.On("ReceiveMessage", hubbub.Action2(func(_ context.Context, user, message string) error {
		fmt.Printf("%s: %s\n", user, message)
		heard <- true
		return nil
	}))
	ctx := context.Background()
	if err := c.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if err := c.Send(ctx, "SendMessage", "ann", "hello"); err != nil { // Invoke would wait for the end of the method
		log.Fatal(err)
	}
	<-heard
	// Output: ann: hello
}

// On returns how to remove a handler. One with a result answers what the server asks, and does not wait for those without.
func ExampleClient_On() {
	hub := hubbub.NewHub("survey", nil)
	hub.Handle("Ask", hubbub.Func0(func(ctx context.Context) (string, error) {
		_ = hubbub.CallerFrom(ctx).Send(ctx, "Notice", "a question comes")
		return hubbub.Invoke[string](ctx, hubbub.CallerFrom(ctx), "Colour", []string{"red", "blue"})
	}))
	client, closeAll := open(hub)
	defer closeAll()

	heard := make(chan string, 1)
	remove := client.On("Notice", hubbub.Action1(func(_ context.Context, text string) error {
		heard <- text
		return nil
	}))
	client.On("Colour", hubbub.Func1(func(_ context.Context, choice []string) (string, error) {
		return choice[1], nil
	}))
	fmt.Println(hubbub.Invoke[string](context.Background(), client, "Ask"))
	fmt.Println(<-heard)
	remove()
	fmt.Println(hubbub.Invoke[string](context.Background(), client, "Ask"))
	// Output:
	// blue <nil>
	// a question comes
	// blue <nil>
}

// One function for whatever has no handler: a relay, a recorder, a command line.
func ExampleClient_OnUnhandled() {
	hub := hubbub.NewHub("anything", nil)
	client, closeAll := open(hub)
	defer closeAll()
	heard := make(chan string)
	client.OnUnhandled(func(_ context.Context, in *hubbub.Invocation) (any, error) {
		var first string
		if err := in.Args.Decode(0, &first); err != nil {
			return nil, err
		}
		heard <- fmt.Sprint(in.Target, " with ", in.Args.Len(), " arguments, the first is ", first)
		return nil, nil
	})
	_ = hub.All().Send(context.Background(), "Surprise", "x", 2, 3)
	fmt.Println(<-heard)
	// Output: Surprise with 3 arguments, the first is x
}

// The client comes back by itself when a policy says so. Its groups are gone then, because it is a new connection.
func ExampleClientOptions() {
	hub := hubbub.NewHub("flaky", nil)
	url, closeServer := serve(hub)
	defer closeServer()

	back := make(chan bool)
	over := make(chan error, 1)
	c := signalr.NewClient(url, &signalr.ClientOptions{ClientOptions: hubbub.ClientOptions{
		Reconnect:      hubbub.StandardRetry(),
		OnReconnecting: func(reason error) { fmt.Println("lost:", reason) },
		OnReconnected:  func(string) { fmt.Println("back"); back <- true },
		OnClosed:       func(err error) { over <- err },
	}})
	if err := c.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	everybody := func(*hubbub.Caller) bool { return true }
	hub.CloseWhere(everybody, "maintenance", true)
	<-back
	c.Close()
	fmt.Println("over:", <-over)
	// Output:
	// lost: the server closed the connection with the following error: maintenance
	// back
	// over: <nil>
}

func ExampleClientState() {
	client, closeAll := open(hubbub.NewHub("states", nil))
	defer closeAll()
	fmt.Println(client.State() == hubbub.Connected, client.State())
	client.Close()
	fmt.Println(client.State())
	fmt.Println(errors.Is(client.Send(context.Background(), "Anything"), hubbub.ErrNotConnected))
	// Output:
	// true connected
	// disconnected
	// true
}

// What a server gives as its reason to close can be told from a lost network.
func ExampleCloseError() {
	hub := hubbub.NewHub("strict", &hubbub.Options{Logger: nothingLogged})
	hub.OnConnected(func(context.Context) error { return hubbub.Errorf("we are closed on Sundays") })
	url, closeServer := serve(hub)
	defer closeServer()

	over := make(chan error, 1)
	c := signalr.NewClient(url, &signalr.ClientOptions{ClientOptions: hubbub.ClientOptions{
		OnClosed: func(err error) { over <- err },
	}})
	if err := c.Start(context.Background()); err != nil { // the handshake comes first
		log.Fatal(err)
	}
	defer c.Close()
	err := <-over
	if closed, ok := errors.AsType[*hubbub.CloseError](err); ok {
		fmt.Println(closed.Message)
		fmt.Println("come back:", closed.AllowReconnect)
	}
	fmt.Println(errors.Is(err, hubbub.ErrClosed))
	// Output:
	// Connection closed with an error. HubException: we are closed on Sundays
	// come back: false
	// true
}

// An error of the server is an *Error; everything else is about the connection.
func ExampleError() {
	hub := hubbub.NewHub("bank", &hubbub.Options{Logger: nothingLogged})
	hub.Handle("Withdraw", hubbub.Func1(func(_ context.Context, amount int) (int, error) {
		return 0, fmt.Errorf("withdraw: %w", &hubbub.Error{Class: "BankException", Message: "not so much"})
	}))
	client, closeAll := open(hub)
	defer closeAll()
	_, err := hubbub.Invoke[int](context.Background(), client, "Withdraw", 1_000_000)
	refused, ok := errors.AsType[*hubbub.Error](err)
	fmt.Println(ok, refused)
	client.Close()
	_, err = hubbub.Invoke[int](context.Background(), client, "Withdraw", 1)
	_, ok = errors.AsType[*hubbub.Error](err)
	fmt.Println(ok, err)
	// Output:
	// true An unexpected error occurred invoking 'Withdraw' on the server. BankException: not so much
	// false invoke Withdraw: the client is not connected: it is disconnected
}

// Leaving the range cancels the call on the server.
func ExampleStream() {
	hub := hubbub.NewHub("endless", nil)
	stopped := make(chan bool, 1)
	hub.Handle("Numbers", hubbub.Func0(func(context.Context) (hubbub.Seq[int], error) {
		return func(yield func(int, error) bool) {
			defer func() { stopped <- true }()
			for n := 1; yield(n, nil); n++ {
			}
		}, nil
	}))
	client, closeAll := open(hub)
	defer closeAll()
	for n, err := range hubbub.Stream[int](context.Background(), client, "Numbers") {
		if err != nil {
			log.Fatal(err)
		}
		if fmt.Println(n); n == 3 {
			break
		}
	}
	fmt.Println("the server has stopped:", <-stopped)
	// Output:
	// 1
	// 2
	// 3
	// the server has stopped: true
}

// What calls the other side does not care which side that is.
func ExampleInvoker() {
	version := func(ctx context.Context, of hubbub.Invoker) string {
		v, err := hubbub.Invoke[string](ctx, of, "Version")
		if err != nil {
			return err.Error()
		}
		return v
	}
	hub := hubbub.NewHub("versions", nil)
	hub.Handle("Version", hubbub.Func0(func(context.Context) (string, error) { return "server 7", nil }))
	client, closeAll := open(hub, func(c *signalr.Client) {
		c.On("Version", hubbub.Func0(func(context.Context) (string, error) { return "client 3", nil }))
	})
	defer closeAll()
	fmt.Println(version(context.Background(), client))
	fmt.Println(version(context.Background(), hub.Client(client.ID())))
	// Output:
	// server 7
	// client 3
}

// What reads streams takes any client, and can be given to it by another package.
func ExampleStreamer() {
	collect := func(ctx context.Context, from hubbub.Streamer, target string) (all []int, err error) {
		for n, err := range hubbub.Stream[int](ctx, from, target) {
			if err != nil {
				return all, err
			}
			all = append(all, n)
		}
		return all, nil
	}
	hub := hubbub.NewHub("dice", nil)
	hub.Handle("Throws", hubbub.Func0(func(context.Context) (hubbub.Seq[int], error) {
		return func(yield func(int, error) bool) {
			_ = yield(4, nil) && yield(2, nil) && yield(0, hubbub.Errorf("the dice are lost"))
		}, nil
	}))
	client, closeAll := open(hub)
	defer closeAll()
	fmt.Println(collect(context.Background(), client, "Throws"))
	// Output: [4 2] An error occurred on the server while streaming results. HubException: the dice are lost
}

// schedule prints what a policy answers to one failed attempt after the other.
func schedule(p hubbub.RetryPolicy) {
	for attempt := range 5 {
		wait, again := p(hubbub.Retry{Attempt: attempt})
		if !again {
			fmt.Println("give up")
			return
		}
		fmt.Println(wait)
	}
}

// A policy is a function: this one gives up after a minute, and at once when the server refuses the token.
func ExampleRetryPolicy() {
	policy := func(r hubbub.Retry) (time.Duration, bool) {
		if refused, ok := errors.AsType[*signalr.HTTPError](r.Reason); ok && refused.Status == 401 {
			return 0, false
		}
		return 5 * time.Second, r.Elapsed < time.Minute
	}
	fmt.Println(policy(hubbub.Retry{Attempt: 3, Elapsed: 15 * time.Second}))
	fmt.Println(policy(hubbub.Retry{Attempt: 4, Elapsed: 20 * time.Second, Reason: &signalr.HTTPError{What: "negotiate", Status: 401}}))
	// Output:
	// 5s true
	// 0s false
}

func ExampleStandardRetry() {
	schedule(hubbub.StandardRetry())
	// Output:
	// 0s
	// 2s
	// 10s
	// 30s
	// give up
}

func ExampleRetryDelays() {
	schedule(hubbub.RetryDelays(time.Second, time.Minute))
	// Output:
	// 1s
	// 1m0s
	// give up
}

func ExampleRetryForever() {
	schedule(hubbub.RetryForever(time.Second, 5*time.Second))
	// Output:
	// 1s
	// 2s
	// 4s
	// 5s
	// 5s
}

// Ten thousand clients of a server that was restarted had better not all come in the same second.
func ExampleJitter() {
	policy := hubbub.Jitter(hubbub.RetryDelays(10*time.Second), 0.2)
	wait, again := policy(hubbub.Retry{})
	fmt.Println(wait >= 8*time.Second && wait <= 12*time.Second, again)
	// Output: true true
}
