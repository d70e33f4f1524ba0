package console

import (
	"context"
	"errors"
	"fmt"

	"github.com/hubbub-go/hubbub"
	"github.com/spf13/cobra"
)

const connectHelp = `  invoke TARGET ARG…   call a method and print its result
  send TARGET ARG…     call a method without waiting for an answer
  stream TARGET ARG…   call a streaming method and print its items; "stop" ends it
  stop                 cancel the calls and streams that run
  status               the connection
  help                 this
  quit                 leave (as does Ctrl-D)

Arguments are JSON where they are JSON, and text otherwise: 42 is a number, {"a": 1} an object, ann a text,
"two words" and 'two words' are texts with blanks.`

func (c *Console) connectCommand() *cobra.Command {
	var reconnect, forget bool
	cmd := c.command("connect URL", "Talk to a hub: calls of yours and of the server, as they come",
		"Connect and talk to a hub. What the server calls is printed as it comes; these are the commands at the prompt:\n\n"+connectHelp+
			"\n\nArrow keys bring back what was typed before, in earlier sessions too, except lines that begin with a blank (--no-history keeps none);\n"+
			"Tab completes commands and methods that were called before. When the input is no terminal, its lines are the commands.",
		"  hubbub connect http://localhost:8080/chat\n  echo 'invoke Count room-1' | hubbub connect https://example.com/hub --token-cmd 'cat token.txt'\n"+
			"  hubbub connect https://example.com/signalr --hub ChatHub   # a classic server",
		cobra.ExactArgs(1), func(s *session, _ []string) error { return s.connect(reconnect, forget) })
	cmd.Flags().BoolVar(&reconnect, "reconnect", true, "come back when the connection is lost")
	cmd.Flags().BoolVar(&forget, "no-history", false, "neither read nor keep what is typed")
	return cmd
}

// conversation is one interactive session.
type conversation struct {
	*session
	client   client
	terminal bool            // a person types
	forget   bool            // what is typed
	ctx      context.Context // ends with the conversation
	calls    context.Context // ends with the calls and streams that run
	stop     context.CancelFunc
	running  chan struct{} // as many values as calls and streams run beside the prompt, at most 16
}

func (s *session) connect(reconnect, forget bool) error {
	ctx, end := context.WithCancel(s.ctx)
	defer end()
	v := &conversation{session: s, forget: forget, ctx: ctx, running: make(chan struct{}, 16)}
	v.calls, v.stop = context.WithCancel(ctx)
	defer func() { v.stop() }()
	var err error
	if v.client, err = s.dial(wiring{reconnect: reconnect, call: s.call}); err != nil {
		return err
	}
	defer v.drain()
	defer v.client.Close()
	in, restore, err := v.input()
	if err != nil {
		return err
	}
	defer restore()
	s.connected("connected", v.client.ID())
	return v.talk(in)
}

// drain waits for calls and streams, which end with the connection.
func (v *conversation) drain() {
	for range cap(v.running) {
		v.running <- struct{}{}
	}
}

// talk does what the lines say until there are no more.
func (v *conversation) talk(lines <-chan line) error {
	for {
		select {
		case l, ok := <-lines:
			if !ok {
				v.finish()
				return nil
			}
			if l.err != nil {
				return l.err
			}
			again, err := v.do(l.text)
			if err != nil {
				v.complain(err)
			}
			if !again {
				return nil
			}
		case err := <-v.lost:
			return v.loss(v.ctx, err)
		case <-v.ctx.Done():
			return nil
		}
	}
}

// finish ends the streams at the end of the input, unless it is a script: its streams run to their end.
func (v *conversation) finish() {
	if v.terminal {
		v.stop()
		return
	}
	v.drain()
	for range cap(v.running) {
		<-v.running
	}
}

// complain prints what went wrong with one line; the conversation goes on.
func (v *conversation) complain(err error) {
	if usage, ok := errors.AsType[usageError](err); ok {
		v.print.note(struct {
			Event string `json:"event"`
			Code  int    `json:"code"`
			Error string `json:"error"`
		}{"error", 2, usage.Error()}, usage.Error())
		return
	}
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		f = v.classify(err)
	}
	v.print.say(struct {
		Event string `json:"event"`
		Code  int    `json:"code"`
		Error string `json:"error"`
	}{"error", f.Code, f.Error()}, v.print.paint(red, "error")+" "+f.Error())
}

// do runs one line and reports whether there may be another.
func (v *conversation) do(text string) (again bool, err error) {
	w, err := words(text)
	if err != nil || len(w) == 0 {
		if err != nil {
			err = usageError{err}
		}
		return true, err
	}
	verb, args := w[0], w[1:]
	switch verb {
	case "quit", "exit":
		return false, nil
	case "help", "?":
		v.print.say(struct {
			Event string `json:"event"`
			Text  string `json:"text"`
		}{"help", connectHelp}, connectHelp)
		return true, nil
	case "status":
		v.connected(v.client.State().String(), v.client.ID())
		return true, nil
	case "stop":
		v.stop()
		v.calls, v.stop = context.WithCancel(v.ctx)
		return true, nil
	case "invoke", "send", "stream":
		if len(args) == 0 {
			return true, usageError{fmt.Errorf("%s: want the name of a method behind it", verb)}
		}
		return true, v.run(verb, args[0], v.arguments(args[1:], false))
	}
	return true, usageError{fmt.Errorf("%q is no command; help lists them", verb)}
}

// run makes a call: beside the prompt where a person waits there, so that a slow one can be stopped.
func (v *conversation) run(verb, target string, args []any) error {
	switch {
	case verb == "send":
		ctx, cancel := v.limited()
		defer cancel()
		return v.client.Send(ctx, target, args...)
	case verb == "invoke" && !v.terminal:
		return v.invoke(v.ctx, v.client, target, args)
	}
	streamer, ok := v.client.(hubbub.Streamer)
	if verb == "stream" && !ok {
		return usageError{errors.New("stream: a classic server has no streams")}
	}
	select {
	case v.running <- struct{}{}:
	default:
		return usageError{fmt.Errorf("%d calls run already; stop ends them", cap(v.running))}
	}
	ctx := v.calls
	go func() {
		defer func() { <-v.running }()
		var err error
		if verb == "invoke" {
			err = v.invoke(ctx, v.client, target, args)
		} else {
			err = v.stream(ctx, streamer, target, args, 0)
		}
		if err != nil && ctx.Err() == nil {
			v.complain(err)
		}
	}()
	return nil
}
