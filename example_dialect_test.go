package hubbub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubbub-go/hubbub"
)

// lines is a protocol for people: a message is a line.
type lines struct{}

func (lines) Name() string { return "lines" }

func (lines) Append(dst []byte, m hubbub.Message) ([]byte, error) {
	switch m := m.(type) {
	case *hubbub.Invocation:
		return fmt.Appendf(dst, "%s %v\n", m.Target, m.Args.Values()), nil
	case *hubbub.StreamItem:
		return fmt.Appendf(dst, "item of %s: %v\n", m.InvocationID, m.Item.Any()), nil
	case *hubbub.Completion:
		return fmt.Appendf(dst, "answer to %s: %v%s\n", m.InvocationID, m.Result.Any(), m.Error), nil
	case *hubbub.Progress:
		return fmt.Appendf(dst, "so far of %s: %v\n", m.Call.ID, m.Value.Any()), nil
	case *hubbub.CancelInvocation:
		return fmt.Appendf(dst, "never mind %s\n", m.InvocationID), nil
	case *hubbub.Close:
		return fmt.Appendf(dst, "goodbye %s, come back: %v\n", m.Error, m.AllowReconnect), nil
	case hubbub.Ping:
		return append(dst, '\n'), nil
	}
	return dst, fmt.Errorf("a message of type %d, want one that has a line", m.Type())
}

// EncodesProgress makes it a hubbub.ProgressProtocol.
func (lines) EncodesProgress() {}

// Decode makes it a hubbub.Decoder.
func (lines) Decode(raw []byte, v any) error { return json.Unmarshal(raw, v) }

