package signalr

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub"
)

// ClientOptions are those of [NewClient]. Zero fields have the default of their comment, which is that of the .NET client where
// it has one.
type ClientOptions struct {
	// ClientOptions are those that do not depend on the dialect: when to reconnect, and who hears of it.
	hubbub.ClientOptions

	// Transports that may be used. Default AllTransports, in the order that the server gives.
	Transports Transport
	// SkipNegotiation connects a WebSocket at once; Transports must be WebSockets. The connection has no id then.
	SkipNegotiation bool
	// Protocol is "json" or "messagepack". Default "json".
	Protocol string
	// Naming of struct fields in JSON. Default CamelCase.
	Naming hubbub.Naming
	// Header goes with every request and replaces what the client itself would send.
	Header http.Header
	// Token returns the access token. It is called anew for every negotiation, for every WebSocket, for an authentication refresh,
	// and once when a request of a transport is answered with 401. Default none.
	Token func(ctx context.Context) (string, error)
	// HTTPClient sends all requests, the upgrade of a WebSocket included; proxy and TLS settings are in its Transport. It must
	// have no Timeout. Default one with its own cookie jar.
	HTTPClient *http.Client
	// KeepAliveInterval is the time after the last message when the client pings. Default 15 s.
	KeepAliveInterval time.Duration
	// ServerTimeout is how long the server may be silent. Default 30 s. Long Polling has none.
	ServerTimeout time.Duration
	// RequestTimeout is how long the server may take to answer a request: negotiate, a POST, the upgrade of a WebSocket, and a
	// poll, which servers answer within 90 s. Default 120 s.
	RequestTimeout time.Duration
	// HandshakeTimeout is how long the server may take for the handshake. Default 15 s.
	HandshakeTimeout time.Duration
	// CloseTimeout is how long saying goodbye may take. Default 5 s.
	CloseTimeout time.Duration
	// MaximumReceiveMessageSize bounds one message of the server, in bytes. Default 64 MiB; negative is no limit.
	MaximumReceiveMessageSize int
	// MaximumQueuedBytes bounds what waits to be sent, in bytes; calls wait for room. Default 1 MiB.
	MaximumQueuedBytes int
	// StatefulReconnect asks the server to go on where a WebSocket was cut: no message is lost or doubled, no handler and no
	// call notices. Default false.
	StatefulReconnect bool
	// StatefulReconnectBufferSize bounds what the client keeps for that, in bytes. Default 100,000.
	StatefulReconnectBufferSize int
	// StatefulReconnectTimeout is how long the client tries to go on. Default 15 s, as long as servers wait.
	StatefulReconnectTimeout time.Duration
	// DisableAuthenticationRefresh keeps the client from refreshing its credential by itself where the server offers it.
	DisableAuthenticationRefresh bool
	// RefreshBeforeExpiration is how long before its end a credential is refreshed, if it lives more than twice as long; else
	// half-way. Default 5 min.
	RefreshBeforeExpiration time.Duration
	// Trace hears of everything that is sent and received through a transport, handshakes and pings included, in the chunks of
	// the transport: each has whole messages, in the order in which they were sent or received. It must not block and must not
	// keep p; calls for the two directions may overlap. Default none.
	Trace func(sent bool, transport Transport, p []byte)
	// OnAuthenticationRefreshed hears of a refresh and of the new lifetime, 0 if the server told none.
	OnAuthenticationRefreshed func(lifetime time.Duration)
	// OnAuthenticationRefreshFailed hears of a refresh that failed. The client tries again before the credential ends.
	OnAuthenticationRefreshFailed func(err error)
}

func (o *ClientOptions) withDefaults() ClientOptions {
	var d ClientOptions
	if o != nil {
		d = *o
	}
	set := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	set(&d.KeepAliveInterval, 15*time.Second)
	set(&d.ServerTimeout, 30*time.Second)
	set(&d.RequestTimeout, 120*time.Second)
	set(&d.HandshakeTimeout, 15*time.Second)
	set(&d.CloseTimeout, 5*time.Second)
	set(&d.StatefulReconnectTimeout, 15*time.Second)
	set(&d.RefreshBeforeExpiration, 5*time.Minute)
	if d.Transports == 0 {
		d.Transports = AllTransports
	}
	if d.Protocol == "" {
		d.Protocol = "json"
	}
	if d.MaximumReceiveMessageSize == 0 {
		d.MaximumReceiveMessageSize = 64 << 20
	}
	if d.MaximumQueuedBytes == 0 {
		d.MaximumQueuedBytes = 1 << 20
	}
	if d.StatefulReconnectBufferSize == 0 {
		d.StatefulReconnectBufferSize = 100_000
	}
	return d
}

// protocol returns the hub protocol that the options name.
func (o *ClientOptions) protocol() (protocol, error) {
	switch strings.ToLower(o.Protocol) {
	case "json":
		return newJSON(o.Naming), nil
	case "messagepack":
		return newMessagePack(), nil
	}
	return nil, fmt.Errorf("protocol %q, want json or messagepack", o.Protocol)
}

// HTTPError says that a server has answered a request with a status that the client cannot use.
type HTTPError struct {
	What   string // what was asked for, such as "negotiate"
	Status int
	Body   string // at most 1 KiB of it
}

// Error tells what was asked, what came and what was wanted.
func (e *HTTPError) Error() string {
	text := fmt.Sprintf("%s: the server answered with status %d (%s)", e.What, e.Status, http.StatusText(e.Status))
	if body := strings.TrimSpace(e.Body); body != "" {
		text += ": " + body
	}
	return text
}

// TransportsError says why no transport could be started.
type TransportsError struct {
	Failed []TransportError
}

// TransportError is why one transport could not be started.
type TransportError struct {
	Transport string // its name in the answer to negotiate
	Err       error  // why it could not be used
}

// Error lists the transports as the .NET client does.
func (e *TransportsError) Error() string {
	var b strings.Builder
	b.WriteString("unable to connect to the server with any of the available transports.")
	for _, f := range e.Failed {
		fmt.Fprintf(&b, " (%s failed: %v)", f.Transport, f.Err)
	}
	return b.String()
}

// Unwrap is for errors.Is and errors.As.
func (e *TransportsError) Unwrap() []error {
	errs := make([]error, len(e.Failed))
	for i, f := range e.Failed {
		errs[i] = f.Err
	}
	return errs
}
