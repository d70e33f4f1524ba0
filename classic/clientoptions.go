package classic

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/hubbub-go/hubbub"
)

// ClientOptions are those of [NewClient]. Zero fields have the default of their comment, which is that of the .NET client where
// it has one.
type ClientOptions struct {
	// ClientOptions are those that do not depend on the dialect. What Reconnect says holds within the disconnect timeout of the
	// server, after which it has forgotten its client: the connection ends then. Default at once, then every 2 s; over
	// HTTP transports every 2 s. A classic connection keeps its id and its groups over a reconnect, and gets what it has missed.
	// OnReconnected runs beside the reading and the handlers, and may call the server; the next OnReconnecting waits for it. The
	// other hooks run between two messages.
	hubbub.ClientOptions

	// ExactURL takes the address as it is. Default false: "/signalr" is appended, as the .NET client does.
	ExactURL bool
	// Transports that may be used: WebSockets, then ServerSentEvents, then LongPolling. Default all three. ForeverFrame is
	// for browsers and ignored.
	Transports Transport
	// Header goes with every request, abort included, and replaces what the client itself would send.
	Header http.Header
	// Query goes with every request. A server that redirects replaces it.
	Query url.Values
	// Token returns the bearer token of the requests. It is called anew for every connection and every attempt to reconnect.
	// Default none.
	Token func(ctx context.Context) (string, error)
	// HTTPClient sends all requests, the upgrade of a WebSocket included; proxy and TLS settings are in its Transport. It must
	// have no Timeout. Default one with its own cookie jar.
	HTTPClient *http.Client
	// TransportConnectTimeout is what each transport gets until its first envelope, beside what the server says (5 s).
	// Default 0.
	TransportConnectTimeout time.Duration
	// CloseTimeout is how long saying goodbye may take. Default 5 s.
	CloseTimeout time.Duration
	// MaximumReceiveMessageSize bounds one message of the server, in bytes. Default 64 MiB; negative is no limit.
	MaximumReceiveMessageSize int
	// Trace hears of every message that is sent and received, keep-alives and the answers to requests included. It must not block
	// and must not keep p; calls for the two directions may overlap. Default none.
	Trace func(sent bool, transport Transport, p []byte)
	// OnSlow hears that the server has been silent for two thirds of its keep-alive timeout, once per silence. It must not
	// block. Default none.
	OnSlow func()
	// OnError hears what goes wrong without an end of the connection: attempts to reconnect that fail, and messages that cannot
	// be read. It must not block. Default none; the Logger hears of it in any case.
	OnError func(err error)
}

func (o *ClientOptions) withDefaults() ClientOptions {
	var d ClientOptions
	if o != nil {
		d = *o
	}
	if d.Transports == 0 {
		d.Transports = AllTransports
	}
	if d.CloseTimeout == 0 {
		d.CloseTimeout = 5 * time.Second
	}
	if d.MaximumReceiveMessageSize == 0 {
		d.MaximumReceiveMessageSize = 64 << 20
	}
	if d.MaximumPendingInvocations == 0 {
		d.MaximumPendingInvocations = 1024
	}
	d.Header, d.Query = d.Header.Clone(), cloneValues(d.Query)
	return d
}

func cloneValues(v url.Values) url.Values {
	return url.Values(http.Header(v).Clone())
}
