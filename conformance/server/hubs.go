package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub"
)

var hubOptions = hubbub.Options{EnableDetailedErrors: true, Naming: hubbub.AsDeclared}

// customObject is an object that goes there and back.
type customObject struct {
	Name  string
	Value int32
}

// complexObject has a member of every kind that the two protocols write differently. Nulls come back as nulls.
type complexObject struct {
	String    *string
	IntArray  []int32
	ByteArray []byte
	Guid      string
	DateTime  time.Time
}

// testHub has the methods of the functional tests.
type testHub struct{ hub *hubbub.Hub }

func newTestHub() *hubbub.Hub {
	opts := hubOptions
	t := testHub{hubbub.NewHub("TestHub", &opts)}
	h := t.hub
	h.Handle("Echo", hubbub.Func1(func(_ context.Context, message *string) (*string, error) { return message, nil }))
	h.Handle("GetCallerConnectionId", hubbub.Func0(func(ctx context.Context) (string, error) { return hubbub.CallerFrom(ctx).ID(), nil }))
	h.Handle("GetNumRedirects", hubbub.Func0(numRedirects))
	h.Handle("ThrowException", hubbub.Action1(func(_ context.Context, message string) error {
		return hubbub.Classify("InvalidOperationException", nil, message)
	}))
	h.Handle("InvokeWithString", hubbub.Action1(func(ctx context.Context, message string) error {
		return hubbub.CallerFrom(ctx).Send(ctx, "Message", message)
	}))
	h.Handle("SendCustomObject", hubbub.Action1(func(ctx context.Context, o customObject) error {
		return hubbub.CallerFrom(ctx).Send(ctx, "CustomObject", o)
	}))
	h.Handle("Stream", hubbub.Func0(func(context.Context) (hubbub.Seq[string], error) { return seqOf("a", "b", "c"), nil }))
	h.Handle("InfiniteStream", hubbub.Func0(t.infiniteStream))
	h.Handle("StreamingConcat", hubbub.Func1(concat))
	h.Handle("EmptyStream", hubbub.Func0(func(context.Context) (hubbub.Seq[int], error) { return seqOf[int](), nil }))
	h.Handle("StreamThrowException", hubbub.Func1(func(_ context.Context, message string) (hubbub.Seq[string], error) {
		return nil, hubbub.Classify("InvalidOperationException", nil, message)
	}))
	h.Handle("GetActiveTransportName", hubbub.Func0(func(ctx context.Context) (string, error) {
		return hubbub.CallerFrom(ctx).Request().Transport, nil
	}))
	h.Handle("EchoComplexObject", hubbub.Func1(func(_ context.Context, o complexObject) (complexObject, error) { return o, nil }))
	h.Handle("SendComplexObject", hubbub.Func0(sendComplexObject))
	h.Handle("GetContentTypeHeader", hubbub.Func0(func(ctx context.Context) (*string, error) { return header(ctx, "Content-Type") }))
	h.Handle("GetHeader", hubbub.Func1(header))
	h.Handle("GetCookie", hubbub.Func1(cookie))
	t.audiences()
	return h
}

// audiences are methods of our own: order, loss, and who hears what.
func (t testHub) audiences() {
	h := t.hub
	h.Handle("SendSequence", hubbub.Action1(func(ctx context.Context, count int) error {
		c := hubbub.CallerFrom(ctx)
		for i := range count {
			if err := c.Send(ctx, "Item", i); err != nil {
				return err
			}
		}
		return nil
	}))
	h.Handle("AddToGroup", hubbub.Action1(func(ctx context.Context, name string) error { return hubbub.CallerFrom(ctx).Join(ctx, name) }))
	h.Handle("RemoveFromGroup", hubbub.Action1(func(ctx context.Context, name string) error { return hubbub.CallerFrom(ctx).Leave(ctx, name) }))
	h.Handle("SendToGroup", hubbub.Action2(func(ctx context.Context, name, message string) error {
		return h.Group(name).Send(ctx, "Message", message)
	}))
	h.Handle("SendToOthers", hubbub.Action1(func(ctx context.Context, message string) error {
		return hubbub.CallerFrom(ctx).Others().Send(ctx, "Message", message)
	}))
	h.Handle("SendToAll", hubbub.Action1(func(ctx context.Context, message string) error {
		return h.All().Send(ctx, "Message", message)
	}))
}

func seqOf[T any](items ...T) hubbub.Seq[T] {
	return func(yield func(T, error) bool) {
		for _, v := range items {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// infiniteStream has no items. When the client cancels it, the client hears of that.
func (t testHub) infiniteStream(ctx context.Context) (hubbub.Seq[int], error) {
	id := hubbub.CallerFrom(ctx).ID()
	return func(func(int, error) bool) {
		<-ctx.Done()
		_ = t.hub.Client(id).Send(context.WithoutCancel(ctx), "StreamCanceled")
	}, nil
}

func concat(_ context.Context, items hubbub.Seq[string]) (string, error) {
	var b strings.Builder
	for s, err := range items {
		if err != nil {
			return "", err
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

func numRedirects(ctx context.Context) (int, error) {
	return strconv.Atoi(hubbub.CallerFrom(ctx).Request().Query.Get("numRedirects"))
}

func sendComplexObject(context.Context) (complexObject, error) {
	text := "hello world"
	return complexObject{
		String: &text, IntArray: []int32{1, 2, 3}, ByteArray: []byte{1, 2, 3},
		Guid: "00010203-0405-0607-0706-050403020100", DateTime: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
	}, nil
}

func header(ctx context.Context, name string) (*string, error) {
	h := hubbub.CallerFrom(ctx).Request().Header
	if len(h.Values(name)) == 0 {
		return nil, nil
	}
	v := strings.Join(h.Values(name), ",")
	return &v, nil
}

func cookie(ctx context.Context, name string) (*string, error) {
	v, ok := hubbub.CallerFrom(ctx).Request().Cookie(name)
	if !ok {
		return nil, nil
	}
	return &v, nil
}

// newAuthorizedHub is for users with a name identifier only.
func newAuthorizedHub() *hubbub.Hub {
	opts := hubOptions
	opts.RequireUser = true
	opts.Require = []hubbub.Rule{func(_ context.Context, u *hubbub.User, _ *hubbub.Invocation) bool { return u.ID != "" }}
	h := hubbub.NewHub("HubWithAuthorization", &opts)
	h.Handle("Echo", hubbub.Func1(func(_ context.Context, message string) (string, error) { return message, nil }))
	h.Handle("GetUserNameIdentifier", hubbub.Func0(func(ctx context.Context) (string, error) { return hubbub.CallerFrom(ctx).User().ID, nil }))
	h.Handle("GetUserClaim", hubbub.Func1(func(ctx context.Context, claim string) (string, error) {
		return hubbub.CallerFrom(ctx).User().Claim(claim), nil
	}))
	return h
}

// newUncreatableHub ends every connection behind its handshake.
func newUncreatableHub() *hubbub.Hub {
	opts := hubOptions
	h := hubbub.NewHub("UncreatableHub", &opts)
	h.OnConnected(func(context.Context) error {
		return hubbub.Classify("InvalidOperationException", nil,
			"Unable to resolve service for type 'System.Object' while attempting to activate 'FunctionalTests.UncreatableHub'.")
	})
	return h
}
