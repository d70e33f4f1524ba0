package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// httpConn makes a connection over Server-Sent Events or Long Polling look like one of bytes: what the server says is read from a
// pipe, and each write is a POST that waits for its answer, because the next must not overtake it.
type httpConn struct {
	net.Conn // the near end of the pipe
	far      net.Conn
	client   *http.Client
	header   http.Header
	address  string // with the connection's token
	binary   bool
	stream   bool // Server-Sent Events, not Long Polling
	ctx      context.Context
	cancel   context.CancelFunc
	pumped   sync.WaitGroup
	reason   atomic.Pointer[error] // of the end
}

// open negotiates, and begins to listen.
func (d *dialer) open(ctx context.Context, nd *net.Dialer) (net.Conn, error) {
	base, err := url.Parse(d.job.Target.URL)
	if err != nil {
		return nil, err
	}
	base.Scheme = map[bool]string{false: "http", true: "https"}[d.target.tls]
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return nd.DialContext(ctx, "tcp", d.target.dialTo)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: d.job.Insecure}, DisableCompression: true, MaxIdleConnsPerHost: 2,
	}
	h := &httpConn{client: &http.Client{Transport: t}, header: d.header, binary: d.job.format().packed, stream: d.job.Transport == transportSSE}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.Conn, h.far = net.Pipe()
	if err := h.begin(ctx, base); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

func (h *httpConn) begin(ctx context.Context, base *url.URL) error {
	at := *base
	at.Path += "/negotiate"
	at.RawQuery = strings.TrimPrefix(at.RawQuery+"&negotiateVersion=1", "&")
	body, err := h.ask(ctx, http.MethodPost, at.String(), nil)
	if err != nil {
		return fmt.Errorf("negotiate: %w", err)
	}
	token, err := tokenOf(body)
	if err != nil {
		return err
	}
	at = *base
	at.RawQuery = strings.TrimPrefix(at.RawQuery+"&id="+url.QueryEscape(token), "&")
	h.address = at.String()
	if !h.stream { // the first poll opens the connection, and is answered at once
		if _, err := h.ask(ctx, http.MethodGet, h.address, nil); err != nil {
			return fmt.Errorf("first poll: %w", err)
		}
		h.pumped.Go(func() { h.pump(h.poll()) })
		return nil
	}
	stop := context.AfterFunc(ctx, h.cancel) // until the headers are there
	res, err := h.do(h.ctx, http.MethodGet, h.address, nil)
	if err == nil && !stop() {
		res.Body.Close()
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("event stream: %w", err)
	}
	h.pumped.Go(func() { h.pump(h.events(res.Body)) })
	return nil
}

// do sends one request. An answer other than 200 is an error, [io.EOF] where the connection has ended.
func (h *httpConn) do(ctx context.Context, method, address string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range h.header {
		req.Header[name] = values
	}
	switch {
	case method == http.MethodGet && h.stream:
		req.Header.Set("Accept", "text/event-stream")
	case method == http.MethodGet:
	case h.binary:
		req.Header.Set("Content-Type", "application/octet-stream")
	default:
		req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	res, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	switch res.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		return res, nil
	case http.StatusNoContent:
		err = io.EOF
	default:
		said, _ := io.ReadAll(io.LimitReader(res.Body, 200)) // what there is of it
		err = fmt.Errorf("%s was answered with status %d: %q, want 200", method, res.StatusCode, said)
	}
	res.Body.Close()
	return nil, err
}

// ask sends one request and returns the body of its answer.
func (h *httpConn) ask(ctx context.Context, method, address string, body []byte) ([]byte, error) {
	res, err := h.do(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(io.LimitReader(res.Body, largestFrame))
}

// pump ends the reading when what fills the pipe has ended.
func (h *httpConn) pump(err error) {
	h.reason.CompareAndSwap(nil, &err)
	h.far.Close()
}

// poll asks again and again.
func (h *httpConn) poll() error {
	for {
		body, err := h.ask(h.ctx, http.MethodGet, h.address, nil)
		if err != nil {
			return err
		}
		if len(body) == 0 {
			continue
		}
		if _, err := h.far.Write(body); err != nil {
			return err
		}
	}
}

// events reads the data of an event stream.
func (h *httpConn) events(body io.ReadCloser) error {
	defer body.Close()
	r := bufio.NewReaderSize(body, 8<<10)
	var event []byte
	for {
		line, err := r.ReadSlice('\n')
		whole := line
		for errors.Is(err, bufio.ErrBufferFull) && len(whole) < largestFrame {
			whole = bytes.Clone(whole)
			line, err = r.ReadSlice('\n')
			whole = append(whole, line...)
		}
		if err != nil {
			return err
		}
		whole = bytes.TrimRight(whole, "\r\n")
		if data, ok := bytes.CutPrefix(whole, []byte("data:")); ok {
			if len(event) > 0 {
				event = append(event, '\n')
			}
			event = append(event, bytes.TrimPrefix(data, []byte(" "))...)
		}
		if len(whole) > 0 || len(event) == 0 {
			continue
		}
		if _, err := h.far.Write(event); err != nil {
			return err
		}
		event = event[:0]
	}
}

// Read is of what the server says.
func (h *httpConn) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if errors.Is(err, io.EOF) {
		if why := h.reason.Load(); why != nil {
			err = *why
		}
	}
	return n, err
}

// Write posts p and waits for the answer.
func (h *httpConn) Write(p []byte) (int, error) {
	ctx, cancel := context.WithTimeout(h.ctx, 30*time.Second)
	defer cancel()
	if _, err := h.ask(ctx, http.MethodPost, h.address, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close leaves. Long Polling says so with a DELETE, for at most a second, or the server would wait for the next poll; an event stream
// that ends is seen.
func (h *httpConn) Close() error {
	if h.reason.CompareAndSwap(nil, &net.ErrClosed) && h.address != "" && !h.stream {
		ctx, cancel := context.WithTimeout(h.ctx, time.Second)
		if res, err := h.do(ctx, http.MethodDelete, h.address, nil); err == nil {
			res.Body.Close()
		}
		cancel()
	}
	h.cancel()
	err := h.Conn.Close()
	h.pumped.Wait()
	h.client.CloseIdleConnections()
	return err
}

// tokenOf is the token of a connection in the answer to negotiate.
func tokenOf(body []byte) (string, error) {
	var answer struct{ ConnectionToken, ConnectionID, Error, URL string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("negotiate was answered with %d bytes, want JSON: %w", len(body), err)
	}
	if answer.Error != "" || answer.URL != "" {
		return "", fmt.Errorf("negotiate was answered with error %q and address %q, want a connection of this server", answer.Error, answer.URL)
	}
	if answer.ConnectionToken == "" {
		return answer.ConnectionID, nil
	}
	return answer.ConnectionToken, nil
}
