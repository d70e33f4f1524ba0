package signalr_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// answer is what a call gave.
type answer[T any] struct {
	v   T
	err error
}

// calling calls beside the test.
func calling[T any](ctx context.Context, c *signalr.Client, target string, args ...any) <-chan answer[T] {
	done := make(chan answer[T], 1)
	go func() {
		v, err := hubbub.Invoke[T](ctx, c, target, args...)
		done <- answer[T]{v, err}
	}()
	return done
}

// items is a stream of these values, which ends with err if there is one.
func items[T any](err error, list ...T) hubbub.Seq[T] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
		if err != nil {
			var zero T
			yield(zero, err)
		}
	}
}

// signalr-core client, calls, rows ids and InvokeAsync: one counter from 1 for calls and the streams that they send, the streams
// before their call; a new connection begins at 1 again. Over every transport and protocol.
func TestClientSpecCallIDs(t *testing.T) {
	t.Parallel()
	clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		c, p := f.connect(opts, nil)
		for round := range 2 {
			first := calling[int](t.Context(), c, "Add", 1, "é", nil, []int{2})
			p.want(`{"type":1,"invocationId":"1","target":"Add","arguments":[1,"é",null,[2]]}`)
			if err := c.Send(t.Context(), "Fire", map[string]int{"a": 1}); err != nil {
				t.Fatal(err)
			}
			p.want(`{"type":1,"target":"Fire","arguments":[{"a":1}]}`)
			second := calling[string](t.Context(), c, "Upload", 7, items(nil, "x", "y"))
			p.want(`{"type":1,"invocationId":"3","target":"Upload","arguments":[7],"streamIds":["2"]}`,
				`{"type":2,"invocationId":"2","item":"x"}`, `{"type":2,"invocationId":"2","item":"y"}`, `{"type":3,"invocationId":"2"}`)
			p.say(`{"type":3,"invocationId":"3","result":"xy"}`, `{"type":3,"invocationId":"1","result":5}`)
			if a := receive(t, "the second answer", second); a.v != "xy" || a.err != nil {
				t.Errorf("Upload: %q, %v", a.v, a.err)
			}
			if a := receive(t, "the first answer", first); a.v != 5 || a.err != nil {
				t.Errorf("Add: %d, %v", a.v, a.err)
			}
			if err := c.Send(t.Context(), "Upload", items(nil, 1)); err != nil {
				t.Fatal(err)
			}
			p.want(`{"type":1,"target":"Upload","arguments":[],"streamIds":["4"]}`, `{"type":2,"invocationId":"4","item":1}`, `{"type":3,"invocationId":"4"}`)
			if round == 0 {
				c.Close()
				f.start(c)
				p = f.accept()
			}
		}
	})
}

// signalr-core client, calls, rows InvokeAsync, result of wrong type, Completion without result: what a call gives for each answer.
// The connection stays.
func TestClientSpecCallAnswers(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name, answer string
		want         int
		fails        string // part of the error
		remote       bool   // it is an error of the server
	}{
		{"result", `{"type":3,"invocationId":"%s","result":5}`, 5, "", false},
		{"members in another order, and more", `{"result":5,"x":{"y":1},"invocationId":"%s","headers":{"a":"b"},"type":3}`, 5, "", false},
		{"error", `{"type":3,"invocationId":"%s","error":"An unexpected error."}`, 0, "An unexpected error.", true},
		{"no result is the zero value", `{"type":3,"invocationId":"%s"}`, 0, "", false},
		{"an empty error is none", `{"type":3,"invocationId":"%s","error":""}`, 0, "", false},
		{"string for int", `{"type":3,"invocationId":"%s","result":"x"}`, 0, "Error trying to deserialize result to Int32.", true},
		{"fraction for int", `{"type":3,"invocationId":"%s","result":1.5}`, 0, "Error trying to deserialize result to Int32.", true},
		{"null for int", `{"type":3,"invocationId":"%s","result":null}`, 0, "Error trying to deserialize result to Int32.", true},
		{"item of a stream", `{"type":2,"invocationId":"%s","item":1}`, 0, "use Stream", true},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
				c, p := f.connect(opts, nil)
				for _, id := range []string{"1", "2"} {
					call := calling[int32](t.Context(), c, "Run")
					p.next()
					p.say(fmt.Sprintf(x.answer, id))
					a := receive(t, "the answer", call)
					if int(a.v) != x.want || (a.err == nil) != (x.fails == "") {
						t.Fatalf("call %s: %d, %v, want %d, %s", id, a.v, a.err, x.want, x.fails)
					}
					if _, ok := errors.AsType[*hubbub.Error](a.err); ok != x.remote || (a.err != nil && !strings.Contains(a.err.Error(), x.fails)) {
						t.Errorf("call %s: %v, want %q in it", id, a.err, x.fails)
					}
				}
			})
		})
	}
}

