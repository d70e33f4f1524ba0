package console

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

func (c *Console) respondCommand() *cobra.Command {
	var u until
	var force bool
	cmd := c.command("respond URL TARGET=RESULT…", "Answer the calls of the server that want a result",
		`Connect and answer the calls of the server (client results): TARGET=RESULT answers the calls of TARGET with RESULT, which is JSON
where it is JSON and text otherwise; TARGET!TEXT answers with an error. Calls are printed as they come; those of other targets
are answered with an error, as every client does that has no answer.`,
		"  hubbub respond http://localhost:8080/hub Confirm=true 'GetPosition={\"x\":1}'\n  hubbub respond https://example.com/hub 'Sign!no key'",
		cobra.MinimumNArgs(2), func(s *session, args []string) error {
			answers, err := s.answers(args[1:], force)
			if err != nil {
				return err
			}
			ctx, enough := context.WithCancelCause(s.ctx)
			defer enough(nil)
			s.dialect = dialectCore
			client := s.newClient(func(o *signalr.ClientOptions) {
				if u.reconnect {
					s.reconnecting(&o.ClientOptions, nil)
					o.Reconnect = hubbub.Jitter(hubbub.StandardRetry(), 0.2)
				}
				n := 0
				o.Trace = func(sent bool, _ signalr.Transport, p []byte) {
					for _, f := range frames(p, s.opts.Protocol) {
						if sent && f.kind == int(hubbub.TypeCompletion) {
							n++ // sent by one goroutine; what is being written is written before goodbye
						}
					}
					if sent && u.count > 0 && n >= u.count {
						enough(errEnough)
					}
				}
			})
			client.OnUnhandled(func(_ context.Context, in *hubbub.Invocation) (any, error) {
				s.call(in)
				if in.ID == "" {
					return nil, nil
				}
				return s.answer(in.Target, answers)
			})
			if err := s.start(client); err != nil {
				return err
			}
			return s.follow(ctx, client, u, nil, nil)
		})
	u.add(cmd, "answers")
	stringFlag(cmd, &force)
	return cmd
}

// reply is an answer to a call of the server.
type reply struct {
	value  any
	failed *hubbub.Error
}

func (s *session) answers(args []string, force bool) (map[string]reply, error) {
	answers := map[string]reply{}
	for _, a := range args {
		i := strings.IndexAny(a, "=!")
		if i <= 0 {
			return nil, usageError{fmt.Errorf("the answer %q: want TARGET=RESULT or TARGET!ERROR", a)}
		}
		target, text := strings.ToLower(a[:i]), a[i+1:]
		if a[i] == '!' {
			answers[target] = reply{failed: &hubbub.Error{Message: text}}
			continue
		}
		answers[target] = reply{value: s.argument(text, force)}
	}
	return answers, nil
}

// answer answers one call and prints what it answered.
func (s *session) answer(target string, answers map[string]reply) (any, error) {
	r, ok := answers[strings.ToLower(target)]
	if !ok {
		r.failed = errNoResult
	}
	line := struct {
		Event  string          `json:"event"`
		Target string          `json:"target"`
		Result json.RawMessage `json:"result,omitempty"`
		Error  string          `json:"error,omitempty"`
	}{Event: "answer", Target: target}
	if r.failed != nil {
		line.Error = r.failed.Message
		s.print.say(line, fmt.Sprintf("%8s %s %s", "", s.print.paint(red, "error"), r.failed.Message))
		return nil, r.failed
	}
	line.Result = compact(r.value)
	s.print.say(line, fmt.Sprintf("%8s %s %s", "", s.print.paint(green, "answer"), line.Result))
	return r.value, nil
}
