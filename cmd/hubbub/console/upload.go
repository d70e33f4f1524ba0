package console

import (
	"bufio"
	"bytes"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hubbub-go/hubbub"
)

func (c *Console) uploadCommand() *cobra.Command {
	var force bool
	cmd := c.command("upload URL TARGET [ARG…]", "Call a method with a stream of what comes on the input, one item a line",
		`Call a method that reads a stream: each line of the input is an item, read and sent as it comes. The stream is the last argument.
The result is printed as JSON. --timeout is for connecting only, the input may take its time.

`+aboutArguments,
		"  seq 1 100 | hubbub upload http://localhost:8080/hub Sum\n  tail -f app.log | hubbub upload https://example.com/hub Collect server-7 --string",
		cobra.MinimumNArgs(2), func(s *session, args []string) error {
			client, err := s.open(nil)
			if err != nil {
				return err
			}
			defer client.Close()
			lines := s.lines()
			result, err := hubbub.Invoke[hubbub.Value](s.ctx, client, args[1], append(s.arguments(args[2:], force), s.items(s.ctx, lines, force))...)
			if err != nil {
				return s.loss(s.ctx, err)
			}
			s.result(args[1], result)
			return nil
		})
	stringFlag(cmd, &force)
	return cmd
}

// line is one of the input, or why there are no more.
type line struct {
	text string
	err  error
}

// lines reads the input in a goroutine of its own, because a read from a terminal cannot be stopped. It ends with the input, or
// when the session is over and one more line has come.
func (s *session) lines() <-chan line {
	ch := make(chan line)
	go func() {
		defer close(ch)
		r := bufio.NewScanner(s.console.Stdin)
		r.Buffer(nil, 16<<20)
		for r.Scan() {
			select {
			case ch <- line{text: r.Text()}:
			case <-s.ctx.Done():
				return
			}
		}
		if err := r.Err(); err != nil {
			select {
			case ch <- line{err: fmt.Errorf("read the input: %w", err)}:
			case <-s.ctx.Done():
			}
		}
	}()
	return ch
}

// items are the lines as a stream. Empty lines are none, unless all are texts.
func (s *session) items(ctx context.Context, lines <-chan line, force bool) hubbub.Seq[any] {
	return func(yield func(any, error) bool) {
		for {
			select {
			case l, ok := <-lines:
				switch {
				case !ok:
					return
				case l.err != nil:
					yield(nil, l.err)
					return
				case !force && len(bytes.TrimSpace([]byte(l.text))) == 0:
					continue
				}
				if !yield(s.argument(l.text, force), nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}
