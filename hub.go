package hubbub

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Naming says how struct fields without a tag are named on the wire. A tag always wins.
type Naming uint8

const (
	// CamelCase writes UserName as "userName" in JSON, the default of ASP.NET Core SignalR. Reading ignores case.
	CamelCase Naming = iota
	// AsDeclared writes UserName as "UserName".
	AsDeclared
)

// Options of a [Hub]. Fields that are zero, or a number below it, have the default of their comment, which is that of ASP.NET
// Core SignalR where it has one.
type Options struct {
	// EnableDetailedErrors tells clients the text of every error and panic. Default false: they read a standard sentence,
	// and only the text of an *[Error]. Turn it on for development only.
	EnableDetailedErrors bool
	// KeepAliveInterval is the time between the server's pings. Default 15 s.
	KeepAliveInterval time.Duration
	// ClientTimeoutInterval is how long a client that pings may be silent. Default 30 s.
	ClientTimeoutInterval time.Duration
	// HandshakeTimeout is how long a client may take for its handshake. Default 15 s.
	HandshakeTimeout time.Duration
	// MaximumReceiveMessageSize bounds one message of a client in bytes, with its delimiter. Default 32768; negative is no limit.
	MaximumReceiveMessageSize int
	// StreamBufferCapacity is how many items of a client's stream wait for their method. Default 10.
	StreamBufferCapacity int
	// MaximumParallelInvocationsPerClient is how many methods of one connection run at a time. Default 1, which keeps a client's
	// calls in order. Calls with streams do not count.
	MaximumParallelInvocationsPerClient int
	// MaximumStreamsPerClient bounds the calls with streams that one connection has running. Default 256; one more is answered
	// with an error.
	MaximumStreamsPerClient int
	// MaximumPendingInvocations and MaximumPendingBytes bound the calls of one connection that wait for their turn, by number
	// (default 64) and by size of their messages (default 1 MiB). Past that the connection is not read, so its client waits.
	MaximumPendingInvocations int
	MaximumPendingBytes       int
	// MaximumQueuedBytes bounds what waits to be written to one connection. Default 1 MiB. Past that the connection is closed,
	// alone, because its peer does not read; items of a stream and results wait for room instead, for SendTimeout.
	MaximumQueuedBytes int
	// SendTimeout is how long a write to one connection may be stuck before the connection is given up. Default 10 s.
	SendTimeout time.Duration
	// StatefulReconnectBufferSize bounds what is kept for a client that may come back, in bytes. Default 100,000.
	StatefulReconnectBufferSize int
	// SupportedProtocols are the names of the hub protocols that clients may choose. Default all that the dialect has.
	SupportedProtocols []string
	// Naming of struct fields in JSON. Default CamelCase.
	Naming Naming
	// RequireUser refuses anonymous connections, with 401.
	RequireUser bool
	// Require are rules that every HTTP request of the hub's endpoints must pass: 403, or 401 for an anonymous one.
	Require []Rule
	// Backplane connects the hub to the same hub on other nodes. Default none: this node is alone.
	Backplane Backplane
	// Node is the name of this node on the backplane. Default a random one.
	Node string
	// Logger for errors of methods and for what ends connections. Default slog.Default().
	Logger *slog.Logger
}

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
	num := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	set(&d.KeepAliveInterval, 15*time.Second)
	set(&d.ClientTimeoutInterval, 30*time.Second)
	set(&d.HandshakeTimeout, 15*time.Second)
	set(&d.SendTimeout, 10*time.Second)
	if d.MaximumReceiveMessageSize == 0 {
		d.MaximumReceiveMessageSize = 32768
	}
	num(&d.StreamBufferCapacity, 10)
	num(&d.MaximumParallelInvocationsPerClient, 1)
	num(&d.MaximumStreamsPerClient, 256)
	num(&d.MaximumPendingInvocations, 64)
	num(&d.MaximumPendingBytes, 1<<20)
	num(&d.MaximumQueuedBytes, 1<<20)
	num(&d.StatefulReconnectBufferSize, 100_000)
	if d.Node == "" {
		d.Node = newID()
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return d
}

// Hub is a set of methods that clients call and the connections that call them. It knows neither URL nor dialect:
// signalr.MapHub and its like make it reachable. Register everything before the first connection: Handle, Use and the On…
// methods panic after it. All other methods are safe for concurrent use.
type Hub struct {
	name    string
	opts    Options
	methods map[string]*method
	folded  map[string]*method
	filters []Filter
	served  atomic.Bool

	onConnected    func(context.Context) error
	onDisconnected func(context.Context, error)
	onRefreshed    func(context.Context) error
	onReconnected  func(context.Context) error
	onRejoining    func(context.Context, []string) []string

	life    lifetime
	crew    crew
	results results
	remote  *remote
	count   counters

	encMu     sync.RWMutex
	encodings []*encoding
	protocols []Protocol

	chainOnce sync.Once
	chained   HandlerFunc

	stop     chan struct{}
	stopOnce sync.Once
}

// NewHub returns a hub. The name is that of the hub in logs, in metrics and on the backplane, where all nodes must use the
// same. opts may be nil.
func NewHub(name string, opts *Options) *Hub {
	h := &Hub{
		name:    name,
		opts:    opts.withDefaults(),
		methods: make(map[string]*method),
		folded:  make(map[string]*method),
		stop:    make(chan struct{}),
	}
	h.life.init()
	h.results.init()
	if h.opts.Backplane != nil {
		h.remote = newRemote(h)
	}
	return h
}

