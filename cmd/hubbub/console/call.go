package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hubbub-go/hubbub"
)

const aboutArguments = `Arguments are JSON where they are JSON, and text otherwise: 42 is a number, '{"a":1}' an object, ann a text, '"42"' a text too.
With --string all of them are texts.`

// stringFlag adds --string.
func stringFlag(cmd *cobra.Command, force *bool) {
	cmd.Flags().BoolVar(force, "string", false, "all arguments are texts, whatever they look like")
}

func (c *Console) sendCommand() *cobra.Command {
	var force bool
	cmd := c.command("send URL TARGET [ARG…]", "Call a method and do not wait for an answer",
		"Call a method of the hub and do not wait for an answer: there is none, not even an error.\n\n"+aboutArguments,
		"  hubbub send http://localhost:8080/chat SendMessage ann \"hello there\"\n  hubbub send https://example.com/hub Move '{\"x\":1,\"y\":2}' --token-cmd 'cat token.txt'",
		cobra.MinimumNArgs(2), func(s *session, args []string) error {
			client, err := s.dial(wiring{targets: args[1:2]})
			if err != nil {
				return err
			}
			ctx, cancel := s.limited()
			defer cancel()
			err = client.Send(ctx, args[1], s.arguments(args[2:], force)...)
			if closing := client.Close(); err == nil {
				err = closing
			}
			if err != nil {
				return cause(ctx, err)
			}
			s.print.note(struct {
				Event  string `json:"event"`
				Target string `json:"target"`
			}{"sent", args[1]}, "sent "+args[1])
			return nil
		})
	stringFlag(cmd, &force)
	return cmd
}

func (c *Console) invokeCommand() *cobra.Command {
	var force bool
	cmd := c.command("invoke URL TARGET [ARG…]", "Call a method and print its result",
		"Call a method of the hub, wait for its answer and print the result as JSON.\n\n"+aboutArguments,
		"  hubbub invoke http://localhost:8080/chat Count room-1\n  hubbub invoke https://example.com/hub Echo 42 --string --protocol messagepack\n"+
			"  hubbub invoke https://example.com/signalr ChatHub.Count room-1   # a classic server",
		cobra.MinimumNArgs(2), func(s *session, args []string) error {
			client, err := s.dial(wiring{targets: args[1:2]})
			if err != nil {
				return err
			}
			defer client.Close()
			return s.invoke(s.ctx, client, args[1], s.arguments(args[2:], force))
		})
	stringFlag(cmd, &force)
	return cmd
}

// invoke calls target and prints the result. The call ends with ctx, or when its time is over.
func (s *session) invoke(ctx context.Context, client client, target string, args []any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.flags.timeout, errTimeout)
	defer cancel()
	result, err := hubbub.Invoke[hubbub.Value](ctx, client, target, args...)
	if err != nil {
		return cause(ctx, err)
	}
	s.result(target, result)
	return nil
}

func (s *session) result(target string, result hubbub.Value) {
	raw := jsonOf(result)
	s.print.say(struct {
		Event  string          `json:"event"`
		Target string          `json:"target"`
		Result json.RawMessage `json:"result"`
	}{"result", target, raw}, pretty(raw))
}

func (c *Console) streamCommand() *cobra.Command {
	var force bool
	var count int
	cmd := c.command("stream URL TARGET [ARG…]", "Call a streaming method and print its items as they come",
		"Call a streaming method of the hub and print its items as they come, one a line, until the stream ends.\n\n"+aboutArguments,
		"  hubbub stream http://localhost:8080/hub Counter 10 500\n  hubbub stream https://example.com/quotes Prices ACME --count 5 --json",
		cobra.MinimumNArgs(2), func(s *session, args []string) error {
			client, err := s.open(nil)
			if err != nil {
				return err
			}
			defer client.Close()
			return s.stream(s.ctx, client, args[1], s.arguments(args[2:], force), count)
		})
	stringFlag(cmd, &force)
	cmd.Flags().IntVar(&count, "count", 0, "cancel the stream after `N` items; 0: never")
	return cmd
}

// stream prints the items of one streaming call.
func (s *session) stream(ctx context.Context, client hubbub.Streamer, target string, args []any, most int) error {
	n := 0
	for item, err := range hubbub.Stream[hubbub.Value](ctx, client, target, args...) {
		if err != nil {
			if errors.Is(err, hubbub.ErrClosed) {
				return s.loss(ctx, err)
			}
			return cause(ctx, err)
		}
		n++
		raw := jsonOf(item)
		s.print.say(struct {
			Event  string          `json:"event"`
			Target string          `json:"target"`
			Item   json.RawMessage `json:"item"`
		}{"item", target, raw}, string(raw))
		if n == most {
			break
		}
	}
	s.print.note(struct {
		Event  string `json:"event"`
		Target string `json:"target"`
		Items  int    `json:"items"`
	}{"end", target, n}, fmt.Sprintf("%s ended after %s", target, plural(n, "item")))
	return nil
}

// loss is what ended the connection, if the client was told, and err otherwise.
func (s *session) loss(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return cause(ctx, err)
	}
	return err
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
