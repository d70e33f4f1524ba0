package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// way is a transport with a protocol that it carries.
type way struct {
	t        signalr.Transport
	protocol string
}

var ways = []way{
	{signalr.WebSockets, "json"}, {signalr.WebSockets, "messagepack"}, {signalr.ServerSentEvents, "json"},
	{signalr.LongPolling, "json"}, {signalr.LongPolling, "messagepack"},
}

// everyWay is one check for each transport and protocol, with a client that is connected.
func everyWay(name string, run func(p *probe, w way, c *signalr.Client, calls <-chan string) error) []check {
	var list []check
	for _, w := range ways {
		list = append(list, check{name: fmt.Sprintf("client/%s, %s, %s", name, w.t, w.protocol), run: func(p *probe) error {
			calls := make(chan string, 4096)
			c, err := p.client(testHub, w.t, w.protocol, collect(calls))
			if err != nil {
				return err
			}
			return run(p, w, c, calls)
		}})
	}
	return list
}

// collect gives every call of the server to calls, as text.
func collect(calls chan<- string) func(c *signalr.Client, _ *signalr.ClientOptions) {
	return func(c *signalr.Client, _ *signalr.ClientOptions) {
		if c == nil {
			return
		}
		c.OnUnhandled(func(ctx context.Context, in *hubbub.Invocation) (any, error) {
			text := in.Target
			for _, a := range jsonArgs(in.Args) {
				text += " " + string(a)
			}
			select {
			case calls <- text:
			case <-ctx.Done():
			}
			return nil, errNoResult
		})
	}
}

// heard wants that call of the server next.
func (p *probe) heard(calls <-chan string, want string) error {
	select {
	case got := <-calls:
		if got != want {
			return fmt.Errorf("got the call %q, want %q", got, want)
		}
		return nil
	case <-p.ctx.Done():
		return fmt.Errorf("no call, want %q: %w", want, context.Cause(p.ctx))
	}
}

// object has a member of every kind that the protocols write differently.
type object struct {
	String    string `json:"String" msg:"String"`
	IntArray  []int  `json:"IntArray" msg:"IntArray"`
	ByteArray []byte `json:"ByteArray" msg:"ByteArray"`
	Guid      string `json:"Guid" msg:"Guid"`
}

// clientChecks are about whole conversations, with the client of this program.
func clientChecks() []check {
	list := everyWay("echo", func(p *probe, w way, c *signalr.Client, _ <-chan string) error {
		name, err := hubbub.Invoke[string](p.ctx, c, "GetActiveTransportName")
		if err == nil && name != w.t.String() {
			err = fmt.Errorf("the server thinks the transport is %q", name)
		}
		return all(err, echoes(p, c, "text with ü, 語 and \x00"), echoes(p, c, strings.Repeat("long ", 6000)))
	})
	list = append(list, everyWay("error", func(p *probe, _ way, c *signalr.Client, _ <-chan string) error {
		_, err := hubbub.Invoke[string](p.ctx, c, "ThrowException", "boom")
		said, ok := errors.AsType[*hubbub.Error](err)
		if want := "An unexpected error occurred invoking 'ThrowException' on the server. InvalidOperationException: boom"; !ok || said.Message != want {
			return fmt.Errorf("got %v, want %q", err, want)
		}
		return nil
	})...)
	list = append(list, everyWay("object", func(p *probe, _ way, c *signalr.Client, _ <-chan string) error {
		o, err := hubbub.Invoke[object](p.ctx, c, "SendComplexObject")
		if want := `{hello world [1 2 3] [1 2 3] 00010203-0405-0607-0706-050403020100}`; err != nil || fmt.Sprint(o) != want {
			return fmt.Errorf("got %v, %w, want %s", o, err, want)
		}
		return nil
	})...)
	list = append(list, everyWay("streams", func(p *probe, _ way, c *signalr.Client, _ <-chan string) error {
		got := ""
		for item, err := range hubbub.Stream[string](p.ctx, c, "Stream") {
			if err != nil {
				return err
			}
			got += item
		}
		up := hubbub.Seq[string](func(yield func(string, error) bool) {
			for i := range 100 {
				if !yield(fmt.Sprint(i%10), nil) {
					return
				}
			}
		})
		all, err := hubbub.Invoke[string](p.ctx, c, "StreamingConcat", up)
		if want := strings.Repeat("0123456789", 10); err != nil || got != "abc" || all != want {
			return fmt.Errorf("down %q, up %q, %w, want abc and %q", got, all, err, want)
		}
		return nil
	})...)
	list = append(list, everyWay("order of 1000 calls", func(p *probe, _ way, c *signalr.Client, calls <-chan string) error {
		if err := c.Send(p.ctx, "SendSequence", 1000); err != nil {
			return err
		}
		for i := range 1000 {
			if err := p.heard(calls, fmt.Sprint("Item ", i)); err != nil {
				return err
			}
		}
		return nil
	})...)
	return list
}

