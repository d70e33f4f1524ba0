package hubtest

import (
	"context"
	"log/slog"
	"testing"

	"github.com/hubbub-go/hubbub"
)

// Context returns the context of a hub method that the user with that id has called, "" for an anonymous one, so that a test
// can call the method as the function that it is: hubbub.CallerFrom and hubbub.UserFrom find the caller. The context ends with
// the test.
//
// The caller stands alone. It has an id, groups and items of its own, but belongs to a hub where nobody else is: what it sends
// to itself or to others goes nowhere, and asking it for a client result fails. Use [Connect] to see what a method sends.
func Context(t testing.TB, userID string) context.Context {
	t.Helper()
	return ContextAs(t, userOf(userID))
}

// ContextAs is [Context] for a user with claims, nil for an anonymous one.
func ContextAs(t testing.TB, user *hubbub.User) context.Context {
	t.Helper()
	hub := hubbub.NewHub("hubtest", &hubbub.Options{Logger: slog.New(slog.DiscardHandler)})
	begun, over := make(chan context.Context), make(chan struct{})
	hub.Handle("Call", hubbub.Raw(func(ctx context.Context, _ hubbub.Args) (any, error) {
		begun <- ctx
		<-over // the context of a method ends when it returns
		return nil, nil
	}))
	c := newLoner()
	link, err := hub.Attach(c, user, nil)
	if err == nil {
		c.link = link
		close(c.linked)
		err = link.Receive(&hubbub.Invocation{Target: "Call"}, 0)
	}
	if err != nil {
		t.Fatalf("hubtest: context: %v", err) // a new hub without a backplane refuses nobody
	}
	ctx := <-begun
	t.Cleanup(func() {
		link.Detach(nil)
		close(over)
		<-link.Done()
	})
	return ctx
}

// loner is a connection to nobody. It is its own protocol, which sees what is sent.
type loner struct {
	id     string
	out    *hubbub.Outbox
	link   *hubbub.Link
	linked chan struct{} // closed when there is a link
}

func newLoner() *loner {
	c := &loner{id: hubbub.NewConnectionID(), linked: make(chan struct{})}
	c.out = hubbub.NewOutbox(1<<20, func() {
		c.out.Take(func([]byte, hubbub.MessageType) bool { return true })
	})
	return c
}

func (c *loner) ID() string                { return c.id }
func (c *loner) Protocol() hubbub.Protocol { return c }
func (c *loner) Framing() hubbub.Framing   { return nil }
func (c *loner) Request() *hubbub.Request  { return &hubbub.Request{} }
func (c *loner) Outbox() *hubbub.Outbox    { return c.out }

func (c *loner) Close(_ *hubbub.Close, reason error) {
	<-c.linked
	c.link.Detach(reason)
}

// Name implements hubbub.Protocol.
func (c *loner) Name() string { return "hubtest" }

// Append implements hubbub.Protocol. It answers calls that want a result.
func (c *loner) Append(dst []byte, m hubbub.Message) ([]byte, error) {
	if in, ok := m.(*hubbub.Invocation); ok && in.ID != "" {
		go func() {
			<-c.linked
			_ = c.link.Receive(&hubbub.Completion{
				InvocationID: in.ID,
				Error:        "hubtest: the caller of Context has no client that could answer, want one of Connect",
			}, 0) // an answer that comes too late is no loss
		}()
	}
	return append(dst, byte(m.Type())), nil
}