// Name returns the name given to [NewHub].
func (h *Hub) Name() string { return h.name }

// Options returns the options in force, defaults filled in.
func (h *Hub) Options() Options { return h.opts }

// Handle makes m callable by clients under name, without regard to case, for those who pass all rules. It panics if the name
// is empty or taken, or after the first connection.
func (h *Hub) Handle(name string, m Method, rules ...Rule) {
	h.registering("Handle")
	key := strings.ToLower(name)
	switch {
	case name == "":
		panic("hubbub: Handle: empty method name")
	case m == nil:
		panic("hubbub: Handle: nil method for " + name)
	case h.folded[key] != nil:
		panic(fmt.Sprintf("hubbub: Handle: method %q is registered already, as %q", name, h.folded[key].name))
	}
	e := &method{name: name, Method: m, sig: m.signature(), rules: rules}
	h.methods[name] = e
	h.folded[key] = e
}

// Use adds filters around every call. The first added is the outermost.
func (h *Hub) Use(filters ...Filter) {
	h.registering("Use")
	h.filters = append(h.filters, filters...)
}

// OnConnected sets what runs when a connection is there, before its first call. The caller is in the context. An error ends
// the connection: its client reads the text as [Error] says and does not reconnect.
func (h *Hub) OnConnected(f func(ctx context.Context) error) {
	h.registering("OnConnected")
	h.onConnected = f
}

// OnDisconnected sets what runs when a connection that OnConnected has accepted is gone. The caller is in the context, still
// in its groups; the context has its values but does not end with the connection. err is nil for an ordinary end: closed by the client, by [Caller.Abort], by the
// transport or by a shutdown.
func (h *Hub) OnDisconnected(f func(ctx context.Context, err error)) {
	h.registering("OnDisconnected")
	h.onDisconnected = f
}

// OnAuthenticationRefreshed sets what runs after the credential of a connection was replaced. [Caller.User] is the new user.
// It takes its turn among the calls of the connection; an error is only logged.
func (h *Hub) OnAuthenticationRefreshed(f func(ctx context.Context) error) {
	h.registering("OnAuthenticationRefreshed")
	h.onRefreshed = f
}

// OnReconnected sets what runs when a classic client has come back with a new stream (SignalR 2.x, "OnReconnected"): in its
// turn among the calls of the connection, an error is only logged. A client can come back to a server that does not know it,
// after a restart for example: then it runs in place of [Hub.OnConnected], and as that does. Without it OnConnected runs there.
// Clients of ASP.NET Core SignalR get a new connection instead, or come back unnoticed with stateful reconnect.
func (h *Hub) OnReconnected(f func(ctx context.Context) error) {
	h.registering("OnReconnected")
	h.onReconnected = f
}

// OnRejoiningGroups sets who decides to which groups a classic client returns that comes back to a server that does not know
// it: f gets those that a token of this server proves and returns those that the caller may still be in. Default all of them.
func (h *Hub) OnRejoiningGroups(f func(ctx context.Context, groups []string) []string) {
	h.registering("OnRejoiningGroups")
	h.onRejoining = f
}

func (h *Hub) registering(what string) {
	if h.served.Load() {
		panic("hubbub: " + what + " after the first connection of hub " + h.name)
	}
}

// Authorize reports whether u may reach the hub at all. Dialects ask it on every HTTP request.
func (h *Hub) Authorize(ctx context.Context, u *User) bool {
	if h.opts.RequireUser && u == nil {
		return false
	}
	for _, rule := range h.opts.Require {
		if !rule(ctx, u, nil) {
			return false
		}
	}
	return true
}

// Methods returns the declared names of the hub's methods with their rules left out, in no order.
func (h *Hub) Methods() []string {
	names := make([]string, 0, len(h.methods))
	for n := range h.methods {
		names = append(names, n)
	}
	return names
}

func (h *Hub) find(target string) *method {
	if m := h.methods[target]; m != nil {
		return m
	}
	return h.folded[strings.ToLower(target)]
}

// Stopping is closed when [Hub.Shutdown] begins. Dialects refuse new connections from then on.
func (h *Hub) Stopping() <-chan struct{} { return h.stop }

// Shutdown ends the hub: new connections are refused, and every connection is asked to close and to come back elsewhere
// (Close with allowReconnect), at most perSecond of them a second (0: all at once). It waits until all are gone or ctx ends,
// then drops what is left, with whatever still waits to be written to it, and returns ctx's error. Methods and
// [Hub.OnDisconnected] that still run are not waited for then.
func (h *Hub) Shutdown(ctx context.Context, perSecond int) error {
	h.stopOnce.Do(func() { close(h.stop) })
	defer func() {
		if h.remote != nil {
			h.remote.close()
		}
	}()
	var pause <-chan time.Time
	if perSecond > 0 {
		t := time.NewTicker(time.Second / time.Duration(perSecond))
		defer t.Stop()
		pause = t.C
	}
	links := h.life.stop()
	for _, l := range links {
		l.conn.Close(&Close{AllowReconnect: true}, ErrShutdown)
		if pause == nil {
			continue
		}
		select {
		case <-pause:
		case <-ctx.Done():
		}
	}
	for i, l := range links {
		select {
		case <-l.done:
		case <-ctx.Done():
			for _, left := range links[i:] {
				left.out.Discard()
				left.Detach(ErrShutdown)
			}
			return fmt.Errorf("hub %s: shutdown: %w", h.name, ctx.Err())
		}
	}
	return nil
}
