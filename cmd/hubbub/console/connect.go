package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
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
	var reconnect bool
	cmd := c.command("connect URL", "Talk to a hub: calls of yours and of the server, as they come",
		"Connect and talk to a hub. What the server calls is printed as it comes; these are the commands at the prompt:\n\n"+connectHelp+
			"\n\nArrow keys bring back what was typed before. When the input is no terminal, its lines are the commands.",
		"  hubbub connect http://localhost:8080/chat\n  echo 'invoke Count room-1' | hubbub connect https://example.com/hub --token-cmd 'cat token.txt'",
		cobra.ExactArgs(1), func(s *session, _ []string) error { return s.connect(reconnect) })
	cmd.Flags().BoolVar(&reconnect, "reconnect", true, "come back when the connection is lost")
	return cmd
}

// conversation is one interactive session.
type conversation struct {
	*session
	client   *signalr.Client
	terminal bool            // a person types
	ctx      context.Context // ends with the conversation
	calls    context.Context // ends with the calls and streams that run
	stop     context.CancelFunc
	running  chan struct{} // as many values as calls and streams run beside the prompt, at most 16
}

func (s *session) connect(reconnect bool) error {
	ctx, end := context.WithCancel(s.ctx)
	defer end()
	v := &conversation{session: s, ctx: ctx, running: make(chan struct{}, 16)}
	v.calls, v.stop = context.WithCancel(ctx)
	defer func() { v.stop() }()
	v.client = s.newClient(func(o *signalr.ClientOptions) {
		if reconnect {
			s.reconnecting(o)
		}
	})
	v.client.OnUnhandled(func(_ context.Context, in *hubbub.Invocation) (any, error) {
		s.call(in)
		if in.ID != "" {
			return nil, errNoResult
		}
		return nil, nil
	})
	if err := s.start(v.client); err != nil {
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

// input returns the lines that are typed, and how to leave the terminal as it was.
func (v *conversation) input() (lines <-chan line, restore func(), err error) {
	in, ok := v.console.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) || !isTerminal(v.console.Stdout) || v.flags.json {
		return v.lines(), func() {}, nil
	}
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, nil, fmt.Errorf("terminal: %w", err)
	}
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, v.console.Stdout}, "> ")
	if width, height, err := term.GetSize(int(in.Fd())); err == nil && width > 0 {
		_ = t.SetSize(width, height) // a size that it does not like leaves the old one
	}
	t.AutoCompleteCallback = complete
	v.print.mu.Lock()
	v.print.out, v.print.err = t, t // what is printed goes above the line that is being typed
	v.print.mu.Unlock()
	v.terminal = true
	restore = func() {
		v.print.mu.Lock()
		v.print.out, v.print.err = v.console.Stdout, v.console.Stderr
		v.print.mu.Unlock()
		_ = term.Restore(int(in.Fd()), old)
	}
	ch := make(chan line)
	go func() {
		defer close(ch)
		for {
			text, err := t.ReadLine()
			if err != nil {
				return
			}
			select {
			case ch <- line{text: text}:
			case <-v.ctx.Done():
				return
			}
		}
	}()
	return ch, restore, nil
}

var verbs = []string{"invoke ", "send ", "stream ", "stop", "status", "help", "quit"}

// complete finishes a command when Tab is pressed.
func complete(text string, pos int, key rune) (string, int, bool) {
	if key != '\t' || pos == 0 {
		return "", 0, false
	}
	for _, verb := range verbs {
		if strings.HasPrefix(verb, text[:pos]) {
			return verb + text[pos:], len(verb), true
		}
	}
	return "", 0, false
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
			err = v.stream(ctx, v.client, target, args, 0)
		}
		if err != nil && ctx.Err() == nil {
			v.complain(err)
		}
	}()
	return nil
}
