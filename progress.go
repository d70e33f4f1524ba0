package hubbub

import (
	"context"
	"errors"
	"fmt"
)

// Progress is a word about how far the call Call is, on its way to its caller.
type Progress struct {
	Call  *Invocation // which call
	Value Value       // how far
}

// Type is [TypeProgress].
func (*Progress) Type() MessageType { return TypeProgress }

// ProgressProtocol is a [Protocol] that can encode a *[Progress].
type ProgressProtocol interface {
	Protocol
	// EncodesProgress does nothing: it tells that Append knows progress.
	EncodesProgress()
}

// ReportProgress tells the caller of the hub method that ctx belongs to how far the method is, before its result. Only classic
// clients can hear it, and only those that wait for an answer; for others the error wraps [errors.ErrUnsupported], which a
// method for both may ignore. It waits for room in the queue of the connection, as a result does. Outside a call it returns
// [ErrNoCaller]. It must not be called after the method has returned.
func ReportProgress(ctx context.Context, v any) error {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok || c.in == nil {
		return ErrNoCaller
	}
	l := c.link
	if _, ok := l.enc.protocol.(ProgressProtocol); !ok || c.in.ID == "" {
		return fmt.Errorf("hubbub: progress of %s: the caller's protocol %s has none: %w", c.m.name, l.enc.protocol.Name(), errors.ErrUnsupported)
	}
	b, err := l.encode(&Progress{Call: c.in, Value: ValueOf(v)})
	if err != nil {
		return fmt.Errorf("hubbub: progress of %s: %w", c.m.name, err)
	}
	return l.push(ctx, b, TypeProgress)
}
