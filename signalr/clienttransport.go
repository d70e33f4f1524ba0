package signalr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"

	"github.com/coder/websocket"

	"github.com/hubbub-go/hubbub/internal/sse"
)

// start opens the transport of the connection.
func (c *clientConn) start(ctx context.Context) (clientTransport, error) {
	tr, err := c.startPlain(ctx)
	return c.traced(tr, err)
}

// traced is tr with the user's Trace around it.
func (c *clientConn) traced(tr clientTransport, err error) (clientTransport, error) {
	if err != nil || c.d.opts.Trace == nil {
		return tr, err
	}
	return tracedTransport{tr, c}, nil
}

// tracedTransport tells the user what passes.
type tracedTransport struct {
	clientTransport
	c *clientConn
}

func (t tracedTransport) read(ctx context.Context) ([]byte, error) {
	p, err := t.clientTransport.read(ctx)
	if err == nil {
		t.c.d.opts.Trace(false, t.c.transport, p)
	}
	return p, err
}

func (t tracedTransport) write(ctx context.Context, b []byte) error {
	t.c.d.opts.Trace(true, t.c.transport, b)
	return t.clientTransport.write(ctx, b)
}

func (c *clientConn) startPlain(ctx context.Context) (clientTransport, error) {
	switch c.transport {
	case WebSockets:
		return c.dialWebSocket(ctx)
	case ServerSentEvents:
		return c.openEvents(ctx)
	}
	return c.firstPoll(ctx)
}

// clientSocket is a WebSocket.
type clientSocket struct {
	conn *websocket.Conn
	typ  websocket.MessageType
	net  net.Conn        // below conn; nil if the HTTP client does not tell it
	ctx  context.Context // of reading and writing: one that never ends costs no allocation, but then net must be there to be cut
	stop context.CancelFunc
}

// dialWebSocket opens a socket with a fresh access token, as the .NET client does: a stateful connection may be older than the one
// that it was negotiated with.
func (c *clientConn) dialWebSocket(ctx context.Context) (clientTransport, error) {
	if err := c.d.authorize(ctx, c.n); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.d.opts.RequestTimeout)
	defer cancel()
	s := &clientSocket{typ: websocket.MessageText, ctx: context.Background(), stop: func() {}}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { s.net = got.Conn }})
	opts := &websocket.DialOptions{HTTPClient: c.d.http, HTTPHeader: c.d.header(c.n), CompressionMode: websocket.CompressionDisabled}
	conn, res, err := websocket.Dial(ctx, c.n.transportURL().String(), opts)
	if err != nil && res != nil && res.StatusCode == http.StatusUnauthorized && c.d.renewable(c.n) {
		if err := c.d.authorize(ctx, c.n); err != nil {
			return nil, err
		}
		opts.HTTPHeader = c.d.header(c.n)
		conn, res, err = websocket.Dial(ctx, c.n.transportURL().String(), opts)
	}
	switch {
	case err != nil && res != nil && res.StatusCode != http.StatusSwitchingProtocols:
		if res.Body == nil {
			res.Body = http.NoBody
		}
		return nil, httpError("WebSocket", res)
	case err != nil:
		return nil, err
	}
	conn.SetReadLimit(-1) // messages are bounded one by one
	if limit := c.d.opts.MaximumReceiveMessageSize; limit > 0 {
		conn.SetReadLimit(int64(limit) + 1<<20)
	}
	if c.d.proto.binary() {
		s.typ = websocket.MessageBinary
	}
	if s.conn = conn; s.net == nil {
		s.ctx, s.stop = context.WithCancel(c.ctx)
	}
	return s, nil
}

func (s *clientSocket) read(context.Context) ([]byte, error) {
	_, p, err := s.conn.Read(s.ctx)
	if err == nil {
		return p, nil
	}
	if websocket.CloseStatus(err) == websocket.StatusNormalClosure || websocket.CloseStatus(err) == websocket.StatusNoStatusRcvd {
		return nil, io.EOF
	}
	if errors.Is(err, io.EOF) { // TCP ended without a close frame
		return nil, fmt.Errorf("the server closed the WebSocket without a close frame: %w", io.ErrUnexpectedEOF)
	}
	return nil, err
}

func (s *clientSocket) write(_ context.Context, b []byte) error {
	return s.conn.Write(s.ctx, s.typ, b)
}

func (s *clientSocket) close(ctx context.Context) {
	defer context.AfterFunc(ctx, s.disconnect)()
	_ = s.conn.Close(websocket.StatusNormalClosure, "")
}

func (s *clientSocket) cut() {
	s.disconnect()
	_ = s.conn.CloseNow()
}

// disconnect ends the connection below, and with it a Close that waits for the server.
func (s *clientSocket) disconnect() {
	s.stop()
	if s.net != nil {
		_ = s.net.Close()
	}
}