// signalr-core client, calls, row Completion for an unknown id, StreamItem for an unknown or finished stream: ignored.
func TestClientSpecStrayAnswers(t *testing.T) {
	t.Parallel()
	clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		c, p := f.connect(opts, nil)
		call := calling[int](t.Context(), c, "Run")
		p.next()
		p.say(`{"type":3,"invocationId":"99","result":1}`, `{"type":3,"invocationId":"x","error":"E"}`, `{"type":2,"invocationId":"98","item":1}`,
			`{"type":5,"invocationId":"1"}`, `{"type":8,"sequenceId":5}`, `{"type":9,"sequenceId":5}`, `{"type":6}`,
			`{"type":3,"invocationId":"1","result":2}`, `{"type":3,"invocationId":"1","result":3}`, `{"type":2,"invocationId":"1","item":4}`)
		if a := receive(t, "the answer", call); a.v != 2 || a.err != nil {
			t.Errorf("Run: %d, %v, want 2", a.v, a.err)
		}
		p.say(`{"type":3,"invocationId":"2","result":"too early"}`)
		call = calling[int](t.Context(), c, "Run")
		p.next()
		p.say(`{"type":3,"invocationId":"2","result":7}`)
		if a := receive(t, "the next answer", call); a.v != 7 && a.err == nil {
			t.Errorf("Run: %d, %v", a.v, a.err)
		}
	})
}

// signalr-core client, calls, row token of InvokeAsync, and cancelling invocations: the call ends at once, its streams are ended, the
// server is asked to cancel, and a late answer is ignored. Nothing is sent for a context that has ended before.
func TestClientSpecCallCanceled(t *testing.T) {
	t.Parallel()
	clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		c, p := f.connect(opts, nil)
		ctx, cancel := context.WithCancel(t.Context())
		plain := calling[int](ctx, c, "Wait", 1500)
		p.want(`{"type":1,"invocationId":"1","target":"Wait","arguments":[1500]}`)
		cancel()
		if a := receive(t, "the end of the call", plain); !errors.Is(a.err, context.Canceled) {
			t.Errorf("Wait: %v, want canceled", a.err)
		}
		p.want(`{"type":5,"invocationId":"1"}`)
		p.say(`{"type":3,"invocationId":"1","error":"An unexpected error occurred invoking 'Wait' on the server."}`)

		if a := receive(t, "a call that never begins", calling[int](ctx, c, "Never")); !errors.Is(a.err, context.Canceled) {
			t.Errorf("Never: %v, want canceled", a.err)
		}

		ctx, cancel = context.WithCancel(t.Context())
		release := make(chan struct{})
		endless := hubbub.Seq[int](func(yield func(int, error) bool) {
			if yield(1, nil) {
				<-release
				yield(2, nil)
			}
		})
		upload := calling[int](ctx, c, "Upload", endless)
		p.want(`{"type":1,"invocationId":"3","target":"Upload","arguments":[],"streamIds":["2"]}`, `{"type":2,"invocationId":"2","item":1}`)
		cancel()
		if a := receive(t, "the end of the upload", upload); !errors.Is(a.err, context.Canceled) {
			t.Errorf("Upload: %v, want canceled", a.err)
		}
		p.want(`{"type":3,"invocationId":"2","error":"Stream canceled by client."}`, `{"type":5,"invocationId":"3"}`)
		close(release)

		last := calling[int](t.Context(), c, "Last")
		p.want(`{"type":1,"invocationId":"4","target":"Last","arguments":[]}`)
		p.say(`{"type":3,"invocationId":"4","result":1}`)
		if a := receive(t, "the last answer", last); a.v != 1 || a.err != nil {
			t.Errorf("Last: %d, %v", a.v, a.err)
		}
		c.Close()
		p.want(`{"type":7}`)
		p.wantEnd() // a call that was answered is not canceled
	})
}

