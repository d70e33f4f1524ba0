package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// request sends one raw request and returns its answer. The body is for the caller to close.
func (d *doctor) request(ctx context.Context, h *http.Client, method, address, accept, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	token := ""
	if d.opts.Token != nil {
		if token, err = d.opts.Token(ctx); err != nil {
			return nil, err
		}
	}
	d.headers(req.Header, token)
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	res, err := h.Do(req)
	return res, cause(ctx, err)
}

// patience is how long an answer that is due at once may take before something must be holding it back.
func (d *doctor) patience() time.Duration { return min(d.flags.timeout, 5*time.Second) }

const jsonHandshake = "{\"protocol\":\"json\",\"version\":1}\x1e"

const bufferingFix = "turn buffering off for the hub's path (nginx: proxy_buffering off), and compression of text/event-stream"

// buffering opens an event stream and looks when its first bytes come, and when those behind them do.
func (d *doctor) buffering() finding {
	if !d.offer.has(signalr.ServerSentEvents) {
		return note("not checked: the server offers no event streams")
	}
	o, _, err := d.negotiate(d.http, false)
	if err != nil {
		return problem("look at the server's log", "negotiate: %s", d.reason(err))
	}
	ctx, cancel := context.WithTimeoutCause(d.ctx, d.patience(), errTimeout)
	defer cancel()
	address := below(o.at, "", "id="+url.QueryEscape(o.token()))
	began := time.Now()
	res, err := d.request(ctx, d.http, http.MethodGet, address, "text/event-stream", "")
	if errors.Is(err, errTimeout) {
		return problem(bufferingFix, "nothing of the event stream came within %s: something holds it back", human(d.patience()))
	}
	if err != nil {
		return problem(proxyFix[signalr.ServerSentEvents], "%s", d.reason(err))
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return problem(proxyFix[signalr.ServerSentEvents], "the event stream is answered with status %d", res.StatusCode)
	}
	buf := make([]byte, 4096)
	if _, err := res.Body.Read(buf); err != nil {
		return problem(bufferingFix, "the headers came, but nothing of the event stream within %s: something holds it back", human(d.patience()))
	}
	first := time.Since(began)
	said, err := d.request(ctx, d.http, http.MethodPost, address, "", jsonHandshake)
	if err != nil {
		return problem(proxyFix[signalr.ServerSentEvents], "POST beside the event stream: %s", d.reason(err))
	}
	said.Body.Close()
	began = time.Now()
	if _, err := res.Body.Read(buf); err != nil {
		return problem(bufferingFix, "the first event did not come within %s: something holds it back", human(d.patience()))
	}
	return ok("events come as they are sent: the stream after %s, an event after %s", human(first), human(time.Since(began)))
}

const stickyFix = "send all requests of a connection to the same server: by cookie, by the client's address, or by the query value id; or let clients " +
	"use WebSockets only and skip negotiation"

// stickiness makes connections of several requests, each over a TCP connection of its own.
func (d *doctor) stickiness() finding {
	transport := signalr.LongPolling
	if !d.offer.has(transport) {
		return note("not checked: the server offers no Long Polling")
	}
	astray := 0
	for range d.tries {
		switch status, err := d.astray(); {
		case err != nil:
			return problem(stickyFix, "%s", d.reason(err))
		case status == http.StatusNotFound:
			astray++
		case status != http.StatusOK:
			return problem(proxyFix[transport], "a poll is answered with status %d", status)
		}
	}
	if astray > 0 {
		return problem(stickyFix, "%d of %d connections reached a server that does not know them", astray, d.tries)
	}
	return ok("%s, each request over a new TCP connection: all reach their server", plural(d.tries, "connection"))
}

// astray negotiates, polls and leaves, and returns the status of the poll.
func (d *doctor) astray() (int, error) {
	h := d.newHTTP() // with cookies of its own, as another browser
	h.Transport.(*http.Transport).DisableKeepAlives = true
	defer h.CloseIdleConnections()
	o, _, err := d.negotiate(h, false)
	if err != nil {
		return 0, err
	}
	ctx, cancel := d.limited()
	defer cancel()
	address := below(o.at, "", "id="+url.QueryEscape(o.token()))
	res, err := d.request(ctx, h, http.MethodGet, address, "", "")
	if err != nil {
		return 0, err
	}
	res.Body.Close()
	if gone, err := d.request(ctx, h, http.MethodDelete, address, "", ""); err == nil {
		gone.Body.Close()
	}
	return res.StatusCode, nil
}

// tokenInQuery connects as a browser does, which cannot send a header with a WebSocket.
func (d *doctor) tokenInQuery() finding {
	if d.opts.Token == nil {
		return note("not checked: there is no token (--token, --token-cmd)")
	}
	if !d.offer.has(signalr.WebSockets) {
		return note("not checked: the server offers no WebSockets")
	}
	o, _, err := d.negotiate(d.http, false)
	if err != nil {
		return problem("look at the server's log", "negotiate: %s", d.reason(err))
	}
	ctx, cancel := d.limited()
	defer cancel()
	token, err := d.opts.Token(ctx)
	if err != nil {
		return problem("look at --token-cmd", "%s", d.reason(err))
	}
	query := "id=" + url.QueryEscape(o.token())
	dial := func(more string) (int, error) {
		c, res, err := websocket.Dial(ctx, below(o.at, "", query+more), &websocket.DialOptions{HTTPClient: d.http})
		if c != nil {
			defer func() { _ = c.CloseNow() }()
		}
		if res != nil {
			return res.StatusCode, nil
		}
		return 0, cause(ctx, err)
	}
	// The one without a token comes first: the connection is still there when it was refused.
	if status, err := dial(""); err == nil && status == http.StatusSwitchingProtocols {
		return note("the hub lets WebSockets in without a token")
	}
	switch status, err := dial("&access_token=" + url.QueryEscape(token)); {
	case err != nil:
		return problem(proxyFix[signalr.WebSockets], "%s", d.reason(err))
	case status == http.StatusSwitchingProtocols:
		return ok("accepted as access_token, which is how browsers send it with WebSockets and event streams")
	default:
		return problem("read access_token of the query where there is no Authorization header (JwtBearerEvents.OnMessageReceived in .NET)",
			"refused with status %d: browsers cannot connect with WebSockets or event streams", status)
	}
}

// largestMessage calls a method that does not exist with longer and longer texts.
func (d *doctor) largestMessage() finding {
	const standard = 32 << 10
	passed := 0
	for size := standard; size <= max(d.largest, standard); size *= 2 {
		c, _, err := d.connectWith(signalr.AllTransports, func(o *signalr.ClientOptions) {
			o.MaximumQueuedBytes = size + 1<<20
		})
		if err != nil {
			return problem("look at the transports above", "cannot connect: %s", d.reason(err))
		}
		const around = 128 // what stands around the text in an invocation
		ctx, cancel := d.limited()
		err = c.Invoke(ctx, nil, pingTarget, strings.Repeat("x", size-around))
		cancel()
		c.Close()
		if _, said := errors.AsType[*hubbub.Error](err); err != nil && !said {
			if passed == 0 {
				return problem("let messages of 32 KiB through (MaximumReceiveMessageSize)", "a message of %s ends the connection: %s", bytesText(size), d.reason(err))
			}
			return ok("%s pass, %s do not (MaximumReceiveMessageSize)", bytesText(passed), bytesText(size))
		}
		passed = size
	}
	return ok("%s pass, larger ones were not tried (--largest)", bytesText(passed))
}
