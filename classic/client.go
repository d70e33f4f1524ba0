package classic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/hubbub-go/hubbub"
)

// Client is a connection to a server of classic SignalR, with any number of its hubs on it, that survives the loss of its
// socket. Make the proxies of its hubs and register their handlers, then call Start. All methods are safe for concurrent use.
type Client struct {
	opts   ClientOptions
	url    *url.URL
	http   *http.Client
	own    bool // http is nobody else's
	err    error
	values *codec
	inner  *hubbub.Client // runs the handlers

	mu      sync.Mutex
	proxies []*HubProxy
	session *session
	nextID  uint64
	raw     bool // OnReceived was called
}

// NewClient returns a client of the server at rawURL, http or https; "/signalr" is appended unless the options say otherwise. It
// does not connect. opts may be nil. What is wrong with the address or the options is told by Start.
func NewClient(rawURL string, opts *ClientOptions) *Client {
	c := &Client{opts: opts.withDefaults(), values: newCodec()}
	c.http = c.opts.HTTPClient
	if c.http == nil {
		jar, _ := cookiejar.New(nil) // never fails without options
		c.http = &http.Client{Jar: jar, Transport: http.DefaultTransport.(*http.Transport).Clone()}
		c.own = true
	}
	inner := c.opts.ClientOptions
	inner.Reconnect, inner.OnReconnecting, inner.OnReconnected = nil, nil, nil // those of the session
	inner.MaximumPendingInvocations = 1
	c.inner = hubbub.NewClient(dialer{c}, &inner)
	c.opts.Logger = loggerOf(c.opts.Logger)
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		c.err = fmt.Errorf("address: %w", err)
	case (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		c.err = fmt.Errorf("address %q, want http://host/path or https://host/path", rawURL)
	case u.RawQuery != "" || u.Fragment != "":
		c.err = fmt.Errorf("address %q has a query or a fragment, want those of a query in ClientOptions.Query", rawURL)
	case c.opts.Transports&(WebSockets|ServerSentEvents|LongPolling) == 0:
		c.err = errors.New("no transport of a client is allowed")
	default:
		c.url = bare(u)
		if !c.opts.ExactURL {
			c.url = c.url.JoinPath("signalr")
		}
	}
	return c
}

// Hub returns the proxy of a hub, the same for the same name without regard to case. A server only sends what hubs say that had
// a proxy when the client was started; Hub panics with [ErrStarted] for a new name while the client is not disconnected.
func (c *Client) Hub(name string) *HubProxy {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.proxies {
		if strings.EqualFold(p.name, name) {
			return p
		}
	}
	if c.inner.State() != hubbub.Disconnected {
		panic(ErrStarted)
	}
	p := &HubProxy{client: c, name: name, state: ProxyState{values: c.values}}
	c.proxies = append(c.proxies, p)
	return p
}

// OnReceived registers f for all that the server sends, before the handlers of its hubs: what a persistent connection sends,
// and the calls of hubs as JSON. It returns how to remove f. Its context ends with the connection.
func (c *Client) OnReceived(f func(ctx context.Context, v hubbub.Value) error) (remove func()) {
	c.mu.Lock()
	c.raw = true
	c.mu.Unlock()
	return c.inner.On(rawTarget, hubbub.Raw(func(ctx context.Context, args hubbub.Args) (any, error) {
		return nil, f(ctx, args.At(0))
	}))
}

// rawTarget stands for OnReceived; the target of a hub's call has a dot.
const rawTarget = "received"

// Start connects: it negotiates, and opens the first transport that works. It blocks until the server has started the connection,
// ctx ends or all has failed: nothing is retried. The connection does not end with ctx but with [Client.Close]. What the server
// sends meanwhile is kept for the handlers. It fails with [ErrCoreServer], a *[VersionError], *[ServerError], *[HTTPError],
// *[TransportsError] or *[StartError] where that is the reason, and if the client is not disconnected.
func (c *Client) Start(ctx context.Context) error {
	if err := c.inner.Start(ctx); err != nil {
		return fmt.Errorf("classic: %w", err)
	}
	return nil
}

// Close ends the connection for good: it tells the server, waits CloseTimeout at most, and returns when no goroutine of the
// client is left. Calls that wait fail with [hubbub.ErrClosed]. The client can be started again. Closing twice does nothing. It
// must not be called by a handler or a hook, which it waits for.
func (c *Client) Close() error { return c.inner.Close() }

// State returns where the client is at the moment.
func (c *Client) State() hubbub.ClientState {
	state := c.inner.State()
	if s := c.current(); s != nil && state == hubbub.Connected && s.away() {
		return hubbub.Reconnecting
	}
	return state
}

// ID returns the id of the connection, which it keeps when it reconnects; "" if there is none.
func (c *Client) ID() string { return c.inner.ID() }

// Transport returns the transport of the connection, 0 if there is none.
func (c *Client) Transport() Transport {
	if s := c.current(); s != nil && c.inner.State() == hubbub.Connected {
		return s.transport
	}
	return 0
}

// SendRaw sends text to a persistent connection. Over WebSockets it waits until the text is written, else until the server has
// taken it, or until ctx ends, when it is not known whether the server gets it.
func (c *Client) SendRaw(ctx context.Context, text string) error {
	s, err := c.connected()
	if err == nil {
		_, err = s.send(ctx, []byte(text))
	}
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

func (c *Client) current() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// connected returns the session that calls go to.
func (c *Client) connected() (*session, error) {
	state, s := c.inner.State(), c.current()
	if s == nil || state != hubbub.Connected {
		return nil, fmt.Errorf("%w: it is %s", hubbub.ErrNotConnected, state)
	}
	return s, nil
}

// invocationID returns a new id. None is ever used again, so the answer of a socket before cannot be taken for another.
func (c *Client) invocationID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := strconv.FormatUint(c.nextID, 10)
	c.nextID++
	return id
}

// connectionData names the hubs that have proxies, "" if none has.
func (c *Client) connectionData() (data string, raw bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	type hub struct{ Name string }
	var hubs []hub
	for _, p := range c.proxies {
		hubs = append(hubs, hub{p.name})
	}
	if hubs == nil {
		return "", c.raw
	}
	b, err := json.Marshal(hubs)
	if err != nil {
		panic(err) // names are text
	}
	return string(b), c.raw
}

// proxy returns the proxy of a hub in any spelling, nil if there is none.
func (c *Client) proxy(name string) *HubProxy {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.proxies {
		if strings.EqualFold(p.name, name) {
			return p
		}
	}
	return nil
}

// rest closes connections that wait for further requests, so that nothing is left of a client that is not connected.
func (c *Client) rest() {
	if c.own {
		c.http.CloseIdleConnections()
	}
}
