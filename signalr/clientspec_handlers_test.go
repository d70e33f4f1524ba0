package signalr_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// A fence: the client's answer tells that everything before has been handled.
const (
	fenceCall   = `{"type":1,"target":"fence","arguments":[]}`
	fenceAnswer = `{"type":1,"target":"fenced","arguments":[]}`
)

// withFence registers the handler of the fence. It is in line with all others.
func withFence(c *signalr.Client) {
	c.On("fence", hubbub.Action0(func(ctx context.Context) error { return c.Send(ctx, "fenced") }))
}

// diary is what handlers have noted, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) want(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if fmt.Sprint(d.lines) != fmt.Sprint(want) {
		t.Errorf("handlers noted %q, want %q", d.lines, want)
	}
}

// loggedText is a logger and what it was told.
func loggedText() (*slog.Logger, func() string) {
	var mu sync.Mutex
	var b bytes.Buffer
	w := writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return b.Write(p)
	})
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})), func() string {
		mu.Lock()
		defer mu.Unlock()
		return b.String()
	}
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// signalr-core client, handlers, row names: they are case-sensitive; several handlers run one after the other; one that fails or
// panics is logged, and the next still runs; a removed one does not.
func TestClientSpecHandlers(t *testing.T) {
	t.Parallel()
	clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		var log func() string
		opts.Logger, log = loggedText()
		d := &diary{}
		var remove func()
		_, p := f.connect(opts, func(c *signalr.Client) {
			withFence(c)
			c.On("Item", hubbub.Action1(func(_ context.Context, i int) error { d.note("a%d", i); return errors.New("a went wrong") }))
			remove = c.On("Item", hubbub.Action1(func(_ context.Context, i int) error { d.note("b%d", i); panic("b went wrong") }))
			c.On("Item", hubbub.Action1(func(_ context.Context, i int) error { d.note("c%d", i); return nil }))
			c.On("item", hubbub.Action1(func(_ context.Context, i int) error { d.note("other%d", i); return nil }))
		})
		p.say(`{"type":1,"target":"Item","arguments":[1]}`, `{"type":1,"target":"ITEM","arguments":[2]}`, `{"type":1,"target":"item","arguments":[3]}`, fenceCall)
		p.want(fenceAnswer)
		d.want(t, "a1", "b1", "c1", "other3")
		remove()
		remove()
		p.say(`{"type":1,"headers":{"traceparent":"00-x"},"target":"Item","arguments":[4]}`, fenceCall)
		p.want(fenceAnswer)
		d.want(t, "a1", "b1", "c1", "other3", "a4", "c4")
		for _, want := range []string{"a went wrong", "b went wrong"} {
			if !strings.Contains(log(), want) {
				t.Errorf("the log lacks %q:\n%s", want, log())
			}
		}
	})
}

// signalr-core client, handlers, row unknown target, wrong count, wrong type: dropped, the connection stays, and what comes behind is
// handled. A call that wants a result is told.
func TestClientSpecHandlerArguments(t *testing.T) {
	t.Parallel()
	const unfit, none = `"error":"Client failed to parse argument(s)."`, `"error":"Client didn't provide a result."`
	clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		d := &diary{}
		_, p := f.connect(opts, func(c *signalr.Client) {
			withFence(c)
			c.On("Item", hubbub.Action1(func(_ context.Context, i int) error { d.note("%d", i); return nil }))
			c.On("Maybe", hubbub.Action1(func(_ context.Context, i *int) error { d.note("maybe %v", i == nil); return nil }))
			c.On("Ask", hubbub.Func1(func(_ context.Context, i int) (int, error) { return i + 1, nil }))
		})
		for _, x := range []struct{ target, args, answer string }{
			{"Unknown", `[]`, none},
			{"Unknown", `[1]`, none}, // of .NET only this one is told that its arguments are unfit
			{"ask", `[1]`, none},
			{"Item", `[1]`, none},
			{"Ask", `[]`, unfit},
			{"Ask", `[1,2]`, unfit},
			{"Ask", `["x"]`, unfit},
			{"Ask", `["5"]`, unfit},
			{"Ask", `[null]`, unfit},
			{"Ask", `[{}]`, unfit},
			{"Ask", `[1]`, `"result":2`},
			{"Item", `[]`, unfit},
			{"Item", `["x"]`, unfit},
		} {
			p.say(fmt.Sprintf(`{"type":1,"target":%q,"arguments":%s}`, x.target, x.args))
			p.say(fmt.Sprintf(`{"type":1,"invocationId":"s1","target":%q,"arguments":%s}`, x.target, x.args))
			if got, want := p.next(), `{"type":3,"invocationId":"s1",`+x.answer+`}`; !sameJSON(got, want) {
				t.Errorf("%s %s: the client answered %s, want %s", x.target, x.args, got, want)
			}
		}
		p.say(`{"type":1,"target":"Maybe","arguments":[null]}`, fenceCall)
		p.want(fenceAnswer)
		d.mu.Lock()
		defer d.mu.Unlock()
		got := strings.Join(d.lines, ",")
		if got != "1,1,maybe true" {
			t.Errorf("handlers noted %s, want Item 1 with and without an answer, and Maybe with nothing", got)
		}
	})
}

