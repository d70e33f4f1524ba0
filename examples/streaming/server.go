package main

import (
	"context"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub"
)

// newHub returns a hub with a method for each direction of a stream.
func newHub(logf func(format string, args ...any)) *hubbub.Hub {
	hub := hubbub.NewHub("streams", nil)

	// From the server: a result that is a Seq. Nothing is sent faster than the client reads.
	hub.Handle("Ticks", hubbub.Func1(func(ctx context.Context, milliseconds int) (hubbub.Seq[int], error) {
		if milliseconds < 1 || milliseconds > 60_000 {
			return nil, hubbub.Errorf("a tick takes 1 to 60000 ms, not %d", milliseconds)
		}
		return func(yield func(int, error) bool) {
			ticker := time.NewTicker(time.Duration(milliseconds) * time.Millisecond)
			defer ticker.Stop()
			defer logf("server: no more ticks")
			for n := 1; ; n++ {
				select {
				case <-ticker.C:
					if !yield(n, nil) {
						return
					}
				case <-ctx.Done(): // the client has cancelled, or is gone
					return
				}
			}
		}, nil
	}))

	// To the server: a parameter that is a Seq. Returning early drops the rest of it.
	hub.Handle("Mean", hubbub.Func1(func(_ context.Context, numbers hubbub.Seq[float64]) (mean float64, err error) {
		n := 0.0
		for x, err := range numbers {
			if err != nil {
				return 0, err // the client gave up, or is gone
			}
			n++
			mean += (x - mean) / n
		}
		return mean, nil
	}))

	// Both ways at once.
	hub.Handle("Shout", hubbub.Func1(func(_ context.Context, words hubbub.Seq[string]) (hubbub.Seq[string], error) {
		return func(yield func(string, error) bool) {
			for word, err := range words {
				if !yield(strings.ToUpper(word), err) {
					return
				}
			}
		}, nil
	}))
	return hub
}
