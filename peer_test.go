package hubbub_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// dialect is the smallest hub protocol: a JSON object a line. It counts what it encodes.
type dialect struct {
	name     string
	appended atomic.Int64
}

func (d *dialect) Name() string { return d.name }

func (d *dialect) Decode(raw []byte, v any) error { return json.Unmarshal(raw, v) }

// TypeName is what the sentence about a result that does not decode calls it.
func (d *dialect) TypeName(v any) string { return strings.TrimPrefix(fmt.Sprintf("%T", v), "*") }

// wire is a message as it goes over the line.
type wire struct {
	Type      hubbub.MessageType `json:"type"`
	ID        string             `json:"id,omitempty"`
	Target    string             `json:"target,omitempty"`
	Args      []any              `json:"args,omitempty"`
	Value     any                `json:"value,omitempty"`
	HasValue  bool               `json:"hasValue,omitempty"`
	Error     string             `json:"error,omitempty"`
	Reconnect bool               `json:"reconnect,omitempty"`
}

func (d *dialect) Append(dst []byte, m hubbub.Message) ([]byte, error) {
	d.appended.Add(1)
	w := wire{Type: m.Type()}
	switch m := m.(type) {
	case *hubbub.Invocation:
		w.ID, w.Target, w.Args = m.ID, m.Target, m.Args.Values()
	case *hubbub.StreamItem:
		w.ID, w.Value = m.InvocationID, m.Item.Any()
	case *hubbub.Completion:
		w.ID, w.Error, w.HasValue, w.Value = m.InvocationID, m.Error, m.HasResult, m.Result.Any()
	case *hubbub.Close:
		w.Error, w.Reconnect = m.Error, m.AllowReconnect
	}
	b, err := json.Marshal(w)
	if err != nil {
		return dst, err
	}
	return append(append(dst, b...), '\n'), nil
}