// resultChecks are about calls of the server that want a result.
func resultChecks() []check {
	var list []check
	for _, x := range []struct{ name, answer, want string }{
		{"number", `"result":42`, "42"},
		{"error", `"error":"not now"`, "not now"},
		{"no result", ``, "Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown."},
		{"wrong type", `"result":"x"`, "Error trying to deserialize result to Int32. …"},
	} {
		list = append(list, check{name: "client result/" + x.name, run: func(p *probe) error {
			w, err := p.connect(testHub)
			if err != nil {
				return err
			}
			answer, err := p.ask(w)
			if err != nil {
				return err
			}
			asked, id, err := asks(w)
			if err != nil {
				return err
			}
			if asked != "Result" {
				return fmt.Errorf("the server asks for %q, want Result", asked)
			}
			more := ""
			if x.answer != "" {
				more = "," + x.answer
			}
			if err := w.say(fmt.Sprintf(`{"type":3,"invocationId":%q%s}`, id, more)); err != nil {
				return err
			}
			return answer(x.want)
		}})
	}
	return append(list, check{name: "client result/connection lost", run: func(p *probe) error {
		w, err := p.connect(testHub)
		if err != nil {
			return err
		}
		id, err := w.connectionID()
		if err != nil {
			return err
		}
		answer, err := p.askID(id)
		if err != nil {
			return err
		}
		if _, _, err := asks(w); err != nil {
			return err
		}
		_ = w.conn.Close(websocketNormal, "")
		return answer("Connection '" + id + "' disconnected.")
	}}, check{name: "client result/unknown connection", run: func(p *probe) error {
		r, err := p.do(http.MethodGet, "/clientresult/nobody", "")
		if err != nil {
			return err
		}
		return r.want(http.StatusOK, plainText, "Connection 'nobody' does not exist.")
	}})
}

// connectionID asks the server for the id of a connection.
func (w *wire) connectionID() (string, error) {
	if err := w.say(call("GetCallerConnectionId", `[]`)); err != nil {
		return "", err
	}
	m, err := w.message()
	return m.Result, err
}

// ask lets the server ask that connection for a number. The function compares what the server made of the answer.
func (p *probe) ask(w *wire) (answer func(want string) error, err error) {
	id, err := w.connectionID()
	if err != nil {
		return nil, err
	}
	return p.askID(id)
}

func (p *probe) askID(id string) (answer func(want string) error, err error) {
	type outcome struct {
		r   response
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		r, err := p.do(http.MethodGet, "/clientresult/"+id, "")
		done <- outcome{r, err}
	}()
	return func(want string) error {
		o := <-done
		if o.err != nil {
			return o.err
		}
		if start, any := strings.CutSuffix(want, "…"); any && strings.HasPrefix(o.r.body, start) {
			want = o.r.body
		}
		return o.r.want(http.StatusOK, plainText, want)
	}, nil
}

// asks waits for a call of the server that wants a result.
func asks(w *wire) (target, id string, err error) {
	m, err := w.message()
	if err == nil && (m.Type != 1 || m.ID == "") {
		err = fmt.Errorf("got type %d with the id %q, want a call with an id", m.Type, m.ID)
	}
	return m.Target, m.ID, err
}
