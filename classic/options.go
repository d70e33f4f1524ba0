package classic

import (
	"net/http"
	"time"

	"github.com/hubbub-go/hubbub"
)

// Transport is a set of transports.
type Transport uint8

// The transports, and all of them.
const (
	WebSockets       Transport = 1 << iota // "webSockets"
	ServerSentEvents                       // "serverSentEvents"
	ForeverFrame                           // "foreverFrame", for old Internet Explorers
	LongPolling                            // "longPolling"

	AllTransports = WebSockets | ServerSentEvents | ForeverFrame | LongPolling
)

var transportNames = [...]struct {
	t    Transport
	name string
}{{WebSockets, "webSockets"}, {ServerSentEvents, "serverSentEvents"}, {ForeverFrame, "foreverFrame"}, {LongPolling, "longPolling"}}

// String returns the name that requests use, such as "webSockets"; of several, all names with commas between them.
func (t Transport) String() string {
	s := ""
	for _, n := range transportNames {
		if t&n.t != 0 {
			if s != "" {
				s += ","
			}
			s += n.name
		}
	}
	return s
}

// SlowConsumer says what happens to a client that does not read while more waits for it than may.
type SlowConsumer uint8

const (
	// CloseSlow ends the connection of a client that has a stream and does not read it; for one that is away the oldest
	// messages are dropped.
	CloseSlow SlowConsumer = iota
	// DropOldest drops the oldest messages always, as SignalR 2.x does.
	DropOldest
)

// Options of one classic endpoint. Zero fields have the default of their comment, which is that of SignalR 2.4. What concerns
// a hub whatever its address is in [hubbub.Options]; of these, KeepAliveInterval, ClientTimeoutInterval, HandshakeTimeout,
// MaximumReceiveMessageSize and Naming are of the other dialect: classic names fields as they are declared.
type Options struct {
	// Transports that clients may use. Default AllTransports.
	Transports Transport
	// ConnectionTimeout ends a poll that has nothing to say. Default 110 s.
	ConnectionTimeout time.Duration
	// DisconnectTimeout is how long a client may be away before its connection ends, 5 s later. Default 30 s, at least 6 s.
	DisconnectTimeout time.Duration
	// KeepAlive is the time between two words to a client with nothing to hear. Default, and at most, a third of
	// DisconnectTimeout, at least 2 s; negative is never.
	KeepAlive time.Duration
	// TransportConnectTimeout is how long clients wait for the first envelope of a transport. Default 5 s.
	TransportConnectTimeout time.Duration
	// LongPollDelay is how long clients wait between two polls. Default 0.
	LongPollDelay time.Duration
	// MaximumIncomingWebSocketMessageSize bounds one message of a client in bytes. Default 65536; negative is no limit.
	MaximumIncomingWebSocketMessageSize int
	// MaximumPostSize bounds the body of one POST in bytes. Default 4 MiB, as IIS has it.
	MaximumPostSize int64
	// MessageBufferSize is how many messages a connection keeps after they were sent, for a client that comes back with its
	// cursor. Default 1000. They are kept no longer than a client may need them, and no more than 1 MiB of them.
	MessageBufferSize int
	// SlowConsumer says what happens to a client that does not read. Default CloseSlow.
	SlowConsumer SlowConsumer
	// CloseOnAuthenticationExpiration ends a connection when the credential of its user expires. Default false.
	CloseOnAuthenticationExpiration bool
	// EnableJSONP lets long polling clients of other origins ask with script elements. Default false: 403.
	EnableJSONP bool
	// DisableJavaScriptProxies stops serving the generated script at /hubs and /js. Default false.
	DisableJavaScriptProxies bool
	// URL is the path under which clients reach the endpoint where a proxy in front changes it. Default that of the request.
	URL string
	// CheckOrigin refuses, with 403, a WebSocket whose Origin it does not like. Default: any. auth.Origins has one.
	CheckOrigin func(r *http.Request) bool
	// Auth wraps every request; it puts the user into the request's context ([hubbub.WithUser]). Default: users are anonymous
	// unless an outer handler did so.
	Auth func(http.Handler) http.Handler
	// Otherwise gets the requests that are none of a classic client, such as those of signalr.Handler with the same path.
	// Default none: they are answered as SignalR 2.x does.
	Otherwise http.Handler
	// Keys sign connection tokens and groups tokens. Nodes behind one address must share them, and they must outlive a restart
	// for clients to come back. Default: a random key of this process.
	Keys *hubbub.KeyRing
}

const (
	minimumDisconnectTimeout = 6 * time.Second
	minimumKeepAlive         = 2 * time.Second
	clockPeriod              = time.Second     // between two looks at all connections
	disconnectThreshold      = 5 * time.Second // between the time-out and the end, but for long polling
	closeTimeout             = 5 * time.Second // of a WebSocket's close handshake
	postTimeout              = time.Minute     // for the body of a POST
	maximumPosts             = 128             // of one connection that wait for their answers
)

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	set := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	set(&d.ConnectionTimeout, 110*time.Second)
	set(&d.DisconnectTimeout, 30*time.Second)
	set(&d.TransportConnectTimeout, 5*time.Second)
	d.DisconnectTimeout = max(d.DisconnectTimeout, minimumDisconnectTimeout)
	if d.KeepAlive >= 0 {
		set(&d.KeepAlive, d.DisconnectTimeout/3)
		d.KeepAlive = min(max(d.KeepAlive, minimumKeepAlive), d.DisconnectTimeout/3)
	}
	d.LongPollDelay = max(d.LongPollDelay, 0)
	if d.Transports == 0 {
		d.Transports = AllTransports
	}
	if d.MaximumIncomingWebSocketMessageSize == 0 {
		d.MaximumIncomingWebSocketMessageSize = 65536
	}
	if d.MaximumPostSize <= 0 {
		d.MaximumPostSize = 4 << 20
	}
	if d.MessageBufferSize <= 0 {
		d.MessageBufferSize = 1000
	}
	if d.Keys == nil {
		d.Keys = hubbub.RandomKeyRing()
	}
	return d
}

// keepAliveTimeout is how long a client may hear nothing before it calls its connection lost; 0 is for ever.
func (o *Options) keepAliveTimeout() time.Duration { return 2 * max(o.KeepAlive, 0) }

// keepAliveDue reports whether a client that has heard nothing for so long must hear something now, since the clock looks again
// only when it may be too late.
func (o *Options) keepAliveDue(silence time.Duration) bool {
	return o.KeepAlive > 0 && silence > o.KeepAlive-clockPeriod
}

// keepFor is how long a sent message may still be asked for: until the client has missed a keep-alive and given up reconnecting.
func (o *Options) keepFor() time.Duration {
	return o.DisconnectTimeout + o.keepAliveTimeout() + disconnectThreshold
}
