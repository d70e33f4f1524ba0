package hubbub

import (
	"errors"
	"fmt"
	"reflect"
)

// What callers test for with errors.Is.
var (
	// ErrClosed says that the connection is gone.
	ErrClosed = errors.New("connection closed")
	// ErrSlow says that the queue of a connection is full because its peer does not read; the connection is closed for it.
	ErrSlow = errors.New("connection closed: its queue is full, the peer does not read")
	// ErrNoCaller says that a method of [Caller] was used outside a call.
	ErrNoCaller = errors.New("hubbub: no caller: the context does not come from a hub method")
	// ErrUnknownMethod says that a hub has no method of that name.
	ErrUnknownMethod = errors.New("the hub has no such method")
	// ErrArgumentCount says that a call has more or fewer arguments than its method.
	ErrArgumentCount = errors.New("the method has another number of arguments")
	// ErrUnauthorized says that the rules of a method refuse its caller.
	ErrUnauthorized = errors.New("the caller may not call the method")
	// ErrShutdown says that the hub is shutting down.
	ErrShutdown = errors.New("hub is shutting down")
)

// Error is an error whose text the client may read: a hub method that returns one (or wraps one) sends it, where any other
// error is logged and the client reads a standard sentence only.
type Error struct {
	// Class is printed before the message, "HubException" if empty. It is what .NET clients know as the name of the exception.
	Class string
	// Message is for the client.
	Message string
	// Data reaches clients of dialects that have a field for it (classic), encoded as any value is.
	Data any

	private bool
	cause   error
	detail  error // printed behind the message where details are on
}

// Errorf returns an *[Error] for the client, of the class HubException. A cause given with %w is kept for errors.Is and for
// the log; its text is part of the message as fmt.Errorf writes it.
func Errorf(format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Message: err.Error(), cause: errors.Unwrap(err)}
}

// Classify returns an error whose text the client may read only where [Options.EnableDetailedErrors] is on, printed there
// with the given class, such as "InvalidOperationException". cause may be nil.
func Classify(class string, cause error, message string) error {
	return &Error{Class: class, Message: message, private: true, cause: cause}
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause that [Errorf] or [Classify] was given, or nil.
func (e *Error) Unwrap() error { return e.cause }

func (e *Error) class() string {
	if e.Class == "" {
		return "HubException"
	}
	return e.Class
}

// Describe returns base, followed by the class and the text of err where the client may read them: always for an *[Error] of
// [Errorf], for every other error only with details. It is how every sentence for a client is made
// (HubProtocol.md, "Invocations"; the sentences are those of ASP.NET Core).
func Describe(base string, err error, details bool) string {
	if e, ok := errors.AsType[*Error](err); ok {
		if e.private && !details {
			return base
		}
		text := base + " " + e.class() + ": " + e.Message
		if details && e.detail != nil {
			text = Describe(text, e.detail, true)
		}
		return text
	}
	if !details || err == nil {
		return base
	}
	return base + " " + className(err) + ": " + err.Error()
}

// className names an error of no class: by its Go type, or plainly Exception for the anonymous ones of errors and fmt.
func className(err error) string {
	t := reflect.TypeOf(err)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.PkgPath() {
	case "errors", "fmt":
		return "Exception"
	}
	if t.Name() == "" {
		return "Exception"
	}
	return t.Name()
}

// Sentences of ASP.NET Core that a client reads. X is the declared name of the method, or the name as sent if there is none.
const (
	textInvoke       = "Failed to invoke '%s' due to an error on the server."
	textUnauthorized = "Failed to invoke '%s' because user is unauthorized"
	textNotStreaming = "The client attempted to invoke the non-streaming '%s' method with a streaming invocation."
	textStreaming    = "The client attempted to invoke the streaming '%s' method with a non-streaming invocation."
	textUnexpected   = "An unexpected error occurred invoking '%s' on the server."
	textInUse        = "Invocation ID '%s' is already in use."
	textNoStream     = "The value returned by the streaming method '%s' is not a ChannelReader<> or IAsyncEnumerable<>."
	textStreamFailed = "An error occurred on the server while streaming results."
	textConnection   = "Connection closed with an error."
)

var (
	errNoMethod   = &Error{Message: "Method does not exist.", cause: ErrUnknownMethod}
	errKind       = Classify("InvalidOperationException", nil, "The method streams and the call does not, or the reverse.")
	errCanceled   = &Error{Class: "TaskCanceledException", private: true, Message: "A task was canceled."}
	errConnection = &Error{Class: "OperationCanceledException", private: true, Message: "The underlying connection was closed."}
)

const (
	errServerGone = "Invocation canceled by the server."
	errNoResult   = "Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown."
	errItem       = "Failed to bind Stream message."
)

func errBinding(cause error) error {
	return &Error{Class: "InvalidDataException", private: true, cause: cause,
		Message: "Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked."}
}

func errArgCount(got, want int) error {
	return &Error{Class: "InvalidDataException", private: true, cause: ErrArgumentCount,
		Message: fmt.Sprintf("Invocation provides %d argument(s) but target expects %d.", got, want)}
}

func errStreamCount(got, want int) error {
	return &Error{Message: fmt.Sprintf("Client sent %d stream(s), Hub method expects %d.", got, want)}
}

func errStreamInUse(id string) error {
	return &Error{Message: fmt.Sprintf("Stream ID '%s' is already in use.", id)}
}

func errResult(typeName string, cause error) error {
	return &Error{Message: fmt.Sprintf("Error trying to deserialize result to %s. %s", typeName, cause), cause: cause}
}

// CloseText is what a client reads when err ends its connection: the sentence of ASP.NET Core, followed by the class and text
// of err where [Describe] allows it.
func CloseText(err error, details bool) string { return Describe(textConnection, err, details) }