// signalr-core client, handlers, row result handler: an error is told with its text, nothing is a null, plain handlers of the same name
// run too, and it may be called without asking. A second one is refused.
func TestClientSpecResultHandlers(t *testing.T) {
	t.Parallel()
	clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		d := &diary{}
		_, p := f.connect(opts, func(c *signalr.Client) {
			withFence(c)
			c.On("Get", hubbub.Action1(func(_ context.Context, s string) error { d.note("plain %s", s); return errors.New("is only logged") }))
			c.On("Get", hubbub.Func1(func(_ context.Context, s string) (any, error) {
				d.note("result %s", s)
				switch s {
				case "error":
					return nil, errors.New("nope")
				case "text":
					return nil, hubbub.Errorf("a text")
				case "panic":
					panic("oh")
				case "null":
					return nil, nil
				case "unfit":
					return func() {}, nil
				}
				return s, nil
			}))
			defer func() {
				if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "'Get' already has a value returning handler. Multiple return values are not supported.") {
					t.Errorf("a second result handler: %v", r)
				}
			}()
			c.On("Get", hubbub.Func1(func(context.Context, string) (int, error) { return 0, nil }))
		})
		var noted []string
		for arg, want := range map[string]string{
			"error": `"error":"nope"`, "text": `"error":"a text"`, "panic": `"error":"panic: oh"`, "null": `"result":null`, "x": `"result":"x"`, "unfit": "",
		} {
			p.say(fmt.Sprintf(`{"type":1,"invocationId":"s1","target":"Get","arguments":[%q]}`, arg))
			got := p.next()
			if want = `{"type":3,"invocationId":"s1",` + want + `}`; !sameJSON(got, want) && (arg != "unfit" || !strings.Contains(got, "Client failed to encode the result")) {
				t.Errorf("Get %s: the client answered %s, want %s", arg, got, want)
			}
			noted = append(noted, "plain "+arg, "result "+arg)
		}
		p.say(`{"type":1,"target":"Get","arguments":["unasked"]}`, fenceCall)
		p.want(fenceAnswer)
		d.want(t, append(noted, "plain unasked", "result unasked")...)
	})
}

// signalr-core client, handlers, row order: calls are handled one at a time, and the next waits for all handlers of the one before; a
// handler may wait for a call of its own. Calls that want a result do not hold up those behind them, and one whose asker has given up
// is still answered.
func TestClientSpecHandlerOrder(t *testing.T) {
	t.Parallel()
	clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		d := &diary{}
		release := make(chan struct{})
		_, p := f.connect(opts, func(c *signalr.Client) {
			withFence(c)
			c.On("Item", hubbub.Action1(func(ctx context.Context, i int) error {
				d.note("begin %d", i)
				v, err := hubbub.Invoke[int](ctx, c, "Double", i)
				d.note("end %d %d %v", i, v, err)
				return nil
			}))
			c.On("Slow", hubbub.Func0(func(context.Context) (string, error) { <-release; return "slow", nil }))
			c.On("Fast", hubbub.Func0(func(context.Context) (string, error) { return "fast", nil }))
		})
		p.say(`{"type":1,"invocationId":"s1","target":"Slow","arguments":[]}`, `{"type":1,"target":"Item","arguments":[1]}`, `{"type":1,"target":"Item","arguments":[2]}`)
		p.want(`{"type":1,"invocationId":"1","target":"Double","arguments":[1]}`)
		p.say(`{"type":1,"invocationId":"s2","target":"Fast","arguments":[]}`)
		p.want(`{"type":3,"invocationId":"s2","result":"fast"}`)
		d.want(t, "begin 1")
		p.say(`{"type":3,"invocationId":"1","result":2}`)
		p.want(`{"type":1,"invocationId":"2","target":"Double","arguments":[2]}`)
		p.say(`{"type":3,"invocationId":"2","result":4}`, fenceCall)
		p.want(fenceAnswer)
		d.want(t, "begin 1", "end 1 2 <nil>", "begin 2", "end 2 4 <nil>")
		p.say(`{"type":5,"invocationId":"s1"}`, fenceCall) // nobody waits any more
		p.want(fenceAnswer)
		close(release)
		p.want(`{"type":3,"invocationId":"s1","result":"slow"}`)
	})
}

// signalr-core client, handlers: their context ends with the connection, and Close waits for them.
func TestClientSpecHandlerContext(t *testing.T) {
	t.Parallel()
	clientTransports(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		for _, how := range []string{"close", "end", "cut"} {
			running, over := make(chan struct{}, 2), make(chan error, 2)
			closed := make(chan error, 1)
			opts.OnClosed = func(err error) { closed <- err }
			wait := func(ctx context.Context) error {
				running <- struct{}{}
				<-ctx.Done()
				over <- ctx.Err()
				return ctx.Err()
			}
			c, p := f.connect(opts, func(c *signalr.Client) {
				c.On("Wait", hubbub.Action0(wait))
				c.On("Ask", hubbub.Func0(func(ctx context.Context) (int, error) { return 0, wait(ctx) }))
			})
			p.say(`{"type":1,"target":"Wait","arguments":[]}`, `{"type":1,"invocationId":"s1","target":"Ask","arguments":[]}`)
			receive(t, "a handler", running)
			receive(t, "the other handler", running)
			switch how {
			case "close":
				c.Close()
			case "end":
				p.end(1000)
			case "cut":
				p.cut()
			}
			receive(t, "the end", closed)
			if len(over) != 2 {
				t.Errorf("%s: %d handlers are over, want both", how, len(over))
			}
		}
	})
}
