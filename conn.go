package hubbub

import (
	"net"
	"net/http"
	"net/url"
)

// Conn is one connected peer, whatever dialect and transport carry it. A dialect implements it; a [Link] drives it. All
// methods are safe for concurrent use and none waits for a network.
type Conn interface {
	// ID is the connection id, the public name of the connection.
	ID() string
	// Protocol encodes messages for this connection. It never changes.
	Protocol() Protocol
	// Framing wraps an encoded message for this connection's transport. It never changes. Nil means that the bytes of the
	// protocol go out as they are.
	Framing() Framing
	// Request is the request that opened the connection.
	Request() *Request
	// Outbox is where what is written to this connection waits for its transport.
	Outbox() *Outbox
	// Close starts the end of the connection: m is sent as the last message if the peer can still hear (nil: nothing is sent),
	// then the transport ends. reason is for [Hub.OnDisconnected] and the log. The dialect answers with [Link.Detach]. Later
	// calls do nothing.
	Close(m *Close, reason error)
}

// GroupWatcher is a [Conn] that wants to know when the groups of its connection change.
type GroupWatcher interface {
	// GroupsChanged is called after each change, from any goroutine. It must not block.
	GroupsChanged()
}

// Protocol turns messages into bytes. It is stateless and safe for concurrent use.
type Protocol interface {
	// Name is the key of the encode-once cache, such as "json".
	Name() string
	// Append appends the encoded message to dst, complete with the record separator or length that delimits it. It fails if a
	// value cannot be encoded; dst is then returned as it was.
	Append(dst []byte, m Message) ([]byte, error)
}

// Framing wraps the bytes of one encoded message for a transport: a WebSocket frame, an event of an event stream. It is
// stateless and safe for concurrent use.
type Framing interface {
	// Name is the second key of the encode-once cache, such as "websocket text".
	Name() string
	// AppendFrame appends the wrapped message to dst.
	AppendFrame(dst, message []byte) []byte
}

// Request is a snapshot of the HTTP request that opened a connection: the upgrade of a WebSocket, the GET of an event stream,
// the first poll. It is shared by everybody who asks and must not be changed.
type Request struct {
	Transport  string // "WebSockets", "ServerSentEvents", "LongPolling", or what the dialect calls it
	Path       string
	Header     http.Header
	Query      url.Values
	Cookies    []*http.Cookie
	RemoteAddr net.Addr
}

// Cookie returns the value of the cookie with that name, and whether there is one.
func (r *Request) Cookie(name string) (string, bool) {
	for _, c := range r.Cookies {
		if c.Name == name {
			return c.Value, true
		}
	}
	return "", false
}
