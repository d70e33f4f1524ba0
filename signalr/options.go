package signalr

import (
	"context"
	"net/http"
	"time"

	"github.com/hubbub-go/hubbub"
)

// Transport is a set of transports.
type Transport uint8

// The transports, and all of them. The numbers are those of HttpTransportType.
const (
	WebSockets       Transport = 1
	ServerSentEvents Transport = 2
	LongPolling      Transport = 4
	AllTransports    Transport = 7
)

// Options of one endpoint. Zero fields have the default of their comment, which is that of ASP.NET Core. What concerns the hub
// whatever its address is in [hubbub.Options].
type Options struct {
	// Transports that clients may use. Default AllTransports.
	Transports Transport
	// MinimumProtocolVersion is the lowest negotiate version. Default 0.
	MinimumProtocolVersion int
	// AllowStatefulReconnects lets a WebSocket that was cut go on where it stopped. Default false.
	AllowStatefulReconnects bool
	// CloseOnAuthenticationExpiration ends a connection when the credential of its user expires. Default false.
	CloseOnAuthenticationExpiration bool
	// EnableAuthenticationRefresh serves POST {path}/refresh and tells clients the lifetime of their credential. Default false.
	EnableAuthenticationRefresh bool
	// OnAuthenticationRefresh decides about a refresh that passed the check of the user. Default: accept. An error is answered
	// with 500.
	OnAuthenticationRefresh func(ctx context.Context, r Refresh) (bool, error)
	// MaximumAuthenticationExpiration caps the life of every credential. Default no cap.
	MaximumAuthenticationExpiration time.Duration
	// AllowUserChanges switches back to .NET 10: a connection is not bound to the user who negotiated it, a change of the user
	// is only logged. Default false.
	AllowUserChanges bool
	// PollTimeout ends a poll that has nothing to say. Default 90 s.
	PollTimeout time.Duration
	// DisconnectTimeout is how long a client may be away: between two polls, after negotiating, before a stateful reconnect.
	// Default 15 s.
	DisconnectTimeout time.Duration
	// CloseTimeout is how long the server waits for the client's WebSocket close frame. Default 5 s.
	CloseTimeout time.Duration
	// SubProtocol selects a WebSocket sub-protocol out of those offered; "" selects none. Default none.
	SubProtocol func(offered []string) string
	// CheckOrigin refuses, with 403, a WebSocket whose Origin it does not like. Default: any. auth.Origins has one.
	CheckOrigin func(r *http.Request) bool
	// Auth wraps every route of the endpoint, negotiate included; it puts the user into the request's context
	// ([hubbub.WithUser]). Default: users are anonymous unless an outer handler did so.
	Auth func(http.Handler) http.Handler
	// Keys sign connection tokens. Nodes behind one address must share them. Default: a random key of this process.
	Keys *hubbub.KeyRing
	// MaximumPostSize bounds the body of one POST in bytes. Default 30,000,000.
	MaximumPostSize int64
	// MaximumBufferedBytes bounds what one connection may have received and not yet processed, in bytes, before its POSTs wait.
	// Default 65536 beyond the message that is arriving.
	MaximumBufferedBytes int
}

// Refresh is a replacement of the credential of a connection that waits for a decision.
type Refresh struct {
	Request      *http.Request // that brought the new credential; its context does not end with it
	ConnectionID string        // of the connection, which may not have a transport yet
	Previous     *hubbub.User  // the user of the connection now
	New          *hubbub.User  // the user who would replace it, the same person
	Expires      time.Time     // when the new credential ends, zero if it does not
}

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	set := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	set(&d.PollTimeout, 90*time.Second)
	set(&d.DisconnectTimeout, 15*time.Second)
	set(&d.CloseTimeout, 5*time.Second)
	if d.Transports == 0 {
		d.Transports = AllTransports
	}
	if d.Keys == nil {
		d.Keys = hubbub.RandomKeyRing()
	}
	if d.MaximumPostSize == 0 {
		d.MaximumPostSize = 30_000_000
	}
	if d.MaximumBufferedBytes == 0 {
		d.MaximumBufferedBytes = 65536
	}
	return d
}