// post sends what a client of an event stream or Long Polling says.
func (c *clientConn) post(ctx context.Context, b []byte) error {
	res, err := c.d.retry(ctx, c.n, func() (*http.Response, error) {
		return c.d.do(ctx, c.n, http.MethodPost, c.n.transportURL(), b)
	})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return httpError("POST", res)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16))
	return nil
}

// clientEvents is an event stream with POSTs for the other direction.
type clientEvents struct {
	c      *clientConn
	body   io.ReadCloser
	events *sse.Reader
	cancel context.CancelFunc
}

func (c *clientConn) openEvents(ctx context.Context) (clientTransport, error) {
	// The stream outlives the attempt to connect.
	life, cancel := context.WithCancel(c.ctx)
	ctx, expire := context.WithTimeout(ctx, c.d.opts.RequestTimeout)
	defer expire()
	unlink := context.AfterFunc(ctx, cancel)
	defer unlink()
	res, err := c.d.retry(ctx, c.n, func() (*http.Response, error) {
		req, err := http.NewRequestWithContext(life, http.MethodGet, c.n.transportURL().String(), nil)
		if err != nil {
			return nil, err
		}
		req.Header = c.d.header(c.n)
		req.Header.Set("Accept", "text/event-stream")
		return c.d.http.Do(req)
	})
	if err != nil {
		cancel()
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		defer cancel()
		return nil, httpError("event stream", res)
	}
	limit := max(c.d.opts.MaximumReceiveMessageSize, 0)
	if limit > 0 {
		limit += 1 << 20 // several messages may share an event
	}
	return &clientEvents{c, res.Body, sse.NewReader(res.Body, limit), cancel}, nil
}

func (e *clientEvents) read(context.Context) ([]byte, error) { return e.events.Next() }

func (e *clientEvents) write(ctx context.Context, b []byte) error { return e.c.post(ctx, b) }

func (e *clientEvents) close(context.Context) { e.cut() }

func (e *clientEvents) cut() {
	e.cancel()
	_ = e.body.Close()
}

// clientPoll is Long Polling with POSTs for the other direction.
type clientPoll struct {
	c      *clientConn
	ctx    context.Context // of the polls
	cancel context.CancelFunc
	once   sync.Once
}

// firstPoll binds the transport: the server answers it at once.
func (c *clientConn) firstPoll(ctx context.Context) (clientTransport, error) {
	res, err := c.poll(ctx)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, httpError("poll", res)
	}
	p := &clientPoll{c: c}
	p.ctx, p.cancel = context.WithCancel(c.ctx)
	return p, nil
}

func (c *clientConn) poll(ctx context.Context) (*http.Response, error) {
	ctx = context.WithValue(ctx, once{}, true)
	return c.d.retry(ctx, c.n, func() (*http.Response, error) {
		return c.d.do(ctx, c.n, http.MethodGet, c.n.transportURL(), nil)
	})
}

func (p *clientPoll) read(context.Context) ([]byte, error) {
	for refreshed := false; ; {
		res, err := p.c.poll(p.ctx)
		if err != nil {
			return nil, err
		}
		switch {
		case res.StatusCode == http.StatusNoContent:
			res.Body.Close()
			return nil, io.EOF
		case res.StatusCode == http.StatusConflict && !refreshed:
			err := httpError("poll", res)
			res.Body.Close()
			if !bytes.Contains([]byte(err.(*HTTPError).Body), []byte("authentication_refresh_required")) {
				return nil, err
			}
			if _, err := p.c.refresh(p.ctx); err != nil {
				return nil, err
			}
			refreshed = true
			continue
		case res.StatusCode != http.StatusOK:
			defer res.Body.Close()
			return nil, httpError("poll", res)
		}
		body, err := p.body(res)
		if err != nil {
			return nil, err
		}
		if len(body) > 0 {
			return body, nil
		}
		refreshed = false
	}
}

func (p *clientPoll) body(res *http.Response) ([]byte, error) {
	defer res.Body.Close()
	limit := int64(p.c.d.opts.MaximumReceiveMessageSize)
	if limit <= 0 {
		return io.ReadAll(res.Body)
	}
	limit += 1 << 20
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("poll: the answer has more than %d bytes", limit)
	}
	return body, err
}

func (p *clientPoll) write(ctx context.Context, b []byte) error { return p.c.post(ctx, b) }

// close stops polling and tells the server. 404 means that the server was faster.
func (p *clientPoll) close(ctx context.Context) {
	p.once.Do(func() {
		p.cancel()
		res, err := p.c.d.do(ctx, p.c.n, http.MethodDelete, p.c.n.transportURL(), nil)
		if err == nil {
			res.Body.Close()
		}
	})
}

func (p *clientPoll) cut() { p.cancel() }