// text writes a message the way the tests compare it.
func (w wire) text() string {
	list := make([]string, len(w.Args))
	for i, a := range w.Args {
		list[i] = jsonText(a)
	}
	switch w.Type {
	case hubbub.TypeInvocation:
		return w.Target + "(" + strings.Join(list, ",") + ")"
	case hubbub.TypeStreamItem:
		return "item " + w.ID + " = " + jsonText(w.Value)
	case hubbub.TypeCompletion:
		switch {
		case w.Error != "":
			return "done " + w.ID + " ! " + w.Error
		case w.HasValue:
			return "done " + w.ID + " = " + jsonText(w.Value)
		}
		return "done " + w.ID
	case hubbub.TypeClose:
		return fmt.Sprintf("close %q %v", w.Error, w.Reconnect)
	}
	return fmt.Sprintf("%+v", w)
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// framing wraps messages in brackets.
type framing struct{}

func (framing) Name() string { return "brackets" }
func (framing) AppendFrame(dst, m []byte) []byte {
	return append(append(append(dst, '['), m...), ']')
}

// peer is a connection and the client at its other end.
type peer struct {
	t       testing.TB
	id      string
	dialect *dialect
	framing hubbub.Framing
	request *hubbub.Request
	out     *hubbub.Outbox
	user    *hubbub.User
	limit   int
	awake   chan struct{}
	last    wire

	mu     sync.Mutex
	link   *hubbub.Link
	closed bool
	reason error
}

func (p *peer) ID() string                { return p.id }
func (p *peer) Protocol() hubbub.Protocol { return p.dialect }
func (p *peer) Framing() hubbub.Framing   { return p.framing }
func (p *peer) Request() *hubbub.Request  { return p.request }
func (p *peer) Outbox() *hubbub.Outbox    { return p.out }

func (p *peer) Close(m *hubbub.Close, reason error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed, p.reason = true, reason
	link := p.link
	p.mu.Unlock()
	if m == nil {
		p.out.Discard()
	} else {
		b, _ := p.dialect.Append(nil, m)
		p.out.Finish(b, hubbub.TypeClose)
	}
	if link != nil {
		link.Detach(reason)
	}
}

type option func(*peer)

func as(u *hubbub.User) option             { return func(p *peer) { p.user = u } }
func named(id string) option               { return func(p *peer) { p.id = id } }
func speaking(d *dialect) option           { return func(p *peer) { p.dialect = d } }
func framed(f hubbub.Framing) option       { return func(p *peer) { p.framing = f } }
func queue(bytes int) option               { return func(p *peer) { p.limit = bytes } }
func asking(r *hubbub.Request) option      { return func(p *peer) { p.request = r } }
func userNamed(id string) option           { return as(&hubbub.User{ID: id}) }
func quiet() *slog.Logger                  { return slog.New(slog.DiscardHandler) }
func raw(v any) json.RawMessage            { return json.RawMessage(jsonText(v)) }
func newDialect(name string) *dialect      { return &dialect{name: name} }
func (p *peer) linked() *hubbub.Link       { p.mu.Lock(); defer p.mu.Unlock(); return p.link }
func (p *peer) endedWith() (bool, error)   { p.mu.Lock(); defer p.mu.Unlock(); return p.closed, p.reason }
func newHub(o *hubbub.Options) *hubbub.Hub { return newNamedHub("test", o) }

var common = newDialect("common")

func newNamedHub(name string, o *hubbub.Options) *hubbub.Hub {
	var opts hubbub.Options
	if o != nil {
		opts = *o
	}
	if opts.Logger == nil {
		opts.Logger = quiet()
	}
	h := hubbub.NewHub(name, &opts)
	h.Support(common)
	return h
}

// unattached makes a peer that is not connected yet.
func unattached(t testing.TB, options ...option) *peer {
	p := &peer{t: t, id: hubbub.NewConnectionID(), dialect: common, request: &hubbub.Request{}, limit: 1 << 20, awake: make(chan struct{}, 1)}
	for _, o := range options {
		o(p)
	}
	p.out = hubbub.NewOutbox(p.limit, func() {
		select {
		case p.awake <- struct{}{}:
		default:
		}
	})
	return p
}

func (p *peer) attach(h *hubbub.Hub) error {
	link, err := h.Attach(p, p.user, nil)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.link = link
	closed, reason := p.closed, p.reason
	p.mu.Unlock()
	if closed {
		link.Detach(reason)
	}
	p.t.Cleanup(p.leave)
	return nil
}

// connect makes a peer that is connected until the end of the test.
func connect(t testing.TB, h *hubbub.Hub, options ...option) *peer {
	t.Helper()
	p := unattached(t, options...)
	if err := p.attach(h); err != nil {
		t.Fatal(err)
	}
	return p
}

// leave is the ordinary end of a connection.
func (p *peer) leave() { p.lose(nil) }

// lose is the end of a connection for a reason.
func (p *peer) lose(reason error) {
	p.Close(nil, reason)
	await(p.t, "the connection to leave the hub", p.linked().Done())
}

// receive hands a message of the client to the hub.
func (p *peer) receive(m hubbub.Message) {
	p.t.Helper()
	if err := p.linked().Receive(m, 100); err != nil {
		p.t.Errorf("receive %+v: %v", m, err)
	}
}

func (p *peer) invocation(id, target string, args []any) *hubbub.Invocation {
	in := &hubbub.Invocation{ID: id, Target: target}
	list := in.ArgSpace()
	for _, a := range args {
		list = append(list, raw(a))
	}
	in.Args = hubbub.RawArgs(list, p.dialect)
	return in
}

func (p *peer) call(id, target string, args ...any) {
	p.t.Helper()
	p.receive(p.invocation(id, target, args))
}

func (p *peer) stream(id, target string, args ...any) {
	p.t.Helper()
	in := p.invocation(id, target, args)
	in.Stream = true
	p.receive(in)
}

// upload calls a method with the streams ids.
func (p *peer) upload(id, target string, ids []string, args ...any) {
	p.t.Helper()
	in := p.invocation(id, target, args)
	in.StreamIDs = ids
	p.receive(in)
}

func (p *peer) item(id string, v any) {
	p.t.Helper()
	p.receive(&hubbub.StreamItem{InvocationID: id, Item: hubbub.RawValue(raw(v), p.dialect)})
}

func (p *peer) end(id, text string) {
	p.t.Helper()
	p.receive(&hubbub.Completion{InvocationID: id, Error: text})
}

func (p *peer) cancel(id string) {
	p.t.Helper()
	p.receive(&hubbub.CancelInvocation{InvocationID: id})
}

// answer is the result of a question of the server.
func (p *peer) answer(id string, v any) {
	p.t.Helper()
	p.receive(&hubbub.Completion{InvocationID: id, HasResult: true, Result: hubbub.RawValue(raw(v), p.dialect)})
}

// take returns the next message if there is one.
func (p *peer) take() (b []byte, ok bool) {
	p.out.Take(func(message []byte, _ hubbub.MessageType) bool {
		if ok {
			return false
		}
		b, ok = message, true
		return true
	})
	return b, ok
}

// next waits for the next message.
func (p *peer) next() wire {
	p.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		if b, ok := p.take(); ok {
			p.last = wire{}
			if p.framing != nil {
				b = b[1 : len(b)-1]
			}
			if err := json.Unmarshal(b, &p.last); err != nil {
				p.t.Fatalf("message %q: %v", b, err)
			}
			return p.last
		}
		select {
		case <-p.awake:
		case <-deadline.C:
			p.t.Fatalf("%s: no message within %v", p.id, patience)
		}
	}
}

// expect waits for messages and compares each with what [wire.text] makes of it.
func (p *peer) expect(want ...string) {
	p.t.Helper()
	for _, w := range want {
		if got := p.next().text(); got != w {
			p.t.Fatalf("%s got %s, want %s", p.id, got, w)
		}
	}
}

// await waits for a channel.
func await[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
	}
	return v
}

// eventually waits until a condition holds that nothing announces.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