// signalr-core client, calls, row StreamAsync: items, the end, an error, an item of the wrong type (told, where .NET drops it), a result
// (refused), and cancelling in both ways, once.
func TestClientSpecStreams(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name    string
		answers []string
		want    []int
		fails   string
		remote  bool
	}{
		{"end", []string{`{"type":2,"invocationId":"1","item":1}`, `{"type":2,"invocationId":"1","item":2}`, `{"type":3,"invocationId":"1"}`}, []int{1, 2}, "", false},
		{"empty", []string{`{"type":3,"invocationId":"1"}`}, nil, "", false},
		{"error", []string{`{"type":2,"invocationId":"1","item":1}`, `{"type":3,"invocationId":"1","error":"stream broke"}`}, []int{1}, "stream broke", true},
		{"after its end", []string{`{"type":3,"invocationId":"1"}`, `{"type":2,"invocationId":"1","item":1}`}, nil, "", false},
		{"wrong type", []string{`{"type":2,"invocationId":"1","item":1}`, `{"type":2,"invocationId":"1","item":"x"}`, `{"type":2,"invocationId":"1","item":3}`, `{"type":3,"invocationId":"1"}`}, []int{1}, "stream Count: item", true},
		{"result", []string{`{"type":2,"invocationId":"1","item":1}`, `{"type":3,"invocationId":"1","result":9}`}, []int{1}, "the server gave a result at the end of a stream", true},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
				c, p := f.connect(opts, nil)
				go func() {
					<-p.in // the handshake
					p.next()
					p.say(x.answers...)
				}()
				var got []int
				var failed error
				for v, err := range hubbub.Stream[int](t.Context(), c, "Count", 5) {
					if err != nil {
						failed = err
						break
					}
					got = append(got, v)
				}
				if fmt.Sprint(got) != fmt.Sprint(x.want) || (failed == nil) != (x.fails == "") || (failed != nil && !strings.Contains(failed.Error(), x.fails)) {
					t.Errorf("got %v, %v, want %v, %q", got, failed, x.want, x.fails)
				}
				if _, ok := errors.AsType[*hubbub.Error](failed); ok != x.remote {
					t.Errorf("%v is an error of the server: %v", failed, ok)
				}
				if x.name == "wrong type" {
					return // canceled or not: the end may have come before
				}
				c.Close()
				p.want(`{"type":7}`)
				p.wantEnd()
			})
		})
	}
}

