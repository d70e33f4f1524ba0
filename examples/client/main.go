// Command client takes part in the chat of examples/hello from a terminal, and comes back when the server does. Every line of
// the input is a message; the end of the input and Ctrl-C say goodbye.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

func main() {
	url := flag.String("url", "http://localhost:8080/chat", "address of the hub")
	name := flag.String("name", "gopher", "who speaks")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := chat(ctx, *url, *name, os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func chat(ctx context.Context, url, name string, in io.Reader, out io.Writer) error {
	over := make(chan error, 1)
	c := signalr.NewClient(url, &signalr.ClientOptions{ClientOptions: hubbub.ClientOptions{
		Reconnect:      hubbub.Jitter(hubbub.RetryForever(time.Second, 30*time.Second), 0.2),
		OnReconnecting: func(reason error) { fmt.Fprintln(out, "lost the server:", reason) },
		OnReconnected:  func(id string) { fmt.Fprintln(out, "the server is back, this is connection", id) },
		OnClosed:       func(err error) { over <- err },
	}})
	c.On("ReceiveMessage", hubbub.Action2(func(_ context.Context, user, message string) error {
		_, err := fmt.Fprintf(out, "%s: %s\n", user, message)
		return err
	}))
	if err := c.Start(ctx); err != nil {
		return err
	}
	defer c.Close() // tells the server, so that it does not wait for us

	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(in); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	for {
		select {
		case line, more := <-lines:
			if !more {
				return nil
			}
			if err := c.Invoke(ctx, nil, "SendMessage", name, line); err != nil {
				fmt.Fprintln(out, "not said:", err) // it is never sent again by itself
			}
		case err := <-over: // the server has closed for good
			return err
		case <-ctx.Done():
			return nil
		}
	}
}
