package dial

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
)

// client is what both dialects have.
type client interface {
	hubbub.Invoker
	Send(ctx context.Context, method string, args ...any) error
	On(method string, m hubbub.Method) (remove func())
	Start(ctx context.Context) error
	State() hubbub.ClientState
	ID() string
	Close() error
}

// proxyClient is a classic client with one hub on it.
type proxyClient struct {
	*classic.Client
	proxy *classic.HubProxy
}

func (c proxyClient) Invoke(ctx context.Context, result any, method string, args ...any) error {
	return c.proxy.Invoke(ctx, result, method, args...)
}

func (c proxyClient) Send(ctx context.Context, method string, args ...any) error {
	return c.proxy.Send(ctx, method, args...)
}

func (c proxyClient) On(method string, m hubbub.Method) (remove func()) { return c.proxy.On(method, m) }

// Conn is a connection to a hub. It is a [hubbub.Invoker] and safe for concurrent use.
type Conn struct {
	client  client
	dialect Dialect
}

// Connect connects to a hub, in its dialect or in the one that the server turns out to speak. It blocks until the connection is
// there, ctx ends or the attempt has failed. A server is taken for a classic one if it answers the negotiation of Core as those do,
// or with 404; then "/signalr" is appended to the address first, unless the options say otherwise. The connection does not end with
// ctx but with [Conn.Close].
func Connect(ctx context.Context, h Hub) (*Conn, error) {
	if err := h.Check(); err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	c, err := connect(ctx, &h)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	return c, nil
}

func connect(ctx context.Context, h *Hub) (*Conn, error) {
	exact := h.ClassicOptions.ExactURL
	if h.Dialect != Classic {
		c := h.core()
		err := c.Start(ctx)
		if err == nil {
			return &Conn{c, Core}, nil
		}
		answer, refused := errors.AsType[*signalr.HTTPError](err)
		isClassic, none := errors.Is(err, signalr.ErrClassicServer), refused && answer.Status == http.StatusNotFound
		if h.Dialect == Core || (!isClassic && !none) {
			return nil, err
		}
		if h.HubName == "" {
			return nil, errors.Join(err, errors.New("no HubName, want the name of the hub on a classic server"))
		}
		exact = exact || isClassic
	}
	c := h.classic(exact)
	if err := c.Start(ctx); err != nil {
		return nil, err
	}
	return &Conn{c, Classic}, nil
}

func (h *Hub) core() client {
	o := h.CoreOptions
	o.OnReconnecting, o.OnReconnected, o.OnClosed = h.OnReconnecting, h.OnReconnected, h.OnClosed
	o.Header, o.Token = h.Header, h.Token
	if h.Transports != 0 {
		o.Transports = h.Transports
	}
	if h.HTTPClient != nil {
		o.HTTPClient = h.HTTPClient
	}
	if o.Logger == nil {
		o.Logger = h.Logger
	}
	c := signalr.NewClient(h.URL, &o)
	for method, m := range h.Handlers {
		c.On(method, m)
	}
	return c
}

func (h *Hub) classic(exact bool) client {
	o := h.ClassicOptions
	o.OnReconnecting, o.OnReconnected, o.OnClosed = h.OnReconnecting, h.OnReconnected, h.OnClosed
	o.Header, o.Token, o.ExactURL = h.Header, h.Token, exact
	if h.Transports != 0 {
		o.Transports = classicTransports(h.Transports)
	}
	if h.HTTPClient != nil {
		o.HTTPClient = h.HTTPClient
	}
	if o.Logger == nil {
		o.Logger = h.Logger
	}
	address, query := split(h.URL)
	if len(query) > 0 {
		for name, values := range o.Query {
			query[name] = append(query[name], values...)
		}
		o.Query = query
	}
	c := classic.NewClient(address, &o)
	p := c.Hub(h.HubName)
	for method, m := range h.Handlers {
		p.On(method, m)
	}
	return proxyClient{c, p}
}

// split takes the query from an address that Check has let pass; clients of classic have it beside the address.
func split(address string) (bare string, query url.Values) {
	u, err := url.Parse(address)
	if err != nil || u.RawQuery == "" {
		return address, nil
	}
	query = u.Query()
	u.RawQuery = ""
	return u.String(), query
}

func classicTransports(t signalr.Transport) (all classic.Transport) {
	for _, pair := range []struct {
		core    signalr.Transport
		classic classic.Transport
	}{
		{signalr.WebSockets, classic.WebSockets},
		{signalr.ServerSentEvents, classic.ServerSentEvents},
		{signalr.LongPolling, classic.LongPolling},
	} {
		if t&pair.core != 0 {
			all |= pair.classic
		}
	}
	return all
}

// Dialect returns what the server speaks: Core or Classic.
func (c *Conn) Dialect() Dialect { return c.dialect }

// ID returns the connection id, "" if there is none at the moment.
func (c *Conn) ID() string { return c.client.ID() }

// State returns where the connection is at the moment.
func (c *Conn) State() hubbub.ClientState { return c.client.State() }

// Invoke implements [hubbub.Invoker]: it calls a method of the hub and stores its result in what result points to; nil drops it. It
// blocks until the answer is there or ctx ends. An error of the hub is a *[hubbub.Error].
func (c *Conn) Invoke(ctx context.Context, result any, method string, args ...any) error {
	return c.client.Invoke(ctx, result, method, args...)
}

// Send calls a method of the hub without waiting for its end: it blocks until the call is on its way, which over the HTTP
// transports of classic is when the server has answered.
func (c *Conn) Send(ctx context.Context, method string, args ...any) error {
	return c.client.Send(ctx, method, args...)
}

// On registers a handler for the hub's calls of method, and returns how to remove it; both at any time. Handlers run one after the
// other. Core compares names exactly, classic without regard to case.
func (c *Conn) On(method string, m hubbub.Method) (remove func()) { return c.client.On(method, m) }

// Close ends the connection, and returns when nothing of it is left, after some seconds at most. Closing twice does nothing. It must
// not be called by a handler or a hook, which it waits for.
func (c *Conn) Close() error { return c.client.Close() }