// signalr-core client, calls, row StreamAsync: the end of the range and the end of the context cancel the call on the server, once.
func TestClientSpecStreamCanceled(t *testing.T) {
	t.Parallel()
	clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		c, p := f.connect(opts, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 2)
		got := make(chan int, 4)
		for _, name := range []string{"Context", "Break"} {
			go func() {
				var failed error
				for v, err := range hubbub.Stream[int](ctx, c, name, 5) {
					if failed = err; err != nil {
						break
					}
					got <- v
					if name == "Break" {
						break
					}
				}
				ended <- failed
			}()
			id := map[string]string{"Context": "1", "Break": "2"}[name]
			p.want(fmt.Sprintf(`{"type":4,"invocationId":%q,"target":%q,"arguments":[5]}`, id, name))
			p.say(fmt.Sprintf(`{"type":2,"invocationId":%q,"item":%s}`, id, id))
			if v := receive(t, "an item", got); fmt.Sprint(v) != id {
				t.Errorf("item %d, want %s", v, id)
			}
			if name == "Context" {
				cancel()
			}
			err := receive(t, "the end of the stream", ended)
			if (name == "Context") != errors.Is(err, context.Canceled) || (name == "Break" && err != nil) {
				t.Errorf("%s: %v", name, err)
			}
			p.want(fmt.Sprintf(`{"type":5,"invocationId":%q}`, id))
			ctx = t.Context()
		}
		p.say(`{"type":2,"invocationId":"1","item":8}`, `{"type":3,"invocationId":"1"}`, `{"type":3,"invocationId":"2","error":"late"}`)
		c.Close()
		p.want(`{"type":7}`)
		p.wantEnd()
	})
}

// signalr-core client, calls, row upload: a stream that fails, panics or cannot be encoded ends with an error text, and the call goes
// on; several streams of one call do not disturb each other; a call that is over ends its streams.
func TestClientSpecUploads(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name   string
		stream any
		said   []string // by the client, behind the call
	}{
		{"fails", items(errors.New("generator broke"), 1), []string{`{"type":2,"invocationId":"1","item":1}`, `{"type":3,"invocationId":"1","error":"Stream errored by client: 'generator broke'"}`}},
		{"fails with a text of its own", items[int](hubbub.Errorf("my text")), []string{`{"type":3,"invocationId":"1","error":"my text"}`}},
		{"panics", hubbub.Seq[int](func(func(int, error) bool) { panic("oh") }), []string{`{"type":3,"invocationId":"1","error":"Stream errored by client: 'panic: oh'"}`}},
		{"empty", items[int](nil), []string{`{"type":3,"invocationId":"1"}`}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
				c, p := f.connect(opts, nil)
				call := calling[int](t.Context(), c, "Upload", x.stream)
				p.want(`{"type":1,"invocationId":"2","target":"Upload","arguments":[],"streamIds":["1"]}`)
				p.want(x.said...)
				p.say(`{"type":3,"invocationId":"2","result":1}`)
				if a := receive(t, "the answer", call); a.v != 1 || a.err != nil {
					t.Errorf("Upload: %d, %v", a.v, a.err)
				}
			})
		})
	}
	clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		c, p := f.connect(opts, nil)
		release := make(chan struct{})
		waits := hubbub.Seq[string](func(yield func(string, error) bool) {
			<-release
			if yield("late", nil) {
				t.Error("the stream of a call that is over goes on")
			}
		})
		call := calling[int](t.Context(), c, "Two", "plain", items(nil, 1, 2), waits)
		p.want(`{"type":1,"invocationId":"3","target":"Two","arguments":["plain"],"streamIds":["1","2"]}`,
			`{"type":2,"invocationId":"1","item":1}`, `{"type":2,"invocationId":"1","item":2}`, `{"type":3,"invocationId":"1"}`)
		p.say(`{"type":3,"invocationId":"3","result":1}`)
		if a := receive(t, "the answer", call); a.v != 1 || a.err != nil {
			t.Errorf("Two: %d, %v", a.v, a.err)
		}
		p.want(`{"type":3,"invocationId":"2","error":"Stream canceled by client."}`)
		close(release)
		c.Close()
		p.want(`{"type":7}`)
		p.wantEnd()
	})
}