// A protocol says how messages look. It is asked once for a message, however many connections speak it.
func ExampleProtocol() {
	for _, m := range []hubbub.Message{
		&hubbub.Invocation{Target: "News", Args: hubbub.ArgsOf("it rains", 7)},
		&hubbub.Completion{InvocationID: "1", HasResult: true, Result: hubbub.ValueOf(42)},
		&hubbub.CancelInvocation{InvocationID: "2"},
	} {
		b, err := lines{}.Append(nil, m)
		fmt.Print(m.Type(), " ", string(b))
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// 1 News [it rains 7]
	// 3 answer to 1: 42
	// 5 never mind 2
}

// terminal is a connection that ends in a channel of lines: what a dialect does for a socket.
type terminal struct {
	id     string
	out    *hubbub.Outbox
	awake  chan struct{}
	screen chan string
	once   sync.Once
	reason error
}

func newTerminal() *terminal {
	t := &terminal{id: hubbub.NewConnectionID(), awake: make(chan struct{}, 1), screen: make(chan string)}
	t.out = hubbub.NewOutbox(1<<20, func() {
		select {
		case t.awake <- struct{}{}:
		default: // it is awake
		}
	})
	return t
}

func (t *terminal) ID() string                { return t.id }
func (t *terminal) Protocol() hubbub.Protocol { return lines{} }
func (t *terminal) Framing() hubbub.Framing   { return nil } // the bytes go out as they are
func (t *terminal) Request() *hubbub.Request  { return &hubbub.Request{Transport: "terminal"} }
func (t *terminal) Outbox() *hubbub.Outbox    { return t.out }

func (t *terminal) Close(m *hubbub.Close, reason error) {
	t.once.Do(func() {
		t.reason = reason
		if m == nil {
			t.out.Discard()
			return
		}
		last, _ := lines{}.Append(nil, m)
		t.out.Finish(last, hubbub.TypeClose)
	})
}

// write takes what waits until the connection is closed.
func (t *terminal) write(link *hubbub.Link) {
	for range t.awake {
		var texts []string
		left := t.out.Take(func(b []byte, _ hubbub.MessageType) bool {
			texts = append(texts, string(b))
			return true
		})
		for _, text := range texts {
			t.screen <- text
		}
		if left == 0 && t.out.Closed() {
			link.Detach(t.reason)
			return
		}
	}
}

// A dialect attaches what it has accepted, hands over what the peer says, and writes what waits in the outbox.
func ExampleConn() {
	hub := hubbub.NewHub("terminals", nil)
	hub.Handle("Greet", hubbub.Func1(func(ctx context.Context, name string) (string, error) {
		return "hello " + name + " by " + hubbub.CallerFrom(ctx).Request().Transport, nil
	}))
	hub.Support(lines{})

	t := newTerminal()
	link, err := hub.Attach(t, &hubbub.User{ID: "ann"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	go t.write(link)

	args := hubbub.RawArgs([][]byte{[]byte(`"ann"`)}, lines{}) // decoded when the method is known
	if err := link.Receive(&hubbub.Invocation{ID: "1", Target: "greet", Args: args}, 20); err != nil {
		log.Fatal(err)
	}
	fmt.Print(<-t.screen)
	_ = hub.User("ann").Send(context.Background(), "News", "it rains")
	fmt.Print(<-t.screen)
	hub.CloseWhere(func(c *hubbub.Caller) bool { return c.ID() == link.ID() }, "we close", false)
	fmt.Print(<-t.screen)
	<-link.Done()
	fmt.Println(hub.Stats().Connections)
	// Output:
	// answer to 1: hello ann by terminal
	// News [it rains]
	// goodbye we close, come back: false
	// 0
}

// A protocol that knows progress lets methods tell how far they are.
func ExampleProgressProtocol() {
	var protocol hubbub.ProgressProtocol = lines{}
	call := &hubbub.Invocation{ID: "1", Target: "Import"}
	b, err := protocol.Append(nil, &hubbub.Progress{Call: call, Value: hubbub.ValueOf(50)})
	fmt.Print(string(b))
	fmt.Println(err)
	// Output:
	// so far of 1: 50
	// <nil>
}

// Arguments that cannot be read fail their call and nothing else: a dialect that finds some says so in the message.
func ExampleBadArgs() {
	args := hubbub.BadArgs(errors.New("argument 2 is cut short"))
	fmt.Println(args.Len(), args.Err())
	// Output: 0 argument 2 is cut short
}

var _ hubbub.GroupWatcher = (*watching)(nil)

// watching is a terminal that counts how often its groups change.
type watching struct {
	*terminal
	changes atomic.Int32
}

func (w *watching) GroupsChanged() { w.changes.Add(1) }

// A connection that has the method hears of its groups: a dialect whose clients prove their groups later needs that.
func ExampleGroupWatcher() {
	hub := hubbub.NewHub("watched", nil)
	hub.Support(lines{})
	conn := &watching{terminal: newTerminal()}
	link, err := hub.Attach(conn, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	for _, group := range []string{"sports", "news", "sports"} {
		if err := hub.Join(ctx, link.ID(), group); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(link.Groups(), conn.changes.Load())
	link.Detach(nil)
	<-link.Done()
	// Output: [news sports] 2
}

// brackets is a framing: what a transport puts around an encoded message.
type brackets struct{}

func (brackets) Name() string { return "brackets" }
func (brackets) AppendFrame(dst, message []byte) []byte {
	return append(append(append(dst, '<'), message...), '>')
}

func ExampleFraming() {
	var f hubbub.Framing = brackets{}
	fmt.Printf("%s\n", f.AppendFrame(nil, []byte("News [it rains]")))
	// Output: <News [it rains]>
}

// The queue of a connection never blocks who sends. It is full before it grows.
func ExampleOutbox() {
	woken := 0
	out := hubbub.NewOutbox(20, func() { woken++ })
	fmt.Println(out.Push([]byte("twelve bytes"), hubbub.TypeInvocation))
	fmt.Println(errors.Is(out.Push([]byte("twelve more!"), hubbub.TypeInvocation), hubbub.ErrSlow))
	out.Take(func(b []byte, _ hubbub.MessageType) bool {
		fmt.Printf("%s\n", b)
		return true
	})
	fmt.Println(out.Push([]byte("twelve more!"), hubbub.TypeInvocation), woken > 0)
	out.Discard()
	fmt.Println(out.Push(nil, hubbub.TypePing))
	// Output:
	// <nil>
	// true
	// twelve bytes
	// <nil> true
	// connection closed
}

// A value is encoded until somebody knows its type, and travels on as it came where nobody does.
func ExampleValue() {
	var decoder hubbub.Decoder = lines{}
	came := hubbub.RawValue([]byte(`{"big":12345678901234567890}`), decoder)
	raw, _ := came.Raw()
	fmt.Printf("%s\n", raw)
	var v struct{ Big uint64 }
	fmt.Println(came.Decode(&v), v.Big)

	args := hubbub.ArgsOf("a", 2)
	var n int
	fmt.Println(args.Len(), args.Decode(1, &n), n)
	// Output:
	// {"big":12345678901234567890}
	// <nil> 12345678901234567890
	// 2 <nil> 2
}

// parrot is a server within the process: it answers every call with its first argument.
type parrot struct {
	said   chan hubbub.Message
	gone   chan struct{}
	once   sync.Once
	reason error
}

func (p *parrot) ID() string                { return "parrot-1" }
func (p *parrot) Protocol() hubbub.Protocol { return lines{} }

func (p *parrot) Read() (hubbub.Message, error) {
	select {
	case m := <-p.said:
		return m, nil
	case <-p.gone:
		return nil, p.reason
	}
}

func (p *parrot) Write(ctx context.Context, m hubbub.Message) error {
	in, ok := m.(*hubbub.Invocation)
	if !ok || in.ID == "" {
		return nil
	}
	select {
	case p.said <- &hubbub.Completion{InvocationID: in.ID, HasResult: true, Result: in.Args.At(0)}:
		return nil
	case <-p.gone:
		return hubbub.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *parrot) Close() error     { p.Cut(io.EOF); return nil }
func (p *parrot) Cut(reason error) { p.once.Do(func() { p.reason = reason; close(p.gone) }) }

// dialParrot is a hubbub.Dialer.
type dialParrot struct{}

func (dialParrot) Dial(context.Context) (hubbub.ClientConn, error) {
	return &parrot{said: make(chan hubbub.Message), gone: make(chan struct{})}, nil
}

// A dialect gives a client its connections; everything else, reconnects included, is the client's.
func ExampleDialer() {
	c := hubbub.NewClient(dialParrot{}, nil)
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	if err := c.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(c.ID())
	fmt.Println(hubbub.Invoke[string](ctx, c, "Say", "Polly wants a cracker"))
	// Output:
	// parrot-1
	// Polly wants a cracker <nil>
}

// Two programs that share a backplane share its channels; hubs use some of them.
func ExampleBackplane() {
	var bus hubbub.Backplane = hubbub.NewLocal()
	defer bus.Close()
	ctx := context.Background()
	heard := make(chan string, 1)
	cancel, err := bus.Subscribe(ctx, "orders", func(data []byte) { heard <- string(data) }) // string copies: data is lent
	if err != nil {
		log.Fatal(err)
	}
	defer cancel()
	if err := bus.Publish(ctx, "orders", []byte("order 7 is paid")); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-heard)
	// Output: order 7 is paid
}
