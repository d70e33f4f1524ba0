package signalr

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"sync"

	"github.com/hubbub-go/hubbub"
)

// Client is a [hubbub.Client] of an ASP.NET Core SignalR hub.
type Client struct {
	*hubbub.Client
	d *dialer
}

// NewClient returns a client of the hub at rawURL, http or https. It does not connect: register handlers, then call Start. opts
// may be nil. What is wrong with the address or the options is told by Start.
func NewClient(rawURL string, opts *ClientOptions) *Client {
	d := newDialer(rawURL, opts)
	return &Client{Client: hubbub.NewClient(d, &d.opts.ClientOptions), d: d}
}

// dialer makes the connections of one client.
type dialer struct {
	opts  ClientOptions
	url   *url.URL
	http  *http.Client
	own   bool // http is nobody else's
	proto protocol
	err   error // what is wrong with the options

	mu      sync.Mutex
	current *clientConn
}

func newDialer(rawURL string, opts *ClientOptions) *dialer {
	d := &dialer{opts: opts.withDefaults()}
	d.http = d.opts.HTTPClient
	if d.http == nil {
		jar, _ := cookiejar.New(nil)
		d.http = &http.Client{Jar: jar, Transport: http.DefaultTransport.(*http.Transport).Clone()}
		d.own = true
	}
	d.proto, d.err = d.opts.protocol()
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		d.err = fmt.Errorf("address: %w", err)
	case (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		d.err = fmt.Errorf("address %q, want http://host/path or https://host/path", rawURL)
	case d.opts.SkipNegotiation && d.opts.Transports != WebSockets:
		d.err = errors.New("negotiation can only be skipped when WebSockets is the only transport")
	}
	d.url = u
	return d
}

// Dial implements hubbub.Dialer.
func (d *dialer) Dial(ctx context.Context) (hubbub.ClientConn, error) {
	if d.err != nil {
		return nil, d.err
	}
	c, err := d.connect(ctx)
	if err != nil {
		d.rest()
		return nil, err
	}
	if err := c.shakeHands(ctx); err != nil {
		c.Cut(err)
		d.rest()
		return nil, err
	}
	d.mu.Lock()
	d.current = c
	d.mu.Unlock()
	c.live()
	return c, nil
}

// rest closes connections that wait for further requests, so that nothing is left of a client that is not connected.
func (d *dialer) rest() {
	if d.own {
		d.http.CloseIdleConnections()
	}
}

// connect negotiates and starts the first transport that works, in the order of the server. Each attempt after a failed one
// negotiates anew, as the .NET client does.
func (d *dialer) connect(ctx context.Context) (*clientConn, error) {
	if d.opts.SkipNegotiation {
		return d.open(ctx, &negotiation{url: d.url}, WebSockets)
	}
	n, err := d.negotiate(ctx)
	if err != nil {
		return nil, err
	}
	if len(n.transports) == 0 {
		return nil, errors.New("none of the transports supported by the client are supported by the server")
	}
	failed := &TransportsError{}
	spent := false
	for _, offer := range n.transports {
		t, err := d.suits(offer)
		if err == nil && spent {
			if n, err = d.negotiate(ctx); err != nil {
				return nil, err
			}
		}
		if err == nil {
			var c *clientConn
			if c, err = d.open(ctx, n, t); err == nil {
				return c, nil
			}
			spent = true
		}
		if ctx.Err() != nil {
			return nil, err
		}
		failed.Failed = append(failed.Failed, TransportError{offer.Transport, err})
	}
	return nil, failed
}

// suits says whether a transport that the server offers can be used, or why not.
func (d *dialer) suits(offer transportInfo) (Transport, error) {
	for _, ti := range transportInfos {
		if ti.info.Transport != offer.Transport {
			continue
		}
		if d.opts.Transports&ti.t == 0 {
			return 0, errors.New("the transport is disabled by the client")
		}
		format := "Text"
		if d.proto.binary() {
			format = "Binary"
		}
		for _, f := range offer.TransferFormats {
			if f == format {
				return ti.t, nil
			}
		}
		return 0, fmt.Errorf("the transport does not support the '%s' transfer format", format)
	}
	return 0, errors.New("the transport is not supported by the client")
}

// open starts a transport for what was negotiated.
func (d *dialer) open(ctx context.Context, n *negotiation, t Transport) (*clientConn, error) {
	c := newClientConn(d, n, t)
	tr, err := c.start(ctx)
	if err != nil {
		c.cancel(err)
		return nil, err
	}
	c.tr.Store(&tr)
	return c, nil
}
