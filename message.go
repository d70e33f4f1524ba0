package hubbub

// MessageType says what a message is. The numbers are those of the ASP.NET Core hub protocol (HubProtocol.md).
type MessageType uint8

// The message types that the runtime knows. A dialect may have more of its own.
const (
	TypeInvocation       MessageType = 1
	TypeStreamItem       MessageType = 2
	TypeCompletion       MessageType = 3
	TypeStreamInvocation MessageType = 4
	TypeCancelInvocation MessageType = 5
	TypePing             MessageType = 6
	TypeClose            MessageType = 7
	TypeProgress         MessageType = 16 // of classic only
)

// Message is one message of a hub conversation, in either direction: *[Invocation], *[StreamItem], *[Completion],
// *[CancelInvocation], [Ping] or *[Close]. A message is immutable once it has been handed over.
type Message interface {
	Type() MessageType
}

// Invocation asks the other side to run a method: a call, a send (ID == "") or the start of a stream (Stream).
type Invocation struct {
	// ID is chosen by the caller and comes back in the answer; "" wants no answer.
	ID string
	// Target is the name of the method as it was sent. Inside filters and handlers of a hub [Invocation.Method] has the declared name.
	Target string
	// Stream is true for a call that expects a stream of items.
	Stream bool
	// Args are the arguments without the streams.
	Args Args
	// StreamIDs name the streams that the caller will send, in the order of the stream parameters.
	StreamIDs []string
	// Headers travel with the message and are passed on untouched; nil if there are none.
	Headers map[string]string
	// State is what the caller sent beside the arguments, where its dialect has that; nil elsewhere.
	State *State

	argSpace [4][]byte
	method   *method
	bound    bound
}

// Type is [TypeInvocation] or [TypeStreamInvocation].
func (in *Invocation) Type() MessageType {
	if in.Stream {
		return TypeStreamInvocation
	}
	return TypeInvocation
}

// ArgSpace returns an empty slice with room for the encoded arguments of a short call, so that a parser needs no allocation
// of its own for them.
func (in *Invocation) ArgSpace() [][]byte { return in.argSpace[:0] }

// StreamItem is one item of the stream InvocationID.
type StreamItem struct {
	InvocationID string // that the stream was announced with
	Item         Value  // as it came, or on its way out
}

// Type is [TypeStreamItem].
func (*StreamItem) Type() MessageType { return TypeStreamItem }

// Completion ends the invocation or the stream InvocationID: with an error (Error != ""), with a result (HasResult), or, at
// the end of a stream, with neither.
type Completion struct {
	InvocationID string // of the call, or of the stream that ends
	Error        string // for the other side to read; "" is no error
	HasResult    bool   // whether there is a result, which may be nil
	Result       Value  // as it came, or on its way out

	Call  *Invocation // that is answered, where a hub answers; nil for a completion that came
	Cause error       // of Error, where a hub answers, for dialects with sentences of their own
}

// Type is [TypeCompletion].
func (*Completion) Type() MessageType { return TypeCompletion }

// CancelInvocation asks to stop the invocation InvocationID. It is answered by that invocation's [Completion].
type CancelInvocation struct {
	InvocationID string
}

// Type is [TypeCancelInvocation].
func (*CancelInvocation) Type() MessageType { return TypeCancelInvocation }

// Ping says that its sender is alive.
type Ping struct{}

// Type is [TypePing].
func (Ping) Type() MessageType { return TypePing }

// Close says that its sender ends the connection, and whether the client should come back by itself.
type Close struct {
	Error          string // why; "" for an ordinary end
	AllowReconnect bool   // whether a client should come back by itself
}

// Type is [TypeClose].
func (*Close) Type() MessageType { return TypeClose }
