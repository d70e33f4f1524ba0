package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hubbub-go/hubbub"
)

// errNoResult is what the .NET client answers for a call that nobody answers.
var errNoResult = &hubbub.Error{Message: "Client didn't provide a result."}

// errEnough ends what was to run until something had happened.
var errEnough = errors.New("enough")

// until are the flags that end a command that would run for ever.
type until struct {
	count     int
	duration  time.Duration
	reconnect bool
}

func (u *until) add(cmd *cobra.Command, what string) {
	cmd.Flags().IntVar(&u.count, "count", 0, "end after `N` "+what+"; 0: never")
	cmd.Flags().DurationVar(&u.duration, "for", 0, "end after that `time`; 0s: never")
	cmd.Flags().BoolVar(&u.reconnect, "reconnect", true, "come back when the connection is lost")
}

func (c *Console) listenCommand() *cobra.Command {
	var u until
	var say []string
	cmd := c.command("listen URL [TARGET…]", "Print every call of the server",
		`Connect and print every call of the server as it comes, with its arguments as JSON; with targets, only theirs (their case does not
matter). --send calls a method once connected, for servers that want a subscription first. Ctrl-C ends it.`,
		"  hubbub listen http://localhost:8080/chat\n  hubbub listen https://example.com/hub OnEvent --send 'Subscribe {\"e\":\"orders\"}' --json | jq .arguments\n"+
			"  hubbub listen https://example.com/signalr ChatHub.Said --send 'ChatHub.Join room-1'   # a classic server",
		cobra.MinimumNArgs(1), func(s *session, args []string) error {
			return s.listen(args[1:], say, u)
		})
	u.add(cmd, "calls")
	cmd.Flags().StringArrayVar(&say, "send", nil, "`CALL`, such as 'Subscribe {}', to make once connected, and again after a reconnect; may be repeated")
	return cmd
}

func (s *session) listen(targets, say []string, u until) error {
	ctx, enough := context.WithCancelCause(s.ctx)
	defer enough(nil)
	again := make(chan struct{}, 1)
	n := 0
	heard := func(in *hubbub.Invocation) {
		if len(targets) > 0 && !slices.ContainsFunc(targets, func(t string) bool { return s.means(t, in.Target) }) {
			return
		}
		s.print.mu.Lock()
		n++
		late := u.count > 0 && n > u.count
		done := n == u.count
		s.print.mu.Unlock()
		if !late {
			s.call(in)
		}
		if done {
			enough(errEnough)
		}
	}
	w := wiring{reconnect: u.reconnect, again: func() { again <- struct{}{} }, call: heard, targets: append(firstWords(say), targets...)}
	client, err := s.dial(w)
	if err != nil {
		return err
	}
	return s.follow(ctx, client, u, say, again)
}

// means reports whether name, of the command line, is that of a target. For classic servers the hub may be left out.
func (s *session) means(name, target string) bool {
	if s.dialect == dialectClassic && !strings.Contains(name, ".") {
		_, target, _ = strings.Cut(target, ".")
	}
	return strings.EqualFold(name, target)
}

// firstWords are the targets of calls that are written as in --send.
func firstWords(calls []string) (list []string) {
	for _, text := range calls {
		if w, err := words(text); err == nil && len(w) > 0 {
			list = append(list, w[0])
		}
	}
	return list
}

// follow keeps client connected until something ends it: a signal, u, or the loss of the connection.
func (s *session) follow(ctx context.Context, client client, u until, say []string, again <-chan struct{}) error {
	defer client.Close()
	s.connected("connected", client.ID())
	if u.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, u.duration, errEnough)
		defer cancel()
	}
	for {
		for _, text := range say {
			w, err := words(text)
			if err != nil || len(w) == 0 {
				return usageError{fmt.Errorf("--send is %q, want \"TARGET ARG…\"", text)}
			}
			call, cancel := s.limited()
			err = client.Invoke(call, nil, w[0], s.arguments(w[1:], false)...)
			cancel()
			if err != nil {
				return cause(call, err)
			}
		}
		select {
		case <-again:
		case err := <-s.lost:
			return s.loss(ctx, err)
		case <-ctx.Done():
			return nil // that is how it is meant to end
		}
	}
}

// call prints a call of the server.
func (s *session) call(in *hubbub.Invocation) {
	args := jsonArgs(in.Args)
	texts := make([]string, len(args))
	for i, a := range args {
		texts[i] = string(a)
	}
	note := ""
	if in.ID != "" {
		note = s.print.paint(yellow, "  (wants a result)")
	}
	s.print.say(struct {
		Event       string            `json:"event"`
		Time        string            `json:"time"`
		Target      string            `json:"target"`
		Arguments   []json.RawMessage `json:"arguments"`
		WantsResult bool              `json:"wantsResult,omitempty"`
	}{"call", s.print.stamp(), in.Target, args, in.ID != ""},
		strings.TrimRight(fmt.Sprintf("%s %s %s%s", s.print.clock(), s.print.paint(cyan, in.Target), strings.Join(texts, " "), note), " "))
}
