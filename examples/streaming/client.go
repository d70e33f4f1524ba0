package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// talk calls the methods of server.go and prints what it gets.
func talk(ctx context.Context, url string, out io.Writer) error {
	c := signalr.NewClient(url, nil)
	if err := c.Start(ctx); err != nil {
		return err
	}
	defer c.Close()

	// From the server: the call begins with the range, and leaving the range cancels it.
	for n, err := range hubbub.Stream[int](ctx, c, "Ticks", 10) {
		if err != nil {
			return err
		}
		fmt.Fprintln(out, "tick", n)
		if n == 3 {
			break
		}
	}

	// The end of a context cancels it too.
	soon, stop := context.WithTimeout(ctx, 100*time.Millisecond)
	defer stop()
	for _, err := range hubbub.Stream[int](soon, c, "Ticks", 10) {
		if err != nil {
			fmt.Fprintln(out, "enough of ticks:", errors.Is(err, context.DeadlineExceeded))
		}
	}

	// To the server: an argument that is a Seq.
	mean, err := hubbub.Invoke[float64](ctx, c, "Mean", each(1.0, 2.0, 6.0))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "mean", mean)

	// Both ways at once: answers come while words are still sent.
	for word, err := range hubbub.Stream[string](ctx, c, "Shout", each("anybody", "there?")) {
		if err != nil {
			return err
		}
		fmt.Fprintln(out, word)
	}

	// An error of the server ends the stream.
	for _, err := range hubbub.Stream[int](ctx, c, "Ticks", 0) {
		fmt.Fprintln(out, err)
	}
	return nil
}

// each is a stream of values; a stream of anything else, such as a channel or the rows of a query, is a function like it.
func each[T any](values ...T) hubbub.Seq[T] {
	return func(yield func(T, error) bool) {
		for _, v := range values {
			if !yield(v, nil) {
				return // nobody reads on
			}
		}
	}
}