// signalr-core client, calls, row argument cannot be serialised: the caller is told, nothing is sent, and the connection stays.
func TestClientSpecArgumentRefused(t *testing.T) {
	t.Parallel()
	clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		c, p := f.connect(opts, nil)
		bad := any(func() {})
		if err := c.Send(t.Context(), "Echo", bad); err == nil {
			t.Error("Send takes a function")
		}
		if a := receive(t, "the refused call", calling[int](t.Context(), c, "Echo", bad)); a.err == nil {
			t.Error("Invoke takes a function")
		}
		for _, err := range hubbub.Stream[int](t.Context(), c, "Echo", bad) {
			if err == nil {
				t.Error("Stream takes a function")
			}
		}
		if opts.Protocol == "json" {
			if err := c.Send(t.Context(), "Echo", math.NaN()); err == nil {
				t.Error("Send takes NaN in JSON")
			}
		}
		if err := c.Send(t.Context(), "Fine"); err != nil {
			t.Error(err)
		}
		p.want(`{"type":1,"target":"Fine","arguments":[]}`)
	})
}

// signalr-core client, calls, row not Connected (also Reconnecting).
func TestClientSpecNotConnected(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	opts := signalr.ClientOptions{Transports: signalr.WebSockets}
	reconnecting := make(chan struct{}, 1)
	release := make(chan struct{})
	opts.Reconnect = hubbub.RetryDelays(0)
	opts.OnReconnecting = func(error) { reconnecting <- struct{}{}; <-release }
	c := f.client(opts)
	check := func(state string) {
		t.Helper()
		for what, err := range map[string]error{
			"send": c.Send(t.Context(), "Hi"), "invoke": c.Invoke(t.Context(), nil, "Hi"), "stream": streamError(t, c),
		} {
			if !errors.Is(err, hubbub.ErrNotConnected) || !strings.Contains(err.Error(), what+" Hi: ") || !strings.HasSuffix(err.Error(), "it is "+state) {
				t.Errorf("%s while %s: %v", what, state, err)
			}
		}
		if got := c.State().String(); got != state {
			t.Errorf("the client is %s, want %s", got, state)
		}
	}
	check("disconnected")
	f.start(c)
	p := f.accept()
	p.cut()
	receive(t, "the loss", reconnecting)
	check("reconnecting")
	close(release)
	f.accept()
	await(t, "the reconnect", func() bool { return c.State() == hubbub.Connected })
	c.Close()
	check("disconnected")
}

func streamError(t *testing.T, c *signalr.Client) (failed error) {
	for _, err := range hubbub.Stream[int](t.Context(), c, "Hi") {
		failed = err
	}
	return failed
}

// signalr-core client, calls, row batching: what is queued while a POST is under way goes out together, in order, and POSTs never
// overlap.
func TestClientSpecBatches(t *testing.T) {
	t.Parallel()
	const count = 200
	f := newFake(t)
	c, p := f.connect(signalr.ClientOptions{Transports: signalr.LongPolling}, nil)
	for i := range count {
		if err := c.Send(t.Context(), "Item", i); err != nil {
			t.Fatal(err)
		}
	}
	for i := range count {
		p.want(fmt.Sprintf(`{"type":1,"target":"Item","arguments":[%d]}`, i))
	}
	if n := len(f.requests("POST")); n > count {
		t.Errorf("%d POSTs for %d messages and a handshake, want fewer", n, count)
	}
}

// signalr-core client, calls, row fragments: large messages pass both ways, in whatever pieces they come.
func TestClientSpecLargeMessages(t *testing.T) {
	t.Parallel()
	clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		c, p := f.connect(opts, nil)
		large := strings.Repeat("0123456789", 20_000)
		call := calling[string](t.Context(), c, "Echo", large)
		p.want(fmt.Sprintf(`{"type":1,"invocationId":"1","target":"Echo","arguments":[%q]}`, large))
		if opts.Protocol == "json" {
			record := fmt.Sprintf(`{"type":3,"invocationId":"1","result":%q}`+"\x1e", large)
			for len(record) > 0 {
				n := min(len(record), 7001)
				p.send(record[:n])
				record = record[n:]
			}
		} else {
			p.say(fmt.Sprintf(`{"type":3,"invocationId":"1","result":%q}`, large))
		}
		if a := receive(t, "the answer", call); a.v != large || a.err != nil {
			t.Errorf("got %d bytes, %v", len(a.v), a.err)
		}
	})
}
