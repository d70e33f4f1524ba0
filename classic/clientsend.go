package classic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/hubbub-go/hubbub"
)

// send sends a message of the client. Over HTTP transports it returns the answer to it, nil if there is none.
func (s *session) send(ctx context.Context, b []byte) (*answer, error) {
	s.mu.Lock()
	stream, closing := s.stream, s.closing || s.over
	s.mu.Unlock()
	switch {
	case closing:
		return nil, hubbub.ErrClosed
	case s.transport != WebSockets:
		s.trace(true, b)
		return s.post(ctx, b)
	case stream == nil:
		return nil, errWaiting
	}
	s.trace(true, b)
	return nil, stream.(*clientSocket).write(ctx, b)
}

// post sends a message in a request of its own.
func (s *session) post(ctx context.Context, b []byte) (*answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	form := "data=" + url.QueryEscape(string(b))
	req, err := s.request(ctx, http.MethodPost, "send", strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	res, err := s.c.do(req)
	if err != nil {
		if s.ctx.Err() != nil {
			return nil, s.end()
		}
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		return nil, httpError("send", res)
	}
	defer res.Body.Close()
	body, err := readBounded(res.Body, s.c.opts.MaximumReceiveMessageSize)
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return nil, err
	}
	s.trace(false, body)
	r, err := parseReceived(body, s.c.values)
	if err != nil {
		return nil, fmt.Errorf("answer to send: %w", err)
	}
	return r.answer, nil
}

// do sends a request. Its error does not show the address, which has the connection token in it.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	res, err := c.http.Do(req)
	return res, withoutAddress(err)
}

func withoutAddress(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
